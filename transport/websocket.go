package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptransport "github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// WebSocket serves where nothing passes but HTTPS, by way of a proxy or not. Relays alone are dialled so: members
// never listen on it (TRA-1). Inside is Noise, which proves who the relay is (RLY-9), so its certificate isn't verified: it
// can be self-signed, and there is no authority to ask. No server name is sent, for the address is an IP address.

const (
	webSocketTimeout = 10 * time.Second
	webSocketClose   = 100 * time.Millisecond
	// webSocketBuffer holds what the muxer writes at once, so that it goes as one message.
	webSocketBuffer = 16 << 10
	// webSocketHead is how much a relay and a proxy may answer before there is a WebSocket: TLS's handshake and HTTP's head,
	// which net/http reads without a limit of its own.
	webSocketHead = 128 << 10
)

// ProxyFunc returns the proxy for a request, or nil for none. http.ProxyFromEnvironment is one, http.ProxyURL makes one.
type ProxyFunc func(*http.Request) (*url.URL, error)

var errLongHead = errors.New("transport: the answer to a WebSocket's handshake has no end")

var errNoListen = errors.New("transport: members don't listen on WebSocket")

// webSocketTransport dials WebSocket, with TLS and without. It is libp2p's transport but for three things: it asks the
// environment for no proxy unless told to, resolves no name, and doesn't listen.
type webSocketTransport struct {
	upgrader  libp2ptransport.Upgrader
	resources network.ResourceManager
	dialer    websocket.Dialer
	proxy     ProxyFunc // nil is none
	contacts  *contacts
	anyHead   bool // tests only: an answer may be as long as it likes
}

var _ libp2ptransport.Transport = (*webSocketTransport)(nil)

func newWebSocket(up libp2ptransport.Upgrader, resources network.ResourceManager, proxy ProxyFunc, noted *contacts) *webSocketTransport {
	return &webSocketTransport{upgrader: up, resources: resources, proxy: proxy, contacts: noted, dialer: websocket.Dialer{
		HandshakeTimeout: webSocketTimeout,
		TLSClientConfig:  &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		WriteBufferSize:  webSocketBuffer,
		ReadBufferSize:   webSocketBuffer,
	}}
}

// Where an address of a relay has TCP and WebSocket on one port, libp2p's swarm leaves WebSocket out, though nothing else
// may pass. So it is told of HTTP instead.
var (
	forHTTP  = ma.StringCast("/http")
	forHTTPS = ma.StringCast("/https")
)

// hideWebSocket is what the swarm is told of an address, showWebSocket the address.
func hideWebSocket(a ma.Multiaddr) ma.Multiaddr {
	switch relayauth.Kind(a) {
	case relayauth.KindWebSocket:
		return firstTwo(a).Encapsulate(forHTTP)
	case relayauth.KindWebSocketTLS:
		return firstTwo(a).Encapsulate(forHTTPS)
	}
	return a
}

func showWebSocket(a ma.Multiaddr) ma.Multiaddr {
	if len(a) != 3 || a[1].Code() != ma.P_TCP {
		return a
	}
	switch a[2].Code() {
	case ma.P_HTTP:
		return firstTwo(a).Encapsulate(ma.StringCast("/ws"))
	case ma.P_HTTPS:
		return firstTwo(a).Encapsulate(ma.StringCast("/tls/ws"))
	}
	return a
}

// CanDial takes an IP address with tcp/ws or tcp/tls/ws, as the swarm is told of them.
func (t *webSocketTransport) CanDial(a ma.Multiaddr) bool { return isWebSocket(showWebSocket(a)) }

func isWebSocket(a ma.Multiaddr) bool {
	k := relayauth.Kind(a)
	return k == relayauth.KindWebSocket || k == relayauth.KindWebSocketTLS
}

// Protocols are those whose addresses come here.
func (t *webSocketTransport) Protocols() []int { return []int{ma.P_WS, ma.P_HTTP, ma.P_HTTPS} }

// Proxy tells that this is no circuit.
func (t *webSocketTransport) Proxy() bool { return false }

// Listen refuses.
func (t *webSocketTransport) Listen(ma.Multiaddr) (libp2ptransport.Listener, error) {
	return nil, errNoListen
}

// Dial connects and has Noise prove that the peer is there.
func (t *webSocketTransport) Dial(ctx context.Context, a ma.Multiaddr, id peer.ID) (libp2ptransport.CapableConn, error) {
	a = showWebSocket(a)
	scope, err := t.resources.OpenConnection(network.DirOutbound, true, a)
	if err != nil {
		return nil, err
	}
	raw, err := t.dial(ctx, a)
	if err != nil {
		scope.Done()
		return nil, err
	}
	conn, err := t.upgrader.Upgrade(ctx, t, raw, network.DirOutbound, id, scope)
	if err != nil { // the upgrader has closed raw
		scope.Done()
		return nil, err
	}
	return conn, nil
}

func (t *webSocketTransport) dial(ctx context.Context, a ma.Multiaddr) (manet.Conn, error) {
	at, ok := addrPortOf(a)
	if !ok || !isWebSocket(a) {
		return nil, ErrNoAddress
	}
	u := url.URL{Scheme: "ws", Host: at.String(), Path: "/"}
	if relayauth.Kind(a) == relayauth.KindWebSocketTLS {
		u.Scheme = "wss"
	}
	conn, response, err := t.handshake(ctx, u)
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	local, err := manet.FromNetAddr(conn.LocalAddr())
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &webSocketConn{Conn: conn, local: local, remote: a}, nil
}

// handshake dials, by way of the proxy if there is one, and reads little until there is a WebSocket (RLY-9). Of the proxy
// is noted how far it was used: tried, asked, or more, and whether without TLS (EXP-4).
func (t *webSocketTransport) handshake(ctx context.Context, to url.URL) (*websocket.Conn, *http.Response, error) {
	var head *headConn
	var by *url.URL
	dialer := t.dialer
	if t.proxy != nil {
		dialer.Proxy = func(r *http.Request) (_ *url.URL, err error) { // it is asked before anything is dialled
			by, err = t.proxy(r)
			return by, err
		}
	}
	use := func(ProxyUse) {}
	dialer.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		if by != nil {
			d.Control = func(_, at string, _ syscall.RawConn) error { // before the first packet
				t.contacts.noteProxy(ProxyUse{Name: by.Host, Address: addrOf(at)})
				return nil
			}
		}
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		head = &headConn{Conn: conn}
		if by != nil {
			at := addrOf(conn.RemoteAddr().String())
			use = func(u ProxyUse) {
				u.Name, u.Address = by.Host, at
				t.contacts.noteProxy(u)
			}
			head.target, head.asked = to, func() { use(ProxyUse{Asked: true}) }
		}
		if head.left.Store(webSocketHead); t.anyHead {
			head.left.Store(-1)
		}
		return head, nil
	}
	conn, response, err := dialer.DialContext(ctx, to.String(), nil)
	if err == nil {
		head.left.Store(-1)
		use(ProxyUse{Asked: true, Carried: true, Open: to.Scheme == "ws"})
	}
	return conn, response, err
}

// addrOf is the IP address of a host and port.
func addrOf(hostPort string) netip.Addr {
	ap, _ := netip.ParseAddrPort(hostPort)
	return ap.Addr().Unmap().WithZone("")
}

// headConn gives so many bytes, and then errors; or any number.
type headConn struct {
	net.Conn
	left   atomic.Int64 // below zero: any number
	target url.URL      // what a proxy is asked for
	asked  func()       // called, if set, when it is
}

// Write notices when a proxy is told where to: HTTP's CONNECT has it in words, SOCKS5 in bytes.
func (c *headConn) Write(b []byte) (int, error) {
	if c.asked != nil && c.left.Load() >= 0 {
		ip := addrOf(c.target.Host)
		if bytes.Contains(b, []byte(c.target.Host)) || bytes.Contains(b, ip.AsSlice()) {
			c.asked()
		}
	}
	return c.Conn.Write(b)
}

// Read reads no more than is left.
func (c *headConn) Read(b []byte) (int, error) {
	left := c.left.Load()
	if left < 0 {
		return c.Conn.Read(b)
	}
	if left == 0 {
		return 0, errLongHead
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), left)])
	c.left.CompareAndSwap(left, left-int64(n))
	return n, err
}

// webSocketConn is a stream of bytes in binary messages, whose bounds mean nothing.
type webSocketConn struct {
	*websocket.Conn
	local, remote ma.Multiaddr
	reading       sync.Mutex
	message       io.Reader
	writing       sync.Mutex
	closing       sync.Once
}

var _ manet.Conn = (*webSocketConn)(nil)

// Read reads on in the current message or the next.
func (c *webSocketConn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		if c.message == nil {
			kind, message, err := c.NextReader()
			var closed *websocket.CloseError
			switch {
			case errors.As(err, &closed):
				return 0, io.EOF
			case err != nil:
				return 0, err
			case kind != websocket.BinaryMessage:
				return 0, websocket.ErrBadHandshake
			}
			c.message = message
		}
		n, err := c.message.Read(b)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

// Write sends b as one message.
func (c *webSocketConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close says so to the other end if that takes no time.
func (c *webSocketConn) Close() (err error) {
	c.closing.Do(func() {
		_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(webSocketClose))
		err = c.Conn.Close()
	})
	return err
}

// SetDeadline sets both deadlines.
func (c *webSocketConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetWriteDeadline waits for a write under way: the field is the connection's own.
func (c *webSocketConn) SetWriteDeadline(t time.Time) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Conn.SetWriteDeadline(t)
}

// LocalMultiaddr and RemoteMultiaddr name the ends; the proxy, if there is one, isn't among them.
func (c *webSocketConn) LocalMultiaddr() ma.Multiaddr { return c.local }

// RemoteMultiaddr is the relay's address.
func (c *webSocketConn) RemoteMultiaddr() ma.Multiaddr { return c.remote }

var _ net.Conn = (*webSocketConn)(nil)
