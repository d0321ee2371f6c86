package transport

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	ma "github.com/multiformats/go-multiaddr"
	mss "github.com/multiformats/go-multistream"
)

// Unsafe turns protections off.
type Unsafe struct {
	OpenGate, AnyAddress, ClaimOnCheck, ResendPlain, AnyFingerprint, ReplayOffers, KeepFiles, AnyBridge, KeepStreams, AnyDelay, ShowAddress, NoChoke, EagerRelays, AnyFrames, AnyHalfOpen, AnyStrangers, OneCrowd, AnyDoors, AnyQueue, KeepCircuits, AnyGossip, FewStreams, AnyNudge, AnyPace, AnyCircuits, PastReservations, KeepStrangers, AnyRate, AnyFiles, WaitToEnd, AnyChecks, TrustSilence, LimitedCircuits, AnyPunch, AnyPuncher bool
}

// Without returns a configuration without the named protections.
func Without(c Config, u Unsafe) Config {
	c.unsafe = unsafeSwitches{openGate: u.OpenGate, anyAddress: u.AnyAddress, claimOnCheck: u.ClaimOnCheck, resendPlain: u.ResendPlain,
		anyFingerprint: u.AnyFingerprint, replayOffers: u.ReplayOffers, keepFiles: u.KeepFiles, anyBridge: u.AnyBridge, keepStreams: u.KeepStreams,
		anyDelay: u.AnyDelay, showAddress: u.ShowAddress, noChoke: u.NoChoke, eagerRelays: u.EagerRelays, anyChecks: u.AnyChecks, trustSilence: u.TrustSilence, anyFrames: u.AnyFrames, anyHalfOpen: u.AnyHalfOpen,
		anyStrangers: u.AnyStrangers, oneCrowd: u.OneCrowd, anyDoors: u.AnyDoors, anyQueue: u.AnyQueue, keepCircuits: u.KeepCircuits, anyGossip: u.AnyGossip, fewStreams: u.FewStreams, anyNudge: u.AnyNudge, anyPace: u.AnyPace, anyCircuits: u.AnyCircuits,
		pastReservations: u.PastReservations, keepStrangers: u.KeepStrangers, anyRate: u.AnyRate, anyFiles: u.AnyFiles, waitToEnd: u.WaitToEnd,
		limitedCircuits: u.LimitedCircuits, anyPunch: u.AnyPunch, anyPuncher: u.AnyPuncher}
	return c
}

// ConnsTo counts the connections to a peer.
func (h *Host) ConnsTo(key PeerKey) int {
	id, _ := idOfKey(key)
	return len(h.libp2p.swarm.ConnsToPeer(id))
}

// Remembered counts the peers that something is kept of: by the host, and by libp2p, itself among them.
func (h *Host) Remembered() (host, libp2p int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.peers), len(h.libp2p.book.Peers())
}

// OpenPair opens a pair stream, whoever is allowed here, and says nothing on it.
func (h *Host) OpenPair(key PeerKey) error {
	id, _ := idOfKey(key)
	s, err := h.libp2p.openStream(context.Background(), id, protocolPair)
	if err == nil {
		err = s.(*lazyStream).Flush()
	}
	return err
}

// AskCircuit asks a bridge for a circuit to another, and says nothing on it.
func (h *Host) AskCircuit(bridge, to PeerKey) error {
	via, _ := idOfKey(bridge)
	id, _ := idOfKey(to)
	s, err := h.libp2p.openStream(context.Background(), via, protocolHop)
	if err != nil {
		return err
	}
	kind := pb.HopMessage_CONNECT
	return util.NewDelimitedWriter(s).WriteMsg(&pb.HopMessage{Type: &kind, Peer: util.PeerInfoToPeerV2(peer.AddrInfo{ID: id})})
}

// OpenHop opens a stream for a circuit, and says nothing on it.
func (h *Host) OpenHop(key PeerKey) error {
	id, _ := idOfKey(key)
	s, err := h.libp2p.openStream(context.Background(), id, protocolHop)
	if err == nil {
		err = s.(*lazyStream).Flush()
	}
	return err
}

// RoomPeers counts the peers of the room.
func (h *Host) RoomPeers() int { return len(h.room.topic.ListPeers()) }

// ForceGreet has GossipSub greet a peer that has not let us in, as an attacker's would.
func (h *Host) ForceGreet(key PeerKey) {
	id, _ := idOfKey(key)
	h.room.greet(id)
}

// TopicName is the name of the gossip topic.
func TopicName(room [32]byte) string { return topicName(room) }

// OSNetwork is the operating system's network.
func OSNetwork() (Network, error) { return newOSNetwork() }

// IsMedia tells whether a datagram is ICE's, DTLS's or SRTP's, and not QUIC's.
func IsMedia(datagram []byte) bool { return classify(datagram) != packetQUIC }

// Filter is the address filter of a host on this network.
func Filter(n Network, loopback bool) (ip func(netip.Addr) bool, addrs func([]ma.Multiaddr) []ma.Multiaddr) {
	f := &addressFilter{network: n, loopback: loopback}
	return f.allow, f.multiaddrs
}

// LANFilter is the address filter of a host on this network that stays on its subnets.
func LANFilter(n Network) func(netip.Addr) bool {
	return (&addressFilter{network: n, lan: true}).allow
}

// ReplaceCandidates returns an answer with other candidates.
func ReplaceCandidates(answer []byte, addrs []ma.Multiaddr) ([]byte, error) {
	s, _, err := decodeSignal(answer, signalAnswer)
	if err != nil {
		return nil, err
	}
	s.Candidates = nil
	for _, a := range addrs {
		if ap, ok := addrPortOf(a); ok {
			s.add(candidateHost, ap)
		}
	}
	return s.encode()
}

// ReplaceFingerprint returns an offer or answer with another certificate's fingerprint.
func ReplaceFingerprint(signal []byte) ([]byte, error) {
	s, _, err := decodeSignal(signal, signalAnswer)
	if err != nil {
		s, _, err = decodeSignal(signal, signalOffer)
	}
	if err != nil {
		return nil, err
	}
	s.Fingerprint[0] ^= 1
	return s.encode()
}

// FollowRoutes looks at the routes now; slept as if the machine had been asleep.
func (h *Host) FollowRoutes(slept bool) { h.followRoutes(slept) }

// CircuitsTo counts the circuits to a peer.
func (h *Host) CircuitsTo(key PeerKey) (n int) {
	id, _ := idOfKey(key)
	for _, c := range h.libp2p.swarm.ConnsToPeer(id) {
		if isCircuit(c) {
			n++
		}
	}
	return n
}

// RankDials says when each address is tried.
func RankDials(addrs []ma.Multiaddr) []network.AddrDelay { return rankDials(addrs) }

// ObservedBy counts those of the peers who have said where they see us.
func (h *Host) ObservedBy(keys ...PeerKey) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.peers {
		if slices.Contains(keys, p.key) && p.sees.IsValid() {
			n++
		}
	}
	return n
}

// ServeRelay makes a host serve as a relay: circuits for anybody whose ticket is good.
func ServeRelay(ctx context.Context, c Config, refuse func(ticket []byte) string) (*Host, error) {
	c.unsafe.anyBridge = true
	c.StrangerTimeout = time.Hour
	h, err := Listen(ctx, c)
	if err != nil {
		return nil, err
	}
	h.libp2p.handle(protocolRelay, func(s network.Stream) {
		defer s.Close()
		ticket, err := readFrame(s)
		if err != nil {
			return
		}
		answer := append([]byte{1}, refuse(ticket)...)
		if len(answer) > 1 && (answer[1] == 0 || answer[1] == 2) { // the answer itself
			answer = answer[1:]
		}
		if len(answer) == 1 {
			seen, _ := addrPortOf(s.Conn().RemoteMultiaddr())
			answer = append([]byte{0}, addrPortBytes(seen)...)
		}
		_ = writeFrame(s, answer)
	}, h.libp2p.strangers)
	return h, nil
}

// AddrPortBytes is an address as a relay's answer has it.
var AddrPortBytes = addrPortBytes

// RelayAddress is the address of a relay for Config.Relays.
func (h *Host) RelayAddress() ma.Multiaddr {
	return h.Addresses()[0].Encapsulate(ma.StringCast("/p2p/" + h.libp2p.ID().String()))
}

// DecodeRelayAnswer reads a relay's answer to a ticket.
func DecodeRelayAnswer(b []byte) (observed netip.AddrPort, refused string, clock time.Time, err error) {
	a, err := decodeRelayAnswer(b)
	return a.observed, a.refused, a.clock, err
}

// OpenMedia opens a media stream as an attacker's client would, and returns it raw.
func (h *Host) OpenMedia(key PeerKey) (network.Stream, error) {
	id, _ := idOfKey(key)
	return h.libp2p.NewStream(context.Background(), id, protocolMedia)
}

// Candidates are those of an offer.
func Candidates(offer []byte) (all []netip.AddrPort) {
	_, candidates, _ := decodeSignal(offer, signalOffer)
	for _, c := range candidates {
		all = append(all, c.addr)
	}
	return all
}

// NoteContact notes a contact, as a connection does.
func (h *Host) NoteContact(key PeerKey, addr netip.Addr) { h.contacts.note(key, addr) }

// HideWebSocket and ShowWebSocket are what the swarm is told of addresses, and back.
var HideWebSocket, ShowWebSocket = hideWebSocket, showWebSocket

// RenewAfter is when a reservation is prolonged.
func RenewAfter(lasts time.Duration) time.Duration { return renewAfter(lasts) }

// TellAgain reports of a peer that something may be lost, as who finds that out does, and maybe late.
func (h *Host) TellAgain(key PeerKey) (again func()) {
	id, _ := idOfKey(key)
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	return func() { h.tellAgain(p) }
}

// RoutesKept counts the connections whose routes are remembered after these have begun, though some ended before.
func RoutesKept(n Network, conns ...network.Conn) int {
	r := &routeWatch{}
	r.of, _ = n.(router)
	for _, c := range conns {
		if c.IsClosed() {
			r.disconnected(c)
		}
		r.connected(c)
	}
	return len(r.used)
}

// DialDirect dials these addresses, as beside a circuit.
func (h *Host) DialDirect(ctx context.Context, key PeerKey, addrs ...ma.Multiaddr) error {
	id, _ := idOfKey(key)
	return h.libp2p.dialDirect(ctx, id, addrs)
}

// Dials counts what is kept of dials under way.
func (h *Host) Dials() int {
	h.libp2p.dialMu.Lock()
	defer h.libp2p.dialMu.Unlock()
	return len(h.libp2p.rounds) + len(h.libp2p.dials)
}

// OpenSilent opens a stream on which nothing is said but half of how it begins.
func (h *Host) OpenSilent(key PeerKey) error {
	id, _ := idOfKey(key)
	s, err := h.libp2p.swarm.NewStream(network.WithNoDial(context.Background(), ""), id)
	if err == nil {
		_, err = s.Write([]byte("\x13/multi"))
	}
	return err
}

// Protocols are all there are.
var Protocols = []protocol.ID{protocolDoor, protocolPair, protocolFile, protocolMedia, protocolRoom, protocolRelay, protocolHop, protocolStop}

// Negotiates tells whether a peer offers a protocol, whoever is allowed here.
func (h *Host) Negotiates(ctx context.Context, key PeerKey, p protocol.ID) bool {
	id, _ := idOfKey(key)
	s, err := h.libp2p.swarm.NewStream(network.WithNoDial(ctx, ""), id)
	if err != nil {
		return false
	}
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(time.Second))
	return mss.SelectProtoOrFail(p, s) == nil
}

// OpenAny opens a stream of any protocol to a peer, as this package does, and tells whether there is one.
func (h *Host) OpenAny(ctx context.Context, key PeerKey, p protocol.ID) bool {
	id, _ := idOfKey(key)
	s, err := h.libp2p.NewStream(ctx, id, p)
	if err == nil {
		_ = s.Reset()
	}
	return err == nil
}

// Routes counts what of a peer's addresses would be dialled: direct ones, bridges and relays, and addresses of these.
func (h *Host) Routes(key PeerKey, addrs []ma.Multiaddr) (direct, hops, at int) {
	id, _ := idOfKey(key)
	r := h.libp2p.routes(id, addrs)
	for _, h := range r.hops {
		at += len(h.addrs)
	}
	return len(r.direct), len(r.hops), at
}

// StreamsFrom counts the streams a peer has opened to this host, by whether it has said what for.
func (h *Host) StreamsFrom(key PeerKey) (said, silent int) {
	id, _ := idOfKey(key)
	for _, c := range h.libp2p.swarm.ConnsToPeer(id) {
		for _, s := range c.GetStreams() {
			switch {
			case s.Stat().Direction != network.DirInbound:
			case s.Protocol() == "":
				silent++
			default:
				said++
			}
		}
	}
	return said, silent
}

// TakesLimited tells whether a connection is taken that a relay would cut after a while.
func (h *Host) TakesLimited(limited bool) bool {
	ok, _ := h.gate.InterceptUpgraded(limitedConn{limited: limited})
	return ok
}

type limitedConn struct {
	network.Conn
	limited bool
}

func (c limitedConn) Stat() (s network.ConnStats) {
	s.Limited = c.limited
	return s
}

// Dialable tells whether the swarm would dial an address now.
func (h *Host) Dialable(key PeerKey, a ma.Multiaddr) bool {
	id, _ := idOfKey(key)
	return h.gate.InterceptAddrDial(id, a)
}

// TCPPort is where this host takes TCP connections.
func (h *Host) TCPPort() (port uint16) {
	for _, a := range h.libp2p.swarm.ListenAddresses() {
		if ap, ok := addrPortOf(a); ok && a[1].Code() == ma.P_TCP {
			port = ap.Port()
		}
	}
	return port
}

// Granted is until when a bridge says that it reserves for this host, as it stands on the wire.
func (h *Host) Granted(ctx context.Context, bridge PeerKey) (time.Time, error) {
	id, err := idOfKey(bridge)
	if err != nil {
		return time.Time{}, err
	}
	r, err := client.Reserve(ctx, h.libp2p, peer.AddrInfo{ID: id})
	if err != nil {
		return time.Time{}, err
	}
	return r.Expiration, nil
}

// HalfOpen is how many connections have come whose other end hasn't proved its key yet.
func (h *Host) HalfOpen() (n int) {
	_ = h.libp2p.resources.ViewTransient(func(s network.ResourceScope) error {
		n = s.Stat().NumConnsInbound
		return nil
	})
	return n
}

// BringCircuit has a node bring a circuit, from itself, and returns whether it is taken.
func BringCircuit(s network.Stream, from peer.ID) error {
	kind := pb.StopMessage_CONNECT
	if err := util.NewDelimitedWriter(s).WriteMsg(&pb.StopMessage{Type: &kind, Peer: util.PeerInfoToPeerV2(peer.AddrInfo{ID: from})}); err != nil {
		return err
	}
	defer func() { _ = s.Reset() }()
	return util.NewDelimitedReader(s, maxCircuitMessage).ReadMsg(&pb.StopMessage{})
}

// GrantReservation answers a request for a reservation, whatever it is, as a relay that reserves until a moment.
func GrantReservation(s network.Stream, until time.Time) error {
	defer func() { _ = s.Close() }()
	if err := util.NewDelimitedReader(s, maxCircuitMessage).ReadMsg(&pb.HopMessage{}); err != nil {
		return err
	}
	kind, status, expire := pb.HopMessage_STATUS, pb.Status_OK, uint64(until.Unix())
	return util.NewDelimitedWriter(s).WriteMsg(&pb.HopMessage{Type: &kind, Status: &status, Reservation: &pb.Reservation{Expire: &expire}})
}
