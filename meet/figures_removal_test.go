package meet_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
)

// TestRemovals measures what a removal takes, with loss and a member that is silently dead: until nothing is sealed
// any more with keys the removed member has, and until it receives nothing any more. FIGURES=1 runs it with 32 members
// and 100 removals.
func TestRemovals(t *testing.T) {
	t.Parallel()
	n, count := 6, 8
	if full() {
		n, count = 32, 100
	}
	var blind, silent []time.Duration
	alarmed(t, meettest.Options{Latency: roundTrip / 2, Loss: 0.01, Seed: 1}, func(ctx context.Context, w *meettest.World) {
		blind, silent = removals(t, ctx, w, n, count)
	})
	report := func(what string, d []time.Duration, bound time.Duration) {
		slices.Sort(d)
		p99 := d[min(len(d)-1, len(d)*99/100)]
		t.Logf("%s: median %v, p99 %v, of %d", what, d[len(d)/2], p99, len(d))
		if p99 > bound {
			t.Errorf("%s: p99 %v is over %v", what, p99, bound)
		}
	}
	report("last packet that the removed keys open", blind, roundTrip+300*time.Millisecond)
	report("last packet that the removed member receives", silent, roundTrip+100*time.Millisecond)
}

// victim is a member to be removed: which generation of each sender it has, and when media last reached it.
type victim struct {
	*meettest.Member
	mu    sync.Mutex
	epoch map[transport.PeerKey]uint64
	last  time.Time
}

func (v *victim) wrapped(from crypto.MeetingKey, raw []byte) {
	h := newHostile()
	h.keep(from, raw)
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, list := range h.keys {
		v.epoch[key] = max(v.epoch[key], list[0].generation)
	}
}

func (v *victim) tap(at transport.TapPoint, _ transport.PeerKey, _ []byte) {
	if at == transport.TapMedia {
		v.mu.Lock()
		v.last = time.Now()
		v.mu.Unlock()
	}
}

// epochs is when each sender last sealed with each generation: when its newest packet arrives first, anywhere. What
// arrives later of that, somewhere else or because a loss was repaired, was sealed before.
type epochs struct {
	mu     sync.Mutex
	newest map[sealing]uint64 // counter
	last   map[transport.PeerKey]map[uint64]time.Time
}

// sealing is whose packets one counter numbers.
type sealing struct {
	from   transport.PeerKey
	epoch  crypto.Epoch
	stream uint8
}

func newEpochs() *epochs {
	return &epochs{newest: map[sealing]uint64{}, last: map[transport.PeerKey]map[uint64]time.Time{}}
}

func (e *epochs) tap(at transport.TapPoint, from transport.PeerKey, data []byte) {
	if at != transport.TapMedia {
		return
	}
	h, err := crypto.InspectMedia(data)
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := sealing{from, h.Epoch, h.Stream}
	if newest, known := e.newest[key]; known && h.Counter <= newest {
		return
	}
	e.newest[key] = h.Counter
	if e.last[from] == nil {
		e.last[from] = map[uint64]time.Time{}
	}
	e.last[from][h.Epoch.Generation] = time.Now()
}

// since is how long after it was removed media reached it last, and anybody but itself sealed last with keys it has.
func (v *victim) since(called time.Time, e *epochs, self crypto.MeetingKey) (silent, blind time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	for sender, generation := range v.epoch {
		for g, at := range e.last[sender] {
			if g <= generation && sender != transport.PeerKey(self) {
				blind = max(blind, at.Sub(called))
			}
		}
	}
	return max(0, v.last.Sub(called)), blind
}

func removals(t *testing.T, ctx context.Context, w *meettest.World, n, count int) (blind, silent []time.Duration) {
	e := newEpochs()
	config := open()
	config.Tap = e.tap
	creator, err := w.Create(ctx, "creator", config)
	if err != nil {
		t.Fatal(err)
	}
	join := func(i int) *victim {
		v := &victim{epoch: map[transport.PeerKey]uint64{}}
		c := meet.RecordWraps(meet.Config{Tap: func(at transport.TapPoint, from transport.PeerKey, data []byte) {
			e.tap(at, from, data)
			v.tap(at, from, data)
		}}, v.wrapped)
		if v.Member, err = w.Join(ctx, fmt.Sprint("member", i), creator, c); err != nil {
			t.Fatal(err)
		}
		return v
	}
	var others []*victim
	for i := 1; i < n; i++ {
		v := join(i)
		others = append(others, v)
		if _, err := v.PublishTone(ctx, 80); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := creator.PublishTone(ctx, 80); err != nil {
		t.Fatal(err)
	}
	if full() {
		t.Logf("%d are in", n)
	}
	w.Advance(5 * time.Second)
	w.Network.Crash(others[0].Host) // silently dead
	w.Advance(2 * time.Second)
	others = others[1:]
	for i := range count {
		v := others[0]
		self, err := v.Self(ctx)
		if err != nil {
			t.Fatal(err)
		}
		called := time.Now()
		if err := creator.Remove(ctx, self.Identity, false); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		last, worst := v.since(called, e, self.Key)
		silent, blind = append(silent, last), append(blind, worst)
		others = others[1:]
		next := join(n + i)
		if _, err := next.PublishTone(ctx, 80); err != nil {
			t.Fatal(err)
		}
		others = append(others, next)
		w.Advance(time.Second)
		if full() && i%10 == 9 { // at this size it takes minutes
			t.Logf("%d removals: at most %v, %v", i+1, slices.Max(blind), slices.Max(silent))
		}
	}
	return blind, silent
}
