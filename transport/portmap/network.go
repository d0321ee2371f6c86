package portmap

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/libp2p/go-netroute"
)

// Gateway is a default gateway, and this machine's own address towards it.
type Gateway struct {
	// Address is the router's; of IPv6 it is link-local as a rule, and has a zone then.
	Address netip.Addr
	// Local is this machine's: where the router sends what comes in.
	Local netip.Addr
}

// Network is the machine's network as a Mapper needs it. System is the operating system's.
type Network interface {
	// Gateways returns the default gateways, at most one for IPv4 and one for IPv6.
	Gateways() []Gateway
	// ListenPacket opens a UDP socket on an own address, any port.
	ListenPacket(local netip.Addr) (net.PacketConn, error)
	// DialTCP connects from an own address.
	DialTCP(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// System is the operating system's network.
type System struct{}

// Where the default route is looked up. No packet is sent there.
var anywhere = [...]net.IP{net.IPv4(203, 0, 113, 1), net.ParseIP("2001:db8::1")}

// Gateways asks the system's routing table.
func (System) Gateways() (all []Gateway) {
	table, err := netroute.New()
	if err != nil {
		return nil
	}
	for _, destination := range anywhere {
		link, gateway, source, err := table.Route(destination)
		if err != nil || len(gateway) == 0 {
			continue
		}
		g, ok1 := netip.AddrFromSlice(gateway)
		local, ok2 := netip.AddrFromSlice(source)
		if !ok1 || !ok2 || g.IsUnspecified() {
			continue
		}
		g, local = g.Unmap(), local.Unmap()
		if g.Is6() && g.IsLinkLocalUnicast() && link != nil {
			g = g.WithZone(link.Name)
		}
		if g.Is4() == local.Is4() {
			all = append(all, Gateway{g, local})
		}
	}
	return all
}

// ListenPacket opens a socket.
func (System) ListenPacket(local netip.Addr) (net.PacketConn, error) {
	return net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
}

// DialTCP connects.
func (System) DialTCP(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0)), Timeout: httpTimeout}
	return d.DialContext(ctx, "tcp", to.String())
}

// worthAsking says whether a router of the user's own can stand between this address and the internet.
func (g Gateway) worthAsking() bool {
	if g.Local.Is4() {
		return g.Local.IsPrivate()
	}
	return g.Local.IsGlobalUnicast() && !g.Local.IsPrivate()
}

// Public says whether an address is one that the whole internet can reach: neither private, nor a carrier's (RFC 6598),
// nor special.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !carrierNAT.Contains(a) && !reserved.Contains(a) && !thisNetwork.Contains(a)
}

var (
	carrierNAT  = netip.MustParsePrefix("100.64.0.0/10")
	reserved    = netip.MustParsePrefix("240.0.0.0/4")
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
)

// conn is a socket that hears one address alone (MAP-2).
type conn struct {
	net.PacketConn
	from netip.Addr
	port uint16 // 0: any
	any  bool   // tests only
}

// read returns the next datagram of the gateway's, until a time or until ctx is done.
func (c *conn) read(ctx context.Context, until time.Time, b []byte) (int, error) {
	_ = c.SetReadDeadline(until)
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		n, from, err := c.ReadFrom(b)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		udp, ok := from.(*net.UDPAddr)
		if !ok {
			continue
		}
		ap := udp.AddrPort()
		if c.any || ap.Addr().Unmap().WithZone("") == c.from.WithZone("") && (c.port == 0 || ap.Port() == c.port) {
			return n, nil
		}
	}
}
