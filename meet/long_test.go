package meet_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
)

// Long meetings, and members who do something that is allowed without end.

// TestBeatStorm: heartbeats without end, each of which says that it heard something else of others, are answered at a
// bounded rate.
//
// Checks: PRE-7, PRE-8.
func TestBeatStorm(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) { // of who lies
			config.Policy = open().Policy
			var got atomic.Int64
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			other := must[*meettest.Member](t)(w.Join(ctx, "other", host, meet.Config{}))
			count := meet.OnPair(meet.Config{}, func(_ crypto.MeetingKey, msg meet.PairMessage) {
				if msg.Contradiction != nil {
					got.Add(1)
				}
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
			t.Logf("500 heartbeats: answered by %d contradictions", got.Load())
			if most := int64(8 + 6 + 2); protected && got.Load() > most {
				t.Errorf("500 heartbeats: answered by %d contradictions, more than %d", got.Load(), most)
			}
			if !protected && got.Load() < 1000 {
				t.Errorf("twin: 500 heartbeats: answered by %d contradictions", got.Load())
			}
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
			var size atomic.Int64
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			count := meet.OnPair(meet.Silent(meet.Config{}, silent.Load), func(_ crypto.MeetingKey, msg meet.PairMessage) {
				size.Add(int64(len(meet.Encode(&msg))))
			})
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, count))
			connected(t, ctx, host, bad)
			w.Advance(5 * time.Second)
			silent.Store(true) // it acknowledges nothing
			for range 64 {
				ok(t, host.SendData(ctx, make([]byte, crypto.MaxDataBody)))
			}
			size.Store(0)
			for range 100 {
				ok(t, host.ConnectedAgain(ctx, bad.Incarnation().Key()))
				w.Advance(100 * time.Millisecond)
			}
			sent, once := size.Load(), int64(64*crypto.MaxDataBody)
			t.Logf("100 streams in 10 s: sent %d KB", sent>>10)
			if protected && sent > 20*once {
				t.Errorf("100 streams in 10 s: sent %d KB", sent>>10)
			}
			if !protected && sent < 60*once {
				t.Errorf("twin: 100 streams in 10 s: sent %d KB", sent>>10)
			}
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
			w.Advance(time.Second)
			shown, kept := 0, 0
			for _, d := range events[meet.Data](host) {
				if bytes.HasPrefix(d.Data, []byte("honest")) {
					kept++
				} else {
					shown++
				}
			}
			t.Logf("%d data messages: %d were shown", many, shown)
			if kept != many/2000 {
				t.Errorf("of honest messages %d came", kept)
			}
			if protected && shown > 1024+256*3 {
				t.Errorf("%d data messages: %d were shown", many, shown)
			}
			if !protected && shown < many {
				t.Errorf("twin: %d data messages: %d were shown", many, shown)
			}
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
