package transport

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptransport "github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"
)

// circuitTransport is libp2p's, which the swarm is told a new address after each failure: it tries none twice as long as a
// dial to the peer is under way, and a circuit that failed may do a moment later, when the peer has reserved. The new
// address is the old one with a number at the end, /udp/1, which nobody else sees. From hurried on it says that the circuit
// gives direct addresses no head start.
type circuitTransport struct {
	*client.Client
	mu     sync.Mutex
	failed map[circuitWay]uint16
}

type circuitWay struct{ to, via peer.ID }

const hurried = 1 << 15

// address is what the swarm is to be told now.
func (t *circuitTransport) address(to, via peer.ID, hurry bool) ma.Multiaddr {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := circuitAddress(via)
	n := t.failed[circuitWay{to, via}] % hurried
	if hurry {
		n += hurried
	}
	if n > 0 {
		a = a.Encapsulate(ma.StringCast(fmt.Sprintf("/udp/%d", n)))
	}
	return a
}

// numbered tells whether there is a number at the end of an address.
func numbered(a ma.Multiaddr) bool {
	n := len(a)
	return n > 1 && a[n-1].Code() == ma.P_UDP && a[n-2].Code() == ma.P_CIRCUIT
}

// withoutNumber is the address that the swarm was told, as it is.
func withoutNumber(a ma.Multiaddr) ma.Multiaddr {
	if numbered(a) {
		return a[:len(a)-1]
	}
	return a
}

// inHurry tells whether the address that the swarm was told says so.
func inHurry(a ma.Multiaddr) bool {
	return numbered(a) && a[len(a)-1].RawValue()[0]&(hurried>>8) != 0
}

// Dial opens a circuit.
func (t *circuitTransport) Dial(ctx context.Context, a ma.Multiaddr, to peer.ID) (libp2ptransport.CapableConn, error) {
	a = withoutNumber(a)
	c, err := t.Client.Dial(ctx, a, to)
	if via, _, ok := circuitOf(a); ok && err != nil && ctx.Err() == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.failed[circuitWay{to, via}]++
	}
	return c, err
}

// forget is for when the swarm has let go of all dials to a peer.
func (t *circuitTransport) forget(to peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.failed, func(w circuitWay, _ uint16) bool { return w.to == to })
}
