package roster

import (
	"iter"
	"slices"
)

// insert adds n to a list that is kept in order, once.
func insert(list *[]*node, n *node) {
	if i, there := slices.BinarySearchFunc(*list, n, compareNodes); !there {
		*list = slices.Insert(*list, i, n)
	}
}

// tips yields, of the operations of an ordered list that are in n's past (all if n is nil) and that keep allows (all
// if it is nil), those that no other of them follows; the deepest first. It costs one look at each when they are a
// chain, and one union of pasts for each tip.
func tips(list []*node, n *node, keep func(int) bool) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		var shadow bits // the pasts of the tips so far
		found := 0
		for i := len(list) - 1; i >= 0; i-- {
			c := list[i]
			if n != nil && !before(c, n) || keep != nil && !keep(i) || shadow.has(c.index) {
				continue
			}
			if !yield(c) {
				return
			}
			if found++; found == 1 {
				shadow = c.past
				continue
			}
			grown := shadow
			if found == 2 || len(c.past) > len(shadow) {
				grown = make(bits, max(len(shadow), len(c.past)))
				copy(grown, shadow)
			}
			grown.union(c.past)
			shadow = grown
		}
	}
}
