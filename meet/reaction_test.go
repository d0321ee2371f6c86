package meet_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestReaction: a reaction is shown once to all who are there, and to nobody later; nothing of it is kept.
func TestReaction(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		config := open()
		config.Policy.Viewers = 0
		host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, meet.Config{}))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{}))
		bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.With(meet.Config{}, "unpermitted")))
		connected(t, ctx, host, a, b, bad)
		for _, m := range []*meettest.Member{b, bad} {
			ok(t, host.SetRole(ctx, self(t, ctx, m).Identity, meet.Viewer))
		}
		w.Advance(5 * time.Second)
		if err := b.React(ctx, "👍"); !errors.Is(err, meet.ErrNotPermitted) {
			t.Errorf("a viewer: %v", err)
		}
		if err := a.React(ctx, "no"); !errors.Is(err, meet.ErrNotReaction) {
			t.Errorf("a word: %v", err)
		}
		ok(t, bad.React(ctx, "👎")) // ROS-22
		ok(t, a.React(ctx, "👍"))
		ok(t, a.React(ctx, "🎉")) // in the same millisecond
		w.Advance(2 * time.Second)
		late := must[*meettest.Member](t)(w.Join(ctx, "late", host, meet.Config{}))
		connected(t, ctx, host, a, b, bad, late)
		w.Advance(5 * time.Second)
		for m, want := range map[*meettest.Member]int{host: 2, b: 2, bad: 2, late: 0} {
			got := events[meet.Reaction](m)
			if len(got) != want || want > 0 && (got[0].Text+got[1].Text != "👍🎉" || got[0].From.Name != "a" || got[0].Time.IsZero()) {
				t.Errorf("%s was shown %+v", m.Host, got)
			}
		}
		if held := must[meet.Held](t)(a.Held(ctx)); held.Outbox != 0 {
			t.Errorf("%d are kept", held.Outbox)
		}
		n := 0
		for ; n < 20 && a.React(ctx, "👏") == nil; n++ {
		}
		if err := a.React(ctx, "👏"); n != 8 || !errors.Is(err, meet.ErrTooOften) {
			t.Errorf("%d at once, then %v", n, err)
		}
	})
}

// TestReactionForged covers MSG-6 and MSG-7: a changed client can show no text that isn't one visible character, nor
// flood the others, nor can a reader seal an old reaction of somebody else's again. The twin shows all of it.
func TestReactionForged(t *testing.T) {
	t.Parallel()
	twin(t, "anyReaction", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			connected(t, ctx, host, bad, victim)
			ok(t, host.Say(ctx, "x")) // so that there are keys
			ok(t, bad.Say(ctx, "x"))
			w.Advance(5 * time.Second)
			shown := func(what string, want, without int, f func()) {
				t.Helper()
				w.Advance(10 * time.Second)
				before := len(events[meet.Reaction](victim))
				f()
				w.Advance(time.Second)
				if n := len(events[meet.Reaction](victim)) - before; protected && n != want || !protected && n != without {
					t.Errorf("%s: the victim was shown %d", what, n)
				}
			}
			sign := func(by *meettest.Member, at time.Time, text string) []byte {
				return must[[]byte](t)(crypto.SignMessage(by.Incarnation(), crypto.StreamReaction, crypto.NewMessageID(), at, []byte(text)))
			}
			inject := func(of *meettest.Member, signed []byte) {
				ok(t, bad.InjectGossip(must[[]byte](t)(of.Reseal(ctx, crypto.StreamReaction, signed))))
			}
			shown("what isn't one character", 0, 3, func() {
				for i, text := range []string{"\u202e👍", "I agree", "👍\n👍"} {
					inject(bad, sign(bad, time.Now().Add(time.Duration(i)*time.Millisecond), text))
				}
			})
			shown("a flood", 8, 100, func() {
				for i := range 100 {
					inject(bad, sign(bad, time.Now().Add(time.Duration(i)*time.Millisecond), "👍"))
				}
			})
			yes := sign(host, time.Now(), "👍")
			shown("control: the first time", 1, 1, func() { inject(host, yes) })
			shown("sealed again by a reader", 0, 1, func() { inject(host, yes) })
			shown("by pair session", 0, 0, func() {
				ok(t, host.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Resend: &meet.ResentMessage{Stream: crypto.StreamReaction, Signed: sign(host, time.Now(), "👍")}}))
			})
		})
	})
}

// TestRequestMute covers MUT-1 and MUT-2: only hosts can ask, not without end, and nothing happens to what is sent. The
// twin reports whoever asks.
func TestRequestMute(t *testing.T) {
	twin(t, "anyAsker", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			loud := must[*meettest.Member](t)(w.Join(ctx, "loud", host, config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			connected(t, ctx, host, loud, bad)
			tone := must[*meettest.Tone](t)(loud.PublishTone(ctx, 60))
			defer tone.Stop()
			who := self(t, ctx, loud).Identity
			ok(t, host.RequestMute(ctx, who, meet.SourceMicrophone))
			w.Advance(time.Second)
			got := events[meet.MuteRequested](loud)
			if len(got) != 1 || got[0].By.Name != "host" || got[0].Source != meet.SourceMicrophone {
				t.Fatalf("asked: %+v", got)
			}
			if tone.Publication.Muted() {
				t.Error("it was muted by somebody else")
			}
			ok(t, crossed(ctx, w, loud, host, time.Second))
			for name, c := range map[string]struct{ got, want error }{
				"by a participant": {bad.RequestMute(ctx, who, meet.SourceMicrophone), meet.ErrNotPermitted},
				"to oneself":       {host.RequestMute(ctx, self(t, ctx, host).Identity, meet.SourceCamera), meet.ErrNoSuchMember},
				"to nobody":        {host.RequestMute(ctx, crypto.IdentityKey{}, meet.SourceCamera), meet.ErrNoSuchMember},
				"no source":        {host.RequestMute(ctx, who, 0), meet.ErrUnsupportedTrack},
			} {
				if !errors.Is(c.got, c.want) {
					t.Errorf("%s: %v", name, c.got)
				}
			}
			for _, source := range []meet.Source{meet.SourceCamera, 0, 99} { // by a changed client
				ok(t, bad.InjectMessage(ctx, loud.Incarnation().Key(), meet.PairMessage{Mute: &meet.MuteRequest{Source: source}}))
			}
			w.Advance(time.Second)
			if n := len(events[meet.MuteRequested](loud)); protected && n != 1 || !protected && n != 2 {
				t.Errorf("asked by who isn't a host: %d", n-1)
			}
		})
	})
}

// TestRequestMuteFlood covers MUT-2. The twin reports each.
func TestRequestMuteFlood(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			loud := must[*meettest.Member](t)(w.Join(ctx, "loud", host, config))
			connected(t, ctx, host, loud)
			w.Advance(time.Second)
			for range 50 {
				ok(t, host.InjectMessage(ctx, loud.Incarnation().Key(), meet.PairMessage{Mute: &meet.MuteRequest{Source: meet.SourceCamera}}))
			}
			w.Advance(11 * time.Second)
			ok(t, host.InjectMessage(ctx, loud.Incarnation().Key(), meet.PairMessage{Mute: &meet.MuteRequest{Source: meet.SourceCamera}}))
			w.Advance(time.Second)
			if n := len(events[meet.MuteRequested](loud)); protected && n != 5 || !protected && n != 51 {
				t.Errorf("asked %d times", n)
			}
			var err error
			asked := 0
			for ; err == nil; asked++ {
				err = host.RequestMute(ctx, self(t, ctx, loud).Identity, meet.SourceCamera)
			}
			if !errors.Is(err, meet.ErrTooOften) || asked != 5 {
				t.Error(fmt.Sprint("at once ", asked, ": ", err))
			}
		})
	})
}
