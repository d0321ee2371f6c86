package recorder

import (
	"slices"
	"time"

	"github.com/pion/rtp"
)

const (
	// patience is how long a packet waits for one that is missing before it.
	patience = 400 * time.Millisecond
	// maxHeld bounds the packets of one track that wait.
	maxHeld = 1024
	// restartGap is how far sequence numbers may be apart in one stream.
	restartGap = 3000
)

// packet is one RTP packet with the time it came, on the file's timeline.
type packet struct {
	header  rtp.Header
	payload []byte
	arrived time.Duration
}

// order puts the packets of one track in order.
type order struct {
	next    uint16 // the sequence number to come
	started bool
	held    []packet // sorted
}

// add takes a packet.
func (o *order) add(p packet) {
	gap := int16(p.header.SequenceNumber - o.next)
	if o.started && (gap > restartGap || gap < -restartGap) {
		o.started = false // another stream under the same name
		o.held = o.held[:0]
	}
	if !o.started && len(o.held) == 0 {
		o.next = p.header.SequenceNumber
		gap = 0
	}
	if gap < 0 && o.started || len(o.held) >= maxHeld {
		return // too late, or too many
	}
	i, found := slices.BinarySearchFunc(o.held, p, func(a, b packet) int {
		return int(int16(a.header.SequenceNumber - b.header.SequenceNumber))
	})
	if !found {
		o.held = slices.Insert(o.held, i, p)
	}
}

// take returns the next packet, if it is its turn or the wait was long enough; or, with all, in any case. Lost is how
// many are missing before it, -1 at the beginning of a stream.
func (o *order) take(now time.Duration, all bool) (p packet, lost int, ok bool) {
	if len(o.held) == 0 {
		return p, 0, false
	}
	first := o.held[0]
	due := first.header.SequenceNumber == o.next || now-first.arrived >= patience || all
	if !due {
		return p, 0, false
	}
	lost = int(first.header.SequenceNumber - o.next)
	if !o.started {
		lost = -1
	}
	o.held = slices.Delete(o.held, 0, 1)
	o.started, o.next = true, first.header.SequenceNumber+1
	return first, lost, true
}

// clock places the timestamps of one track on the file's timeline.
type clock struct {
	rate     int64 // ticks a second
	anchored bool
	stamp    uint32
	at       int64 // where stamp is, in ticks
}

// The newest packet may be placed so far from when it came: later, since the first may have been slow; or earlier,
// since it may have been lost and sent again. Beyond that the sender began anew.
const (
	maxAhead  = 100 * time.Millisecond
	maxBehind = time.Second
)

// place returns where a timestamp is, in ticks.
func (c *clock) place(stamp uint32, arrived time.Duration) int64 {
	came := c.ticks(arrived)
	at := c.at + int64(int32(stamp-c.stamp))
	if !c.anchored || at > came+c.ticks(maxAhead) || at < came-c.ticks(maxBehind) {
		at = came
	}
	c.anchored, c.stamp, c.at = true, stamp, at
	return at
}

func (c *clock) ticks(d time.Duration) int64 { return int64(d) / 1000 * c.rate / 1_000_000 }
