package bridge

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Source is something the page captures. It outlives the page's connections, so that reloading the page doesn't end what
// is published.
type Source struct {
	bridge *Bridge
	name   string
	kind   webrtc.RTPCodecType
	codec  webrtc.RTPCodecCapability
	rids   []string // of its layers, the lowest first; one that is empty if there are none
	layers []*layer

	mu     sync.Mutex // guards what follows: what the Tap is shown, one layer at a time
	tapped int
	at     []time.Time // when the newest packet came, by layer
	tap    numbering
}

// layer is one encoding of a source, or the only one: a pion TrackLocal to publish.
type layer struct {
	source *Source
	index  int
	rid    string

	mu        sync.Mutex
	bound     []boundContext
	numbering numbering
	plain     rtp.Header // used again for each packet
	levelled  rtp.Header // the same for those with an audio level, which is in levelByte
	levelByte [1]byte
	packets   uint64
}

type boundContext struct {
	webrtc.TrackLocalContext
	payloadType webrtc.PayloadType
}

func newSource(b *Bridge, name string, kind webrtc.RTPCodecType, codec webrtc.RTPCodecCapability, rids []string) *Source {
	s := &Source{bridge: b, name: name, kind: kind, codec: codec, rids: rids, at: make([]time.Time, len(rids)), tap: numbering{clockRate: codec.ClockRate}}
	for i, rid := range rids {
		l := &layer{source: s, index: i, rid: rid, numbering: numbering{clockRate: codec.ClockRate}}
		l.plain.Version, l.levelled.Version = 2, 2
		_ = l.levelled.SetExtension(meet.AudioLevelExtension, l.levelByte[:])
		s.layers = append(s.layers, l)
	}
	return s
}

// Tracks are what to publish: one, or its layers, the lowest first.
func (s *Source) Tracks() (all []webrtc.TrackLocal) {
	for _, l := range s.layers {
		all = append(all, l)
	}
	return all
}

// Name is what the page calls it: microphone, camera, screen, screenAudio.
func (s *Source) Name() string { return s.name }

// MimeType is the codec's.
func (s *Source) MimeType() string { return s.codec.MimeType }

// Packets is how many came from the page.
func (s *Source) Packets() (n uint64) {
	for _, l := range s.layers {
		l.mu.Lock()
		n += l.packets
		l.mu.Unlock()
	}
	return n
}

// same reports whether this is the same source still.
func (s *Source) same(codec webrtc.RTPCodecCapability, rids []string) bool {
	return strings.EqualFold(s.codec.MimeType, codec.MimeType) && profile(s.codec.SDPFmtpLine) == profile(codec.SDPFmtpLine) && slices.Equal(s.rids, rids)
}

// Bind is called by whoever publishes it.
func (l *layer) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	codec, ok := matching(l.source.codec, c.CodecParameters())
	if !ok {
		return codec, webrtc.ErrUnsupportedCodec
	}
	l.mu.Lock()
	l.bound = append(l.bound, boundContext{c, codec.PayloadType})
	l.mu.Unlock()
	if l.source.kind == webrtc.RTPCodecTypeVideo {
		go l.passOn(c)
	}
	return codec, nil
}

// Unbind ends what Bind began.
func (l *layer) Unbind(c webrtc.TrackLocalContext) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range l.bound {
		if b.ID() == c.ID() {
			l.bound = append(l.bound[:i:i], l.bound[i+1:]...)
			return nil
		}
	}
	return webrtc.ErrUnbindFailed
}

// ID is the source's name.
func (l *layer) ID() string { return l.source.name }

// RID names the layer to the page.
func (l *layer) RID() string { return l.rid }

// StreamID doesn't travel.
func (l *layer) StreamID() string { return "page" }

// Kind is audio or video.
func (l *layer) Kind() webrtc.RTPCodecType { return l.source.kind }

// passOn asks the browser for a key frame whenever a member wants one, until the layer is unbound.
func (l *layer) passOn(c webrtc.TrackLocalContext) {
	buf := make([]byte, 1500)
	for {
		n, _, err := c.RTCPReader().Read(buf, nil)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err == nil && wantsKeyFrame(packets) {
			l.source.bridge.askPage(l)
		}
	}
}

func wantsKeyFrame(packets []rtcp.Packet) bool {
	for _, p := range packets {
		switch p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			return true
		}
	}
	return false
}

// write sends a packet of the page's on. It allocates nothing.
func (l *layer) write(in *rtp.Header, payload []byte, levelID uint8, now time.Time) {
	if len(payload) == 0 || len(payload) > meet.MaxPayload {
		return // padding, by which browsers probe; or nothing a browser sends
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.packets++
	h := &l.plain
	if level := levelOf(in, levelID); level != nil {
		h = &l.levelled
		l.levelByte[0] = *level
	}
	h.Marker = in.Marker
	h.SequenceNumber, h.Timestamp = l.numbering.next(in.SequenceNumber, in.Timestamp, now)
	if tap := l.source.bridge.tap.Load(); tap != nil {
		l.source.show(*tap, l, h, payload, now)
	}
	for _, b := range l.bound {
		h.PayloadType, h.SSRC = uint8(b.payloadType), uint32(b.SSRC())
		_, _ = b.WriteStream().WriteRTP(h, payload) // closed: Unbind follows
	}
}

// tapPatience is how long nothing comes of the layer that the Tap is shown before it is shown a lower one.
const tapPatience = time.Second

// show shows the Tap a packet of the highest layer there is. When that becomes another, a number is left out, which to
// the Tap is a loss: it waits for a key frame.
func (s *Source) show(tap Tap, l *layer, h *rtp.Header, payload []byte, now time.Time) {
	if len(s.layers) == 1 {
		tap(s.name, true, h, payload)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[l.index] = now
	if l.index > s.tapped || l.index < s.tapped && now.Sub(s.at[s.tapped]) > tapPatience {
		s.tapped = l.index
		s.tap.restart()
		s.tap.highest++
	}
	if l.index != s.tapped {
		return
	}
	sequence, timestamp := h.SequenceNumber, h.Timestamp
	h.SequenceNumber, h.Timestamp = s.tap.next(sequence, timestamp, now)
	tap(s.name, true, h, payload)
	h.SequenceNumber, h.Timestamp = sequence, timestamp
}

// shown is the layer that the Tap is shown.
func (s *Source) shown() *layer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.layers[s.tapped]
}

// levelOf is the audio level in a header, nil if there is none.
func levelOf(h *rtp.Header, id uint8) *byte {
	if id == 0 {
		return nil
	}
	if level := h.GetExtension(id); len(level) == 1 {
		return &level[0]
	}
	return nil
}

// matching finds the codec among those that the other side can do.
func matching(codec webrtc.RTPCodecCapability, all []webrtc.RTPCodecParameters) (webrtc.RTPCodecParameters, bool) {
	best, found := webrtc.RTPCodecParameters{}, false
	for _, c := range all {
		if !strings.EqualFold(c.MimeType, codec.MimeType) || c.ClockRate != codec.ClockRate {
			continue
		}
		if profile(c.SDPFmtpLine) == profile(codec.SDPFmtpLine) {
			return c, true
		}
		if !found {
			best, found = c, true
		}
	}
	return best, found
}

// profile is what of a format must agree: VP9's profile, and H.264's without its level.
func profile(format string) string {
	for _, part := range strings.Split(format, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case key == "profile-id" && value != "0":
			return value
		case key == "profile-level-id" && len(value) == 6:
			return strings.ToLower(value[:4])
		}
	}
	return ""
}
