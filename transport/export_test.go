package transport

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	ma "github.com/multiformats/go-multiaddr"
)

// Unsafe turns protections off.
type Unsafe struct {
	OpenGate, AnyAddress, ClaimOnCheck, ResendPlain, AnyFingerprint, ReplayOffers, KeepFiles, AnyBridge, KeepStreams, AnyDelay, ShowAddress, NoChoke, EagerRelays, AnyFrames, AnyHalfOpen, AnyStrangers, OneCrowd, AnyDoors, AnyQueue, KeepCircuits, AnyGossip, FewStreams, AnyNudge, AnyPace, AnyCircuits, PastReservations bool
}

// Without returns a configuration without the named protections.
func Without(c Config, u Unsafe) Config {
	c.unsafe = unsafeSwitches{openGate: u.OpenGate, anyAddress: u.AnyAddress, claimOnCheck: u.ClaimOnCheck, resendPlain: u.ResendPlain,
		anyFingerprint: u.AnyFingerprint, replayOffers: u.ReplayOffers, keepFiles: u.KeepFiles, anyBridge: u.AnyBridge, keepStreams: u.KeepStreams,
		anyDelay: u.AnyDelay, showAddress: u.ShowAddress, noChoke: u.NoChoke, eagerRelays: u.EagerRelays, anyFrames: u.AnyFrames, anyHalfOpen: u.AnyHalfOpen,
		anyStrangers: u.AnyStrangers, oneCrowd: u.OneCrowd, anyDoors: u.AnyDoors, anyQueue: u.AnyQueue, keepCircuits: u.KeepCircuits, anyGossip: u.AnyGossip, fewStreams: u.FewStreams, anyNudge: u.AnyNudge, anyPace: u.AnyPace, anyCircuits: u.AnyCircuits,
		pastReservations: u.PastReservations}
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

// ReplaceFingerprint returns an answer with another certificate's fingerprint.
func ReplaceFingerprint(answer []byte) ([]byte, error) {
	s, _, err := decodeSignal(answer, signalAnswer)
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
		if len(answer) > 1 && answer[1] == 2 { // the answer itself
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
