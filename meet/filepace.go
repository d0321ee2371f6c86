package meet

import (
	"sync"
	"time"
)

const (
	// paceTarget is how much longer than on an idle path a chunk may take: what a file adds at most to the delay of the
	// voices that share the uplink, but for the chunk under way (FIL-9).
	paceTarget = 60 * time.Millisecond
	// paceMax bounds what is under way, in chunks: 2 MiB.
	paceMax = 512
	// paceForget is how long the shortest time is remembered at most: paths change.
	paceForget = 5 * time.Minute
	// paceDrain is how long a queue on the uplink takes to drain, and paceBetween how long those under way go on between two
	// newcomers.
	paceDrain   = 250 * time.Millisecond
	paceBetween = 500 * time.Millisecond
)

// pace decides how many chunks may be under way: as many as keep the queues on the path short. It gives way to whatever
// else is sent, as LEDBAT does (RFC 6817): delay tells of a full uplink before loss does. It has no clock and isn't safe
// for concurrent use.
type pace struct {
	window float64 // chunks; below 1 it is a pause between two
	steady bool    // the first queue was met: no doubling any more
	cutAt  time.Time

	base, next time.Duration // the shortest times of this minute and the last
	since      time.Time
}

func newPace() pace { return pace{window: 2} }

// uplink is what all files of a sender share. Who begins while others fill a queue would take that for the path's own
// delay, and add another to it: so the others hold for a moment, as in LEDBAT++.
type uplink struct {
	mu       sync.Mutex
	sending  map[*sending]bool // whether it has met a queue
	newcomer *sending
	until    time.Time // the others hold
}

func newUplink() *uplink { return &uplink{sending: map[*sending]bool{}} }

// join says how long a newcomer waits, and whether it then asks again or begins.
func (u *uplink) join(s *sending, now time.Time) (wait time.Duration, again bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	queue := false
	for _, met := range u.sending {
		queue = queue || met
	}
	next := u.until.Add(paceBetween)
	switch {
	case !queue:
	case u.newcomer != nil && now.Before(next):
		return next.Sub(now), true
	default:
		u.newcomer, u.until, wait = s, now.Add(2*paceDrain), paceDrain
	}
	u.sending[s] = false
	return wait, false
}

func (u *uplink) leave(s *sending) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.sending, s)
}

// hold says how long one that is under way makes room for a newcomer.
func (u *uplink) hold(s *sending, now time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s == u.newcomer {
		return 0
	}
	return max(0, u.until.Sub(now))
}

// met notes whether a file has met a queue, and says how many files share the uplink.
func (u *uplink) met(s *sending, queue bool) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, there := u.sending[s]; there {
		u.sending[s] = queue
	}
	return len(u.sending)
}

// acked learns that a chunk took so long from its sending to the receiver's word. All files of a sender share its uplink, and
// so the delay they may cause.
func (p *pace) acked(now time.Time, took time.Duration, sharing int) {
	if p.base == 0 || now.Sub(p.since) > paceForget {
		p.base, p.next, p.since = min(took, orElse(p.next, took)), took, now
	}
	p.next = min(p.next, took)
	p.base = min(p.base, took)
	queued := took - p.base
	off := 1 - float64(queued)/float64(paceTarget/time.Duration(max(1, sharing)))
	switch {
	case off < 0:
		p.steady = true
		// Once for each round trip, as all chunks under way tell of the same queue.
		if now.Sub(p.cutAt) > took {
			p.window, p.cutAt = p.window*max(0.5, 1+off/4), now
		}
	case !p.steady && off < 0.5:
		p.steady = true
	case !p.steady:
		p.window++
	default:
		p.window += off / p.window
	}
	p.window = min(max(p.window, 0.125), paceMax)
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// allows says whether another chunk may be sent while so many are under way.
func (p *pace) allows(underWay uint64) bool { return underWay == 0 || float64(underWay)+1 <= p.window }

// pause is how long to wait before a chunk when none is under way: on a path that is full without us.
func (p *pace) pause() time.Duration {
	if p.window >= 1 {
		return 0
	}
	return min(time.Duration(float64(p.base)*(1/p.window-1)), time.Second)
}
