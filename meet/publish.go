package meet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
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

// check returns the source that tracks are published as, or ErrUnsupportedTrack.
func (o PublishOptions) check(tracks []webrtc.TrackLocal) (Source, error) {
	if len(tracks) == 0 || slices.Contains(tracks, nil) {
		return 0, ErrUnsupportedTrack
	}
	kind := tracks[0].Kind()
	source := o.source(kind)
	if kind == webrtc.RTPCodecTypeUnknown || source.kind() != kind {
		return 0, fmt.Errorf("%w: a %v track can't be a %v", ErrUnsupportedTrack, kind, source)
	}
	return source, checkLayers(tracks, kind)
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

	change sync.Mutex // one Replace or Close at a time; held while tracks' Bind and Unbind run
	tracks []webrtc.TrackLocal
	closed bool

	described stream // guarded by plane.mu; its Muted is in muted

	mu        sync.Mutex  // guards what follows: sealing and sending
	layers    []*encoding // the lowest first; one, but after PublishLayers
	receiving receiving   // who gets which, where there are several
	permitted bool
	packet    crypto.MediaPacket // used again for each
	buffer    []byte
	stats     PublicationStats
}

// encoding is one encoding that a publication sends: the only one, or one layer. pub.mu guards it.
type encoding struct {
	bound     *binding // whose packets are sent; nil after Close
	out       *outStream
	frames    *frameReader
	clockRate uint32
	numbering numbering
	rate      rateMeter
	wanted    bool                // a key frame is, and the source wasn't told yet
	told      time.Time           // when it was told last
	peers     []transport.PeerKey // who gets this layer, where there are several
	pending   int                 // how many are to get it from its next key frame on
	stats     LayerStats
}

// PublicationStats counts what was sent. Take the difference of two to have a rate.
type PublicationStats struct {
	// Packets were sealed and sent, once however many members get them; Bytes is their payload. Layers add up here.
	Packets, Bytes uint64
	// Frames counts markers on video, packets on audio.
	Frames uint64
	// Muted were dropped because the publication was muted, or is not permitted at present.
	Muted uint64
	// Unsent were dropped because nobody is there who can receive them, no key is ready, or nobody gets their layer.
	Unsent uint64
	// Repeated were sent before (MED-3).
	Repeated uint64
	// KeyFramesWanted is how often the source was asked for a key frame.
	KeyFramesWanted uint64
}

// publish binds tracks, which are layers if there are several, and sends what they write from now on.
func (p *plane) publish(tracks []webrtc.TrackLocal, o PublishOptions) (*Publication, error) {
	source, err := o.check(tracks)
	if err != nil {
		return nil, err
	}
	if err := p.roomToPublish(len(tracks)); err != nil {
		return nil, err // before a track notices anything
	}
	tracks = slices.Clone(tracks)
	pub := &Publication{plane: p, source: source, kind: tracks[0].Kind(), tracks: tracks, buffer: make([]byte, 0, transport.MaxPacket)}
	pub.muted.Store(o.Muted)
	pub.change.Lock() // nobody replaces it before it is there
	defer pub.change.Unlock()
	bound, codec, err := pub.bind(tracks)
	if err != nil {
		return nil, err
	}
	if err := p.register(pub, codec, len(tracks)); err != nil {
		return nil, errors.Join(err, unbind(tracks, bound))
	}
	pub.use(bound, codec, true)
	p.hooks.streamsChanged()
	return pub, nil
}

// bind gives each track a context of ours. What it writes before the context is in use is dropped.
func (pub *Publication) bind(tracks []webrtc.TrackLocal) (bound []*binding, codec webrtc.RTPCodecParameters, err error) {
	for i, track := range tracks {
		b := newBinding(pub)
		c, err := track.Bind(b)
		if err != nil {
			b.close()
			return nil, codec, errors.Join(fmt.Errorf("%w: %w", ErrUnsupportedTrack, err), unbind(tracks, bound))
		}
		bound = append(bound, b)
		s := streamOf(crypto.FirstMediaStream, pub.source, false, c)
		if i == 0 {
			codec = c
		}
		if !s.valid() || !s.sameEncoding(streamOf(crypto.FirstMediaStream, pub.source, false, codec)) ||
			len(tracks) > 1 && !readsKeyFrames(c.MimeType) {
			return nil, codec, errors.Join(ErrUnsupportedTrack, unbind(tracks, bound))
		}
	}
	return bound, codec, nil
}

// unbind undoes bind, for as many tracks as were bound.
func unbind(tracks []webrtc.TrackLocal, bound []*binding) (err error) {
	for i, b := range bound {
		b.close()
		err = errors.Join(err, tracks[i].Unbind(b))
	}
	return err
}

// use makes these bindings those whose packets are sent, on the streams that pub is described with.
func (pub *Publication) use(bound []*binding, codec webrtc.RTPCodecParameters, anew bool) {
	own := &pub.plane.out
	pub.plane.mu.RLock()
	defer pub.plane.mu.RUnlock()
	pub.mu.Lock()
	defer pub.mu.Unlock()
	if anew {
		pub.layers = make([]*encoding, len(bound))
		for i := range pub.layers {
			pub.layers[i] = &encoding{frames: newFrameReader(codec.MimeType)}
		}
	}
	for i, n := range pub.described.numbers() {
		l := pub.layers[i]
		l.bound, l.out, l.clockRate = bound[i], own.streams[n], codec.ClockRate
		l.frames.reset()
		l.numbering = numbering{source: true, sequence: true}
		bound[i].out = l
	}
	pub.receiving = receiving{} // everybody begins anew, with a key frame
	pub.permitted = own.allowed&pub.source.permission() != 0
}

// Source is what the track shows or lets hear.
func (pub *Publication) Source() Source { return pub.source }

// Stream is the number of its stream (SPEC §7), that of the lowest layer if it has layers, for logs and statistics. It
// changes when Replace changes the codec.
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
		pub.wantAll(pub.plane.now()) // what came last is too old to go on from
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
		pub.wantAll(now)
	}
	pub.permitted = permitted
}

// Replace sends another track of the same kind from now on, and unbinds the one before, or all its layers. Readers
// notice nothing if the codec is the same and there were no layers; else they get another track. The errors are
// ErrUnsupportedTrack, with which the publication is as it was, ErrClosed, and what the old track's Unbind says.
func (pub *Publication) Replace(track webrtc.TrackLocal) error {
	return pub.ReplaceLayers([]webrtc.TrackLocal{track})
}

// ReplaceLayers is Replace by layers, as PublishLayers takes them. Readers notice nothing if the codec and the number of
// layers are the same. ErrTooManyTracks, too, leaves the publication as it was.
func (pub *Publication) ReplaceLayers(tracks []webrtc.TrackLocal) error {
	if source, err := (PublishOptions{Source: pub.source}).check(tracks); err != nil || source != pub.source {
		return ErrUnsupportedTrack
	}
	pub.change.Lock()
	defer pub.change.Unlock()
	if pub.closed {
		return ErrClosed
	}
	bound, codec, err := pub.bind(tracks)
	if err != nil {
		return err
	}
	before := pub.silence()
	anew, err := pub.plane.redescribe(pub, codec, len(tracks))
	if err != nil {
		pub.mu.Lock()
		for i, l := range pub.layers {
			l.bound = before[i]
		}
		pub.mu.Unlock()
		return errors.Join(err, unbind(tracks, bound))
	}
	pub.use(bound, codec, anew)
	old := pub.tracks
	pub.tracks = slices.Clone(tracks)
	if anew {
		pub.plane.hooks.streamsChanged()
	}
	return unbind(old, before)
}

// silence has nothing sent of what is bound, which it returns.
func (pub *Publication) silence() (bound []*binding) {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	for _, l := range pub.layers {
		bound = append(bound, l.bound)
		l.bound = nil
	}
	return bound
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
	bound := pub.silence()
	pub.plane.unregister(pub)
	if tell {
		pub.plane.hooks.streamsChanged()
	}
	return unbind(pub.tracks, bound)
}

// write seals a packet of the source and sends it to the recipients. It allocates nothing.
func (pub *Publication) write(b *binding, h *rtp.Header, payload []byte) (int, error) {
	if len(payload) > MaxPayload {
		return 0, ErrPayloadTooLong
	}
	size := h.MarshalSize() + len(payload)
	pub.mu.Lock()
	defer pub.mu.Unlock()
	l := b.out
	if l == nil || l.bound != b {
		if isClosed(b.done) {
			return 0, io.ErrClosedPipe
		}
		return size, nil // not in use yet
	}
	if pub.muted.Load() || !pub.permitted {
		l.numbering.skip(h.SequenceNumber)
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
	return size, pub.send(l, h, payload, peers)
}

// send is write for a packet that may go. pub.mu is held.
func (pub *Publication) send(l *encoding, h *rtp.Header, payload []byte, recipients *[]transport.PeerKey) error {
	now := pub.plane.now()
	if l.numbering.recordedMuted(h.SequenceNumber) && !pub.plane.off.mutedGuard {
		pub.stats.Muted++
		return nil
	}
	m := &pub.packet
	*m = crypto.MediaPacket{Flags: l.frames.flags(h.Timestamp, payload), Marker: h.Marker, Payload: payload}
	l.rate.add(len(payload), now)
	if !pub.needed(l, m.Flags, recipients) {
		l.numbering.sequence = true
		pub.stats.Unsent++
		return nil
	}
	n := l.numbering.next(h, l.out, pub.newest(), now, l.clockRate)
	if pub.plane.off.numbering {
		n = numbering{}
	}
	m.SequenceNumber, m.Timestamp = h.SequenceNumber+n.sequenceOffset, h.Timestamp+n.timestampOffset
	if level := pub.audioLevel(h); len(level) == 1 {
		m.HasLevel, m.AudioLevel = true, level[0]
	}
	sealed, err := l.out.sealer.SealMedia(pub.buffer[:0], m)
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
	l.numbering = n
	l.out.sent(m, now)
	pub.plane.host.Fanout(pub.transportKind(), sealed, pub.readers(l, m.Flags, *recipients))
	pub.count(l, m, len(payload), now)
	return nil
}

// newest is the stream of the layer that sent last: layers have one clock. pub.mu is held.
func (pub *Publication) newest() *outStream {
	newest := pub.layers[0].out
	for _, l := range pub.layers[1:] {
		if l.out.used && (!newest.used || l.out.at.After(newest.at)) {
			newest = l.out
		}
	}
	return newest
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
func (pub *Publication) count(l *encoding, m *crypto.MediaPacket, size int, now time.Time) {
	pub.stats.Packets++
	pub.stats.Bytes += uint64(size)
	l.stats.Packets++
	l.stats.Bytes += uint64(size)
	if pub.kind == webrtc.RTPCodecTypeAudio || m.Marker {
		pub.stats.Frames++
		l.stats.Frames++
	}
	if m.Flags.KeyFrame && m.Flags.StartOfFrame {
		l.wanted = false // whoever asked has it
	}
	if l.wanted {
		pub.tell(l, now)
	}
}

// wantAll has the source asked for a key frame of each layer that somebody gets. pub.mu is held.
func (pub *Publication) wantAll(now time.Time) {
	for _, l := range pub.layers {
		if len(pub.layers) == 1 || len(l.peers)+l.pending > 0 || pub.plane.off.allLayers {
			pub.want(l, now)
		}
	}
}

// want has the source asked for a key frame, at most every keyFrameEvery (STR-5). pub.mu is held.
func (pub *Publication) want(l *encoding, now time.Time) {
	if pub.kind == webrtc.RTPCodecTypeVideo {
		l.wanted = true
		pub.tell(l, now)
	}
}

func (pub *Publication) tell(l *encoding, now time.Time) {
	if l.bound == nil || pub.muted.Load() || now.Sub(l.told) < keyFrameEvery && !pub.plane.off.keyFrames {
		return
	}
	l.wanted, l.told = false, now
	pub.stats.KeyFramesWanted++
	l.bound.askKeyFrame()
}

// tick is called each second.
func (pub *Publication) tick(now time.Time) {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	for _, l := range pub.layers {
		if l.wanted {
			pub.tell(l, now)
		}
	}
}
