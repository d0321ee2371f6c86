package transport

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// PathKind is a way by which bytes reach a peer.
type PathKind uint8

// The ways.
const (
	PathNone   PathKind = iota // there is none
	PathUDP                    // direct, over UDP
	PathTCP                    // direct, over TCP or WebSocket
	PathMember                 // through another member
	PathRelay                  // through a relay
)

// String returns the kind in English, for logs.
func (k PathKind) String() string {
	return [...]string{"none", "UDP", "TCP", "member", "relay"}[min(k, PathRelay)]
}

// Path is the way by which bytes reach a peer.
type Path struct {
	Kind PathKind
	Via  PeerKey // the member or relay in the middle; zero if direct
}

// Direct tells whether nobody stands between the two.
func (k PathKind) Direct() bool { return k == PathUDP || k == PathTCP }

// Path returns the way by which messages reach a peer: the best there is now. Media links have one of their own.
func (h *Host) Path(key PeerKey) Path {
	id, err := idOfKey(key)
	if err != nil {
		return Path{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pathLocked(id)
}

func (h *Host) pathLocked(id peer.ID) (best Path) {
	for _, c := range h.libp2p.swarm.ConnsToPeer(id) {
		if p := h.pathOfLocked(c); !c.IsClosed() && (best.Kind == PathNone || p.Kind < best.Kind) {
			best = p
		}
	}
	return best
}

// pathOf is the path of one connection.
func (h *Host) pathOf(c network.Conn) Path {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pathOfLocked(c)
}

func (h *Host) pathOfLocked(c network.Conn) Path {
	remote := c.RemoteMultiaddr()
	via, _, circuit := circuitOf(remote)
	if !circuit {
		if len(remote) > 1 && remote[1].Code() == ma.P_TCP {
			return Path{Kind: PathTCP}
		}
		return Path{Kind: PathUDP}
	}
	key, _ := keyOfID(via)
	if p := h.peers[via]; p != nil && p.allowed {
		return Path{PathMember, key}
	}
	return Path{PathRelay, key}
}

// tellPathLocked reports the path to a member if it is another one now. Host.mu is held.
func (h *Host) tellPathLocked(p *peerState) {
	path := h.pathLocked(p.id)
	if path == p.path || !p.allowed || h.closed {
		return
	}
	p.path = path
	h.events.post(PathChanged{p.key, path})
}
