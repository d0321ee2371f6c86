package transport

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// PathKind is the kind of way by which bytes travel between two members.
type PathKind uint8

// The kinds of path.
const (
	PathNone   PathKind = iota // there is no path now
	PathUDP                    // direct, over UDP
	PathTCP                    // direct, over TCP (or WebSocket)
	PathMember                 // through another member
	PathRelay                  // through a relay that the user named
)

// String is the kind's name in English, for logs and statistics.
func (k PathKind) String() string {
	switch k {
	case PathNone:
		return "none"
	case PathUDP:
		return "UDP"
	case PathTCP:
		return "TCP"
	case PathMember:
		return "member"
	case PathRelay:
		return "relay"
	}
	return fmt.Sprintf("path %d", uint8(k))
}

// Direct tells whether nobody stands between the two.
func (k PathKind) Direct() bool { return k == PathUDP || k == PathTCP }

// Path is a way by which bytes travel between two members.
type Path struct {
	Kind PathKind
	Via  PeerKey // who is between, for PathMember and PathRelay
}

// pathOf is the path of a connection whose far end has this address.
func (h *Host) pathOf(addr ma.Multiaddr) Path {
	var via PeerKey
	kind := PathNone
	for _, c := range addr {
		switch c.Code() {
		case ma.P_UDP:
			kind = PathUDP
		case ma.P_TCP:
			kind = PathTCP
		case ma.P_P2P:
			if id, err := peer.IDFromBytes(c.RawValue()); err == nil {
				via, _ = keyOfID(id)
			}
		case ma.P_CIRCUIT: // what came before says how to reach who is between
			if h.Allowed(via) {
				return Path{PathMember, via}
			}
			return Path{PathRelay, via}
		}
	}
	return Path{Kind: kind}
}
