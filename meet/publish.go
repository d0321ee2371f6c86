package meet

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// MaxPublications is how many tracks a member may publish at a time.
const MaxPublications = 16

// MaxPayload is the longest RTP payload that can be published, in bytes: what fits into a datagram, sealed. pion's
// packetizers make at most 1,188.
const MaxPayload = transport.MaxPacket - crypto.MaxMediaOverhead

// audioLevelURI names the header extension of RFC 6464.
const audioLevelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

// ErrPayloadTooLong says that an RTP payload is over MaxPayload: have the source make smaller packets.
var ErrPayloadTooLong = errors.New("the RTP payload is too long to be sealed and sent")

// PublishOptions say how to publish a track. The zero value works.
type PublishOptions struct {
	// Source is what the track shows or lets hear. Zero is the microphone for audio, the camera for video.
	Source Source
	// Muted begins muted.
	Muted bool
}

func (o PublishOptions) source(kind webrtc.RTPCodecType) Source {
	switch {
	case o.Source != 0:
		return o.Source
	case kind == webrtc.RTPCodecTypeAudio:
		return SourceMicrophone
	case kind == webrtc.RTPCodecTypeVideo:
		return SourceCamera
	}
	return 0
}

// check returns the source a track is published as, or ErrUnsupportedTrack.
func (o PublishOptions) check(track webrtc.TrackLocal) (Source, error) {
	if track == nil {
		return 0, ErrUnsupportedTrack
	}
	kind := track.Kind()
	source := o.source(kind)
	if kind == webrtc.RTPCodecTypeUnknown || source.kind() != kind {
		return 0, fmt.Errorf("%w: a %v track can't be a %v", ErrUnsupportedTrack, kind, source)
	}
	return source, nil
}

// Publication is a track that this member sends to everybody in the meeting. Its methods may be called from any
// goroutine.
//
// A source that hands over RTP packets gives the audio level, if it has it, in the header extension
// AudioLevelExtension; other extensions don't travel. Duplicates are dropped (MED-3).
type Publication struct {
	plane  *plane
	source Source
	kind   webrtc.RTPCodecType
	muted  atomic.Bool // written with mu held, so that no packet is under way when Mute returns
	level  levelMeter  // noted with mu held

	change sync.Mutex // one Replace or Close at a time; held while the track's Bind and Unbind run
	track  webrtc.TrackLocal
	closed bool

	described stream // guarded by plane.mu; its Muted is in muted

	mu        sync.Mutex // guards what follows: sealing and sending
	bound     *binding   // whose packets are sent; nil after Close
	out       *outStream
	frames    *frameReader
	clockRate uint32
	permitted bool
	numbering numbering
	packet    crypto.MediaPacket // used again for each
	buffer    []byte
	stats     PublicationStats
	wanted    bool      // a key frame is, and the source wasn't told yet
	told      time.Time // when it was told last
}

// PublicationStats counts what was sent. Take the difference of two to have a rate.
type PublicationStats struct {
	// Packets were sealed and sent, once however many members get them; Bytes is their payload.
	Packets, Bytes uint64
	// Frames counts markers on video, packets on audio.
	Frames uint64
	// Muted were dropped because the publication was muted, or is not permitted at present.
	Muted uint64
	// Unsent were dropped because nobody is there who can receive, or no key is ready.
	Unsent uint64
	// Repeated were sent before (MED-3).
	Repeated uint64
	// KeyFramesWanted is how often the source was asked for a key frame.
	KeyFramesWanted uint64
}

// publish binds a track and sends what it writes from now on.
func (p *plane) publish(track webrtc.TrackLocal, o PublishOptions) (*Publication, error) {
	source, err := o.check(track)
	if err != nil {
		return nil, err
	}
	kind := track.Kind()
	if err := p.roomToPublish(); err != nil {
		return nil, err // before the track notices anything
	}
	pub := &Publication{plane: p, source: source, kind: kind, track: track, buffer: make([]byte, 0, transport.MaxPacket)}
	pub.muted.Store(o.Muted)
	pub.change.Lock() // nobody replaces it before it is there
	defer pub.change.Unlock()
	b, codec, err := pub.bind(track)
	if err != nil {
		return nil, err
	}
	if err := p.register(pub, codec); err != nil {
		b.close()
		return nil, errors.Join(err, track.Unbind(b))
	}
	pub.use(b, codec, true)
	p.hooks.streamsChanged()
	return pub, nil
}

// bind gives a track a context of ours. What it writes before the context is in use is dropped.
func (pub *Publication) bind(track webrtc.TrackLocal) (*binding, webrtc.RTPCodecParameters, error) {
	b := newBinding(pub)
	codec, err := track.Bind(b)
	if err != nil {
		b.close()
		return nil, codec, fmt.Errorf("%w: %w", ErrUnsupportedTrack, err)
	}
	if s := streamOf(crypto.FirstMediaStream, pub.source, false, codec); !s.valid() {
		b.close()
		return nil, codec, errors.Join(ErrUnsupportedTrack, track.Unbind(b))
	}
	return b, codec, nil
}

// use makes b the one whose packets are sent, on the stream that pub is described with.
func (pub *Publication) use(b *binding, codec webrtc.RTPCodecParameters, anew bool) {
	own := &pub.plane.out
	pub.plane.mu.RLock()
	defer pub.plane.mu.RUnlock()
	pub.mu.Lock()
	defer pub.mu.Unlock()
	pub.bound, pub.out, pub.clockRate = b, own.streams[pub.described.Stream], codec.ClockRate
	pub.permitted = own.allowed&pub.source.permission() != 0
	if anew {
		pub.frames = newFrameReader(codec.MimeType)
	}
	pub.frames.reset()
	pub.numbering = numbering{source: true, sequence: true}
}

// Source is what the track shows or lets hear.
func (pub *Publication) Source() Source { return pub.source }

// Stream is the number of its stream (SPEC §7), for logs and statistics. It changes when Replace changes the codec.
func (pub *Publication) Stream() uint8 {
	pub.plane.mu.RLock()
	defer pub.plane.mu.RUnlock()
	return pub.described.Stream
}

// Codec is the codec it is sent in.
func (pub *Publication) Codec() webrtc.RTPCodecParameters {
	pub.plane.mu.RLock()
	defer pub.plane.mu.RUnlock()
	return codecOf(pub.described)
}

// Stats returns the counters up to now.
func (pub *Publication) Stats() PublicationStats {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	return pub.stats
}

// Muted reports whether it is muted.
func (pub *Publication) Muted() bool { return pub.muted.Load() }

// Mute stops or resumes sending. When Mute(true) returns, nothing more of the source leaves, and what it records until
// Mute(false) never does (STR-6). The others are told.
func (pub *Publication) Mute(muted bool) {
	pub.mu.Lock()
	was := pub.muted.Swap(muted)
	pub.level.forget()
	if was && !muted {
		pub.wantLocked(pub.plane.now()) // what came last is too old to go on from
	}
	pub.mu.Unlock()
	if was != muted && pub.plane.markChanged(pub) {
		pub.plane.hooks.streamsChanged()
	}
}

// permit says whether the meeting's policy lets this member send it.
func (pub *Publication) permit(permitted bool, now time.Time) {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	if permitted && !pub.permitted {
		pub.wantLocked(now)
	}
	pub.permitted = permitted
}

// Replace sends another track of the same kind from now on, and unbinds the one before. Readers notice nothing if the
// codec is the same; else they get another track. The errors are ErrUnsupportedTrack, with which the publication is
// as it was, ErrClosed, and what the old track's Unbind says.
func (pub *Publication) Replace(track webrtc.TrackLocal) error {
	if track == nil || track.Kind() != pub.kind {
		return ErrUnsupportedTrack
	}
	pub.change.Lock()
	defer pub.change.Unlock()
	if pub.closed {
		return ErrClosed
	}
	b, codec, err := pub.bind(track)
	if err != nil {
		return err
	}
	pub.mu.Lock()
	before := pub.bound
	pub.bound = nil
	pub.mu.Unlock()
	anew := pub.plane.redescribe(pub, codec)
	pub.use(b, codec, anew)
	before.close()
	old := pub.track
	pub.track = track
	if anew {
		pub.plane.hooks.streamsChanged()
	}
	return old.Unbind(before)
}

// Close stops sending and unbinds the track. The error is the track's.
func (pub *Publication) Close() error { return pub.end(true) }

func (pub *Publication) end(tell bool) error {
	pub.change.Lock()
	defer pub.change.Unlock()
	if pub.closed {
		return nil
	}
	pub.closed = true
	pub.mu.Lock()
	b := pub.bound
	pub.bound = nil
	pub.mu.Unlock()
	pub.plane.unregister(pub)
	b.close()
	if tell {
		pub.plane.hooks.streamsChanged()
	}
	return pub.track.Unbind(b)
}

// write seals a packet of the source and sends it to the recipients. It allocates nothing.
func (pub *Publication) write(b *binding, h *rtp.Header, payload []byte) (int, error) {
	if len(payload) > MaxPayload {
		return 0, ErrPayloadTooLong
	}
	size := h.MarshalSize() + len(payload)
	pub.mu.Lock()
	defer pub.mu.Unlock()
	if pub.bound != b {
		if isClosed(b.done) {
			return 0, io.ErrClosedPipe
		}
		return size, nil // not in use yet
	}
	if pub.muted.Load() || !pub.permitted {
		pub.numbering.skip(h.SequenceNumber)
		pub.stats.Muted++
		return size, nil
	}
	if level := pub.audioLevel(h); len(level) == 1 {
		pub.level.note(level[0], pub.plane.now(), pub.plane.off.levels)
	}
	peers := pub.plane.recipients.Load()
	if peers == nil || len(*peers) == 0 {
		pub.stats.Unsent++
		return size, nil
	}
	return size, pub.send(h, payload, *peers)
}

// send is write for a packet that may go. pub.mu is held.
func (pub *Publication) send(h *rtp.Header, payload []byte, peers []transport.PeerKey) error {
	now := pub.plane.now()
	if pub.numbering.recordedMuted(h.SequenceNumber) && !pub.plane.off.mutedGuard {
		pub.stats.Muted++
		return nil
	}
	n := pub.numbering.next(h, pub.out, now, pub.clockRate)
	if pub.plane.off.numbering {
		n = numbering{}
	}
	m := &pub.packet
	*m = crypto.MediaPacket{
		Flags: pub.frames.flags(h.Timestamp, payload), Marker: h.Marker,
		SequenceNumber: h.SequenceNumber + n.sequenceOffset, Timestamp: h.Timestamp + n.timestampOffset, Payload: payload,
	}
	if level := pub.audioLevel(h); len(level) == 1 {
		m.HasLevel, m.AudioLevel = true, level[0]
	}
	sealed, err := pub.out.sealer.SealMedia(pub.buffer[:0], m)
	m.Payload = nil
	switch {
	case err == nil:
	case errors.Is(err, crypto.ErrDuplicate):
		pub.stats.Repeated++
		return nil
	case errors.Is(err, crypto.ErrNoKey):
		pub.stats.Unsent++
		return nil
	default:
		return err
	}
	pub.buffer = sealed
	pub.numbering = n
	pub.out.sent(m, now)
	pub.plane.host.Fanout(pub.transportKind(), sealed, peers)
	pub.count(m, len(payload), now)
	return nil
}

// audioLevel is what the source says of its loudness, or nothing.
func (pub *Publication) audioLevel(h *rtp.Header) []byte {
	if pub.kind != webrtc.RTPCodecTypeAudio {
		return nil
	}
	return h.GetExtension(AudioLevelExtension)
}

func (pub *Publication) transportKind() transport.Kind {
	if pub.kind == webrtc.RTPCodecTypeAudio {
		return transport.Audio
	}
	return transport.Video
}

// count does the statistics and sees to wanted key frames. pub.mu is held.
func (pub *Publication) count(m *crypto.MediaPacket, size int, now time.Time) {
	pub.stats.Packets++
	pub.stats.Bytes += uint64(size)
	if pub.kind == webrtc.RTPCodecTypeAudio || m.Marker {
		pub.stats.Frames++
	}
	if m.Flags.KeyFrame && m.Flags.StartOfFrame {
		pub.wanted = false // whoever asked has it
	}
	if pub.wanted {
		pub.tellLocked(now)
	}
}

// wantLocked has the source asked for a key frame, at most every keyFrameEvery (STR-5). pub.mu is held.
func (pub *Publication) wantLocked(now time.Time) {
	if pub.kind == webrtc.RTPCodecTypeVideo {
		pub.wanted = true
		pub.tellLocked(now)
	}
}

func (pub *Publication) tellLocked(now time.Time) {
	if pub.bound == nil || pub.muted.Load() || now.Sub(pub.told) < keyFrameEvery && !pub.plane.off.keyFrames {
		return
	}
	pub.wanted, pub.told = false, now
	pub.stats.KeyFramesWanted++
	pub.bound.askKeyFrame()
}

// tick is called each second.
func (pub *Publication) tick(now time.Time) {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	if pub.wanted {
		pub.tellLocked(now)
	}
}

// binding is the context that a track is bound to: one for each Bind. It is the track's pion TrackLocalContext, what
// it writes to, and what it reads RTCP from.
type binding struct {
	pub  *Publication
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
