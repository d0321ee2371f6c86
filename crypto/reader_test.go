package crypto

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// TestWrap: what is wrapped is verified with the key it carries; the same again is fine;
// anything else about it is refused. The twin takes a wrap nobody answers for.
//
// Checks: KEY-3.
func TestWrap(t *testing.T) {
	w := newWorld(t)
	w.rotate()
	data := must(w.keys.Wrap())
	r := w.reader()
	for range 2 {
		if e, err := r.AcceptWrap(w.now, data); err != nil || e != (Epoch{1, 0}) {
			t.Fatalf("%v, %v", e, err)
		}
	}
	eachFlip(data, func(i int, changed []byte) {
		if _, err := w.reader().AcceptWrap(w.now, changed); err == nil {
			t.Fatalf("byte %d changed and still accepted", i)
		}
	})
	eachCut(data, func(cut []byte) {
		if _, err := w.reader().AcceptWrap(w.now, cut); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut: %v", err)
		}
	})
	other := must(NewReaderKeys(testMeeting, member(3).Key(), sframe.AES128GCM))
	if _, err := other.AcceptWrap(w.now, data); !errors.Is(err, ErrSignature) {
		t.Errorf("as another sender's: %v", err)
	}
	elsewhere := must(NewReaderKeys(MeetingID(HashOf("elsewhere")), w.sender.Key(), sframe.AES128GCM))
	if _, err := elsewhere.AcceptWrap(w.now, data); !errors.Is(err, ErrSignature) {
		t.Errorf("in another meeting: %v", err)
	}
	long := must(NewReaderKeys(testMeeting, w.sender.Key(), sframe.AES256GCM))
	if _, err := long.AcceptWrap(w.now, data); !errors.Is(err, ErrMalformed) {
		t.Errorf("in another suite: %v", err)
	}
	for _, e := range []Epoch{{0, 0}, {1, MaxStep + 1}, {MaxGeneration + 1, 0}} {
		key := make([]byte, 32)
		s := KeyStatement{Epoch: e, Commitment: keyCommitment(testMeeting, w.sender.Key(), e, key)}
		sig := w.sender.Sign(labelKeyAnnounce, testMeeting[:], s.Epoch.bytes(), s.View[:], s.Commitment[:])
		if _, err := w.reader().AcceptWrap(w.now, encode(wrap{Generation: e.Generation, Step: e.Step, Key: key, Signature: sig})); !errors.Is(err, ErrMalformed) {
			t.Errorf("epoch %v: %v", e, err)
		}
	}
	unsigned := encode(wrap{Generation: 9, Key: make([]byte, 32)})
	if _, err := r.AcceptWrap(w.now, unsigned); !errors.Is(err, ErrSignature) {
		t.Errorf("unsigned: %v", err)
	}
	r.off.wrapSignature = true
	if _, err := r.AcceptWrap(w.now, unsigned); err != nil {
		t.Errorf("the twin should have taken it: %v", err)
	}
}

// made is what a sender that lies can sign about a key.
func made(author *Incarnation, e Epoch, key []byte, roster Hash) (wrapped []byte, a KeyAnnounce) {
	lying := &SenderKeys{inc: author, suite: sframe.AES128GCM}
	lying.current = lying.newKey(e, epoch0, key, roster, nil, nil)
	return must(lying.Wrap()), must(lying.Announce())
}

// TestEquivocation: whatever a sender says about one epoch, or about two of one
// generation, has to fit together; what doesn't is refused, with the proof. The twin
// takes another key under a name it knows.
//
// Checks: KEY-3.
func TestEquivocation(t *testing.T) {
	author := member(1)
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	e0, e2 := Epoch{5, 0}, Epoch{5, 2}
	step2 := must(ratchet(sframe.AES128GCM, key, 2))
	honestWrap, honestAnnounce := made(author, e0, key, Hash{1})
	honest2, honestAnnounce2 := made(author, e2, step2, Hash{1})
	otherKey, otherKeyAnnounce := made(author, e0, other, Hash{1})
	otherView, otherViewAnnounce := made(author, e0, key, Hash{2})
	broken2, brokenAnnounce2 := made(author, e2, other, Hash{1})
	type said struct {
		wrap     []byte
		announce *KeyAnnounce
	}
	tell := func(r *ReaderKeys, s said) error {
		if s.announce != nil {
			return r.AcceptAnnounce(*s.announce)
		}
		_, err := r.AcceptWrap(epoch0, s.wrap)
		return err
	}
	for name, c := range map[string]struct {
		first, second said
		lie, proof    bool
	}{
		"the same wrap":                    {said{wrap: honestWrap}, said{wrap: honestWrap}, false, false},
		"wrap, its announcement":           {said{wrap: honestWrap}, said{announce: &honestAnnounce}, false, false},
		"announcement, its wrap":           {said{announce: &honestAnnounce}, said{wrap: honestWrap}, false, false},
		"wrap, a later step":               {said{wrap: honestWrap}, said{wrap: honest2}, false, false},
		"a later step, wrap":               {said{wrap: honest2}, said{wrap: honestWrap}, false, false},
		"wrap, announced step":             {said{wrap: honestWrap}, said{announce: &honestAnnounce2}, false, false},
		"announced step, wrap":             {said{announce: &honestAnnounce2}, said{wrap: honestWrap}, false, false},
		"two keys wrapped":                 {said{wrap: honestWrap}, said{wrap: otherKey}, true, true},
		"two views wrapped":                {said{wrap: honestWrap}, said{wrap: otherView}, true, true},
		"wrapped, another key announced":   {said{wrap: honestWrap}, said{announce: &otherKeyAnnounce}, true, true},
		"wrapped, another view announced":  {said{wrap: honestWrap}, said{announce: &otherViewAnnounce}, true, true},
		"announced, another key wrapped":   {said{announce: &honestAnnounce}, said{wrap: otherKey}, true, true},
		"two announcements":                {said{announce: &honestAnnounce}, said{announce: &otherKeyAnnounce}, true, true},
		"wrapped, broken ratchet wrapped":  {said{wrap: honestWrap}, said{wrap: broken2}, true, false},
		"broken ratchet wrapped first":     {said{wrap: broken2}, said{wrap: honestWrap}, true, false},
		"wrapped, broken step announced":   {said{wrap: honestWrap}, said{announce: &brokenAnnounce2}, true, false},
		"broken step announced, then wrap": {said{announce: &brokenAnnounce2}, said{wrap: honestWrap}, true, false},
	} {
		r := must(NewReaderKeys(testMeeting, author.Key(), sframe.AES128GCM))
		if err := tell(r, c.first); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		err := tell(r, c.second)
		var proof *EquivocationError
		if errors.As(err, &proof) != c.lie || !c.lie && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.lie && (!errors.Is(err, ErrEquivocation) || proof.Proves(testMeeting) != c.proof || proof.Author != author.Key() ||
			!proof.First.Verify(testMeeting, author.Key()) || !proof.Second.Verify(testMeeting, author.Key())) {
			t.Errorf("%s: proof %+v", name, proof)
		}
	}
	r := must(NewReaderKeys(testMeeting, author.Key(), sframe.AES128GCM))
	must(r.AcceptWrap(epoch0, honestWrap))
	r.off.wrapConflict = true
	must(r.AcceptWrap(epoch0, otherKey))
	if !bytes.Equal(r.epochs[0].key, other) {
		t.Error("the twin should have taken the other key")
	}
}

// TestAnnounce: an announcement is its author's, in range, in this meeting.
//
// Checks: KEY-3.
func TestAnnounce(t *testing.T) {
	w := newWorld(t)
	w.rotate()
	must(w.keys.Ratchet(w.now, w.roster, []MeetingKey{member(2).Key()}, []MeetingKey{member(4).Key(), member(3).Key()}))
	a := must(w.keys.Announce())
	if !a.Omits(member(3).Key()) || !a.Omits(member(4).Key()) || a.Omits(member(2).Key()) {
		t.Error("omits others")
	}
	if unsorted := a; len(a.Omitted) != 2 {
		t.Fatal("not two omitted")
	} else if unsorted.Omitted = [][8]byte{a.Omitted[1], a.Omitted[0]}; !errors.Is(unsorted.Verify(testMeeting), ErrMalformed) {
		t.Error("takes them in any order")
	}
	if a.Recipients != RecipientsHash([]MeetingKey{member(2).Key()}) || a.Roster != w.roster {
		t.Error("announces other readers")
	}
	data := a.Encode()
	if back, err := ParseKeyAnnounce(data); err != nil || !reflect.DeepEqual(back, a) || back.Verify(testMeeting) != nil {
		t.Fatal("not the same announcement")
	}
	eachFlip(data, func(i int, changed []byte) {
		if a, err := ParseKeyAnnounce(changed); err == nil && a.Verify(testMeeting) == nil {
			t.Fatalf("byte %d changed and still valid", i)
		}
	})
	if err := a.Verify(MeetingID{}); !errors.Is(err, ErrSignature) {
		t.Errorf("another meeting: %v", err)
	}
	other := must(NewReaderKeys(testMeeting, member(3).Key(), sframe.AES128GCM))
	if err := other.AcceptAnnounce(a); !errors.Is(err, ErrSignature) {
		t.Errorf("another author: %v", err)
	}
	a.Generation = 0
	if err := a.Verify(testMeeting); !errors.Is(err, ErrMalformed) {
		t.Errorf("generation 0: %v", err)
	}
	r := w.reader()
	for i := range uint64(3 * maxStatements) { // what is remembered of a sender is bounded
		_, a := made(w.sender, Epoch{100 + i, 0}, make([]byte, 32), Hash{})
		if err := r.AcceptAnnounce(a); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.said) != maxStatements {
		t.Errorf("%d statements remembered", len(r.said))
	}
}

// TestRatchetAfterAuthentication: a forged packet moves no key; only a genuine one does,
// and then at once by many steps. In the twin a forgery pushes the reader ahead and, two
// seconds later, deaf.
//
// Checks: KEY-8.
func TestRatchetAfterAuthentication(t *testing.T) {
	for _, twin := range []bool{false, true} {
		w := newWorld(t)
		r := w.reader()
		r.off.ratchetFirst = twin
		w.rotate(r)
		if err := w.open(r, w.packet(16)); err != nil {
			t.Fatal(err)
		}
		forged := sframe.AppendHeader([]byte{0}, sframe.Header{KID: Epoch{1, 9}.kid(16), CTR: 1})
		forged = append(forged, make([]byte, 40)...)
		if err := w.open(r, forged); !errors.Is(err, ErrRefused) {
			t.Fatalf("forgery: %v", err)
		}
		if ahead := r.newest != (Epoch{1, 0}); ahead != twin {
			t.Errorf("twin %v: moved %v", twin, ahead)
		}
		w.now = w.now.Add(eraseAfter)
		r.Expire(w.now)
		if err := w.open(r, w.packet(16)); (err != nil) != twin {
			t.Errorf("twin %v: afterwards %v", twin, err)
		}
	}
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	for range MaxStep {
		w.ratchet()
	}
	if err := w.open(r, w.packet(16)); err != nil || r.newest != (Epoch{1, MaxStep}) {
		t.Errorf("fifteen steps at once: %v", err)
	}
}

// TestPastGenerations: what was sealed before a reader came can't be opened and doesn't wait, so that nobody fills the
// room for packets of the next key with it.
//
// Checks: KEY-8.
func TestPastGenerations(t *testing.T) {
	for _, twin := range []bool{false, true} {
		w := newWorld(t)
		r := w.reader()
		r.off.awaitPast = twin
		w.rotate()
		var old [][]byte
		for range waitPackets {
			old = append(old, w.packet(16))
		}
		w.rotate(r)
		for _, p := range old {
			_ = w.open(r, p)
		}
		w.rotate()
		next := w.packet(16)
		_ = w.open(r, next)
		w.give(r)
		if waited := len(r.Release(w.now)) == 1; waited == twin {
			t.Errorf("twin %v: the next key's packet waited: %v", twin, waited)
		}
	}
}

// TestManySteps: what names a later step of the key and isn't genuine costs a reader little, however much of it comes. In
// the twin each packet has it derive fifteen keys.
//
// Checks: KEY-11.
func TestManySteps(t *testing.T) {
	for _, twin := range []bool{false, true} {
		w := newWorld(t)
		r := w.reader()
		r.off.anyTries = twin
		w.rotate(r)
		if err := w.open(r, w.packet(16)); err != nil {
			t.Fatal(err)
		}
		forged := sframe.AppendHeader([]byte{0}, sframe.Header{KID: Epoch{1, MaxStep}.kid(16), CTR: 1})
		forged = append(forged, make([]byte, 40)...)
		for range triesBurst {
			_ = w.open(r, forged)
		}
		allocs := testing.AllocsPerRun(10, func() { _ = w.open(r, forged) })
		if dear := allocs > 10; dear != twin {
			t.Errorf("twin %v: %v allocations for a packet", twin, allocs)
		}
		if err := w.open(r, w.packet(16)); err != nil {
			t.Errorf("the step in use: %v", err)
		}
		w.ratchet()
		w.now = w.now.Add(triesRefill)
		if err := w.open(r, w.packet(16)); err != nil {
			t.Errorf("the next one, soon after: %v", err)
		}
	}
}

// TestNeverBack: packets of a step before are opened for two seconds, since they may
// have overtaken each other, and then no more; a wrap of an older epoch is refused.
//
// Checks: KEY-8.
func TestNeverBack(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	wrap0 := must(w.keys.Wrap())
	late := [][]byte{w.packet(16), w.packet(17), w.packet(16), w.packet(16)}
	w.ratchet()
	between := [][]byte{w.packet(16), w.packet(16), w.packet(16)}
	w.ratchet()
	if err := w.open(r, w.packet(16)); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(eraseAfter - 1)
	for _, p := range [][]byte{late[0], between[0], late[1]} {
		if err := w.open(r, p); err != nil {
			t.Errorf("within two seconds: %v", err)
		}
	}
	w.now = w.now.Add(1)
	for _, p := range [][]byte{late[2], between[1]} {
		if err := w.open(r, p); !errors.Is(err, ErrOldKey) {
			t.Errorf("after two seconds: %v", err)
		}
	}
	r.Expire(w.now)
	if len(r.epochs) != 1 {
		t.Errorf("%d epochs kept", len(r.epochs))
	}
	for _, p := range [][]byte{late[3], between[2]} {
		if err := w.open(r, p); !errors.Is(err, ErrOldKey) {
			t.Errorf("after erasing: %v", err)
		}
	}
	if e, err := r.AcceptWrap(w.now, wrap0); !errors.Is(err, ErrOldKey) || e != (Epoch{1, 0}) {
		t.Errorf("old wrap: %v %v", e, err)
	}
	if err := w.open(r, late[3]); !errors.Is(err, ErrOldKey) {
		t.Errorf("after the old wrap: %v", err)
	}
}

// TestOldGenerationErased: two seconds after the first packet of the next generation,
// the one before opens nothing, called upon or not. The twin keeps it.
//
// Checks: KEY-8.
func TestOldGenerationErased(t *testing.T) {
	for _, twin := range []bool{false, true} {
		w := newWorld(t)
		r := w.reader()
		r.off.keepOldKeys = twin
		w.rotate(r)
		first, second, third := w.packet(16), w.packet(16), w.packet(16)
		w.now = w.now.Add(time.Hour) // no packet of the next: no erasing
		if err := w.open(r, first); err != nil {
			t.Fatal(err)
		}
		w.rotate(r)
		if err := w.open(r, w.packet(16)); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(eraseAfter - 1)
		if err := w.open(r, second); err != nil {
			t.Errorf("within two seconds: %v", err)
		}
		w.now = w.now.Add(1)
		r.Expire(w.now)
		if err := w.open(r, third); (err == nil) != twin {
			t.Errorf("twin %v: after two seconds %v", twin, err)
		}
	}
}

// TestUnknownKey: packets before their key wait 500 ms, 256 of them, and come out in
// order. The twin without a limit holds what anybody sends it.
//
// Checks: KEY-8.
func TestUnknownKey(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate()
	for i := range 300 {
		p := w.packet(16)
		if err := w.open(r, p); !errors.Is(err, ErrUnknownKey) {
			t.Fatal(err)
		}
		p[len(p)-1] ^= 1 // it kept a copy
		if i == 9 {
			w.now = w.now.Add(waitTime / 2)
		}
	}
	if len(r.waiting) != waitPackets {
		t.Errorf("%d packets wait", len(r.waiting))
	}
	if out := r.Release(w.now); out != nil {
		t.Error("released without a key")
	}
	w.now = w.now.Add(waitTime / 2) // the first ten are over
	w.give(r)
	out := r.Release(w.now)
	if len(out) != waitPackets-10 || len(r.waiting) != 0 || r.kept != 0 {
		t.Fatalf("%d released, %d wait, %d bytes", len(out), len(r.waiting), r.kept)
	}
	for i, p := range out {
		h, m, err := r.OpenMedia(w.now, nil, p)
		if err != nil || h.Counter != uint64(i+10) || m.SequenceNumber != uint16(i+11) {
			t.Fatalf("packet %d: %v %v", i, h, err)
		}
	}
	for _, twin := range []bool{false, true} {
		flooded := w.reader()
		flooded.off.noBufferLimit = twin
		big := append(sframe.AppendHeader([]byte{0}, sframe.Header{KID: Epoch{9, 0}.kid(16)}), make([]byte, 60000)...)
		for range 2 * waitPackets {
			_ = w.open(flooded, big)
		}
		if held := flooded.kept > waitBytes; held != twin {
			t.Errorf("twin %v: holds %d bytes", twin, flooded.kept)
		}
		flooded.Expire(w.now.Add(waitTime))
		if flooded.kept != 0 || len(flooded.waiting) != 0 {
			t.Error("something stays after 500 ms")
		}
	}
}

// TestManyWraps: of keys wrapped and never used, few are held, and the one in use stays.
//
// Checks: KEY-8.
func TestManyWraps(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	if err := w.open(r, w.packet(16)); err != nil {
		t.Fatal(err)
	}
	for range 3 * maxReaderEpochs {
		must(w.keys.Rotate(w.now, w.roster, nil, nil))
		w.give(r)
	}
	if len(r.epochs) != maxReaderEpochs {
		t.Errorf("%d epochs held", len(r.epochs))
	}
	if err := w.open(r, w.packet(16)); err != nil {
		t.Errorf("the key in use: %v", err)
	}
	w.keys.Switch()
	if err := w.open(r, w.packet(16)); err != nil {
		t.Errorf("the newest key: %v", err)
	}
}

// TestReplay: each counter of each KID is opened once, up to 1,023 behind the newest,
// and a forged counter moves nothing. The twin opens a packet twice.
//
// Checks: KEY-9.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	var packets [][]byte
	for range 1030 {
		packets = append(packets, w.packet(16))
	}
	other := w.packet(17) // counter 0 of another stream is no replay of counter 0
	forged := append(sframe.AppendHeader([]byte{0}, sframe.Header{KID: Epoch{1, 0}.kid(16), CTR: 1 << 20}), make([]byte, 40)...)
	for i, c := range []struct {
		packet []byte
		want   error
	}{
		{packets[0], nil}, {packets[0], ErrReplay}, {other, nil}, {other, ErrReplay}, {forged, ErrRefused},
		{packets[1029], nil}, {packets[1029], ErrReplay}, {packets[1029-1023], nil}, {packets[1029-1023], ErrReplay},
		{packets[1029-1024], ErrReplay}, {packets[500], nil},
	} {
		if err := w.open(r, c.packet); !errors.Is(err, c.want) {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
	}
	r.off.readerReplay = true
	if err := w.open(r, packets[500]); err != nil {
		t.Errorf("the twin should have opened it again: %v", err)
	}
}
