package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
)

// TestUploadLost: a file that its page doesn't give, or not whole, isn't read for ever: its offer fails, says why, and
// leaves its place to another. What waits for others that are on their way goes on waiting.
func TestUploadLost(t *testing.T) {
	t.Parallel()
	host := openPage(t, startAgent(t, func(o *options) { o.beginWait, o.uploadWait = time.Hour, 2*time.Second }))
	host.name("Ada")
	host.must("create", nil)
	host.untilPhase("meeting")
	offer := func(size int) (id string, url json.RawMessage) {
		ready := host.must("file-offer", map[string]any{"name": "a", "size": size})
		_ = json.Unmarshal(ready["file"], &id)
		return id, ready["url"]
	}
	lost := func(id string) {
		t.Helper()
		if f := untilFile(host, id, "failed"); f.Error == nil || f.Error.Code != uploadLost {
			t.Errorf("%+v", f)
		}
	}

	never := make([]string, meet.MaxFileOffers)
	for i := range never {
		never[i], _ = offer(10)
	}
	if _, refused := host.ask("file-offer", map[string]any{"name": "a", "size": 10}); refused != tooMany {
		t.Error("all places are taken:", refused)
	}
	late(host.agent, 2*time.Hour)
	for _, id := range never {
		lost(id)
	}

	stalled, url := offer(1000)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	begin(ctx, t, host, url)
	lost(stalled)

	broken, url := offer(1000)
	ctx, leave := context.WithCancel(ctx)
	begin(ctx, t, host, url)
	leave() // the tab is closed
	lost(broken)

	good, url := offer(100)
	if status, refused := host.upload(url, content(100)); status != http.StatusNoContent {
		t.Error(status, refused)
	}
	untilFile(host, good, "offered")
	tardy, url := offer(100)
	late(host.agent, 2*time.Hour)
	lost(tardy)
	if status, _ := host.upload(url, content(100)); status == http.StatusNoContent {
		t.Error("taken after it was given up")
	}
}

// TestUploadsWait: a file doesn't fail for waiting while others are on their way.
func TestUploadsWait(t *testing.T) {
	t.Parallel()
	host := openPage(t, startAgent(t, func(o *options) { o.beginWait = time.Hour }))
	host.name("Ada")
	host.must("create", nil)
	host.untilPhase("meeting")
	a := host.agent
	first, second := host.must("file-offer", map[string]any{"name": "a", "size": 10}), host.must("file-offer", map[string]any{"name": "b", "size": 10})
	states := func() (out []string) { // as the program has them: the page is told a little later
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, f := range a.files {
			out = append(out, f.State)
		}
		return out
	}
	a.mu.Lock()
	a.uploadMoved = a.uploadMoved.Add(-2 * time.Hour) // as if they were offered then
	a.mu.Unlock()
	if status, refused := host.upload(first["url"], content(10)); status != http.StatusNoContent {
		t.Fatal(status, refused)
	}
	late(a, time.Minute)
	if got := strings.Join(states(), " "); got != "offered reading" {
		t.Error(got)
	}
	late(a, 2*time.Hour)
	var id string
	_ = json.Unmarshal(second["file"], &id)
	untilFile(host, id, "failed")
}

// TestUploadNeverBegins: the program looks after that by itself.
func TestUploadNeverBegins(t *testing.T) {
	t.Parallel()
	host := openPage(t, startAgent(t, func(o *options) { o.beginWait = time.Millisecond }))
	host.name("Ada")
	host.must("create", nil)
	host.untilPhase("meeting")
	var id string
	_ = json.Unmarshal(host.must("file-offer", map[string]any{"name": "a", "size": 10})["file"], &id)
	untilFile(host, id, "failed")
}

// late has the program look after uploads as it does each second, that much later.
func late(a *agent, after time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uploadsLost(time.Now().Add(after))
}

// begin uploads the first 500 bytes of 1,000, and no more until ctx is done.
func begin(ctx context.Context, t *testing.T, p *testPage, raw json.RawMessage) {
	t.Helper()
	var url string
	_ = json.Unmarshal(raw, &url)
	body, page := io.Pipe()
	origin := strings.TrimSuffix(p.agent.port.URL(), "/")
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, origin+url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 1000
	r.Header.Set("Origin", origin)
	r.Header.Set("Authorization", "Bearer "+p.session)
	over := make(chan struct{})
	go func() {
		defer close(over)
		if answer, err := http.DefaultClient.Do(r); err == nil {
			_ = answer.Body.Close()
		}
	}()
	t.Cleanup(func() {
		_ = page.Close()
		<-over
	})
	if _, err := page.Write(content(500)); err != nil {
		t.Fatal(err)
	}
}
