package transport

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Media streams: the way of media where ICE has found no path, over whatever connection there is. Each side decides
// alone for what it sends (MST-4):
//
//	WritePacket ──▶ ICE session up, and heard of? ── yes ──▶ SRTP
//	                        │ no
//	                        ▼
//	                   mediaQueue ──▶ streamFlow: room? ──▶ stream ──▶ handleMedia ──▶ OnPacket
//	                 stale: dropped         ▲                              │
//	                                        └───── acknowledgements ◀──────┘
const (
	// iceSilence: where packets are sent over ICE's path and nothing at all has come back for so long, they go by a
	// stream, though ICE itself has not given up (it takes iceDisconnected and iceFailed for that).
	iceSilence = 600 * time.Millisecond
	// echoWithin: the QUIC connection ends, too, if ICE's path has fallen silent and the stream isn't taken within so long
	// and two round trips: both run through the same routers, and QUIC itself would wait idleTimeout.
	echoWithin = 300 * time.Millisecond
	// echoLate: a timer that is later shows that this machine is too busy to judge by the clock.
	echoLate = 50 * time.Millisecond
	// trustedFor: a connection isn't ended so that is younger. A busy peer takes long to answer, and longer if it must
	// begin anew.
	trustedFor = 5 * time.Second
	// streamLinger is how long a stream stays open that isn't needed any more.
	streamLinger = 2 * time.Second
	streamTick   = 500 * time.Millisecond
	// A stream that could not be opened is tried again after streamRetry, later after up to streamRetryMost.
	streamRetry     = 100 * time.Millisecond
	streamRetryMost = 5 * time.Second
	streamBatch     = 4 * maxMediaFrame // written at once
	keyFrameEvery   = time.Second       // asked for, where something was dropped
)

// mediaStream is one open stream to a member. Its run is one goroutine, and readAcks another.
type mediaStream struct {
	link   *Link
	queue  *mediaQueue
	stream network.Stream
	path   Path
	acks   chan struct{} // there may be room
	broken chan struct{} // the stream is over
	buf    []byte        // of run

	welcomed atomic.Bool // the peer takes it

	dropped uint64 // video packets, as of the last look
	askedAt time.Time
	ask     []uint8

	mu   sync.Mutex // guards flow
	flow *streamFlow
}

// nudge has the link's goroutine look again at what has changed.
func (l *Link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// serveStreams keeps a media stream to a member who lets us in, whenever it is needed, until ctx or the link ends.
func (l *Link) serveStreams(ctx context.Context) {
	if l.host.config.StreamDelay < 0 {
		return
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.running.Add(1)
	l.mu.Unlock()
	go func() {
		defer l.running.Done()
		l.serving.Lock() // the one before may be at its end
		defer l.serving.Unlock()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(l.ctx, cancel)()
		l.openStreams(ctx)
	}()
}

func (l *Link) openStreams(ctx context.Context) {
	var queue *mediaQueue
	welcomed, pause := time.Now(), time.Duration(0)
	for ctx.Err() == nil {
		if wait := l.streamDue(welcomed); wait > 0 {
			l.waitFor(ctx, wait)
			continue
		}
		if queue == nil {
			queue = newMediaQueue(l.host.config.DescribeVideo, &l.stats.dropped)
			queue.patient = l.host.config.unsafe.anyDelay
		}
		began := time.Now()
		err := l.runStream(ctx, queue)
		if err == nil || time.Since(began) > streamRetryMost {
			pause = 0
			continue
		}
		queue.clear()
		pause = min(max(2*pause, streamRetry), streamRetryMost)
		until := time.Now().Add(pause)
		for left := pause; left > 0 && ctx.Err() == nil; left = time.Until(until) {
			l.waitFor(ctx, left)
		}
	}
	if queue != nil {
		queue.clear()
	}
}

// waitFor waits for a nudge, for so long at most.
func (l *Link) waitFor(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-l.wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// streamDue says when a stream is to be opened, as things are. At first ICE is given a little time, unless the
// connection itself shows that there is no direct way over UDP.
func (l *Link) streamDue(welcomed time.Time) time.Duration {
	switch {
	case !l.streamWanted():
		return time.Hour // a nudge tells of any change
	case l.wasUp.Load() || l.connectionPath().Kind != PathUDP:
		return 0
	}
	return l.host.config.StreamDelay - time.Since(welcomed)
}

// streamWanted tells whether ICE has no path that works.
func (l *Link) streamWanted() bool {
	s := l.active.Load()
	return s == nil || s.silent.Load()
}

// connectionPath is the best path of a connection to the peer.
func (l *Link) connectionPath() (best Path) {
	id, err := idOfKey(l.key)
	if err != nil {
		return best
	}
	for _, c := range l.host.libp2p.swarm.ConnsToPeer(id) {
		p := l.host.pathOf(c)
		if best.Kind == PathNone || p.Kind < best.Kind {
			best = p
		}
	}
	return best
}

// runStream opens a stream and sends on it as long as it is needed. What waits in the queue at the end is the next
// one's. The error says that it broke.
func (l *Link) runStream(ctx context.Context, queue *mediaQueue) error {
	id, err := idOfKey(l.key)
	if err != nil {
		return err
	}
	stream, err := l.host.libp2p.NewStream(ctx, id, protocolMedia)
	if err != nil {
		return err
	}
	defer l.host.abandon(stream)
	stop := context.AfterFunc(ctx, func() { l.host.abandon(stream) })
	defer stop()
	now := time.Now()
	m := &mediaStream{link: l, queue: queue, stream: stream, path: l.host.pathOf(stream.Conn()),
		acks: make(chan struct{}, 1), broken: make(chan struct{}), buf: make([]byte, 0, streamBatch), flow: newStreamFlow(now),
		dropped: l.stats.dropped[Video].Load()}
	m.flow.endless = l.host.config.unsafe.anyDelay
	if err := stream.(*lazyStream).Flush(); err != nil {
		return err
	}
	l.running.Add(1)
	go func() {
		defer l.running.Done()
		defer close(m.broken)
		m.readAcks()
	}()
	defer func() { l.host.abandon(stream); <-m.broken }()
	defer m.watch()()
	l.useStream(m)
	defer l.dropStream(m)
	if err := m.run(ctx); err != nil {
		return err
	}
	l.dropStream(m) // what is under way may still arrive
	l.host.spawn(func() { _ = stream.CloseWrite() })
	timer := time.NewTimer(streamTick)
	defer timer.Stop()
	select {
	case <-m.broken:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// abandon ends a stream without waiting: on a connection whose peer has stopped to read, yamux would have a Reset wait
// for 10 s, and with it a Revoke (MST-5). Reads and writes end when it returns.
func (h *Host) abandon(s network.Stream) {
	_ = s.SetDeadline(time.Unix(1, 0))
	h.behind(func() { _ = s.Reset() }) // else the host closes, and with it the connection
}

// watch ends a stream whose peer has stopped to acknowledge, though a write may wait for it, and the connection if that
// seems to be dead as a whole. It returns what ends the watch.
func (m *mediaStream) watch() func() {
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(flowDead / 2)
		defer ticker.Stop()
		due := time.Now().Add(m.link.echoWithin())
		echo := time.NewTimer(time.Until(due))
		defer echo.Stop()
		for {
			select {
			case <-done:
				return
			case <-echo.C:
				switch {
				case m.welcomed.Load():
				case time.Since(due) > echoLate:
					due = time.Now().Add(m.link.echoWithin())
					echo.Reset(time.Until(due))
				default:
					m.link.giveUp(m.stream.Conn())
				}
			case now := <-ticker.C:
				m.mu.Lock()
				dead := m.flow.dead(now)
				m.mu.Unlock()
				if dead {
					m.link.host.abandon(m.stream)
				}
			}
		}
	}()
	return func() { close(done); <-ended }
}

// echoWithin is how long the peer may take to welcome a stream.
func (l *Link) echoWithin() time.Duration {
	if s := l.active.Load(); s != nil {
		return echoWithin + min(2*s.rtt(), time.Second)
	}
	return echoWithin
}

// giveUp ends a QUIC connection on which nothing is answered while ICE's path is silent, and that path: the peer, or the
// router before it, has another address, or lets no UDP pass any more. Their owner connects again (MST-6).
func (l *Link) giveUp(c network.Conn) {
	s := l.active.Load()
	switch {
	case s == nil || !s.silent.Load() || s.unanswered.Load() <= doubted:
		return
	case l.host.pathOf(c).Kind != PathUDP || time.Since(c.Stat().Opened) < trustedFor || l.host.config.unsafe.trustSilence:
		return
	}
	l.host.noteGaveUp(c.RemotePeer())
	s.stop(errPathLost)
	_ = c.Close()
}

// run sends until the stream is not needed any more (nil), or broken.
func (m *mediaStream) run(ctx context.Context) error {
	ticker := time.NewTicker(streamTick)
	defer ticker.Stop()
	var idle time.Time // since when it isn't needed
	for {
		sent, err := m.send(time.Now())
		if err != nil {
			return err
		}
		if sent {
			continue
		}
		m.askKeyFrames(time.Now())
		m.link.report(nil) // ICE's path may have come, gone or fallen silent
		switch {
		case m.link.streamWanted():
			idle = time.Time{}
			if !m.path.Kind.Direct() && m.link.connectionPath().Kind.Direct() {
				return nil // the next one takes the direct way
			}
		case idle.IsZero():
			idle = time.Now()
		case time.Since(idle) >= streamLinger:
			return nil
		}
		select {
		case <-m.queue.wake:
		case <-m.acks:
		case <-m.link.wake:
		case <-ticker.C:
		case <-m.broken:
			return ErrLinkDown
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// send writes what may go now, audio first, and reports whether there was anything. It allocates nothing.
func (m *mediaStream) send(now time.Time) (bool, error) {
	m.mu.Lock()
	m.buf = m.buf[:0]
	packets, sounds, payload := uint64(0), uint64(0), 0
	audio, video := m.flow.room(now)
	for kind, room := range [2]int{audio, video} {
		for {
			p := m.queue.pop(Kind(kind), min(room, cap(m.buf)-len(m.buf)), now)
			if p == nil {
				break
			}
			m.buf = appendMediaFrame(m.buf, Kind(kind), p.data)
			room -= mediaFrameHead + len(p.data)
			packets++
			if Kind(kind) == Audio {
				sounds++
			}
			payload += len(p.data)
			p.release()
		}
	}
	if n := m.link.stats.dropped[Video].Load(); n != m.dropped {
		m.dropped = n
		m.flow.congested(now)
	}
	if packets > 0 {
		m.flow.wrote(now, len(m.buf))
	}
	m.mu.Unlock()
	if packets == 0 {
		return false, nil
	}
	if _, err := m.stream.Write(m.buf); err != nil {
		return false, err
	}
	m.link.stats.packetsSent.Add(packets)
	m.link.stats.audioSent.Add(sounds)
	m.link.stats.bytesSent.Add(uint64(payload))
	return true, nil
}

// askKeyFrames asks for what a decoder can begin with, where something was dropped and there is room again.
func (m *mediaStream) askKeyFrames(now time.Time) {
	f := m.link.host.config.WantKeyFrame
	if f == nil || now.Sub(m.askedAt) < keyFrameEvery {
		return
	}
	m.ask = m.queue.brokenStreams(m.ask[:0], now)
	if len(m.ask) == 0 {
		return
	}
	m.mu.Lock()
	_, video := m.flow.room(now)
	m.mu.Unlock()
	if video == 0 {
		return
	}
	m.askedAt = now
	for _, stream := range m.ask {
		f(m.link.key, stream)
	}
}

// readAcks takes acknowledgements until the stream ends.
func (m *mediaStream) readAcks() {
	var b [mediaAckSize]byte
	for {
		if _, err := io.ReadFull(m.stream, b[:]); err != nil {
			return
		}
		m.mu.Lock()
		err := m.flow.acknowledged(time.Now(), binary.BigEndian.Uint64(b[:]))
		m.mu.Unlock()
		if err != nil { // MST-2
			m.link.host.abandon(m.stream)
			return
		}
		if !m.welcomed.Swap(true) {
			m.link.report(nil)
		}
		select {
		case m.acks <- struct{}{}:
		default:
		}
	}
}

// quality is the round trip and the estimate of what the stream carries, in bit/s.
func (m *mediaStream) quality() (rtt time.Duration, bitrate int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flow.rtt, m.flow.estimate
}
