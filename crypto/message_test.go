package crypto

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// TestMessage: signed, sealed, opened.
func TestMessage(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	id, at := NewMessageID(), epoch0.Add(123456789*time.Microsecond)
	for _, stream := range []uint8{StreamChat, StreamData, StreamReaction} {
		sig := must(SignMessage(w.sender, stream, id, at, []byte("bonjour")))
		data := must(w.keys.Stream(stream).SealMessage(sig))
		sealed, err := ParseSealedMessage(data)
		author, packet := sealed.Author, sealed.Sealed
		if err != nil || author != w.sender.Key() || sealed.Verify(testMeeting) != nil {
			t.Fatal(err)
		}
		eachFlip(data, func(i int, changed []byte) { // MSG-9
			if other, err := ParseSealedMessage(changed); err == nil && other.Verify(testMeeting) == nil {
				t.Fatalf("byte %d changed and still signed", i)
			}
		})
		if sealed.Verify(MeetingID{}) == nil {
			t.Error("signed for another meeting too")
		}
		m, err := r.OpenMessage(w.now, packet)
		if err != nil || m.Author != author || m.Stream != stream || m.ID != id || string(m.Body) != "bonjour" ||
			!m.Time.Equal(at.Truncate(time.Millisecond)) {
			t.Fatalf("%+v, %v", m, err)
		}
		if _, err := r.OpenMessage(w.now, packet); !errors.Is(err, ErrReplay) {
			t.Errorf("again: %v", err)
		}
		if _, err := VerifyMessage(testMeeting, author, stream, sig); err != nil {
			t.Errorf("pairwise: %v", err)
		}
		eachFlip(sig, func(i int, changed []byte) {
			if _, err := VerifyMessage(testMeeting, author, stream, changed); err == nil {
				t.Fatalf("byte %d changed and still signed", i)
			}
		})
	}
}

// TestMessageAuthor: whoever can open a message could seal another; only the author can
// sign it. The twin shows words its author never said.
//
// Checks: MSG-1.
func TestMessageAuthor(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	insider := &SenderKeys{inc: w.sender, suite: sframe.AES128GCM, current: w.keys.current} // has the key, as any reader
	forged := must(SignMessage(member(3), StreamChat, MessageID{1}, epoch0, []byte("I confess")))
	for _, twin := range []bool{false, true} {
		r.off.messageSigned = twin
		sealed, err := ParseSealedMessage(must(insider.Stream(StreamChat).SealMessage(forged)))
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.OpenMessage(w.now, sealed.Sealed)
		if shown := err == nil && string(m.Body) == "I confess"; shown != twin || !twin && !errors.Is(err, ErrSignature) {
			t.Errorf("twin %v: %v", twin, err)
		}
	}
	sig := must(SignMessage(w.sender, StreamChat, MessageID{1}, epoch0, []byte("x")))
	for name, err := range map[string]error{
		"author":  second(VerifyMessage(testMeeting, member(3).Key(), StreamChat, sig)),
		"stream":  second(VerifyMessage(testMeeting, w.sender.Key(), StreamData, sig)),
		"meeting": second(VerifyMessage(MeetingID{}, w.sender.Key(), StreamChat, sig)),
	} {
		if !errors.Is(err, ErrSignature) {
			t.Errorf("as of another %s: %v", name, err)
		}
	}
}

// TestPrivateIsNeverSealed: what is for one person can't be sealed under the key that all readers have, nor is it taken
// so. The twin opens it.
//
// Checks: MSG-4.
func TestPrivateIsNeverSealed(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	private := must(SignMessage(w.sender, StreamPrivate, MessageID{1}, epoch0, append(make([]byte, 32), "between us"...)))
	s := w.keys.Stream(StreamPrivate)
	if _, err := s.SealMessage(private); !errors.Is(err, ErrStream) {
		t.Errorf("sealed for all: %v", err)
	}
	for _, twin := range []bool{false, true} {
		r.off.sealedPrivate = twin
		if err := s.begin(); err != nil {
			t.Fatal(err)
		}
		packet := must(s.seal(nil, 0, private))
		s.end()
		if m, err := r.OpenMessage(w.now, packet); (err == nil) != twin || twin && m.Stream != StreamPrivate || !twin && !errors.Is(err, ErrStream) {
			t.Errorf("twin %v: %v", twin, err)
		}
		if _, err := ParseSealedMessage(encode(SealedMessage{Sealed: packet})); !errors.Is(err, ErrMalformed) {
			t.Errorf("on the topic: %v", err)
		}
	}
}

func second(_ Message, err error) error { return err }

// TestMessageSizes: the limits of bodies hold on both sides.
//
// Checks: MSG-2.
func TestMessageSizes(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	for stream, limit := range map[uint8]int{StreamChat: 4096, StreamData: 8192, StreamReaction: 32, StreamFile: 400} {
		sig := must(SignMessage(w.sender, stream, MessageID{}, epoch0, make([]byte, limit)))
		sealed, err := ParseSealedMessage(must(w.keys.Stream(stream).SealMessage(sig)))
		if err != nil {
			t.Fatal(err)
		}
		if m, err := r.OpenMessage(w.now, sealed.Sealed); err != nil || len(m.Body) != limit {
			t.Errorf("stream %d: %v", stream, err)
		}
		if _, err := SignMessage(w.sender, stream, MessageID{}, epoch0, make([]byte, limit+1)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("stream %d, a byte too many: %v", stream, err)
		}
	}
	long := must(SignMessage(w.sender, StreamData, MessageID{}, epoch0, make([]byte, MaxChatBody+1)))
	if _, err := VerifyMessage(testMeeting, w.sender.Key(), StreamChat, long); !errors.Is(err, ErrTooLarge) {
		t.Errorf("received too large: %v", err)
	}
	private := must(SignMessage(w.sender, StreamPrivate, MessageID{}, epoch0, make([]byte, MaxPrivateBody)))
	if m, err := VerifyMessage(testMeeting, w.sender.Key(), StreamPrivate, private); err != nil || len(m.Body) != 4128 {
		t.Errorf("private: %v", err)
	}
	if _, err := SignMessage(w.sender, StreamPrivate, MessageID{}, epoch0, make([]byte, MaxPrivateBody+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("private, a byte too many: %v", err)
	}
	for _, stream := range []uint8{6, 15, 16, 255} {
		if _, err := SignMessage(w.sender, stream, MessageID{}, epoch0, nil); !errors.Is(err, ErrStream) {
			t.Errorf("sign on stream %d: %v", stream, err)
		}
		if _, err := VerifyMessage(testMeeting, w.sender.Key(), stream, long); !errors.Is(err, ErrStream) {
			t.Errorf("verify on stream %d: %v", stream, err)
		}
		if _, err := w.keys.Stream(stream).SealMessage(long); !errors.Is(err, ErrStream) {
			t.Errorf("seal on stream %d: %v", stream, err)
		}
	}
	if _, err := r.OpenMessage(w.now, w.packet(16)); !errors.Is(err, ErrStream) {
		t.Errorf("media as a message: %v", err)
	}
	if _, err := ParseSealedMessage(encode(SealedMessage{Sealed: w.packet(16)})); !errors.Is(err, ErrMalformed) {
		t.Errorf("media on the topic: %v", err)
	}
	if _, err := w.keys.Stream(StreamData).SealMessage(make([]byte, maxInnerMessage+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("seal too large: %v", err)
	}
}

// TestWrapSize: a wrap, sealed in a pair session with two bytes of frame around it, is at
// most 150 bytes, up to generation 2^32.
func TestWrapSize(t *testing.T) {
	a, b := pairOf(t)
	connect(t, a, b)
	for generation, most := range map[uint64]int{1: 146, 1000: 148, 1<<32 - 1: 150, MaxGeneration: 154} {
		data, announce := made(a.inc, Epoch{generation, MaxStep}, bytes.Repeat([]byte{1}, 32), Hash{})
		sealed := must(a.Seal(epoch0, append([]byte{0, 0}, data...)))
		if len(sealed) > most {
			t.Errorf("generation %d: %d bytes", generation, len(sealed))
		}
		if n := len(announce.Encode()); n > 256 {
			t.Errorf("announcement of %d bytes", n)
		}
	}
}
