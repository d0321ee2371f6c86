package transport

import (
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// WithPeer returns an address that also says whose it is: it ends in /p2p/ and the peer's ID. The
// error reports a key that is none.
func WithPeer(addr ma.Multiaddr, key PeerKey) (ma.Multiaddr, error) {
	id, err := idOfKey(key)
	if err != nil {
		return nil, err
	}
	c, err := ma.NewComponent("p2p", id.String())
	if err != nil {
		return nil, err
	}
	return addr.Encapsulate(c.Multiaddr()), nil
}

// SplitPeer is the inverse of WithPeer. ok is false for an address that doesn't say whose it is,
// which is returned as it is, and for one of a peer that has no Ed25519 key: no peer of ours.
func SplitPeer(addr ma.Multiaddr) (rest ma.Multiaddr, key PeerKey, ok bool) {
	if len(addr) == 0 || addr[len(addr)-1].Code() != ma.P_P2P {
		return addr, PeerKey{}, false
	}
	id, err := peer.IDFromBytes(addr[len(addr)-1].RawValue())
	if err != nil {
		return addr, PeerKey{}, false
	}
	key, ok = keyOfID(id)
	return addr[:len(addr)-1], key, ok
}
