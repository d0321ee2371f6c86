package main

import (
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	vault "github.com/huisclos/huisclos/examples/desktop/internal/store"
	"github.com/huisclos/huisclos/meet"
)

// TestTranscript: the history has all that was said, not what is on the screen alone; what there is no room for is
// counted, the oldest first.
func TestTranscript(t *testing.T) {
	var said transcript
	for range 4 * shownMessages {
		said.add(message{ID: "x", Name: "Ada", Text: "Bonjour"})
	}
	if len(said.messages) != 4*shownMessages || said.lost != 0 {
		t.Errorf("%d messages, %d lost", len(said.messages), said.lost)
	}
	said.add(message{ID: "last"})
	long := strings.Repeat("x", maxChat)
	for range maxTranscript/maxChat - 1 {
		said.add(message{ID: "long", Text: long})
	}
	size := 0
	for _, m := range said.messages {
		size += len(encode(m))
	}
	if size != said.bytes || size > maxTranscript || size < maxTranscript-2*maxChat {
		t.Errorf("%d bytes, counted as %d", size, said.bytes)
	}
	if all := 4*shownMessages + maxTranscript/maxChat; said.lost == 0 || said.lost+len(said.messages) != all {
		t.Errorf("%d lost and %d kept of %d", said.lost, len(said.messages), all)
	}
	kept := keptOf(vault.Meeting{Data: encode(keptData{Chat: said.messages, Lost: said.lost, Attendance: "{}"})}, 0)
	if kept.Lost != said.lost || kept.Messages != len(said.messages) || !kept.Attendance {
		t.Errorf("%+v", kept)
	}
	if kept := keptOf(vault.Meeting{Data: encode(keptData{})}, 0); kept.Attendance || kept.Lost != 0 {
		t.Errorf("%+v", kept)
	}
}

// TestLongChatKept: a meeting with more messages than the screen takes is in the history with all of them.
func TestLongChatKept(t *testing.T) {
	t.Parallel()
	p := openPage(t, startAgent(t, nil))
	p.name("Ada")
	p.must("store-create", map[string]any{"passphrase": testPassphrase})
	p.must("store-history", map[string]any{"on": true, "retentionDays": 30})
	p.must("create", nil)
	p.untilPhase("meeting")
	const all = shownMessages + 20
	p.agent.mu.Lock()
	for range all {
		p.agent.session.showMessage(message{ID: crypto.NewMessageID().String(), Text: "x"})
	}
	p.agent.mu.Unlock()
	p.must("leave", nil)
	p.untilPhase("ended")
	p.until("history", func() bool { return len(part[store](p, "store").Kept) == 1 })
	if kept := get[store](p, "store").Kept[0]; kept.Messages != all || kept.Lost != 0 || !kept.Attendance {
		t.Errorf("%+v", kept)
	}
}

// TestExposureOfRecordings: Who sees what says of recordings what there was: none, who made one and so has it, who agreed,
// and what became of this person's own.
func TestExposureOfRecordings(t *testing.T) {
	me, ada, blaise := crypto.IdentityKey{1}, crypto.IdentityKey{2}, crypto.IdentityKey{3}
	s := &session{agent: &agent{}, self: hexKey(me), names: map[crypto.IdentityKey]string{me: "Me", ada: "Ada", blaise: "Blaise"}}
	a := s.agent
	row := func() string {
		st := firstState(options{})
		e := exposureOf(&st)
		e.recordings(a.recorded, a.movie)
		for _, r := range e.Rows {
			if r.Datum == "recording" {
				out := ""
				for _, p := range r.Seen {
					out += p.Party + ":" + p.How + ":" + strings.Join(p.Names, "+") + p.Why + " "
				}
				return out + "| " + strings.Join(r.Where, " ") + " | " + r.Kept
			}
		}
		return ""
	}
	want := func(what, want string) {
		t.Helper()
		if got := row(); got != want {
			t.Errorf("%s: %s\nwant %s", what, got, want)
		}
	}
	note := func(rec meet.Recording, state meet.RecordingState, consented ...crypto.IdentityKey) {
		rec.State, rec.Consented = state, consented
		s.noteRecording(rec)
	}
	of := func(who crypto.IdentityKey, n byte) meet.Recording {
		rec := meet.Recording{ID: meet.RecordingID{n}, By: meet.Member{Identity: who, Key: crypto.MeetingKey{n}, Name: s.names[who], Self: who == me}}
		return rec
	}
	const none = "nobody:clear:nothing | nowhere | not-kept"
	want("none", none)
	hers := of(ada, 1)
	note(hers, meet.RecordingAsked, me)
	want("only asked for", none)
	note(hers, meet.RecordingRunning, me, blaise)
	want("it runs", "members:recording:Ada self:consented: members:consented:Blaise | members-machines | members")
	note(hers, meet.RecordingPaused, blaise)
	want("somebody withdrew", "members:recorded:Ada self:consented: members:consented:Blaise | members-machines | members")
	note(hers, meet.RecordingOver)
	want("over", "members:recorded:Ada self:consented: members:consented:Blaise | members-machines | members")

	a.recorded = nil
	a.movie = &movie{began: time.Now()}
	mine := of(me, 2)
	note(mine, meet.RecordingRunning, ada)
	want("one's own runs", "self:recording: members:consented:Ada | this-machine | memory")
	note(mine, meet.RecordingOver)
	a.movie.over = true
	want("one's own isn't saved", "self:recorded: members:consented:Ada | this-machine | memory")
	a.movie.saved = true
	want("saved", "self:recorded: same-user:possible: members:consented:Ada | this-machine | downloads")
	a.movie = nil
	want("saved, and the program's forgotten", "self:recorded: same-user:possible: members:consented:Ada | this-machine | downloads")
	a.recorded[0].movie.saved = false
	want("discarded", "self:discarded: members:consented:Ada | nowhere | not-kept")
	note(hers, meet.RecordingRunning, blaise)
	want("and another's", "self:discarded: members:recording:Ada members:consented:Ada+Blaise | members-machines | members")
	a.forget()
	want("the meeting is forgotten", none)
}
