//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"image/color"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// program is the built client.
var program string

// alreadyApart names the variable that tells a test that it has a network of its own. It holds the built client.
const alreadyApart = "HUISCLOS_E2E_APART"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if program = os.Getenv(alreadyApart); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "huisclos-e2e-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "desktop")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/huisclos/huisclos/examples/desktop").CombinedOutput(); err != nil {
		fmt.Printf("%v\n%s", err, out)
		return 1
	}
	if code := m.Run(); code != 0 {
		return code
	}
	return missingPictures()
}

// The pictures and tones of the people. No two share a colour or a tone.
var (
	signOfAlice = drive.Sign{Left: color.RGBA{200, 40, 40, 255}, Right: color.RGBA{40, 60, 200, 255}, Tone: 500}
	signOfBob   = drive.Sign{Left: color.RGBA{40, 160, 60, 255}, Right: color.RGBA{220, 200, 50, 255}, Tone: 900}
	signOfCarol = drive.Sign{Tone: 1400} // and Chromium's picture
)

// person is somebody with a browser, or a tab of one, and a program of their own.
type person struct {
	*testing.T
	name    string
	agent   *drive.Agent
	browser *drive.Browser
	page    *drive.Page
}

// browser starts a browser for the length of a test.
func browser(t *testing.T, d drive.Devices) *drive.Browser {
	t.Helper()
	b, err := drive.StartBrowser(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// arrives starts the program, opens its page in the browser, and says a name.
func arrives(t *testing.T, b *drive.Browser, name, language string, arguments ...string) *person {
	t.Helper()
	p := &person{T: t, name: name, browser: b}
	p.start(append([]string{"-language", language}, arguments...)...)
	p.open(p.agent.URL)
	p.must(p.page.Type("#name", name))
	return p
}

// start starts the program.
func (p *person) start(arguments ...string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), drive.Patience)
	defer cancel()
	var err error
	p.agent, err = drive.StartAgent(ctx, program, append([]string{"-data", p.TempDir()}, arguments...)...)
	p.must(err)
	agent := p.agent
	p.Cleanup(func() {
		if err := agent.Stop(); err != nil && !strings.Contains(err.Error(), "killed") {
			p.Error(p.name, err)
		}
		if p.Failed() {
			p.Logf("%s's program said:\n%s", p.name, agent.Output())
		}
	})
}

// open opens a page in a new tab.
func (p *person) open(url string, scripts ...string) {
	p.Helper()
	var err error
	if late := os.Getenv("HUISCLOS_LATE"); late != "" {
		scripts = append(scripts, `{
			const { setTimeout } = window;
			window.setTimeout = (go, after = 0, ...more) => setTimeout(go, after + Math.random() * `+late+`, ...more);
		}`)
	}
	p.page, err = p.browser.Open(url, scripts...)
	p.must(err)
	page := p.page
	p.Cleanup(func() {
		if p.Failed() && page.Open() {
			p.Logf("%s's page says: %s\n%v", p.name, page.Text(), page.Problems())
			p.picture("failed-" + strings.ReplaceAll(p.Name(), "/", "-") + "-" + p.name)
		}
	})
	p.until(`document.querySelector("main") !== null`)
}

func (p *person) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", p.name, err)
	}
}

func (p *person) until(expression string, values ...any) {
	p.Helper()
	p.must(p.page.Until(fill(expression, values)))
}

// fill puts values, as JSON, where the expression has %s.
func fill(expression string, values []any) string {
	texts := make([]any, len(values))
	for i, v := range values {
		raw, _ := json.Marshal(v)
		texts[i] = string(raw)
	}
	return fmt.Sprintf(expression, texts...)
}

func (p *person) press(css string) { p.Helper(); p.must(p.page.Press(drive.What{CSS: css})) }
func (p *person) say(key string)   { p.Helper(); p.must(p.page.Press(drive.What{Key: key})) }
func (p *person) sayAbout(key, about string) {
	p.Helper()
	p.must(p.page.Press(drive.What{Key: key, About: about}))
}
func (p *person) types(css, text string)    { p.Helper(); p.must(p.page.Type(css, text)) }
func (p *person) chooses(css, value string) { p.Helper(); p.must(p.page.Choose(css, value)) }
func (p *person) enter()                    { p.Helper(); p.must(p.page.Key("Enter", "Enter", "\r", false)) }
func (p *person) shortcut(letter string) {
	p.Helper()
	p.must(p.page.Key("Key"+letter, strings.ToLower(letter), "", true))
}

// value is what an expression comes to; S is the state.
func value[T any](p *person, expression string, values ...any) T {
	p.Helper()
	v, err := drive.Evaluate[T](p.page, `(async () => { const S = await drive.state(); return (`+fill(expression, values)+`); })()`)
	p.must(err)
	return v
}

// creates begins a meeting and returns its link, taken from the clipboard as a person would.
func (p *person) creates() string {
	p.Helper()
	p.say("create.go")
	p.until(`S.phase.name === "meeting" && S.invite !== null`)
	p.until(`document.querySelector("dialog.dialog-invite[open]") !== null`)
	link := p.copies("invite.copy-link")
	p.press(`dialog[open] header button`)
	p.until(`document.querySelector("dialog[open]") === null`)
	return link
}

// copies presses a button that copies a link or a code, and returns what is then on the clipboard.
func (p *person) copies(key string) string {
	p.Helper()
	p.must(p.page.AllowClipboard(p.agent.Origin()))
	p.say(key)
	p.until(`/^huisclos(-reply)?:/.test(await navigator.clipboard.readText())`)
	return value[string](p, `await navigator.clipboard.readText()`)
}

// joins pastes the link and goes there.
func (p *person) joins(link string) {
	p.Helper()
	p.types("#join-link", link)
	p.say("join.go")
}

// enters joins, is let in by a host, and waits until both are there.
func (p *person) enters(link string, host *person) {
	p.Helper()
	p.joins(link)
	p.until(`S.phase.name === "waiting"`)
	host.until(`S.knocks.some((k) => k.name === %s)`, p.name)
	host.sayAbout("door.admit", p.name)
	p.until(`S.phase.name === "meeting"`)
	host.until(`S.members.some((m) => m.name === %s)`, p.name)
}

// id is the member's, as the page knows it.
func (p *person) id() string { return value[string](p, `S.meeting.self`) }

// sees waits until the picture of somebody is recognised here, and moves.
func (p *person) sees(of string, sign drive.Sign) {
	p.Helper()
	var bars []int
	var frames []int
	p.eventually(func() string {
		all, err := p.page.Pictures()
		if err != nil {
			return err.Error()
		}
		i := slices.IndexFunc(all, func(x drive.Picture) bool { return x.Member == of && !x.Screen })
		if i < 0 {
			return "no picture"
		}
		if x := all[i]; !near(x.Left, sign.Left) || !near(x.Right, sign.Right) {
			return fmt.Sprintf("not that picture: %+v", x)
		}
		if !slices.Contains(bars, all[i].Bar) {
			bars = append(bars, all[i].Bar)
		}
		frames = append(frames, all[i].Frames)
		if len(bars) < 4 || frames[len(frames)-1] < frames[0]+8 {
			return fmt.Sprintf("it does not move: bar at %v, frames %v", bars, frames)
		}
		return ""
	})
}

// near reports whether a colour came through encoder and decoder.
func near(got [3]int, want color.RGBA) bool {
	for i, w := range []uint8{want.R, want.G, want.B} {
		if d := got[i] - int(w); d < -45 || d > 45 {
			return false
		}
	}
	return true
}

// hears waits until the tone of somebody is recognised here.
func (p *person) hears(of string, sign drive.Sign) {
	p.Helper()
	p.eventually(func() string {
		all, err := p.page.Tones("microphone")
		if err != nil {
			return err.Error()
		}
		if h, ok := all[of]; !ok || !audible(h, sign) {
			return fmt.Sprintf("heard %v, not %d Hz of %s", all, sign.Tone, of)
		}
		return ""
	})
}

func audible(h drive.Heard, sign drive.Sign) bool {
	return h.Level > -60 && math.Abs(h.Hertz-float64(sign.Tone)) < 0.03*float64(sign.Tone)
}

// hearsNothing waits until somebody's tone has been away for longer than the pause between its beeps.
func (p *person) hearsNothing(of string, sign drive.Sign) {
	p.Helper()
	var since time.Time
	p.eventually(func() string {
		all, err := p.page.Tones("microphone")
		if err != nil {
			return err.Error()
		}
		if audible(all[of], sign) {
			since = time.Time{}
			return fmt.Sprintf("still heard: %v", all[of])
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < 1500*time.Millisecond {
			return "not quiet for long enough"
		}
		return ""
	})
}

// eventually looks until it finds nothing wrong.
func (p *person) eventually(look func() string) {
	p.Helper()
	for end := time.Now().Add(drive.Patience); ; time.Sleep(80 * time.Millisecond) {
		wrong := look()
		if wrong == "" {
			return
		}
		if time.Now().After(end) {
			p.Fatalf("%s: %s", p.name, wrong)
		}
	}
}

// axe is the source of axe-core, which "npm ci" puts beside the page.
var axe = sync.OnceValues(func() (string, error) {
	source, err := os.ReadFile("../page/node_modules/axe-core/axe.min.js")
	if err != nil {
		err = fmt.Errorf("run npm ci in examples/desktop/page: %w", err)
	}
	return string(source), err
})

// screen has axe-core look at what is on the screen, checks that nothing runs over its edge, and keeps a picture of it.
func (p *person) screen(name string) {
	p.Helper()
	p.until(`true`) // whatever was pressed is drawn
	p.picture(name)
	source, err := axe()
	p.must(err)
	// Through the debugger: the page's own policy lets no script in.
	_, err = drive.Evaluate[any](p.page, `globalThis.axe === undefined ? void `+"(()=>{"+source+"\n})()"+` : null`)
	p.must(err)
	found, err := drive.Evaluate[[]string](p.page, `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
		.then((r) => r.passes.length === 0 ? ["axe-core looked at nothing"] : r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 200) + " " + n.failureSummary?.slice(0, 300)).join(" | ")))`)
	p.must(err)
	for _, f := range found {
		p.Errorf("%s, screen %s: axe-core: %s", p.name, name, f)
	}
	if over := value[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		p.Errorf("%s, screen %s: %d pixels wider than the window", p.name, name, over)
	}
}
