package meet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
)

// talks says whether chat goes both ways between two members within a second each.
func talks(t *testing.T, ctx context.Context, w *meettest.World, a, b *meettest.Member) {
	t.Helper()
	for _, pair := range [][2]*meettest.Member{{a, b}, {b, a}} {
		text := fmt.Sprint("talk ", rand.Uint64())
		ok(t, pair[0].Say(ctx, text))
		w.Advance(time.Second)
		heard := 0
		for _, e := range events[meet.Chat](pair[1]) {
			if e.Text == text {
				heard++
			}
		}
		if heard != 1 {
			t.Errorf("%s heard %s %d times", pair[1].Host, pair[0].Host, heard)
		}
	}
}

// barrage is what a hostile member sends to a victim: each kind of pair message, malformed, absurd or too much.
func barrage(ctx context.Context, bad, victim *meettest.Member) error {
	r := rand.New(rand.NewPCG(1, 2))
	to := victim.Incarnation().Key()
	junk := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	hash := func() crypto.Hash { return crypto.Hash(junk(32)) }
	var operations, addresses [][]byte
	var wants []roster.ShortHash
	var ids []crypto.MessageID
	for range 200 {
		operations, addresses = append(operations, junk(200)), append(addresses, junk(100))
		wants, ids = append(wants, roster.ShortHash(junk(16))), append(ids, crypto.MessageID(junk(16)))
	}
	commit, nonce := hash(), crypto.Nonce(junk(16))
	messages := []meet.PairMessage{
		{Wrap: junk(150)}, {Heartbeat: junk(300)}, {Sync: &roster.Sync{Count: 1 << 60}}, {Want: wants}, {Operations: operations},
		{Have: &roster.Have{Hashes: wants}}, {Addresses: addresses}, {Offer: junk(400)}, {Answer: junk(400)},
		{KeyFrame: &meet.KeyFrame{Stream: 3}}, {Received: ids}, {Resend: &meet.ResentMessage{Stream: 200, Signed: junk(60)}},
		{Resend: &meet.ResentMessage{Stream: crypto.StreamPrivate, Signed: junk(80)}}, {Resend: &meet.ResentMessage{Stream: crypto.StreamReaction, Signed: junk(80)}},
		{Mute: &meet.MuteRequest{Source: meet.SourceMicrophone}},
		{Nonce: &nonce}, {Reveal: &nonce}, {Commit: &commit}, {Reveal: &nonce}, {Nonce: &nonce}, {},
	}
	for range 20 {
		for _, msg := range messages {
			if err := bad.InjectMessage(ctx, to, msg); err != nil {
				return err
			}
		}
		for _, n := range []int{1, 10, 1000, 60_000, 65_000} {
			if err := bad.Inject(ctx, to, junk(n)); err != nil {
				return err
			}
			if n < 60_000 {
				if err := bad.InjectGossip(junk(n)); err != nil {
					return err
				}
			}
		}
		time.Sleep(50 * time.Millisecond) // virtual
	}
	return nil
}

// TestHostileMember sends a member everything that a pair session and the room can carry, wrong. Nothing of it is kept,
// nobody is warned of anything that isn't, and the meeting goes on.
func TestHostileMember(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 4)
		w.Advance(10 * time.Second)
		bad, victim := all[3], all[1]
		tone := must[*meettest.Tone](t)(victim.PublishTone(ctx, 60))
		defer tone.Stop()
		before := must[meet.Held](t)(victim.Held(ctx))
		ok(t, barrage(ctx, bad, victim))
		talks(t, ctx, w, victim, all[0])
		talks(t, ctx, w, victim, bad)
		ok(t, crossed(ctx, w, victim, all[2], time.Second))
		ok(t, crossed(ctx, w, victim, bad, time.Second))
		after := must[meet.Held](t)(victim.Held(ctx))
		before.Seen, before.Outbox = after.Seen, after.Outbox
		if after != before {
			t.Errorf("it keeps %+v, before %+v", after, before)
		}
		if len(events[meet.VerifyRequested](victim)) > 4 {
			t.Errorf("the user was asked to compare %d times", len(events[meet.VerifyRequested](victim)))
		}
	})
}

// TestWaitingOperations has a hostile member send operations without a past, again and again: the store for them is
// bounded (ROS-2), the meeting goes on, and nobody is alarmed by what may be made up.
func TestWaitingOperations(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		bad, victim := all[2], all[1]
		inc := bad.Incarnation()
		for i := range 3000 {
			previous := crypto.HashOf("identity", []byte(fmt.Sprint(i)))
			op := roster.Operation{Author: inc.Bundle().Hash(), Seq: 1 << 20, Previous: &previous, Time: 1, Body: roster.Body{Leave: &roster.Leave{}}}
			meeting := victim.ID()
			sig := inc.Sign("operation", meeting[:], meet.Encode(&op))
			op.Signature = &sig
			raw := meet.Encode(&op)
			ok(t, bad.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Operations: [][]byte{raw}}))
			if i%100 == 0 {
				w.Advance(100 * time.Millisecond)
			}
		}
		talks(t, ctx, w, victim, all[0])
		w.Advance(20 * time.Second)
		ok(t, all[0].Remove(ctx, self(t, ctx, bad).Identity, true))
		w.Advance(time.Second)
		if n := len(must[[]meet.Member](t)(victim.Members(ctx))); n != 2 {
			t.Errorf("the victim sees %d members", n)
		}
	})
}

// TestComparisons covers VER-4: two who ask each other at once get the same words; there is one at a time; one that is
// given up makes room for another; a member who goes ends it.
func TestComparisons(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		a, b, c := all[0], all[1], all[2]
		var group sync.WaitGroup
		var v [2]crypto.Verification
		var errs [2]error
		group.Go(func() { v[0], errs[0] = a.Verify(ctx, self(t, ctx, b).Identity) })
		group.Go(func() { v[1], errs[1] = b.Verify(ctx, self(t, ctx, a).Identity) })
		group.Wait()
		if errs != [2]error{} || v[0] != v[1] || v[0] == (crypto.Verification{}) {
			t.Errorf("both at once: %v %v", v, errs)
		}
		// The words of the other side, where only one asks.
		asked := must[crypto.Verification](t)(a.Verify(ctx, self(t, ctx, c).Identity))
		shown, err := meettest.AwaitEvent[meet.VerifyRequested](ctx, c)
		if err != nil || shown.Verification != asked || shown.From.Name != "member0" {
			t.Errorf("%v %+v", err, shown)
		}
		ok(t, a.MarkVerified(ctx, self(t, ctx, c).Identity))

		// c stops answering.
		w.Network.Crash(c.Host)
		id := self(t, ctx, c).Identity
		short, cancel := context.WithTimeout(ctx, time.Second)
		group.Go(func() { _, errs[0] = a.Verify(short, id) })
		w.Advance(100 * time.Millisecond)
		if _, err := a.Verify(ctx, id); !errors.Is(err, meet.ErrComparing) {
			t.Errorf("two at once: %v", err)
		}
		group.Wait()
		cancel()
		if !errors.Is(errs[0], context.DeadlineExceeded) {
			t.Errorf("got %v", errs[0])
		}
		group.Go(func() { _, errs[0] = a.Verify(ctx, id) })
		w.Advance(20 * time.Second) // the connection is given up
		group.Wait()
		if !errors.Is(errs[0], meet.ErrNotConnected) {
			t.Errorf("got %v", errs[0])
		}
		if _, err := a.Verify(ctx, id); !errors.Is(err, meet.ErrNotConnected) {
			t.Errorf("got %v", err)
		}
		if _, err := a.Verify(ctx, crypto.GenerateIdentity().Public()); !errors.Is(err, meet.ErrNoSuchMember) {
			t.Errorf("got %v", err)
		}
	})
}

// TestManyJoin has 20 join at once (31 take no longer), each by a link of its own, and then 20 by one link, of whom the door takes 16 (DOR-7).
func TestManyJoin(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		var invites []meet.Invite
		n := 20
		if testing.Short() {
			n = 10
		}
		for range n {
			invites = append(invites, must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{})))
		}
		all := make([]*meettest.Member, n)
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				m, err := w.JoinBy(ctx, fmt.Sprint("m", i), invites[i], meet.Config{})
				if err != nil {
					t.Errorf("m%d: %v", i, err)
				}
				all[i] = m
			})
		}
		group.Wait()
		if t.Failed() {
			return
		}
		start := time.Now()
		connected(t, ctx, append(all, host)...)
		t.Logf("%d who joined at once were all connected after %v", n, time.Since(start))
		if time.Since(start) > 5*time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
	})
}

// TestKnocksOfOneLink: by one link 16 come in at once, and whoever is too much is told to come later. The twin takes all.
//
// Checks: DOR-7.
func TestKnocksOfOneLink(t *testing.T) {
	if testing.Short() {
		t.Skip("many members")
	}
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			var mu sync.Mutex
			in, busy := 0, 0
			var group sync.WaitGroup
			for i := range 20 {
				group.Go(func() {
					_, err := w.JoinBy(ctx, fmt.Sprint("m", i), invite, meet.With(meet.Config{}, "knockOnce"))
					mu.Lock()
					defer mu.Unlock()
					var d *meet.DeniedError
					switch {
					case err == nil:
						in++
					case errors.As(err, &d) && d.Reason == meet.DeniedBusy:
						busy++
					default:
						t.Errorf("m%d: %v", i, err)
					}
				})
			}
			group.Wait()
			if want := map[bool]int{true: 16, false: 20}[protected]; in != want || busy != 20-want {
				t.Errorf("%d came in, %d were told to come later", in, busy)
			}
		})
	})
}

// TestForkedMember covers ROS-19 in a meeting: a member proven to have signed two histories is shown so to everybody, and
// gets no new key. The others get theirs.
func TestForkedMember(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		var mu sync.Mutex
		wraps := map[string]int{}
		recorded := func(name string) meet.Config {
			return meet.RecordWraps(meet.Config{}, func(crypto.MeetingKey, []byte) {
				mu.Lock()
				defer mu.Unlock()
				wraps[name]++
			})
		}
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		good := must[*meettest.Member](t)(w.Join(ctx, "good", host, recorded("good")))
		bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, recorded("bad")))
		connected(t, ctx, host, good, bad)
		tone := must[*meettest.Tone](t)(host.PublishTone(ctx, 60))
		defer tone.Stop()
		w.Advance(5 * time.Second)
		mu.Lock()
		before := wraps["bad"]
		mu.Unlock()
		inc, meeting := bad.Incarnation(), host.ID()
		ops := must[[][]byte](t)(host.Operations(ctx))
		for i := range 2 {
			op := roster.Operation{Author: inc.Bundle().Hash(), Heads: []crypto.Hash{roster.HashOperation(ops[len(ops)-1])}, Time: uint64(i)}
			op.Body.Invite = &roster.Invite{Key: crypto.NewInvite().Secret.Key()}
			sig := inc.Sign("operation", meeting[:], meet.Encode(&op))
			op.Signature = &sig
			ok(t, bad.InjectMessage(ctx, host.Incarnation().Key(), meet.PairMessage{Operations: [][]byte{meet.Encode(&op)}}))
		}
		w.Advance(15 * time.Second)
		for _, m := range []*meettest.Member{host, good} {
			if n := warnings(m); len(n) != 1 || n[0].Kind != meet.Equivocation || n[0].Member.Name != "bad" || !n[0].Member.Suspended {
				t.Errorf("%s was shown %+v", m.Host, n)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if wraps["bad"] != before || wraps["good"] <= before {
			t.Errorf("new keys: suspended %d, the other %d, before %d", wraps["bad"], wraps["good"], before)
		}
		if crossed(ctx, w, host, good, time.Second) != nil || crossed(ctx, w, host, bad, time.Second) == nil {
			t.Error("the suspended member hears, or the other doesn't")
		}
	})
}

// TestQueueFull has a member's connection stand still until its queue is full: what could not be queued is said again as
// soon as there is room.
func TestQueueFull(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		w.Advance(8 * time.Second)
		slow := all[1]
		w.Network.Partition([]string{"member0"}, []string{"member1"}, []string{"member2"})
		for range 1500 {
			ok(t, all[0].Inject(ctx, slow.Incarnation().Key(), make([]byte, 900)))
		}
		ok(t, all[0].Remove(ctx, self(t, ctx, all[2]).Identity, false))
		tone := must[*meettest.Tone](t)(all[0].PublishTone(ctx, 60))
		defer tone.Stop()
		w.Advance(3 * time.Second)
		w.Network.Heal()
		w.Advance(3 * time.Second)
		if n := len(must[[]meet.Member](t)(slow.Members(ctx))); n != 2 {
			t.Errorf("it sees %d members", n)
		}
		ok(t, crossed(ctx, w, all[0], slow, time.Second))
	})
}
