package transport_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestStrangerProtocols: a stranger is offered the door alone, whatever it asks for, and nothing else is opened to one. The
// twin offers, and opens, what it has for members.
//
// Checks: TRA-3, TRA-18.
func TestStrangerProtocols(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				config := transport.Without(transport.Config{Key: testKey(1), StrangerTimeout: time.Hour}, transport.Unsafe{OpenGate: !protected})
				host := simNodeConfig(t, w, "host", config, public)
				stranger := simNode(t, w, "stranger", testKey(2), public)
				stranger.Allow(host.Key())
				stranger.connect(host)
				host.SetDoorOpen(true)
				for _, p := range transport.Protocols {
					offered, opened := stranger.Negotiates(t.Context(), host.Key(), p), host.OpenAny(t.Context(), stranger.Key(), p)
					switch p {
					case "/huisclos/door/1":
						if !offered || !opened {
							t.Errorf("%s: offered %v, opened %v", p, offered, opened)
						}
					case "/huisclos/relay/1", "/libp2p/circuit/relay/0.2.0/hop": // a host asks members and its relays alone
						if opened || offered != (!protected && p != "/huisclos/relay/1") {
							t.Errorf("%s: offered %v, opened %v; protected %v", p, offered, opened, protected)
						}
					case "/huisclos/media/1": // the twin's host has no link for it, and ends it
						if offered && protected || opened == protected {
							t.Errorf("%s: offered %v, opened %v; protected %v", p, offered, opened, protected)
						}
					default:
						if offered == protected || opened == protected {
							t.Errorf("%s: offered %v, opened %v; protected %v", p, offered, opened, protected)
						}
					}
				}
			})
		})
	}
}

// TestStrangersOfOneAddress: half of the places that strangers have is for one address, so that another's finds one. The
// twin has no bounds.
//
// Checks: TRA-5.
func TestStrangersOfOneAddress(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
				config := transport.Without(transport.Config{Key: testKey(1), MaxStrangers: 8}, transport.Unsafe{AnyStrangers: !protected})
				host := simNodeConfig(t, w, "host", config, public)
				network, err := w.Host("crowd", public)
				if err != nil {
					t.Fatal(err)
				}
				var all []*node
				for i := range 12 {
					n := newNode(t, fmt.Sprint("stranger ", i), transport.Config{Key: testKey(int64(100 + i)), Network: network})
					all = append(all, n)
				}
				all = append(all, simNode(t, w, "other", testKey(99), public))
				for _, n := range all {
					n.Allow(host.Key())
					_ = n.Connect(t.Context(), host.Key(), host.Addresses())
				}
				time.Sleep(100 * time.Millisecond)
				in := 0
				for _, n := range all[:12] {
					in += host.ConnsTo(n.Key())
				}
				if want := map[bool]int{true: 4, false: 12}[protected]; in != want || host.ConnsTo(all[12].Key()) != 1 {
					t.Errorf("%d strangers of one address are in, and %d of another's", in, host.ConnsTo(all[12].Key()))
				}
			})
		})
	}
}

// TestRoutes: of whatever a peer names, so much is looked at, and so much dialled: 8 addresses, 3 bridges or relays, 4
// addresses of these. (Nothing is switched off: that fewer are dialled all the same is the control.)
//
// Checks: TRA-1, TRA-18.
func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
		n := simNode(t, w, "n", testKey(1), public)
		plain := func(count int) (all []ma.Multiaddr) {
			for i := range count {
				all = append(all, ma.StringCast(fmt.Sprintf("/ip4/5.99.0.%d/udp/53/quic-v1", i+1)))
			}
			return all
		}
		var bridges, relays []ma.Multiaddr
		for i := range 5 {
			b := simNode(t, w, fmt.Sprint("bridge ", i), testKey(int64(10+i)), public)
			befriend(n, b)
			n.connect(b)
			n.waitUp(b)
			bridges = append(bridges, via(t, b))
			stranger := simNode(t, w, fmt.Sprint("relay ", i), testKey(int64(20+i)), public)
			for _, a := range plain(3) {
				relays = append(relays, a.Encapsulate(via(t, stranger)))
			}
		}
		peer := transport.PeerKey(testKey(50).Public().(ed25519.PublicKey))
		for _, tt := range []struct {
			name             string
			addrs            []ma.Multiaddr
			direct, hops, at int
		}{
			{"plain", plain(5), 5, 0, 0},
			{"many", plain(12), 8, 0, 0},
			{"bridges", bridges, 0, 3, 0},
			{"relays", relays, 0, 2, 4},
			{"relays at one address each", []ma.Multiaddr{relays[0], relays[3], relays[6], relays[9]}, 0, 3, 3},
			{"many and bridges", slices.Concat(bridges, plain(12)), 5, 3, 0},
			{"many and relays", slices.Concat(relays[:6], plain(10)), 4, 2, 4},
			{"beyond the sixteenth", slices.Concat(slices.Repeat(plain(1), 16), plain(5)), 1, 0, 0},
		} {
			if direct, hops, at := n.Routes(peer, tt.addrs); direct != tt.direct || hops != tt.hops || at != tt.at {
				t.Errorf("%s: %d direct, %d bridges and relays, %d addresses of these", tt.name, direct, hops, at)
			}
		}
		sent := map[netip.AddrPort]bool{}
		var mu sync.Mutex
		n.network.SetTap(func(d transporttest.Datagram) {
			if d.To.Port() == 53 {
				mu.Lock()
				defer mu.Unlock()
				sent[d.To] = true
			}
		})
		n.Allow(peer)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var dials sync.WaitGroup
		for i := range 3 { // also by several dials at once
			dials.Go(func() { _ = n.Connect(ctx, peer, plain(12)[4*i:]) })
		}
		dials.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(sent) < 8 {
			t.Errorf("datagrams went to %d addresses: the test shows nothing", len(sent))
		}
	})
}

// TestIncomingTCP: who connects by TCP from where we may not send to isn't answered. The twin answers.
//
// Checks: MOD-1.
func TestIncomingTCP(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			config := transport.Without(transport.Config{Key: testKey(1), Listen: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:0")}},
				transport.Unsafe{NoChoke: !protected})
			n := newNode(t, "n", config)
			at := n.TCPPort()
			c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", at)) // it doesn't listen on loopback alone
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			hello := []byte("\x13/multistream/1.0.0\n")
			_, _ = c.Write(hello)
			got := make([]byte, len(hello))
			if _, err := io.ReadFull(c, got); (err == nil && bytes.Equal(got, hello)) == protected {
				t.Errorf("protected %v: %q, %v", protected, got, err)
			}
		})
	}
}

// TestStreamsOfMember: a member has so many streams open to another, and of each kind. Twin: where file streams have no
// bound of their own, there is still that. (These are libp2p's limits, which are set by this package and counted here.)
//
// Checks: TRA-13.
func TestStreamsOfMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
		host := simNodeConfig(t, w, "host", transport.Without(transport.Config{Key: testKey(1)}, transport.Unsafe{AnyFiles: true}), public)
		bad := simNode(t, w, "bad", testKey(2), public)
		befriend(host, bad)
		bad.connect(host)
		bad.waitUp(host)
		host.waitUp(bad)
		time.Sleep(time.Second)
		for range 64 {
			if s, err := bad.OpenFile(t.Context(), host.Key()); err == nil {
				t.Cleanup(s.Close)
				_ = s.Send([]byte("ask"), time.Second)
			}
		}
		time.Sleep(time.Second)
		var files []*transport.FileStream
		for len(host.Files()) > 0 {
			files = append(files, <-host.Files())
		}
		defer func() {
			for _, f := range files {
				f.Close()
			}
		}()
		if len(files) != 32 {
			t.Errorf("%d file streams of one member", len(files))
		}
		for range 300 {
			_ = bad.OpenSilent(host.Key())
		}
		time.Sleep(time.Second)
		if said, silent := host.StreamsFrom(bad.Key()); said+silent > 160 || silent < 64 {
			t.Errorf("%d streams of one member, and %d that say nothing", said, silent)
		}
	})
}

// TestLimitedCircuit: a circuit that a relay would cut after some minutes or bytes isn't taken. Others are: the control.
//
// Checks: TRA-18.
func TestLimitedCircuit(t *testing.T) {
	n := newNode(t, "n", transport.Config{Key: testKey(1), Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if n.TakesLimited(true) || !n.TakesLimited(false) {
		t.Error("a limited circuit is taken, or another isn't")
	}
}

// TestRelayProtocols: a relay of ours is offered circuits' stop protocol alone. The twin offers it what it has for members.
//
// Checks: TRA-19.
func TestRelayProtocols(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				at, err := w.Host("relay", public)
				if err != nil {
					t.Fatal(err)
				}
				relay := relayNode(t, at, 77)
				config := transport.Without(transport.Config{Key: testKey(1), Relays: []transport.Relay{{Address: relay.RelayAddress(), Ticket: []byte("ticket")}}},
					transport.Unsafe{OpenGate: !protected})
				n := simNodeConfig(t, w, "n", config, public)
				n.waitReserved(true, 5*time.Second)
				offered := 0
				for _, p := range transport.Protocols {
					got := relay.Negotiates(t.Context(), n.Key(), p)
					if got {
						offered++
					}
					if stop := p == "/libp2p/circuit/relay/0.2.0/stop"; protected && got != stop || stop && !got {
						t.Errorf("%s: offered %v", p, got)
					}
				}
				if !protected && offered < 4 {
					t.Errorf("twin: %d protocols are offered", offered)
				}
			})
		})
	}
}

// TestRelayPauses: a relay that refuses is asked again after half a minute, one whose addresses can't be dialled is no
// reason to try without end, and at those nothing is sent.
//
// Checks: TRA-19, TRA-1.
func TestRelayPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		at, err := w.Host("relay", public)
		if err != nil {
			t.Fatal(err)
		}
		var asked atomic.Int32
		relay := relayServing(t, at, 77, transport.Unsafe{}, func([]byte) string {
			asked.Add(1)
			return "go away"
		})
		n := simNode(t, w, "n", testKey(1), public)
		ticket := []byte("ticket")
		if err := n.SetRelays([]transport.Relay{{Address: relay.RelayAddress(), Ticket: ticket}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if got := asked.Load(); got < 5 || got > 11 {
			t.Errorf("asked %d times in 5 minutes", got)
		}
		elsewhere := ma.StringCast("/ip4/10.9.9.9/udp/53/quic-v1/p2p/" + relay.RelayAddress()[len(relay.RelayAddress())-1].Value())
		if err := n.SetRelays([]transport.Relay{{Address: elsewhere, Ticket: ticket}}); err != nil {
			t.Fatal(err)
		}
		n.Disconnect(relay.Key())
		time.Sleep(time.Minute)
		if states := n.RelayStates(); len(states) != 1 || !errors.Is(states[0].Err, transport.ErrNoAddress) {
			t.Errorf("a relay in another's network: %+v", states)
		}
	})
}

// TestOneWay: while it isn't known whether ICE's path works, packets go by the stream, and by that alone.
//
// Checks: MST-4.
func TestOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, public, public)
		mediaFlows(t, b, a, "before", 100*time.Millisecond)
		from := mustIP(t, a.Addresses()[0])
		w.SetFilter(func(d transporttest.Datagram) bool { // one direction alone works
			return d.Data[0]&0x40 != 0 || d.From.Addr().String() != from
		})
		a.Disconnect(b.Key())
		b.wait("disconnection", time.Second, func() bool { return b.up[a.Key()] == 0 })
		a.connect(b)
		b.waitUp(a)
		streamed := false
		for i := range 200 {
			_ = b.Media(a.Key()).WritePacket(transport.Audio, fmt.Append(nil, "number ", i))
			streamed = streamed || b.Media(a.Key()).Stats().Stream
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		w.SetFilter(nil)
		if !streamed {
			t.Fatal("nothing went by a stream: the test shows nothing")
		}
		packets, _, _ := a.received()
		came := map[string]int{}
		for _, p := range packets {
			came[string(p.payload)]++
		}
		delete(came, "before")
		for what, n := range came {
			if n > 1 {
				t.Errorf("%q came %d times", what, n)
			}
		}
		if len(came) < 150 {
			t.Errorf("%d of 200 packets came", len(came))
		}
	})
}

// TestClosingDialsNobody: from when a host closes, no address passes that its swarm is still about to dial.
//
// Checks: TRA-15.
func TestClosingDialsNobody(t *testing.T) {
	n := newNode(t, "n", transport.Config{Key: testKey(1), Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	peer, at := transport.PeerKey(testKey(2).Public().(ed25519.PublicKey)), ma.StringCast("/ip4/5.99.0.1/udp/53/quic-v1")
	if !n.Dialable(peer, at) {
		t.Error("an address isn't dialled")
	}
	n.close()
	if n.Dialable(peer, at) {
		t.Error("a closed host dials")
	}
}
