package bridge

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// sendLayers adds a camera in layers, as a browser with sendEncodings does.
func (p *browser) sendLayers(rids ...string) {
	p.t.Helper()
	var sender *webrtc.RTPSender
	for _, rid := range rids {
		track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "camera", "page", webrtc.WithRTPStreamID(rid))
		if err != nil {
			p.t.Fatal(err)
		}
		p.tracks["camera "+rid] = track
		if sender != nil {
			if err := sender.AddEncoding(track); err != nil {
				p.t.Fatal(err)
			}
			continue
		}
		tr, err := p.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			p.t.Fatal(err)
		}
		sender = tr.Sender()
	}
	p.senders["camera"] = sender
	for _, rid := range rids {
		go func() {
			for {
				packets, _, err := sender.ReadSimulcastRTCP(rid)
				if err != nil {
					return
				}
				for _, packet := range packets {
					switch r := packet.(type) {
					case *rtcp.ReceiverEstimatedMaximumBitrate:
						p.remb.Store(uint64(r.Bitrate))
					case *rtcp.PictureLossIndication:
						p.mu.Lock()
						p.asked[rid]++
						p.mu.Unlock()
					}
				}
			}
		}()
	}
}

// extensions are the numbers of the header extensions that name a packet's m-line and layer.
func (p *browser) extensions() (mid, rid uint8, value string) {
	for _, e := range p.senders["camera"].GetParameters().HeaderExtensions {
		switch e.URI {
		case midURI:
			mid = uint8(e.ID)
		case "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id":
			rid = uint8(e.ID)
		}
	}
	for _, tr := range p.pc.GetTransceivers() {
		if tr.Sender() == p.senders["camera"] {
			value = tr.Mid()
		}
	}
	return mid, rid, value
}

// TestLayersFromPage: a camera that the page sends in layers is one source of several tracks, the smallest first, each with
// its own key frames, under one limit; the tap is shown one of them at a time; and a page that sends one encoding is
// another source.
func TestLayersFromPage(t *testing.T) {
	b, n := newBridge(t)
	var mu sync.Mutex
	var tapped []byte
	b.SetTap(func(id string, own bool, h *rtp.Header, payload []byte) {
		mu.Lock()
		defer mu.Unlock()
		if id != "camera" || !own {
			t.Error(id)
		}
		if len(tapped) == 0 || tapped[len(tapped)-1] != payload[1] {
			tapped = append(tapped, payload[1])
		}
	})
	p := newBrowser(t)
	p.sendLayers("f", "q", "h", "other")
	p.offer(b, true)
	mid, rid, line := p.extensions()
	if mid == 0 || rid == 0 {
		t.Fatal("the answer has no layers")
	}
	done := make(chan struct{})
	var writing sync.WaitGroup
	for i, name := range []string{"q", "h", "f", "other"} {
		writing.Go(func() {
			for number := uint16(100 * i); ; number++ {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
				}
				packet := videoPacket(number)
				packet.Payload[1] = byte(i)
				if err := packet.SetExtension(mid, []byte(line)); err != nil {
					t.Error(err)
				}
				if err := packet.SetExtension(rid, []byte(name)); err != nil {
					t.Error(err)
				}
				if err := p.tracks["camera "+name].WriteRTP(packet); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	source := await(t, n.sources, "source")
	tracks := source.Tracks()
	if len(tracks) != 3 {
		t.Fatalf("%d layers", len(tracks))
	}
	var members []*member
	for i, track := range tracks {
		m := newMember(videoCodecs)
		members = append(members, m)
		if codec, err := track.Bind(m); err != nil || codec.MimeType != webrtc.MimeTypeVP8 || track.RID() != layerNames[i] {
			t.Fatal(codec, err)
		}
		var last *rtp.Packet
		for range 10 {
			got := await(t, m.got, "packet")
			if got.Payload[1] != byte(i) || last != nil && got.SequenceNumber != last.SequenceNumber+1 {
				t.Fatalf("layer %d: %v after %v", i, got, last)
			}
			last = got
		}
	}
	until(t, "key frame of one layer", func() bool {
		select {
		case members[1].rtcp <- []rtcp.Packet{&rtcp.PictureLossIndication{}}:
		default:
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.asked["h"] > 0
	})
	p.mu.Lock()
	if p.asked["q"]+p.asked["f"]+p.asked["other"] > 0 {
		t.Errorf("asked for key frames of %v", p.asked)
	}
	p.mu.Unlock()
	until(t, "limit", func() bool { return near(p.remb.Load(), StartLimit) })
	until(t, "highest layer for the tap", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(tapped) > 0 && tapped[len(tapped)-1] == 2
	})
	mu.Lock()
	if !slices.IsSorted(tapped) {
		t.Errorf("the tap was shown layers %v", tapped)
	}
	mu.Unlock()
	close(done)
	writing.Wait()
	for i, m := range members {
		if err := tracks[i].Unbind(m); err != nil {
			t.Error(err)
		}
		close(m.rtcp)
	}
	if err := p.pc.GracefulClose(); err != nil {
		t.Error(err)
	}

	p = newBrowser(t)
	p.send("camera", webrtc.MimeTypeVP8)
	p.offer(b, true)
	done = make(chan struct{})
	writing.Go(func() { p.write("camera", done, videoPacket) })
	if again := await(t, n.sources, "source"); again == source || len(again.Tracks()) != 1 {
		t.Error("one encoding is the same source as several")
	}
	close(done)
	writing.Wait()
}

// TestTapLayers: the tap is shown the highest layer that comes, and a gap where it becomes another.
func TestTapLayers(t *testing.T) {
	b := New(Config{})
	defer b.Close()
	s := newSource(b, "camera", webrtc.RTPCodecTypeVideo, videoCodecs[0].RTPCodecCapability, []string{"q", "f"})
	var got []uint16
	b.SetTap(func(_ string, _ bool, h *rtp.Header, _ []byte) { got = append(got, h.SequenceNumber) })
	now := time.Unix(1000, 0)
	for i, layer := range []int{0, 0, 1, 0, 1, 0, 0} {
		if i >= 5 {
			now = now.Add(2 * tapPatience)
		}
		s.layers[layer].write(&rtp.Header{SequenceNumber: uint16(50*layer + i), Timestamp: uint32(i)}, []byte{1}, 0, now)
	}
	if want := []uint16{0, 1, 3, 5, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("numbers %v, want %v", got, want)
	}
}
