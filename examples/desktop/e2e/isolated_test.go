//go:build e2e

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// TestE2EIsolated: when the only host stands still, the others are told that nobody can come in, then that they may be
// cut off; when it goes on, both are over. Who says that they carry on anyway is sent still; who doesn't isn't any more
// after 100 seconds, is told, and may say so then.
func TestE2EIsolated(t *testing.T) {
	t.Parallel()
	host := startBot(t, "create", "--json", "--name", "Host", "--admit", "auto")
	link, _ := host.await("ready")["invite"].(string)
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Alice", "en")
	bob := arrives(t, browser(t, drive.Devices{Sign: &signOfBob}), "Bob", "fr")
	for _, p := range []*person{alice, bob} {
		p.joins(link)
	}
	for _, p := range []*person{alice, bob} {
		p.until(`S.phase.name === "meeting" && S.members.length === 3 && S.members.every((m) => m.self || m.connected)`)
	}
	a, b := alice.id(), bob.id()
	alice.hears(b, signOfBob)
	bob.hears(a, signOfAlice)
	alice.until(`S.warnings.length === 0 && document.querySelector(".warning") === null`)
	host.signal(syscall.SIGSTOP)
	stopped := time.Now()
	alice.until(`S.members.some((m) => m.away) && S.meeting.hostsAbsent`)
	alice.must(alice.page.UntilIn(time.Minute, `S.warnings.some((w) => w.kind === "isolation")`))
	// Of what the host echoed last, the heartbeat may be two intervals of 5 s old.
	if after := time.Since(stopped); after < 20*time.Second {
		t.Errorf("told after %v, though nobody is before 30 s", after)
	}
	alice.until(`document.querySelector(".warning.grave")?.innerText.includes((await drive.load("i18n")).t("warning.isolation"))`)
	alice.until(`document.querySelector(".padlock").innerText.includes((await drive.load("i18n")).t("padlock.doubt"))`)
	alice.screen("warning-isolation")
	alice.say("warning.keep")
	alice.until(`document.querySelector(".warning.grave")?.innerText.includes((await drive.load("i18n")).t("warning.kept"))`)

	bob.must(bob.page.UntilIn(2*time.Minute, `S.warnings.some((w) => w.kind === "sending-stopped")`))
	if after := time.Since(stopped); after < 90*time.Second {
		t.Errorf("nothing is sent any more after %v, not 100 s", after)
	}
	stoppedText := value[string](bob, `(await drive.load("i18n")).t("warning.sending-stopped")`)
	bob.until(`[...document.querySelectorAll(".warning.grave")].some((w) => w.innerText.includes(%s))`, stoppedText)
	bob.until(`document.querySelector('.tile[data-member="' + %s + '"] .status')?.innerText === (await drive.load("i18n")).t("state.unsent")`, b)
	bob.screen("warning-sending-stopped")
	alice.hearsNothing(b, signOfBob)
	bob.sees(a, signOfAlice)
	bob.hears(a, signOfAlice)
	if n := value[int](alice, `S.warnings.filter((w) => w.kind === "sending-stopped").length`); n != 0 {
		t.Error("who carries on anyway isn't sent")
	}
	bob.say("warning.keep")
	bob.until(`!S.warnings.some((w) => w.kind === "sending-stopped")`)
	bob.until(`document.querySelector('.tile[data-member="' + %s + '"] .status') === null`, b)
	alice.hears(b, signOfBob)
	alice.sees(b, signOfBob)

	host.signal(syscall.SIGCONT)
	alice.until(`S.warnings.length === 0 && !S.meeting.hostsAbsent && document.querySelector(".warning") === null`)
}
