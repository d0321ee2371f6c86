//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// three is a meeting of three: Alice is its host, Carol has Chromium's own cameras.
func three(t *testing.T) (alice, bob, carol *person, link string) {
	alice = arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Alice", "fr")
	bob = arrives(t, browser(t, drive.Devices{Sign: &signOfBob}), "Bob", "en")
	carol = arrives(t, browser(t, drive.Devices{Sign: &signOfCarol, TestPicture: true}), "Carol", "en")
	link = alice.creates()
	bob.enters(link, alice)
	carol.enters(link, alice)
	for _, p := range []*person{alice, bob, carol} {
		p.until(`S.members.length === 3 && S.members.every((m) => m.self || m.connected)`)
	}
	return alice, bob, carol, link
}

// TestE2EThree is one meeting of three people with browsers of their own.
func TestE2EThree(t *testing.T) {
	alice, bob, carol, _ := three(t)
	a, b, c := alice.id(), bob.id(), carol.id()
	alice.sees(b, signOfBob)
	carol.sees(a, signOfAlice)
	carol.sees(b, signOfBob)
	bob.watches(c, false)
	alice.screen("meeting-three")

	speaker(alice, bob, carol)
	compared(alice, bob, "verify")
	shared(alice, bob, carol)
	switched(alice, carol)
	hands(alice, bob, carol)
	reactions(alice, bob, carol)
	private(alice, bob, carol)
	file(alice, bob, carol)
	recorded(alice, bob, carol)
	attended(alice, bob, carol)
	for _, p := range []*person{alice, bob, carol} {
		if problems := p.page.Problems(); len(problems) > 0 {
			t.Errorf("%s's page: %q", p.name, problems)
		}
	}
}

// watches waits until a picture comes from somebody and moves on, whatever it shows, and returns it.
func (p *person) watches(of string, screen bool) drive.Picture {
	p.Helper()
	var first, last drive.Picture
	p.eventually(func() string {
		all, err := p.page.Pictures()
		if err != nil {
			return err.Error()
		}
		i := slices.IndexFunc(all, func(x drive.Picture) bool { return x.Member == of && x.Screen == screen })
		if i < 0 {
			first = drive.Picture{}
			return "no picture"
		}
		if last = all[i]; first.Frames == 0 || last.Frames < first.Frames {
			first = last
		}
		if last.Width == 0 || last.Frames < first.Frames+10 || last.Time <= first.Time {
			return fmt.Sprintf("it does not go on: %+v, then %+v", first, last)
		}
		return ""
	})
	return last
}

// speaker looks at the speaker's view: the large picture follows who speaks.
func speaker(alice, bob, carol *person) {
	alice.Helper()
	alice.press("#control-microphone")
	alice.shortcut("G")
	alice.until(`document.querySelector(".spotlight .is-large") !== null`)
	large := `document.querySelector(".is-large").getAttribute("data-member") === %s`
	carol.press("#control-microphone")
	alice.until(large, bob.id())
	bob.press("#control-microphone")
	carol.press("#control-microphone")
	alice.until(large, carol.id())
	alice.until(`document.querySelector(".is-large").classList.contains("speaking")`)
	alice.screen("meeting-speaker")
	bob.press("#control-microphone")
	carol.press("#control-microphone")
	alice.until(large, bob.id())
	bob.press("#control-microphone")
	alice.press("#control-microphone") // she speaks herself now, alone: the other stays large
	bob.until(`document.querySelector('.tile[data-member="' + %s + '"]').classList.contains("speaking")`, alice.id())
	alice.until(`document.querySelector('.tile[data-member="' + S.meeting.self + '"]').classList.contains("speaking")`)
	alice.until(large, bob.id())
	bob.press("#control-microphone")
	alice.shortcut("G")
	alice.until(`document.querySelector(".spotlight") === null`)
	carol.press("#control-microphone")
}

// compared has two of them compare words of their own, which marks both as verified.
func compared(alice, bob *person, screen string) {
	alice.Helper()
	alice.press(".padlock")
	alice.sayAbout("verify.short", "Bob")
	alice.say("verify.go")
	bob.until(`S.verifications.length === 1 && S.verifications[0].asked`)
	alice.until(`S.verifications.length === 1 && !S.verifications[0].asked`)
	get := `S.verifications[0].words.fr.join(" ") + S.verifications[0].words.digits`
	if x, y := value[string](alice, get), value[string](bob, get); x != y || len(x) < 12 {
		alice.Errorf("%q here, %q there", x, y)
	}
	alice.screen(screen)
	bob.say("verify.look")
	for _, p := range []*person{alice, bob} {
		p.until(`document.querySelector("dialog[open] .words, dialog[open] ol") !== null`)
		p.say("words.same")
	}
	alice.until(`S.members.find((m) => m.name === "Bob").verified`)
	bob.until(`S.members.find((m) => m.name === "Alice").verified`)
	for _, p := range []*person{alice, bob} {
		if n := value[int](p, `S.members.filter((m) => m.name === "Carol" && m.verified).length`); n != 0 {
			p.Error("Carol is verified, whom nobody compared with")
		}
	}
	alice.until(`document.querySelector("dialog[open]") === null`)
	alice.press(".padlock")
}

// shared is a shared screen, seen by both others in large, and gone when it ends.
func shared(alice, bob, carol *person) {
	alice.Helper()
	b := bob.id()
	bob.press("#control-screen")
	for _, p := range []*person{alice, carol} {
		p.until(`S.members.find((m) => m.id === %s).screen === "on"`, b)
		if x := p.watches(b, true); !x.Large {
			p.Error("a shared screen isn't shown large")
		}
		p.watches(b, false) // his camera as well
	}
	alice.screen("meeting-sharing")
	bob.press("#control-screen")
	for _, p := range []*person{alice, carol} {
		p.until(`document.querySelector(".tile.is-screen") === null && S.tracks.every((x) => x.source !== "screen" || x.muted)`)
	}
}
