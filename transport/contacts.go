package transport

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Contact is an address that packets were sent to, or came from, and whose it was said to be.
type Contact struct {
	// Peer is whose address it is, as the one who told it said.
	Peer PeerKey
	// Address is where packets went.
	Address netip.Addr
}

// maxContacts bounds what Contacts remembers: eight addresses of each of 1,024 peers.
const maxContacts = 1024 * MaxAddresses

// contacts remembers, until the host is closed, to whom packets went, so that its owner can tell the user.
type contacts struct {
	mu  sync.Mutex
	all map[Contact]struct{}
}

func (c *contacts) note(key PeerKey, addr netip.Addr) {
	if !addr.IsValid() || addr.IsUnspecified() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[Contact]struct{})
	}
	if len(c.all) < maxContacts {
		c.all[Contact{key, addr.Unmap()}] = struct{}{}
	}
}

// noteDial notes the addresses a peer is about to be dialled at, or was connected from; not those of circuits, whose
// packets go to the relay.
func (c *contacts) noteDial(id peer.ID, addrs ...ma.Multiaddr) {
	key, _ := keyOfID(id)
	for _, a := range addrs {
		if _, err := a.ValueForProtocol(ma.P_CIRCUIT); err == nil {
			continue
		}
		if ap, ok := addrPortOf(firstTwo(a)); ok {
			c.note(key, ap.Addr())
		}
	}
}

// Contacts returns every address that packets were sent to or came from on behalf of a peer, from the beginning on,
// also of peers that are gone; sorted. Strangers at the door are among them.
func (h *Host) Contacts() []Contact {
	h.contacts.mu.Lock()
	defer h.contacts.mu.Unlock()
	all := make([]Contact, 0, len(h.contacts.all))
	for c := range h.contacts.all {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Contact) int {
		return cmp.Or(slices.Compare(a.Peer[:], b.Peer[:]), a.Address.Compare(b.Address))
	})
	return all
}
