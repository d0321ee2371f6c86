package roster

import (
	"bytes"
	"slices"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
)

// Roster is who is in, by one fold of a set (SPEC §6). It doesn't change; a new operation makes a new one.
type Roster struct {
	Members []Member // sorted by identity
	Policy  Policy
	Ended   bool
	// Hash is equal for all who have the same operations (ROS-20).
	Hash crypto.Hash

	set      *Set
	fold     *fold
	identity map[crypto.IdentityKey]int
	meeting  map[crypto.MeetingKey]int
}

// Member is one person on the roster, by the current incarnation.
type Member struct {
	Bundle crypto.Bundle
	// Name is what the person calls themselves. It proves nothing.
	Name string
	Role Role
	// Creator is the one host nobody can remove or demote.
	Creator bool
	// Introduction is the hash of the Admit or Resume that brought this incarnation in; SetRole names it.
	Introduction crypto.Hash
	// Grant is the hash of the SetRole that gives a host the rank it has; zero for the creator and who is no host.
	Grant crypto.Hash
	// JoinerNonce and ResponderNonce are those of the effective Admit, zero for the creator (SPEC §8).
	JoinerNonce, ResponderNonce crypto.Nonce
	// Equivocated says that two operations with one seq are known: nothing may be sealed to this member (ROS-19).
	Equivocated bool

	rank  rank
	intro *node
}

// Identity returns the key that names the person.
func (m *Member) Identity() crypto.IdentityKey { return m.Bundle.Identity }

// Above says whether m may change o's standing (ROS-8): it is a host of better rank.
func (m *Member) Above(o *Member) bool { return m.Role == RoleHost && m.rank.betterThan(o.rank) }

// Roster folds the set. The result is kept until the next operation.
func (s *Set) Roster() *Roster {
	if s.roster == nil {
		s.roster = s.foldWithout(protections{})
	}
	return s.roster
}

// foldWithout folds with some protections switched off, for tests.
func (s *Set) foldWithout(off protections) *Roster {
	f := newFold(s)
	f.off = off
	f.run()
	return f.roster()
}

// Member returns who has this identity, or nil.
func (r *Roster) Member(id crypto.IdentityKey) *Member {
	if i, ok := r.identity[id]; ok {
		return &r.Members[i]
	}
	return nil
}

// ByMeetingKey returns whose current incarnation has this meeting key, or nil.
func (r *Roster) ByMeetingKey(k crypto.MeetingKey) *Member {
	if i, ok := r.meeting[k]; ok {
		return &r.Members[i]
	}
	return nil
}

// Void says why an operation of the set does nothing, NotVoid if it is effective. Whoever acts on an operation asks
// this first. What came after this fold is VoidNotIn. An Admit that is void counts all the same where a SetRole(host)
// names it (ROS-13); Member tells.
func (r *Roster) Void(h crypto.Hash) Void {
	if n := r.node(h); n != nil {
		return r.fold.void[n.index]
	}
	return VoidNotIn
}

// node returns an operation that was there when this roster was folded, or nil.
func (r *Roster) node(h crypto.Hash) *node {
	if n := r.set.byHash[h]; n != nil && n.index < len(r.fold.order) {
		return n
	}
	return nil
}

// DeadInvite says whether links made by this Invite admit nobody any more: it is void, or a removal came later (ROS-10).
func (r *Roster) DeadInvite(h crypto.Hash) bool {
	n := r.node(h)
	if n == nil || n.op.Body.Invite == nil || r.fold.void[n.index] != NotVoid || r.Ended {
		return true
	}
	return slices.ContainsFunc(r.fold.removes, func(c *node) bool { return !before(c, n) })
}

// Banned says whether an identity was removed with a ban that still holds.
func (r *Roster) Banned(id crypto.IdentityKey) bool {
	p := r.fold.people[id]
	return p != nil && r.Member(id) == nil && slices.ContainsFunc(p.removes, func(c *node) bool { return c.op.Body.Remove.Ban })
}

// RemovedBy returns the effective Remove by which an identity isn't on the roster, or nil: its author did it. Of
// several the deepest counts. Whoever was admitted again and left since wasn't removed.
func (r *Roster) RemovedBy(id crypto.IdentityKey) *Operation {
	p := r.fold.people[id]
	if p == nil || r.Member(id) != nil {
		return nil
	}
	for _, c := range slices.Backward(p.removes) {
		if !slices.ContainsFunc(p.intros, func(i *node) bool { return r.fold.readmits(p, nil, i, c) }) {
			return c.op
		}
	}
	return nil
}

// Author returns the identity that authored an operation of the set.
func (r *Roster) Author(o *Operation) crypto.IdentityKey {
	if in := r.set.intros[o.Author]; len(in) > 0 {
		return in[0].brings.Identity
	}
	return crypto.IdentityKey{}
}

// MayAdmit says whether an identity has the right to invite and admit at present (ROS-9).
func (r *Roster) MayAdmit(id crypto.IdentityKey) bool {
	m := r.Member(id)
	return m != nil && (m.Role == RoleHost || m.Role == RoleMember && r.Policy.Admitters == HostsAndMembers)
}

func (f *fold) roster() *Roster {
	r := &Roster{
		set: f.set, fold: f, Policy: f.policyAt(nil), Ended: len(f.endings) > 0,
		identity: map[crypto.IdentityKey]int{}, meeting: map[crypto.MeetingKey]int{},
	}
	if !r.Ended {
		for _, p := range f.people {
			if i := f.current(p); i != nil {
				r.Members = append(r.Members, f.member(p, i))
			}
		}
	}
	r.Members = f.withoutSharedKeys(r.Members)
	slices.SortFunc(r.Members, func(a, b Member) int { return bytes.Compare(a.Bundle.Identity[:], b.Bundle.Identity[:]) })
	for i, m := range r.Members {
		r.identity[m.Bundle.Identity], r.meeting[m.Bundle.MeetingKey] = i, i
	}
	r.Hash = r.hash()
	return r
}

// current returns the introduction of the incarnation a person is in with, or nil (ROS-11, ROS-16, ROS-17).
func (f *fold) current(p *person) *node {
	var best *node
	for i := range tips(p.intros, nil, nil) {
		removed := slices.ContainsFunc(p.removes, func(c *node) bool { return !f.readmits(p, nil, i, c) })
		if !f.hasLeft(i, nil) && (!removed || f.off.removal) && (best == nil || f.preferIntroduction(i, best)) {
			best = i
		}
	}
	return best
}

// preferIntroduction orders concurrent introductions: Resumes, which the new key itself signed, then by the rank of
// whoever admitted or promoted, then by the lower hash. So no inferior's Admit displaces another (ROS-5).
func (f *fold) preferIntroduction(a, b *node) bool {
	if ra, rb := f.vouched(a), f.vouched(b); ra != rb && !f.off.preference {
		return ra.betterThan(rb)
	}
	return a.hash.Compare(b.hash) < 0
}

func (f *fold) vouched(i *node) rank {
	if i.op.Body.Resume != nil {
		return -1
	}
	r := noRank
	if f.void[i.index] == NotVoid {
		r = f.acts[i.index]
	}
	for _, g := range f.person(i.brings.Identity).grants {
		if g.names == i {
			r = min(r, f.acts[g.index])
		}
	}
	return r
}

func (f *fold) member(p *person, intro *node) Member {
	m := Member{Role: RoleMember, Introduction: intro.hash, Creator: p.id == f.set.genesis.Creator, rank: plainRank, intro: intro}
	m.Bundle = *intro.brings
	_, m.Name = intro.op.Body.introduces()
	for _, t := range p.tenures {
		if !t.ended && t.rank.betterThan(m.rank) && f.holds(t, intro.bringsHash, nil) {
			m.Role, m.rank = RoleHost, t.rank
			if t.grant != nil {
				m.Grant = t.grant.hash
			}
		}
	}
	if m.Role != RoleHost {
		m.Role = f.plainRole(p, nil)
	}
	if a := f.admission(p, intro); a != nil {
		m.JoinerNonce, m.ResponderNonce = a.JoinerNonce, a.ResponderNonce
	}
	m.Equivocated = f.equivocated(p)
	return m
}

// admission is the Admit by which a person's incarnation came in: the introduction itself, or the last before a Resume.
func (f *fold) admission(p *person, intro *node) *Admit {
	if intro.op.Body.Admit != nil {
		return intro.op.Body.Admit
	}
	var best *node
	for i := range tips(p.intros, intro, func(k int) bool { return p.intros[k].op.Body.Admit != nil }) {
		if best == nil || f.preferIntroduction(i, best) {
			best = i
		}
	}
	if best == nil {
		return nil
	}
	return best.op.Body.Admit
}

// equivocated says whether a person's incarnations forked and no superior has re-admitted them since (ROS-19).
func (f *fold) equivocated(p *person) bool {
	forks := f.forks(p)
	if len(forks) == 0 {
		return false
	}
	clears := func(x *node) bool { return f.clears(x, forks) }
	return !slices.ContainsFunc(p.roles, clears) &&
		!slices.ContainsFunc(p.intros, func(x *node) bool { return x.op.Body.Admit != nil && clears(x) })
}

// forks are a person's operations that have the incarnation and seq of another, in order.
func (f *fold) forks(p *person) []*node {
	type link struct {
		author crypto.Hash
		seq    uint64
	}
	count := make(map[link]int, len(p.authored))
	for _, n := range p.authored {
		count[link{n.op.Author, n.op.Seq}]++
	}
	if len(count) == len(p.authored) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.authored), func(n *node) bool { return count[link{n.op.Author, n.op.Seq}] < 2 })
}

// clears says whether x, an Admit or SetRole about somebody, re-admits them in spite of their forks: a superior made
// it, and each fork is in its past or by an incarnation that was introduced there and isn't the one it names. (Whoever
// got hold of an old device could else have its owner suspended for ever.)
func (f *fold) clears(x *node, forks []*node) bool {
	named := x.bringsHash
	if x.names != nil {
		named = x.names.bringsHash
	}
	if f.void[x.index] != NotVoid || !f.acts[x.index].betterThan(plainRank) && !f.off.clearance {
		return false
	}
	return !slices.ContainsFunc(forks, func(n *node) bool {
		return !before(n, x) && (n.op.Author == named || !slices.ContainsFunc(f.set.intros[n.op.Author], func(i *node) bool { return before(i, x) }))
	})
}

// Equivocation returns two operations of one incarnation of the person with one seq: the proof, or nil (ROS-19).
func (r *Roster) Equivocation(id crypto.IdentityKey) [][]byte {
	p := r.fold.people[id]
	if p == nil {
		return nil
	}
	forks := r.fold.forks(p)
	for i, a := range forks {
		for _, b := range forks[i+1:] {
			if a.op.Author == b.op.Author && a.op.Seq == b.op.Seq {
				return [][]byte{a.raw, b.raw}
			}
		}
	}
	return nil
}

// withoutSharedKeys drops whoever has a meeting key that a member of better rank, or of a preferred introduction, has
// too (ROS-5). A static may be claimed by two: whoever hasn't its private half gets no session with it.
func (f *fold) withoutSharedKeys(members []Member) []Member {
	best := make(map[crypto.MeetingKey]*Member, len(members))
	for i := range members {
		m := &members[i]
		b := best[m.Bundle.MeetingKey]
		if b == nil || m.rank.betterThan(b.rank) || m.rank == b.rank && f.preferIntroduction(m.intro, b.intro) {
			best[m.Bundle.MeetingKey] = m
		}
	}
	if len(best) == len(members) {
		return members
	}
	kept := make([]Member, 0, len(best))
	for _, m := range best {
		kept = append(kept, *m)
	}
	return kept
}

// hash is the roster hash (ROS-20). Each member is encoded by itself: a roster may be longer than a message's array.
func (r *Roster) hash() crypto.Hash {
	type entry struct {
		_              struct{} `cbor:",toarray"`
		Identity       crypto.IdentityKey
		Bundle         crypto.Hash
		Name           string
		Role           Role
		Grant          []byte
		JoinerNonce    []byte
		ResponderNonce []byte
		Equivocated    bool
	}
	type rest struct {
		_      struct{} `cbor:",toarray"`
		Policy Policy
		Ended  bool
	}
	parts := make([][]byte, 0, len(r.Members)+1)
	add := func(v any) {
		raw, err := codec.Marshal(v)
		if err != nil {
			panic("roster: a checked roster doesn't encode: " + err.Error()) // all of it went through the codec before
		}
		parts = append(parts, raw)
	}
	for i := range r.Members {
		m := &r.Members[i]
		add(entry{
			Identity: m.Bundle.Identity, Bundle: m.intro.bringsHash, Name: m.Name, Role: m.Role, Grant: orEmpty(m.Grant[:]),
			JoinerNonce: orEmpty(m.JoinerNonce[:]), ResponderNonce: orEmpty(m.ResponderNonce[:]), Equivocated: m.Equivocated,
		})
	}
	add(rest{Policy: r.Policy, Ended: r.Ended})
	return crypto.HashOf("roster", parts...)
}

// orEmpty returns nil for zeros: what isn't there.
func orEmpty(b []byte) []byte {
	if bytes.Count(b, []byte{0}) == len(b) {
		return nil
	}
	return b
}
