package meet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestThreeBridges: a member whom somebody can't reach directly reserves at three of those it could reserve at, not at all,
// and gives that up when the other has gone.
//
// Checks: BRI-1.
func TestThreeBridges(t *testing.T) {
	t.Parallel()
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		creator := must[*meettest.Member](t)(w.Create(ctx, "open0", open()))
		outside := []*meettest.Member{creator}
		for i := 1; i < 5; i++ {
			outside = append(outside, must[*meettest.Member](t)(w.Join(ctx, fmt.Sprint("open", i), creator, meet.Config{})))
		}
		var inside []*meettest.Member
		for _, name := range []string{"a", "b"} {
			w.Place(name, transporttest.HostOptions{NAT: transporttest.Symmetric})
			inside = append(inside, must[*meettest.Member](t)(w.Join(ctx, name, creator, meet.Config{})))
		}
		awaitPath(t, ctx, w, inside[0], inside[1], 5*time.Second, meet.PathMember)
		w.Advance(5 * time.Second)
		for i, m := range inside {
			bridges := 0
			for _, o := range outside {
				key, _ := bundleOf(t, ctx, o)
				for _, raw := range must[[][]byte](t)(inside[1-i].RecordsHeld(ctx)) {
					if meet.RecordNames(raw, key) {
						bridges++
					}
				}
			}
			if held := must[meet.Kept](t)(m.Kept(ctx)).Bridges; held != 3 || bridges != 3 {
				t.Errorf("%s holds %d reservations and names %d", m.Host, held, bridges)
			}
		}
		ok(t, inside[1].Leave(ctx))
		w.Advance(20 * time.Second)
		if held := must[meet.Kept](t)(inside[0].Kept(ctx)).Bridges; held != 3 {
			t.Errorf("after 20 s without need it holds %d", held)
		}
		w.Advance(15 * time.Second)
		if held := must[meet.Kept](t)(inside[0].Kept(ctx)).Bridges; held != 0 {
			t.Errorf("after 35 s without need it holds %d", held)
		}
	})
}
