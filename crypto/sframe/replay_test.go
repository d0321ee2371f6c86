package sframe

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestReplayWindow(t *testing.T) {
	type step struct {
		ctr   uint64
		fresh bool
	}
	for name, steps := range map[string][]step{
		"in order":             {{0, true}, {1, true}, {2, true}},
		"first is high":        {{5000, true}, {5001, true}},
		"twice":                {{0, true}, {0, false}, {7, true}, {7, false}, {0, false}},
		"out of order":         {{10, true}, {5, true}, {9, true}, {5, false}, {10, false}, {9, false}},
		"oldest in the window": {{1023, true}, {0, true}, {0, false}},
		"just too old":         {{1024, true}, {0, false}, {1, true}},
		"jump by the window":   {{0, true}, {1024, true}, {1, true}, {0, false}},
		"jump far":             {{3, true}, {1 << 40, true}, {3, false}, {1<<40 - 1023, true}, {1<<40 - 1024, false}},
		"bits are reused":      {{0, true}, {1023, true}, {1500, true}, {1024, true}, {1499, true}, {1023, false}, {477, true}, {476, false}},
		"last counter":         {{math.MaxUint64, true}, {math.MaxUint64, false}, {math.MaxUint64 - 1, true}, {0, false}},
	} {
		var w ReplayWindow
		for i, s := range steps {
			if got := w.Check(s.ctr); got != s.fresh {
				t.Errorf("%s, step %d: Check(%d) = %v", name, i, s.ctr, got)
			}
			w.Commit(s.ctr)
		}
	}
}

// TestReplayWindowModel holds the window to a set that forgets nothing.
func TestReplayWindowModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, reach := range []int64{3, 70, 1100, 5000} {
		var w ReplayWindow
		seen := map[uint64]bool{}
		var highest uint64
		for range 20_000 {
			ctr := uint64(max(0, int64(highest)+random.Int64N(2*reach+1)-reach))
			fresh := !seen[ctr] && (len(seen) == 0 || ctr > highest || highest-ctr < ReplaySize)
			if got := w.Check(ctr); got != fresh {
				t.Fatalf("reach %d: Check(%d) = %v with highest %d", reach, ctr, got, highest)
			}
			if random.IntN(4) > 0 {
				w.Commit(ctr) // also where not fresh: it must do nothing
				if fresh {
					seen[ctr] = true
				}
				highest = max(highest, ctr)
			}
		}
	}
}

// TestReplayAfterAuthentication is the attack that the two-step window is for: a
// forged packet with a high counter must not shut out the real ones.
func TestReplayAfterAuthentication(t *testing.T) {
	sealer, err := NewSealer(AES128GCM, 1, pattern(1, 16))
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey(AES128GCM, 1, pattern(1, 16))
	if err != nil {
		t.Fatal(err)
	}
	forged := append(AppendHeader(nil, Header{1, 1 << 50}), make([]byte, TagSize)...)
	genuine, _, err := sealer.Seal(nil, nil, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	// receive opens as the package doc says; eager commits before opening.
	receive := func(w *ReplayWindow, packet []byte, eager bool) bool {
		h, _, err := ParseHeader(packet)
		if err != nil || !w.Check(h.CTR) {
			return false
		}
		if eager {
			w.Commit(h.CTR)
		}
		if _, _, err := key.Open(nil, nil, packet); err != nil {
			return false
		}
		w.Commit(h.CTR)
		return true
	}
	for _, eager := range []bool{false, true} {
		var w ReplayWindow
		if receive(&w, forged, eager) {
			t.Fatal("forged packet accepted")
		}
		if got := receive(&w, genuine, eager); got == eager {
			t.Errorf("committing before opening = %v: real packet accepted = %v", eager, got)
		}
		if receive(&w, genuine, eager) {
			t.Error("replay accepted")
		}
	}
	// Twin: with no window at all, the same packet opens as often as it comes.
	for range 2 {
		if _, _, err := key.Open(nil, nil, genuine); err != nil {
			t.Error("the key alone refuses a replay:", err)
		}
	}
}
