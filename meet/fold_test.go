package meet_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestOperationFlood covers SYN-4: a hostile host makes valid operations without a pause, where a fold takes as long as
// one of a thousand operations does (BenchmarkFold1000). The others answer, hear each other, and have folded everything
// soon after. In the twin they are busy with one fold after the other.
func TestOperationFlood(t *testing.T) {
	t.Parallel()
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			var folds atomic.Int64
			var slow atomic.Bool
			creator := must[*meettest.Member](t)(w.Create(ctx, "creator", open()))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", creator, meet.OnFold(config, func() {
				if folds.Add(1); slow.Load() {
					time.Sleep(50 * time.Millisecond) // virtual
				}
			})))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", creator, meet.Config{}))
			connected(t, ctx, creator, victim, bad)
			ok(t, creator.SetRole(ctx, self(t, ctx, bad).Identity, meet.Host))
			w.Advance(5 * time.Second)
			before := folds.Load()
			slow.Store(true)
			for range 100 {
				ok(t, bad.Lock(ctx))
				ok(t, bad.Unlock(ctx))
			}
			w.Advance(100 * time.Millisecond) // they are all at the victim's before anything is said
			ok(t, creator.Say(ctx, "is anybody there?"))
			w.Advance(time.Second)
			if n := len(events[meet.Chat](victim)); (n == 1) != protected {
				t.Errorf("after a second it was shown %d messages", n)
			}
			w.Advance(20 * time.Second)
			made := folds.Load() - before
			t.Logf("%d folds", made)
			want := must[meet.Snapshot](t)(snapshotOf(ctx, creator))
			if got := must[meet.Snapshot](t)(snapshotOf(ctx, victim)); got.RosterHash != want.RosterHash {
				t.Error("it hasn't folded all of it")
			}
			if few := made <= 10; few != protected {
				t.Errorf("%d folds", made)
			}
		})
	})
}

// snapshotOf is what a new reader of events is shown.
func snapshotOf(ctx context.Context, m *meettest.Member) (meet.Snapshot, error) {
	for e := range m.Events() {
		return e.(meet.Snapshot), nil
	}
	return meet.Snapshot{}, context.Cause(m.Context())
}
