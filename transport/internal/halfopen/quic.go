package halfopen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/quic-go/quic-go"
)

// unproven is how many QUIC handshakes of one address may be under way before whoever begins another has to prove, by
// QUIC's Retry, that the address is its own. So nobody takes another's places by sending in its name.
const unproven = 16

var errTooMany = errors.New("halfopen: too many handshakes of one address are under way")

// QUIC counts QUIC handshakes, of which libp2p itself learns nothing before they end.
type QUIC struct{ unproven, proven *Counter }

// NewQUIC returns a counter that lets so many handshakes of one address be under way.
func NewQUIC(limit int) *QUIC { return &QUIC{New(min(unproven, limit)), New(limit)} }

// Options have libp2p's QUIC ask.
func (q *QUIC) Options() []quicreuse.Option {
	return []quicreuse.Option{
		quicreuse.VerifySourceAddress(func(a net.Addr) bool { return !q.unproven.Accept(addressOf(a), time.Now()) }),
		quicreuse.ConnContext(func(ctx context.Context, c *quic.ClientInfo) (context.Context, error) {
			if c.AddrVerified && !q.proven.Accept(addressOf(c.RemoteAddr), time.Now()) {
				return nil, errTooMany
			}
			return ctx, nil
		}),
	}
}

// Secured says that one of an address's handshakes has ended well.
func (q *QUIC) Secured(from netip.Addr) {
	q.unproven.Secured(from)
	q.proven.Secured(from)
}

func addressOf(a net.Addr) netip.Addr {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Addr()
	}
	return netip.Addr{}
}
