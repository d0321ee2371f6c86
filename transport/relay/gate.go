package relay

import (
	"time"

	"github.com/huisclos/huisclos/transport/internal/halfopen"
	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
)

// halfOpen is how many connections of one address may wait for the other end to prove its key (RLY-5): by default 16, far
// below 64, for so many at once libp2p waits, up to 5 s each, to tell by their first bytes what they are. A relay behind a
// port forwarder, to which all come from one address, is told so by a greater MaxConnectionsPerAddress.
func (c Config) halfOpen() int { return max(16, c.MaxConnectionsPerAddress/8) }

// gate lets the relay dial nobody, and takes Ed25519 keys alone.
type gate struct {
	waiting *halfopen.Counter // TCP's handshakes; nil in tests alone
	quic    *halfopen.QUIC
}

func newGate(c Config) gate {
	if c.unsafe.anyHalfOpen {
		return gate{}
	}
	return gate{halfopen.New(c.halfOpen()), halfopen.NewQUIC(c.halfOpen())}
}

// quicOptions have QUIC's handshakes counted as well.
func (g gate) quicOptions() []quicreuse.Option {
	if g.quic == nil {
		return nil
	}
	return g.quic.Options()
}

func overQUIC(c network.ConnMultiaddrs) bool {
	return relayauth.Kind(c.RemoteMultiaddr()) == relayauth.KindQUIC
}

// InterceptPeerDial refuses.
func (gate) InterceptPeerDial(peer.ID) bool { return false }

// InterceptAddrDial refuses.
func (gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return false }

// InterceptAccept lets handshakes begin; their number in all is the resource manager's.
func (g gate) InterceptAccept(c network.ConnMultiaddrs) bool {
	from, ok := addrPortOf(c.RemoteMultiaddr())
	return !ok || g.waiting == nil || overQUIC(c) || g.waiting.Accept(from.Addr(), time.Now())
}

// InterceptSecured takes Ed25519 keys.
func (g gate) InterceptSecured(_ network.Direction, id peer.ID, c network.ConnMultiaddrs) bool {
	if from, ok := addrPortOf(c.RemoteMultiaddr()); ok && g.waiting != nil && overQUIC(c) {
		g.quic.Secured(from.Addr())
	} else if ok && g.waiting != nil {
		g.waiting.Secured(from.Addr())
	}
	public, err := id.ExtractPublicKey()
	return err == nil && public.Type() == crypto.Ed25519
}

// InterceptUpgraded agrees.
func (gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
