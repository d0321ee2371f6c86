package sframe

// ReplaySize is how many counters a ReplayWindow reaches back from the highest
// (meet/SPEC.md KEY-9).
const ReplaySize = 1024

const wordBits = 64

// ReplayWindow remembers which counters of one KID were received (RFC 9605 §9.3).
// Its zero value is ready, it holds no pointer, and it is for one goroutine.
//
// A counter may come out of order, by less than ReplaySize behind the highest;
// whatever is older counts as a replay. Check before opening saves the work;
// Commit only after Key.Open has succeeded, or a forged header moves the window
// and shuts out the real packets.
type ReplayWindow struct {
	started bool
	highest uint64
	seen    [ReplaySize / wordBits]uint64 // bit ctr % ReplaySize
}

// Check reports whether ctr is new: neither committed before nor too old to know.
func (w *ReplayWindow) Check(ctr uint64) bool {
	if !w.started || ctr > w.highest {
		return true
	}
	return w.highest-ctr < ReplaySize && w.seen[word(ctr)]&bit(ctr) == 0
}

// Commit marks ctr as received. For a counter that Check would refuse it does
// nothing.
func (w *ReplayWindow) Commit(ctr uint64) {
	if !w.Check(ctr) {
		return
	}
	if !w.started {
		w.started, w.highest = true, ctr
	} else if ctr > w.highest {
		w.advance(ctr)
	}
	w.seen[word(ctr)] |= bit(ctr)
}

// advance forgets the counters that now stand for those above the highest.
func (w *ReplayWindow) advance(ctr uint64) {
	if ctr-w.highest >= ReplaySize {
		clear(w.seen[:])
	} else {
		for c := w.highest + 1; c < ctr; c++ {
			w.seen[word(c)] &^= bit(c)
		}
		w.seen[word(ctr)] &^= bit(ctr)
	}
	w.highest = ctr
}

func word(ctr uint64) uint64 { return ctr % ReplaySize / wordBits }

func bit(ctr uint64) uint64 { return 1 << (ctr % wordBits) }
