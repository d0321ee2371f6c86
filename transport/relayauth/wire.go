package relayauth

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"
)

// Protocol is the libp2p protocol by which a member shows its ticket, on a stream of its
// own (SPEC §10.7). There is one frame each way: a length (2 bytes, big-endian) and
//
//	member → relay   the ticket
//	relay → member   0 ‖ where it sees the member's UDP socket (IP of 4 or 16 bytes ‖ port), if it does;
//	                 or 1 ‖ why not, in English; or, where the ticket's time is over, 2 ‖ the relay's time (8 bytes,
//	                 Unix seconds)
const Protocol = "/huisclos/relay/1"

const (
	answerYes = 0
	answerNo  = 1
	// answerOver comes with the relay's time, so that a clock that is wrong is found (CLK-2).
	answerOver = 2
	// maxReason bounds a refusal's reason, in bytes.
	maxReason = 127
)

func writeFrame(w io.Writer, payload []byte) error {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(payload)), uint16(len(payload)))
	_, err := w.Write(append(b, payload...))
	return err
}

// readFrame reads a frame of 1 to limit bytes, and holds no more whatever is announced.
func readFrame(r io.Reader, limit int, invalid error) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(head[:]))
	if size == 0 || size > limit {
		return nil, invalid
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	return b, nil
}

// ReadTicket reads the ticket at the relay's end. Its bytes are not checked, but are
// TicketSize at most.
func ReadTicket(r io.Reader) ([]byte, error) { return readFrame(r, TicketSize, ErrTicket) }

// WriteAnswer answers at the relay's end: no, where there is a refusal, with the time now if that is
// ErrTicketExpired; yes otherwise, and where the relay sees the member's UDP socket, if it does. So a member learns its
// address outside a NAT without a STUN server.
func WriteAnswer(w io.Writer, refusal error, observed netip.AddrPort, now time.Time) error {
	switch {
	case errors.Is(refusal, ErrTicketExpired):
		return writeFrame(w, binary.BigEndian.AppendUint64([]byte{answerOver}, uint64(max(now.Unix(), 0))))
	case refusal != nil:
		reason := refusal.Error()
		return writeFrame(w, append([]byte{answerNo}, reason[:min(len(reason), maxReason)]...))
	case !observed.IsValid():
		return writeFrame(w, []byte{answerYes})
	}
	b := append([]byte{answerYes}, observed.Addr().Unmap().AsSlice()...)
	return writeFrame(w, binary.BigEndian.AppendUint16(b, observed.Port()))
}
