package meet_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// The figures of these files are of virtual time where nothing else is said, so they are bounds of the protocol, not
// of the machine. FIGURES=1 makes them as large as the issue asks; FIGURES.md holds what came out.

const roundTrip = 40 * time.Millisecond

// full says whether the figures are wanted at full size.
func full() bool { return os.Getenv("FIGURES") != "" }

// TestJoinRoundTrips measures, at 40 ms round trip with eight members and automatic admission, how long it is from
// Join, which sends its first datagram at once, to the first opened packet and the first complete key frame of the
// admitter and of all seven, who send voice and video.
func TestJoinRoundTrips(t *testing.T) {
	t.Parallel()
	world(t, meettest.Options{Latency: roundTrip / 2}, func(ctx context.Context, w *meettest.World) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		all := party(t, ctx, w, 7)
		for _, m := range all {
			if err := sendAll(ctx, m.Meeting); err != nil {
				t.Fatal(err)
			}
		}
		w.Advance(3 * time.Second)
		invite, err := all[0].Invite(ctx, meet.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		began := time.Now()
		joiner, err := w.JoinBy(ctx, "joiner", invite, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		admitted := time.Now()
		l := listen(joiner.Meeting)
		c, stop := context.WithTimeout(ctx, 20*time.Second)
		defer stop()
		_, packets, err := l.wait(c, l.first, 7)
		if err != nil {
			t.Fatal("not everybody was heard")
		}
		firstFrame, frames, err := l.wait(c, l.frame, 7)
		if err != nil {
			t.Fatal("not everybody was seen")
		}
		admitter, err := all[0].Self(ctx)
		if err != nil {
			t.Fatal(err)
		}
		trips := func(at time.Time) float64 { return float64(at.Sub(began)) / float64(roundTrip) }
		heard, err := l.waitFor(c, admitter.Key)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("round trips from Join: admitted %.1f; packets: admitter's %.1f, all seven %.1f; complete key frames: first %.1f, all seven %.1f",
			trips(admitted), trips(heard), trips(packets), trips(firstFrame), trips(frames))
		if trips(heard) > 12 {
			t.Errorf("the admitter's first packet came after %.1f round trips", trips(heard))
		}
		if trips(packets) > 14 {
			t.Errorf("all seven were heard after %.1f round trips", trips(packets))
		}
	})
}
