package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/huisclos/huisclos/transport/relay"
	"github.com/huisclos/huisclos/transport/relayauth"
	ma "github.com/multiformats/go-multiaddr"
)

// settings are what the command line says.
type settings struct {
	config     relay.Config
	keyFile    string
	tokensFile string
	public     []string
	metrics    string
	newToken   string
	show       bool
	quiet      bool
	drain      time.Duration
	port       uint16 // the one listened on
}

// list is a flag that may be given several times.
type list []string

// String joins the values.
func (l *list) String() string { return strings.Join(*l, " ") }

// Set adds one; an empty one doesn't count.
func (l *list) Set(v string) error {
	if v != "" { // a service's variable that isn't set
		*l = append(*l, v)
	}
	return nil
}

func parse(args []string, usage io.Writer) (*settings, error) {
	s := &settings{}
	var listen, public list
	f := flag.NewFlagSet("huisclos-relay", flag.ContinueOnError)
	f.SetOutput(io.Discard) // a mistake has one sentence; all there is, who asks for it
	f.Var(&listen, "listen", "`address` to listen on, TCP and UDP, as :443 or 192.0.2.1:443; once for IPv4 and once for IPv6 (default :443)")
	f.Var(&public, "public", "IP `address` by which members reach this machine, as 203.0.113.5, 203.0.113.5:443 or a multiaddress; may be repeated")
	f.StringVar(&s.keyFile, "key", "relay.key", "`file` of the relay's own key, made if it isn't there")
	f.StringVar(&s.tokensFile, "tokens", "relay.tokens", "`file` of the tokens of those who may use the relay, one per line; made with one token if it isn't there; read again on SIGHUP")
	f.StringVar(&s.newToken, "new-token", "", "add a token for this `name` to the file, print what to hand out, and end")
	f.BoolVar(&s.show, "show", false, "print what to hand out, and end")
	f.BoolVar(&s.quiet, "quiet", false, "don't print what to hand out: it is secret, and a service's output is kept in a log")
	f.StringVar(&s.metrics, "metrics", "", "`address` to serve Prometheus metrics on, as 127.0.0.1:9100 (default none)")
	f.DurationVar(&s.drain, "drain", 0, "how long circuits may go on when the relay is told to end")
	c := &s.config
	f.IntVar(&c.MaxConnections, "connections", 2048, "connections in all")
	f.IntVar(&c.MaxConnectionsPerAddress, "connections-per-address", 128, "connections from one IP address, which an office shares")
	f.IntVar(&c.MaxReservations, "reservations", 1024, "peers who can be reached through the relay")
	f.IntVar(&c.MaxPeersPerToken, "peers-per-token", 256, "peers that use one token at once")
	f.IntVar(&c.MaxCircuits, "circuits-per-peer", 128, "circuits of one peer")
	f.IntVar(&c.BytesPerSecond, "rate", 2_000_000, "bytes a second that one peer may send")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(usage)
			f.Usage()
			return nil, err
		}
		return nil, &problem{err.Error() + "; -help lists what there is", err}
	}
	if f.NArg() > 0 {
		return nil, &problem{fmt.Sprintf("%q is too much: everything is said by flags, which -help lists", f.Arg(0)), nil}
	}
	s.public = public
	for _, n := range []int{c.MaxConnections, c.MaxConnectionsPerAddress, c.MaxReservations, c.MaxPeersPerToken, c.MaxCircuits, c.BytesPerSecond} {
		if n <= 0 {
			return nil, &problem{"each limit must be at least 1", nil}
		}
	}
	if s.drain < 0 {
		return nil, &problem{"-drain must not be below zero", nil}
	}
	named := true
	f.Visit(func(g *flag.Flag) { named = named && (g.Name != "new-token" || s.newToken != "") })
	if !named {
		return nil, &problem{"-new-token needs a name, which tells you later whose the token is", nil}
	}
	if strings.ContainsAny(s.newToken, "\r\n") {
		return nil, &problem{"the name of a new token must be one line", nil}
	}
	return s, s.setListen(listen)
}

func (s *settings) setListen(listen []string) error {
	if len(listen) == 0 {
		listen = []string{":443"}
	}
	for _, text := range listen {
		host, port, err := net.SplitHostPort(text)
		n, err2 := strconv.ParseUint(port, 10, 16)
		if err != nil || err2 != nil {
			return &problem{fmt.Sprintf("-listen %s: want an IP address and a port, as :443 or 192.0.2.1:443", text), errors.Join(err, err2)}
		}
		if len(s.config.Listen) > 0 && s.port != uint16(n) {
			return &problem{fmt.Sprintf("-listen %s: IPv4 and IPv6 use the same port, %d", text, s.port), nil}
		}
		s.port = uint16(n)
		if host == "" {
			s.config.Listen = append(s.config.Listen, netip.AddrPortFrom(netip.IPv4Unspecified(), s.port))
			if hasIPv6() {
				s.config.Listen = append(s.config.Listen, netip.AddrPortFrom(netip.IPv6Unspecified(), s.port))
			}
			continue
		}
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return &problem{fmt.Sprintf("-listen %s: %s is no IP address", text, host), err}
		}
		s.config.Listen = append(s.config.Listen, netip.AddrPortFrom(ip.Unmap(), s.port))
	}
	return nil
}

func hasIPv6() bool {
	for _, ip := range interfaceAddresses() {
		if ip.Is6() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// interfaceAddresses may be replaced by tests.
var interfaceAddresses = func() (out []netip.Addr) {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out
}

// publicAddresses are where members reach the relay: what -public says, or the addresses listened on, or those of this
// machine that are public. port stands in for one that isn't said.
func (s *settings) publicAddresses(port uint16) (out []ma.Multiaddr, err error) {
	for _, text := range s.public {
		more, err := publicAddress(text, port)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if len(s.public) > 0 {
		return out, nil
	}
	for _, l := range s.config.Listen {
		ips := []netip.Addr{l.Addr()}
		if l.Addr().IsUnspecified() {
			ips = nil
			for _, ip := range interfaceAddresses() {
				if ip.Is4() == l.Addr().Is4() && ip.IsGlobalUnicast() && !ip.IsPrivate() && !carrierNAT.Contains(ip) && len(ips) == 0 {
					ips = append(ips, ip)
				}
			}
		}
		for _, ip := range ips {
			out = append(out, relayauth.Addresses(netip.AddrPortFrom(ip, max(port, 1)))...)
		}
	}
	if len(out) == 0 {
		return nil, &problem{"no public address: this machine has none of its own, so say with -public where members reach it, as -public 203.0.113.5", nil}
	}
	return out, nil
}

var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

func publicAddress(text string, port uint16) ([]ma.Multiaddr, error) {
	wrong := func(why string) error { return &problem{fmt.Sprintf("-public %s: %s", text, why), nil} }
	if strings.HasPrefix(text, "/") {
		a, err := ma.NewMultiaddr(text)
		if err != nil || relayauth.CheckAddress(a) != nil {
			return nil, wrong("want an IP address with /udp/443/quic-v1, /tcp/443, /tcp/443/ws or /tcp/443/tls/ws")
		}
		return []ma.Multiaddr{a}, nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
		if err != nil {
			return nil, wrong("want an IP address; names aren't looked up, since that would tell a third party who uses the relay")
		}
		at = netip.AddrPortFrom(ip, max(port, 1))
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	out := relayauth.Addresses(at)
	for _, a := range out {
		if relayauth.CheckAddress(a) != nil {
			return nil, wrong("members can't reach that address")
		}
	}
	return out, nil
}
