package transport

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// MaxAddresses is how many addresses of one peer are looked at; the rest is ignored.
// Without a limit, one member could make every other one send to any list of hosts.
const MaxAddresses = 8

// addressFilter decides where this host may send (meet/SPEC.md TRA-1). An address comes from
// another member, so it could be the router's or the printer's.
type addressFilter struct {
	network  Network
	loopback bool // we listen on loopback ourselves
	lan      bool // nothing beyond the own subnets (MOD-2)
	any      bool // tests only
	hide     bool // nobody but the relays (MOD-3)

	generation atomic.Uint32 // of what decides: verdicts of an older one are void

	mu      sync.Mutex
	relayed map[netip.Addr]bool
	own     []netip.Prefix
	until   time.Time
}

// ownPrefixes returns the interface addresses, at most prefixInterval old.
func (f *addressFilter) ownPrefixes() []netip.Prefix {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.After(f.until) {
		f.refreshLocked(now)
	}
	return f.own
}

// isOwn says whether ip is an interface's.
func (f *addressFilter) isOwn(ip netip.Addr) bool {
	return slices.ContainsFunc(f.ownPrefixes(), func(p netip.Prefix) bool { return p.Addr() == ip })
}

// refresh looks at the interfaces and tells whether their addresses have changed.
func (f *addressFilter) refresh() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.own
	f.refreshLocked(time.Now())
	return before != nil && !slices.Equal(before, f.own)
}

func (f *addressFilter) refreshLocked(now time.Time) {
	if own, err := f.network.Addresses(); err == nil && !slices.Equal(own, f.own) {
		f.own = own
		f.generation.Add(1)
	}
	f.until = now.Add(prefixInterval)
}

// onSubnet tells whether ip is a neighbour's address or our own: on a subnet of ours, and
// not the one that means everybody there.
func (f *addressFilter) onSubnet(ip netip.Addr) bool {
	return slices.ContainsFunc(f.ownPrefixes(), func(p netip.Prefix) bool { return p.Contains(ip) && !broadcast(p, ip) })
}

// broadcast tells whether ip is the broadcast address of an IPv4 subnet.
func broadcast(p netip.Prefix, ip netip.Addr) bool {
	if !ip.Is4() || p.Bits() > 30 {
		return false
	}
	b := ip.As4()
	host := uint32(1)<<(32-p.Bits()) - 1
	return binary.BigEndian.Uint32(b[:])&host == host
}

var (
	carrierNAT   = netip.MustParsePrefix("100.64.0.0/10")
	neverPrefix4 = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("240.0.0.0/4"), // includes limited broadcast
	}
	// IPv6 addresses that carry an IPv4 address: judged by what they carry, or refused.
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
	embed64 = []netip.Prefix{
		netip.MustParsePrefix("::/96"),          // IPv4-compatible, deprecated
		netip.MustParsePrefix("2001::/32"),      // Teredo
		netip.MustParsePrefix("2002::/16"),      // 6to4
		netip.MustParsePrefix("fec0::/10"),      // site-local, deprecated
		netip.MustParsePrefix("64:ff9b:1::/48"), // local NAT64
	}
)

// allow tells whether this host may send a datagram to ip.
func (f *addressFilter) allow(ip netip.Addr) bool {
	ip = ip.Unmap()
	if f.hide && !f.relay(ip) {
		return false
	}
	switch {
	case f.any:
		return true
	case !ip.IsValid(), ip.Zone() != "", ip.IsUnspecified(), ip.IsMulticast():
		return false
	case ip.IsLoopback():
		return f.loopback
	case f.lan:
		// Also addresses that machines gave themselves where nobody gives any (RFC 3927): a
		// cable between two of them. IPv6's link-local ones need a zone.
		return f.onSubnet(ip) && !(ip.Is6() && ip.IsLinkLocalUnicast())
	case ip.IsLinkLocalUnicast():
		return false
	}
	if ip.Is4() {
		for _, p := range neverPrefix4 {
			if p.Contains(ip) {
				return false
			}
		}
		if carrierNAT.Contains(ip) { // carrier NAT, and overlay networks with /32 interfaces
			return slices.ContainsFunc(f.ownPrefixes(), func(p netip.Prefix) bool { return carrierNAT.Contains(p.Addr()) })
		}
	} else {
		if nat64.Contains(ip) {
			b := ip.As16()
			return f.allow(netip.AddrFrom4([4]byte(b[12:])))
		}
		for _, p := range embed64 {
			if p.Contains(ip) {
				return false
			}
		}
	}
	if ip.IsPrivate() {
		return f.onSubnet(ip)
	}
	return true
}

// multiaddrs keeps what may be dialled: plain IP addresses with QUIC or TCP, never a
// name (a name would be a question to a third party), at most MaxAddresses.
func (f *addressFilter) multiaddrs(addrs []ma.Multiaddr) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, a := range addrs {
		if len(out) == MaxAddresses {
			break
		}
		if f.dialable(a) && !slices.ContainsFunc(out, a.Equal) {
			out = append(out, a)
		}
	}
	return out
}

func (f *addressFilter) dialable(a ma.Multiaddr) bool {
	if len(a) != 2 && len(a) != 3 {
		return false
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return false
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || !f.allow(addr) {
		return false
	}
	switch a[1].Code() {
	case ma.P_UDP:
		return len(a) == 3 && a[2].Code() == ma.P_QUIC_V1
	case ma.P_TCP:
		return len(a) == 2
	}
	return false
}

// dialableRelay is dialable for a relay, which may also be dialled by WebSocket.
func (f *addressFilter) dialableRelay(a ma.Multiaddr) bool {
	return f.dialable(a) || isWebSocket(a) && f.dialable(firstTwo(a))
}

// reachable lists the addresses others may find us at on the given socket address:
// the socket's own, or every interface's if it listens on all of them. Public first.
func (f *addressFilter) reachable(bound netip.AddrPort) []netip.AddrPort {
	if f.hide {
		return nil
	}
	if !bound.Addr().IsUnspecified() {
		return []netip.AddrPort{bound}
	}
	var out []netip.AddrPort
	for _, p := range f.ownPrefixes() {
		ip := p.Addr()
		if ip.Is4() != bound.Addr().Is4() || ip.IsLoopback() || !f.allow(ip) {
			continue
		}
		out = append(out, netip.AddrPortFrom(ip, bound.Port()))
	}
	if f.lan && slices.ContainsFunc(out, private) { // what names us outside isn't needed inside
		out = slices.DeleteFunc(out, func(a netip.AddrPort) bool { return !private(a) })
	}
	slices.SortStableFunc(out, func(a, b netip.AddrPort) int { return cmp.Compare(addressRank(a.Addr()), addressRank(b.Addr())) })
	return out
}

// private tells whether an address means nothing outside its network.
func private(a netip.AddrPort) bool {
	return a.Addr().IsPrivate() || a.Addr().IsLinkLocalUnicast() || carrierNAT.Contains(a.Addr())
}

func addressRank(ip netip.Addr) int {
	switch {
	case ip.IsLoopback():
		return 3
	case ip.IsPrivate(), carrierNAT.Contains(ip):
		return 2
	case ip.Is4():
		return 1
	}
	return 0
}

// firstTwo is the IP and port of a multiaddr.
func firstTwo(a ma.Multiaddr) ma.Multiaddr {
	if len(a) < 2 {
		return nil
	}
	return a[:2]
}

// addrPortOf reads the IP address and port that a multiaddr begins with.
func addrPortOf(a ma.Multiaddr) (netip.AddrPort, bool) {
	if len(a) < 2 { // of none, manet would panic
		return netip.AddrPort{}, false
	}
	n, err := manet.ToNetAddr(a[:2])
	if err != nil {
		return netip.AddrPort{}, false
	}
	ap, err := netip.ParseAddrPort(n.String())
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
}
