package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// world is one laboratory: a WAN and what is attached to it. Worlds know nothing of each other, so they may use the
// same addresses.
type world struct {
	wan    *wan
	dir    string // for files of this world
	log    func(format string, args ...any)
	keep   bool // captures keep the packets
	seen   *capture
	spaces []*namespace
	hosts  []*host
	ends   []func()
}

// host is a machine that a member or a relay may run on.
type host struct {
	name    string
	ns      *namespace
	capture *capture
	own     []netip.Addr // of its interfaces
	outside []netip.Addr // by which the world may see it: its own, or its router's
	port    *port        // of its line
}

// site is a network of one kind with its hosts.
type site struct {
	kind   kind
	router *namespace // nil: the hosts are on the WAN themselves
	inside netip.Addr // the router's address on the LAN
	hosts  []*host
	port   *port
}

// newWorld makes an empty world.
func newWorld(dir string, keep bool, log func(string, ...any)) (*world, error) {
	dir, err := os.MkdirTemp(dir, "world")
	if err != nil {
		return nil, err
	}
	w := &world{wan: newWAN(), dir: dir, keep: keep, log: log, seen: newCapture("WAN", keep)}
	w.wan.tap(func(at time.Time, packet []byte) { w.seen.packet(at, true, packet) })
	return w, nil
}

// close ends everything in the world.
func (w *world) close() {
	for i := len(w.ends) - 1; i >= 0; i-- {
		w.ends[i]()
	}
	w.wan.close()
	for _, h := range w.hosts {
		h.capture.close()
	}
	for _, n := range w.spaces {
		n.close()
	}
}

func (w *world) namespace(name string) (*namespace, error) {
	n, err := newNamespace(name)
	if err != nil {
		return nil, err
	}
	w.spaces = append(w.spaces, n)
	// No interface speaks of its own accord: no link-local address, no router solicitation, no wait for a duplicate.
	return n, n.sysctl(map[string]string{
		"ipv4/ip_forward": "0", "ipv6/conf/default/accept_dad": "0", "ipv6/conf/default/router_solicitations": "0",
		"ipv6/conf/default/accept_ra": "0", "ipv4/ping_group_range": "0 2147483647",
	})
}

func (w *world) host(name string, ns *namespace) (*host, error) {
	h := &host{name: name, ns: ns}
	var err error
	if h.capture, err = startCapture(ns, w.keep); err != nil {
		return nil, err
	}
	w.hosts = append(w.hosts, h)
	return h, nil
}

// uplink gives a namespace a line to the WAN with the addresses.
func (w *world) uplink(ns *namespace, p profile, addrs ...netip.Prefix) (*port, error) {
	device, err := ns.tun("wan")
	if err != nil {
		return nil, err
	}
	lines := []string{"link set wan addrgenmode none", "link set wan up"}
	var announced []netip.Prefix
	families := map[bool]bool{}
	for _, a := range addrs {
		dad := ""
		if a.Addr().Is6() {
			dad = " nodad"
		}
		lines = append(lines, fmt.Sprintf("addr add %v/%d dev wan%s", a.Addr(), a.Addr().BitLen(), dad))
		families[a.Addr().Is4()] = true
		announced = append(announced, a.Masked())
	}
	if families[true] {
		lines = append(lines, "route add default dev wan")
	}
	if families[false] {
		lines = append(lines, "route add ::/0 dev wan")
	}
	if err := ns.ip(lines...); err != nil {
		return nil, errors.Join(err, device.Close())
	}
	return w.wan.attach(ns.name, device, p, announced...), nil
}

// public attaches a host to the WAN itself.
func (w *world) public(name string, n int) (*site, error) {
	ns, err := w.namespace(name)
	if err != nil {
		return nil, err
	}
	h, err := w.host(name, ns)
	if err != nil {
		return nil, err
	}
	h.own = []netip.Addr{wan4(n).Addr(), wan6(n).Addr()}
	h.outside = h.own
	if h.port, err = w.uplink(ns, profile{delay: accessDelay}, wan4(n), wan6(n)); err != nil {
		return nil, err
	}
	return &site{kind: kindPublic, hosts: []*host{h}, port: h.port}, nil
}

// site makes a network of a kind with some hosts in it, attached to the WAN as the n-th.
func (w *world) site(k kind, name string, n, hosts int) (*site, error) {
	if k == kindPublic {
		return w.public(name, n)
	}
	s := &site{kind: k}
	var err error
	if s.router, err = w.namespace(name + "-router"); err != nil {
		return nil, err
	}
	if err := w.connect(s, name, n); err != nil {
		return nil, err
	}
	if err := s.router.nft(k.rules()); err != nil {
		return nil, err
	}
	if err := s.lan(n); err != nil {
		return nil, err
	}
	for i := range hosts {
		hostName := name
		if hosts > 1 {
			hostName = fmt.Sprintf("%s%d", name, i+1)
		}
		if _, err := w.inside(s, hostName, n, i); err != nil {
			return nil, err
		}
	}
	switch k {
	case kindMapped, kindIPv6, kindUPnP, kindNATPMP:
		err = w.miniupnpd(s, wan4(n).Addr())
	case kindProxy:
		err = w.proxy(s.router, netip.AddrPortFrom(s.inside, proxyPort))
	}
	return s, err
}

// connect gives the router of a site its line, or that of the provider's NAT in front of it.
func (w *world) connect(s *site, name string, n int) (err error) {
	p := profile{delay: accessDelay}
	if s.kind == kindLAN {
		return nil
	}
	if s.kind == kindIPv6 {
		s.port, err = w.uplink(s.router, p, wan6(n))
		return err
	}
	if s.kind != kindDouble {
		s.port, err = w.uplink(s.router, p, wan4(n))
		return err
	}
	carrier, err := w.namespace(name + "-carrier")
	if err != nil {
		return err
	}
	if s.port, err = w.uplink(carrier, p, wan4(n)); err != nil {
		return err
	}
	if err := veth(carrier, "lan", s.router, "wan"); err != nil {
		return err
	}
	// Of 100.64.0.0/10 (RFC 6598).
	inner := fmt.Sprintf("100.64.%d", n)
	if err := carrier.ip("link set lan addrgenmode none up", "addr add "+inner+".1/24 dev lan"); err != nil {
		return err
	}
	if err := s.router.ip("link set wan addrgenmode none up", "addr add "+inner+".2/24 dev wan", "route add default via "+inner+".1"); err != nil {
		return err
	}
	if err := carrier.nft(kindDouble.rules()); err != nil {
		return err
	}
	return carrier.sysctl(map[string]string{"ipv4/ip_forward": "1"})
}

// lan makes the inner side of a router. Homes like the same addresses: all sites use one private network, the hosts in
// it differ.
func (s *site) lan(n int) error {
	s.inside = netip.MustParseAddr("192.168.1.1")
	address := "addr add 192.168.1.1/24 dev lan"
	if s.kind == kindIPv6 {
		s.inside = netip.MustParseAddr(fmt.Sprintf("2a05:%x:1::1", n))
		address = fmt.Sprintf("addr add %v/64 dev lan nodad", s.inside)
	}
	if err := s.router.ip("link add lan type bridge", "link set lan up", address); err != nil {
		return err
	}
	return s.router.sysctl(map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})
}

// inside adds a host to a site.
func (w *world) inside(s *site, name string, n, i int) (*host, error) {
	ns, err := w.namespace(name)
	if err != nil {
		return nil, err
	}
	h, err := w.host(name, ns)
	if err != nil {
		return nil, err
	}
	h.port = s.port
	lan := fmt.Sprintf("h%d", len(s.hosts))
	if err := veth(s.router, lan, ns, "eth0"); err != nil {
		return nil, err
	}
	if err := s.router.ip("link set "+lan+" master lan", "link set "+lan+" up"); err != nil {
		return nil, err
	}
	var lines []string
	if s.kind == kindIPv6 {
		own := netip.MustParseAddr(fmt.Sprintf("2a05:%x:1::%x", n, 0x10+i))
		h.own, h.outside = []netip.Addr{own}, []netip.Addr{own}
		lines = []string{"link set eth0 up", fmt.Sprintf("addr add %v/64 dev eth0 nodad", own), fmt.Sprintf("route add ::/0 via %v", s.inside)}
	} else {
		own := netip.MustParseAddr(fmt.Sprintf("192.168.1.%d", 10*n+i))
		h.own, h.outside = []netip.Addr{own}, []netip.Addr{wan4(n).Addr()}
		lines = []string{"link set eth0 addrgenmode none up", fmt.Sprintf("addr add %v/24 dev eth0", own)}
		if s.kind != kindLAN {
			lines = append(lines, "route add default via 192.168.1.1")
		}
	}
	s.hosts = append(s.hosts, h)
	return h, ns.ip(lines...)
}

// miniupnpd runs the daemon that opens ports of the site's router for who asks.
func (w *world) miniupnpd(s *site, outer netip.Addr) error {
	file := filepath.Join(w.dir, "miniupnpd-"+s.router.name)
	config := `ext_ifname=wan
ext_ifname6=wan
listening_ip=lan
enable_natpmp=` + yes(s.kind != kindUPnP) + `
enable_upnp=` + yes(s.kind != kindNATPMP) + `
secure_mode=yes
system_uptime=yes
uuid=2b0cc91d-49b9-45f4-8fe4-ae5a45eb917d
upnp_table_name=igd
upnp_nat_table_name=igd
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
lease_file=` + file + `.leases
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`
	if s.kind != kindIPv6 {
		config = fmt.Sprintf("ext_ip=%v\n", outer) + config
	}
	if err := os.WriteFile(file+".conf", []byte(config), 0o600); err != nil {
		return err
	}
	output, err := os.Create(file + ".log")
	if err != nil {
		return err
	}
	cmd := exec.Command("miniupnpd", "-d", "-f", file+".conf", "-P", file+".pid")
	cmd.Stdout, cmd.Stderr = output, output
	if err := s.router.start(cmd); err != nil {
		return errors.Join(fmt.Errorf("start miniupnpd: %w", err), output.Close())
	}
	w.ends = append(w.ends, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = output.Close()
	})
	// It says so when it is ready, and ends if it can't do what it is told.
	for range 100 {
		said, err := os.ReadFile(output.Name())
		ready := "Listening for NAT-PMP/PCP"
		if s.kind == kindUPnP {
			ready = "HTTP listening on port"
		}
		if err != nil || bytes.Contains(said, []byte(ready)) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	said, _ := os.ReadFile(output.Name())
	return fmt.Errorf("miniupnpd isn't ready: %s", said)
}

// yes is how miniupnpd writes it.
func yes(so bool) string {
	if so {
		return "yes"
	}
	return "no"
}

// proxy runs an HTTP proxy in a namespace.
func (w *world) proxy(ns *namespace, at netip.AddrPort) error {
	ctx, cancel := context.WithCancel(context.Background())
	p, err := startProxy(ctx, ns.do, at)
	if err != nil {
		cancel()
		return err
	}
	w.ends = append(w.ends, func() { cancel(); p.wait() })
	return nil
}
