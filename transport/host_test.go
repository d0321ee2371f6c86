package transport_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// exercise runs pair messages, gossip and media both ways between a and b, a the
// smaller key.
func exercise(t *testing.T, a, b *node) {
	t.Helper()
	befriend(a, b)
	a.connect(b)
	a.waitUp(b)
	b.waitUp(a)
	for _, n := range []struct{ from, to *node }{{a, b}, {b, a}} {
		if err := n.from.Send(n.to.Key(), []byte("pair from "+n.from.name)); err != nil {
			t.Fatal(err)
		}
		n.to.wait("message", 5*time.Second, n.to.got("pair from "+n.from.name))
	}
	a.wait("room", 5*time.Second, func() bool { return true })
	a.offer(b)
	a.waitMedia(b, true, 5*time.Second)
	b.waitMedia(a, true, 5*time.Second)
	time.Sleep(time.Second) // the room's mesh
	for _, n := range []struct{ from, to *node }{{a, b}, {b, a}} {
		if err := n.from.Publish([]byte("gossip from " + n.from.name)); err != nil {
			t.Fatal(err)
		}
		n.to.wait("gossip", 5*time.Second, n.to.gossiped("gossip from "+n.from.name))
		for kind := transport.Audio; kind <= transport.Video; kind++ {
			if err := n.from.Media(n.to.Key()).WritePacket(kind, []byte("media from "+n.from.name)); err != nil {
				t.Fatal(err)
			}
			n.to.wait("packet", 5*time.Second, func() bool {
				for _, p := range n.to.packets {
					if p.kind == kind && p.from == n.from.Key() && string(p.payload) == "media from "+n.from.name {
						return true
					}
				}
				return false
			})
		}
	}
}

func TestTwoHostsSimulated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		keys := sortedKeys(2)
		a := simNode(t, w, "a", keys[0], transporttest.HostOptions{})
		b := simNode(t, w, "b", keys[1], transporttest.HostOptions{})
		exercise(t, a, b)
	})
}

func TestTwoHostsLoopback(t *testing.T) {
	keys := sortedKeys(2)
	listen := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	a := newNode(t, "a", transport.Config{Key: keys[0], Listen: listen})
	b := newNode(t, "b", transport.Config{Key: keys[1], Listen: listen})
	exercise(t, a, b)
}

// TestTCPLoopback connects where UDP to the peer's QUIC port does not work: over TCP.
func TestTCPLoopback(t *testing.T) {
	keys := sortedKeys(2)
	listen := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	a := newNode(t, "a", transport.Config{Key: keys[0], Listen: listen})
	b := newNode(t, "b", transport.Config{Key: keys[1], Listen: listen})
	befriend(a, b)
	var tcp []ma.Multiaddr
	for _, addr := range b.Addresses() {
		if _, err := addr.ValueForProtocol(ma.P_TCP); err == nil {
			tcp = append(tcp, addr)
		}
	}
	if err := a.Connect(t.Context(), b.Key(), tcp); err != nil {
		t.Fatal(err)
	}
	a.waitUp(b)
	b.waitUp(a)
	if err := b.Send(a.Key(), []byte("over TCP")); err != nil {
		t.Fatal(err)
	}
	a.wait("message", 5*time.Second, a.got("over TCP"))
	a.offer(b) // media has its own socket
	a.waitMedia(b, true, 5*time.Second)
}
