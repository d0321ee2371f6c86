package bridge

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// browser is a pion peer in the place of one.
type browser struct {
	t       *testing.T
	pc      *webrtc.PeerConnection
	tracks  map[string]*webrtc.TrackLocalStaticRTP // by source
	senders map[string]*webrtc.RTPSender
	got     chan received
	remb    atomic.Uint64
	pli     atomic.Uint64
	number  uint16

	mu    sync.Mutex
	asked map[string]int // for key frames, by layer
}

type received struct {
	mid string
	*rtp.Packet
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	api, err := newAPI()
	if err != nil {
		t.Fatal(err)
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	p := &browser{t: t, pc: pc, tracks: map[string]*webrtc.TrackLocalStaticRTP{}, senders: map[string]*webrtc.RTPSender{}, got: make(chan received, 1000), asked: map[string]int{}}
	pc.OnTrack(func(track *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			for _, tr := range pc.GetTransceivers() {
				if tr.Receiver() == r {
					p.got <- received{tr.Mid(), packet}
				}
			}
		}
	})
	t.Cleanup(func() { _ = pc.GracefulClose() })
	return p
}

// send adds a source.
func (p *browser) send(source, mime string) {
	p.t.Helper()
	codec := webrtc.RTPCodecCapability{MimeType: mime}
	track, err := webrtc.NewTrackLocalStaticRTP(codec, source, "page")
	if err != nil {
		p.t.Fatal(err)
	}
	tr, err := p.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		p.t.Fatal(err)
	}
	p.tracks[source], p.senders[source] = track, tr.Sender()
	go func() {
		for {
			packets, _, err := tr.Sender().ReadRTCP()
			if err != nil {
				return
			}
			for _, packet := range packets {
				switch r := packet.(type) {
				case *rtcp.ReceiverEstimatedMaximumBitrate:
					p.remb.Store(uint64(r.Bitrate))
				case *rtcp.PictureLossIndication:
					p.pli.Add(1)
				}
			}
		}
	}()
}

func (p *browser) pool(kind webrtc.RTPCodecType, n int) {
	p.t.Helper()
	for range n {
		if _, err := p.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// offer negotiates and returns the answer.
func (p *browser) offer(b *Bridge, restart bool) string {
	p.t.Helper()
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		p.t.Fatal(err)
	}
	<-gathered
	lines := map[string]string{}
	for _, tr := range p.pc.GetTransceivers() {
		for source, sender := range p.senders {
			if tr.Sender() == sender {
				lines[tr.Mid()] = source
			}
		}
	}
	answer, err := b.Offer(p.t.Context(), p.pc.LocalDescription().SDP, lines, restart)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		p.t.Fatal(err)
	}
	return answer
}

// write sends packets of a source, again and again, until done.
func (p *browser) write(source string, done <-chan struct{}, packet func(number uint16) *rtp.Packet) {
	for {
		select {
		case <-done:
			return
		case <-time.After(5 * time.Millisecond):
			p.number++
			if err := p.tracks[source].WriteRTP(packet(p.number)); err != nil {
				p.t.Error(err)
				return
			}
		}
	}
}

// member is where a source is published: the context that meet would give.
type member struct {
	codecs []webrtc.RTPCodecParameters
	got    chan *rtp.Packet
	rtcp   chan []rtcp.Packet
	once   sync.Once
}

func newMember(codecs []webrtc.RTPCodecParameters) *member {
	return &member{codecs: codecs, got: make(chan *rtp.Packet, 1000), rtcp: make(chan []rtcp.Packet, 10)}
}

func (m *member) CodecParameters() []webrtc.RTPCodecParameters { return m.codecs }
func (m *member) HeaderExtensions() []webrtc.RTPHeaderExtensionParameter {
	return nil
}
func (m *member) SSRC() webrtc.SSRC                       { return 99 }
func (m *member) SSRCRetransmission() webrtc.SSRC         { return 0 }
func (m *member) SSRCForwardErrorCorrection() webrtc.SSRC { return 0 }
func (m *member) WriteStream() webrtc.TrackLocalWriter    { return m }
func (m *member) ID() string                              { return "member" }
func (m *member) Write([]byte) (int, error)               { return 0, io.ErrClosedPipe }
func (m *member) RTCPReader() interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		packets, ok := <-m.rtcp
		if !ok {
			return 0, nil, io.EOF
		}
		raw, err := rtcp.Marshal(packets)
		return copy(b, raw), a, err
	})
}

func (m *member) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	p := &rtp.Packet{Header: h.Clone(), Payload: append([]byte(nil), payload...)}
	select {
	case m.got <- p:
	default:
	}
	return len(payload), nil
}

// track is what another member sends.
type track struct {
	id     string
	kind   webrtc.RTPCodecType
	codec  webrtc.RTPCodecParameters
	out    chan []byte
	wanted atomic.Int64
}

func newTrack(t *testing.T, id string, kind webrtc.RTPCodecType, mime string, rate uint32, format string) *track {
	r := &track{id: id, kind: kind, out: make(chan []byte, 1000), codec: webrtc.RTPCodecParameters{
		PayloadType: 42, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: rate, SDPFmtpLine: format},
	}}
	t.Cleanup(func() { close(r.out) })
	return r
}

func (r *track) ID() string                       { return r.id }
func (r *track) Kind() webrtc.RTPCodecType        { return r.kind }
func (r *track) Codec() webrtc.RTPCodecParameters { return r.codec }
func (r *track) RequestKeyFrame()                 { r.wanted.Add(1) }
func (r *track) Read(b []byte) (int, interceptor.Attributes, error) {
	p, ok := <-r.out
	if !ok {
		return 0, nil, io.EOF
	}
	return copy(b, p), nil, nil
}

func (r *track) write(t *testing.T, number uint16, timestamp uint32, level int, payload string) {
	t.Helper()
	p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 42, SSRC: 1, SequenceNumber: number, Timestamp: timestamp, Marker: true}, Payload: []byte(payload)}
	if level >= 0 {
		if err := p.SetExtension(meet.AudioLevelExtension, []byte{byte(level)}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r.out <- raw
}

type told struct {
	sources     chan *Source
	slots, grow chan struct{}
	audio       atomic.Int64
	video       atomic.Int64
	connected   chan string
}

func newBridge(t *testing.T) (*Bridge, *told) {
	t.Helper()
	n := &told{sources: make(chan *Source, 10), grow: make(chan struct{}, 100), connected: make(chan string, 100)}
	b := New(Config{
		OnSource: func(s *Source) { n.sources <- s },
		OnSlots:  func() {},
		OnGrow: func(audio, video int) {
			n.audio.Store(int64(audio))
			n.video.Store(int64(video))
			n.grow <- struct{}{}
		},
		OnConnection: func(s string) { n.connected <- s },
	})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, n
}

func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("no ", what)
	}
	return v
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no ", what)
		}
	}
}

func videoPacket(number uint16) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: number, Timestamp: uint32(number) * 3000, Marker: true}, Payload: []byte{0x10, byte(number), byte(number >> 8)}}
}

// TestFromPage: what the page captures reaches whoever publishes it, with new headers; key frames are asked for and
// limits told, and a reloaded page goes on with the same source and numbers.
func TestFromPage(t *testing.T) {
	b, n := newBridge(t)
	m := newMember([]webrtc.RTPCodecParameters{video(webrtc.MimeTypeVP9, "profile-id=0", 55), video(webrtc.MimeTypeVP8, "", 77)})
	var last *rtp.Packet
	var source *Source
	for round := range 2 {
		p := newBrowser(t)
		p.send("microphone", webrtc.MimeTypeOpus)
		p.send("camera", webrtc.MimeTypeVP8)
		answer := p.offer(b, true)
		if !strings.Contains(answer, "cbr=1;usedtx=0") {
			t.Error("the answer doesn't ask for constant bit rate:\n", answer)
		}
		done := make(chan struct{})
		var writing sync.WaitGroup
		writing.Go(func() { p.write("camera", done, videoPacket) })
		if round == 0 {
			source = await(t, n.sources, "source")
			if source.Name() != "camera" || len(source.Tracks()) != 1 || source.Tracks()[0].Kind() != webrtc.RTPCodecTypeVideo {
				t.Error(source.Name(), source.Tracks())
			}
			if codec, err := source.Tracks()[0].Bind(m); err != nil || codec.PayloadType != 77 {
				t.Fatal(codec, err)
			}
		}
		for i := range 20 {
			got := await(t, m.got, "packet")
			if got.PayloadType != 77 || got.SSRC != 99 || len(got.Extensions) != 0 || got.Payload[0] != 0x10 || !got.Marker {
				t.Fatal(got)
			}
			if last != nil && got.SequenceNumber != last.SequenceNumber+1 {
				t.Errorf("round %d, packet %d: number %d after %d", round, i, got.SequenceNumber, last.SequenceNumber)
			}
			last = got
		}
		until(t, "key frame asked for", func() bool {
			select {
			case m.rtcp <- []rtcp.Packet{&rtcp.PictureLossIndication{}}: // as members go on asking
			default:
			}
			return p.pli.Load() > 0
		})
		until(t, "limit", func() bool { return near(p.remb.Load(), StartLimit) })
		b.Limit("camera", 300_000)
		until(t, "other limit", func() bool { return near(p.remb.Load(), 300_000) })
		b.Limit("camera", StartLimit)
		close(done)
		writing.Wait()
		if err := p.pc.GracefulClose(); err != nil {
			t.Error(err)
		}
		until(t, "silence", func() bool {
			select {
			case last = <-m.got:
				return false
			default:
				return true
			}
		})
	}
	if len(n.sources) != 0 {
		t.Error("the reloaded page's source is another")
	}
	if err := source.Tracks()[0].Unbind(m); err != nil {
		t.Error(err)
	}
	close(m.rtcp)
}

// near: REMB has 18 bits of precision.
func near(a, b uint64) bool { return a > b-b/1000-1 && a < b+b/1000+1 }

func TestAudioLevel(t *testing.T) {
	s := newSource(&Bridge{}, "microphone", webrtc.RTPCodecTypeAudio, audioCodecs[0].RTPCodecCapability, []string{""}).layers[0]
	m := newMember(audioCodecs)
	if _, err := s.Bind(m); err != nil {
		t.Fatal(err)
	}
	in := &rtp.Header{Version: 2, SequenceNumber: 1, Timestamp: 960}
	if err := in.SetExtension(7, []byte{0x80 | 30}); err != nil {
		t.Fatal(err)
	}
	if err := in.SetExtension(3, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	s.write(in, []byte("sound"), 7, time.Now())
	got := <-m.got
	if level := got.GetExtension(meet.AudioLevelExtension); len(level) != 1 || level[0] != 0x80|30 || len(got.Extensions) != 1 {
		t.Error(got.Extensions)
	}
	s.bound = nil // the writer is meet's, which has a test of its own
	sound := []byte("sound")
	if allocs := testing.AllocsPerRun(100, func() {
		in.SequenceNumber++
		s.write(in, sound, 7, time.Time{})
	}); allocs > 0 {
		t.Errorf("%v allocations a packet", allocs)
	}
}

// TestToPage: what members send comes on the m-lines of the pool, one after the other on the same; the pool grows.
func TestToPage(t *testing.T) {
	b, n := newBridge(t)
	p := newBrowser(t)
	p.send("camera", webrtc.MimeTypeVP8)
	p.pool(webrtc.RTPCodecTypeAudio, 1)
	p.pool(webrtc.RTPCodecTypeVideo, 1)
	p.offer(b, true)
	until(t, "connection", func() bool { return await(t, n.connected, "connection") == "connected" })

	one := newTrack(t, "one", webrtc.RTPCodecTypeVideo, webrtc.MimeTypeVP8, 90000, "")
	two := newTrack(t, "two", webrtc.RTPCodecTypeVideo, webrtc.MimeTypeVP9, 90000, "profile-id=0")
	voice := newTrack(t, "voice", webrtc.RTPCodecTypeAudio, webrtc.MimeTypeOpus, 48000, "")
	b.Add(one)
	b.Add(voice)
	slots := b.Slots()
	if slots["one"] == "" || slots["voice"] == "" || slots["one"] == slots["voice"] {
		t.Fatal(slots)
	}
	if one.wanted.Load() == 0 {
		t.Error("no key frame was asked for the new viewer")
	}
	var number uint16 = 65530
	get := func(r *track, level int, payload string, payloadType uint8) *rtp.Packet {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			number++
			r.write(t, number, uint32(number)*3000, level, payload)
			select {
			case got := <-p.got:
				if string(got.Payload) != payload {
					continue // of before
				}
				if got.mid != slots[r.id] || got.PayloadType != payloadType || !got.Marker || len(got.Extensions) > 1 {
					t.Errorf("got %v on %s, want it on %s with type %d", got, got.mid, slots[r.id], payloadType)
				}
				return got.Packet
			case <-time.After(20 * time.Millisecond):
			}
		}
		t.Fatal("nothing came of ", r.id)
		return nil
	}
	first := get(one, -1, "\x10\x00picture", 96)
	get(voice, 20, "sound", 111)

	if err := p.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: first.SSRC}}); err != nil {
		t.Fatal(err)
	}
	before := one.wanted.Load()
	until(t, "key frame asked of the member", func() bool { return one.wanted.Load() > before || one.wanted.Load() > 1 })

	b.Add(two)
	await(t, n.grow, "wish for another line")
	if n.video.Load() != 1 || n.audio.Load() != 0 {
		t.Error(n.audio.Load(), n.video.Load())
	}
	p.pool(webrtc.RTPCodecTypeVideo, 1)
	p.offer(b, false)
	if slots = b.Slots(); slots["two"] == "" || slots["two"] == slots["one"] {
		t.Fatal(slots)
	}
	get(two, -1, "\x08\x00other", 98)
	get(one, -1, "\x10\x00again", 96)

	// One leaves, and what comes on its line next goes on with its numbers.
	b.Watch(map[string]int{"one": 0})
	if slots = b.Slots(); slots["one"] != "" {
		t.Fatal("not shown, and still sent:", slots)
	}
	three := newTrack(t, "three", webrtc.RTPCodecTypeVideo, webrtc.MimeTypeVP8, 90000, "")
	number = 5
	b.Add(three)
	slots = b.Slots()
	next := get(three, -1, "\x10\x00third", 96)
	if next.SSRC != first.SSRC || int16(next.SequenceNumber-first.SequenceNumber) <= 0 || int16(next.SequenceNumber-first.SequenceNumber) > 200 {
		t.Errorf("number %d of %d follows %d of %d", next.SequenceNumber, next.SSRC, first.SequenceNumber, first.SSRC)
	}
	for _, r := range []*track{one, two, three, voice} {
		b.Remove(r.id)
	}
	if len(b.Slots()) != 0 {
		t.Error(b.Slots())
	}
}

func TestBadOffers(t *testing.T) {
	b, _ := newBridge(t)
	for name, tt := range map[string]struct {
		sdp   string
		lines map[string]string
	}{
		"empty":          {"", nil},
		"nonsense":       {"v=0\r\nnonsense", nil},
		"unknown source": {"v=0", map[string]string{"0": "keyboard"}},
		"too long":       {strings.Repeat("x", MaxSDP+1), nil},
		"too many lines": {strings.Repeat("\nm=", MaxLines+1), nil},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := b.Offer(ctx, tt.sdp, tt.lines, true); err == nil {
			t.Errorf("%s was answered", name)
		}
		cancel()
	}
	p := newBrowser(t)
	p.send("camera", webrtc.MimeTypeVP8)
	p.offer(b, false) // afterwards a good one is
}

func TestNumbering(t *testing.T) {
	n := numbering{clockRate: 90000}
	now := time.Unix(0, 0)
	for _, step := range []struct {
		restart         bool
		after           time.Duration
		in, out         uint16
		inTime, outTime uint32
	}{
		{false, 0, 65535, 65535, 100, 100},
		{false, 0, 0, 0, 200, 200},
		{false, 0, 65534, 65534, 50, 50}, // late
		{true, time.Second, 500, 1, 7, 90200},
		{false, 0, 501, 2, 3007, 93200},
		{true, 0, 9, 3, 4_000_000_000, 93201},
	} {
		if step.restart {
			n.restart()
		}
		now = now.Add(step.after)
		if s, ts := n.next(step.in, step.inTime, now); s != step.out || ts != step.outTime {
			t.Errorf("%d, %d became %d, %d, want %d, %d", step.in, step.inTime, s, ts, step.out, step.outTime)
		}
	}
}
