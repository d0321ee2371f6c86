package meet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestRemovedIsBlindInChurn covers KEY-12: a hostile host helps somebody who was removed: it acknowledges no key, and puts
// out one puppet after the other, so that each rotation is replaced before its time is up. In the twin, where each has
// its own time, the one who was removed reads as long as there are puppets.
func TestRemovedIsBlindInChurn(t *testing.T) {
	t.Parallel()
	twin(t, "restartSwitch", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			h := newHostile()
			config.Policy, config.Tap = open().Policy, h.tap
			creator := must[*meettest.Member](t)(w.Create(ctx, "creator", config))
			speaker := must[*meettest.Member](t)(w.Join(ctx, "speaker", creator, config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", creator, meet.RecordWraps(meet.Config{}, h.keep)))
			helper := must[*meettest.Member](t)(w.Join(ctx, "helper", creator, meet.With(meet.Config{}, "unthankful")))
			all := []*meettest.Member{creator, speaker, bad, helper}
			var puppets []*meettest.Member
			for i := range 8 {
				puppets = append(puppets, must[*meettest.Member](t)(w.Join(ctx, fmt.Sprint("puppet", i), creator, meet.Config{})))
			}
			connected(t, ctx, append(all, puppets...)...)
			ok(t, creator.SetRole(ctx, self(t, ctx, helper).Identity, meet.Host))
			tone := must[*meettest.Tone](t)(speaker.PublishTone(ctx, 80))
			defer tone.Stop()
			w.Advance(3 * time.Second)
			start := time.Now()
			w.Advance(time.Second)
			removed := time.Now()
			ok(t, creator.Remove(ctx, self(t, ctx, bad).Identity, false))
			for _, p := range puppets {
				ok(t, helper.Remove(ctx, self(t, ctx, p).Identity, false))
				w.Advance(150 * time.Millisecond)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if opened, all := h.fraction(creator.ID(), start, removed); opened < all*9/10 || all < 40 {
				t.Errorf("control: as a member it opened %d of %d", opened, all)
			}
			// One way to hear of it, 200 ms, one way for the last packet, and a margin.
			opened, many := h.fraction(creator.ID(), removed.Add(260*time.Millisecond), removed.Add(1200*time.Millisecond))
			if many < 40 || (opened == 0) != protected {
				t.Errorf("removed, it opened %d of %d", opened, many)
			}
		})
	})
}
