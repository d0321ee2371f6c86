package meet_test

import (
	"context"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// exposed returns what the exposure says of a member, or of the first party of a kind if who is zero.
func exposed(t *testing.T, e meet.Exposure, kind meet.PartyKind, who crypto.IdentityKey) map[meet.Datum]meet.Observation {
	t.Helper()
	for _, p := range e.Parties {
		if p.Party.Kind == kind && (who.IsZero() || p.Party.Identity == who) {
			all := map[meet.Datum]meet.Observation{}
			for _, o := range p.Observations {
				all[o.Datum] = o
			}
			return all
		}
	}
	t.Fatalf("no %s among %d parties", kind, len(e.Parties))
	return nil
}

// TestExposure: who could observe what follows what was sent to whom: one member hears and reads all, one nothing but a
// private message since all else was before, one is gone.
//
// Checks: EXP-1, EXP-2, EXP-3.
func TestExposure(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		early := must[*meettest.Member](t)(w.Join(ctx, "early", host, meet.Config{}))
		gone := must[*meettest.Member](t)(w.Join(ctx, "gone", host, meet.Config{}))
		connected(t, ctx, host, early, gone)
		ok(t, host.Say(ctx, "to all"))
		tone := must[*meettest.Tone](t)(host.PublishTone(ctx, 80))
		w.Advance(2 * time.Second)
		tone.Stop()
		ids := map[string]crypto.IdentityKey{}
		for name, m := range map[string]*meettest.Member{"early": early, "gone": gone} {
			ids[name] = self(t, ctx, m).Identity
		}
		ok(t, gone.Leave(ctx))
		w.Advance(time.Second)
		late := must[*meettest.Member](t)(w.Join(ctx, "late", host, meet.Config{}))
		connected(t, ctx, host, early, late)
		ids["late"] = self(t, ctx, late).Identity
		ok(t, host.SayTo(ctx, ids["late"], "between us"))
		w.Advance(time.Second)

		e := must[meet.Exposure](t)(host.Exposure(ctx))
		want := func(who string, d meet.Datum, s meet.Seen, why meet.SeenCause) {
			t.Helper()
			if got := exposed(t, e, meet.PartyMember, ids[who])[d]; got.Seen != s || got.Why != why {
				t.Errorf("%s: %+v, want %s, %s", who, got, s, why)
			}
		}
		for _, who := range []string{"early", "gone"} {
			want(who, meet.DatumChat, meet.SeenClear, meet.CauseTold)
			want(who, meet.DatumMedia, meet.SeenClear, meet.CauseTold)
			want(who, meet.DatumSpeaking, meet.SeenClear, meet.CauseTold)
			want(who, meet.DatumPrivateChat, meet.SeenNot, meet.CauseNotAddressed)
			want(who, meet.DatumAddress, meet.SeenClear, meet.CausePacket)
		}
		want("late", meet.DatumChat, meet.SeenNot, meet.CauseTooEarly)
		want("late", meet.DatumMedia, meet.SeenNot, meet.CauseTooEarly)
		want("late", meet.DatumPrivateChat, meet.SeenClear, meet.CauseTold)
		want("late", meet.DatumFiles, meet.SeenNot, meet.CauseNothing)
		if got := heard(late); got["to all"] != 0 || got["*between us"] != 1 {
			t.Errorf("who came late was shown %v", got)
		}
		if got := exposed(t, e, meet.PartyNetwork, crypto.IdentityKey{}); got[meet.DatumChat].Why != meet.CauseSealed ||
			got[meet.DatumSpeaking].Seen != meet.SeenPattern {
			t.Errorf("the local network: %+v", got)
		}
		exposed(t, e, meet.PartyCarrier, crypto.IdentityKey{})
		for _, p := range e.Parties {
			if p.Party.Kind == meet.PartyObserver && len(p.Party.Addresses) == 0 {
				t.Errorf("an observer of no link: %+v", p.Party)
			}
			if p.Party.Kind == meet.PartyMember && p.Party.Gone != (p.Party.Identity == ids["gone"]) {
				t.Errorf("gone: %+v", p.Party)
			}
		}
		ok(t, host.Leave(ctx))
		if after := must[meet.Exposure](t)(host.Exposure(ctx)); len(after.Parties) != len(e.Parties) {
			t.Errorf("after the end: %d parties, %d before", len(after.Parties), len(e.Parties))
		}
	})
}
