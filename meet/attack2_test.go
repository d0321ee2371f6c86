package meet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestTwoDevices has one identity join twice at once: one of the two is in, the other is told why it isn't.
func TestTwoDevices(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		id := crypto.GenerateIdentity()
		first := must[*meettest.Member](t)(w.Join(ctx, "first", host, meet.Config{Identity: id}))
		connected(t, ctx, host, first)
		second := must[*meettest.Member](t)(w.Join(ctx, "second", host, meet.Config{Identity: id}))
		select {
		case <-first.Context().Done():
			if err := context.Cause(first.Context()); !errors.Is(err, meet.ErrResumedElsewhere) {
				t.Errorf("the first device ended with %v", err)
			}
		case <-time.After(time.Second):
			t.Error("the first device goes on")
		}
		connected(t, ctx, host, second)

		// Both at once, by two links.
		other := crypto.GenerateIdentity()
		var devices [2]*meettest.Member
		var group sync.WaitGroup
		for i := range devices {
			invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			group.Go(func() {
				devices[i], _ = w.JoinBy(ctx, fmt.Sprint("device", i), invite, meet.Config{Identity: other})
			})
		}
		group.Wait()
		w.Advance(30 * time.Second)
		in := 0
		for _, d := range devices {
			if d == nil {
				continue
			}
			switch err := context.Cause(d.Context()); {
			case err == nil:
				in++
			case !errors.Is(err, meet.ErrResumedElsewhere):
				t.Errorf("a device ended with %v", err)
			}
		}
		if in != 1 {
			t.Errorf("%d devices of one identity are in", in)
		}
	})
}

// TestRestarts has a member crash and come back five times in a row, with its identity and nothing else.
func TestRestarts(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{}))
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		id := crypto.GenerateIdentity()
		var m *meettest.Member
		for i := range 6 {
			if m != nil {
				w.Crash(m)
			}
			m = must[*meettest.Member](t)(w.JoinBy(ctx, "restarter", invite, meet.Config{Identity: id}))
			connected(t, ctx, host, b, m)
			if n := len(must[[]meet.Member](t)(host.Members(ctx))); n != 3 {
				t.Fatalf("after %d restarts there are %d members", i, n)
			}
			tone := must[*meettest.Tone](t)(m.PublishTone(ctx, 60))
			w.Advance(time.Second)
			tone.Stop()
		}
		talks(t, ctx, w, m, b)
		if held := must[meet.Held](t)(b.Held(ctx)); held.Records > 2 {
			t.Errorf("it keeps %d addresses of two members", held.Records)
		}
	})
}

// TestJoinCancelled cancels a Join after each five milliseconds: it returns at once, and nothing is left of it on either
// side (the bubble sees to that).
func TestJoinCancelled(t *testing.T) {
	t.Parallel()
	for _, entry := range []meet.Entry{meet.EntryOpen, meet.EntryAsk} {
		world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
			config := open()
			config.Policy.Entry = entry
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			joined := 0
			for i := range 30 {
				invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
				after := time.Duration(i) * 5 * time.Millisecond
				short, cancel := context.WithTimeout(ctx, after)
				begun := time.Now()
				m, err := w.JoinBy(short, "joiner", invite, meet.Config{})
				cancel()
				if took := time.Since(begun); took > after+10*time.Millisecond {
					t.Errorf("cancelled after %v, it returned after %v", after, took)
				}
				if err == nil {
					joined++
					ok(t, m.Leave(ctx))
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("cancelled after %v: %v", after, err)
				}
			}
			if (joined > 0) != (entry == meet.EntryOpen) {
				t.Errorf("%d joined", joined)
			}
			w.Advance(time.Minute)
			if held := must[meet.Held](t)(host.Held(ctx)); held.Lobby != 0 {
				t.Errorf("%d are still in the lobby", held.Lobby)
			}
		})
	}
}

// TestJoinerDies has hosts of knocking people go dark: the lobby empties by itself. Who knocks twice counts once: the newer
// knock, and the older doesn't come again. Checks: DOR-7, DOR-14.
func TestJoinerDies(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", meet.Config{}))
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		outside, leave := context.WithCancel(ctx)
		var all []*knocking
		for i := range 3 {
			all = append(all, knock(outside, w, fmt.Sprint("k", i), invite, meet.Config{}))
		}
		// One knocks twice: the newer knock counts.
		id := crypto.GenerateIdentity()
		once := knock(outside, w, "twice", invite, meet.Config{Identity: id})
		again := knock(outside, w, "twice", invite, meet.Config{Identity: id})
		begun := time.Now()
		<-once.done
		denied(t, "the older knock", once.err, meet.DeniedBusy)
		if d := time.Since(begun); d > 4*time.Second {
			t.Errorf("the older knock went on for %v", d)
		}
		if n := len(must[[]meet.Knock](t)(host.Knocks(ctx))); n != 4 {
			t.Fatalf("%d wait", n)
		}
		for i := range 3 {
			w.Network.Crash(fmt.Sprint("k", i))
		}
		w.Network.Crash("twice-2")
		w.Advance(time.Minute)
		if n := len(must[[]meet.Knock](t)(host.Knocks(ctx))); n != 0 {
			t.Errorf("%d of the dead still wait", n)
		}
		leave()
		for _, k := range append(all, again) {
			<-k.done
		}
	})
}

// TestDoors covers a link's doors: where nobody is at the first the second is tried; whoever is at none says so.
func TestDoors(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{}))
		connected(t, ctx, host, b)
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		c := must[*meettest.Member](t)(w.JoinBy(ctx, "c", meet.Nowhere(invite), meet.Config{}))
		connected(t, ctx, host, b, c)
		// b has the link's secret, and no right to admit.
		_, err := w.JoinBy(ctx, "d", meet.Through(invite, b.Meeting), meet.Config{})
		denied(t, "at a plain member's door", err, meet.DeniedNoHost)
		w.Crash(host)
		var unreachable *meet.UnreachableError
		if _, err := w.JoinBy(ctx, "e", invite, meet.Config{}); !errors.As(err, &unreachable) {
			t.Errorf("nobody at the door: %v", err)
		}
	})
}

// TestEndings ends a meeting in every way, several at once. Each call returns, later ones with the reason, and nothing is
// left (the bubble sees to that).
func TestEndings(t *testing.T) {
	t.Parallel()
	ways := map[string]func(context.Context, *meettest.Member) error{
		"leave": func(ctx context.Context, m *meettest.Member) error { return m.Leave(ctx) },
		"close": func(_ context.Context, m *meettest.Member) error { return m.Close() },
		"end":   func(ctx context.Context, m *meettest.Member) error { return m.End(ctx) },
	}
	for a, first := range ways {
		for b, second := range ways {
			world(t, ms20, func(ctx context.Context, w *meettest.World) {
				host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
				guest := must[*meettest.Member](t)(w.Join(ctx, "guest", host, meet.Config{}))
				connected(t, ctx, host, guest)
				who := self(t, ctx, guest).Identity
				var group sync.WaitGroup
				group.Go(func() { _ = first(ctx, host) })
				group.Go(func() { _ = second(ctx, host) })
				group.Wait()
				synctest.Wait()
				cause := context.Cause(host.Context())
				if cause == nil {
					t.Fatalf("%s and %s: it goes on", a, b)
				}
				for what, err := range commands(ctx, host, who) {
					if !errors.Is(err, cause) {
						t.Errorf("%s and %s: %s afterwards: %v, want %v", a, b, what, err, cause)
					}
				}
				ended := events[meet.Ended](host)
				if len(ended) != 1 || !errors.Is(ended[0].Err, cause) {
					t.Errorf("%s and %s: ended %v, want %v", a, b, ended, cause)
				}
				for range host.Events() { // what is left is finite
				}
				ok(t, host.Close())
			})
		}
	}
}

// commands calls each method that may fail and returns the errors.
func commands(ctx context.Context, m *meettest.Member, who crypto.IdentityKey) map[string]error {
	errs := map[string]error{}
	_, errs["members"] = m.Members(ctx)
	_, errs["self"] = m.Self(ctx)
	_, errs["policy"] = m.Policy(ctx)
	_, errs["knocks"] = m.Knocks(ctx)
	_, errs["stats"] = m.Stats(ctx)
	_, errs["words"] = m.Words(ctx)
	_, errs["invite"] = m.Invite(ctx, meet.InviteOptions{})
	_, errs["verify"] = m.Verify(ctx, who)
	_, errs["publish"] = m.PublishTone(ctx, 60)
	errs["mark verified"] = m.MarkVerified(ctx, who)
	errs["say"] = m.Say(ctx, "x")
	errs["data"] = m.SendData(ctx, []byte("x"))
	errs["admit"] = m.Admit(ctx, who)
	errs["deny"] = m.Deny(ctx, who)
	errs["remove"] = m.Remove(ctx, who, true)
	errs["role"] = m.SetRole(ctx, who, meet.Host)
	errs["lock"] = m.Lock(ctx)
	errs["end"] = m.End(ctx)
	errs["keep sending"] = m.KeepSending(ctx, true)
	return errs
}

// TestCommandsCancelled calls everything with a context that is over: each returns its error, and nothing happens.
func TestCommandsCancelled(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 2)
		before := must[[][]byte](t)(all[0].Operations(ctx))
		over, cancel := context.WithCancel(ctx)
		cancel()
		for what, err := range commands(over, all[0], self(t, ctx, all[1]).Identity) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.Advance(time.Second)
		after := must[[][]byte](t)(all[0].Operations(ctx))
		if len(after) != len(before) || !bytes.Equal(after[len(after)-1], before[len(before)-1]) {
			t.Errorf("%d operations became %d", len(before), len(after))
		}
		if err := all[1].Leave(over); !errors.Is(err, context.Canceled) {
			t.Errorf("leave: %v", err)
		}
		if all[1].Context().Err() == nil {
			t.Error("who leaves without time to say so is still in")
		}
	})
}

// TestSlowReader has a reader of events sleep: the meeting goes on, and the reader misses nothing that counts.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 2)
		stop, started := make(chan struct{}), make(chan struct{})
		var lagged, dropped int
		var last meet.Snapshot
		var group sync.WaitGroup
		group.Go(func() {
			first := true
			for e := range all[0].Events() {
				if first {
					first = false
					close(started)
					<-stop
				}
				switch e := e.(type) {
				case meet.Lagged:
					lagged++
					dropped += e.Dropped
				case meet.Snapshot:
					last = e
				}
			}
		})
		<-started
		for i := range 1500 {
			ok(t, all[1].SendData(ctx, []byte(fmt.Sprint(i))))
			if i%50 == 0 {
				w.Advance(100 * time.Millisecond)
			}
		}
		third := must[*meettest.Member](t)(w.Join(ctx, "third", all[0], meet.Config{}))
		connected(t, ctx, all[0], all[1], third)
		w.Advance(5 * time.Second)
		if n := len(events[meet.Data](all[0])); n != 1500 {
			t.Errorf("a reader that keeps up had %d of 1500", n)
		}
		close(stop)
		ok(t, all[0].Close())
		group.Wait()
		if lagged != 1 || dropped < 400 || len(last.Members) != 3 {
			t.Errorf("lagged %d times, by %d; the last snapshot has %d members", lagged, dropped, len(last.Members))
		}
	})
}

// TestNoFalseAlarms is everyday life for eight minutes: joins, leaves, removals, crashes, restarts, roles, cuts short and
// long. Nobody is warned of ghosts, equivocation or missing operations (KEY-4, KEY-3, PRE-5).
func TestNoFalseAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: not with -short")
	}
	alarmed(t, meettest.Options{Latency: 20 * time.Millisecond, Loss: 0.01, Seed: 3}, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 6)
		host := all[0]
		ok(t, host.SetRole(ctx, self(t, ctx, all[1]).Identity, meet.Host))
		w.Advance(time.Second)
		for _, m := range []*meettest.Member{all[0], all[3]} {
			tone := must[*meettest.Tone](t)(m.PublishTone(ctx, 60))
			defer tone.Stop()
		}
		id := crypto.GenerateIdentity()
		link := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		guest := must[*meettest.Member](t)(w.JoinBy(ctx, "guest", link, meet.Config{Identity: id}))
		w.Advance(10 * time.Second)
		ok(t, all[5].Say(ctx, "a key without a track"))
		w.Advance(20 * time.Second)
		w.Crash(guest)
		w.Advance(40 * time.Second)
		guest = must[*meettest.Member](t)(w.JoinBy(ctx, "guest", link, meet.Config{Identity: id}))
		ok(t, all[5].Leave(ctx))
		w.Advance(20 * time.Second)
		ok(t, host.Remove(ctx, self(t, ctx, guest).Identity, true))
		ok(t, host.SetRole(ctx, self(t, ctx, all[4]).Identity, meet.Viewer))
		w.Advance(20 * time.Second)
		for _, apart := range []time.Duration{3 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute} {
			w.Network.Partition([]string{"member0", "member2", "member4"}, []string{"member1", "member3"})
			w.Advance(apart / 2)
			ok(t, host.Lock(ctx))
			ok(t, all[1].SetRole(ctx, self(t, ctx, all[3]).Identity, meet.Participant))
			w.Advance(apart / 2)
			w.Network.Heal()
			w.Advance(30 * time.Second)
		}
		w.Advance(time.Minute)
		ok(t, crossed(ctx, w, all[0], all[3], time.Second))
		for _, m := range w.Members() {
			for _, warning := range warnings(m) {
				t.Errorf("%s was warned: %+v", m.Host, warning)
			}
		}
	})
}
