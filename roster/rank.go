package roster

import (
	"cmp"
	"math"
)

// rank is a place in the line of authority, best first: the order in which the fold came to the tenures (ROS-6).
// A plain member's is below every host's. What isn't effective has none, which is worse than any: a question about
// it can't be mistaken for the creator's 0.
type rank int32

const (
	creatorRank rank = 0
	plainRank   rank = math.MaxInt32 - 2
	pendingRank rank = math.MaxInt32 - 1 // of a tenure the fold hasn't come to: below all it came to
	noRank      rank = math.MaxInt32
)

// betterThan says whether r is above q.
func (r rank) betterThan(q rank) bool { return r < q }

// tenure is a host's power: who has it, and by which SetRole. The creator's has no grant.
type tenure struct {
	of    *person
	grant *node
	rank  rank

	length   int  // promotions from the creator to here
	promoter rank // whoever granted it
	ended    bool // cut for the present (ROS-12)
	alive    bool // an incarnation that holds it hasn't left (ROS-17)
	limited  bool // holds for operations in kept only
	kept     bits // the past of all that cuts it
	line     bits // which of the person's Resumes hold it, by their place in person.resumes
}

// compare orders tenures before the fold comes to them: shorter paths first, then element by element (ROS-6).
// Promoters have been ranked by then, which settles all elements but the last.
func (t *tenure) compare(o *tenure) int {
	return cmp.Or(cmp.Compare(t.length, o.length), cmp.Compare(t.promoter, o.promoter), compareNodes(t.grant, o.grant))
}

// compareNodes orders operations by (depth, hash), in which parents come first.
func compareNodes(a, b *node) int {
	return cmp.Or(cmp.Compare(a.depth, b.depth), a.hash.Compare(b.hash))
}
