package meet_test

import (
	"context"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestExposureBeyondBridge: who reaches another through a member is told of those who watch beyond that one, who see when it
// speaks and not its address; who reaches all directly is told of nobody there.
//
// Checks: EXP-5.
func TestExposureBeyondBridge(t *testing.T) {
	t.Parallel()
	alarmed(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		creator, second, a, b := strangersToEachOther(t, ctx, w)
		tone := must[*meettest.Tone](t)(a.PublishTone(ctx, 80))
		defer tone.Stop()
		w.Advance(2 * time.Second)
		middle := pathTo(t, ctx, a, b)
		found := 0
		for _, p := range must[meet.Exposure](t)(a.Exposure(ctx)).Parties {
			if !p.Party.Beyond {
				continue
			}
			if p.Party.Name == middle.Name {
				found++
			}
			for _, o := range p.Observations {
				if o.Datum == meet.DatumAddress && o.Seen != meet.SeenNot || o.Datum == meet.DatumSpeaking && o.Seen != meet.SeenPattern ||
					o.Datum == meet.DatumMedia && (o.Seen != meet.SeenNot || o.Why != meet.CauseSealed) {
					t.Errorf("beyond %s: %+v", p.Party.Name, o)
				}
			}
		}
		if found != 1 {
			t.Errorf("%d parties beyond %s", found, middle.Name)
		}
		for _, m := range []*meettest.Member{creator, second} {
			for _, p := range must[meet.Exposure](t)(m.Exposure(ctx)).Parties {
				if p.Party.Beyond {
					t.Errorf("%s, who reaches all directly: %+v", m.Host, p.Party)
				}
			}
		}
	})
}
