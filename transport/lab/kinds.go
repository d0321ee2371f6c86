package main

import (
	"fmt"
	"net/netip"
	"time"
)

// kind is a kind of network that a member may sit in.
type kind string

// The kinds of networks.
const (
	kindPublic     kind = "public"          // an address of its own, IPv4 and IPv6, no firewall
	kindFullCone   kind = "full cone"       // NAT: endpoint-independent mapping and filtering
	kindRestricted kind = "port-restricted" // NAT: endpoint-independent mapping, address-and-port-dependent filtering
	kindSymmetric  kind = "symmetric"       // NAT: address-and-port-dependent mapping and filtering
	kindDouble     kind = "carrier NAT"     // a port-restricted NAT at home behind another one of the provider
	kindMapped     kind = "UPnP router"     // port-restricted, with PCP, NAT-PMP and UPnP for who asks
	kindIPv6       kind = "IPv6 firewall"   // IPv6 only; a stateful firewall, with PCP for who asks
	kindNoUDP      kind = "no UDP"          // port-restricted, and UDP is dropped
	kindOnly443    kind = "only TCP 443"    // nothing gets out but TCP to port 443
	kindProxy      kind = "HTTP proxy"      // nothing gets out but by CONNECT to port 443 through a proxy
)

// Of these no pair needs any.
const (
	kindLAN    kind = "LAN"           // leads nowhere: a courtroom's network
	kindUPnP   kind = "UPnP alone"    // as kindMapped, but the router speaks neither PCP nor NAT-PMP
	kindNATPMP kind = "NAT-PMP alone" // as kindMapped, but the router speaks neither PCP nor UPnP
)

// asked is the protocol by which a network's router is expected to be asked to let others in, of those that it speaks.
func (k kind) asked() string {
	switch k {
	case kindMapped, kindIPv6:
		return "PCP"
	case kindUPnP:
		return "UPnP"
	case kindNATPMP:
		return "NAT-PMP"
	}
	return ""
}

// kinds is the order of the matrix.
var kinds = []kind{
	kindPublic, kindFullCone, kindRestricted, kindSymmetric, kindDouble, kindMapped, kindIPv6, kindNoUDP, kindOnly443, kindProxy,
}

// path is a way that media may go, the best first.
type path int

const (
	pathUDP path = iota + 1
	pathTCP
	pathBridge // through another member
	pathRelay
	pathNone
)

func (p path) String() string {
	if p == 0 {
		return "?"
	}
	return [...]string{"?", "UDP", "TCP", "member", "relay", "none"}[p]
}

// The limits of the acceptance. Those beside a bridge count from when it is open.
const (
	directWithin  = time.Second     // after the path through a member is open
	blockedWithin = 3 * time.Second // after Join
	punchWithin   = 10 * time.Second
	accessDelay   = 10 * time.Millisecond // one way, of each line
	lineRTT       = 4 * accessDelay       // from member to member and back
)

// punchable tells whether two networks let UDP through once both have sent.
func punchable(a, b kind) bool {
	hard := func(k kind) bool { return k == kindSymmetric }
	// A mapping that changes with the destination meets its peer only where that one filters nothing.
	filters := func(k kind) bool { return k != kindPublic && k != kindFullCone }
	return !(hard(a) && filters(b) || hard(b) && filters(a))
}

// v4 and v6 tell which protocols a network speaks with the world.
func (k kind) v4() bool { return k != kindIPv6 }
func (k kind) v6() bool { return k == kindIPv6 || k == kindPublic }

// udp tells whether UDP gets out.
func (k kind) udp() bool { return k != kindNoUDP && k != kindOnly443 && k != kindProxy }

// accepts tells whether TCP connections get in. Who joins asks the router only if nobody can be reached, so there a router
// that can be asked lets in no more than another.
func (k kind) accepts() bool { return k == kindPublic }

// needsRelay tells whether nobody but a relay on port 443 can be reached.
func (k kind) needsRelay() bool { return k == kindOnly443 || k == kindProxy }

// expected is the worst path on which a pair may end up.
func expected(a, b kind) path {
	switch {
	case a.needsRelay() || b.needsRelay():
		return pathRelay
	case !(a.v4() && b.v4()) && !(a.v6() && b.v6()):
		return pathBridge
	case a.udp() && b.udp() && punchable(a, b):
		return pathUDP
	case (!a.udp() || !b.udp()) && (a.accepts() || b.accepts()):
		return pathTCP
	}
	return pathBridge
}

// cell is a pair of members in two networks. A third, public one created the meeting and can be their bridge.
type cell struct{ a, b kind }

func (c cell) name() string { return fmt.Sprintf("%s / %s", c.a, c.b) }

// has tells whether one of the two is of a kind.
func (c cell) has(k kind) bool { return c.a == k || c.b == k }

// flags are those that a member of a kind is started with, beside the common ones.
func (k kind) flags() []string {
	switch k {
	case kindMapped:
		return []string{"--router"}
	case kindProxy:
		return []string{"--proxy", "http://192.168.1.1:3128"}
	}
	return nil
}

// matrix is every pair once.
func matrix() []cell {
	var all []cell
	for i, a := range kinds {
		for _, b := range kinds[i:] {
			all = append(all, cell{a, b})
		}
	}
	return all
}

// short are the cells of a short run: the first of each sort.
func (c cell) short() bool {
	switch c {
	case cell{kindPublic, kindPublic}, cell{kindPublic, kindRestricted}, cell{kindRestricted, kindRestricted},
		cell{kindSymmetric, kindSymmetric}, cell{kindPublic, kindNoUDP}, cell{kindNoUDP, kindNoUDP}, cell{kindOnly443, kindOnly443}:
		return true
	}
	return false
}

// needs are the flags of headless without which a cell can't be tried.
func (c cell) needs() []string {
	var flags []string
	if c.a.needsRelay() || c.b.needsRelay() {
		flags = append(flags, "--relay")
	}
	if c.has(kindProxy) {
		flags = append(flags, "--proxy")
	}
	if c.has(kindMapped) {
		flags = append(flags, "--router")
	}
	return flags
}

// The addresses of the n-th site, which look public and belong to nobody here, and are long enough to be looked for.
func wan4(n int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("5.%d.100.1/32", 100+n)) }
func wan6(n int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("2a05:%x::1/32", n)) }
