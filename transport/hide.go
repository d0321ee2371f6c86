package transport

import (
	"errors"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// A host that hides its address (Config.RelayOnly) sends packets to its relays and to nobody else, so no peer can see
// where it is: not from a connection, a candidate, a check, or what others observed. The relays see it.
//
//	hidden host ══ its relay ══ anybody        everything else: refused by the choke, the dials, the gate, and not said
//
// What it protects against is members; against a relay that tells them there is no protection.

// Errors of a host that hides its address.
var (
	// ErrNoRelay reports Config.RelayOnly without Config.Relays.
	ErrNoRelay = errors.New("transport: hiding the address needs a relay: name one")
	// ErrRelayOnly reports a media link: it would show the address. Media goes over streams.
	ErrRelayOnly = errors.New("transport: this host hides its address and makes no media link")
)

// hidden tells whether this host hides its address (MOD-3).
func (h *Host) hidden() bool { return h.config.RelayOnly && !h.config.unsafe.showAddress }

// setRelayed lets datagrams and dials pass to these relays alone. Nil: there is none.
func (f *addressFilter) setRelayed(at map[netip.Addr]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.relayed = at
	f.generation.Add(1)
}

// relay tells whether an address is one of our relays'.
func (f *addressFilter) relay(ip netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.relayed[ip]
}

// hideBehindLocked has the filter follow the relays. Host.mu is held.
func (h *Host) hideBehindLocked() {
	if !h.hidden() {
		return
	}
	at := map[netip.Addr]bool{}
	for _, c := range h.relays {
		for _, a := range c.addrs {
			if ap, ok := addrPortOf(a); ok {
				at[ap.Addr()] = true
			}
		}
	}
	h.filter.setRelayed(at)
	h.filter.generation.Add(1)
}

// mayDial tells whether a hidden host may dial an address of a peer: its relays at their own addresses, others by
// circuits through its relays alone.
func (h *Host) mayDial(id peer.ID, a ma.Multiaddr) bool {
	if !h.hidden() {
		return true
	}
	if via, _, ok := circuitOf(a); ok {
		return h.isRelay(via)
	}
	return h.isRelay(id)
}
