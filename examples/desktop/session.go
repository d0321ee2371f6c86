package main

import (
	"context"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/desktop/internal/bridge"
	"github.com/huisclos/huisclos/meet"
)

// leaveTimeout is how long leaving politely may take.
const leaveTimeout = 5 * time.Second

// session is this person's part in one meeting. What it holds is guarded by agent.mu.
type session struct {
	agent   *agent
	context context.Context // while entering; canceled to give up
	end     context.CancelCauseFunc
	self    string
	alone   bool
	mode    string   // of the network settings it began with
	found   []string // the ways to be found, by name
	waited  bool     // at the door

	meeting      *meet.Meeting // nil while entering
	began        int64
	why          error // the reason to show when it ends, if it isn't the meeting's own
	members      []meet.Member
	knocks       []meet.Knock                 // at this member's door and others'
	seen         map[crypto.IdentityKey]int64 // who ever was in: since when
	tracks       map[string]*meet.RemoteTrack
	publications map[string]*meet.Publication  // by source
	published    map[string]*bridge.Source     // what each of them publishes
	wanted       map[string]string             // by source: on, muted, off
	names        map[crypto.IdentityKey]string // of everybody in seen
	messages     int
	said         transcript
	publishing   sync.Mutex
	wordsWanted  chan struct{}
	wordsFor     []meet.Member // whom state.Words were computed for
	last         lastStats
	speaker      string // the active speaker, or who was last
	keeps        bool   // sending, though no host hears us
	recordings   recordings
	relays       []meet.RelayStatus
	contacts     map[string]bool // who became a contact, or was verified
}

func newSession(a *agent, alone bool) *session {
	s := &session{
		agent: a, alone: alone, self: hexKey(a.identity.Public()), seen: map[crypto.IdentityKey]int64{}, names: map[crypto.IdentityKey]string{},
		tracks: map[string]*meet.RemoteTrack{}, publications: map[string]*meet.Publication{}, published: map[string]*bridge.Source{}, wanted: map[string]string{},
		wordsWanted: make(chan struct{}, 1), recordings: newRecordings(), contacts: map[string]bool{},
	}
	s.context, s.end = context.WithCancelCause(a.context)
	return s
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func hexKey(k crypto.IdentityKey) string { return hexOf(k[:]) }

// leave leaves politely, or gives up entering. Why is shown instead of the meeting's own reason, if it isn't nil.
func (s *session) leave(why error) {
	s.agent.mu.Lock()
	m := s.meeting
	if s.why == nil {
		s.why = why
	}
	s.agent.mu.Unlock()
	if m == nil {
		if why == nil {
			why = fail(canceled)
		}
		s.end(why)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if m.Leave(ctx) != nil {
		_ = m.Close()
	}
}

// watch follows the meeting until it is over.
func (s *session) watch() {
	a := s.agent
	if !a.options.wordless {
		a.tasks.Go(s.showWords)
	}
	for e := range s.meeting.Events() {
		s.event(e)
	}
	why := context.Cause(s.meeting.Context())
	a.mu.Lock()
	if s.why != nil {
		why = s.why
	}
	for id := range s.tracks {
		a.bridge.Remove(id)
	}
	s.end(nil)
	s.filesOver()
	a.session, a.last = nil, s.meeting
	a.identityDue()
	s.recordingsOver()
	a.state.Knocks, a.state.Tracks, a.state.Verifications, a.state.Warnings = []knock{}, []track{}, []verification{}, []warning{}
	a.state.Words, a.state.Invite = nil, nil
	a.state.Media.Own = map[string]string{"microphone": "off", "camera": "off", "screen": "off", "screenAudio": "off"}
	sum := &summary{Began: s.began, Ended: now(), People: len(s.seen), Messages: s.messages, Files: len(a.files), Attendance: true}
	sum.Kept = a.keepMeeting(s, sum)
	if a.keep.contents != nil {
		for id := range s.contacts {
			if a.contactIndex(id) >= 0 {
				sum.Contacts++
			}
		}
	}
	a.state.Phase = phase{Name: "ended", Since: now(), Error: failureOf(why), Alone: s.alone, Ended: sum}
	a.changed("knocks", "tracks", "verifications", "warnings", "words", "invite", "media", "phase")
	if a.page == nil {
		a.pageGone()
	}
	a.mu.Unlock()
}

// event takes one event of the meeting's.
func (s *session) event(e meet.Event) {
	a := s.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	st := &a.state
	switch e := e.(type) {
	case meet.Snapshot:
		s.snapshot(e)
	case meet.Lagged:
		s.warn(warning{Kind: "lagged", Since: now()}, false)
	case meet.Knocked:
		s.knocks = append(s.knocks, e.Knock)
		s.showKnocks()
	case meet.KnockGone:
		s.knockGone(e)
	case meet.MemberJoined:
		s.put(e.Member)
		s.filesAgain(hexKey(e.Member.Identity))
		if !e.Member.Self {
			a.sendLocked(joinedEvent{"joined", s.memberOf(e.Member)})
		}
	case meet.MemberChanged:
		s.put(e.Member)
	case meet.MemberLeft:
		s.gone(e)
	case meet.RosterChanged:
		s.roster(e.Members, e.Policy, e.Hash)
	case meet.HostsAbsent:
		st.Meeting.HostsAbsent = e.Absent
		a.changed("meeting")
	case meet.WordsAvailable:
		s.wantWords()
	case meet.TrackAdded:
		s.addTrack(e.Track)
	case meet.TrackChanged:
		s.showTracks()
	case meet.TrackRemoved:
		delete(s.tracks, e.Track.ID())
		a.bridge.Remove(e.Track.ID())
		s.showTracks()
	case meet.Chat:
		s.chatted(e)
	case meet.Reaction:
		s.reacted(e)
	case meet.Data:
		s.told(e)
	case meet.MuteRequested:
		s.muteWanted(e)
	case meet.ContactChanged:
		s.contactChanged(e.Contact)
	case meet.ActiveSpeaker:
		if e.OK {
			s.speaks(e.Member.Identity)
		}
	case meet.VerifyRequested:
		s.compare(e.From.Identity, e.Verification, true)
	case meet.RecordingChanged:
		s.recordingChanged(e.Recording)
	case meet.FileOffered:
		s.fileOffered(e.Offer)
	case meet.FileWithdrawn:
		s.fileWithdrawn(e.Offer)
	case meet.FileRefused:
		s.fileRefused(e)
	case meet.FileProgress:
		s.fileMoved(e)
	case meet.FileDone:
		s.fileDone(e)
	case meet.Warning:
		s.warned(e)
	}
}

// snapshot is the beginning, or follows lost events.
func (s *session) snapshot(e meet.Snapshot) {
	a := s.agent
	s.knocks = slices.Clone(e.Knocks)
	s.roster(e.Members, e.Policy, e.RosterHash)
	s.showKnocks()
	s.contactsMissed()
	s.speaks(s.identityOf(e.ActiveSpeaker))
	here := map[string]bool{}
	for _, t := range e.Tracks {
		here[t.ID()] = true
		s.addTrack(t)
	}
	for id := range s.tracks {
		if !here[id] {
			delete(s.tracks, id)
			a.bridge.Remove(id)
		}
	}
	s.showTracks()
	s.filesNow(e.Files)
	s.recordingsNow(e.Recordings)
	s.wantWords()
	if a.state.Phase.Name != "meeting" {
		a.state.Phase = phase{Name: "meeting", Since: s.began, Alone: s.alone}
		a.changed("phase") // last: a page that follows it has what it shows
	}
}

// roster takes who is in and what the policy is.
func (s *session) roster(members []meet.Member, p meet.Policy, hash crypto.Hash) {
	a := s.agent
	s.members = slices.Clone(members)
	for _, m := range members {
		s.see(m)
	}
	s.checkWords()
	shown := policyOf(p)
	a.state.Policy = &shown
	a.state.Meeting.RosterHash = hexOf(hash[:])
	s.showMembers()
	a.changed("policy", "meeting")
}

// put takes what is new about a member.
func (s *session) put(m meet.Member) {
	if i := slices.IndexFunc(s.members, func(o meet.Member) bool { return o.Identity == m.Identity }); i >= 0 {
		s.members[i] = m
	} else {
		s.members = append(s.members, m)
	}
	s.see(m)
	s.checkWords()
	s.showMembers()
}

// checkWords takes the words away that are those of other people than who is in. agent.mu is held.
func (s *session) checkWords() {
	if s.agent.state.Words != nil && !samePeople(s.members, s.wordsFor) {
		s.agent.state.Words = nil
		s.agent.changed("words")
	}
}

// see remembers that somebody was in.
func (s *session) see(m meet.Member) {
	if _, ok := s.seen[m.Identity]; !ok {
		s.seen[m.Identity] = now()
	}
	s.names[m.Identity] = cleanName(m.Name)
}

func (s *session) gone(e meet.MemberLeft) {
	a := s.agent
	shown := s.memberOf(e.Member)
	s.members = slices.DeleteFunc(s.members, func(o meet.Member) bool { return o.Identity == e.Member.Identity })
	reason := map[meet.LeaveReason]string{meet.Left: "left", meet.Removed: "removed", meet.Banned: "banned", meet.Refolded: "admission-void"}[e.Reason]
	if e.Reason != meet.Left && a.state.Invite != nil && !a.state.Invite.Dead {
		a.state.Invite.Dead = true // every removal kills the links before it
		a.changed("invite")
	}
	a.state.Verifications = slices.DeleteFunc(a.state.Verifications, func(v verification) bool { return v.Member == shown.ID })
	s.checkWords()
	if s.speaker == shown.ID {
		s.speaker = ""
	}
	s.filesWithout(shown.ID)
	a.sendLocked(leftEvent{"left", shown, reason, s.nameOf(e.By)})
	s.showMembers()
	a.changed("verifications")
}

// showMembers shows the members as they are now, and what this one may do.
func (s *session) showMembers() {
	st := &s.agent.state
	st.Members = make([]member, 0, len(s.members))
	for _, m := range s.members {
		st.Members = append(st.Members, s.memberOf(m))
	}
	st.Meeting.Can = s.rights()
	s.stopUnpermitted()
	s.filesForNewcomers()
	s.agent.changed("members", "meeting")
}

func (s *session) nameOf(id crypto.IdentityKey) string {
	for _, m := range s.members {
		if m.Identity == id {
			return cleanName(m.Name)
		}
	}
	return ""
}

func (s *session) warned(e meet.Warning) {
	w := warning{Kind: warningKinds[e.Kind], Since: now(), Name: cleanName(e.Member.Name)}
	if !e.Member.Identity.IsZero() {
		w.Member = hexKey(e.Member.Identity)
	}
	s.warn(w, e.Over)
}

var warningKinds = map[meet.WarningKind]string{
	meet.Ghost: "ghost", meet.Equivocation: "equivocation", meet.Isolation: "isolation", meet.Unresolved: "unresolved",
	meet.SendingStopped: "sending-stopped", meet.UnconsentedRecording: "unconsented-recording",
}

// keepSending is remembered, so that whoever chose to carry on can see it, and think better of it.
func (s *session) keepSending(ctx context.Context, keep bool) error {
	if err := s.meeting.KeepSending(ctx, keep); err != nil {
		return err
	}
	s.agent.mu.Lock()
	defer s.agent.mu.Unlock()
	s.keeps = keep
	for _, w := range s.agent.state.Warnings {
		if w.Kind == "isolation" {
			s.warn(w, false)
		}
	}
	return nil
}

func (s *session) warn(w warning, over bool) {
	st := &s.agent.state
	w.Kept = s.keeps && w.Kind == "isolation"
	st.Warnings = slices.DeleteFunc(st.Warnings, func(o warning) bool { return o.Kind == w.Kind && o.Member == w.Member })
	if !over {
		st.Warnings = append(st.Warnings, w)
	}
	s.agent.changed("warnings")
}

func (s *session) remove(ctx context.Context, who crypto.IdentityKey, ban bool) error {
	return s.meeting.Remove(ctx, who, ban)
}
