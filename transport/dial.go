package transport

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Head starts of a dial: QUIC at once, then TCP, which serves where UDP is blocked, then WebSocket, where only HTTPS
// passes. Circuits last, one bridge after the other: they cost others' bandwidth. Where a connection was just given up,
// people wait in mid-sentence, and the first circuit is tried at once.
const (
	tcpDelay       = 200 * time.Millisecond
	webSocketDelay = 400 * time.Millisecond
	circuitDelay   = 350 * time.Millisecond
	bridgeDelay    = 150 * time.Millisecond
)

// rankDials says when each address is tried. Where none of a sooner kind is left, nobody waits for it.
func rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	out := make([]network.AddrDelay, 0, len(addrs))
	kinds := map[time.Duration]bool{}
	for _, a := range addrs {
		kinds[dialDelay(a)] = true
	}
	circuits := time.Duration(0)
	if kinds[0] || kinds[tcpDelay] || kinds[webSocketDelay] {
		circuits = circuitDelay
	}
	if slices.ContainsFunc(addrs, inHurry) {
		circuits = 0
	}
	for _, a := range addrs {
		delay := dialDelay(a)
		switch {
		case delay == circuitDelay:
			delay = circuits
			circuits += bridgeDelay
		case len(kinds) == 1:
			delay = 0
		}
		out = append(out, network.AddrDelay{Addr: a, Delay: delay})
	}
	return out
}

func dialDelay(a ma.Multiaddr) time.Duration {
	delay := time.Duration(0)
	for _, c := range a {
		switch c.Code() {
		case ma.P_TCP:
			delay = max(delay, tcpDelay)
		case ma.P_WS, ma.P_HTTP, ma.P_HTTPS:
			delay = max(delay, webSocketDelay)
		case ma.P_CIRCUIT:
			delay = circuitDelay
		}
	}
	return delay
}

const (
	// maxHops is how many bridges and relays one dial tries, maxHopAddresses at how many addresses.
	maxHops         = 3
	maxHopAddresses = MaxAddresses / 2
)

// routes are the ways to a peer that may be tried: never more than MaxAddresses.
type routes struct {
	direct []ma.Multiaddr
	hops   []hop
}

// hop is a bridge or relay on the way to a peer.
type hop struct {
	id    peer.ID
	addrs []ma.Multiaddr // a relay's; none for a member
}

func (r routes) empty() bool { return len(r.direct)+len(r.hops) == 0 }

// routes sorts a peer's addresses (TRA-1): plain ones that pass the filter; circuits through members who are allowed and
// connected (a member's own address comes from itself alone); circuits through relays at addresses that pass the filter.
func (l *libp2pHost) routes(id peer.ID, addrs []ma.Multiaddr) (r routes) {
	hopAddresses := 0
	for _, a := range addrs[:min(len(addrs), 2*MaxAddresses)] {
		via, at, ok := circuitOf(a)
		if !ok {
			if l.host.filter.dialable(a) && l.host.leavesOnSubnet(a) && !slices.ContainsFunc(r.direct, a.Equal) {
				r.direct = append(r.direct, a)
			}
			continue
		}
		if _, ed25519 := keyOfID(via); !ed25519 || via == id || via == l.ID() {
			continue
		}
		i := slices.IndexFunc(r.hops, func(h hop) bool { return h.id == via })
		switch {
		case l.host.allowed(via):
			if i < 0 && (len(at) == 0 || l.host.filter.dialableRelay(at)) && len(r.hops) < maxHops && l.direct(via) {
				r.hops = append(r.hops, hop{id: via})
			}
		case !l.host.filter.dialableRelay(at), hopAddresses == maxHopAddresses:
		case i < 0 && len(r.hops) < maxHops:
			r.hops = append(r.hops, hop{via, []ma.Multiaddr{at}})
			hopAddresses++
		case i >= 0 && !slices.ContainsFunc(r.hops[i].addrs, at.Equal):
			r.hops[i].addrs = append(r.hops[i].addrs, at)
			hopAddresses++
		}
	}
	// The swarm, too, dials so many addresses of one peer at a time: direct ones that hang must leave room for circuits.
	r.direct = r.direct[:min(len(r.direct), MaxAddresses-max(len(r.hops), hopAddresses))]
	return r
}

// direct tells whether there is a connection to a peer that is no circuit.
func (l *libp2pHost) direct(id peer.ID) bool {
	return slices.ContainsFunc(l.swarm.ConnsToPeer(id), func(c network.Conn) bool { return !c.IsClosed() && !isCircuit(c) })
}

// connected tells whether there is a connection to a peer.
func (l *libp2pHost) connected(id peer.ID) bool {
	c := l.swarm.Connectedness(id)
	return c == network.Connected || c == network.Limited && l.host.config.unsafe.limitedCircuits
}

// dial connects to a peer unless there is a connection (TRA-10). Where that is a circuit, direct addresses go on being
// tried behind it.
func (l *libp2pHost) dial(ctx context.Context, id peer.ID, addrs []ma.Multiaddr) error {
	if l.connected(id) {
		return nil
	}
	r := l.routes(id, addrs)
	if r.empty() {
		return ErrNoAddress
	}
	if _, err := l.dialPeer(ctx, id, r); err != nil && !l.connected(id) {
		return fmt.Errorf("transport: connect to %v: %w", l.shortID(id), err)
	}
	if !l.direct(id) && len(r.direct) > 0 {
		l.host.spawn(func() {
			ctx, cancel := context.WithTimeout(l.host.ctx, dialTimeout)
			defer cancel()
			_ = l.dialDirect(ctx, id, r.direct)
		})
	}
	return nil
}

// connect is dial that, where there is but a circuit, tries the direct addresses again.
func (l *libp2pHost) connect(ctx context.Context, id peer.ID, addrs []ma.Multiaddr) error {
	switch {
	case l.direct(id):
		return nil
	case !l.connected(id):
		return l.dial(ctx, id, addrs)
	}
	if r := l.routes(id, addrs); len(r.direct) > 0 {
		return l.dialDirect(ctx, id, r.direct)
	}
	return nil
}

// dialDirect connects beside a circuit, or to a relay.
func (l *libp2pHost) dialDirect(ctx context.Context, id peer.ID, direct []ma.Multiaddr) error {
	ctx = network.WithForceDirectDial(ctx, "beside a circuit")
	if _, err := l.dialPeer(ctx, id, routes{direct: direct}); err != nil && !l.direct(id) {
		return fmt.Errorf("transport: connect to %v: %w", l.shortID(id), err)
	}
	return nil
}

// hurryFor is how long after a connection was given up the next is dialled in a hurry.
const hurryFor = 5 * time.Second

// noteGaveUp has the next dials to a peer hurry.
func (h *Host) noteGaveUp(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.gaveUp = time.Now()
	}
}

// gaveUp tells whether a connection to a peer was just found dead.
func (h *Host) gaveUp(id peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	return p != nil && !p.gaveUp.IsZero() && time.Since(p.gaveUp) < hurryFor
}
