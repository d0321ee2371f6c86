package crypto

import (
	"io"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// SenderKeys are the keys of one's own streams (SPEC section 7): one random key for
// each generation, ratcheted for joiners, replaced when a reader goes.
//
//	Rotate ──▶ Wrap to every reader, Announce ──▶ acknowledged, or time is up ──▶ Switch
//	Ratchet ─▶ Wrap to the joiners, Announce      (in use at once)
//
// The meeting's goroutine calls its methods; Seal methods of SenderStreams may run in
// other goroutines meanwhile. When Switch or Ratchet returns, nothing more is sealed
// under the key before: sealing holds a read lock, which these two take for writing.
type SenderKeys struct {
	hidden
	inc    *Incarnation
	suite  sframe.CipherSuite
	random io.Reader

	mu      sync.RWMutex
	current *senderKey // sealed with
	next    *senderKey // of a rotation under way
	last    uint64     // the newest generation ever made
	streams [256]*SenderStream
}

// senderKey is the key of one epoch.
type senderKey struct {
	epoch    Epoch
	born     time.Time // of the generation
	key      []byte
	announce KeyAnnounce
}

// NewSenderKeys makes the keys of an incarnation's streams; none is in use before the
// first Rotate and Switch. The error is sframe.ErrSuite.
func NewSenderKeys(inc *Incarnation, suite sframe.CipherSuite) (*SenderKeys, error) {
	if !suite.Valid() {
		return nil, sframe.ErrSuite
	}
	return &SenderKeys{inc: inc, suite: suite}, nil
}

// Rotate makes a fresh random generation for these readers, as seen with this roster
// (its hash), of whose members it leaves out those omitted, at most MaxOmitted, and returns its epoch: with each reader that goes (KEY-6), and after
// KeyLifetime. It replaces a rotation under way (KEY-7). Sealing
// goes on with the key before until Switch. The error is ErrKeyLimit after
// MaxGeneration.
func (k *SenderKeys) Rotate(now time.Time, roster Hash, readers, omitted []MeetingKey) (Epoch, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rotate(now, roster, readers, omitted)
}

func (k *SenderKeys) rotate(now time.Time, roster Hash, readers, omitted []MeetingKey) (Epoch, error) {
	if k.last >= MaxGeneration { // KEY-7: never wrap
		return Epoch{}, ErrKeyLimit
	}
	k.last++
	key := make([]byte, k.suite.HashSize())
	fill(k.random, key)
	k.next.wipe()
	k.next = k.newKey(Epoch{Generation: k.last}, now, key, roster, readers, omitted)
	return k.next.epoch, nil
}

// Ratchet makes the next step, for readers that now include joiners (KEY-5), and
// returns its epoch: wrap it to the joiners only. It is in use at once, or, while a
// rotation is under way, with Switch. If the returned Step is 0, the steps were used
// up and a rotation has begun instead: wrap that to everybody. The errors are ErrNoKey
// before the first rotation and ErrKeyLimit.
func (k *SenderKeys) Ratchet(now time.Time, roster Hash, readers, omitted []MeetingKey) (Epoch, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.newest()
	if old == nil {
		return Epoch{}, ErrNoKey
	}
	if old.epoch.Step == MaxStep {
		return k.rotate(now, roster, readers, omitted)
	}
	key, err := ratchet(k.suite, old.key, 1)
	if err != nil {
		return Epoch{}, err
	}
	e := Epoch{Generation: old.epoch.Generation, Step: old.epoch.Step + 1}
	made := k.newKey(e, old.born, key, roster, readers, omitted)
	if k.next != nil {
		k.next.wipe()
		k.next = made
		return e, nil
	}
	k.use(made)
	return e, nil
}

// Switch ends the rotation: from now on its generation is sealed with, and the one
// before is erased. Without a rotation it does nothing.
func (k *SenderKeys) Switch() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next == nil {
		return
	}
	made := k.next
	k.next = nil
	k.use(made)
}

// Clear erases all keys: sealing fails with ErrNoKey until the next Rotate and Switch.
// For whoever publishes nothing when a reader goes: it need
// not rotate before it next sends.
func (k *SenderKeys) Clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next.wipe()
	k.next = nil
	k.use(nil)
}

// Wipe erases all keys for good.
func (k *SenderKeys) Wipe() {
	k.Clear()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = MaxGeneration
}

// Current returns the epoch that is sealed with; its IsZero says there is none.
func (k *SenderKeys) Current() Epoch {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.current.name()
}

// Rotating returns the epoch of the rotation under way; its IsZero says there is none.
func (k *SenderKeys) Rotating() Epoch {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.next.name()
}

// RotationDue reports whether the newest generation has reached KeyLifetime (KEY-7).
func (k *SenderKeys) RotationDue(now time.Time) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	n := k.newest()
	return n != nil && now.Sub(n.born) >= KeyLifetime
}

// Wrap returns the newest key (that of a rotation under way, else the one in use) as it
// goes to one reader. It is the same for each. It holds the key: give it to
// PairSession.Seal and nothing else, only for a member of the readers named to Rotate
// or Ratchet. The error is ErrNoKey.
func (k *SenderKeys) Wrap() ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	n := k.newest()
	if n == nil {
		return nil, ErrNoKey
	}
	return encode(wrap{
		Generation: n.epoch.Generation,
		Step:       n.epoch.Step,
		Key:        n.key,
		View:       keyView(n.announce.Roster, n.announce.Recipients, n.announce.Omitted),
		Signature:  n.announce.Signature,
	}), nil
}

// Announce returns what to tell everybody about the newest key. The error is ErrNoKey.
func (k *SenderKeys) Announce() (KeyAnnounce, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	n := k.newest()
	if n == nil {
		return KeyAnnounce{}, ErrNoKey
	}
	return n.announce, nil
}

// Stream returns the stream of that number; always the same one, so that its counter
// goes on (KEY-1).
func (k *SenderKeys) Stream(number uint8) *SenderStream {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.streams[number] == nil {
		k.streams[number] = &SenderStream{
			keys:    k,
			number:  number,
			context: streamContext(k.inc.meeting, k.inc.Key(), number),
		}
	}
	return k.streams[number]
}

func (k *SenderKeys) newest() *senderKey {
	if k.next != nil {
		return k.next
	}
	return k.current
}

// use makes key the one sealed with. The caller holds the write lock, so no stream is
// sealing; each derives its own key anew at its next packet.
func (k *SenderKeys) use(key *senderKey) {
	k.current.wipe()
	k.current = key
	for _, s := range k.streams {
		if s != nil && s.sealer != nil {
			s.sealer.Wipe()
			s.sealer = nil
		}
	}
}

func (k *SenderKeys) newKey(e Epoch, born time.Time, key []byte, roster Hash, readers, omitted []MeetingKey) *senderKey {
	meeting, author := k.inc.meeting, k.inc.Key()
	a := KeyAnnounce{
		Author:     author,
		Generation: e.Generation,
		Step:       e.Step,
		Roster:     roster,
		Recipients: RecipientsHash(readers),
		Commitment: keyCommitment(meeting, author, e, key),
		Omitted:    omittedOf(omitted),
	}
	s := a.Statement()
	a.Signature = k.inc.Sign(labelKeyAnnounce, meeting[:], author[:], e.bytes(), s.View[:], s.Commitment[:])
	return &senderKey{epoch: e, born: born, key: key, announce: a}
}

func (s *senderKey) wipe() {
	if s != nil {
		wipe(s.key)
	}
}

func (s *senderKey) name() Epoch {
	if s == nil {
		return Epoch{}
	}
	return s.epoch
}

// SenderStream seals one encoding, or one kind of message. It is safe for concurrent
// use.
type SenderStream struct {
	hidden
	keys   *SenderKeys
	number uint8

	mu      sync.Mutex
	sealer  *sframe.Sealer // of keys.current, or nil
	context [17]byte       // stream context and clear byte (KEY-2)
	scratch []byte         // inner header and payload
	sealed  sourceWindow
	off     hooks
}

// Number returns the stream number.
func (s *SenderStream) Number() uint8 { return s.number }

// begin takes the locks of sealing and sees to the key; end releases them. They are
// taken in this order: the keys', so that no switch happens meanwhile, then the
// stream's.
func (s *SenderStream) begin() error {
	s.keys.mu.RLock()
	s.mu.Lock()
	current := s.keys.current
	if current == nil {
		s.end()
		return ErrNoKey
	}
	if s.sealer != nil {
		return nil
	}
	sealer, err := sframe.NewSealer(s.keys.suite, current.epoch.kid(s.number), current.key)
	if err != nil {
		s.end()
		return ErrNoKey
	}
	s.sealer = sealer
	return nil
}

func (s *SenderStream) end() {
	s.mu.Unlock()
	s.keys.mu.RUnlock()
}

// seal appends clear byte ‖ SFrame(plaintext) to dst. The caller is between begin and
// end.
func (s *SenderStream) seal(dst []byte, clear byte, plaintext []byte) ([]byte, error) {
	s.context[16] = clear
	metadata := s.context[:]
	if s.off.streamContext {
		metadata = nil
	}
	out, _, err := s.sealer.Seal(append(dst, clear), metadata, plaintext)
	if err != nil {
		if err == sframe.ErrTooLarge {
			return dst, ErrTooLarge
		}
		return dst, ErrKeyLimit
	}
	return out, nil
}
