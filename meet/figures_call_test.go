package meet_test

import (
	"context"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
)

// TestCall is this project's row in a comparison with other systems: eight members who all send voice and 1.5 Mbit/s
// of video, 20 ms from each other. Somebody joins who sends at once, and is removed later.
func TestCall(t *testing.T) {
	t.Parallel()
	n, rounds := 8, 1
	if testing.Short() {
		n = 4
	}
	if full() {
		rounds = 10
	}
	var r callResults
	for range rounds {
		world(t, meettest.Options{Latency: roundTrip / 2}, func(ctx context.Context, w *meettest.World) { simulatedCall(t, ctx, w, n, &r) })
	}
	r.log(t, "simulator, 20 ms one way")
	for _, bound := range []struct {
		what string
		got  []time.Duration
		most time.Duration
	}{
		{"Join to first packet", r.first, 14 * roundTrip},
		{"kick to last packet received", r.silent, roundTrip + 100*time.Millisecond},
		{"blind", r.blind, roundTrip + 300*time.Millisecond},
	} {
		if got := quantile(bound.got, 0.5); got > bound.most {
			t.Errorf("%s: median %v is over %v", bound.what, got, bound.most)
		}
	}
	if d := quantile(r.delays, 0.5); d < roundTrip/2 || d > roundTrip {
		t.Errorf("a one-way delay of %v where the network's is %v", d, roundTrip/2)
	}
}

// callResults are the columns of the comparison.
type callResults struct {
	first, heard, silent, blind []time.Duration
	frame                       []time.Duration // Join to the first complete key frame
	seen                        []time.Duration // and to that of the last member
	delays                      []time.Duration
}

func (r *callResults) log(t testing.TB, where string) {
	ms := func(d time.Duration) float64 {
		return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
	}
	t.Logf("%s, medians of %d: Join to first packet %.0f ms (key frame %.0f, of all %.0f), joiner heard by all %.0f ms, one-way p50 / p99 %.1f / %.1f ms (%d packets), kick to last packet received %.0f ms, blind %.0f ms",
		where, len(r.first), ms(quantile(r.first, 0.5)), ms(quantile(r.frame, 0.5)), ms(quantile(r.seen, 0.5)), ms(quantile(r.heard, 0.5)),
		ms(quantile(r.delays, 0.5)), ms(quantile(r.delays, 0.99)), len(r.delays), ms(quantile(r.silent, 0.5)), ms(quantile(r.blind, 0.5)))
}

func simulatedCall(t *testing.T, ctx context.Context, w *meettest.World, n int, r *callResults) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := newEpochs()
	config := func(c meet.Config) meet.Config { c.Tap = e.tap; return c }
	creator, err := w.Create(ctx, "member0", config(open()))
	if err != nil {
		t.Fatal(err)
	}
	all := []*meettest.Member{creator}
	for len(all) < n-1 {
		m, err := w.Join(ctx, "member", creator, config(meet.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	connected(t, ctx, all...)
	var listeners []*listener
	for _, m := range all {
		listeners = append(listeners, listen(m.Meeting))
		if err := sendAll(ctx, m.Meeting); err != nil {
			t.Fatal(err)
		}
	}
	invite, err := creator.Invite(ctx, meet.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Advance(2 * time.Second)
	joiner, l, self := timedJoin(t, ctx, w, invite, e, listeners, r)
	w.Advance(time.Second)
	listeners = append(listeners, l)
	for _, l := range listeners {
		l.sampling(true)
	}
	w.Advance(time.Second)
	for _, l := range listeners {
		d, _ := l.sampling(false)
		r.delays = append(r.delays, d...)
	}
	called := time.Now()
	if err := creator.Remove(ctx, self.Identity, false); err != nil {
		t.Fatal(err)
	}
	w.Advance(1500 * time.Millisecond)
	silent, blind := joiner.since(called, e, self.Key)
	r.silent, r.blind = append(r.silent, silent), append(r.blind, blind)
}

// timedJoin has somebody join who listens and sends at once.
func timedJoin(t *testing.T, ctx context.Context, w *meettest.World, invite meet.Invite, e *epochs, others []*listener, r *callResults) (*victim, *listener, meet.Member) {
	v := &victim{epoch: map[transport.PeerKey]uint64{}}
	c := meet.RecordWraps(meet.Config{Tap: func(at transport.TapPoint, from transport.PeerKey, data []byte) {
		e.tap(at, from, data)
		v.tap(at, from, data)
	}}, v.wrapped)
	began := time.Now()
	var err error
	if v.Member, err = w.JoinBy(ctx, "joiner", invite, c); err != nil {
		t.Fatal(err)
	}
	l := listen(v.Meeting)
	if err := sendAll(ctx, v.Meeting); err != nil {
		t.Fatal(err)
	}
	self, err := v.Self(ctx)
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	first, _, err := l.wait(soon, l.first, len(others))
	if err != nil {
		t.Fatal("not everybody was heard")
	}
	frame, seen, err := l.wait(soon, l.frame, len(others))
	if err != nil {
		t.Fatal("not everybody was seen")
	}
	var heard time.Time
	for _, o := range others {
		at, err := o.waitFor(soon, self.Key)
		if err != nil {
			t.Fatal("somebody didn't hear the joiner")
		}
		if at.After(heard) {
			heard = at
		}
	}
	r.first, r.frame, r.seen = append(r.first, first.Sub(began)), append(r.frame, frame.Sub(began)), append(r.seen, seen.Sub(began))
	r.heard = append(r.heard, heard.Sub(began))
	return v, l, self
}
