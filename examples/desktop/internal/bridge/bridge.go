package bridge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// The limits.
const (
	// MaxLines is how many m-lines a page may offer.
	MaxLines = 160
	// MaxSDP is how long an offer may be, in bytes.
	MaxSDP = 200 << 10

	gatherTimeout = 2 * time.Second
	// limitEvery is how often the browser is told how much it may send: it forgets a limit it isn't reminded of.
	limitEvery = 100 * time.Millisecond
)

// StartLimit is how much the browser may send of each video in the beginning, in bit/s, until somebody says more.
const StartLimit = 1_200_000

// Sources are what a page may send, and the kind of each.
var Sources = map[string]webrtc.RTPCodecType{
	"microphone": webrtc.RTPCodecTypeAudio, "camera": webrtc.RTPCodecTypeVideo,
	"screen": webrtc.RTPCodecTypeVideo, "screenAudio": webrtc.RTPCodecTypeAudio,
}

// The errors of Offer.
var (
	// ErrOffer says that an offer can't be answered.
	ErrOffer = errors.New("the page's offer can't be answered")
	// ErrBusy says that an offer is being answered.
	ErrBusy = errors.New("an offer is being answered")
	// ErrClosed says that the bridge is closed.
	ErrClosed = errors.New("the bridge is closed")
)

// Config is who is told of what happens. The functions are called from any goroutine, must not wait, and must not call
// the bridge.
type Config struct {
	// OnSource: the page sends something, for the first time or in another codec.
	OnSource func(*Source)
	// OnSlots: which remote comes on which m-line has changed; see Slots.
	OnSlots func()
	// OnGrow: the page is to add so many m-lines for receiving, and offer again.
	OnGrow func(audio, video int)
	// OnConnection: connecting, connected, failed, none.
	OnConnection func(state string)
}

// Bridge is the connection with the page, or with none. Its methods may be called from any goroutine.
type Bridge struct {
	config Config
	done   chan struct{}
	tasks  sync.WaitGroup

	offering sync.Mutex // one offer at a time
	tap      atomic.Pointer[Tap]

	mu      sync.Mutex
	pc      *webrtc.PeerConnection
	lines   map[string]string                // mid to source
	input   map[inputKey]*webrtc.TrackRemote // what the page sends
	sources map[string]*Source
	limits  map[string]uint64 // bit/s
	slots   []*slot
	remotes map[string]*remote
	order   uint64
	watched map[string]int // nil: all
	closed  bool
}

// inputKey is one encoding that the page sends.
type inputKey struct{ source, rid string }

// Tap is shown every packet: of the page's own with the name of the source, one layer at a time, of a remote with its ID. It is called on
// the media path, must not wait, and keeps neither header nor payload.
type Tap func(id string, own bool, header *rtp.Header, payload []byte)

// SetTap has a Tap called from now on; nil ends it. Calls under way may still come.
func (b *Bridge) SetTap(t Tap) {
	if t == nil {
		b.tap.Store(nil)
		return
	}
	b.tap.Store(&t)
}

// RequestKeyFrame asks the page for a key frame of a source.
func (b *Bridge) RequestKeyFrame(source string) {
	if s := b.Source(source); s != nil {
		b.askPage(s.shown())
	}
}

// RequestRemoteKeyFrame asks a member for a key frame of a remote.
func (b *Bridge) RequestRemoteKeyFrame(id string) {
	b.mu.Lock()
	r := b.remotes[id]
	b.mu.Unlock()
	if r != nil {
		r.RequestKeyFrame()
	}
}

// New makes a bridge without a page.
func New(c Config) *Bridge {
	b := &Bridge{
		config: c, done: make(chan struct{}), sources: map[string]*Source{},
		limits: map[string]uint64{}, remotes: map[string]*remote{},
	}
	b.tasks.Go(b.tellLimits)
	return b
}

// Close ends the connection and waits for every goroutine. Tracks that were added must have ended.
func (b *Bridge) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	close(b.done)
	b.mu.Unlock()
	b.offering.Lock() // until an offer under way is answered
	defer b.offering.Unlock()
	err := b.disconnect()
	b.tasks.Wait()
	return err
}

// Disconnect ends the connection with the page; sources and remotes stay.
func (b *Bridge) Disconnect() error {
	b.offering.Lock()
	defer b.offering.Unlock()
	return b.disconnect()
}

func (b *Bridge) disconnect() error {
	b.mu.Lock()
	pc := b.pc
	b.pc, b.lines, b.input = nil, nil, nil
	for _, r := range b.remotes {
		r.slot.Store(nil)
	}
	b.slots = nil
	b.mu.Unlock()
	if pc == nil {
		return nil
	}
	err := pc.GracefulClose()
	b.config.OnConnection("none")
	b.config.OnSlots()
	return err
}

// Offer takes the page's offer and returns the answer. Lines says which m-lines, by mid, bring which source; the others
// are for receiving. Restart begins a new connection.
func (b *Bridge) Offer(ctx context.Context, sdp string, lines map[string]string, restart bool) (string, error) {
	if len(sdp) > MaxSDP || len(lines) > len(Sources) || strings.Count(sdp, "\nm=") > MaxLines {
		return "", ErrOffer
	}
	for _, source := range lines {
		if _, ok := Sources[source]; !ok {
			return "", ErrOffer
		}
	}
	if !b.offering.TryLock() {
		return "", ErrBusy
	}
	defer b.offering.Unlock()
	if restart {
		if err := b.disconnect(); err != nil {
			return "", err
		}
	}
	pc, err := b.connection(lines)
	if err != nil {
		return "", err
	}
	answer, err := b.answer(ctx, pc, sdp, lines)
	if err != nil && pc.CurrentLocalDescription() == nil {
		err = errors.Join(err, b.disconnect()) // it never came about
	}
	return answer, err
}

// connection returns the connection, or makes one.
func (b *Bridge) connection(lines map[string]string) (*webrtc.PeerConnection, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	b.lines = lines
	if b.pc != nil {
		return b.pc, nil
	}
	api, err := newAPI()
	if err != nil {
		return nil, err
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) { b.receive(pc, t, r) })
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) { b.connectionChanged(pc, s) })
	b.pc, b.input = pc, map[inputKey]*webrtc.TrackRemote{}
	return pc, nil
}

func (b *Bridge) connectionChanged(pc *webrtc.PeerConnection, s webrtc.PeerConnectionState) {
	b.mu.Lock()
	current := b.pc == pc
	b.mu.Unlock()
	if !current {
		return
	}
	switch s {
	case webrtc.PeerConnectionStateConnecting:
		b.config.OnConnection("connecting")
	case webrtc.PeerConnectionStateConnected:
		b.config.OnConnection("connected")
	case webrtc.PeerConnectionStateFailed:
		b.config.OnConnection("failed")
	}
}

func (b *Bridge) answer(ctx context.Context, pc *webrtc.PeerConnection, sdp string, lines map[string]string) (string, error) {
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}); err != nil {
		return "", errors.Join(ErrOffer, err)
	}
	if err := b.addSlots(pc, lines); err != nil {
		return "", err
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", errors.Join(ErrOffer, err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", errors.Join(ErrOffer, err)
	}
	select {
	case <-gathered:
	case <-time.After(gatherTimeout):
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-b.done:
		return "", ErrClosed
	}
	b.mu.Lock()
	b.assign()
	b.mu.Unlock()
	b.config.OnSlots()
	return withOpusFormat(pc.LocalDescription().SDP), nil
}

// addSlots puts a track of ours on each m-line that has none and on which the page only receives.
func (b *Bridge) addSlots(pc *webrtc.PeerConnection, lines map[string]string) error {
	for _, t := range pc.GetTransceivers() {
		if _, source := lines[t.Mid()]; source || t.Sender() != nil || t.Direction() != webrtc.RTPTransceiverDirectionSendonly {
			continue
		}
		// AddTrack takes the first m-line that can send and has nothing to send, not necessarily t.
		s := &slot{id: "slot-" + t.Mid(), kind: t.Kind()}
		sender, err := pc.AddTrack(s)
		if err != nil {
			return errors.Join(ErrOffer, err)
		}
		for _, t := range pc.GetTransceivers() {
			if t.Sender() == sender {
				s.mid = t.Mid()
			}
		}
		b.mu.Lock()
		b.slots = append(b.slots, s)
		b.mu.Unlock()
		b.tasks.Go(func() { s.listen(sender) })
	}
	return nil
}

// withOpusFormat writes into the answer how the browser is to encode sound.
func withOpusFormat(sdp string) string {
	lines := strings.Split(sdp, "\r\n")
	for i, line := range lines {
		if payloadType, ok := strings.CutSuffix(line, " opus/48000/2"); ok {
			payloadType = strings.TrimPrefix(payloadType, "a=rtpmap:")
			for j := i + 1; j < len(lines) && !strings.HasPrefix(lines[j], "m="); j++ {
				if strings.HasPrefix(lines[j], "a=fmtp:"+payloadType+" ") {
					lines[j] = "a=fmtp:" + payloadType + " " + opusFormat
				}
			}
		}
	}
	return strings.Join(lines, "\r\n")
}

// receive reads what the page sends on one m-line, until it ends.
func (b *Bridge) receive(pc *webrtc.PeerConnection, t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	mid := ""
	for _, tr := range pc.GetTransceivers() {
		if tr.Receiver() == r {
			mid = tr.Mid()
		}
	}
	b.mu.Lock()
	name, ok := b.lines[mid]
	rids := layersOf(r)
	if !ok || !slices.Contains(rids, t.RID()) || b.pc != pc || b.closed || Sources[name] != t.Kind() {
		b.mu.Unlock()
		return
	}
	b.input[inputKey{name, t.RID()}] = t
	b.tasks.Add(1)
	b.mu.Unlock()
	defer b.tasks.Done()
	var levelID uint8
	for _, e := range r.GetParameters().HeaderExtensions {
		if e.URI == audioLevelURI {
			levelID = uint8(e.ID)
		}
	}
	b.read(name, rids, t, levelID)
}

// layerNames are what the page calls layers, the lowest first.
var layerNames = []string{"q", "h", "f"}

// layersOf are the names of the layers that the page sends on one m-line, the lowest first; one that is empty if there is
// one encoding alone. What else the page may name isn't taken.
func layersOf(r *webrtc.RTPReceiver) []string {
	var offered []string
	for _, t := range r.Tracks() {
		offered = append(offered, t.RID())
	}
	if len(offered) < 2 {
		return offered
	}
	return slices.DeleteFunc(slices.Clone(layerNames), func(n string) bool { return !slices.Contains(offered, n) })
}

func (b *Bridge) read(name string, rids []string, t *webrtc.TrackRemote, levelID uint8) {
	var l *layer
	mime := ""
	packets(t.Read, func(h *rtp.Header, payload []byte) {
		if now := t.Codec().MimeType; now != mime { // it is known from the first packet on
			l, mime = b.source(name, rids, t), now
		}
		l.write(h, payload, levelID, time.Now())
	})
}

// packets hands on what is read, without padding, until that fails. Header and payload are good until each returns.
func packets(read func([]byte) (int, interceptor.Attributes, error), each func(h *rtp.Header, payload []byte)) {
	buf := make([]byte, 1500)
	var h rtp.Header
	for {
		n, _, err := read(buf)
		if err != nil {
			return
		}
		h.Extensions = h.Extensions[:0]
		size, err := h.Unmarshal(buf[:n])
		if err != nil {
			continue
		}
		end := n
		if h.Padding && end > size {
			end = max(size, end-int(buf[n-1]))
		}
		each(&h, buf[size:end])
	}
}

// source returns the layer of the source of a name, in the codec of what the page sends.
func (b *Bridge) source(name string, rids []string, t *webrtc.TrackRemote) *layer {
	b.mu.Lock()
	s := b.sources[name]
	codec := t.Codec().RTPCodecCapability
	fresh := s == nil || !s.same(codec, rids)
	if fresh {
		s = newSource(b, name, t.Kind(), codec, rids)
		b.sources[name] = s
	}
	b.mu.Unlock()
	l := s.layers[slices.Index(rids, t.RID())]
	l.mu.Lock()
	l.numbering.restart()
	l.mu.Unlock()
	if fresh {
		b.config.OnSource(s)
	}
	return l
}

// Source returns what the page sends under a name, nil if it never did.
func (b *Bridge) Source(name string) *Source {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sources[name]
}

// askPage asks the browser for a key frame of a layer. How often is limited by meet.
func (b *Bridge) askPage(l *layer) {
	b.mu.Lock()
	pc, t := b.pc, b.input[inputKey{l.source.name, l.rid}]
	b.mu.Unlock()
	if pc == nil || t == nil {
		return // the next page begins with one
	}
	_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.SSRC())}})
}

// Limit says how much the browser may send of a source, in bit/s, of all its layers together.
func (b *Bridge) Limit(source string, bitsPerSecond uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits[source] = bitsPerSecond
}

// tellLimits reminds the browser of the limits, as REMB, from the first packet on.
func (b *Bridge) tellLimits() {
	tick := time.NewTicker(limitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-b.done:
			return
		}
		b.mu.Lock()
		pc := b.pc
		remb := &rtcp.ReceiverEstimatedMaximumBitrate{}
		counted := map[string]bool{}
		for k, t := range b.input {
			if t.Kind() != webrtc.RTPCodecTypeVideo {
				continue
			}
			limit, ok := b.limits[k.source]
			if !ok {
				limit = StartLimit
			}
			if !counted[k.source] { // once for all its layers
				remb.Bitrate += float32(limit)
				counted[k.source] = true
			}
			remb.SSRCs = append(remb.SSRCs, uint32(t.SSRC()))
		}
		b.mu.Unlock()
		if pc != nil && len(remb.SSRCs) > 0 {
			_ = pc.WriteRTCP([]rtcp.Packet{remb})
		}
	}
}
