package transport

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
)

// underway is a dial under way. The swarm joins all dials to a peer, and tries no address twice as long as one of them
// lasts: what fails at once would wait for what hangs. So a later dial has its own after a while.
type underway struct {
	cancel  context.CancelFunc
	begun   time.Time     // when the swarm began
	over    chan struct{} // closed when the swarm has let go of it
	takenBy *underway     // the later one that took its place
}

// settle is how long a dial has before a later one takes its place: a circuit's head start and handshake, most of the
// time.
const settle = 1200 * time.Millisecond

// dialPeer has the swarm dial. An earlier dial to the same peer is joined until it had its time, or failed at a hop that
// is there again now; then this one takes its place, and whoever waits for that one waits for this. The error may come
// though there is a connection now.
func (l *libp2pHost) dialPeer(ctx context.Context, id peer.ID, r routes) (network.Conn, error) {
	waits := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &underway{cancel: cancel, over: make(chan struct{})}
	withdraw := l.publish(id, r)
	earlier := l.enter(id, d)
	conn, err := l.dialAfter(ctx, id, r, d, earlier)
	withdraw()
	next := l.leave(id, d)
	for err != nil && next != nil {
		select {
		case <-next.over:
			next = l.successor(next)
		case <-waits.Done():
			return nil, waits.Err()
		}
	}
	return conn, err
}

func (l *libp2pHost) dialAfter(ctx context.Context, id peer.ID, r routes, d *underway, earlier []*underway) (network.Conn, error) {
	if len(earlier) > 0 {
		if wait := time.Until(d.begun.Add(settle)); wait > 0 && !l.failedSince(r.hops, d.begun) {
			joined, cancel := context.WithTimeout(ctx, wait)
			conn, err := l.swarm.DialPeer(joined, id)
			cancel()
			if err == nil || ctx.Err() != nil {
				return conn, err
			}
		}
		l.takePlaces(d, earlier)
	}
	return l.swarm.DialPeer(ctx, id)
}

// enter counts a dial as under way, and returns those that are already.
func (l *libp2pHost) enter(id peer.ID, d *underway) (earlier []*underway) {
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	earlier = slices.Clone(l.underway[id])
	d.begun = time.Now()
	if n := len(earlier); n > 0 {
		d.begun = earlier[n-1].begun
	}
	l.underway[id] = append(l.underway[id], d)
	return earlier
}

// takePlaces ends earlier dials, and with them the swarm's memory of what failed.
func (l *libp2pHost) takePlaces(d *underway, earlier []*underway) {
	l.dialMu.Lock()
	for _, e := range earlier {
		if e.takenBy == nil {
			e.takenBy = d
		}
		e.cancel()
	}
	d.begun = time.Now()
	l.dialMu.Unlock()
	for _, e := range earlier {
		<-e.over
	}
}

// leave tells who took a dial's place, if somebody did.
func (l *libp2pHost) leave(id peer.ID, d *underway) *underway {
	close(d.over)
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	l.underway[id] = slices.DeleteFunc(l.underway[id], func(o *underway) bool { return o == d })
	if len(l.underway[id]) == 0 {
		delete(l.underway, id)
	}
	return d.takenBy
}

func (l *libp2pHost) successor(d *underway) *underway {
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	return d.takenBy
}

// hopFailed notes that a circuit could not be opened through somebody.
func (l *libp2pHost) hopFailed(via peer.ID) {
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	now := time.Now()
	maps.DeleteFunc(l.failedHops, func(_ peer.ID, at time.Time) bool { return now.Sub(at) > settle })
	l.failedHops[via] = now
}

func (l *libp2pHost) failedSince(hops []hop, begun time.Time) bool {
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	return slices.ContainsFunc(hops, func(h hop) bool { return l.failedHops[h.id].After(begun) })
}

// abandonDials ends the dials to a peer, or to all: when this host is on another network, since they would go on there
// from an address that is gone, to one that may be another's; and when there is a direct connection, so that a second one
// means something.
func (l *libp2pHost) abandonDials(only peer.ID) {
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	for id, all := range l.underway {
		for _, d := range all {
			if only == "" || only == id {
				d.cancel()
			}
		}
	}
}

// publish puts addresses into the peerstore, which is only how the swarm is told where to dial: they are there as long as
// the dial is under way. Relays on the way may be dialled as long.
func (l *libp2pHost) publish(id peer.ID, r routes) (done func()) {
	l.swarm.Backoff().Clear(id)
	l.host.contacts.noteDial(id, r.direct...)
	addrs := slices.Clone(r.direct)
	for _, h := range r.hops {
		addrs = append(addrs, circuitAddress(h.id))
	}
	withdraw := []func(){l.addAddrs(id, addrs)}
	for _, h := range r.hops {
		if len(h.addrs) > 0 {
			l.host.holdHop(h.id, 1)
			l.host.contacts.noteDial(h.id, h.addrs...)
			l.swarm.Backoff().Clear(h.id)
			withdraw = append(withdraw, l.addAddrs(h.id, h.addrs), func() { l.host.holdHop(h.id, -1) })
		}
	}
	return func() {
		for _, f := range withdraw {
			f()
		}
	}
}

func (l *libp2pHost) addAddrs(id peer.ID, addrs []ma.Multiaddr) (done func()) {
	mine := make([]ma.Multiaddr, len(addrs))
	for i, a := range addrs {
		mine[i] = hideWebSocket(a)
	}
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	l.dials[id] = append(l.dials[id], &mine)
	l.tellSwarmLocked(id)
	return func() {
		l.dialMu.Lock()
		defer l.dialMu.Unlock()
		l.dials[id] = slices.DeleteFunc(l.dials[id], func(a *[]ma.Multiaddr) bool { return a == &mine })
		l.tellSwarmLocked(id)
	}
}

// tellSwarmLocked leaves in the peerstore what the dials under way name, that of the latest first: the swarm dials so many
// addresses of one peer at a time. dialMu is held.
func (l *libp2pHost) tellSwarmLocked(id peer.ID) {
	if len(l.dials[id]) == 0 {
		delete(l.dials, id)
		l.book.ClearAddrs(id)
		return
	}
	var all []ma.Multiaddr
	for _, addrs := range slices.Backward(l.dials[id]) {
		for _, a := range *addrs {
			if len(all) < MaxAddresses && !slices.ContainsFunc(all, a.Equal) {
				all = append(all, a)
			}
		}
	}
	l.book.AddAddrs(id, all, peerstore.TempAddrTTL)
	stale := slices.DeleteFunc(l.book.Addrs(id), func(a ma.Multiaddr) bool { return slices.ContainsFunc(all, a.Equal) })
	l.book.SetAddrs(id, stale, 0)
}
