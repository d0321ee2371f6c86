package meet_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// Long meetings, and members who do something that is allowed without end.

// counting is the configuration of a member with which is summed up what f finds in each pair message that it takes.
func counting(f func(meet.PairMessage) int) (meet.Config, *atomic.Int64) {
	sum := new(atomic.Int64)
	return meet.OnPair(meet.Config{}, func(_ crypto.MeetingKey, msg meet.PairMessage) { sum.Add(int64(f(msg))) }), sum
}

// bounded judges what somebody brought about who does something without end: so much at most, and without the protection so
// much at least.
func bounded(t *testing.T, protected bool, what string, got, most, least int64) {
	t.Helper()
	t.Logf("%s: %d", what, got)
	if protected && got > most {
		t.Errorf("%s: %d, more than %d", what, got, most)
	}
	if !protected && got < least {
		t.Errorf("twin: %s: %d, fewer than %d", what, got, least)
	}
}

// TestBeatStorm: heartbeats without end, each of which says that it heard something else of others, are answered at a
// bounded rate.
//
// Checks: PRE-7, PRE-8.
func TestBeatStorm(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) { // of who lies
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			other := must[*meettest.Member](t)(w.Join(ctx, "other", host, meet.Config{}))
			count, got := counting(func(msg meet.PairMessage) int {
				if msg.Contradiction == nil {
					return 0
				}
				return 1
			})
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, count))
			connected(t, ctx, host, other, bad)
			w.Advance(30 * time.Second)
			inc, about, meeting := bad.Incarnation(), other.Incarnation().Key(), host.ID()
			for i := range 500 {
				b := roster.Heartbeat{Number: uint64(1000 + i)}
				for n := range uint64(16) { // some of these the host has heard
					b.Echoes = append(b.Echoes, roster.Echo{Member: [8]byte(about[:8]), Number: n + 1, Check: [4]byte{1, 2, 3, 4}})
				}
				author := inc.Key()
				sig := inc.Sign("heartbeat", meeting[:], author[:], meet.Encode(&b))
				b.Signature = &sig
				ok(t, bad.InjectMessage(ctx, host.Incarnation().Key(), meet.PairMessage{Heartbeat: meet.Encode(&b)}))
				w.Advance(10 * time.Millisecond)
			}
			w.Advance(time.Second)
			bounded(t, protected, "contradictions that answer 500 heartbeats", got.Load(), 8+6+2, 1000)
		})
	})
}

// TestGreetStorm: a member that ends its stream again and again is sent what it may have missed at a bounded rate.
//
// Checks: PAI-8.
func TestGreetStorm(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			var silent atomic.Bool
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			count, size := counting(func(msg meet.PairMessage) int { return len(meet.Encode(&msg)) })
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Silent(count, silent.Load)))
			connected(t, ctx, host, bad)
			w.Advance(5 * time.Second)
			silent.Store(true)          // it acknowledges nothing
			const many, each = 32, 1000 // so that even without the limit all is read as it comes (TRA-25)
			for range many {
				ok(t, host.SendData(ctx, make([]byte, each)))
			}
			size.Store(0)
			for range 100 {
				ok(t, host.ConnectedAgain(ctx, bad.Incarnation().Key()))
				w.Advance(100 * time.Millisecond)
			}
			once := int64(many * each)
			bounded(t, protected, "bytes sent for 100 streams in 10 s", size.Load(), 20*once, 60*once)
		})
	})
}

// TestDataStorm: data messages without end are shown at a bounded rate, those of others come, and what was too much comes
// when there is room, if its author is honest.
//
// Checks: MSG-8.
func TestDataStorm(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			honest := must[*meettest.Member](t)(w.Join(ctx, "honest", host, meet.Config{}))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			connected(t, ctx, host, honest, bad)
			inc := bad.Incarnation()
			const many = 8000
			for i := range many {
				signed := must[[]byte](t)(crypto.SignMessage(inc, crypto.StreamData, crypto.NewMessageID(), time.Now(), []byte("x")))
				ok(t, bad.InjectMessage(ctx, host.Incarnation().Key(), meet.PairMessage{Resend: &meet.ResentMessage{Stream: crypto.StreamData, Signed: signed}}))
				if i%2000 == 0 {
					ok(t, honest.SendData(ctx, fmt.Append(nil, "honest", i)))
				}
				if i%10 == 0 {
					w.Advance(time.Millisecond)
				}
			}
			w.Advance(5 * time.Second) // it is read no faster (TRA-25)
			shown, kept := int64(0), 0
			for _, d := range events[meet.Data](host) {
				if bytes.HasPrefix(d.Data, []byte("honest")) {
					kept++
				} else {
					shown++
				}
			}
			bounded(t, protected, "data messages shown of 8000", shown, 1024+256*6, many)
			if kept != many/2000 {
				t.Errorf("of honest messages %d came", kept)
			}
		})
	})
}

// TestOperationsStorm: a member that asks for all operations again and again has nobody's uplink filled with them.
//
// Checks: SYN-3.
func TestOperationsStorm(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			count, got := counting(func(msg meet.PairMessage) int { return len(msg.Operations) })
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, count))
			connected(t, ctx, host, bad)
			for range 100 {
				must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			}
			w.Advance(5 * time.Second)
			got.Store(0)
			everything := &roster.Have{}
			for i := range everything.Last {
				everything.Last[i] = 0xff
			}
			for range 300 {
				ok(t, bad.InjectMessage(ctx, host.Incarnation().Key(), meet.PairMessage{Have: everything}))
				w.Advance(50 * time.Millisecond)
			}
			bounded(t, protected, "operations sent to who asked 300 times in 15 s", got.Load(), 1024+2*110+256*16, 20000)
		})
	})
}

// TestLoiterers: who has a link, perhaps a dead one, and stands in the door saying nothing, keeps nobody else out for long.
//
// Checks: DOR-7.
func TestLoiterers(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			old := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			gone := must[*meettest.Member](t)(w.Join(ctx, "gone", host, meet.Config{}))
			connected(t, ctx, host, gone)
			ok(t, host.Remove(ctx, self(t, ctx, gone).Identity, true))
			w.Advance(time.Minute)
			loitering, leave := context.WithCancel(ctx)
			var group sync.WaitGroup
			for i := range 8 {
				place := must[*transporttest.Host](t)(w.Network.Host(fmt.Sprint("loiterer", i), transporttest.HostOptions{}))
				group.Go(func() { _ = meet.LoiterAtDoor(loitering, place, old) })
			}
			w.Advance(300 * time.Millisecond)
			begun := time.Now()
			m := must[*meettest.Member](t)(w.Join(ctx, "late", host, meet.Config{}))
			took := time.Since(begun)
			t.Logf("it took %v to come in", took)
			if late := took > 4*time.Second; late == protected {
				t.Errorf("it took %v to come in", took)
			}
			connected(t, ctx, host, m)
			leave()
			group.Wait()
		})
	})
}

// TestLobbyCrowd: who has one link, and as many keys as they like, keeps nobody out who comes by another.
//
// Checks: DOR-7.
func TestLobbyCrowd(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			leaked := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			outside, leave := context.WithCancel(ctx)
			var all []*knocking
			for i := range 32 {
				all = append(all, knock(outside, w, fmt.Sprint("crowd", i), leaked, meet.Config{}))
				w.Advance(6 * time.Second)
			}
			if n := len(must[[]meet.Knock](t)(host.Knocks(ctx))); n != 32 {
				t.Fatalf("%d wait", n)
			}
			other := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			last := knock(outside, w, "last", other, meet.Config{})
			all = append(all, last)
			waits := slices.ContainsFunc(must[[]meet.Knock](t)(host.Knocks(ctx)), func(k meet.Knock) bool { return k.Name == "last" })
			if waits != protected {
				t.Errorf("who comes by another link waits: %v", waits)
			}
			if n := len(must[[]meet.Knock](t)(host.Knocks(ctx))); n != 32 {
				t.Errorf("%d wait", n)
			}
			leave()
			for _, k := range all {
				<-k.done
			}
		})
	})
}

// TestRecordStorm: a member that is somewhere else again and again, as it signed, has others tell those who are new where it
// is but now and then, and not at all where it names more addresses than one may.
//
// Checks: ADR-1.
func TestRecordStorm(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			connected(t, ctx, host, victim, bad)
			w.Advance(20 * time.Second)
			count, told := counting(func(msg meet.PairMessage) int { return len(msg.Addresses) })
			newcomer := must[*meettest.Member](t)(w.Join(ctx, "newcomer", host, count))
			connected(t, ctx, host, victim, bad, newcomer)
			told.Store(0)
			at := func(i, n int) (all [][]byte) { // 5.99.i.1 and so on, UDP 4444, QUIC
				for k := range n {
					all = append(all, []byte{4, 5, 99, byte(i), byte(k), 0x91, 2, 0x11, 0x5c, 0xcd, 3})
				}
				return all
			}
			number := uint64(1) << 52
			said := func(addrs [][]byte) (raw []byte) {
				number++
				raw = meet.Encode(meet.SignRecord(bad.Incarnation(), number, addrs))
				ok(t, bad.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Addresses: [][]byte{raw}}))
				w.Advance(20 * time.Millisecond)
				return raw
			}
			held := func(raw []byte) bool {
				w.Advance(200 * time.Millisecond)
				return slices.ContainsFunc(must[[][]byte](t)(victim.RecordsHeld(ctx)), func(r []byte) bool { return bytes.Equal(r, raw) })
			}
			if held(said(at(200, crypto.MaxDoorAddresses+1))) {
				t.Error("a record with nine addresses is taken")
			}
			if !held(said(at(200, crypto.MaxDoorAddresses))) {
				t.Error("a record with eight addresses isn't taken")
			}
			for i := range 200 {
				said(at(i, 1))
			}
			w.Advance(200 * time.Millisecond)
			bounded(t, protected, "addresses told of who was in 200 places in 4 s", told.Load(), 40, 150)
		})
	})
}

// TestMovesOften: however often a member's addresses change, all know the last ones soon.
//
// Checks: ADR-1.
func TestMovesOften(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		w.Advance(15 * time.Second)
		last := must[[]byte](t)(all[1].Move(ctx, all[0].Incarnation().Key(), 10))
		w.Advance(4 * time.Second)
		held := must[[][]byte](t)(all[2].RecordsHeld(ctx))
		if !slices.ContainsFunc(held, func(r []byte) bool { return bytes.Equal(r, last) }) {
			t.Error("somebody doesn't know where a member is now")
		}
	})
}

// TestLongMeeting does each thing that may be done far more often than there are places for it, one after the other: all of
// it works the last time as it did the first, and nothing is kept of it.
//
// Checks: FIL-8, STR-7, VER-4.
func TestLongMeeting(t *testing.T) {
	world(t, ms20, func(_ context.Context, w *meettest.World) {
		ctx, cancel := context.WithTimeout(context.Background(), 12*time.Hour)
		defer cancel()
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, meet.Config{}))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{}))
		all := []*meettest.Member{host, a, b}
		connected(t, ctx, all...)
		quiet := func() (n int, kept []meet.Kept) {
			w.Advance(2 * time.Minute)
			for _, m := range all {
				kept = append(kept, must[meet.Kept](t)(m.Kept(ctx)))
			}
			return runtime.NumGoroutine(), kept
		}
		for _, step := range []struct {
			name  string
			times int
			f     func(i int)
		}{
			{"publish", 300, func(int) { publishOnce(t, ctx, w, a, b) }},
			{"chat", 100, func(int) {
				ok(t, a.Say(ctx, strings.Repeat("x", crypto.MaxChatBody)))
				ok(t, a.SayTo(ctx, self(t, ctx, b).Identity, "only you"))
				ok(t, a.React(ctx, "+"))
				ok(t, a.RaiseHand(ctx, true))
				w.Advance(500 * time.Millisecond)
				ok(t, a.RaiseHand(ctx, false))
			}},
			{"record", 50, func(int) { recordOnce(t, ctx, w, a, b, host) }},
			{"file", 80, func(i int) { offerOnce(t, ctx, w, a, b, i) }},
			{"invite", 100, func(int) { must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{})) }},
			{"role", 100, func(i int) {
				ok(t, host.SetRole(ctx, self(t, ctx, b).Identity, []meet.Role{meet.Viewer, meet.Participant}[i%2]))
				w.Advance(200 * time.Millisecond)
			}},
			{"compare", 15, func(int) {
				must[crypto.Verification](t)(a.Verify(ctx, self(t, ctx, b).Identity))
				w.Advance(5 * time.Second)
			}},
			{"connection", 60, func(int) {
				a.HangUp(b.Incarnation().Key())
				w.Advance(2 * time.Second)
			}},
			{"knock", 30, func(i int) { knockOnce(t, ctx, w, host, i) }},
			{"member", 15, func(i int) { joinOnce(t, ctx, w, all, i) }},
		} {
			step.f(0)
			goroutines, before := quiet()
			if testing.Short() {
				step.times /= 5
			}
			for i := range step.times {
				step.f(i + 1)
			}
			n, after := quiet()
			for i, m := range all {
				if after[i] != before[i] {
					t.Errorf("%s: %s keeps\n%+v, before\n%+v", step.name, m.Host, after[i], before[i])
				}
			}
			if n > goroutines+12 { // two who dial each other at once keep both connections
				t.Errorf("%s: %d goroutines, before %d", step.name, n, goroutines)
			}
		}
		connected(t, ctx, all...)
		talks(t, ctx, w, a, b)
	})
}

func publishOnce(t *testing.T, ctx context.Context, w *meettest.World, from, to *meettest.Member) {
	t.Helper()
	had := len(events[meet.TrackRemoved](to))
	tone := must[*meettest.Tone](t)(from.PublishTone(ctx, 60))
	w.Advance(500 * time.Millisecond)
	tracks := events[meet.TrackAdded](to)
	if len(tracks) != had+1 {
		t.Fatalf("%d tracks, after %d", len(tracks), had)
	}
	if st := tracks[had].Track.Stats(); st.Packets < 5 || st.Undecryptable+st.Repeated > 0 {
		t.Fatalf("after %d tracks: %+v", had, st)
	}
	tone.Stop()
	w.Advance(500 * time.Millisecond)
}

func recordOnce(t *testing.T, ctx context.Context, w *meettest.World, by *meettest.Member, others ...*meettest.Member) {
	t.Helper()
	ok(t, by.AskToRecord(ctx))
	w.Advance(time.Second)
	for i, m := range others {
		recordings := must[[]meet.Recording](t)(m.Recordings(ctx))
		if len(recordings) != 1 {
			t.Fatalf("%d recordings", len(recordings))
		}
		ok(t, m.ConsentToRecording(ctx, recordings[0], i > 0))
	}
	w.Advance(5 * time.Second)
	ok(t, by.StopRecording(ctx))
	w.Advance(time.Second)
}

func offerOnce(t *testing.T, ctx context.Context, w *meettest.World, from, to *meettest.Member, i int) {
	t.Helper()
	content := bytes.Repeat([]byte{byte(i)}, 300_000)
	offer := must[meet.FileOffer](t)(from.OfferFile(ctx, meet.FileSource{Name: "f", Size: int64(len(content)), Content: bytes.NewReader(content)}, crypto.IdentityKey{}))
	w.Advance(time.Second)
	dst := &memory{}
	transfer := must[*meet.FileTransfer](t)(to.ReceiveFile(ctx, offer.ID, dst, meet.FileReceiveOptions{}))
	switch i % 4 {
	case 0:
		ok(t, transfer.Wait(ctx))
	case 1:
		w.Advance(100 * time.Millisecond)
		transfer.Cancel()
	case 2:
		w.Advance(100 * time.Millisecond)
		to.HangUp(from.Incarnation().Key())
		ok(t, transfer.Wait(ctx))
	}
	w.Advance(100 * time.Millisecond)
	ok(t, from.WithdrawFile(ctx, offer.ID))
	w.Advance(time.Second)
}

func knockOnce(t *testing.T, ctx context.Context, w *meettest.World, host *meettest.Member, i int) {
	t.Helper()
	policy := meet.DefaultPolicy()
	ok(t, host.SetPolicy(ctx, policy))
	invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
	k := knock(ctx, w, fmt.Sprint("visitor", i), invite, meet.Config{})
	knocks := must[[]meet.Knock](t)(host.Knocks(ctx))
	if len(knocks) != 1 {
		t.Fatalf("%d knock", len(knocks))
	}
	ok(t, host.Deny(ctx, knocks[0].Identity))
	<-k.done
}

func joinOnce(t *testing.T, ctx context.Context, w *meettest.World, all []*meettest.Member, i int) {
	t.Helper()
	host := all[0]
	ok(t, host.SetPolicy(ctx, open().Policy))
	m := must[*meettest.Member](t)(w.Join(ctx, fmt.Sprint("guest", i), host, meet.Config{}))
	connected(t, ctx, append(slices.Clone(all), m)...)
	tone := must[*meettest.Tone](t)(m.PublishTone(ctx, 60))
	w.Advance(time.Second)
	tone.Stop()
	who := self(t, ctx, m).Identity
	switch i % 3 {
	case 0:
		ok(t, m.Leave(ctx))
	case 1:
		ok(t, host.Remove(ctx, who, false))
	case 2:
		w.Crash(m)
		w.Advance(20 * time.Second)
		ok(t, host.Remove(ctx, who, true))
	}
}
