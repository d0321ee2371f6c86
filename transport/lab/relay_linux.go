package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// relay is a running examples/relay, as a firm runs it: on port 443.
type relay struct {
	lab  *lab
	dir  string // of its key and tokens
	host *host
	uri  string // with the token
	tap  string // a file with what it could read; "": it isn't told to write one
	cmd  *exec.Cmd
}

// relayURI is how what it hands out begins.
const relayURI = "huisclos-relay:"

const relayTimeout = 10 * time.Second

// startRelay runs one on a public host, the n-th of the world.
func (l *lab) startRelay(ctx context.Context, w *world, n int) (*relay, error) {
	s, err := w.public("relay", n)
	if err != nil {
		return nil, err
	}
	r := &relay{lab: l, dir: w.dir, host: s.hosts[0]}
	return r, r.begin(ctx)
}

// startTapped runs one that writes down all that it can read after its own decryption, as long as the call lasts.
func (c *call) startTapped(ctx context.Context, n int) (*relay, error) {
	s, err := c.world.public("relay", n)
	if err != nil {
		return nil, err
	}
	r := &relay{lab: c.lab, dir: c.world.dir, host: s.hosts[0], tap: filepath.Join(c.world.dir, "relay.tap")}
	c.ends = append(c.ends, r.end)
	c.allowed = append(c.allowed, r.host.addresses()...)
	return r, r.begin(ctx)
}

// begin starts the program and waits until it says what to hand out.
func (r *relay) begin(ctx context.Context) error {
	args := []string{"-listen", ":443", "-key", filepath.Join(r.dir, "relay.key"), "-tokens", filepath.Join(r.dir, "relay.tokens")}
	for _, a := range r.host.own {
		args = append(args, "-public", a.String())
	}
	r.cmd = exec.Command(r.lab.relay, args...)
	if r.tap != "" {
		r.cmd = exec.Command(r.lab.tapped, args...)
		r.cmd.Env = append(os.Environ(), "HUISCLOS_RELAY_TAP="+r.tap)
	}
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said strings.Builder
	r.cmd.Stderr = &said
	if err := r.host.ns.start(r.cmd); err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), relayURI) {
				select {
				case found <- lines.Text():
				default:
				}
			}
		}
		close(found)
	}()
	ctx, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	select {
	case uri, ok := <-found:
		if ok {
			r.uri = uri
			return nil
		}
		err = errors.New("it ended")
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.end()
	return fmt.Errorf("start relay: %w: %s", err, said.String())
}

// end ends it, as a service manager does.
func (r *relay) end() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(unix.SIGTERM)
	kill := time.AfterFunc(leaveTimeout, func() { _ = r.cmd.Process.Kill() })
	_ = r.cmd.Wait()
	kill.Stop()
	r.cmd = nil
}

// crash ends the relay without a word and starts it again.
func (r *relay) crash(ctx context.Context) error {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
	return r.begin(ctx)
}

// restart ends the relay and starts it again, with its key and tokens.
func (r *relay) restart(ctx context.Context) error {
	r.end()
	return r.begin(ctx)
}
