package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/instance"
	"github.com/huisclos/huisclos/examples/desktop/internal/linkhandler"
)

// TestSecondStart: a second start hands its link to the first, says where to open it, and ends.
func TestSecondStart(t *testing.T) {
	run := t.TempDir()
	a := startAgent(t, func(o *options) { o.run = run + "/run" })
	p := openPage(t, a)
	first, err := instance.Listen(run+"/run", a.openAgain)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	var out, complaints bytes.Buffer
	start := func(arguments ...string) string {
		out.Reset()
		if code := program(append([]string{"-no-browser", "-data", run}, arguments...), &out, &complaints); code != 0 {
			t.Fatal(code, complaints.String())
		}
		return strings.TrimSpace(out.String())
	}
	url := start("--", "huisclos:1-x")
	if !strings.HasPrefix(url, a.port.URL()+"#") {
		t.Errorf("%q, at %s", url, a.port.URL())
	}
	if e := event[linkEvent](p, "link"); e.Link != "huisclos:1-x" || get[string](p, "link") != "huisclos:1-x" {
		t.Errorf("%+v", e)
	}
	_, token, _ := strings.Cut(start(), "#") // without a link: the page, with a token that works
	r, _ := http.NewRequest(http.MethodPost, a.port.URL()+"session", strings.NewReader(`{"token":"`+token+`"}`))
	r.Header.Set("Origin", strings.TrimSuffix(a.port.URL(), "/"))
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}

// TestFirstStart: the first start serves later ones until it ends.
func TestFirstStart(t *testing.T) {
	data := t.TempDir()
	ended := make(chan int, 1)
	out, in := io.Pipe()
	go func() {
		ended <- program([]string{"-no-browser", "-data", data, "-listen", "127.0.0.1:0", "-idle", "500ms"}, in, io.Discard)
	}()
	line := make([]byte, 200)
	if _, err := out.Read(line); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if url, ok := instance.Hand(data+"/run", ""); !ok || !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Error(url, ok)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case code := <-ended:
		if code != 0 {
			t.Error(code)
		}
	case <-ctx.Done():
		t.Fatal("it doesn't end")
	}
	_ = in.Close()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, ok := instance.Hand(data+"/run", ""); !ok {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it still answers")
		}
	}
}

// TestSystem: what can't be had here says so; nothing is registered unasked.
func TestSystem(t *testing.T) {
	dir := t.TempDir() // if the test's program does stay where it is, not the developer's own folders
	t.Setenv("XDG_DATA_HOME", dir+"/data")
	t.Setenv("XDG_CONFIG_HOME", dir+"/config")
	p := openPage(t, startAgent(t, nil))
	f := get[map[string]feature](p, "features")["link-handler"]
	if linkhandler.Registered() || f.Available != linkhandler.Available() || !f.Available && f.Reason != "system" {
		t.Errorf("%+v", f)
	}
	want := unavailable // what go test builds and runs is gone soon
	if f.Available {
		want = ""
	}
	if _, refused := p.ask("link-handler", map[string]any{"on": true}); refused != want || linkhandler.Registered() != f.Available {
		t.Error(refused)
	}
}
