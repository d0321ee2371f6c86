package meet_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// recordingOf is how a member shows the one recording there is: its state, and how many lack.
func recordingOf(t *testing.T, ctx context.Context, m *meettest.Member) (meet.RecordingState, int) {
	t.Helper()
	all := must[[]meet.Recording](t)(m.Recordings(ctx))
	if len(all) == 0 {
		return "", 0
	}
	if len(all) > 1 {
		t.Fatalf("%s shows %d recordings", m.Host, len(all))
	}
	return all[0].State, len(all[0].Lacking)
}

// answerTo answers the recording of somebody that a member is shown now.
func answerTo(ctx context.Context, m *meettest.Member, by crypto.IdentityKey, agree bool) error {
	all, err := m.Recordings(ctx)
	if err != nil {
		return err
	}
	for _, rec := range all {
		if rec.By.Identity == by {
			return m.ConsentToRecording(ctx, rec, agree)
		}
	}
	return m.ConsentToRecording(ctx, meet.Recording{}, agree)
}

// states are those a member was shown, in order, each once.
func states(m *meettest.Member) (all []meet.RecordingState) {
	for _, e := range events[meet.RecordingChanged](m) {
		all = append(all, e.Recording.State)
	}
	return slices.Compact(all)
}

// TestRecording covers REC-1 as users see it: a recording runs while everybody consents, and pauses at once for who
// withdraws, for a newcomer, and for another incarnation; away or not. All are shown it, until it is over.
func TestRecording(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		id := crypto.GenerateIdentity()
		r := must[*meettest.Member](t)(w.Create(ctx, "recorder", open()))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", r, meet.Config{}))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", r, meet.Config{Identity: id}))
		connected(t, ctx, r, a, b)
		w.Advance(5 * time.Second)
		by := self(t, ctx, r).Identity
		is := func(what string, state meet.RecordingState, lacking int, all ...*meettest.Member) {
			t.Helper()
			w.Advance(time.Second)
			for _, m := range all {
				if s, n := recordingOf(t, ctx, m); s != state || n != lacking {
					t.Errorf("%s: %s is shown %q, %d lacking", what, m.Host, s, n)
				}
			}
		}
		if err := answerTo(ctx, a, by, true); !errors.Is(err, meet.ErrNoRecording) {
			t.Errorf("to nothing: %v", err)
		}
		ok(t, r.AskToRecord(ctx))
		ok(t, r.AskToRecord(ctx)) // once is enough
		is("asked", meet.RecordingAsked, 2, r, a, b)
		if err := answerTo(ctx, r, by, true); !errors.Is(err, meet.ErrNoRecording) {
			t.Errorf("to one's own: %v", err)
		}
		ok(t, answerTo(ctx, a, by, true))
		is("one consents", meet.RecordingAsked, 1, r, a, b)
		began := time.Now()
		ok(t, answerTo(ctx, b, by, true))
		is("both consent", meet.RecordingRunning, 0, r, a, b)
		if rec := must[[]meet.Recording](t)(a.Recordings(ctx))[0]; rec.By.Name != "recorder" || len(rec.Consented) != 2 || rec.Since.Sub(began) > time.Second {
			t.Errorf("a is shown %+v", rec)
		}
		ok(t, answerTo(ctx, a, by, false))
		is("one withdraws", meet.RecordingPaused, 1, r, a, b)
		ok(t, answerTo(ctx, a, by, true))
		is("and consents", meet.RecordingRunning, 0, r, a, b)
		late := must[*meettest.Member](t)(w.Join(ctx, "late", r, meet.Config{}))
		connected(t, ctx, r, a, b, late)
		is("a newcomer", meet.RecordingPaused, 1, r, a, b, late)
		ok(t, answerTo(ctx, late, by, true))
		is("who consents", meet.RecordingRunning, 0, r, a, b, late)
		w.Crash(b)
		w.Advance(20 * time.Second)
		is("one is away", meet.RecordingRunning, 0, r, a, late)
		b = must[*meettest.Member](t)(w.Join(ctx, "b2", r, meet.Config{Identity: id}))
		connected(t, ctx, r, a, b, late)
		is("and comes back anew", meet.RecordingPaused, 1, r, a, b, late)
		ok(t, answerTo(ctx, b, by, true))
		is("and consents again", meet.RecordingRunning, 0, r, a, b, late)
		w.Advance(30 * time.Second) // nobody is warned
		ok(t, r.StopRecording(ctx))
		is("over", "", 0, r, a, b, late)
		want := []meet.RecordingState{"asked", "running", "paused", "running", "paused", "running", "paused", "running", "over"}
		for _, m := range []*meettest.Member{r, a} {
			if got := states(m); !slices.Equal(got, want) {
				t.Errorf("%s was shown %v", m.Host, got)
			}
		}
		for e := range b.Events() {
			if s, isSnapshot := e.(meet.Snapshot); !isSnapshot || len(s.Recordings) != 0 {
				t.Errorf("%+v", e)
			}
			break
		}
		// A recording of somebody who goes is over, too.
		ok(t, a.AskToRecord(ctx))
		is("another asks", meet.RecordingAsked, 3, r, late)
		ok(t, a.Leave(ctx))
		is("and leaves", "", 0, r, late)
		if got := states(r); got[len(got)-1] != meet.RecordingOver {
			t.Errorf("%v", got)
		}
	})
}

// TestRecordingPausesBeforeTracks covers REC-1: the recorder is told to pause before anything of a newcomer's can be
// read. The twin, a recorder who doesn't care, runs on.
func TestRecordingPausesBeforeTracks(t *testing.T) {
	twin(t, "recordAnyway", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			r := must[*meettest.Member](t)(w.Create(ctx, "recorder", config))
			ok(t, r.AskToRecord(ctx)) // alone: it runs at once
			a := must[*meettest.Member](t)(w.Join(ctx, "a", r, meet.Config{}))
			tone := must[*meettest.Tone](t)(a.PublishTone(ctx, 60))
			defer tone.Stop()
			w.Advance(5 * time.Second)
			running, recorded := false, false
			for _, e := range r.Log() {
				switch e := e.(type) {
				case meet.RecordingChanged:
					running = e.Recording.State == meet.RecordingRunning
				case meet.TrackAdded:
					recorded = recorded || running
				}
			}
			if recorded == protected {
				t.Errorf("a track came while the recording ran: %v", recorded)
			}
		})
	})
}

// TestUnconsentedRecording covers REC-3: a recorder who says that it runs without everybody's consent is shown as such to
// all whom the consents reach, within 15 s, once; and no longer when all consent. The twin believes it.
func TestUnconsentedRecording(t *testing.T) {
	t.Parallel()
	twin(t, "trustRecorder", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			r := must[*meettest.Member](t)(w.Create(ctx, "recorder", meet.With(open(), "recordAnyway")))
			a := must[*meettest.Member](t)(w.Join(ctx, "a", r, config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", r, config))
			connected(t, ctx, r, a, b)
			w.Advance(10 * time.Second)
			ok(t, r.AskToRecord(ctx))
			w.Advance(time.Second)
			by := self(t, ctx, r).Identity
			ok(t, answerTo(ctx, b, by, true)) // a's lacks, which b sees as well
			w.Advance(4 * time.Second)
			if n := len(warnings(a)) + len(warnings(b)); n != 0 {
				t.Errorf("%d warnings within the grace", n)
			}
			w.Advance(10 * time.Second)
			for _, m := range []*meettest.Member{a, b} {
				n := warnings(m, meet.UnconsentedRecording)
				if protected && (len(n) != 1 || n[0].Over || n[0].Member.Name != "recorder") || !protected && len(n) != 0 {
					t.Errorf("%s was shown %+v", m.Host, n)
				}
				if s, lacking := recordingOf(t, ctx, m); s != meet.RecordingRunning || lacking != 1 {
					t.Errorf("%s is shown %q, %d lacking", m.Host, s, lacking)
				}
			}
			ok(t, answerTo(ctx, a, by, true))
			w.Advance(2 * time.Second)
			for _, m := range []*meettest.Member{a, b} {
				if n := warnings(m, meet.UnconsentedRecording); protected && (len(n) != 2 || !n[1].Over) {
					t.Errorf("%s isn't told that it is over: %+v", m.Host, n)
				}
			}
		})
	})
}

// TestRecordingCutOff: a recorder that is cut off, and so can't know of a newcomer or say that it pauses, is nobody's
// false alarm.
func TestRecordingCutOff(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		r := must[*meettest.Member](t)(w.Join(ctx, "recorder", host, meet.Config{}))
		connected(t, ctx, host, r)
		w.Advance(5 * time.Second)
		ok(t, r.AskToRecord(ctx))
		w.Advance(time.Second)
		ok(t, answerTo(ctx, host, self(t, ctx, r).Identity, true))
		w.Advance(time.Second)
		w.Network.Partition([]string{"host", "late"}, []string{"recorder"})
		late := must[*meettest.Member](t)(w.Join(ctx, "late", host, meet.Config{}))
		w.Advance(40 * time.Second)
		w.Network.Heal()
		w.Advance(20 * time.Second)
		for _, m := range []*meettest.Member{host, r, late} {
			if n := warnings(m, meet.UnconsentedRecording); len(n) != 0 {
				t.Errorf("%s was shown %+v", m.Host, n)
			}
			if s, n := recordingOf(t, ctx, m); s != meet.RecordingPaused || n != 1 {
				t.Errorf("%s is shown %q, %d lacking", m.Host, s, n)
			}
		}
	})
}

// TestConsentIsBound covers REC-2: what was allowed to one serves no other who takes the same ID, nor the next recording
// of the same. The twin takes any consent.
func TestConsentIsBound(t *testing.T) {
	t.Parallel()
	twin(t, "anyConsent", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			r := must[*meettest.Member](t)(w.Create(ctx, "recorder", config))
			thief := must[*meettest.Member](t)(w.Join(ctx, "thief", r, meet.With(meet.Config{}, "recordAnyway")))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", r, config))
			connected(t, ctx, r, thief, victim)
			w.Advance(10 * time.Second)
			ok(t, r.AskToRecord(ctx))
			w.Advance(time.Second)
			by := self(t, ctx, r).Identity
			for _, m := range []*meettest.Member{thief, victim} {
				ok(t, answerTo(ctx, m, by, true))
			}
			w.Advance(time.Second)
			if s, _ := recordingOf(t, ctx, r); s != meet.RecordingRunning {
				t.Fatalf("it is %q", s)
			}
			id := must[[]meet.Recording](t)(victim.Recordings(ctx))[0].ID
			ok(t, thief.AnnounceRecording(ctx, id, true))
			w.Advance(15 * time.Second)
			for _, rec := range must[[]meet.Recording](t)(victim.Recordings(ctx)) {
				if lacks := slices.Contains(rec.Lacking, self(t, ctx, victim).Identity); rec.By.Name == "thief" && lacks != protected {
					t.Errorf("the victim is shown that its own consent to the thief's lacks: %v", lacks)
				}
			}
			if n := warnings(victim, meet.UnconsentedRecording); protected && (len(n) != 1 || n[0].Member.Name != "thief") {
				t.Errorf("the victim was shown %+v", n)
			}
			ok(t, thief.StopRecording(ctx))
			w.Advance(time.Second)
			before := len(events[meet.RecordingChanged](r))
			ok(t, r.StopRecording(ctx))
			ok(t, r.AskToRecord(ctx)) // before the others can have forgotten what they consented to
			w.Advance(5 * time.Second)
			ran := false
			for _, e := range events[meet.RecordingChanged](r)[before:] {
				ran = ran || e.Recording.State == meet.RecordingRunning
			}
			if ran == protected {
				t.Errorf("by old consents it ran: %v", ran)
			}
		})
	})
}

// TestRecordingQuestions covers REC-4: a member can't ask the others without end. Control: at last the newest is shown.
func TestRecordingQuestions(t *testing.T) {
	t.Parallel()
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			connected(t, ctx, host, bad, victim)
			w.Advance(5 * time.Second)
			var id meet.RecordingID
			for i := range byte(50) {
				id[0] = i + 1
				ok(t, bad.AnnounceRecording(ctx, id, false))
				w.Advance(200 * time.Millisecond)
			}
			asked := 0
			for _, e := range events[meet.RecordingChanged](victim) {
				if e.Recording.State == meet.RecordingAsked {
					asked++
				}
			}
			if protected && asked > 7 || !protected && asked < 40 {
				t.Errorf("asked %d times in 10 s", asked)
			}
			w.Advance(6 * time.Second)
			if all := must[[]meet.Recording](t)(victim.Recordings(ctx)); len(all) != 1 || all[0].ID != id {
				t.Errorf("shown %+v", all)
			}
		})
	})
}

// TestRefusalIsBound covers REC-5: who refused one recording isn't shown as having refused another. Twin: they are.
func TestRefusalIsBound(t *testing.T) {
	twin(t, "anyConsent", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			r := must[*meettest.Member](t)(w.Create(ctx, "recorder", config))
			other := must[*meettest.Member](t)(w.Join(ctx, "other", r, config))
			a := must[*meettest.Member](t)(w.Join(ctx, "a", r, config))
			connected(t, ctx, r, other, a)
			w.Advance(5 * time.Second)
			ok(t, r.AskToRecord(ctx))
			ok(t, other.AskToRecord(ctx))
			w.Advance(time.Second)
			ok(t, answerTo(ctx, a, self(t, ctx, r).Identity, false))
			w.Advance(time.Second)
			for _, rec := range must[[]meet.Recording](t)(other.Recordings(ctx)) {
				if named := len(rec.Refused) > 0; named != (rec.By.Name == "recorder" || !protected) {
					t.Errorf("of %s's: a is shown as having refused: %v", rec.By.Name, named)
				}
			}
		})
	})
}

// TestRecordingRefused covers REC-5: who asked, and all others, are shown who refused, and who hasn't answered; a refusal
// is for one recording of one member's, ends with a consent, and a withdrawal is one.
func TestRecordingRefused(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		r := must[*meettest.Member](t)(w.Create(ctx, "recorder", open()))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", r, meet.Config{}))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", r, meet.Config{}))
		connected(t, ctx, r, a, b)
		w.Advance(5 * time.Second)
		by := self(t, ctx, r).Identity
		refused := func(what string, lacking int, who ...*meettest.Member) {
			t.Helper()
			w.Advance(time.Second)
			var want []crypto.IdentityKey
			for _, m := range who {
				want = append(want, self(t, ctx, m).Identity)
			}
			for _, m := range []*meettest.Member{r, a, b} {
				rec := must[[]meet.Recording](t)(m.Recordings(ctx))[0]
				if !slices.Equal(rec.Refused, want) || len(rec.Lacking) != lacking {
					t.Errorf("%s: %s is shown that %d refused, %d lack", what, m.Host, len(rec.Refused), len(rec.Lacking))
				}
			}
		}
		ok(t, r.AskToRecord(ctx))
		refused("asked", 2)
		ok(t, answerTo(ctx, a, by, false))
		ok(t, answerTo(ctx, a, by, false)) // once is enough
		refused("a refuses", 2, a)
		if e := last[meet.RecordingChanged](t, r); len(e.Recording.Refused) != 1 {
			t.Errorf("who asks is told %+v", e)
		}
		ok(t, answerTo(ctx, a, by, true))
		refused("a thinks again", 1)
		ok(t, answerTo(ctx, b, by, true))
		refused("both consent", 0)
		ok(t, answerTo(ctx, b, by, false))
		refused("b withdraws", 1, b)
		ok(t, r.StopRecording(ctx))
		ok(t, r.AskToRecord(ctx))
		refused("asked anew", 2)
	})
}

// TestConsentNamesRecording covers REC-6: an answer that comes when the recording that was asked about is over, and its
// maker asks for another, is no answer to that. Twin: it is.
func TestConsentNamesRecording(t *testing.T) {
	twin(t, "anyRecording", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			r := must[*meettest.Member](t)(w.Create(ctx, "recorder", open()))
			a := must[*meettest.Member](t)(w.Join(ctx, "a", r, config))
			connected(t, ctx, r, a)
			w.Advance(5 * time.Second)
			ok(t, r.AskToRecord(ctx))
			w.Advance(time.Second)
			asked := must[[]meet.Recording](t)(a.Recordings(ctx))[0]
			ok(t, r.StopRecording(ctx))
			ok(t, r.AskToRecord(ctx))
			w.Advance(time.Second)
			err := a.ConsentToRecording(ctx, asked, true)
			if protected != errors.Is(err, meet.ErrNoRecording) {
				t.Error(err)
			}
			w.Advance(time.Second)
			if s, _ := recordingOf(t, ctx, r); (s == meet.RecordingRunning) == protected {
				t.Errorf("the other recording is %q", s)
			}
		})
	})
}
