package meet

import (
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Reach says from where a link can be reached, as far as its addresses tell: routers and firewalls on the way can narrow
// it.
type Reach uint8

// The reaches, the narrowest first.
const (
	ReachNowhere    Reach = iota // the link names no address
	ReachMachine                 // from programs on the inviter's machine alone
	ReachNetwork                 // from the inviter's own network: the office, the Wi-Fi, a VPN
	ReachEverywhere              // from anywhere
)

// String returns the reach in English, for logs.
func (r Reach) String() string {
	return [...]string{"nowhere", "machine", "network", "everywhere"}[min(r, ReachEverywhere)]
}

// Reach returns from where the link can be reached: the widest of its addresses.
func (i Invite) Reach() Reach {
	widest := ReachNowhere
	for _, a := range i.Addresses() {
		widest = max(widest, ReachOf(a))
	}
	if i.lan { // a public address of a network whose outside isn't listened to
		widest = min(widest, ReachNetwork)
	}
	return widest
}

// Addresses returns the inviter's IP addresses that the link shows to whoever has it or carries it.
func (i Invite) Addresses() []netip.Addr {
	var all []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, door := range i.link.Doors {
		for _, a := range multiaddrs(door.Addresses) {
			if ip, ok := addressOf(a); ok && !seen[ip] {
				seen[ip] = true
				all = append(all, ip)
			}
		}
	}
	return all
}

func addressOf(a ma.Multiaddr) (netip.Addr, bool) {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}

// carrierNAT is shared address space (RFC 6598): behind the provider's NAT, reachable from its own network at most.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// ReachOf returns from where an address can be reached.
func ReachOf(a netip.Addr) Reach {
	switch a = a.Unmap(); {
	case !a.IsValid(), a.IsUnspecified():
		return ReachNowhere
	case a.IsLoopback():
		return ReachMachine
	case a.IsPrivate(), a.IsLinkLocalUnicast(), carrierNAT.Contains(a):
		return ReachNetwork
	default:
		return ReachEverywhere
	}
}
