package roster

import (
	"slices"

	"github.com/huisclos/huisclos/crypto"
)

// fold is one run over a set. It depends on the operations and their pasts alone, never on the order of arrival:
// whatever it walks through is sorted by (depth, hash), in which parents come first (ROS-20).
type fold struct {
	set    *Set
	order  []*node
	people map[crypto.IdentityKey]*person
	author []*person // of each operation; this and the next two by index
	acts   []rank    // the rank an effective operation acts with, or an Admit would
	void   []Void    // why the others do nothing
	left   map[crypto.Hash][]*node
	queue  []*tenure // not yet walked, best rank first
	ranks  rank      // how many were

	removes, policies, endings []*node // effective
	removed                    bits    // the removes
	lastPolicy                 policyAnswer
	off                        protections
}

// person is what the fold knows about one identity. All lists are in order.
type person struct {
	id       crypto.IdentityKey
	authored []*node
	resumes  []*node // of authored
	resumed  map[crypto.Hash][]int
	tenures  []*tenure
	removes  []*node // effective, of this person
	roles    []*node // effective SetRoles of this person
	grants   []*node // effective SetRole(host)s of this person
	cutters  []*node // removes and demotions of this person
	intros   []*node // effective introductions of this person
}

// Void says why an operation does nothing; NotVoid if it is effective.
type Void string

// The reasons, each with its rule of SPEC §6.
const (
	NotVoid         Void = ""
	VoidNotIn       Void = "its author wasn't on the roster, or was removed beside or before it" // ROS-11, ROS-12
	VoidNoRight     Void = "its author hadn't the right to it"                                   // ROS-7, ROS-9
	VoidSuperior    Void = "it is about somebody who isn't below its author"                     // ROS-8
	VoidDeadLink    Void = "its invite is older than a removal"                                  // ROS-10
	VoidRemoved     Void = "whom it brings in was removed"                                       // ROS-11
	VoidOnRoster    Void = "whom it brings in was on the roster, and resumes"                    // ROS-11
	VoidDemoted     Void = "a superior took that role away"                                      // ROS-12
	VoidLocked      Void = "the meeting was locked"                                              // ROS-15
	VoidEnded       Void = "its author had resumed as another incarnation"                       // ROS-16
	VoidRepeatedKey Void = "it repeats a key of the roster"                                      // ROS-5
	VoidInvite      Void = "its invite has no effect"                                            // ROS-9
	VoidAfterLeave  Void = "its author had left"                                                 // ROS-17
	undecided       Void = "not decided"
)

// protections can be switched off one by one, by tests of this package alone, to show that each test of an attack
// fails without the rule that answers it.
type protections struct {
	belowOnly, deadLinks, removal, cuts, ended, lock, repeatedKeys, bans bool

	leaves     bool // ROS-17: who left resumes
	onRoster   bool // ROS-11: who is on the roster is admitted again
	preference bool // ROS-5: of concurrent introductions the lowest hash, whoever admitted
	withdrawal bool // ROS-15: members go on admitting beside the SetPolicy that leaves it to hosts
	clearance  bool // ROS-19: anybody's Admit or SetRole clears
	demotion   bool // ROS-13: a promotion undoes a superior's demotion
	accounts   bool // ROS-4: each incarnation has an account of its own
	strangers  bool // ROS-3: a Resume needs no introduction
	sponsors   bool // ROS-4: what is over the limit is refused even if others build on it
	sharing    bool // ROS-2: the waiting store is first come, first served
	headOrder  bool // ROS-1: an author names the heads with the lowest hashes
	knocks     bool // IDN-7: an Admit needs no signature by whom it brings in
	statics    bool // ROS-5: a repeated static counts as a repeated key
	recordText bool // ATT-2: a record's readable part may say anything
	recordSize bool // ATT-3: a record of any size is read
	clocks     bool // ATT-5: clocks that contradict each other aren't remarked
	formulas   bool // ATT-6: a text may begin as a formula
}

func newFold(s *Set) *fold {
	n := len(s.nodes)
	f := &fold{
		set: s, people: map[crypto.IdentityKey]*person{}, author: make([]*person, n), acts: make([]rank, n),
		void: make([]Void, n), left: map[crypto.Hash][]*node{}, removed: newBits(n),
	}
	f.order = slices.Clone(s.nodes)
	slices.SortFunc(f.order, compareNodes)
	for _, n := range f.order {
		f.void[n.index], f.acts[n.index] = undecided, noRank
		p := f.person(n.person)
		p.authored = append(p.authored, n)
		f.author[n.index] = p
		switch {
		case n.op.Body.Leave != nil: // whoever says so has left (ROS-17)
			f.void[n.index] = NotVoid
			f.left[n.op.Author] = append(f.left[n.op.Author], n)
		case n.op.Body.Resume != nil:
			if p.resumed == nil {
				p.resumed = map[crypto.Hash][]int{}
			}
			p.resumed[n.op.Author] = append(p.resumed[n.op.Author], len(p.resumes))
			p.resumes = append(p.resumes, n)
		}
	}
	return f
}

// run folds in two passes: down the ranks for all that hosts do but admit, then through the rest (ROS-8).
func (f *fold) run() {
	creator := f.person(f.set.genesis.Creator)
	f.push(&tenure{of: creator})
	for len(f.queue) > 0 {
		t := f.queue[0]
		f.queue = f.queue[1:]
		f.walk(t)
	}
	for _, n := range f.order {
		if f.void[n.index] == undecided {
			f.plain(n)
		}
	}
}

func (f *fold) person(id crypto.IdentityKey) *person {
	p := f.people[id]
	if p == nil {
		p = &person{id: id}
		f.people[id] = p
	}
	return p
}

func (f *fold) push(t *tenure) {
	t.rank = pendingRank
	t.of.tenures = append(t.of.tenures, t)
	t.ended = slices.ContainsFunc(t.of.cutters, func(c *node) bool { return !f.covers(t.grant, c) })
	i, _ := slices.BinarySearchFunc(f.queue, t, (*tenure).compare)
	f.queue = slices.Insert(f.queue, i, t)
}

// walk decides what the holder of a tenure does with it: first as whom they resume, then what they do.
func (f *fold) walk(t *tenure) {
	p := t.of
	t.rank = f.ranks
	f.ranks++
	for _, c := range p.cutters {
		if t.grant != nil && !f.covers(t.grant, c) {
			t.limit(c)
		}
	}
	t.line = newBits(len(p.resumes))
	for i, n := range p.resumes {
		if f.resumesTenure(t, i) {
			t.line.set(i)
			if f.void[n.index] == undecided {
				f.effect(n, t.rank)
			}
		}
	}
	t.alive = f.alive(t)
	for _, n := range p.authored {
		if f.void[n.index] != undecided || n.op.Body.Resume != nil || !f.usable(t, n) || !f.holds(t, n.op.Author, n) {
			continue
		}
		if n.op.Body.Admit != nil { // decided in the second pass, when all invites are known
			f.acts[n.index] = min(f.acts[n.index], t.rank)
			continue
		}
		if v := f.judgeHost(t, n); v != NotVoid {
			f.void[n.index] = v
			continue
		}
		f.effect(n, t.rank)
	}
}

// limit records a removal or demotion that cuts the tenure for all that isn't in its past (ROS-12).
func (t *tenure) limit(c *node) {
	if t.limited {
		t.kept.intersect(c.past)
		return
	}
	t.limited, t.kept = true, slices.Clone(c.past)
}

func (t *tenure) cuts(n *node) bool { return t.limited && !t.kept.has(n.index) }

// usable says whether a tenure holds for an operation: granted in its past and not cut for it (ROS-7, ROS-12).
func (f *fold) usable(t *tenure, n *node) bool {
	return t.grant == nil || before(t.grant, n) && (f.off.cuts || !t.cuts(n))
}

// covers says whether x has c in its past and acts with a rank at least as good.
func (f *fold) covers(x, c *node) bool {
	return before(c, x) && !f.acts[c.index].betterThan(f.acts[x.index])
}

// resumesTenure decides whether a Resume takes a tenure over from an incarnation that holds it and hasn't left
// (ROS-7, ROS-16). If not, the second pass decides about it.
func (f *fold) resumesTenure(t *tenure, i int) bool {
	p, n := t.of, t.of.resumes[i]
	switch {
	case n.repeats && !f.off.repeatedKeys:
		return false
	case t.grant == nil:
		return true
	case t.cuts(n):
		return false
	case !before(t.grant, n) && !f.off.removal && slices.ContainsFunc(p.removes, func(c *node) bool { return !before(n, c) }):
		return false // put out, and not by this tenure back in
	}
	held := false
	for tip := range tips(p.resumes[:i], n, t.line.has) {
		if held = true; !f.hasLeft(tip, n) {
			return true
		}
	}
	return !held && before(t.grant.names, n) && !f.hasLeft(t.grant.names, n)
}

// alive says whether an incarnation that holds the tenure, and wasn't resumed, hasn't left.
func (f *fold) alive(t *tenure) bool {
	if t.grant == nil {
		return true
	}
	held := false
	for tip := range tips(t.of.resumes, nil, t.line.has) {
		if held = true; !f.hasLeft(tip, nil) {
			return true
		}
	}
	return !held && !f.hasLeft(t.grant.names, nil)
}

// holds says whether the incarnation with this bundle holds the tenure for operation n, for the present if n is nil:
// its SetRole names it, or it resumed one that does (ROS-7).
func (f *fold) holds(t *tenure, bundle crypto.Hash, n *node) bool {
	if t.grant != nil && t.grant.names.bringsHash == bundle && (n == nil || before(t.grant.names, n)) {
		return true
	}
	return slices.ContainsFunc(t.of.resumed[bundle], func(i int) bool {
		return t.line.has(i) && (n == nil || before(t.of.resumes[i], n))
	})
}

// hasLeft says whether the incarnation that i brought in left in n's past, or at all if n is nil (ROS-17).
func (f *fold) hasLeft(i, n *node) bool {
	return !f.off.leaves && slices.ContainsFunc(f.left[i.bringsHash], func(l *node) bool { return n == nil || before(l, n) })
}

// judgeHost decides what a host does with its powers, but Admit and Resume.
func (f *fold) judgeHost(t *tenure, n *node) Void {
	b := &n.op.Body
	if v := f.silenced(n); v != NotVoid {
		return v
	}
	switch {
	case b.Remove != nil, b.SetRole != nil:
		if !f.belowOf(f.person(n.target()), t.rank, n) {
			return VoidSuperior
		}
		if b.SetRole != nil && b.SetRole.Role == RoleHost {
			return f.judgePromotion(t, n)
		}
	case b.End != nil:
		if t.length > 1 { // ROS-18
			return VoidNoRight
		}
	}
	return NotVoid
}

// judgePromotion decides a SetRole(host) by the removals and demotions that it meets and doesn't cover (ROS-11, ROS-13).
func (f *fold) judgePromotion(t *tenure, n *node) Void {
	if n.names.repeats && !f.off.repeatedKeys {
		return VoidRepeatedKey
	}
	for _, c := range f.person(n.target()).cutters {
		if before(n, c) || before(c, n) && !f.acts[c.index].betterThan(t.rank) {
			continue
		}
		if c.op.Body.Remove == nil && !f.off.demotion {
			return VoidDemoted
		}
		if c.op.Body.Remove != nil && !f.off.removal {
			return VoidRemoved
		}
	}
	return NotVoid
}

// belowOf says whether a person is below rank r for operation n (ROS-8).
func (f *fold) belowOf(p *person, r rank, n *node) bool {
	return f.off.belowOnly || !slices.ContainsFunc(p.tenures, func(t *tenure) bool {
		return !r.betterThan(t.rank) && t.alive && !t.ended && (t.grant == nil || !before(n, t.grant))
	})
}

// silenced says whether n's incarnation had left, or been ended by a Resume, so that n is void.
func (f *fold) silenced(n *node) Void {
	if slices.ContainsFunc(f.left[n.op.Author], func(l *node) bool { return before(l, n) }) {
		return VoidAfterLeave
	}
	if f.endedFor(n) {
		return VoidEnded
	}
	return NotVoid
}

// endedFor says whether a Resume of n's author ended n's incarnation, so that n is void: what grants if it isn't in
// that Resume's past, anything if it follows it (ROS-16). A Resume counts that no removal came before or beside, or
// whoever is removed could undo what they once did. It is asked of the operation alone, not of the fold: it may be
// deeper than n, and undecided when n is decided.
func (f *fold) endedFor(n *node) bool {
	if f.off.ended {
		return false
	}
	p := f.author[n.index]
	var own []*node // introductions of n's incarnation
	for _, i := range p.intros {
		if i.bringsHash == n.op.Author {
			own = append(own, i)
		}
	}
	for _, x := range p.resumes {
		if x.repeats || x.op.Author == n.op.Author || !before(x, n) && (before(n, x) || !n.op.Body.grants()) {
			continue
		}
		if slices.ContainsFunc(own, func(i *node) bool {
			return before(i, x) && !slices.ContainsFunc(p.removes, func(c *node) bool { return !before(x, c) && !before(c, i) })
		}) {
			return true
		}
	}
	return false
}

// grants says whether a body gives somebody something, rather than taking it away (ROS-16). An Invite admits nobody.
func (b *Body) grants() bool {
	return b.Admit != nil || b.SetRole != nil && b.SetRole.Role == RoleHost ||
		b.SetPolicy != nil && b.SetPolicy.Policy.Entry != Locked
}

// effect records that n counts, acting with rank r.
func (f *fold) effect(n *node, r rank) {
	f.void[n.index], f.acts[n.index] = NotVoid, r
	b := &n.op.Body
	switch {
	case b.Admit != nil, b.Resume != nil:
		f.bringIn(n)
	case b.Remove != nil:
		p := f.person(n.target())
		insert(&p.removes, n)
		insert(&f.removes, n)
		f.removed.set(n.index)
		f.cut(p, n)
	case b.SetRole != nil:
		p := f.person(n.target())
		insert(&p.roles, n)
		if b.SetRole.Role != RoleHost {
			f.cut(p, n)
			break
		}
		insert(&p.grants, n)
		f.bringIn(n.names) // promotion implies admission (ROS-13)
		f.push(&tenure{of: p, grant: n, promoter: r, length: 1 + f.lengthOf(n, r)})
	case b.SetPolicy != nil:
		insert(&f.policies, n)
	case b.End != nil:
		f.endings = append(f.endings, n)
	}
}

// lengthOf is how many promotions led to the tenure that n's author acts with.
func (f *fold) lengthOf(n *node, r rank) int {
	for _, t := range f.author[n.index].tenures {
		if t.rank == r {
			return t.length
		}
	}
	return 0
}

func (f *fold) cut(p *person, c *node) {
	insert(&p.cutters, c)
	for _, t := range p.tenures {
		t.ended = t.ended || t.grant != nil && !f.covers(t.grant, c)
	}
}

func (f *fold) bringIn(n *node) { insert(&f.person(n.brings.Identity).intros, n) }

// before says whether a is in b's past.
func before(a, b *node) bool { return b.past.has(a.index) }
