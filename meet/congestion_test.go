package meet_test

import (
	"context"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestEstimateBandwidth: who asks for it is told what each link carries, and who doesn't pays nothing for it.
func TestEstimateBandwidth(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		config := open()
		config.EstimateBandwidth = true
		a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
		connected(t, ctx, a, b)
		for _, m := range []*meettest.Member{a, b} {
			tone := must[*meettest.Tone](t)(m.PublishTone(ctx, 1000))
			defer tone.Stop()
		}
		w.Advance(5 * time.Second)
		for m, want := range map[*meettest.Member]bool{a: true, b: false} {
			links := must[meet.Stats](t)(m.Stats(ctx)).Links
			if len(links) != 1 || (links[0].TargetBitrate > 50_000) != want {
				t.Errorf("%s: %+v", m.Host, links)
			}
		}
	})
}
