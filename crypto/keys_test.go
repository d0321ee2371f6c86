package crypto

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// TestKIDNamesOneKey: generation, stream and step don't run into each other, and no two
// packets of a sender share KID and counter, whatever happens to the keys meanwhile.
//
// Checks: KEY-1.
func TestKIDNamesOneKey(t *testing.T) {
	for _, e := range []Epoch{{1, 0}, {1, 15}, {2, 0}, {MaxGeneration, MaxStep}, {0xfff, 7}} {
		for _, stream := range []uint8{0, 1, 16, 255} {
			if got, s := splitKID(e.kid(stream)); got != e || s != stream {
				t.Errorf("%v stream %d: back as %v stream %d", e, stream, got, s)
			}
		}
	}
	w := newWorld(t)
	w.rotate()
	seen := map[string]bool{}
	note := func(packet []byte) {
		h := must(InspectMedia(packet))
		name := fmt.Sprint(h.Epoch, h.Stream, h.Counter)
		if seen[name] {
			t.Fatalf("%s twice", name)
		}
		seen[name] = true
	}
	for i := range 200 {
		note(w.packet(16 + uint8(i%3)))
		switch {
		case i%50 == 49:
			w.rotate()
		case i%7 == 6:
			w.ratchet()
			if !w.keys.Rotating().IsZero() {
				w.keys.Switch()
			}
		}
	}
	if first, again := w.keys.Stream(16), w.keys.Stream(16); first != again {
		t.Error("a stream opened twice would start its counter again")
	}
}

// TestSealingWhileSwitching: streams seal in goroutines of their own while keys change;
// no KID and counter come twice, and once Switch returned nothing is sealed under the
// key before.
//
// Checks: KEY-1, KEY-6.
func TestSealingWhileSwitching(t *testing.T) {
	w := newWorld(t)
	w.rotate()
	var (
		group sync.WaitGroup
		lock  sync.Mutex
		seen  = map[MediaHeader]bool{}
		stop  = make(chan struct{})
	)
	for worker := range 4 {
		stream := w.keys.Stream(16 + uint8(worker/2)) // two goroutines to a stream
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				least := w.keys.Current()
				packet, err := stream.SealMedia(nil, &MediaPacket{SequenceNumber: uint16(i<<1 | worker%2), Payload: []byte("x")})
				if errors.Is(err, ErrDuplicate) {
					continue
				}
				h, bad := InspectMedia(packet)
				h.Flags = MediaFlags{}
				lock.Lock()
				if err != nil || bad != nil || seen[h] || h.Epoch.Compare(least) < 0 {
					t.Errorf("%v after %v: %v %v, seen %v", h, least, err, bad, seen[h])
				}
				seen[h] = true
				lock.Unlock()
			}
		})
	}
	for range 100 {
		w.rotate()
		w.ratchet()
	}
	close(stop)
	group.Wait()
}

// TestRotation: generations grow by one, a further change restarts a rotation with the
// next, sealing stays with the key in use until Switch, and the last generation is the
// last.
//
// Checks: KEY-6, KEY-7.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	if _, err := w.keys.Wrap(); !errors.Is(err, ErrNoKey) {
		t.Errorf("Wrap: %v", err)
	}
	if _, err := w.keys.Announce(); !errors.Is(err, ErrNoKey) {
		t.Errorf("Announce: %v", err)
	}
	if _, err := w.keys.Ratchet(w.now, w.roster, nil, nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("Ratchet: %v", err)
	}
	if _, err := w.keys.Stream(16).SealMedia(nil, &MediaPacket{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("Seal: %v", err)
	}
	w.rotate()
	for i := range uint64(3) {
		if e := must(w.keys.Rotate(w.now, w.roster, nil, nil)); e != (Epoch{2 + i, 0}) || w.keys.Rotating() != e {
			t.Errorf("rotation %d is %v", i, e)
		}
	}
	if e := must(InspectMedia(w.packet(16))).Epoch; e != (Epoch{1, 0}) || w.keys.Current() != e {
		t.Errorf("sealed under %v before Switch", e)
	}
	w.keys.Switch()
	w.keys.Switch() // does nothing
	if e := must(InspectMedia(w.packet(16))).Epoch; e != (Epoch{4, 0}) || !w.keys.Rotating().IsZero() {
		t.Errorf("sealed under %v after Switch", e)
	}
	if w.keys.RotationDue(w.now.Add(KeyLifetime-1)) || !w.keys.RotationDue(w.now.Add(KeyLifetime)) {
		t.Error("RotationDue")
	}
	w.now = w.now.Add(time.Minute)
	w.ratchet()
	if !w.keys.RotationDue(w.now.Add(KeyLifetime - time.Minute)) {
		t.Error("a ratchet step made the generation younger")
	}
	w.keys.Clear()
	if _, err := w.keys.Stream(16).SealMedia(nil, &MediaPacket{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("after Clear: %v", err)
	}
	if e := w.rotate(); e != (Epoch{5, 0}) {
		t.Errorf("after Clear: %v", e)
	}
	w.keys.last = MaxGeneration - 1
	if e := w.rotate(); e.Generation != MaxGeneration {
		t.Errorf("last generation: %v", e)
	}
	if _, err := w.keys.Rotate(w.now, w.roster, nil, nil); !errors.Is(err, ErrKeyLimit) {
		t.Errorf("generation after the last: %v", err)
	}
}

// TestJoinerReadsNothingBefore: a joiner gets the next step and can't read what was
// sealed before; others follow the ratchet without a wrap; past step 15 everybody gets
// a fresh generation. The twin, a joiner who is given the key in use, reads the past.
//
// Checks: KEY-5.
func TestJoinerReadsNothingBefore(t *testing.T) {
	w := newWorld(t)
	old := w.reader()
	w.rotate(old)
	before := w.packet(16)
	if err := w.open(old, before); err != nil {
		t.Fatal(err)
	}
	for step := uint8(1); step <= MaxStep; step++ {
		joiner, twin := w.reader(), w.reader()
		w.give(twin)
		past := w.packet(16)
		if e := w.ratchet(); e != (Epoch{1, step}) || w.keys.Current() != e {
			t.Fatalf("ratchet to %v", e)
		}
		w.give(joiner)
		if err := w.open(joiner, past); !errors.Is(err, ErrOldKey) {
			t.Errorf("joiner at step %d reads the past: %v", step, err)
		}
		if err := w.open(twin, past); err != nil {
			t.Errorf("the twin should have read it: %v", err)
		}
		now := w.packet(16)
		for _, r := range []*ReaderKeys{old, joiner, twin} {
			if err := w.open(r, now); err != nil {
				t.Errorf("step %d: %v", step, err)
			}
		}
	}
	if e := w.ratchet(); e != (Epoch{2, 0}) || w.keys.Rotating() != e || w.keys.Current() != (Epoch{1, MaxStep}) {
		t.Fatalf("past step 15: %v", e)
	}
	w.give(old)
	w.keys.Switch()
	if err := w.open(old, w.packet(16)); err != nil {
		t.Error(err)
	}
}

// TestJoinDuringRotation: the joiner gets a step of the generation that is coming, of
// which it then reads all, and nothing of the one before; the others need no new wrap.
//
// Checks: KEY-5, KEY-7.
func TestJoinDuringRotation(t *testing.T) {
	w := newWorld(t)
	old, joiner := w.reader(), w.reader()
	w.rotate(old)
	must(w.keys.Rotate(w.now, w.roster, nil, nil))
	w.give(old)
	if e := w.ratchet(); e != (Epoch{2, 1}) || w.keys.Current() != (Epoch{1, 0}) {
		t.Fatalf("ratchet during a rotation: %v", e)
	}
	w.give(joiner)
	past := w.packet(16)
	w.keys.Switch()
	now := w.packet(16)
	if err := w.open(joiner, past); err == nil {
		t.Error("joiner reads the generation before")
	}
	for _, r := range []*ReaderKeys{old, joiner} {
		if err := w.open(r, now); err != nil {
			t.Error(err)
		}
	}
}

// TestRemovedReadsNothing: who has all keys of a generation has none of the next. The
// twin, a sender that ratchets where it should rotate, goes on being read.
//
// Checks: KEY-6.
func TestRemovedReadsNothing(t *testing.T) {
	w := newWorld(t)
	removed, present := w.reader(), w.reader()
	w.rotate(removed, present)
	w.ratchet()
	if err := w.open(removed, w.packet(16)); err != nil {
		t.Fatalf("the twin should have read on: %v", err)
	}
	w.rotate(present)
	packet := w.packet(16)
	if err := w.open(present, packet); err != nil {
		t.Fatal(err)
	}
	if err := w.open(removed, packet); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("removed reader: %v", err)
	}
	for _, e := range removed.epochs { // nor with anything else it can make of its keys
		for step := range uint8(MaxStep + 1) {
			key := must(ratchet(removed.suite, e.key, step))
			guess := must(sframe.NewKey(removed.suite, Epoch{2, 0}.kid(16), key))
			c := streamContext(testMeeting, w.sender.Key(), 16)
			if _, _, err := guess.Open(nil, c[:], packet[1:]); err == nil {
				t.Fatal("an old key opens the new generation")
			}
		}
	}
}

// TestRecipientsHash: the order of the readers doesn't matter, who they are does.
func TestRecipientsHash(t *testing.T) {
	a, b, c := member(1).Key(), member(2).Key(), member(3).Key()
	if RecipientsHash([]MeetingKey{a, b}) != RecipientsHash([]MeetingKey{b, a}) {
		t.Error("order matters")
	}
	seen := map[Hash]bool{}
	for _, set := range [][]MeetingKey{nil, {a}, {b}, {a, b}, {a, c}, {a, b, c}} {
		h := RecipientsHash(set)
		if seen[h] {
			t.Error("two sets, one hash")
		}
		seen[h] = true
	}
}

// TestSuites: both suites of the protocol work, and no other.
func TestSuites(t *testing.T) {
	for _, suite := range []sframe.CipherSuite{sframe.AES128GCM, sframe.AES256GCM} {
		keys := must(NewSenderKeys(member(1), suite))
		r := must(NewReaderKeys(testMeeting, member(1).Key(), suite))
		must(keys.Rotate(epoch0, Hash{}, nil, nil))
		keys.Switch()
		for range 3 {
			must(r.AcceptWrap(epoch0, must(keys.Wrap())))
			packet := must(keys.Stream(20).SealMedia(nil, &MediaPacket{SequenceNumber: 1, Payload: []byte("x")}))
			if _, p, err := r.OpenMedia(epoch0, nil, packet); err != nil || string(p.Payload) != "x" {
				t.Errorf("%v: %v", suite, err)
			}
			must(keys.Ratchet(epoch0, Hash{}, nil, nil))
			keys.Stream(20).sealed = sourceWindow{}
		}
	}
	if _, err := NewReaderKeys(testMeeting, member(1).Key(), 3); !errors.Is(err, sframe.ErrSuite) {
		t.Errorf("suite 3: %v", err)
	}
}
