package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// filePair is two members who are connected.
func filePair(t *testing.T, u transport.Unsafe) (a, b *node) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	keys := sortedKeys(2)
	ha, err := w.Host("a", transporttest.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a = newNode(t, "a", transport.Without(transport.Config{Key: keys[0], Network: ha}, u))
	b = simNode(t, w, "b", keys[1], transporttest.HostOptions{})
	befriend(a, b)
	a.connect(b)
	a.waitUp(b)
	b.waitUp(a)
	return a, b
}

// TestFileStream: frames both ways, the end, an interruption.
func TestFileStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := filePair(t, transport.Unsafe{})
		s, err := b.OpenFile(context.Background(), a.Key())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Send([]byte("ask"), time.Second); err != nil {
			t.Fatal(err)
		}
		theirs := <-a.Files()
		defer theirs.Close()
		if got, err := theirs.Receive(time.Second); err != nil || string(got) != "ask" || theirs.Peer() != b.Key() {
			t.Fatalf("%q %v", got, err)
		}
		for i := range 3 {
			if err := theirs.Send(fmt.Append(nil, i), time.Second); err != nil {
				t.Fatal(err)
			}
		}
		theirs.Close()
		for i := range 3 {
			if got, err := s.Receive(time.Second); err != nil || string(got) != fmt.Sprint(i) {
				t.Fatalf("%q %v", got, err)
			}
		}
		if _, err := s.Receive(time.Second); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
		if err := theirs.Send([]byte("x"), time.Second); err == nil {
			t.Error("sent on a closed stream")
		}
		again, err := b.OpenFile(context.Background(), a.Key())
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		time.AfterFunc(time.Second, again.Interrupt)
		begun := time.Now()
		if _, err := again.Receive(time.Hour); err == nil || time.Since(begun) > 2*time.Second {
			t.Errorf("an interrupted Receive: %v after %v", err, time.Since(begun))
		}
		if _, err := again.Receive(time.Hour); err == nil {
			t.Error("a Receive after the interruption")
		}
	})
}

// TestFileStreamsEnd covers TRA-3 and TRA-17: strangers open none, and who is revoked or dismissed loses those it
// has, though its connection may last a little. Twin: it goes on reading.
func TestFileStreamsEnd(t *testing.T) {
	for _, dismiss := range []bool{true, false} {
		for _, keep := range []bool{false, true} {
			if keep && !dismiss {
				continue // Revoke closes the connections too
			}
			t.Run(fmt.Sprintf("dismiss=%v/keep=%v", dismiss, keep), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := filePair(t, transport.Unsafe{KeepFiles: keep})
					s, err := b.OpenFile(context.Background(), a.Key())
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					_ = s.Send([]byte("ask"), time.Second)
					theirs := <-a.Files()
					defer theirs.Close()
					if dismiss {
						a.Dismiss(b.Key(), [][]byte{[]byte("you are out")})
					} else {
						a.Revoke(b.Key())
					}
					_ = theirs.Send([]byte("secret"), time.Second)
					got, err := s.Receive(time.Second)
					if leaked := err == nil; leaked != keep {
						t.Errorf("it got %q, %v", got, err)
					}
					if _, err := a.OpenFile(context.Background(), b.Key()); err == nil {
						t.Error("a stream to a stranger was opened")
					}
					if stranger, err := b.OpenFile(context.Background(), a.Key()); err == nil {
						_ = stranger.Send([]byte("ask"), time.Second)
						if _, err := stranger.Receive(time.Second); err == nil {
							t.Error("a stranger was answered")
						}
						stranger.Close()
					}
					select {
					case <-a.Files():
						t.Error("a stranger's stream was delivered")
					default:
					}
				})
			})
		}
	}
}

// TestFileStreamsBounded: one peer has 8 file streams open, all together 64, whatever is done with them; what is closed makes
// room. Twin: as many as anybody likes.
//
// Checks: TRA-17.
func TestFileStreamsBounded(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { filesBounded(t, protected) }) })
	}
}

func filesBounded(t *testing.T, protected bool) {
	const peers, each = 10, 20
	w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
	config := transport.Without(transport.Config{Key: testKey(1)}, transport.Unsafe{AnyFiles: !protected})
	host := simNodeConfig(t, w, "host", config, transporttest.HostOptions{})
	var taken []*transport.FileStream
	defer func() {
		for _, f := range taken {
			f.Close()
		}
	}()
	ask := func(from *node) {
		s, err := from.OpenFile(t.Context(), host.Key())
		if err != nil {
			return
		}
		t.Cleanup(s.Close)
		_ = s.Send([]byte("ask"), time.Second)
	}
	take := func() {
		time.Sleep(time.Second)
		for len(host.Files()) > 0 {
			taken = append(taken, <-host.Files())
		}
	}
	for i := range peers {
		n := simNode(t, w, fmt.Sprint("n", i), testKey(int64(2+i)), transporttest.HostOptions{})
		befriend(host, n)
		n.connect(host)
		n.waitUp(host)
		host.waitUp(n)
		for range each {
			ask(n)
		}
		take()
		want := (i + 1) * each
		if protected {
			want = min((i+1)*8, 64)
		}
		if len(taken) != want {
			t.Errorf("of %d peers %d streams are open, want %d", i+1, len(taken), want)
		}
		if i == peers-1 && protected {
			taken[0].Close()
			ask(n)
			take()
			if len(taken) != want+1 {
				t.Error("what was closed makes no room")
			}
		}
	}
}

// TestFileStreamsInTurn: what was closed makes room for others, as often as that is.
func TestFileStreamsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := filePair(t, transport.Unsafe{})
		for i := range 200 {
			s, err := b.OpenFile(t.Context(), a.Key())
			if err != nil {
				t.Fatalf("file %d: %v", i+1, err)
			}
			if err := s.Send([]byte("ask"), time.Second); err != nil {
				t.Fatalf("file %d: %v", i+1, err)
			}
			select {
			case theirs := <-a.Files():
				if _, err := theirs.Receive(time.Second); err != nil {
					t.Fatalf("file %d: %v", i+1, err)
				}
				theirs.Close()
			case <-time.After(time.Second):
				t.Fatalf("file %d doesn't come", i+1)
			}
			s.Close()
			time.Sleep(100 * time.Millisecond)
		}
	})
}
