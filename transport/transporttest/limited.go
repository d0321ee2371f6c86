package transporttest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

// Node starts a libp2p host on a public machine of the world, over QUIC: with identify, and with libp2p's relay service
// under its usual limits if o says so (libp2p.EnableRelayService), such as the public network has. Its one address, which
// ends in /p2p/ and its ID, is returned with it. Close it before the world.
func Node(network *Host, key ed25519.PrivateKey, o ...libp2p.Option) (host.Host, ma.Multiaddr, error) {
	private, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("transporttest: key of a node: %w", err)
	}
	listen := func(_ string, addr *net.UDPAddr) (net.PacketConn, error) {
		ap := addr.AddrPort()
		return network.ListenUDP(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
	}
	var managers []*quicreuse.ConnManager // which libp2p doesn't close
	manage := func(reset quicgo.StatelessResetKey, token quicgo.TokenGeneratorKey, o ...quicreuse.Option) (*quicreuse.ConnManager, error) {
		m, err := quicreuse.NewConnManager(reset, token, o...)
		if err == nil {
			managers = append(managers, m)
		}
		return m, err
	}
	at := ma.StringCast(fmt.Sprintf("/ip4/%v/udp/4001/quic-v1", network.public))
	h, err := libp2p.New(slices.Concat([]libp2p.Option{libp2p.Identity(private), libp2p.ListenAddrs(at),
		libp2p.Transport(quic.NewTransport), libp2p.QUICReuse(manage, quicreuse.OverrideListenUDP(listen)),
		libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery(), libp2p.ForceReachabilityPublic()}, o)...)
	if err != nil {
		return nil, nil, fmt.Errorf("transporttest: a node: %w", err)
	}
	return &node{h, managers}, at.Encapsulate(ma.StringCast("/p2p/" + h.ID().String())), nil
}

// node is a host whose Close ends all that it began.
type node struct {
	host.Host
	managers []*quicreuse.ConnManager
}

// Close ends the host.
func (n *node) Close() error {
	errs := []error{n.Host.Close()}
	for _, m := range n.managers {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Offer is a search for limited relays that finds these nodes (transport.Host.HoldLimited).
func Offer(all ...ma.Multiaddr) func(context.Context) <-chan ma.Multiaddr {
	return func(ctx context.Context) <-chan ma.Multiaddr {
		found := make(chan ma.Multiaddr)
		go func() {
			defer close(found)
			for _, a := range all {
				select {
				case found <- a:
				case <-ctx.Done():
					return
				}
			}
		}()
		return found
	}
}
