package portmap

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The bytes of PCP (RFC 6887) and NAT-PMP (RFC 6886). Those of UPnP, which are text, are in wire_upnp.go.

const (
	controlPort = 5351 // PCP and NAT-PMP
	maxControl  = 1100 // bytes of a PCP message (RFC 6887 §7)

	pcpVersion    = 2
	pcpAnnounce   = 0
	pcpMap        = 1
	pcpHeader     = 24
	pcpMapSize    = pcpHeader + 36
	pcpResponse   = 0x80
	natpmpVersion = 0
	natpmpAddress = 0

	resultOK          = 0
	resultUnsupported = 1 // UNSUPP_VERSION in both
)

// Numbers of transport protocols (IANA).
const (
	protocolTCP = 6
	protocolUDP = 17
)

var errMalformed = errors.New("portmap: not an answer to what was asked")

type nonce [12]byte

// mapRequest is a MAP request of PCP. A lifetime of 0 deletes.
type mapRequest struct {
	nonce    nonce
	protocol uint8
	lifetime uint32 // seconds
	client   netip.Addr
	internal uint16
	external netip.AddrPort // suggested; the family is the client's
}

// mapAnswer is the router's. With a result other than 0, lifetime says for how long not to ask again.
type mapAnswer struct {
	result   uint8
	lifetime uint32
	epoch    uint32 // seconds since the router lost its mappings
	nonce    nonce
	protocol uint8
	internal uint16
	external netip.AddrPort
}

func (r mapRequest) encode() []byte {
	b := make([]byte, pcpHeader, pcpMapSize)
	b[0], b[1] = pcpVersion, pcpMap
	binary.BigEndian.PutUint32(b[4:], r.lifetime)
	client := r.client.WithZone("").As16() // IPv4 as ::ffff:a.b.c.d
	copy(b[8:], client[:])
	b = append(b, r.nonce[:]...)
	b = append(b, r.protocol, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, r.internal)
	b = binary.BigEndian.AppendUint16(b, r.external.Port())
	external := r.external.Addr()
	if !external.IsValid() { // none suggested: all zeros of the family (RFC 6887 §11.1)
		external = netip.IPv6Unspecified()
		if r.client.Is4() {
			external = netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff})
		}
	}
	e := external.As16()
	return append(b, e[:]...)
}

// decodeMap reads the answer to a MAP request. Options after it are ignored.
func decodeMap(b []byte) (mapAnswer, error) {
	if len(b) < pcpMapSize || len(b) > maxControl || len(b)%4 != 0 || b[0] != pcpVersion || b[1] != pcpResponse|pcpMap {
		return mapAnswer{}, errMalformed
	}
	p := b[pcpHeader:]
	return mapAnswer{
		result: b[3], lifetime: binary.BigEndian.Uint32(b[4:]), epoch: binary.BigEndian.Uint32(b[8:]),
		nonce: nonce(p), protocol: p[12], internal: binary.BigEndian.Uint16(p[16:]),
		external: netip.AddrPortFrom(netip.AddrFrom16([16]byte(p[20:])).Unmap(), binary.BigEndian.Uint16(p[18:])),
	}, nil
}

// encodeAnnounce asks a PCP router for its epoch.
func encodeAnnounce(client netip.Addr) []byte {
	b := make([]byte, pcpHeader)
	b[0], b[1] = pcpVersion, pcpAnnounce
	c := client.WithZone("").As16()
	copy(b[8:], c[:])
	return b
}

// decodeAnnounce returns the epoch.
func decodeAnnounce(b []byte) (epoch uint32, err error) {
	if !isAnnounce(b) || b[3] != resultOK {
		return 0, errMalformed
	}
	return binary.BigEndian.Uint32(b[8:]), nil
}

// isAnnounce says whether it is an answer to ANNOUNCE at all: some routers don't know it.
func isAnnounce(b []byte) bool {
	return len(b) >= pcpHeader && len(b) <= maxControl && len(b)%4 == 0 && b[0] == pcpVersion && b[1] == pcpResponse|pcpAnnounce
}

// encodeAddressRequest asks a NAT-PMP router for its external address.
func encodeAddressRequest() []byte { return []byte{natpmpVersion, natpmpAddress} }

// addressAnswer is the router's.
type addressAnswer struct {
	result  uint16
	epoch   uint32
	address netip.Addr
}

// decodeAddress reads the answer. One with a result other than 0 may be short.
func decodeAddress(b []byte) (addressAnswer, error) {
	if len(b) < 8 || len(b) > maxControl || b[0] != natpmpVersion || b[1] != pcpResponse|natpmpAddress {
		return addressAnswer{}, errMalformed
	}
	a := addressAnswer{result: binary.BigEndian.Uint16(b[2:]), epoch: binary.BigEndian.Uint32(b[4:])}
	switch {
	case a.result != resultOK:
	case len(b) != 12:
		return addressAnswer{}, errMalformed
	default:
		a.address = netip.AddrFrom4([4]byte(b[8:]))
	}
	return a, nil
}

// portRequest is a mapping request of NAT-PMP. A lifetime of 0 deletes.
type portRequest struct {
	protocol           uint8
	internal, external uint16
	lifetime           uint32
}

// portAnswer is the router's.
type portAnswer struct {
	protocol           uint8
	result             uint16
	epoch              uint32
	internal, external uint16
	lifetime           uint32
}

func (r portRequest) encode() []byte {
	b := []byte{natpmpVersion, natpmpOpcode(r.protocol), 0, 0}
	b = binary.BigEndian.AppendUint16(b, r.internal)
	b = binary.BigEndian.AppendUint16(b, r.external)
	return binary.BigEndian.AppendUint32(b, r.lifetime)
}

func natpmpOpcode(protocol uint8) uint8 {
	if protocol == protocolUDP {
		return 1
	}
	return 2
}

func decodePort(b []byte) (portAnswer, error) {
	if len(b) != 16 || b[0] != natpmpVersion {
		return portAnswer{}, errMalformed
	}
	a := portAnswer{
		result: binary.BigEndian.Uint16(b[2:]), epoch: binary.BigEndian.Uint32(b[4:]),
		internal: binary.BigEndian.Uint16(b[8:]), external: binary.BigEndian.Uint16(b[10:]), lifetime: binary.BigEndian.Uint32(b[12:]),
	}
	switch b[1] {
	case pcpResponse | 1:
		a.protocol = protocolUDP
	case pcpResponse | 2:
		a.protocol = protocolTCP
	default:
		return portAnswer{}, errMalformed
	}
	return a, nil
}
