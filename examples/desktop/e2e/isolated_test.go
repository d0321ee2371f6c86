//go:build e2e

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// TestE2EIsolated: when the only host stands still, the others are told that nobody can come in, then that they may be
// cut off; when it goes on, both are over. It is the one warning that honest processes can be made to give.
func TestE2EIsolated(t *testing.T) {
	t.Parallel()
	host := startBot(t, "create", "--json", "--name", "Host", "--admit", "auto")
	link, _ := host.await("ready")["invite"].(string)
	alice := arrives(t, browser(t, drive.Devices{}), "Alice", "en")
	alice.joins(link)
	alice.until(`S.phase.name === "meeting" && S.members.length === 2 && S.members.every((m) => m.self || m.connected)`)
	alice.until(`S.warnings.length === 0 && document.querySelector(".warning") === null`)
	host.signal(syscall.SIGSTOP)
	stopped := time.Now()
	alice.until(`S.members.some((m) => m.away) && S.meeting.hostsAbsent`)
	alice.must(alice.page.UntilIn(time.Minute, `S.warnings.some((w) => w.kind === "isolation")`))
	if after := time.Since(stopped); after < 25*time.Second {
		t.Errorf("told after %v, though nobody is before 30 s", after)
	}
	alice.until(`document.querySelector(".warning.grave")?.innerText.includes((await drive.load("i18n")).t("warning.isolation"))`)
	alice.until(`document.querySelector(".padlock").innerText.includes((await drive.load("i18n")).t("padlock.doubt"))`)
	alice.screen("warning-isolation")
	host.signal(syscall.SIGCONT)
	alice.until(`S.warnings.length === 0 && !S.meeting.hostsAbsent && document.querySelector(".warning") === null`)
}
