package meet

import (
	"context"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
)

// A recorder may say that it runs, while somebody's consent isn't seen, until both are heard recordingGrace later, and
// then for recordingSettle: announcements may be under way (REC-3).
const (
	recordingGrace  = 6 * time.Second
	recordingSettle = 3 * time.Second
)

// Limits on the recordings of one member that are shown: so many at once, and so many a second (REC-4).
const recordingBurst, recordingRate = 4, 0.2

// RecordingID names one recording of one member's.
type RecordingID [16]byte

// RecordingState is how far a recording is.
type RecordingState string

// The states of a recording.
const (
	// RecordingAsked: it hasn't run yet, since somebody's consent lacks.
	RecordingAsked RecordingState = "asked"
	// RecordingRunning: its maker writes, and says that everybody consents.
	RecordingRunning RecordingState = "running"
	// RecordingPaused: it ran, and doesn't now, since somebody's consent lacks.
	RecordingPaused RecordingState = "paused"
	// RecordingOver: its maker stopped it, or is gone.
	RecordingOver RecordingState = "over"
)

// Recording is one that a member makes of the meeting with everybody's consent, or asks to make (SPEC §9.4).
//
// It is a courtesy between members, shown to all. What somebody's own disk does can't be enforced by anybody else: a
// member can always record what they hear and see, and say nothing.
type Recording struct {
	// By makes it. ID tells their recordings apart.
	By Member
	ID RecordingID
	// State is what its maker says of it.
	State RecordingState
	// Consented and Lacking are all others on the roster, sorted: who is seen to consent, and who isn't. They are the
	// reader's to keep, not to change.
	Consented, Lacking []crypto.IdentityKey
	// Refused are those in Lacking who said no, or withdrew; the others haven't answered (REC-5).
	Refused []crypto.IdentityKey
	// Since is when it first ran, by its maker's clock; zero if it hasn't.
	Since time.Time
}

func (r Recording) equal(o Recording) bool {
	return r.ID == o.ID && r.State == o.State && r.Since.Equal(o.Since) &&
		slices.Equal(r.Consented, o.Consented) && slices.Equal(r.Lacking, o.Lacking) && slices.Equal(r.Refused, o.Refused)
}

// AskToRecord asks everybody to consent to a recording of the meeting by this member: anybody may ask. It begins by
// itself when all on the roster, present or away, consent, and pauses by itself when somebody comes, comes back with
// another incarnation, or withdraws: write only while RecordingChanged says that it is running. It does nothing if a
// recording by this member was asked for and isn't over.
func (m *Meeting) AskToRecord(ctx context.Context) error {
	return command(ctx, m, func() error {
		if m.ending {
			return m.reason
		}
		if m.state.recording == nil {
			m.setState(func(s *memberState) { s.recording = &recordingState{ID: RecordingID(crypto.NewMessageID())} })
			m.observeStates()
		}
		return nil
	})
}

// StopRecording ends this member's recording, if there is one.
func (m *Meeting) StopRecording(ctx context.Context) error {
	return command(ctx, m, func() error {
		if m.state.recording != nil {
			m.setState(func(s *memberState) { s.recording = nil })
			m.observeStates()
		}
		return nil
	})
}

// ConsentToRecording answers a recording that a member asks to make, or makes: it lets them, or refuses, or withdraws what
// was allowed, at any time; all are shown who did. The answer is for the recording given, by its ID and its maker's
// incarnation, and for no other: give the one that the user was asked about, not what Recordings returns by then (REC-6).
// What they recorded before they learnt of a withdrawal they have. The errors are ErrNoRecording, also if that recording is
// over, and ErrTooManyRecordings.
func (m *Meeting) ConsentToRecording(ctx context.Context, r Recording, agree bool) error {
	return command(ctx, m, func() error {
		if m.ending {
			return m.reason
		}
		shown, known := m.recordings[r.By.Key]
		if !known || r.By.Key == m.self.Key() || shown.ID != r.ID && !m.config.hooks.anyRecording {
			return ErrNoRecording
		}
		c := consent{Recorder: r.By.Key, ID: shown.ID}
		said, unsaid := m.state.refusals, m.state.consents
		if agree {
			said, unsaid = unsaid, said
		}
		switch {
		case slices.Contains(said, c):
			return nil
		case agree && len(said) >= maxConsents:
			return ErrTooManyRecordings
		}
		said = append(slices.Clone(said), c)
		said = said[max(0, len(said)-maxConsents):] // one can always say no
		unsaid = slices.DeleteFunc(slices.Clone(unsaid), func(o consent) bool { return o == c })
		m.setState(func(s *memberState) {
			if s.consents, s.refusals = unsaid, said; agree {
				s.consents, s.refusals = said, unsaid
			}
		})
		m.observeStates()
		return nil
	})
}

// Recordings returns the recordings that members make or ask to make, sorted by member.
func (m *Meeting) Recordings(ctx context.Context) ([]Recording, error) {
	return call(ctx, m, func() ([]Recording, error) { return m.recordingsNow(), nil })
}

func (m *Meeting) recordingsNow() (all []Recording) {
	for i := range m.roster.Members {
		member := &m.roster.Members[i]
		if shown, ok := m.recordings[member.Bundle.MeetingKey]; ok {
			shown.By = m.memberOf(member)
			shown.Consented, shown.Lacking = slices.Clone(shown.Consented), slices.Clone(shown.Lacking)
			shown.Refused = slices.Clone(shown.Refused)
			all = append(all, shown)
		}
	}
	return all
}

// stateOfKey is what an incarnation announced besides streams, or this member announces.
func (m *Meeting) stateOfKey(key crypto.MeetingKey) memberState {
	if key == m.self.Key() {
		return m.state
	}
	if p := m.peers[key]; p != nil {
		return p.state
	}
	return memberState{}
}

// consents says whether a member is seen to consent to a recording: by its own announcement, which names the recorder's
// incarnation and the recording (REC-2).
func (m *Meeting) consents(who, recorder crypto.MeetingKey, id RecordingID) bool {
	return m.names(m.stateOfKey(who).consents, recorder, id)
}

// refuses says the same of a refusal (REC-5).
func (m *Meeting) refuses(who, recorder crypto.MeetingKey, id RecordingID) bool {
	return m.names(m.stateOfKey(who).refusals, recorder, id)
}

func (m *Meeting) names(given []consent, recorder crypto.MeetingKey, id RecordingID) bool {
	return slices.Contains(given, consent{recorder, id}) || m.config.hooks.anyConsent && len(given) > 0
}

// recordingOf is a member's recording as this member sees it; its state is what its maker says.
func (m *Meeting) recordingOf(by *roster.Member) (rec Recording, ok bool) {
	key := by.Bundle.MeetingKey
	said := m.stateOfKey(key).recording
	if said == nil {
		return rec, false
	}
	rec = Recording{By: m.memberOf(by), ID: said.ID, State: RecordingAsked}
	if said.Since != 0 {
		rec.State, rec.Since = RecordingPaused, time.UnixMilli(int64(said.Since))
	}
	if said.Running {
		rec.State = RecordingRunning
	}
	for i := range m.roster.Members {
		who := &m.roster.Members[i]
		switch {
		case who.Bundle.MeetingKey == key:
		case m.consents(who.Bundle.MeetingKey, key, said.ID):
			rec.Consented = append(rec.Consented, who.Identity())
		default:
			rec.Lacking = append(rec.Lacking, who.Identity())
			if m.refuses(who.Bundle.MeetingKey, key, said.ID) {
				rec.Refused = append(rec.Refused, who.Identity())
			}
		}
	}
	return rec, true
}

// decideRecording has this member's recording run exactly while everybody else on its roster consents (REC-1).
func (m *Meeting) decideRecording(now time.Time) {
	self := m.roster.ByMeetingKey(m.self.Key())
	if m.state.recording == nil || self == nil {
		return
	}
	rec, _ := m.recordingOf(self)
	run := len(rec.Lacking) == 0 || m.config.hooks.recordAnyway
	if run == m.state.recording.Running {
		return
	}
	m.setState(func(s *memberState) {
		next := *s.recording
		next.Running = run
		if next.Since == 0 {
			next.Since = uint64(now.UnixMilli())
		}
		s.recording = &next
	})
}

// pruneConsents forgets this member's answers to what is over.
func (m *Meeting) pruneConsents() {
	over := func(c consent) bool {
		said := m.stateOfKey(c.Recorder).recording
		return said == nil || said.ID != c.ID
	}
	if slices.ContainsFunc(m.state.consents, over) || slices.ContainsFunc(m.state.refusals, over) {
		m.setState(func(s *memberState) {
			s.consents = slices.DeleteFunc(slices.Clone(s.consents), over)
			s.refusals = slices.DeleteFunc(slices.Clone(s.refusals), over)
		})
	}
}

// observeRecordings reports every recording that is another than was reported, and warns of those without consent.
func (m *Meeting) observeRecordings(now time.Time) {
	m.pruneConsents()
	m.decideRecording(now)
	for i := range m.roster.Members {
		member := &m.roster.Members[i]
		key := member.Bundle.MeetingKey
		rec, ok := m.recordingOf(member)
		shown, known := m.recordings[key]
		if known && (!ok || rec.ID != shown.ID) {
			m.recordingOver(key)
			known = false
		}
		if ok && (known && !rec.equal(shown) || !known && m.mayShow(key, now)) {
			m.recordings[key] = rec
			m.emit(RecordingChanged{rec})
		}
		if p := m.peers[key]; p != nil {
			m.observeRecorder(p, now)
		}
	}
	for key := range m.recordings {
		if m.roster.ByMeetingKey(key) == nil {
			m.recordingOver(key)
		}
	}
}

func (m *Meeting) recordingOver(key crypto.MeetingKey) {
	rec := m.recordings[key]
	delete(m.recordings, key)
	rec.State = RecordingOver
	m.emit(RecordingChanged{rec})
}

// mayShow says whether a member's new recording is shown to the user now (REC-4); if not it is later.
func (m *Meeting) mayShow(key crypto.MeetingKey, now time.Time) bool {
	p := m.peers[key]
	return p == nil || p.limit.recordings.allow(now, recordingBurst, recordingRate) || m.config.hooks.noLimits
}

// unconsented is somebody who is seen not to consent to a recording that runs.
type unconsented struct {
	since     time.Time
	confirmed time.Time // when both they and the recorder had been heard long enough after; zero before
}

// observeRecorder warns of a member who says that it records, though this member, or another whose announcements reach
// this one, hasn't consented (REC-3). What either has said since must have had time to come, even out of the queues of a
// cut that heals: else there is nothing to go by.
func (m *Meeting) observeRecorder(p *peer, now time.Time) {
	said := p.state.recording
	if said == nil && p.unconsented == nil {
		return
	}
	var lacking map[crypto.MeetingKey]unconsented
	warn := false
	for i := range m.roster.Members {
		who := m.roster.Members[i].Bundle.MeetingKey
		if said == nil || !said.Running || who == p.key || m.consents(who, p.key, said.ID) {
			continue
		}
		u, known := p.unconsented[who]
		if !known {
			u.since = now
		}
		heard := p.heardAt
		if q := m.peers[who]; q != nil && q.heardAt.Before(heard) {
			heard = q.heardAt
		}
		if u.confirmed.IsZero() && heard.Sub(u.since) >= recordingGrace {
			u.confirmed = now
		}
		if lacking == nil {
			lacking = map[crypto.MeetingKey]unconsented{}
		}
		lacking[who] = u
		warn = warn || !u.confirmed.IsZero() && now.Sub(u.confirmed) >= recordingSettle
	}
	p.unconsented = lacking
	m.warn(UnconsentedRecording, p.key, warn && !m.config.hooks.trustRecorder)
}
