package transport

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	protocolHop  = proto.ProtoIDv2Hop
	protocolStop = proto.ProtoIDv2Stop
)

// What a member bridges for others (TRA-18).
const (
	maxReservations   = 256
	maxCircuitsOfPeer = 64
	circuitBuffer     = 16 << 10 // bytes a circuit holds in each direction
	// reservationTime is so long since the answer names the moment when it is over, and libp2p's client refuses one that
	// is past by its own clock (CLK-5). A reservation ends with the connection.
	reservationTime = 72 * time.Hour
	// Circuits from one member to another: at once, and a second. Two need one; of those in vain, each lasts for 15 s.
	circuitBurst, circuitRate = 8, 0.5
	circuitPairs              = 4096 // remembered, before those that are full again are forgotten
)

// newBridge serves circuits to members, to and from members. Its streams are in the members' table alone, and end
// with the connections of whoever is revoked (TRA-18).
func newBridge(l *libp2pHost) (*relay.Relay, error) {
	lasts := reservationTime
	if l.host.config.unsafe.pastReservations {
		lasts = -lasts
	}
	return relay.New(l, relay.WithACL(bridgeACL{l.host, newCircuitsAsked()}), relay.WithResources(relay.Resources{
		// Without a limit on bytes and time: with one, libp2p runs nothing over a circuit but what asks for it.
		Limit:          nil,
		ReservationTTL: lasts, MaxReservations: maxReservations, MaxCircuits: maxCircuitsOfPeer, BufferSize: circuitBuffer,
		// Members of one office share an address.
		MaxReservationsPerPeer: 1, MaxReservationsPerIP: maxReservations, MaxReservationsPerASN: maxReservations,
	}))
}

// bridgeACL lets members alone reserve and connect, and connect to members alone (TRA-18).
type bridgeACL struct {
	host  *Host
	asked *circuitsAsked
}

// circuitsAsked bounds how often one member asks for another, who can be reached only so often at a time.
type circuitsAsked struct {
	mu sync.Mutex
	of buckets[[2]peer.ID]
}

func newCircuitsAsked() *circuitsAsked {
	return &circuitsAsked{of: buckets[[2]peer.ID]{
		burst: circuitBurst, perSecond: circuitRate, most: circuitPairs, of: map[[2]peer.ID]*bucket{},
	}}
}

func (c *circuitsAsked) allow(from, to peer.ID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of.take([2]peer.ID{from, to}, 1, now)
}

// AllowReserve is asked for each reservation.
func (a bridgeACL) AllowReserve(p peer.ID, _ ma.Multiaddr) bool {
	return a.host.config.unsafe.anyBridge || a.host.allowed(p)
}

// AllowConnect is asked for each circuit. One inside another would be longer than it looks.
func (a bridgeACL) AllowConnect(from peer.ID, _ ma.Multiaddr, to peer.ID) bool {
	return a.host.config.unsafe.anyBridge || from != to && a.host.allowed(from) && a.host.allowed(to) && a.host.libp2p.direct(to) &&
		(a.host.config.unsafe.anyCircuits || a.asked.allow(from, to, time.Now()))
}

// Reserve asks a connected member to bridge: until the time returned, members who are connected to it can connect to
// this host at CircuitAddress(bridge). It ends with the connection to the bridge; asking again prolongs it. The errors
// are ErrNotAllowed, ErrNotConnected and those of the network.
func (h *Host) Reserve(ctx context.Context, bridge PeerKey) (until time.Time, err error) {
	id, err := idOfKey(bridge)
	if err != nil {
		return time.Time{}, err
	}
	if !h.allowed(id) {
		return time.Time{}, ErrNotAllowed
	}
	r, err := client.Reserve(ctx, h.libp2p, peer.AddrInfo{ID: id})
	if err != nil {
		return time.Time{}, fmt.Errorf("transport: reserve at %v: %w", bridge, err)
	}
	latest := time.Now().Add(renewLatest) // CLK-5: by whatever clock it was said until when
	if r.Expiration.Before(latest) {
		return r.Expiration, nil
	}
	return latest, nil
}

// cutCircuits ends the circuits of a peer through this host, without waiting for its connections to close, or for a peer
// who has stopped to read (TRA-16).
func (h *Host) cutCircuits(id peer.ID) {
	for _, c := range h.libp2p.swarm.ConnsToPeer(id) {
		for _, s := range c.GetStreams() {
			if p := s.Protocol(); p == protocolHop || p == protocolStop {
				h.abandon(s)
			}
		}
	}
}
