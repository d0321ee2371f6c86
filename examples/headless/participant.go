package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// commandTimeout is how long a command may take; verify waits for another person's program.
const commandTimeout = 30 * time.Second

// participant is our part in one meeting: it reports what happens and does what it is told.
type participant struct {
	noAddresses bool // in links

	m          *meet.Meeting
	out        *output
	recordings *recordings  // nil: nothing is recorded
	contacts   *contactFile // nil: nobody is remembered
	tracks     tracks
	files      *files
	wantWords  chan struct{} // has room for one
	wordsAsked atomic.Bool   // by a command, so that a refusal is reported
	asked      sync.Map      // crypto.IdentityKey to the meet.Recording last reported of theirs
	tasks      sync.WaitGroup
	began      time.Time // to create or join

	// What follows belongs to the goroutine that reads the events.

	members map[crypto.MeetingKey]meet.Member // who is or was in, to name whom events are about
}

func newParticipant(m *meet.Meeting, out *output, r *recordings) *participant {
	return &participant{m: m, out: out, recordings: r, wantWords: make(chan struct{}, 1), members: map[crypto.MeetingKey]meet.Member{}}
}

// run takes part until the meeting is over for us, and returns why. It leaves when ctx or the duration (0: never) is
// over.
func (p *participant) run(ctx context.Context, lines <-chan string, duration time.Duration, files []playable, loop bool) error {
	over := p.m.Context()
	p.spawn(p.report)
	p.spawn(p.showWords)
	p.spawn(func() { play(over, p.m, files, loop, p.out) })
	var timer <-chan time.Time
	if duration > 0 {
		timer = time.After(duration)
	}
	for over.Err() == nil {
		select {
		case line := <-lines:
			p.command(line)
		case <-ctx.Done():
			p.leave()
		case <-timer:
			p.leave()
		case <-over.Done():
		}
	}
	p.tasks.Wait()
	if p.recordings != nil {
		p.recordings.wait()
	}
	stats := p.tracks.stats(time.Now())
	p.out.event("stats", stats, "%v", stats)
	return context.Cause(over)
}

func (p *participant) spawn(f func()) {
	p.tasks.Add(1)
	go func() {
		defer p.tasks.Done()
		f()
	}()
}

// leave leaves politely. If that can't be done in time the meeting ends for us all the same.
func (p *participant) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	p.learnStats(ctx) // while round trips are known
	_ = p.m.Leave(ctx)
}

func (p *participant) learnStats(ctx context.Context) {
	if s, err := p.m.Stats(ctx); err == nil {
		p.tracks.learn(s)
	}
}

// wordless is for tests that are about something else: words, which take half a second, are computed only when asked for.
var wordless bool

// showWords computes the words each time they can be compared. It takes half a second, so it has a goroutine.
func (p *participant) showWords() {
	for {
		select {
		case <-p.wantWords:
		case <-p.m.Context().Done():
			return
		}
		asked := p.wordsAsked.Swap(false)
		v, err := p.currentWords()
		switch {
		case err == nil:
			d := wordsOf(v)
			p.out.event("words", d, "compare aloud: %v", d)
		case asked && p.m.Context().Err() == nil:
			p.refuse("words", err)
		}
	}
}

// currentWords are those of the people who are in when it returns, for meanwhile somebody may have come or gone: the
// same twice.
func (p *participant) currentWords() (v crypto.Verification, err error) {
	for {
		before := v
		if v, err = p.m.Words(p.m.Context()); err != nil || v == before {
			return v, err
		}
	}
}

func (p *participant) askWords() {
	select {
	case p.wantWords <- struct{}{}:
	default: // asked already
	}
}

// refuse reports a command that wasn't done.
func (p *participant) refuse(command string, err error) {
	text := oneLine(err)
	if errors.Is(err, context.DeadlineExceeded) {
		text = "it took too long"
	}
	p.out.event("error", errorData{command, text}, "can't %s: %s", command, text)
}

// report tells what happens, until the meeting is over.
func (p *participant) report() {
	for e := range p.m.Events() {
		p.event(e)
	}
}

func (p *participant) event(e meet.Event) {
	switch e := e.(type) {
	case meet.Snapshot:
		p.snapshot(e)
	case meet.Lagged:
		p.warn(warningData{Kind: "lagged"}, "too much happened at once: some of it isn't shown")
	case meet.Knocked:
		p.knock(e.Knock)
	case meet.KnockGone:
		d := knockGoneData{Key: hexKey(e.Identity)}
		if !e.Door.IsZero() {
			d.DoorKey = hexKey(e.Door)
		}
		p.out.event("knock_gone", d, "%s no longer knocks", e.Identity)
	case meet.MemberJoined:
		p.member("member_joined", e.Member, "is in")
	case meet.MemberChanged:
		p.member("member_changed", e.Member, "changed")
	case meet.MemberLeft:
		p.memberLeft(e)
	case meet.RosterChanged:
		p.roster(e.Hash, e.Generation, e.Policy, e.Members)
	case meet.HostsAbsent:
		p.hostsAbsent(e.Absent)
	case meet.WordsAvailable:
		if !wordless {
			p.askWords()
		}
	case meet.TrackAdded:
		p.trackAdded(e.Track)
	case meet.TrackRemoved:
		if d, ok := p.tracks.remove(e.Track); ok {
			p.out.event("track_removed", d, "%s no longer sends %s", d.Member, d.Kind)
		}
	case meet.TrackChanged:
		d := p.trackData(e.Track)
		p.out.event("track_changed", d, "%s's %s: muted is %v", d.Member, d.Kind, d.Muted)
	case meet.ActiveSpeaker:
		p.activeSpeaker(e)
	case meet.Chat:
		p.chat(e)
	case meet.Reaction:
		p.reaction(e)
	case meet.MuteRequested:
		p.muteRequested(e)
	case meet.RecordingChanged:
		p.recording(e.Recording)
	case meet.ContactChanged:
		p.contactChanged(e.Contact)
	case meet.VerifyRequested:
		p.verify(e.From.Name, e.From.Identity, e.Verification)
	case meet.Warning:
		p.warning(e)
	case meet.FileOffered, meet.FileWithdrawn, meet.FileRefused, meet.FileProgress, meet.FileDone:
		p.fileEvent(e)
	}
}

// snapshot is the beginning, or follows lost events: what was reported before isn't again.
func (p *participant) snapshot(s meet.Snapshot) {
	p.roster(s.RosterHash, s.Generation, s.Policy, s.Members)
	p.saveContacts() // of those who were there before us, nobody tells
	for _, k := range s.Knocks {
		p.knock(k)
	}
	for _, t := range s.Tracks {
		p.trackAdded(t)
	}
	for _, r := range s.Recordings {
		p.recording(r)
	}
}

func (p *participant) knock(k meet.Knock) {
	d := knockData{personData: personData{Name: k.Name, Key: hexKey(k.Identity), Verified: k.Verified}}
	d.familiar(k.Known, k.KnownAs, k.Namesake)
	if k.Door.IsZero() {
		p.out.event("knock", d, "%s knocks (%s)%s: admit or deny?", k.Name, k.Identity, d.about())
		return
	}
	d.Door, d.DoorKey = p.nameOf(k.Door), hexKey(k.Door)
	p.out.event("knock", d, "%s knocks at the door of %s (%s)%s: admit or deny?", k.Name, d.Door, k.Identity, d.about())
}

func (p *participant) member(event string, m meet.Member, what string) {
	d := memberOf(m)
	p.out.event(event, d, "%s %s", describe(d), what)
	p.hand(m)
	p.members[m.Key] = m
}

func (p *participant) memberLeft(e meet.MemberLeft) {
	d := memberLeftData{memberData: memberOf(e.Member), Reason: string(e.Reason)}
	if e.By.IsZero() {
		p.out.event("member_left", d, "%s is out: %s", d.Name, d.Reason)
		return
	}
	d.By, d.ByKey = p.nameOf(e.By), hexKey(e.By)
	p.out.event("member_left", d, "%s is out: %s by %s", d.Name, d.Reason, d.By)
}

// nameOf is what somebody who is or was in calls themselves.
func (p *participant) nameOf(id crypto.IdentityKey) string {
	for _, m := range p.members {
		if m.Identity == id {
			return m.Name
		}
	}
	return id.String()
}

func (p *participant) roster(hash crypto.Hash, generation uint64, policy meet.Policy, members []meet.Member) {
	for _, m := range members {
		p.hand(m)
		p.members[m.Key] = m
	}
	d := rosterData{Hash: hexBytes(hash[:]), Generation: generation, Entry: entryName(policy.Entry), Members: membersOf(members)}
	p.out.event("roster", d, "in the meeting (entry %s): %s", d.Entry, describeAll(d.Members))
}

func (p *participant) activeSpeaker(e meet.ActiveSpeaker) {
	if !e.OK {
		p.out.event("active_speaker", speakerData{}, "nobody speaks")
		return
	}
	p.out.event("active_speaker", speakerData{e.Member.Name, hexKey(e.Member.Identity)}, "%s speaks", e.Member.Name)
}

func (p *participant) hostsAbsent(absent bool) {
	text := "a host is there again"
	if absent {
		text = "no host is there: the meeting goes on, but nobody can enter"
	}
	p.out.event("hosts_absent", absentData{absent}, "%s", text)
}

func (p *participant) trackData(t *meet.RemoteTrack) trackData {
	m := p.members[t.MemberKey()]
	return trackData{
		ID: t.ID(), Member: m.Name, Key: hexKey(m.Identity), Kind: t.Kind().String(), Source: t.Source().String(),
		Codec: t.Codec().MimeType, Muted: t.Muted(),
	}
}

func (p *participant) trackAdded(t *meet.RemoteTrack) {
	d := p.trackData(t)
	if !p.tracks.add(t, d, time.Now()) {
		return
	}
	p.out.event("track_added", d, "%s sends %s (%s)", d.Member, d.Kind, d.Codec)
	p.spawn(func() { p.awaitFirst(t, d) })
	if p.recordings != nil {
		p.recordings.add(t, d.Member)
	}
}

func (p *participant) verify(name string, key crypto.IdentityKey, v crypto.Verification) {
	d := verifyData{name, hexKey(key), wordsOf(v)}
	p.out.event("verify", d, "compare with %s alone: %v", name, d.wordsData)
}

func (p *participant) warning(w meet.Warning) {
	d := warningData{Kind: string(w.Kind), Member: w.Member.Name, Over: w.Over}
	if !w.Member.Identity.IsZero() {
		d.Key = hexKey(w.Member.Identity)
	}
	if w.Over {
		p.warn(d, "no longer: "+warningText(w.Kind, w.Member.Name))
		return
	}
	p.warn(d, "WARNING: "+warningText(w.Kind, w.Member.Name))
}

func (p *participant) warn(d warningData, text string) { p.out.event("warning", d, "%s", text) }

func warningText(kind meet.WarningKind, name string) string {
	switch kind {
	case meet.Ghost:
		return name + "'s streams can be read by somebody who isn't in your list"
	case meet.Equivocation:
		return name + " has signed two different histories: nothing is sent to them"
	case meet.Isolation:
		return "the host " + name + " doesn't seem to hear you"
	case meet.Unresolved:
		return "others know of changes that don't reach you"
	case meet.UnconsentedRecording:
		return name + " says that they record, though not everybody has consented"
	case meet.SendingStopped:
		return "no host has heard you for long: nothing is sent any more"
	}
	return string(kind)
}

// people are those in the meeting, for commands.
func people(all []meet.Member) []person {
	list := make([]person, len(all))
	for i, m := range all {
		list[i] = person{m.Identity, m.Name}
	}
	return list
}
