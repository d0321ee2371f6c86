package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// pionBrowser is a pion peer with pion's own defaults in the place of a browser.
type pionBrowser struct {
	page   *testPage
	pc     *webrtc.PeerConnection
	audio  *webrtc.TrackLocalStaticRTP
	voice  *webrtc.RTPSender
	video  *webrtc.TrackLocalStaticRTP
	got    chan heard
	pli    chan struct{}
	remb   chan float32
	number uint16
}

type heard struct {
	mid    string
	packet *rtp.Packet
}

func newPionBrowser(t *testing.T, page *testPage) *pionBrowser {
	t.Helper()
	engine, registry := &webrtc.MediaEngine{}, &interceptor.Registry{}
	if err := engine.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	if err := engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: audioLevel}, webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	if err := webrtc.RegisterDefaultInterceptors(engine, registry); err != nil {
		t.Fatal(err)
	}
	setting := webrtc.SettingEngine{}
	setting.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(setting)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	b := &pionBrowser{page: page, pc: pc, got: make(chan heard, 1000), pli: make(chan struct{}, 100), remb: make(chan float32, 1000)}
	t.Cleanup(func() { _ = pc.GracefulClose() })
	for name, mime := range map[string]string{"microphone": webrtc.MimeTypeOpus, "camera": webrtc.MimeTypeVP8} {
		track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, name, "page")
		if err != nil {
			t.Fatal(err)
		}
		tr, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			t.Fatal(err)
		}
		if name == "camera" {
			b.video = track
			go b.feedback(tr.Sender())
		} else {
			b.audio, b.voice = track, tr.Sender()
		}
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		for range 2 {
			if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
				t.Fatal(err)
			}
		}
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		for {
			p, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			for _, tr := range pc.GetTransceivers() {
				if tr.Receiver() == r {
					b.got <- heard{tr.Mid(), p}
				}
			}
		}
	})
	return b
}

func (b *pionBrowser) feedback(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication:
				select {
				case b.pli <- struct{}{}:
				default:
				}
			case *rtcp.ReceiverEstimatedMaximumBitrate:
				select {
				case b.remb <- p.Bitrate:
				default:
				}
			}
		}
	}
}

func (b *pionBrowser) negotiate(t *testing.T) {
	t.Helper()
	offer, err := b.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(b.pc)
	if err := b.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	sources := map[string]string{}
	for _, tr := range b.pc.GetTransceivers() {
		if s := tr.Sender(); s != nil && s.Track() != nil {
			sources[tr.Mid()] = s.Track().ID()
		}
	}
	answer := b.page.must("media-offer", map[string]any{"sdp": b.pc.LocalDescription().SDP, "sources": sources, "restart": true})
	var sdp string
	if err := json.Unmarshal(answer["sdp"], &sdp); err != nil {
		t.Fatal(err)
	}
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sdp}); err != nil {
		t.Fatal(err)
	}
	b.page.until("connection of media", func() bool { return part[media](b.page, "media").Connection == "connected" })
}

const audioLevel = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

// send sends sound, at -20 dBov, and pictures until done.
func (b *pionBrowser) send(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(10 * time.Millisecond):
		}
		b.number++
		sound := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: b.number, Timestamp: uint32(b.number) * 480}, Payload: []byte("sound")}
		for _, e := range b.voice.GetParameters().HeaderExtensions {
			if e.URI == audioLevel {
				_ = sound.SetExtension(uint8(e.ID), []byte{20})
			}
		}
		_ = b.audio.WriteRTP(sound)
		_ = b.video.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: b.number, Timestamp: uint32(b.number) * 900, Marker: true},
			Payload: []byte{0x10, 0x00, byte(b.number), 'v'}}) // a key frame of VP8, as far as its first bytes go
	}
}

// TestMedia: sound and pictures from one browser to another, through both agents; muting; key frames and limits.
func TestMedia(t *testing.T) {
	t.Parallel()
	host, guest := meetTwo(t, nil)
	from, to := newPionBrowser(t, host), newPionBrowser(t, guest)
	from.negotiate(t)
	to.negotiate(t)
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() { defer close(stopped); from.send(done) }()
	defer func() { close(done); <-stopped }()

	host.must("media-send", map[string]any{"own": map[string]string{"microphone": "on", "camera": "on"}})
	guest.until("tracks on lines", func() bool {
		all := part[[]track](guest, "tracks")
		return len(all) == 2 && all[0].Mid != "" && all[1].Mid != "" && all[0].Mid != all[1].Mid
	})
	guest.until("what the host sends", func() bool {
		m := otherNow(guest)
		return m.Microphone == "on" && m.Camera == "on" && m.Screen == "off"
	})
	want := map[string]string{} // mid to payload's last byte
	for _, tr := range get[[]track](guest, "tracks") {
		want[tr.Mid] = map[string]string{"audio": "d", "video": "v"}[tr.Kind]
		if tr.Member != other(guest).ID || tr.Codec != map[string]string{"audio": webrtc.MimeTypeOpus, "video": webrtc.MimeTypeVP8}[tr.Kind] {
			t.Errorf("%+v", tr)
		}
	}
	count := map[string]int{}
	for end := time.After(patience); count["d"] < 20 || count["v"] < 20; {
		select {
		case h := <-to.got:
			last := string(h.packet.Payload[len(h.packet.Payload)-1:])
			if want[h.mid] != last {
				t.Fatalf("%q came on line %s: %v", last, h.mid, want)
			}
			count[last]++
		case <-end:
			t.Fatal(count)
		}
	}
	select {
	case <-from.pli:
	case <-time.After(patience):
		t.Error("the browser was never asked for a key frame")
	}
	select {
	case limit := <-from.remb:
		if limit < leastVideo || limit > 2*mostVideo {
			t.Error(limit)
		}
	case <-time.After(patience):
		t.Error("the browser was never told a limit")
	}
	if e := event[encoderEvent](host, "encoder"); e.Source != "camera" || e.MaxBitrate < leastVideo || e.MaxHeight == 0 {
		t.Errorf("%+v", e)
	}

	self := get[*meeting](host, "meeting").Self
	for _, p := range []*testPage{host, guest} {
		for e := event[levelsEvent](p, "levels"); e.Speaker != self || e.Levels[self] < 0.5 || e.Levels[self] > 0.8; {
			e = event[levelsEvent](p, "levels")
		}
	}
	host.must("stats", map[string]any{"on": true})
	for s := event[statsEvent](host, "stats").Stats; len(s.Links) != 1 || s.Links[0].Target < leastVideo; {
		s = event[statsEvent](host, "stats").Stats
	}

	host.must("media-send", map[string]any{"own": map[string]string{"microphone": "muted", "camera": "off"}})
	guest.until("muted and off", func() bool {
		all := part[[]track](guest, "tracks")
		return len(all) == 1 && all[0].Muted && all[0].Source == "microphone"
	})
	guest.until("what the host sends now", func() bool {
		m := otherNow(guest)
		return m.Microphone == "muted" && m.Camera == "off"
	})
	for quiet := false; !quiet; { // what was under way comes; then nothing, though the page goes on sending
		select {
		case <-to.got:
		case <-time.After(300 * time.Millisecond):
			quiet = true
		}
	}
	host.must("leave", nil)
	host.untilPhase("ended")
}
