package transport_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestStrangerLearnsNothing has a stranger who knows the room, the address and the key
// of a member connect and try every protocol, while the members talk (TRA-3, TRA-4).
// The twin runs the same attack without the gate and must succeed.
func TestStrangerLearnsNothing(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { strangerAttack(t, protected) }) })
	}
}

func strangerAttack(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	keys := sortedKeys(3)
	a := simNode(t, w, "a", keys[0], transporttest.HostOptions{})
	config := transport.Config{Key: keys[1]}
	if !protected {
		config = transport.Without(config, transport.Unsafe{OpenGate: true})
	}
	b := simNodeConfig(t, w, "b", config, transporttest.HostOptions{})
	s := simNode(t, w, "stranger", keys[2], transporttest.HostOptions{})
	befriend(a, b)
	a.connect(b)
	a.waitUp(b)
	s.Allow(b.Key())
	s.connect(b)
	s.waitUp(b)
	s.ForceGreet(b.Key())
	_ = s.Send(b.Key(), []byte("let me in"))
	time.Sleep(2 * time.Second)
	s.ForceGreet(b.Key())
	time.Sleep(time.Second)
	for _, n := range []*node{a, b} {
		if err := n.Publish([]byte("secret of the room from " + n.name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Send(b.Key(), []byte("pair secret")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	b.wait("gossip among members", time.Second, b.gossiped("secret of the room from a"))

	seen := s.tapOf(transport.TapStream)
	learnt := map[string]bool{
		"topic":   bytes.Contains(seen, []byte(transport.TopicName(room))),
		"message": bytes.Contains(seen, []byte("secret of the room")),
	}
	for what, got := range learnt {
		if got == protected {
			t.Errorf("stranger learns the %s: %v, protected: %v", what, got, protected)
		}
	}
	if bytes.Contains(seen, []byte("pair secret")) {
		t.Error("stranger read a pair message of others")
	}
	if !protected {
		return
	}
	if n := s.RoomPeers(); n != 0 {
		t.Errorf("stranger sees %d peers in the room", n)
	}
	if b.has(b.got("let me in")) || len(b.tapOf(transport.TapPair)) != len("pair secret") {
		t.Error("a stranger's pair message reached the member")
	}
	time.Sleep(5 * time.Second)
	if b.ConnsTo(s.Key()) != 0 {
		t.Error("the stranger's connection is still open")
	}
}

// TestStrangersAreBounded opens more stranger connections than may be (TRA-5). Twin: all stay.
func TestStrangersAreBounded(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { strangersAreBounded(t, protected) })
		})
	}
}

func strangersAreBounded(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
	const limit, many = 8, 20
	config := transport.Without(transport.Config{Key: testKey(1), MaxStrangers: limit}, transport.Unsafe{AnyStrangers: !protected})
	host := simNodeConfig(t, w, "host", config, transporttest.HostOptions{})
	var strangers []*node
	for i := range many {
		s := simNode(t, w, string(rune('A'+i)), testKey(int64(100+i)), transporttest.HostOptions{})
		s.Allow(host.Key())
		_ = s.Connect(context.Background(), host.Key(), host.Addresses())
		strangers = append(strangers, s)
	}
	open := func() (n int) {
		for _, s := range strangers {
			n += host.ConnsTo(s.Key())
		}
		return n
	}
	time.Sleep(100 * time.Millisecond)
	if n := open(); n != map[bool]int{true: limit, false: many}[protected] {
		t.Errorf("%d stranger connections, of %d that may be", n, limit)
	}
	time.Sleep(6 * time.Second)
	if n := open(); (n > 0) == protected {
		t.Errorf("%d of strangers' connections outlived their time", n)
	}
}

// TestAdmission admits over the connection the door was opened on, in either order,
// with no second one (TRA-6) (TRA-4, TRA-6).
func TestAdmission(t *testing.T) {
	for name, hostFirst := range map[string]bool{"host first": true, "joiner first": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { admission(t, hostFirst) })
		})
	}
}

func admission(t *testing.T, hostFirst bool) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	keys := sortedKeys(2)
	host := simNode(t, w, "host", keys[0], transporttest.HostOptions{})
	joiner := simNode(t, w, "joiner", keys[1], transporttest.HostOptions{})
	host.SetDoorOpen(true)
	ctx := context.Background()
	door, err := joiner.OpenDoor(ctx, host.Key(), host.Addresses())
	if err != nil {
		t.Fatal(err)
	}
	if err := door.Send(ctx, []byte("knock")); err != nil {
		t.Fatal(err)
	}
	answer := <-host.Doors()
	if _, err := answer.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute) // the lobby
	first, second := host, joiner
	if !hostFirst {
		first, second = joiner, host
	}
	first.Allow(second.Key())
	first.waitUp(second)
	if err := first.Send(second.Key(), []byte("early")); err != nil { // kept until it is let in
		t.Fatal(err)
	}
	time.Sleep(7 * time.Second)
	if bytes.Contains(second.tapOf(transport.TapStream), []byte(transport.TopicName(room))) { // TRA-4
		t.Error("it was greeted in the room before it had let the other in")
	}
	door.Close()
	answer.Close()
	time.Sleep(time.Second)
	second.Allow(first.Key())
	second.waitUp(first)
	start := time.Now()
	second.wait("message sent before admission", time.Second, second.got("early"))
	for host.RoomPeers() == 0 || joiner.RoomPeers() == 0 {
		if time.Since(start) > time.Second {
			t.Fatal("no greeting in the room within a second of admission")
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("in the room %v after admission", time.Since(start))
	time.Sleep(time.Second)
	for _, n := range []struct{ from, to *node }{{host, joiner}, {joiner, host}} {
		if err := n.from.Publish([]byte("welcome from " + n.from.name)); err != nil {
			t.Fatal(err)
		}
		n.to.wait("gossip", time.Second, n.to.gossiped("welcome from "+n.from.name))
	}
	for _, n := range []struct{ from, to *node }{{host, joiner}, {joiner, host}} {
		if c := n.from.ConnsTo(n.to.Key()); c != 1 || !n.from.has(func() bool { return n.from.connects == 1 }) {
			t.Errorf("%s has %d connections, want 1, or saw PeerConnected twice", n.from.name, c)
		}
	}
}

// TestRevoke cuts a member off at once, media included (TRA-7); the twin, without
// Revoke, keeps receiving.
func TestRevoke(t *testing.T) {
	for name, revoke := range map[string]bool{"revoked": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { revocation(t, revoke) }) })
	}
}

func revocation(t *testing.T, revoke bool) {
	const latency = 20 * time.Millisecond
	w := newWorld(t, transporttest.Options{Latency: latency})
	keys := sortedKeys(2)
	a := simNode(t, w, "a", keys[0], transporttest.HostOptions{})
	b := simNode(t, w, "b", keys[1], transporttest.HostOptions{})
	befriend(a, b)
	a.connect(b)
	a.waitUp(b)
	a.offer(b)
	a.waitMedia(b, true, 5*time.Second)
	b.waitMedia(a, true, 5*time.Second)
	link := a.Media(b.Key())
	talk := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			_ = link.WritePacket(transport.Audio, []byte("voice"))
			_ = a.Send(b.Key(), []byte("note "+time.Now().String()))
			_ = a.Publish([]byte("news " + time.Now().String()))
		}
	}
	talk(time.Second)
	if revoke {
		a.Revoke(b.Key())
	}
	time.Sleep(latency) // what was under way
	synctest.Wait()
	before := b.total()
	talk(2 * time.Second)
	after := b.total()
	if before == 0 || revoke != (after == before) {
		t.Fatalf("revoked %v: received %d before, %d after", revoke, before, after)
	}
	if !revoke {
		return
	}
	if err := link.WritePacket(transport.Audio, []byte("x")); !errors.Is(err, transport.ErrLinkDown) {
		t.Errorf("write on a revoked link: %v", err)
	}
	if err := a.Send(b.Key(), []byte("x")); !errors.Is(err, transport.ErrNotAllowed) {
		t.Errorf("send to a revoked peer: %v", err)
	}
	if a.ConnsTo(b.Key()) != 0 || a.Media(b.Key()) != nil {
		t.Error("revoked peer keeps a connection or link")
	}
	b.waitMedia(a, false, time.Second)
	b.wait("disconnection", time.Second, func() bool { return b.up[a.Key()] == 0 })
	// It may connect again as any stranger may, and gets nothing.
	b.connect(a)
	_ = b.Send(a.Key(), []byte("back again"))
	b.ForceGreet(a.Key())
	talk(time.Second)
	if a.has(a.got("back again")) || b.total() != after {
		t.Error("a revoked peer came back by reconnecting")
	}
}

// TestDoor exchanges frames with the door open, and fails with the door closed, for a
// second stream of one peer, and for too many in all (TRA-5).
func TestDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		host := simNodeConfig(t, w, "host", transport.Config{Key: testKey(1), MaxDoors: 2}, transporttest.HostOptions{})
		ctx := context.Background()
		knock := func(i int) (*transport.DoorStream, error) {
			j := simNode(t, w, "joiner"+string(rune('a'+i)), testKey(int64(10+i)), transporttest.HostOptions{})
			d, err := j.OpenDoor(ctx, host.Key(), host.Addresses())
			if err != nil {
				return nil, err
			}
			t.Cleanup(d.Close)
			if err := d.Send(ctx, []byte("knock")); err != nil {
				return nil, err
			}
			timeout, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err = d.Receive(timeout)
			return d, err
		}
		serve := func(d *transport.DoorStream) {
			for {
				frame, err := d.Receive(ctx)
				if err != nil {
					d.Close()
					return
				}
				_ = d.Send(ctx, append([]byte("who is "), frame...))
			}
		}
		if _, err := knock(0); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("door closed: %v, want a refusal", err)
		}
		host.SetDoorOpen(true)
		go func() {
			for range 2 {
				go serve(<-host.Doors())
			}
		}()
		for i := 1; i <= 2; i++ {
			if _, err := knock(i); err != nil {
				t.Errorf("door open: %v", err)
			}
		}
		if _, err := knock(3); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("third of two: %v, want a refusal", err)
		}
	})
}

// TestDoorSilence: who opens the door and says nothing is put out (TRA-5). The twin waits.
func TestDoorSilence(t *testing.T) {
	for _, protected := range []bool{true, false} {
		doorSilence(t, protected)
	}
}

func doorSilence(t *testing.T, protected bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		host := simNodeConfig(t, w, "host", transport.Without(transport.Config{Key: testKey(1), DoorTimeout: time.Minute},
			transport.Unsafe{AnyDoors: !protected}), transporttest.HostOptions{})
		joiner := simNode(t, w, "joiner", testKey(2), transporttest.HostOptions{})
		host.SetDoorOpen(true)
		ctx := context.Background()
		d, err := joiner.OpenDoor(ctx, host.Key(), host.Addresses())
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		go func() {
			timeout, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			_, _ = d.Receive(timeout) // flushes the opening
		}()
		in := <-host.Doors()
		start := time.Now()
		if _, err := in.Receive(ctx); err == nil {
			t.Fatal("received something")
		}
		if d := time.Since(start); d <= 11*time.Second != protected {
			t.Errorf("silence borne for %v; protected %v", d, protected)
		}
		in.Close()
	})
}
