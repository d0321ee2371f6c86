package transport

import (
	"context"
	"sync"
)

// Event is something the owner of a Host must learn, in order, from Events.
type Event interface{ event() }

// PeerConnected reports a connection to an allowed peer: a new one, or one that was
// there when the peer was allowed. A second PeerConnected without a PeerDisconnected
// between means the connection was replaced: whatever was under way on the pair
// channel may be lost.
type PeerConnected struct{ Peer PeerKey }

// PeerDisconnected reports that the last connection to a peer is gone, or that the
// peer was revoked.
type PeerDisconnected struct{ Peer PeerKey }

// Message is one message from a peer's pair channel. Data is the owner's to keep.
type Message struct {
	Peer PeerKey
	Data []byte
}

// Gossip is one message from the room. From is the member it came through, which says
// nothing about its author. Data is the owner's to keep.
type Gossip struct {
	From PeerKey
	Data []byte
}

// MediaState reports that media can be sent to a peer, and by what way, or that it can't. Unless it is up and not by a
// stream, ICE has no path: its owner may make a new offer (the peer with the smaller key) or ask for one. Generation
// numbers the incarnations of the link over ICE.
type MediaState struct {
	Peer       PeerKey
	Up         bool
	Stream     bool // by a media stream, since ICE has no path
	Path       Path // the way, when up
	Generation uint32
	Reason     error // why it is down, nil when up
}

// PathChanged reports that messages reach a connected member by another way than before.
type PathChanged struct {
	Peer PeerKey
	Path Path
}

// RelayChanged reports on a relay of this host's.
type RelayChanged struct{ State RelayState }

func (PathChanged) event()      {}
func (RelayChanged) event()     {}
func (PeerConnected) event()    {}
func (PeerDisconnected) event() {}
func (Message) event()          {}
func (Gossip) event()           {}
func (MediaState) event()       {}

// eventBuffer is how many events wait in the channel. It only smooths: the bound that
// counts is one waiting event per source.
const eventBuffer = 64

// events is the way from many goroutines to one owner.
//
// Messages and gossip are put into the channel by the goroutine that read them from
// the network, which then waits. So a slow owner slows that peer's stream (QUIC flow
// control does the rest), never libp2p; and since Go serves waiting senders in order,
// and each peer has one, no peer can crowd out another.
//
// State events come from callbacks that must not wait. They are queued, one per peer
// and kind: a newer one replaces an older one still unread (TRA-13).
type events struct {
	ctx     context.Context
	out     chan Event
	noTurns bool // tests alone: messages pile up

	mu    sync.Mutex
	state map[stateKey]Event
	order []stateKey
	ready chan struct{}
}

type stateKey struct {
	peer PeerKey
	kind stateKind
}

type stateKind uint8

const (
	stateConnection stateKind = iota
	stateMedia
	statePath
	stateRelay
)

func newEvents(ctx context.Context) *events {
	return &events{ctx: ctx, out: make(chan Event, eventBuffer), state: make(map[stateKey]Event), ready: make(chan struct{}, 1)}
}

// deliver hands over a message, waiting for room.
func (e *events) deliver(ctx context.Context, ev Event) bool {
	if e.noTurns {
		go func() {
			select {
			case e.out <- ev:
			case <-ctx.Done():
			}
		}()
		return true
	}
	select {
	case e.out <- ev:
		return true
	case <-ctx.Done():
	case <-e.ctx.Done():
	}
	return false
}

// post queues a state event and returns at once.
func (e *events) post(ev Event) {
	var key stateKey
	switch ev := ev.(type) {
	case PeerConnected:
		key.peer = ev.Peer
	case PeerDisconnected:
		key.peer = ev.Peer
	case MediaState:
		key = stateKey{ev.Peer, stateMedia}
	case PathChanged:
		key = stateKey{ev.Peer, statePath}
	case RelayChanged:
		key = stateKey{ev.State.Relay, stateRelay}
	}
	e.mu.Lock()
	if _, waiting := e.state[key]; !waiting {
		e.order = append(e.order, key)
	}
	e.state[key] = ev
	e.mu.Unlock()
	select {
	case e.ready <- struct{}{}:
	default:
	}
}

// run moves state events into the channel until the host closes.
func (e *events) run() {
	for {
		e.mu.Lock()
		var next Event
		if len(e.order) > 0 {
			next = e.state[e.order[0]]
			delete(e.state, e.order[0])
			e.order = e.order[1:]
		}
		e.mu.Unlock()
		if next == nil {
			select {
			case <-e.ready:
				continue
			case <-e.ctx.Done():
				return
			}
		}
		if !e.deliver(e.ctx, next) {
			return
		}
	}
}
