//go:build unix

package transport_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport"
)

// BenchmarkStream sends packets of 1,200 bytes between two hosts of this process over loopback: by ICE's path, and by a
// media stream over TCP and over QUIC, in turns. It compares the processor time of both ends together.
//
//	go test -run - -bench 'Stream$' -benchtime 4000x ./transport
func BenchmarkStream(b *testing.B) {
	payload, peers := make([]byte, 1200), make([]transport.PeerKey, 1)
	ways := []string{"ICE", "TCP", "QUIC"}
	var hosts [3]*transport.Host
	var others [3]transport.PeerKey
	var got [3]atomic.Int64
	for i, way := range ways {
		hosts[i], others[i] = benchPair(b, way, &got[i])
	}
	cost, sent := map[string]time.Duration{}, 0
	round := func(i int) {
		start := cpuTime()
		peers[0] = others[i]
		for range 200 {
			if hosts[i].Fanout(transport.Video, payload, peers) != 1 {
				b.Fatalf("%s is down", ways[i])
			}
			time.Sleep(500 * time.Microsecond)
		}
		cost[ways[i]] += cpuTime() - start
	}
	for i := range ways { // until the window is open
		round(i)
	}
	for i, way := range ways {
		st := hosts[i].Media(others[i]).Stats()
		if st.Stream != (way != "ICE") || way == "TCP" && st.Path.Kind != transport.PathTCP {
			b.Fatalf("%s: %+v", way, st)
		}
		got[i].Store(0)
	}
	clear(cost)
	b.ResetTimer()
	for ; sent < b.N; sent += 200 {
		for i := range ways {
			round(i)
		}
	}
	b.StopTimer()
	time.Sleep(100 * time.Millisecond)
	for i, way := range ways {
		b.ReportMetric(float64(cost[way].Nanoseconds())/float64(sent)/1000, way+"-cpu-µs/packet")
		b.ReportMetric(100*(1-float64(got[i].Load())/float64(sent)), way+"-lost-%")
	}
	b.ReportMetric(float64(cost["TCP"])/float64(cost["ICE"]), "TCP/ICE")
	b.ReportMetric(float64(cost["QUIC"])/float64(cost["ICE"]), "QUIC/ICE")
	b.ReportMetric(0, "ns/op")
}

// benchPair is two connected members whose media goes the given way.
func benchPair(b *testing.B, way string, got *atomic.Int64) (*transport.Host, transport.PeerKey) {
	var h [2]*transport.Host
	for i, key := range sortedKeys(2) {
		os, err := transport.OSNetwork()
		if err != nil {
			b.Fatal(err)
		}
		c := transport.Config{Key: key, RoomID: room, Network: os, StreamDelay: time.Millisecond,
			Listen:   []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
			OnPacket: func(transport.PeerKey, transport.Kind, []byte) { got.Add(1) }}
		switch way {
		case "TCP":
			c.Network = deafNetwork{os}
		case "ICE":
			c.StreamDelay = -1
		}
		if h[i], err = transport.Listen(context.Background(), c); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = h[i].Close() })
	}
	h[0].Allow(h[1].Key())
	h[1].Allow(h[0].Key())
	if err := h[0].Connect(context.Background(), h[1].Key(), h[1].Addresses()); err != nil {
		b.Fatal(err)
	}
	if way == "ICE" {
		offer, err := h[0].MediaOffer(h[1].Key())
		if err != nil {
			b.Fatal(err)
		}
		answer, err := h[1].MediaAnswer(h[0].Key(), offer)
		if err != nil {
			b.Fatal(err)
		}
		if err := h[0].MediaAccept(h[1].Key(), answer); err != nil {
			b.Fatal(err)
		}
	}
	for e := range h[0].Events() {
		if st, ok := e.(transport.MediaState); ok && st.Up {
			break
		}
	}
	return h[0], h[1].Key()
}
