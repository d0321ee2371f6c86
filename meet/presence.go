package meet

import (
	"context"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
)

// unresolvedAfter is how long others may know of operations that don't reach us before the user is warned (PRE-5).
const unresolvedAfter = 5 * time.Second

// shoutEvery says how rarely a heartbeat goes to the room for members who are away: most are gone, and it costs every
// member a few copies; but one who hears it shows itself, and then gets each.
const shoutEvery = 6

// watch is what this member observes about the others' presence.
type watch struct {
	beatAt      time.Time // when the next heartbeat is due
	lastBeat    []byte
	beats       int // sent
	warned      map[warningKey]Member
	hostsAbsent bool
	words       bool      // the present agreement was reported
	unresolved  time.Time // since when heads are known that we don't have
	stopped     bool      // nothing is sent: isolated (PRE-5)
	keepSending bool      // the user decided otherwise
	waitingAt   time.Time // when an operation came last whose past is not known
	heardAt     time.Time // when anybody was heard last
	asking      bool      // at the others' doors
}

type warningKey struct {
	kind   WarningKind
	member crypto.MeetingKey
}

// beat sends a heartbeat when one is due (PRE-2).
func (m *Meeting) beat(now time.Time) {
	self := m.roster.ByMeetingKey(m.self.Key())
	if self == nil || now.Before(m.watch.beatAt) {
		return
	}
	m.watch.beatAt = now.Add(roster.Interval(self.Role, len(m.roster.Members)))
	m.sendBeat(now)
}

func (m *Meeting) sendBeat(now time.Time) {
	raw, err := m.presence.Beat(m.roster, m.set.HeadsToName(), m.lastAnnounce(), now)
	if err != nil {
		m.log.Error("no heartbeat", "error", err)
		return
	}
	m.watch.lastBeat = raw
	m.watch.beats++
	gossip := false
	for _, p := range m.peers {
		if p.connected && p.installed {
			m.send(p, pairMessage{Heartbeat: raw})
		} else {
			gossip = gossip || !p.away || m.watch.beats%shoutEvery == 0
		}
	}
	if gossip && len(raw) < maxGossip/2 {
		m.gossipAnnounce()
		m.publish(gossipMessage{Heartbeat: &memberHeartbeat{Author: m.self.Key(), Heartbeat: raw}})
	}
}

// presenceBeat is a heartbeat for a peer that is new, so that it needn't wait for the next one: soon another is due,
// which echoes what it says.
func (m *Meeting) presenceBeat() []byte {
	m.beatSoon()
	return m.watch.lastBeat
}

// beatSoon has the next heartbeat sent within a tick: when the roster is another, or somebody is heard for the first
// time, so that all know within seconds that they see the same.
func (m *Meeting) beatSoon() {
	if soon := time.Now().Add(tickInterval); m.watch.beatAt.After(soon) {
		m.watch.beatAt = soon
	}
}

// heard takes a member's heartbeat.
func (m *Meeting) heard(from crypto.MeetingKey, raw []byte, now time.Time) {
	first := m.presence.Latest(from) == nil
	b, err := m.presence.Hear(from, raw, now)
	m.equivocates(from)
	if err != nil {
		return
	}
	p := m.peers[from]
	for _, c := range m.presence.Contradictions(b) {
		if p == nil || m.config.hooks.noEchoes || !p.limit.answers.allow(now, contradictBurst, contradictRate) && !m.config.hooks.noLimits {
			break // PRE-7: it would look at no more
		}
		m.send(p, pairMessage{Contradiction: &memberHeartbeat{c.Author, c.Heartbeat}})
	}
	if first {
		m.beatSoon()
	}
	if slices.ContainsFunc(b.Heads, m.lacks) && m.watch.unresolved.IsZero() {
		m.watch.unresolved = now
	}
	if p != nil {
		p.ghost.beatAt = now
	}
	m.observeWords(now)
}

// contradicted takes another member's heartbeat from somebody who heard another than we did (PRE-7).
func (m *Meeting) contradicted(from *peer, b memberHeartbeat, now time.Time) {
	c := roster.Contradiction{Author: b.Author, Heartbeat: b.Heartbeat}
	if m.presence.Contradicts(c) && from.limit.contradictions.allow(now, contradictBurst, contradictRate) {
		m.presence.Judge(c)
		m.equivocates(b.Author)
	}
}

func (m *Meeting) equivocates(k crypto.MeetingKey) {
	if m.presence.Equivocates(k) {
		m.warn(Equivocation, k, true)
	}
}

func (m *Meeting) lacks(h crypto.Hash) bool { return !m.set.Has(h) }

// observe looks at who is there, and warns.
func (m *Meeting) observe(now time.Time) {
	back := false
	for _, p := range m.peers {
		if away := m.presence.Away(m.roster, p.key, now); away != p.away {
			p.away = away
			back = back || !away
			m.changed(p)
			if !away {
				m.greet(p)
			}
		}
	}
	if back {
		m.readersChanged(false)
	}
	if absent := !m.presence.HostPresent(m.roster, now); absent != m.watch.hostsAbsent && !m.ending {
		m.watch.hostsAbsent = absent
		m.emit(HostsAbsent{absent})
	}
	m.observeIsolation(now)
	m.observeHeads(now)
	for _, p := range m.peers {
		m.warn(Ghost, p.key, m.ghost(p, now))
	}
	m.observeWords(now)
}

// observeIsolation warns when no host shows that it hears us (PRE-5): somebody who cuts us off from them could keep a
// removal from us. Hosts who are gone don't count as long as another hears us, since any host would tell us.
func (m *Meeting) observeIsolation(now time.Time) {
	self := m.roster.ByMeetingKey(m.self.Key())
	if self == nil || m.config.hooks.noIsolation {
		return
	}
	// Where heartbeats are rarer, their echoes come later.
	warnAfter := max(roster.WarnAfter, 3*roster.Interval(self.Role, len(m.roster.Members)))
	stopAfter := max(roster.StopAfter, warnAfter)
	heard := m.hostHearsUs(now)
	least := time.Duration(-1)
	for i := range m.roster.Members {
		r := &m.roster.Members[i]
		key := r.Bundle.MeetingKey
		if r.Role != roster.RoleHost || key == m.self.Key() {
			continue
		}
		silent := m.presence.Unechoed(key, now)
		if least < 0 || silent < least {
			least = silent
		}
		m.warn(Isolation, key, silent >= warnAfter && !heard)
	}
	stopped := least >= stopAfter && !heard && !m.watch.keepSending
	if stopped != m.watch.stopped {
		m.watch.stopped = stopped
		m.recipientsChanged()
		m.warn(SendingStopped, crypto.MeetingKey{}, stopped)
	}
}

// hostHearsUs says whether some host, perhaps oneself, shows that it hears us.
func (m *Meeting) hostHearsUs(now time.Time) bool {
	for i := range m.roster.Members {
		r := &m.roster.Members[i]
		key := r.Bundle.MeetingKey
		if r.Role == roster.RoleHost && (key == m.self.Key() || m.presence.Fresh(m.roster, key, now)) {
			return true
		}
	}
	return false
}

// KeepSending decides whether this member goes on sending although no host has heard it for 100 s (PRE-5). It may then
// send to somebody who was removed without its knowledge. The default is to stop.
func (m *Meeting) KeepSending(ctx context.Context, keep bool) error {
	return command(ctx, m, func() error {
		m.watch.keepSending = keep
		m.observeIsolation(time.Now())
		return nil
	})
}

// observeWords reports, once for each roster, that words can be compared (VER-2).
func (m *Meeting) observeWords(now time.Time) {
	agreed := len(m.roster.Members) > 1 && m.presence.Agreed(m.roster, now)
	if agreed && !m.watch.words {
		m.emit(WordsAvailable{})
	}
	m.watch.words = agreed
}

// warn tells the user that something about a member holds, and later that it holds no longer, once each.
func (m *Meeting) warn(kind WarningKind, about crypto.MeetingKey, holds bool) {
	member, _ := m.memberByKey(about)
	m.warnOf(warningKey{kind, about}, member, holds)
}

func (m *Meeting) warnOf(key warningKey, member Member, holds bool) {
	before, warned := m.watch.warned[key]
	if warned == holds {
		return
	}
	if holds {
		m.watch.warned[key] = member
	} else {
		member = before
		delete(m.watch.warned, key)
	}
	m.emit(Warning{Kind: key.kind, Member: member, Over: !holds})
}

// forgetWarnings ends the warnings about somebody who is gone.
func (m *Meeting) forgetWarnings(about crypto.MeetingKey) {
	for key, member := range m.watch.warned {
		if key.member == about {
			m.warnOf(key, member, false)
		}
	}
}
