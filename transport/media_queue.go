package transport

import (
	"sync"
	"sync/atomic"
	"time"
)

// How long a packet may wait for its stream: late media is worth nothing, and delays what comes after (MST-3).
const (
	audioPatience = 150 * time.Millisecond
	videoPatience = 250 * time.Millisecond
	// keyPatience holds for so long after a packet that a decoder can begin with: a key frame is many times as large as
	// what the path carries in videoPatience, and without it nothing else can be shown.
	keyPatience = time.Second
	// brokenTime is how long the rest of a picture whose beginning was dropped is dropped too, at most: where no packet
	// says that a decoder can begin with it, the receiver's must help itself.
	brokenTime = 2 * time.Second
)

var queuedPackets = [2]int{64, 1024} // that wait at most, by kind

// VideoFacts is what the owner can tell of a video packet without opening it.
type VideoFacts struct {
	Stream      uint8 // which of our pictures it belongs to
	Start       bool  // a decoder can begin with it
	Discardable bool  // no other packet needs it
}

// mediaQueue holds what waits for a media stream, audio before video. Once a packet of a picture was dropped, what
// can't be decoded without it is dropped too, since it would only take the place of what can. It allocates nothing.
type mediaQueue struct {
	describe func([]byte) VideoFacts // nil: nothing is known of packets
	dropped  *[2]atomic.Uint64       // counts, by kind
	patient  bool                    // tests only: nothing is ever too late

	mu     sync.Mutex
	rings  [2]packetRing
	wake   chan struct{} // something came
	broken [256]hole
	holes  int       // streams that are broken
	keyAt  time.Time // when a packet to begin with was taken last
}

// hole is what is missing of a picture: when the first packet that others need was dropped, and the last of that stream.
type hole struct{ since, last time.Time }

type packetRing struct {
	slots []waitingPacket
	first int
	size  int
}

type waitingPacket struct {
	payload *sharedPayload
	at      time.Time
}

func newMediaQueue(describe func([]byte) VideoFacts, dropped *[2]atomic.Uint64) *mediaQueue {
	q := &mediaQueue{describe: describe, dropped: dropped, wake: make(chan struct{}, 1)}
	for kind := range q.rings {
		q.rings[kind].slots = make([]waitingPacket, queuedPackets[kind])
	}
	return q
}

// push queues a packet and returns at once. If there is no room the oldest goes.
func (q *mediaQueue) push(kind Kind, p *sharedPayload, now time.Time) {
	if len(p.data) == 0 {
		return // there is no frame for nothing
	}
	p.refs.Add(1)
	q.mu.Lock()
	r := &q.rings[kind]
	if r.size == len(r.slots) {
		q.dropLocked(kind, now)
	}
	r.slots[(r.first+r.size)%len(r.slots)] = waitingPacket{p, now}
	r.size++
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (r *packetRing) take() waitingPacket {
	p := r.slots[r.first]
	r.slots[r.first] = waitingPacket{}
	r.first = (r.first + 1) % len(r.slots)
	r.size--
	return p
}

// pop takes the oldest packet of a kind that is still worth sending and no longer than most. Its payload is the
// caller's to release. What is stale is dropped, room or none.
func (q *mediaQueue) pop(kind Kind, most int, now time.Time) *sharedPayload {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := &q.rings[kind]
	for r.size > 0 {
		p := r.slots[r.first]
		v, known := q.factsLocked(kind, p.payload.data)
		switch {
		case now.Sub(p.at) > q.patienceLocked(kind, now), known && q.uselessLocked(v, now):
			q.dropLocked(kind, now)
		case len(p.payload.data)+mediaFrameHead > most:
			return nil
		default:
			if v.Start {
				q.keyAt = now
			}
			return r.take().payload
		}
	}
	return nil
}

func (q *mediaQueue) factsLocked(kind Kind, data []byte) (v VideoFacts, known bool) {
	if kind != Video || q.describe == nil {
		return v, false
	}
	return q.describe(data), true
}

func (q *mediaQueue) patienceLocked(kind Kind, now time.Time) time.Duration {
	switch {
	case q.patient:
		return time.Hour
	case kind == Audio:
		return audioPatience
	case now.Sub(q.keyAt) < keyPatience:
		return keyPatience
	}
	return videoPatience
}

// dropLocked drops the oldest packet of a kind, and notes what is broken by that.
func (q *mediaQueue) dropLocked(kind Kind, now time.Time) {
	p := q.rings[kind].take().payload
	q.dropped[kind].Add(1)
	if v, known := q.factsLocked(kind, p.data); known && !v.Discardable {
		h := &q.broken[v.Stream]
		if h.last = now; h.since.IsZero() {
			h.since = now
			q.holes++
		}
	}
	p.release()
}

// uselessLocked tells whether a packet can't be decoded for want of one that was dropped.
func (q *mediaQueue) uselessLocked(v VideoFacts, now time.Time) bool {
	since := q.broken[v.Stream].since
	if since.IsZero() {
		return false
	}
	if !v.Start && now.Sub(since) < brokenTime {
		return true
	}
	q.mendLocked(v.Stream)
	return false
}

func (q *mediaQueue) mendLocked(stream uint8) {
	q.broken[stream] = hole{}
	q.holes--
}

// brokenStreams appends the streams that wait for a packet to begin with. One of which nothing came lately waits for
// nothing: the peer gets another layer of that picture, and key frames of that one would be in vain.
func (q *mediaQueue) brokenStreams(all []uint8, now time.Time) []uint8 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.holes == 0 {
		return all
	}
	for i, h := range &q.broken {
		switch {
		case h.since.IsZero():
		case now.Sub(h.last) >= brokenTime:
			q.mendLocked(uint8(i))
		default:
			all = append(all, uint8(i))
		}
	}
	return all
}

// clear drops all that waits; what it breaks is forgotten, since somebody else carries on.
func (q *mediaQueue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for kind := range q.rings {
		for q.rings[kind].size > 0 {
			q.rings[kind].take().payload.release()
		}
	}
	q.broken, q.holes = [256]hole{}, 0
}
