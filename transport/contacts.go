package transport

import (
	"cmp"
	"maps"
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

// What Contacts and Circuits remember. Whoever connects takes up room, and keys are free: so strangers can't crowd out
// members and relays, nor one peer another (EXP-4).
const (
	maxContactStrangers  = 1024
	maxContactKnown      = 4096
	maxContactsOfPeer    = 64
	maxRememberedMiddles = 4096
	maxRememberedLimited = 1024 // of these: nodes that lie come and go
	maxProxyUses         = 64
)

// contacts remembers, until the host is closed, to whom packets went, so that its owner can tell the user.
type contacts struct {
	mu        sync.Mutex
	all       map[PeerKey]map[netip.Addr]struct{}
	known     map[PeerKey]bool // members and relays, also those of before
	strangers int              // of all, those that aren't known
	middles   map[PeerKey]CircuitUse
	limited   int                   // of middles, at first
	proxies   map[ProxyUse]ProxyUse // by name and address
	oneCrowd  bool                  // in tests: strangers take the place of members
}

// ProxyUse is a proxy that was tried, on the way to a relay, at one of its addresses, whether or not it answered: it could
// observe that. What it could observe besides, each implying what stands before:
type ProxyUse struct {
	// Name is its host and port as Config.Proxy names it, without user and password.
	Name string
	// Address is where it was.
	Address netip.Addr
	// Asked: it was told the relay's address.
	Asked bool
	// Carried: there was a WebSocket through it.
	Carried bool
	// Open: what was sent through it is libp2p's, to be seen (WebSocket without TLS); encrypted within.
	Open bool
}

// know makes room for a member or relay.
func (c *contacts) know(key PeerKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[key] || len(c.known) == maxContactKnown {
		return
	}
	if c.known == nil {
		c.known = make(map[PeerKey]bool)
	}
	c.known[key] = true
	if c.all[key] != nil {
		c.strangers--
	}
}

func (c *contacts) note(key PeerKey, addr netip.Addr) {
	if !addr.IsValid() || addr.IsUnspecified() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[PeerKey]map[netip.Addr]struct{})
	}
	of := c.all[key]
	if of == nil {
		if !c.known[key] || c.oneCrowd {
			if c.strangers == maxContactStrangers {
				return
			}
			c.strangers++
		}
		of = make(map[netip.Addr]struct{})
		c.all[key] = of
	}
	if len(of) < maxContactsOfPeer {
		of[addr.Unmap()] = struct{}{}
	}
}

// noteMiddle notes a peer that was asked for a circuit, or carried one.
func (c *contacts) noteMiddle(id peer.ID, carried bool) { c.noteUse(id, CircuitUse{Carried: carried}) }

// noteLimited notes one that was asked for a circuit for signals, or carried one.
func (c *contacts) noteLimited(id peer.ID, carried bool) {
	c.noteUse(id, CircuitUse{Carried: carried, Limited: true})
}

func (c *contacts) noteUse(id peer.ID, u CircuitUse) {
	u.Via, _ = keyOfID(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.middles == nil {
		c.middles = make(map[PeerKey]CircuitUse)
	}
	if before, known := c.middles[u.Via]; known {
		c.middles[u.Via] = CircuitUse{u.Via, u.Carried || before.Carried, u.Limited && before.Limited}
	} else if len(c.middles) < maxRememberedMiddles && (!u.Limited || c.limited < maxRememberedLimited) {
		c.middles[u.Via] = u
		if u.Limited {
			c.limited++
		}
	}
}

// noteProxy notes how far a proxy was used: from the first packet to it on it knows who asks, whatever comes of it.
func (c *contacts) noteProxy(u ProxyUse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proxies == nil {
		c.proxies = make(map[ProxyUse]ProxyUse)
	}
	key := ProxyUse{Name: u.Name, Address: u.Address}
	before, known := c.proxies[key]
	if known || len(c.proxies) < maxProxyUses {
		u.Asked, u.Carried, u.Open = u.Asked || before.Asked, u.Carried || before.Carried, u.Open || before.Open
		c.proxies[key] = u
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
		if ap, ok := addrPortOf(a); ok {
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
	for key, of := range h.contacts.all {
		for addr := range of {
			all = append(all, Contact{key, addr})
		}
	}
	slices.SortFunc(all, func(a, b Contact) int {
		return cmp.Or(slices.Compare(a.Peer[:], b.Peer[:]), a.Address.Compare(b.Address))
	})
	return all
}

// Proxies returns every proxy that was tried, from the beginning on, whatever came of it; sorted by name,
// then by address.
func (h *Host) Proxies() []ProxyUse {
	h.contacts.mu.Lock()
	defer h.contacts.mu.Unlock()
	all := slices.Collect(maps.Values(h.contacts.proxies))
	slices.SortFunc(all, func(a, b ProxyUse) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Address.Compare(b.Address)) })
	return all
}

// CircuitUse is how far a relay, or a member in the middle, was used.
type CircuitUse struct {
	Via     PeerKey
	Carried bool // a circuit of this host's was open through it
	Limited bool // and for signals alone: it is a limited relay
}

// Circuits returns every peer that a circuit of this host's went through, and every relay that was asked for one or for
// a reservation, from the beginning on, whatever came of it; sorted.
func (h *Host) Circuits() []CircuitUse {
	h.contacts.mu.Lock()
	defer h.contacts.mu.Unlock()
	all := make([]CircuitUse, 0, len(h.contacts.middles))
	for _, u := range h.contacts.middles {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b CircuitUse) int { return slices.Compare(a.Via[:], b.Via[:]) })
	return all
}
