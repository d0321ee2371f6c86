package transporttest

import (
	"fmt"
	"math/rand"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/logging"
	piontransport "github.com/pion/transport/v4"
	"github.com/pion/transport/v4/vnet"

	"github.com/huisclos/huisclos/transport"
)

// NAT is what stands between a host and the internet (RFC 4787).
type NAT int

// NAT kinds, by mapping and filtering behaviour.
const (
	Public            NAT = iota // none
	FullCone                     // mapping and filtering independent of the endpoint
	AddressRestricted            // lets in only addresses sent to
	PortRestricted               // lets in only addresses and ports sent to: most home routers
	Symmetric                    // and a new port per destination: never punched against its like
	CarrierGrade                 // PortRestricted behind another such, the provider's (RFC 6598)
)

// Options of a World.
type Options struct {
	Latency time.Duration // one way, across the internet
	Loss    float64       // share of datagrams lost across the internet, 0 to 1
	Seed    int64         // of the losses
}

// HostOptions of one host.
type HostOptions struct {
	// NAT is what stands between the host and the internet. Zero: nothing.
	NAT NAT
	// LAN names a private network; hosts of one LAN share its NAT, whose kind is that
	// of the first. Empty: a network of the host's own.
	LAN string
	// Router: the NAT, a FullCone one, is the user's own router, which opens a port when it is asked (NAT-PMP). That of
	// a LAN is set by its first host.
	Router bool
}

// Datagram is one UDP datagram crossing the internet, as seen there: outside NATs.
type Datagram struct {
	At       time.Time
	From, To netip.AddrPort
	Data     []byte // not to be kept or changed
}

// World is a simulated internet. Its methods may be called from any goroutine.
type World struct {
	options  Options
	internet *vnet.Router

	build  sync.Mutex // hosts and networks are made one at a time, without mu: vnet calls pass under locks of its own
	mu     sync.Mutex
	random *rand.Rand
	hosts  map[string]*Host
	sites  map[netip.Addr]string // outside address: the LAN behind it
	lans   map[string]*vnet.Router
	group  map[string]int // by LAN: side of the partition
	loss   float64
	filter func(Datagram) bool
	tap    func(Datagram)
	next   int

	downlinks map[netip.Addr]*uplink // by the host's address
	began     time.Time
	outside   map[string]netip.Addr   // by LAN: its NAT's address
	opening   uint64                  // ports that routers opened
	opened    map[string]func(uint16) // who waits to hear which it is
}

// creating guards vnet's count of hardware addresses, which all worlds share.
var creating sync.Mutex

func newRouter(c *vnet.RouterConfig) (*vnet.Router, error) {
	creating.Lock()
	defer creating.Unlock()
	return vnet.NewRouter(c)
}

func newNet(c *vnet.NetConfig) (*vnet.Net, error) {
	creating.Lock()
	defer creating.Unlock()
	return vnet.NewNet(c)
}

// NewWorld starts a world. It must be called inside the synctest bubble, if there is one.
func NewWorld(o Options) (*World, error) {
	router, err := newRouter(&vnet.RouterConfig{Name: "internet", CIDR: "5.0.0.0/8", MinDelay: o.Latency, LoggerFactory: loggers{}})
	if err != nil {
		return nil, err
	}
	w := &World{options: o, internet: router, random: rand.New(rand.NewSource(o.Seed)), loss: o.Loss,
		hosts: make(map[string]*Host), sites: make(map[netip.Addr]string), lans: make(map[string]*vnet.Router),
		began: time.Now(), outside: make(map[string]netip.Addr)}
	router.AddChunkFilter(w.pass)
	return w, router.Start()
}

// Close stops the world. Close its hosts first.
func (w *World) Close() error { return w.internet.Stop() }

// pass decides whether a datagram crosses the internet.
func (w *World) pass(c vnet.Chunk) bool {
	d := Datagram{At: time.Now(), From: addrPort(c.SourceAddr()), To: addrPort(c.DestinationAddr()), Data: c.UserData()}
	if w.sunk(d) {
		return false
	}
	w.mu.Lock()
	blocked := w.group != nil && w.group[w.sites[d.From.Addr()]] != w.group[w.sites[d.To.Addr()]]
	lost := w.loss > 0 && w.random.Float64() < w.loss
	filter, tap := w.filter, w.tap
	w.mu.Unlock()
	if blocked || lost || filter != nil && !filter(d) {
		return false
	}
	if tap != nil {
		tap(d)
	}
	return true
}

func addrPort(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := udp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// SetLoss changes the share of datagrams lost.
func (w *World) SetLoss(share float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loss = share
}

// SetTap has f called for every datagram that crosses the internet; nil ends that.
func (w *World) SetTap(f func(Datagram)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tap = f
}

// SetFilter drops the datagrams for which f is false; nil drops none.
func (w *World) SetFilter(f func(Datagram) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.filter = f
}

// Partition cuts the internet into groups of hosts, until the next Partition or Heal.
// Hosts not named form a group of their own; hosts of one LAN stay together. A name
// may be that of a host that is yet to come.
func (w *World) Partition(groups ...[]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group = make(map[string]int)
	for i, names := range groups {
		for _, name := range names {
			lan := ownLAN(name) // of a host that is yet to come
			if h := w.hosts[name]; h != nil {
				lan = h.lan
			}
			w.group[lan] = i + 1
		}
	}
}

func ownLAN(name string) string { return "host " + name }

// Heal ends the partition.
func (w *World) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group = nil
}

// Crash cuts a host off without a word: its sockets take and give nothing any more.
// Its transport.Host goes on by itself and must still be closed.
func (w *World) Crash(name string) {
	w.mu.Lock()
	h := w.hosts[name]
	w.mu.Unlock()
	if h != nil {
		h.crashed.Store(true)
	}
}

// address returns the next public address.
func (w *World) address() netip.Addr {
	w.next++
	return netip.AddrFrom4([4]byte{5, byte(w.next >> 16), byte(w.next >> 8), byte(w.next)})
}

// Host adds a machine and returns its network, for transport.Config.
func (w *World) Host(name string, o HostOptions) (*Host, error) {
	w.build.Lock()
	defer w.build.Unlock()
	w.mu.Lock()
	taken := w.hosts[name] != nil
	w.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("transporttest: there is a host %q already", name)
	}
	lan := o.LAN
	if lan == "" {
		lan = ownLAN(name)
	}
	h := &Host{world: w, lan: lan}
	router, config := w.internet, &vnet.NetConfig{}
	if o.NAT == Public {
		h.public = w.address()
		config.StaticIPs = []string{h.public.String()}
		w.mu.Lock()
		w.sites[h.public] = lan
		w.mu.Unlock()
	} else {
		var err error
		if o.Router && o.NAT != FullCone {
			return nil, fmt.Errorf("transporttest: the router of %q opens ports, so it is a FullCone", name)
		}
		if router, err = w.lan(lan, o); err != nil {
			return nil, err
		}
		if o.Router {
			w.mu.Lock()
			h.outside = w.outside[lan]
			w.mu.Unlock()
		}
	}
	var err error
	if h.net, err = newNet(config); err != nil {
		return nil, err
	}
	if err := router.AddNet(h.net); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.hosts[name] = h
	w.mu.Unlock()
	return h, nil
}

// lan returns the router of a private network, made if there is none.
func (w *World) lan(name string, o HostOptions) (*vnet.Router, error) {
	if r := w.lans[name]; r != nil {
		return r, nil
	}
	types := map[NAT]vnet.NATType{
		FullCone:          {MappingBehavior: vnet.EndpointIndependent, FilteringBehavior: vnet.EndpointIndependent},
		AddressRestricted: {MappingBehavior: vnet.EndpointIndependent, FilteringBehavior: vnet.EndpointAddrDependent},
		PortRestricted:    {MappingBehavior: vnet.EndpointIndependent, FilteringBehavior: vnet.EndpointAddrPortDependent},
		Symmetric:         {MappingBehavior: vnet.EndpointAddrPortDependent, FilteringBehavior: vnet.EndpointAddrPortDependent},
		CarrierGrade:      {MappingBehavior: vnet.EndpointIndependent, FilteringBehavior: vnet.EndpointAddrPortDependent},
	}
	nat, ok := types[o.NAT]
	if !ok {
		return nil, fmt.Errorf("transporttest: unknown NAT kind %d", o.NAT)
	}
	if o.Router {
		nat.MappingLifeTime = routerLease
	}
	outside := w.address()
	parent, at, n := w.internet, outside, len(w.lans)
	if o.NAT == CarrierGrade {
		carrier, err := newSite(w.internet, name+"'s provider", fmt.Sprintf("100.64.%d.0/24", n&255), outside, nat)
		if err != nil {
			return nil, err
		}
		if err := carrier.Start(); err != nil {
			return nil, err
		}
		parent, at = carrier, netip.AddrFrom4([4]byte{100, 64, byte(n), 9})
	}
	r, err := newSite(parent, name, fmt.Sprintf("10.%d.%d.0/24", n>>8, n&255), at, nat)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.lans[name], w.sites[outside], w.outside[name] = r, name, outside
	w.mu.Unlock()
	return r, r.Start()
}

// newSite makes a network behind a NAT that has one address in another.
func newSite(parent *vnet.Router, name, cidr string, outside netip.Addr, nat vnet.NATType) (*vnet.Router, error) {
	r, err := newRouter(&vnet.RouterConfig{Name: name, CIDR: cidr, StaticIPs: []string{outside.String()}, NATType: &nat, LoggerFactory: loggers{}})
	if err != nil {
		return nil, err
	}
	return r, parent.AddRouter(r)
}

// Host is one machine of the world; it is a transport.Network.
type Host struct {
	world   *World
	net     *vnet.Net
	lan     string
	public  netip.Addr
	outside netip.Addr                // of the router that can be asked; invalid: there is none
	sockets map[uint16]net.PacketConn // by port; under World.mu
	crashed atomic.Bool
	tap     atomic.Pointer[func(Datagram)]
	tapMu   sync.Mutex
	uplink  uplink
}

var _ transport.Network = (*Host)(nil)

// ListenUDP opens a virtual socket. IPv6 fails.
func (h *Host) ListenUDP(addr netip.AddrPort) (net.PacketConn, error) {
	conn, err := h.net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	h.world.mu.Lock()
	if h.sockets == nil {
		h.sockets = make(map[uint16]net.PacketConn)
	}
	h.sockets[addrPort(conn.LocalAddr()).Port()] = conn
	h.world.mu.Unlock()
	return &socket{PacketConn: conn, host: h}, nil
}

// Addresses returns the host's own addresses.
func (h *Host) Addresses() ([]netip.Prefix, error) {
	interfaces, err := h.net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			ipnet, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			ip, ok := netip.AddrFromSlice(ipnet.IP)
			if ones, _ := ipnet.Mask.Size(); ok && ip.Unmap().Is4() {
				out = append(out, netip.PrefixFrom(ip.Unmap(), ones))
			}
		}
	}
	return out, nil
}

// SetTap has f called for every datagram the host sends, wherever to and whether or
// not it will arrive, one at a time; nil ends that.
func (h *Host) SetTap(f func(Datagram)) {
	if f == nil {
		h.tap.Store(nil)
		return
	}
	h.tap.Store(&f)
}

// ICE returns the virtual network.
func (h *Host) ICE() piontransport.Net { return h.net }

// TCP is false.
func (h *Host) TCP() bool { return false }

// socket is a virtual socket that dies with its host.
type socket struct {
	net.PacketConn
	host *Host
	past atomic.Bool // the read deadline is over
}

// SetReadDeadline ends a read at once where the deadline is over already. The virtual socket's own timer would do so
// only when every goroutine of the bubble waits, which never comes while one waits for a mutex that the caller holds.
func (s *socket) SetReadDeadline(t time.Time) error {
	past := !t.IsZero() && !t.After(time.Now())
	s.past.Store(past)
	err := s.PacketConn.SetReadDeadline(t)
	if past {
		self := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addrPort(s.LocalAddr()).Port())
		_, _ = s.PacketConn.WriteTo(nil, net.UDPAddrFromAddrPort(self)) // wakes the reader
	}
	return err
}

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if s.past.Load() {
			return 0, nil, os.ErrDeadlineExceeded
		}
		n, from, err := s.PacketConn.ReadFrom(b)
		if err == nil && n == 0 && addrPort(from).Addr().IsLoopback() { // our own, see SetReadDeadline
			continue
		}
		if err != nil || !s.host.crashed.Load() {
			return n, from, err
		}
	}
}

func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	if s.host.crashed.Load() {
		return len(b), nil
	}
	if tap := s.host.tap.Load(); tap != nil {
		s.host.tapMu.Lock()
		(*tap)(Datagram{At: time.Now(), From: addrPort(s.LocalAddr()), To: addrPort(to), Data: b})
		s.host.tapMu.Unlock()
	}
	return s.writeVia(b, to)
}

type loggers struct{}

func (loggers) NewLogger(string) logging.LeveledLogger {
	return logging.NewDefaultLeveledLoggerForScope("vnet", logging.LogLevelDisabled, discard{})
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
