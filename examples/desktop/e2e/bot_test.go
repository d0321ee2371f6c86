//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// headless is the built headless participant.
var headless = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(program), "headless")
	out, err := exec.Command("go", "build", "-o", path, "github.com/huisclos/huisclos/examples/headless").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

// bot is a participant without a screen, in a process of its own.
type bot struct {
	*testing.T
	command *exec.Cmd
	stdin   io.Writer

	mu     sync.Mutex
	events []map[string]any
}

// startBot starts one, which ends with the test.
func startBot(t *testing.T, arguments ...string) *bot {
	t.Helper()
	path, err := headless()
	if err != nil {
		t.Fatal(err)
	}
	b := &bot{T: t, command: exec.Command(path, arguments...)}
	out, err := b.command.StdoutPipe()
	if err == nil {
		b.stdin, err = b.command.StdinPipe()
	}
	if err == nil {
		err = b.command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e map[string]any
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				b.mu.Lock()
				b.events = append(b.events, e)
				b.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = b.command.Process.Kill()
		<-over
		_ = b.command.Wait()
	})
	return b
}

// tell gives it a command.
func (b *bot) tell(line string) {
	b.Helper()
	if _, err := fmt.Fprintln(b.stdin, line); err != nil {
		b.Fatal(err)
	}
}

// await waits for an event of a name.
func (b *bot) await(name string) map[string]any {
	b.Helper()
	for end := time.Now().Add(drive.Patience); ; time.Sleep(50 * time.Millisecond) {
		b.mu.Lock()
		for _, e := range b.events {
			if e["event"] == name {
				b.mu.Unlock()
				return e
			}
		}
		b.mu.Unlock()
		if time.Now().After(end) {
			b.Fatalf("the bot reports no %s", name)
		}
	}
}

// signal stops the process where it is, or lets it go on.
func (b *bot) signal(s syscall.Signal) {
	b.Helper()
	if err := b.command.Process.Signal(s); err != nil {
		b.Fatal(err)
	}
}
