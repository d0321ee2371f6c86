package meet_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
)

// seenBy is how a member shows a person.
func seenBy(t *testing.T, ctx context.Context, m *meettest.Member, name string) meet.Member {
	t.Helper()
	for _, v := range must[[]meet.Member](t)(m.Members(ctx)) {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("%s doesn't see %s", m.Host, name)
	return meet.Member{}
}

// changes counts the MemberChanged events about a person that match.
func changes(m *meettest.Member, match func(meet.Member) bool) (n int) {
	for _, e := range events[meet.MemberChanged](m) {
		if match(e.Member) {
			n++
		}
	}
	return n
}

// TestHand: a raised hand is seen by all, also by who comes later, as long as it is up, and goes with its incarnation.
func TestHand(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		id := crypto.GenerateIdentity()
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, meet.Config{Identity: id}))
		connected(t, ctx, host, a)
		up := time.Now()
		ok(t, a.RaiseHand(ctx, true))
		if v := self(t, ctx, a); !v.HandRaised.Equal(up.Truncate(time.Millisecond)) {
			t.Errorf("to oneself: %v", v.HandRaised)
		}
		w.Advance(time.Second)
		ok(t, a.RaiseHand(ctx, true)) // it stays up since then
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{}))
		connected(t, ctx, host, a, b)
		w.Advance(500 * time.Millisecond)
		for _, m := range []*meettest.Member{host, b} {
			if v := seenBy(t, ctx, m, "a"); !v.HandRaised.Equal(up.Truncate(time.Millisecond)) {
				t.Errorf("to %s: %v", m.Host, v.HandRaised)
			}
			if n := changes(m, func(v meet.Member) bool { return v.Name == "a" && !v.HandRaised.IsZero() }); n == 0 {
				t.Errorf("%s wasn't told", m.Host)
			}
		}
		w.Crash(a)
		w.Advance(time.Second)
		a = must[*meettest.Member](t)(w.Join(ctx, "a2", host, meet.Config{Identity: id, Name: "a"}))
		connected(t, ctx, host, a, b)
		if v := seenBy(t, ctx, b, "a"); !v.HandRaised.IsZero() {
			t.Errorf("another incarnation's hand is up since %v", v.HandRaised)
		}
		ok(t, a.RaiseHand(ctx, true))
		w.Advance(time.Second)
		ok(t, a.RaiseHand(ctx, false))
		w.Advance(time.Second)
		if v := seenBy(t, ctx, host, "a"); !v.HandRaised.IsZero() || changes(host, func(v meet.Member) bool { return v.Name == "a" && !v.HandRaised.IsZero() }) < 2 {
			t.Errorf("lowered, it is up since %v", v.HandRaised)
		}
	})
}

// TestSends covers STA-2: what a member sends, muted or not, is shown to all and to itself, and what the policy takes
// from it isn't; from a changed client neither. The twin shows all that is announced.
func TestSends(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, meet.Config{}))
		bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.With(meet.Config{}, "unpermitted")))
		twin := must[*meettest.Member](t)(w.Join(ctx, "twin", host, meet.With(meet.Config{}, "allPermitted")))
		connected(t, ctx, host, a, bad, twin)
		is := func(what string, m *meettest.Member, name string, want ...meet.SentStream) {
			t.Helper()
			w.Advance(time.Second)
			if got := seenBy(t, ctx, m, name).Sends; !slices.Equal(got, want) {
				t.Errorf("%s: %s shows that %s sends %v", what, m.Host, name, got)
			}
		}
		all := []*meettest.Member{host, a, twin}
		for _, m := range all {
			is("before", m, "a")
		}
		tone := must[*meettest.Tone](t)(a.PublishTone(ctx, 60))
		defer tone.Stop()
		badTone := must[*meettest.Tone](t)(bad.PublishTone(ctx, 60))
		defer badTone.Stop()
		microphone := meet.SentStream{Source: meet.SourceMicrophone}
		for _, m := range all {
			is("publishes", m, "a", microphone)
			is("publishes", m, "bad", microphone)
			if changes(m, func(v meet.Member) bool { return v.Name == "a" && len(v.Sends) == 1 }) == 0 {
				t.Errorf("%s wasn't told", m.Host)
			}
		}
		tone.Publication.Mute(true)
		muted := microphone
		muted.Muted = true
		for _, m := range all {
			is("mutes", m, "a", muted)
		}
		policy := open().Policy
		policy.Members = roster.Chat
		ok(t, host.SetPolicy(ctx, policy))
		for _, m := range all {
			is("may not", m, "a")
		}
		is("may not, and does", host, "bad")
		is("twin: may not, and does", twin, "bad", microphone)
		ok(t, host.SetPolicy(ctx, open().Policy))
		for _, m := range all {
			is("may again", m, "a", muted)
		}
		is("may again", host, "bad", microphone)
	})
}

// TestAlteredState covers STR-1: what has the number and signature of the announcement before is that one, and nothing
// else it says is taken: nobody verified it. The twin takes it.
func TestAlteredState(t *testing.T) {
	twin(t, "repeatedState", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			connected(t, ctx, host, bad, victim)
			ok(t, bad.RaiseHand(ctx, true))
			ok(t, bad.RaiseHand(ctx, false))
			w.Advance(time.Second)
			ok(t, bad.InjectAltered(ctx, victim.Incarnation().Key()))
			w.Advance(time.Second)
			if up := !seenBy(t, ctx, victim, "bad").HandRaised.IsZero(); up == protected {
				t.Errorf("an unsigned announcement was taken: %v", up)
			}
		})
	})
}

// TestStateAfterReconnection: who has just come and whose connection was replaced, so that what it was told may be lost,
// is told again as soon as media can reach it.
func TestStateAfterReconnection(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		must[*meettest.Tone](t)(host.PublishTone(ctx, 80))
		var told counter
		guest := must[*meettest.Member](t)(w.Join(ctx, "guest", host, meet.OnPair(meet.Config{}, func(_ crypto.MeetingKey, msg meet.PairMessage) {
			if msg.State != nil {
				told.add("state")
			}
		})))
		connected(t, ctx, host, guest)
		w.Advance(time.Second)
		before := told.of("state")
		if before == 0 {
			t.Fatal("not told at all")
		}
		ok(t, host.GreetWithoutMedia(ctx, guest.Incarnation().Key()))
		w.Advance(time.Second)
		if told.of("state") == before {
			t.Error("not told again")
		}
	})
}
