package crypto

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// TestMedia: what goes in comes out, whatever the fields.
func TestMedia(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	s := w.keys.Stream(42)
	for i, in := range []MediaPacket{
		{},
		{SequenceNumber: 1, Payload: []byte("x")},
		{SequenceNumber: 65535, Timestamp: 1<<32 - 1, Marker: true, HasLevel: true, AudioLevel: 0xff, Payload: make([]byte, 1400)},
		{SequenceNumber: 7, HasLevel: true, Flags: MediaFlags{StartOfFrame: true, KeyFrame: true, Discardable: true, TemporalLayer: 7}},
		{SequenceNumber: 8, Flags: MediaFlags{StartOfFrame: true}},
		{SequenceNumber: 9, Flags: MediaFlags{KeyFrame: true}},
		{SequenceNumber: 10, Flags: MediaFlags{Discardable: true, TemporalLayer: 3}},
	} {
		prefix := []byte("prefix")
		sealed := must(s.SealMedia(slices.Clone(prefix), &in))
		if !bytes.HasPrefix(sealed, prefix) || len(sealed) > len(prefix)+len(in.Payload)+MaxMediaOverhead {
			t.Errorf("%d: sealed to %d bytes", i, len(sealed))
		}
		sealed = sealed[len(prefix):]
		h := must(InspectMedia(sealed))
		if h != (MediaHeader{Flags: in.Flags, Epoch: Epoch{1, 0}, Stream: 42, Counter: uint64(i)}) {
			t.Errorf("%d: inspected as %+v", i, h)
		}
		opened, out, err := r.OpenMedia(w.now, prefix, sealed)
		if err != nil || opened != h || !bytes.Equal(out.Payload, in.Payload) {
			t.Fatalf("%d: %v", i, err)
		}
		out.Payload, in.Payload = nil, nil
		if out.Flags != in.Flags || out.SequenceNumber != in.SequenceNumber || out.Timestamp != in.Timestamp ||
			out.Marker != in.Marker || out.HasLevel != in.HasLevel || in.HasLevel && out.AudioLevel != in.AudioLevel {
			t.Errorf("%d: %+v became %+v", i, in, out)
		}
	}
	if _, err := w.keys.Stream(15).SealMedia(nil, &MediaPacket{}); !errors.Is(err, ErrStream) {
		t.Errorf("media on a message stream: %v", err)
	}
	if _, err := s.SealMedia(nil, &MediaPacket{Flags: MediaFlags{TemporalLayer: 8}}); !errors.Is(err, ErrStream) {
		t.Errorf("temporal layer 8: %v", err)
	}
	if _, err := s.SealMedia(nil, &MediaPacket{SequenceNumber: 99, Payload: make([]byte, sframe.MaxPlaintext)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := s.SealMedia(nil, &MediaPacket{SequenceNumber: 99}); err != nil {
		t.Errorf("a packet that failed counts as sealed: %v", err)
	}
}

// TestNothingOutsideTheSeal: two source packets that differ in everything but the flags
// and the length look the same without the key, ciphertext apart.
//
// Checks: MED-1.
func TestNothingOutsideTheSeal(t *testing.T) {
	sealOne := func(p MediaPacket) []byte {
		w := newWorld(t) // the same keys each time, so the same counter
		w.rotate()
		return must(w.keys.Stream(20).SealMedia(nil, &p))
	}
	flags := MediaFlags{StartOfFrame: true}
	a := sealOne(MediaPacket{Flags: flags, SequenceNumber: 1, Timestamp: 2, HasLevel: true, AudioLevel: 3, Payload: []byte("aaaa")})
	b := sealOne(MediaPacket{Flags: flags, SequenceNumber: 65535, Timestamp: 1 << 31, Marker: true, HasLevel: true, AudioLevel: 127, Payload: []byte("bbbb")})
	_, n, err := inspect(a)
	if err != nil || len(a) != len(b) || !bytes.Equal(a[:n], b[:n]) {
		t.Fatalf("they differ in clear: %x %x", a[:n], b[:n])
	}
}

// TestMalformedMedia: reserved bits and packets shorter than their parts are dropped
// before decryption, every prefix of a packet is refused, and so is every change.
//
// Checks: MED-2, KEY-2.
func TestMalformedMedia(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	packet := w.packet(20)
	header := sframe.AppendHeader(nil, sframe.Header{KID: Epoch{1, 0}.kid(20), CTR: 9})
	message := sframe.AppendHeader(nil, sframe.Header{KID: Epoch{1, 0}.kid(0), CTR: 9})
	of := func(clear byte, header []byte, n int) []byte {
		return append(append([]byte{clear}, header...), make([]byte, n)...)
	}
	for name, c := range map[string]struct {
		packet []byte
		ok     bool
	}{
		"nothing":                      {nil, false},
		"clear byte alone":             {[]byte{0}, false},
		"reserved bit 4":               {of(0x10, header, 40), false},
		"reserved bit 3":               {of(0x08, header, 40), false},
		"all other bits":               {of(0xe7, header, 40), true},
		"no room for the inner header": {of(0, header, 22), false},
		"room for nothing else":        {of(0, header, 23), true},
		"message":                      {of(0, message, 17), true},
		"empty message":                {of(0, message, 16), false},
		"message with flags":           {of(0x80, message, 40), false},
		"generation 0":                 {of(0, sframe.AppendHeader(nil, sframe.Header{KID: 20 << 4}), 40), false},
		"padded KID":                   {of(0, []byte{0xa0, 0, 0x11, 0x40}, 40), false},
	} {
		if _, err := InspectMedia(c.packet); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	eachCut(packet, func(cut []byte) {
		if err := w.open(r, cut); err == nil {
			t.Fatalf("cut to %d and still opened", len(cut))
		}
	})
	eachFlip(packet, func(i int, changed []byte) {
		if err := w.open(r, changed); err == nil {
			t.Fatalf("byte %d changed and still opened", i)
		}
	})
	for bit := range 8 { // the clear byte is authenticated
		changed := bytes.Clone(packet)
		changed[0] ^= 1 << bit
		if err := w.open(r, changed); err == nil {
			t.Errorf("bit %d of the clear byte changed", bit)
		}
	}
	if err := w.open(r, packet); err != nil {
		t.Errorf("the genuine packet: %v", err)
	}
	if _, _, err := r.OpenMedia(w.now, nil, of(0, message, 40)); !errors.Is(err, ErrStream) {
		t.Errorf("message as media: %v", err)
	}
	for name, inner := range map[string][]byte{
		"short": make([]byte, 6), "reserved flag": {1, 0, 0, 0, 0, 0, 0}, "level missing": {innerLevel, 0, 0, 0, 0, 0, 0},
	} {
		if _, err := parseInner(inner); !errors.Is(err, ErrMalformed) {
			t.Errorf("inner header, %s: %v", name, err)
		}
	}
}

// TestBorrowedKey: a reader who wraps another's key as its own, and sends that one's
// packets on as its own, is not believed: author, meeting and stream are in the AAD.
// The twin hears one person under another's name.
//
// Checks: KEY-2.
func TestBorrowedKey(t *testing.T) {
	for _, twin := range []bool{false, true} {
		w := newWorld(t)
		w.rotate()
		w.keys.Stream(20).off.streamContext = twin
		thief := member(3)
		stolen, _ := made(thief, Epoch{1, 0}, w.keys.current.key, Hash{})
		r := must(NewReaderKeys(testMeeting, thief.Key(), sframe.AES128GCM))
		r.off.streamContext = twin
		must(r.AcceptWrap(w.now, stolen))
		err := w.open(r, w.packet(20))
		if believed := err == nil; believed != twin {
			t.Errorf("twin %v: believed %v", twin, believed)
		}
	}
	seen := map[[17]byte]bool{}
	for _, c := range [][17]byte{
		streamContext(testMeeting, member(1).Key(), 16), streamContext(testMeeting, member(1).Key(), 17),
		streamContext(testMeeting, member(2).Key(), 16), streamContext(MeetingID{}, member(1).Key(), 16),
	} {
		if seen[c] {
			t.Error("two streams, one context")
		}
		seen[c] = true
	}
}

// TestSourceReplay: a source packet is sealed once, as long as it is among the last
// 1,024; a source that starts again elsewhere isn't held up. The twin seals twice.
//
// Checks: MED-3.
func TestSourceReplay(t *testing.T) {
	w := newWorld(t)
	w.rotate()
	s := w.keys.Stream(20)
	send := func(seq uint16) error {
		_, err := s.SealMedia(nil, &MediaPacket{SequenceNumber: seq})
		return err
	}
	first := uint16(65000) // runs over 65535
	for i := range uint16(1024) {
		if err := send(first + i); err != nil {
			t.Fatal(err)
		}
	}
	for _, seq := range []uint16{first, first + 1, first + 1023, 0, 65535} {
		if err := send(seq); !errors.Is(err, ErrDuplicate) {
			t.Errorf("%d again: %v", seq, err)
		}
	}
	w.rotate()
	if err := send(first); !errors.Is(err, ErrDuplicate) {
		t.Errorf("after a rotation: %v", err)
	}
	if err := send(20000); err != nil { // another source; now first is the 1,025th
		t.Errorf("jump: %v", err)
	}
	if err := send(first + 1); !errors.Is(err, ErrDuplicate) {
		t.Errorf("the 1,024th before: %v", err)
	}
	if err := send(first); err != nil {
		t.Errorf("the 1,025th before: %v", err)
	}
	if err := w.keys.Stream(21).sealOnce(first); err != nil {
		t.Errorf("another stream: %v", err)
	}
	s.off.sourceReplay = true
	if err := send(20000); err != nil {
		t.Errorf("the twin should have sealed it again: %v", err)
	}
}

func (s *SenderStream) sealOnce(seq uint16) error {
	_, err := s.SealMedia(nil, &MediaPacket{SequenceNumber: seq})
	return err
}

// TestMediaAllocates nothing per packet, both ways, once the streams are known.
func TestMediaAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool allocate")
	}
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	s := w.keys.Stream(20)
	p := &MediaPacket{Payload: make([]byte, 1200)}
	sealed, opened := make([]byte, 0, 1500), make([]byte, 0, 1500)
	if n := testing.AllocsPerRun(2000, func() {
		p.SequenceNumber++
		var err error
		if sealed, err = s.SealMedia(sealed[:0], p); err != nil {
			t.Fatal(err)
		}
		if _, err := InspectMedia(sealed); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.OpenMedia(w.now, opened, sealed); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
