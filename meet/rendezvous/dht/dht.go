package dht

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// PublicPrefix is the protocol prefix of the public libp2p network.
const PublicPrefix = "/ipfs"

// publicNodes are the first nodes of the public network, which is run by others: their operators see who asks.
var publicNodes = []string{
	"/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
	"/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
	"/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvqUcqanj75Nb",
	"/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
	"/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ",
}

// PublicNodes returns the first nodes of the public network, for Options.Bootstrap beside PublicPrefix. Using them is
// the user's choice by name, never a default.
func PublicNodes() []string { return slices.Clone(publicNodes) }

// Options say which DHT to use. Both are required.
type Options struct {
	// Bootstrap are the nodes to begin with, as multiaddrs that end in /p2p/ and their ID: at most 32.
	Bootstrap []string
	// Prefix is the DHT's protocol prefix, such as "/cabinet-dupont"; all nodes of one DHT have the same. PublicPrefix
	// is the public network's.
	Prefix string
}

// Times of an announcement and a search.
const (
	maxBootstrap = 32
	joinWait     = 20 * time.Second // to reach the first node
	joinPoll     = 50 * time.Millisecond
	provideWait  = 2 * time.Minute
	provideAgain = 20 * time.Minute // nodes come and go
	// searchFirst is between the first two searches; then it is twice as long each time, up to searchLast. Who has a link
	// in the moment in which it is made needn't wait for long; what nodes are asked is three searches more.
	searchFirst = 300 * time.Millisecond
	searchLast  = 3 * time.Second
)

// ErrUnreachable reports that none of the DHT's first nodes answered.
var ErrUnreachable = errors.New("dht: none of the nodes named answers: check their addresses, and your connection")

// Rendezvous is a DHT. It is a meet.Rendezvous.
type Rendezvous struct {
	prefix  protocol.ID
	nodes   []peer.AddrInfo
	wait    time.Duration
	anyName bool // tests only: names that nodes say are looked up, too
	reach   gate
}

// New checks the options; no packet is sent before it is used. The error says which option is wrong.
func New(o Options) (*Rendezvous, error) {
	if !strings.HasPrefix(o.Prefix, "/") || len(o.Prefix) < 2 || len(o.Prefix) > 64 {
		return nil, fmt.Errorf("dht: the prefix %q must begin with a slash and have at most 64 bytes", o.Prefix)
	}
	if len(o.Bootstrap) == 0 || len(o.Bootstrap) > maxBootstrap {
		return nil, fmt.Errorf("dht: name 1 to %d nodes to begin with", maxBootstrap)
	}
	r := &Rendezvous{prefix: protocol.ID(o.Prefix), wait: joinWait}
	for _, text := range o.Bootstrap {
		info, err := peer.AddrInfoFromString(text)
		if err != nil || len(info.Addrs) == 0 {
			return nil, fmt.Errorf("dht: %q is not an address of a node: it must be a multiaddr that ends in /p2p/ and the node's ID", text)
		}
		r.nodes = append(r.nodes, *info)
		r.reach.named(info.Addrs)
	}
	return r, nil
}

// node is a client of the DHT under a key of its own.
type node struct {
	host host.Host
	dht  *kad.IpfsDHT
}

// join starts a client that says these are its addresses, and waits until it knows a node.
func (r *Rendezvous) join(ctx context.Context, record []ma.Multiaddr) (_ *node, err error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	n := &node{}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	n.host, err = libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.Transport(quic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.Ping(false),
		libp2p.UserAgent("libp2p"), libp2p.MultiaddrResolver(r.names()), libp2p.DisableIdentifyAddressDiscovery(), libp2p.ConnectionGater(r.reach),
		libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return record }))
	if err != nil {
		return nil, fmt.Errorf("dht: %w", err)
	}
	n.dht, err = kad.New(n.host, kad.Mode(kad.ModeClient), kad.ProtocolPrefix(r.prefix), kad.BootstrapPeers(r.nodes...),
		kad.AddressFilter(func(a []ma.Multiaddr) []ma.Multiaddr { return a }))
	if err != nil {
		return nil, fmt.Errorf("dht: %w", err)
	}
	if err := n.dht.Bootstrap(ctx); err != nil {
		return nil, fmt.Errorf("dht: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.wait)
	defer cancel()
	for n.dht.RoutingTable().Size() == 0 {
		select {
		case <-time.After(joinPoll):
		case <-ctx.Done():
			return nil, ErrUnreachable
		}
	}
	return n, nil
}

func (n *node) close() {
	if n.dht != nil {
		_ = n.dht.Close()
	}
	if n.host != nil {
		_ = n.host.Close()
	}
}

// Announce puts the sealed addresses under the topic's key, and again now and then, until ctx is done. The errors are
// ErrUnreachable and the DHT's.
func (r *Rendezvous) Announce(ctx context.Context, topic [32]byte, addrs []ma.Multiaddr) error {
	s := newSubject(topic)
	key, err := s.cid()
	if err != nil {
		return err
	}
	record, err := s.record(addrs)
	if err != nil {
		return err
	}
	n, err := r.join(ctx, record)
	if err != nil {
		return err
	}
	defer n.close()
	for {
		if err := n.provide(ctx, key); err != nil {
			return err
		}
		select {
		case <-time.After(provideAgain):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Find searches again and again until ctx is done. What was announced by others than who has the link is left out.
func (r *Rendezvous) Find(ctx context.Context, topic [32]byte) <-chan []ma.Multiaddr {
	found := make(chan []ma.Multiaddr)
	go func() {
		defer close(found)
		s := newSubject(topic)
		repeat(ctx, func() { r.search(ctx, s, found) })
	}()
	return found
}

// repeat searches with pauses, until ctx is done.
func repeat(ctx context.Context, search func()) {
	for pause := searchFirst; ctx.Err() == nil; pause = min(2*pause, searchLast) {
		search()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// gate has the node dial nodes alone: not what they say is at private addresses, unless a node that the user named is at
// one, nor at this machine, unless one is there; never relays; and nobody dial it (RDV-6).
type gate struct {
	private, loopback bool
	dialled           func(ma.Multiaddr) // tests only: what is let pass
}

// named takes note of where a node is that the user named.
func (g *gate) named(addrs []ma.Multiaddr) {
	for _, a := range addrs {
		if ip, err := manet.ToIP(a); err == nil {
			g.private = g.private || !manet.IsPublicAddr(a)
			g.loopback = g.loopback || ip.IsLoopback()
		}
	}
}

func (gate) InterceptPeerDial(peer.ID) bool { return true }

func (g gate) InterceptAddrDial(_ peer.ID, a ma.Multiaddr) bool {
	allowed := g.allows(a)
	if allowed && g.dialled != nil {
		g.dialled(a)
	}
	return allowed
}

func (g gate) allows(a ma.Multiaddr) bool {
	if _, err := a.ValueForProtocol(ma.P_CIRCUIT); err == nil {
		return false
	}
	ip, err := manet.ToIP(a)
	switch {
	case err != nil, ip.IsUnspecified(), ip.IsMulticast(), ip.IsLinkLocalUnicast(), ip.Equal(net.IPv4bcast):
		return false
	case ip.IsLoopback():
		return g.loopback
	}
	return g.private || manet.IsPublicAddr(a)
}

func (gate) InterceptAccept(network.ConnMultiaddrs) bool { return false }

func (gate) InterceptSecured(network.Direction, peer.ID, network.ConnMultiaddrs) bool { return true }

func (gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
