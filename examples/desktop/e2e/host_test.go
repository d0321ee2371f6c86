//go:build e2e

package e2e

import (
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// TestE2EHosts: somebody is made a host and opens the door; they ban a third, who comes in neither by the link that was
// used nor by a new one, and is told why.
func TestE2EHosts(t *testing.T) {
	t.Parallel()
	b := browser(t, drive.Devices{Sign: &signOfAlice})
	alice, bob, carol := arrives(t, b, "Alice", "fr"), arrives(t, b, "Bob", "en"), arrives(t, b, "Carol", "en")
	bob.enters(alice.creates(), alice)
	alice.hidesSelf(bob)

	alice.press("#control-people")
	alice.sayAbout("people.actions", "Bob")
	alice.chooses("#role-"+bob.id(), "host")
	alice.until(`document.querySelector("dialog.dialog-promote[open]") !== null`)
	if early := value[bool](bob, `S.meeting.can.manage`); early {
		t.Error("a host before it was confirmed")
	}
	alice.screen("promote")
	alice.say("promote.go")
	alice.until(`document.querySelector("dialog[open]") === null && S.members.find((m) => m.name === "Bob").role === "host"`)
	bob.until(`S.meeting.can.manage && S.meeting.can.admit`)

	bob.press(".meeting-bar button[aria-haspopup]")
	bob.say("invite.make")
	bob.until(`S.invite !== null && !S.invite.dead`)
	link := bob.copies("invite.copy-link")
	bob.closes()
	carol.enters(link, bob)

	bob.press("#control-people")
	bob.sayAbout("people.actions", "Carol")
	bob.sayAbout("remove.begin", "Carol")
	bob.press("#ban-yes")
	bob.screen("remove-ban")
	bob.say("remove.go-ban")
	carol.until(`S.phase.name === "ended" && S.phase.error.code === "banned" && S.phase.error.by === "Bob"`)
	carol.until(`document.querySelector("main").innerText.includes((await drive.load("i18n")).t("error.banned", { by: "Bob" }))`)
	carol.screen("ended-banned")
	for _, p := range []*person{alice, bob} {
		p.until(`S.members.length === 2 && !S.members.some((m) => m.name === "Carol")`)
	}
	carol.say("ended.done")
	carol.until(`S.phase.name === "start"`)
	carol.refused(link, "denied-banned")
	carol.screen("refused-banned")
	bob.press(".meeting-bar button[aria-haspopup]")
	bob.say("invite.make")
	bob.until(`S.invite !== null && !S.invite.dead && S.invite.link !== %s`, link)
	carol.refused(bob.copies("invite.copy-link"), "denied-banned")
	for _, p := range []*person{alice, bob} {
		if n := value[int](p, `S.knocks.length`); n != 0 {
			p.Error("who is banned knocks")
		}
	}
}

// hidesSelf: one's own picture is hidden from oneself alone, and shown again.
func (p *person) hidesSelf(other *person) {
	p.Helper()
	own, id := `document.querySelector('.tile[data-member="' + S.meeting.self + '"]')`, p.id()
	p.until(own + ` !== null`)
	p.press("#control-more")
	p.say("self.hide")
	p.until(own + ` === null && document.querySelector(".tile") !== null`)
	p.screen("hidden-self")
	other.sees(id, signOfAlice)
	p.press("#control-more")
	p.say("self.show")
	p.until(own + `?.querySelector("video.own") !== null`)
}
