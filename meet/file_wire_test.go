package meet

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
)

// TestFileAnnounce covers FIL-1: what an announcement may be. The twin is TestFileAnnounceForged's.
func TestFileAnnounce(t *testing.T) {
	hash, id := crypto.Hash{1}, crypto.MessageID{2}
	for name, tt := range map[string]struct {
		a  fileAnnounce
		ok bool
	}{
		"offer":                 {fileAnnounce{Name: "x", Size: 1, Hash: &hash}, true},
		"empty file":            {fileAnnounce{Name: "x", Hash: &hash}, true},
		"longest":               {fileAnnounce{Name: strings.Repeat("x", 255), Size: 1 << 40, Hash: &hash}, true},
		"withdrawal":            {fileAnnounce{Withdrawn: &id}, true},
		"nothing":               {fileAnnounce{}, false},
		"no name":               {fileAnnounce{Size: 1, Hash: &hash}, false},
		"no hash":               {fileAnnounce{Name: "x", Size: 1}, false},
		"long name":             {fileAnnounce{Name: strings.Repeat("x", 256), Hash: &hash}, false},
		"largest":               {fileAnnounce{Name: "x", Size: 1<<62 - 1, Hash: &hash}, true},
		"too large":             {fileAnnounce{Name: "x", Size: 1 << 62, Hash: &hash}, false},
		"endless":               {fileAnnounce{Name: "x", Size: 1 << 63, Hash: &hash}, false},
		"offer and withdrawal":  {fileAnnounce{Name: "x", Hash: &hash, Withdrawn: &id}, false},
		"withdrawal and a size": {fileAnnounce{Size: 1, Withdrawn: &id}, false},
	} {
		raw := encode(tt.a)
		if _, err := decodeAnnounce(raw); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if tt.ok && len(raw)+32 > crypto.MaxFileBody {
			t.Errorf("%s: %d bytes", name, len(raw))
		}
	}
}

func FuzzFileAnnounce(f *testing.F) {
	hash, id := crypto.Hash{1}, crypto.MessageID{2}
	wireSeeds(f, fileAnnounce{Name: "x", Size: 1, Hash: &hash}, fileAnnounce{Withdrawn: &id})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := decodeAnnounce(data)
		same(t, data, a, err)
	})
}

func FuzzFileDown(f *testing.F) {
	wireSeeds(f, fileDown{Chunk: []byte{1}}, fileDown{Refused: refusedBusy})
	f.Fuzz(func(t *testing.T, data []byte) {
		var d fileDown
		err := decodeOne(data, maxFileFrame, &d)
		same(t, data, d, err)
	})
}

func FuzzFileUp(f *testing.F) {
	wireSeeds(f, fileUp{Taken: 1}, fileUp{Ended: endedComplete})
	f.Fuzz(func(t *testing.T, data []byte) {
		var u fileUp
		err := decodeOne(data, maxFileReply, &u)
		same(t, data, u, err)
	})
}

func FuzzFileAsk(f *testing.F) {
	wireSeeds(f, fileAsk{File: crypto.FileID{1}, From: 2, Key: crypto.NewFileKey(), Number: 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var a fileAsk
		if err := codec.Unmarshal(data, 128, &a); err == nil && !bytes.Equal(encode(a), data) {
			t.Fatalf("two encodings of one message: %x", data)
		}
	})
}

// TestPace covers FIL-9: the window opens while there is no queue, shuts when there is one, pauses when the path is full
// without us, and opens again.
func TestPace(t *testing.T) {
	p, now := newPace(), time.Unix(1_000_000, 0)
	ack := func(took time.Duration, times int) {
		for range times {
			now = now.Add(took)
			p.acked(now, took, 1)
		}
	}
	ack(20*time.Millisecond, 100)
	if p.window < 90 || !p.allows(80) {
		t.Errorf("without a queue: %v", p.window)
	}
	ack(20*time.Millisecond, 2000)
	if p.window != paceMax || p.allows(paceMax) {
		t.Errorf("at the limit: %v", p.window)
	}
	ack(20*time.Millisecond+paceTarget/2, 50) // half the target: it may grow, slowly
	if p.window < paceMax/2 {
		t.Errorf("with half the queue: %v", p.window)
	}
	ack(time.Second, 20)
	if p.window >= 1 || p.pause() == 0 || p.allows(1) || !p.allows(0) {
		t.Errorf("with a full queue: %v", p.window)
	}
	ack(20*time.Millisecond, 200)
	if p.window < 4 || p.pause() != 0 {
		t.Errorf("after it: %v", p.window)
	}
	ack(100*time.Millisecond, 8000) // another path: minutes later that is its idle time
	if p.window < 4 {
		t.Errorf("on another path: %v", p.window)
	}
}

// TestTaken: a receiver can't say that it has what wasn't sent, nor take anything back (FIL-9).
func TestTaken(t *testing.T) {
	files := newFiles()
	s := &sending{m: &Meeting{files: files}, pace: newPace(), sent: 5, taken: 2, wake: make(chan struct{}, 1)}
	for _, tt := range []struct {
		taken uint64
		ok    bool
	}{{6, false}, {2, false}, {0, false}, {4, true}, {4, false}, {3, false}, {5, true}, {1 << 63, false}} {
		if got := s.acknowledged(tt.taken, time.Now()); got != tt.ok {
			t.Errorf("%d: %v", tt.taken, got)
		}
	}
}
