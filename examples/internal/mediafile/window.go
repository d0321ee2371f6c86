package mediafile

import "github.com/pion/rtp"

// deliver is where the window puts packets, in order; see sink.packet.
type deliver func(header *rtp.Header, payload []byte, lost int) error

// window puts packets in order. It holds the newest ReorderWindow sequence
// numbers and lets go of the oldest as new ones come, so it needs no timer. Its
// memory is reused: nothing is allocated per packet.
type window struct {
	slots   [ReorderWindow]slot
	ssrc    uint32
	started bool
	low     int64 // the oldest sequence number still awaited, unwrapped
	last    int64 // the last one delivered
	any     bool  // whether one was delivered since the stream began
	late    int   // packets in a row that came too late
}

type slot struct {
	full    bool
	header  rtp.Header
	payload []byte
}

func (w *window) slot(sequence int64) *slot { return &w.slots[sequence&(ReorderWindow-1)] }

// push takes a packet and delivers those that have waited long enough.
func (w *window) push(header *rtp.Header, payload []byte, to deliver) error {
	if w.started && header.SSRC != w.ssrc {
		if err := w.flush(to); err != nil {
			return err
		}
	}
	if !w.started {
		w.begin(header)
	}
	sequence := w.low + int64(int16(header.SequenceNumber-uint16(w.low)))
	if sequence < w.low {
		// One late packet is late; a whole window of them is a sender that started
		// anew with other numbers.
		if w.late++; w.late < ReorderWindow {
			return nil
		}
		if err := w.flush(to); err != nil {
			return err
		}
		w.begin(header)
		sequence = int64(header.SequenceNumber)
	}
	w.late = 0
	if err := w.advance(sequence-ReorderWindow+1, to); err != nil {
		return err
	}
	s := w.slot(sequence)
	if s.full {
		return nil // a repeated packet
	}
	s.full = true
	s.header = rtp.Header{
		Marker: header.Marker, SequenceNumber: header.SequenceNumber, Timestamp: header.Timestamp, SSRC: header.SSRC,
	}
	s.payload = append(s.payload[:0], payload...)
	return nil
}

// begin opens the window so that the packets just before the first still fit.
func (w *window) begin(header *rtp.Header) {
	w.started, w.any, w.late = true, false, 0
	w.ssrc = header.SSRC
	w.low = int64(header.SequenceNumber) - ReorderWindow + 1
}

// advance delivers everything before a sequence number.
func (w *window) advance(to int64, out deliver) error {
	for range min(to-w.low, ReorderWindow) {
		if s := w.slot(w.low); s.full {
			s.full = false
			lost := -1
			if w.any {
				lost = int(w.low - w.last - 1)
			}
			w.any, w.last = true, w.low
			if err := out(&s.header, s.payload, lost); err != nil {
				return err
			}
		}
		w.low++
	}
	w.low = max(w.low, to)
	return nil
}

// flush delivers everything; the next packet begins a new stream.
func (w *window) flush(to deliver) error {
	if !w.started {
		return nil
	}
	w.started = false
	return w.advance(w.low+ReorderWindow, to)
}
