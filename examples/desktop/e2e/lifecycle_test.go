//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// grace is how long a meeting outlives its tab in these tests. It is a setting so that they needn't take half a minute.
const grace = 15 * time.Second

// TestE2ETabs is about the tab: reloaded, closed and opened again in time, opened twice, and closed for too long.
func TestE2ETabs(t *testing.T) {
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Alice", "en", "-grace", "20s")
	bob := arrives(t, browser(t, drive.Devices{Sign: &signOfBob}), "Bob", "fr", "-grace", grace.String())
	bob.enters(alice.creates(), alice)
	a, b := alice.id(), bob.id()
	alice.sees(b, signOfBob)

	// Reloaded: everything is taken up again, what was sent as well.
	began := value[int64](bob, `S.meeting.began`)
	bob.must(bob.page.Reload())
	bob.goesOn(began, a)
	alice.sees(b, signOfBob)
	alice.hears(b, signOfBob)

	// Closed, and opened again as a browser does it, with what the tab had stored.
	stored := value[string](bob, `JSON.stringify(Object.entries(sessionStorage))`)
	bob.page.Close()
	alice.until(`S.tracks.every((x) => x.member !== %s || x.muted) || S.members.length === 2`, b)
	bob.open(bob.agent.Origin()+"/", `for (const [k, v] of `+stored+`) sessionStorage.setItem(k, v)`)
	bob.goesOn(began, a)
	alice.sees(b, signOfBob)

	// Twice: the newer one takes over, the older one says so and can take over again.
	older := *bob
	newer, err := bob.page.Duplicate()
	bob.must(err)
	bob.page = newer
	bob.goesOn(began, a)
	older.untilOutside("superseded.title")
	older.picture("superseded")
	alice.sees(b, signOfBob)
	older.must(older.page.Front())
	older.say("superseded.here")
	older.goesOn(began, a)
	bob.untilOutside("superseded.title")
	alice.sees(b, signOfBob)

	// Closed for longer than the grace: the meeting goes on without him, and his program says so later.
	bob.page.Close()
	older.page.Close()
	closed := time.Now()
	alice.until(`S.members.length === 1`)
	if after := time.Since(closed); after < grace {
		t.Errorf("gone after %v, before the grace of %v was over", after, grace)
	}
	bob.open(bob.agent.Origin()+"/", `for (const [k, v] of `+stored+`) sessionStorage.setItem(k, v)`)
	bob.until(`S.phase.name === "ended" && S.phase.error.code === "page-gone"`)
	bob.until(`document.querySelector("main").innerText.includes((await drive.load("i18n")).t("error.page-gone"))`)
	bob.screen("ended-page-gone")
}

// goesOn waits until the same meeting is shown again, with somebody's picture in it.
func (p *person) goesOn(began int64, other string) {
	p.Helper()
	p.until(`S.phase.name === "meeting" && S.meeting.began === %s`, began)
	p.sees(other, signOfAlice)
	p.hears(other, signOfAlice)
}

// untilOutside waits for what is shown when there is no agent to talk to.
func (p *person) untilOutside(title string) {
	p.Helper()
	p.until(`document.querySelector("h1")?.textContent === (await drive.load("i18n")).t(%s)`, title)
}

// TestE2EKilled: a program that is killed is away; started again with the store, it is the same person, and comes back by
// the same link. Quitting ends it, and the page says so.
func TestE2EKilled(t *testing.T) {
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Alice", "en")
	data := t.TempDir()
	bob := arrives(t, browser(t, drive.Devices{Sign: &signOfBob}), "Bob", "fr", "-data", data)
	bob.remembered("correct horse battery staple")
	link := alice.creates()
	bob.enters(link, alice)
	b := bob.id()
	alice.sees(b, signOfBob)

	bob.agent.Kill()
	bob.until(`document.querySelector(".bar.bad") !== null`)
	bob.picture("lost")
	alice.until(`S.members.find((m) => m.id === %s)?.away !== false`, b)
	bob.page.Close()

	bob.start("-language", "fr", "-data", data)
	bob.open(bob.agent.URL)
	bob.until(`S.store.exists && !S.store.unlocked`)
	bob.screen("unlock")
	bob.types("#unlock-passphrase", "correct horse battery staple")
	bob.enter()
	bob.until(`S.store.unlocked && S.settings.name === "Bob"`)
	bob.joins(link)
	bob.comesIn(alice)
	if again := bob.id(); again != b {
		t.Errorf("came back as %s, was %s", again, b)
	}
	alice.until(`S.members.filter((m) => m.name === "Bob").length === 1 && S.members.length === 2`)
	alice.sees(b, signOfBob)
	bob.sees(alice.id(), signOfAlice)

	bob.press("#control-leave")
	bob.say("leave.go")
	bob.until(`S.phase.name === "ended"`)
	alice.until(`S.members.length === 1`)
	bob.say("quit")
	bob.until(`document.querySelector("dialog[open]") !== null`)
	bob.say("quit")
	ctx, cancel := context.WithTimeout(t.Context(), drive.Patience)
	defer cancel()
	bob.must(bob.agent.Ended(ctx))
	bob.untilOutside("bye.title")
	bob.picture("bye")
	if !strings.Contains(bob.agent.Output(), "huisclos has ended.") {
		t.Errorf("the program didn't say that it ended: %q", bob.agent.Output())
	}
}

// comesIn waits until one is in, and has the host open if they are asked.
func (p *person) comesIn(host *person) {
	p.Helper()
	p.eventually(func() string {
		if value[bool](host, `S.knocks.some((k) => k.name === %s)`, p.name) {
			host.sayAbout("door.admit", p.name)
		}
		return map[bool]string{true: "", false: "not in"}[value[bool](p, `S.phase.name === "meeting"`)]
	})
}

// remembered has the program keep identity and settings under a passphrase.
func (p *person) remembered(passphrase string) {
	p.Helper()
	p.press(".top nav button:nth-of-type(2)")
	p.until(`document.querySelector("dialog[open] .sections") !== null`)
	p.press(".sections li:nth-child(4) button")
	p.until(`document.querySelector("#store-new") !== null`)
	p.screen("settings-kept-none")
	p.types("#store-new", passphrase)
	p.types("#store-new-again", passphrase)
	p.enter()
	p.until(`S.store.exists && S.store.unlocked`)
	p.screen("settings-kept")
	p.press("dialog[open] header button")
}
