package bridge

import "time"

// numbering makes the sequence numbers and timestamps of several streams, one after the other, those of one.
type numbering struct {
	clockRate uint32

	started, fresh  bool // fresh: another stream begins
	sequenceOffset  uint16
	timestampOffset uint32

	// The newest packet that was sent.
	highest          uint16
	highestTimestamp uint32
	at               time.Time
}

// restart says that the next packet is of another stream.
func (n *numbering) restart() { n.fresh = true }

// next returns the numbers to send a packet with.
func (n *numbering) next(sequence uint16, timestamp uint32, now time.Time) (uint16, uint32) {
	if n.fresh && n.started {
		n.sequenceOffset = n.highest + 1 - sequence
		passed := uint32(max(now.Sub(n.at), 0) * time.Duration(n.clockRate) / time.Second)
		n.timestampOffset = n.highestTimestamp + max(passed, 1) - timestamp
	}
	n.fresh = false
	sequence += n.sequenceOffset
	timestamp += n.timestampOffset
	if !n.started || int16(sequence-n.highest) > 0 {
		n.highest, n.highestTimestamp, n.at, n.started = sequence, timestamp, now, true
	}
	return sequence, timestamp
}
