package meet_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestEndIsLearned: that a meeting is over for everybody, or that somebody left, is learned by those whom the first packets
// about it don't reach, and whoever goes doesn't wait long for those who can't be reached.
//
// Checks: PRE-9.
func TestEndIsLearned(t *testing.T) {
	for name, c := range map[string]struct {
		goes    func(context.Context, *meettest.Member) error
		learned func(*meettest.Member) bool
	}{
		"ended": {
			func(ctx context.Context, m *meettest.Member) error { return m.End(ctx) },
			func(m *meettest.Member) bool {
				var over *meet.EndedError
				return errors.As(context.Cause(m.Context()), &over)
			},
		},
		"left": {
			func(ctx context.Context, m *meettest.Member) error { return m.Leave(ctx) },
			func(m *meettest.Member) bool { return len(events[meet.MemberLeft](m)) == 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
				all := party(t, ctx, w, 3)
				w.Network.Partition([]string{"member0"}, []string{"member1"}, []string{"member2"})
				gone := make(chan error, 1)
				began := time.Now()
				go func() { gone <- c.goes(ctx, all[0]) }()
				w.Advance(300 * time.Millisecond)
				w.Network.Partition([]string{"member0", "member1"}, []string{"member2"})
				if err := <-gone; err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
				w.Advance(time.Second)
				if !c.learned(all[1]) {
					t.Error("one hasn't learned it")
				}
				if c.learned(all[2]) {
					t.Error("one has who couldn't be reached")
				}
			})
		})
	}
}
