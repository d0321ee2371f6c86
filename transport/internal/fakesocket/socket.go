package fakesocket

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// queued is how many answers may wait to be read; more are lost.
const queued = 64

// Answer gives the socket a datagram to read. It may be called at any time, and never waits.
type Answer func(from netip.AddrPort, data []byte)

// Socket is a net.PacketConn.
type Socket struct {
	local netip.Addr
	ask   func(data []byte, to netip.AddrPort, answer Answer)
	in    chan datagram

	mu       sync.Mutex
	deadline time.Time
	moved    chan struct{} // closed and replaced with the deadline
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

var _ net.PacketConn = (*Socket)(nil)

// New makes a socket with this address; ask is given what is written to it, and must not keep it.
func New(local netip.Addr, ask func(data []byte, to netip.AddrPort, answer Answer)) *Socket {
	return &Socket{local: local, ask: ask, in: make(chan datagram, queued), moved: make(chan struct{})}
}

// WriteTo hands a datagram to the other end.
func (s *Socket) WriteTo(b []byte, to net.Addr) (int, error) {
	s.ask(b, to.(*net.UDPAddr).AddrPort(), func(from netip.AddrPort, data []byte) {
		select {
		case s.in <- datagram{from, data}:
		default:
		}
	})
	return len(b), nil
}

// ReadFrom waits for an answer until the deadline.
func (s *Socket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		s.mu.Lock()
		deadline, moved := s.deadline, s.moved
		s.mu.Unlock()
		var timeout <-chan time.Time
		if !deadline.IsZero() {
			timeout = time.After(time.Until(deadline))
		}
		select {
		case d := <-s.in:
			return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), nil
		case <-timeout:
			return 0, nil, os.ErrDeadlineExceeded
		case <-moved:
		}
	}
}

// SetReadDeadline bounds reads, one that is under way too.
func (s *Socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	close(s.moved)
	s.moved = make(chan struct{})
	return nil
}

// SetDeadline is SetReadDeadline.
func (s *Socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes don't block.
func (s *Socket) SetWriteDeadline(time.Time) error { return nil }

// Close does nothing.
func (s *Socket) Close() error { return nil }

// LocalAddr is the host's.
func (s *Socket) LocalAddr() net.Addr { return &net.UDPAddr{IP: s.local.AsSlice()} }
