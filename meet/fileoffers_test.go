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

// TestFileRefused covers FIL-11: who offers a file is told who refuses it, once each, also over a cut; who refused may
// think again.
func TestFileRefused(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		a, b, c := all[0], all[1], all[2]
		own := must[meet.FileOffer](t)(a.OfferFile(ctx, source("x", content(9_000)), crypto.IdentityKey{}))
		offered(t, ctx, b, "x")
		offered(t, ctx, c, "x")
		ok(t, b.RefuseFile(ctx, own.ID))
		ok(t, b.RefuseFile(ctx, own.ID))
		w.Advance(time.Second)
		if got := events[meet.FileRefused](a); len(got) != 1 || got[0].By.Name != "member1" || got[0].Offer.ID != own.ID {
			t.Errorf("told %+v", got)
		}
		w.Network.Partition([]string{"member0"}, []string{"member2"})
		w.Advance(20 * time.Second)
		ok(t, c.RefuseFile(ctx, own.ID))
		w.Advance(5 * time.Second)
		w.Network.Heal()
		w.Advance(30 * time.Second)
		if got := events[meet.FileRefused](a); len(got) != 2 || got[1].By.Name != "member2" {
			t.Errorf("after a cut, told %+v", got)
		}
		ok(t, over(t, ctx, receive(t, ctx, b, own, &memory{})))
		for what, err := range map[string]error{
			"one's own": a.RefuseFile(ctx, own.ID), "none": b.RefuseFile(ctx, meet.FileID{1}),
		} {
			if !errors.Is(err, meet.ErrFileGone) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got := events[meet.FileRefused](b); len(got) != 0 {
			t.Errorf("somebody else was told %+v", got)
		}
	})
}

// TestFileRefusedByNobody covers FIL-11: a refusal by somebody to whom the file wasn't offered isn't reported, nor the
// same a second time. Twin: they are.
func TestFileRefusedByNobody(t *testing.T) {
	twin(t, "anyRefusal", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", a, meet.Config{}))
			connected(t, ctx, a, b, bad)
			own := must[meet.FileOffer](t)(a.OfferFile(ctx, source("for b", content(10)), self(t, ctx, b).Identity))
			offered(t, ctx, b, "for b")
			for range 50 {
				ok(t, bad.InjectMessage(ctx, a.Incarnation().Key(), meet.PairMessage{FileRefused: &meet.FileDecline{File: own.ID}}))
				ok(t, b.InjectMessage(ctx, a.Incarnation().Key(), meet.PairMessage{FileRefused: &meet.FileDecline{File: own.ID}}))
			}
			w.Advance(time.Second)
			by := map[string]int{}
			for _, e := range events[meet.FileRefused](a) {
				by[e.By.Name]++
			}
			if protected && (by["b"] != 1 || by["bad"] != 0) || !protected && (by["b"] < 2 || by["bad"] == 0) {
				t.Errorf("reported %v", by)
			}
		})
	})
}

// TestFileForNewcomers covers FIL-12: who comes later is told of what is offered to newcomers, and can have it; so is
// whoever comes back with another incarnation, of all that was offered to them.
func TestFileForNewcomers(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		id := crypto.GenerateIdentity()
		a := must[*meettest.Member](t)(w.Create(ctx, "a", open()))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{Identity: id}))
		connected(t, ctx, a, b)
		for i := range 20 {
			f := source(fmt.Sprint("for all ", i), content(5_000))
			f.Newcomers = true
			must[meet.FileOffer](t)(a.OfferFile(ctx, f, crypto.IdentityKey{}))
		}
		must[meet.FileOffer](t)(a.OfferFile(ctx, source("for those here", content(10)), crypto.IdentityKey{}))
		must[meet.FileOffer](t)(a.OfferFile(ctx, source("for b", content(10)), id.Public()))
		f := source("withdrawn", content(10))
		f.Newcomers = true
		gone := must[meet.FileOffer](t)(a.OfferFile(ctx, f, crypto.IdentityKey{}))
		w.Advance(3 * time.Second)
		ok(t, a.WithdrawFile(ctx, gone.ID))
		w.Advance(3 * time.Second)

		late := must[*meettest.Member](t)(w.Join(ctx, "late", a, meet.Config{}))
		w.Advance(5 * time.Second)
		files := must[[]meet.FileOffer](t)(late.Files(ctx))
		if len(files) != 20 || len(events[meet.FileOffered](late)) != 20 {
			t.Errorf("who came later is offered %d, by %d events", len(files), len(events[meet.FileOffered](late)))
		}
		dst := &memory{}
		ok(t, over(t, ctx, receive(t, ctx, late, offered(t, ctx, late, "for all 7"), dst)))
		if dst.len() != 5_000 {
			t.Errorf("%d bytes", dst.len())
		}
		if n := len(events[meet.FileOffered](b)); n != 23 {
			t.Errorf("b was shown %d offers", n)
		}
		w.Crash(b)
		b = must[*meettest.Member](t)(w.Join(ctx, "b2", a, meet.Config{Identity: id}))
		w.Advance(5 * time.Second)
		if n := len(must[[]meet.FileOffer](t)(b.Files(ctx))); n != 22 {
			t.Errorf("who is back is offered %d", n)
		}
		ok(t, over(t, ctx, receive(t, ctx, b, offered(t, ctx, b, "for b"), &memory{})))
		if held := must[meet.Held](t)(a.Held(ctx)); held.Outbox != 0 {
			t.Errorf("%d messages are kept", held.Outbox)
		}
	})
}

// TestFileNotForNewcomers covers FIL-12: what was offered to those who were in isn't told to who comes later, who can't
// have it either. Twin: it is, and they can.
func TestFileNotForNewcomers(t *testing.T) {
	twin(t, "everyNewcomer", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
			connected(t, ctx, a, b)
			own := must[meet.FileOffer](t)(a.OfferFile(ctx, source("x", content(10)), crypto.IdentityKey{}))
			offered(t, ctx, b, "x")
			late := must[*meettest.Member](t)(w.Join(ctx, "late", a, meet.Config{}))
			w.Advance(5 * time.Second)
			if told := len(events[meet.FileOffered](late)) > 0; told == protected {
				t.Errorf("told: %v", told)
			}
			ok(t, late.KnowFile(ctx, own))
			if err := over(t, ctx, receive(t, ctx, late, own, &memory{})); protected != errors.Is(err, meet.ErrFileGone) {
				t.Error(err)
			}
		})
	})
}

// TestFileOrder covers FIL-13: a request or a refusal that comes after a newer request is ignored. Twin: it counts.
func TestFileOrder(t *testing.T) {
	twin(t, "anyOrder", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
			connected(t, ctx, a, b)
			must[meet.FileOffer](t)(a.OfferFile(ctx, source("x", content(1_000)), crypto.IdentityKey{}))
			o := offered(t, ctx, b, "x")
			to := a.Incarnation().Key()
			first, second := must[[]byte](t)(b.SealAsk(ctx, o)), must[[]byte](t)(b.SealAsk(ctx, o))
			must[[]byte](t)(b.AskRaw(ctx, to, second))
			if _, err := b.AskRaw(ctx, to, first); (err != nil) != protected {
				t.Errorf("the older request: %v", err)
			}
			for number, counts := range []bool{!protected, !protected, true} {
				done := len(events[meet.FileDone](a)) + len(events[meet.FileRefused](a))
				ok(t, b.InjectMessage(ctx, to, meet.PairMessage{FileRefused: &meet.FileDecline{File: o.ID, Number: uint64(number)}}))
				w.Advance(time.Second)
				if told := len(events[meet.FileDone](a)) + len(events[meet.FileRefused](a)); (told > done) != counts && protected {
					t.Errorf("a refusal after request %d counts: %v", number, told > done)
				}
			}
		})
	})
}
