package crypto

import (
	"crypto/cipher"
	"encoding/binary"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// Limits of pair sessions (PAI-3 to PAI-7).
const (
	// MaxPairPacket is the most bytes of a packet.
	MaxPairPacket = 65535
	// MaxPairData is the most bytes PairSession.Seal takes.
	MaxPairData = MaxPairPacket - pairHeaderSize - sframe.TagSize
	// MaxEarlyData is the most bytes of early data in a handshake packet.
	MaxEarlyData = 32 << 10

	pairFresh     = 10 * time.Minute // then the initiator makes a new session
	pairSealLimit = 15 * time.Minute // then nothing is sealed
	pairGrace     = 30 * time.Second // how long the session before is accepted
	pairMaxCount  = 1 << 40          // packets of one session and direction

	pairPending   = 4           // answered initiations that wait to be confirmed
	pairBurst     = 4           // initiations answered at once
	pairInterval  = time.Second // and then one in each
	pairRetry     = time.Second // between two sendings of one handshake packet
	pairRetryOver = 5 * time.Second
)

// PairSession is what two members share (SPEC section 5): sealed packets over any path,
// in any order. It makes and renews its keys by itself as long as Tick is called and
// what it returns is sent:
//
//	smaller meeting key                       larger meeting key
//	Tick, Initiate ───── initiation ────────▶ Receive ▶ Hint; Respond
//	Receive ▶ Early ◀─── response ─────────── (pending)
//	installed      ───── data (empty) ──────▶ Receive: installed (PAI-2)
//	               ◀════ data ══════════════▶
//	Receive ▶ Initiate ◀ nudge ────────────── Tick
//
// Every packet goes to Receive; an error there means that it changed nothing (PAI-6).
// It is for one goroutine. A peer that restarts has a new bundle, and so needs a new
// PairSession.
type PairSession struct {
	hidden
	inc       *Incarnation
	peer      Bundle
	initiator bool
	prologue  []byte

	nextID    uint8
	attempt   *pairAttempt // the initiation under way, ours
	lastNudge time.Time    // acted on, or sent

	offered *pairOffer  // an initiation that waits for Respond
	pending []*pairKeys // answered, not confirmed; the oldest first
	answers rateLimit

	current, previous *pairKeys
	previousUntil     time.Time

	off hooks
}

// pairKeys are the two keys of one session.
type pairKeys struct {
	id            uint8
	send, receive cipher.AEAD
	next          uint64 // counter to send under
	window        sframe.ReplayWindow
	born          time.Time
	initiation    Hash   // of the message 1 it came from (responder)
	response      []byte // to send again when that comes again (responder)
}

// PairEvent is what one packet brought. Several fields may be set.
type PairEvent struct {
	// Data is the content of a data packet; nil if it carried none.
	Data []byte
	// Early is the early data of a response. It is authentic and fresh, but not
	// protected against quantum computers (PAI-1): no keys in it.
	Early []byte
	// Respond says that an initiation came: call PairSession.Respond.
	Respond bool
	// Hint is the early data of that initiation. It may be a replay: do nothing with it
	// that lasts (PAI-2).
	Hint []byte
	// Reply, if not nil, is a packet to send to the peer.
	Reply []byte
	// Installed says that a new session carries from now on.
	Installed bool
	// Initiate says that the peer asks for a new session: call PairSession.Initiate.
	Initiate bool
}

// NewPairSession prepares the session with the member of this bundle, which it
// verifies. The errors are those of Bundle.Verify, and ErrWeakKey for one's own bundle.
func NewPairSession(inc *Incarnation, peer Bundle) (*PairSession, error) {
	if err := peer.Verify(inc.meeting); err != nil {
		return nil, err
	}
	order := inc.Key().Compare(peer.MeetingKey)
	if order == 0 {
		return nil, ErrWeakKey
	}
	p := &PairSession{inc: inc, peer: peer, initiator: order < 0}
	first, second := inc.bundle.Hash(), peer.Hash()
	if !p.initiator {
		first, second = second, first
	}
	p.prologue = append([]byte(pairPrologue), inc.meeting[:]...)
	p.prologue = append(append(p.prologue, first[:]...), second[:]...)
	var id [1]byte
	fill(nil, id[:])
	p.nextID = id[0]
	return p, nil
}

// Initiator reports whether this side makes the handshakes: it has the smaller meeting
// key.
func (p *PairSession) Initiator() bool { return p.initiator }

// Peer returns the other member's bundle.
func (p *PairSession) Peer() Bundle { return p.peer }

// Ready reports whether Seal works at this time.
func (p *PairSession) Ready(now time.Time) bool { return p.current != nil && p.canSeal(now) }

func (p *PairSession) canSeal(now time.Time) bool {
	if p.off.pairLifetime {
		return true
	}
	return now.Sub(p.current.born) < pairSealLimit && p.current.next < pairMaxCount // PAI-4
}

// Tick returns the handshake packet that is due, or nil: for the initiator a first
// initiation, the same again each second, a fresh one after five, and one when the
// session is ten minutes old (PAI-4); for the other a nudge each second while it has
// no session to seal with. It also erases what is over. Call it each second while the
// peer is present, at least.
func (p *PairSession) Tick(now time.Time) []byte {
	p.Expire(now)
	if !p.initiator {
		if p.Ready(now) || now.Sub(p.lastNudge) < pairRetry {
			return nil
		}
		p.lastNudge = now
		return []byte{pairNudge, 0}
	}
	if a := p.attempt; a != nil && now.Sub(a.started) < pairRetryOver {
		if now.Sub(a.sent) < pairRetry {
			return nil
		}
		a.sent = now
		return a.packet
	}
	if p.current != nil && now.Sub(p.current.born) < pairFresh && p.current.next < pairMaxCount {
		return nil
	}
	packet, err := p.Initiate(now, nil)
	if err != nil {
		return nil
	}
	return packet
}

// Expire erases sessions that are over (PAI-4). Tick calls it.
func (p *PairSession) Expire(now time.Time) {
	if p.off.pairLifetime {
		return
	}
	if p.previous != nil && !now.Before(p.previousUntil) {
		p.previous = nil
	}
	if p.current != nil && now.Sub(p.current.born) >= pairSealLimit+pairGrace {
		p.current = nil
	}
	for len(p.pending) > 0 && now.Sub(p.pending[0].born) >= pairGrace {
		p.pending = p.pending[1:]
	}
}

// Wipe drops all keys. The session can't be used afterwards.
func (p *PairSession) Wipe() {
	p.attempt, p.offered, p.pending, p.current, p.previous = nil, nil, nil, nil, nil
	p.peer = Bundle{}
}

// Seal returns the packet that carries data. The errors are ErrNoSession and
// ErrFrameTooLarge (over MaxPairData bytes).
func (p *PairSession) Seal(now time.Time, data []byte) ([]byte, error) {
	if len(data) > MaxPairData { // PAI-7
		return nil, ErrFrameTooLarge
	}
	if !p.Ready(now) {
		return nil, ErrNoSession
	}
	return p.current.seal(data), nil
}

func (k *pairKeys) seal(data []byte) []byte {
	packet := make([]byte, pairHeaderSize, pairHeaderSize+len(data)+sframe.TagSize)
	binary.BigEndian.PutUint64(packet, k.next) // below 2^40: the first two bytes are 0
	packet[0], packet[1] = pairData, k.id
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], k.next)
	k.next++ // PAI-3: never the same twice
	return k.send.Seal(packet, nonce[:], data, packet[:pairHeaderSize])
}

// open authenticates a data packet and moves the window only then (PAI-3).
func (k *pairKeys) open(packet []byte, off hooks) ([]byte, error) {
	header := packet[:pairHeaderSize]
	counter := binary.BigEndian.Uint64(header) & (1<<48 - 1)
	if counter >= pairMaxCount || !k.window.Check(counter) && !off.pairReplay {
		return nil, ErrRefused
	}
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], counter)
	data, err := k.receive.Open(nil, nonce[:], packet[pairHeaderSize:], header)
	if err != nil {
		return nil, ErrRefused
	}
	k.window.Commit(counter)
	return data, nil
}

// Receive takes one packet of the peer. The error is ErrRefused, or ErrMalformed.
func (p *PairSession) Receive(now time.Time, packet []byte) (PairEvent, error) {
	if len(packet) < 2 || len(packet) > MaxPairPacket { // PAI-7
		return PairEvent{}, ErrMalformed
	}
	switch packet[0] {
	case pairInitiation:
		return p.receiveInitiation(now, packet)
	case pairResponse:
		return p.receiveResponse(now, packet)
	case pairData:
		return p.receiveData(now, packet)
	case pairNudge:
		return p.receiveNudge(now, packet)
	default:
		return PairEvent{}, ErrMalformed
	}
}

func (p *PairSession) receiveNudge(now time.Time, packet []byte) (PairEvent, error) {
	if len(packet) != 2 || packet[1] != 0 {
		return PairEvent{}, ErrMalformed
	}
	if !p.initiator || now.Sub(p.lastNudge) < pairInterval && !p.off.answerLimit { // PAI-5
		return PairEvent{}, ErrRefused
	}
	p.lastNudge = now
	return PairEvent{Initiate: true}, nil
}

func (p *PairSession) receiveData(now time.Time, packet []byte) (PairEvent, error) {
	if len(packet) < pairHeaderSize+sframe.TagSize {
		return PairEvent{}, ErrMalformed
	}
	p.Expire(now)
	id := packet[1]
	for _, k := range []*pairKeys{p.current, p.previous} {
		if k == nil || k.id != id {
			continue
		}
		if data, err := k.open(packet, p.off); err == nil {
			return PairEvent{Data: data}, nil
		}
	}
	for i, k := range p.pending {
		if k.id != id {
			continue
		}
		if data, err := k.open(packet, p.off); err == nil {
			// PAI-2: whoever sealed this knows our answer's secrets: no replay.
			p.pending = p.pending[i+1:]
			p.install(now, k)
			return PairEvent{Data: data, Installed: true}, nil
		}
	}
	return PairEvent{}, ErrRefused
}

// install makes k the session in use and keeps the one before for what is under way.
func (p *PairSession) install(now time.Time, k *pairKeys) {
	p.previous, p.current = p.current, k
	p.previousUntil = now.Add(pairGrace)
}

// rateLimit is a token bucket: pairBurst at once, then one each pairInterval (PAI-5).
type rateLimit struct {
	used int
	last time.Time
}

func (r *rateLimit) allow(now time.Time) bool {
	if back := int(now.Sub(r.last) / pairInterval); r.last.IsZero() || back >= r.used {
		r.used, r.last = 0, now
	} else if back > 0 {
		r.used -= back
		r.last = r.last.Add(time.Duration(back) * pairInterval)
	}
	if r.used >= pairBurst {
		return false
	}
	r.used++
	return true
}
