package meet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Source is what a track shows or lets hear (SPEC §9.3). It decides which permission the track needs.
type Source uint8

// The sources.
const (
	// SourceMicrophone is a voice: permission Audio.
	SourceMicrophone Source = 1
	// SourceCamera is a face: permission Video.
	SourceCamera Source = 2
	// SourceScreen is a screen or a window: permission Screen.
	SourceScreen Source = 3
	// SourceScreenAudio is what a shared screen lets hear: permission Screen.
	SourceScreenAudio Source = 4
)

// String returns the source's name in English, for logs.
func (s Source) String() string {
	switch s {
	case SourceMicrophone:
		return "microphone"
	case SourceCamera:
		return "camera"
	case SourceScreen:
		return "screen"
	case SourceScreenAudio:
		return "screen audio"
	}
	return fmt.Sprintf("source %d", uint8(s))
}

// permission is what a member needs in order to send such a track (ROS-22); zero for what is no source.
func (s Source) permission() Permissions {
	switch s {
	case SourceMicrophone:
		return roster.Audio
	case SourceCamera:
		return roster.Video
	case SourceScreen, SourceScreenAudio:
		return roster.Screen
	}
	return 0
}

// kind is the kind of media a source is made of; unknown for what is no source.
func (s Source) kind() webrtc.RTPCodecType {
	switch s {
	case SourceMicrophone, SourceScreenAudio:
		return webrtc.RTPCodecTypeAudio
	case SourceCamera, SourceScreen:
		return webrtc.RTPCodecTypeVideo
	}
	return webrtc.RTPCodecTypeUnknown
}

// Limits of what a state announcement may say (STR-2).
const (
	minClockRate  = 8_000
	maxClockRate  = 192_000
	videoClock    = 90_000
	maxChannels   = 8
	opusClockRate = 48_000
)

func (s *stream) valid() bool {
	message := func(n uint8) bool { return n < crypto.FirstMediaStream }
	if slices.ContainsFunc(s.numbers(), message) || !printable(s.MimeType) || !printable(s.Format) {
		return false
	}
	// What a source is made of is fixed: else video could pass as a microphone, under another permission.
	switch s.Source.kind() {
	case webrtc.RTPCodecTypeAudio:
		return hasType(s.MimeType, "audio/") && s.Channels <= maxChannels && len(s.Layers) == 0 &&
			s.ClockRate >= minClockRate && s.ClockRate <= maxClockRate
	case webrtc.RTPCodecTypeVideo:
		return hasType(s.MimeType, "video/") && s.Channels == 0 && s.ClockRate == videoClock && len(s.Layers) < MaxLayers
	}
	return false
}

// printable refuses text that is too long or could do harm where it is shown or put into SDP.
func printable(text string) bool {
	return len(text) <= maxCodecText && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// hasType reports whether a MIME type is of this kind, with a name after it. Case doesn't matter (RFC 2045 §5.1).
func hasType(mime, kind string) bool {
	return len(mime) > len(kind) && strings.EqualFold(mime[:len(kind)], kind)
}

// sameEncoding reports whether two descriptions are of one thing that goes on: all but mute is equal.
func (s stream) sameEncoding(o stream) bool {
	return s.Stream == o.Stream && s.Source == o.Source && s.MimeType == o.MimeType && s.ClockRate == o.ClockRate &&
		s.Channels == o.Channels && s.Format == o.Format && slices.Equal(s.Layers, o.Layers)
}

// numbers are those of its layers, the lowest first: its own, and those of Layers.
func (s *stream) numbers() []uint8 { return append([]uint8{s.Stream}, s.Layers...) }

// streamOf describes a codec as announced.
func streamOf(number uint8, source Source, muted bool, c webrtc.RTPCodecParameters) stream {
	return stream{
		Stream: number, Source: source, Muted: muted,
		MimeType: c.MimeType, ClockRate: c.ClockRate, Channels: c.Channels, Format: c.SDPFmtpLine,
	}
}

// sendCodecs returns the codecs of a kind that tracks may be bound to, the preferred first. Payload types only matter
// between a track and whoever binds it: what travels is the description.
func sendCodecs(kind webrtc.RTPCodecType) []webrtc.RTPCodecParameters {
	if kind == webrtc.RTPCodecTypeAudio {
		return slices.Clone(audioCodecs)
	}
	if kind == webrtc.RTPCodecTypeVideo {
		return slices.Clone(videoCodecs)
	}
	return nil
}

var (
	audioCodecs = []webrtc.RTPCodecParameters{
		audioCodec(webrtc.MimeTypeOpus, opusClockRate, 2, "minptime=10;useinbandfec=1", 111),
		audioCodec(webrtc.MimeTypePCMU, minClockRate, 0, "", 0),
		audioCodec(webrtc.MimeTypePCMA, minClockRate, 0, "", 8),
		audioCodec(webrtc.MimeTypeG722, minClockRate, 0, "", 9),
	}
	videoCodecs = []webrtc.RTPCodecParameters{
		videoCodec(webrtc.MimeTypeVP8, "", 96),
		videoCodec(webrtc.MimeTypeVP9, "profile-id=0", 98),
		videoCodec(webrtc.MimeTypeVP9, "profile-id=2", 100),
		videoCodec(webrtc.MimeTypeAV1, "", 45),
		videoCodec(webrtc.MimeTypeH264, h264Format+"42e01f", 106), // constrained baseline, first: what all can decode
		videoCodec(webrtc.MimeTypeH264, h264Format+"42001f", 102), // baseline
		videoCodec(webrtc.MimeTypeH264, h264Format+"4d001f", 127), // main
		videoCodec(webrtc.MimeTypeH264, h264Format+"64001f", 112), // high
	}
)

const h264Format = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id="

func audioCodec(mime string, rate uint32, channels uint16, format string, payloadType webrtc.PayloadType) webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: rate, Channels: channels, SDPFmtpLine: format},
		PayloadType:        payloadType,
	}
}

func videoCodec(mime, format string, payloadType webrtc.PayloadType) webrtc.RTPCodecParameters {
	feedback := []webrtc.RTCPFeedback{{Type: "nack", Parameter: "pli"}} // all that RTCPReader ever delivers
	return webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: videoClock, SDPFmtpLine: format, RTCPFeedback: feedback},
		PayloadType:        payloadType,
	}
}

// Payload types for codecs that are not in the table above.
const (
	otherAudioPayloadType = 125
	otherVideoPayloadType = 126
)

// codecOf is the codec of an announced stream, with the payload type that its packets are given here: the one of the
// same description, else of the same name.
func codecOf(s stream) webrtc.RTPCodecParameters {
	kind := s.Source.kind()
	table, c := audioCodecs, audioCodec(s.MimeType, s.ClockRate, s.Channels, s.Format, otherAudioPayloadType)
	if kind == webrtc.RTPCodecTypeVideo {
		table, c = videoCodecs, videoCodec(s.MimeType, s.Format, otherVideoPayloadType)
	}
	named := false
	for _, known := range table {
		if !strings.EqualFold(known.MimeType, s.MimeType) {
			continue
		}
		if known.SDPFmtpLine == s.Format {
			c.PayloadType = known.PayloadType
			break
		}
		if !named {
			c.PayloadType, named = known.PayloadType, true
		}
	}
	return c
}

// outStream is a stream number of this member's: it stays when its publication goes, so that counters go on (KEY-1).
// But for sealer, the publication that has it guards it with its mu.
type outStream struct {
	sealer    *crypto.SenderStream
	used      bool
	sequence  uint16 // the newest sent
	timestamp uint32 // of that
	at        time.Time
}

func (o *outStream) sent(m *crypto.MediaPacket, now time.Time) {
	if !o.used || int16(m.SequenceNumber-o.sequence) > 0 {
		o.used, o.sequence, o.timestamp, o.at = true, m.SequenceNumber, m.Timestamp, now
	}
}

// numbering maps a source's sequence numbers and timestamps to those that are sent, so that they go on where another
// source, a mute or another publication on the same stream left off: readers see no gap, and no number of a new source
// is taken for a repetition (MED-3).
type numbering struct {
	sequenceOffset  uint16
	timestampOffset uint32
	source          bool // the next packet is of another source: timestamps begin anew
	sequence        bool // the next packet follows the last one sent, whatever its number
	guarded         bool
	guard           uint16 // the newest that was recorded while muted
}

// skip takes note of a packet that isn't sent on purpose.
func (n *numbering) skip(sequence uint16) {
	n.sequence = true
	if !n.guarded || int16(sequence-n.guard) > 0 {
		n.guard = sequence
	}
	n.guarded = true
}

// recordedMuted reports whether a packet is from before the end of a mute: browsers send packets again later, to probe
// or because one was lost (STR-6).
func (n *numbering) recordedMuted(sequence uint16) bool {
	if !n.guarded {
		return false
	}
	behind := int16(n.guard - sequence)
	if behind < -1<<14 {
		n.guarded = false // long ago; soon the number would look older
	}
	return behind >= 0
}

// next returns the numbering that holds once this packet is sent. Newest is the stream of the same picture that sent
// last: out, or another layer's, since all layers have one clock.
func (n numbering) next(h *rtp.Header, out, newest *outStream, now time.Time, clockRate uint32) numbering {
	if n.sequence && out.used {
		n.sequenceOffset = out.sequence + 1 - h.SequenceNumber
	}
	if n.source {
		n.timestampOffset = 0
		if newest.used {
			passed := now.Sub(newest.at).Seconds() * float64(clockRate)
			n.timestampOffset = newest.timestamp + uint32(uint64(max(passed, 1))) - h.Timestamp
		}
	}
	n.sequence, n.source = false, false
	return n
}

// publications are what this member sends, and the stream numbers it ever used. plane.mu guards them.
type publications struct {
	live      map[uint8]*Publication // by their lowest stream
	streams   [256]*outStream
	free      []uint8 // used before, and not now; the longest free first
	allowed   Permissions
	state     memberState // what is announced besides
	changed   bool        // since announced
	announced *stateAnnounce
}

func (o *publications) init() {
	o.live = map[uint8]*Publication{}
	o.allowed = roster.AllPermissions // until the meeting says otherwise; the others check in any case
}

func (o *publications) all() []*Publication { return slices.Collect(maps.Values(o.live)) }

// describe gives a publication streams, one for each layer (LAY-1).
func (p *plane) describe(pub *Publication, codec webrtc.RTPCodecParameters, layers int) {
	n := p.out.take(p.keys)
	pub.described = streamOf(n, pub.source, false, codec)
	for range layers - 1 {
		if p.off.oneStream {
			pub.described.Layers = append(pub.described.Layers, n)
			continue
		}
		pub.described.Layers = append(pub.described.Layers, p.out.take(p.keys))
	}
	p.out.live[n] = pub
	p.out.changed = true
}

// forget takes its streams away from a publication.
func (o *publications) forget(pub *Publication) {
	delete(o.live, pub.described.Stream)
	o.free = append(o.free, pub.described.numbers()...)
	o.changed = true
}

// take returns a number for a new stream: one never used, as long as there is one, so that a number rarely means two
// things (STR-7).
func (o *publications) take(keys *crypto.SenderKeys) uint8 {
	for n := crypto.FirstMediaStream; n < len(o.streams); n++ {
		if o.streams[n] == nil {
			o.streams[n] = &outStream{sealer: keys.Stream(uint8(n))}
			return uint8(n)
		}
	}
	n := o.free[0] // there is one: far fewer are in use than there are
	o.free = o.free[1:]
	return n
}

// roomToPublish returns ErrTooManyTracks or ErrClosed if nothing more can be published.
func (p *plane) roomToPublish(layers int) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.roomLocked(layers)
}

func (p *plane) roomLocked(layers int) error {
	if p.closed {
		return ErrClosed
	}
	if len(p.out.live) >= MaxPublications || p.out.streamsInUse()+layers > maxStreams {
		return ErrTooManyTracks
	}
	return nil
}

func (o *publications) streamsInUse() (n int) {
	for _, pub := range o.live {
		n += 1 + len(pub.described.Layers)
	}
	return n
}

// register gives a publication its streams.
func (p *plane) register(pub *Publication, codec webrtc.RTPCodecParameters, layers int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.roomLocked(layers); err != nil {
		return err
	}
	p.describe(pub, codec, layers)
	return nil
}

// redescribe gives a publication other streams if its codec or the number of its layers changed, and reports whether it
// did. The error is ErrTooManyTracks.
func (p *plane) redescribe(pub *Publication, codec webrtc.RTPCodecParameters, layers int) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := &pub.described
	now := streamOf(before.Stream, pub.source, false, codec)
	now.Layers = before.Layers
	if layers == 1+len(before.Layers) && before.sameEncoding(now) {
		return false, nil
	}
	if p.out.streamsInUse()-1-len(before.Layers)+layers > maxStreams {
		return false, ErrTooManyTracks
	}
	p.out.forget(pub)
	p.describe(pub, codec, layers)
	return true, nil
}

func (p *plane) unregister(pub *Publication) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.forget(pub)
}

// markChanged notes that a publication is to be announced anew, and reports whether it is still there.
func (p *plane) markChanged(pub *Publication) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out.live[pub.described.Stream] != pub {
		return false
	}
	p.out.changed = true
	return true
}

// setOwnPermissions says what this member may send. What it may not is neither sent nor announced, until it may again.
// It reports whether to announce anew.
func (p *plane) setOwnPermissions(allowed Permissions) bool {
	p.mu.Lock()
	if p.out.allowed == allowed {
		p.mu.Unlock()
		return false
	}
	p.out.allowed = allowed
	published := p.out.all()
	p.out.changed = p.out.changed || len(published) > 0
	p.mu.Unlock()
	now := p.now()
	for _, pub := range published {
		pub.permit(allowed&pub.source.permission() != 0, now)
	}
	return len(published) > 0
}

// publishes reports whether this member sends anything, muted or not.
func (p *plane) publishes() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.out.live) > 0
}

// announce returns what to tell the others about this member's state: the same until something changes, nil if there
// never was anything.
func (p *plane) announce() *stateAnnounce {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.out.changed {
		return p.out.announced
	}
	a := &stateAnnounce{Number: 1, Hand: p.out.state.hand, Recording: p.out.state.recording, Consents: p.out.state.consents, Refusals: p.out.state.refusals}
	if p.out.announced != nil {
		a.Number = p.out.announced.Number + 1
	}
	a.Streams = p.out.streamsNow()
	a.sign(p.self)
	p.out.announced, p.out.changed = a, false
	return a
}

// streamsNow are this member's streams, as they are announced.
func (o *publications) streamsNow() (all []stream) {
	for _, pub := range o.live {
		if o.allowed&pub.source.permission() != 0 {
			s := pub.described
			s.Muted = pub.muted.Load()
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(x, y stream) int { return cmp.Compare(x.Stream, y.Stream) })
	return all
}

// setState replaces what is announced besides streams.
func (p *plane) setState(s memberState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.state, p.out.changed = s, true
}

// dropped: packets of a stream, perhaps a layer, to a member were dropped on the way out, and there is room again.
func (p *plane) dropped(to transport.PeerKey, number uint8) {
	p.mu.RLock()
	var pub *Publication
	for _, each := range p.out.live {
		if slices.Contains(each.described.numbers(), number) {
			pub = each
		}
	}
	p.mu.RUnlock()
	if pub != nil {
		pub.wantFor(to, p.now())
	}
}

// wantKeyFrame: a member asks for a key frame of a stream of this member's; of a layered picture it names the lowest.
func (p *plane) wantKeyFrame(from crypto.MeetingKey, number uint8) {
	p.mu.RLock()
	pub := p.out.live[number]
	p.mu.RUnlock()
	if pub != nil {
		pub.wantFor(transport.PeerKey(from), p.now())
	}
}
