package roster

import (
	"slices"

	"github.com/huisclos/huisclos/crypto"
)

// waitingStore holds operations whose past isn't known yet (ROS-2).
type waitingStore struct {
	ops    map[crypto.Hash]*waiter
	wanted map[crypto.Hash][]*waiter  // who names an operation that isn't in the set
	share  map[crypto.IdentityKey]int // how many wait for each identity; zero is whoever isn't known
}

type waiter struct {
	op      *Operation
	raw     []byte
	hash    crypto.Hash
	missing int                // parents that aren't in the set
	person  crypto.IdentityKey // the author's, if the signature could be verified, else zero
	account crypto.IdentityKey
	byHost  bool
}

func newWaitingStore() waitingStore {
	return waitingStore{
		ops: map[crypto.Hash]*waiter{}, wanted: map[crypto.Hash][]*waiter{}, share: map[crypto.IdentityKey]int{},
	}
}

// Missing returns the hashes that waiting operations name and that nobody has sent yet, sorted.
func (s *Set) Missing() []crypto.Hash {
	missing := make([]crypto.Hash, 0, len(s.waiting.wanted))
	for h := range s.waiting.wanted {
		if s.waiting.ops[h] == nil {
			missing = append(missing, h)
		}
	}
	slices.SortFunc(missing, crypto.Hash.Compare)
	return missing
}

// wait keeps an operation until its past is known. Where its author is known the signature is verified at once. When
// the store is full, room is taken from whoever has most in it, so that nobody crowds others out.
func (s *Set) wait(op *Operation, raw []byte, hash crypto.Hash) (Outcome, error) {
	w := &waiter{op: op, raw: raw, hash: hash}
	if err := s.identify(w); err != nil {
		return 0, err
	}
	if len(s.waiting.ops) >= MaxWaiting && !s.makeRoom(w.person) {
		return 0, refuse("too many operations of this author wait for their past")
	}
	for _, h := range op.parents() {
		if s.byHash[h] == nil {
			w.missing++
			s.waiting.wanted[h] = append(s.waiting.wanted[h], w)
		}
	}
	s.waiting.ops[hash] = w
	s.waiting.share[w.person]++
	return Waiting, nil
}

// identify finds out who authored an operation, if that is somebody known here, and verifies that it is so.
func (s *Set) identify(w *waiter) error {
	in, bundle := s.intros[w.op.Author], (*crypto.Bundle)(nil)
	if r := w.op.Body.Resume; r != nil {
		in, bundle = s.people[r.Bundle.Identity], &r.Bundle
		if bundle.Hash() != w.op.Author {
			return refuse("a Resume must be its own bundle's")
		}
	}
	if len(in) == 0 {
		return nil
	}
	if bundle == nil {
		bundle = in[0].brings
	} else if !s.trusting {
		if err := bundle.Verify(s.meeting); err != nil {
			return err
		}
	}
	if !s.trusting {
		if err := w.op.verify(s.meeting, bundle); err != nil {
			return err
		}
	}
	w.person, w.account = bundle.Identity, in[0].newcomer
	w.byHost = w.person == s.genesis.Creator || len(s.hosts[w.person]) > 0
	return nil
}

// makeRoom drops an operation of whoever has most waiting, unless that is the newcomer itself.
func (s *Set) makeRoom(newcomer crypto.IdentityKey) bool {
	most := newcomer
	for id, n := range s.waiting.share {
		if n > s.waiting.share[most] || n == s.waiting.share[most] && most != newcomer && id.Compare(most) < 0 {
			most = id
		}
	}
	if most == newcomer || s.off.sharing {
		return false
	}
	var victim *waiter
	for _, w := range s.waiting.ops {
		if w.person == most && (victim == nil || w.hash.Compare(victim.hash) > 0) {
			victim = w
		}
	}
	s.unwait(victim)
	return true
}

// unwait takes an operation out of the store.
func (s *Set) unwait(w *waiter) {
	delete(s.waiting.ops, w.hash)
	if s.waiting.share[w.person]--; s.waiting.share[w.person] == 0 {
		delete(s.waiting.share, w.person)
	}
	for _, h := range w.op.parents() {
		rest := slices.DeleteFunc(s.waiting.wanted[h], func(x *waiter) bool { return x == w })
		if s.waiting.wanted[h] = rest; len(rest) == 0 {
			delete(s.waiting.wanted, h)
		}
	}
}

// release inserts what waited for an operation, now in the set, and waits for no other.
func (s *Set) release(h crypto.Hash) {
	for ready := []crypto.Hash{h}; len(ready) > 0; ready = ready[1:] {
		for _, w := range slices.Clone(s.waiting.wanted[ready[0]]) {
			if w.missing--; w.missing > 0 {
				continue
			}
			s.unwait(w)
			switch err := s.insert(w.op, w.raw, w.hash); err {
			case nil:
				ready = append(ready, w.hash)
			case errFull: // what waits for it may yet make room
			default:
				s.abandon(w.hash)
			}
		}
		delete(s.waiting.wanted, ready[0])
	}
}

// abandon drops what waits for an operation that was refused for good, or it would be asked for again and again.
func (s *Set) abandon(h crypto.Hash) {
	for lost := []crypto.Hash{h}; len(lost) > 0; lost = lost[1:] {
		for _, w := range slices.Clone(s.waiting.wanted[lost[0]]) {
			s.unwait(w)
			lost = append(lost, w.hash)
		}
	}
}

// sponsor finds whose operation waits for n, directly or through others: one whose signature was verified, on another
// account with room (ROS-4).
func (s *Set) sponsor(n *node) (crypto.IdentityKey, bool) {
	seen := map[crypto.Hash]bool{n.hash: true}
	for next := []crypto.Hash{n.hash}; len(next) > 0; next = next[1:] {
		for _, w := range s.waiting.wanted[next[0]] {
			limit := MaxPlainOperations
			if w.byHost {
				limit = MaxHostOperations
			}
			if !w.person.IsZero() && w.account != n.account && (w.account == s.genesis.Creator || s.spent[w.account] < limit) {
				return w.account, true
			}
			if !seen[w.hash] {
				seen[w.hash] = true
				next = append(next, w.hash)
			}
		}
	}
	return crypto.IdentityKey{}, false
}
