package drive

import (
	"context"
	_ "embed" // for page.js
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

//go:embed page.js
var helpers string

// Patience is how long the driver waits for anything before it gives up. It is long, since tests share a small machine.
const Patience = 45 * time.Second

// between is the pause between two looks at something that is awaited.
const between = 60 * time.Millisecond

// Evaluate runs JavaScript in a page and returns what it comes to, promises awaited.
func Evaluate[T any](p *Page, script string) (T, error) {
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// Until waits until a JavaScript expression is true. In it, S is the page's state as the agent said it last.
func (p *Page) Until(expression string) error {
	return p.UntilIn(Patience, expression)
}

// UntilIn is Until with a time of its own.
func (p *Page) UntilIn(patience time.Duration, expression string) error {
	script := `(async () => { const S = await drive.state().catch(() => ({ phase: {} })); return Boolean(` + expression + `); })()`
	var last error
	for end := time.Now().Add(patience); ; time.Sleep(between) {
		ok, err := Evaluate[bool](p, script)
		if ok {
			return nil
		}
		if err != nil {
			last = err
		}
		if p.context.Err() != nil || time.Now().After(end) {
			return fmt.Errorf("waited %v for %s (last error: %v)", patience, expression, last)
		}
	}
}

// What is something to press: by a CSS selector, or by the key of its text in the page's texts, in whatever language
// it is shown. About narrows the latter to what is about somebody.
type What struct {
	CSS   string `json:"css,omitempty"`
	Key   string `json:"key,omitempty"`
	About string `json:"about,omitempty"`
}

// Press clicks with the mouse, once it is there, enabled, at rest and not covered; again if it moved away meanwhile.
func (p *Page) Press(what What) error {
	where, _ := json.Marshal(what)
	var why string
	for end := time.Now().Add(Patience); ; time.Sleep(between) {
		at, err := Evaluate[struct {
			X, Y float64
			Why  string
		}](p, `drive.point(`+string(where)+`)`)
		why = at.Why
		if err == nil && why == "" {
			pressed, err := p.click(at.X, at.Y)
			if pressed || err != nil {
				return err
			}
			why = "it moved away"
		}
		if p.context.Err() != nil || time.Now().After(end) {
			return fmt.Errorf("can't press %s: %s %w", where, why, errors.Join(err))
		}
	}
}

// click says whether the click reached what drive.point found.
func (p *Page) click(x, y float64) (bool, error) {
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.MouseClickXY(x, y)); err != nil {
		return false, err
	}
	// What was pressed may have taken the page away.
	pressed, err := Evaluate[bool](p, `globalThis.drive?.pressed() ?? true`)
	return pressed || err != nil, nil
}

// Type clicks into a field and replaces what is in it.
func (p *Page) Type(css, text string) error {
	if err := p.Press(What{CSS: css}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](`document.activeElement.select?.()`)); err != nil {
		return err
	}
	_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
	return err
}

// Key presses a key, with Alt if wanted; text is what it writes, "\r" for Enter.
func (p *Page) Key(code, key, text string, alt bool) error {
	modifiers := int64(0)
	if alt {
		modifiers, text = 1, ""
	}
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		e := input.DispatchKeyEventParams{Type: kind, Code: code, Key: key, Modifiers: modifiers}
		if kind == input.DispatchKeyEventTypeKeyDown {
			e.Text = text
		}
		if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, e); err != nil {
			return err
		}
	}
	return nil
}

// Choose chooses from a list; its options open in a window of the system's, which can't be pressed here.
func (p *Page) Choose(css, value string) error {
	where, _ := json.Marshal([]string{css, value})
	ok, err := Evaluate[bool](p, `(async ([css, value]) => {
		await drive.drawn();
		const e = (document.querySelector("dialog[open]") ?? document).querySelector(css);
		if (!e || e.disabled) return false;
		e.focus();
		e.value = value;
		if (e.value !== value) return false;
		e.dispatchEvent(new Event("change", { bubbles: true }));
		return true;
	})(`+string(where)+`)`)
	if err == nil && !ok {
		err = fmt.Errorf("can't choose %q in %s", value, css)
	}
	return err
}

// Attach puts a file into a file field, as the system's window for choosing would.
func (p *Page) Attach(css, path string) error {
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	field, _ := json.Marshal(css)
	object, err := chromedp.Run(ctx, chromedp.Evaluate[*runtime.RemoteObject](`document.querySelector(`+string(field)+`)`))
	if err != nil {
		return err
	}
	_, err = chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) (cdp.Empty, error) {
		return cdp.Call(ctx, t, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{path}, ObjectID: object.ObjectID})
	})
	return err
}

// Picture is what a video on the page shows.
type Picture struct {
	Member             string
	Screen, Large, Own bool
	Width, Height      int
	Frames             int     // shown so far
	Time               float64 // seconds played
	Left, Right        [3]int  // the colours of a Sign
	Bar                int     // where its bar is, of 160
	Ground             [3]int  // the colour that most of it has
}

// Pictures are all videos on the page.
func (p *Page) Pictures() ([]Picture, error) { return Evaluate[[]Picture](p, `drive.pictures()`) }

// Heard is the loudest frequency of what somebody sends.
type Heard struct {
	Hertz, Level float64 // Level in dB
}

// Tones are what is heard of each member's microphone, or of another source.
func (p *Page) Tones(source string) (map[string]Heard, error) {
	name, _ := json.Marshal(source)
	return Evaluate[map[string]Heard](p, `drive.tones(`+string(name)+`)`)
}

// Screenshot is a PNG of what the window shows.
func (p *Page) Screenshot() ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

// Resize gives the page another size, in CSS pixels.
func (p *Page) Resize(width, height int) error {
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	return chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height)))
}

// Reload loads the page anew, as a person would.
func (p *Page) Reload() error {
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Reload())
}

// Front brings the tab to the front, as whoever looks at it does: what a tab behind it would show, nobody sends.
func (p *Page) Front() error {
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	_, err := chromedp.Call(ctx, page.BringToFront, cdp.Empty{})
	return err
}

// Text is all that can be read on the page, for messages about what went wrong.
func (p *Page) Text() string {
	text, err := Evaluate[string](p, `document.body.innerText`)
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(text), " ")
}
