package transport

import (
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
)

// TestWriteAllocatesNothing: our part of the way out of a packet, from WritePacket to
// the first interceptor, and from the last to the sealed packet.
func TestWriteAllocatesNothing(t *testing.T) {
	h := &Host{media: &mediaConfig{links: map[PeerKey]*Link{}}}
	var peers []PeerKey
	for i := range 25 {
		l := &Link{host: h, key: PeerKey{byte(i)}}
		s := &session{link: l, host: h, offerer: true}
		for kind := Audio; kind <= Video; kind++ {
			o := &s.out[kind]
			o.header = rtp.Header{Version: 2}
			_ = o.header.SetExtension(transportCCID, o.twcc[:])
			o.start = time.Now()
			o.sent = make([]sentPacket, sentPackets[kind])
			o.writer = interceptor.RTPWriterFunc(func(h *rtp.Header, b []byte, _ interceptor.Attributes) (int, error) {
				n, err := h.MarshalTo(s.tx.buf[:])
				return n + copy(s.tx.buf[n:], b), err
			})
		}
		l.active.Store(s)
		h.media.links[l.key] = l
		peers = append(peers, l.key)
	}
	payload := make([]byte, 1200)
	for range 2 * sentPackets[Video] { // fill the rings
		h.Fanout(Video, payload, peers)
	}
	link := h.media.links[peers[0]]
	for name, f := range map[string]func(){
		"WritePacket": func() { _ = link.WritePacket(Audio, payload) },
		"Fanout": func() {
			if h.Fanout(Video, payload, peers) != len(peers) {
				t.Error("not sent to all")
			}
		},
	} {
		if n := testing.AllocsPerRun(2000, f); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
