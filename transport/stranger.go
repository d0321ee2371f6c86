package transport

import (
	"context"

	ma "github.com/multiformats/go-multiaddr"
)

// strangersWaiting is how many who connected may wait to be looked at; more are passed over.
const strangersWaiting = 16

// ConnectStranger connects to a peer that is not allowed, under the rules of Connect, and offers it the door. The
// connection is closed after Config.StrangerTimeout unless the peer opens its door stream. It is for those who asked to
// be dialled (meet/SPEC.md RPL-1).
func (h *Host) ConnectStranger(ctx context.Context, key PeerKey, addrs []ma.Multiaddr) error {
	id, err := idOfKey(key)
	if err != nil {
		return err
	}
	if key == h.key {
		return ErrNoAddress
	}
	return h.libp2p.dial(ctx, id, addrs)
}

// Strangers delivers the keys of peers that are not allowed and connect to this host, from its first call on. It is for
// who waits to be dialled, and opens its door stream then, with OpenDoor and no address. It is never closed.
func (h *Host) Strangers() <-chan PeerKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.strangers == nil {
		h.strangers = make(chan PeerKey, strangersWaiting)
	}
	return h.strangers
}

// strangerLocked notes that a stranger has connected. Host.mu is held.
func (h *Host) strangerLocked(key PeerKey) {
	select {
	case h.strangers <- key: // nobody looks: nil
	default:
	}
}

// MayDial says whether any of these addresses is one that this host would dial (TRA-1): not those in other people's
// private networks.
func (h *Host) MayDial(addrs []ma.Multiaddr) bool { return len(h.filter.multiaddrs(addrs)) > 0 }
