package meet

import (
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// layering makes one series of sequence numbers and timestamps of the layers of one picture, after they were opened
// (LAY-3). A sender sends each of us one layer at a time.
//
//	layer 0:  7 8 9                 13 14        what the sender numbered
//	layer 1:        40 41 42 43                  each begins with a key frame
//	reader:   7 8 9 10 11 12 13     14 15
type layering struct {
	numbers []uint8 // of the streams, the lowest layer first; one: nothing to do
	seen    []layerSeen
	current int // -1 before the first key frame

	sequenceOffset  uint16
	timestampOffset uint32
	floor           uint16 // numbers up to this were of another layer
	floored         bool   // there is a floor

	sequence  uint16 // the newest that was delivered
	timestamp uint32 // of that
	at        time.Time
	started   bool
}

// layerSeen is the highest number that came of a layer.
type layerSeen struct {
	any     bool
	highest uint16
}

const (
	// layerRoom is how many numbers are left free before a key frame whose first packet hasn't come yet.
	layerRoom = 16
	// layerJump is how far the timestamp may go on at a change of layers; what is further is made anew.
	layerJump = 10 * videoClock
	// strandedAfter is how long nothing came of the present layer when something of another shows that its beginning is lost.
	strandedAfter = 300 * time.Millisecond
)

func newLayering(s stream) layering {
	n := s.numbers()
	return layering{numbers: n, seen: make([]layerSeen, len(n)), current: -1}
}

// place is what becomes of a packet.
type place struct {
	deliver bool // with its new numbers
	began   bool // another layer begins with it
	lost    bool // the beginning of a layer is: a key frame is needed
}

// layer is the index of a stream's layer.
func (l *layering) layer(number uint8) int {
	for i, n := range l.numbers {
		if n == number {
			return i
		}
	}
	return 0
}

// number gives a packet of a layer its place in the series.
func (l *layering) number(layer int, p *crypto.MediaPacket, now time.Time) (to place) {
	if len(l.numbers) == 1 {
		return place{deliver: true}
	}
	seen := &l.seen[layer]
	step := int16(p.SequenceNumber - seen.highest)
	restarted := seen.any && (step > restartGap || step < -restartGap)
	late := seen.any && step <= 0 && !restarted
	if !late {
		seen.any, seen.highest = true, p.SequenceNumber
	}
	if layer != l.current {
		if late || !p.Flags.KeyFrame {
			return place{lost: l.current >= 0 && !late && now.Sub(l.at) >= strandedAfter}
		}
		l.begin(layer, p, now)
		to.began = true
	} else if restarted { // as in any track
		l.started, l.floored = false, false
	}
	p.SequenceNumber += l.sequenceOffset
	p.Timestamp += l.timestampOffset
	if l.floored && int16(p.SequenceNumber-l.floor) <= 0 {
		return place{} // of before the layer began
	}
	to.deliver = true
	if !l.started || int16(p.SequenceNumber-l.sequence) > 0 {
		l.started, l.sequence, l.timestamp = true, p.SequenceNumber, p.Timestamp
		l.at = now
	}
	if l.floored && l.sequence-l.floor > 1<<14 {
		l.floored = false // long ago; soon it would look newer
	}
	return to
}

// begin goes on with another layer, whose packet this is.
func (l *layering) begin(layer int, p *crypto.MediaPacket, now time.Time) {
	l.current = layer
	if !l.started {
		return // the first gives the numbers
	}
	next := l.sequence + 1
	if !p.Flags.StartOfFrame {
		next += layerRoom // the frame's first packets may still come
	}
	l.sequenceOffset = next - p.SequenceNumber
	l.floor, l.floored = l.sequence, true
	// The layers have one clock. Where they haven't, or this frame is of the same moment as the last, time goes on.
	l.timestampOffset = 0
	if step := p.Timestamp - l.timestamp; step == 0 || step > layerJump {
		passed := uint32(max(now.Sub(l.at), 0) * videoClock / time.Second)
		l.timestampOffset = l.timestamp + max(passed, 1) - p.Timestamp
	}
}
