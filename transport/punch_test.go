package transport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// publicNode is a node of the public network. With libp2p.EnableRelayService it relays for anybody, with libp2p's usual limits.
func publicNode(t testing.TB, w *transporttest.World, name string, seed int64, o ...libp2p.Option) (host.Host, ma.Multiaddr) {
	t.Helper()
	n, err := w.Host(name, public)
	if err != nil {
		t.Fatal(err)
	}
	h, at, err := transporttest.Node(n, testKey(seed), o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h, at
}

// punchKey is what those know who may have NATs opened.
var punchKey = transport.PunchKey{1, 2, 3}

// hold keeps reservations for those who have punchKey until the test ends, and waits for so many.
func (n *node) hold(count int, find func(context.Context) <-chan ma.Multiaddr) {
	n.t.Helper()
	n.SetPunchKeys([]transport.PunchKey{{9}, punchKey})
	ctx, cancel := context.WithCancel(n.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); n.HoldLimited(ctx, find) }()
	n.t.Cleanup(func() { cancel(); <-done })
	for range 1000 {
		if len(n.PunchAddresses()) == count {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	n.t.Fatalf("reserved at %v", n.PunchAddresses())
}

// TestPunch: two behind NATs that give each connection the same port come to a direct connection by a node that relays for
// anybody, and the door opens on it; where both give each another, the error says so. The node sees both addresses and
// keys, and is told of as somebody who carried signals.
//
// Checks: TRA-26, TRA-27.
func TestPunch(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b transporttest.HostOptions
		err  error
	}{
		{"port-restricted", narrow, narrow, nil},
		{"symmetric and public", strict, public, nil},
		{"public and symmetric", public, strict, nil},
		{"symmetric and port-restricted", strict, narrow, transport.ErrNotPunched},
		{"symmetric", strict, strict, transport.ErrNotPunched},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { punched(t, tt.a, tt.b, tt.err) })
		})
	}
}

func punched(t *testing.T, oa, ob transporttest.HostOptions, want error) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	r, at := publicNode(t, w, "node", 50, libp2p.EnableRelayService())
	keys := sortedKeys(2)
	a, b := simNode(t, w, "a", keys[0], oa), simNode(t, w, "b", keys[1], ob)
	if n := len(r.Network().Conns()); n > 0 {
		t.Fatalf("%d connections by default", n)
	}
	b.hold(1, transporttest.Offer(at))
	b.SetDoorOpen(true)
	begun := time.Now()
	err := a.Punch(t.Context(), b.Key(), b.PunchAddresses(), punchKey)
	t.Logf("%v after %v", err, time.Since(begun))
	if !errors.Is(err, want) {
		t.Fatal(err)
	}
	if want == nil {
		d, err := a.OpenDoor(t.Context(), b.Key(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := d.Send(t.Context(), []byte("knock")); err != nil {
			t.Fatal(err)
		}
		in := <-b.Doors()
		defer in.Close()
		if got, err := in.Receive(t.Context()); err != nil || string(got) != "knock" {
			t.Errorf("%q, %v", got, err)
		}
	}
	_, id, _ := transport.SplitPeer(at)
	for _, n := range []*node{a, b} {
		if got := n.Circuits(); !slices.Equal(got, []transport.CircuitUse{{Via: id, Carried: true, Limited: true}}) {
			t.Errorf("%s: circuits by %v", n.name, got)
		}
	}
}

// TestPunchStranger: who has found where a host reserves, and doesn't know what proves that it was told, isn't told where the
// host is, and nothing is sent to it, be it that the host has other keys or none. The twin tells it.
//
// Checks: TRA-28.
func TestPunchStranger(t *testing.T) {
	twins(t, transport.Unsafe{AnyPuncher: true}, func(t *testing.T, u transport.Unsafe) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		_, at := publicNode(t, w, "node", 50, libp2p.EnableRelayService())
		keys := sortedKeys(2)
		a, b := simNode(t, w, "a", keys[0], narrow), simNodeConfig(t, w, "b", transport.Without(transport.Config{Key: keys[1]}, u), narrow)
		b.hold(1, transporttest.Offer(at))
		for _, keys := range [][]transport.PunchKey{{{9}, punchKey}, nil} {
			b.SetPunchKeys(keys)
			err := a.Punch(t.Context(), b.Key(), b.PunchAddresses(), transport.PunchKey{4})
			if told := err == nil || errors.Is(err, transport.ErrNotPunched); told != u.AnyPuncher {
				t.Errorf("%d keys: %v", len(keys), err)
			}
		}
		if n := b.ConnsTo(a.Key()); (n > 0) != u.AnyPuncher {
			t.Errorf("%d connections", n)
		}
	})
}

// TestLimitedCarriesNothing: nothing but the signals passes a limited circuit: who asks for the door over one gets none,
// and no connection. The twin, for which it is a circuit like any other, has the knock pass.
//
// Checks: TRA-18, TRA-26.
func TestLimitedCarriesNothing(t *testing.T) {
	twins(t, transport.Unsafe{LimitedCircuits: true}, func(t *testing.T, u transport.Unsafe) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		_, at := publicNode(t, w, "node", 50, libp2p.EnableRelayService())
		keys := sortedKeys(2)
		// The one who dials is never protected: it is the other's part to refuse.
		a := simNodeConfig(t, w, "a", transport.Without(transport.Config{Key: keys[0]}, transport.Unsafe{LimitedCircuits: true}), strict)
		b := simNodeConfig(t, w, "b", transport.Without(transport.Config{Key: keys[1]}, u), strict)
		b.hold(1, transporttest.Offer(at))
		b.SetDoorOpen(true)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		d, err := a.OpenDoor(ctx, b.Key(), []ma.Multiaddr{at.Encapsulate(ma.StringCast("/p2p-circuit"))})
		passed := err == nil
		if passed {
			passed = d.Send(ctx, []byte("knock")) == nil
			_, err := d.Receive(ctx) // the welcome, or the end
			t.Log(err)
			d.Close()
		}
		select {
		case in := <-b.Doors():
			in.Close()
		default:
			passed = false
		}
		if passed != u.LimitedCircuits {
			t.Errorf("passed: %v, %v", passed, err)
		}
		if n := b.ConnsTo(a.Key()); (n > 0) != u.LimitedCircuits {
			t.Errorf("%d connections", n)
		}
	})
}

// TestLyingNodes: nodes that refuse, say nothing, name another address or cut the circuit cost time. What they say decides
// over nothing but where some packets go.
//
// Checks: TRA-27.
func TestLyingNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		silent, first := publicNode(t, w, "silent", 50)
		silent.SetStreamHandler(proto.ProtoIDv2Hop, func(s network.Stream) { <-t.Context().Done(); _ = s.Reset() })
		refusing, second := publicNode(t, w, "refusing", 51)
		refusing.SetStreamHandler(proto.ProtoIDv2Hop, func(s network.Stream) { _ = s.Reset() })
		blind, third := publicNode(t, w, "blind", 52)
		blind.SetStreamHandler("/ipfs/id/1.0.0", func(s network.Stream) { _ = s.Reset() })
		_, good := publicNode(t, w, "good", 53, libp2p.EnableRelayService())
		gone := ma.StringCast("/ip4/5.9.9.9/udp/4001/quic-v1/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA")
		private := ma.StringCast("/ip4/10.0.0.1/udp/4001/quic-v1/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA")
		keys := sortedKeys(2)
		a, b := simNode(t, w, "a", keys[0], narrow), simNode(t, w, "b", keys[1], narrow)
		b.hold(1, transporttest.Offer(first, second, third, gone, private, good))
		names := b.PunchAddresses()
		for _, at := range []ma.Multiaddr{third, second} { // as in a record that lies
			names = append([]ma.Multiaddr{at.Encapsulate(ma.StringCast("/p2p-circuit/quic-v1"))}, names...)
		}
		if err := a.Punch(t.Context(), b.Key(), names, punchKey); err != nil {
			t.Error(err)
		}
		if err := a.Punch(t.Context(), testPeer(9), names[:2], punchKey); err == nil || errors.Is(err, transport.ErrNotPunched) {
			t.Errorf("by nodes that don't serve: %v", err)
		}
	})
}

// TestPunchFlood: a node that brings circuit after circuit has us answer some, and then one in five seconds; the twin
// answers all.
//
// Checks: TRA-27.
func TestPunchFlood(t *testing.T) {
	twins(t, transport.Unsafe{AnyPunch: true}, func(t *testing.T, u transport.Unsafe) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		node, at := publicNode(t, w, "node", 50, libp2p.EnableRelayService())
		b := simNodeConfig(t, w, "b", transport.Without(transport.Config{Key: testKey(1)}, u), narrow)
		b.hold(1, transporttest.Offer(at))
		id := node.Network().Peers()[0]
		answered := 0
		for range 40 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			s, err := node.NewStream(network.WithNoDial(ctx, ""), id, protocol.ID(proto.ProtoIDv2Stop))
			if err == nil && transport.BringCircuit(s, node.ID()) == nil {
				answered++
			}
			cancel()
		}
		if many := answered > 12; many != u.AnyPunch || answered < 8 {
			t.Errorf("%d answered", answered)
		}
	})
}

// TestNoLimited: who hides, or stays in its network, asks no node, and punches for nobody.
//
// Checks: TRA-26.
func TestNoLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		node, at := publicNode(t, w, "node", 50, libp2p.EnableRelayService())
		relay, err := w.Host("relay", public)
		if err != nil {
			t.Fatal(err)
		}
		relays := []transport.Relay{{Address: relayNode(t, relay, 77).RelayAddress(), Ticket: []byte("ticket")}}
		for i, c := range []transport.Config{{LANOnly: true}, {RelayOnly: true, Relays: relays}} {
			c.Key = testKey(int64(10 + i))
			n := simNodeConfig(t, w, fmt.Sprint("n", i), c, narrow)
			n.HoldLimited(t.Context(), transporttest.Offer(at)) // returns at once
			if err := n.Punch(t.Context(), testPeer(9), []ma.Multiaddr{at.Encapsulate(ma.StringCast("/p2p-circuit/quic-v1"))}, punchKey); !errors.Is(err, transport.ErrNoAddress) {
				t.Error(err)
			}
		}
		if n := len(node.Network().Conns()); n > 0 {
			t.Errorf("%d connections", n)
		}
	})
}

// TestLimitedAsked: of nodes that aren't there, sixteen are asked in a search; and one that reserves for a moment is asked
// again after a minute. The twin asks all, and again at once.
//
// Checks: TRA-27.
func TestLimitedAsked(t *testing.T) {
	twins(t, transport.Unsafe{AnyPunch: true}, func(t *testing.T, u transport.Unsafe) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		brief, at := publicNode(t, w, "brief", 50)
		var asked atomic.Int32
		brief.SetStreamHandler(proto.ProtoIDv2Hop, func(s network.Stream) {
			asked.Add(1)
			_ = transport.GrantReservation(s, time.Now().Add(2*time.Second))
		})
		var all []ma.Multiaddr
		for i := range 40 {
			if a, err := transport.WithPeer(ma.StringCast(fmt.Sprintf("/ip4/5.9.9.%d/udp/4001/quic-v1", i+1)), testPeer(int64(100+i))); err == nil {
				all = append(all, a)
			}
		}
		b := simNodeConfig(t, w, "b", transport.Without(transport.Config{Key: testKey(1)}, u), narrow)
		b.hold(1, transporttest.Offer(at))
		time.Sleep(5 * time.Minute)
		if n := asked.Load(); n < 4 || (n > 6) != u.AnyPunch {
			t.Errorf("asked %d times in five minutes", n)
		}
		c := simNodeConfig(t, w, "c", transport.Without(transport.Config{Key: testKey(2)}, u), narrow)
		ctx, cancel := context.WithTimeout(t.Context(), 202*time.Second) // 40 nodes, 5 s each
		defer cancel()
		searches := 0
		c.HoldLimited(ctx, func(ctx context.Context) <-chan ma.Multiaddr {
			if searches++; searches > 1 {
				return transporttest.Offer()(ctx)
			}
			return transporttest.Offer(all...)(ctx)
		})
		if n := len(c.Contacts()); n != map[bool]int{false: 16, true: 40}[u.AnyPunch] {
			t.Errorf("%d nodes were asked", n)
		}
	})
}
