package crypto

import (
	"bytes"
	"errors"
	"testing"
)

// TestFileID covers FIL-1: what names a file is its author's, and its message's. The twin is meet's TestFileAuthor.
func TestFileID(t *testing.T) {
	a := FileIDOf(member(1).Key(), MessageID{1})
	if a == FileIDOf(member(2).Key(), MessageID{1}) || a == FileIDOf(member(1).Key(), MessageID{2}) || len(a.String()) != 32 {
		t.Error("two files have one name")
	}
}

// TestFileChunks covers FIL-5: a chunk opens in its own place of its own transfer alone. Twin: without the context it
// opens in another transfer and as another end; even then not at another index, which is the nonce.
func TestFileChunks(t *testing.T) {
	key := NewFileKey()
	sender, receiver, other := member(1).Key(), member(2).Key(), member(3).Key()
	id := FileID{7}
	chunk := bytes.Repeat([]byte("chunk"), 1000)
	for _, twin := range []bool{false, true} {
		cipherOf := func(meeting MeetingID, from, to MeetingKey, id FileID) *FileCipher {
			c := must(key.Cipher(meeting, from, to, id))
			c.off.fileContext = twin
			return c
		}
		sealed := cipherOf(testMeeting, sender, receiver, id).Seal(nil, 5, false, chunk)
		if got, err := cipherOf(testMeeting, sender, receiver, id).Open(nil, 5, false, sealed); err != nil || !bytes.Equal(got, chunk) {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			c     *FileCipher
			index uint64
			last  bool
		}{
			"meeting":  {cipherOf(MeetingID{1}, sender, receiver, id), 5, false},
			"sender":   {cipherOf(testMeeting, other, receiver, id), 5, false},
			"receiver": {cipherOf(testMeeting, sender, other, id), 5, false},
			"file":     {cipherOf(testMeeting, sender, receiver, FileID{8}), 5, false},
			"last":     {cipherOf(testMeeting, sender, receiver, id), 5, true},
		} {
			if _, err := tt.c.Open(nil, tt.index, tt.last, sealed); (err == nil) != twin || err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("another %s, twin %v: %v", name, twin, err)
			}
		}
		c := cipherOf(testMeeting, sender, receiver, id)
		if _, err := c.Open(nil, 6, false, sealed); err == nil {
			t.Error("opened at another index")
		}
		eachFlip(sealed[:64], func(i int, changed []byte) {
			if _, err := c.Open(nil, 5, false, append(changed, sealed[64:]...)); err == nil {
				t.Fatalf("byte %d changed", i)
			}
		})
	}
	if _, err := must(NewFileKey().Cipher(testMeeting, sender, receiver, id)).Open(nil, 0, false, make([]byte, 16)); err == nil {
		t.Error("another key opens")
	}
	if _, err := (FileKey{}).Cipher(testMeeting, sender, receiver, id); !errors.Is(err, ErrMalformed) {
		t.Errorf("no key: %v", err)
	}
}

// TestPrivateIsNotSealed covers FIL-2: what is for one person is neither sealed for all nor opened where it was. Twin: it
// is shown as said to one person alone.
func TestPrivateIsNotSealed(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	signed := must(SignMessage(w.sender, StreamPrivateFile, MessageID{1}, epoch0, []byte("x")))
	if _, err := w.keys.Stream(StreamPrivateFile).SealMessage(signed); !errors.Is(err, ErrStream) {
		t.Errorf("sealed: %v", err)
	}
	s := w.keys.Stream(StreamPrivateFile)
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	packet := must(s.seal(nil, 0, signed))
	s.end()
	if _, err := ParseSealedMessage(encode(SealedMessage{Author: w.sender.Key(), Sealed: packet})); err == nil {
		t.Error("parsed")
	}
	for _, twin := range []bool{false, true} {
		r.off.sealedPrivate = twin
		if _, err := r.OpenMessage(w.now, packet); (err == nil) != twin {
			t.Errorf("twin %v: %v", twin, err)
		}
	}
}

func BenchmarkFileChunk(b *testing.B) {
	c := must(NewFileKey().Cipher(testMeeting, member(1).Key(), member(2).Key(), FileID{}))
	chunk, out := make([]byte, FileChunk), make([]byte, 0, FileChunk+16)
	b.SetBytes(FileChunk)
	b.ReportAllocs()
	var i uint64
	for b.Loop() {
		c.Seal(out, i, false, chunk)
		i++
	}
}
