//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// TestE2EScreens looks at every screen that one person can come to, in both languages, on a large light screen and on
// a small dark one, in the meeting to try it alone.
func TestE2EScreens(t *testing.T) {
	for _, look := range []struct {
		language, other, theme string
		width, height          int
	}{{"fr", "en", "light", 1280, 800}, {"en", "fr", "dark", 360, 760}} {
		t.Run(look.language, func(t *testing.T) {
			p := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice, Width: 1280, Height: 800}), "Camille", look.other)
			p.must(p.page.Resize(look.width, look.height))
			p.switches(look.other, look.language)
			p.throughSettings(look.theme)
			p.trying(fmt.Sprintf("%s-%s-%d", look.language, look.theme, look.width))
			if problems := p.page.Problems(); len(problems) > 0 {
				t.Errorf("the page: %q", problems)
			}
		})
	}
}

// switches changes the language at once, everywhere.
func (p *person) switches(from, to string) {
	p.Helper()
	p.until(`document.documentElement.lang === %s`, from)
	was := value[string](p, `document.querySelector("h1").innerText`)
	p.press(".top .language")
	p.until(`document.documentElement.lang === %s && document.querySelector("h1").innerText !== %s`, to, was)
	p.until(`S.settings.language === %s`, to)
}

// opens waits for a dialog, looks at it, and closes it.
func (p *person) opens(name, suffix string, shown ...string) {
	p.Helper()
	p.until(`document.querySelector("dialog.dialog-` + name + `[open]") !== null`)
	for _, s := range shown {
		p.until(s)
	}
	p.screen(name + "-" + suffix)
	p.press(`dialog[open] header button`)
	p.until(`document.querySelector("dialog[open]") === null`)
}

// throughSettings looks at all sections of the settings, and chooses the theme.
func (p *person) throughSettings(theme string) {
	p.Helper()
	p.press(".top nav button:nth-of-type(2)")
	for i, section := range []string{"you", "devices", "contacts", "kept", "network"} {
		p.press(fmt.Sprintf(".sections li:nth-child(%d) button", i+1))
		p.until(`document.querySelector("#section-title").textContent === (await drive.load("i18n")).t(%s)`, "settings."+section)
		if section == "you" {
			p.chooses("#settings-theme", theme)
			p.until(`document.documentElement.getAttribute("data-theme") === %s`, theme)
		}
		p.screen("settings-" + section + "-" + theme)
	}
	p.press("dialog[open] header button")
	p.press(".top nav button:nth-of-type(1)")
	p.opens("exposure", "before-"+theme, `document.querySelectorAll("dialog[open] tbody tr").length > 8`)
	p.press(".top nav button:nth-of-type(3)")
	p.opens("help", theme)
}

// trying tries it alone, and looks at all there is in a meeting and after it.
func (p *person) trying(suffix string) {
	p.Helper()
	p.screen("start-" + suffix)
	p.say("alone.go")
	p.until(`S.phase.name === "meeting" && S.members.filter((m) => m.synthetic && m.connected).length === 2`)
	p.until(`[...document.querySelectorAll(".tile video:not(.own)")].filter((v) => v.videoWidth > 0 && v.getVideoPlaybackQuality().totalVideoFrames > 10).length === 2`)
	p.until(`S.chat.length === 2`)
	p.screen("alone-" + suffix)
	for _, panel := range []string{"chat", "people", "files"} {
		p.press("#control-" + panel)
		p.until(`document.querySelector("#panel .in-` + panel + `") !== null`)
		p.screen("alone-" + panel + "-" + suffix)
		p.press("#panel header button")
		p.until(`document.getElementById("panel") === null`)
	}
	p.press(".padlock")
	p.until(`S.words !== null && document.querySelector("#panel .in-words .words") !== null`)
	p.screen("alone-words-" + suffix)
	p.press("#panel header button")
	for _, entry := range []struct{ key, name, shown string }{
		{"look.title", "look", `document.querySelectorAll("dialog[open] tbody tr").length >= 2`},
		{"nav.exposure", "exposure", `document.querySelectorAll("dialog[open] tbody tr").length > 8`},
		{"attendance.title", "attendance", `document.querySelectorAll("dialog[open] tbody tr").length === 3`},
		{"nav.help", "help", `true`},
	} {
		p.press("#control-more")
		p.until(`document.querySelector("dialog.dialog-more[open]") !== null`)
		p.say(entry.key)
		p.opens(entry.name, suffix, entry.shown)
	}
	p.press("#control-leave")
	p.until(`document.querySelector("dialog.dialog-leave[open]") !== null`)
	p.screen("leave-" + suffix)
	p.say("leave.go")
	p.until(`S.phase.name === "ended"`)
	p.screen("ended-" + suffix)
}
