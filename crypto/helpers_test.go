package crypto

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// epoch0 is when everything in these tests begins.
var epoch0 = time.Unix(1_800_000_000, 0)

// seeded returns randomness that is the same in every run.
func seeded(n uint64) *rand.ChaCha8 {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], n)
	return rand.NewChaCha8(seed)
}

var testMeeting = MeetingID(HashOf("test meeting"))

// member makes incarnation n of identity n, the same in every run.
func member(n uint64) *Incarnation { return memberOf(testMeeting, n) }

// memberOf remembers what it made: don't wipe these.
func memberOf(meeting MeetingID, n uint64) *Incarnation {
	name := memberName{meeting, n}
	if inc, ok := members.Load(name); ok {
		return inc.(*Incarnation)
	}
	random := seeded(n)
	inc, err := generateIdentity(random).newIncarnation(meeting, random)
	if err != nil {
		panic(err)
	}
	members.Store(name, inc)
	return inc
}

var members sync.Map // memberName to *Incarnation

type memberName struct {
	meeting MeetingID
	n       uint64
}

// testInvite is the same in every run.
func testInvite(n uint64) Invite { return newInvite(seeded(1000 + n)) }

// eachFlip calls f with every copy of b that has one bit of one byte changed, another
// bit from byte to byte.
func eachFlip(b []byte, f func(i int, changed []byte)) {
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1 << (i % 8)
		f(i, c)
	}
}

// eachCut calls f with every proper prefix of b.
func eachCut(b []byte, f func(cut []byte)) {
	for i := range b {
		f(bytes.Clone(b[:i]))
	}
}

// world is one sender and its readers.
type world struct {
	t      testing.TB
	now    time.Time
	sender *Incarnation
	keys   *SenderKeys
	roster Hash
	seq    uint16
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: epoch0, sender: member(1), roster: HashOf("test roster")}
	w.keys = must(NewSenderKeys(w.sender, sframe.AES128GCM))
	w.keys.random = seeded(99)
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) reader() *ReaderKeys {
	return must(NewReaderKeys(testMeeting, w.sender.Key(), sframe.AES128GCM))
}

// rotate makes a new generation for the readers and gives it to them; it is in use when
// it returns.
func (w *world) rotate(readers ...*ReaderKeys) Epoch {
	w.t.Helper()
	e := must(w.keys.Rotate(w.now, w.roster, []MeetingKey{member(2).Key()}, nil))
	w.give(readers...)
	w.keys.Switch()
	return e
}

func (w *world) ratchet() Epoch {
	w.t.Helper()
	return must(w.keys.Ratchet(w.now, w.roster, []MeetingKey{member(2).Key()}, nil))
}

func (w *world) give(readers ...*ReaderKeys) {
	w.t.Helper()
	for _, r := range readers {
		if _, err := r.AcceptWrap(w.now, must(w.keys.Wrap())); err != nil {
			w.t.Fatal(err)
		}
	}
}

// packet seals the next source packet of a stream.
func (w *world) packet(stream uint8) []byte {
	w.t.Helper()
	w.seq++
	p := &MediaPacket{SequenceNumber: w.seq, Timestamp: 7, Payload: []byte("some media")}
	out, err := w.keys.Stream(stream).SealMedia(nil, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// open opens a packet that packet made.
func (w *world) open(r *ReaderKeys, packet []byte) error {
	_, p, err := r.OpenMedia(w.now, nil, packet)
	if err == nil && string(p.Payload) != "some media" {
		w.t.Fatal("opened to something else")
	}
	return err
}
