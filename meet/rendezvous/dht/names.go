package dht

import (
	"context"
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
)

// names looks up those names alone that the user gave for a node (RDV-6). What nodes say others, or they themselves, are
// called isn't looked up: it would be a question to name servers, and to whoever the name belongs to.
type names struct {
	given  []string
	any    bool // tests only
	system swarm.ResolverFromMaDNS
}

var _ network.MultiaddrDNSResolver = (*names)(nil)

func (r *Rendezvous) names() *names {
	n := &names{any: r.anyName, system: swarm.ResolverFromMaDNS{Resolver: madns.DefaultResolver}}
	for _, info := range r.nodes {
		for _, a := range info.Addrs {
			if name, ok := nameIn(a); ok {
				n.given = append(n.given, name)
			}
		}
	}
	return n
}

// nameIn is the name that an address begins with.
func nameIn(a ma.Multiaddr) (string, bool) {
	if len(a) == 0 {
		return "", false
	}
	switch a[0].Code() {
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return a[0].Value(), true
	}
	return "", false
}

func (n *names) gave(a ma.Multiaddr) bool {
	name, ok := nameIn(a)
	return n.any || ok && slices.Contains(n.given, name)
}

// ResolveDNSAddr looks up a name that leads to addresses, and the names it leads to.
func (n *names) ResolveDNSAddr(ctx context.Context, id peer.ID, a ma.Multiaddr, recursion, limit int) ([]ma.Multiaddr, error) {
	if !n.gave(a) {
		return nil, nil
	}
	return n.system.ResolveDNSAddr(ctx, id, a, recursion, limit)
}

// ResolveDNSComponent looks up a name of a machine.
func (n *names) ResolveDNSComponent(ctx context.Context, a ma.Multiaddr, limit int) ([]ma.Multiaddr, error) {
	if !n.gave(a) {
		return nil, nil
	}
	return n.system.ResolveDNSComponent(ctx, a, limit)
}
