package meet_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
)

func denied(t *testing.T, what string, err error, reason meet.DenyReason) {
	t.Helper()
	var d *meet.DeniedError
	if !errors.As(err, &d) || d.Reason != reason {
		t.Errorf("%s: got %v, want the reason %d", what, err, reason)
	}
}

// knocking joins in the background, with a link, until somebody decides.
type knocking struct {
	member *meettest.Member
	err    error
	done   chan struct{}
}

func knock(ctx context.Context, w *meettest.World, name string, invite meet.Invite, config meet.Config) *knocking {
	k := &knocking{done: make(chan struct{})}
	waiting := make(chan struct{})
	config.OnWaiting = func() { close(waiting) }
	go func() {
		defer close(k.done)
		k.member, k.err = w.JoinBy(ctx, name, invite, config)
	}()
	select {
	case <-waiting:
	case <-k.done:
	}
	return k
}

// TestDoor covers a host's decisions: ask, admit, deny.
func TestDoor(t *testing.T) {
	world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		host, err := w.Create(ctx, "host", meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		invite, err := host.Invite(ctx, meet.InviteOptions{Expiry: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		a, b := crypto.GenerateIdentity(), crypto.GenerateIdentity()
		ka := knock(ctx, w, "a", invite, meet.Config{Identity: a})
		kb := knock(ctx, w, "b", invite, meet.Config{Identity: b})
		knocks, err := host.Knocks(ctx)
		if err != nil || len(knocks) != 2 || knocks[0].Name != "a" {
			t.Fatalf("%v %v", knocks, err)
		}
		if err := host.Admit(ctx, a.Public()); err != nil {
			t.Fatal(err)
		}
		if err := host.Deny(ctx, b.Public()); err != nil {
			t.Fatal(err)
		}
		if err := host.Deny(ctx, b.Public()); !errors.Is(err, meet.ErrNobodyKnocks) {
			t.Error(err)
		}
		<-ka.done
		<-kb.done
		if ka.err != nil {
			t.Fatal(ka.err)
		}
		denied(t, "b", kb.err, meet.DeniedByHost)
		connected(t, ctx, host, ka.member)

		// A plain member has no right to invite or to lock.
		if _, err := ka.member.Invite(ctx, meet.InviteOptions{}); err == nil {
			t.Error("a plain member made an invite")
		}
		if err := ka.member.Lock(ctx); err == nil {
			t.Error("a plain member locked the meeting")
		}
		if err := host.Lock(ctx); err != nil {
			t.Fatal(err)
		}
		_, err = w.JoinBy(ctx, "c", invite, meet.Config{})
		denied(t, "locked", err, meet.DeniedLocked)
		if err := host.Unlock(ctx); err != nil {
			t.Fatal(err)
		}

		// Links end: for those who knock, and for those who wait.
		late := knock(ctx, w, "late", invite, meet.Config{})
		w.Advance(61 * time.Second)
		<-late.done
		denied(t, "a link that expired while waiting", late.err, meet.DeniedExpired)
		_, err = w.JoinBy(ctx, "d", invite, meet.Config{})
		var expired *meet.InviteExpiredError
		if !errors.As(err, &expired) {
			t.Errorf("an expired link: %v", err)
		}

		// Somebody who goes away while waiting is no longer shown.
		invite, err = host.Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithCancel(ctx)
		gone := knock(short, w, "gone", invite, meet.Config{})
		cancel()
		<-gone.done
		if !errors.Is(gone.err, context.Canceled) {
			t.Errorf("got %v", gone.err)
		}
		w.Advance(2 * time.Second)
		if knocks, _ := host.Knocks(ctx); len(knocks) != 0 {
			t.Errorf("still knocking: %v", knocks)
		}
	})
}

// TestRemovedStaysOut covers DOR-9 and ROS-10 from the door: old links by the old key and by a new one, a knock that
// was already waiting, a ban with a new link. Who is innocent comes by a new link.
func TestRemovedStaysOut(t *testing.T) {
	t.Parallel()
	world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		host, err := w.Create(ctx, "host", meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		old, err := host.Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		enter := func(name string, id *crypto.Identity, invite meet.Invite) *meettest.Member {
			t.Helper()
			k := knock(ctx, w, name, invite, meet.Config{Identity: id})
			if err := host.Admit(ctx, id.Public()); err != nil {
				t.Fatal(err)
			}
			<-k.done
			if k.err != nil {
				t.Fatal(k.err)
			}
			return k.member
		}
		victim, witness := crypto.GenerateIdentity(), crypto.GenerateIdentity()
		v := enter("victim", victim, old)
		other := enter("witness", witness, old)
		connected(t, ctx, host, v, other)
		waiting := knock(ctx, w, "waiting", old, meet.Config{})
		if err := host.Remove(ctx, victim.Public(), false); err != nil {
			t.Fatal(err)
		}
		<-waiting.done
		denied(t, "a knock that was waiting", waiting.err, meet.DeniedLink)
		_, err = w.JoinBy(ctx, "victim", old, meet.Config{Identity: victim})
		denied(t, "the old key by the old link", err, meet.DeniedRemoved)
		_, err = w.JoinBy(ctx, "new key", old, meet.Config{})
		denied(t, "a new key by the old link", err, meet.DeniedLink)
		// By the witness's door too, were it asked: it has the link's secret, and no right.
		fresh, err := host.Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		enter("innocent", crypto.GenerateIdentity(), fresh)

		// Who is on the roster comes back by a dead link, and while the meeting is locked (DOR-8).
		if err := host.Lock(ctx); err != nil {
			t.Fatal(err)
		}
		w.Crash(other)
		back, err := w.JoinBy(ctx, "witness", old, meet.Config{Identity: witness})
		if err != nil {
			t.Fatalf("the witness, back: %v", err)
		}
		self, err := back.Self(ctx)
		if err != nil || self.Identity != witness.Public() {
			t.Fatal(err)
		}
		if err := host.Unlock(ctx); err != nil {
			t.Fatal(err)
		}
		if err := host.Remove(ctx, witness.Public(), true); err != nil {
			t.Fatal(err)
		}
		<-back.Context().Done()
		var removed *meet.RemovedError
		if !errors.As(context.Cause(back.Context()), &removed) || !removed.Banned {
			t.Errorf("got %v", context.Cause(back.Context()))
		}
		last, err := host.Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.JoinBy(ctx, "witness", last, meet.Config{Identity: witness})
		denied(t, "a banned identity with a new link", err, meet.DeniedBanned)
	})
}

// TestHostGone covers PRE-6: where no host is, nobody enters and everybody is told; the creator comes back by itself,
// as host, through whoever is there.
func TestHostGone(t *testing.T) {
	t.Parallel()
	world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		id := crypto.GenerateIdentity()
		config := open()
		config.Identity = id
		host, err := w.Create(ctx, "host", config)
		if err != nil {
			t.Fatal(err)
		}
		a, err := w.Join(ctx, "a", host, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.Join(ctx, "b", host, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		connected(t, ctx, host, a, b)
		self, err := a.Self(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := host.SetRole(ctx, self.Identity, meet.Host); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		invite, err := a.Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		tone, err := a.PublishTone(ctx, 60)
		if err != nil {
			t.Fatal(err)
		}
		defer tone.Stop()
		w.Crash(host)
		w.Advance(20 * time.Second)
		away, err := b.Await(ctx, func(e meet.Event) bool {
			c, ok := e.(meet.MemberChanged)
			return ok && c.Member.Creator && c.Member.Away
		})
		if err != nil {
			t.Fatalf("the host isn't shown away: %v %v", away, err)
		}
		// The promoted host admits; the meeting goes on.
		c, err := w.JoinBy(ctx, "c", invite, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		config.Policy = meet.Policy{}
		back, err := w.JoinBy(ctx, "host", invite, config)
		if err != nil {
			t.Fatal(err)
		}
		connected(t, ctx, back, a, b, c)
		if s, err := back.Self(ctx); err != nil || s.Role != meet.Host || !s.Creator {
			t.Fatalf("the creator is back as %+v, %v", s, err)
		}
		cs, err := c.Self(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := back.Remove(ctx, cs.Identity, false); err != nil {
			t.Fatal(err)
		}
		invite, err = a.Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		w.Crash(back)
		w.Crash(a)
		if _, err := b.Await(ctx, func(e meet.Event) bool { h, ok := e.(meet.HostsAbsent); return ok && h.Absent }); err != nil {
			t.Fatal(err)
		}
		_ = invite
	})
}

// TestOutsiders covers DOR-6 and ADR-2: in all that reaches a stranger, somebody in the lobby and somebody removed,
// after the network's own decryption, there is no name, no chat, no secret, no media and no roster. The twin is a
// member, to whom it all comes, sealed where it is sealed.
func TestOutsiders(t *testing.T) {
	world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		const secretName, secretChat, secretData = "Maître Quenouille-Bassecour", "le chat est dans le sac bleu", "donnees de l'application"
		config := meet.Config{Name: secretName}
		host, err := w.Create(ctx, "host", config)
		if err != nil {
			t.Fatal(err)
		}
		invite, err := host.Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		outside, leave := context.WithCancel(ctx)
		var lobby, removed, member seen
		id, out := crypto.GenerateIdentity(), crypto.GenerateIdentity()
		admit := func(name string, id *crypto.Identity, tap *seen) *meettest.Member {
			k := knock(ctx, w, name, invite, meet.Config{Identity: id, Tap: tap.tap})
			if err := host.Admit(ctx, id.Public()); err != nil {
				t.Fatal(err)
			}
			<-k.done
			if k.err != nil {
				t.Fatal(k.err)
			}
			return k.member
		}
		a := admit("a", id, &member)
		b := admit("b", out, &removed)
		connected(t, ctx, host, a, b)
		if err := host.Remove(ctx, out.Public(), false); err != nil {
			t.Fatal(err)
		}
		<-b.Context().Done()
		w.Advance(time.Second)
		removed.reset() // what it heard as a member is its own
		invite, err = host.Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		waiting := knock(outside, w, "waiting", invite, meet.Config{Tap: lobby.tap})
		// The removed one knocks again, and goes on knocking.
		again := knock(outside, w, "b", invite, meet.Config{Tap: removed.tap, Identity: out})
		tone, err := host.PublishTone(ctx, 100)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := host.Say(ctx, secretChat); err != nil {
				t.Fatal(err)
			}
			if err := a.SendData(ctx, []byte(secretData)); err != nil {
				t.Fatal(err)
			}
			w.Advance(time.Second)
		}
		tone.Stop()
		needles := map[string][]byte{
			"name": []byte(secretName), "chat": []byte(secretChat), "data": []byte(secretData),
			"identity of a member": idBytes(id), "media": make([]byte, 64),
		}
		for who, s := range map[string]*seen{"lobby": &lobby, "removed": &removed} {
			for what, needle := range needles {
				if s.contains(needle) {
					t.Errorf("%s: received the %s", who, what)
				}
			}
			if n := s.count(transport.TapGossip) + s.count(transport.TapMedia) + s.count(transport.TapPair); n > 0 {
				t.Errorf("%s: received %d messages of members", who, n)
			}
		}
		for what, needle := range needles {
			sealed := what != "identity of a member" && what != "name"
			if got := member.contains(needle); got && sealed {
				t.Errorf("member: received the %s unsealed by the hop", what)
			}
		}
		if member.count(transport.TapGossip) == 0 || member.count(transport.TapMedia) == 0 {
			t.Error("control: a member's tap saw nothing, so this test can't see anything")
		}
		if _, err := meettest.AwaitEvent[meet.Chat](ctx, a); err != nil {
			t.Error(err)
		}
		leave()
		<-waiting.done
		<-again.done
	})
}

func idBytes(id *crypto.Identity) []byte {
	k := id.Public()
	return bytes.Clone(k[:])
}
