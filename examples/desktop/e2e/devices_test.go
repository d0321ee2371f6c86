//go:build e2e

package e2e

import (
	"fmt"
	"slices"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// switched changes camera, microphone and speaker in the meeting: the same tracks go on with what the new ones give.
func switched(alice, carol *person) {
	alice.Helper()
	c := carol.id()
	tracks := `S.tracks.filter((x) => x.member === %s).map((x) => x.id).sort().join()`
	before, began := value[string](alice, tracks, c), value[int64](carol, `S.meeting.began`)
	carol.press("#control-more")
	carol.say("nav.settings")
	carol.press(".sections li:nth-child(2) button")
	first := alice.ground(c, carol.ownGround())
	for _, kind := range []string{"camera", "microphone"} {
		used := `(await drive.load("media")).ownStream(%s)?.getTracks()[0].getSettings().deviceId ?? ""`
		next := carol.another(kind, value[string](carol, used, kind))
		carol.chooses("#settings-"+kind, next)
		carol.until(used+` === %s`, kind, next)
	}
	// Chromium's cameras differ in one shade of green, and its microphones in nothing.
	own := carol.ownGround()
	if alike(own, first) {
		carol.Fatalf("both cameras show %v: nothing tells them apart", own)
	}
	if second := alice.ground(c, own); alike(second, first) {
		alice.Errorf("with another camera, the far end sees %v as before, %v", second, first)
	}
	carol.speaks(alice.id())
	carol.screen("settings-devices")
	carol.press("dialog[open] header button")
	alice.watches(c, false)
	alice.hears(c, signOfCarol)
	if after := value[string](alice, tracks, c); after != before {
		alice.Errorf("changing devices changed the tracks: %s, then %s", before, after)
	}
	if now := value[int64](carol, `S.meeting.began`); now != began {
		carol.Error("changing devices left the meeting")
	}
}

// another is the last device that can be chosen, other than this one.
func (p *person) another(kind, than string) string {
	p.Helper()
	next := value[string](p, `[...document.querySelector(%s).options].map((o) => o.value).findLast((v) => v !== "" && v !== %s) ?? ""`, "#settings-"+kind, than)
	if next == "" {
		p.Fatalf("there is no second %s", kind)
	}
	return next
}

// speaks chooses another speaker: all that is heard comes out of it, and goes on.
func (p *person) speaks(of string) {
	p.Helper()
	p.until(`document.querySelectorAll("#sounds audio").length > 0 && [...document.querySelectorAll("#sounds audio")].every((a) => a.sinkId === "" && !a.paused)`)
	next := p.another("speaker", "")
	p.chooses("#settings-speaker", next)
	p.until(`[...document.querySelectorAll("#sounds audio")].every((a) => a.sinkId === %s && !a.paused)`, next)
	at := value[float64](p, `Math.min(...[...document.querySelectorAll("#sounds audio")].map((a) => a.currentTime))`)
	p.until(`[...document.querySelectorAll("#sounds audio")].every((a) => a.currentTime > %s)`, at+1)
	p.hears(of, signOfAlice)
}

// shade is how far the shades of one colour may be apart after encoder and decoder.
const shade = 3

func alike(x, y [3]int) bool {
	return !slices.ContainsFunc([]int{x[0] - y[0], x[1] - y[1], x[2] - y[2]}, func(d int) bool { return d < -shade || d > shade })
}

// ground waits until most of somebody's picture has a colour here, and returns it.
func (p *person) ground(of string, want [3]int) (got [3]int) {
	p.Helper()
	p.eventually(func() string {
		all, err := p.page.Pictures()
		if err != nil {
			return err.Error()
		}
		i := slices.IndexFunc(all, func(x drive.Picture) bool { return x.Member == of && !x.Screen && x.Width > 0 })
		if i < 0 {
			return "no picture"
		}
		if got = all[i].Ground; !alike(got, want) {
			return fmt.Sprintf("most of the picture is %v, not %v", got, want)
		}
		return ""
	})
	return got
}

// ownGround is the colour of most of what one's own camera gives, before any encoder.
func (p *person) ownGround() (got [3]int) {
	p.Helper()
	p.eventually(func() string {
		all, err := p.page.Pictures()
		if err != nil {
			return err.Error()
		}
		i := slices.IndexFunc(all, func(x drive.Picture) bool { return x.Own && x.Width > 0 && x.Frames > 5 })
		if i < 0 {
			return "one's own camera isn't shown"
		}
		got = all[i].Ground
		return ""
	})
	return got
}
