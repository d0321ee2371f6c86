package transport_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// pairOf makes two connected hosts with a media link, a the smaller key.
func pairOf(t testing.TB, w *transporttest.World, oa, ob transporttest.HostOptions) (a, b *node) {
	t.Helper()
	return unsafePairOf(t, w, oa, ob, transport.Unsafe{})
}

func unsafePairOf(t testing.TB, w *transporttest.World, oa, ob transporttest.HostOptions, u transport.Unsafe) (a, b *node) {
	t.Helper()
	keys := sortedKeys(2)
	a = simNodeConfig(t, w, "a", transport.Without(transport.Config{Key: keys[0]}, u), oa)
	b = simNodeConfig(t, w, "b", transport.Without(transport.Config{Key: keys[1]}, u), ob)
	befriend(a, b)
	a.connect(b)
	a.waitUp(b)
	b.waitUp(a)
	a.offer(b)
	a.waitMedia(b, true, 5*time.Second)
	b.waitMedia(a, true, 5*time.Second)
	return a, b
}

// mediaFlows sends until a packet of this text arrives, for at most limit.
func mediaFlows(t *testing.T, from, to *node, text string, limit time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	for time.Since(start) <= limit {
		_ = from.Media(to.Key()).WritePacket(transport.Video, []byte(text))
		time.Sleep(5 * time.Millisecond)
		to.mu.Lock()
		for _, p := range to.packets {
			if string(p.payload) == text {
				to.mu.Unlock()
				return p.at.Sub(start)
			}
		}
		to.mu.Unlock()
	}
	t.Fatalf("no media from %s to %s within %v", from.name, to.name, limit)
	return 0
}

// TestLongPartition: after five minutes apart, with failed dials meanwhile, Connect
// succeeds at once and media flows again within two seconds (TRA-10).
func TestLongPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{NAT: transporttest.FullCone}, transporttest.HostOptions{})
		w.Partition([]string{"a"}, []string{"b"})
		a.waitMedia(b, false, 8100*time.Millisecond)
		b.waitMedia(a, false, 10*time.Second)
		for range 10 {
			time.Sleep(30 * time.Second)
			if a.ConnsTo(b.Key()) == 0 {
				go func() { _ = a.Connect(t.Context(), b.Key(), b.Addresses()) }()
			}
		}
		a.wait("disconnection", time.Second, func() bool { return a.up[b.Key()] == 0 })
		time.Sleep(11 * time.Second) // the last dial has failed
		w.Heal()
		start := time.Now()
		a.connect(b)
		connected := time.Since(start)
		a.waitUp(b)
		b.waitUp(a)
		a.offer(b)
		a.waitMedia(b, true, 2*time.Second)
		b.waitMedia(a, true, 2*time.Second)
		mediaFlows(t, a, b, "after the partition", time.Second)
		if total := time.Since(start); connected > time.Second || total > 2*time.Second {
			t.Errorf("connected after %v, media after %v", connected, total)
		} else {
			t.Logf("connected after %v, media after %v", connected, total)
		}
		if g := a.Media(b.Key()).Stats().Generation; g != 2 {
			t.Errorf("generation %d, want 2", g)
		}
	})
}

// TestShortPartition: a cut shorter than every timeout needs nothing from the owner.
func TestShortPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		w.Partition([]string{"a"})
		time.Sleep(3 * time.Second)
		w.Heal()
		mediaFlows(t, a, b, "still here", 100*time.Millisecond)
		if !a.has(func() bool { return a.connects == 1 }) {
			t.Error("connected more than once")
		}
	})
}

// TestCrash: a host gone without a word is noticed.
//
// Checks: TRA-10.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		w.Crash("b")
		start := time.Now()
		a.waitMedia(b, false, 8100*time.Millisecond)
		media := time.Since(start)
		a.wait("disconnection", 9*time.Second-media, func() bool { return a.up[b.Key()] == 0 })
		t.Logf("media link down after %v, connection after %v", media, time.Since(start))
	})
}

// TestGoodbye: closing tells the peer at once.
func TestGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		b.close()
		a.waitMedia(b, false, 100*time.Millisecond)
		a.wait("disconnection", 100*time.Millisecond, func() bool { return a.up[b.Key()] == 0 })
	})
}

// TestMediaLinkRebuild loses the media path alone and builds it anew (TRA-10).
func TestMediaLinkRebuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		for generation := uint32(2); generation < 5; generation++ {
			w.SetFilter(func(d transporttest.Datagram) bool { return !transport.IsMedia(d.Data) })
			a.waitMedia(b, false, 8100*time.Millisecond)
			b.waitMedia(a, false, 10*time.Second)
			if a.ConnsTo(b.Key()) != 1 {
				t.Fatal("the connection was to last")
			}
			w.SetFilter(nil)
			a.offer(b)
			a.waitMedia(b, true, time.Second)
			b.waitMedia(a, true, time.Second)
			if st := a.Media(b.Key()).Stats(); st.Generation != generation {
				t.Errorf("generation %d, want %d", st.Generation, generation)
			}
			mediaFlows(t, a, b, fmt.Sprint("generation ", generation), time.Second)
			mediaFlows(t, b, a, fmt.Sprint("generation ", generation), time.Second)
		}
	})
}

// TestMediaReplace makes a new offer while the link is up: an older one is void (TRA-8).
func TestMediaReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		a.offer(b)
		a.wait("second generation", time.Second, func() bool { return a.media[b.Key()].Generation == 2 && a.media[b.Key()].Up })
		mediaFlows(t, a, b, "two", time.Second)
		old, err := a.MediaOffer(b.Key())
		if err != nil {
			t.Fatal(err)
		}
		newer, err := a.MediaOffer(b.Key())
		if err != nil {
			t.Fatal(err)
		}
		oldAnswer, err := b.MediaAnswer(a.Key(), old)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.MediaAccept(b.Key(), oldAnswer); !errors.Is(err, transport.ErrStale) {
			t.Errorf("answer to a void offer: %v", err)
		}
		answer, err := b.MediaAnswer(a.Key(), newer)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.MediaAccept(b.Key(), answer); err != nil {
			t.Fatal(err)
		}
		a.wait("fourth generation", time.Second, func() bool { return a.media[b.Key()].Generation == 4 && a.media[b.Key()].Up })
		if err := a.MediaAccept(b.Key(), answer); !errors.Is(err, transport.ErrStale) {
			t.Errorf("replayed answer: %v", err)
		}
		mediaFlows(t, a, b, "four", time.Second)
		mediaFlows(t, b, a, "four", time.Second)
		if _, err := b.MediaOffer(a.Key()); !errors.Is(err, transport.ErrNotOfferer) {
			t.Errorf("offer by the greater key: %v", err)
		}
		if _, err := a.MediaAnswer(b.Key(), newer); !errors.Is(err, transport.ErrNotAnswerer) {
			t.Errorf("answer by the smaller key: %v", err)
		}
	})
}

// TestReplayedOffer: an offer answered before does not touch the link (TRA-8).
func TestReplayedOffer(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				a, b := unsafePairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{}, transport.Unsafe{ReplayOffers: !protected})
				first := a.lastOffer
				a.offer(b)
				time.Sleep(time.Second)
				for i, old := range [][]byte{first, a.lastOffer} { // also that which the link stands on
					_, err := b.MediaAnswer(a.Key(), old)
					if errors.Is(err, transport.ErrStale) != protected {
						t.Errorf("replayed offer %d: %v", i+1, err)
					}
				}
				time.Sleep(time.Second)
				if st := b.Media(a.Key()).Stats(); (st.Up && !st.Stream) != protected {
					t.Errorf("%+v, protected: %v", st, protected)
				}
			})
		})
	}
}

// TestSlowReader: a peer whose owner does not read fills its own queue and no other's (TRA-13). The twin's queue grows as
// long as one sends.
func TestSlowReader(t *testing.T) {
	for _, protected := range []bool{true, false} {
		slowReader(t, transport.Unsafe{AnyQueue: !protected})
	}
}

func slowReader(t *testing.T, u transport.Unsafe) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		keys := sortedKeys(3)
		var n [3]*node
		for i := range n {
			n[i] = simNodeConfig(t, w, fmt.Sprint("host ", i), transport.Without(transport.Config{Key: keys[i]}, u), transporttest.HostOptions{})
		}
		befriend(n[:]...)
		a, slow, c := n[0], n[1], n[2]
		a.connect(slow)
		a.connect(c)
		a.waitUp(slow)
		a.waitUp(c)
		slow.waitUp(a)
		close(slow.stop) // its owner is busy
		<-slow.done
		big := make([]byte, 60000)
		sent := 0
		var err error
		for range 3000 { // far more than are queued or under way
			if err = a.Send(slow.Key(), big); err != nil {
				break
			}
			sent++
			time.Sleep(time.Millisecond)
		}
		if errors.Is(err, transport.ErrQueueFull) == u.AnyQueue {
			t.Fatalf("after %d messages: %v; unprotected %v", sent, err, u.AnyQueue)
		}
		if u.AnyQueue {
			slow.done, slow.stop = make(chan struct{}), make(chan struct{})
			close(slow.done)
			return
		}
		if err := a.Send(c.Key(), []byte("quick")); err != nil {
			t.Fatal(err)
		}
		c.wait("message beside a slow peer", 50*time.Millisecond, c.got("quick"))
		// Its owner comes back: nothing was lost.
		slow.stop, slow.done = make(chan struct{}), make(chan struct{})
		go slow.run()
		slow.wait("every message", 20*time.Second, func() bool { return len(slow.messages) == sent })
	})
}

// TestFlood: a peer that floods does not keep others' messages from a busy owner (TRA-13). In the twin, where messages are
// queued as they come, it does.
func TestFlood(t *testing.T) {
	for _, protected := range []bool{true, false} {
		flood(t, transport.Unsafe{AnyQueue: !protected})
	}
}

func flood(t *testing.T, u transport.Unsafe) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
		keys := sortedKeys(3)
		var n [3]*node
		for i := range n {
			n[i] = simNodeConfig(t, w, fmt.Sprint("host ", i), transport.Without(transport.Config{Key: keys[i]}, u), transporttest.HostOptions{})
		}
		befriend(n[:]...)
		victim, flooder, quiet := n[0], n[1], n[2]
		flooder.connect(victim)
		quiet.connect(victim)
		flooder.waitUp(victim)
		quiet.waitUp(victim)
		close(victim.stop)
		<-victim.done
		var full error
		for i := 0; i < 10_000 && full == nil; i++ {
			full = flooder.Send(victim.Key(), make([]byte, 100))
			time.Sleep(10 * time.Microsecond)
		}
		if (full != nil) == u.AnyQueue {
			t.Errorf("it floods, until %v; unprotected %v", full, u.AnyQueue)
		}
		if err := quiet.Send(victim.Key(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for before := 0; ; before++ { // its owner reads slowly
			if m, ok := (<-victim.Events()).(transport.Message); ok && m.Peer == quiet.Key() {
				t.Logf("after %d events of the flood", before)
				if before > 100 != u.AnyQueue {
					t.Errorf("the flood came first %d times; unprotected %v", before, u.AnyQueue)
				}
				break
			}
		}
		victim.stop, victim.done = make(chan struct{}), make(chan struct{})
		go victim.run()
	})
}
