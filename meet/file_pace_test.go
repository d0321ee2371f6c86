package meet_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// thin is what happened on an uplink of 1 Mbit/s, with a second of queue before it, and 20 ms to the others.
type thin struct {
	voice   []time.Duration // how long each packet of a voice took, 20 ms more or less, sorted
	sent    uint64
	removal time.Duration // from Remove to the event at another member
	file    float64       // bytes a second
}

func thinUplink(t *testing.T, config meet.Config, files int) (r thin) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		config.Policy = open().Policy
		a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
		c := must[*meettest.Member](t)(w.Join(ctx, "c", a, meet.Config{}))
		connected(t, ctx, a, b, c)
		ok(t, w.Network.SetUplink("a", 1_000_000, time.Second))
		tone := must[*meettest.Tone](t)(a.PublishTone(ctx, 80))
		defer tone.Stop()
		added := must[meet.TrackAdded](t)(meettest.AwaitEvent[meet.TrackAdded](ctx, b))
		var dsts []*memory
		total := func() (n int) {
			for _, d := range dsts {
				n += d.len()
			}
			return n
		}
		for i := range files {
			name := fmt.Sprint("file ", i)
			must[meet.FileOffer](t)(a.OfferFile(ctx, source(name, content(20_000_000)), crypto.IdentityKey{}))
			dsts = append(dsts, &memory{})
			f := receive(t, ctx, b, offered(t, ctx, b, name), dsts[i])
			defer f.Cancel()
			w.Advance(time.Second)
		}
		w.Advance(5 * time.Second)
		before, begun, sent := total(), time.Now(), tone.Sent.Load()
		heard := make(chan struct{})
		listening, stop := context.WithCancel(ctx)
		go func() {
			defer close(heard)
			for {
				p, err := added.Track.ReadRTPContext(listening)
				if err != nil {
					return
				}
				if time.Since(begun) < time.Second {
					continue // from before
				}
				n := binary.BigEndian.Uint64(p.Payload[8:]) - sent
				r.voice = append(r.voice, time.Since(begun)-time.Duration(n)*20*time.Millisecond)
			}
		}()
		w.Advance(20 * time.Second)
		stop()
		<-heard
		r.sent = tone.Sent.Load() - sent - 50
		r.file = float64(total()-before) / time.Since(begun).Seconds()
		slices.Sort(r.voice)
		removed := time.Now()
		ok(t, a.Remove(ctx, self(t, ctx, c).Identity, false))
		if _, err := meettest.AwaitEvent[meet.MemberLeft](ctx, b); err != nil {
			t.Fatal(err)
		}
		r.removal = time.Since(removed)
	})
	return r
}

// TestFileThinUplink covers FIL-9: while a file goes over an uplink of 1 Mbit/s, a removal reaches the others and a voice
// is heard nearly as soon as without it, and the file still takes most of the line. Twin: a file that is sent as fast as
// QUIC takes it fills the queue, and both wait behind it.
func TestFileThinUplink(t *testing.T) {
	t.Parallel()
	idle := thinUplink(t, meet.Config{}, 0)
	show := func(name string, r thin) {
		n := len(r.voice)
		t.Logf("%-8s voice %d of %d, delay p50 %v p95 %v p99 %v; removal %v; file %.0f kbit/s", name, n, r.sent,
			r.voice[n/2], r.voice[n*95/100], r.voice[n*99/100], r.removal, r.file*8/1000)
	}
	show("no file", idle)
	twin(t, "noPacing", func(t *testing.T, protected bool, config meet.Config) {
		r := thinUplink(t, config, 1)
		show("file", r)
		n := len(r.voice)
		late := r.voice[n*95/100] > idle.voice[len(idle.voice)*95/100]+200*time.Millisecond
		if late == protected {
			t.Errorf("the voice is late: %v", late)
		}
		if late := r.removal > idle.removal+250*time.Millisecond; late == protected {
			t.Errorf("the removal is late: %v", late)
		}
		if protected && (r.file*8 < 500_000 || uint64(n) < r.sent*99/100) {
			t.Error("the file is slower than half the line, or voice is lost")
		}
	})
}

// TestFilesThinUplink covers FIL-9: several files share the delay that one may cause.
func TestFilesThinUplink(t *testing.T) {
	t.Parallel()
	r := thinUplink(t, meet.Config{}, 4)
	n := len(r.voice)
	t.Logf("four files: voice delay p95 %v; removal %v; files %.0f kbit/s", r.voice[n*95/100], r.removal, r.file*8/1000)
	if r.voice[n*95/100] > 300*time.Millisecond || r.removal > 400*time.Millisecond || r.file*8 < 500_000 {
		t.Error("too late, or too slow")
	}
}
