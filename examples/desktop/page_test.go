package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The tests mostly wait, for each other's agents and for time-outs: more of them at a time than there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for anything before it gives up. It is long: words take all there is of the machine,
// and tests share it.
const patience = 60 * time.Second

// startAgent runs an agent until the test ends.
func startAgent(t *testing.T, change func(*options)) *agent {
	t.Helper()
	o := options{language: "en", listen: loopback, grace: patience, data: t.TempDir(), run: t.TempDir(), factor: 10, wordless: true}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a, err := newAgent(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- a.wait() }()
	t.Cleanup(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		select {
		case err := <-over:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the agent doesn't end")
		}
	})
	return a
}

// testPage plays the page, over the real port.
type testPage struct {
	t       *testing.T
	agent   *agent
	session string
	socket  *websocket.Conn

	mu      sync.Mutex
	state   map[string]json.RawMessage
	events  []map[string]json.RawMessage
	replies map[int64]chan map[string]json.RawMessage
	next    int64
	closed  error
	wake    chan struct{}
}

// openPage comes in as the page does: token, session, socket, state.
func openPage(t *testing.T, a *agent) *testPage {
	t.Helper()
	_, token, _ := strings.Cut(a.port.LaunchURL(), "#")
	r, err := http.NewRequest(http.MethodPost, a.port.URL()+"session", strings.NewReader(`{"token":"`+token+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", strings.TrimSuffix(a.port.URL(), "/"))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var got struct{ Session string }
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.Session == "" {
		t.Fatal(answer.Status, err)
	}
	return connectPage(t, a, got.Session)
}

func connectPage(t *testing.T, a *agent, session string) *testPage {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"huisclos.1", "session." + session}, HandshakeTimeout: patience}
	socket, _, err := d.Dial(strings.Replace(a.port.URL(), "http", "ws", 1)+"socket", http.Header{"Origin": {strings.TrimSuffix(a.port.URL(), "/")}})
	if err != nil {
		t.Fatal(err)
	}
	p := &testPage{
		t: t, agent: a, session: session, socket: socket, state: map[string]json.RawMessage{},
		replies: map[int64]chan map[string]json.RawMessage{}, wake: make(chan struct{}, 1),
	}
	go p.read()
	t.Cleanup(func() { _ = socket.Close() })
	p.until("state", func() bool { return len(p.state) > 0 })
	return p
}

func (p *testPage) read() {
	for {
		_, raw, err := p.socket.ReadMessage()
		p.mu.Lock()
		if err != nil {
			p.closed = err
			for _, c := range p.replies {
				close(c)
			}
			p.replies = nil
			p.mu.Unlock()
			p.ring()
			return
		}
		var m map[string]json.RawMessage
		if json.Unmarshal(raw, &m) == nil {
			p.take(m)
		}
		p.mu.Unlock()
		p.ring()
	}
}

func (p *testPage) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *testPage) take(m map[string]json.RawMessage) {
	if re, ok := m["re"]; ok {
		var id int64
		_ = json.Unmarshal(re, &id)
		p.replies[id] <- m
		delete(p.replies, id)
		return
	}
	var event, part string
	_ = json.Unmarshal(m["event"], &event)
	switch event {
	case "state":
		_ = json.Unmarshal(m["state"], &p.state)
	case "changed":
		_ = json.Unmarshal(m["part"], &part)
		if _, ok := p.state[part]; !ok {
			p.t.Errorf("unknown part %q", part)
		}
		p.state[part] = m["value"]
	default:
		p.events = append(p.events, m)
	}
}

// ask sends a request and returns the reply, or the code of the refusal.
func (p *testPage) ask(do string, fields map[string]any) (map[string]json.RawMessage, code) {
	p.t.Helper()
	m := map[string]any{"do": do}
	for k, v := range fields {
		m[k] = v
	}
	p.mu.Lock()
	p.next++
	m["id"] = p.next
	c := make(chan map[string]json.RawMessage, 1)
	if p.replies != nil {
		p.replies[p.next] = c
	}
	p.mu.Unlock()
	if err := p.socket.WriteJSON(m); err != nil {
		p.t.Fatal(err)
	}
	select {
	case got := <-c:
		var f failure
		_ = json.Unmarshal(got["error"], &f)
		return got, f.Code
	case <-time.After(patience):
		p.t.Fatalf("no reply to %s", do)
		return nil, ""
	}
}

// must is ask for what has to succeed.
func (p *testPage) must(do string, fields map[string]any) map[string]json.RawMessage {
	p.t.Helper()
	got, refused := p.ask(do, fields)
	if refused != "" {
		p.t.Fatalf("%s: %s", do, got["error"])
	}
	return got
}

// until waits for something to be so of the state or the events.
func (p *testPage) until(what string, ok func() bool) {
	p.t.Helper()
	end := time.After(patience)
	for {
		p.mu.Lock()
		done := ok()
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-p.wake:
		case <-end:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.t.Fatalf("no %s; phase %s, closed %v", what, p.state["phase"], p.closed)
		}
	}
}

// part decodes a part of the state. In until only.
func part[T any](p *testPage, name string) (v T) {
	if err := json.Unmarshal(p.state[name], &v); err != nil {
		p.t.Errorf("%s: %v in %s", name, err, p.state[name])
	}
	return v
}

// get is part elsewhere.
func get[T any](p *testPage, name string) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return part[T](p, name)
}

func (p *testPage) untilPhase(name string) {
	p.t.Helper()
	p.until("phase "+name, func() bool { return part[phase](p, "phase").Name == name })
}

// event waits for an event of a name.
func event[T any](p *testPage, name string) (v T) {
	p.t.Helper()
	p.until("event "+name, func() bool {
		for i, m := range p.events {
			if string(m["event"]) == fmt.Sprintf("%q", name) {
				raw, _ := json.Marshal(m)
				if err := json.Unmarshal(raw, &v); err != nil {
					p.t.Error(err)
				}
				p.events = append(p.events[:i], p.events[i+1:]...)
				return true
			}
		}
		return false
	})
	return v
}

func (p *testPage) name(name string) {
	p.t.Helper()
	s := get[settings](p, "settings")
	s.Name = name
	p.must("settings-set", map[string]any{"settings": s})
}

func (p *testPage) download(raw json.RawMessage) []byte {
	p.t.Helper()
	var url string
	_ = json.Unmarshal(raw, &url)
	answer, err := http.Get(strings.TrimSuffix(p.agent.port.URL(), "/") + url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		p.t.Fatal(answer.Status, err)
	}
	return body
}

func (p *testPage) upload(raw json.RawMessage, body []byte) (int, code) {
	p.t.Helper()
	var url string
	_ = json.Unmarshal(raw, &url)
	r, err := http.NewRequest(http.MethodPut, strings.TrimSuffix(p.agent.port.URL(), "/")+url, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Origin", strings.TrimSuffix(p.agent.port.URL(), "/"))
	r.Header.Set("Authorization", "Bearer "+p.session)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var got struct{ Error failure }
	_ = json.NewDecoder(answer.Body).Decode(&got)
	return answer.StatusCode, got.Error.Code
}

// untilKept closes the page, has the program look ten milliseconds later whether it may end, and returns when it has looked and
// stayed.
func (p *testPage) untilKept(what string) {
	p.t.Helper()
	locked := func(f func(a *agent)) {
		p.agent.mu.Lock()
		defer p.agent.mu.Unlock()
		f(p.agent)
	}
	locked(func(a *agent) { a.options.idle = 10 * time.Millisecond })
	_ = p.socket.Close()
	var first, second *time.Timer // of how long the program stays without a page
	for first == nil || second == first {
		time.Sleep(time.Millisecond)
		locked(func(a *agent) {
			if second = a.alone; a.page == nil && first == nil {
				first = a.alone
			}
		})
	}
	if p.agent.context.Err() != nil {
		p.t.Fatal("the program ended by itself, with " + what)
	}
}
