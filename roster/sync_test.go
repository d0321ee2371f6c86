package roster

import (
	"testing"

	"github.com/huisclos/huisclos/crypto"
)

// TestReconcile covers SYN-1 and SYN-2: two sets that differ are equal after one exchange of pages.
func TestReconcile(t *testing.T) {
	for seed := range uint64(50) {
		all := newHistory(newRand(100 + seed))
		all.grow(60, nil, true)
		a, b := trustingSet(), trustingSet()
		rng := newRand(seed)
		for i, n := range all.set.nodes {
			for _, s := range []*Set{a, b} {
				if s.known(n.op) && (i < 3 || rng.IntN(5) > 0) {
					if err := s.insert(n.op, n.raw, n.hash); err != nil && n.raw != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for _, page := range a.Have() {
			lacks, wants := b.Compare(page)
			for _, raw := range lacks {
				if _, err := a.Add(raw); err != nil {
					t.Fatal(err)
				}
			}
			for _, raw := range a.Pick(wants) {
				if _, err := b.Add(raw); err != nil {
					t.Fatal(err)
				}
			}
		}
		if a.Digest() != b.Digest() || a.Roster().Hash != b.Roster().Hash {
			t.Fatalf("seed %d: %v and %v", seed, a.Digest(), b.Digest())
		}
	}
}

// TestHavePages checks that pages cover every hash there is, so that nothing falls between two.
func TestHavePages(t *testing.T) {
	s := trustingSet()
	for i := range MaxHave*2 + 5 {
		s.nodes = append(s.nodes, &node{hash: fakeHash('p', uint64(i))})
	}
	pages := s.Have()
	if len(pages) != 3 {
		t.Fatalf("%d pages", len(pages))
	}
	var zero ShortHash
	if pages[0].First != zero || pages[2].Last != lastShort {
		t.Error("the ends are open")
	}
	for i := range pages[1:] {
		if pages[i+1].First != next(pages[i].Last) {
			t.Error("a gap")
		}
	}
	other := trustingSet()
	other.nodes = append(other.nodes, &node{hash: crypto.Hash{}, raw: []byte{1}}, &node{hash: crypto.Hash(append(lastShort[:], lastShort[:]...)), raw: []byte{2}})
	n := 0
	for _, p := range pages {
		lacks, _ := other.Compare(p)
		n += len(lacks)
	}
	if n != 2 {
		t.Errorf("%d of 2 found missing", n)
	}
}

// TestForwarderIsNotTrusted covers SYN-2: what a forwarder sends, in answer to a question or not, counts only if its author
// signed it. Twin: a member is put out by somebody who only passes operations on.
func TestForwarderIsNotTrusted(t *testing.T) {
	c := newCast(t, DefaultPolicy())
	creator := c.people[0]
	victim := c.join(creator, "victim")
	forged := c.sign(creator, remove(victim))
	forged[len(forged)-1] ^= 1
	for _, trusting := range []bool{false, true} {
		s := must[*Set](t)(NewSet(c.genesis, c.meeting))
		s.trusting = trusting
		for _, n := range c.set.nodes {
			must[Outcome](t)(s.Add(n.raw))
		}
		_, err := s.Add(forged)
		if out := s.Roster().Member(victim.identity.Public()) == nil; out != trusting || IsRefused(err) == trusting {
			t.Errorf("twin %v: out %v, %v", trusting, out, err)
		}
	}
}
