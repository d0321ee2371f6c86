package main

import (
	"context"
	_ "embed" // for clock.js
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

//go:embed clock.js
var clock string

// settle is how long a call goes on before it is measured: encoders and buffers find their places.
const settle = 6 * time.Second

// displayed measures from camera to screen, in turns: directly, and through two agents.
func displayed(ctx context.Context, length time.Duration, rounds int) (direct, agents []time.Duration, err error) {
	dir, err := os.MkdirTemp("", "huisclos-measure-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "desktop")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/huisclos/huisclos/examples/desktop").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("%w\n%s", err, out)
	}
	from, err := drive.StartBrowser(ctx, drive.Devices{})
	if err != nil {
		return nil, nil, err
	}
	defer from.Close()
	to, err := drive.StartBrowser(ctx, drive.Devices{})
	if err != nil {
		return nil, nil, err
	}
	defer to.Close()
	for range rounds {
		some, err := directCall(from, to, length)
		if err != nil {
			return nil, nil, fmt.Errorf("direct: %w", err)
		}
		direct = append(direct, some...)
		if some, err = throughAgents(ctx, program, dir, from, to, length); err != nil {
			return nil, nil, fmt.Errorf("two agents: %w", err)
		}
		agents = append(agents, some...)
	}
	return direct, agents, nil
}

// directCall calls from one browser to the other with nothing between.
func directCall(from, to *drive.Browser, length time.Duration) ([]time.Duration, error) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>direct</title><body>")
	}))
	defer site.Close()
	caller, err := from.Open(site.URL, clock)
	if err != nil {
		return nil, err
	}
	defer caller.Close()
	called, err := to.Open(site.URL, clock)
	if err != nil {
		return nil, err
	}
	defer called.Close()
	offer, err := drive.Evaluate[string](caller, `clock.call.offer()`)
	if err != nil {
		return nil, err
	}
	answer, err := drive.Evaluate[string](called, `clock.call.answer(`+quoted(offer)+`)`)
	if err != nil {
		return nil, err
	}
	if _, err := drive.Evaluate[any](caller, `clock.call.accept(`+quoted(answer)+`).then(() => null)`); err != nil {
		return nil, err
	}
	return read(called, `document.querySelector("video")`, length)
}

// throughAgents has the same two browsers meet.
func throughAgents(ctx context.Context, program, dir string, from, to *drive.Browser, length time.Duration) ([]time.Duration, error) {
	var pages [2]*drive.Page
	for i, b := range []*drive.Browser{from, to} {
		agent, err := drive.StartAgent(ctx, program, "-data", filepath.Join(dir, fmt.Sprint("data-", i)), "-language", "en")
		if err != nil {
			return nil, err
		}
		defer func() { _ = agent.Stop() }()
		if pages[i], err = b.Open(agent.URL, clock); err != nil {
			return nil, err
		}
		defer pages[i].Close()
		if err := first(
			func() error { return pages[i].Until(`S.phase.name === "start"`) },
			func() error { return pages[i].Type("#name", []string{"From", "To"}[i]) },
		); err != nil {
			return nil, err
		}
	}
	host, guest := pages[0], pages[1]
	var link string
	err := first(
		func() error { return host.Press(drive.What{Key: "create.go"}) },
		func() error { return host.Until(`S.invite !== null`) },
		func() (err error) {
			link, err = drive.Evaluate[string](host, `drive.state().then((s) => s.invite.link)`)
			return err
		},
		func() error { return host.Press(drive.What{CSS: `dialog[open] header button`}) },
		func() error { return guest.Type("#join-link", link) },
		func() error { return guest.Press(drive.What{Key: "join.go"}) },
		func() error { return host.Press(drive.What{Key: "door.admit"}) },
		func() error { return guest.Until(`document.querySelector(".tile video[data-track]")?.videoWidth > 0`) },
	)
	if err != nil {
		return nil, err
	}
	return read(guest, `document.querySelector(".tile video[data-track]")`, length)
}

// read lets a call settle, then reads the clock for so long.
func read(p *drive.Page, video string, length time.Duration) ([]time.Duration, error) {
	if err := p.Until(video + `?.videoWidth > 0`); err != nil {
		return nil, err
	}
	look := func(ms int64) ([]float64, error) {
		return drive.Evaluate[[]float64](p, fmt.Sprintf(`clock.read(%s, %d)`, video, ms))
	}
	if _, err := look(settle.Milliseconds()); err != nil {
		return nil, err
	}
	delays, err := look(length.Milliseconds())
	if err != nil {
		return nil, err
	}
	if len(delays) < 10 {
		return nil, fmt.Errorf("only %d pictures could be read", len(delays))
	}
	all := make([]time.Duration, len(delays))
	for i, d := range delays {
		all[i] = time.Duration(d * float64(time.Millisecond))
	}
	return all, nil
}

// first does one after another until the first error.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func quoted(text string) string {
	raw, _ := json.Marshal(text)
	return string(raw)
}
