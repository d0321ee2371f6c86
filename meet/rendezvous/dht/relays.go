package dht

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// relayLookups is how many random keys are looked for, to meet nodes, and relayLookup how long one lookup may take.
	relayLookups = 3
	relayLookup  = 20 * time.Second
	// relaySettle is how long nodes that were met have to say what they offer.
	relaySettle = 500 * time.Millisecond
)

// Relays finds nodes of the DHT that offer libp2p's circuit relay to anybody, and can be reached by QUIC: those met in
// looking for random keys, by a client with a key used once. It looks until ctx is done, or for three keys.
func (r *Rendezvous) Relays(ctx context.Context) <-chan ma.Multiaddr {
	found := make(chan ma.Multiaddr)
	go func() {
		defer close(found)
		n, err := r.join(ctx, nil)
		if err != nil {
			return
		}
		defer n.close()
		told := map[peer.ID]bool{}
		for range relayLookups {
			n.meetNodes(ctx)
			for _, a := range r.relaysMet(n, told) {
				select {
				case found <- a:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return found
}

// meetNodes looks for a random key.
func (n *node) meetNodes(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, relayLookup)
	defer cancel()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	_, _ = n.dht.GetClosestPeers(ctx, string(key))
	select {
	case <-time.After(relaySettle):
	case <-ctx.Done():
	}
}

// relaysMet are the relays among the nodes there is a connection to, in random order, but those told before.
func (r *Rendezvous) relaysMet(n *node, told map[peer.ID]bool) (all []ma.Multiaddr) {
	for _, id := range n.host.Network().Peers() {
		offered, err := n.host.Peerstore().SupportsProtocols(id, proto.ProtoIDv2Hop)
		if err != nil || len(offered) == 0 || told[id] {
			continue
		}
		if a := r.overQUIC(n.host.Peerstore().Addrs(id)); a != nil {
			told[id] = true
			all = append(all, a.Encapsulate(ma.StringCast("/p2p/"+id.String())))
		}
	}
	mathrand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// overQUIC is an address of a node's that may be dialled (RDV-6) by QUIC: by IPv4 if there is one, which more can reach.
func (r *Rendezvous) overQUIC(addrs []ma.Multiaddr) (best ma.Multiaddr) {
	for _, a := range addrs {
		if len(a) != 3 || a[1].Code() != ma.P_UDP || a[2].Code() != ma.P_QUIC_V1 || !r.reach.allows(a) {
			continue
		}
		if a[0].Code() == ma.P_IP4 {
			return a
		}
		best = a
	}
	return best
}
