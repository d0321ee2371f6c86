//go:build e2e

package e2e

import (
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// TestE2EContact: somebody with whom words were compared is a verified contact from then on, with the day it was, and is
// shown as such at the door of another day's meeting, when both programs were ended in between; whoever else knocks under
// that name isn't, and the host is warned.
func TestE2EContact(t *testing.T) {
	t.Parallel()
	data := map[string]string{"Alice": t.TempDir(), "Bob": t.TempDir()}
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Alice", "fr", "-data", data["Alice"])
	bob := arrives(t, browser(t, drive.Devices{Sign: &signOfBob}), "Bob", "en", "-data", data["Bob"])
	for _, p := range []*person{alice, bob} {
		p.remembered(passphrase)
	}
	bob.enters(alice.creates(), alice)
	b := bob.id()
	compared(alice, bob, "verify-contact")
	for _, p := range []*person{bob, alice} {
		p.press("#control-leave")
		p.say("leave.go")
		p.until(`S.phase.name === "ended"`)
		p.quits("quit")
		p.start("-language", "en", "-data", data[p.name])
		p.open(p.agent.URL)
		p.types("#unlock-passphrase", passphrase)
		p.enter()
		p.until(`S.store.unlocked && S.settings.name === %s`, p.name)
	}
	alice.settings(3)
	alice.until(`document.querySelector(".section .people .badge.good")?.textContent === (await drive.load("i18n")).t("contacts.verified-on", { when: (await drive.load("i18n")).date(S.contacts.find((c) => c.id === %s).verifiedAt) })`, b)
	alice.until(`Math.abs(Date.now() - S.contacts.find((c) => c.id === %s).verifiedAt) < 120_000`, b)
	alice.screen("settings-contacts")
	alice.closes()
	link := alice.creates()
	bob.joins(link)
	another := arrives(t, browser(t, drive.Devices{}), "Bob", "en")
	another.joins(link)
	alice.until(`S.knocks.length === 2`)
	alice.until(`S.knocks.find((k) => k.id === %s).contact === "verified"`, b)
	alice.until(`S.knocks.find((k) => k.id !== %s).resembles === "Bob"`, b)
	shown := `[...document.querySelectorAll(".door .caller .badge")].map((x) => x.textContent).sort().join() === ["standing.verified", "standing.resembles"].map((await drive.load("i18n")).t).sort().join()`
	alice.until(shown)
	alice.screen("door-contacts")
	alice.must(alice.page.Press(drive.What{CSS: ".door .caller:has(.badge.bad) button:last-of-type"}))
	another.until(`S.phase.name === "start" && S.phase.error.code === "denied-by-host"`)
	alice.sayAbout("door.admit", "Bob")
	for _, p := range []*person{alice, bob} {
		p.until(`S.phase.name === "meeting" && S.members.length === 2 && S.members.every((m) => m.self || m.verified)`)
	}
	if again := bob.id(); again != b {
		t.Errorf("came back as %s, was %s", again, b)
	}
}
