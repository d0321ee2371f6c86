package transport_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// roamer is a simulated host that tells from where its packets leave.
type roamer struct {
	*transporttest.Host
	source atomic.Pointer[netip.Addr]
	own    atomic.Pointer[[]netip.Prefix]
}

// Addresses are those that the test says, or the simulated ones.
func (r *roamer) Addresses() ([]netip.Prefix, error) {
	if own := r.own.Load(); own != nil {
		return *own, nil
	}
	return r.Host.Addresses()
}

// have gives it these addresses alone.
func (r *roamer) have(own ...string) {
	var all []netip.Prefix
	for _, p := range own {
		all = append(all, netip.MustParsePrefix(p))
	}
	r.own.Store(&all)
}

func (r *roamer) Source(netip.Addr) netip.Addr {
	if a := r.source.Load(); a != nil {
		return *a
	}
	return netip.Addr{}
}

func (r *roamer) move(to string) {
	a, _ := netip.ParseAddr(to)
	r.source.Store(&a)
}

// roaming makes two members that are connected, of whom a is a roamer.
func roaming(t *testing.T) (w *transporttest.World, r *roamer, a, b *node) {
	w = newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	keys := sortedKeys(2)
	inner, err := w.Host("a", transporttest.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r = &roamer{Host: inner}
	r.move("5.0.0.1")
	a = newNode(t, "a", transport.Config{Key: keys[0], Network: r})
	b = simNodeConfig(t, w, "b", transport.Config{Key: keys[1]}, transporttest.HostOptions{})
	befriend(a, b)
	a.connect(b)
	a.waitUp(b)
	b.waitUp(a)
	return w, r, a, b
}

// TestRoute: when packets to a peer leave by another route, or the machine has slept, the connection and the link over the
// old one end at once and their owner is told; as long as there is no route at all, or the same, nothing happens.
//
// Checks: TRA-22.
func TestRoute(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*node, *roamer)
		ends   bool
	}{
		"another route": {func(_ *node, r *roamer) { r.move("5.0.0.2") }, true},
		"no route":      {func(_ *node, r *roamer) { r.move("") }, false},
		"no route, the address is gone": {func(_ *node, r *roamer) { // as of IPv6, where the new network has none
			r.have("127.0.0.1/8", "192.168.1.50/24")
			r.move("")
		}, true},
		"no route, the address is still there": {func(_ *node, r *roamer) {
			r.have("127.0.0.1/8", "5.0.0.1/24", "192.168.1.50/24")
			r.move("")
		}, false},
		"the same": {func(_ *node, r *roamer) { r.move("5.0.0.1") }, false},
		"asleep":   {func(n *node, _ *roamer) { n.FollowRoutes(true) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, r, a, b := roaming(t)
				a.offer(b)
				a.waitMedia(b, true, 5*time.Second)
				b.waitMedia(a, true, 5*time.Second)
				time.Sleep(2 * time.Second)
				tt.change(a, r)
				time.Sleep(time.Second)
				if got := a.ConnsTo(b.Key()) == 0 && b.ConnsTo(a.Key()) == 0; got != tt.ends {
					t.Errorf("the connection has ended: %v", got)
				}
				if got := !a.linked(b); got != tt.ends {
					t.Errorf("the link has ended: %v", got)
				}
				if got := a.networkChanges() > 0; got != (tt.ends || r.own.Load() != nil) {
					t.Errorf("told: %v", got)
				}
			})
		})
	}
}

// TestSuperseded: a member who comes from another network, and whose farewell on the old one was lost, is not sent to there
// any more.
//
// Checks: TRA-22.
func TestSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r, a, b := roaming(t)
		time.Sleep(3 * time.Second)
		w.Partition([]string{"a"}, []string{"b"})
		r.move("5.0.0.2")
		time.Sleep(time.Second)
		w.Heal()
		if b.ConnsTo(a.Key()) != 1 {
			t.Fatal("the farewell wasn't lost")
		}
		a.connect(b)
		time.Sleep(500 * time.Millisecond)
		if n := b.ConnsTo(a.Key()); n != 1 {
			t.Errorf("%d connections, the old one among them", n)
		}
	})
}

// TestDoubted: a member who took leave and is back, may be so from another network: media goes by the connection until ICE's
// path is heard of again.
//
// Checks: MST-4, TRA-22.
func TestDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		mediaFlows(t, b, a, "before", 100*time.Millisecond)
		w.SetFilter(func(d transporttest.Datagram) bool { return d.Data[0]&0x40 != 0 }) // QUIC alone
		a.Disconnect(b.Key())
		b.wait("disconnection", time.Second, func() bool { return b.up[a.Key()] == 0 })
		a.connect(b)
		t.Logf("media after %v", mediaFlows(t, b, a, "after", 700*time.Millisecond))
		w.SetFilter(nil)
		time.Sleep(3 * time.Second)
		if s := b.Media(a.Key()).Stats(); s.Stream || !s.Up {
			t.Errorf("ICE's path is there again, and isn't used: %+v", s)
		}
	})
}

// stub is a connection that began, and has ended or not.
type stub struct {
	network.Conn
	closed bool
}

func (stub) RemoteMultiaddr() ma.Multiaddr { return ma.StringCast("/ip4/127.0.0.1/udp/9/quic-v1") }
func (s stub) IsClosed() bool              { return s.closed }

// TestRouteKept: nothing is remembered of a connection whose end was told before its beginning.
func TestRouteKept(t *testing.T) {
	n, err := transport.OSNetwork()
	if err != nil {
		t.Fatal(err)
	}
	if kept := transport.RoutesKept(n, &stub{closed: true}, &stub{}); kept != 1 {
		t.Errorf("%d connections are remembered, want 1", kept)
	}
}

// TestSubnetLeft: what was a neighbour's address on the network before is dialled no more, also where the change hasn't been
// noticed.
//
// Checks: TRA-22.
func TestSubnetLeft(t *testing.T) {
	for name, sent := range map[string]bool{"192.168.1.50": true, "5.0.0.1": false, "": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, r, a, b := roaming(t)
				r.have("127.0.0.1/8", "5.0.0.1/24", "192.168.1.50/24")
				a.FollowRoutes(false)
				a.Disconnect(b.Key())
				var packets atomic.Int64
				r.SetTap(func(d transporttest.Datagram) {
					if d.To.Addr() == netip.MustParseAddr("192.168.1.20") {
						packets.Add(1)
					}
				})
				r.move(name)
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				_ = a.Connect(ctx, b.Key(), []ma.Multiaddr{ma.StringCast("/ip4/192.168.1.20/udp/4000/quic-v1")})
				if got := packets.Load() > 0; got != sent {
					t.Errorf("%d packets to a neighbour, while packets leave from %q", packets.Load(), name)
				}
			})
		})
	}
}
