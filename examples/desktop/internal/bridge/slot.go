package bridge

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Remote is what another member sends. *meet.RemoteTrack is one.
type Remote interface {
	// ID names it among all remotes.
	ID() string
	// Kind is audio or video.
	Kind() webrtc.RTPCodecType
	// Codec is what it is sent in.
	Codec() webrtc.RTPCodecParameters
	// Read returns the next packet, or an error at the end of the track.
	Read(b []byte) (int, interceptor.Attributes, error)
	// RequestKeyFrame asks the sender for a key frame. It must not wait.
	RequestKeyFrame()
}

// remote is a member's track and the goroutine that reads it.
type remote struct {
	Remote
	tap  *atomic.Pointer[Tap]
	slot atomic.Pointer[slot] // nil: what comes is dropped

	// Guarded by Bridge.mu.
	height int // as shown; 0: not shown, -1: not said
	order  uint64
}

// pump reads the track until its end and writes what comes to its slot.
func (r *remote) pump() {
	packets(r.Read, func(h *rtp.Header, payload []byte) {
		if tap := r.tap.Load(); tap != nil {
			(*tap)(r.ID(), false, h, payload)
		}
		if s := r.slot.Load(); s != nil {
			s.write(r, h, payload, time.Now())
		}
	})
}

// slot is one m-line on which the page receives: a pion TrackLocal that carries one remote after the other.
type slot struct {
	id   string
	mid  string
	kind webrtc.RTPCodecType

	mu        sync.Mutex
	context   webrtc.TrackLocalContext
	codecs    []webrtc.RTPCodecParameters // all that were negotiated: after Bind the context has one
	from      *remote
	codec     webrtc.RTPCodecParameters
	playable  bool
	numbering numbering
	header    rtp.Header
	packets   uint64
}

// Bind is called when the connection is up.
func (s *slot) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	codecs := c.CodecParameters()
	if len(codecs) == 0 {
		return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.context, s.codecs = c, slices.Clone(codecs)
	s.choose()
	if s.from != nil {
		s.from.RequestKeyFrame()
	}
	return codecs[0], nil
}

// Unbind ends what Bind began.
func (s *slot) Unbind(webrtc.TrackLocalContext) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.context, s.playable = nil, false
	return nil
}

// ID names the slot to the browser.
func (s *slot) ID() string { return s.id }

// RID is none.
func (s *slot) RID() string { return "" }

// StreamID names the slot to the browser.
func (s *slot) StreamID() string { return s.id }

// Kind is audio or video.
func (s *slot) Kind() webrtc.RTPCodecType { return s.kind }

// carry makes it the slot of a remote, or of none.
func (s *slot) carry(r *remote) {
	s.mu.Lock()
	s.from = r
	s.choose()
	s.mu.Unlock()
	if r != nil {
		r.slot.Store(s)
		r.RequestKeyFrame()
	}
}

// choose finds the payload type for what is carried. s.mu is held.
func (s *slot) choose() {
	s.playable = false
	if s.from == nil || s.context == nil {
		return
	}
	s.codec, s.playable = matching(s.from.Codec().RTPCodecCapability, s.codecs)
	s.numbering.clockRate = s.codec.ClockRate
	s.numbering.restart()
}

// write sends a packet of the remote's to the page.
func (s *slot) write(r *remote, in *rtp.Header, payload []byte, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from != r || !s.playable {
		return
	}
	h := &s.header
	*h = rtp.Header{Version: 2, Marker: in.Marker, PayloadType: uint8(s.codec.PayloadType), SSRC: uint32(s.context.SSRC())}
	h.SequenceNumber, h.Timestamp = s.numbering.next(in.SequenceNumber, in.Timestamp, now)
	s.packets++
	_, _ = s.context.WriteStream().WriteRTP(h, payload)
}

// listen passes the page's requests for key frames on, until the sender ends.
func (s *slot) listen(sender *webrtc.RTPSender) {
	buf := make([]byte, 1500)
	for {
		n, _, err := sender.Read(buf)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil || !wantsKeyFrame(packets) {
			continue
		}
		s.mu.Lock()
		from := s.from
		s.mu.Unlock()
		if from != nil {
			from.RequestKeyFrame()
		}
	}
}
