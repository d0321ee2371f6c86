package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// program is the binary that the tests run: this one, which is the program itself where childEnv is set. So nothing is
// built, and the race detector sees the processes too.
var program string

// childEnv makes a process headless; "wordless" spares it the words that nobody asks for.
const childEnv = "HEADLESS_CHILD"

// speaking are the tests in which words are computed unasked, as always outside tests.
var speaking = map[string]bool{"TestThree": true, "TestCommands": true}

func TestMain(m *testing.M) {
	if as := os.Getenv(childEnv); as != "" {
		wordless = as == "wordless"
		main()
	}
	// The tests mostly wait for processes: more of them at a time than there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var err error
	if program, err = os.Executable(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// headless is the program, to be started.
func headless(as string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+as)
	return cmd
}

// patience is how long any one thing may take, with other tests beside it on a slow machine.
const patience = 60 * time.Second

// event is what a line of --json says, of all kinds in one.
type event struct {
	Time      time.Time
	Event     string
	Door      string
	Name      string
	Key       string
	Invite    string
	Hash      string
	Entry     string
	Reason    string
	By        string
	Error     string
	Command   string
	Kind      string
	Member    string
	From      string
	With      string
	Text      string
	Role      string
	Source    string
	State     string
	Private   bool
	Raised    bool
	Digits    string
	File      string
	Status    int
	Frames    uint64
	Dropped   uint64
	Creator   bool
	Self      bool
	Away      bool
	Connected bool
	Absent    bool
	Over      bool
	Words     struct{ Fr, En []string }
	Members   []memberData
	Tracks    []trackStats

	ID, SHA256 string
	SafeName   string `json:"safe_name"`
	Done, Size int64
	Sending    bool
	Verified   any // a bool, of contacts a time
	Known      bool
	KnownAs    string `json:"known_as"`
	Namesake   *namesakeData
	Refused    []string
}

// process is one running headless.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
	done   chan struct{} // it has exited and everything it wrote was read

	mu     sync.Mutex
	events []event
	bad    []string      // lines that are no events
	more   chan struct{} // closed and made anew with each event
}

// start runs headless with --json and a name.
func start(t *testing.T, mode, name string, args ...string) *process {
	t.Helper()
	args = append([]string{mode, "--json", "--name", name}, args...)
	as := "wordless"
	if speaking[t.Name()] {
		as = "speaking"
	}
	p := &process{t: t, name: name, cmd: headless(as, args...), done: make(chan struct{}), more: make(chan struct{})}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(stdout)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if len(p.bad) > 0 {
			t.Errorf("%s wrote lines that are no events: %q", name, p.bad)
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, p.log())
		}
	})
	return p
}

func (p *process) read(stdout io.Reader) {
	defer close(p.done)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		err := json.Unmarshal(lines.Bytes(), &e)
		p.mu.Lock()
		if err != nil || e.Event == "" || e.Time.IsZero() {
			p.bad = append(p.bad, lines.Text())
		}
		p.events = append(p.events, e)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait()
}

// log is the last part of what it reported, short.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, e := range p.events[max(0, len(p.events)-60):] {
		fmt.Fprintf(&b, "%s %-14s %s%s%s %s %s %s\n", e.Time.Format("05.000"), e.Event, e.Name, e.Member, e.From, e.Reason, e.Kind, e.Error)
	}
	if p.stderr.Len() > 0 {
		fmt.Fprintf(&b, "stderr: %s", p.stderr.String())
	}
	return b.String()
}

// now is a place in what it reports: awaitFrom looks behind it.
func (p *process) now() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.events)
}

// await returns the first event that is wanted, from the beginning.
func (p *process) await(what string, wanted func(event) bool) event {
	p.t.Helper()
	return p.awaitFrom(0, what, wanted)
}

// awaitFrom returns the first event from a place on that is wanted.
func (p *process) awaitFrom(next int, what string, wanted func(event) bool) event {
	p.t.Helper()
	timeout := time.After(patience)
	for over := false; ; {
		p.mu.Lock()
		more := p.more
		for ; next < len(p.events); next++ {
			if e := p.events[next]; wanted(e) {
				p.mu.Unlock()
				return e
			}
		}
		p.mu.Unlock()
		if over {
			p.t.Fatalf("%s ended without %s", p.name, what)
		}
		select {
		case <-more:
		case <-p.done:
			over = true // look once more
		case <-timeout:
			p.t.Fatalf("%s: no %s in %v", p.name, what, patience)
		}
	}
}

// named returns whether an event is of a kind and about somebody.
func named(kind, name string) func(event) bool {
	return func(e event) bool { return e.Event == kind && e.Name == name }
}

func kind(kind string) func(event) bool { return func(e event) bool { return e.Event == kind } }

// all returns its events of a kind, so far.
func (p *process) all(kind string) (found []event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Event == kind {
			found = append(found, e)
		}
	}
	return found
}

// tell writes a command.
func (p *process) tell(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.stdin, format+"\n", args...); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// ask writes a command and returns the first event that is wanted after it.
func (p *process) ask(wanted func(event) bool, format string, args ...any) event {
	p.t.Helper()
	from := p.now()
	p.tell(format, args...)
	return p.awaitFrom(from, "answer to "+fmt.Sprintf(format, args...), wanted)
}

// refused writes a command that must be refused, with these words in the reason.
func (p *process) refused(words, format string, args ...any) event {
	p.t.Helper()
	e := p.ask(kind("error"), format, args...)
	if !strings.Contains(e.Error, words) {
		p.t.Errorf("%s: %s was refused with %q, which doesn't say %q", p.name, fmt.Sprintf(format, args...), e.Error, words)
	}
	return e
}

// exits waits for its end, and returns its last event, whose status must be the wanted one.
func (p *process) exits(status int) event {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s goes on after %v", p.name, patience)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Fatalf("%s exited with status %d, want %d: %s", p.name, got, status, p.stderr.String())
	}
	end := p.await("ended", kind("ended"))
	if end.Status != status {
		p.t.Errorf("%s: the ended event has status %d, the process %d", p.name, end.Status, status)
	}
	return end
}

// ready waits until it is in the meeting.
func (p *process) ready() event {
	p.t.Helper()
	return p.await("ready", kind("ready"))
}

// invite asks it for a link.
func (p *process) invite() string {
	p.t.Helper()
	return p.ask(kind("invite"), "invite").Invite
}

// admits lets somebody in who joins by its link.
func (p *process) admits(guest *process) {
	p.t.Helper()
	p.await("knock by "+guest.name, named("knock", guest.name))
	p.tell("admit %s", guest.name)
	guest.ready()
}

// seen returns whether an event says something of a member: that they changed, or in a roster. For what was so before a
// process began to read is told in its first roster only.
func seen(name string, wanted func(memberData) bool) func(event) bool {
	return func(e event) bool {
		of := e.Members
		if e.Event == "member_changed" || e.Event == "member_joined" {
			of = []memberData{{personData: personData{Name: e.Name}, Role: e.Role, Creator: e.Creator, Self: e.Self, Away: e.Away, Connected: e.Connected}}
		}
		return slices.ContainsFunc(of, func(m memberData) bool { return m.Name == name && wanted(m) })
	}
}

// linked waits until there is a link to somebody.
func (p *process) linked(name string, from int) {
	p.t.Helper()
	p.awaitFrom(from, "link with "+name, seen(name, func(m memberData) bool { return m.Connected }))
}

// withRole waits until somebody has a role.
func (p *process) withRole(name, role string, from int) {
	p.t.Helper()
	p.awaitFrom(from, name+" as "+role, seen(name, func(m memberData) bool { return m.Role == role }))
}

// ffmpeg runs it and returns everything it says.
func ffmpeg(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	said, err := exec.CommandContext(ctx, "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...).CombinedOutput()
	return string(said), err
}

func needFFmpeg(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("needs ffmpeg to make and decode media")
	}
}
