package drive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Agent is the running program.
type Agent struct {
	// URL is where its page is, with the token that works once.
	URL string

	command *exec.Cmd
	ended   chan struct{}
	problem error // why it ended; read it after ended is closed

	mu     sync.Mutex
	output bytes.Buffer
}

// StartAgent starts the program, which meets on this machine alone and opens no browser, and waits until it says where
// its page is. More arguments follow, the last ones win.
func StartAgent(ctx context.Context, program string, arguments ...string) (*Agent, error) {
	a := &Agent{ended: make(chan struct{})}
	a.command = exec.Command(program, append([]string{"-no-browser", "-listen", "127.0.0.1:0"}, arguments...)...)
	a.command.Env = append(os.Environ(), "LC_ALL=C")
	out, err := a.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.command.Stderr = lockedWriter{a}
	if err := a.command.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			_, _ = lockedWriter{a}.Write(append(lines.Bytes(), '\n'))
			if at := strings.Index(lines.Text(), "http://"); at >= 0 {
				select {
				case address <- lines.Text()[at:]:
				default:
				}
			}
		}
		a.problem = a.command.Wait()
		close(a.ended)
	}()
	select {
	case a.URL = <-address:
		return a, nil
	case <-a.ended:
		return nil, fmt.Errorf("the agent ended at once: %w\n%s", errors.Join(a.problem), a.Output())
	case <-ctx.Done():
		a.Kill()
		return nil, fmt.Errorf("the agent said no address: %w", ctx.Err())
	}
}

// Origin is the origin of the page, without slash.
func (a *Agent) Origin() string { return strings.TrimRight(strings.SplitN(a.URL, "#", 2)[0], "/") }

// Pid is the process's.
func (a *Agent) Pid() int { return a.command.Process.Pid }

// Kill ends the process without a chance to say goodbye, and waits for its end.
func (a *Agent) Kill() {
	_ = a.command.Process.Kill()
	<-a.ended
}

// Stop asks the process to end, and kills it if it hasn't in time.
func (a *Agent) Stop() error {
	_ = a.command.Process.Signal(os.Interrupt)
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := a.Ended(ctx); err != nil {
		a.Kill()
		return fmt.Errorf("the agent did not end when asked: %w\n%s", err, a.Output())
	}
	return nil
}

// Ended waits until the process has ended, and returns an error if it failed or the context was done first.
func (a *Agent) Ended(ctx context.Context) error {
	select {
	case <-a.ended:
		return a.problem
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Output is what the program has printed so far.
func (a *Agent) Output() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.output.String()
}

type lockedWriter struct{ a *Agent }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	return w.a.output.Write(b)
}
