package meet_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// far is a rendezvous beyond the local network.
type far struct{ meet.Rendezvous }

// parties are those of a kind.
func parties(e meet.Exposure, kind meet.PartyKind) (all []meet.Party) {
	for _, p := range e.Parties {
		if p.Party.Kind == kind {
			all = append(all, p.Party)
		}
	}
	return all
}

// TestExposureOfSearch: who was asked in vain where the meeting is saw that too, and who carries a reply code what is in it.
//
// Checks: EXP-4.
func TestExposureOfSearch(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, behind(t, w, "inviter", transporttest.PortRestricted, open())))
		defer func() { _ = inviter.Close() }()
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		b := newBoard()
		j := joinWithReply(ctx, invite, behind(t, w, "joiner", transporttest.Public, meet.Config{Rendezvous: []meet.Rendezvous{far{b}}}))
		ok(t, inviter.Reply(ctx, j.reply(t)))
		<-j.done
		ok(t, j.err)
		defer func() { _ = j.m.Close() }()
		if b.questions() == 0 {
			t.Fatal("the rendezvous wasn't asked")
		}
		e := must[meet.Exposure](t)(j.m.Exposure(ctx))
		if len(parties(e, meet.PartyDHT)) == 0 {
			t.Error("who was asked isn't named")
		}
		if o := exposed(t, e, meet.PartyCarrier, crypto.IdentityKey{}); o[meet.DatumAddress].Seen != meet.SeenClear ||
			o[meet.DatumInvite].Seen != meet.SeenNot {
			t.Errorf("who carried the reply code: %+v", o)
		}
	})
}

// TestExposureOfAsking: a member that nobody answers any more looks for the others, and says so.
//
// Checks: EXP-4.
func TestExposureOfAsking(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		b := newBoard()
		creator := must[*meettest.Member](t)(w.Create(ctx, "creator", open()))
		m := must[*meettest.Member](t)(w.Join(ctx, "member", creator, found(far{b})))
		connected(t, ctx, creator, m)
		if len(parties(must[meet.Exposure](t)(m.Exposure(ctx)), meet.PartyDHT)) > 0 {
			t.Fatal("it was asked too soon")
		}
		ok(t, creator.Close())
		w.Advance(45 * time.Second)
		if b.questions() == 0 {
			t.Fatal("the rendezvous wasn't asked")
		}
		if len(parties(must[meet.Exposure](t)(m.Exposure(ctx)), meet.PartyDHT)) == 0 {
			t.Error("who was asked isn't named")
		}
	})
}

// TestExposureOfKnock: packets were exchanged with somebody who knocked and went again, so that others could read them.
//
// Checks: EXP-4.
func TestExposureOfKnock(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", meet.Config{}))
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		knocking, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if _, err := w.JoinBy(knocking, "visitor", invite, meet.Config{}); err == nil {
			t.Fatal("the visitor was let in")
		}
		e := must[meet.Exposure](t)(host.Exposure(ctx))
		watched := slices.ContainsFunc(parties(e, meet.PartyObserver), func(p meet.Party) bool {
			return slices.ContainsFunc(p.Addresses, func(a netip.Addr) bool { return a.IsGlobalUnicast() })
		})
		if !watched || len(parties(e, meet.PartyNetwork)) == 0 {
			t.Errorf("nobody could see the packets of the knock: %+v", e.Parties)
		}
	})
}
