package crypto

import (
	"encoding/binary"
	"time"
)

// Limits of message bodies, in bytes (MSG-2).
const (
	// MaxChatBody is that of a chat message.
	MaxChatBody = 4096
	// MaxDataBody is that of a data message.
	MaxDataBody = 8192
	// MaxPrivateBody is that of a private message: the recipient's identity, and a chat message.
	MaxPrivateBody = 32 + MaxChatBody
	// MaxReactionBody is that of a reaction.
	MaxReactionBody = 32
	// MaxFileBody is that of an announcement of a file.
	MaxFileBody = 400
)

// MessageID names a message of one author.
type MessageID [16]byte

// String returns the first 8 bytes in hex.
func (i MessageID) String() string { return short(i[:]) }

// NewMessageID returns a random one.
func NewMessageID() (id MessageID) {
	fill(nil, id[:])
	return id
}

// Message is one message whose author is authentic (SPEC section 7.2).
type Message struct {
	// Author is the sender's meeting key.
	Author MeetingKey
	// Stream is the kind: one of the streams below FirstMediaStream.
	Stream uint8
	// ID is the author's name for it: show each once (MSG-1).
	ID MessageID
	// Time is the author's, in whole milliseconds: it proves nothing.
	Time time.Time
	// Body is the content.
	Body []byte
}

// maxBody returns the limit of a kind, or -1 if there is no such kind (MSG-2).
func maxBody(stream uint8) int {
	switch stream {
	case StreamChat:
		return MaxChatBody
	case StreamData:
		return MaxDataBody
	case StreamPrivate:
		return MaxPrivateBody
	case StreamReaction:
		return MaxReactionBody
	case StreamFile, StreamPrivateFile:
		return MaxFileBody
	default:
		return -1
	}
}

// maySeal says whether a kind is sealed for all readers. What is for one person isn't: each of them has the key (MSG-4,
// FIL-2).
func maySeal(stream uint8) bool {
	return maxBody(stream) >= 0 && stream != StreamPrivate && stream != StreamPrivateFile
}

// SignMessage returns the signed message, which SealMessage seals for all, or a pair
// session carries to who missed it (MSG-3). The errors are ErrStream and ErrTooLarge.
func SignMessage(inc *Incarnation, stream uint8, id MessageID, at time.Time, body []byte) ([]byte, error) {
	limit := maxBody(stream)
	if limit < 0 {
		return nil, ErrStream
	}
	if len(body) > limit {
		return nil, ErrTooLarge
	}
	m := innerMessage{ID: id, Time: uint64(max(at.UnixMilli(), 0)), Body: body}
	m.Signature = inc.Sign(labelMessage, m.signed(inc.meeting, inc.Key(), stream)...)
	return encode(m), nil
}

func (m innerMessage) signed(meeting MeetingID, author MeetingKey, stream uint8) [][]byte {
	at := binary.BigEndian.AppendUint64(nil, m.Time)
	return [][]byte{meeting[:], author[:], {stream}, m.ID[:], at, m.Body}
}

// VerifyMessage reads what SignMessage made, of this author and stream (MSG-1). The
// errors are ErrStream, ErrMalformed, ErrTooLarge and ErrSignature.
func VerifyMessage(meeting MeetingID, author MeetingKey, stream uint8, data []byte) (Message, error) {
	return verifyMessage(meeting, author, stream, data, hooks{})
}

func verifyMessage(meeting MeetingID, author MeetingKey, stream uint8, data []byte, off hooks) (Message, error) {
	limit := maxBody(stream)
	if limit < 0 {
		return Message{}, ErrStream
	}
	var m innerMessage
	if decode(data, maxInnerMessage, &m) != nil || m.Time > 1<<53 {
		return Message{}, ErrMalformed
	}
	if len(m.Body) > limit { // MSG-2
		return Message{}, ErrTooLarge
	}
	// MSG-1: any reader could have sealed it; only the author could sign it.
	if !author.Verify(labelMessage, m.Signature, m.signed(meeting, author, stream)...) && !off.messageSigned {
		return Message{}, ErrSignature
	}
	return Message{Author: author, Stream: stream, ID: m.ID, Time: time.UnixMilli(int64(m.Time)), Body: m.Body}, nil
}

// SealMessage seals a signed message and returns it as gossip carries it. The errors
// are ErrStream, ErrNoKey, ErrKeyLimit and ErrTooLarge.
func (s *SenderStream) SealMessage(signedMessage []byte) ([]byte, error) {
	if !maySeal(s.number) {
		return nil, ErrStream
	}
	if len(signedMessage) > maxInnerMessage {
		return nil, ErrTooLarge
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	sealed, err := s.seal(nil, 0, signedMessage)
	if err != nil {
		return nil, err
	}
	inc := s.keys.inc
	m := SealedMessage{Author: inc.Key(), Sealed: sealed}
	m.Signature = inc.Sign(labelSealedMessage, inc.meeting[:], m.Author[:], m.Sealed)
	return encode(m), nil
}

// ParseSealedMessage reads what SealMessage made. The error is ErrMalformed.
func ParseSealedMessage(data []byte) (SealedMessage, error) {
	var m SealedMessage
	if err := decode(data, maxMessage, &m); err != nil {
		return SealedMessage{}, err
	}
	if h, err := InspectMedia(m.Sealed); err != nil || !maySeal(h.Stream) {
		return SealedMessage{}, ErrMalformed
	}
	return m, nil
}

// Verify says that the author itself sealed it under this key and counter (MSG-9): every
// reader has the key, and could have the others wait, ratchet or count for nothing.
// Nothing of it is for OpenMessage before. The error is ErrSignature.
func (m SealedMessage) Verify(meeting MeetingID) error {
	if !m.Author.Verify(labelSealedMessage, m.Signature, meeting[:], m.Author[:], m.Sealed) {
		return ErrSignature
	}
	return nil
}

// OpenMessage opens a packet that this sender sealed, as SealedMessage.Verify says, and
// verifies the signature of what is in it (MSG-1).
// It is safe for concurrent use. The errors are ErrMalformed, ErrStream, ErrTooLarge,
// ErrUnknownKey (the packet was kept: see Release), ErrOldKey, ErrReplay, ErrRefused
// and ErrSignature.
func (r *ReaderKeys) OpenMessage(now time.Time, packet []byte) (Message, error) {
	h, _, err := inspect(packet)
	if err != nil {
		return Message{}, err
	}
	if !maySeal(h.Stream) && (maxBody(h.Stream) < 0 || !r.off.sealedPrivate) {
		return Message{}, ErrStream
	}
	signedMessage, err := r.open(now, nil, packet, h)
	if err != nil {
		return Message{}, err
	}
	return verifyMessage(r.meeting, r.author, h.Stream, signedMessage, r.off)
}
