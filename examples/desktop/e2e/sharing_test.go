//go:build e2e

package e2e

import (
	"fmt"
	"image/color"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// The tab that is shared: its title, its colours and its tone, which is nobody's.
const sharedTitle = "huisclos e2e slides"

var signOfSlides = drive.Sign{Left: color.RGBA{120, 30, 160, 255}, Right: color.RGBA{30, 170, 190, 255}, Tone: 2000}

const slides = `<!doctype html><title>` + sharedTitle + `</title>
<style>body { margin: 0; height: 100vh; background: linear-gradient(to right, rgb(120 30 160) 50%, rgb(30 170 190) 50%) }</style>
<body><p id=count>0</p><script>
	const context = new AudioContext(), tone = context.createOscillator(), volume = context.createGain();
	tone.frequency.value = 2000;
	volume.gain.value = 0.3;
	tone.connect(volume).connect(context.destination);
	tone.start();
	setInterval(() => count.textContent++, 100);
</script>`

// TestE2ESharing: somebody shares a tab that sounds. The far end sees it, hears it beside their voice, and neither any
// more once it is over; their voice goes on.
func TestE2ESharing(t *testing.T) {
	t.Parallel()
	tab := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(slides))
	}))
	t.Cleanup(tab.Close)
	b := browser(t, drive.Devices{Sign: &signOfBob, SharedTab: sharedTitle})
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Alice", "en")
	bob := arrives(t, b, "Bob", "fr")
	shown, err := b.Open(tab.URL)
	bob.must(err)
	defer shown.Close()
	bob.must(bob.page.Front())
	bob.enters(alice.creates(), alice)
	id := bob.id()
	alice.hears(id, signOfBob)

	bob.press("#control-screen")
	alice.until(`S.members.find((m) => m.id === %s).screen === "on"`, id)
	alice.until(`document.querySelector(".tile.is-screen.is-large video") !== null`)
	alice.seesSlides(id)
	alice.hearsSlides(id)
	alice.hears(id, signOfBob)
	alice.until(`[...document.querySelectorAll("#sounds audio")].filter((a) => !a.paused && a.currentTime > 0).length === 2`)
	alice.screen("meeting-sharing-tab")
	bob.press("#control-screen")
	alice.until(`document.querySelector(".tile.is-screen") === null && S.tracks.every((x) => !x.source.startsWith("screen") || x.muted)`)
	alice.eventually(func() string {
		all, err := alice.page.Tones("screenAudio")
		if err == nil && (all[id].Level == 0 || all[id].Level < -60) {
			return ""
		}
		return "the shared tab is heard still"
	})
	alice.hears(id, signOfBob)
	for _, p := range []*person{alice, bob} {
		if problems := p.page.Problems(); len(problems) > 0 {
			t.Errorf("%s's page: %s", p.name, strings.Join(problems, "\n"))
		}
	}
}

// seesSlides waits until the shared tab is recognised here.
func (p *person) seesSlides(of string) {
	p.Helper()
	p.eventually(func() string {
		all, err := p.page.Pictures()
		if err != nil {
			return err.Error()
		}
		for _, x := range all {
			if x.Member == of && x.Screen && x.Frames > 5 && near(x.Left, signOfSlides.Left) && near(x.Right, signOfSlides.Right) {
				return ""
			}
		}
		return "the shared tab isn't seen"
	})
}

// hearsSlides waits until the tone of the shared tab is recognised here.
func (p *person) hearsSlides(of string) {
	p.Helper()
	var last drive.Heard
	p.eventually(func() string {
		all, err := p.page.Tones("screenAudio")
		if err != nil {
			return err.Error()
		}
		if last = all[of]; last.Level < -60 || math.Abs(last.Hertz-float64(signOfSlides.Tone)) > 0.03*float64(signOfSlides.Tone) {
			return fmt.Sprintf("heard %v of the shared tab, not %d Hz", last, signOfSlides.Tone)
		}
		return ""
	})
}
