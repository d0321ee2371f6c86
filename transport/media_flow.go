package transport

import (
	"errors"
	"time"
)

// What a media stream may have on its way. Underneath are buffers that hold seconds (the kernel's, yamux's, QUIC's, the
// bottleneck's), and what is once in them can't be taken back; so they are kept nearly empty (MST-3).
const (
	// flowStall: nothing is written while the oldest byte on its way is older than the least round trip and this.
	flowStall = 200 * time.Millisecond
	// flowQueue is the standing queue that the window is cut to.
	flowQueue = 60 * time.Millisecond
	// The window grows while bytes wait no longer than flowIdle on their way, and is cut when it is more than flowBusy.
	// The receiver's acknowledgements alone may be late by mediaAckEvery.
	flowIdle = 50 * time.Millisecond
	flowBusy = 100 * time.Millisecond
	// flowDead: without an acknowledgement for so long the stream is over.
	flowDead = 4 * time.Second

	flowPacket      = maxMediaFrame
	flowFirstWindow = 4 * flowPacket
	flowLeastWindow = 2 * flowPacket
	flowMostWindow  = 1 << 20
	flowRecords     = 512 // writes on their way

	rttEpoch   = 5 * time.Second // the least round trip is that of this epoch and the last
	drainMost  = 300 * time.Millisecond
	rateBucket = 250 * time.Millisecond
	rateMemory = 8 // buckets

	targetFirst = 1_000_000 // bit/s, until something is measured
	targetLeast = 50_000
	targetMost  = 8_000_000
	targetGrow  = 200 * time.Millisecond // by a twentieth, so often
	targetCalm  = time.Second            // after congestion
)

var errBadAck = errors.New("transport: peer acknowledged what was not sent")

// streamFlow decides how much may be on its way on a media stream, and estimates what the path carries. It has neither
// clock nor I/O, and is its owner's to lock.
type streamFlow struct {
	sent, acked uint64 // bytes since the stream began
	welcomed    bool   // the peer has acknowledged the stream itself
	records     [flowRecords]flowRecord
	first, size int

	window    int
	slowStart bool // the window was never cut
	limited   bool // it held video back since the last acknowledgement
	pressed   bool // and in this epoch
	drain     bool // what is on its way is let run down, to see the least round trip
	drained   time.Time

	rtt      time.Duration // of the last acknowledgement
	least    [2]time.Duration
	epoch    time.Time
	began    time.Time
	rate     [rateMemory]int // bytes acknowledged, by bucket
	bucket   int64           // number of the newest
	cutAt    time.Time
	busyAt   time.Time // congestion was seen last
	grewAt   time.Time
	endless  bool // tests only: there is always room
	trusting bool // tests only: any acknowledgement is taken
	estimate int  // bit/s
}

type flowRecord struct {
	end uint64 // bytes sent with it
	at  time.Time
}

func newStreamFlow(now time.Time) *streamFlow {
	return &streamFlow{window: flowFirstWindow, slowStart: true, began: now, epoch: now, grewAt: now,
		bucket: now.UnixNano() / int64(rateBucket), estimate: targetFirst}
}

// room says how many bytes of each kind may be written now. Audio is held back only where the path stands still: it is
// little, and what may be on its way of video leaves it its place.
func (f *streamFlow) room(now time.Time) (audio, video int) {
	if f.endless && f.size < flowRecords {
		return flowMostWindow, flowMostWindow
	}
	if f.size == flowRecords || f.size > 0 && now.Sub(f.records[f.first].at) > f.leastRTT()+flowStall {
		f.limited = true
		return 0, 0
	}
	video = f.limit(now) - int(f.sent-f.acked)
	if video < flowPacket {
		f.limited, f.pressed, video = true, true, 0
	}
	return flowMostWindow, min(video, max(flowPacket, f.window/4)) // in small parts: a large one delays voice, and its own acknowledgement
}

// limit is the window, or less while it drains.
func (f *streamFlow) limit(now time.Time) int {
	if !f.drain {
		return f.window
	}
	if f.drained.IsZero() && f.sent-f.acked <= flowLeastWindow {
		f.drained = now
	}
	emptied := !f.drained.IsZero() && now.Sub(f.drained) > f.leastRTT()+mediaAckEvery
	if emptied || now.Sub(f.epoch) > f.leastRTT()+drainMost { // voice alone may be more
		f.drain = false
		return f.window
	}
	return min(f.window, flowLeastWindow)
}

// dead tells whether the peer has acknowledged nothing for too long.
func (f *streamFlow) dead(now time.Time) bool {
	return f.size > 0 && now.Sub(f.records[f.first].at) > flowDead || !f.welcomed && now.Sub(f.began) > flowDead
}

// wrote notes bytes that are about to be written. There was room.
func (f *streamFlow) wrote(now time.Time, n int) {
	f.sent += uint64(n)
	f.records[(f.first+f.size)%flowRecords] = flowRecord{f.sent, now}
	f.size++
}

// acknowledged takes the peer's word for how much it has got. The first must say nothing, each later one more than the
// last, and no more than was sent (MST-2).
func (f *streamFlow) acknowledged(now time.Time, total uint64) error {
	first := !f.welcomed
	f.welcomed = true
	switch {
	case first && total == 0:
		return nil
	case (first || total <= f.acked || total > f.sent) && !f.trusting:
		return errBadAck
	}
	f.turn(now)
	f.rate[int(f.bucket)%rateMemory] += int(total - f.acked)
	gained := int(total - f.acked)
	f.acked = total
	for f.size > 0 && f.records[f.first].end <= total {
		f.rtt = max(now.Sub(f.records[f.first].at), time.Microsecond)
		f.first = (f.first + 1) % flowRecords
		f.size--
		if f.least[0] == 0 || f.rtt < f.least[0] {
			f.least[0] = f.rtt
		}
	}
	f.adapt(now, gained)
	return nil
}

// adapt moves the window and the estimate after an acknowledgement.
func (f *streamFlow) adapt(now time.Time, gained int) {
	// Where less is sent than may be, a wait of a round trip is the repair of a loss, and no queue.
	wait := f.rtt - f.leastRTT()
	late := wait > flowBusy+f.leastRTT()
	if late || f.limited && wait > flowIdle {
		f.congested(now)
	}
	switch {
	case late || f.limited && wait > flowBusy:
		if now.Sub(f.cutAt) >= f.leastRTT() { // once for what was on its way
			f.cutAt, f.slowStart = now, false
			carries := int(f.bytesPerSecond(now) * (f.leastRTT() + flowQueue).Seconds())
			f.window = max(flowLeastWindow, min(f.window, carries))
		}
	case wait < flowIdle && f.limited:
		grow := gained // doubles each round trip
		if !f.slowStart {
			grow = max(1, gained*flowPacket/f.window) // a packet each round trip
		}
		f.window = min(flowMostWindow, f.window+grow)
	}
	f.limited = false
	if now.Sub(f.grewAt) >= targetGrow {
		f.grewAt = now
		if now.Sub(f.busyAt) >= targetCalm {
			most := min(targetMost, int(16*f.bytesPerSecond(now))+targetLeast) // what wasn't tried isn't known
			f.estimate = max(f.estimate, min(most, f.estimate+f.estimate/20))
		}
	}
}

// congested notes that more was to be sent than the path carries: the estimate is less than what got through, so that
// what has gathered can drain.
func (f *streamFlow) congested(now time.Time) {
	if now.Sub(f.busyAt) < f.leastRTT()+targetGrow {
		return
	}
	f.busyAt = now
	f.estimate = max(targetLeast, min(targetMost, int(8*0.85*f.bytesPerSecond(now))))
}

func (f *streamFlow) leastRTT() time.Duration {
	if f.least[0] == 0 || f.least[1] != 0 && f.least[1] < f.least[0] {
		return f.least[1]
	}
	return f.least[0]
}

// turn begins a new epoch or bucket, if it is time to.
func (f *streamFlow) turn(now time.Time) {
	if now.Sub(f.epoch) >= rttEpoch {
		f.epoch = now
		f.least[0], f.least[1] = 0, f.least[0]
		// Where something always waits, the least round trip would seem longer with each epoch.
		f.drain, f.drained, f.pressed = f.pressed, time.Time{}, false
	}
	for n := now.UnixNano() / int64(rateBucket); f.bucket < n; {
		f.bucket = max(f.bucket, n-rateMemory) + 1
		f.rate[int(f.bucket)%rateMemory] = 0
	}
}

// bytesPerSecond is the highest rate of delivery in two buckets one after the other, of the last two seconds.
func (f *streamFlow) bytesPerSecond(now time.Time) float64 {
	best := 0
	for i := range rateMemory - 1 {
		a, b := f.bucket-int64(i), f.bucket-int64(i)-1
		best = max(best, f.rate[int(a)%rateMemory]+f.rate[int(b)%rateMemory])
	}
	span := min(max(now.Sub(f.began), rateBucket/2), 2*rateBucket)
	return float64(best) / span.Seconds()
}
