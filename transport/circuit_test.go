package transport_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

var (
	public = transporttest.HostOptions{}
	narrow = transporttest.HostOptions{NAT: transporttest.PortRestricted}
	strict = transporttest.HostOptions{NAT: transporttest.Symmetric}
)

// via is the address of a circuit through a member.
func via(t testing.TB, bridge *node) ma.Multiaddr {
	t.Helper()
	a, err := transport.CircuitAddress(bridge.Key())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// bridged makes two hosts and a bridge that both are connected to.
func bridged(t testing.TB, w *transporttest.World, oa, ob transporttest.HostOptions, u transport.Unsafe) (a, b, bridge *node) {
	t.Helper()
	keys := sortedKeys(3)
	a = simNodeConfig(t, w, "a", transport.Without(transport.Config{Key: keys[0]}, u), oa)
	b = simNodeConfig(t, w, "b", transport.Without(transport.Config{Key: keys[1]}, u), ob)
	bridge = simNodeConfig(t, w, "bridge", transport.Without(transport.Config{Key: keys[2]}, u), public)
	befriend(a, b, bridge)
	for _, n := range []*node{a, b} {
		n.connect(bridge)
		n.waitUp(bridge)
		bridge.waitUp(n)
	}
	return a, b, bridge
}

// trio is bridged, and the second has reserved.
func trio(t testing.TB, w *transporttest.World, oa, ob transporttest.HostOptions, u transport.Unsafe) (a, b, bridge *node) {
	t.Helper()
	a, b, bridge = bridged(t, w, oa, ob, u)
	if _, err := b.Reserve(t.Context(), bridge.Key()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // the welcomes have come, with what is observed
	return a, b, bridge
}

func (n *node) circuitTo(peer, bridge *node) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return n.Connect(ctx, peer.Key(), append(peer.Addresses(), via(n.t, bridge)))
}

// TestCircuit: two behind symmetric NATs talk through a member, by every kind of stream, and it alone is in the middle.
//
// Checks: TRA-18.
func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b, bridge := trio(t, w, strict, strict, transport.Unsafe{})
		start := time.Now()
		if err := a.circuitTo(b, bridge); err != nil {
			t.Fatal(err)
		}
		t.Logf("connected after %v", time.Since(start))
		a.waitUp(b)
		b.waitUp(a)
		want := transport.Path{Kind: transport.PathMember, Via: bridge.Key()}
		if p, q := a.Path(b.Key()), b.Path(a.Key()); p != want || q != want {
			t.Errorf("paths %v, %v, want %v", p, q, want)
		}
		for _, n := range []struct{ from, to *node }{{a, b}, {b, a}} {
			if err := n.from.Send(n.to.Key(), []byte("by circuit")); err != nil {
				t.Fatal(err)
			}
			n.to.wait("message", time.Second, n.to.got("by circuit"))
		}
		time.Sleep(time.Second)
		if got := a.RoomPeers(); got != 2 {
			t.Errorf("%d in the room, want 2", got)
		}
		sent := make(chan []byte, 1)
		go func() {
			f := <-b.Files()
			defer f.Close()
			frame, _ := f.Receive(time.Second)
			sent <- frame
		}()
		f, err := a.OpenFile(t.Context(), b.Key())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Send([]byte("file"), time.Second); err != nil {
			t.Fatal(err)
		}
		if got := <-sent; string(got) != "file" {
			t.Errorf("the file stream brought %q", got)
		}
		for _, n := range []*node{a, b} { // of two who see it differently, one is the bridge
			if got := n.ObservedBy(b.Key(), a.Key()); got != 0 {
				t.Errorf("%s: what is seen over a circuit counts as observed", n.name)
			}
		}
	})
}

// TestDialledAnew: a dial that hangs on some addresses keeps no later one from those that it failed on, and the two end as
// one.
//
// Checks: TRA-10.
func TestDialledAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b, bridge := bridged(t, w, strict, strict, transport.Unsafe{})
		dial := func() error { return a.Connect(t.Context(), b.Key(), []ma.Multiaddr{hole, via(t, bridge)}) }
		first := make(chan error, 1)
		go func() { first <- dial() }() // b has not reserved
		time.Sleep(time.Second)
		select {
		case err := <-first:
			t.Fatalf("it hangs on nothing: %v", err)
		default:
		}
		if _, err := b.Reserve(t.Context(), bridge.Key()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := dial(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 700*time.Millisecond {
			t.Errorf("the second took %v", took)
		}
		if err := <-first; err != nil || time.Since(start) > 700*time.Millisecond {
			t.Errorf("the first ends after %v: %v", time.Since(start), err)
		}
	})
}

// TestPunched: two behind port-restricted NATs begin through a member and go on directly, and lose no message by that.
//
// Checks: TRA-20.
func TestPunched(t *testing.T) {
	for name, direct := range map[string]bool{"a offers": true, "by the other": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				a, b, bridge := trio(t, w, narrow, narrow, transport.Unsafe{})
				from, to := a, b
				if !direct {
					if _, err := a.Reserve(t.Context(), bridge.Key()); err != nil {
						t.Fatal(err)
					}
					from, to = b, a
				}
				if err := from.circuitTo(to, bridge); err != nil {
					t.Fatal(err)
				}
				a.waitUp(b)
				b.waitUp(a)
				start := time.Now()
				stop, stopped := make(chan struct{}), make(chan int, 2)
				for _, n := range []struct{ from, to *node }{{a, b}, {b, a}} {
					go func() {
						sent := 0
						for {
							select {
							case <-stop:
								stopped <- sent
								return
							case <-time.After(5 * time.Millisecond):
								if err := n.from.Send(n.to.Key(), fmt.Appendf(nil, "message %d", sent)); err != nil {
									t.Error(err)
								}
								sent++
							}
						}
					}()
				}
				a.offer(b)
				for a.Path(b.Key()).Kind != transport.PathUDP || b.Path(a.Key()).Kind != transport.PathUDP {
					if time.Since(start) > 5*time.Second {
						t.Fatal("the path stays", a.Path(b.Key()), b.Path(a.Key()))
					}
					time.Sleep(5 * time.Millisecond)
				}
				took := time.Since(start)
				t.Logf("direct after %v", took)
				if took > time.Second {
					t.Errorf("direct after %v, want within 1 s", took)
				}
				time.Sleep(circuitsGoWithin)
				if n := a.ConnsTo(b.Key()); n > 2 {
					t.Errorf("%d connections", n)
				}
				if a.CircuitsTo(b.Key())+b.CircuitsTo(a.Key()) != 0 {
					t.Error("the circuit is still there")
				}
				close(stop)
				sent := max(<-stopped, <-stopped)
				time.Sleep(time.Second)
				for _, n := range []*node{a, b} {
					checkOrder(t, n, sent)
					if n.has(func() bool { return n.connects > 2 }) { // the bridge, the other
						t.Errorf("%s was told of %d connections", n.name, n.connects)
					}
				}
			})
		})
	}
}

// TestMiddleSeesNoMore: once there is a direct connection, whoever was in the middle sees no more how much the two say to
// each other. The twin goes on through it.
//
// Checks: TRA-20.
func TestMiddleSeesNoMore(t *testing.T) {
	twins(t, transport.Unsafe{KeepCircuits: true}, func(t *testing.T, u transport.Unsafe) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b, bridge := trio(t, w, narrow, narrow, u)
		if err := a.circuitTo(b, bridge); err != nil {
			t.Fatal(err)
		}
		a.waitUp(b)
		b.waitUp(a)
		a.offer(b)
		for start := time.Now(); a.Path(b.Key()).Kind != transport.PathUDP; time.Sleep(5 * time.Millisecond) {
			if time.Since(start) > 5*time.Second {
				t.Fatal("no direct path")
			}
		}
		time.Sleep(circuitsGoWithin)
		var seen atomic.Int64
		bridge.network.SetTap(func(d transporttest.Datagram) { seen.Add(int64(len(d.Data))) })
		const messages, size = 200, 1000
		for range messages {
			if err := a.Send(b.Key(), make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if err := a.Send(b.Key(), []byte("that was all")); err != nil {
			t.Fatal(err)
		}
		b.wait("message", time.Second, b.got("that was all"))
		kept, bytes := a.CircuitsTo(b.Key())+b.CircuitsTo(a.Key()), seen.Load()
		t.Logf("%d circuits, %d bytes through the middle", kept, bytes)
		if protected := !u.KeepCircuits; (kept == 0 && bytes < messages*size/10) != protected {
			t.Errorf("%d circuits, %d bytes through the middle; protected %v", kept, bytes, protected)
		}
	})
}

// circuitsGoWithin is how soon a circuit must be closed beside a direct connection.
const circuitsGoWithin = 1500 * time.Millisecond

// checkOrder checks that all messages came, once and in order.
func checkOrder(t *testing.T, n *node, sent int) {
	t.Helper()
	next := 0
	_, messages, _ := n.received()
	for _, m := range messages {
		var i int
		if _, err := fmt.Sscanf(string(m.Data), "message %d", &i); err != nil {
			continue
		}
		if i != next {
			t.Fatalf("%s: message %d came where %d was due", n.name, i, next)
		}
		next++
	}
	if next < sent-1 {
		t.Errorf("%s got %d of %d", n.name, next, sent)
	}
}

// TestRevokedCircuit: whoever is put out is cut off, whether it is an end of a circuit or in the middle.
//
// Checks: TRA-18.
func TestRevokedCircuit(t *testing.T) {
	for name, revoke := range map[string]func(a, b, bridge *node){
		"the bridge revokes the dialler":    func(a, _, bridge *node) { bridge.Revoke(a.Key()) },
		"the bridge revokes the dialled":    func(_, b, bridge *node) { bridge.Revoke(b.Key()) },
		"the bridge dismisses":              func(a, _, bridge *node) { bridge.Dismiss(a.Key(), [][]byte{[]byte("go")}) },
		"an end revokes the bridge":         func(a, _, bridge *node) { a.Revoke(bridge.Key()) },
		"the other end revokes the bridge":  func(_, b, bridge *node) { b.Revoke(bridge.Key()) },
		"an end revokes the other":          func(a, b, _ *node) { a.Revoke(b.Key()) },
		"the dialled end revokes the other": func(a, b, _ *node) { b.Revoke(a.Key()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				a, b, bridge := trio(t, w, strict, strict, transport.Unsafe{})
				if err := a.circuitTo(b, bridge); err != nil {
					t.Fatal(err)
				}
				a.waitUp(b)
				b.waitUp(a)
				revoke(a, b, bridge)
				time.Sleep(100 * time.Millisecond)
				if n := a.CircuitsTo(b.Key()) + b.CircuitsTo(a.Key()); n != 0 {
					t.Errorf("%d ends of the circuit are left", n)
				}
			})
		})
	}
}

// TestBridgeForMembers: a bridge neither takes reservations of strangers or the removed nor connects them, nor anybody to
// them. The twin, without the list, does all of it.
//
// Checks: TRA-18.
func TestBridgeForMembers(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				a, b, bridge := trio(t, w, strict, strict, transport.Unsafe{AnyBridge: !protected})
				// a stranger to the bridge and b reaches b's door through the bridge
				stranger := simNode(t, w, "stranger", testKey(99), public)
				stranger.Allow(bridge.Key())
				stranger.connect(bridge)
				b.SetDoorOpen(true)
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				door, err := stranger.OpenDoor(ctx, b.Key(), []ma.Multiaddr{via(t, bridge)})
				if (err != nil) != protected {
					t.Errorf("a stranger's circuit: %v, protected: %v", err, protected)
				}
				if door != nil {
					door.Close()
				}
				if _, err := stranger.Reserve(ctx, bridge.Key()); (err != nil) != protected {
					t.Errorf("a stranger's reservation: %v, protected: %v", err, protected)
				}
				// who was removed connects again, and asks for circuits
				bridge.Revoke(a.Key())
				a.wait("end", time.Second, func() bool { return a.up[bridge.Key()] == 0 })
				a.connect(bridge)
				if err := a.circuitTo(b, bridge); (err != nil) != protected {
					t.Errorf("a circuit of who was removed: %v, protected: %v", err, protected)
				}
				// a member asks for a circuit to who was removed
				bridge.Revoke(b.Key())
				bridge.Allow(a.Key())
				time.Sleep(time.Second)
				a.Disconnect(bridge.Key())
				time.Sleep(time.Second)
				a.connect(bridge)
				b.connect(bridge)
				time.Sleep(time.Second)
				if _, err := b.Reserve(ctx, bridge.Key()); (err != nil) != protected {
					t.Errorf("a reservation of who was removed: %v, protected: %v", err, protected)
				}
				a.Disconnect(b.Key())
				if err := a.circuitTo(b, bridge); (err != nil) != protected {
					t.Errorf("a circuit to who was removed: %v, protected: %v", err, protected)
				}
			})
		})
	}
}

// TestStrangerByCircuit: who comes by a circuit and is no member gets the door alone.
//
// Checks: TRA-3.
func TestStrangerByCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b, bridge := trio(t, w, strict, strict, transport.Unsafe{})
		b.Revoke(a.Key()) // which the bridge has not heard of
		b.SetDoorOpen(true)
		if err := a.circuitTo(b, bridge); err != nil {
			t.Fatal(err)
		}
		if err := a.Send(b.Key(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Reserve(t.Context(), b.Key()); err == nil {
			t.Error("a stranger has reserved over a circuit")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		door, err := a.OpenDoor(ctx, b.Key(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer door.Close()
		if err := door.Send(ctx, []byte("knock")); err != nil {
			t.Fatal(err)
		}
		theirs := <-b.Doors()
		defer theirs.Close()
		if frame, err := theirs.Receive(ctx); err != nil || string(frame) != "knock" {
			t.Errorf("at the door: %q, %v", frame, err)
		}
		time.Sleep(time.Second)
		if b.has(b.got("hello")) {
			t.Error("a stranger's message was delivered")
		}
	})
}

// TestCircuitAddresses: circuits are dialled through allowed and connected members, and through relays at addresses that
// may be dialled; through nobody else (TRA-1).
func TestCircuitAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b, bridge := trio(t, w, strict, strict, transport.Unsafe{})
		stranger := simNode(t, w, "stranger", testKey(99), public)
		circuit := func(at ma.Multiaddr, n *node) ma.Multiaddr {
			return ma.StringCast(at.String() + via(t, n).String())
		}
		for _, tt := range []struct {
			name string
			addr ma.Multiaddr
			want error
		}{
			{"through a stranger", via(t, stranger), transport.ErrNoAddress},
			{"through oneself", via(t, a), transport.ErrNoAddress},
			{"through the peer", via(t, b), transport.ErrNoAddress},
			{"through a relay in another's network", circuit(ma.StringCast("/ip4/10.9.9.9/udp/53/quic-v1"), stranger), transport.ErrNoAddress},
			{"through a relay by name", circuit(ma.StringCast("/dns4/example.org/udp/53/quic-v1"), stranger), transport.ErrNoAddress},
			{"through two", ma.StringCast(via(t, bridge).String() + via(t, bridge).String()), transport.ErrNoAddress},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := a.Connect(ctx, b.Key(), []ma.Multiaddr{tt.addr})
			cancel()
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

func TestRankDials(t *testing.T) {
	const p2p = "/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA/p2p-circuit"
	const quic, tcp, ws = "/ip4/5.0.0.1/udp/1/quic-v1", "/ip4/5.0.0.1/tcp/1", "/ip4/5.0.0.1/tcp/2/ws"
	for _, tt := range []struct {
		addrs []string
		want  []int // ms
	}{
		{[]string{quic, quic, tcp}, []int{0, 0, 200}},
		{[]string{tcp, tcp}, []int{0, 0}},
		{[]string{ws}, []int{0}},
		{[]string{quic, tcp, ws, p2p}, []int{0, 200, 400, 350}},
		{[]string{tcp, p2p, p2p}, []int{200, 350, 500}},
		{[]string{p2p, p2p, p2p}, []int{0, 150, 300}},
		{[]string{quic, tcp, p2p + "/udp/32768", p2p + "/udp/32769"}, []int{0, 200, 0, 150}},
		{[]string{quic, p2p + "/udp/1"}, []int{0, 350}},
		{nil, nil},
	} {
		var addrs []ma.Multiaddr
		for _, a := range tt.addrs {
			addrs = append(addrs, ma.StringCast(a))
		}
		for i, d := range transport.RankDials(addrs) {
			if want := time.Duration(tt.want[i]) * time.Millisecond; d.Delay != want {
				t.Errorf("%v: %v after %v, want %v", tt.addrs, d.Addr, d.Delay, want)
			}
		}
	}
}

// TestHideWebSocket: of a relay with TCP and WebSocket on one port both are dialled: the swarm drops a WebSocket address
// beside TCP's, and knows no other.
func TestHideWebSocket(t *testing.T) {
	for _, text := range []string{"/ip4/5.0.0.1/tcp/443/ws", "/ip6/2a05::1/tcp/443/tls/ws", "/ip4/5.0.0.1/tcp/443", "/ip4/5.0.0.1/udp/443/quic-v1"} {
		a := ma.StringCast(text)
		hidden := transport.HideWebSocket(a)
		if !transport.ShowWebSocket(hidden).Equal(a) {
			t.Errorf("%v: %v becomes %v", a, hidden, transport.ShowWebSocket(hidden))
		}
		for _, c := range hidden {
			if c.Code() == ma.P_WS || c.Code() == ma.P_WSS {
				t.Errorf("%v is told as %v", a, hidden)
			}
		}
	}
}

// TestOneAddress: forty behind one address connect at once to one host, as an office does.
//
// Checks: TRA-5.
func TestOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		keys := sortedKeys(41)
		host := simNode(t, w, "host", keys[0], public)
		var office []*node
		for i, key := range keys[1:] {
			n := simNode(t, w, fmt.Sprintf("desk %d", i), key, transporttest.HostOptions{NAT: transporttest.PortRestricted, LAN: "office"})
			befriend(host, n)
			office = append(office, n)
		}
		for _, n := range office {
			n.connect(host)
		}
		time.Sleep(time.Second)
		for _, n := range office {
			if n.Path(host.Key()).Kind != transport.PathUDP || host.Path(n.Key()).Kind != transport.PathUDP {
				t.Errorf("%s isn't connected", n.name)
			}
		}
	})
}

// TestMuteBridge: a bridge that says nothing doesn't keep a peer from the next.
func TestMuteBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b, mute := trio(t, w, strict, strict, transport.Unsafe{})
		other := simNode(t, w, "other", testKey(50), public)
		befriend(a, b, other)
		a.connect(other)
		b.connect(other)
		if _, err := b.Reserve(t.Context(), other.Key()); err != nil {
			t.Fatal(err)
		}
		w.Crash("bridge")
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := a.Connect(ctx, b.Key(), []ma.Multiaddr{via(t, mute), via(t, other)}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("connected after %v", took)
		}
		if p := a.Path(b.Key()); p.Via != other.Key() {
			t.Errorf("path %v", p)
		}
	})
}

// TestGoneIsGone: what is found out late of a connection doesn't hide that there is none any more, nor that the peer was
// revoked.
func TestGoneIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		keys := sortedKeys(2)
		a, b := simNode(t, w, "a", keys[0], public), simNode(t, w, "b", keys[1], public)
		befriend(a, b)
		a.connect(b)
		again := a.TellAgain(b.Key())
		before := 0
		a.has(func() bool { before = a.connects; return true })
		again()
		a.wait("again", time.Second, func() bool { return a.connects > before })
		for i, end := range []func(){func() { a.Disconnect(b.Key()) }, func() { a.Revoke(b.Key()) }} {
			end()
			time.Sleep(50 * time.Millisecond)
			again()
			time.Sleep(50 * time.Millisecond)
			if a.has(func() bool { return a.up[b.Key()] == 1 }) {
				t.Errorf("%d: still said to be connected", i)
			}
		}
	})
}
