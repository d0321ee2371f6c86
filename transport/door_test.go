package transport_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// unsafeDoor is a host with an open door, of which one may be held open by two at once.
func unsafeDoor(t *testing.T, w *transporttest.World, u transport.Unsafe) *node {
	t.Helper()
	host := simNodeConfig(t, w, "host", transport.Without(transport.Config{Key: testKey(1), MaxDoors: 2}, u), public)
	host.SetDoorOpen(true)
	return host
}

// knock opens a door stream, which stays open, and waits for an answer.
func (n *node) knock(to *node) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	d, err := n.OpenDoor(ctx, to.Key(), to.Addresses())
	if err != nil {
		return err
	}
	n.t.Cleanup(d.Close)
	if err := d.Send(ctx, []byte("knock")); err != nil {
		return err
	}
	_, err = d.Receive(ctx)
	return err
}

// answer answers at the door until the test ends, and counts who comes there; it closes each stream at once, or none.
func (n *node) answer(hangUp bool) (count func() int) {
	var mu sync.Mutex
	var all []*transport.DoorStream
	done, ended := make(chan struct{}), make(chan struct{})
	n.t.Cleanup(func() {
		close(done)
		<-ended
		for _, d := range all {
			d.Close()
		}
	})
	go func() {
		defer close(ended)
		for {
			select {
			case d := <-n.Doors():
				_ = d.Send(context.Background(), []byte("who is it?"))
				if hangUp {
					d.Close()
				}
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
			case <-done:
				return
			}
		}
	}()
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(all)
	}
}

// TestDoorPlaces: one peer holds one door stream, and all together no more than there may be. The twin has room for all.
//
// Checks: TRA-5.
func TestDoorPlaces(t *testing.T) {
	for _, protected := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
			host := unsafeDoor(t, w, transport.Unsafe{AnyDoors: !protected})
			host.answer(false)
			for i, tt := range []struct {
				peer string
				in   bool
			}{{"a", true}, {"a", false}, {"b", true}, {"c", false}} {
				n := simNode(t, w, fmt.Sprint(tt.peer, i), testKey(int64(tt.peer[0])), public)
				err := n.knock(host)
				if (err == nil) != (tt.in || !protected) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("protected %v, knock %d: %v", protected, i+1, err)
				}
			}
		})
	}
}

// TestDoorRate: who knocks at once again, from one address, is heard twice a second after the first 32. The twin hears it
// whenever it likes.
//
// Checks: TRA-5.
func TestDoorRate(t *testing.T) {
	for _, protected := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, transporttest.Options{Latency: 5 * time.Millisecond})
			host := unsafeDoor(t, w, transport.Unsafe{AnyDoors: !protected})
			heard := host.answer(true)
			n := simNode(t, w, "n", testKey(2), public)
			for start := time.Now(); time.Since(start) < 10*time.Second; {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if d, err := n.OpenDoor(ctx, host.Key(), host.Addresses()); err == nil {
					_ = d.Send(ctx, []byte("knock"))
					_, _ = d.Receive(ctx)
					d.Close()
				}
				cancel()
				time.Sleep(10 * time.Millisecond)
			}
			t.Logf("heard %d times", heard())
			if got := heard(); got <= 32+2*10+1 != protected || got < 32 {
				t.Errorf("protected %v: heard %d times in 10 s", protected, got)
			}
			if err := simNode(t, w, "other", testKey(3), public).knock(host); err != nil {
				t.Errorf("another isn't heard: %v", err)
			}
		})
	}
}

// TestSilentStreams: where there are few places, a few strangers open streams and don't say what for, in such numbers that,
// in the twin, a member's message waits until they are put out, and they could come back at once.
//
// Checks: TRA-5.
func TestSilentStreams(t *testing.T) {
	for _, protected := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
			host := simNodeConfig(t, w, "host", transport.Without(transport.Config{Key: testKey(1)},
				transport.Unsafe{AnyStrangers: !protected, FewStreams: true}), public)
			member := simNode(t, w, "member", testKey(2), public)
			befriend(host, member)
			var strangers []*node
			for i := range 5 {
				s := simNode(t, w, fmt.Sprint("stranger ", i), testKey(int64(10+i)), public)
				s.Allow(host.Key())
				s.connect(host)
				strangers = append(strangers, s)
			}
			for _, n := range []int{180, 10, 10} { // of many at once, one may be refused though there is room
				for _, s := range strangers {
					for range n {
						_ = s.OpenSilent(host.Key())
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
			member.connect(host)
			member.waitUp(host)
			if err := member.Send(host.Key(), []byte("hello")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if host.has(host.got("hello")) != protected {
				t.Errorf("protected %v: a member is heard beside strangers: %v", protected, !protected)
			}
		})
	}
}
