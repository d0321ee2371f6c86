package transport_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/gcc"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestSharedPort: QUIC, STUN, DTLS and SRTP between two hosts use one UDP port each (TRA-14).
func TestSharedPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		type flow struct{ from, to netip.AddrPort }
		var mu sync.Mutex
		seen := map[flow]map[string]int{}
		w.SetTap(func(d transporttest.Datagram) {
			mu.Lock()
			defer mu.Unlock()
			f := flow{d.From, d.To}
			if seen[f] == nil {
				seen[f] = map[string]int{}
			}
			seen[f][firstByteName(d.Data[0])]++
		})
		a, b := pairOf(t, w, transporttest.HostOptions{NAT: transporttest.PortRestricted}, transporttest.HostOptions{})
		mediaFlows(t, a, b, "x", time.Second)
		mediaFlows(t, b, a, "y", time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(seen) != 2 {
			t.Errorf("%d flows, want one each way: %v", len(seen), seen)
		}
		for f, names := range seen {
			for _, name := range []string{"QUIC", "STUN", "DTLS", "SRTP"} {
				if names[name] == 0 {
					t.Errorf("%v: no %s: %v", f, name, names)
				}
			}
		}
	})
}

func firstByteName(b byte) string {
	switch {
	case b < 4:
		return "STUN"
	case b >= 20 && b < 64:
		return "DTLS"
	case b >= 128 && b < 192:
		return "SRTP"
	}
	return "QUIC"
}

// countingNetwork counts sockets and what comes in on them.
type countingNetwork struct {
	transport.Network
	mu      sync.Mutex
	sockets int
	seen    map[string]int
}

type countingConn struct {
	net.PacketConn
	n *countingNetwork
}

func (n *countingNetwork) ListenUDP(a netip.AddrPort) (net.PacketConn, error) {
	c, err := n.Network.ListenUDP(a)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sockets++
	return &countingConn{c, n}, err
}

func (c *countingConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(b)
	if n > 0 {
		c.n.mu.Lock()
		c.n.seen[firstByteName(b[0])]++
		c.n.mu.Unlock()
	}
	return n, from, err
}

// TestSharedPortLoopback is TestSharedPort with the kernel's sockets, and a dual-stack
// one beside it: each host opens one socket per family and no other (TRA-14).
func TestSharedPortLoopback(t *testing.T) {
	keys := sortedKeys(2)
	var nets [2]*countingNetwork
	var n [2]*node
	for i := range n {
		os, err := transport.OSNetwork()
		if err != nil {
			t.Fatal(err)
		}
		nets[i] = &countingNetwork{Network: os, seen: map[string]int{}}
		n[i] = newNode(t, string(rune('a'+i)), transport.Config{Key: keys[i], Network: nets[i],
			Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	}
	exercise(t, n[0], n[1])
	for i, c := range nets {
		c.mu.Lock()
		if c.sockets != 1 || c.seen["QUIC"]*c.seen["STUN"]*c.seen["DTLS"]*c.seen["SRTP"] == 0 {
			t.Errorf("host %d: %d sockets, saw %v", i, c.sockets, c.seen)
		}
		c.mu.Unlock()
	}
}

// TestIPv6Loopback carries everything over IPv6.
func TestIPv6Loopback(t *testing.T) {
	if c, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
		t.Skip("needs IPv6 on loopback")
	} else {
		c.Close()
	}
	keys := sortedKeys(2)
	listen := []netip.AddrPort{netip.MustParseAddrPort("[::1]:0")}
	a := newNode(t, "a", transport.Config{Key: keys[0], Listen: listen})
	b := newNode(t, "b", transport.Config{Key: keys[1], Listen: listen})
	exercise(t, a, b)
}

// TestNAT brings up media between hosts behind NATs that met over a public third one:
// the address libp2p traffic was observed at serves as ICE's server-reflexive one.
func TestNAT(t *testing.T) {
	for name, nat := range map[string]transporttest.NAT{"full cone": transporttest.FullCone,
		"address restricted": transporttest.AddressRestricted, "port restricted": transporttest.PortRestricted} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				keys := sortedKeys(3)
				a := simNode(t, w, "a", keys[0], transporttest.HostOptions{NAT: nat})
				b := simNode(t, w, "b", keys[1], transporttest.HostOptions{NAT: nat})
				middle := simNode(t, w, "middle", keys[2], transporttest.HostOptions{})
				befriend(a, b, middle)
				for _, n := range []*node{a, b} {
					n.connect(middle)
					n.waitUp(middle)
				}
				time.Sleep(200 * time.Millisecond)
				if len(a.Observed()) != 1 || len(b.Observed()) != 1 {
					t.Fatalf("observed %v and %v", a.Observed(), b.Observed())
				}
				offer, err := a.MediaOffer(b.Key()) // as if carried by middle
				if err != nil {
					t.Fatal(err)
				}
				answer, err := b.MediaAnswer(a.Key(), offer)
				if err != nil {
					t.Fatal(err)
				}
				if err := a.MediaAccept(b.Key(), answer); err != nil {
					t.Fatal(err)
				}
				a.waitMedia(b, true, 2*time.Second)
				b.waitMedia(a, true, 2*time.Second)
				mediaFlows(t, a, b, "through", time.Second)
			})
		})
	}
}

// TestLoss: retransmission makes up for the loss of 1 and 5 % of packets.
func TestLoss(t *testing.T) {
	for _, loss := range []float64{0.01, 0.05} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond, Seed: 1})
				a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
				w.SetLoss(loss)
				const count = 2000
				link := a.Media(b.Key())
				for i := range count {
					_ = link.WritePacket(transport.Video, binary.BigEndian.AppendUint32(nil, uint32(i)))
					time.Sleep(5 * time.Millisecond)
				}
				time.Sleep(time.Second)
				got, late := map[string]bool{}, 0
				packets, _, _ := b.received()
				for _, p := range packets {
					if got[string(p.payload)] {
						late++
					}
					got[string(p.payload)] = true
				}
				st := link.Stats()
				t.Logf("loss %v: %d of %d arrived, %d retransmitted, %d twice, rtt %v", loss, len(got), count, st.Retransmitted, late, st.RTT)
				if len(got) < count*998/1000 {
					t.Errorf("%d of %d arrived", len(got), count)
				}
				if st.Retransmitted > uint64(float64(count)*loss*2.5) {
					t.Errorf("%d retransmissions for %v loss", st.Retransmitted, loss)
				}
			})
		})
	}
}

// TestCongestionControl runs a link with a bandwidth estimator, capped from the start.
func TestCongestionControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		keys := sortedKeys(2)
		config := transport.Config{Key: keys[0], BandwidthEstimator: func(transport.PeerKey) (cc.BandwidthEstimator, error) {
			return gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(500_000), gcc.SendSideBWEMaxBitrate(800_000))
		}}
		a := simNodeConfig(t, w, "a", config, transporttest.HostOptions{})
		b := simNode(t, w, "b", keys[1], transporttest.HostOptions{})
		befriend(a, b)
		a.connect(b)
		a.waitUp(b)
		a.offer(b)
		a.waitMedia(b, true, time.Second)
		b.waitMedia(a, true, time.Second)
		link := a.Media(b.Key())
		const count = 1000
		for range count { // 384 kbit/s
			_ = link.WritePacket(transport.Video, make([]byte, 480))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		packets, _, _ := b.count()
		if st := link.Stats(); st.TargetBitrate <= 0 || st.TargetBitrate > 800_000 || packets != count {
			t.Errorf("target %d bit/s, %d packets of %d", st.TargetBitrate, packets, count)
		}
	})
}

// TestPacketLimits: what is too large is refused, not cut.
func TestPacketLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		var longest atomic.Int64
		w.SetTap(func(d transporttest.Datagram) {
			if firstByteName(d.Data[0]) == "SRTP" {
				longest.Store(max(longest.Load(), int64(len(d.Data))))
			}
		})
		link := a.Media(b.Key())
		if err := link.WritePacket(transport.Video, make([]byte, transport.MaxPacket)); err != nil {
			t.Error(err)
		}
		if err := link.WritePacket(transport.Video, make([]byte, transport.MaxPacket+1)); !errors.Is(err, transport.ErrTooLarge) {
			t.Error(err)
		}
		if err := a.Send(b.Key(), make([]byte, transport.MaxFrame+1)); !errors.Is(err, transport.ErrTooLarge) {
			t.Error(err)
		}
		if err := a.Publish(make([]byte, transport.MaxFrame+1)); !errors.Is(err, transport.ErrTooLarge) {
			t.Error(err)
		}
		if err := a.Publish(make([]byte, transport.MaxFrame)); err != nil {
			t.Error(err)
		}
		b.wait("largest packet and gossip", time.Second, func() bool { return len(b.packets) == 1 && len(b.gossip) == 1 })
		w.SetTap(nil)
		if n := longest.Load(); n > 1316 {
			t.Errorf("datagram payload of %d bytes", n)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := a.Connect(ctx, testPeer(9), b.Addresses()); !errors.Is(err, transport.ErrNotAllowed) {
			t.Error(err)
		}
	})
}

func testPeer(seed int64) (k transport.PeerKey) {
	copy(k[:], testKey(seed)[32:])
	return k
}

// TestConnectOverMediaPath: two hosts behind port-restricted NATs, which cannot dial
// each other, get a media link by signals carried through a third, and then a
// connection over the path that ICE has opened.
func TestConnectOverMediaPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		keys := sortedKeys(3)
		nat := transporttest.HostOptions{NAT: transporttest.PortRestricted}
		a := simNode(t, w, "a", keys[0], nat)
		b := simNode(t, w, "b", keys[1], nat)
		middle := simNode(t, w, "middle", keys[2], transporttest.HostOptions{})
		befriend(a, b, middle)
		for _, n := range []*node{a, b} {
			n.connect(middle)
			n.waitUp(middle)
		}
		time.Sleep(200 * time.Millisecond)
		outside := ma.StringCast(fmt.Sprintf("/ip4/%v/udp/%d/quic-v1", b.Observed()[0].Addr(), b.Observed()[0].Port()))
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := a.Connect(ctx, b.Key(), []ma.Multiaddr{outside}); err == nil {
			t.Fatal("the NATs let a connection through: the test shows nothing")
		}
		offer, err := a.MediaOffer(b.Key())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := b.MediaAnswer(a.Key(), offer)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.MediaAccept(b.Key(), answer); err != nil {
			t.Fatal(err)
		}
		a.waitMedia(b, true, 2*time.Second)
		time.Sleep(time.Second)
		if err := a.Connect(context.Background(), b.Key(), nil); err != nil {
			t.Fatal(err)
		}
		a.waitUp(b)
	})
}

// TestPublishTwice: the same bytes are one message.
func TestPublishTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		time.Sleep(time.Second)
		for range 2 {
			if err := a.Publish([]byte("once")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if _, _, n := b.count(); n != 1 {
			t.Errorf("arrived %d times", n)
		}
	})
}
