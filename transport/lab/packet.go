package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// class is what a packet is for, as anybody on the path can tell.
type class uint8

const (
	classOther  class = iota
	classKernel       // what the operating system says by itself: neighbour discovery, multicast membership, errors
	classTCP
	classSTUN
	classDTLS
	classSRTP
	classQUIC
	classDatagram // UDP of another kind
)

var classNames = [...]string{"other", "kernel", "TCP", "STUN", "DTLS", "SRTP", "QUIC", "UDP"}

func (c class) String() string { return classNames[c] }

// The IP protocol numbers that the laboratory tells apart.
const (
	protoICMP   = 1
	protoIGMP   = 2
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// The types of STUN messages that ICE's checks are made of.
const (
	stunRequest = 0x0001
	stunSuccess = 0x0101
)

// flow is one direction of a conversation, of one class.
type flow struct {
	src, dst netip.AddrPort // port 0 where the protocol has none
	class    class
}

func (f flow) String() string { return fmt.Sprintf("%v %v → %v", f.class, f.src, f.dst) }

// parsePacket reads an IP packet as far as its ports, and its payload behind TCP's or UDP's header.
func parsePacket(b []byte) (f flow, payload []byte, ok bool) {
	if len(b) < 20 {
		return flow{}, nil, false
	}
	var src, dst netip.Addr
	var proto byte
	var rest []byte
	switch b[0] >> 4 {
	case 4:
		header := int(b[0]&15) * 4
		if header < 20 || len(b) < header {
			return flow{}, nil, false
		}
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		proto, rest = b[9], b[header:]
		if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 { // a later fragment has no ports
			return flow{netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0), classOther}, rest, true
		}
	case 6:
		if len(b) < 40 {
			return flow{}, nil, false
		}
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		proto, rest = skipExtensions(b[6], b[40:])
	default:
		return flow{}, nil, false
	}
	f = flow{netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0), classOther}
	switch {
	case proto == protoICMP, proto == protoICMPv6, proto == protoIGMP:
		f.class = classKernel
		return f, rest, true
	case proto == protoTCP && len(rest) >= 20:
		f.class, payload = classTCP, rest[min(int(rest[12]>>4)*4, len(rest)):]
	case proto == protoUDP && len(rest) >= 8:
		payload = rest[8:]
		f.class = classifyDatagram(payload)
	default:
		return f, rest, true
	}
	f.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(rest))
	f.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(rest[2:]))
	return f, payload, true
}

// skipExtensions passes over IPv6's hop-by-hop options, in which the kernel packs multicast membership.
func skipExtensions(next byte, b []byte) (byte, []byte) {
	for next == 0 && len(b) >= 8 {
		n := (int(b[1]) + 1) * 8
		if n > len(b) {
			break
		}
		next, b = b[0], b[n:]
	}
	return next, b
}

// classifyDatagram is RFC 9443's demultiplexing.
func classifyDatagram(p []byte) class {
	switch {
	case len(p) < 2:
		return classDatagram
	case len(p) >= 20 && p[0] < 4 && binary.BigEndian.Uint32(p[4:]) == 0x2112A442:
		return classSTUN
	case p[0] >= 20 && p[0] < 64:
		return classDTLS
	case p[0] >= 128 && p[0] < 192:
		return classSRTP
	case p[0] >= 64:
		return classQUIC
	}
	return classDatagram
}

// hop takes one from the packet's time to live, as a router does. It reports whether any is left.
func hop(b []byte) bool {
	if b[0]>>4 == 6 {
		if b[7] <= 1 {
			return false
		}
		b[7]--
		return true
	}
	if b[8] <= 1 {
		return false
	}
	b[8]--
	// RFC 1624: the header's checksum moves by what the header lost, which is 1 in the upper byte of word 4.
	sum := uint32(binary.BigEndian.Uint16(b[10:])) + 0x0100
	binary.BigEndian.PutUint16(b[10:], uint16(sum+sum>>16))
	return true
}
