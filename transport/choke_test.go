package transport

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	piontransport "github.com/pion/transport/v4"
)

// subnets is a network of interfaces alone.
type subnets []string

func (subnets) ListenUDP(netip.AddrPort) (net.PacketConn, error) { return nil, errors.New("none") }
func (subnets) ICE() piontransport.Net                           { return nil }
func (subnets) TCP() bool                                        { return false }
func (n *subnets) Addresses() (out []netip.Prefix, _ error) {
	for _, s := range *n {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out, nil
}

// wire is a socket that plays given datagrams and counts those sent.
type wire struct {
	net.PacketConn
	from []netip.AddrPort
	sent int
}

func (w *wire) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	if len(w.from) == 0 {
		return 0, netip.AddrPort{}, net.ErrClosed
	}
	from := w.from[0]
	w.from = w.from[1:]
	return copy(b, "\x40quic"), from, nil
}

func (w *wire) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	w.sent++
	return len(b), nil
}

// TestChoke: a datagram to or from an address that the filter forbids doesn't pass, whatever
// made it (MOD-1). The twin lets it pass.
// Checks: MOD-1.
func TestChoke(t *testing.T) {
	for name, open := range map[string]bool{"protected": false, "twin": true} {
		t.Run(name, func(t *testing.T) {
			c := &choke{filter: &addressFilter{network: &subnets{"192.168.7.5/24"}, lan: true}, open: open}
			inside, outside := netip.MustParseAddrPort("192.168.7.9:1"), netip.MustParseAddrPort("8.8.8.8:1")
			w := &wire{from: []netip.AddrPort{outside, inside, outside}}
			d := newDemuxConn(w, nil, c)
			b := make([]byte, 100)
			if _, from, err := d.ReadFrom(b); err != nil || (from.String() == outside.String()) != open {
				t.Errorf("read from %v, %v", from, err)
			}
			_, errQUIC := d.WriteTo(b, net.UDPAddrFromAddrPort(outside))
			_, errMedia := d.write(b, outside)
			if refused := errQUIC != nil && errMedia != nil; refused == open || w.sent > 0 != open {
				t.Errorf("%v, %v, %d datagrams left", errQUIC, errMedia, w.sent)
			}
			if _, err := d.WriteTo(b, net.UDPAddrFromAddrPort(inside)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestChokeForgets: what the filter said is said anew when the interfaces have changed.
// Checks: MOD-1.
func TestChokeForgets(t *testing.T) {
	n := &subnets{"192.168.7.5/24"}
	c := &choke{filter: &addressFilter{network: n, lan: true}}
	before, after := netip.MustParseAddr("192.168.7.9"), netip.MustParseAddr("10.0.0.9")
	if !c.permits(before) || c.permits(after) || !c.permits(before) {
		t.Fatal("on the first network")
	}
	*n = subnets{"10.0.0.1/24"}
	c.filter.refresh()
	if c.permits(before) || !c.permits(after) {
		t.Error("on the second network")
	}
	*n = subnets{"172.16.0.1/24"}
	c.filter.refresh()
	if c.permits(after) {
		t.Error("on the third network")
	}
}

// TestChokeAllocatesNothing: a packet to an address that is known costs no allocation.
// Checks: MOD-1.
func TestChokeAllocatesNothing(t *testing.T) {
	d := newDemuxConn(&wire{}, nil, &choke{filter: &addressFilter{network: &subnets{"192.168.7.5/24"}}})
	b, to := make([]byte, 1200), netip.MustParseAddrPort("192.168.7.9:1")
	udp := net.UDPAddrFromAddrPort(to)
	if n := testing.AllocsPerRun(1000, func() { _, _ = d.write(b, to); _, _ = d.WriteTo(b, udp) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkChoke is a datagram's look-up, beside the send system call that follows it and the
// filter without a memory.
func BenchmarkChoke(b *testing.B) {
	f := &addressFilter{network: &subnets{"10.0.0.1/8", "fd00::1/64", "192.168.7.5/24"}}
	to := netip.MustParseAddrPort("192.168.7.9:1")
	b.Run("lookup", func(b *testing.B) {
		c := &choke{filter: f}
		b.ReportAllocs()
		for b.Loop() {
			c.permits(to.Addr())
		}
	})
	b.Run("filter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.allow(to.Addr())
		}
	})
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	self := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	packet := make([]byte, 1200)
	for name, choked := range map[string]*choke{"send": {open: true}, "send-choked": {filter: &addressFilter{network: &subnets{"127.0.0.1/8"}, loopback: true}}} {
		d := newDemuxConn(conn, nil, choked)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = d.write(packet, self)
			}
		})
	}
}
