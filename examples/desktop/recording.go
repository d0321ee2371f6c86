package main

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/desktop/internal/recorder"
	"github.com/huisclos/huisclos/examples/desktop/internal/spool"
	"github.com/huisclos/huisclos/meet"
	"github.com/pion/rtp"
)

// movie is the recording this person makes, and what is there of it when it is over. agent.mu guards it.
type movie struct {
	recorder *recorder.Recorder
	disk     *spool.File
	began    time.Time
	over     bool // it can be saved
	saved    bool
	ending   bool // its file is being completed, or is complete
}

// recordings are those that members make or ask to make. agent.mu guards them.
type recordings struct {
	now      map[crypto.IdentityKey]meet.Recording // by who makes it
	agreed   map[recordingKey]map[crypto.IdentityKey]bool
	answers  map[recordingKey]string // this person's: consented, refused, withdrawn
	shown    recordingKey
	replaced time.Time // when the question on the screen became another
}

// recordingKey names a recording: by its maker's incarnation too, since an ID can be copied.
type recordingKey struct {
	by crypto.MeetingKey
	id meet.RecordingID
}

func keyOf(rec meet.Recording) recordingKey { return recordingKey{rec.By.Key, rec.ID} }

// String is the page's name for it.
func (k recordingKey) String() string { return hexOf(k.by[:]) + hexOf(k.id[:]) }

// hesitation is how long an answer isn't taken after the question on the screen has become another person's.
const hesitation = time.Second

func newRecordings() recordings {
	return recordings{
		now: map[crypto.IdentityKey]meet.Recording{}, agreed: map[recordingKey]map[crypto.IdentityKey]bool{}, answers: map[recordingKey]string{},
	}
}

func init() {
	for name, h := range map[string]handler{
		"recording-ask":     in(func(s *session, ctx context.Context, _ recordingAsk) (any, error) { return nil, s.askToRecord(ctx) }),
		"recording-consent": in((*session).consent),
		"recording-stop": in(func(s *session, ctx context.Context, _ recordingStop) (any, error) {
			return nil, s.meeting.StopRecording(ctx)
		}),
		"recording-save": on(func(a *agent, _ context.Context, _ recordingSave) (any, error) { return a.saveRecording() }),
		"recording-discard": on(func(a *agent, _ context.Context, _ recordingDiscard) (any, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.movie == nil || !a.movie.over {
				return nil, fail(noSuchFile)
			}
			a.dropMovie()
			a.state.Recording = recording{State: "none"}
			a.showRecording()
			return nil, nil
		}),
	} {
		add(name, h)
	}
}

// askToRecord: one recording at a time is enough, and none is thrown away unasked.
func (s *session) askToRecord(ctx context.Context) error {
	a := s.agent
	a.mu.Lock()
	_, known := s.shownRecording()
	unsaved := !known && a.unsaved()
	if !known && !unsaved && a.movie != nil && a.movie.over {
		a.dropMovie()
	}
	waits := known || a.movie != nil
	a.mu.Unlock()
	switch {
	case unsaved:
		return fail(unsavedRecording)
	case waits:
		return fail(busy)
	}
	return s.meeting.AskToRecord(ctx)
}

// unsaved says whether there is a recording that the person neither saved nor said to discard: nothing else throws it
// away. agent.mu is held.
func (a *agent) unsaved() bool { return a.movie != nil && !a.movie.saved }

// wouldLose says whether forgetting the meeting would delete what nobody said to delete: a recording, or files that came. nil
// if not. agent.mu is held.
func (a *agent) wouldLose() error {
	switch {
	case a.unsaved():
		return fail(unsavedRecording)
	case slices.ContainsFunc(a.files, (*shared).unsaved):
		return fail(unsavedFiles)
	}
	return nil
}

// consent answers the question that the person was asked, which names its recording: another may be there by now.
func (s *session) consent(ctx context.Context, r recordingConsent) (any, error) {
	a := s.agent
	a.mu.Lock()
	var rec meet.Recording
	known := false
	for _, o := range s.recordings.now {
		if keyOf(o).String() == r.Recording {
			rec, known = o, true
		}
	}
	switch {
	case !known || rec.By.Self:
		a.mu.Unlock()
		return nil, fail(canceled) // it is over
	case r.Consent && time.Since(s.recordings.replaced) < hesitation:
		a.mu.Unlock()
		return nil, &codeError{failure{Code: busy, Seconds: 1}}
	}
	before := s.recordings.answers[keyOf(rec)]
	answer := "consented"
	if !r.Consent {
		answer = map[bool]string{true: "withdrawn", false: "refused"}[before == "consented" || before == "withdrawn"]
	}
	s.recordings.answers[keyOf(rec)] = answer
	a.mu.Unlock()
	err := s.meeting.ConsentToRecording(ctx, rec, r.Consent)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		s.recordings.answers[keyOf(rec)] = before
	}
	a.showRecording()
	return nil, err
}

// mine is this person's answer to a recording of another's.
func (s *session) mine(rec meet.Recording) string {
	if answer := s.recordings.answers[keyOf(rec)]; answer != "" {
		return answer
	}
	return "asked"
}

// shownRecording is the one the page shows: a question first, then what runs, then what this person asked for. agent.mu
// is held.
func (s *session) shownRecording() (best meet.Recording, known bool) {
	worth := 0
	for _, key := range slices.SortedFunc(maps.Keys(s.recordings.now), func(a, b crypto.IdentityKey) int { return bytes.Compare(a[:], b[:]) }) {
		rec, w := s.recordings.now[key], 2
		switch {
		case !rec.By.Self && s.mine(rec) == "asked":
			w = 8
		case rec.State == meet.RecordingRunning:
			w = 6
		case rec.By.Self:
			w = 4
		}
		if keyOf(rec) == s.recordings.shown {
			w++
		}
		if w > worth {
			best, worth, known = rec, w, true
		}
	}
	return best, known
}

// recordingChanged takes what is new about a recording. agent.mu is held.
func (s *session) recordingChanged(rec meet.Recording) {
	a, all := s.agent, &s.recordings
	if rec.State == meet.RecordingOver {
		delete(all.now, rec.By.Identity)
		delete(all.agreed, keyOf(rec))
	} else {
		all.now[rec.By.Identity] = rec
		if all.agreed[keyOf(rec)] == nil {
			all.agreed[keyOf(rec)] = map[crypto.IdentityKey]bool{}
		}
		for _, who := range rec.Consented {
			all.agreed[keyOf(rec)][who] = true
		}
	}
	if rec.By.Self {
		s.record(rec.State)
	}
	s.noteRecording(rec)
	a.showRecording()
	if rec.State == meet.RecordingOver && a.state.Recording.State != "asking" && a.state.Recording.State != "running" && !rec.By.Self {
		who := hexKey(rec.By.Identity)
		a.state.Recording = recording{State: "stopped", By: who, Reason: "ended", Member: who}
		if a.movie != nil {
			a.showRecording() // one's own that can be saved is more important
		}
		a.changed("recording")
	}
}

// recordingsNow follows lost events. agent.mu is held.
func (s *session) recordingsNow(now []meet.Recording) {
	here := map[crypto.IdentityKey]bool{}
	for _, rec := range now {
		here[rec.By.Identity] = true
		s.recordingChanged(rec)
	}
	for key, rec := range maps.Clone(s.recordings.now) {
		if !here[key] {
			rec.State = meet.RecordingOver
			s.recordingChanged(rec)
		}
	}
}

// record does what the state of this person's own recording asks for. agent.mu is held: when it returns, nothing more is
// recorded unless it runs.
func (s *session) record(state meet.RecordingState) {
	a := s.agent
	switch {
	case state == meet.RecordingRunning && a.movie == nil:
		if err := s.beginMovie(); err != nil {
			a.later(func() { _ = s.meeting.StopRecording(a.context) })
			return
		}
		fallthrough
	case state == meet.RecordingRunning && !a.movie.over:
		s.liveTracks()
		a.movie.recorder.Run(true)
	case a.movie == nil || a.movie.over:
	case state == meet.RecordingOver:
		a.endMovie()
	default:
		a.movie.recorder.Run(false)
	}
}

// beginMovie begins a file. agent.mu is held.
func (s *session) beginMovie() error {
	a := s.agent
	disk, err := a.spool.Create()
	if err != nil {
		return err
	}
	r, err := recorder.New(recorder.Config{To: disk, KeyFrame: a.recordedKeyFrame, Failed: func(error) {
		_ = s.meeting.StopRecording(a.context)
	}})
	if err != nil {
		_ = disk.Close()
		return err
	}
	a.movie = &movie{recorder: r, disk: disk, began: time.Now()}
	a.bridge.SetTap(func(id string, own bool, h *rtp.Header, payload []byte) {
		if own {
			id = ownTracks[id]
		}
		r.Write(id, h, payload)
	})
	return nil
}

// ownTracks are the recorder's names for what the page sends.
var ownTracks = map[string]string{
	"microphone": "own microphone", "camera": "own camera", "screen": "own screen", "screenAudio": "own screenAudio",
}

var ownSources = inverse(ownTracks)

func (a *agent) recordedKeyFrame(track string) {
	if name, own := ownSources[track]; own {
		a.bridge.RequestKeyFrame(name)
		return
	}
	a.bridge.RequestRemoteKeyFrame(track)
}

// liveTracks tells the recorder what is sent now: nothing that its sender has muted. agent.mu is held.
func (s *session) liveTracks() {
	a := s.agent
	if a.movie == nil || a.movie.over {
		return
	}
	live := map[string]recorder.Track{}
	for id, t := range s.tracks {
		if !t.Muted() {
			live[id] = recorder.Track{Member: t.MemberKey().String(), Source: sourceNames[t.Source()], MimeType: t.Codec().MimeType}
		}
	}
	for name := range s.publications {
		if b := a.bridge.Source(name); b != nil && s.wanted[name] == "on" {
			live[ownTracks[name]] = recorder.Track{Member: "own", Source: name, MimeType: b.MimeType()}
		}
	}
	a.movie.recorder.Live(live)
}

// endMovie completes the file, which takes a moment. agent.mu is held.
func (a *agent) endMovie() {
	m := a.movie
	if m == nil || m.ending { // once alone: the recorder, closed a second time, would say that there is nothing in it
		return
	}
	m.ending = true
	a.bridge.SetTap(nil)
	a.tasks.Go(func() {
		_, any, err := m.recorder.Close()
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.movie != m {
			return // discarded meanwhile
		}
		if m.over = true; err != nil || !any {
			a.dropMovie()
		}
		a.showRecording()
	})
}

// dropMovie deletes the recording. agent.mu is held.
func (a *agent) dropMovie() {
	m := a.movie
	if m == nil {
		return
	}
	a.movie = nil
	a.bridge.SetTap(nil)
	if m.over {
		_ = m.disk.Close()
		return
	}
	a.tasks.Go(func() {
		_, _, _ = m.recorder.Close()
		_ = m.disk.Close()
	})
}

// recordingsOver: the meeting is over, and with it every recording. agent.mu is held.
func (s *session) recordingsOver() {
	s.recordings = newRecordings()
	s.agent.endMovie()
	s.agent.showRecording()
}

func (a *agent) saveRecording() (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.movie
	if m == nil || !m.over {
		return nil, fail(noSuchFile)
	}
	name := "huisclos-" + m.began.Format("2006-01-02-1504") + ".webm"
	return a.offerSpool(name, "video/webm", m.disk, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		m.saved = true
		a.showRecording()
	})
}

// showRecording shows what is recorded. agent.mu is held.
func (a *agent) showRecording() {
	var out recording
	s := a.session
	rec, known := meet.Recording{}, false
	if s != nil {
		rec, known = s.shownRecording()
	}
	switch {
	case known:
		out = s.recordingOf(rec)
		if all := &s.recordings; all.shown != keyOf(rec) {
			if a.state.Recording.Mine == "asked" && out.Mine == "asked" {
				all.replaced = time.Now()
			}
			all.shown = keyOf(rec)
		}
	case a.movie != nil:
		out = recording{State: "stopped", Own: true, Reason: "ended", Since: milliseconds(a.movie.began)}
	case a.state.Recording.State == "asking" || a.state.Recording.State == "running":
		out = recording{State: "stopped", By: a.state.Recording.By, Own: a.state.Recording.Own, Reason: "ended"}
	default:
		out = a.state.Recording
		out.Save, out.Bytes, out.Saved = "", 0, false
	}
	if m := a.movie; m != nil && m.over && !known {
		out.Save, out.Bytes, out.Saved = "recording", m.disk.Size(), m.saved
	}
	a.state.Recording = out
	a.changed("recording")
}

// recordingOf is a recording as the page shows it. agent.mu is held.
func (s *session) recordingOf(rec meet.Recording) recording {
	out := recording{ID: keyOf(rec).String(), By: hexKey(rec.By.Identity), Own: rec.By.Self, Since: milliseconds(rec.Since), Consents: map[string]string{}}
	for _, who := range rec.Consented {
		out.Consents[hexKey(who)] = "consented"
	}
	for _, who := range rec.Lacking {
		id, answer, reason := hexKey(who), "asked", "newcomer"
		if slices.Contains(rec.Refused, who) {
			answer, reason = "refused", "refused"
			if s.recordings.agreed[keyOf(rec)][who] {
				if answer = "withdrawn"; rec.State == meet.RecordingPaused {
					reason = answer
				}
			}
		}
		out.Consents[id] = answer
		if out.Reason == "" || out.Reason == "newcomer" {
			out.Reason, out.Member = reason, id
		}
	}
	if !rec.By.Self {
		out.Mine = s.mine(rec)
		out.Consents[s.self] = out.Mine
	}
	if out.State = "asking"; rec.State == meet.RecordingRunning {
		out.State = "running"
	}
	if rec.State == meet.RecordingRunning || rec.State == meet.RecordingAsked && out.Reason == "newcomer" {
		out.Reason, out.Member = "", ""
	}
	return out
}
