package transport

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

var noAddr netip.AddrPort

const (
	pairMessages = 1024 // waiting for one peer at most
	pairReopen   = 100 * time.Millisecond
	pairRetry    = 5 * time.Second // when the peer does not let us in (yet)
	nudgeBurst   = 4               // of a peer who says that it lets us in now; then one each pairRetry

	// Bytes of a peer's messages that are read, each with what it costs besides: at once, and a second (TRA-25).
	pairBurst, pairRate = 4 << 20, 1 << 20
	pairCost            = 1024
)

// pairSender sends to one connected member. Each side opens a stream of its own to
// send on, so there is nothing to agree on: to open it is to say "you are a member
// here", and the welcome that comes back says the same of us. Until that comes, what
// was sent is kept, and sent again if the stream was refused (TRA-6).
type pairSender struct {
	host   *Host
	peer   *peerState
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // something to send
	nudge  chan struct{} // the peer has opened its stream: it lets us in now

	read chan struct{} // closed when it is over: the peer has read the last message, or no more can be sent

	circuits atomic.Int32 // streams of ours over circuits
	nudges   bucket       // guarded by Host.mu

	mu          sync.Mutex
	queue       [][]byte
	unconfirmed int // of queue, sent before the welcome
	welcomed    bool
	confirmed   bool // welcomed once
	last        bool // nothing is queued any more
	bytes       int
}

func (h *Host) startPairLocked(p *peerState) {
	if p.pair != nil || h.closed {
		return
	}
	s := &pairSender{host: h, peer: p, wake: make(chan struct{}, 1), nudge: make(chan struct{}, 1), read: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(h.ctx)
	p.pair = s
	h.streams.Add(1)
	go func() {
		defer h.streams.Done()
		defer close(s.read)
		s.run()
	}()
}

func (h *Host) stopPairLocked(p *peerState) {
	if p.pair != nil {
		p.pair.cancel()
		p.pair = nil
	}
	if p.inbound != nil {
		p.inbound.cancel()
		p.inbound = nil
	}
}

// Send queues a message of 1 to MaxFrame bytes for a connected member and returns at
// once; data must not be changed afterwards. Messages arrive in order as long as the
// connection lasts; those under way when it breaks are lost, and PeerDisconnected or a
// second PeerConnected says so. The errors are ErrTooLarge, ErrNotAllowed, ErrNotConnected,
// ErrQueueFull and, after Farewell, ErrClosed.
func (h *Host) Send(key PeerKey, data []byte) error {
	if len(data) == 0 || len(data) > MaxFrame {
		return ErrTooLarge
	}
	id, err := idOfKey(key)
	if err != nil {
		return err
	}
	h.mu.Lock()
	p := h.peers[id]
	var s *pairSender
	if p != nil {
		s = p.pair
	}
	allowed := p != nil && p.allowed
	h.mu.Unlock()
	switch {
	case !allowed:
		return ErrNotAllowed
	case s == nil:
		return ErrNotConnected
	}
	return s.push(data)
}

func (s *pairSender) push(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last {
		return ErrClosed
	}
	if (len(s.queue) >= pairMessages || s.bytes+len(data) > s.host.config.PairQueue) && !s.host.config.unsafe.anyQueue { // TRA-13
		return ErrQueueFull
	}
	s.queue = append(s.queue, data)
	s.bytes += len(data)
	s.wakeUp()
	return nil
}

func (s *pairSender) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// finish has the stream end after what is queued, and the peer say so when it has read that: see read.
func (s *pairSender) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = true
	s.wakeUp()
}

func (s *pairSender) finished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// next returns the next message to write. Before the welcome it stays in the queue.
func (s *pairSender) next() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unconfirmed >= len(s.queue) {
		return nil
	}
	data := s.queue[s.unconfirmed]
	if !s.welcomed {
		s.unconfirmed++
		return data
	}
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.bytes -= len(data)
	return data
}

// confirm notes the welcome, and reports whether it is the first on this connection.
func (s *pairSender) confirm() (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, data := range s.queue[:s.unconfirmed] {
		s.bytes -= len(data)
	}
	s.queue = s.queue[s.unconfirmed:]
	s.unconfirmed, s.welcomed = 0, true
	first, s.confirmed = !s.confirmed, true
	s.wakeUp() // it may move now
	return first
}

// leaves tells whether a stream over a circuit is to be left for a direct connection: not before the welcome, since
// what was sent may have to be sent again.
func (s *pairSender) leaves() bool {
	s.mu.Lock()
	welcomed := s.welcomed
	s.mu.Unlock()
	return welcomed && s.host.libp2p.direct(s.peer.id) && !s.host.config.unsafe.keepCircuits
}

// run keeps the stream open as long as the peer is connected and allowed.
func (s *pairSender) run() {
	for s.ctx.Err() == nil {
		select {
		case <-s.nudge: // only one that comes after this attempt counts
		default:
		}
		welcomed, moved := s.session()
		if s.ctx.Err() != nil {
			return
		}
		if moved {
			continue
		}
		if welcomed && s.finished() {
			return
		}
		wait := pairRetry
		if welcomed { // it broke although the connection lasts: messages may be lost
			wait = pairReopen
			s.host.tellAgain(s.peer)
		}
		select {
		case <-s.nudge:
		case <-time.After(wait):
		case <-s.ctx.Done():
		}
	}
}

// session opens one stream and sends until it breaks, or until it may move from a circuit to a direct connection.
func (s *pairSender) session() (welcomed, moved bool) {
	s.mu.Lock()
	s.unconfirmed, s.welcomed = 0, false
	s.mu.Unlock()
	stream, err := s.host.libp2p.NewStream(s.ctx, s.peer.id, protocolPair)
	if err != nil {
		return false, false
	}
	stop := context.AfterFunc(s.ctx, func() { _ = stream.Reset() })
	defer stop()
	if err := stream.(*lazyStream).Flush(); err != nil {
		_ = stream.Reset()
		return false, false
	}
	over := &streamEnd{done: make(chan struct{})}
	s.host.streams.Add(1)
	go func() { // the welcome, then the end of the stream
		defer s.host.streams.Done()
		defer close(over.done)
		if over.err = s.host.receiveWelcome(stream); over.err != nil {
			return
		}
		if s.confirm() {
			if l, err := s.host.link(s.peer.key); err == nil {
				l.serveStreams(s.ctx)
			}
		}
		s.host.room.greet(s.peer.id)
		_, over.err = stream.Read(make([]byte, 1)) // nothing more is ever sent
	}()
	circuit := isCircuit(stream.Conn())
	if circuit {
		s.circuits.Add(1)
	}
	if s.send(stream, over, circuit) {
		s.leaveCircuit(stream, over)
		return true, true
	}
	_ = stream.Reset()
	<-over.done
	if circuit {
		s.circuits.Add(-1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.welcomed, false
}

// streamEnd is why a stream ended.
type streamEnd struct {
	done chan struct{}
	err  error // once done
}

// send sends until the stream breaks, or is to be left.
func (s *pairSender) send(stream network.Stream, over *streamEnd, circuit bool) (leave bool) {
	for {
		if circuit && s.leaves() {
			return true
		}
		finished := s.finished()
		data := s.next()
		if data == nil {
			if finished {
				_ = stream.CloseWrite()
			}
			select {
			case <-s.wake:
				continue
			case <-over.done:
			case <-s.ctx.Done():
			}
			return false
		}
		if writeFrame(stream, data) != nil {
			return false
		}
	}
}

// pairReceiver is the incoming pair stream of a member; there is one at a time.
type pairReceiver struct {
	cancel  context.CancelFunc
	done    chan struct{}
	circuit bool
}

// follow waits for the end of an older stream, to keep the order of messages. A peer that moves from a circuit to a
// direct connection ends the old one after its last message; else whatever is left is lost.
func (r *pairReceiver) follow(old *pairReceiver) {
	if old == nil {
		return
	}
	if old.circuit && !r.circuit {
		timer := time.NewTimer(circuitGrace)
		defer timer.Stop()
		select {
		case <-old.done:
		case <-timer.C:
		}
	}
	old.cancel()
	<-old.done
}

// handlePair reads a member's pair stream. It waits for the owner to take each
// message, and so the peer waits too; and it reads no more than a member has to say (TRA-25).
func (h *Host) handlePair(s network.Stream) {
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	defer func() { _ = s.Reset() }()
	r := &pairReceiver{cancel: cancel, done: make(chan struct{}), circuit: isCircuit(s.Conn())}
	defer close(r.done)

	h.mu.Lock()
	p := h.peers[s.Conn().RemotePeer()]
	if p == nil || !p.allowed && !h.config.unsafe.openGate {
		h.mu.Unlock()
		return
	}
	previous := p.inbound
	p.inbound = r
	// TRA-24: each attempt sends what waits, so who never lets us in mustn't ask for them.
	if p.pair != nil && (p.pair.nudges.take(time.Now(), 1, nudgeBurst, 1/pairRetry.Seconds()) || h.config.unsafe.anyNudge) {
		select {
		case p.pair.nudge <- struct{}{}:
		default:
		}
	}
	h.mu.Unlock()
	r.follow(previous)
	if h.sendWelcome(s) != nil {
		return
	}
	for {
		data, err := readFrame(s)
		if errors.Is(err, io.EOF) {
			_ = s.CloseWrite() // all of it was read
		}
		if err != nil {
			return
		}
		if !h.pace(ctx, p, len(data)) {
			return
		}
		if tap := h.config.Tap; tap != nil {
			tap(TapPair, p.key, data)
		}
		if !h.allowed(p.id) || !h.events.deliver(ctx, Message{p.key, data}) {
			return
		}
	}
}

// pace waits until a message of a peer may be taken (TRA-25).
func (h *Host) pace(ctx context.Context, p *peerState, size int) bool {
	h.mu.Lock()
	wait := p.heard.spend(time.Now(), float64(size+pairCost), pairBurst, pairRate)
	h.mu.Unlock()
	if wait <= 0 || h.config.unsafe.anyPace {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// welcomedBy tells whether a peer has let us in.
func (h *Host) welcomedBy(id peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	if p == nil || p.pair == nil {
		return false
	}
	p.pair.mu.Lock()
	defer p.pair.mu.Unlock()
	return p.pair.welcomed
}
