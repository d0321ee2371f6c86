package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// packetClass is what the first byte of a datagram says it is.
type packetClass uint8

const (
	packetQUIC packetClass = iota // anything that is not ours
	packetSTUN
	packetMedia // DTLS, SRTP, SRTCP
)

// stunMagic is the magic cookie of RFC 8489 §5. QUIC's first byte is never below 64
// (the fixed bit), so byte 0–3 is STUN; the cookie is checked before parsing.
const stunMagic = 0x2112A442

// classify is RFC 9443 §4 for the protocols on our port: STUN 0–3, DTLS 20–63,
// SRTP 128–191; all else is QUIC, whose short headers are 64–127 and whose long
// headers are 192–255.
func classify(datagram []byte) packetClass {
	if len(datagram) == 0 {
		return packetQUIC
	}
	switch b := datagram[0]; {
	case b < 4:
		return packetSTUN
	case b < 64, b >= 128 && b <= 191:
		return packetMedia
	}
	return packetQUIC
}

func isSTUN(datagram []byte) bool {
	return len(datagram) >= 20 && datagram[0] < 4 && binary.BigEndian.Uint32(datagram[4:]) == stunMagic
}

// addrPortConn is the allocation-free half of *net.UDPConn.
type addrPortConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

// demuxConn is the one UDP socket as QUIC sees it. QUIC's read loop drives it: what
// is QUIC's is returned, what is ICE's or media's goes to the mux on the way.
// There is no goroutine and no queue of its own.
//
// It does not offer SyscallConn: quic-go would read the socket past us (TRA-14).
type demuxConn struct {
	net.PacketConn
	fast  addrPortConn // nil when the socket has no such methods
	mux   *mediaMux
	choke *choke
}

func newDemuxConn(conn net.PacketConn, mux *mediaMux, choke *choke) *demuxConn {
	fast, _ := conn.(addrPortConn)
	return &demuxConn{PacketConn: conn, fast: fast, mux: mux, choke: choke}
}

// ReadFrom returns the next datagram that is QUIC's. What comes from where we may not send
// is not looked at.
func (c *demuxConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.read(b)
		if err != nil {
			return n, nil, err
		}
		if !c.choke.permits(from.Addr()) { // MOD-1
			continue
		}
		if classify(b[:n]) == packetQUIC {
			return n, net.UDPAddrFromAddrPort(from), nil
		}
		c.mux.dispatch(b[:n], from)
	}
}

func (c *demuxConn) read(b []byte) (int, netip.AddrPort, error) {
	if c.fast != nil {
		n, from, err := c.fast.ReadFromUDPAddrPort(b)
		return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
	}
	n, addr, err := c.PacketConn.ReadFrom(b)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, netip.AddrPort{}, net.ErrClosed
	}
	from := udp.AddrPort()
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), nil
}

// WriteTo sends a datagram of QUIC's.
func (c *demuxConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, net.ErrClosed
	}
	to := udp.AddrPort()
	return c.write(b, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
}

// write sends a datagram, unless the choke is in its way. The address is not a mapped one.
func (c *demuxConn) write(b []byte, to netip.AddrPort) (int, error) {
	if !c.choke.permits(to.Addr()) { // MOD-1
		return 0, errForbidden
	}
	if c.fast != nil {
		return c.fast.WriteToUDPAddrPort(b, to)
	}
	return c.PacketConn.WriteTo(b, net.UDPAddrFromAddrPort(to))
}

// SetReadBuffer and SetWriteBuffer do nothing: Network.ListenUDP has set both.
func (c *demuxConn) SetReadBuffer(int) error  { return nil }
func (c *demuxConn) SetWriteBuffer(int) error { return nil }

func (c *demuxConn) SetReadDeadline(t time.Time) error { return c.PacketConn.SetReadDeadline(t) }

func (c *demuxConn) localAddrPort() netip.AddrPort {
	udp, ok := c.PacketConn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := udp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
