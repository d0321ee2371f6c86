package meet_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestBelow: Member.Below says of whom a member may change the role, and so do the refusals.
//
// Checks: ROS-8.
func TestBelow(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 4) // the creator, two hosts of whom the first was made before, a participant
		for _, m := range all[1:3] {
			ok(t, all[0].SetRole(ctx, self(t, ctx, m).Identity, meet.Host))
			w.Advance(500 * time.Millisecond)
		}
		check := func(want ...[]string) {
			t.Helper()
			for i, m := range all {
				var below []string
				for _, v := range must[[]meet.Member](t)(m.Members(ctx)) {
					if v.Below {
						below = append(below, v.Name)
					}
				}
				slices.Sort(below)
				if !slices.Equal(below, want[i]) {
					t.Errorf("%s: below are %v, want %v", m.Host, below, want[i])
				}
			}
		}
		check([]string{"member1", "member2", "member3"}, []string{"member2", "member3"}, []string{"member3"}, nil)
		var void *meet.VoidError
		if err := all[2].SetRole(ctx, self(t, ctx, all[1]).Identity, meet.Viewer); !errors.As(err, &void) {
			t.Errorf("a host changes who is above: %v", err)
		}
		ok(t, all[1].SetRole(ctx, self(t, ctx, all[2]).Identity, meet.Viewer))
		w.Advance(500 * time.Millisecond)
		check([]string{"member1", "member2", "member3"}, []string{"member2", "member3"}, nil, nil)
	})
}
