package transport_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestRelayOnly: who hides its address sends to its relay alone and names nothing else, whatever another member does who
// even guesses the address; and all that this one receives is without it. The twin, which doesn't hide, is found by each
// of these.
//
// Checks: MOD-3.
func TestRelayOnly(t *testing.T) {
	twins(t, transport.Unsafe{ShowAddress: true}, relayOnly)
}

func relayOnly(t *testing.T, u transport.Unsafe) {
	twin := u.ShowAddress
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	at, err := w.Host("relay", public)
	if err != nil {
		t.Fatal(err)
	}
	relay := relayNode(t, at, 77)
	keys := sortedKeys(2)
	network, err := w.Host("hidden", public)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	to := map[netip.Addr]int{}
	network.SetTap(func(d transporttest.Datagram) {
		mu.Lock()
		defer mu.Unlock()
		to[d.To.Addr()]++
	})
	hidden := newNode(t, "hidden", transport.Without(transport.Config{Key: keys[0], Network: network, RelayOnly: true,
		Listen: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:4001")},
		Relays: []transport.Relay{{Address: relay.RelayAddress(), Ticket: []byte("ticket")}}}, u))
	hidden.signals = twin // else it answers no offers
	other := simNode(t, w, "other", keys[1], public)
	hidden.waitReserved(true, 2*time.Second)
	own, _ := network.Addresses()
	ip := own[len(own)-1].Addr()
	where := netip.MustParseAddr(mustIP(t, other.Addresses()[0]))
	named := false
	for _, a := range hidden.Addresses() {
		if named = named || mustIP(t, a) == ip.String(); a[len(a)-1].Code() != ma.P_CIRCUIT && !twin {
			t.Errorf("it names %v", a)
		}
	}
	if named != twin || len(hidden.Addresses()) == 0 {
		t.Errorf("it names %v", hidden.Addresses())
	}
	befriend(hidden, other)
	guess := []ma.Multiaddr{ma.StringCast("/ip4/" + ip.String() + "/udp/4001/quic-v1")}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := other.Connect(ctx, hidden.Key(), guess); (err == nil) != twin {
		t.Errorf("connected by a guess: %v", err)
	}
	if err := other.Connect(t.Context(), hidden.Key(), hidden.Addresses()); err != nil {
		t.Fatal(err)
	}
	hidden.waitUp(other)
	other.waitUp(hidden)
	_ = hidden.Connect(t.Context(), other.Key(), other.Addresses())
	offer, err := hidden.MediaOffer(other.Key())
	if errors.Is(err, transport.ErrRelayOnly) == twin {
		t.Errorf("a media offer: %v", err)
	}
	for _, text := range []string{"one", string(offer)} {
		if text != "" {
			if err := hidden.Send(other.Key(), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := other.Send(hidden.Key(), []byte("two")); err != nil {
		t.Fatal(err)
	}
	other.wait("a message", 5*time.Second, other.got("one"))
	hidden.wait("a message", 5*time.Second, hidden.got("two"))
	time.Sleep(3 * time.Second)
	synctest.Wait()
	mu.Lock()
	direct := to[where]
	delete(to, where)
	delete(to, netip.MustParseAddr(mustIP(t, relay.RelayAddress())))
	mu.Unlock()
	if direct > 0 != twin || len(to) > 0 {
		t.Errorf("%d datagrams to the other, and to %v", direct, to)
	}
	told := false
	for _, point := range []transport.TapPoint{transport.TapStream, transport.TapPair, transport.TapGossip, transport.TapDoor} {
		raw := ip.As4()
		told = told || bytes.Contains(other.tapOf(point), raw[:]) || bytes.Contains(other.tapOf(point), []byte(ip.String()))
	}
	if told != twin {
		t.Errorf("the other was told the address: %v", told)
	}
	if o := hidden.Observed(); len(o) > 0 {
		t.Errorf("it says it was observed at %v", o)
	}
}

// TestRelayOnlyNeedsRelays: without a relay there is one sentence.
//
// Checks: MOD-3.
func TestRelayOnlyNeedsRelays(t *testing.T) {
	if _, err := transport.Listen(t.Context(), transport.Config{Key: testKey(1), RoomID: room, RelayOnly: true}); !errors.Is(err, transport.ErrNoRelay) {
		t.Errorf("listens: %v", err)
	}
}
