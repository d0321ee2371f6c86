package transporttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/huisclos/huisclos/transport/internal/fakesocket"
	"github.com/huisclos/huisclos/transport/portmap"
)

// A host with HostOptions.Router has a router that speaks NAT-PMP (RFC 6886), on its own network alone: nothing of it
// crosses the internet. vnet's NAT opens a port for whoever sends from it, so the router sends one datagram from there to
// an address where nobody is, and sees by it which port that is outside.

var _ portmap.Network = (*Host)(nil)

// sink is where nobody is.
var sink = netip.MustParseAddrPort("5.255.255.254:9")

const (
	natpmpPort     = 5351
	routerLease    = time.Hour // of vnet's NAT; NAT-PMP's lifetimes are answered and not kept
	routerEpoch    = 1 << 20
	resultOpcode   = 5 // unsupported opcode
	resultNoSocket = 3 // network failure
)

// Gateways returns the router, if there is one to ask.
func (h *Host) Gateways() []portmap.Gateway {
	if !h.outside.IsValid() {
		return nil
	}
	own, err := h.Addresses()
	if err != nil {
		return nil
	}
	for _, p := range own {
		if a := p.Addr(); a.IsPrivate() {
			b := a.As4()
			b[3] = 254
			return []portmap.Gateway{{Address: netip.AddrFrom4(b), Local: a}}
		}
	}
	return nil
}

// ListenPacket opens a socket towards the router.
func (h *Host) ListenPacket(local netip.Addr) (net.PacketConn, error) {
	return fakesocket.New(local, h.askRouter), nil
}

// DialTCP fails: there is no TCP.
func (h *Host) DialTCP(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (h *Host) askRouter(b []byte, gateway netip.AddrPort, answer fakesocket.Answer) {
	if gateway.Port() != natpmpPort || len(b) < 2 || b[0] != 0 { // PCP and UPnP get no answer
		return
	}
	head := binary.BigEndian.AppendUint32([]byte{0, b[1] | 0x80, 0, 0}, routerEpoch+uint32(time.Since(h.world.began)/time.Second))
	switch {
	case b[1] == 0:
		outside := h.outside.As4()
		answer(gateway, append(head, outside[:]...))
	case b[1] == 1 && len(b) == 12:
		internal, lease := binary.BigEndian.Uint16(b[4:]), bytes.Clone(b[8:12])
		if !h.open(internal, func(external uint16) {
			head = binary.BigEndian.AppendUint16(head, internal)
			head = binary.BigEndian.AppendUint16(head, external)
			answer(gateway, append(head, lease...))
		}) {
			head[3] = resultNoSocket
			answer(gateway, append(head, b[4:12]...))
		}
	default:
		head[3] = resultOpcode
		answer(gateway, append(head, 0, 0, 0, 0, 0, 0, 0, 0))
	}
}

// open has the NAT open the port of a socket, and says what it is outside.
func (h *Host) open(port uint16, opened func(external uint16)) bool {
	w := h.world
	w.mu.Lock()
	conn := h.sockets[port]
	w.opening++
	token := binary.BigEndian.AppendUint64(nil, w.opening)
	if w.opened == nil {
		w.opened = map[string]func(uint16){}
	}
	w.opened[string(token)] = opened
	w.mu.Unlock()
	if conn == nil {
		return false
	}
	_, err := conn.WriteTo(token, net.UDPAddrFromAddrPort(sink))
	return err == nil
}

// sunk takes what a router sent to see a port from outside.
func (w *World) sunk(d Datagram) bool {
	if d.To != sink {
		return false
	}
	w.mu.Lock()
	opened := w.opened[string(d.Data)]
	delete(w.opened, string(d.Data))
	w.mu.Unlock()
	if opened != nil {
		opened(d.From.Port())
	}
	return true
}
