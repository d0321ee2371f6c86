package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
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
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	mss "github.com/multiformats/go-multistream"
)

const (
	dialTimeout        = 10 * time.Second
	negotiationTimeout = 10 * time.Second
	idleTimeout        = 8 * time.Second // without a packet, a QUIC connection is gone
	// On TCP and circuits so often an answer is asked for, and so long waited for, or for room to send: what is sent in
	// bulk may be in its way.
	muxKeepalive = 3 * time.Second
	muxPatience  = 6 * time.Second
)

// libp2pHost is libp2p's swarm with protocol tables in front: one for members and
// one for strangers, who are offered the door alone. It is a host.Host, as GossipSub
// wants one, without what libp2p's usual host adds: no identify (so no agent version,
// no list of protocols, no addresses given away), AutoNAT or discovery.
type libp2pHost struct {
	host      *Host
	swarm     *swarm.Swarm
	bus       event.Bus
	reuse     *quicreuse.ConnManager
	resources network.ResourceManager
	book      peerstore.Peerstore
	members   *mss.MultistreamMuxer[protocol.ID]
	strangers *mss.MultistreamMuxer[protocol.ID]
	relays    *mss.MultistreamMuxer[protocol.ID] // for the relays we have reserved at: they bring circuits
	limited   *mss.MultistreamMuxer[protocol.ID] // for limited relays: they bring signals
	greet     event.Emitter
	notifiee  *network.NotifyBundle
	bridge    *relay.Relay
	circuits  *circuitTransport

	dialMu sync.Mutex
	rounds map[peer.ID]*round            // of dials
	dials  map[peer.ID][]*[]ma.Multiaddr // where they, and circuits that are dialled, go
}

var _ host.Host = (*libp2pHost)(nil)

// idOfKey and keyOfID translate between an Ed25519 key and libp2p's name for it.
func idOfKey(key PeerKey) (peer.ID, error) {
	public, err := crypto.UnmarshalEd25519PublicKey(key[:])
	if err != nil {
		return "", fmt.Errorf("transport: peer key: %w", err)
	}
	return peer.IDFromPublicKey(public)
}

func keyOfID(id peer.ID) (PeerKey, bool) {
	public, err := id.ExtractPublicKey()
	if err != nil || public.Type() != crypto.Ed25519 {
		return PeerKey{}, false
	}
	raw, err := public.Raw()
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return PeerKey{}, false
	}
	return PeerKey(raw), true
}

func newLibp2pHost(h *Host, listen []netip.AddrPort) (l *libp2pHost, err error) {
	private, err := crypto.UnmarshalEd25519PrivateKey(h.config.Key)
	if err != nil {
		return nil, fmt.Errorf("transport: Config.Key: %w", err)
	}
	id, err := peer.IDFromPrivateKey(private)
	if err != nil {
		return nil, err
	}
	l = &libp2pHost{
		host:      h,
		bus:       eventbus.NewBus(),
		members:   mss.NewMultistreamMuxer[protocol.ID](),
		strangers: mss.NewMultistreamMuxer[protocol.ID](),
		relays:    mss.NewMultistreamMuxer[protocol.ID](),
		limited:   mss.NewMultistreamMuxer[protocol.ID](),
		dials:     make(map[peer.ID][]*[]ma.Multiaddr),
		rounds:    make(map[peer.ID]*round),
	}
	defer func() {
		if err != nil {
			_ = l.close()
		}
	}()
	if l.book, err = pstoremem.NewPeerstore(); err != nil {
		return nil, err
	}
	if err = l.book.AddPrivKey(id, private); err != nil {
		return nil, err
	}
	if err = l.book.AddPubKey(id, private.GetPublic()); err != nil {
		return nil, err
	}
	if l.resources, err = newResources(h.config); err != nil {
		return nil, err
	}
	l.swarm, err = swarm.NewSwarm(id, l.book, l.bus,
		swarm.WithConnectionGater(h.gate), swarm.WithResourceManager(l.resources),
		swarm.WithDialTimeout(dialTimeout), swarm.WithDialRanker(rankDials),
		// The counters would stop dialling UDP or IPv6 after a long partition.
		swarm.WithUDPBlackHoleSuccessCounter(nil), swarm.WithIPv6BlackHoleSuccessCounter(nil))
	if err != nil {
		return nil, err
	}
	l.swarm.SetStreamHandler(l.handleStream)
	l.handle(protocolDoor, h.handleDoor, l.members, l.strangers)
	l.handle(protocolPair, h.handlePair, l.members)
	l.handle(protocolFile, h.handleFile, l.members)
	l.handle(protocolMedia, h.handleMedia, l.members)
	l.handle(protocolStop, h.handleStop, l.limited)
	l.notifiee = &network.NotifyBundle{ConnectedF: h.connected, DisconnectedF: h.disconnected}
	l.swarm.Notify(l.notifiee)
	if l.greet, err = l.bus.Emitter(&event.EvtPeerIdentificationCompleted{}); err != nil {
		return nil, err
	}
	if err = l.addTransports(private); err != nil {
		return nil, err
	}
	if l.bridge, err = newBridge(l); err != nil {
		return nil, err
	}
	return l, l.listen(listen)
}

func (l *libp2pHost) addTransports(private crypto.PrivKey) error {
	var reset [32]byte
	if _, err := rand.Read(reset[:]); err != nil {
		return err
	}
	var token [32]byte
	if _, err := rand.Read(token[:]); err != nil {
		return err
	}
	var err error
	l.reuse, err = quicreuse.NewConnManager(reset, token, append(l.host.gate.quicOptions(),
		quicreuse.OverrideListenUDP(func(_ string, addr *net.UDPAddr) (net.PacketConn, error) {
			ap := addr.AddrPort()
			conn, err := l.host.config.Network.ListenUDP(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
			if err != nil {
				return nil, err
			}
			demux := newDemuxConn(conn, l.host.mux, l.host.choke)
			l.host.mux.addSocket(demux)
			return demux, nil
		}),
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return l, nil }))...)
	if err != nil {
		return err
	}
	// The shorter of both sides' idle timeouts holds, so it is enough to set the dialler's.
	l.reuse.ClientConfig().MaxIdleTimeout = idleTimeout
	// A relay that was restarted answers the next keepalive with a stateless reset.
	l.reuse.ClientConfig().KeepAlivePeriod = idleTimeout / 5
	anyClock, err := timeless.Option() // CLK-1
	if err != nil {
		return err
	}
	q, err := quic.NewTransport(private, l.reuse, nil, l.host.gate, l.resources, anyClock)
	if err != nil {
		return err
	}
	if err := l.swarm.AddTransport(q); err != nil {
		return err
	}
	mux := *yamux.DefaultTransport
	mux.KeepAliveInterval, mux.ConnectionWriteTimeout = muxKeepalive, muxPatience
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: &mux}}
	security, err := noise.New(noise.ID, private, muxers)
	if err != nil {
		return err
	}
	up, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, l.resources, l.host.gate)
	if err != nil {
		return err
	}
	c, err := client.New(l, up)
	if err != nil {
		return err
	}
	l.circuits = &circuitTransport{Client: c, failed: make(map[circuitWay]uint16)}
	if err := l.swarm.AddTransport(l.circuits); err != nil {
		return err
	}
	if err := l.swarm.Listen(ma.StringCast("/p2p-circuit")); err != nil {
		return err
	}
	c.Start()
	if !l.host.config.Network.TCP() {
		return nil
	}
	t, err := tcp.NewTCPTransport(up, l.resources, nil)
	if err != nil {
		return err
	}
	return errors.Join(l.swarm.AddTransport(t), l.swarm.AddTransport(newWebSocket(up, l.resources, l.host.config.Proxy, &l.host.contacts)))
}

// PreferredSourceIPForDestination tells quicreuse which of our sockets to dial from:
// the one of the destination's family.
func (l *libp2pHost) PreferredSourceIPForDestination(dst *net.UDPAddr) (net.IP, error) {
	l.host.mux.mu.RLock()
	defer l.host.mux.mu.RUnlock()
	if s := l.host.mux.sockets[family(dst.IP.To4() == nil)]; s != nil {
		return s.localAddrPort().Addr().AsSlice(), nil
	}
	return nil, ErrNoAddress
}

// listen opens the sockets: QUIC first, then TCP on the same port if that is free.
func (l *libp2pHost) listen(listen []netip.AddrPort) error {
	for _, a := range listen {
		if err := l.swarm.AddListenAddr(quicMultiaddr(a)); err != nil {
			return fmt.Errorf("transport: listen on UDP %v: %w", a, err)
		}
		if !l.host.config.Network.TCP() || l.host.hidden() {
			continue
		}
		l.host.mux.mu.RLock()
		socket := l.host.mux.sockets[family(a.Addr().Is6())]
		l.host.mux.mu.RUnlock()
		same := netip.AddrPortFrom(a.Addr(), socket.localAddrPort().Port())
		if err := l.swarm.AddListenAddr(tcpMultiaddr(same)); err != nil && a.Port() != 0 {
			return fmt.Errorf("transport: listen on TCP %v: %w", same, err)
		} else if err != nil {
			_ = l.swarm.AddListenAddr(tcpMultiaddr(a)) // any other port will do
		}
	}
	return nil
}

func quicMultiaddr(a netip.AddrPort) ma.Multiaddr {
	m, _ := manet.FromNetAddr(net.UDPAddrFromAddrPort(a))
	return m.Encapsulate(ma.StringCast("/quic-v1"))
}

func tcpMultiaddr(a netip.AddrPort) ma.Multiaddr {
	m, _ := manet.FromNetAddr(net.TCPAddrFromAddrPort(a))
	return m
}

func (l *libp2pHost) addresses() []ma.Multiaddr {
	var udp, tcp []ma.Multiaddr
	for _, a := range l.host.mapped("udp") {
		udp = append(udp, quicMultiaddr(a))
	}
	for _, a := range l.host.mapped("tcp") {
		tcp = append(tcp, tcpMultiaddr(a))
	}
	for _, a := range l.swarm.ListenAddresses() {
		bound, ok := addrPortOf(a)
		if !ok {
			continue // that of circuits
		}
		for _, ap := range l.host.filter.reachable(bound) {
			// An IPv6 address that the router lets in is there already.
			if m := quicMultiaddr(ap); a[1].Code() == ma.P_UDP && !slices.ContainsFunc(udp, m.Equal) {
				udp = append(udp, m)
			}
			if m := tcpMultiaddr(ap); a[1].Code() == ma.P_TCP && !slices.ContainsFunc(tcp, m.Equal) {
				tcp = append(tcp, m)
			}
		}
	}
	return append(udp, tcp...)
}

func (l *libp2pHost) shortID(id peer.ID) string {
	key, _ := keyOfID(id)
	return key.String()
}

// handle registers a protocol in the given tables.
func (l *libp2pHost) handle(id protocol.ID, f func(network.Stream), tables ...*mss.MultistreamMuxer[protocol.ID]) {
	for _, t := range tables {
		t.AddHandler(id, func(_ protocol.ID, s io.ReadWriteCloser) error {
			f(s.(network.Stream))
			return nil
		})
	}
}

// handleStream negotiates an incoming stream's protocol from the table its peer may use.
func (l *libp2pHost) handleStream(s network.Stream) {
	l.host.mu.Lock()
	if l.host.closed {
		l.host.mu.Unlock()
		_ = s.Reset()
		return
	}
	l.host.streams.Add(1)
	l.host.mu.Unlock()
	defer l.host.streams.Done()
	table, done := l.tableFor(s.Conn().RemotePeer())
	if table == nil {
		_ = s.Reset()
		return
	}
	defer done()
	_ = s.SetDeadline(time.Now().Add(negotiationTimeout))
	tapped := l.tap(s)
	id, f, err := table.Negotiate(tapped)
	if err != nil {
		_ = s.Reset()
		return
	}
	_ = s.SetDeadline(time.Time{})
	if err := s.SetProtocol(id); err != nil {
		_ = s.Reset()
		return
	}
	_ = f(id, tapped)
}

// NewStream opens a stream. To a peer that is not allowed it opens none but the door.
// With one protocol there is no round trip of negotiation.
func (l *libp2pHost) NewStream(ctx context.Context, id peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	switch {
	case len(protocols) != 1:
		return nil, ErrNotAllowed
	case protocols[0] == protocolHop, protocols[0] == protocolRelay:
		return l.newHop(ctx, id, protocols[0])
	case protocols[0] != protocolDoor && !l.host.gate.open(id) && !l.host.config.unsafe.anyBridge:
		return nil, ErrNotAllowed
	}
	return l.openStream(ctx, id, protocols[0])
}

func (l *libp2pHost) openStream(ctx context.Context, id peer.ID, proto protocol.ID) (network.Stream, error) {
	if l.host.config.unsafe.limitedCircuits {
		ctx = network.WithAllowLimitedConn(ctx, "for tests")
	}
	s, err := l.swarm.NewStream(network.WithNoDial(ctx, "dialling is Connect's"), id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	if err := s.SetProtocol(proto); err != nil {
		_ = s.Reset()
		return nil, err
	}
	tapped := l.tap(s)
	return &lazyStream{Stream: tapped, lazy: mss.NewMSSelect(tapped, proto)}, nil
}

// lazyStream negotiates its protocol along with the first bytes.
type lazyStream struct {
	network.Stream
	lazy mss.LazyConn
}

func (s *lazyStream) Read(b []byte) (int, error)  { return s.lazy.Read(b) }
func (s *lazyStream) Write(b []byte) (int, error) { return s.lazy.Write(b) }
func (s *lazyStream) Flush() error                { return s.lazy.Flush() }

func (s *lazyStream) Close() error {
	_ = s.Stream.SetReadDeadline(time.Now().Add(negotiationTimeout)) // Close reads the answer
	return s.lazy.Close()
}

func (s *lazyStream) CloseWrite() error {
	_ = s.lazy.Flush()
	return s.Stream.CloseWrite()
}

// tappedStream shows Config.Tap what was read.
type tappedStream struct {
	network.Stream
	tap  func(TapPoint, PeerKey, []byte)
	from PeerKey
}

func (s *tappedStream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	if n > 0 {
		s.tap(TapStream, s.from, b[:n])
	}
	return n, err
}

func (l *libp2pHost) tap(s network.Stream) network.Stream {
	if l.host.config.Tap == nil {
		return s
	}
	key, _ := keyOfID(s.Conn().RemotePeer())
	return &tappedStream{Stream: s, tap: l.host.config.Tap, from: key}
}

func (l *libp2pHost) close() (err error) {
	if l.bridge != nil {
		_ = l.bridge.Close()
	}
	if l.swarm != nil {
		err = l.swarm.Close()
		if l.notifiee != nil {
			l.swarm.StopNotify(l.notifiee)
		}
	}
	if l.greet != nil {
		_ = l.greet.Close()
	}
	if l.reuse != nil {
		_ = l.reuse.Close()
	}
	if l.resources != nil {
		_ = l.resources.Close()
	}
	if l.book != nil {
		_ = l.book.Close()
	}
	return err
}

// The rest is what host.Host asks for.

// ID is the host's own peer ID.
func (l *libp2pHost) ID() peer.ID { return l.swarm.LocalPeer() }

// Peerstore holds the host's own key and nothing about others.
func (l *libp2pHost) Peerstore() peerstore.Peerstore { return l.book }

// Addrs is empty: members exchange addresses by other means.
func (l *libp2pHost) Addrs() []ma.Multiaddr { return nil }

// Network is the swarm.
func (l *libp2pHost) Network() network.Network { return l.swarm }

// Mux is the members' protocol table.
func (l *libp2pHost) Mux() protocol.Switch { return l.members }

// Connect refuses: dialling is Host.Connect's alone.
func (l *libp2pHost) Connect(context.Context, peer.AddrInfo) error { return ErrNotAllowed }

// SetStreamHandler registers a protocol for members; relays bring circuits, too (TRA-18).
func (l *libp2pHost) SetStreamHandler(id protocol.ID, f network.StreamHandler) {
	l.handle(id, f, l.members)
	switch {
	case id == protocolStop:
		l.handle(id, f, l.relays)
	case id == protocolHop && l.host.config.unsafe.anyBridge:
		l.handle(id, f, l.strangers)
	}
}

// SetStreamHandlerMatch is SetStreamHandler: there is one version of each protocol.
func (l *libp2pHost) SetStreamHandlerMatch(id protocol.ID, _ func(protocol.ID) bool, f network.StreamHandler) {
	l.handle(id, f, l.members)
}

// RemoveStreamHandler removes a protocol.
func (l *libp2pHost) RemoveStreamHandler(id protocol.ID) { l.members.RemoveHandler(id) }

// Close does nothing: Host.Close closes.
func (l *libp2pHost) Close() error { return nil }

// ConnManager keeps no score.
func (l *libp2pHost) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }

// EventBus carries the greetings to GossipSub.
func (l *libp2pHost) EventBus() event.Bus { return l.bus }
