package transport

import (
	"net/netip"
	"sync"
	"time"

	"github.com/huisclos/huisclos/transport/internal/halfopen"
	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
	multistream "github.com/multiformats/go-multistream"
)

// gate decides who may connect. It is libp2p's ConnectionGater; whether a stream may
// be opened is asked of it by libp2pHost, whether gossip may pass by the room.
type gate struct {
	host    *Host
	waiting *halfopen.Counter // TCP's and circuits' handshakes
	quic    *halfopen.QUIC
}

// maxHalfOpen is how many connections of one address, circuits of one relay among them, may wait for the other end to
// prove its key: an eighth of what may in all (see newResources).
const maxHalfOpen = 64

func newGate(h *Host) *gate {
	return &gate{h, halfopen.New(maxHalfOpen), halfopen.NewQUIC(maxHalfOpen)}
}

// quicOptions have QUIC's handshakes counted as well (TRA-5).
func (g *gate) quicOptions() []quicreuse.Option {
	if g.host.config.unsafe.anyHalfOpen {
		return nil
	}
	return g.quic.Options()
}

// open tells whether every protocol is open to a peer, and not the door alone.
func (g *gate) open(id peer.ID) bool { return g.host.config.unsafe.openGate || g.host.allowed(id) }

// InterceptPeerDial lets every dial pass: they all come from Connect and OpenDoor.
func (g *gate) InterceptPeerDial(peer.ID) bool { return true }

// InterceptAddrDial is the address filter once more, in case an address came in by a
// way other than Connect. libp2p's swarm, once closed, panics over an address that passes, so none does from then on.
func (g *gate) InterceptAddrDial(id peer.ID, addr ma.Multiaddr) bool {
	return g.dialable(id, withoutNumber(showWebSocket(addr))) && g.host.ctx.Err() == nil
}

func (g *gate) dialable(id peer.ID, addr ma.Multiaddr) bool {
	if !g.host.mayDial(id, addr) { // MOD-3
		return false
	}
	if via, at, ok := circuitOf(addr); ok { // newHop dials the one in the middle, by this filter
		member, relay := g.host.mayHop(via)
		return len(at) == 0 && (member || relay)
	}
	if _, relay := g.host.mayHop(id); relay {
		return g.host.filter.dialableRelay(addr)
	}
	return g.host.filter.dialable(addr)
}

// InterceptAccept lets handshakes begin with whom we may send to (MOD-1, for TCP); their number is the resource manager's,
// and for each address the counter's (TRA-5).
func (g *gate) InterceptAccept(c network.ConnMultiaddrs) bool {
	if g.host.hidden() && !isCircuit(c) { // MOD-3
		return false
	}
	from, ok := addrPortOf(c.RemoteMultiaddr())
	if !ok {
		return true
	}
	return g.host.choke.permits(from.Addr()) && (overQUIC(c) || g.byMember(c) || g.host.config.unsafe.anyHalfOpen || g.waiting.Accept(from.Addr(), time.Now()))
}

// overQUIC tells whether a connection is direct and QUIC's: its handshake was counted from its beginning.
func overQUIC(c network.ConnMultiaddrs) bool {
	return relayauth.Kind(c.RemoteMultiaddr()) == relayauth.KindQUIC
}

// secured counts one connection less that waits.
func (g *gate) secured(dir network.Direction, c network.ConnMultiaddrs) {
	from, ok := addrPortOf(c.RemoteMultiaddr())
	switch {
	case !ok || dir == network.DirOutbound || g.byMember(c):
	case overQUIC(c):
		g.quic.Secured(from.Addr())
	default:
		g.waiting.Secured(from.Addr())
	}
}

// byMember tells whether a connection is a circuit through a member: who comes so is a member as well (TRA-18).
func (g *gate) byMember(c network.ConnMultiaddrs) bool {
	via, _, ok := circuitOf(c.RemoteMultiaddr())
	return ok && g.host.allowed(via)
}

// InterceptSecured bounds the strangers, in all and per address. They are let in even
// while the door is closed, since a new member may dial before we learn of it.
func (g *gate) InterceptSecured(dir network.Direction, id peer.ID, c network.ConnMultiaddrs) bool {
	g.secured(dir, c)
	if _, ok := keyOfID(id); !ok {
		return false // meeting keys are Ed25519
	}
	if dir == network.DirOutbound || g.host.allowed(id) || g.host.isRelay(id) {
		return true
	}
	from, _ := addrPortOf(c.RemoteMultiaddr())
	same, all := 0, 0
	for _, conn := range g.host.libp2p.swarm.Conns() {
		if g.host.allowed(conn.RemotePeer()) || g.host.isRelay(conn.RemotePeer()) {
			continue
		}
		all++
		if other, ok := addrPortOf(conn.RemoteMultiaddr()); ok && other.Addr() == from.Addr() {
			same++
		}
	}
	limit := g.host.config.MaxStrangers
	return all < limit && same < (limit+1)/2 || g.host.config.unsafe.anyStrangers
}

// InterceptUpgraded refuses circuits that a relay would cut after some minutes or bytes (TRA-18, TRA-26).
func (g *gate) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return !c.Stat().Limited || g.host.config.unsafe.limitedCircuits, 0
}

// strangerStreams is how many streams of a stranger may be negotiated at once: all strangers' together are far fewer than
// there may be (newResources), and leave room for members'.
const strangerStreams = 4

// strangerStream counts a stream of a stranger's for as long as it is negotiated; nil if there are too many (TRA-5), or
// the stranger is gone.
func (h *Host) strangerStream(id peer.ID) *peerState {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	if p == nil || p.opening >= strangerStreams && !h.config.unsafe.anyStrangers {
		return nil
	}
	p.opening++
	return p
}

// tableFor is the table of protocols that a peer may use, for a stream; nil if it may open none more. done is to be called
// when the stream is negotiated.
func (l *libp2pHost) tableFor(from peer.ID) (table *multistream.MultistreamMuxer[protocol.ID], done func()) {
	limited := l.host.isLimited(from)
	switch {
	case l.host.gate.open(from):
		return l.members, func() {}
	case l.host.isRelay(from), limited && l.host.config.unsafe.limitedCircuits:
		return l.relays, func() {}
	}
	p := l.host.strangerStream(from)
	if p == nil {
		return nil, nil
	}
	if table = l.strangers; limited { // TRA-26
		table = l.limited
	}
	return table, func() { l.host.strangerStreamDone(p) }
}

func (h *Host) strangerStreamDone(p *peerState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.opening--
}

// expireLocked closes a stranger's connections after a while. Host.mu is held (TRA-5).
func (h *Host) expireLocked(p *peerState) {
	if p.allowed || p.conns == 0 || p.keptLocked() || h.closed || h.config.unsafe.anyStrangers {
		return
	}
	if p.expiry != nil {
		p.expiry.Reset(h.config.StrangerTimeout)
		return
	}
	p.expiry = time.AfterFunc(h.config.StrangerTimeout, func() {
		h.spawn(func() {
			h.mu.Lock()
			keep := p.allowed || p.keptLocked()
			h.mu.Unlock()
			if !keep {
				_ = h.libp2p.swarm.ClosePeer(p.id)
			}
		})
	})
}

// keptLocked tells whether there is a use for connections to a stranger. Host.mu is held.
func (p *peerState) keptLocked() bool { return p.doors > 0 || p.relay != nil || p.hops > 0 }

// rateLimiter bounds the door streams that are opened.
type rateLimiter struct {
	mu sync.Mutex
	of cappedBuckets[netip.Addr]
}

// Door streams that may be opened: per address and in all, burst and per second.
const (
	doorBurst    = 32
	doorRate     = 2
	doorBurstAll = 64
	doorRateAll  = 16
	maxBuckets   = 1024
)

func newRateLimiter() *rateLimiter {
	return &rateLimiter{of: cappedBuckets[netip.Addr]{burstAll: doorBurstAll, perSecondAll: doorRateAll, buckets: buckets[netip.Addr]{
		burst: doorBurst, perSecond: doorRate, most: maxBuckets, strict: true, of: map[netip.Addr]*bucket{},
	}}}
}

// allow takes a token for an address (IPv6: for its /64).
func (r *rateLimiter) allow(ip netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		ip = p.Addr()
	}
	return r.of.take(ip, 1, now)
}
