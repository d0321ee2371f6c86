package transport_test

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// relayNode is a relay in the world: on a fixed port, so that it can be started again.
func relayNode(t testing.TB, network *transporttest.Host, seed int64) *transport.Host {
	t.Helper()
	return relayServing(t, network, seed, transport.Unsafe{}, func(ticket []byte) string {
		if string(ticket) != "ticket" {
			return "no such ticket\n\x1b[31m"
		}
		return ""
	})
}

// relayServing is one that refuses tickets for reasons of its own.
func relayServing(t testing.TB, network *transporttest.Host, seed int64, u transport.Unsafe, refuse func(ticket []byte) string) *transport.Host {
	t.Helper()
	prefixes, err := network.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(prefixes, func(p netip.Prefix) bool { return !p.Addr().IsLoopback() })
	h, err := transport.ServeRelay(t.Context(), transport.Without(transport.Config{Key: testKey(seed), RoomID: [32]byte{9}, Network: network,
		Listen: []netip.AddrPort{netip.AddrPortFrom(prefixes[i].Addr(), 4433)},
	}, u), refuse)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func (n *node) waitReserved(reserved bool, limit time.Duration) {
	n.t.Helper()
	for start := time.Now(); time.Since(start) < limit; time.Sleep(10 * time.Millisecond) {
		states := n.RelayStates()
		if len(states) == 1 && states[0].Reserved == reserved {
			return
		}
	}
	n.t.Fatalf("%s: not reserved %v within %v: %+v", n.name, reserved, limit, n.RelayStates())
}

// TestRelayed: two who know of each other but a relay's address connect through it, and directly where their NATs let
// them; the relay restarted, both are back.
//
// Checks: TRA-19, TRA-20.
func TestRelayed(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    transporttest.HostOptions
		kind transport.PathKind
	}{{"symmetric", strict, transport.PathRelay}, {"port-restricted", narrow, transport.PathUDP}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { relayed(t, tt.o, tt.kind) })
		})
	}
}

func relayed(t *testing.T, o transporttest.HostOptions, kind transport.PathKind) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	network, err := w.Host("relay", public)
	if err != nil {
		t.Fatal(err)
	}
	relay := relayNode(t, network, 77)
	relays := []transport.Relay{{Address: relay.RelayAddress(), Ticket: []byte("ticket")}}
	keys := sortedKeys(2)
	a := simNode(t, w, "a", keys[0], o)
	b := simNodeConfig(t, w, "b", transport.Config{Key: keys[1], Relays: relays}, o)
	b.waitReserved(true, time.Second)
	addrs := b.Addresses()
	if last := addrs[len(addrs)-1].String(); !strings.HasSuffix(last, "/p2p-circuit") || !strings.HasPrefix(last, "/ip4/5.") {
		t.Errorf("the last address is %s", last)
	}
	if got := b.Circuits(); !slices.Equal(got, []transport.CircuitUse{{Via: relay.Key()}}) { // EXP-5: asked alone
		t.Errorf("circuits by %v", got)
	}
	befriend(a, b)
	start := time.Now()
	if err := a.Connect(t.Context(), b.Key(), addrs); err != nil {
		t.Fatal(err)
	}
	t.Logf("connected after %v", time.Since(start))
	a.waitUp(b)
	b.waitUp(a)
	for _, n := range []*node{a, b} {
		if !slices.Equal(n.Circuits(), []transport.CircuitUse{{Via: relay.Key(), Carried: true}}) { // EXP-4, EXP-5
			t.Errorf("%s: circuits by %v", n.name, n.Circuits())
		}
	}
	if p := b.Path(a.Key()); p != (transport.Path{Kind: transport.PathRelay, Via: relay.Key()}) {
		t.Errorf("path %v", p)
	}
	if err := a.SetRelays(relays); err != nil { // a ticket has come; with it, what the relay observes
		t.Fatal(err)
	}
	a.waitReserved(true, time.Second)
	a.offer(b)
	time.Sleep(2 * time.Second)
	if p := a.Path(b.Key()); p.Kind != kind {
		t.Errorf("path %v, want %v", p, kind)
	}
	_ = relay.Close()
	a.waitReserved(false, time.Second)
	time.Sleep(20 * time.Second)
	if kind == transport.PathRelay && a.has(func() bool { return a.up[b.Key()] == 1 }) {
		t.Error("still connected without the relay")
	}
	relayNode(t, network, 77)
	start = time.Now()
	a.waitReserved(true, 5*time.Second)
	b.waitReserved(true, 5*time.Second)
	t.Logf("reserved again %v after the relay's restart", time.Since(start))
	if err := a.Connect(t.Context(), b.Key(), b.Addresses()); err != nil {
		t.Error(err)
	}
	if err := a.SetRelays(nil); err != nil || len(a.RelayStates()) != 0 {
		t.Errorf("relays taken away: %v, %v", err, a.RelayStates())
	}
}

// TestRelayReservationLasts: it is prolonged before it ends.
//
// Checks: TRA-19.
func TestRelayReservationLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		network, err := w.Host("relay", public)
		if err != nil {
			t.Fatal(err)
		}
		relay := relayNode(t, network, 77)
		keys := sortedKeys(2)
		b := simNodeConfig(t, w, "b", transport.Config{Key: keys[1], Relays: []transport.Relay{{Address: relay.RelayAddress(), Ticket: []byte("ticket")}}}, strict)
		a := simNode(t, w, "a", keys[0], strict)
		b.waitReserved(true, time.Second)
		b.SetDoorOpen(true)
		time.Sleep(25 * time.Minute)
		door, err := a.OpenDoor(t.Context(), b.Key(), b.Addresses())
		if err != nil {
			t.Fatal(err)
		}
		defer door.Close()
		if err := door.Send(t.Context(), []byte("knock")); err != nil {
			t.Fatal(err)
		}
		select {
		case theirs := <-b.Doors():
			theirs.Close()
		case <-time.After(time.Second):
			t.Error("nobody at the door")
		}
	})
}

// TestRelayRefuses: a bad ticket, a relay that is none and an address that is none each give one reason; a good ticket
// later helps at once.
func TestRelayRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		network, err := w.Host("relay", public)
		if err != nil {
			t.Fatal(err)
		}
		relay := relayNode(t, network, 77)
		n := simNode(t, w, "n", testKey(1), strict)
		other := simNode(t, w, "other", testKey(2), public)
		set := func(address ma.Multiaddr, ticket string) error {
			return n.SetRelays([]transport.Relay{{Address: address, Ticket: []byte(ticket)}})
		}
		if err := set(relay.RelayAddress(), "bad"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		state := n.RelayStates()[0]
		if !errors.Is(state.Err, transport.ErrRelayRefused) || !state.Connected || state.Reserved {
			t.Errorf("with a bad ticket: %+v", state)
		}
		if text := state.Err.Error(); !strings.Contains(text, "no such ticket") || strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("the reason is %q", text)
		}
		if err := set(relay.RelayAddress(), "ticket"); err != nil {
			t.Fatal(err)
		}
		n.waitReserved(true, time.Second)
		if err := set(other.RelayAddress(), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if state := n.RelayStates()[0]; !errors.Is(state.Err, transport.ErrRelayRefused) {
			t.Errorf("no relay: %+v", state)
		}
		if err := set(other.Addresses()[0], ""); !errors.Is(err, transport.ErrRelayAddress) {
			t.Errorf("no relay's address: %v", err)
		}
		if err := set(relay.RelayAddress(), strings.Repeat("x", 1000)); !errors.Is(err, transport.ErrTooLarge) {
			t.Errorf("long ticket: %v", err)
		}
		if text := (transport.Relay{Address: relay.RelayAddress(), Ticket: []byte("secret")}).String(); strings.Contains(text, "secret") {
			t.Error("a ticket is printed")
		}
	})
}

// TestRelayClock: who is refused by a relay whose clock is another is told that, and by how much; where the clocks agree,
// that the ticket has expired.
//
// Checks: CLK-2.
func TestRelayClock(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ahead time.Duration
		clock bool
		says  string
	}{
		{"a day ahead", 25*time.Hour + 10*time.Second, true, "25h0m ahead of"},
		{"a day behind", -25 * time.Hour, true, "25h0m behind"},
		{"the same", 10 * time.Second, false, "the ticket has expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				network, err := w.Host("relay", public)
				if err != nil {
					t.Fatal(err)
				}
				relay := relayServing(t, network, 77, transport.Unsafe{}, func([]byte) string {
					return string(binary.BigEndian.AppendUint64([]byte{2}, uint64(time.Now().Add(tt.ahead).Unix())))
				})
				n := simNode(t, w, "n", testKey(1), strict)
				if err := n.SetRelays([]transport.Relay{{Address: relay.RelayAddress(), Ticket: []byte("ticket")}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				err = n.RelayStates()[0].Err
				if !errors.Is(err, transport.ErrRelayRefused) || errors.Is(err, transport.ErrRelayClock) != tt.clock || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func FuzzRelayAnswer(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{0, 5, 0, 0, 1, 17, 1})
	f.Add([]byte("\x01no such ticket"))
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		seen, refused, clock, err := transport.DecodeRelayAnswer(b)
		if err == nil && (refused != "" || !clock.IsZero()) && seen.IsValid() {
			t.Error("refused and taken")
		}
	})
}

// TestRenewal: whatever a relay says of how long it reserves, it isn't asked all the time.
//
// Checks: TRA-19.
func TestRenewal(t *testing.T) {
	for lasts, want := range map[time.Duration]time.Duration{
		-time.Second: 10 * time.Second, 0: 10 * time.Second, time.Millisecond: 10 * time.Second, time.Hour: 45 * time.Minute,
		150 * 365 * 24 * time.Hour: 24 * time.Hour, math.MaxInt64: 24 * time.Hour, math.MinInt64: 10 * time.Second,
	} {
		if got := transport.RenewAfter(lasts); got != want {
			t.Errorf("%v: after %v, want %v", lasts, got, want)
		}
	}
}

// TestReservationIsPast: by a clock that is days ahead, what a relay reserves is past; the user is told of the clock.
//
// Checks: CLK-5.
func TestReservationIsPast(t *testing.T) {
	for name, past := range map[string]bool{"days ahead": true, "right": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				network, err := w.Host("relay", public)
				if err != nil {
					t.Fatal(err)
				}
				relay := relayServing(t, network, 77, transport.Unsafe{PastReservations: past}, func([]byte) string { return "" })
				n := simNode(t, w, "n", testKey(1), strict)
				if err := n.SetRelays([]transport.Relay{{Address: relay.RelayAddress(), Ticket: []byte("ticket")}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if s := n.RelayStates()[0]; errors.Is(s.Err, transport.ErrRelayClock) != past || s.Reserved == past {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestBridgeOutlastsClocks: what a member reserves for another isn't over by a clock that is a day or two ahead, and is
// asked for again after a day by one that is behind.
//
// Checks: CLK-5.
func TestBridgeOutlastsClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, _, bridge := trio(t, w, strict, strict, transport.Unsafe{})
		granted, err := a.Granted(t.Context(), bridge.Key())
		if err != nil {
			t.Fatal(err)
		}
		until, err := a.Reserve(t.Context(), bridge.Key())
		if err != nil {
			t.Fatal(err)
		}
		if lasts := time.Until(granted); lasts < 71*time.Hour {
			t.Errorf("good for %v", lasts)
		}
		if again := time.Until(until); again > 24*time.Hour || again < 23*time.Hour {
			t.Errorf("asked for again after %v", again)
		}
	})
}

// TestRelaysThatAreNone: relays that a member names at a victim's addresses are tried a minute, and then seldom; on
// another network at once.
//
// Checks: TRA-19.
func TestRelaysThatAreNone(t *testing.T) {
	twins(t, transport.Unsafe{EagerRelays: true}, func(t *testing.T, u transport.Unsafe) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		victim, err := w.Host("victim", public)
		if err != nil {
			t.Fatal(err)
		}
		relay := relayNode(t, victim, 77)
		address := relay.RelayAddress()
		w.Crash("victim")
		host, err := w.Host("n", strict)
		if err != nil {
			t.Fatal(err)
		}
		n := newNode(t, "n", transport.Without(transport.Config{Key: testKey(1), Network: host, Relays: []transport.Relay{{Address: address}}}, u))
		time.Sleep(5 * time.Minute)
		var sent atomic.Int64
		host.SetTap(func(transporttest.Datagram) { sent.Add(1) })
		time.Sleep(10 * time.Minute)
		t.Logf("%d datagrams in 10 minutes", sent.Load())
		if few := sent.Load() < 300; few == u.EagerRelays {
			t.Errorf("%d datagrams in 10 minutes", sent.Load())
		}
		sent.Store(0)
		n.FollowRoutes(true)
		time.Sleep(time.Second)
		if sent.Load() == 0 {
			t.Error("not tried on another network")
		}
	})
}
