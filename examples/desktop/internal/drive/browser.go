package drive

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// Browser is a running Chromium with an empty profile.
type Browser struct {
	context  context.Context
	cancel   context.CancelFunc
	dir      string
	download string
}

// Devices are what a browser has for camera and microphone.
type Devices struct {
	// Sign is what they see and hear; nil for Chromium's own test picture and beep.
	Sign *Sign
	// TestPicture: the cameras show Chromium's test picture all the same. It has three, of which the second gives depths
	// that can't be sent.
	TestPicture bool
	// SharedTab: whoever shares a screen shares the tab of this title, with its sound; else a picture of Chromium's.
	SharedTab string
	// Width and Height of the window, 1280×800 if zero.
	Width, Height int
}

// StartBrowser starts the chromium that is in the path.
func StartBrowser(ctx context.Context, d Devices) (*Browser, error) {
	dir, err := os.MkdirTemp("", "huisclos-browser-")
	if err != nil {
		return nil, err
	}
	if d.Width == 0 {
		d.Width, d.Height = 1280, 800
	}
	b := &Browser{dir: dir, download: dir + "/download"}
	if err := os.Mkdir(b.download, 0o700); err != nil {
		return nil, err
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath("chromium"), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.UserDataDir(dir + "/profile"), chromedp.WindowSize(d.Width, d.Height),
		chromedp.Flag("lang", "en"),
		chromedp.Flag("disable-features", "WebRtcHideLocalIpsWithMdns,Translate"),
		chromedp.Flag("use-fake-device-for-media-stream", "device-count=3"),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("password-store", "basic"),
	}
	for _, name := range []string{
		"disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-extensions",
		"disable-default-apps", "disable-dev-shm-usage", "allow-loopback-in-peer-connection",
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
	} {
		options = append(options, chromedp.Flag(name, true))
	}
	if d.SharedTab == "" {
		options = append(options, chromedp.Flag("use-fake-ui-for-media-stream", true))
	} else {
		options = append(options, chromedp.Flag("auto-select-tab-capture-source-by-title", d.SharedTab), chromedp.Flag("mute-audio", false))
	}
	if d.Sign != nil {
		picture, sound, err := d.Sign.Write(dir)
		if err != nil {
			return nil, err
		}
		options = append(options, chromedp.Flag("use-file-for-fake-audio-capture", sound))
		if !d.TestPicture {
			options = append(options, chromedp.Flag("use-file-for-fake-video-capture", picture))
		}
	}
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(ctx), options...)
	first, cancel := chromedp.NewContext(allocator)
	b.context, b.cancel = first, func() {
		cancel()
		stop()
	}
	// The browser lives as long as the context of the first call: no deadline on that one.
	if _, err := chromedp.CallBrowser(first, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: b.download,
	}); err != nil {
		b.Close()
		return nil, err
	}
	return b, b.permit()
}

// permit answers what the browser would ask before it opens camera or microphone.
func (b *Browser) permit() error {
	for _, name := range []string{"camera", "microphone"} {
		if _, err := chromedp.CallBrowser(b.context, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
		}); err != nil {
			b.Close()
			return err
		}
	}
	return nil
}

// Downloads is the folder where the browser saves.
func (b *Browser) Downloads() string { return b.download }

// Close ends the browser and removes its profile.
func (b *Browser) Close() {
	b.cancel()
	_ = os.RemoveAll(b.dir)
}

// Page is a tab.
type Page struct {
	context context.Context
	cancel  context.CancelFunc

	mu       sync.Mutex
	problems []string
}

// Open opens a URL in a new tab. Whatever a page logs as an error, and what its policy refuses, is kept for Problems.
func (b *Browser) Open(url string, scripts ...string) (*Page, error) {
	p := &Page{}
	p.context, p.cancel = chromedp.NewContext(b.context)
	if err := p.begin(scripts); err != nil {
		p.cancel()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.context, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.cancel()
		return nil, err
	}
	return p, nil
}

// begin watches the tab for errors and gives it the helpers of page.js, and more scripts that run first.
func (p *Page) begin(scripts []string) error {
	if err := chromedp.Do(p.context); err != nil { // the tab lives as long as the context of the first call
		return err
	}
	err := chromedp.Listen(p.context, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			p.problem((&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError {
				p.problem(string(e.Entry.Source) + ": " + e.Entry.Text + " " + e.Entry.URL)
			}
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError {
				for _, a := range e.Args {
					p.problem("console: " + string(a.Value) + a.Description)
				}
			}
		}
	})
	if err != nil {
		return err
	}
	for _, script := range append([]string{helpers}, scripts...) {
		if _, err := chromedp.Call(p.context, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
			return err
		}
	}
	return nil
}

// Duplicate opens the page in a second tab, with what the first has stored, as browsers duplicate tabs.
func (p *Page) Duplicate() (*Page, error) {
	ctx, cancel := context.WithTimeout(p.context, Patience)
	defer cancel()
	opened := chromedp.WaitNewTarget(ctx, func(i *target.Info) bool { return i.Type == "page" })
	byPerson := true
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](`void window.open(location.href)`, func(e *runtime.EvaluateParams) {
		e.UserGesture = &byPerson
	})); err != nil {
		return nil, err
	}
	var id target.ID
	select {
	case id = <-opened:
	case <-ctx.Done():
		return nil, fmt.Errorf("no second tab: %w", ctx.Err())
	}
	q := &Page{}
	q.context, q.cancel = chromedp.NewContext(p.context, chromedp.WithTargetID(id))
	if err := q.begin(nil); err != nil {
		q.cancel()
		return nil, err
	}
	_, err := Evaluate[any](q, helpers+"; null")
	return q, err
}

func (p *Page) problem(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, text)
}

// Problems are the errors that the page logged or met, since the last call.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.problems
	p.problems = nil
	return all
}

// Open reports whether the tab wasn't closed.
func (p *Page) Open() bool { return p.context.Err() == nil }

// Close closes the tab.
func (p *Page) Close() { p.cancel() }

// AllowClipboard lets a page read what it has put on the clipboard.
func (p *Page) AllowClipboard(origin string) error {
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		if _, err := chromedp.CallBrowser(p.context, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted, Origin: origin,
		}); err != nil {
			return err
		}
	}
	return nil
}
