package meet_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestReach: the widest of a link's addresses says from where it can be reached.
func TestReach(t *testing.T) {
	for text, want := range map[string]meet.Reach{
		"127.0.0.1": meet.ReachMachine, "::1": meet.ReachMachine, "::ffff:127.0.0.1": meet.ReachMachine,
		"192.168.1.7": meet.ReachNetwork, "10.1.2.3": meet.ReachNetwork, "fd00::1": meet.ReachNetwork,
		"fe80::1": meet.ReachNetwork, "100.64.1.1": meet.ReachNetwork, "169.254.1.1": meet.ReachNetwork,
		"8.8.8.8": meet.ReachEverywhere, "2a00::1": meet.ReachEverywhere, "0.0.0.0": meet.ReachNowhere,
	} {
		if got := meet.ReachOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v, not %v", text, got, want)
		}
	}
	if r := (meet.Invite{}).Reach(); r != meet.ReachNowhere {
		t.Error(r)
	}
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		a := must[*meettest.Member](t)(w.Create(ctx, "a", open()))
		invite := must[meet.Invite](t)(a.Invite(ctx, meet.InviteOptions{}))
		addrs := invite.Addresses()
		if len(addrs) != 1 || addrs[0] != a.IP() || invite.Reach() != meet.ReachOf(a.IP()) {
			t.Errorf("%v, %v; the member is at %v", addrs, invite.Reach(), a.IP())
		}
	})
}
