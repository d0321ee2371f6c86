package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// What packets lost on one line do to media that travels on streams of TCP.

// The limits, about twice what is measured. TCP makes good what is lost, and all that follows waits for that: a round trip
// and more, longer where what was sent again is lost too. What is limited is that sound isn't queued besides, and that the
// delay goes when the loss does. Where nothing came through, TCP tries again after twice as long each time.
const (
	lossFor         = 8 * time.Second
	lossLag2        = time.Second     // at 2 %, the 99th percentile
	lossLag10       = 2 * time.Second // at 10 %
	lossRecovered   = 2 * time.Second // after the loss is over
	lossRecoveredTo = 250 * time.Millisecond
	outageFor       = 2 * time.Second // in which nothing comes through
	outageRecovered = 2*outageFor + time.Second
)

// lossOn has Alice send sound and a picture to Bob, both without UDP, by the relay if flags name one, while Bob's line
// loses packets in both directions.
func (l *lab) lossOn(k kind) func(context.Context, *result) error {
	return func(ctx context.Context, r *result) error {
		c, err := l.newCall(false)
		if err != nil {
			return err
		}
		t := &threesome{call: c}
		defer t.end()
		var flags []string
		if k.needsRelay() {
			relay, err := l.startRelay(ctx, c.world, 9)
			if err != nil {
				return err
			}
			c.ends = append(c.ends, relay.end)
			c.allowed = append(c.allowed, relay.host.addresses()...)
			flags = []string{"--relay", relay.uri}
		}
		if err := t.lossy(ctx, r, k, flags); err != nil {
			return err
		}
		t.audit(r)
		return nil
	}
}

func (t *threesome) lossy(ctx context.Context, r *result, k kind, flags []string) (err error) {
	other := kindPublic // whom TCP reaches without help
	if k.needsRelay() {
		other = k
	}
	if t.sites, err = t.call.sites(kindPublic, other, k); err != nil {
		return err
	}
	if t.carol, err = t.create(ctx, t.sites[0].hosts[0], "Carol", flags...); err != nil {
		return err
	}
	picture := []string{"--play", filepath.Join(t.lab.root, "examples/internal/media/picture-1.ivf")}
	if t.alice, err = t.join(ctx, t.sites[1].hosts[0], "Alice", slices.Concat(t.play(0), picture, flags)...); err != nil {
		return err
	}
	if t.bob, err = t.join(ctx, t.sites[2].hosts[0], "Bob", append(t.play(1), flags...)...); err != nil {
		return err
	}
	if _, err = hear(ctx, time.Now(), [2]*member{t.alice, t.bob}, [2]*member{t.bob, t.alice}); err != nil {
		return err
	}
	pause(ctx, settleFor/2)
	line := t.sites[2].port
	clean, err := t.bob.follow(ctx, "Alice", 3*time.Second)
	if err != nil {
		return err
	}
	for _, p := range []phase{
		{0.02, lossFor, lossLag2, lossRecovered}, {0.1, lossFor, lossLag10, lossRecovered}, {1, outageFor, outageFor + lossLag10, outageRecovered},
	} {
		if err := t.lose(ctx, r, line, clean, p); err != nil {
			return err
		}
	}
	return nil
}

// phase is a time in which a line loses packets.
type phase struct {
	loss   float64
	during time.Duration
	limit  time.Duration // of the delay
	within time.Duration // it is over
}

// lose holds what Bob hears of Alice to the limits of one phase.
func (t *threesome) lose(ctx context.Context, r *result, line *port, clean progresses, p phase) error {
	before := t.world.wan.losses()
	t.world.wan.lose(line, p.loss)
	lossy, err := t.bob.follow(ctx, "Alice", p.during)
	t.world.wan.lose(line, 0)
	if err != nil {
		return err
	}
	over := time.Now()
	if t.world.wan.losses() == before {
		r.fail("at %.0f %% nothing was lost", 100*p.loss)
	}
	after, err := t.bob.follow(ctx, "Alice", p.within+time.Second)
	if err != nil {
		return err
	}
	whole := slices.Concat(lossy, after)
	clean = slices.Concat(clean, whole) // a busy machine may have been on time only here
	lag := lossy.lag(clean)
	if lag.p99 > p.limit {
		r.fail("at %.0f %% the newest sound is late by %v, the limit is %v", 100*p.loss, lag.p99, p.limit)
	}
	took, ok := after.below(clean, lossRecoveredTo, over)
	if !ok || took > p.within {
		r.fail("%v after a loss of %.0f %% is over the sound is still late", took.Round(time.Millisecond), 100*p.loss)
	}
	r.note("%.0f %% for %v: the newest sound is late by %v, on time again %v after; %.1f %% of it was dropped, of the picture %.1f %%",
		100*p.loss, p.during, lag, took.Round(time.Millisecond), 100*whole.dropped("audio"), 100*whole.dropped("video"))
	// What waited all that time was dropped, at the sender, since TCP loses nothing.
	if gone := whole.gone(); p.loss == 1 && gone < int(audioPackets*p.during.Seconds())/2 {
		r.fail("after %v without a packet only %d of sound were dropped: they were queued", p.during, gone)
	}
	return nil
}

// progress is how far a track has come at a time: the packets that came, and those that didn't though later ones did.
type progress struct {
	at             time.Time
	packets, lost  uint64
	video, unvideo uint64
}

type progresses []progress

// audioPackets is how many a second the files hold.
const audioPackets = 50

// follow looks at what comes of somebody for a while.
func (m *member) follow(ctx context.Context, other string, d time.Duration) (progresses, error) {
	const look = 20 * time.Millisecond
	var all progresses
	for began := time.Now(); time.Since(began) < d; pause(ctx, look) {
		e, err := m.ask(ctx, "stats")
		if err != nil {
			return nil, err
		}
		p := progress{at: e.Time}
		for _, t := range e.Tracks {
			switch {
			case t.Member != other:
			case t.Kind == "audio":
				p.packets, p.lost = p.packets+t.Packets, p.lost+t.Lost
			default:
				p.video, p.unvideo = p.video+t.Packets, p.unvideo+t.Lost
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// behind is how much later the newest packet was sent than the first would have it, by the number of those between. Only
// differences mean something.
func (p progress) behind(first progress) time.Duration {
	sent := float64(p.packets+p.lost-first.packets-first.lost) / audioPackets
	return p.at.Sub(first.at) - time.Duration(sent*float64(time.Second))
}

// least is the least that is behind, when sound is on time.
func (all progresses) least(first progress) time.Duration {
	least := all[0].behind(first)
	for _, p := range all {
		least = min(least, p.behind(first))
	}
	return least
}

// lags are how late the newest sound was, beyond what it is on a line without loss.
type lags struct{ p50, p99, longest time.Duration }

func (l lags) String() string {
	return fmt.Sprintf("%d ms (p50), %d ms (p99), %d ms at most", l.p50.Milliseconds(), l.p99.Milliseconds(), l.longest.Milliseconds())
}

func (all progresses) lag(clean progresses) lags {
	var late []time.Duration
	for _, p := range all {
		late = append(late, p.behind(clean[0])-clean.least(clean[0]))
	}
	slices.Sort(late)
	return lags{late[len(late)/2], late[len(late)*99/100], late[len(late)-1]}
}

// below is when the sound was late by less than limit and stayed so.
func (all progresses) below(clean progresses, limit time.Duration, since time.Time) (took time.Duration, ok bool) {
	for _, p := range all {
		if p.behind(clean[0])-clean.least(clean[0]) > limit {
			took = p.at.Sub(since)
		}
	}
	last := all[len(all)-1]
	return took, last.behind(clean[0])-clean.least(clean[0]) <= limit
}

// dropped is the share of packets that didn't come.
func (all progresses) dropped(kind string) float64 {
	a, b := all[0], all[len(all)-1]
	came, lost := float64(b.packets-a.packets), float64(b.lost)-float64(a.lost)
	if kind == "video" {
		came, lost = float64(b.video-a.video), float64(b.unvideo)-float64(a.unvideo)
	}
	if came+lost <= 0 {
		return 0
	}
	return max(0, lost/(came+lost))
}

// gone is how many packets of sound didn't come.
func (all progresses) gone() int { return int(all[len(all)-1].lost) - int(all[0].lost) }
