package crypto

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// Limits of sender keys (SPEC section 7).
const (
	// MaxStep is the last ratchet step of a generation (KEY-5).
	MaxStep = 15
	// MaxGeneration is the last generation of a sender (KEY-7).
	MaxGeneration = 1<<52 - 1
	// KeyLifetime is how long a generation is used (KEY-7).
	KeyLifetime = 10 * time.Minute
)

// Stream numbers (SPEC section 7).
const (
	// StreamChat is the stream of chat messages.
	StreamChat = 0
	// StreamData is the stream of the application's data messages.
	StreamData = 1
	// StreamPrivate is the kind of chat messages to one person. They are never sealed for all (MSG-4).
	StreamPrivate = 2
	// StreamReaction is the stream of reactions.
	StreamReaction = 3
	// StreamFile is the stream of announcements of files for everybody.
	StreamFile = 4
	// StreamPrivateFile is the kind of those for one person. They are never sealed for all (FIL-2).
	StreamPrivateFile = 5
	// FirstMediaStream is the first of those for media; each encoding has its own.
	FirstMediaStream = 16
)

// Epoch names one key of a sender: a random generation, and how often it was
// ratcheted.
type Epoch struct {
	// Generation counts from 1 to MaxGeneration.
	Generation uint64
	// Step counts from 0 to MaxStep.
	Step uint8
}

// Compare orders epochs in the order a sender uses them: -1, 0 or +1.
func (e Epoch) Compare(o Epoch) int {
	return cmp.Or(cmp.Compare(e.Generation, o.Generation), cmp.Compare(e.Step, o.Step))
}

// IsZero reports whether e names no key.
func (e Epoch) IsZero() bool { return e == Epoch{} }

// String returns "generation.step".
func (e Epoch) String() string { return fmt.Sprintf("%d.%d", e.Generation, e.Step) }

func (e Epoch) valid() bool {
	return e.Generation >= 1 && e.Generation <= MaxGeneration && e.Step <= MaxStep
}

// kid is the SFrame key ID: generation, stream and step each have their bits, so a KID
// names one key (KEY-1).
func (e Epoch) kid(stream uint8) uint64 {
	return e.Generation<<12 | uint64(stream)<<4 | uint64(e.Step)
}

func splitKID(kid uint64) (Epoch, uint8) {
	return Epoch{Generation: kid >> 12, Step: uint8(kid & MaxStep)}, uint8(kid >> 4)
}

// bytes returns generation u64 ‖ step u8, as hashes and signatures cover it.
func (e Epoch) bytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, e.Generation), e.Step)
}

// KeyView says, in short, which roster a sender saw and for whom it made a key.
type KeyView [16]byte

// RecipientsHash is the hash of the readers' meeting keys, in any order (SPEC section
// 7). The sender itself is not among them.
func RecipientsHash(readers []MeetingKey) Hash {
	sorted := slices.SortedFunc(slices.Values(readers), MeetingKey.Compare)
	parts := make([][]byte, len(sorted))
	for i := range sorted {
		parts[i] = sorted[i][:]
	}
	return HashOf(labelRecipients, parts...)
}

// MaxOmitted is how many members of a roster a KeyAnnounce may name as no readers.
const MaxOmitted = 2048

// omittedOf names members as KeyAnnounce.Omitted does.
func omittedOf(members []MeetingKey) [][8]byte {
	var all [][8]byte
	for _, k := range slices.SortedFunc(slices.Values(members), MeetingKey.Compare) {
		if short := [8]byte(k[:8]); len(all) == 0 || all[len(all)-1] != short {
			all = append(all, short)
		}
	}
	return all
}

func keyView(roster, recipients Hash, omitted [][8]byte) KeyView {
	parts := [][]byte{roster[:], recipients[:]}
	for i := range omitted {
		parts = append(parts, omitted[i][:])
	}
	h := HashOf(labelKeyView, parts...)
	return KeyView(h[:16])
}

// Omits reports whether the announcement names this member of the roster as no reader.
func (a KeyAnnounce) Omits(k MeetingKey) bool { return slices.Contains(a.Omitted, [8]byte(k[:8])) }

func keyCommitment(meeting MeetingID, author MeetingKey, e Epoch, key []byte) Hash {
	return HashOf(labelSenderKey, meeting[:], author[:], e.bytes(), key)
}

// streamContext is what the AAD of every packet of a stream begins with after SFrame's
// header; the clear byte follows (KEY-2).
func streamContext(meeting MeetingID, author MeetingKey, stream uint8) (c [17]byte) {
	h := HashOf(labelStream, meeting[:], author[:], []byte{stream})
	copy(c[:16], h[:])
	return c
}

// KeyStatement is what an author signs about one key: its commitment, and for whom it
// is. A wrap and a KeyAnnounce of one key make the same statement.
type KeyStatement struct {
	// Epoch names the key.
	Epoch Epoch
	// View says for whom it is.
	View KeyView
	// Commitment fixes it.
	Commitment Hash
	// Signature is the author's over all that.
	Signature Signature
}

// Verify reports whether author signed the statement in this meeting.
func (s KeyStatement) Verify(meeting MeetingID, author MeetingKey) bool {
	return author.Verify(labelKeyAnnounce, s.Signature, meeting[:], author[:], s.Epoch.bytes(), s.View[:], s.Commitment[:])
}

func (s KeyStatement) same(o KeyStatement) bool {
	return s.Epoch == o.Epoch && s.View == o.View && s.Commitment == o.Commitment
}

// Statement returns what the announcement says.
func (a KeyAnnounce) Statement() KeyStatement {
	return KeyStatement{
		Epoch:      Epoch{Generation: a.Generation, Step: a.Step},
		View:       keyView(a.Roster, a.Recipients, a.Omitted),
		Commitment: a.Commitment,
		Signature:  a.Signature,
	}
}

// Verify checks the announcement's range and its author's signature. The errors are
// ErrMalformed and ErrSignature.
func (a KeyAnnounce) Verify(meeting MeetingID) error {
	s := a.Statement()
	if !s.Epoch.valid() || len(a.Omitted) > MaxOmitted {
		return ErrMalformed
	}
	for i := 1; i < len(a.Omitted); i++ {
		if bytes.Compare(a.Omitted[i-1][:], a.Omitted[i][:]) >= 0 {
			return ErrMalformed
		}
	}
	if !s.Verify(meeting, a.Author) {
		return ErrSignature
	}
	return nil
}

// Encode returns the announcement's one encoding.
func (a KeyAnnounce) Encode() []byte { return encode(a) }

// ParseKeyAnnounce decodes an announcement; it doesn't verify it. The error is
// ErrMalformed.
func ParseKeyAnnounce(data []byte) (KeyAnnounce, error) {
	var a KeyAnnounce
	return a, decode(data, maxKeyAnnounce, &a)
}

// EquivocationError proves that an author told different readers different things
// about its keys (KEY-3). It is ErrEquivocation.
type EquivocationError struct {
	// Author is the sender's meeting key.
	Author MeetingKey
	// First was heard first. Either the two contradict each other about one epoch, or
	// the keys they commit to, of one generation, are not each other's ratchet, which
	// only a reader who has a key can see.
	First KeyStatement
	// Second does not fit it.
	Second KeyStatement
}

// Error is that of ErrEquivocation.
func (e *EquivocationError) Error() string { return ErrEquivocation.Error() }

// Unwrap returns ErrEquivocation.
func (e *EquivocationError) Unwrap() error { return ErrEquivocation }

// Proves reports whether the two statements alone prove the equivocation to somebody
// who has no key.
func (e *EquivocationError) Proves(meeting MeetingID) bool {
	return e.First.Epoch == e.Second.Epoch && !e.First.same(e.Second) &&
		e.First.Verify(meeting, e.Author) && e.Second.Verify(meeting, e.Author)
}

// ratchet returns the key steps further on; key itself if steps is 0.
func ratchet(suite sframe.CipherSuite, key []byte, steps uint8) ([]byte, error) {
	key = bytes.Clone(key)
	for range steps {
		next, err := sframe.Ratchet(suite, key)
		if err != nil {
			return nil, err
		}
		wipe(key)
		key = next
	}
	return key, nil
}
