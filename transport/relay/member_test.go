package relay

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/huisclos/huisclos/transport/transporttest"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	ma "github.com/multiformats/go-multiaddr"
)

// member is a member's own host, as a meeting has one.
type member struct {
	*transport.Host
	mu       sync.Mutex
	messages []string
	met      map[transport.PeerKey]bool
}

func newMember(t *testing.T, c transport.Config) *member {
	t.Helper()
	c.Key, c.RoomID, c.Listen = newKey(t), [32]byte{1}, []netip.AddrPort{loopback}
	h, err := transport.Listen(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Host: h, met: map[transport.PeerKey]bool{}}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case ev := <-h.Events():
				m.mu.Lock()
				switch ev := ev.(type) {
				case transport.Message:
					m.messages = append(m.messages, string(ev.Data))
				case transport.PeerConnected:
					m.met[ev.Peer] = true
				}
				m.mu.Unlock()
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { _ = h.Close(); close(stop); <-done })
	return m
}

func (m *member) heard(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, got := range m.messages {
		if got == text {
			return true
		}
	}
	return false
}

func (m *member) hasMet(key transport.PeerKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.met[key]
}

// relays names a relay by one address.
func relays(r *Relay, kind relayauth.AddressKind, token relayauth.Token) []transport.Relay {
	at := address(r, kind).Encapsulate(ma.StringCast("/p2p/" + r.host.ID().String()))
	return []transport.Relay{{Address: at, Ticket: token.Ticket(time.Now().Add(time.Hour))}}
}

func (m *member) reserved() bool {
	s := m.RelayStates()
	return len(s) == 1 && s[0].Reserved
}

// circuitTo are the addresses of a member through its relay alone.
func (m *member) circuitTo() (out []ma.Multiaddr) {
	for _, a := range m.Addresses() {
		if strings.HasSuffix(a.String(), "/p2p-circuit") {
			out = append(out, a)
		}
	}
	return out
}

// TestMembers: members' own hosts reserve with a ticket and reach each other, by each way to
// the relay; after its restart they are back. WebSocket passes a proxy that lets through
// CONNECT alone, where the user named one.
func TestMembers(t *testing.T) {
	proxy := newProxy(t)
	for name, tt := range map[string]struct {
		kind  relayauth.AddressKind
		proxy transport.ProxyFunc
	}{
		"QUIC": {relayauth.KindQUIC, nil}, "TCP": {relayauth.KindTCP, nil}, "WebSocket": {relayauth.KindWebSocket, nil},
		"WebSocket over TLS":                  {relayauth.KindWebSocketTLS, nil},
		"WebSocket over TLS, through a proxy": {relayauth.KindWebSocketTLS, http.ProxyURL(proxy.URL())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", proxy.URL().String()) // not asked
			before := proxy.Connects()
			token := relayauth.NewToken()
			c := Config{Key: newKey(t), Tokens: relayauth.NewTokens(token)}
			r := startRelay(t, c)
			c.Listen = r.Addresses()
			a := newMember(t, transport.Config{Proxy: tt.proxy, Relays: relays(r, tt.kind, token)})
			b := newMember(t, transport.Config{Proxy: tt.proxy, Relays: relays(r, tt.kind, token)})
			eventually(t, "reserved", func() bool { return a.reserved() && b.reserved() })
			if n := proxy.Connects() - before; (n > 0) != (tt.proxy != nil) {
				t.Errorf("%d connections by the proxy", n)
			}
			if used := a.Proxies(); (len(used) > 0) != (tt.proxy != nil) || tt.proxy != nil && (used[0].Name != proxy.URL().Host || used[0].Open) {
				t.Errorf("proxies: %+v", used)
			}
			a.Allow(b.Key())
			b.Allow(a.Key())
			exchange := func(text string) {
				eventually(t, text, func() bool { // as a meeting does: connect unless connected, and say what wasn't heard
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					return a.Connect(ctx, b.Key(), b.circuitTo()) == nil && a.Send(b.Key(), []byte(text)) == nil && b.heard(text)
				})
			}
			exchange("bonjour")
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			startRelay(t, c)
			eventually(t, "back", func() bool { return a.reserved() && b.reserved() })
			exchange("again")
			t.Logf("heard again %v after the relay's restart", time.Since(start).Round(time.Millisecond))
		})
	}
}

// TestLANOnlyUsesNoProxy: a proxy is elsewhere, or passes on to elsewhere. Where the local network isn't all there is, it
// is used.
//
// Checks: MOD-2.
func TestLANOnlyUsesNoProxy(t *testing.T) {
	for _, lan := range []bool{true, false} {
		proxy := newProxy(t)
		token := relayauth.NewToken()
		r := startRelay(t, Config{Key: newKey(t), Tokens: relayauth.NewTokens(token)})
		m := newMember(t, transport.Config{LANOnly: lan, Proxy: http.ProxyURL(proxy.URL()), Relays: relays(r, relayauth.KindWebSocketTLS, token)})
		eventually(t, "reserved", m.reserved)
		if n := proxy.Connects(); n > 0 == lan {
			t.Errorf("LAN only %v: %d connections by the proxy", lan, n)
		}
	}
}

func newProxy(t *testing.T) *transporttest.Proxy {
	t.Helper()
	p, err := transporttest.NewProxy("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestLyingRelay: a relay that says yes to everything and then echoes, sends noise, hangs
// up, or connects to somebody else costs time: no connection comes about, and what it was
// sent holds nothing readable. There is no switch to take that protection away: who is at the other end of a circuit is
// whose key Noise has proved, and nothing else says who it is. So the last relay connects to somebody who has the key, and
// that alone makes the difference.
//
// Checks: RLY-9.
func TestLyingRelay(t *testing.T) {
	b := newMember(t, transport.Config{})
	to := func(address string) func(network.Stream) {
		return func(s network.Stream) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, s); _ = conn.Close() }()
			_, _ = io.Copy(s, conn)
			_ = s.Reset()
		}
	}
	const hasKey = "somebody with the key"
	for name, lie := range map[string]func(network.Stream){
		"echoes": func(s network.Stream) { _, _ = io.Copy(s, s) },
		"noise": func(s network.Stream) {
			_, _ = s.Write(bytes.Repeat([]byte{0x13, 0xff, 0x2f, 0x6d}, 4096))
		},
		"hangs up": func(s network.Stream) { _ = s.Reset() },
		"another":  to(tcpOf(newPeer(t))), // whose Noise handshake proves another key
		hasKey:     to(b.tcp(t)),
	} {
		t.Run(name, func(t *testing.T) {
			relay := newPeer(t)
			if err := relay.swarm.AddListenAddr(ma.StringCast("/ip4/127.0.0.1/tcp/0")); err != nil {
				t.Fatal(err)
			}
			var hops atomic.Int64
			var heard transcript
			relay.SetStreamHandler(proto.ProtoIDv2Hop, func(s network.Stream) {
				hops.Add(1)
				var m pb.HopMessage
				_ = util.NewDelimitedReader(s, 4096).ReadMsg(&m)
				_ = util.NewDelimitedWriter(s).WriteMsg(&pb.HopMessage{Type: pb.HopMessage_STATUS.Enum(), Status: pb.Status_OK.Enum()})
				lie(watched{s, &heard})
			})
			a := newMember(t, transport.Config{})
			a.Allow(b.Key())
			b.Allow(a.Key())
			via := ma.StringCast("/ip4/127.0.0.1/tcp/" + strings.Split(tcpOf(relay), ":")[1] + "/p2p/" + relay.ID().String() + "/p2p-circuit")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := a.Connect(ctx, b.Key(), []ma.Multiaddr{via}); (err == nil) != (name == hasKey) {
				t.Errorf("connected: %v", err)
			}
			if hops.Load() == 0 {
				t.Error("the relay wasn't asked: the test shows nothing")
			}
			if name == hasKey {
				eventually(t, "heard", func() bool { _ = a.Send(b.Key(), []byte("the secret")); return b.heard("the secret") })
				if all := heard.bytes(); len(all) == 0 || bytes.Contains(all, []byte("the secret")) || bytes.Contains(all, []byte("/huisclos/")) {
					t.Errorf("the relay reads %d bytes: %q", len(all), all)
				}
			} else if a.hasMet(b.Key()) || a.Path(b.Key()).Kind != transport.PathNone {
				t.Error("a relay passes for a member")
			}
		})
	}
}

// transcript is what was read from a stream.
type transcript struct {
	mu  sync.Mutex
	all []byte
}

func (t *transcript) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.all)
}

// watched is a stream all of which is written down as it is read.
type watched struct {
	network.Stream
	read *transcript
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.Stream.Read(b)
	w.read.mu.Lock()
	defer w.read.mu.Unlock()
	w.read.all = append(w.read.all, b[:n]...)
	return n, err
}

// tcp is where a member listens.
func (m *member) tcp(t *testing.T) string {
	t.Helper()
	for _, a := range m.Addresses() {
		if ap, ok := addrPortOf(a); ok && relayauth.Kind(a) == relayauth.KindTCP {
			return ap.String()
		}
	}
	t.Fatal("it doesn't listen on TCP")
	return ""
}

// tcpOf is the address at which a test peer listens, which it does from now on.
func tcpOf(p *testPeer) string {
	for _, a := range p.swarm.ListenAddresses() {
		if ap, ok := addrPortOf(a); ok && relayauth.Kind(a) == relayauth.KindTCP {
			return ap.String()
		}
	}
	if err := p.swarm.AddListenAddr(ma.StringCast("/ip4/127.0.0.1/tcp/0")); err != nil {
		p.t.Fatal(err)
	}
	return tcpOf(p)
}
