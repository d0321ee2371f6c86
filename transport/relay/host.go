package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"time"

	"github.com/huisclos/huisclos/transport/internal/timeless"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	mss "github.com/multiformats/go-multistream"
)

const (
	negotiationTimeout = 10 * time.Second
	idleTimeout        = 8 * time.Second // as the members' (the shorter of both holds)
	// portTries is how often a port is sought that is free for both UDP and TCP.
	portTries = 16
	// socketBuffer is what the relay asks of the operating system for each UDP socket.
	socketBuffer = 4 << 20
)

// relayHost is libp2p's swarm with two protocols: tickets, and circuits' hop. It is a
// host.Host, as the circuit service wants one, without what libp2p's usual host adds: no
// identify (so no agent version, no list of protocols, no addresses), AutoNAT or discovery.
type relayHost struct {
	relay     *Relay
	swarm     *swarm.Swarm
	bus       event.Bus
	reuse     *quicreuse.ConnManager
	resources network.ResourceManager
	book      peerstore.Peerstore
	mux       *mss.MultistreamMuxer[protocol.ID]
	notifiee  *network.NotifyBundle
	sockets   []*net.UDPConn // opened while Listen runs, and by it alone
}

var _ host.Host = (*relayHost)(nil)

func newRelayHost(r *Relay) (h *relayHost, err error) {
	private, err := crypto.UnmarshalEd25519PrivateKey(r.config.Key)
	if err != nil {
		return nil, ErrKey
	}
	id, err := peer.IDFromPrivateKey(private)
	if err != nil {
		return nil, ErrKey
	}
	h = &relayHost{relay: r, bus: eventbus.NewBus(), mux: mss.NewMultistreamMuxer[protocol.ID]()}
	defer func() {
		if err != nil {
			_ = h.close()
		}
	}()
	if h.book, err = pstoremem.NewPeerstore(); err != nil {
		return nil, err
	}
	if err = h.book.AddPrivKey(id, private); err != nil {
		return nil, err
	}
	if err = h.book.AddPubKey(id, private.GetPublic()); err != nil {
		return nil, err
	}
	if h.resources, err = newResources(r.config); err != nil {
		return nil, err
	}
	if h.swarm, err = swarm.NewSwarm(id, h.book, h.bus, swarm.WithConnectionGater(r.gate), swarm.WithResourceManager(h.resources),
		swarm.WithUDPBlackHoleSuccessCounter(nil), swarm.WithIPv6BlackHoleSuccessCounter(nil)); err != nil {
		return nil, err
	}
	h.swarm.SetStreamHandler(h.handleStream)
	h.notifiee = &network.NotifyBundle{ConnectedF: r.connected, DisconnectedF: r.disconnected}
	h.swarm.Notify(h.notifiee)
	return h, h.addTransports(private)
}

// newResources bounds what peers may make us hold (RLY-5).
func newResources(c Config) (network.ResourceManager, error) {
	conns := rcmgr.LimitVal(c.MaxConnections)
	streams := rcmgr.LimitVal(2*c.MaxCircuits + 32)
	allStreams := rcmgr.LimitVal(1 << 16)
	negotiated := allStreams // of one peer far fewer: see arrive
	if c.unsafe.anySilence {
		negotiated = 1024
	}
	limits := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{Conns: conns, ConnsInbound: conns, ConnsOutbound: rcmgr.BlockAllLimit, FD: conns,
			Streams: allStreams, StreamsInbound: allStreams, StreamsOutbound: allStreams, Memory: 2 << 30},
		Transient: rcmgr.ResourceLimits{Conns: 1024, ConnsInbound: 1024, FD: 1024, // of one address far fewer: see gate
			Streams: negotiated, StreamsInbound: negotiated, StreamsOutbound: negotiated, Memory: 256 << 20},
		PeerDefault: rcmgr.ResourceLimits{Conns: 8, ConnsInbound: 8, FD: 8,
			Streams: streams, StreamsInbound: streams, StreamsOutbound: streams, Memory: 128 << 20},
		Conn: rcmgr.ResourceLimits{Conns: 1, ConnsInbound: 1, FD: 1, Memory: 64 << 20},
	}.Build(rcmgr.InfiniteLimits)
	perSubnet := func(bits int) []rcmgr.ConnLimitPerSubnet {
		return []rcmgr.ConnLimitPerSubnet{{PrefixLength: bits, ConnCount: c.MaxConnectionsPerAddress}}
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(perSubnet(32), perSubnet(64)),
		// By default loopback has no limit. A relay behind a port forwarder of the same machine wants one as well.
		rcmgr.WithNetworkPrefixLimit([]rcmgr.NetworkPrefixLimit{}, []rcmgr.NetworkPrefixLimit{}))
}

func (h *relayHost) addTransports(private crypto.PrivKey) error {
	// Both are the same after a restart, so that who talks to the relay as it was learns at
	// once that it is gone, and need not wait for a timeout.
	reset := quicKey(h.relay.config.Key, "stateless reset")
	token := quicKey(h.relay.config.Key, "token")
	var err error
	if h.reuse, err = quicreuse.NewConnManager(reset, token, append(h.relay.gate.quicOptions(), quicreuse.OverrideListenUDP(h.listenUDP))...); err != nil {
		return err
	}
	h.reuse.ClientConfig().MaxIdleTimeout = idleTimeout
	anyClock, err := timeless.Option() // CLK-1
	if err != nil {
		return err
	}
	q, err := quic.NewTransport(private, h.reuse, nil, h.relay.gate, h.resources, anyClock)
	if err != nil {
		return err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	security, err := noise.New(noise.ID, private, muxers)
	if err != nil {
		return err
	}
	up, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, h.resources, h.relay.gate)
	if err != nil {
		return err
	}
	certificate, err := newCertificate()
	if err != nil {
		return err
	}
	shared := tcpreuse.NewConnMgr(false, up) // one listener: the first bytes tell Noise, TLS and HTTP apart
	t, err := tcp.NewTCPTransport(up, h.resources, shared)
	if err != nil {
		return err
	}
	w, err := websocket.New(up, h.resources, shared, websocket.WithTLSConfig(&tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		return err
	}
	return errors.Join(h.swarm.AddTransport(q), h.swarm.AddTransport(t), h.swarm.AddTransport(w))
}

// listenUDP keeps the sockets, since libp2p closes them some time after it is closed itself, and a relay that is
// started again wants its port.
func (h *relayHost) listenUDP(network string, addr *net.UDPAddr) (net.PacketConn, error) {
	conn, err := net.ListenUDP(network, addr)
	if err != nil {
		return nil, err
	}
	// The kernel may grant less; then bursts may lose packets, nothing more.
	_, _ = conn.SetReadBuffer(socketBuffer), conn.SetWriteBuffer(socketBuffer)
	h.sockets = append(h.sockets, conn)
	return conn, nil
}

func quicKey(key []byte, use string) [32]byte {
	return sha256.Sum256(append([]byte("huisclos relay quic "+use+"\x00"), key...))
}

// newCertificate makes the certificate of WebSocket over TLS. It proves nothing and names
// nobody: TLS is there for proxies that expect it, and Noise inside proves who the relay is.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	from := time.Now().Add(-24 * time.Hour) // somebody's clock is slow
	template := &x509.Certificate{SerialNumber: serial, NotBefore: from, NotAfter: from.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// listen opens UDP and TCP on one port for each address.
func (h *relayHost) listen() error {
	port := uint16(0)
	for _, a := range h.relay.config.Listen {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), port) // both families on one port as well
		}
		bound, err := h.listenPair(a)
		for try := 1; err != nil && a.Port() == 0 && try < portTries; try++ {
			bound, err = h.listenPair(a)
		}
		if err != nil {
			return err
		}
		port = bound.Port()
		h.relay.listen = append(h.relay.listen, bound)
	}
	return nil
}

func (h *relayHost) listenPair(a netip.AddrPort) (netip.AddrPort, error) {
	udp, _ := manet.FromNetAddr(net.UDPAddrFromAddrPort(a))
	before := len(h.swarm.ListenAddresses())
	if err := h.swarm.AddListenAddr(udp.Encapsulate(ma.StringCast("/quic-v1"))); err != nil {
		return a, &ListenError{"UDP", a, err}
	}
	opened := h.swarm.ListenAddresses()[before:]
	for _, l := range opened {
		if bound, ok := addrPortOf(l); ok {
			a = netip.AddrPortFrom(a.Addr(), bound.Port())
		}
	}
	base, _ := manet.FromNetAddr(net.TCPAddrFromAddrPort(a))
	for _, l := range []ma.Multiaddr{base, base.Encapsulate(ma.StringCast("/ws")), base.Encapsulate(ma.StringCast("/tls/ws"))} {
		if err := h.swarm.AddListenAddr(l); err != nil {
			h.swarm.ListenClose(append(opened, base)...)
			return a, &ListenError{"TCP", a, err}
		}
	}
	return a, nil
}

func addrPortOf(a ma.Multiaddr) (netip.AddrPort, bool) {
	if len(a) < 2 {
		return netip.AddrPort{}, false
	}
	n, err := manet.ToNetAddr(a[:2])
	if err != nil {
		return netip.AddrPort{}, false
	}
	ap, err := netip.ParseAddrPort(n.String())
	return ap, err == nil
}

// handleStream negotiates an incoming stream's protocol.
func (h *relayHost) handleStream(s network.Stream) {
	p := h.relay.arrive(s.Conn().RemotePeer())
	if p == nil {
		_ = s.Reset()
		return
	}
	defer h.relay.arrived(p)
	s = tapped(s)
	_ = s.SetDeadline(time.Now().Add(negotiationTimeout))
	id, f, err := h.mux.Negotiate(s)
	if err != nil {
		_ = s.Reset()
		return
	}
	_ = s.SetDeadline(time.Time{})
	if err := s.SetProtocol(id); err != nil {
		_ = s.Reset()
		return
	}
	_ = f(id, s)
}

// SetStreamHandler registers a protocol. Streams of circuits are counted and metered.
func (h *relayHost) SetStreamHandler(id protocol.ID, f network.StreamHandler) {
	h.mux.AddHandler(id, func(_ protocol.ID, rw io.ReadWriteCloser) error {
		s := rw.(network.Stream)
		if id != proto.ProtoIDv2Hop {
			f(s)
			return nil
		}
		p := h.relay.begin(s.Conn().RemotePeer(), true)
		if p == nil {
			return s.Reset()
		}
		f(h.relay.meter(s, p, nil))
		return nil
	})
}

// NewStream opens the other half of a circuit, to a peer that is connected.
func (h *relayHost) NewStream(ctx context.Context, id peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	if len(protocols) != 1 {
		return nil, fmt.Errorf("relay: %d protocols", len(protocols))
	}
	s, err := h.swarm.NewStream(network.WithNoDial(ctx, "a relay dials nobody"), id)
	if err != nil {
		return nil, err
	}
	p := h.relay.begin(id, false)
	if p == nil {
		_ = s.Reset()
		return nil, ErrClosed
	}
	s = tapped(s)
	m := h.relay.meter(s, p, mss.NewMSSelect(s, protocols[0]))
	if err := s.SetProtocol(protocols[0]); err != nil {
		_ = m.Reset()
		return nil, err
	}
	return m, nil
}

func (h *relayHost) close() (err error) {
	if h.swarm != nil {
		err = h.swarm.Close()
		if h.notifiee != nil {
			h.swarm.StopNotify(h.notifiee)
		}
	}
	if h.reuse != nil {
		_ = h.reuse.Close()
	}
	for _, s := range h.sockets {
		_ = s.Close()
	}
	if h.resources != nil {
		_ = h.resources.Close()
	}
	if h.book != nil {
		_ = h.book.Close()
	}
	return err
}

// The rest is what host.Host asks for.

// ID is the relay's peer ID.
func (h *relayHost) ID() peer.ID { return h.swarm.LocalPeer() }

// Peerstore holds the relay's own key and nothing about others.
func (h *relayHost) Peerstore() peerstore.Peerstore { return h.book }

// Addrs is empty: who uses the relay knows where it is.
func (h *relayHost) Addrs() []ma.Multiaddr { return nil }

// Network is the swarm.
func (h *relayHost) Network() network.Network { return h.swarm }

// Mux is the protocol table.
func (h *relayHost) Mux() protocol.Switch { return h.mux }

// Connect refuses: a relay dials nobody.
func (h *relayHost) Connect(context.Context, peer.AddrInfo) error { return ErrClosed }

// SetStreamHandlerMatch is SetStreamHandler: there is one version of each protocol.
func (h *relayHost) SetStreamHandlerMatch(id protocol.ID, _ func(protocol.ID) bool, f network.StreamHandler) {
	h.SetStreamHandler(id, f)
}

// RemoveStreamHandler removes a protocol.
func (h *relayHost) RemoveStreamHandler(id protocol.ID) { h.mux.RemoveHandler(id) }

// Close does nothing: Relay.Close closes.
func (h *relayHost) Close() error { return nil }

// ConnManager keeps no score.
func (h *relayHost) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }

// EventBus carries the swarm's own events.
func (h *relayHost) EventBus() event.Bus { return h.bus }
