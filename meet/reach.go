package meet

import (
	"net/netip"
	"slices"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/portmap"
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
	for _, d := range i.link.Doors {
		widest = max(widest, reachOfDoor(d))
	}
	if i.lan { // a public address of a network whose outside isn't listened to
		widest = min(widest, ReachNetwork)
	}
	return widest
}

// Addresses returns the IP addresses that the link shows to whoever has it or carries it: the inviter's, those of other
// hosts and of relays.
func (i Invite) Addresses() []netip.Addr {
	var all []netip.Addr
	for _, at := range i.Reaches() {
		if ip := at.Address.Addr(); ip.IsValid() && !slices.Contains(all, ip) {
			all = append(all, ip)
		}
	}
	return all
}

// ReachBy says what makes an address of a link reachable.
type ReachBy string

// The ways.
const (
	ByInterface ReachBy = "interface" // it is the machine's own; a firewall may still stand before it
	ByRouter    ReachBy = "router"    // the user's own router was asked to let peers in there
	ByRelay     ReachBy = "relay"     // a relay passes on what comes there
)

// ReachableAt is one address of a link, and why it should work.
type ReachableAt struct {
	// Member is whose door it is.
	Member crypto.MeetingKey
	// Address is the member's, or the relay's; zero if the link has a name instead.
	Address netip.AddrPort
	// Host is the name or IP address of the member or the relay.
	Host string
	// Network is "udp" or "tcp".
	Network string
	// Reach is from where it can be reached.
	Reach Reach
	// By is what makes it so. Of a link that wasn't made here, ByRouter reads as ByInterface.
	By ReachBy
}

// Reaches returns all addresses of the link, in the order they are tried.
func (i Invite) Reaches() (all []ReachableAt) {
	for _, d := range i.link.Doors {
		for _, a := range multiaddrs(d.Addresses) {
			at := ReachableAt{Member: d.Key, Network: "udp", Reach: reachOf(a), By: ByInterface}
			if len(a) > 0 && a[0].Code() != ma.P_P2P {
				at.Host = a[0].Value()
			}
			at.Address, _ = addrPortOf(a)
			if _, err := a.ValueForProtocol(ma.P_TCP); err == nil {
				at.Network = "tcp"
			}
			switch {
			case isCircuit(a):
				at.By = ByRelay
			case slices.Contains(i.routed, at.Address):
				at.By = ByRouter
			}
			all = append(all, at)
		}
	}
	return all
}

// Router is what became of asking the user's own router to let peers in (Config.AskRouter).
type Router uint8

// The outcomes.
const (
	RouterNotAsked  = Router(portmap.NotAsked)  // or it hasn't answered yet
	RouterNone      = Router(portmap.NoRouter)  // there is none: the machine has a public address, or no network
	RouterSilent    = Router(portmap.NoAnswer)  // it doesn't answer such questions, or they are switched off there
	RouterRefused   = Router(portmap.Refused)   // it said no
	RouterDoubleNAT = Router(portmap.DoubleNAT) // it did, but is itself behind another NAT: a provider's, or a second router
	RouterMapped    = Router(portmap.Mapped)    // it lets peers in
)

// String returns the outcome in English, for logs.
func (r Router) String() string { return portmap.Outcome(r).String() }

// Router returns what became of asking the router when the link was made; RouterNotAsked for a link that wasn't made
// here.
func (i Invite) Router() Router { return i.router }

// RouterProtocol returns by which protocol the router lets peers in: "PCP", "NAT-PMP" or "UPnP"; "" where it doesn't, or
// the link wasn't made here.
func (i Invite) RouterProtocol() string { return i.asked }

// protocolOf is how a router was asked.
func protocolOf(r transport.Router) string {
	if len(r.Mappings) == 0 {
		return ""
	}
	return string(r.Mappings[0].Protocol)
}

// reachOfDoor is the widest of a door's addresses.
func reachOfDoor(d crypto.Door) Reach {
	widest := ReachNowhere
	for _, a := range multiaddrs(d.Addresses) {
		widest = max(widest, reachOf(a))
	}
	return widest
}

// reachOf returns from where an address can be reached; one through a relay, from where the relay can be.
func reachOf(a ma.Multiaddr) Reach {
	ip, ok := addressOf(a)
	if !ok && isCircuit(a) && a[0].Code() != ma.P_P2P {
		return ReachEverywhere // a relay with a name
	}
	return ReachOf(ip)
}

func isCircuit(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

func addressOf(a ma.Multiaddr) (netip.Addr, bool) {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}

// addrPortOf is the IP address and port that a multiaddr begins with.
func addrPortOf(a ma.Multiaddr) (netip.AddrPort, bool) {
	if len(a) < 2 {
		return netip.AddrPort{}, false
	}
	n, err := manet.ToNetAddr(a[:2])
	if err != nil {
		return netip.AddrPort{}, false
	}
	ap, err := netip.ParseAddrPort(n.String())
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), err == nil
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

// doorOf is a member's door: at most crypto.MaxDoorAddresses of its addresses, but not those that only other members can
// use.
func doorOf(key crypto.MeetingKey, addrs []ma.Multiaddr) crypto.Door {
	outside := slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return len(a) == 0 || a[0].Code() == ma.P_P2P })
	return crypto.Door{Key: key, Addresses: mixAddresses(outside)}
}

// doors are those of a new link: this member's own and, if that can't be reached from everywhere, those of other hosts
// that can, since whoever may admit answers for any link.
func (m *Meeting) doors() []crypto.Door {
	doors := []crypto.Door{doorOf(m.self.Key(), m.host.Addresses())}
	if reachOfDoor(doors[0]) == ReachEverywhere {
		return doors
	}
	var others []crypto.Door
	for key, r := range m.records {
		if member, p := m.roster.ByMeetingKey(key), m.peers[key]; member == nil || p == nil || p.away || !p.connected || !m.roster.MayAdmit(member.Identity()) {
			continue
		}
		if d := doorOf(key, multiaddrs(r.Addresses)); reachOfDoor(d) == ReachEverywhere {
			others = append(others, d)
		}
	}
	slices.SortFunc(others, func(a, b crypto.Door) int { return slices.Compare(a.Key[:], b.Key[:]) })
	return append(doors, others[:min(len(others), maxOtherDoors)]...)
}

// maxOtherDoors bounds how many others' addresses a link shows.
const maxOtherDoors = 2

// routed are the external addresses among a router's answer.
func routed(r transport.Router) (all []netip.AddrPort) {
	for _, m := range r.Mappings {
		all = append(all, m.External)
	}
	return all
}
