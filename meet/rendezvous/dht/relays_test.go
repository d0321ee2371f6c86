package dht

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/huisclos/huisclos/meet"
)

var _ meet.RelayRendezvous = (*Rendezvous)(nil)

// TestRelays: of the nodes of a DHT, those are found that relay and can be reached by QUIC; and the search ends when it is
// told to, or by itself.
func TestRelays(t *testing.T) {
	d := newTable(t, 6)
	want := map[string]bool{}
	for i, listen := range []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"} {
		h, err := libp2p.New(libp2p.ListenAddrStrings(listen, "/ip4/127.0.0.1/tcp/0"), libp2p.EnableRelayService(), libp2p.ForceReachabilityPublic(), libp2p.DisableMetrics())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		k, err := kad.New(h, kad.Mode(kad.ModeServer), kad.ProtocolPrefix(prefix), kad.BootstrapPeers(peer.AddrInfo{ID: d.hosts[0].ID(), Addrs: d.hosts[0].Addrs()}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = k.Close() })
		if err := k.Bootstrap(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			want[h.ID().String()] = true
		}
	}
	for limit := time.Now().Add(20 * time.Second); len(want) > 0 && time.Now().Before(limit); {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		for a := range d.client(t).Relays(ctx) {
			text := a.String()
			if !strings.HasPrefix(text, "/ip4/127.0.0.1/udp/") {
				t.Errorf("found %s", text)
			}
			delete(want, text[strings.LastIndex(text, "/")+1:])
		}
		cancel()
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	all := d.client(t).Relays(ctx)
	cancel()
	for range all { // it ends
	}
}
