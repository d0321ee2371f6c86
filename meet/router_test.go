package meet_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// routed returns a configuration on a new host whose own router can be asked.
func routed(t *testing.T, w *meettest.World, name string, c meet.Config) meet.Config {
	t.Helper()
	c.Name, c.AskRouter = name, true
	c.Network = must[*transporttest.Host](t)(w.Network.Host(name, transporttest.HostOptions{NAT: transporttest.FullCone, Router: true}))
	return c
}

// TestInviteAsksRouter: with Config.AskRouter the link leads through the inviter's own router, from everywhere.
func TestInviteAsksRouter(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, routed(t, w, "inviter", open())))
		defer func() { _ = inviter.Close() }()
		begun := time.Now()
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		if d := time.Since(begun); d > time.Second {
			t.Errorf("the link took %v", d)
		}
		all := invite.Reaches()
		if invite.Router() != meet.RouterMapped || invite.Reach() != meet.ReachEverywhere || len(all) != 2 ||
			all[0].By != meet.ByRouter || all[0].Reach != meet.ReachEverywhere || all[1].By != meet.ByInterface || all[1].Reach != meet.ReachNetwork {
			t.Errorf("%v, %v: %+v", invite.Router(), invite.Reach(), all)
		}
		sent := must[meet.Invite](t)(meet.ParseInvite(invite.String()))
		if got := sent.Reaches(); sent.Router() != meet.RouterNotAsked || len(got) != 2 || got[0].By != meet.ByInterface || sent.Reach() != meet.ReachEverywhere {
			t.Errorf("as it was sent: %+v", got)
		}
		for _, nat := range []transporttest.NAT{transporttest.Symmetric, transporttest.PortRestricted} {
			j := must[*meet.Meeting](t)(meet.Join(ctx, sent, behind(t, w, []string{"", "", "", "restricted", "symmetric"}[nat], nat, meet.Config{})))
			defer func() { _ = j.Close() }()
		}
		awaitConnected(t, ctx, inviter, 3)
	})
	// A router that doesn't answer holds the link up for two seconds, and it says so.
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		c := routed(t, w, "inviter", open())
		c.Network = silentRouter{c.Network.(*transporttest.Host)}
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, c))
		defer func() { _ = inviter.Close() }()
		begun := time.Now()
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		if d := time.Since(begun); d > 2100*time.Millisecond || invite.Reach() != meet.ReachNetwork {
			t.Errorf("the link took %v and reaches %v", d, invite.Reach())
		}
		w.Advance(time.Minute)
		if r := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{})).Router(); r != meet.RouterSilent {
			t.Error(r)
		}
	})
}

// TestAskRouter: the router can be asked later, when the user wants it; links made then lead through it.
func TestAskRouter(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		c := routed(t, w, "inviter", open())
		c.AskRouter = false
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, c))
		if i := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{})); i.Router() != meet.RouterNotAsked || i.Reach() != meet.ReachNetwork {
			t.Errorf("%v, %v", i.Router(), i.Reach())
		}
		if r := must[meet.Router](t)(inviter.AskRouter(ctx)); r != meet.RouterMapped {
			t.Error(r)
		}
		if i := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{})); i.Router() != meet.RouterMapped || i.Reach() != meet.ReachEverywhere {
			t.Errorf("%v, %v", i.Router(), i.Reach())
		}
		_ = inviter.Close()
		if _, err := inviter.AskRouter(ctx); err == nil {
			t.Error("a meeting that is over asked")
		}
	})
}

// TestReplyThroughRouter: a joiner who reaches nobody asks its own router, and is dialled there.
//
// Checks: RPL-4.
func TestReplyThroughRouter(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, behind(t, w, "inviter", transporttest.Symmetric, open())))
		defer func() { _ = inviter.Close() }()
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		j := joinWithReply(ctx, invite, routed(t, w, "joiner", meet.Config{}))
		ok(t, inviter.Reply(ctx, j.reply(t)))
		<-j.done
		ok(t, j.err)
		defer func() { _ = j.m.Close() }()
		awaitConnected(t, ctx, inviter, 2)
		awaitConnected(t, ctx, j.m, 2)
	})
}

// silentRouter is a host whose router answers nothing.
type silentRouter struct{ *transporttest.Host }

// ListenPacket opens a socket that is heard by nobody.
func (s silentRouter) ListenPacket(local netip.Addr) (net.PacketConn, error) {
	c, err := s.Host.ListenPacket(local)
	return deaf{c}, err
}

type deaf struct{ net.PacketConn }

func (deaf) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
