package roster

import (
	"bytes"

	"github.com/huisclos/huisclos/crypto"
)

// Limits of PRE-7.
const (
	recentBeats       = 8 // heartbeats kept of each member, to compare with what others heard
	maxContradictions = 4 // found in one heartbeat
)

// heardBeat is a heartbeat as it came.
type heardBeat struct {
	number uint64
	hash   crypto.Hash
	raw    []byte
}

func (h *heard) remember(b heardBeat) {
	if len(h.recent) == recentBeats {
		h.recent = append(h.recent[:0], h.recent[1:]...)
	}
	h.recent = append(h.recent, b)
}

func (h *heard) numbered(n uint64) *heardBeat {
	for i := range h.recent {
		if h.recent[i].number == n {
			return &h.recent[i]
		}
	}
	return nil
}

// check is what an echo in this heartbeat has for what was heard.
func (b *Heartbeat) check(heard crypto.Hash) [4]byte {
	sum := crypto.HashOf("heartbeat check", b.Salt[:], heard[:])
	return [4]byte(sum[:4])
}

// Contradiction is a heartbeat that somebody else has another for, under the same number.
type Contradiction struct {
	Author    crypto.MeetingKey
	Heartbeat []byte
}

// Contradictions returns what was heard here of those of whom the author of b heard something else, to be sent to it
// (PRE-7): either they told two stories, or b's author lies.
func (p *Presence) Contradictions(b *Heartbeat) []Contradiction {
	var all []Contradiction
	for k, h := range p.members {
		for _, e := range b.Echoes {
			if !bytes.Equal(e.Member[:], k[:8]) {
				continue
			}
			if own := h.numbered(e.Number); own != nil && b.check(own.hash) != e.Check && len(all) < maxContradictions {
				all = append(all, Contradiction{k, own.raw})
			}
		}
	}
	return all
}

// Contradicts says whether a heartbeat that somebody else passed on could be another than the one that was heard of its
// author under its number. It is cheap: Judge then verifies it.
func (p *Presence) Contradicts(c Contradiction) bool {
	h := p.members[c.Author]
	if h == nil || h.equivocate {
		return false
	}
	b, err := DecodeHeartbeat(c.Heartbeat)
	if err != nil {
		return false
	}
	own := h.numbered(b.Number)
	return own != nil && own.hash != crypto.HashOf("heartbeat", c.Heartbeat)
}

// Judge verifies what Contradicts: with its author's signature it proves that there are two of one number (PRE-1).
func (p *Presence) Judge(c Contradiction) {
	if !p.Contradicts(c) {
		return
	}
	if b, err := DecodeHeartbeat(c.Heartbeat); err == nil && p.signedBy(c.Author, b) {
		p.members[c.Author].equivocate = true
	}
}
