package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/huisclos/huisclos/transport/portmap"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/pion/interceptor/pkg/cc"
)

// PeerKey is a peer's Ed25519 public meeting key.
type PeerKey [32]byte

// String is the first 8 hexadecimal digits: enough to tell peers apart in a log.
func (k PeerKey) String() string { return hex.EncodeToString(k[:4]) }

// Errors callers can act on.
var (
	// ErrClosed reports that the host is closed.
	ErrClosed = errors.New("transport: host is closed")
	// ErrNotAllowed reports a peer that is not allowed; call Allow first.
	ErrNotAllowed = errors.New("transport: peer is not allowed")
	// ErrNoAddress reports that none of a peer's addresses may be dialled from here.
	ErrNoAddress = errors.New("transport: no address that may be dialled")
	// ErrNotConnected reports that there is no path to the peer; call Connect.
	ErrNotConnected = errors.New("transport: no connection to peer")
	// ErrQueueFull reports that a peer does not take messages as fast as they are
	// sent; try again later or drop the message.
	ErrQueueFull = errors.New("transport: outgoing queue is full")
	// ErrTooLarge reports a message or packet over its limit.
	ErrTooLarge = errors.New("transport: too large")
)

// Kind is the kind of a media packet: which of the link's two streams carries it.
type Kind uint8

// The two kinds. Audio is never held back by a congestion controller's pacer.
const (
	Audio Kind = iota
	Video
)

// Config is what a Host is made from. Zero values mean what each field says.
type Config struct {
	// Key is this peer's meeting key, and libp2p's host key. Required. Use a fresh one
	// per meeting and start, or meetings can be linked by it.
	Key ed25519.PrivateKey
	// RoomID names the gossip room. It never travels: the topic is a hash of it. Required.
	RoomID [32]byte
	// Listen has at most one IPv4 and one IPv6 address. Empty: all interfaces of both
	// families (of IPv4 alone where there is no IPv6), port chosen by the system.
	Listen []netip.AddrPort
	// Network is nil for the operating system's.
	Network Network
	// LANOnly confines the host to its own subnets: it sends nothing to, and takes nothing
	// from, any other address, and neither names nor observes one. It needs no route to
	// anywhere else and no DNS (meet/SPEC.md MOD-2).
	LANOnly bool
	// RelayOnly hides this host's address from peers: it sends packets to Relays and to nobody else, takes connections
	// through them alone, names no other address, and makes no media link (meet/SPEC.md MOD-3). It needs Relays.
	RelayOnly bool
	// Logger is nil for none. Keys are logged by their first 4 bytes, addresses never.
	Logger *slog.Logger

	// MapPorts has the user's own router asked to let peers in, from the start (package portmap). Listen doesn't wait for
	// that; Host.Mapped does. Default: the router isn't asked, unless by Host.MapPorts.
	MapPorts bool
	// OnAddresses is called when Addresses may have changed because of the router, from a goroutine of its own, which
	// must not wait. Nil: nobody is told.
	OnAddresses func()
	// OnPacket receives every media packet, from a goroutine that reads that peer's
	// link, one at a time for each peer: return soon, and do not call Revoke or Close. payload
	// is valid only during the call. Nil: packets are dropped.
	OnPacket func(from PeerKey, kind Kind, payload []byte)
	// BandwidthEstimator makes the congestion controller of a media link, for instance
	// gcc.NewSendSideBWE with an initial and a maximum bitrate, so that there is a cap
	// from the first packet. Nil: no congestion control and no pacing.
	BandwidthEstimator func(PeerKey) (cc.BandwidthEstimator, error)
	// StreamDelay is how long ICE is given to find a path for media when a peer is new, before it goes by a stream over
	// the connection there is. Only connections over UDP wait for it: others show that ICE has little hope. 0: 700 ms.
	// Negative: media never goes by streams.
	StreamDelay time.Duration
	// DescribeVideo tells what can be seen of a video packet from outside. It is asked on streams alone, where packets
	// must be dropped in the owner's stead, and must not keep what it is given. Nil: packets are dropped one by one.
	DescribeVideo func(payload []byte) VideoFacts
	// WantKeyFrame is called, from any goroutine, when something of a picture to a peer was dropped and there is room
	// again for what a decoder can begin with: at most once a second for each peer. It must not wait.
	WantKeyFrame func(to PeerKey, stream uint8)
	// Tap, if set, sees every byte string that reached this host, after decryption,
	// whether accepted or not. For tests and simulations.
	Tap func(at TapPoint, from PeerKey, data []byte)

	// MaxStrangers bounds connections to peers not allowed; half of them may come from
	// one address, which an office shares. 0: 96.
	MaxStrangers int
	// MaxDoors bounds incoming door streams in all. 0: 64. One per peer in any case.
	MaxDoors int
	// StrangerTimeout is how long a stranger without a door stream stays. 0: 5 s.
	StrangerTimeout time.Duration
	// DoorTimeout is how long a door stream lives at most. 0: 30 min.
	DoorTimeout time.Duration
	// PairQueue is how many bytes wait for one peer at most. 0: 1 MiB. Also 1,024 messages.
	PairQueue int
	// Relays are reserved at, for circuits through them. See SetRelays.
	Relays []Relay
	// Proxy is the HTTP or SOCKS5 proxy by which relays are dialled over WebSocket, and nothing else. Nil is none: the
	// environment's (HTTPS_PROXY) isn't asked, since it names a third party; http.ProxyFromEnvironment asks it.
	// With LANOnly there is none.
	Proxy ProxyFunc
	// HeartbeatInterval is GossipSub's. 0: 250 ms.
	HeartbeatInterval time.Duration

	unsafe unsafeSwitches
}

// TapPoint is where Config.Tap saw something.
type TapPoint string

// Tap points.
const (
	TapStream TapPoint = "stream" // raw bytes of any libp2p stream
	TapDoor   TapPoint = "door"   // a frame
	TapPair   TapPoint = "pair"   // a frame
	TapFile   TapPoint = "file"   // a frame
	TapGossip TapPoint = "gossip" // a message of the room
	TapMedia  TapPoint = "media"  // a media payload
)

// withDefaults returns c with every zero value replaced.
func (c Config) withDefaults() Config {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	wait := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.MaxStrangers, 96)
	set(&c.MaxDoors, 64)
	set(&c.PairQueue, 1<<20)
	wait(&c.StrangerTimeout, 5*time.Second)
	wait(&c.DoorTimeout, 30*time.Minute)
	wait(&c.HeartbeatInterval, 250*time.Millisecond)
	wait(&c.StreamDelay, 700*time.Millisecond)
	if c.LANOnly { // MOD-2: where it passes on to isn't ours to see, and its name may be a question to a DNS server
		c.Proxy = nil
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Host is one end of the transport. Its methods may be called from any goroutine.
type Host struct {
	config   Config
	key      PeerKey
	log      *slog.Logger
	filter   *addressFilter
	choke    *choke
	ctx      context.Context
	cancel   context.CancelFunc
	events   *events
	mux      *mediaMux
	gate     *gate
	libp2p   *libp2pHost
	room     *room
	doors    chan *DoorStream
	files    chan *FileStream
	media    *mediaConfig
	streams  sync.WaitGroup // every goroutine of ours
	contacts contacts
	routes   routeWatch

	mu        sync.Mutex
	closed    bool
	doorOpen  bool
	doorRate  *rateLimiter
	mapper    *portmap.Mapper // nil: the router wasn't asked
	strangers chan PeerKey    // nil: nobody waits for any
	peers     map[peer.ID]*peerState
	relays    map[peer.ID]*relayClient
	limited   map[peer.ID]*limitedRelay
	punchKeys []PunchKey
}

// peerState is what the host knows of one peer; guarded by Host.mu.
type peerState struct {
	key     PeerKey
	id      peer.ID
	allowed bool
	conns   int
	direct  int // of conns, those that are no circuits
	doors   int // open door streams, ours and theirs
	opening int // streams that it opens as a stranger and that aren't negotiated yet
	pair    *pairSender
	inbound *pairReceiver
	heard   bucket                   // what it says, in bytes
	files   map[*FileStream]struct{} // ours and theirs
	link    *Link
	expiry  *time.Timer    // closes a stranger's connections
	sees    netip.AddrPort // where this peer says it sees our UDP socket

	path     Path         // as reported
	retiring bool         // circuits to it are about to close
	relay    *relayClient // a relay of ours
	hops     int          // dials and circuits of ours that go through it
	gaveUp   time.Time    // when a connection was found dead (MST-6, TRA-22)
}

// Listen opens the sockets and starts the host. It returns when the host can be
// reached; ctx bounds only that. No packet is sent to anyone.
func Listen(ctx context.Context, config Config) (*Host, error) {
	config = config.withDefaults()
	if len(config.Key) != ed25519.PrivateKeySize {
		return nil, errors.New("transport: Config.Key is required")
	}
	if config.RoomID == ([32]byte{}) {
		return nil, errors.New("transport: Config.RoomID is required")
	}
	if config.RelayOnly && len(config.Relays) == 0 {
		return nil, ErrNoRelay
	}
	if config.Network == nil {
		n, err := newOSNetwork()
		if err != nil {
			return nil, err
		}
		n.lan = config.LANOnly
		config.Network = n
	}
	listen, err := listenAddresses(config)
	if err != nil {
		return nil, err
	}
	h := &Host{
		config: config,
		key:    PeerKey(config.Key.Public().(ed25519.PublicKey)),
		log:    config.Logger,
		filter: &addressFilter{network: config.Network, lan: config.LANOnly, hide: config.RelayOnly && !config.unsafe.showAddress,
			any: config.unsafe.anyAddress},
		doors:    make(chan *DoorStream, config.MaxDoors),
		files:    make(chan *FileStream, maxFileStreams),
		doorRate: newRateLimiter(),
		peers:    make(map[peer.ID]*peerState),
		relays:   make(map[peer.ID]*relayClient),
		limited:  make(map[peer.ID]*limitedRelay),
	}
	h.routes.of, _ = config.Network.(router)
	for _, a := range listen {
		h.filter.loopback = h.filter.loopback || a.Addr().IsLoopback()
	}
	h.choke = &choke{filter: h.filter, open: config.unsafe.noChoke}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.events = newEvents(h.ctx)
	h.events.noTurns = config.unsafe.anyQueue
	h.mux = newMediaMux(h.primaryAddress)
	h.mux.claimOnCheck = config.unsafe.claimOnCheck
	h.contacts.oneCrowd = config.unsafe.oneCrowd
	h.gate = newGate(h)
	if h.media, err = newMediaConfig(); err != nil {
		h.cancel()
		return nil, err
	}
	if h.libp2p, err = newLibp2pHost(h, listen); err != nil {
		h.cancel()
		return nil, err
	}
	if h.room, err = newRoom(h); err != nil {
		_ = h.Close()
		return nil, err
	}
	h.spawn(h.events.run)
	h.spawn(h.room.run)
	h.spawn(h.watchRoutes)
	if config.MapPorts {
		h.MapPorts()
	}
	if err = h.SetRelays(config.Relays); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = h.Close()
		return nil, err
	}
	return h, nil
}

// listenAddresses checks Config.Listen or makes the default.
func listenAddresses(c Config) ([]netip.AddrPort, error) {
	if len(c.Listen) > 0 {
		seen := map[bool]bool{}
		for _, a := range c.Listen {
			if !a.IsValid() || a.Addr().Is4In6() || a.Addr().Zone() != "" || seen[a.Addr().Is4()] {
				return nil, fmt.Errorf("transport: Config.Listen: %v: want at most one IPv4 and one IPv6 address", a)
			}
			seen[a.Addr().Is4()] = true
		}
		return c.Listen, nil
	}
	own, err := c.Network.Addresses()
	if err != nil {
		return nil, fmt.Errorf("transport: list own addresses: %w", err)
	}
	listen := []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), 0)}
	for _, p := range own {
		if p.Addr().Is6() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			return append(listen, netip.AddrPortFrom(netip.IPv6Unspecified(), 0)), nil
		}
	}
	return listen, nil
}

// Key returns this host's own key.
func (h *Host) Key() PeerKey { return h.key }

// Events is the one stream of what happens; read it without long pauses. It is never
// closed; stop reading after Close. State events are never lost, but a newer one may
// replace an unread older one of the same peer; messages are never dropped, and gossip
// only when the reader is thousands behind. A Message may come just before its peer's
// PeerConnected.
func (h *Host) Events() <-chan Event { return h.events.out }

// Addresses lists where this host can be reached: what to put into an invite. QUIC
// first, then TCP; of each, what the router lets in first, then public addresses; last those of circuits through relays
// it has reserved at.
func (h *Host) Addresses() []ma.Multiaddr {
	return append(h.libp2p.addresses(), h.relayAddresses()...)
}

// Observed returns where connected peers see this host's UDP socket, when that is none
// of its own addresses: the outside of a NAT. One address per family, the one most
// peers agree on, since a peer may lie.
func (h *Host) Observed() []netip.AddrPort {
	h.mu.Lock()
	defer h.mu.Unlock()
	votes := make(map[netip.AddrPort]int)
	for _, p := range h.peers {
		if p.sees.IsValid() {
			votes[p.sees]++
		}
	}
	var best [2]netip.AddrPort
	for a, n := range votes {
		b := &best[family(a.Addr().Is6())]
		if m := votes[*b]; n > m || n == m && a.Compare(*b) < 0 {
			*b = a
		}
	}
	return slices.DeleteFunc([]netip.AddrPort{best[1], best[0]}, func(a netip.AddrPort) bool { return !a.IsValid() })
}

// noteObserved records what a peer says it saw us at.
func (h *Host) noteObserved(from peer.ID, addr netip.AddrPort) {
	if h.hidden() || !addr.IsValid() || !h.filter.allow(addr.Addr()) || addr.Addr().IsLoopback() {
		return
	}
	if h.filter.isOwn(addr.Addr()) {
		return // a host address already
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[from]; p != nil {
		p.sees = addr
	}
}

// primaryAddress is the interface address that stands for a socket on all interfaces.
func (h *Host) primaryAddress(ipv6 bool) netip.Addr {
	unspecified := netip.IPv4Unspecified()
	if ipv6 {
		unspecified = netip.IPv6Unspecified()
	}
	if all := h.filter.reachable(netip.AddrPortFrom(unspecified, 1)); len(all) > 0 {
		return all[0].Addr()
	}
	return netip.Addr{}
}

// spawn runs f in a goroutine that Close waits for; it refuses once the host closes.
func (h *Host) spawn(f func()) bool {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return false
	}
	h.streams.Add(1)
	h.mu.Unlock()
	go func() {
		defer h.streams.Done()
		f()
	}()
	return true
}

// behind runs f, which may wait for a peer, without waiting for it; not once the host closes.
func (h *Host) behind(f func()) {
	if h.config.unsafe.waitToEnd {
		f()
		return
	}
	h.spawn(f)
}

// Close tells every peer, closes everything and waits for every goroutine (TRA-15).
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	var links []*Link
	for _, p := range h.peers {
		if p.link != nil {
			links = append(links, p.link)
		}
		if p.expiry != nil {
			p.expiry.Stop()
		}
		if p.pair != nil {
			p.pair.cancel()
		}
	}
	mapper := h.mapper
	h.mu.Unlock()
	for _, l := range links {
		l.close(ErrClosed) // says goodbye, so before the sockets go
	}
	h.cancel()
	unmapped := make(chan struct{})
	go func() { // may take a second
		defer close(unmapped)
		if mapper != nil {
			mapper.Close()
		}
	}()
	err := h.libp2p.close()
	<-unmapped
	_ = h.mux.Close()
	h.streams.Wait()
	return err
}

// peer returns the state of a peer, made if there is none. Host.mu is held.
func (h *Host) peerLocked(id peer.ID) *peerState {
	p := h.peers[id]
	if p == nil {
		p = &peerState{id: id}
		p.key, _ = keyOfID(id)
		h.peers[id] = p
	}
	return p
}

// forgetLocked drops a peer of whom there is nothing any more, from libp2p's memory, too (TRA-5). Host.mu is held.
func (h *Host) forgetLocked(p *peerState) {
	if !p.allowed && p.conns == 0 && p.doors == 0 && p.link == nil && p.relay == nil && p.hops == 0 && !h.config.unsafe.keepStrangers {
		if p.expiry != nil {
			p.expiry.Stop()
		}
		delete(h.peers, p.id)
		h.libp2p.book.RemovePeer(p.id)
	}
}

// topicName is the name of the gossip topic: others must not learn the room from it.
func topicName(room [32]byte) string {
	sum := sha256.Sum256(append([]byte("huisclos transport topic v1\x00"), room[:]...))
	return hex.EncodeToString(sum[:16])
}
