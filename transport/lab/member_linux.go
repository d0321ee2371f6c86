package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// event is a line of headless --json, as far as the laboratory reads it.
type event struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Name    string    `json:"name"`
	Key     string    `json:"key"`
	Meeting string    `json:"meeting"`
	Invite  string    `json:"invite"`
	Member  string    `json:"member"`
	Kind    string    `json:"kind"`
	From    string    `json:"from"`
	Text    string    `json:"text"`
	Reason  string    `json:"reason"`
	Error   string    `json:"error"`
	Code    string    `json:"code"`
	Reach   string    `json:"reach"`
	Router  string    `json:"router"`
	Asked   string    `json:"protocol"` // how the router was
	After   float64   `json:"after_ms"`

	Connected bool           `json:"connected"`
	Members   []memberStatus `json:"members"`
	Tracks    []trackStats   `json:"tracks"`
	Links     []linkStats    `json:"links"`
}

type memberStatus struct {
	Name      string `json:"name"`
	Connected bool   `json:"connected"`
	Away      bool   `json:"away"`
}

type trackStats struct {
	Member        string `json:"member"`
	Kind          string `json:"kind"`
	Packets       uint64 `json:"packets"`
	Lost          uint64 `json:"lost"`
	Undecryptable uint64 `json:"undecryptable"`
	Over          bool   `json:"over"`
}

type linkStats struct {
	Member   string  `json:"member"`
	Up       bool    `json:"up"`
	RTT      float64 `json:"rtt_ms"`
	Received uint64  `json:"received"`
	Path     string  `json:"path"`
}

// member is a running headless.
type member struct {
	name  string
	host  *host
	cmd   *exec.Cmd
	stdin io.WriteCloser
	began time.Time     // when it was started
	done  chan struct{} // it has exited, and all it wrote was read

	mu     sync.Mutex
	events []event
	stderr strings.Builder
	more   chan struct{} // closed, and made anew, with each event
}

// start runs headless on a host.
func (l *lab) start(h *host, name, mode string, args ...string) (*member, error) {
	args = append([]string{mode, "--json", "--name", name}, args...)
	m := &member{name: name, host: h, cmd: exec.Command(l.headless, args...), done: make(chan struct{}), more: make(chan struct{})}
	var err error
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := m.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	m.began = time.Now()
	if err := h.ns.start(m.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { m.read(stdout) })
	readers.Go(func() {
		text, _ := io.ReadAll(io.LimitReader(stderr, 1<<16))
		m.mu.Lock()
		defer m.mu.Unlock()
		m.stderr.Write(text)
	})
	go func() {
		defer close(m.done)
		readers.Wait()
		_ = m.cmd.Wait()
	}()
	return m, nil
}

func (m *member) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		m.mu.Lock()
		m.events = append(m.events, e)
		close(m.more)
		m.more = make(chan struct{})
		m.mu.Unlock()
	}
}

// now is a place among the events.
func (m *member) now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.events)
}

// all are its events so far.
func (m *member) all() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// await returns the first event from a place on that is wanted.
func (m *member) await(ctx context.Context, from int, what string, wanted func(event) bool) (event, error) {
	for {
		m.mu.Lock()
		more := m.more
		for ; from < len(m.events); from++ {
			if e := m.events[from]; wanted(e) {
				m.mu.Unlock()
				return e, nil
			}
		}
		m.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return event{}, fmt.Errorf("%s: no %s in time%s", m.name, what, m.said())
		case <-m.done:
			return event{}, fmt.Errorf("%s has exited before %s%s", m.name, what, m.said())
		}
	}
}

// find returns the first event that is wanted, if it is there.
func (m *member) find(wanted func(event) bool) (event, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.events, wanted)
	if i < 0 {
		return event{}, false
	}
	return m.events[i], true
}

// said is what its errors say, for messages.
func (m *member) said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, e := range m.events {
		if e.Error != "" {
			fmt.Fprintf(&b, "; it said: %s", e.Error)
		}
	}
	return b.String()
}

// tell writes a command.
func (m *member) tell(command string) { _, _ = io.WriteString(m.stdin, command+"\n") }

// ask writes a command and returns the event that answers it.
func (m *member) ask(ctx context.Context, command string) (event, error) {
	name, _, _ := strings.Cut(command, " ")
	at := m.now()
	m.tell(command)
	return m.await(ctx, at, "answer to "+name, isEvent(name))
}

func isEvent(name string) func(event) bool { return func(e event) bool { return e.Event == name } }

// hears is the event that the first packet of somebody was opened.
func hears(name string) func(event) bool {
	return func(e event) bool { return e.Event == "first_packet" && e.Member == name }
}

// joined is the event that somebody came in.
func joined(name string) func(event) bool {
	return func(e event) bool { return e.Event == "member_joined" && e.Name == name }
}

// left is the event that somebody is out.
func left(name string) func(event) bool {
	return func(e event) bool { return e.Event == "member_left" && e.Name == name }
}

// lists tells whether a list of members has somebody.
func (e event) lists(name string) bool {
	return slices.ContainsFunc(e.Members, func(s memberStatus) bool { return s.Name == name })
}

// reaches is an event that says that there is a path and a pair session with somebody.
func reaches(name string) func(event) bool {
	return func(e event) bool {
		if e.Connected && e.Name == name {
			return true
		}
		return slices.ContainsFunc(e.Members, func(s memberStatus) bool { return s.Name == name && s.Connected })
	}
}

// signal stops or continues the process.
func (m *member) signal(s unix.Signal) error { return m.cmd.Process.Signal(s) }

// end has the member leave, and kills it if it doesn't.
func (m *member) end() {
	m.tell("leave")
	select {
	case <-m.done:
		return
	case <-time.After(leaveTimeout):
	}
	_ = m.cmd.Process.Kill()
	<-m.done
}

const leaveTimeout = 2 * time.Second
