package meet_test

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
)

// falseDoor is of a member who says nothing and denies whoever knocks, from begin on: with nothing but the word, and with a
// removal and an end of its own, one after the other.
type falseDoor struct {
	lying, asked atomic.Int32
	answers      [3][]byte
	reason       meet.DenyReason // 0: DeniedRemoved
}

func (l *falseDoor) config(c meet.Config) meet.Config {
	c = meet.Silent(c, func() bool { return l.lying.Load() != 0 })
	return meet.Denying(c, func(crypto.IdentityKey) (meet.DenyReason, []byte) {
		if l.lying.Load() == 0 {
			return 0, nil
		}
		return cmp.Or(l.reason, meet.DeniedRemoved), l.answers[int(l.asked.Add(1)-1)%len(l.answers)]
	})
}

func (l *falseDoor) begin(t *testing.T, ctx context.Context, by, victim *meettest.Member) {
	t.Helper()
	l.answers[1] = signedOperation(t, ctx, by, roster.Body{Remove: &roster.Remove{Identity: self(t, ctx, victim).Identity}})
	l.answers[2] = signedOperation(t, ctx, by, roster.Body{End: &roster.End{}})
	l.lying.Store(1)
}

// signedOperation is any operation of a member's, whether it has the right to it or not.
func signedOperation(t *testing.T, ctx context.Context, by *meettest.Member, body roster.Body) []byte {
	t.Helper()
	ops, meeting := must[[][]byte](t)(by.Operations(ctx)), by.ID()
	op := roster.Operation{Author: by.Incarnation().Bundle().Hash(), Heads: []crypto.Hash{roster.HashOperation(ops[len(ops)-1])}, Body: body}
	sig := by.Incarnation().Sign("operation", meeting[:], meet.Encode(&op))
	op.Signature = &sig
	return meet.Encode(&op)
}

// TestDeniedByAnybody: a member, or a host below, who denies somebody that hears nobody else, and signs that this one is
// removed, or that the meeting is over, isn't believed. Control: a host above is, whichever it says.
//
// Checks: DOR-10.
func TestDeniedByAnybody(t *testing.T) {
	t.Parallel()
	for _, role := range []meet.Role{meet.Participant, meet.Host} {
		t.Run(role.String(), func(t *testing.T) {
			alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
				var l falseDoor
				host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
				victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, meet.Config{}))
				bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, l.config(meet.Config{})))
				connected(t, ctx, host, victim, bad)
				if role == meet.Host {
					ok(t, host.SetRole(ctx, self(t, ctx, victim).Identity, role))
					ok(t, host.SetRole(ctx, self(t, ctx, bad).Identity, role))
				}
				w.Advance(time.Second)
				ok(t, host.Leave(ctx))
				w.Advance(time.Second)
				l.begin(t, ctx, bad, victim)
				w.Advance(time.Minute)
				if err := context.Cause(victim.Context()); err != nil {
					t.Errorf("after %d denials it ended with %v", l.asked.Load(), err)
				}
				if n := l.asked.Load(); n < 3 {
					t.Errorf("it asked %d times", n)
				}
			})
		})
	}
	for i, name := range []string{"a word", "a removal", "an end"} {
		t.Run("by a host above: "+name, func(t *testing.T) {
			alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
				var l falseDoor
				host := must[*meettest.Member](t)(w.Create(ctx, "host", l.config(open())))
				victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, meet.Config{}))
				connected(t, ctx, host, victim)
				w.Advance(time.Second)
				l.asked.Store(int32(i))
				l.begin(t, ctx, host, victim)
				w.Advance(20 * time.Second)
				var removed *meet.RemovedError
				var ended *meet.EndedError
				err := context.Cause(victim.Context())
				if is := []bool{errors.Is(err, meet.ErrAdmissionVoid), errors.As(err, &removed), errors.As(err, &ended)}; !is[i] {
					t.Errorf("it ended with %v", err)
				}
			})
		})
	}
}

// TestAskedABusyDoor: a member who asks whether it is still in, at the door of a host above where too many knock, stays in.
// In TestDeniedByAnybody another word of such a host ends it.
//
// Checks: DOR-10.
func TestAskedABusyDoor(t *testing.T) {
	t.Parallel()
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		l := falseDoor{reason: meet.DeniedBusy}
		host := must[*meettest.Member](t)(w.Create(ctx, "host", l.config(open())))
		member := must[*meettest.Member](t)(w.Join(ctx, "member", host, meet.Config{}))
		connected(t, ctx, host, member)
		w.Advance(time.Second)
		l.lying.Store(1)
		w.Advance(time.Minute)
		if err := context.Cause(member.Context()); err != nil || l.asked.Load() < 3 {
			t.Errorf("after %d answers it ended with %v", l.asked.Load(), err)
		}
	})
}

// TestEquivocatedAdmitter: where the door is open, a host that is suspended for signing two histories lets nobody in by
// itself: whoever knocks there waits. Control: before that, they are in at once.
//
// Checks: DOR-8.
func TestEquivocatedAdmitter(t *testing.T) {
	t.Parallel()
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		second := must[*meettest.Member](t)(w.Join(ctx, "second", host, meet.Config{}))
		connected(t, ctx, host, second)
		ok(t, host.SetRole(ctx, self(t, ctx, second).Identity, meet.Host))
		invite := meet.Through(must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{})), second.Meeting)
		w.Advance(time.Second)
		before := knock(ctx, w, "before", invite, meet.Config{})
		<-before.done
		ok(t, before.err)
		connected(t, ctx, host, second, before.member)
		forkMember(t, ctx, second, host, before.member)
		w.Advance(3 * time.Second)
		outside, leave := context.WithCancel(ctx)
		after := knock(outside, w, "after", invite, meet.Config{})
		w.Advance(time.Second)
		select {
		case <-after.done:
			t.Errorf("it was answered: %v", after.err)
		default:
		}
		if n := len(must[[]meet.Knock](t)(second.Knocks(ctx))); n != 1 {
			t.Errorf("%d wait", n)
		}
		leave()
		<-after.done
	})
}

// TestExpiredAtOpenDoor: where the door is open, whoever comes by a link that is over, and whose own client doesn't mind,
// isn't let in. Control: before that they are.
//
// Checks: CLK-3.
func TestExpiredAtOpenDoor(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{Expiry: time.Now().Add(time.Minute)}))
		invite = meet.WithExpiry(invite, time.Time{})
		must[*meettest.Member](t)(w.JoinBy(ctx, "early", invite, meet.Config{}))
		w.Advance(61 * time.Second)
		_, err := w.JoinBy(ctx, "late", invite, meet.Config{})
		denied(t, "by a link that is over", err, meet.DeniedExpired)
	})
}

// TestLobbyFollows: whoever waits is turned out when the meeting is locked, and when the responder may admit no more.
// The twin leaves them waiting.
//
// Checks: DOR-9.
func TestLobbyFollows(t *testing.T) {
	t.Parallel()
	twin(t, "keepLobby", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			b := newBench(t, ctx, w, meet.Config{}, config, meet.Config{})
			_, secondID := bundleOf(t, ctx, b.second)
			outside, leave := context.WithCancel(ctx)
			defer leave()
			b.ctx = outside
			for _, c := range []struct {
				reason      meet.DenyReason
				close, open func() error
			}{
				{meet.DeniedLocked, func() error { return b.first.Lock(ctx) }, func() error { return b.first.Unlock(ctx) }},
				{meet.DeniedNoHost, func() error { return b.first.SetRole(ctx, secondID, meet.Participant) }, func() error { return b.first.SetRole(ctx, secondID, meet.Host) }},
			} {
				ada, _ := b.knocks("Ada")
				ok(t, c.close())
				w.Advance(time.Second)
				select {
				case <-ada.done:
					denied(t, "who waited", ada.err, c.reason)
					if !protected {
						t.Error("the twin turned them out")
					}
				default:
					if protected {
						t.Errorf("still waits, where the reason would be %d", c.reason)
					}
				}
				ok(t, c.open())
				w.Advance(time.Second)
			}
			leave()
			w.Advance(time.Second)
		})
	})
}

// TestResponderSilent: of a responder that is away, though connected, nobody is shown who waits; nor of one that isn't
// connected, though it isn't away yet. They are back when it is. The twin goes on showing them.
//
// Checks: DOR-11.
func TestResponderSilent(t *testing.T) {
	t.Parallel()
	twin(t, "anyResponder", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			var silent atomic.Bool
			b := newBench(t, ctx, w, config, meet.Silent(meet.Config{}, silent.Load), meet.Config{})
			outside, leave := context.WithCancel(ctx)
			defer leave()
			b.ctx = outside
			ada, _ := b.knocks("Ada")
			b.ctx = ctx
			gone := []string{"Ada"}
			if protected {
				gone = nil
			}
			secondKey, _ := bundleOf(t, ctx, b.second)
			standing := func() (v meet.Member) {
				for _, m := range must[[]meet.Member](t)(b.first.Members(ctx)) {
					if m.Key == secondKey {
						v = m
					}
				}
				return v
			}
			b.see(b.first, "Ada")
			silent.Store(true)
			w.Advance(30 * time.Second)
			if v := standing(); !v.Away || !v.Connected {
				t.Errorf("it should be away and connected: %+v", v)
			}
			b.see(b.first, gone...)
			silent.Store(false)
			w.Advance(15 * time.Second)
			b.see(b.first, "Ada")

			w.Network.Partition([]string{"first", "plain"}, []string{"second", "Ada"})
			b.first.HangUp(secondKey)
			w.Advance(time.Second)
			if v := standing(); v.Away || v.Connected {
				t.Errorf("it should neither be away nor connected: %+v", v)
			}
			b.see(b.first, gone...)
			w.Network.Heal()
			w.Advance(15 * time.Second)
			b.see(b.first, "Ada")
			leave()
			<-ada.done
		})
	})
}

// TestBannedWaits: somebody who is banned isn't shown, though they signed a knock at the door of a host who says that they
// wait. Control: somebody else is.
//
// Checks: DOR-11.
func TestBannedWaits(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		b := newBench(t, ctx, w, meet.Config{}, meet.Config{}, meet.Config{})
		key, _ := bundleOf(t, ctx, b.first)
		door, _ := bundleOf(t, ctx, b.second)
		_, banned := bundleOf(t, ctx, b.plain)
		other := must[*crypto.Incarnation](t)(crypto.GenerateIdentity().NewIncarnation(b.first.ID()))
		list := &meet.WaitingList{Knocks: []meet.WaitingKnock{
			{Knock: b.plain.Incarnation().SignKnock(crypto.Knock{Name: "Banned", ResponderNonce: crypto.Nonce{1}}, door)},
			{Knock: other.SignKnock(crypto.Knock{Name: "Other", ResponderNonce: crypto.Nonce{2}}, door)},
		}}
		ok(t, b.first.Remove(ctx, banned, true))
		w.Advance(time.Second)
		ok(t, b.second.InjectMessage(ctx, key, meet.PairMessage{Waiting: list}))
		w.Advance(time.Second)
		b.see(b.first, "Other")
	})
}

// TestDecisionsFlood: of the decisions that a host sends without end only some are taken, so that the one that counts
// comes too late; after a while it is taken again. Control: the same one, after fewer.
//
// Checks: DOR-13.
func TestDecisionsFlood(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"few": 30, "many": 40} {
		t.Run(name, func(t *testing.T) {
			world(t, ms20, func(ctx context.Context, w *meettest.World) {
				var told watchedLists
				b := newBench(t, ctx, w, meet.OnPair(meet.Config{}, told.pair), meet.Config{}, meet.Config{})
				key, _ := bundleOf(t, ctx, b.second)
				ada, adaID := b.knocks("Ada")
				genuine := told.of(t, adaID)
				decide := func(knock crypto.Nonce) {
					t.Helper()
					ok(t, b.first.InjectMessage(ctx, key, meet.PairMessage{Decision: &meet.KnockDecision{Knock: knock, Admit: true}}))
				}
				for range n {
					decide(crypto.Nonce{1})
				}
				decide(genuine)
				w.Advance(500 * time.Millisecond)
				if in := isIn(t, ctx, b.second, adaID); in != (n < 32) {
					t.Errorf("after %d others the decision was taken: %v", n, in)
				}
				w.Advance(2 * time.Second)
				decide(genuine) // where it was taken, nobody waits by it any more
				<-ada.done
				ok(t, ada.err)
			})
		})
	}
}
