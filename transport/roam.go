package transport

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// routePoll is how often routes are looked at. It costs a system call for each connection, and no packet.
	routePoll = 200 * time.Millisecond
	// sleptAfter: when so much time passed between two looks, the machine or the program stood still, and the others have
	// given up the connections.
	sleptAfter = 8 * time.Second
)

var errRouteChanged = errors.New("transport: the route to the peer has changed")

// NetworkChanged reports that this machine's addresses or routes are others than before, or that it slept. Connections
// and links that ran over them are closed: their owner connects again, and tells the others its addresses.
type NetworkChanged struct{}

func (NetworkChanged) event() {}

// router is what a Network may tell of routes besides: the address that packets to another one come from, invalid if
// there is no way. It sends nothing.
type router interface {
	Source(to netip.Addr) netip.Addr
}

// Source asks the kernel by connecting a datagram socket, which sends nothing.
func (*osNetwork) Source(to netip.Addr) netip.Addr {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = conn.Close() }()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}
	}
	return local.AddrPort().Addr().Unmap()
}

// routeWatch remembers by which of our addresses each connection runs, since a socket on all of them doesn't tell, and goes
// on sending by another one where nobody expects it.
type routeWatch struct {
	of   router // nil: the network doesn't tell
	mu   sync.Mutex
	used map[network.Conn]netip.Addr
}

// source is the address that packets to another one leave from, invalid if that isn't known.
func (r *routeWatch) source(to netip.Addr) netip.Addr {
	if r.of == nil {
		return netip.Addr{}
	}
	return r.of.Source(to)
}

func (r *routeWatch) connected(c network.Conn) {
	remote, ok := addrPortOf(c.RemoteMultiaddr())
	if r.of == nil || !ok {
		return
	}
	source := r.of.Source(remote.Addr())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used == nil {
		r.used = make(map[network.Conn]netip.Addr)
	}
	if !c.IsClosed() { // else disconnected may have been here
		r.used[c] = source
	}
}

func (r *routeWatch) disconnected(c network.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.used, c)
}

// moved tells whether packets to an address leave by another way than those before. No way at all is no other one, since
// it may come back, unless the address that they left from is gone and there are others: the network is another one.
func (r *routeWatch) moved(before netip.Addr, to netip.Addr, own []netip.Prefix) bool {
	now := r.source(to)
	if !before.IsValid() || now.IsValid() {
		return before.IsValid() && before != now
	}
	others := false
	for _, p := range own {
		if p.Addr() == before {
			return false
		}
		others = others || !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast()
	}
	return others
}

// stale returns the peers with a connection whose way is another one now; all of them if the machine slept.
func (r *routeWatch) stale(slept bool, own []netip.Prefix) (peers []peer.ID) {
	r.mu.Lock()
	used := make(map[network.Conn]netip.Addr, len(r.used))
	for c, source := range r.used {
		used[c] = source
	}
	r.mu.Unlock()
	for c, before := range used {
		remote, ok := addrPortOf(c.RemoteMultiaddr())
		if ok && (slept || r.moved(before, remote.Addr(), own)) && !slices.Contains(peers, c.RemotePeer()) {
			peers = append(peers, c.RemotePeer())
		}
	}
	return peers
}

// leavesOnSubnet tells whether packets to a private address go to the subnet of ours that has it. The machine may be on
// another network since it was looked at last, and there they would go to somebody else, or nowhere (TRA-22).
func (h *Host) leavesOnSubnet(a ma.Multiaddr) bool {
	to, ok := addrPortOf(a)
	if !ok || h.routes.of == nil || !to.Addr().IsPrivate() && !carrierNAT.Contains(to.Addr()) {
		return ok
	}
	from := h.routes.source(to.Addr())
	return slices.ContainsFunc(h.filter.ownPrefixes(), func(p netip.Prefix) bool { return p.Contains(from) && p.Contains(to.Addr()) })
}

// watchRoutes looks at the routes until the host closes (TRA-22).
func (h *Host) watchRoutes() {
	every := routePoll
	if h.routes.of == nil {
		every = prefixInterval // the addresses alone
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	// The wall clock goes on while a machine sleeps, the monotonic one doesn't everywhere.
	last := time.Now().Round(0)
	for {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		}
		now := time.Now().Round(0)
		h.followRoutes(now.Sub(last) > sleptAfter)
		last = now
	}
}

// followRoutes closes what runs over a route that is no more.
func (h *Host) followRoutes(slept bool) {
	changed := h.filter.refresh() || slept
	own := h.filter.ownPrefixes()
	if changed { // what is being dialled from an address that is gone, would go on over another network
		h.libp2p.abandonDials("")
	}
	for _, l := range h.media.all() {
		if s := l.active.Load(); s != nil && (slept || s.left(own)) {
			changed = true
			s.stop(errRouteChanged)
		}
	}
	for _, id := range h.routes.stale(slept, own) {
		changed = true
		h.noteGaveUp(id)
		_ = h.libp2p.swarm.ClosePeer(id)
	}
	if changed {
		h.retryRelaysNow()
		h.events.post(NetworkChanged{})
	}
}

// A member dials only while it has no direct connection: one that it opens takes the place of those it had sooner than two
// ends can have dialled each other at once.
const supersedes = 2 * time.Second

// supersede closes what ran over a member's old network, when that has come from another one: else we would go on
// sending there until the old connection is found dead (TRA-22). Host.mu is held.
func (h *Host) supersedeLocked(p *peerState, by network.Conn) {
	h.streams.Add(1)
	go func() {
		defer h.streams.Done()
		old := false
		for _, c := range h.libp2p.swarm.ConnsToPeer(p.id) {
			if !isCircuit(c) && by.Stat().Opened.Sub(c.Stat().Opened) > supersedes {
				old = true
				_ = c.Close()
			}
		}
		if l := h.media.get(p.key); old && l != nil {
			if s := l.active.Load(); s != nil {
				s.stop(errRouteChanged)
			}
		}
	}()
}
