package relayauth

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// Protocol is the libp2p protocol by which a member shows its ticket, on a stream of its
// own (SPEC §12.2). There is one frame each way: a length (2 bytes, big-endian) and
//
//	member → relay   the ticket
//	relay → member   0, or 1 ‖ why not, in English
const Protocol = "/huisclos/relay/1"

const (
	answerYes = 0
	answerNo  = 1
	// maxAnswer bounds what a relay may say, since relays lie (RLY-9).
	maxAnswer = 128
)

// ErrAnswer reports an answer that is none: the other end is no relay, or a hostile one.
var ErrAnswer = errors.New("transport: the relay's answer makes no sense")

// RefusedError reports that the relay doesn't take the ticket.
type RefusedError struct {
	// Reason is the relay's own words: visible ASCII, at most 127 characters. Don't trust it.
	Reason string
}

// Error says what to do.
func (e *RefusedError) Error() string {
	return "transport: the relay refuses: " + e.Reason + "; ask its operator for a new address of it"
}

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

// WriteAnswer answers at the relay's end: yes where refusal is nil.
func WriteAnswer(w io.Writer, refusal error) error {
	if refusal == nil {
		return writeFrame(w, []byte{answerYes})
	}
	reason := visible(refusal.Error())
	return writeFrame(w, append([]byte{answerNo}, reason[:min(len(reason), maxAnswer-1)]...))
}

// Present shows a ticket at the member's end and waits for the answer; the stream's
// deadline bounds it. The errors are *RefusedError, ErrAnswer, ErrTicket for bytes that
// can't be a ticket, and the stream's.
func Present(s io.ReadWriter, ticket []byte) error {
	if len(ticket) != TicketSize {
		return ErrTicket
	}
	if err := writeFrame(s, ticket); err != nil {
		return err
	}
	b, err := readFrame(s, maxAnswer, ErrAnswer)
	switch {
	case err != nil:
		return err
	case b[0] == answerYes && len(b) == 1:
		return nil
	case b[0] == answerNo:
		return &RefusedError{Reason: visible(string(b[1:]))}
	}
	return ErrAnswer
}

// visible leaves nothing that could act on a terminal or a page.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
