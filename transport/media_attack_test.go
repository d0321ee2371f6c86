package transport_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestNoNonceTwice: no two different packets go out under one SRTP nonce, that is one
// SSRC and sequence number, retransmissions included (TRA-9).
func TestNoNonceTwice(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { nonces(t, protected) }) })
	}
}

func nonces(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond, Seed: 2})
	a, b := unsafePairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{}, transport.Unsafe{ResendPlain: !protected})
	type nonce struct {
		from netip.AddrPort
		ssrc uint32
		seq  uint16
	}
	var mu sync.Mutex
	seen, again, twice := map[nonce][]byte{}, 0, 0
	w.SetFilter(func(d transporttest.Datagram) bool { // before the loss: sees what was sent
		if firstByteName(d.Data[0]) != "SRTP" || d.Data[1] >= 192 && d.Data[1] <= 223 {
			return true
		}
		n := nonce{d.From, binary.BigEndian.Uint32(d.Data[8:]), binary.BigEndian.Uint16(d.Data[2:])}
		mu.Lock()
		defer mu.Unlock()
		if old, ok := seen[n]; ok && !bytes.Equal(old, d.Data) {
			twice++
		}
		seen[n] = bytes.Clone(d.Data)
		if d.Data[1]&0x7f >= 98 {
			again++
			return again%3 == 0 // lose most of them: they are asked for again
		}
		return n.seq%10 != 0
	})
	for i := range 500 {
		for _, n := range [][2]*node{{a, b}, {b, a}} {
			_ = n[0].Media(n[1].Key()).WritePacket(transport.Video, fmt.Appendf(nil, "packet %d", i))
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(time.Second)
	mu.Lock()
	defer mu.Unlock()
	if protected && again < 100 {
		t.Errorf("%d retransmissions: the test shows nothing", again)
	}
	if (twice == 0) != protected {
		t.Errorf("%d nonces used twice, protected: %v", twice, protected)
	}
	w.SetFilter(nil)
}

// TestCandidateTakeover: a member names another member's address as its own candidate.
// Packets from there still reach the other's link (TRA-2).
func TestCandidateTakeover(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { takeover(t, protected) }) })
	}
}

func takeover(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	keys := sortedKeys(3)
	a := simNodeConfig(t, w, "a", transport.Without(transport.Config{Key: keys[0]}, transport.Unsafe{ClaimOnCheck: !protected}), transporttest.HostOptions{})
	b := simNode(t, w, "b", keys[1], transporttest.HostOptions{})
	evil := simNode(t, w, "evil", keys[2], transporttest.HostOptions{})
	befriend(a, b, evil)
	a.connect(b)
	a.waitUp(b)
	a.offer(b)
	a.waitMedia(b, true, time.Second)
	b.waitMedia(a, true, time.Second)
	offer, err := a.MediaOffer(evil.Key())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := evil.MediaAnswer(a.Key(), offer)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := transport.ReplaceCandidates(answer, b.Addresses())
	if err != nil {
		t.Fatal(err)
	}
	w.Crash("evil") // it keeps silent, so that the forged candidate goes on being checked
	if err := a.MediaAccept(evil.Key(), forged); err != nil {
		t.Fatal(err)
	}
	for range 100 { // while a checks b's address for evil
		_ = b.Media(a.Key()).WritePacket(transport.Audio, []byte("voice"))
		time.Sleep(50 * time.Millisecond)
	}
	if got, _, _ := a.count(); (got == 100) != protected {
		t.Errorf("%d of 100 packets arrived, protected: %v", got, protected)
	}
}

// TestWrongFingerprint: media with whoever holds another certificate than the one signalled is refused, by who offers, as
// DTLS server, and by who answers, as client.
//
// Checks: TRA-11.
func TestWrongFingerprint(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		for _, who := range []string{"offerer", "answerer"} {
			t.Run(name+"/"+who, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { wrongFingerprint(t, protected, who == "offerer") })
			})
		}
	}
}

func wrongFingerprint(t *testing.T, protected, offerer bool) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	keys := sortedKeys(2)
	off := transport.Unsafe{AnyFingerprint: !protected}
	a := simNodeConfig(t, w, "a", transport.Without(transport.Config{Key: keys[0]}, off), transporttest.HostOptions{})
	b := simNodeConfig(t, w, "b", transport.Without(transport.Config{Key: keys[1]}, off), transporttest.HostOptions{})
	befriend(a, b)
	offer, err := a.MediaOffer(b.Key())
	if err != nil {
		t.Fatal(err)
	}
	if !offerer { // the answerer is told another's
		if offer, err = transport.ReplaceFingerprint(offer); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := b.MediaAnswer(a.Key(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if offerer {
		if answer, err = transport.ReplaceFingerprint(answer); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.MediaAccept(b.Key(), answer); err != nil {
		t.Fatal(err)
	}
	a.waitMedia(b, !protected, 20*time.Second)
	b.waitMedia(a, !protected, 20*time.Second)
}

// TestFloodedMux: STUN, DTLS and SRTP from strangers on the media port change nothing (TRA-2).
func TestFloodedMux(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := pairOf(t, w, transporttest.HostOptions{}, transporttest.HostOptions{})
		network, err := w.Host("stranger", transporttest.HostOptions{})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := network.ListenUDP(netip.MustParseAddrPort("0.0.0.0:0"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		at := addrOf(t, a)
		request := append([]byte{0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42}, "transactions\x00\x06\x00\x0cnobody:knows"...)
		var answered atomic.Bool
		go func() {
			buf := make([]byte, 1500)
			for {
				n, _, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				if transport.IsMedia(buf[:n]) {
					answered.Store(true)
				}
			}
		}()
		for i := range 200 {
			_, _ = conn.WriteTo(request, at)
			for _, first := range []byte{0, 1, 3, 20, 22, 63, 128, 144, 191} {
				junk := bytes.Repeat([]byte{byte(i)}, 40+i)
				junk[0] = first
				_, _ = conn.WriteTo(junk, at)
			}
			time.Sleep(time.Millisecond)
		}
		mediaFlows(t, a, b, "unmoved", 100*time.Millisecond)
		mediaFlows(t, b, a, "unmoved", 100*time.Millisecond)
		time.Sleep(time.Second)
		if answered.Load() {
			t.Error("the media port answered a stranger")
		}
	})
}

func addrOf(t *testing.T, n *node) net.Addr {
	t.Helper()
	var ip string
	var port int
	for _, part := range n.Addresses()[0] {
		switch part.Protocol().Name {
		case "ip4":
			ip = part.Value()
		case "udp":
			fmt.Sscan(part.Value(), &port)
		}
	}
	return &net.UDPAddr{IP: net.ParseIP(ip), Port: port}
}
