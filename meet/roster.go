package meet

import (
	"context"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/sframe"
	"github.com/huisclos/huisclos/roster"
)

func suiteOf(s *roster.Set) sframe.CipherSuite { return sframe.CipherSuite(s.Genesis().Suite) }

// emptyRoster is the roster of nobody, from which the first fold differs.
func emptyRoster(s *roster.Set) *roster.Roster {
	empty, err := roster.NewSet(s.GenesisBytes(), s.Meeting())
	if err != nil {
		panic("meet: " + err.Error()) // s was made of the same
	}
	return empty.Roster()
}

// author signs an operation, folds it and sends it to everybody.
func (m *Meeting) author(body roster.Body) error {
	if m.ending {
		return m.reason
	}
	raw, _, err := m.set.Author(m.self, time.Now(), body)
	if err != nil {
		return err
	}
	m.spread(raw)
	m.follow()
	return nil
}

// spread sends an operation to all by pair session (GOS-2), and by gossip for those to whom there is none.
func (m *Meeting) spread(raw []byte) {
	if !m.config.hooks.gossipOnly {
		m.sendAll(pairMessage{Operations: [][]byte{raw}})
	}
	m.publish(gossipMessage{Operation: raw})
}

func (m *Meeting) publish(g gossipMessage) {
	if m.config.hooks.noGossip || m.config.hooks.silent != nil && m.config.hooks.silent() {
		return
	}
	if err := m.host.Publish(encode(g)); err != nil {
		m.log.Debug("gossip not sent", "error", err)
	}
}

// operations takes operations from anywhere (SYN-2). It reports whether some wait for a past that from may have.
func (m *Meeting) operations(raws [][]byte, from *peer) {
	added, waiting := false, false
	for _, raw := range raws {
		out, err := m.set.Add(raw)
		if err != nil {
			m.log.Debug("operation refused", "error", err)
			if !roster.Full(err) {
				break // no honest member has it: the rest isn't worth as many signatures
			}
		}
		added = added || out == roster.Added
		waiting = waiting || out == roster.Waiting
	}
	if added {
		m.followSoon()
	}
	if waiting {
		m.watch.waitingAt = time.Now()
		if from != nil {
			m.reconcile(from)
		}
	}
}

// folding is when what others sent is folded next (SYN-4).
type folding struct {
	after time.Time
	due   bool
}

const (
	// foldShare is how many times as long as it took to fold nothing is folded for others then, and maxFoldPause how long
	// at most: a removal is among what waits.
	foldShare    = 3
	maxFoldPause = 2 * time.Second
)

// followSoon follows what others sent: at once, or, with whatever comes until then, when folding has had its share of the
// time (SYN-4).
func (m *Meeting) followSoon() {
	if m.folding.due {
		return
	}
	wait := time.Until(m.folding.after)
	if wait <= 0 || m.config.hooks.noLimits {
		m.follow()
		return
	}
	m.folding.due = true
	m.after(wait, func() {
		m.folding.due = false
		m.follow()
	})
}

// follow acts on the difference between the last fold and the present one.
func (m *Meeting) follow() {
	begun := time.Now()
	before, now := m.roster, m.set.Roster()
	if now == before {
		return
	}
	if f := m.config.hooks.fold; f != nil {
		f()
	}
	defer func() {
		end := time.Now()
		m.folding.after = end.Add(min(foldShare*end.Sub(begun), maxFoldPause))
	}()
	m.roster = now
	m.rememberRoster(now, time.Now())
	self := now.ByMeetingKey(m.self.Key())
	at := time.Now()
	m.presence.Follow(now, at)

	removal := false
	var events []Event
	for i := range before.Members {
		old := &before.Members[i]
		current := now.Member(old.Identity())
		if current != nil && current.Bundle == old.Bundle {
			continue
		}
		gone := m.memberOf(old)
		if p := m.peers[old.Bundle.MeetingKey]; p != nil {
			m.dropPeer(p)
		}
		if current == nil {
			reason, by := m.whyGone(old)
			removal = removal || reason != Left
			events = append(events, MemberLeft{Member: gone, Reason: reason, By: by})
		}
	}
	if self == nil {
		m.emit(events...)
		m.filesFollow()
		m.selfGone(before)
		return
	}
	m.permitSelf(now.Policy.Allows(self.Role))
	for i := range now.Members {
		member := &now.Members[i]
		old := before.Member(member.Identity())
		fresh := old == nil || old.Bundle != member.Bundle
		if fresh && member.Bundle.MeetingKey != m.self.Key() {
			m.addPeer(member)
		}
		if key := member.Bundle.MeetingKey; key != m.self.Key() {
			m.trackEvents(m.plane.setPermissions(key, now.Policy.Allows(member.Role)))
		}
		if r := member; r.Identity() != m.self.Identity() && (old == nil || old.Name != r.Name) {
			events = append(events, m.meets(r, at)...)
		}
		switch {
		case old == nil:
			events = append(events, MemberJoined{m.memberOf(member)})
		case fresh || old.Role != member.Role || old.Equivocated != member.Equivocated:
			events = append(events, MemberChanged{m.memberOf(member)})
		}
		if member.Equivocated && (old == nil || !old.Equivocated) {
			events = append(events, Warning{Kind: Equivocation, Member: m.memberOf(member)})
		}
	}
	m.readersChanged(removal)
	m.emit(events...)
	m.observeStates()
	m.filesFollow()
	if before.Hash != now.Hash {
		m.beatSoon()
		m.emit(RosterChanged{Hash: now.Hash, Generation: m.keys.generation(), Members: m.members(), Policy: now.Policy})
	}
	m.doorFollows()
	m.watch.words = false // another agreement is needed
}

// permitSelf has the plane send what this member may send, and announce that.
func (m *Meeting) permitSelf(allowed Permissions) {
	if !m.config.hooks.unpermitted && m.plane.setOwnPermissions(allowed) {
		m.streams.changed = true
		m.announceStreams(time.Now())
	}
}

func (m *Meeting) trackEvents(gone, back []*RemoteTrack) {
	for _, t := range gone {
		m.emit(TrackRemoved{t})
	}
	for _, t := range back {
		m.emit(TrackAdded{t})
	}
}

// whyGone says why somebody is no longer on the roster, and who did it.
func (m *Meeting) whyGone(old *roster.Member) (LeaveReason, crypto.IdentityKey) {
	if op := m.roster.RemovedBy(old.Identity()); op != nil {
		reason := Removed
		if op.Body.Remove.Ban {
			reason = Banned
		}
		return reason, m.roster.Author(op)
	}
	if m.roster.HasLeft(old.Bundle.Hash()) || m.roster.Ended {
		return Left, crypto.IdentityKey{}
	}
	return Refolded, crypto.IdentityKey{}
}

// selfGone ends the meeting for us: removed, ended, left, or resumed elsewhere.
func (m *Meeting) selfGone(before *roster.Roster) {
	if m.config.hooks.ignoreEnding {
		return
	}
	name := func(id crypto.IdentityKey) string {
		if by := before.Member(id); by != nil {
			return by.Name
		}
		return "somebody"
	}
	if op := m.roster.EndedBy(); op != nil {
		by := m.roster.Author(op)
		patience := farewell
		if by == m.self.Identity() {
			patience = ownFarewell
		}
		m.endSoon(&EndedError{By: by, ByName: name(by)}, patience)
		return
	}
	if op := m.roster.RemovedBy(m.self.Identity()); op != nil {
		by := m.roster.Author(op)
		m.endSoon(&RemovedError{By: by, ByName: name(by), Banned: op.Body.Remove.Ban}, farewell)
		return
	}
	if m.roster.Member(m.self.Identity()) != nil {
		m.endSoon(ErrResumedElsewhere, farewell)
		return
	}
	if m.roster.HasLeft(m.self.Bundle().Hash()) {
		m.endSoon(ErrLeft, ownFarewell)
		return
	}
	m.endSoon(ErrAdmissionVoid, farewell)
}

// memberOf is a roster entry with what this member knows besides.
func (m *Meeting) memberOf(r *roster.Member) Member {
	key := r.Bundle.MeetingKey
	v := Member{
		Identity: r.Identity(), Key: key, Name: r.Name, Role: r.Role, Creator: r.Creator, Suspended: r.Equivocated,
		Self: key == m.self.Key(),
	}
	if self := m.roster.ByMeetingKey(m.self.Key()); self != nil {
		v.Below = self.Above(r)
	}
	m.knownMember(&v)
	if p := m.peers[key]; p != nil {
		v.Away, v.Connected, v.Path = p.away, p.connected && p.installed, m.namedPath(p.path)
	}
	state := m.shownOf(key)
	v.Sends = state.sends
	if state.hand != 0 {
		v.HandRaised = time.UnixMilli(int64(state.hand))
	}
	return v
}

func (m *Meeting) members() []Member {
	all := make([]Member, 0, len(m.roster.Members))
	for i := range m.roster.Members {
		all = append(all, m.memberOf(&m.roster.Members[i]))
	}
	return all
}

// memberByKey is who has this meeting key now.
func (m *Meeting) memberByKey(k crypto.MeetingKey) (Member, bool) {
	r := m.roster.ByMeetingKey(k)
	if r == nil {
		return Member{}, false
	}
	return m.memberOf(r), true
}

func (m *Meeting) snapshot() Snapshot {
	return Snapshot{
		Members: m.members(), Knocks: m.knocks(), Tracks: m.plane.tracks(), Policy: m.roster.Policy,
		RosterHash: m.roster.Hash, Generation: m.keys.generation(), Recordings: m.recordingsNow(), Files: m.files.live(),
		ActiveSpeaker: m.voices.speaker.current,
	}
}

// Members returns who is in, sorted by identity.
func (m *Meeting) Members(ctx context.Context) ([]Member, error) {
	return call(ctx, m, func() ([]Member, error) { return m.members(), nil })
}

// Self returns this member.
func (m *Meeting) Self(ctx context.Context) (Member, error) {
	return call(ctx, m, func() (Member, error) {
		v, ok := m.memberByKey(m.self.Key())
		if !ok {
			return v, ErrNoSuchMember
		}
		return v, nil
	})
}

// Remove puts a person out, and with ban for good: they decrypt nothing sent after the switch of keys that follows at
// once, and every older link is dead. Only hosts can, and only those below them; a roster.VoidError says if not (SPEC
// §6.3), ErrNoSuchMember if nobody on the roster has this identity.
func (m *Meeting) Remove(ctx context.Context, who crypto.IdentityKey, ban bool) error {
	return command(ctx, m, func() error {
		if m.roster.Member(who) == nil {
			return ErrNoSuchMember
		}
		return m.author(roster.Body{Remove: &roster.Remove{Identity: who, Ban: ban}})
	})
}

// SetRole makes a person below this host a viewer, a participant or a host. A roster.VoidError says if this member
// hasn't the right to (ROS-8, ROS-13); ErrNoSuchMember if nobody on the roster has this identity.
func (m *Meeting) SetRole(ctx context.Context, who crypto.IdentityKey, role Role) error {
	return command(ctx, m, func() error {
		member := m.roster.Member(who)
		if member == nil {
			return ErrNoSuchMember
		}
		return m.author(roster.Body{SetRole: &roster.SetRole{Introduction: member.Introduction, Role: role}})
	})
}

// Policy returns the present policy.
func (m *Meeting) Policy(ctx context.Context) (Policy, error) {
	return call(ctx, m, func() (Policy, error) { return m.roster.Policy, nil })
}

// SetPolicy replaces the policy (SPEC §6.4). Only hosts can; a roster.VoidError says if not.
func (m *Meeting) SetPolicy(ctx context.Context, p Policy) error {
	return command(ctx, m, func() error { return m.author(roster.Body{SetPolicy: &roster.SetPolicy{Policy: p}}) })
}

// Lock lets nobody in until Unlock, but those who are on the roster and come back (ROS-15). Only hosts can.
func (m *Meeting) Lock(ctx context.Context) error { return m.setEntry(ctx, roster.Locked) }

// Unlock lets people knock again; a host decides about each.
func (m *Meeting) Unlock(ctx context.Context) error { return m.setEntry(ctx, roster.Ask) }

func (m *Meeting) setEntry(ctx context.Context, e roster.Entry) error {
	return command(ctx, m, func() error {
		p := m.roster.Policy
		p.Entry = e
		return m.author(roster.Body{SetPolicy: &roster.SetPolicy{Policy: p}})
	})
}

// End ends the meeting for everybody. Only the creator, and hosts the creator made, can. It waits until every goroutine
// has ended, and before that, for at most 2 s, until there is a pair session with everybody present, so that all are told.
func (m *Meeting) End(ctx context.Context) error {
	m.awaitSessions(ctx)
	err := command(ctx, m, func() error { return m.author(roster.Body{End: &roster.End{}}) })
	if err != nil {
		return err
	}
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
