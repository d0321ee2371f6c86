package portmap

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/huisclos/huisclos/transport/internal/fakesocket"
)

var (
	routerAddr = netip.MustParseAddr("192.168.1.1")
	hostAddr   = netip.MustParseAddr("192.168.1.7")
	stranger   = netip.MustParseAddr("192.168.1.66") // another machine on the network
	outside    = netip.MustParseAddr("5.6.7.8")
)

// router is a network of one host and one router, in memory: it speaks what it is told to, and may lie.
type router struct {
	mu       sync.Mutex
	gateways []Gateway
	pcp      bool
	natpmp   bool
	upnp     bool
	external netip.Addr
	result   byte // of every PCP and NAT-PMP answer
	fault    int  // of every AddPortMapping
	permOnly bool
	taken    map[uint16]bool // external ports that another machine has
	life     uint32          // granted; 0: as asked
	started  time.Time
	maps     map[string]string // "UDP 5.6.7.8:40000" -> "192.168.1.7:40000 600"
	nonces   map[string]nonce
	silent   bool

	sent     []netip.AddrPort                                                // everywhere the host sent a datagram or connected to
	forge    func(ask []byte, answers []forged) []forged                     // changes what is answered by UDP
	http     func(w http.ResponseWriter, r *http.Request, next http.Handler) // changes what is answered by HTTP
	location string
	control  string
}

type forged struct {
	from netip.AddrPort
	data []byte
}

func newRouter() *router {
	return &router{gateways: []Gateway{{routerAddr, hostAddr}}, external: outside, started: time.Now().Add(-time.Hour), maps: map[string]string{},
		nonces: map[string]nonce{}, taken: map[uint16]bool{}, location: "http://192.168.1.1:5000/root.xml", control: "/ctl"}
}

// restart loses every mapping.
func (r *router) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started, r.maps, r.nonces = time.Now(), map[string]string{}, map[string]nonce{}
}

func (r *router) open() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]string{}
	for k, v := range r.maps {
		out[k] = v
	}
	return out
}

func (r *router) Gateways() []Gateway {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gateways
}

func (r *router) epoch() uint32 { return uint32(time.Since(r.started) / time.Second) }

func (r *router) ListenPacket(local netip.Addr) (net.PacketConn, error) {
	return fakesocket.New(local, func(b []byte, to netip.AddrPort, answer fakesocket.Answer) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sent = append(r.sent, to)
		answers := r.answer(b, to, local)
		if r.forge != nil {
			answers = r.forge(b, answers)
		}
		for _, a := range answers {
			answer(a.from, a.data)
		}
	}), nil
}

// answer is the router's to one datagram.
func (r *router) answer(b []byte, to netip.AddrPort, local netip.Addr) []forged {
	gateway := netip.Addr{}
	for _, g := range r.gateways {
		if g.Address == to.Addr() {
			gateway = g.Address
		}
	}
	if !gateway.IsValid() || r.silent {
		return nil
	}
	reply := func(data []byte) []forged { return []forged{{to, data}} }
	switch {
	case to.Port() == ssdpPort && r.upnp:
		return reply([]byte("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: x\r\nLOCATION: " + r.location + "\r\n\r\n"))
	case to.Port() != controlPort:
	case b[0] == pcpVersion && r.pcp && b[1] == pcpAnnounce:
		a := make([]byte, pcpHeader)
		a[0], a[1] = pcpVersion, pcpResponse
		binary.BigEndian.PutUint32(a[8:], r.epoch())
		return reply(a)
	case b[0] == pcpVersion && r.pcp:
		return reply(r.pcpMap(b, local))
	case b[0] == pcpVersion && r.natpmp: // RFC 6886 §3.5
		return reply([]byte{0, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	case b[0] == natpmpVersion && r.natpmp && b[1] == 0:
		a := []byte{0, 0x80, 0, r.result}
		a = binary.BigEndian.AppendUint32(a, r.epoch())
		e := r.external.As4()
		return reply(append(a, e[:]...))
	case b[0] == natpmpVersion && r.natpmp:
		return reply(r.natpmpMap(b))
	}
	return nil
}

func (r *router) pcpMap(b []byte, local netip.Addr) []byte {
	a := append([]byte(nil), b...)
	a[1] |= pcpResponse
	n, protocol := nonce(b[24:]), map[byte]string{protocolUDP: "UDP", protocolTCP: "TCP"}[b[36]]
	asked := binary.BigEndian.Uint32(b[4:])
	internal, external := binary.BigEndian.Uint16(b[40:]), binary.BigEndian.Uint16(b[42:])
	life := asked
	if r.life != 0 && asked != 0 {
		life = r.life
	}
	a[3] = r.result
	binary.BigEndian.PutUint32(a[4:], life)
	binary.BigEndian.PutUint32(a[8:], r.epoch())
	clear(a[12:24])
	address := r.external
	if !local.Is4() {
		address = local // a pinhole
	}
	if netip.AddrFrom16([16]byte(b[8:])).Unmap() != local {
		a[3] = 12 // ADDRESS_MISMATCH
	}
	if external == 0 || r.taken[external] {
		external += 1000
	}
	binary.BigEndian.PutUint16(a[42:], external)
	e := address.As16()
	copy(a[44:], e[:])
	name := fmt.Sprintf("%s %v", protocol, internal)
	if old, ok := r.nonces[name]; ok && old != n {
		a[3] = 2 // NOT_AUTHORIZED
	}
	if a[3] != 0 {
		return a
	}
	if asked == 0 {
		delete(r.maps, name)
		return a
	}
	r.nonces[name] = n
	r.maps[name] = fmt.Sprintf("%v %d", netip.AddrPortFrom(address, external), life)
	return a
}

func (r *router) natpmpMap(b []byte) []byte {
	a := append([]byte{0, b[1] | 0x80, 0, r.result}, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(a[4:], r.epoch())
	a = append(a, b[4:12]...)
	internal, external := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	if r.taken[external] {
		external += 1000
		binary.BigEndian.PutUint16(a[10:], external)
	}
	if r.result != 0 {
		return a
	}
	name := fmt.Sprintf("%s %v", map[byte]string{1: "UDP", 2: "TCP"}[b[1]], internal)
	life := binary.BigEndian.Uint32(b[8:])
	if life == 0 {
		delete(r.maps, name)
		return a
	}
	r.maps[name] = fmt.Sprintf("%v %d", netip.AddrPortFrom(r.external, external), life)
	return a
}

// DialTCP connects to the router's web server; to nobody else.
func (r *router) DialTCP(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	r.mu.Lock()
	r.sent = append(r.sent, to)
	ok := r.upnp && (to.Addr() == routerAddr || to.Addr() == stranger)
	r.mu.Unlock()
	if !ok {
		return nil, os.ErrPermission
	}
	ours, theirs := net.Pipe()
	go func() { _ = http.Serve(&oneConn{conn: theirs}, r) }()
	return ours, nil
}

// oneConn is a listener of one connection.
type oneConn struct {
	mu   sync.Mutex
	conn net.Conn
}

func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.conn
	if l.conn = nil; c == nil {
		return nil, io.EOF
	}
	return c, nil
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func (r *router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.http != nil {
		r.http(w, req, http.HandlerFunc(r.serve))
		return
	}
	r.serve(w, req)
}

func (r *router) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Method == http.MethodGet {
		_, _ = fmt.Fprintf(w, description, r.control)
		return
	}
	body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<16))
	action := strings.Trim(req.Header.Get("SOAPAction"), `"`)
	action = action[strings.IndexByte(action, '#')+1:]
	field := func(name string) string {
		_, rest, _ := strings.Cut(string(body), "<"+name+">")
		v, _, _ := strings.Cut(rest, "</"+name+">")
		return v
	}
	fault := 0
	var port uint16
	_, _ = fmt.Sscan(field("NewExternalPort"), &port)
	name := field("NewProtocol") + " " + field("NewExternalPort")
	switch action {
	case "GetExternalIPAddress":
	case "AddPortMapping":
		switch {
		case r.fault != 0:
			fault = r.fault
		case r.permOnly && field("NewLeaseDuration") != "0":
			fault = faultPermanentOnly
		case r.taken[port]:
			fault = faultConflict
		default:
			r.maps[name] = field("NewInternalClient") + ":" + field("NewInternalPort") + " " + field("NewLeaseDuration")
		}
	case "DeletePortMapping":
		delete(r.maps, name)
	default:
		fault = 401
	}
	if fault != 0 {
		w.WriteHeader(500)
		_, _ = fmt.Fprintf(w, `<s:Envelope xmlns:s="x"><s:Body><s:Fault><detail><UPnPError xmlns="y"><errorCode>%d</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, fault)
		return
	}
	_, _ = fmt.Fprintf(w, `<s:Envelope xmlns:s="x"><s:Body><u:%sResponse xmlns:u="z"><NewExternalIPAddress>%v</NewExternalIPAddress></u:%sResponse></s:Body></s:Envelope>`, action, r.external, action)
}

const description = `<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/l3</controlURL></service></serviceList>
<deviceList><device><deviceList><device><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/x.xml</SCPDURL><controlURL>%s</controlURL><eventSubURL>/evt</eventSubURL></service>
</serviceList></device></deviceList></device></deviceList></device></root>`
