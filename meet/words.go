package meet

import (
	"context"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// comparison is a pairwise comparison of words under way with a peer (SPEC §8).
type comparison struct {
	state   *crypto.Comparison
	asked   bool // by us
	started time.Time
	reply   chan compared // buffered; nil if nobody here waits
}

// compared is how a comparison that this member asked for came out.
type compared struct {
	v   crypto.Verification
	err error
}

func (c *comparison) answer(r compared) {
	if c.reply != nil {
		c.reply <- r
	}
	*c = comparison{}
}

// fail ends a comparison under way, if there is one.
func (c *comparison) fail(err error) { c.answer(compared{err: err}) }

func (c *comparison) expire(now time.Time) {
	if c.state != nil && now.Sub(c.started) >= crypto.ComparisonLifetime {
		c.fail(ErrComparison)
	}
}

// Words returns what all members compare, by reading six words or the digits aloud: the same for all exactly if all
// see the same people, with nobody between them (SPEC §8). It takes about half a second. ErrNotAgreed: wait for
// WordsAvailable.
func (m *Meeting) Words(ctx context.Context) (crypto.Verification, error) {
	people, err := call(ctx, m, func() ([]crypto.Person, error) {
		if len(m.roster.Members) > 1 && !m.presence.Agreed(m.roster, time.Now()) && !m.config.hooks.anyTime { // VER-2
			return nil, ErrNotAgreed
		}
		var people []crypto.Person
		for i := range m.roster.Members {
			r := &m.roster.Members[i]
			people = append(people, crypto.Person{Identity: r.Identity(), JoinerNonce: r.JoinerNonce, ResponderNonce: r.ResponderNonce})
		}
		return people, nil
	})
	if err != nil {
		return crypto.Verification{}, err
	}
	return crypto.Words(m.id, people), nil
}

// Verify begins a comparison with one member alone and returns what both see: they get VerifyRequested. If the words
// match, call MarkVerified. It works at any time and doesn't depend on who else is in. The errors are ErrNoSuchMember,
// ErrNotConnected, ErrComparing, ErrComparison, ctx's and why the meeting ended (VER-4).
func (m *Meeting) Verify(ctx context.Context, who crypto.IdentityKey) (crypto.Verification, error) {
	reply, err := call(ctx, m, func() (chan compared, error) {
		r := m.roster.Member(who)
		if r == nil || m.peers[r.Bundle.MeetingKey] == nil {
			return nil, ErrNoSuchMember
		}
		p, now := m.peers[r.Bundle.MeetingKey], time.Now()
		switch {
		case !p.connected || !p.installed:
			return nil, ErrNotConnected
		case p.compare.reply != nil:
			return nil, ErrComparing
		}
		state, commitment := crypto.StartComparison(now, m.self, p.session.Peer())
		p.compare = comparison{state: state, asked: true, started: now, reply: make(chan compared, 1)}
		m.send(p, pairMessage{Commit: &commitment})
		return p.compare.reply, nil
	})
	if err != nil {
		return crypto.Verification{}, err
	}
	select {
	case r := <-reply:
		return r.v, r.err
	case <-ctx.Done():
		m.post(func() { m.giveUp(reply) })
		return crypto.Verification{}, context.Cause(ctx)
	case <-m.ctx.Done():
		return crypto.Verification{}, context.Cause(m.ctx)
	}
}

// giveUp ends the comparison that nobody waits for any more, so that there can be another.
func (m *Meeting) giveUp(reply chan compared) {
	for _, p := range m.peers {
		if p.compare.reply == reply {
			p.compare.fail(ErrComparison)
		}
	}
}

// comparing handles the three messages of a comparison (VER-4). Where both ask at once, the smaller meeting key's goes on
// and the other's caller gets the same words.
func (m *Meeting) comparing(p *peer, msg pairMessage, now time.Time) {
	c := &p.compare
	switch {
	case msg.Commit != nil:
		if c.asked && m.self.Key().Compare(p.key) < 0 || !p.limit.comparisons.allow(now, comparisonBurst, comparisonRate) {
			return
		}
		state, nonce := crypto.AnswerComparison(now, m.self, p.session.Peer(), *msg.Commit)
		*c = comparison{state: state, started: now, reply: c.reply}
		m.send(p, pairMessage{Nonce: &nonce})
	case msg.Nonce != nil && c.state != nil && c.asked:
		own, v, err := c.state.Reveal(now, *msg.Nonce)
		if err == nil {
			m.send(p, pairMessage{Reveal: &own})
		}
		c.answer(compared{v, err})
	case msg.Reveal != nil && c.state != nil && !c.asked:
		v, err := c.state.Open(now, *msg.Reveal)
		if from, ok := m.memberByKey(p.key); ok && err == nil && c.reply == nil {
			m.emit(VerifyRequested{From: from, Verification: v})
		}
		c.answer(compared{v, err})
	}
}
