package transport_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestDismiss covers TRA-16: when Dismiss returns, the peer gets nothing but the last words, though its connection lasts
// a little, and when it has read them that is closed; after 2 s if it doesn't read. Its twin, Revoke, gives no last words.
func TestDismiss(t *testing.T) {
	for name, dismiss := range map[string]bool{"dismissed": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { dismissal(t, dismiss) }) })
	}
}

func dismissal(t *testing.T, dismiss bool) {
	const latency = 20 * time.Millisecond
	w := newWorld(t, transporttest.Options{Latency: latency})
	a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
	time.Sleep(time.Second)
	link := a.Media(b.Key())
	for range 50 { // what is queued is not sent any more
		_ = a.Send(b.Key(), []byte("queued before"))
	}
	last := []string{"you were removed", "by the host"}
	if dismiss {
		a.Dismiss(b.Key(), [][]byte{[]byte(last[0]), []byte(last[1])})
	} else {
		a.Revoke(b.Key())
	}
	dismissed := time.Now()
	if a.Allowed(b.Key()) || a.Media(b.Key()) != nil || a.RoomPeers() != 0 {
		t.Error("the peer is still a member")
	}
	if err := a.Send(b.Key(), []byte("after")); err == nil {
		t.Error("something was queued afterwards")
	}
	a.update(func() { a.messages, a.gossip = nil, nil })
	for i := range 10 {
		_ = link.WritePacket(transport.Audio, []byte("voice"))
		_ = a.Publish([]byte{byte(i)})
		_ = b.Send(a.Key(), []byte("is anybody there"))
		_ = b.Publish([]byte{100, byte(i)})
		time.Sleep(10 * time.Millisecond)
	}
	if got := b.has(b.got(last[0])) && b.has(b.got(last[1])); got != dismiss {
		t.Errorf("the last words arrived: %v", got)
	}
	if b.has(b.got("after")) || len(b.gossip) != 0 {
		t.Errorf("it got more than the last words: %d gossip", len(b.gossip))
	}
	if len(a.messages)+len(a.gossip) != 0 {
		t.Error("something of a dismissed peer was delivered")
	}
	for a.ConnsTo(b.Key()) > 0 && time.Since(dismissed) < time.Second {
		time.Sleep(time.Millisecond)
	}
	if d := time.Since(dismissed); d > 201*time.Millisecond {
		t.Errorf("its connection lasted %v", d)
	}
	b.wait("disconnection", time.Second, func() bool { return b.up[a.Key()] == 0 })
}

// TestDismissAndAllow allows a peer again before its connection is closed (TRA-16): on the next one it is a member in
// every respect, in the room too.
func TestDismissAndAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		time.Sleep(time.Second)
		a.Dismiss(b.Key(), [][]byte{[]byte("adieu")})
		time.Sleep(10 * time.Millisecond) // it hasn't read that
		a.Allow(b.Key())
		a.wait("disconnection", time.Second, func() bool { return a.up[b.Key()] == 0 })
		b.wait("disconnection", time.Second, func() bool { return b.up[a.Key()] == 0 })
		a.connect(b)
		a.waitUp(b)
		time.Sleep(time.Second)
		if err := a.Send(b.Key(), []byte("welcome back")); err != nil {
			t.Fatal(err)
		}
		b.wait("message", time.Second, b.got("welcome back"))
		if err := b.Send(a.Key(), []byte("thank you")); err != nil {
			t.Fatal(err)
		}
		a.wait("message", time.Second, a.got("thank you"))
		if err := a.Publish([]byte("news")); err != nil {
			t.Fatal(err)
		}
		b.wait("gossip", time.Second, func() bool { return len(b.gossip) > 0 })
	})
}

// TestDismissUnread covers TRA-16: a peer who doesn't read its last words has its connection for 2 s.
func TestDismissUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		time.Sleep(time.Second)
		w.Partition([]string{"a"}, []string{"b"})
		a.Dismiss(b.Key(), [][]byte{[]byte("adieu")})
		begun := time.Now()
		for a.ConnsTo(b.Key()) > 0 && time.Since(begun) < 5*time.Second {
			time.Sleep(time.Millisecond)
		}
		if d := time.Since(begun); d < 1990*time.Millisecond || d > 2001*time.Millisecond {
			t.Errorf("its connection lasted %v", d)
		}
	})
}

// TestFarewell: what was sent before it has been read when it returns, over a network that was away for a while, and
// nothing can be sent any more; it doesn't wait longer than it is told for who can't be reached.
func TestFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		keys := sortedKeys(3)
		a := simNode(t, w, "a", keys[0], transporttest.HostOptions{})
		b := simNode(t, w, "b", keys[1], transporttest.HostOptions{})
		c := simNode(t, w, "c", keys[2], transporttest.HostOptions{})
		for _, other := range []*node{b, c} {
			befriend(a, other)
			a.connect(other)
			a.waitUp(other)
		}
		time.Sleep(time.Second)
		w.Partition([]string{"a"}, []string{"b"}, []string{"c"})
		for _, other := range []*node{b, c} {
			for range 20 {
				if err := a.Send(other.Key(), []byte("one of many")); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Send(other.Key(), []byte("adieu")); err != nil {
				t.Fatal(err)
			}
		}
		farewell := func(patience time.Duration) time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			begun := time.Now()
			a.Farewell(ctx)
			return time.Since(begun)
		}
		if took := farewell(300 * time.Millisecond); took != 300*time.Millisecond || b.has(b.got("adieu")) {
			t.Errorf("with nobody to be reached it took %v", took)
		}
		if err := a.Send(b.Key(), []byte("one more")); !errors.Is(err, transport.ErrClosed) {
			t.Error(err)
		}
		w.Partition([]string{"a", "b", "c"})
		if took := farewell(5 * time.Second); took > 2*time.Second || !b.has(b.got("adieu")) || !c.has(c.got("adieu")) {
			t.Errorf("it took %v; read: %v, %v", took, b.has(b.got("adieu")), c.has(c.got("adieu")))
		}
	})
}
