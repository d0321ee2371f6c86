package roster

import (
	"slices"

	"github.com/huisclos/huisclos/crypto"
)

// Reconciliation (SPEC §6.5): two members compare digests, then exchange short hashes, then send what the other lacks.

// MaxHave is how many short hashes one Have carries (SYN-1).
const MaxHave = 4096

// Sync is the digest of a set: equal for equal sets.
type Sync struct {
	Count  uint64      `cbor:"1,keyasint"`
	Digest crypto.Hash `cbor:"2,keyasint"` // exclusive-or of all operations' hashes
}

// ShortHash is the first half of an operation's hash.
type ShortHash [16]byte

// Have lists operations that the sender has. Page p of several holds those whose place in the sorted list is from
// p × MaxHave on; First and Last are the bounds it is complete between, inclusive.
type Have struct {
	First  ShortHash   `cbor:"1,keyasint"`
	Last   ShortHash   `cbor:"2,keyasint"`
	Hashes []ShortHash `cbor:"3,keyasint,omitempty"`
}

// Digest returns what is compared first.
func (s *Set) Digest() Sync { return Sync{Count: uint64(len(s.nodes)), Digest: s.digest} }

// Have returns the short hashes of all operations, in pages that together cover every possible hash.
func (s *Set) Have() []Have {
	all := make([]ShortHash, 0, len(s.nodes))
	for _, n := range s.nodes {
		all = append(all, shorten(n.hash))
	}
	slices.SortFunc(all, compareShort)
	var pages []Have
	var first ShortHash
	for page := range slices.Chunk(all, MaxHave) {
		last := page[len(page)-1]
		pages = append(pages, Have{First: first, Last: last, Hashes: page})
		first = next(last)
	}
	if len(pages) == 0 {
		pages = []Have{{}}
	}
	pages[len(pages)-1].Last = lastShort
	return pages
}

// Compare says what the sender of a page lacks (the bytes, parents first) and which of its operations are missing here.
// A page of more than MaxHave says nothing (SYN-1).
func (s *Set) Compare(h Have) (lacks [][]byte, wants []ShortHash) {
	if len(h.Hashes) > MaxHave {
		return nil, nil
	}
	theirs := make(map[ShortHash]bool, len(h.Hashes))
	for _, x := range h.Hashes {
		theirs[x] = true
	}
	for _, n := range s.nodes {
		x := shorten(n.hash)
		if theirs[x] {
			delete(theirs, x)
		} else if compareShort(x, h.First) >= 0 && compareShort(x, h.Last) <= 0 {
			lacks = append(lacks, n.raw)
		}
	}
	for x := range theirs {
		wants = append(wants, x)
	}
	slices.SortFunc(wants, compareShort)
	return lacks, wants
}

// Pick returns the operations that a peer asked for by short hash, parents first; of more than MaxHave the first.
func (s *Set) Pick(wants []ShortHash) [][]byte {
	wants = wants[:min(len(wants), MaxHave)]
	wanted := make(map[ShortHash]bool, len(wants))
	for _, x := range wants {
		wanted[x] = true
	}
	var ops [][]byte
	for _, n := range s.nodes {
		if wanted[shorten(n.hash)] {
			ops = append(ops, n.raw)
		}
	}
	return ops
}

var lastShort = func() (x ShortHash) {
	for i := range x {
		x[i] = 0xff
	}
	return x
}()

func shorten(h crypto.Hash) ShortHash { return ShortHash(h[:16]) }

func compareShort(a, b ShortHash) int { return slices.Compare(a[:], b[:]) }

// next returns the short hash after x.
func next(x ShortHash) ShortHash {
	for i := len(x) - 1; i >= 0; i-- {
		x[i]++
		if x[i] != 0 {
			break
		}
	}
	return x
}
