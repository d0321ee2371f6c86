package bridge

import (
	"strings"
	"sync"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Source is something the page captures: a pion TrackLocal to publish. It outlives the page's connections, so that
// reloading the page doesn't end what is published.
type Source struct {
	bridge *Bridge
	name   string
	kind   webrtc.RTPCodecType
	codec  webrtc.RTPCodecCapability
	id     string

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

func newSource(b *Bridge, name string, kind webrtc.RTPCodecType, codec webrtc.RTPCodecCapability) *Source {
	s := &Source{bridge: b, name: name, kind: kind, codec: codec, id: name, numbering: numbering{clockRate: codec.ClockRate}}
	s.plain.Version, s.levelled.Version = 2, 2
	_ = s.levelled.SetExtension(meet.AudioLevelExtension, s.levelByte[:])
	return s
}

// Bind is called by whoever publishes it.
func (s *Source) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	codec, ok := matching(s.codec, c.CodecParameters())
	if !ok {
		return codec, webrtc.ErrUnsupportedCodec
	}
	s.mu.Lock()
	s.bound = append(s.bound, boundContext{c, codec.PayloadType})
	s.mu.Unlock()
	if s.kind == webrtc.RTPCodecTypeVideo {
		go s.passOn(c)
	}
	return codec, nil
}

// Unbind ends what Bind began.
func (s *Source) Unbind(c webrtc.TrackLocalContext) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.bound {
		if b.ID() == c.ID() {
			s.bound = append(s.bound[:i:i], s.bound[i+1:]...)
			return nil
		}
	}
	return webrtc.ErrUnbindFailed
}

// ID is the source's name.
func (s *Source) ID() string { return s.id }

// RID is none.
func (s *Source) RID() string { return "" }

// StreamID doesn't travel.
func (s *Source) StreamID() string { return "page" }

// Kind is audio or video.
func (s *Source) Kind() webrtc.RTPCodecType { return s.kind }

// Name is what the page calls it: microphone, camera, screen, screenAudio.
func (s *Source) Name() string { return s.name }

// Packets is how many came from the page.
func (s *Source) Packets() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packets
}

// passOn asks the browser for a key frame whenever a member wants one, until the source is unbound.
func (s *Source) passOn(c webrtc.TrackLocalContext) {
	buf := make([]byte, 1500)
	for {
		n, _, err := c.RTCPReader().Read(buf, nil)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err == nil && wantsKeyFrame(packets) {
			s.bridge.askPage(s)
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
func (s *Source) write(in *rtp.Header, payload []byte, levelID uint8, now time.Time) {
	if len(payload) == 0 || len(payload) > meet.MaxPayload {
		return // padding, by which browsers probe; or nothing a browser sends
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packets++
	h := &s.plain
	if level := levelOf(in, levelID); level != nil {
		h = &s.levelled
		s.levelByte[0] = *level
	}
	h.Marker = in.Marker
	h.SequenceNumber, h.Timestamp = s.numbering.next(in.SequenceNumber, in.Timestamp, now)
	if tap := s.bridge.tap.Load(); tap != nil {
		(*tap)(s.name, true, h, payload)
	}
	for _, b := range s.bound {
		h.PayloadType, h.SSRC = uint8(b.payloadType), uint32(b.SSRC())
		_, _ = b.WriteStream().WriteRTP(h, payload) // closed: Unbind follows
	}
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

// MimeType is the codec's.
func (s *Source) MimeType() string { return s.codec.MimeType }
