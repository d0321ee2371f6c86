package meet

import (
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
)

const (
	// ghostAfter is how long a sender's readers may not be those expected (KEY-4).
	ghostAfter = 5 * time.Second
	// formerGrace is how long a sender may not have heard of a change of the roster.
	formerGrace = 15 * time.Second
	maxFormer   = 256
)

// formerRoster is who was in, until when.
type formerRoster struct {
	hash    crypto.Hash
	members []crypto.MeetingKey
	until   time.Time // zero: still
}

// ghostWatch is what one sender said about its readers.
type ghostWatch struct {
	announce *crypto.KeyAnnounce // the latest
	hash     crypto.Hash         // of it
	at       time.Time           // when it came
	beatAt   time.Time           // when the sender's last heartbeat came
	since    time.Time           // since when its readers are wrong
	judged   map[judged]bool     // by announcement and roster
}

type judged struct{ announce, roster crypto.Hash }

// rememberRoster keeps who was in, to check announcements against that were made before their sender heard of a change.
func (m *Meeting) rememberRoster(r *roster.Roster, now time.Time) {
	if n := len(m.history); n > 0 {
		m.history[n-1].until = now
	}
	m.history = slices.DeleteFunc(m.history, func(f formerRoster) bool { return now.Sub(f.until) > formerGrace })
	if len(m.history) >= maxFormer {
		m.history = slices.Delete(m.history, 0, 1)
	}
	var keys []crypto.MeetingKey
	for i := range r.Members {
		if !r.Members[i].Equivocated {
			keys = append(keys, r.Members[i].Bundle.MeetingKey)
		}
	}
	m.history = append(m.history, formerRoster{hash: r.Hash, members: keys})
}

// keyAnnounced cross-checks a sender's announcement with all it said before (KEY-3) and keeps it for ghosts (KEY-4).
func (m *Meeting) keyAnnounced(a crypto.KeyAnnounce, now time.Time) {
	p, hash := m.peers[a.Author], announceHash(a)
	if p == nil || p.ghost.announce != nil && hash == p.ghost.hash {
		return
	}
	if err := p.reader.AcceptAnnounce(a); err != nil {
		m.distrust(p, err)
		return
	}
	g := &p.ghost
	if g.announce == nil || g.announce.Statement().Epoch.Compare(a.Statement().Epoch) < 0 {
		g.announce, g.hash, g.at = &a, hash, now
	}
}

// ghost says whether a sender's stream is readable for others than those we would expect, for too long, or whether it
// doesn't say for whom (KEY-4). Who is away sends nothing.
func (m *Meeting) ghost(p *peer, now time.Time) bool {
	g := &p.ghost
	if p.away || !m.haunted(p, now) || m.config.hooks.noGhosts {
		g.since = time.Time{}
		return false
	}
	if g.since.IsZero() {
		g.since = now
	}
	return now.Sub(g.since) >= ghostAfter
}

func (m *Meeting) haunted(p *peer, now time.Time) bool {
	g, beat := &p.ghost, m.presence.Latest(p.key)
	if beat == nil || beat.Announce == nil { // it says that it has no key
		return false
	}
	if *beat.Announce != g.hash && g.at.Before(g.beatAt) { // it has another than it announced to us
		return p.connected && p.installed
	}
	if g.announce == nil {
		return false
	}
	for i := range m.history {
		f := &m.history[i]
		current := f.until.IsZero()
		// Who sees the roster as we do expects the same readers. Who doesn't may lag behind.
		if (current || beat.RosterHash != m.roster.Hash && now.Sub(f.until) <= formerGrace) && m.plausible(p, f) {
			return false
		}
	}
	return true
}

// plausible says whether the readers a sender announced are a roster's members, less those it says it leaves out.
func (m *Meeting) plausible(p *peer, f *formerRoster) bool {
	a := p.ghost.announce
	name := judged{p.ghost.hash, f.hash}
	known, ok := p.ghost.judged[name]
	if !ok {
		readers := slices.DeleteFunc(slices.Clone(f.members), func(k crypto.MeetingKey) bool { return k == p.key || a.Omits(k) })
		known = crypto.RecipientsHash(readers) == a.Recipients
		if p.ghost.judged == nil || len(p.ghost.judged) >= maxFormer {
			p.ghost.judged = map[judged]bool{}
		}
		p.ghost.judged[name] = known
	}
	return known
}
