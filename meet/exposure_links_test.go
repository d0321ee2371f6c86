package meet_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestExposureOfOthersLink: a host whose address stands in another's link is told that whoever carries it observes that;
// one that can't be named is not.
//
// Checks: EXP-3.
func TestExposureOfOthersLink(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		first := must[*meettest.Member](t)(w.Create(ctx, "first", open()))
		link := must[meet.Invite](t)(first.Invite(ctx, meet.InviteOptions{}))
		author := must[*meet.Meeting](t)(meet.Join(ctx, link, behind(t, w, "author", transporttest.PortRestricted, meet.Config{})))
		defer func() { _ = author.Close() }()
		named := must[*meettest.Member](t)(w.JoinBy(ctx, "named", link, meet.Config{}))
		plain := must[*meettest.Member](t)(w.JoinBy(ctx, "plain", link, meet.Config{}))
		awaitConnected(t, ctx, author, 4)
		for _, m := range []*meettest.Member{first, named, plain} {
			awaitConnected(t, ctx, m.Meeting, 4)
		}
		for _, m := range must[[]meet.Member](t)(author.Members(ctx)) {
			if m.Self || m.Identity == self(t, ctx, named).Identity {
				ok(t, first.SetRole(ctx, m.Identity, meet.Host))
			}
		}
		w.Advance(2 * time.Second)
		carried := func(m *meettest.Member) bool {
			return slices.ContainsFunc(must[meet.Exposure](t)(m.Exposure(ctx)).Parties, func(p meet.PartyExposure) bool { return p.Party.Kind == meet.PartyCarrier })
		}
		if carried(named) {
			t.Error("somebody carries a link, before there is one that could name this host")
		}
		invite := must[meet.Invite](t)(author.Invite(ctx, meet.InviteOptions{}))
		if !slices.Contains(invite.Addresses(), named.IP()) {
			t.Fatalf("the link shows %v", invite.Addresses())
		}
		w.Advance(2 * time.Second)
		got := exposed(t, must[meet.Exposure](t)(named.Exposure(ctx)), meet.PartyCarrier, crypto.IdentityKey{})
		if got[meet.DatumAddress].Seen != meet.SeenClear || got[meet.DatumInvite].Seen != meet.SeenClear {
			t.Errorf("whoever carries it: %+v", got)
		}
		if carried(plain) {
			t.Error("who answers no door is said to be named")
		}
	})
}

// TestExposureOfInviteTold: who was given what it takes to answer a link's door has it, though the connection is gone by
// the time anybody looks.
//
// Checks: EXP-3, EXP-4.
func TestExposureOfInviteTold(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		gone := must[*meettest.Member](t)(w.Join(ctx, "gone", host, meet.Config{}))
		connected(t, ctx, host, gone)
		w.Advance(time.Second)
		id := self(t, ctx, gone).Identity
		w.Network.Partition([]string{"host"}, []string{"gone"})
		w.Advance(20 * time.Second)
		ok(t, host.Remove(ctx, id, false))
		w.Advance(time.Second)
		got := exposed(t, must[meet.Exposure](t)(host.Exposure(ctx)), meet.PartyMember, id)[meet.DatumInvite]
		if got.Seen != meet.SeenClear || got.Why != meet.CauseTold {
			t.Errorf("%+v", got)
		}
	})
}

// TestRelayToldAgain: what a member was told of relays may be lost with a connection, so it is told the same again.
//
// Checks: RLY-10.
func TestRelayToldAgain(t *testing.T) {
	tickets := watchTickets(t, relayURI(t, 1))
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		relayedPair(t, ctx, w, tickets)
		w.Advance(time.Second)
		before := len(tickets.of("guest"))
		w.Network.Partition([]string{"host"}, []string{"guest"})
		w.Advance(20 * time.Second)
		w.Network.Heal()
		w.Advance(20 * time.Second)
		all := tickets.of("guest")
		if before == 0 || len(all) == before || all[0].claim.Nonce != all[len(all)-1].claim.Nonce {
			t.Errorf("%d times, then %d: %+v", before, len(all), all)
		}
	})
}
