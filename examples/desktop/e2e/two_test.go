//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// hostile is what a chat line must survive: markup, a script, and a change of direction.
const hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\u202egnirts"

// TestE2ETwo is one meeting of two people with browsers of their own, from the first screen to being put out, and a
// stranger in a tab.
func TestE2ETwo(t *testing.T) {
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Maître Alice", "fr")
	bob := arrives(t, browser(t, drive.Devices{Sign: &signOfBob}), "Bob", "en")
	alice.screen("start")

	link := alice.creates()
	bob.joins(link)
	bob.until(`S.phase.name === "waiting"`)
	bob.until(`document.querySelector(".steps .now") !== null`)
	if n := value[int](bob, `S.members.length + S.tracks.length + S.chat.length`); n != 0 {
		t.Errorf("whoever waits at the door has learnt %d things", n)
	}
	alice.until(`document.querySelector(".door .caller")?.textContent.includes("Bob")`)
	alice.until(`S.knocks[0].contact === "stranger"`)
	bob.screen("waiting")
	alice.screen("door")
	alice.sayAbout("door.admit", "Bob")
	bob.until(`S.phase.name === "meeting"`)
	alice.until(`S.knocks.length === 0 && document.querySelector(".door") === null`)

	a, b := alice.id(), bob.id()
	alice.sees(b, signOfBob)
	bob.sees(a, signOfAlice)
	alice.hears(b, signOfBob)
	bob.hears(a, signOfAlice)
	alice.screen("meeting-two")

	layers(alice, bob)
	words(alice, bob)
	chat(alice, bob)
	mute(alice, bob, a, b)
	roles(alice, bob, b)
	locked(alice, bob, link)
	putOut(alice, bob, link)
	for _, p := range []*person{alice, bob} {
		if problems := p.page.Problems(); len(problems) > 0 {
			t.Errorf("%s's page: %q", p.name, problems)
		}
	}
}

// layers: Alice's browser sends her camera in two sizes, for it is 360 high or more. Her agent sends Bob the larger one,
// which his link carries, and he sees her still.
func layers(alice, bob *person) {
	alice.Helper()
	alice.press("#control-more")
	alice.say("look.title")
	const cell = `[...document.querySelectorAll("dialog[open] .table-wrap:last-of-type tbody td:last-child")].map((x) => x.textContent)`
	alice.until(cell + `.includes("0 · 1")`)
	alice.press("dialog[open] header button")
	bob.sees(alice.id(), signOfAlice)
}

// words compares what both are shown, each in their language.
func words(alice, bob *person) {
	alice.Helper()
	for _, p := range []*person{alice, bob} {
		p.until(`S.words !== null && S.words.en.length === 6 && S.words.digits !== ""`)
	}
	for _, in := range []string{"fr", "en", "digits"} {
		if x, y := value[any](alice, `[S.words[%s]].flat().join(" ")`, in), value[any](bob, `[S.words[%s]].flat().join(" ")`, in); x != y {
			alice.Errorf("%s: %q here, %q there", in, x, y)
		}
	}
	alice.press(".padlock")
	alice.until(`S.words.fr.every((w) => document.getElementById("panel")?.innerText.toLowerCase().includes(w.toLowerCase()))`)
	bob.press(".padlock")
	bob.until(`S.words.en.every((w) => document.getElementById("panel")?.innerText.toLowerCase().includes(w.toLowerCase()))`)
	alice.quiet()
	alice.screen("words")
	alice.press("#panel header button")
	bob.press("#panel header button")
}

// chat goes both ways; what is hostile in it is shown as text.
func chat(alice, bob *person) {
	alice.Helper()
	alice.press("#control-chat")
	alice.types("#chat-text", "Bonjour Bob, m'entendez-vous ?")
	alice.enter()
	bob.until(`S.chat.some((m) => m.text === %s)`, "Bonjour Bob, m'entendez-vous ?")
	bob.until(`document.querySelector("#control-chat .count")?.textContent.startsWith("1")`)
	bob.press("#control-chat")
	bob.types("#chat-text", hostile)
	bob.press(".write button[type=submit]")
	for _, p := range []*person{alice, bob} {
		p.until(`[...document.querySelectorAll("#panel .message")].some((m) => m.textContent.includes("onerror=") && m.textContent.includes("<script>"))`)
		if bad := value[bool](p, `document.title.includes("owned") || document.querySelector("#panel .message :is(img, script)") !== null || S.chat.some((m) => m.text.includes("\u202e"))`); bad {
			p.Error("a hostile line had an effect")
		}
	}
	alice.screen("chat")
	for _, p := range []*person{alice, bob} {
		p.press("#control-chat")
		p.until(`document.getElementById("panel") === null`)
	}
}

// mute shows as state, and nothing is heard or seen any more; then again.
func mute(alice, bob *person, a, b string) {
	alice.Helper()
	alice.press("#control-microphone")
	bob.until(`S.members.find((m) => m.id === %s).microphone === "muted"`, a)
	bob.until(`document.querySelector('.tile[data-member="' + %s + '"] .muted-sign') !== null`, a)
	bob.hearsNothing(a, signOfAlice)
	alice.hears(b, signOfBob)
	alice.shortcut("S")
	bob.until(`document.querySelector('.tile[data-member="' + %s + '"] .muted-sign') === null`, a)
	bob.hears(a, signOfAlice)

	bob.press("#control-camera")
	alice.until(`S.members.find((m) => m.id === %s).camera !== "on"`, b)
	alice.until(`document.querySelector('.tile[data-member="' + %s + '"] video') === null`, b)
	bob.press("#control-camera")
	alice.sees(b, signOfBob)
}

// roles change what one may do, at once.
func roles(alice, bob *person, b string) {
	alice.Helper()
	alice.press("#control-people")
	alice.sayAbout("people.actions", "Bob")
	alice.screen("people")
	alice.chooses("#role-"+b, "viewer")
	bob.until(`!S.meeting.can.send.includes("video") && document.querySelector("#control-camera").getAttribute("aria-disabled") === "true"`)
	alice.until(`S.tracks.every((x) => x.member !== %s)`, b)
	off := func() {
		for _, source := range []string{"microphone", "camera"} {
			bob.until(`document.querySelector(%s).getAttribute("aria-pressed") === "false"`, "#control-"+source)
			bob.until(`[...document.querySelectorAll(".notice.bad")].map((x) => x.textContent).join(" ").includes((await drive.load("i18n")).t(%s))`, "right-lost."+source)
		}
		bob.until(`S.media.own.microphone === "muted" && S.media.own.camera === "off"`)
	}
	off()
	// That he may again turns nothing on.
	alice.chooses("#role-"+b, "participant")
	bob.until(`S.meeting.can.send.includes("video")`)
	for _, source := range []string{"microphone", "camera"} {
		bob.until(`document.querySelector(%s).getAttribute("aria-disabled") !== "true"`, "#control-"+source)
	}
	off()
	alice.hearsNothing(b, signOfBob)
	alice.until(`S.tracks.every((x) => x.member !== %s || x.kind === "audio" && x.muted)`, b)
	off()
	for _, source := range []string{"microphone", "camera"} {
		bob.press("#control-" + source)
	}
	alice.sees(b, signOfBob)
	alice.hears(b, signOfBob)
}

// locked keeps a stranger out who has a good link, and says so.
func locked(alice, bob *person, link string) {
	alice.Helper()
	alice.press("#lock")
	bob.until(`S.policy.entry === "locked"`)
	bob.until(`document.querySelector(".meeting-bar .badge") !== null`)
	eve := arrives(alice.T, bob.browser, "Ève", "en")
	eve.refused(link, "denied-locked")
	eve.screen("refused")
	alice.press("#lock")
	bob.until(`S.policy.entry === "ask"`)
	eve.joins(link)
	eve.until(`S.phase.name === "waiting"`)
	alice.until(`S.knocks.length === 1`)
	alice.sayAbout("door.deny", "Ève")
	eve.until(`S.phase.name === "start" && S.phase.error.code === "denied-by-host"`)
	eve.page.Close()
	alice.must(eve.agent.Stop())
}

// putOut removes Bob; neither he nor anybody else comes back by the old link.
func putOut(alice, bob *person, link string) {
	alice.Helper()
	alice.sayAbout("remove.begin", "Bob")
	alice.screen("remove")
	alice.say("remove.go")
	bob.until(`S.phase.name === "ended" && S.phase.error.code === "removed" && S.phase.error.by === "Maître Alice"`)
	bob.until(`document.querySelector("main").innerText.includes("Maître Alice")`)
	alice.until(`S.members.length === 1 && S.invite.dead`)
	bob.screen("ended-removed")
	bob.say("ended.done")
	bob.until(`S.phase.name === "start"`)
	bob.refused(link, "denied-removed")

	// With a new link, he may knock.
	alice.press(".meeting-bar button[aria-haspopup]")
	alice.say("invite.make")
	alice.until(`S.invite !== null && !S.invite.dead && S.invite.link !== %s`, link)
	alice.until(`document.querySelector("dialog[open] .invitation") !== null`)
	alice.screen("invite")
	fresh := alice.copies("invite.copy-link")
	alice.press(`dialog[open] header button`)
	if fresh == link || !strings.HasPrefix(fresh, "huisclos:") {
		alice.Fatal("no new link")
	}
	bob.enters(fresh, alice)
	alice.sees(bob.id(), signOfBob)
}

// refused joins and is told why not, in a sentence.
func (p *person) refused(link, code string) {
	p.Helper()
	p.joins(link)
	p.until(`S.phase.name === "start" && S.phase.error?.code === %s`, code)
	p.until(`document.querySelector("main [role=alert]")?.innerText.includes((await drive.load("i18n")).t(%s))`, "error."+code)
}
