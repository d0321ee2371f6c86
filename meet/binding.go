package meet

import (
	"crypto/rand"
	"io"
	mathrand "math/rand/v2"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// binding is the context that a track is bound to: one for each Bind. It is the track's pion TrackLocalContext, what
// it writes to, and what it reads RTCP from.
type binding struct {
	pub  *Publication
	out  *encoding // whose it is while it is in use; guarded by pub.mu
	id   string
	ssrc webrtc.SSRC
	rtcp chan struct{} // has room for one: a key frame is wanted
	done chan struct{}
	once sync.Once
}

func newBinding(pub *Publication) *binding {
	return &binding{
		pub: pub, id: rand.Text(), ssrc: webrtc.SSRC(mathrand.Uint32()),
		rtcp: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

func (b *binding) close() { b.once.Do(func() { close(b.done) }) }

func (b *binding) askKeyFrame() {
	select {
	case b.rtcp <- struct{}{}:
	default: // the source hasn't read the last one yet
	}
}

// CodecParameters returns the codecs that can be published.
func (b *binding) CodecParameters() []webrtc.RTPCodecParameters { return sendCodecs(b.pub.kind) }

// HeaderExtensions returns the one that travels: the audio level.
func (b *binding) HeaderExtensions() []webrtc.RTPHeaderExtensionParameter {
	if b.pub.kind != webrtc.RTPCodecTypeAudio {
		return nil
	}
	return []webrtc.RTPHeaderExtensionParameter{{URI: audioLevelURI, ID: AudioLevelExtension}}
}

// SSRC is what the track is to use. It doesn't travel.
func (b *binding) SSRC() webrtc.SSRC { return b.ssrc }

// SSRCRetransmission is none: links repair themselves.
func (b *binding) SSRCRetransmission() webrtc.SSRC { return 0 }

// SSRCForwardErrorCorrection is none.
func (b *binding) SSRCForwardErrorCorrection() webrtc.SSRC { return 0 }

// WriteStream returns where the track writes.
func (b *binding) WriteStream() webrtc.TrackLocalWriter { return b }

// ID is unique to this binding.
func (b *binding) ID() string { return b.id }

// RTCPReader returns where the track reads requests for key frames.
func (b *binding) RTCPReader() interceptor.RTCPReader { return interceptor.RTCPReaderFunc(b.readRTCP) }

// WriteRTP seals a packet and sends it. The errors are ErrPayloadTooLong and io.ErrClosedPipe.
func (b *binding) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	return b.pub.write(b, h, payload)
}

// Write is WriteRTP for a packet's bytes.
func (b *binding) Write(raw []byte) (int, error) {
	var p rtp.Packet
	if err := p.Unmarshal(raw); err != nil {
		return 0, err
	}
	return b.WriteRTP(&p.Header, p.Payload)
}

// readRTCP waits until a member wants a key frame, and returns a picture loss indication (RFC 4585 §6.3.1), or io.EOF
// when the track is unbound.
func (b *binding) readRTCP(buf []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
	select {
	case <-b.done:
		return 0, a, io.EOF
	case <-b.rtcp:
	}
	raw, err := rtcp.PictureLossIndication{MediaSSRC: uint32(b.ssrc)}.Marshal()
	if err != nil || len(buf) < len(raw) {
		return 0, a, io.ErrShortBuffer
	}
	return copy(buf, raw), a, nil
}
