package meet

import (
	"context"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
)

// Who knocks is answered at one door, by one responder. This file lets the others who may admit see and decide too: the
// responder tells them who waits, they tell it what they decide, and it alone acts.

// Limits of DOR-11 and DOR-13: what a sender keeps to, and what a receiver takes.
const (
	tellBurst, tellRate         = 8, 1
	toldBurst, toldRate         = 32, 2
	decisionBurst, decisionRate = 32, 4
	maxWaited                   = 24 * time.Hour
)

// waiting is somebody who waits at another's door, as that one says.
type waiting struct {
	knock   crypto.Knock
	at      time.Time
	checked bool // whether genuine is known
	genuine bool // the knock verified (DOR-12)
	shown   bool
}

// mayDecide says whether a member's word on who knocks counts: it may admit, and isn't suspended.
func (m *Meeting) mayDecide(r *roster.Member) bool {
	return r != nil && !r.Equivocated && m.roster.MayAdmit(r.Identity())
}

// tellKnocks tells those who may admit who waits here, if that changed (DOR-11).
func (m *Meeting) tellKnocks(now time.Time) {
	if m.door.told == m.door.version || m.ctx.Err() != nil || !m.door.tells.allow(now, tellBurst, tellRate) {
		return
	}
	m.door.told = m.door.version
	for _, p := range m.peers {
		m.tellWaiting(p, now)
	}
}

// tellWaiting tells one of them, unless it knows. The list is all there is, so it doesn't matter what was lost before.
func (m *Meeting) tellWaiting(p *peer, now time.Time) {
	if p.knocksTold == m.door.told || !p.connected || !p.installed || !m.mayDecide(m.roster.ByMeetingKey(p.key)) {
		return
	}
	p.knocksTold = m.door.told
	list := &waitingList{}
	for _, v := range m.door.lobby {
		list.Knocks = append(list.Knocks, waitingKnock{Knock: v.knock, Waited: uint64(max(0, now.Sub(v.at)) / time.Second)})
	}
	m.send(p, pairMessage{Waiting: list})
}

// knocksTold takes a responder's list in place of the one before.
func (m *Meeting) knocksTold(p *peer, list *waitingList, now time.Time) {
	if (len(list.Knocks) > maxLobby || !p.limit.told.allow(now, toldBurst, toldRate)) && !m.config.hooks.noLimits {
		return
	}
	before := p.waiting
	p.waiting = nil
	for _, k := range list.Knocks {
		if slices.ContainsFunc(p.waiting, func(w *waiting) bool { return w.knock.Bundle.Identity == k.Knock.Bundle.Identity }) {
			continue // a lobby has each once
		}
		if i := slices.IndexFunc(before, func(w *waiting) bool { return w.knock == k.Knock }); i >= 0 {
			p.waiting = append(p.waiting, before[i])
			continue
		}
		waited := time.Duration(min(k.Waited, uint64(maxWaited/time.Second))) * time.Second
		p.waiting = append(p.waiting, &waiting{knock: k.Knock, at: now.Add(-waited)})
	}
	for _, w := range before {
		if !slices.Contains(p.waiting, w) {
			m.showKnock(p, w, false)
		}
	}
	m.showWaiting(p)
}

// showWaiting shows the user what counts at present of what a responder told. What doesn't count yet may do so when
// the roster changes.
func (m *Meeting) showWaiting(p *peer) {
	responder := m.roster.ByMeetingKey(p.key)
	counts := p.connected && p.installed && !p.away && m.mayDecide(responder) && m.mayDecide(m.roster.ByMeetingKey(m.self.Key())) || m.config.hooks.anyResponder
	for _, w := range p.waiting {
		id := w.knock.Bundle.Identity
		m.showKnock(p, w, counts && m.roster.Member(id) == nil && !m.roster.Banned(id) && m.genuineKnock(p, w))
	}
}

// genuineKnock says whether the one who knocks signed it, for this responder (DOR-12).
func (m *Meeting) genuineKnock(p *peer, w *waiting) bool {
	if !w.checked {
		w.checked, w.genuine = true, w.knock.Verify(m.id, p.key) == nil || m.config.hooks.anyKnock
	}
	return w.genuine
}

func (m *Meeting) showKnock(p *peer, w *waiting, shown bool) {
	if w.shown == shown {
		return
	}
	w.shown = shown
	if k := m.knockAt(p, w); shown {
		m.emit(Knocked{k})
	} else {
		m.emit(KnockGone{Identity: k.Identity, Door: k.Door})
	}
}

// hideWaiting is for a responder who is no longer on the roster.
func (m *Meeting) hideWaiting(p *peer) {
	for _, w := range p.waiting {
		m.showKnock(p, w, false)
	}
	p.waiting = nil
}

func (m *Meeting) knockAt(p *peer, w *waiting) Knock {
	id := w.knock.Bundle.Identity
	k := m.knockOf(id, w.knock.Name, w.at)
	k.Door = p.session.Peer().Identity
	return k
}

func (m *Meeting) knocks() []Knock {
	all := make([]Knock, 0, len(m.door.lobby))
	for _, v := range m.door.lobby {
		all = append(all, m.knock(v))
	}
	for _, p := range m.peers {
		for _, w := range p.waiting {
			if w.shown {
				all = append(all, m.knockAt(p, w))
			}
		}
	}
	slices.SortFunc(all, func(a, b Knock) int { return a.At.Compare(b.At) })
	return all
}

// knockDecided does what another decided about somebody who waits here, if that one may (DOR-13). The first decision
// counts: after it nobody waits by that nonce.
func (m *Meeting) knockDecided(p *peer, d knockDecision, now time.Time) {
	if !p.limit.decisions.allow(now, decisionBurst, decisionRate) {
		return
	}
	if !m.mayDecide(m.roster.ByMeetingKey(p.key)) && !m.config.hooks.anyDecider {
		m.log.Debug("a decision by somebody who may not admit")
		return
	}
	for _, v := range m.door.lobby {
		if v.knock.ResponderNonce == d.Knock {
			m.conclude(v, d.Admit)
			return
		}
	}
}

// conclude ends a visitor's waiting.
func (m *Meeting) conclude(v *visitor, admit bool) {
	if !admit {
		m.decide(v, decision{denied: DeniedByHost})
		return
	}
	m.leaveLobby(v)
	m.letIn(v)
}

// Admit lets somebody in who knocks, at this member's door or another's; there its responder is asked to, and
// KnockGone follows when it did. ErrNobodyKnocks: they have gone, or were answered. ErrNotConnected: the responder can't
// be reached.
func (m *Meeting) Admit(ctx context.Context, who crypto.IdentityKey) error {
	return command(ctx, m, func() error { return m.answerKnock(who, true) })
}

// Deny turns somebody away who knocks, as Admit lets them in. The link goes on working: they can knock again.
func (m *Meeting) Deny(ctx context.Context, who crypto.IdentityKey) error {
	return command(ctx, m, func() error { return m.answerKnock(who, false) })
}

// answerKnock decides at every door at which somebody waits.
func (m *Meeting) answerKnock(who crypto.IdentityKey, admit bool) error {
	decided, err := false, ErrNobodyKnocks
	for _, p := range m.peers {
		for _, w := range p.waiting {
			switch {
			case w.knock.Bundle.Identity != who || !w.genuine:
			case w.shown && m.sendDecision(p, knockDecision{Knock: w.knock.ResponderNonce, Admit: admit}):
				decided = true
			case w.shown || !p.connected || !p.installed:
				err = ErrNotConnected
			}
		}
	}
	if v := m.door.lobby[who]; v != nil {
		m.conclude(v, admit)
		decided = true
	}
	if decided {
		return nil
	}
	return err
}

func (m *Meeting) sendDecision(p *peer, d knockDecision) bool {
	packet, err := p.session.Seal(time.Now(), encode(pairMessage{Decision: &d}))
	return err == nil && m.host.Send(peerKey(p.key), packet) == nil
}

// Knocks returns who waits, oldest first: at this member's door, and, if it may admit, at the doors of others who may.
func (m *Meeting) Knocks(ctx context.Context) ([]Knock, error) {
	return call(ctx, m, func() ([]Knock, error) { return m.knocks(), nil })
}
