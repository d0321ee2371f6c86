package relay

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	mss "github.com/multiformats/go-multistream"
)

// bucket is a token bucket that may go into debt: what was read was read, and the next
// read of the same peer waits until it is paid. So a peer's streams are served in the
// order in which they read, whatever the sizes.
type bucket struct {
	mu     sync.Mutex
	tokens float64 // bytes
	last   time.Time
}

// take takes n bytes and returns how long to wait for them.
func (b *bucket) take(n int, now time.Time, rate, burst float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last.IsZero() {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+now.Sub(b.last).Seconds()*rate)
	}
	b.last = now
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / rate * float64(time.Second))
}

// meteredStream is a stream of a circuit. The relay service reads from it what its peer
// sends; it is made to wait where the peer is over its rate, so that the stream's own flow
// control slows that peer, and nobody else (RLY-6).
type meteredStream struct {
	network.Stream
	relay *Relay
	peer  *peerState
	lazy  mss.LazyConn // negotiates along with the first bytes; nil where that is done
	ended chan struct{}
	once  sync.Once

	answered      atomic.Bool
	joined        sync.Once
	circuit, over bool // guarded by Relay.mu
}

func (r *Relay) meter(s network.Stream, p *peerState, lazy mss.LazyConn) *meteredStream {
	return &meteredStream{Stream: s, relay: r, peer: p, lazy: lazy, ended: make(chan struct{})}
}

// Read reads and then waits for the peer's bucket. The timer is made only for who is too fast. The service reads on after
// it has answered only where the answer was a circuit.
func (s *meteredStream) Read(b []byte) (n int, err error) {
	if s.answered.Load() {
		s.joined.Do(s.join)
	}
	if s.lazy != nil {
		n, err = s.lazy.Read(b)
	} else {
		n, err = s.Stream.Read(b)
	}
	if n == 0 || s.relay.config.unsafe.noThrottle {
		return n, err
	}
	c := &s.relay.config
	wait := s.peer.bucket.take(n, time.Now(), float64(c.BytesPerSecond), float64(c.Burst))
	if wait <= 0 {
		return n, err
	}
	s.relay.counters.throttled.Add(int64(wait))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ended:
	case <-s.relay.ctx.Done():
	}
	return n, err
}

// join counts a circuit (RLY-7).
func (s *meteredStream) join() {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	if !s.over {
		s.circuit = true
		s.peer.circuits++
	}
}

func (s *meteredStream) Write(b []byte) (int, error) {
	s.answered.Store(true)
	if s.lazy != nil {
		return s.lazy.Write(b)
	}
	return s.Stream.Write(b)
}

func (s *meteredStream) end() {
	s.once.Do(func() {
		close(s.ended)
		s.relay.end(s)
	})
}

// Close, Reset and ResetWithError also end a wait.
func (s *meteredStream) Close() error {
	s.end()
	return s.Stream.Close()
}

func (s *meteredStream) Reset() error {
	s.end()
	return s.Stream.Reset()
}

func (s *meteredStream) ResetWithError(code network.StreamErrorCode) error {
	s.end()
	return s.Stream.ResetWithError(code)
}
