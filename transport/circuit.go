package transport

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

// A circuit is a connection through another peer, by libp2p's circuit relay v2: Noise and yamux end to end, inside a
// stream to the one in the middle and one from there on. That one is a member, who bridges for members alone (see
// circuit_bridge.go), or a relay the user or a member named (circuit_relay.go). It sees who talks to whom and how much,
// never what.
//
//	member ══ QUIC or TCP ══ bridge or relay ══ QUIC or TCP ══ member
//	   └───────────────── Noise, yamux ──────────────────────────┘

const (
	// hopTimeout is how long a bridge or relay may take to open a circuit.
	hopTimeout = 3 * time.Second
	// circuitGrace is how long what goes over a circuit has to move to a direct connection.
	circuitGrace = time.Second
	// circuitPoll is how often that is looked at.
	circuitPoll = 50 * time.Millisecond
)

// CircuitAddress is the address of whoever has reserved at a member: for connected members of that one.
func CircuitAddress(bridge PeerKey) (ma.Multiaddr, error) {
	id, err := idOfKey(bridge)
	if err != nil {
		return nil, err
	}
	return circuitAddress(id), nil
}

func circuitAddress(via peer.ID) ma.Multiaddr {
	return ma.StringCast("/p2p/" + via.String() + "/p2p-circuit")
}

// circuitOf takes a circuit's address apart: who is in the middle, and where that one is, if the address says so.
func circuitOf(a ma.Multiaddr) (via peer.ID, at ma.Multiaddr, ok bool) {
	n := len(a)
	if n < 2 || a[n-1].Code() != ma.P_CIRCUIT || a[n-2].Code() != ma.P_P2P {
		return "", nil, false
	}
	via, err := peer.IDFromBytes(a[n-2].RawValue())
	return via, a[:n-2], err == nil
}

func isCircuit(c network.ConnMultiaddrs) bool {
	return slices.ContainsFunc(c.RemoteMultiaddr(), func(c ma.Component) bool { return c.Code() == ma.P_CIRCUIT })
}

// newHop opens a stream to a bridge or relay: to a relay that a dial under way needs, by a connection of its own.
func (l *libp2pHost) newHop(ctx context.Context, id peer.ID, protocol protocol.ID) (network.Stream, error) {
	member, relay := l.host.mayHop(id)
	switch {
	case !member && !relay:
		return nil, ErrNotAllowed
	case !l.direct(id) && !relay:
		return nil, ErrNotConnected // a circuit inside a circuit
	case !l.direct(id):
		if err := l.dialDirect(ctx, id, nil); err != nil { // at the addresses of the dial under way
			return nil, err
		}
	}
	s, err := l.openStream(ctx, id, protocol)
	if err != nil {
		return nil, err
	}
	switch {
	case !relay: // members know of each other anyhow
	case l.host.isLimited(id):
		l.host.contacts.noteLimited(id, false)
	default:
		l.host.contacts.noteMiddle(id, false)
	}
	return &hopStream{s, time.Now().Add(hopTimeout), context.AfterFunc(ctx, func() { _ = s.Reset() })}, nil
}

// hopStream has a deadline sooner than the client's minute, so that one who says nothing doesn't hold up the next; and it
// ends with the dial, for which the client would have the next dial wait and fail, whatever the answer is.
type hopStream struct {
	network.Stream
	latest time.Time
	keep   func() bool
}

func (s *hopStream) SetDeadline(t time.Time) error {
	switch {
	case t.IsZero(): // the answer is there
		s.keep()
	case t.After(s.latest):
		t = s.latest
	}
	return s.Stream.SetDeadline(t)
}

// mayHop tells whether circuits may go through a peer: as a member, as a relay.
func (h *Host) mayHop(id peer.ID) (member, relay bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	if p == nil {
		return false, false
	}
	return p.allowed, !p.allowed && (p.relay != nil || p.hops > 0)
}

// holdHop keeps a connection to a relay that a dial needs.
func (h *Host) holdHop(id peer.ID, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peerLocked(id)
	p.hops += n
	h.expireLocked(p)
	h.forgetLocked(p)
}

// viaLocked counts the circuits of ours that go through a peer. Host.mu is held.
func (h *Host) viaLocked(c network.Conn, n int) {
	if via, _, ok := circuitOf(c.RemoteMultiaddr()); ok {
		if n > 0 {
			h.contacts.noteMiddle(via, true)
		}
		p := h.peerLocked(via)
		p.hops += n
		h.expireLocked(p)
		h.forgetLocked(p)
	}
}

// retireLocked closes the circuits to a peer there is a direct connection to, once nothing is under way on them (TRA-20).
// A door stream isn't moved, so it keeps its circuit. Host.mu is held.
func (h *Host) retireLocked(p *peerState) {
	if p.retiring || p.direct == 0 || p.direct == p.conns || p.doors > 0 || h.closed || h.config.unsafe.keepCircuits {
		return
	}
	p.retiring = true
	h.streams.Add(1)
	go func() {
		defer h.streams.Done()
		h.retire(p)
	}()
}

func (h *Host) retire(p *peerState) {
	for waited, quiet := time.Duration(0), 0; waited < circuitGrace; waited += circuitPoll {
		select {
		case <-time.After(circuitPoll):
		case <-h.ctx.Done():
			return
		}
		h.mu.Lock()
		busy := p.pair != nil && p.pair.circuits.Load() > 0 || p.inbound != nil && p.inbound.circuit
		h.mu.Unlock()
		// The last word of the one that has read all, is on its way to the other for as long as a few polls.
		if quiet++; busy {
			quiet = 0
		}
		if quiet > 3 {
			break
		}
	}
	h.mu.Lock()
	p.retiring = false
	keep := p.direct == 0 || p.doors > 0
	h.mu.Unlock()
	if keep {
		return
	}
	cut := false
	for _, c := range h.libp2p.swarm.ConnsToPeer(p.id) {
		if isCircuit(c) {
			cut = cut || slices.ContainsFunc(c.GetStreams(), func(s network.Stream) bool { return s.Protocol() == protocolFile })
			_ = c.Close()
		}
	}
	if cut {
		h.tellAgain(p) // file streams are to be opened anew
	}
}

// leaveCircuit has a pair stream on a circuit end after the last message, while another is opened on the direct
// connection: the peer reads the one to its end before the other.
func (s *pairSender) leaveCircuit(stream network.Stream, over *streamEnd) {
	_ = stream.CloseWrite()
	s.host.streams.Add(1)
	go func() {
		defer s.host.streams.Done()
		defer s.circuits.Add(-1)
		timer := time.NewTimer(circuitGrace)
		defer timer.Stop()
		select {
		case <-over.done:
		case <-timer.C:
		case <-s.ctx.Done():
		}
		_ = stream.Reset()
		<-over.done
		if s.ctx.Err() == nil && !errors.Is(over.err, io.EOF) {
			s.host.tellAgain(s.peer) // messages may be lost
		}
	}()
}

// punched tries the path that ICE has opened, where the connection to a peer is but a circuit. The peer with the
// smaller key begins; the other helps where that comes to nothing.
func (h *Host) punched(l *Link, s *session) {
	id, err := idOfKey(l.key)
	if err != nil {
		return
	}
	h.spawn(func() {
		ctx, cancel := context.WithTimeout(h.ctx, dialTimeout)
		defer cancel()
		if slices.Compare(h.key[:], l.key[:]) > 0 {
			select {
			case <-time.After(punchTurn):
			case <-ctx.Done():
			}
		}
		for range punchTries {
			if l.active.Load() != s || h.libp2p.direct(id) || !h.allowed(id) {
				return
			}
			if a, ok := s.remoteAddress(); ok && h.filter.allow(a.Addr()) {
				_ = h.libp2p.dialDirect(ctx, id, []ma.Multiaddr{quicMultiaddr(a)})
				return
			}
			select { // ICE has not chosen yet
			case <-time.After(iceCheckInterval):
			case <-ctx.Done():
			}
		}
	})
}

const (
	punchTurn  = 500 * time.Millisecond
	punchTries = 10
)
