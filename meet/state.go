package meet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// SentStream is one thing that a member sends.
type SentStream struct {
	// Source is what it shows or lets hear.
	Source Source
	// Muted: the sender has muted it; nothing of it is sent.
	Muted bool
}

// memberState is what a member's state announcement says besides its streams (SPEC §9.3). Its slices and what it points
// to are never changed.
type memberState struct {
	hand      uint64 // Unix ms
	recording *recordingState
	consents  []consent
	refusals  []consent
}

// labelState is the label of a state announcement's signature (STR-1).
const labelState = "state announce"

// maxTime is above every time in an announcement (STA-1), in Unix ms.
const maxTime = 1 << 53

// Errors of acceptState. None is worth more than a line in the log: the sender is authentic, and wrong.
var (
	errStateSignature = errors.New("a state announcement isn't signed by its author")
	errStateStale     = errors.New("a state announcement is older than one before")
	errStateMalformed = errors.New("a state announcement is out of its limits")
	errStateRate      = errors.New("state announcements come too often")
	errNoSender       = errors.New("nobody with this key sends here")
)

// sign makes the announcement its author's.
func (a *stateAnnounce) sign(inc *crypto.Incarnation) {
	meeting, author := inc.Meeting(), inc.Key()
	a.Signature = nil
	sig := inc.Sign(labelState, meeting[:], author[:], encode(a))
	a.Signature = &sig
}

// verify reports whether author signed the announcement in this meeting (STR-1).
func (a *stateAnnounce) verify(meeting crypto.MeetingID, author crypto.MeetingKey) bool {
	if a.Signature == nil {
		return false
	}
	unsigned := *a
	unsigned.Signature = nil
	return author.Verify(labelState, *a.Signature, meeting[:], author[:], encode(&unsigned))
}

// check enforces STR-2 and STA-1.
func (a *stateAnnounce) check() error {
	if a.Number == 0 || len(a.Streams) > maxStreams || len(a.Consents) > maxConsents || len(a.Refusals) > maxConsents || a.Hand >= maxTime {
		return errStateMalformed
	}
	if r := a.Recording; r != nil && (r.ID == RecordingID{} || r.Since >= maxTime || r.Running && r.Since == 0) {
		return errStateMalformed
	}
	for i, c := range a.Consents {
		if slices.Contains(a.Consents[:i], c) || slices.Contains(a.Refusals, c) {
			return errStateMalformed
		}
	}
	for i, c := range a.Refusals {
		if slices.Contains(a.Refusals[:i], c) {
			return errStateMalformed
		}
	}
	var seen [256]bool
	all := 0
	for i := range a.Streams {
		s := &a.Streams[i]
		if !s.valid() {
			return errStateMalformed
		}
		for _, n := range s.numbers() { // LAY-1: a layer is a stream of its own
			if seen[n] {
				return errStateMalformed
			}
			seen[n] = true
			all++
		}
	}
	if all > maxStreams {
		return errStateMalformed
	}
	return nil
}

// stateOf learns a member's state.
func (m *Meeting) stateOf(p *peer, a *stateAnnounce) {
	if r := m.roster.ByMeetingKey(p.key); r != nil {
		m.trackEvents(m.plane.setPermissions(p.key, m.roster.Policy.Allows(r.Role)))
	}
	added, removed, changed, err := m.plane.acceptState(p.key, a)
	if err != nil {
		m.log.Debug("state refused", "error", err)
		return
	}
	m.trackEvents(removed, added)
	for _, t := range changed {
		m.emit(TrackChanged{t})
	}
	if a.Number <= p.stateNumber && !m.config.hooks.repeatedState {
		return // said again, and not looked at (STR-1)
	}
	p.stateNumber = a.Number
	p.state = memberState{hand: a.Hand, recording: a.Recording, consents: a.Consents, refusals: a.Refusals}
	m.observeStates()
}

// setState changes what this member announces besides its streams. observeStates has to follow.
func (m *Meeting) setState(change func(*memberState)) {
	change(&m.state)
	m.plane.setState(m.state)
	m.streams.changed = true
	m.announceStreams(time.Now())
}

// RaiseHand raises or lowers this member's hand, for all to see: MemberChanged, and Member.HandRaised. Everybody may.
func (m *Meeting) RaiseHand(ctx context.Context, raised bool) error {
	return command(ctx, m, func() error {
		if m.ending {
			return m.reason
		}
		if raised == (m.state.hand != 0) {
			return nil
		}
		m.setState(func(s *memberState) {
			s.hand = 0
			if raised {
				s.hand = uint64(time.Now().UnixMilli())
			}
		})
		m.observeStates()
		return nil
	})
}

// shownState is what of a member's state a Member shows.
type shownState struct {
	hand  uint64
	sends []SentStream
}

func (s shownState) equal(o shownState) bool {
	return s.hand == o.hand && slices.Equal(s.sends, o.sends)
}

// shownOf is the state of an incarnation, as it announced it, and as it may (STA-2).
func (m *Meeting) shownOf(key crypto.MeetingKey) (s shownState) {
	if key == m.self.Key() {
		return shownState{m.state.hand, m.plane.ownSends()}
	}
	if p := m.peers[key]; p != nil {
		s = shownState{p.state.hand, m.plane.sendsOf(key)}
	}
	return s
}

// observeStates reports every member whose state is another than was reported, and every such recording.
func (m *Meeting) observeStates() {
	for i := range m.roster.Members {
		r := &m.roster.Members[i]
		key := r.Bundle.MeetingKey
		now := m.shownOf(key)
		if !m.shown[key].equal(now) {
			m.shown[key] = now
			m.emit(MemberChanged{m.memberOf(r)})
		}
	}
	for key := range m.shown {
		if m.roster.ByMeetingKey(key) == nil {
			delete(m.shown, key)
		}
	}
	m.observeRecordings(time.Now())
}

// sendsOf is what a member announced and may send (ROS-22).
func (p *plane) sendsOf(key crypto.MeetingKey) []SentStream {
	s := p.sender(key)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return sent(s.streams, s.allowed, p.off.permissions)
}

// ownSends is what this member sends.
func (p *plane) ownSends() []SentStream {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return sent(p.out.streamsNow(), p.out.allowed, false)
}

func sent(streams []stream, allowed Permissions, all bool) (list []SentStream) {
	for _, o := range streams {
		if allowed&o.Source.permission() != 0 || all { // STA-2
			list = append(list, SentStream{o.Source, o.Muted})
		}
	}
	return list
}
