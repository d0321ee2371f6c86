package transport_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestStrangersForgotten: of strangers who come and go nothing is kept, neither by the host nor, of keys and addresses, by
// libp2p. Keys are free, and meetings long. Twin: all of them are.
//
// Checks: TRA-5.
func TestStrangersForgotten(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { strangersForgotten(t, protected) })
	}
}

func strangersForgotten(t *testing.T, protected bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
		config := transport.Without(transport.Config{Key: testKey(1)}, transport.Unsafe{KeepStrangers: !protected})
		host := simNodeConfig(t, w, "host", config, transporttest.HostOptions{})
		host.SetDoorOpen(true)
		for i := range 20 {
			s := simNode(t, w, fmt.Sprint("s", i), testKey(int64(100+i)), transporttest.HostOptions{})
			d, err := s.OpenDoor(t.Context(), host.Key(), host.Addresses())
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Send(t.Context(), []byte("hello")); err != nil {
				t.Fatal(err)
			}
			theirs := <-host.Doors()
			if _, err := theirs.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			theirs.Close()
			s.close()
			if known, libp2p := host.Remembered(); i == 0 && (known == 0 || libp2p < 2) && host.ConnsTo(s.Key()) > 0 {
				t.Errorf("of who is there %d and %d are known: the test shows nothing", known, libp2p)
			}
		}
		time.Sleep(20 * time.Second)
		known, libp2p := host.Remembered()
		if forgotten := known == 0 && libp2p <= 1; forgotten != protected || !protected && (known < 20 || libp2p < 21) {
			t.Errorf("protected %v: of 20 who have gone %d are known to the host, %d to libp2p", protected, known, libp2p-1)
		}
	})
}

// TestMembersForgotten: one who comes back 100 times has the place of one, and none once it is no member any more.
//
// Checks: TRA-5.
func TestMembersForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
		a := simNode(t, w, "a", testKey(1), transporttest.HostOptions{})
		b := simNode(t, w, "b", testKey(2), transporttest.HostOptions{})
		befriend(a, b)
		for i := range 100 {
			a.connect(b)
			a.waitUp(b)
			b.waitUp(a)
			a.Disconnect(b.Key())
			a.wait("disconnection", time.Second, func() bool { return a.up[b.Key()] == 0 })
			b.wait("disconnection", time.Second, func() bool { return b.up[a.Key()] == 0 })
			if known, libp2p := a.Remembered(); known > 1 || libp2p > 2 {
				t.Fatalf("after %d connections %d and %d peers are known", i+1, known, libp2p)
			}
		}
		a.Revoke(b.Key())
		time.Sleep(20 * time.Second)
		if known, libp2p := a.Remembered(); known != 0 || libp2p > 1 {
			t.Errorf("of one who is gone %d is known to the host, %d to libp2p", known, libp2p-1)
		}
	})
}

// TestGossipFlood: a member who floods the room has the others neither pass that on without end nor miss what
// the others say. Twin: everybody's uplink carries it several times.
//
// Checks: TRA-23.
func TestGossipFlood(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { gossipFlood(t, protected) }) })
	}
}

func gossipFlood(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: 10 * time.Millisecond})
	const size = 32 << 10
	var all []*node
	for i, key := range sortedKeys(4) {
		c := transport.Without(transport.Config{Key: key}, transport.Unsafe{AnyGossip: !protected})
		all = append(all, simNodeConfig(t, w, string(rune('a'+i)), c, transporttest.HostOptions{}))
	}
	befriend(all...)
	for i, n := range all {
		for _, o := range all[:i] {
			n.connect(o)
			n.waitUp(o)
			o.waitUp(n)
		}
	}
	time.Sleep(2 * time.Second) // a mesh
	bad, honest, victim := all[0], all[1], all[2]
	const seconds, rate = 4, 64
	junk := make([]byte, size)
	for i := range seconds * rate {
		binary.BigEndian.PutUint32(junk, uint32(i))
		if err := bad.Publish(bytes.Clone(junk)); err != nil {
			t.Fatal(err)
		}
		if i%(rate/8) == 0 {
			if err := honest.Publish(fmt.Appendf(nil, "note %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second / rate)
	}
	time.Sleep(time.Second)
	_, _, gossip := victim.received()
	flood, notes := 0, 0
	for _, g := range gossip {
		if len(g.Data) == size {
			flood += size
		} else if bytes.HasPrefix(g.Data, []byte("note")) {
			notes++
		}
	}
	t.Logf("of %d KB %d were delivered, and %d of %d notes", seconds*rate*size>>10, flood>>10, notes, 8*seconds)
	const most = 5 << 19
	switch {
	case protected && flood > most:
		t.Errorf("%d KB of the flood were delivered and passed on", flood>>10)
	case protected && notes < 8*seconds*3/4:
		t.Errorf("%d of %d notes came", notes, 8*seconds)
	case !protected && flood < 2*most:
		t.Errorf("twin: only %d KB of the flood came", flood>>10)
	}
}

// TestCloseJammed: for a peer who has stopped to read nothing waits when its files end, or when it is put out with circuits
// open. Twin: a meeting waits.
//
// Checks: TRA-16, TRA-17.
func TestCloseJammed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of real time")
	}
	t.Run("twin", func(t *testing.T) {
		jammed(t, func(_, _ *node, files []*transport.FileStream) { files[0].Close() })
	})
	a, b := thinPair(t, 30_000, transport.Unsafe{})
	for range 4 {
		if err := b.OpenHop(a.Key()); err != nil {
			t.Fatal(err)
		}
	}
	files := jam(t, a, b)
	begun := time.Now()
	for _, f := range files {
		f.Close()
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("Close of %d files took %v", len(files), took)
	}
	begun = time.Now()
	a.Dismiss(b.Key(), [][]byte{[]byte("you are out")})
	if took := time.Since(begun); took > time.Second {
		t.Errorf("Dismiss took %v", took)
	}
}

// jammed is the twin of what must not wait for a peer who has stopped to read: where that isn't done behind it, f waits as
// long as there is a connection.
func jammed(t *testing.T, f func(a, b *node, files []*transport.FileStream)) {
	t.Helper()
	a, b := thinPair(t, 30_000, transport.Unsafe{WaitToEnd: true})
	files := jam(t, a, b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(a, b, files)
	}()
	select {
	case <-done:
		t.Error("nothing waited for who has stopped to read")
	case <-time.After(2500 * time.Millisecond):
	}
	b.close() // which ends the connection
	<-done
}

// jam sends until the connection takes nothing more. It returns streams that are still open.
func jam(t *testing.T, a, b *node) (open []*transport.FileStream) {
	t.Helper()
	frame := make([]byte, transport.MaxFrame)
	for range 60 { // each takes yamux's window of a stream
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		f, err := a.OpenFile(ctx, b.Key())
		cancel()
		if err != nil {
			return open
		}
		open = append(open, f)
		for f.Send(frame, 30*time.Millisecond) == nil {
		}
	}
	t.Skip("this kernel's buffers can't be filled")
	return nil
}

// TestSilentMembers: members who open all the streams they may, and say nothing on them, take nobody else's place.
//
// Checks: TRA-13.
func TestSilentMembers(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { silentMembers(t, protected) }) })
	}
}

func silentMembers(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
	config := transport.Without(transport.Config{Key: testKey(1)}, transport.Unsafe{FewStreams: !protected})
	host := simNodeConfig(t, w, "host", config, transporttest.HostOptions{})
	var all []*node
	for i := range 6 {
		n := simNode(t, w, string(rune('a'+i)), testKey(int64(2+i)), transporttest.HostOptions{})
		befriend(host, n)
		n.connect(host)
		n.waitUp(host)
		host.waitUp(n)
		all = append(all, n)
	}
	for _, bad := range all[1:] {
		for range 200 {
			_ = bad.OpenSilent(host.Key())
		}
	}
	time.Sleep(time.Second)
	came := false
	if f, err := all[0].OpenFile(t.Context(), host.Key()); err == nil {
		_ = f.Send([]byte("ask"), time.Second)
		select {
		case theirs := <-host.Files():
			came = true
			theirs.Close()
		case <-time.After(2 * time.Second):
		}
		f.Close()
	}
	if came != protected {
		t.Errorf("a file stream came: %v", came)
	}
}

// TestNudges: a member that doesn't let another in, and tells it again and again that it would now, isn't sent all that waits
// each time.
//
// Checks: TRA-24.
func TestNudges(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { nudges(t, protected) }) })
	}
}

func nudges(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: 10 * time.Millisecond})
	config := transport.Without(transport.Config{Key: testKey(1)}, transport.Unsafe{AnyNudge: !protected})
	victim := simNodeConfig(t, w, "victim", config, transporttest.HostOptions{})
	bad := simNode(t, w, "bad", testKey(2), transporttest.HostOptions{})
	victim.Allow(bad.Key())
	victim.connect(bad) // which doesn't let it in
	victim.waitUp(bad)
	for range 15 {
		if err := victim.Send(bad.Key(), make([]byte, 60_000)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * time.Second)
	var sent atomic.Int64
	from := victim.Addresses()[0].String()
	w.SetTap(func(d transporttest.Datagram) {
		if strings.HasPrefix(from, "/ip4/"+d.From.Addr().String()+"/") {
			sent.Add(int64(len(d.Data)))
		}
	})
	for range 100 {
		_ = bad.OpenPair(victim.Key())
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("100 times in 10 s: sent %d KB", sent.Load()>>10)
	if most := int64(3 << 20); (sent.Load() > most) == protected {
		t.Errorf("100 times in 10 s: sent %d KB", sent.Load()>>10)
	}
}

// TestCircuitsTaken: a member who has another bridge for it, to somebody whom it tells nothing, doesn't take the places of
// all who need that.
//
// Checks: TRA-18.
func TestCircuitsTaken(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 10 * time.Millisecond})
				a, b, bridge := trio(t, w, strict, strict, transport.Unsafe{AnyCircuits: !protected})
				bad := simNode(t, w, "bad", testKey(99), transporttest.HostOptions{})
				befriend(bad, bridge)
				bad.connect(bridge)
				bad.waitUp(bridge)
				bridge.waitUp(bad)
				for range 100 {
					if err := bad.AskCircuit(bridge.Key(), b.Key()); err != nil {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				if err := a.circuitTo(b, bridge); (err == nil) != protected {
					t.Errorf("another's circuit: %v", err)
				}
			})
		})
	}
}
