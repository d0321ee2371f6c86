package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/huisclos/huisclos/transport/portmap"
	piontransport "github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"
)

// Network is the seam between a Host and the machine it runs on. A nil Network
// in Config means the operating system; transporttest supplies a simulated one.
type Network interface {
	// ListenUDP opens a datagram socket on addr; port 0 lets the network choose.
	// LocalAddr of the result must be a *net.UDPAddr. The connection may also
	// implement ReadFromUDPAddrPort and WriteToUDPAddrPort, as *net.UDPConn does,
	// and then no address is allocated per datagram.
	ListenUDP(addr netip.AddrPort) (net.PacketConn, error)
	// Addresses returns this machine's own interface addresses with their subnets.
	Addresses() ([]netip.Prefix, error)
	// ICE is the network as pion's ICE agent sees it. It opens no socket on it.
	ICE() piontransport.Net
	// TCP tells whether TCP exists; simulated networks have none.
	TCP() bool
	// A Network that also implements portmap.Network has a router to ask (Host.MapPorts).
}

// socketBuffer is what a Host asks of the operating system for each socket: a key
// frame to 25 peers is about 2,500 datagrams in one burst.
const socketBuffer = 4 << 20

// osNetwork is the operating system's network.
type osNetwork struct {
	portmap.System // the router, for MapPorts
	ice            piontransport.Net
	lan            bool // without tunnels, whose far end is elsewhere
}

func newOSNetwork() (*osNetwork, error) {
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("transport: list network interfaces: %w", err)
	}
	return &osNetwork{ice: n}, nil
}

func (*osNetwork) ListenUDP(addr netip.AddrPort) (net.PacketConn, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6" // one family per socket: the two share a port number
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	// The kernel may grant less; then bursts may lose packets, nothing more.
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
	return conn, nil
}

func (n *osNetwork) Addresses() ([]netip.Prefix, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || n.lan && i.Flags&net.FlagPointToPoint != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		out = append(out, prefixesOf(addrs)...)
	}
	if len(out) == 0 {
		return nil, errors.New("transport: no network interface is up")
	}
	return out, nil
}

func (n *osNetwork) ICE() piontransport.Net { return n.ice }
func (*osNetwork) TCP() bool                { return true }

// prefixesOf turns interface addresses into prefixes, dropping what is not IP.
func prefixesOf(addrs []net.Addr) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(ipnet.IP)
		if !ok {
			continue
		}
		ones, bits := ipnet.Mask.Size()
		ip = ip.Unmap()
		if ip.Is4() && bits == 128 {
			ones -= 96
		}
		if p := netip.PrefixFrom(ip, ones); p.IsValid() {
			out = append(out, p)
		}
	}
	return out
}
