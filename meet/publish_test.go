package meet

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"go.uber.org/goleak"
)

// sequences are the numbers of packets, less the first's.
func sequences(packets []*rtp.Packet) (all []uint16) {
	for _, p := range packets {
		all = append(all, p.SequenceNumber-packets[0].SequenceNumber)
	}
	return all
}

// TestMute: nothing recorded while muted leaves, even if the source hands it over again afterwards (STR-6); the others
// are told; and readers see no loss.
func TestMute(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newStage(t)
		a, b := s.actor(), s.actor()
		a.off.mutedGuard = off
		a.sendTo(b)
		track, pub, remote := a.show(b, webrtc.MimeTypeOpus)
		src := &source{t: t, track: track, seq: 10}
		src.write(1)
		told := a.announce
		pub.Mute(true)
		pub.Mute(true)
		if a.announce != told+1 || !pub.Muted() {
			t.Fatalf("told %d times", a.announce-told)
		}
		if _, _, changed := a.tell(b); len(changed) != 1 || changed[0] != remote || !remote.Muted() {
			t.Fatalf("changed %v", changed)
		}
		src.write(91)
		src.write(92)
		pub.Mute(false)
		if _, _, changed := a.tell(b); len(changed) != 1 || remote.Muted() {
			t.Fatalf("changed %v", changed)
		}
		src.writeAs(11, 91) // again, as browsers do
		src.writeAs(10, 1)
		src.write(2)
		src.write(3)
		got := drain(t, remote)
		if off { // the twin
			if !slices.Contains(payloads(got), 91) {
				t.Fatal("the twin has the protection")
			}
			continue
		}
		if !slices.Equal(payloads(got), []byte{1, 2, 3}) || !slices.Equal(sequences(got), []uint16{0, 1, 2}) {
			t.Fatalf("got %v, numbered %v", payloads(got), sequences(got))
		}
		if st := pub.Stats(); st.Muted != 4 || st.Packets != 3 || remote.Stats().Lost != 0 {
			t.Fatalf("%+v", st)
		}
	}
}

// TestMuteLong: the guard holds for all that could come again, and doesn't take later packets for old ones when numbers
// come round.
func TestMuteLong(t *testing.T) {
	var n numbering
	n.skip(3)
	n.skip(5)
	n.skip(4)
	for _, old := range []uint16{5, 4, 0, 65535, 65000} {
		if !n.recordedMuted(old) {
			t.Fatalf("%d would be sent", old)
		}
	}
	for i := range 200_000 {
		if sequence := uint16(6 + i); n.recordedMuted(sequence) {
			t.Fatalf("packet %d after the mute would not be sent", i)
		}
	}
}

func TestPublishMuted(t *testing.T) {
	_, a, b := onStage(t)
	track := localTrack(t, webrtc.MimeTypeOpus)
	if _, err := a.publish([]webrtc.TrackLocal{track}, PublishOptions{Source: SourceScreenAudio, Muted: true}); err != nil {
		t.Fatal(err)
	}
	added, _, _ := a.tell(b)
	if !added[0].Muted() || added[0].Source() != SourceScreenAudio {
		t.Fatal("not muted")
	}
	(&source{t: t, track: track}).write(1)
	if len(a.sent) != 0 {
		t.Fatal("sent while muted")
	}
}

// TestReplace: with the same codec the stream goes on; with another it is another stream.
func TestReplace(t *testing.T) {
	s, a, b := onStage(t)
	first, pub, remote := a.show(b, webrtc.MimeTypeVP8)
	src := &source{t: t, track: first, seq: 500, time: 1000}
	src.write(1)
	src.write(2)
	number := pub.Stream()
	second := localTrack(t, webrtc.MimeTypeVP8)
	s.pass(time.Second)
	if err := pub.Replace(second); err != nil {
		t.Fatal(err)
	}
	src.write(99) // to the old track, which is unbound
	src = &source{t: t, track: second, seq: 499, time: 77}
	src.write(3) // numbers that were used before
	src.write(4)
	got := drain(t, remote)
	if !slices.Equal(payloads(got), []byte{1, 2, 3, 4}) || !slices.Equal(sequences(got), []uint16{0, 1, 2, 3}) {
		t.Fatalf("got %v, numbered %v", payloads(got), sequences(got))
	}
	if gap := got[2].Timestamp - got[1].Timestamp; gap != 90_000 || got[3].Timestamp-got[2].Timestamp != 960 {
		t.Fatalf("timestamps went on by %d after a second", gap)
	}
	if pub.Stream() != number {
		t.Fatal("the same codec got another stream")
	}
	third := localTrack(t, webrtc.MimeTypeH264)
	if err := pub.Replace(third); err != nil {
		t.Fatal(err)
	}
	added, removed, _ := a.tell(b)
	if pub.Stream() == number || len(added) != 1 || len(removed) != 1 || removed[0] != remote {
		t.Fatalf("stream %d, added %v, removed %v", pub.Stream(), added, removed)
	}
	(&source{t: t, track: third}).write(5)
	wantPayloads(t, added[0], 5)
	for _, bad := range []webrtc.TrackLocal{nil, localTrack(t, webrtc.MimeTypeOpus), localTrack(t, "video/unknown")} {
		if err := pub.Replace(bad); !errors.Is(err, ErrUnsupportedTrack) {
			t.Fatalf("replaced by %v: %v", bad, err)
		}
	}
	(&source{t: t, track: third, seq: 1}).write(6) // still bound
	wantPayloads(t, added[0], 6)
}

func TestPublishRefuses(t *testing.T) {
	s := newStage(t)
	a := s.actor()
	for _, c := range []struct {
		track  webrtc.TrackLocal
		source Source
	}{
		{nil, 0},
		{localTrack(t, "audio/unknown"), 0},
		{localTrack(t, "application/x"), 0},
		{localTrack(t, webrtc.MimeTypeVP8), SourceMicrophone},
		{localTrack(t, webrtc.MimeTypeOpus), SourceScreen},
		{localTrack(t, webrtc.MimeTypeOpus), 77},
	} {
		if _, err := a.publish([]webrtc.TrackLocal{c.track}, PublishOptions{Source: c.source}); !errors.Is(err, ErrUnsupportedTrack) {
			t.Errorf("%v as %v: %v", c.track, c.source, err)
		}
	}
	for range MaxPublications {
		if _, err := a.publish([]webrtc.TrackLocal{localTrack(t, webrtc.MimeTypeOpus)}, PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	one := localTrack(t, webrtc.MimeTypeOpus)
	if _, err := a.publish([]webrtc.TrackLocal{one}, PublishOptions{}); err != ErrTooManyTracks {
		t.Fatalf("one too many: %v", err)
	}
}

func TestPayloadTooLong(t *testing.T) {
	_, a, b := onStage(t)
	track, _, remote := a.show(b, webrtc.MimeTypeVP8)
	packet := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, MaxPayload+1)}
	if err := track.WriteRTP(packet); err == nil {
		t.Fatal("a payload over MaxPayload was taken")
	}
	packet.Payload = packet.Payload[:MaxPayload]
	if err := track.WriteRTP(packet); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, remote); len(got) != 1 || len(got[0].Payload) != MaxPayload {
		t.Fatalf("%d packets", len(got))
	}
}

// TestStreamNumbers: a closed stream's number isn't used again while there are others, and when it is, packet numbers
// go on, so that nothing is taken for a repetition (STR-7).
func TestStreamNumbers(t *testing.T) {
	t.Parallel()
	s, a, b := onStage(t)
	seen := map[uint8]bool{}
	for i := range 2 * 240 {
		track, pub, remote := a.show(b, webrtc.MimeTypeOpus)
		if n := pub.Stream(); i < 240 && seen[n] || n < 16 {
			t.Fatalf("stream %d is number %d", i, n)
		}
		seen[pub.Stream()] = true
		src := &source{t: t, track: track, seq: 7}
		src.write(1)
		src.write(2)
		wantPayloads(t, remote, 1, 2)
		if err := pub.Close(); err != nil {
			t.Fatal(err)
		}
		s.pass(time.Second)
		a.tell(b)
	}
	a.off.numbering = true // the twin: a new source with numbers that were used is taken for a repetition
	track, pub, remote := a.show(b, webrtc.MimeTypeOpus)
	(&source{t: t, track: track, seq: pub.layers[0].out.sequence}).write(1)
	wantPayloads(t, remote)
}

// TestKeyFrameRequests: members' requests reach the track as picture loss indications, few however many ask (STR-5).
func TestKeyFrameRequests(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, a, b := onStage(t)
	track, pub, _ := a.show(b, webrtc.MimeTypeVP8)
	feedback := pub.layers[0].bound.RTCPReader()
	read := func() int {
		buf := make([]byte, 1500)
		n, _, err := feedback.Read(buf, nil)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		if pli, ok := packets[0].(*rtcp.PictureLossIndication); !ok || pli.MediaSSRC != uint32(pub.layers[0].bound.ssrc) {
			t.Fatalf("got %v", packets)
		}
		return len(pub.layers[0].bound.rtcp)
	}
	for range 100 {
		a.wantKeyFrame(b.key, pub.Stream())
	}
	if left := read(); left != 0 || pub.Stats().KeyFramesWanted != 1 {
		t.Fatalf("%+v", pub.Stats())
	}
	s.pass(keyFrameEvery)
	src := &source{t: t, track: track}
	src.write(0x00, 0x00) // not the start of a frame: the other requests aren't met yet
	read()
	a.wantKeyFrame(b.key, pub.Stream())
	src.write(0x10, 0x00) // a key frame: that one is met
	s.pass(keyFrameEvery)
	a.expire()
	if st := pub.Stats(); st.KeyFramesWanted != 2 {
		t.Fatalf("%+v", st)
	}
	a.off.keyFrames = true // the twin
	for range 100 {
		a.wantKeyFrame(b.key, pub.Stream())
	}
	if st := pub.Stats(); st.KeyFramesWanted != 102 {
		t.Fatalf("without the limit: %+v", st)
	}
	a.off.keyFrames = false
	pub.stats.KeyFramesWanted = 2
	read()
	a.wantKeyFrame(b.key, 99)
	s.pass(keyFrameEvery)
	pub.Mute(true)
	a.wantKeyFrame(b.key, pub.Stream())
	if st := pub.Stats(); st.KeyFramesWanted != 2 {
		t.Fatalf("asked while muted: %+v", st)
	}
	pub.Mute(false)
	read()
	pub.Close()
	if _, _, err := feedback.Read(nil, nil); err != io.EOF {
		t.Fatalf("after the end: %v", err)
	}
}

func TestOwnPermissions(t *testing.T) {
	_, a, b := onStage(t)
	if a.setOwnPermissions(roster.AllPermissions) || a.plane.announce() != nil {
		t.Fatal("something to announce")
	}
	track, pub, remote := a.show(b, webrtc.MimeTypeOpus)
	if !a.setOwnPermissions(roster.Video) {
		t.Fatal("nothing to announce")
	}
	src := &source{t: t, track: track}
	src.write(1)
	if _, removed, _ := a.tell(b); len(removed) != 1 || removed[0] != remote || len(a.sent) != 0 {
		t.Fatalf("removed %v, sent %d", removed, len(a.sent))
	}
	a.setOwnPermissions(roster.Audio)
	src.write(2)
	added, _, _ := a.tell(b)
	src.write(3)
	wantPayloads(t, added[0], 2, 3)
	if pub.Stats().Muted != 1 {
		t.Fatalf("%+v", pub.Stats())
	}
}

// TestSampleTrack: pion's own packetizer makes packets that fit.
func TestSampleTrack(t *testing.T) {
	_, a, b := onStage(t)
	for _, c := range sendCodecs(webrtc.RTPCodecTypeVideo) {
		track, err := webrtc.NewTrackLocalStaticSample(c.RTPCodecCapability, "video", "stream")
		if err != nil {
			t.Fatal(err)
		}
		pub, err := a.publish([]webrtc.TrackLocal{track}, PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := pub.Codec(); got.SDPFmtpLine != c.SDPFmtpLine || got.PayloadType != c.PayloadType {
			t.Fatalf("%s %s became %s %s", c.MimeType, c.SDPFmtpLine, got.MimeType, got.SDPFmtpLine)
		}
		added, _, _ := a.tell(b)
		frame := make([]byte, 5000)
		copy(frame, []byte{0, 0, 0, 1, 0x65})
		switch c.MimeType {
		case webrtc.MimeTypeVP9:
			frame[0] = 0x86
		case webrtc.MimeTypeAV1:
			frame = append([]byte{0x12, 0x00, 0x32, 0xb0, 0x09}, make([]byte, 1200)...)
		}
		if err := track.WriteSample(media.Sample{Data: frame, Duration: 40 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		got := drain(t, added[0])
		if len(got) == 0 || !got[len(got)-1].Marker || got[0].PayloadType != uint8(c.PayloadType) {
			t.Fatalf("%s: %d packets", c.MimeType, len(got))
		}
		if err := pub.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// eagerTrack writes while it is being bound, as some sources do, and keeps what it is given.
type eagerTrack struct {
	*webrtc.TrackLocalStaticRTP
	context webrtc.TrackLocalContext
	unbind  error // what Unbind says; then Bind also chooses a wrong codec
}

func (e *eagerTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	e.context = c
	if _, err := c.WriteStream().WriteRTP(&rtp.Header{Version: 2}, []byte{9}); err != nil {
		return webrtc.RTPCodecParameters{}, err
	}
	codec, err := e.TrackLocalStaticRTP.Bind(c)
	if e.unbind != nil {
		codec.ClockRate++ // which no video has
	}
	return codec, err
}

func (e *eagerTrack) Unbind(c webrtc.TrackLocalContext) error {
	return errors.Join(e.unbind, e.TrackLocalStaticRTP.Unbind(c))
}

func TestPublishAnyTrack(t *testing.T) {
	_, a, b := onStage(t)
	eager := &eagerTrack{TrackLocalStaticRTP: localTrack(t, webrtc.MimeTypeVP8)}
	pub, err := a.publish([]webrtc.TrackLocal{eager}, PublishOptions{Source: SourceScreen})
	if err != nil {
		t.Fatal(err)
	}
	added, _, _ := a.tell(b)
	if len(a.sent) != 0 || pub.Source() != SourceScreen {
		t.Fatal("sent before it was announced")
	}
	c := eager.context
	if len(c.HeaderExtensions()) != 0 || len(c.CodecParameters()) != len(videoCodecs) || c.SSRC() == 0 ||
		c.SSRCRetransmission() != 0 || c.SSRCForwardErrorCorrection() != 0 || c.ID() == "" {
		t.Fatalf("%+v", c)
	}
	raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2}, Payload: []byte{0x10, 0x00}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.WriteStream().Write(raw); n != len(raw) || err != nil {
		t.Fatal(n, err)
	}
	if _, err := c.WriteStream().Write(raw[:5]); err == nil {
		t.Fatal("half a header was taken")
	}
	wantPayloads(t, added[0], 0x10, 0x00)
	h, err := crypto.InspectMedia(a.sent[0])
	if want := (crypto.MediaFlags{StartOfFrame: true, KeyFrame: true}); err != nil || h.Flags != want || h.Stream != pub.Stream() {
		t.Fatalf("%+v, %v", h, err)
	}
	if err := pub.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteStream().Write(raw); err != io.ErrClosedPipe {
		t.Fatalf("after the end: %v", err)
	}
	if _, err := eager.context.WriteStream().Write(raw); err != io.ErrClosedPipe {
		t.Fatalf("after the end: %v", err)
	}

	eager = &eagerTrack{TrackLocalStaticRTP: localTrack(t, webrtc.MimeTypeVP8), unbind: errors.New("stuck")}
	if _, err := a.publish([]webrtc.TrackLocal{eager}, PublishOptions{}); !errors.Is(err, ErrUnsupportedTrack) || !errors.Is(err, eager.unbind) {
		t.Fatalf("a codec that can't be announced: %v", err)
	}
	if a.publishes() {
		t.Fatal("it is published")
	}
}

// TestNoAllocations: sealing and sending, and opening and reading, allocate nothing for a packet.
func TestNoAllocations(t *testing.T) {
	_, a, b := onStage(t)
	track, pub, remote := a.show(b, webrtc.MimeTypeVP8)
	payload := make([]byte, 1150)
	h := &rtp.Header{Version: 2}
	dropped := &countingFanout{}
	a.host = dropped
	if n := testing.AllocsPerRun(2000, func() {
		h.SequenceNumber++
		if _, err := pub.layers[0].bound.WriteRTP(h, payload); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per packet out", n)
	}
	if dropped.n != 2001 {
		t.Fatalf("%d packets out", dropped.n)
	}
	a.host = a
	src := &source{t: t, track: track, seq: 5000}
	b.setPermissions(a.key, 0) // so that what follows isn't opened yet
	for range 2100 {
		src.write(payload...)
	}
	_, back := b.setPermissions(a.key, roster.Video)
	remote = back[0]
	i, buf := len(a.sent)-2100, make([]byte, 1500)
	in := func() {
		b.onPacket(transport.PeerKey(a.key), transport.Video, a.sent[i])
		i++
		if n, _, err := remote.Read(buf); err != nil || n != 12+len(payload) {
			t.Fatal(n, err)
		}
	}
	for range 50 {
		in()
	}
	if n := testing.AllocsPerRun(2000, in); n != 0 {
		t.Errorf("%v allocations per packet in", n)
	}
}

// countingFanout is a host that sends nothing.
type countingFanout struct{ n int }

func (f *countingFanout) Fanout(transport.Kind, []byte, []transport.PeerKey) int { f.n++; return 1 }

// BenchmarkOut is one packet from a track to the transport, beside SFrame's share.
func BenchmarkOut(b *testing.B) {
	s := newStage(b)
	x, y := s.actor(), s.actor()
	x.sendTo(y)
	track, pub, _ := x.show(y, webrtc.MimeTypeVP8)
	x.host = &countingFanout{}
	p := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, 1150)}
	b.Run("track", func(b *testing.B) {
		b.SetBytes(int64(len(p.Payload)))
		b.ReportAllocs()
		for b.Loop() {
			p.SequenceNumber++
			track.WriteRTP(p)
		}
	})
	b.Run("seal alone", func(b *testing.B) {
		b.SetBytes(int64(len(p.Payload)))
		b.ReportAllocs()
		m, buf := &crypto.MediaPacket{Payload: p.Payload}, make([]byte, 0, transport.MaxPacket)
		for b.Loop() {
			m.SequenceNumber++
			pub.layers[0].out.sealer.SealMedia(buf, m)
		}
	})
}

// BenchmarkIn is one packet from the transport to a reader, beside SFrame's share. Both seal it as well, since a packet
// opens once.
func BenchmarkIn(b *testing.B) {
	s := newStage(b)
	x, y := s.actor(), s.actor()
	x.sendTo(y)
	_, pub, remote := x.show(y, webrtc.MimeTypeVP8)
	m, buf := &crypto.MediaPacket{Payload: make([]byte, 1150)}, make([]byte, 0, transport.MaxPacket)
	seal := func() []byte {
		m.SequenceNumber++
		sealed, err := pub.layers[0].out.sealer.SealMedia(buf, m)
		if err != nil {
			b.Fatal(err)
		}
		return sealed
	}
	b.Run("track", func(b *testing.B) {
		b.ReportAllocs()
		read := make([]byte, 1500)
		for b.Loop() {
			y.onPacket(transport.PeerKey(x.key), transport.Video, seal())
			if _, _, err := remote.Read(read); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("seal and open alone", func(b *testing.B) {
		b.ReportAllocs()
		opened := make([]byte, 0, transport.MaxPacket)
		reader := y.sender(x.key).reader
		for b.Loop() {
			if _, _, err := reader.OpenMedia(s.now, opened, seal()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
