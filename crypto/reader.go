package crypto

import (
	"bytes"
	"crypto/subtle"
	"slices"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// Limits of a reader (KEY-8).
const (
	waitTime    = 500 * time.Millisecond // for the key of a packet
	waitPackets = 256
	waitBytes   = 1 << 20
	eraseAfter  = 2 * time.Second // after the first packet of a later epoch

	triesBurst  = 16                     // of later steps at once (KEY-11),
	triesRefill = 125 * time.Millisecond // and one more each such time

	maxReaderEpochs = 8  // wrapped to us and not yet erased
	maxStatements   = 64 // remembered of one sender, to compare
)

// ReaderKeys are the keys of one remote incarnation's streams (SPEC section 7).
//
//	wrap ─────▶ AcceptWrap ────▶ a key ──┐          ┌─▶ plaintext
//	announce ─▶ AcceptAnnounce ▶ compare │          │
//	packet ───▶ OpenMedia, OpenMessage ──┴─ known? ─┤
//	                                                └─▶ kept 500 ms ──▶ Release
//
// It is safe for concurrent use: one mutex guards all of it.
type ReaderKeys struct {
	hidden
	meeting MeetingID
	author  MeetingKey
	suite   sframe.CipherSuite

	mu      sync.Mutex
	epochs  []*readerEpoch // sorted
	newest  Epoch          // of which a packet was opened
	said    []KeyStatement // the author's, the oldest first
	waiting []waitingPacket
	kept    int // bytes in waiting
	tries   int // of later steps, of late
	triedAt time.Time
	off     hooks
}

// readerEpoch is the key of one epoch, and what derives from it.
type readerEpoch struct {
	epoch   Epoch
	key     []byte
	streams map[uint8]*readerStream
	erase   time.Time // when a later epoch is in use; zero before
}

type readerStream struct {
	key     *sframe.Key
	window  sframe.ReplayWindow
	context [17]byte // stream context and clear byte (KEY-2)
}

type waitingPacket struct {
	since  time.Time
	epoch  Epoch
	packet []byte
}

// NewReaderKeys prepares for the keys of the sender with this meeting key. The error is
// sframe.ErrSuite.
func NewReaderKeys(meeting MeetingID, author MeetingKey, suite sframe.CipherSuite) (*ReaderKeys, error) {
	if !suite.Valid() {
		return nil, sframe.ErrSuite
	}
	return &ReaderKeys{meeting: meeting, author: author, suite: suite}, nil
}

// Author returns the sender's meeting key.
func (r *ReaderKeys) Author() MeetingKey { return r.author }

// AcceptWrap takes a wrap that came in the pair session with the author (KEY-3) and
// returns its epoch, to acknowledge. The same wrap again is no error. What waited for
// it is then in Release. The errors are ErrMalformed, ErrSignature, ErrOldKey (a later
// key is in use already; acknowledge all the same) and *EquivocationError.
func (r *ReaderKeys) AcceptWrap(now time.Time, data []byte) (Epoch, error) {
	var w wrap
	if decode(data, maxWrap, &w) != nil {
		return Epoch{}, ErrMalformed
	}
	defer wipe(w.Key)
	e := Epoch{Generation: w.Generation, Step: w.Step}
	if !e.valid() || len(w.Key) != r.suite.HashSize() {
		return Epoch{}, ErrMalformed
	}
	s := KeyStatement{Epoch: e, View: w.View, Commitment: keyCommitment(r.meeting, r.author, e, w.Key), Signature: w.Signature}
	if !s.Verify(r.meeting, r.author) && !r.off.wrapSignature { // KEY-3
		return Epoch{}, ErrSignature
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.compare(s, w.Key); err != nil {
		return Epoch{}, err
	}
	r.remember(s)
	if e.Compare(r.newest) < 0 { // never back (KEY-8)
		return e, ErrOldKey
	}
	r.insert(&readerEpoch{epoch: e, key: bytes.Clone(w.Key), streams: map[uint8]*readerStream{}})
	return e, nil
}

// AcceptAnnounce takes an announcement of this author and compares it with all that the
// author said and wrapped before (KEY-3). The errors are ErrMalformed, ErrSignature and
// *EquivocationError.
func (r *ReaderKeys) AcceptAnnounce(a KeyAnnounce) error {
	if a.Author != r.author {
		return ErrSignature
	}
	if err := a.Verify(r.meeting); err != nil {
		return err
	}
	s := a.Statement()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.compare(s, nil); err != nil {
		return err
	}
	r.remember(s)
	return nil
}

// compare looks for a statement of the author's that contradicts s, and for a key that
// does: all keys of a generation are each other's ratchet. key is that of s, if known.
func (r *ReaderKeys) compare(s KeyStatement, key []byte) error {
	if r.off.wrapConflict {
		return nil
	}
	for _, o := range r.said {
		conflict := o.Epoch == s.Epoch && !o.same(s)
		if key != nil && o.Epoch.Generation == s.Epoch.Generation && o.Epoch.Step > s.Epoch.Step {
			conflict = conflict || !r.commits(o, s.Epoch, key)
		}
		if conflict {
			return &EquivocationError{Author: r.author, First: o, Second: s}
		}
	}
	for _, e := range r.epochs {
		if e.epoch.Generation != s.Epoch.Generation || e.epoch.Step > s.Epoch.Step || r.commits(s, e.epoch, e.key) {
			continue
		}
		return &EquivocationError{Author: r.author, First: r.statement(e.epoch), Second: s}
	}
	return nil
}

// commits reports whether s commits to what the key of epoch e, of the same generation
// and no later, ratchets to.
func (r *ReaderKeys) commits(s KeyStatement, e Epoch, key []byte) bool {
	key, err := ratchet(r.suite, key, s.Epoch.Step-e.Step)
	if err != nil {
		return false
	}
	defer wipe(key)
	c := keyCommitment(r.meeting, r.author, s.Epoch, key)
	return subtle.ConstantTimeCompare(c[:], s.Commitment[:]) == 1
}

// statement returns what the author said of the latest epoch up to e of its generation.
func (r *ReaderKeys) statement(e Epoch) (s KeyStatement) {
	for _, o := range r.said {
		if o.Epoch.Generation == e.Generation && o.Epoch.Compare(e) <= 0 && o.Epoch.Compare(s.Epoch) > 0 {
			s = o
		}
	}
	return s
}

func (r *ReaderKeys) remember(s KeyStatement) {
	if slices.ContainsFunc(r.said, s.same) {
		return
	}
	if len(r.said) == maxStatements {
		r.said = slices.Delete(r.said, 0, 1)
	}
	r.said = append(r.said, s)
}

// insert adds an epoch in its place. Of more than maxReaderEpochs the first goes.
func (r *ReaderKeys) insert(e *readerEpoch) {
	i, found := slices.BinarySearchFunc(r.epochs, e.epoch, compareEpoch)
	if found {
		if r.off.wrapConflict {
			r.epochs[i] = e
		}
		return
	}
	r.epochs = slices.Insert(r.epochs, i, e)
	if len(r.epochs) > maxReaderEpochs {
		first := 0
		if r.epochs[0].epoch == r.newest { // in use: rather a rotation that was restarted
			first = 1
		}
		r.epochs[first].wipe()
		r.epochs = slices.Delete(r.epochs, first, first+1)
	}
}

func compareEpoch(e *readerEpoch, name Epoch) int { return e.epoch.Compare(name) }

// open authenticates a packet whose header is h and appends its plaintext to dst.
func (r *ReaderKeys) open(now time.Time, dst, packet []byte, h MediaHeader) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.find(now, h.Epoch)
	if err != nil {
		if err == ErrUnknownKey {
			r.keep(now, h.Epoch, packet)
		}
		return dst, err
	}
	known := e.epoch == h.Epoch
	if !known { // KEY-8: a candidate, of which nothing stays unless the packet is genuine
		if !r.mayTry(now) {
			return dst, ErrRefused
		}
		if e, err = r.ahead(e, h.Epoch.Step); err != nil {
			return dst, ErrRefused
		}
	}
	s := e.streams[h.Stream]
	if s == nil {
		if s, err = r.newStream(e, h.Stream); err != nil {
			return dst, ErrRefused
		}
		if known {
			e.streams[h.Stream] = s // whether the packet is genuine or not: the next one costs no derivation
		}
	}
	if !s.window.Check(h.Counter) && !r.off.readerReplay { // KEY-9
		return dst, ErrReplay
	}
	s.context[16] = packet[0]
	metadata := s.context[:]
	if r.off.streamContext {
		metadata = nil
	}
	out, _, err := s.key.Open(dst, metadata, packet[1:])
	if err != nil {
		if r.off.ratchetFirst {
			r.commit(now, e, known)
		} else if !known {
			e.wipe()
		}
		return dst, ErrRefused
	}
	s.window.Commit(h.Counter)
	e.streams[h.Stream] = s
	r.commit(now, e, known)
	return out, nil
}

// find returns the epoch to open with: the very one, or the latest before it in its
// generation, to ratchet from. A KID thus selects exactly one key (KEY-1).
func (r *ReaderKeys) find(now time.Time, name Epoch) (*readerEpoch, error) {
	i, found := slices.BinarySearchFunc(r.epochs, name, compareEpoch)
	if !found {
		i--
	}
	if i >= 0 && r.epochs[i].epoch.Generation == name.Generation {
		if e := r.epochs[i]; !e.erased(now) || r.off.keepOldKeys {
			return e, nil
		}
		return nil, ErrOldKey
	}
	later := i+1 < len(r.epochs) && r.epochs[i+1].epoch.Generation == name.Generation
	passed := len(r.epochs) > 0 && name.Generation < r.epochs[0].epoch.Generation // a later one was wrapped: it never will be
	if later || passed && !r.off.awaitPast || name.Compare(r.newest) < 0 {        // never back (KEY-8)
		return nil, ErrOldKey
	}
	return nil, ErrUnknownKey
}

// mayTry bounds how often later steps are derived: that costs some hundred times what a packet does (KEY-11).
func (r *ReaderKeys) mayTry(now time.Time) bool {
	if n := int(now.Sub(r.triedAt) / triesRefill); n > 0 {
		r.tries, r.triedAt = max(0, r.tries-n), now
	}
	if r.tries >= triesBurst && !r.off.anyTries {
		return false
	}
	r.tries++
	return true
}

// ahead returns what e becomes at a later step.
func (r *ReaderKeys) ahead(e *readerEpoch, step uint8) (*readerEpoch, error) {
	key, err := ratchet(r.suite, e.key, step-e.epoch.Step)
	if err != nil {
		return nil, err
	}
	name := Epoch{Generation: e.epoch.Generation, Step: step}
	return &readerEpoch{epoch: name, key: key, streams: map[uint8]*readerStream{}, erase: e.erase}, nil
}

func (r *ReaderKeys) newStream(e *readerEpoch, number uint8) (*readerStream, error) {
	key, err := sframe.NewKey(r.suite, e.epoch.kid(number), e.key)
	if err != nil {
		return nil, err
	}
	return &readerStream{key: key, context: streamContext(r.meeting, r.author, number)}, nil
}

// commit notes that a packet of e was opened: e stays, and what is before it goes soon.
func (r *ReaderKeys) commit(now time.Time, e *readerEpoch, known bool) {
	if !known {
		r.insert(e)
	}
	if e.epoch.Compare(r.newest) <= 0 {
		return
	}
	r.newest, e.erase = e.epoch, time.Time{}
	for _, o := range r.epochs {
		if o.epoch.Compare(e.epoch) < 0 && o.erase.IsZero() {
			o.erase = now.Add(eraseAfter)
		}
	}
}

// keep holds a packet back until its key comes (KEY-8). What doesn't fit is lost.
func (r *ReaderKeys) keep(now time.Time, e Epoch, packet []byte) {
	r.expireWaiting(now)
	full := len(r.waiting) >= waitPackets || r.kept+len(packet) > waitBytes
	if full && !r.off.noBufferLimit {
		return
	}
	r.waiting = append(r.waiting, waitingPacket{since: now, epoch: e, packet: bytes.Clone(packet)})
	r.kept += len(packet)
}

// Release returns the packets that waited for a key which is there now, in the order
// they came: give each to OpenMedia or OpenMessage, by its stream (InspectMedia). Call
// it after AcceptWrap.
func (r *ReaderKeys) Release(now time.Time) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expireWaiting(now)
	var out [][]byte
	r.waiting = slices.DeleteFunc(r.waiting, func(w waitingPacket) bool {
		_, err := r.find(now, w.epoch)
		if err == ErrUnknownKey {
			return false
		}
		if err == nil {
			out = append(out, w.packet)
		}
		r.kept -= len(w.packet)
		return true
	})
	return out
}

func (r *ReaderKeys) expireWaiting(now time.Time) {
	n := 0
	for n < len(r.waiting) && now.Sub(r.waiting[n].since) >= waitTime {
		r.kept -= len(r.waiting[n].packet)
		n++
	}
	r.waiting = slices.Delete(r.waiting, 0, n)
}

// Expire erases the keys whose time is over and drops what waited too long (KEY-8).
// Call it each second, at least; an expired key isn't used in any case.
func (r *ReaderKeys) Expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expireWaiting(now)
	if r.off.keepOldKeys {
		return
	}
	r.epochs = slices.DeleteFunc(r.epochs, func(e *readerEpoch) bool {
		over := e.erased(now)
		if over {
			e.wipe()
		}
		return over
	})
}

// Wipe erases all keys and drops all that waits: for a sender who is gone.
func (r *ReaderKeys) Wipe() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.epochs {
		e.wipe()
	}
	r.epochs, r.waiting, r.kept = nil, nil, 0
	r.newest = Epoch{Generation: MaxGeneration, Step: MaxStep}
}

func (e *readerEpoch) erased(now time.Time) bool {
	return !e.erase.IsZero() && !now.Before(e.erase)
}

func (e *readerEpoch) wipe() {
	wipe(e.key)
	for _, s := range e.streams {
		s.key.Wipe()
	}
}
