package meet

import (
	"errors"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// Times of SPEC §7.
const (
	leaveCoalesce = 200 * time.Millisecond // KEY-6
	switchRemoval = 200 * time.Millisecond
	switchLeave   = 300 * time.Millisecond // after coalescing: 500 ms in all
	announceEvery = time.Second
)

// distribution is who can read what this member sends.
type distribution struct {
	keys    *crypto.SenderKeys
	readers map[crypto.MeetingKey]bool // whom the newest key is for
	unacked map[crypto.MeetingKey]bool // of the rotation under way
	round   int                        // counts rotations, so that an old deadline switches nothing
	pending bool                       // a leave is being coalesced

	switchBy time.Time // the latest for the switch, when a rotation is under way

	announceDue bool
	announcedAt time.Time
	gossiped    crypto.Hash // of the announcement that went to the room last
}

func (d *distribution) generation() uint64 {
	if r := d.keys.Rotating(); !r.IsZero() {
		return r.Generation
	}
	return d.keys.Current().Generation
}

// desired are the members that may read what we send: all on the roster but those suspended and, for a new key, away
// (KEY-10).
func (m *Meeting) desired() map[crypto.MeetingKey]bool {
	want := map[crypto.MeetingKey]bool{}
	for i := range m.roster.Members {
		r := &m.roster.Members[i]
		p := m.peers[r.Bundle.MeetingKey]
		if p != nil && !r.Equivocated && (!p.away || m.config.hooks.keysForAway) {
			want[p.key] = true
		}
	}
	return want
}

// allowedReader says whether somebody who has our key may keep it: away doesn't matter for that.
func (m *Meeting) allowedReader(k crypto.MeetingKey) bool {
	r := m.roster.ByMeetingKey(k)
	return r != nil && !r.Equivocated
}

// sends says whether this member publishes anything.
func (m *Meeting) sends() bool { return m.plane.publishes() }

// readersChanged acts on a new roster: a smaller set of readers means a fresh generation, a larger one a ratchet step
// (KEY-5, KEY-6).
func (m *Meeting) readersChanged(removal bool) {
	m.recipientsChanged()
	if m.config.hooks.keepKeys {
		return
	}
	if m.keys.generation() == 0 {
		if m.sends() {
			m.rotate(0)
		}
		return
	}
	shrunk := false
	for k := range m.keys.readers {
		if !m.allowedReader(k) {
			shrunk = true
			removal = removal || m.roster.ByMeetingKey(k) != nil // suspended
		}
	}
	switch {
	case shrunk && !m.sends():
		m.forgetKeys() // who publishes nothing makes a new key before it next sends
	case shrunk && removal:
		m.rotate(switchRemoval)
	case shrunk && !m.keys.pending:
		m.keys.pending = true
		m.after(leaveCoalesce, func() {
			if m.keys.pending {
				m.rotate(switchLeave)
			}
		})
	case !shrunk:
		m.grow()
	}
}

func (m *Meeting) forgetKeys() {
	m.keys.keys.Clear()
	clear(m.keys.readers)
	clear(m.keys.unacked)
	m.keys.pending = false
	m.keys.round++
	m.keys.switchBy = time.Time{}
}

// grow ratchets one step for all who are new at once, and wraps it for them only (KEY-5). It also does where only the
// members left out are others, so that the announcement says who they are (KEY-4).
func (m *Meeting) grow() {
	var joiners []crypto.MeetingKey
	want := m.desired()
	for k := range want {
		if !m.keys.readers[k] {
			joiners = append(joiners, k)
			m.keys.readers[k] = true
		}
	}
	omitted := m.omitted()
	said, _ := m.keys.keys.Announce() // nothing is omitted where there is no key
	unsaid := func(k crypto.MeetingKey) bool { return !said.Omits(k) }
	if len(joiners) == 0 && !slices.ContainsFunc(omitted, unsaid) {
		return
	}
	e, err := m.keys.keys.Ratchet(time.Now(), m.roster.Hash, m.readerList(), omitted)
	if err != nil || e.Step == 0 { // the steps are used up, or there is no key
		m.rotate(switchLeave)
		return
	}
	for _, k := range joiners {
		if p := m.peers[k]; p != nil {
			m.sendWrap(p)
		}
	}
	m.announceKeys()
}

func (m *Meeting) readerList() []crypto.MeetingKey {
	list := make([]crypto.MeetingKey, 0, len(m.keys.readers))
	for k := range m.keys.readers {
		list = append(list, k)
	}
	if f := m.config.hooks.extra; f != nil {
		list = append(list, f()...)
	}
	slices.SortFunc(list, crypto.MeetingKey.Compare)
	return list
}

// omitted are the members who aren't readers, but for those suspended, whom nobody expects to be.
func (m *Meeting) omitted() []crypto.MeetingKey {
	var list []crypto.MeetingKey
	for i := range m.roster.Members {
		r := &m.roster.Members[i]
		if k := r.Bundle.MeetingKey; k != m.self.Key() && !r.Equivocated && !m.keys.readers[k] {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, crypto.MeetingKey.Compare)
	return list
}

// rotate makes a fresh generation for the present readers and switches to it when all have acknowledged, at the latest
// after the deadline, or that of a rotation it replaces (KEY-12); at once if there was no key before (KEY-6).
func (m *Meeting) rotate(deadline time.Duration) {
	d := &m.keys
	first := d.keys.Current().IsZero()
	d.pending = false
	d.round++
	d.readers = m.desired()
	if _, err := d.keys.Rotate(time.Now(), m.roster.Hash, m.readerList(), m.omitted()); err != nil {
		m.log.Error("no new key", "error", err)
		m.forgetKeys()
		return
	}
	clear(d.unacked)
	for k := range d.readers {
		p := m.peers[k]
		if p != nil && p.connected && p.installed {
			d.unacked[k] = true
			m.sendWrap(p)
		}
	}
	m.announceKeys()
	if first || len(d.unacked) == 0 {
		m.switchKeys()
		return
	}
	now := time.Now()
	if by := now.Add(deadline); d.switchBy.IsZero() || by.Before(d.switchBy) || m.config.hooks.restartSwitch {
		d.switchBy = by
	}
	round := d.round
	m.after(d.switchBy.Sub(now), func() {
		if d.round == round {
			m.switchKeys()
		}
	})
}

func (m *Meeting) switchKeys() {
	m.keys.round++
	m.keys.switchBy = time.Time{}
	m.keys.keys.Switch()
	clear(m.keys.unacked)
}

// becameSender makes a key before the first packet.
func (m *Meeting) becameSender() {
	if m.keys.generation() == 0 && m.sends() {
		m.rotate(0)
	}
}

// sendWrap gives a reader the newest key.
func (m *Meeting) sendWrap(p *peer) {
	if !m.keys.readers[p.key] || !p.installed {
		return
	}
	wrap, err := m.keys.keys.Wrap()
	if err != nil {
		return
	}
	m.send(p, pairMessage{Wrap: wrap})
}

// wrapped takes a sender's key, acknowledges it and opens what waited for it.
func (m *Meeting) wrapped(p *peer, wrap []byte, now time.Time) {
	e, err := p.reader.AcceptWrap(now, wrap)
	if err != nil && !errors.Is(err, crypto.ErrOldKey) {
		m.distrust(p, err)
		return
	}
	if f := m.config.hooks.wrapped; f != nil {
		f(p.key, wrap)
	}
	if !m.config.hooks.unthankful {
		m.send(p, pairMessage{Ack: &keyAck{Generation: e.Generation, Step: e.Step}})
	}
	m.plane.released(p.key)
	m.openWaiting(p, now)
}

// distrust shows what a member's contradictory statements mean.
func (m *Meeting) distrust(p *peer, err error) {
	if errors.Is(err, crypto.ErrEquivocation) {
		m.warn(Equivocation, p.key, true)
		return
	}
	m.log.Debug("key refused", "error", err)
}

func (m *Meeting) acknowledged(p *peer, a keyAck) {
	if a.Generation != m.keys.keys.Rotating().Generation || !m.keys.unacked[p.key] {
		return
	}
	delete(m.keys.unacked, p.key)
	if len(m.keys.unacked) == 0 {
		m.switchKeys()
	}
}

// announceKeys tells everybody for whom our stream is readable, at most once a second (SPEC §7).
func (m *Meeting) announceKeys() {
	now := time.Now()
	if wait := announceEvery - now.Sub(m.keys.announcedAt); wait > 0 {
		if !m.keys.announceDue {
			m.keys.announceDue = true
			m.after(wait, m.announceKeysNow)
		}
		return
	}
	m.announceKeysNow()
}

func (m *Meeting) announceKeysNow() {
	m.keys.announceDue = false
	a, err := m.keys.keys.Announce()
	if err != nil {
		return
	}
	m.keys.announcedAt = time.Now()
	m.sendAll(pairMessage{Announce: &a})
}

// gossipAnnounce has the room tell those to whom there is no pair session. To tell everybody so would cost as many
// copies for each member as there are members.
func (m *Meeting) gossipAnnounce() {
	a, err := m.keys.keys.Announce()
	hash := announceHash(a)
	if err != nil || m.keys.announceDue || hash == m.keys.gossiped {
		return
	}
	m.keys.gossiped = hash
	m.publish(gossipMessage{Announce: a.Encode()})
}

// sendAnnounce tells one peer what was announced last.
func (m *Meeting) sendAnnounce(p *peer) {
	if a, err := m.keys.keys.Announce(); err == nil && !m.keys.announceDue {
		m.send(p, pairMessage{Announce: &a})
	}
}

// lastAnnounce is the hash of our latest announcement, for heartbeats.
func (m *Meeting) lastAnnounce() crypto.Hash {
	a, err := m.keys.keys.Announce()
	if err != nil {
		return crypto.Hash{}
	}
	return announceHash(a)
}

func announceHash(a crypto.KeyAnnounce) crypto.Hash { return crypto.HashOf("key announce", a.Encode()) }

// keysTick renews the key in time (KEY-7), and gives members who are back the key they lack.
func (m *Meeting) keysTick(now time.Time) {
	if m.keys.generation() == 0 {
		return
	}
	if m.keys.keys.RotationDue(now) {
		m.rotate(switchLeave)
		return
	}
	if m.keys.keys.Rotating().IsZero() && !m.keys.pending {
		m.grow()
	}
}

// recipientsChanged tells the media plane whom to send to: readers whose link is up (or nobody, PRE-5).
func (m *Meeting) recipientsChanged() {
	if m.ending || m.watch.stopped {
		m.plane.setRecipients(nil)
		return
	}
	m.plane.setRecipients(m.linked())
	if m.choosing {
		m.plane.chooseLayers(time.Now(), m.linkCarries) // who is new doesn't wait
	}
}
