package transport

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
)

// round is what is dialled to one peer at a time. The swarm joins all dials to a peer, and tries no address twice as long
// as one of them lasts: what failed at once would wait for what hangs. So when a later dial has joined, the round ends
// after a while, and all that are in it dial again in the next. Circuits don't wait for that
// (circuitTransport).
type round struct {
	ctx   context.Context // done when the round is over, for the cause
	end   context.CancelCauseFunc
	begun time.Time
	lasts time.Duration   // if a later dial joins
	timer *time.Timer     // ends it then
	open  context.Context // done when there is a connection
	tell  context.CancelFunc
	dials int           // the swarm is at
	left  chan struct{} // closed when there are none any more
}

// roundLasts is how long the first round lasts: a circuit's handshake, most of the time. Each further one lasts twice as
// long, so that dials that follow each other closely don't keep a slow handshake from its end.
const roundLasts = 2500 * time.Millisecond

// dialLasts is after how long a dial goes into no further round: as long as the swarm tries one address.
const dialLasts = 5 * time.Second

var (
	errNextRound = errors.New("transport: dialled again")
	errAbandoned = errors.New("transport: the dial was given up")
)

// dialPeer has the swarm dial. The error may come though there is a connection now, as soon as there is one: in any case,
// unless ctx asks for a direct one.
func (l *libp2pHost) dialPeer(ctx context.Context, id peer.ID, to routes) (network.Conn, error) {
	defer l.publish(id, to)()
	begun := time.Now()
	for before := (*round)(nil); ; {
		r, joined, err := l.enter(ctx, id, before)
		if err != nil {
			return nil, err
		}
		conn, err := l.dialIn(ctx, id, r, to.hops)
		l.leave(id, r)
		if err != nil && !forced(ctx) && l.connected(id) {
			return nil, err
		}
		if err != nil && joined { // perhaps for what the swarm had tried before
			select {
			case <-r.left:
			case <-ctx.Done():
			}
		}
		cause := context.Cause(r.ctx)
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case l.host.ctx.Err() != nil:
			return nil, ErrClosed
		case errors.Is(cause, errAbandoned):
			return nil, errAbandoned
		case !joined && !errors.Is(cause, errNextRound), time.Since(begun) >= dialLasts:
			return nil, err
		}
		before = r
	}
}

// enter takes part in the round to a peer, or begins one when the swarm has let go of the one before. It tells whether the
// swarm was at it already.
func (l *libp2pHost) enter(ctx context.Context, id peer.ID, before *round) (r *round, joined bool, err error) {
	for {
		l.dialMu.Lock()
		r = l.rounds[id]
		if r == nil || r.ctx.Err() == nil {
			break
		}
		l.dialMu.Unlock()
		before = r
		select {
		case <-r.left:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	defer l.dialMu.Unlock()
	if joined = r != nil && before == nil; r == nil {
		r = &round{begun: time.Now(), lasts: roundLasts, left: make(chan struct{})}
		if before != nil && errors.Is(context.Cause(before.ctx), errNextRound) {
			r.lasts = 2 * before.lasts
		}
		r.ctx, r.end = context.WithCancelCause(l.host.ctx)
		r.open, r.tell = context.WithCancel(l.host.ctx)
		l.rounds[id] = r
	}
	if joined && r.timer == nil {
		r.timer = time.AfterFunc(time.Until(r.begun.Add(r.lasts)), func() { r.end(errNextRound) })
	}
	r.dials++
	return r, joined, nil
}

func (l *libp2pHost) dialIn(ctx context.Context, id peer.ID, r *round, hops []hop) (network.Conn, error) {
	hurry := l.host.gaveUp(id)
	circuits := make([]ma.Multiaddr, len(hops))
	for i, h := range hops {
		circuits[i] = l.circuits.address(id, h.id, hurry)
	}
	defer l.addAddrs(id, circuits)()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	if !forced(ctx) {
		defer context.AfterFunc(r.open, cancel)()
	}
	l.swarm.Backoff().Clear(id)
	return l.swarm.DialPeer(ctx, id)
}

func (l *libp2pHost) leave(id peer.ID, r *round) {
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	if r.dials--; r.dials > 0 {
		return
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	r.end(nil)
	r.tell()
	delete(l.rounds, id)
	l.circuits.forget(id)
	close(r.left)
}

// forced tells whether a direct connection is asked for.
func forced(ctx context.Context) bool {
	direct, _ := network.GetForceDirectDial(ctx)
	return direct
}

// connectedTo ends the dials to a peer that a circuit is enough for.
func (l *libp2pHost) connectedTo(id peer.ID) {
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	if r := l.rounds[id]; r != nil {
		r.tell()
	}
}

// abandonDials ends the dials to a peer, or to all: when this host is on another network, since they would go on there
// from an address that is gone, to one that may be another's; and when there is a direct connection, so that a second one
// means something.
func (l *libp2pHost) abandonDials(only peer.ID) {
	l.dialMu.Lock()
	defer l.dialMu.Unlock()
	for id, r := range l.rounds {
		if only == "" || only == id {
			r.end(errAbandoned)
		}
	}
}

// publish puts addresses into the peerstore, which is only how the swarm is told where to dial: they are there as long as
// the dial is under way. Relays on the way may be dialled as long.
func (l *libp2pHost) publish(id peer.ID, r routes) (done func()) {
	l.host.contacts.noteDial(id, r.direct...)
	withdraw := []func(){l.addAddrs(id, r.direct)}
	for _, h := range r.hops {
		if len(h.addrs) > 0 {
			l.host.holdHop(h.id, 1)
			l.host.contacts.noteDial(h.id, h.addrs...)
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
