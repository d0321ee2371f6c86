package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// nature is how a NAT behaves towards UDP, in the terms of RFC 4787.
type nature struct {
	out              bool // UDP gets out at all
	sameMapping      bool // endpoint-independent mapping
	addressFiltering bool // only addresses that were sent to get in
	portFiltering    bool // and only from the port that was sent to
}

func (n nature) String() string {
	if !n.out {
		return "UDP blocked"
	}
	mapping, filtering := "address-and-port-dependent", "endpoint-independent"
	if n.sameMapping {
		mapping = "endpoint-independent"
	}
	if n.addressFiltering {
		filtering = "address-dependent"
	}
	if n.portFiltering {
		filtering = "address-and-port-dependent"
	}
	return "mapping " + mapping + ", filtering " + filtering
}

const probeTimeout = 200 * time.Millisecond

// udp opens a UDP socket in a namespace.
func (n *namespace) udp(address netip.AddrPort) (*net.UDPConn, error) {
	var c *net.UDPConn
	err := n.do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
		return err
	})
	return c, err
}

// probe finds out the nature of the NAT before a host, with the help of two public ones, as RFC 5780 does it: the first
// has two ports. They tell the sender what its address looks like to them.
func probe(from, first, second *host) (nature, error) {
	var n nature
	inner, err := from.ns.udp(netip.AddrPortFrom(from.own[0], 0))
	if err != nil {
		return n, err
	}
	defer func() { _ = inner.Close() }()
	var servers []*net.UDPConn
	for _, at := range []netip.AddrPort{
		netip.AddrPortFrom(first.own[0], 3478), netip.AddrPortFrom(first.own[0], 3479), netip.AddrPortFrom(second.own[0], 3478), netip.AddrPortFrom(second.own[0], 3479),
	} {
		h := first
		if at.Addr() == second.own[0] {
			h = second
		}
		s, err := h.ns.udp(at)
		if err != nil {
			return n, err
		}
		defer func() { _ = s.Close() }()
		servers = append(servers, s)
	}
	address := func(i int) netip.AddrPort { return servers[i].LocalAddr().(*net.UDPAddr).AddrPort() }
	// What the first sees, before anything was sent elsewhere; then who else gets in.
	seen, err := exchange(inner, servers[0], address(0))
	if errors.Is(err, errSilence) {
		return n, nil
	} else if err != nil {
		return n, err
	}
	n.out = true
	if n.portFiltering, err = refused(inner, servers[1], seen); err != nil {
		return n, err
	}
	if n.addressFiltering, err = refused(inner, servers[3], seen); err != nil {
		return n, err
	}
	other, err := exchange(inner, servers[2], address(2))
	n.sameMapping = other == seen
	return n, err
}

var errSilence = errors.New("no packet came")

// exchange sends a packet and returns the address that it came from.
func exchange(from, to *net.UDPConn, address netip.AddrPort) (netip.AddrPort, error) {
	if _, err := from.WriteToUDPAddrPort([]byte("lab: who am I?"), address); err != nil {
		return netip.AddrPort{}, fmt.Errorf("probe: %w", err)
	}
	_ = to.SetReadDeadline(time.Now().Add(probeTimeout))
	_, seen, err := to.ReadFromUDPAddrPort(make([]byte, 64))
	if err != nil {
		return netip.AddrPort{}, errSilence
	}
	return netip.AddrPortFrom(seen.Addr().Unmap(), seen.Port()), nil
}

// refused tells whether a packet to an outer address doesn't get in.
func refused(inner, from *net.UDPConn, to netip.AddrPort) (bool, error) {
	if _, err := from.WriteToUDPAddrPort([]byte("lab: hello"), to); err != nil {
		return false, fmt.Errorf("probe: %w", err)
	}
	_ = inner.SetReadDeadline(time.Now().Add(probeTimeout))
	_, _, err := inner.ReadFromUDPAddrPort(make([]byte, 64))
	return err != nil, nil
}
