package meet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// bench is a meeting where two hosts admit and a plain member doesn't, and a link to the second host's door.
type bench struct {
	t                    *testing.T
	ctx                  context.Context
	w                    *meettest.World
	first, second, plain *meettest.Member
	invite               meet.Invite
}

func newBench(t *testing.T, ctx context.Context, w *meettest.World, first, second, plain meet.Config) *bench {
	t.Helper()
	first.Policy = open().Policy
	b := &bench{t: t, ctx: ctx, w: w}
	b.first = must[*meettest.Member](t)(w.Create(ctx, "first", first))
	b.second = must[*meettest.Member](t)(w.Join(ctx, "second", b.first, second))
	b.plain = must[*meettest.Member](t)(w.Join(ctx, "plain", b.first, plain))
	connected(t, ctx, b.first, b.second, b.plain)
	ok(t, b.first.SetRole(ctx, self(t, ctx, b.second).Identity, meet.Host))
	ok(t, b.first.Unlock(ctx))
	b.invite = meet.Through(must[meet.Invite](t)(b.first.Invite(ctx, meet.InviteOptions{})), b.second.Meeting)
	w.Advance(500 * time.Millisecond)
	return b
}

// knocks has somebody wait at the second host's door until ctx is done.
func (b *bench) knocks(name string) (*knocking, crypto.IdentityKey) {
	b.t.Helper()
	id := crypto.GenerateIdentity()
	k := knock(b.ctx, b.w, name, b.invite, meet.Config{Identity: id})
	b.w.Advance(100 * time.Millisecond)
	return k, id.Public()
}

// seen returns the names of those whom a member sees wait, and checks that its events say the same.
func (b *bench) seen(m *meettest.Member) (names []string) {
	b.t.Helper()
	type place struct{ who, door crypto.IdentityKey }
	now := map[place]bool{}
	for _, e := range m.Log() {
		switch e := e.(type) {
		case meet.Knocked:
			if p := (place{e.Knock.Identity, e.Knock.Door}); now[p] {
				b.t.Errorf("%s was told twice that %s knocks", m.Host, e.Knock.Name)
			} else {
				now[p] = true
			}
		case meet.KnockGone:
			p := place{e.Identity, e.Door}
			if !now[p] {
				b.t.Errorf("%s was told that somebody has gone who wasn't there", m.Host)
			}
			delete(now, p)
		}
	}
	knocks := must[[]meet.Knock](b.t)(m.Knocks(b.ctx))
	for _, k := range knocks {
		names = append(names, k.Name)
		if !now[place{k.Identity, k.Door}] {
			b.t.Errorf("%s was not told that %s knocks", m.Host, k.Name)
		}
	}
	if len(now) != len(knocks) {
		b.t.Errorf("%s: %d knock by the events, %d by Knocks", m.Host, len(now), len(knocks))
	}
	return names
}

func (b *bench) see(m *meettest.Member, want ...string) {
	b.t.Helper()
	if got := b.seen(m); !slices.Equal(got, want) {
		b.t.Errorf("%s sees %q wait, not %q", m.Host, got, want)
	}
}

func bundleOf(t *testing.T, ctx context.Context, m *meettest.Member) (crypto.MeetingKey, crypto.IdentityKey) {
	t.Helper()
	v := self(t, ctx, m)
	return v.Key, v.Identity
}

// TestOthersDoors covers DOR-11 and DOR-13: who waits at one host's door is seen by the other, who lets them in or turns
// them away; not by whoever may not admit, as long as that is so. The first decision counts.
//
// Checks: DOR-11, DOR-13.
func TestOthersDoors(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		b := newBench(t, ctx, w, meet.Config{}, meet.Config{}, meet.Config{})
		_, secondID := bundleOf(t, ctx, b.second)
		_, plainID := bundleOf(t, ctx, b.plain)
		ada, adaID := b.knocks("Ada")
		b.see(b.first, "Ada")
		b.see(b.second, "Ada")
		b.see(b.plain)
		for m, door := range map[*meettest.Member]crypto.IdentityKey{b.first: secondID, b.second: {}} {
			if k := must[[]meet.Knock](t)(m.Knocks(ctx))[0]; k.Door != door || k.Identity != adaID || k.Verified || time.Since(k.At) > time.Second {
				t.Errorf("%s sees %+v", m.Host, k)
			}
			for e := range m.Events() {
				if s := e.(meet.Snapshot); len(s.Knocks) != 1 {
					t.Errorf("%s: a snapshot has %v", m.Host, s.Knocks)
				}
				break
			}
		}
		for who, err := range map[string]error{"plain": b.plain.Admit(ctx, adaID), "nobody": b.first.Admit(ctx, plainID)} {
			if !errors.Is(err, meet.ErrNobodyKnocks) {
				t.Errorf("%s: %v", who, err)
			}
		}
		ok(t, b.first.Admit(ctx, adaID))
		<-ada.done
		ok(t, ada.err)
		connected(t, ctx, b.first, b.second, b.plain, ada.member)
		b.see(b.first)
		b.see(b.second)
		// The second host authored the Admit.
		key, _ := bundleOf(t, ctx, b.second)
		if by := admittedBy(t, ctx, b.first, adaID); by != key {
			t.Errorf("admitted by %v, not by %v", by, key)
		}

		bob, bobID := b.knocks("Bob")
		ok(t, b.first.Deny(ctx, bobID))
		<-bob.done
		denied(t, "by the other host", bob.err, meet.DeniedByHost)

		// Whoever becomes host is told of those who wait, and no longer sees them when that is over; so with a newcomer.
		eve, eveID := b.knocks("Eve")
		w.Advance(3 * time.Second)
		ok(t, b.first.SetRole(ctx, plainID, meet.Host))
		w.Advance(100 * time.Millisecond)
		b.see(b.plain, "Eve")
		if k := must[[]meet.Knock](t)(b.plain.Knocks(ctx)); time.Since(k[0].At) < 3*time.Second || time.Since(k[0].At) > 5*time.Second {
			t.Errorf("Eve waits since %v", k[0].At)
		}
		ok(t, b.first.SetRole(ctx, plainID, meet.Participant))
		w.Advance(100 * time.Millisecond)
		b.see(b.plain)
		p := meet.DefaultPolicy()
		p.Admitters = roster.HostsAndMembers
		ok(t, b.first.SetPolicy(ctx, p))
		w.Advance(100 * time.Millisecond)
		b.see(b.plain, "Eve")
		b.see(ada.member, "Eve")

		// Two decide at once: one of the two counts, the other just sees that nobody waits.
		var group sync.WaitGroup
		group.Go(func() { _ = b.first.Admit(ctx, eveID) })
		group.Go(func() { _ = b.plain.Deny(ctx, eveID) })
		group.Wait()
		<-eve.done
		if eve.err != nil {
			denied(t, "by two at once", eve.err, meet.DeniedByHost)
		}
		w.Advance(100 * time.Millisecond)
		for _, m := range []*meettest.Member{b.first, b.second, b.plain, ada.member} {
			b.see(m)
		}
	})
}

// admittedBy returns the meeting key of the member who authored somebody's Admit.
func admittedBy(t *testing.T, ctx context.Context, m *meettest.Member, who crypto.IdentityKey) crypto.MeetingKey {
	t.Helper()
	keys := map[crypto.Hash]crypto.MeetingKey{}
	for _, raw := range must[[][]byte](t)(m.Operations(ctx)) {
		op := must[*roster.Operation](t)(roster.DecodeOperation(raw))
		switch {
		case op.Body.Resume != nil:
			keys[op.Body.Resume.Bundle.Hash()] = op.Body.Resume.Bundle.MeetingKey
		case op.Body.Admit != nil:
			if op.Body.Admit.Bundle.Identity == who {
				return keys[op.Author]
			}
			keys[op.Body.Admit.Bundle.Hash()] = op.Body.Admit.Bundle.MeetingKey
		}
	}
	t.Fatal("nobody admitted them")
	return crypto.MeetingKey{}
}

// TestForgedDecision covers DOR-13: what a member decides who may not admit, or is suspended, does nothing, even if it
// knows what names the knock. The twin lets in.
//
// Checks: DOR-13.
func TestForgedDecision(t *testing.T) {
	t.Parallel()
	twin(t, "anyDecider", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			var told, untold watchedLists
			b := newBench(t, ctx, w, meet.OnPair(meet.Config{}, told.pair), config, meet.OnPair(meet.Config{}, untold.pair))
			key, _ := bundleOf(t, ctx, b.second)
			ada, adaID := b.knocks("Ada")
			forge := func(by *meettest.Member, knock crypto.Nonce) {
				t.Helper()
				ok(t, by.InjectMessage(ctx, key, meet.PairMessage{Decision: &meet.KnockDecision{Knock: knock, Admit: true}}))
				w.Advance(time.Second)
			}
			if untold.lists() != 0 {
				t.Error("a plain member was told who waits")
			}
			forge(b.plain, told.of(t, adaID)) // from the first host, who plays along
			if in := isIn(t, ctx, b.first, adaID); in == protected {
				t.Errorf("let in by a plain member: %v", in)
			}
			if !protected {
				<-ada.done
				return
			}
			_, plainID := bundleOf(t, ctx, b.plain)
			ok(t, b.first.SetRole(ctx, plainID, meet.Host))
			forkMember(t, ctx, b.plain, b.first, b.second)
			w.Advance(time.Second)
			forge(b.plain, told.of(t, adaID))
			if isIn(t, ctx, b.first, adaID) {
				t.Error("let in by a suspended host")
			}
			forge(b.first, crypto.Nonce{1})
			if isIn(t, ctx, b.first, adaID) {
				t.Error("let in by the name of another knock")
			}
			forge(b.first, told.of(t, adaID)) // control
			<-ada.done
			ok(t, ada.err)
		})
	})
}

// watchedLists keeps the last list that a member was told.
type watchedLists struct {
	mu    sync.Mutex
	last  *meet.WaitingList
	count int
}

func (l *watchedLists) pair(_ crypto.MeetingKey, msg meet.PairMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if msg.Waiting != nil {
		l.last = msg.Waiting
		l.count++
	}
}

func (l *watchedLists) lists() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *watchedLists) of(t *testing.T, who crypto.IdentityKey) crypto.Nonce {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last != nil {
		for _, k := range l.last.Knocks {
			if k.Knock.Bundle.Identity == who {
				return k.Knock.ResponderNonce
			}
		}
	}
	t.Fatal("it wasn't told")
	return crypto.Nonce{}
}

func isIn(t *testing.T, ctx context.Context, m *meettest.Member, who crypto.IdentityKey) bool {
	t.Helper()
	return slices.ContainsFunc(must[[]meet.Member](t)(m.Members(ctx)), func(v meet.Member) bool { return v.Identity == who })
}

// forkMember has a member sign two histories and tell them to others.
func forkMember(t *testing.T, ctx context.Context, bad *meettest.Member, to ...*meettest.Member) {
	t.Helper()
	inc, meeting := bad.Incarnation(), bad.ID()
	ops := must[[][]byte](t)(to[0].Operations(ctx))
	for i := range 2 {
		op := roster.Operation{Author: inc.Bundle().Hash(), Heads: []crypto.Hash{roster.HashOperation(ops[len(ops)-1])}, Time: uint64(i)}
		op.Body.Invite = &roster.Invite{Key: crypto.NewInvite().Secret.Key()}
		sig := inc.Sign("operation", meeting[:], meet.Encode(&op))
		op.Signature = &sig
		for _, m := range to {
			key, _ := bundleOf(t, ctx, m)
			ok(t, bad.InjectMessage(ctx, key, meet.PairMessage{Operations: [][]byte{meet.Encode(&op)}}))
		}
	}
}

// TestLyingResponder covers DOR-12: a host can't make another believe that somebody knocks at its door who doesn't: not
// by what they signed at another's, under another name, or with a bundle alone. The twin is taken in.
//
// Checks: DOR-12.
func TestLyingResponder(t *testing.T) {
	t.Parallel()
	twin(t, "anyKnock", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			b := newBench(t, ctx, w, config, meet.Config{}, meet.Config{})
			key, _ := bundleOf(t, ctx, b.first)
			liar, _ := bundleOf(t, ctx, b.second)
			contact := must[*crypto.Incarnation](t)(crypto.GenerateIdentity().NewIncarnation(b.first.ID()))
			genuine := contact.SignKnock(crypto.Knock{Name: "Contact", ResponderNonce: crypto.Nonce{1}}, liar)
			atAnothers := contact.SignKnock(crypto.Knock{Name: "Contact", ResponderNonce: crypto.Nonce{1}}, key)
			renamed, bare, other := genuine, genuine, genuine
			renamed.Name = "Somebody else"
			bare.Signature = crypto.Signature{}
			other.Bundle.Identity = crypto.GenerateIdentity().Public()
			other.Signature = contact.Sign("knock")
			tell := func(knocks ...crypto.Knock) {
				t.Helper()
				list := &meet.WaitingList{}
				for _, k := range knocks {
					list.Knocks = append(list.Knocks, meet.WaitingKnock{Knock: k, Waited: 1 << 60})
				}
				ok(t, b.second.InjectMessage(ctx, key, meet.PairMessage{Waiting: list}))
				w.Advance(time.Second)
			}
			for what, lie := range map[string]crypto.Knock{
				"signed for another's door": atAnothers, "under another name": renamed, "a bundle alone": bare, "another's bundle": other,
			} {
				tell(lie)
				if n := len(b.seen(b.first)); (n == 1) == protected {
					t.Errorf("%s: %d wait", what, n)
				}
				if err := b.first.Admit(ctx, lie.Bundle.Identity); errors.Is(err, meet.ErrNobodyKnocks) != protected {
					t.Errorf("%s: %v", what, err)
				}
				tell()
				b.see(b.first)
			}
			if !protected {
				return
			}
			tell(genuine, genuine) // control; each counts once
			b.see(b.first, "Contact")
			if at := must[[]meet.Knock](t)(b.first.Knocks(ctx))[0].At; time.Since(at) > 25*time.Hour {
				t.Errorf("it waits since %v", at)
			}
			// One who is in doesn't wait.
			plain := b.plain.Incarnation().SignKnock(crypto.Knock{Name: "Plain"}, liar)
			tell(genuine, plain)
			b.see(b.first, "Contact")
			// Nor does anybody at the door of one who may not admit.
			_, liarID := bundleOf(t, ctx, b.second)
			ok(t, b.first.SetRole(ctx, liarID, meet.Participant))
			w.Advance(time.Second)
			b.see(b.first)
		})
	})
}

// TestWaitingLimits covers DOR-11's limits: a list of more than a lobby holds is not taken, nor one list after the
// other without end. Twin: both are.
//
// Checks: DOR-11.
func TestWaitingLimits(t *testing.T) {
	t.Parallel()
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			b := newBench(t, ctx, w, config, meet.Config{}, meet.Config{})
			key, _ := bundleOf(t, ctx, b.first)
			door, _ := bundleOf(t, ctx, b.second)
			many := &meet.WaitingList{}
			for i := range 33 {
				inc := must[*crypto.Incarnation](t)(crypto.GenerateIdentity().NewIncarnation(b.first.ID()))
				k := inc.SignKnock(crypto.Knock{Name: fmt.Sprint(i), ResponderNonce: crypto.Nonce{byte(i)}}, door)
				many.Knocks = append(many.Knocks, meet.WaitingKnock{Knock: k, Waited: uint64(100 - i)})
			}
			tell := func(list *meet.WaitingList) {
				t.Helper()
				ok(t, b.second.InjectMessage(ctx, key, meet.PairMessage{Waiting: list}))
			}
			tell(many)
			w.Advance(time.Second)
			if n := len(b.seen(b.first)); n != map[bool]int{true: 0, false: 33}[protected] {
				t.Errorf("of a list of 33 %d are shown", n)
			}
			many.Knocks = many.Knocks[:32]
			tell(many)
			w.Advance(time.Second)
			if n := len(b.seen(b.first)); n != 32 {
				t.Errorf("%d of 32 are shown", n)
			}
			before := len(events[meet.Knocked](b.first))
			for range 100 {
				tell(&meet.WaitingList{})
				tell(&meet.WaitingList{Knocks: many.Knocks[:1]})
			}
			w.Advance(time.Second)
			if n := len(events[meet.Knocked](b.first)) - before; n > 20 == protected {
				t.Errorf("%d of 100 lists were taken at once", n)
			}
		})
	})
}

// TestManyKnock covers DOR-11: many who come and go at once are told in few lists, the last of which is right.
//
// Checks: DOR-11.
func TestManyKnock(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		var told watchedLists
		b := newBench(t, ctx, w, meet.OnPair(meet.Config{}, told.pair), meet.Config{}, meet.Config{})
		const n = 15
		outside, leave := context.WithCancel(ctx)
		var all [n]*knocking
		var group sync.WaitGroup
		for i := range all {
			group.Go(func() { all[i] = knock(outside, w, fmt.Sprint("k", i), b.invite, meet.Config{}) })
		}
		group.Wait()
		w.Advance(2 * time.Second)
		if got := len(b.seen(b.first)); got != n {
			t.Errorf("%d of %d are shown", got, n)
		}
		leave()
		for _, k := range all {
			<-k.done
		}
		w.Advance(10 * time.Second)
		b.see(b.first)
		b.see(b.second)
		if lists := told.lists(); lists > 20 {
			t.Errorf("%d lists tell of %d who came and went", lists, n)
		}
	})
}

// TestResponderGone covers DOR-11: with the responder go those who wait at its door, and they are back when it is. Twin:
// who is gone keeps another waiting for somebody whom nobody will answer.
//
// Checks: DOR-11.
func TestResponderGone(t *testing.T) {
	t.Parallel()
	twin(t, "anyResponder", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			b := newBench(t, ctx, w, config, meet.Config{}, meet.Config{})
			outside, leave := context.WithCancel(ctx)
			defer leave()
			b.ctx = outside
			ada, adaID := b.knocks("Ada")
			b.ctx = ctx
			b.see(b.first, "Ada")
			w.Network.Partition([]string{"first", "plain"}, []string{"second", "Ada"})
			w.Advance(30 * time.Second)
			if !protected {
				b.see(b.first, "Ada")
				leave()
				<-ada.done
				return
			}
			b.see(b.first)
			b.see(b.second, "Ada")
			if err := b.first.Admit(ctx, adaID); !errors.Is(err, meet.ErrNotConnected) {
				t.Errorf("at the door of somebody who can't be reached: %v", err)
			}

			w.Network.Heal()
			w.Advance(15 * time.Second)
			b.see(b.second, "Ada")
			b.see(b.first, "Ada")
			w.Crash(b.second)
			w.Advance(30 * time.Second)
			b.see(b.first)
			leave()
			<-ada.done
		})
	})
}

// TestDoorProbed: who doesn't have a link is answered nothing at the door it leads to, though it knows the link's name. Who
// has it is: the control.
//
// Checks: DOR-1.
func TestDoorProbed(t *testing.T) {
	world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", meet.Config{}))
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		for i, tt := range []struct{ secret, name, want bool }{{false, false, false}, {false, true, false}, {true, false, true}} {
			at := must[*transporttest.Host](t)(w.Network.Host(fmt.Sprint("stranger ", i), transporttest.HostOptions{}))
			if got := must[bool](t)(meet.ProbeDoor(ctx, at, invite, tt.secret, tt.name)); got != tt.want {
				t.Errorf("with the secret %v, with the name %v: answered %v", tt.secret, tt.name, got)
			}
		}
	})
}
