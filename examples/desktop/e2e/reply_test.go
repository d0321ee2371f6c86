//go:build e2e

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
	"github.com/multiformats/go-multiaddr"
)

// deadLink is a link whose addresses lead to nobody, as they do where the host's network lets nobody in.
func (p *person) deadLink(text string) string {
	p.Helper()
	link, err := crypto.ParseLink(text, time.Time{})
	p.must(err)
	for i := range link.Doors {
		link.Doors[i].Addresses = [][]byte{multiaddr.StringCast("/ip4/127.0.0.1/udp/9/quic-v1").Bytes()}
	}
	return link.String()
}

// calls pastes the code that a guest sent.
func (p *person) calls(code, screen string) {
	p.Helper()
	p.press(".meeting-bar button[aria-haspopup]")
	p.say("reply.title")
	p.types("#reply-code", code)
	p.screen(screen)
	p.say("reply.go")
	p.until(`document.querySelector("dialog[open]") === null && S.knocks.length === 1 && document.querySelector(".door .caller") !== null`)
	p.screen(screen + "-done")
}

// TestE2EReply: a guest who can't reach the host's computer makes a reply code, the host pastes it, the guest knocks. The
// host's computer falls asleep meanwhile: the guest is told, and comes in by the same code. They see and hear each other.
func TestE2EReply(t *testing.T) {
	t.Parallel()
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Maître Alice", "fr")
	bob := arrives(t, browser(t, drive.Devices{Sign: &signOfBob}), "Bob", "en")
	bob.joins(bob.deadLink(alice.creates()))
	bob.until(`S.phase.name === "replying"`)
	bob.screen("replying")
	code := bob.copies("replying.copy")
	bob.until(`document.querySelector("#reply-code").value === %s`, code)

	alice.calls(code, "invite-reply")
	bob.until(`S.phase.name === "waiting"`)
	alice.must(syscall.Kill(alice.agent.Pid(), syscall.SIGSTOP))
	bob.until(`S.phase.name === "replying" && S.phase.error.code === "reply-lost"`)
	bob.until(`document.querySelector("main .note")?.innerText.includes((await drive.load("i18n")).t("error.reply-lost"))`)
	bob.screen("replying-again")
	bob.switches("en", "fr")
	bob.screen("replying-again-fr")
	alice.must(syscall.Kill(alice.agent.Pid(), syscall.SIGCONT))
	alice.until(`S.knocks.length === 0`)
	if again := value[string](bob, `S.phase.reply`); again != code {
		t.Errorf("another code: %s, was %s", again, code)
	}
	alice.calls(code, "invite-reply-again")
	bob.until(`S.phase.name === "waiting" && document.querySelector(".steps .now") !== null`)
	alice.sayAbout("door.admit", "Bob")
	bob.until(`S.phase.name === "meeting"`)

	a, b := alice.id(), bob.id()
	alice.sees(b, signOfBob)
	bob.sees(a, signOfAlice)
	alice.hears(b, signOfBob)
	bob.hears(a, signOfAlice)
	alice.press("#control-more")
	alice.say("nav.exposure")
	alice.until(`document.querySelectorAll("dialog[open] tbody tr").length > 8`)
	alice.screen("exposure-reply")
	for _, p := range []*person{alice, bob} {
		if problems := p.page.Problems(); len(problems) > 0 {
			t.Errorf("%s's page: %q", p.name, problems)
		}
	}
}
