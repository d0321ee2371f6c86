package lan

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// medium is the network as this package needs it; tests have one of their own.
type medium interface {
	// join opens the sockets that hear the group; ask opens sockets of their own to ask from.
	join() ([]socket, error)
	ask() ([]socket, error)
	// neighbour tells whether an address is on a subnet of ours.
	neighbour(netip.Addr) bool
}

// socket is a UDP socket of one address family.
type socket interface {
	// group sends to all on every local network. It fails if it could send to none.
	group(b []byte) error
	// to sends to one address.
	to(b []byte, addr netip.AddrPort) error
	// receive returns a datagram's length and sender; an error after close.
	receive(b []byte) (int, netip.AddrPort, error)
	close()
}

const port = 5353

var (
	group4 = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: port}
	group6 = &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: port}

	errNoNetwork = errors.New("lan: this computer is on no local network")
)

// machine is the operating system's network.
type machine struct{}

// interfaces are those of local networks: up, with multicast, and no tunnels, whose far end is elsewhere.
func interfaces() (all []net.Interface) {
	found, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range found {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagMulticast != 0 && i.Flags&(net.FlagLoopback|net.FlagPointToPoint) == 0 {
			all = append(all, i)
		}
	}
	return all
}

func (machine) neighbour(ip netip.Addr) bool {
	ip = ip.WithZone("")
	for _, i := range interfaces() {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		if slices.ContainsFunc(addrs, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.Contains(ip.Unmap().AsSlice())
		}) {
			return true
		}
	}
	return false
}

func (machine) join() (all []socket, err error) {
	for network, group := range map[string]*net.UDPAddr{"udp4": group4, "udp6": group6} {
		for _, i := range interfaces() { // one by name: without a default route there is no default interface
			// The port is shared with the system's own mDNS.
			if conn, err := net.ListenMulticastUDP(network, &i, group); err == nil {
				all = append(all, newUDP(conn, network == "udp6"))
				break
			}
		}
	}
	if len(all) == 0 {
		return nil, errNoNetwork
	}
	return all, nil
}

func (machine) ask() (all []socket, err error) {
	for _, network := range []string{"udp4", "udp6"} {
		if conn, err := net.ListenUDP(network, nil); err == nil {
			all = append(all, newUDP(conn, network == "udp6"))
		}
	}
	if len(all) == 0 {
		return nil, errNoNetwork
	}
	return all, nil
}

// udp is a socket of the operating system.
type udp struct {
	conn *net.UDPConn
	v4   *ipv4.PacketConn
	v6   *ipv6.PacketConn
}

func newUDP(conn *net.UDPConn, six bool) *udp {
	u := &udp{conn: conn}
	// Errors show where something can't be sent.
	if six {
		u.v6 = ipv6.NewPacketConn(conn)
		_ = u.v6.SetMulticastHopLimit(255) // RFC 6762 §11
		_ = u.v6.SetMulticastLoopback(true)
	} else {
		u.v4 = ipv4.NewPacketConn(conn)
		_ = u.v4.SetMulticastTTL(255)
		_ = u.v4.SetMulticastLoopback(true) // others on this machine
	}
	u.joinAll()
	return u
}

// joinAll joins the group on every local network; on those that are joined it fails, which is no matter.
func (u *udp) joinAll() {
	for _, i := range interfaces() {
		if u.v6 != nil {
			_ = u.v6.JoinGroup(&i, group6)
		} else {
			_ = u.v4.JoinGroup(&i, group4)
		}
	}
}

func (u *udp) group(b []byte) error {
	err := errNoNetwork
	for _, i := range interfaces() {
		var failed error
		if u.v6 != nil {
			_, failed = u.v6.WriteTo(b, &ipv6.ControlMessage{IfIndex: i.Index}, group6)
		} else {
			_, failed = u.v4.WriteTo(b, &ipv4.ControlMessage{IfIndex: i.Index}, group4)
		}
		if failed == nil {
			err = nil
		}
	}
	return err
}

func (u *udp) to(b []byte, addr netip.AddrPort) error {
	_, err := u.conn.WriteToUDPAddrPort(b, addr)
	return err
}

func (u *udp) receive(b []byte) (int, netip.AddrPort, error) {
	n, from, err := u.conn.ReadFromUDPAddrPort(b)
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

func (u *udp) close() { _ = u.conn.Close() }
