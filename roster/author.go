package roster

import (
	"cmp"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// Author signs a new operation with the set's heads as its past and adds it. The set's owner sends the bytes on.
// It refuses what would be void, with a VoidError, so that a mistake is told at once and to the one who made it.
func (s *Set) Author(author *crypto.Incarnation, now time.Time, body Body) ([]byte, crypto.Hash, error) {
	o := Operation{Author: author.Bundle().Hash(), Time: uint64(now.UnixMilli()), Body: body}
	tip := s.tips[o.Author]
	if tip != nil {
		o.Seq, o.Previous = tip.op.Seq+1, &tip.hash
	}
	o.Heads = s.headsToName(tip)
	raw, err := o.sign(s.meeting, author)
	if err != nil {
		return nil, crypto.Hash{}, err
	}
	trial := s.clone()
	if _, err := trial.Add(raw); err != nil {
		return nil, crypto.Hash{}, err
	}
	hash := HashOperation(raw)
	if v := trial.Roster().Void(hash); v != NotVoid {
		return nil, crypto.Hash{}, &VoidError{Reason: v}
	}
	if _, err := s.Add(raw); err != nil {
		return nil, crypto.Hash{}, err
	}
	return raw, hash, nil
}

// HeadsToName returns the at most MaxHeads hashes that say most about what is known here, sorted: for heartbeats, and
// as Author names them (ROS-1).
func (s *Set) HeadsToName() []crypto.Hash { return s.headsToName(nil) }

// headsToName picks from what is effective and has nothing effective after it, by rank, then from the heads. So
// somebody who authors a thousand heads hides nothing: what a host did is named first.
func (s *Set) headsToName(tip *node) []crypto.Hash {
	var heads []*node
	for h := range s.heads {
		heads = append(heads, s.byHash[h])
	}
	slices.SortFunc(heads, compareNodes)
	if len(heads) > MaxHeads && !s.off.headOrder {
		f := s.Roster().fold
		weight := tips(f.order, nil, func(i int) bool { return f.void[f.order[i].index] == NotVoid })
		effective := slices.SortedFunc(weight, func(a, b *node) int {
			return cmp.Or(cmp.Compare(f.acts[a.index], f.acts[b.index]), compareNodes(a, b))
		})
		heads = append(effective, heads...)
	}
	var hashes []crypto.Hash
	for _, n := range heads {
		if len(hashes) < MaxHeads && n != tip && !slices.Contains(hashes, n.hash) {
			hashes = append(hashes, n.hash)
		}
	}
	slices.SortFunc(hashes, crypto.Hash.Compare)
	return hashes
}

// VoidError says that an operation would do nothing, and why. Nothing was sent.
type VoidError struct{ Reason Void }

// Error returns the reason.
func (e *VoidError) Error() string { return "roster: this would have no effect: " + string(e.Reason) }
