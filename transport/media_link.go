package transport

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of media links.
var (
	// ErrNotOfferer reports that the peer has the smaller key: it makes the offers.
	ErrNotOfferer = errors.New("transport: the peer with the smaller key makes the offer")
	// ErrNotAnswerer reports an offer from the peer with the greater key.
	ErrNotAnswerer = errors.New("transport: offer from the peer with the greater key")
	// ErrStale reports an offer or answer of a generation that is over; ignore it.
	ErrStale = errors.New("transport: stale media signal")
	// ErrLinkDown reports that the media link is not up.
	ErrLinkDown = errors.New("transport: media link is down")
)

// MaxPacket is the longest payload of a media packet, in bytes. With all headers it
// makes a datagram of at most 1,364 bytes.
const MaxPacket = 1280

// Link is the media link with one peer. It outlives the connections that carry it:
// each offer and answer begins a new generation of it, on fresh keys.
type Link struct {
	host *Host
	key  PeerKey

	active atomic.Pointer[session]     // up, by ICE
	stream atomic.Pointer[mediaStream] // open, for as long as ICE has no path
	stats  linkCounters

	ctx        context.Context // ends with the link
	cancel     context.CancelFunc
	wake       chan struct{}  // see nudge
	wasUp      atomic.Bool    // by either way
	serving    sync.Mutex     // held by the one who opens streams
	running    sync.WaitGroup // who opens and writes streams
	reading    sync.WaitGroup // who reads streams
	delivering sync.Mutex

	mu         sync.Mutex
	closed     bool
	incoming   map[*incomingMedia]struct{}
	state      MediaState // as reported last
	generation uint32     // highest offered or answered
	offered    *session   // our offer is out, no answer yet
	current    *session   // connecting or up
}

type linkCounters struct {
	packetsSent, audioSent, bytesSent, packetsReceived, bytesReceived, resent atomic.Uint64

	dropped [2]atomic.Uint64 // by kind
}

// LinkStats is the state of a media link. Counters run over all its generations.
type LinkStats struct {
	Up              bool // media can be sent, by ICE or by a stream
	Stream          bool // by a stream, since ICE has no path
	Path            Path // the way that media takes to the peer; its own choice may be another
	Generation      uint32
	RTT             time.Duration // 0 if not measured yet
	PacketsSent     uint64        // media packets; without retransmissions
	AudioSent       uint64        // of PacketsSent, those of sound
	BytesSent       uint64        // of payload
	PacketsReceived uint64
	BytesReceived   uint64
	Retransmitted   uint64
	AudioDropped    uint64 // packets that came too late for a stream: late media is worth nothing
	VideoDropped    uint64
	TargetBitrate   int // bit/s, from the bandwidth estimator, 0 without one; on a stream from what gets through
}

// Media returns the media link with an allowed peer, nil for others. It is the same
// one until the peer is revoked.
func (h *Host) Media(key PeerKey) *Link {
	l, _ := h.link(key)
	return l
}

func (h *Host) link(key PeerKey) (*Link, error) {
	id, err := idOfKey(key)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	p := h.peers[id]
	if p == nil || !p.allowed {
		return nil, ErrNotAllowed
	}
	if p.link == nil {
		p.link = &Link{host: h, key: key, wake: make(chan struct{}, 1)}
		p.link.ctx, p.link.cancel = context.WithCancel(context.Background())
		h.media.add(p.link)
	}
	return p.link, nil
}

// MediaOffer begins a new generation of the link with an allowed peer and returns the
// offer to carry to it by an authenticated way, such as the first message of a
// handshake: it needs no connection. The old generation stays up until the answer is
// accepted; an older offer is void.
func (h *Host) MediaOffer(key PeerKey) ([]byte, error) {
	l, err := h.link(key)
	if err != nil {
		return nil, err
	}
	if bytes.Compare(h.key[:], key[:]) >= 0 {
		return nil, ErrNotOfferer
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	s, err := newSession(l, l.generation+1, true)
	if err != nil {
		return nil, err
	}
	offer, err := s.signal(signalOffer).encode()
	if err != nil {
		s.discard()
		return nil, err
	}
	if l.offered != nil {
		l.offered.discard()
	}
	l.generation++
	l.offered = s
	return offer, nil
}

// MediaAnswer takes a peer's offer, starts to connect, and returns the answer to carry
// back. It ends the link's older generation. ErrStale: the offer is no newer than
// what was answered before, for instance a replay; the link is untouched (TRA-8).
func (h *Host) MediaAnswer(key PeerKey, offer []byte) ([]byte, error) {
	l, err := h.link(key)
	if err != nil {
		return nil, err
	}
	if bytes.Compare(key[:], h.key[:]) >= 0 {
		return nil, ErrNotAnswerer
	}
	remote, candidates, err := decodeSignal(offer, signalOffer)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case uint32(remote.Generation) <= l.generation && !h.config.unsafe.replayOffers:
		return nil, ErrStale
	}
	s, err := newSession(l, uint32(remote.Generation), false)
	if err != nil {
		return nil, err
	}
	answer, err := s.signal(signalAnswer).encode()
	if err == nil {
		err = l.startLocked(s, remote, candidates)
	}
	if err != nil {
		s.discard()
		return nil, err
	}
	l.generation = uint32(remote.Generation)
	return answer, nil
}

// MediaAccept takes the answer to the latest offer and starts to connect; MediaState
// reports the outcome. It ends the link's older generation. ErrStale: the answer is
// not to the latest offer.
func (h *Host) MediaAccept(key PeerKey, answer []byte) error {
	l, err := h.link(key)
	if err != nil {
		return err
	}
	remote, candidates, err := decodeSignal(answer, signalAnswer)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.offered
	if l.closed || s == nil || uint32(remote.Generation) != s.generation {
		return ErrStale
	}
	l.offered = nil
	if err := l.startLocked(s, remote, candidates); err != nil {
		s.discard()
		return err
	}
	return nil
}

// startLocked ends the older session and starts s. Link.mu is held.
func (l *Link) startLocked(s *session, remote *mediaSignal, candidates []iceCandidate) error {
	if old := l.current; old != nil {
		if l.active.CompareAndSwap(old, nil) {
			l.nudge()
		}
		old.stop(ErrStale)
	}
	l.current = nil
	if err := s.start(remote, candidates); err != nil {
		return err
	}
	l.current = s
	return nil
}

// up is called by a session that has keys.
func (l *Link) up(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.current != s {
		return
	}
	l.active.Store(s)
	l.reportLocked(nil)
	l.nudge()
	l.host.punched(l, s)
}

// down is called by a session that is over, once.
func (l *Link) down(s *session, reason error) {
	l.active.CompareAndSwap(s, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.current != s {
		return
	}
	l.current = nil
	if l.welcomedStream() == nil {
		l.state.Up = true // so that it is told even if this session never was up
	}
	l.reportLocked(reason)
	l.nudge()
}

// report tells the owner whether and how media can be sent, if that has changed.
func (l *Link) report(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.reportLocked(reason)
	}
}

func (l *Link) reportLocked(reason error) {
	now := MediaState{Peer: l.key, Generation: l.generation}
	s, m := l.active.Load(), l.welcomedStream()
	switch {
	case s != nil && (m == nil || !s.silent.Load()):
		now.Up, now.Path.Kind, now.Generation = true, PathUDP, s.generation
	case m != nil:
		now.Up, now.Stream, now.Path = true, true, m.path
	}
	was := l.state
	l.state = now
	switch {
	case now.Up:
		l.wasUp.Store(true)
		if was.Up && was.Stream == now.Stream && was.Path == now.Path && (now.Stream || was.Generation == now.Generation) {
			return
		}
	case !was.Up:
		return
	default:
		now.Reason = reason
	}
	l.host.events.post(now)
}

// welcomedStream is the stream, if the peer takes it.
func (l *Link) welcomedStream() *mediaStream {
	if m := l.stream.Load(); m != nil && m.welcomed.Load() {
		return m
	}
	return nil
}

// doubt has packets go by a stream, where there can be one, until ICE's path is heard of.
func (l *Link) doubt() {
	if s := l.active.Load(); s != nil {
		s.doubt()
	}
}

// useStream has packets go by a stream while ICE has no path.
func (l *Link) useStream(m *mediaStream) {
	l.stream.Store(m)
	l.report(nil)
}

func (l *Link) dropStream(m *mediaStream) {
	if l.stream.CompareAndSwap(m, nil) {
		l.report(ErrLinkDown)
	}
}

// close ends the link for good and waits for its goroutines.
func (l *Link) close(reason error) {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	offered, current := l.offered, l.current
	l.offered, l.current = nil, nil
	l.active.Store(nil)
	up, generation := l.state.Up || current != nil, l.generation
	keep := l.host.config.unsafe.keepStreams
	var incoming []*incomingMedia
	for in := range l.incoming {
		incoming = append(incoming, in)
	}
	l.mu.Unlock()
	if was {
		return
	}
	l.cancel()
	if !keep { // MST-5
		for _, in := range incoming {
			l.host.abandon(in.stream)
		}
	}
	l.host.media.remove(l)
	if offered != nil {
		offered.discard()
	}
	if current != nil {
		current.stop(reason)
		generation = current.generation
	}
	if up {
		l.host.events.post(MediaState{Peer: l.key, Generation: generation, Reason: reason})
	}
	if current != nil {
		<-current.done
	}
	l.running.Wait()
	if !keep {
		l.reading.Wait()
	}
}

// Peer is who is at the other end.
func (l *Link) Peer() PeerKey { return l.key }

// WritePacket sends one packet of at most MaxPacket bytes. The payload is copied.
// ErrLinkDown: there is no link now; the packet is dropped, as on any network.
func (l *Link) WritePacket(kind Kind, payload []byte) error {
	if len(payload) > MaxPacket || kind > Video {
		return ErrTooLarge
	}
	shared := sharePayload(payload)
	defer shared.release()
	return l.write(kind, shared, time.Now())
}

// write sends a packet by ICE's path, or queues it for the stream where there is none. It never waits.
func (l *Link) write(kind Kind, p *sharedPayload, now time.Time) error {
	s := l.active.Load()
	if s != nil && s.answered(now) {
		return s.write(kind, p, now)
	}
	if m := l.stream.Load(); m != nil {
		m.queue.push(kind, p, now)
		return nil
	}
	if s != nil {
		return s.write(kind, p, now)
	}
	return ErrLinkDown
}

// Fanout sends one packet to each of the given peers whose link is up, keeping one
// copy for all retransmissions, and returns to how many it was sent.
func (h *Host) Fanout(kind Kind, payload []byte, peers []PeerKey) (sent int) {
	if len(payload) > MaxPacket || kind > Video {
		return 0
	}
	shared := sharePayload(payload)
	defer shared.release()
	now := time.Now()
	for _, key := range peers {
		l := h.media.get(key)
		if l == nil {
			continue
		}
		if l.write(kind, shared, now) == nil {
			sent++
		}
	}
	return sent
}

// TargetBitrate is LinkStats.TargetBitrate alone, which costs less.
func (l *Link) TargetBitrate() int {
	switch s, m := l.carrier(); {
	case m != nil:
		_, bitrate := m.quality()
		return bitrate
	case s != nil && s.estimator != nil:
		return s.estimator.GetTargetBitrate()
	}
	return 0
}

// carrier is what the link's packets go by now, ICE's path or the stream; both nil if neither is there.
func (l *Link) carrier() (*session, *mediaStream) {
	s, m := l.active.Load(), l.welcomedStream()
	if s != nil && (m == nil || !s.silent.Load()) {
		return s, nil
	}
	return nil, m
}

// Stats returns the link's counters and round-trip time.
func (l *Link) Stats() LinkStats {
	st := LinkStats{
		PacketsSent: l.stats.packetsSent.Load(), AudioSent: l.stats.audioSent.Load(), BytesSent: l.stats.bytesSent.Load(),
		PacketsReceived: l.stats.packetsReceived.Load(), BytesReceived: l.stats.bytesReceived.Load(),
		Retransmitted: l.stats.resent.Load(),
		AudioDropped:  l.stats.dropped[Audio].Load(), VideoDropped: l.stats.dropped[Video].Load(),
	}
	switch s, m := l.carrier(); {
	case s != nil:
		st.Up, st.Generation, st.Path.Kind = true, s.generation, PathUDP
		st.RTT = s.rtt()
		if s.estimator != nil {
			st.TargetBitrate = s.estimator.GetTargetBitrate()
		}
	case m != nil:
		st.Up, st.Stream, st.Path = true, true, m.path
		st.RTT, st.TargetBitrate = m.quality()
	}
	return st
}
