package transport_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestRoundTrips counts what the network must wait for, at 40 ms there and back.
func TestRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt = 40 * time.Millisecond
		w := newWorld(t, transporttest.Options{Latency: rtt / 2})
		keys := sortedKeys(3)
		a := simNode(t, w, "a", keys[0], transporttest.HostOptions{})
		b := simNode(t, w, "b", keys[1], transporttest.HostOptions{})
		befriend(a, b)
		report := func(what string, start time.Time, limit float64) {
			t.Helper()
			n := float64(time.Since(start)) / float64(rtt)
			t.Logf("%s: %.2f round trips", what, n)
			if n > limit {
				t.Errorf("%s took %.2f round trips, want at most %v", what, n, limit)
			}
		}
		ctx := context.Background()

		joiner := simNode(t, w, "joiner", keys[2], transporttest.HostOptions{})
		b.SetDoorOpen(true)
		go func() {
			d := <-b.Doors()
			frame, err := d.Receive(ctx)
			if err == nil {
				_ = d.Send(ctx, frame)
			}
		}()
		start := time.Now()
		d, err := joiner.OpenDoor(ctx, b.Key(), b.Addresses())
		if err != nil {
			t.Fatal(err)
		}
		report("door: connected", start, 1)
		if err := d.Send(ctx, []byte("1")); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		report("door: dial to answer", start, 2)
		d.Close()

		start = time.Now()
		a.connect(b)
		report("connect", start, 1)
		if err := a.Send(b.Key(), []byte("first")); err != nil {
			t.Fatal(err)
		}
		b.wait("message", time.Second, b.got("first"))
		report("dial to first pair message", start, 1.5)
		time.Sleep(time.Second)

		start = time.Now()
		a.offer(b)
		a.waitMedia(b, true, time.Second)
		report("offer to offerer's link up", start, 3.01)
		b.waitMedia(a, true, time.Second)
		report("offer to answerer's link up", start, 3.51)
	})
	for _, fromOfferer := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { firstPacket(t, fromOfferer) })
	}
}

// firstPacket measures from the offer to the first media packet received.
func firstPacket(t *testing.T, fromOfferer bool) {
	const rtt = 40 * time.Millisecond
	w := newWorld(t, transporttest.Options{Latency: rtt / 2})
	keys := sortedKeys(2)
	a := simNode(t, w, "a", keys[0], transporttest.HostOptions{})
	b := simNode(t, w, "b", keys[1], transporttest.HostOptions{})
	befriend(a, b)
	a.connect(b)
	a.waitUp(b)
	time.Sleep(time.Second)
	from, to, who := b, a, "answerer"
	if fromOfferer {
		from, to, who = a, b, "offerer"
	}
	start := time.Now()
	a.offer(b)
	from.waitMedia(to, true, time.Second)
	took := time.Since(start) + mediaFlows(t, from, to, "first", time.Second)
	n := float64(took) / float64(rtt)
	t.Logf("offer to first packet from the %s: %.2f round trips", who, n)
	if n > 4.01 {
		t.Errorf("first packet from the %s after %.2f round trips", who, n)
	}
}

// TestWorld32 is a full mesh of 32 with audio on every link. It must stay affordable.
func TestWorld32(t *testing.T) {
	if testing.Short() {
		t.Skip("32 hosts take several seconds")
	}
	n := 32
	if raceEnabled {
		n = 8
	}
	world(t, n)
}

// TestWorld8 is the same with 8.
func TestWorld8(t *testing.T) { world(t, 8) }

func world(t *testing.T, size int) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		keys := sortedKeys(size)
		nodes := make([]*node, size)
		var received atomic.Int64
		for i := range nodes {
			nodes[i] = simNodeConfig(t, w, fmt.Sprint("host ", i), transport.Config{Key: keys[i],
				OnPacket: func(transport.PeerKey, transport.Kind, []byte) { received.Add(1) }}, transporttest.HostOptions{})
		}
		befriend(nodes...)
		start := time.Now()
		for i, a := range nodes {
			for _, b := range nodes[i+1:] {
				go func() { // as an owner would: all at once, and again if turned away
					for !a.linked(b) {
						if a.Connect(t.Context(), b.Key(), b.Addresses()) != nil {
							t.Error("no connection")
							return
						}
						if offer, err := a.MediaOffer(b.Key()); err == nil {
							_ = a.Send(b.Key(), append(bytes.Clone(offerPrefix), offer...))
						}
						time.Sleep(time.Second)
					}
				}()
			}
		}
		for _, a := range nodes {
			a.wait("all links", 20*time.Second, func() bool {
				up := 0
				for _, st := range a.media {
					if st.Up {
						up++
					}
				}
				return up == size-1
			})
		}
		t.Logf("%d link ends up after %v virtual, %v real, %d goroutines", size*(size-1), time.Since(start), sinceReal(began), runtime.NumGoroutine())
		time.Sleep(time.Second)
		var peers []transport.PeerKey
		for _, a := range nodes {
			peers = append(peers, a.Key())
		}
		received.Store(0)
		real := sinceReal(began)
		const seconds = 2
		payload := make([]byte, 160)
		for range 50 * seconds {
			for _, a := range nodes {
				if sent := a.Fanout(transport.Audio, payload, peers); sent != size-1 {
					t.Fatalf("sent to %d of %d", sent, size-1)
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("%v real per virtual second of audio from everybody", (sinceReal(began)-real)/seconds)
		for _, a := range nodes {
			if err := a.Publish([]byte("from " + a.name)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		for _, a := range nodes {
			if _, _, n := a.count(); n != size-1 {
				t.Errorf("%s got %d of %d gossip messages", a.name, n, size-1)
			}
		}
		if want := int64(size * (size - 1) * 50 * seconds); received.Load() != want {
			t.Errorf("%d of %d packets", received.Load(), want)
		}
	})
	t.Logf("%v real in all", time.Since(began))
}
