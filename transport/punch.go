package transport

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
)

// Hole punching through a limited relay (limited.go), which carries a few frames in Noise and no more (TRA-26):
//
//	who found  ── proof of the link ───────▶  who has reserved
//	           ── where the relay sees me ─▶
//	           ◀─ where it sees me ─────────
//	           ── now ─────────────────────▶      and both dial, by QUIC, at the same moment

const (
	// punchTimeout is how long signals may take, punchDial how long both dial.
	punchTimeout = 8 * time.Second
	punchDial    = 5 * time.Second
	// punchLead is at most how long the one waits until the other has been told to begin.
	punchLead = time.Second
	// What one limited relay may bring: at once, and then a second (TRA-27). Each has us send some packets to an address.
	punchesAtOnce         = 4
	punchBurst, punchRate = 8, 0.2
	// maxPunchVia is through how many limited relays somebody is dialled.
	maxPunchVia = 3
)

// PunchKey is what both ends know beforehand, and no relay: a secret of 32 random bytes, or as good as such (TRA-28).
type PunchKey [sha256.Size]byte

// proof is what shows who answers that who dials knows the key.
func (k PunchKey) proof(dials, answers peer.ID) []byte {
	mac := hmac.New(sha256.New, k[:])
	for _, id := range []peer.ID{dials, answers} {
		key, _ := keyOfID(id) // both were shown to be Ed25519's
		_, _ = mac.Write(key[:])
	}
	return mac.Sum(nil)
}

// SetPunchKeys says what others must know one of to have the NATs on the way to this host opened. The default is none:
// nobody has.
func (h *Host) SetPunchKeys(keys []PunchKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.punchKeys = slices.Clone(keys)
}

// proven tells whether a proof is one of somebody who knows a key of ours, in a time that says nothing of which.
func (h *Host) proven(proof []byte, from peer.ID) bool {
	h.mu.Lock()
	keys := h.punchKeys
	h.mu.Unlock()
	known := 0
	for _, k := range keys {
		known |= subtle.ConstantTimeCompare(k.proof(from, h.libp2p.ID()), proof)
	}
	return known == 1 || h.config.unsafe.anyPuncher
}

// ErrNotPunched reports that both ends told each other where they are seen, and no connection came of it: at least one
// router gives each connection another port, and the other lets nobody in whom it hasn't sent to.
var ErrNotPunched = errors.New("transport: the routers on the way let no direct connection through")

// punchAddress says that a circuit is for signals, and QUIC follows: as libp2p writes /p2p-circuit/webrtc.
func punchAddress(via peer.ID, at ma.Multiaddr) ma.Multiaddr {
	return slices.Concat(at, circuitAddress(via), ma.StringCast("/quic-v1"))
}

// IsPunch tells whether an address is one for Punch.
func IsPunch(a ma.Multiaddr) bool {
	n := len(a)
	return n > 2 && a[n-1].Code() == ma.P_QUIC_V1 && a[n-2].Code() == ma.P_CIRCUIT
}

// Punch has the NATs between this host and a peer opened by the limited relays that addrs name (IsPunch), at most three,
// and returns without error when there is a direct connection. The peer must have this key (SetPunchKeys), and may be a
// stranger, as for OpenDoor. The errors are ErrNoAddress, ErrNotPunched, and those of who didn't answer.
func (h *Host) Punch(ctx context.Context, key PeerKey, addrs []ma.Multiaddr, with PunchKey) error {
	id, err := idOfKey(key)
	if err != nil {
		return err
	}
	if h.hidden() || h.config.LANOnly || key == h.key {
		return ErrNoAddress
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	errs := make(chan error)
	tried := 0
	var seen []peer.ID
	for _, a := range addrs[:min(len(addrs), MaxAddresses)] {
		if !IsPunch(a) || tried == maxPunchVia {
			continue
		}
		via, at, ok := h.limitedAddress(a[:len(a)-2])
		if !ok || via == id || slices.Contains(seen, via) {
			continue
		}
		seen = append(seen, via)
		tried++
		go func() { errs <- h.punchVia(ctx, id, via, at, with) }()
	}
	worst := ErrNoAddress
	for range tried {
		switch err := <-errs; {
		case h.libp2p.direct(id):
			cancel()
			worst = nil
		case worst != nil && !errors.Is(worst, ErrNotPunched):
			worst = err
		}
	}
	return worst
}

// punchVia tells a peer, through one limited relay, where we are seen, is told the same, and dials.
func (h *Host) punchVia(ctx context.Context, to, via peer.ID, at ma.Multiaddr, with PunchKey) error {
	h.holdHop(via, 1)
	defer h.holdHop(via, -1)
	signalling, cancel := context.WithTimeout(ctx, punchTimeout)
	defer cancel()
	sees, err := h.meetLimited(signalling, via, at)
	if err != nil {
		return err
	}
	h.contacts.noteLimited(via, false)
	s, err := h.libp2p.openStream(signalling, via, protocolHop)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }()
	defer context.AfterFunc(signalling, func() { _ = s.Reset() })()
	if err := askCircuit(s, to); err != nil {
		return err
	}
	key, _ := keyOfID(via)
	h.contacts.know(key)
	h.contacts.noteLimited(via, true)
	c, err := h.libp2p.secureSignals(signalling, s, to)
	if err != nil {
		return err
	}
	theirs, apart, err := beginPunch(c, with.proof(h.libp2p.ID(), to), sees)
	if err != nil {
		return err
	}
	if !h.punchable(theirs) {
		return ErrNoAddress
	}
	sleepFor(signalling, min(apart/2, punchLead))
	return h.punch(ctx, to, theirs)
}

// punch dials a peer that dials us.
func (h *Host) punch(ctx context.Context, to peer.ID, at netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, punchDial)
	defer cancel()
	if h.libp2p.direct(to) {
		return nil
	}
	if err := h.libp2p.dialDirect(ctx, to, []ma.Multiaddr{quicMultiaddr(at)}); err != nil {
		return fmt.Errorf("%w: %w", ErrNotPunched, err)
	}
	return nil
}

// askCircuit asks a relay for a circuit to a peer.
func askCircuit(s network.Stream, to peer.ID) error {
	kind := pb.HopMessage_CONNECT
	if err := util.NewDelimitedWriter(s).WriteMsg(&pb.HopMessage{Type: &kind, Peer: util.PeerInfoToPeerV2(peer.AddrInfo{ID: to})}); err != nil {
		return err
	}
	var answer pb.HopMessage
	if err := util.NewDelimitedReader(s, maxCircuitMessage).ReadMsg(&answer); err != nil {
		return err
	}
	if answer.GetType() != pb.HopMessage_STATUS || answer.GetStatus() != pb.Status_OK {
		return fmt.Errorf("%w: %v", ErrRelayRefused, answer.GetStatus())
	}
	return nil
}

// takeCircuit takes one that a relay brings.
func takeCircuit(s network.Stream) error {
	var asked pb.StopMessage
	if err := util.NewDelimitedReader(s, maxCircuitMessage).ReadMsg(&asked); err != nil {
		return err
	}
	if asked.GetType() != pb.StopMessage_CONNECT {
		return ErrSignal
	}
	kind, status := pb.StopMessage_STATUS, pb.Status_OK
	return util.NewDelimitedWriter(s).WriteMsg(&pb.StopMessage{Type: &kind, Status: &status})
}

// handleStop is where a circuit that a limited relay brings ends.
func (h *Host) handleStop(s network.Stream) {
	defer func() { _ = s.Reset() }()
	via := s.Conn().RemotePeer()
	r := h.takePunch(via, time.Now())
	if r == nil {
		return
	}
	defer h.punchOver(r)
	signalling, cancel := context.WithTimeout(h.ctx, punchTimeout)
	defer cancel()
	defer context.AfterFunc(signalling, func() { _ = s.Reset() })()
	if err := takeCircuit(s); err != nil {
		return
	}
	h.contacts.noteLimited(via, true)
	c, err := h.libp2p.secureSignals(signalling, s, "")
	if err != nil {
		return
	}
	from := c.RemotePeer()
	if _, ed25519 := keyOfID(from); !ed25519 || from == h.libp2p.ID() || from == via {
		return
	}
	theirs, err := answerPunch(c, func(proof []byte) bool { return h.proven(proof, from) }, r.sees)
	if err != nil || !h.punchable(theirs) {
		return
	}
	_ = h.punch(h.ctx, from, theirs)
}

// takePunch counts what a limited relay brings; nil if it is too much (TRA-27).
func (h *Host) takePunch(via peer.ID, now time.Time) *limitedRelay {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.limited[via]
	switch {
	case r == nil || h.closed:
		return nil
	case h.config.unsafe.anyPunch:
	case r.punches == punchesAtOnce || !r.rate.take(now, 1, punchBurst, punchRate):
		return nil
	}
	r.punches++
	return r
}

func (h *Host) punchOver(r *limitedRelay) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.punches--
}

// secureSignals has both ends of a circuit prove their keys: who opened it expects a peer, the other takes any.
func (l *libp2pHost) secureSignals(ctx context.Context, s network.Stream, to peer.ID) (sec.SecureConn, error) {
	t, err := noise.New(noise.ID, l.book.PrivKey(l.ID()), nil)
	if err != nil {
		return nil, err
	}
	session, err := t.WithSessionOptions(noise.Prologue([]byte(punchPrologue)))
	if err != nil {
		return nil, err
	}
	if to != "" {
		return session.SecureOutbound(ctx, streamConn{s}, to)
	}
	return session.SecureInbound(ctx, streamConn{s}, "")
}

// streamConn is a stream as a net.Conn, for Noise.
type streamConn struct{ network.Stream }

func (streamConn) LocalAddr() net.Addr  { return &net.UDPAddr{} }
func (streamConn) RemoteAddr() net.Addr { return &net.UDPAddr{} }
