package roster

import (
	"fmt"
	"testing"

	"github.com/huisclos/huisclos/crypto"
)

// side is one side of a partition: what is done there follows what was done there.
type side struct {
	c     *cast
	heads []crypto.Hash
}

func (s *side) do(by *actor, b Body) crypto.Hash {
	h := s.c.do(by, b, s.heads...)
	s.heads = []crypto.Hash{h}
	return h
}

func (s *side) invite(by *actor) link {
	l := s.c.invite(by, s.heads...)
	s.heads = []crypto.Hash{l.op}
	return l
}

func (s *side) join(by *actor, name string) *actor {
	a := s.c.stranger(name)
	a.intro = s.do(by, s.invite(by).admit(by, a))
	return a
}

// TestHealedPartition covers ROS-8 to ROS-17 and ROS-20: the creator on one side, the senior on the other, both add,
// remove, promote, lock and invite; then they meet.
func TestHealedPartition(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	other := c.join(creator, "other")
	for _, a := range []*actor{client, other, junior} {
		c.join(a, "nobody's guest") // void: they are no hosts, or (junior) below
	}
	a, b := &side{c, c.set.Heads()}, &side{c, c.set.Heads()}

	ann := a.join(creator, "ann")
	bob := b.join(senior, "bob")
	a.do(creator, remove(client))              // client is removed here,
	b.do(senior, setRole(client, RoleHost))    // promoted there,
	carl := b.join(client, "carl")             // where it admits somebody
	a.do(creator, setRole(other, RoleHost))    // other is host here,
	b.do(senior, remove(other))                // removed there
	dora := a.join(other, "dora")              // and admits somebody
	before := b.invite(junior)                 // a link made before the lock
	a.do(creator, policy(Locked))              // locked here
	erik := b.join(senior, "erik")             // admitted there
	again := c.another(junior)                 // a restart there
	again.intro = b.do(again, resumeAs(again)) //
	old := link{invite: before.invite, op: before.op}
	fred := c.stranger("fred")
	b.do(again, old.admit(again, fred))

	for _, x := range []struct {
		who  *actor
		in   bool
		role Role
		why  string
	}{
		{ann, true, RoleMember, "admitted by the creator"},
		{bob, false, 0, "admitted by an inferior beside the lock"},
		{client, false, 0, "a removal beats an inferior's promotion"},
		{carl, false, 0, "admitted by somebody removed beside it"},
		{other, false, 0, "a removal beats a promotion beside it, even a superior's: fail closed"},
		{dora, false, 0, "admitted by somebody removed beside it"},
		{erik, false, 0, "admitted by an inferior beside the lock"},
		{fred, false, 0, "admitted by an inferior beside the lock"},
		{again, true, RoleHost, "resumed beside all that"},
		{senior, true, RoleHost, "untouched"},
	} {
		if in := c.in(x.who); in != x.in || c.role(x.who) != x.role {
			t.Errorf("%s (%s): in %v, %v", x.who.name, x.why, in, c.role(x.who))
		}
	}
	if p := c.set.Roster().Policy; p.Entry != Locked {
		t.Error("not locked")
	}
	check(t, "a link of the senior's side is dead", c.set.Roster().DeadInvite(before.op), true)

	// Everybody comes in again by what follows both, and any order of arrival gives this roster.
	c.do(creator, policy(Ask))
	for _, x := range []*actor{bob, client, other} {
		back := c.another(x)
		c.do(creator, c.invite(creator).admit(creator, back))
		check(t, x.name+" in again", c.in(x), true)
	}
	c.sameInAnyOrder(t)
}

// sameInAnyOrder adds the set's operations to others, backwards and shuffled, and compares all that a roster says.
func (c *cast) sameInAnyOrder(t *testing.T) {
	t.Helper()
	n := len(c.set.nodes)
	orders := [][]int{newRand(1).Perm(n), newRand(2).Perm(n), make([]int, n)}
	for i := range n {
		orders[2][i] = n - 1 - i
	}
	for _, order := range orders {
		s := must[*Set](t)(NewSet(c.genesis, c.meeting))
		for _, i := range order {
			if _, err := s.Add(c.set.nodes[i].raw); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := describe(s), describe(c.set); got != want {
			t.Errorf("by another order:\n%s\nwant\n%s", got, want)
		}
	}
}

// describe is all that a set's roster says of its operations and people.
func describe(s *Set) string {
	r := s.Roster()
	text := fmt.Sprintln(r.Hash, r.Policy, r.Ended, s.Digest(), s.Heads(), s.HeadsToName())
	for _, n := range r.fold.order {
		text += fmt.Sprintf("%s %q %d\n", n.hash, r.fold.void[n.index], r.fold.acts[n.index])
	}
	for _, n := range r.fold.order {
		if n.brings == nil {
			continue
		}
		id := n.brings.Identity
		by := crypto.IdentityKey{}
		if op := r.RemovedBy(id); op != nil {
			by = r.Author(op)
		}
		text += fmt.Sprintln(id, r.Banned(id), by, r.MayAdmit(id), r.HasLeft(n.bringsHash), r.Equivocation(id))
	}
	return text
}

// TestSameKnockerTwice covers ROS-5: two hosts who admit one knocker bring in one person, once.
func TestSameKnockerTwice(t *testing.T) {
	c, creator, senior, _, _ := court(t)
	low, high := c.invite(senior), c.invite(creator)
	h := c.set.Heads()
	knocker := c.stranger("knocker")
	c.do(senior, low.admit(senior, knocker), h...)
	knocker.intro = c.do(creator, high.admit(creator, knocker), h...)
	if m := c.set.Roster().Member(knocker.identity.Public()); m == nil || m.Introduction != knocker.intro {
		t.Fatal("not by the better rank's Admit")
	}
	for _, n := range c.set.nodes { // promoted by the other's Admit, it is the same incarnation
		if n.brings != nil && n.brings.Identity == knocker.identity.Public() && n.hash != knocker.intro {
			c.do(senior, Body{SetRole: &SetRole{Introduction: n.hash, Role: RoleHost}})
		}
	}
	check(t, "knocker is host", c.role(knocker) == RoleHost, true)
	c.join(knocker, "guest")
	check(t, "guest in", c.in(c.people[len(c.people)-1]), true)
	c.do(knocker, leave())
	check(t, "knocker in, after leaving", c.in(knocker), false)
	c.sameInAnyOrder(t)
}

// TestPromotedWhileRestarting covers ROS-7 and ROS-16: who is promoted by the old incarnation's name, beside the
// Resume, is host with the new one. What a host did that nobody heard of before its crash counts when it is heard of:
// what reduces; what grants doesn't.
func TestPromotedWhileRestarting(t *testing.T) {
	c, creator, senior, _, client := court(t)
	victim := c.join(creator, "victim")
	h := c.set.Heads()
	old := *client
	c.do(senior, setRole(&old, RoleHost), h...)
	again := c.another(client)
	c.do(again, resumeAs(again), h...)
	check(t, "client is host", c.role(client) == RoleHost && c.current(again), true)
	c.do(again, remove(victim))
	check(t, "victim in, removed by the new incarnation", c.in(victim), false)

	l := c.invite(senior)
	h = c.set.Heads()
	crashed := *senior
	c.resume(senior)
	guest := c.stranger("guest")
	unsent := c.do(&crashed, remove(again), h...)
	c.do(&crashed, l.admit(&crashed, guest), unsent)
	check(t, "client in, removed just before the crash", c.in(client), false)
	check(t, "guest in, admitted just before the crash", c.in(guest), false)
	c.sameInAnyOrder(t)
}

// TestManyMembers covers ROS-20: a roster of more people than one message's array holds still has a hash.
func TestManyMembers(t *testing.T) {
	k := newCrowd(t, protections{})
	creator := k.bundle(0, 0)
	invite := k.must(creator, Body{Invite: &Invite{}})
	for i := range uint64(5000) {
		k.must(creator, k.admitBody(k.bundle(100+i, 0), invite))
	}
	if r := k.set.Roster(); len(r.Members) != 5001 || r.Hash.IsZero() {
		t.Errorf("%d members", len(r.Members))
	}
}
