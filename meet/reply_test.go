package meet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
	ma "github.com/multiformats/go-multiaddr"
)

// behind returns a configuration on a new host behind a NAT.
func behind(t *testing.T, w *meettest.World, name string, nat transporttest.NAT, c meet.Config) meet.Config {
	t.Helper()
	c.Name, c.Network = name, must[*transporttest.Host](t)(w.Network.Host(name, transporttest.HostOptions{NAT: nat}))
	return c
}

// joining is a Join under way.
type joining struct {
	code    chan string
	waiting chan struct{}
	done    chan struct{}
	m       *meet.Meeting
	err     error
}

func joinWithReply(ctx context.Context, invite meet.Invite, c meet.Config) *joining {
	j := &joining{code: make(chan string, 8), waiting: make(chan struct{}, 8), done: make(chan struct{})}
	c.OnReply = func(code string) { j.code <- code }
	c.OnWaiting = func() { j.waiting <- struct{}{} }
	go func() {
		defer close(j.done)
		j.m, j.err = meet.Join(ctx, invite, c)
	}()
	return j
}

// reply waits for the code.
func (j *joining) reply(t *testing.T) string {
	t.Helper()
	select {
	case code := <-j.code:
		return code
	case <-j.done:
		t.Fatalf("no reply code: %v", j.err)
	case <-time.After(time.Minute):
		t.Fatal("no reply code")
	}
	return ""
}

// TestReplyCode: the inviter is behind a NAT that lets nobody in, the joiner isn't: the code the joiner hands back
// brings them together.
//
// Checks: RPL-1, RPL-4.
func TestReplyCode(t *testing.T) {
	for _, nat := range []transporttest.NAT{transporttest.PortRestricted, transporttest.Symmetric} {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			inviter := must[*meet.Meeting](t)(meet.Create(ctx, behind(t, w, "inviter", nat, open())))
			defer func() { _ = inviter.Close() }()
			invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
			if invite.Reach() != meet.ReachNetwork || invite.Router() != meet.RouterNotAsked {
				t.Errorf("%v, %v", invite.Reach(), invite.Router())
			}
			begun := time.Now()
			j := joinWithReply(ctx, invite, behind(t, w, "joiner", transporttest.Public, meet.Config{}))
			code := j.reply(t)
			if d := time.Since(begun); d > 3*time.Second {
				t.Errorf("the code came after %v", d)
			}
			if !strings.HasPrefix(code, "huisclos-reply:1-") {
				t.Error(code)
			}
			w.Advance(time.Minute) // the way of the code
			begun = time.Now()
			ok(t, inviter.Reply(ctx, code))
			<-j.done
			ok(t, j.err)
			defer func() { _ = j.m.Close() }()
			t.Logf("in %v after the code", time.Since(begun))
			for _, m := range []*meet.Meeting{inviter, j.m} {
				awaitConnected(t, ctx, m, 2)
			}
		})
	}
}

// TestReplyLost: a joiner whose connection is lost while it waits at the door says so by handing out its code again, and
// comes in by the same one.
//
// Checks: RPL-4.
func TestReplyLost(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, behind(t, w, "inviter", transporttest.PortRestricted, meet.Config{})))
		defer func() { _ = inviter.Close() }()
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		j := joinWithReply(ctx, invite, behind(t, w, "joiner", transporttest.Public, meet.Config{}))
		code := j.reply(t)
		ok(t, inviter.Reply(ctx, code))
		<-j.waiting
		w.Network.Partition([]string{"inviter"}, []string{"joiner"})
		begun := time.Now()
		if again := j.reply(t); again != code {
			t.Errorf("another code: %s", again)
		}
		t.Logf("noticed after %v", time.Since(begun))
		w.Network.Heal()
		w.Advance(5 * time.Second)
		if n := len(must[[]meet.Knock](t)(inviter.Knocks(ctx))); n != 0 {
			t.Errorf("%d knocks of who can't be answered", n)
		}
		ok(t, inviter.Reply(ctx, code))
		<-j.waiting
		ok(t, inviter.Admit(ctx, must[[]meet.Knock](t)(inviter.Knocks(ctx))[0].Identity))
		<-j.done
		ok(t, j.err)
		defer func() { _ = j.m.Close() }()
		awaitConnected(t, ctx, inviter, 2)
	})
}

// moving is a host that has one more address from some moment on.
type moving struct {
	*transporttest.Host
	moved atomic.Bool
}

func (m *moving) Addresses() ([]netip.Prefix, error) {
	all, err := m.Host.Addresses()
	if m.moved.Load() {
		all = append(all, netip.MustParsePrefix("5.200.0.1/24"))
	}
	return all, err
}

// TestReplyLostElsewhere: where the joiner's addresses have changed meanwhile, the code that it hands out names the new ones.
func TestReplyLostElsewhere(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, behind(t, w, "inviter", transporttest.PortRestricted, meet.Config{})))
		defer func() { _ = inviter.Close() }()
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		c := behind(t, w, "joiner", transporttest.Public, meet.Config{})
		host := &moving{Host: c.Network.(*transporttest.Host)}
		c.Network = host
		j := joinWithReply(ctx, invite, c)
		code := j.reply(t)
		ok(t, inviter.Reply(ctx, code))
		<-j.waiting
		host.moved.Store(true)
		w.Advance(time.Minute) // until it is noticed
		w.Network.Partition([]string{"inviter"}, []string{"joiner"})
		again := j.reply(t)
		if again == code {
			t.Error("the code is the same")
		}
		w.Network.Heal()
		w.Advance(5 * time.Second)
		ok(t, inviter.Reply(ctx, again))
		<-j.waiting
		ok(t, inviter.Deny(ctx, must[[]meet.Knock](t)(inviter.Knocks(ctx))[0].Identity))
		<-j.done
		var denied *meet.DeniedError
		if !errors.As(j.err, &denied) {
			t.Error(j.err)
		}
	})
}

func awaitConnected(t *testing.T, ctx context.Context, m *meet.Meeting, n int) {
	t.Helper()
	for range 1000 {
		c := 0
		for _, v := range must[[]meet.Member](t)(m.Members(ctx)) {
			if v.Self || v.Connected {
				c++
			}
		}
		if c == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("it doesn't see %d members", n)
}

// TestNeitherReachable: where both are behind NATs, the error says so and what there is to choose from. That they find each
// other by a rendezvous that only tells addresses connects them no more.
func TestNeitherReachable(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, behind(t, w, "inviter", transporttest.PortRestricted, open())))
		defer func() { _ = inviter.Close() }()
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		j := joinWithReply(ctx, invite, behind(t, w, "joiner", transporttest.PortRestricted, meet.Config{AskRouter: true}))
		<-j.done
		var lost *meet.UnreachableError
		if !errors.As(j.err, &lost) || !lost.Neither || !strings.Contains(lost.Error(), "relay") || !strings.Contains(lost.Error(), "router") ||
			!strings.Contains(lost.Error(), "public libp2p network, if both of you choose it, finds a meeting and helps two who can't be reached to open a way") {
			t.Errorf("%v", j.err)
		}
		if len(j.code) > 0 {
			t.Error("a code that brings nobody")
		}
		b := newBoard()
		found := must[*meet.Meeting](t)(meet.Create(ctx, behind(t, w, "found", transporttest.PortRestricted, meet.Config{Policy: open().Policy, Rendezvous: []meet.Rendezvous{far{b}}})))
		defer func() { _ = found.Close() }()
		w.Advance(5 * time.Second)
		j = joinWithReply(ctx, must[meet.Invite](t)(found.Invite(ctx, meet.InviteOptions{})), behind(t, w, "finder", transporttest.PortRestricted, meet.Config{Rendezvous: []meet.Rendezvous{far{b}}}))
		<-j.done
		if !errors.As(j.err, &lost) || !lost.Neither || b.questions() == 0 {
			t.Errorf("by a rendezvous, asked %d times: %v", b.questions(), j.err)
		}
		// Without the callback nothing is waited for.
		_, err := meet.Join(ctx, invite, behind(t, w, "another", transporttest.Public, meet.Config{}))
		if !errors.As(err, &lost) || lost.Neither {
			t.Errorf("%v", err)
		}
	})
}

// TestReplyRefused: what isn't an answer to a living link of this meeting is refused, and its addresses are not dialled.
//
// Checks: RPL-1, RPL-3.
func TestReplyRefused(t *testing.T) {
	t.Parallel()
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meettest.Member](t)(w.Create(ctx, "inviter", open()))
		guest := must[*meettest.Member](t)(w.Join(ctx, "guest", inviter, meet.Config{}))
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		brief := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{Expiry: time.Now().Add(time.Minute)}))
		elsewhere := must[meet.Invite](t)(must[*meettest.Member](t)(w.Create(ctx, "elsewhere", open())).Invite(ctx, meet.InviteOptions{}))
		victim := must[*transporttest.Host](t)(w.Network.Host("victim", transporttest.HostOptions{}))
		at := must[[]netip.Prefix](t)(victim.Addresses())[0].Addr()
		for _, p := range must[[]netip.Prefix](t)(victim.Addresses()) {
			if !p.Addr().IsLoopback() {
				at = p.Addr()
			}
		}
		var hits atomic.Int64
		w.Network.SetTap(func(d transporttest.Datagram) {
			if d.To.Addr() == at {
				hits.Add(1)
			}
		})
		code := func(i meet.Invite) string {
			return meet.ReplyFor(i, must[crypto.MeetingKey](t)(freshKey(i)), ma.StringCast("/ip4/"+at.String()+"/udp/4000/quic-v1"))
		}
		refuse := func(what, code string, want meet.ReplyReason) {
			t.Helper()
			w.Advance(15 * time.Second) // RPL-3
			var refused *meet.ReplyError
			if err := inviter.Reply(ctx, code); !errors.As(err, &refused) || refused.Reason != want || refused.Error() == "" {
				t.Errorf("%s: %v", what, err)
			}
		}
		refuse("garbage", "hello", meet.ReplyUnreadable)
		refuse("a link", invite.String(), meet.ReplyUnreadable)
		refuse("another meeting's", code(elsewhere), meet.ReplyForeign)
		refuse("one under another's name", meet.Renamed(code(elsewhere), invite), meet.ReplyForeign)
		w.Advance(time.Minute)
		refuse("expired", code(brief), meet.ReplyExpired)
		dead := code(invite)
		ok(t, inviter.Remove(ctx, self(t, ctx, guest).Identity, false))
		refuse("dead", dead, meet.ReplyExpired)
		if n := hits.Load(); n > 0 {
			t.Errorf("%d datagrams went where a refused code says", n)
		}
		living := code(must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{})))
		refuse("nobody there", living, meet.ReplyUnreachable)
		if hits.Load() == 0 {
			t.Error("a genuine code wasn't followed: the test sees nothing")
		}
		// Too many.
		w.Advance(5 * time.Minute)
		busy := 0
		for range 6 {
			if errors.Is(inviter.Reply(ctx, code(elsewhere)), meet.ErrTooOften) {
				busy++
			}
		}
		if busy != 2 {
			t.Errorf("%d of 6 were too many", busy)
		}
	})
}

// TestReplyDeadTwin: without the checks a code for a dead link is followed, and any number of codes.
//
// Checks: RPL-1, RPL-3.
func TestReplyDeadTwin(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meettest.Member](t)(w.Create(ctx, "inviter", meet.With(open(), "anyReply", "noLimits")))
		guest := must[*meettest.Member](t)(w.Join(ctx, "guest", inviter, meet.Config{}))
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		ok(t, inviter.Remove(ctx, self(t, ctx, guest).Identity, false))
		var refused *meet.ReplyError
		err := inviter.Reply(ctx, meet.ReplyFor(invite, must[crypto.MeetingKey](t)(freshKey(invite)), ma.StringCast("/ip4/5.9.9.9/udp/4000/quic-v1")))
		if !errors.As(err, &refused) || refused.Reason != meet.ReplyUnreachable {
			t.Errorf("%v", err)
		}
		for range 20 {
			if err := inviter.Reply(ctx, meet.ReplyFor(invite, must[crypto.MeetingKey](t)(freshKey(invite)))); errors.Is(err, meet.ErrTooOften) {
				t.Error("the limit is there all the same")
			}
		}
	})
}

func freshKey(i meet.Invite) (crypto.MeetingKey, error) {
	inc, err := crypto.GenerateIdentity().NewIncarnation(i.Meeting())
	if err != nil {
		return crypto.MeetingKey{}, err
	}
	return inc.Key(), nil
}

// TestReplyAddresses: a code has nobody speak to devices of the inviter's own network by TCP, nor to anybody in other
// private networks at all; without the check it does the first.
//
// Checks: RPL-2.
func TestReplyAddresses(t *testing.T) {
	device, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer func() { _ = device.Close() }()
	connections := make(chan struct{}, 100)
	go func() {
		for {
			c, err := device.Accept()
			if err != nil {
				return
			}
			connections <- struct{}{}
			_ = c.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, twin := range []bool{false, true} {
		c := open()
		c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
		if twin {
			c = meet.With(c, "anyReplyAddress")
		}
		m := must[*meet.Meeting](t)(meet.Create(ctx, c))
		invite := must[meet.Invite](t)(m.Invite(ctx, meet.InviteOptions{}))
		port := netip.MustParseAddrPort(device.Addr().String()).Port()
		tcp := must[ma.Multiaddr](t)(ma.NewMultiaddr(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)))
		foreign := ma.StringCast("/ip4/10.250.250.1/udp/4000/quic-v1")
		var refused *meet.ReplyError
		err := m.Reply(ctx, meet.ReplyFor(invite, must[crypto.MeetingKey](t)(freshKey(invite)), tcp, foreign))
		if !errors.As(err, &refused) || refused.Reason != meet.ReplyUnreachable {
			t.Errorf("%v", err)
		}
		ok(t, m.Close())
		select {
		case <-connections:
			if !twin {
				t.Error("the inviter's host spoke to a device by TCP")
			}
		default:
			if twin {
				t.Error("the twin's host didn't: the test sees nothing")
			}
		}
	}
}

// TestReplyStranger: whoever dials a joiner that waits and isn't the meeting learns nothing and ends nothing; without the
// check it ends the wait.
//
// Checks: RPL-4.
func TestReplyStranger(t *testing.T) {
	for _, twin := range []bool{false, true} {
		replyStranger(t, twin)
	}
}

func replyStranger(t *testing.T, twin bool) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meet.Meeting](t)(meet.Create(ctx, behind(t, w, "inviter", transporttest.PortRestricted, open())))
		defer func() { _ = inviter.Close() }()
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{}))
		var c meet.Config
		if twin {
			c = meet.With(c, "anyDialler")
		}
		j := joinWithReply(ctx, invite, behind(t, w, "joiner", transporttest.Public, c))
		code := j.reply(t)
		// Somebody who intercepted the link can read the code and open the first message, but has no door key.
		stranger := must[*transporttest.Host](t)(w.Network.Host("stranger", transporttest.HostOptions{}))
		if must[bool](t)(meet.PlayDoor(ctx, stranger, invite, code)) {
			t.Error("the joiner named itself to a stranger")
		}
		w.Advance(30 * time.Second)
		select {
		case <-j.done:
			var impostor *meet.ImpostorError
			if !twin || !errors.As(j.err, &impostor) {
				t.Fatalf("a stranger ended it: %v", j.err)
			}
			return
		default:
			if twin {
				t.Fatal("the twin's wait goes on: the test sees nothing")
			}
		}
		ok(t, inviter.Reply(ctx, code))
		<-j.done
		ok(t, j.err)
		_ = j.m.Close()
	})
}

// TestOthersDoorsInLink: where the inviter can't be reached from everywhere, its link leads to other hosts who can, and
// works; also when its author is gone.
func TestOthersDoorsInLink(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		first := must[*meettest.Member](t)(w.Create(ctx, "first", open()))
		author := must[*meet.Meeting](t)(meet.Join(ctx, must[meet.Invite](t)(first.Invite(ctx, meet.InviteOptions{})), behind(t, w, "author", transporttest.PortRestricted, meet.Config{})))
		defer func() { _ = author.Close() }()
		awaitConnected(t, ctx, author, 2)
		var id crypto.IdentityKey
		for _, m := range must[[]meet.Member](t)(author.Members(ctx)) {
			if m.Self {
				id = m.Identity
			}
		}
		ok(t, first.SetRole(ctx, id, meet.Host))
		w.Advance(time.Second)
		invite := must[meet.Invite](t)(author.Invite(ctx, meet.InviteOptions{}))
		all := invite.Reaches()
		if invite.Reach() != meet.ReachEverywhere || len(all) != 2 || all[0].Reach != meet.ReachNetwork || all[1].Address.Addr() != first.IP() ||
			all[1].Reach != meet.ReachEverywhere || all[1].By != meet.ByInterface || all[1].Network != "udp" || all[0].Member == all[1].Member {
			t.Errorf("%+v", all)
		}
		if got := invite.Addresses(); len(got) != 2 || got[1] != first.IP() {
			t.Errorf("it shows %v", got)
		}
		w.Advance(time.Second)
		guest := must[*meettest.Member](t)(w.JoinBy(ctx, "guest", invite, meet.Config{}))
		_ = author.Close()
		late := must[*meettest.Member](t)(w.JoinBy(ctx, "late", invite, meet.Config{}))
		for _, m := range []*meettest.Member{guest, late} {
			if m.Context().Err() != nil {
				t.Error(m.Context().Err())
			}
		}
		// A host who can be reached shows nobody else's address.
		if own := must[meet.Invite](t)(first.Invite(ctx, meet.InviteOptions{})).Addresses(); len(own) != 1 {
			t.Errorf("it shows %v", own)
		}
	})
}

// TestBareLinkNowhere: who has a link without addresses, and no way to find the meeting, is told that, wherever they are.
func TestBareLinkNowhere(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		inviter := must[*meettest.Member](t)(w.Create(ctx, "inviter", found(newBoard())))
		invite := must[meet.Invite](t)(inviter.Invite(ctx, meet.InviteOptions{NoAddresses: true}))
		j := joinWithReply(ctx, invite, behind(t, w, "joiner", transporttest.PortRestricted, meet.Config{}))
		<-j.done
		var lost *meet.UnreachableError
		if !errors.As(j.err, &lost) || lost.Neither || !errors.Is(j.err, meet.ErrNoRendezvous) {
			t.Errorf("%#v", j.err)
		}
	})
}
