package roster

import (
	"bytes"
	"crypto/rand"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
)

// Times of SPEC §6.6.
const (
	// HostInterval is how often a host sends a heartbeat (PRE-2).
	HostInterval = 5 * time.Second
	// AwayAfter is how long a member is silent before it counts as away, where intervals are 5 s (PRE-3).
	AwayAfter = 15 * time.Second
	// WarnAfter is how long a host isn't fresh before the user is warned (PRE-5).
	WarnAfter = 30 * time.Second
	// StopAfter is how long a host isn't fresh before a client stops sending (PRE-5).
	StopAfter = 100 * time.Second

	maxHeartbeat = 32768 // echoes of over 1,500 members
	crossed      = 2     // heartbeats that an echo may be behind
	remembered   = 64    // own heartbeats whose times are kept, to date the echoes
)

// Heartbeat says that its author is there, what it sees, and whom it hears (SPEC §6.6).
type Heartbeat struct {
	Number     uint64            `cbor:"1,keyasint"`
	RosterHash crypto.Hash       `cbor:"2,keyasint"`
	Heads      []crypto.Hash     `cbor:"3,keyasint,omitempty"`
	Announce   *crypto.Hash      `cbor:"4,keyasint,omitempty"` // hash of its latest KeyAnnounce
	Echoes     []Echo            `cbor:"5,keyasint,omitempty"`
	Previous   *crypto.Hash      `cbor:"6,keyasint,omitempty"`
	Salt       [8]byte           `cbor:"7,keyasint"` // of the checks, random
	Signature  *crypto.Signature `cbor:"8,keyasint,omitempty"`
}

// Echo is the last number heard from a member, who is named by the beginning of the meeting key, and a check on what
// was heard under this number (PRE-7).
type Echo struct {
	_      struct{} `cbor:",toarray"`
	Member [8]byte
	Number uint64
	Check  [4]byte
}

// Interval returns how often a member of role r sends heartbeats in a meeting of n (PRE-2).
func Interval(r Role, n int) time.Duration {
	if r == RoleHost {
		return HostInterval
	}
	return max(HostInterval, time.Duration(n)*time.Second/10)
}

// Presence keeps who was heard when, and whether they hear us. Like Set it belongs to one goroutine; time comes in.
type Presence struct {
	meeting crypto.MeetingID
	self    *crypto.Incarnation
	number  uint64
	last    crypto.Hash
	sent    map[uint64]time.Time // when own heartbeats went out
	members map[crypto.MeetingKey]*heard
}

type heard struct {
	at         time.Time // last sign of life
	number     uint64
	hash       crypto.Hash // of the last heartbeat
	beat       *Heartbeat
	recent     []heardBeat // the newest last
	echoed     time.Time   // when the newest own heartbeat that it echoes went out
	since      time.Time   // on the roster, as seen here
	equivocate bool
}

// NewPresence starts with nobody heard.
func NewPresence(self *crypto.Incarnation) *Presence {
	return &Presence{meeting: self.Meeting(), self: self, sent: map[uint64]time.Time{}, members: map[crypto.MeetingKey]*heard{}}
}

// Follow adds whoever is new on the roster, counted as heard now, and forgets who is gone.
func (p *Presence) Follow(r *Roster, now time.Time) {
	for k := range p.members {
		if r.ByMeetingKey(k) == nil {
			delete(p.members, k)
		}
	}
	for i := range r.Members {
		k := r.Members[i].Bundle.MeetingKey
		if k != p.self.Key() && p.members[k] == nil {
			p.members[k] = &heard{at: now, since: now, echoed: now}
		}
	}
}

// Beat makes the next heartbeat. announce is the hash of the own latest KeyAnnounce, or zero.
func (p *Presence) Beat(r *Roster, heads []crypto.Hash, announce crypto.Hash, now time.Time) ([]byte, error) {
	p.number++
	b := Heartbeat{Number: p.number, RosterHash: r.Hash, Heads: heads}
	if len(b.Heads) > MaxHeads {
		b.Heads = b.Heads[:MaxHeads]
	}
	if !announce.IsZero() {
		b.Announce = &announce
	}
	if !p.last.IsZero() {
		previous := p.last
		b.Previous = &previous
	}
	_, _ = rand.Read(b.Salt[:]) // never fails
	for i := range r.Members {
		k := r.Members[i].Bundle.MeetingKey
		if h := p.members[k]; h != nil && h.number > 0 {
			b.Echoes = append(b.Echoes, Echo{Member: [8]byte(k[:8]), Number: h.number, Check: b.check(h.hash)})
		}
	}
	unsigned, err := codec.Marshal(&b)
	if err != nil {
		return nil, err
	}
	author := p.self.Key()
	sig := p.self.Sign("heartbeat", p.meeting[:], author[:], unsigned)
	b.Signature = &sig
	raw, err := codec.Marshal(&b)
	if err != nil {
		return nil, err
	}
	p.last = crypto.HashOf("heartbeat", raw)
	p.sent[p.number] = now
	delete(p.sent, p.number-remembered)
	return raw, nil
}

// DecodeHeartbeat decodes a heartbeat without verifying it.
func DecodeHeartbeat(raw []byte) (*Heartbeat, error) {
	var b Heartbeat
	if err := codec.Unmarshal(raw, maxHeartbeat, &b); err != nil {
		return nil, err
	}
	if b.Signature == nil || b.Number == 0 || len(b.Heads) > MaxHeads {
		return nil, refuse("a heartbeat is incomplete")
	}
	return &b, nil
}

// Hear takes a heartbeat by the member with this meeting key. It ignores, with an error, what is old or badly
// signed (PRE-1); of two different ones with the same number it remembers that they were sent.
func (p *Presence) Hear(from crypto.MeetingKey, raw []byte, now time.Time) (*Heartbeat, error) {
	h := p.members[from]
	if h == nil {
		return nil, refuse("a heartbeat by somebody who isn't on the roster")
	}
	b, err := DecodeHeartbeat(raw)
	if err != nil {
		return nil, err
	}
	if !p.signedBy(from, b) {
		return nil, refuse("a heartbeat's signature is wrong")
	}
	hash := crypto.HashOf("heartbeat", raw)
	if b.Number <= h.number {
		if b.Number == h.number && hash != h.hash {
			h.equivocate = true
		}
		return nil, refuse("a heartbeat isn't newer than the last")
	}
	if b.Number == h.number+1 && h.number > 0 && (b.Previous == nil || *b.Previous != h.hash) {
		h.equivocate = true
	}
	h.number, h.hash, h.beat, h.at = b.Number, hash, b, now
	h.remember(heardBeat{b.Number, hash, bytes.Clone(raw)})
	self := p.self.Key()
	for _, e := range b.Echoes {
		if t, ok := p.sent[e.Number]; ok && bytes.Equal(e.Member[:], self[:8]) && t.After(h.echoed) {
			h.echoed = t
		}
	}
	return b, nil
}

func (p *Presence) signedBy(author crypto.MeetingKey, b *Heartbeat) bool {
	bare := *b
	bare.Signature = nil
	unsigned, err := codec.Marshal(&bare)
	return err == nil && author.Verify("heartbeat", *b.Signature, p.meeting[:], author[:], unsigned)
}

// Alive notes any other authenticated sign of life by a member.
func (p *Presence) Alive(k crypto.MeetingKey, now time.Time) {
	if h := p.members[k]; h != nil && now.After(h.at) {
		h.at = now
	}
}

// Away says whether a member has been silent for too long (PRE-3).
func (p *Presence) Away(r *Roster, k crypto.MeetingKey, now time.Time) bool {
	h, m := p.members[k], r.ByMeetingKey(k)
	if h == nil || m == nil {
		return k != p.self.Key()
	}
	return now.Sub(h.at) >= max(AwayAfter, 3*Interval(m.Role, len(r.Members)))
}

// Fresh says whether a member echoed a recent heartbeat of ours (PRE-4).
func (p *Presence) Fresh(r *Roster, k crypto.MeetingKey, now time.Time) bool {
	h, m, self := p.members[k], r.ByMeetingKey(k), r.ByMeetingKey(p.self.Key())
	if h == nil || m == nil || self == nil || h.number == 0 {
		return false
	}
	interval := max(Interval(m.Role, len(r.Members)), Interval(self.Role, len(r.Members)))
	return now.Sub(h.echoed) < 3*interval
}

// Unechoed returns for how long a member hasn't shown that it hears us: since the newest own heartbeat it echoed,
// or since it came (PRE-5).
func (p *Presence) Unechoed(k crypto.MeetingKey, now time.Time) time.Duration {
	if h := p.members[k]; h != nil {
		return now.Sub(h.echoed)
	}
	return 0
}

// HeardBy returns the other members whom a member says it hears: whose heartbeat it echoes that came here last, or one
// before, since the two cross. It says nothing of who hears it.
func (p *Presence) HeardBy(r *Roster, k crypto.MeetingKey) []*Member {
	h := p.members[k]
	if h == nil || h.beat == nil {
		return nil
	}
	var all []*Member
	for i := range r.Members {
		other := r.Members[i].Bundle.MeetingKey
		latest := p.number
		if o := p.members[other]; o != nil {
			latest = o.number
		}
		for _, e := range h.beat.Echoes {
			if other != k && bytes.Equal(e.Member[:], other[:8]) && e.Number+crossed >= latest {
				all = append(all, &r.Members[i])
				break
			}
		}
	}
	return all
}

// Latest returns a member's last heartbeat, or nil.
func (p *Presence) Latest(k crypto.MeetingKey) *Heartbeat {
	if h := p.members[k]; h != nil {
		return h.beat
	}
	return nil
}

// Equivocates says whether a member sent two different heartbeats with one number, or broke its chain (PRE-1).
func (p *Presence) Equivocates(k crypto.MeetingKey) bool {
	h := p.members[k]
	return h != nil && h.equivocate
}

// Agreed says whether all members who aren't away are fresh and see the same roster: the condition for words (VER-2).
func (p *Presence) Agreed(r *Roster, now time.Time) bool {
	for i := range r.Members {
		k := r.Members[i].Bundle.MeetingKey
		if k == p.self.Key() || p.Away(r, k, now) {
			continue
		}
		h := p.members[k]
		if !p.Fresh(r, k, now) || h.beat == nil || h.beat.RosterHash != r.Hash {
			return false
		}
	}
	return true
}

// HostPresent says whether any host, perhaps oneself, is there (PRE-6).
func (p *Presence) HostPresent(r *Roster, now time.Time) bool {
	for i := range r.Members {
		m := &r.Members[i]
		if m.Role == RoleHost && (m.Bundle.MeetingKey == p.self.Key() || !p.Away(r, m.Bundle.MeetingKey, now)) {
			return true
		}
	}
	return false
}
