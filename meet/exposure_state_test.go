package meet_test

import (
	"context"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestExposureOfState: what a member says by its state was observed by whom it was told to, and not by who came after: a
// raised hand, what it answers to a recording, and streams of which nothing is sent; and a request to mute by whom it was
// for.
//
// Checks: EXP-3.
func TestExposureOfState(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		early := must[*meettest.Member](t)(w.Join(ctx, "early", host, meet.Config{}))
		other := must[*meettest.Member](t)(w.Join(ctx, "other", host, meet.Config{}))
		connected(t, ctx, host, early, other)
		w.Advance(time.Second)
		want := func(when string, by, who *meettest.Member, d meet.Datum, s meet.Seen, why meet.SeenCause) {
			t.Helper()
			e := must[meet.Exposure](t)(by.Exposure(ctx))
			if got := exposed(t, e, meet.PartyMember, self(t, ctx, who).Identity)[d]; got.Seen != s || got.Why != why {
				t.Errorf("%s, of %s: %s: %+v, want %s, %s", when, by.Host, who.Host, got, s, why)
			}
			seen := meet.CauseSealed
			if why == meet.CauseNothing {
				seen = meet.CauseNothing
			}
			if got := exposed(t, e, meet.PartyNetwork, crypto.IdentityKey{})[d]; got.Seen != meet.SeenNot || got.Why != seen {
				t.Errorf("%s, of %s: the local network: %+v, want %s", when, by.Host, got, seen)
			}
		}
		for _, d := range []meet.Datum{meet.DatumChat, meet.DatumPrivateChat, meet.DatumMedia} {
			want("before", host, early, d, meet.SeenNot, meet.CauseNothing)
		}
		ok(t, host.RaiseHand(ctx, true))
		w.Advance(time.Second)
		want("a hand", host, early, meet.DatumChat, meet.SeenClear, meet.CauseTold)
		want("a hand", host, other, meet.DatumChat, meet.SeenClear, meet.CauseTold)
		want("a hand", early, host, meet.DatumChat, meet.SeenNot, meet.CauseNothing)

		ok(t, host.RequestMute(ctx, self(t, ctx, early).Identity, meet.SourceMicrophone))
		want("a request to mute", host, early, meet.DatumPrivateChat, meet.SeenClear, meet.CauseTold)
		want("a request to mute", host, other, meet.DatumPrivateChat, meet.SeenNot, meet.CauseNotAddressed)

		ok(t, host.AskToRecord(ctx))
		w.Advance(time.Second)
		asked := must[[]meet.Recording](t)(early.Recordings(ctx))
		ok(t, early.ConsentToRecording(ctx, asked[0], true))
		w.Advance(time.Second)
		want("a consent", early, host, meet.DatumChat, meet.SeenClear, meet.CauseTold)
		want("a consent", other, host, meet.DatumChat, meet.SeenNot, meet.CauseNothing)

		picture := must[*camera](t)(newCamera())
		pub := must[*meet.Publication](t)(host.Publish(ctx, picture, meet.PublishOptions{Muted: true}))
		w.Advance(time.Second)
		want("a muted camera", host, early, meet.DatumMedia, meet.SeenPart, meet.CauseTold)
		ok(t, pub.Close())
		ok(t, host.StopRecording(ctx))
		ok(t, host.RaiseHand(ctx, false))
		w.Advance(time.Second)
		late := must[*meettest.Member](t)(w.Join(ctx, "late", host, meet.Config{}))
		connected(t, ctx, host, early, other, late)
		w.Advance(5 * time.Second)
		want("all over", host, early, meet.DatumChat, meet.SeenClear, meet.CauseTold)
		want("all over", host, early, meet.DatumMedia, meet.SeenPart, meet.CauseTold)
		want("all over", host, late, meet.DatumChat, meet.SeenNot, meet.CauseTooEarly)
		want("all over", host, late, meet.DatumMedia, meet.SeenNot, meet.CauseTooEarly)
	})
}
