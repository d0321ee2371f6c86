package roster

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huisclos/huisclos/crypto"
)

// Attacks on the set: by filling it, by filling the store before it, and by hiding one operation behind many.

// crowd makes operations without signatures, for a set that trusts.
type crowd struct {
	t      testing.TB
	set    *Set
	serial uint64
}

func newCrowd(t testing.TB, off protections) *crowd {
	k := &crowd{t: t, set: trustingSet()}
	k.set.off = off
	b := k.bundle(0, 0)
	k.must(b, Body{Resume: &Resume{Bundle: b, Name: "creator"}})
	return k
}

// bundle is an incarnation of a person; person 0 is the creator.
func (k *crowd) bundle(person, incarnation uint64) crypto.Bundle {
	if person < historyPeople && incarnation < historyIncarnations {
		return historyPool[person][incarnation]
	}
	return crypto.Bundle{
		Identity:   crypto.IdentityKey(fakeHash('i', person)),
		MeetingKey: crypto.MeetingKey(fakeHash('m', person<<16+incarnation)),
		Static:     crypto.StaticKey(fakeHash('s', person<<16+incarnation)),
	}
}

// op makes an operation after the author's last one (or beside all that, if fork) and the given parents.
func (k *crowd) op(author crypto.Bundle, body Body, fork bool, parents ...crypto.Hash) ([]byte, crypto.Hash) {
	k.serial++
	o := &Operation{Author: author.Hash(), Body: body, Time: k.serial, Signature: &crypto.Signature{}}
	if tip := k.set.tips[o.Author]; tip != nil && !fork {
		o.Seq, o.Previous = tip.op.Seq+1, &tip.hash
		parents = slices.DeleteFunc(slices.Clone(parents), func(h crypto.Hash) bool { return h == tip.hash })
	}
	o.Heads = slices.Clone(parents)
	sortHashes(o.Heads)
	raw := encodeOrNil(o)
	if raw == nil {
		k.t.Fatal("an operation that doesn't encode")
	}
	return raw, HashOperation(raw)
}

func (k *crowd) add(author crypto.Bundle, body Body, parents ...crypto.Hash) (crypto.Hash, error) {
	raw, h := k.op(author, body, false, parents...)
	_, err := k.set.Add(raw)
	return h, err
}

func (k *crowd) must(author crypto.Bundle, body Body, parents ...crypto.Hash) crypto.Hash {
	k.t.Helper()
	h, err := k.add(author, body, parents...)
	if err != nil {
		k.t.Fatal(err)
	}
	return h
}

// join admits a person by somebody's fresh invite.
func (k *crowd) join(by, who crypto.Bundle) crypto.Hash {
	i := k.must(by, Body{Invite: &Invite{}}, k.set.HeadsToName()...)
	return k.must(by, Body{Admit: &Admit{Bundle: who, Name: "x", Invite: i}})
}

// fill lets an author go on until refused, at most n times, and says how often it worked.
func (k *crowd) fill(n int, author crypto.Bundle, parents ...crypto.Hash) int {
	for i := range n {
		if _, err := k.add(author, Body{Invite: &Invite{}}, parents...); err != nil {
			return i
		}
	}
	return n
}

// TestOneAccount covers ROS-4 and ROS-3: restarts, puppets, strangers and a promotion of oneself bring a plain member
// no more room.
func TestOneAccount(t *testing.T) {
	for name, off := range map[string]protections{"rule": {}, "twin": {accounts: true, strangers: true}} {
		k := newCrowd(t, off)
		creator, plain := k.bundle(0, 0), k.bundle(7, 0)
		in := k.join(creator, plain)
		k.must(plain, Body{SetRole: &SetRole{Introduction: in, Role: RoleHost}}, in)
		n := k.set.Len()
		k.fill(400, plain)
		for i := range uint64(2) { // restarts
			next := k.bundle(7, i+1)
			r, err := k.add(next, Body{Resume: &Resume{Bundle: next, Name: "x"}}, in)
			if err == nil {
				k.fill(1100, next, r)
			}
		}
		for i := range uint64(2) { // puppets
			puppet := k.bundle(100+i, 0)
			invite, _ := k.add(plain, Body{Invite: &Invite{}})
			a, err := k.add(plain, Body{Admit: &Admit{Bundle: puppet, Name: "x", Invite: invite}})
			if err == nil {
				k.fill(1100, puppet, a)
			}
		}
		for i := range uint64(50) { // strangers
			s := k.bundle(200+i, 0)
			_, _ = k.add(s, Body{Resume: &Resume{Bundle: s, Name: "x"}}, in)
		}
		got := k.set.Len() - n + 1
		if off.accounts != (got > 3*MaxPlainOperations) || !off.accounts && got != MaxPlainOperations {
			t.Errorf("%s: a plain member brought in %d operations", name, got)
		}
		if _, err := k.add(creator, Body{Remove: &Remove{Identity: plain.Identity}}, k.set.HeadsToName()...); err != nil {
			t.Error(err)
		}
	}
}

// TestFullSet covers ROS-4: hosts who fill the set don't keep the creator from removing them.
func TestFullSet(t *testing.T) {
	k := newCrowd(t, protections{})
	creator := k.bundle(0, 0)
	for i := range uint64(3) {
		host := k.bundle(10+i, 0)
		in := k.join(creator, host)
		k.fill(MaxOperations, host, k.must(creator, Body{SetRole: &SetRole{Introduction: in, Role: RoleHost}}))
		if i == 0 && k.set.Len() > MaxHostOperations+10 {
			t.Errorf("one host fills the set: %d", k.set.Len())
		}
		if k.set.Len() >= MaxOperations {
			break
		}
	}
	if k.set.Len() != MaxOperations {
		t.Fatalf("%d operations", k.set.Len())
	}
	for i := range uint64(2) {
		k.must(creator, Body{Remove: &Remove{Identity: k.bundle(10+i, 0).Identity}})
	}
	if n := len(k.set.Roster().Members); n != 1 {
		t.Errorf("%d members", n)
	}
	if n := k.fill(2*creatorReserve, creator); n != creatorReserve-2 {
		t.Errorf("the creator authored %d more", n)
	}
}

// TestForksHideNothing covers ROS-2 and ROS-4: two members who hold different ones of a forger's many operations still
// get every operation of the others.
func TestForksHideNothing(t *testing.T) {
	for name, off := range map[string]protections{"rule": {}, "twin": {sponsors: true}} {
		k := newCrowd(t, off)
		forger, honest := k.bundle(7, 0), k.bundle(8, 0)
		k.join(k.bundle(0, 0), forger)
		in := k.join(k.bundle(0, 0), honest)
		var early [][]byte
		k.set.All(func(_ crypto.Hash, raw []byte) bool { early = append(early, raw); return true })
		var forks [][]byte
		var heads []crypto.Hash
		for range MaxPlainOperations + 20 {
			raw, h := k.op(forger, Body{Leave: &Leave{}}, true, in)
			forks, heads = append(forks, raw), append(heads, h)
		}
		other := &crowd{t: t, set: trustingSet()}
		other.set.off = off
		for _, raw := range slices.Concat(early, forks) { // the other holds the first thousand
			_, _ = other.set.Add(raw)
		}
		slices.Reverse(forks)
		for _, raw := range forks { // this one the last
			_, _ = k.set.Add(raw)
		}
		raw, _ := k.op(honest, Body{Leave: &Leave{}}, false, heads[len(heads)-5:]...)
		if out, err := k.set.Add(raw); out != Added {
			t.Fatal(out, err)
		}
		if out, err := other.set.Add(raw); out != Waiting {
			t.Fatal(out, err)
		}
		for _, h := range other.set.Missing() {
			_, missing := k.set.Operation(h)
			_, _ = other.set.Add(missing)
		}
		if got := other.set.Has(HashOperation(raw)); got != (name == "rule") {
			t.Errorf("%s: the honest member's operation is there: %v", name, got)
		}
		if n := other.set.spent[forger.Identity]; n > MaxPlainOperations {
			t.Errorf("%s: the forger has %d operations", name, n)
		}
	}
}

// TestWaitingIsShared covers ROS-2: nobody crowds others out of the store, nor waits there under another's name.
func TestWaitingIsShared(t *testing.T) {
	for name, off := range map[string]protections{"rule": {}, "twin": {sharing: true}} {
		k := newCrowd(t, off)
		hostile, honest, late := k.bundle(7, 0), k.bundle(8, 0), k.bundle(9, 0)
		k.join(k.bundle(0, 0), hostile)
		k.join(k.bundle(0, 0), honest)
		add := func(b crypto.Bundle, i int) error {
			raw, _ := k.op(b, Body{Leave: &Leave{}}, true, fakeHash('?', uint64(i)))
			_, err := k.set.Add(raw)
			return err
		}
		for i := range MaxWaiting + 10 {
			if err := add(hostile, i); (err == nil) != (i < MaxWaiting) {
				t.Fatalf("operation %d: %v", i, err)
			}
		}
		for i := range 10 {
			if err := add(honest, -1-i); (err == nil) != (name == "rule") {
				t.Errorf("%s: an honest member's operation: %v", name, err)
			}
			if err := add(late, -100-i); (err == nil) != (name == "rule") {
				t.Errorf("%s: an operation of somebody not known yet: %v", name, err)
			}
		}
		if n := len(k.set.waiting.ops); n != MaxWaiting {
			t.Errorf("%d wait", n)
		}
	}

	c, creator, _, _, client := court(t)
	o := Operation{Author: creator.inc.Bundle().Hash(), Heads: []crypto.Hash{fakeHash('?', 1)}, Body: Body{Leave: &Leave{}}}
	raw, err := o.sign(c.meeting, client.inc)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.set.Add(raw); err == nil {
		t.Errorf("it waits under another's name: %v", out)
	}
}

// TestWaiting covers ROS-2: whatever the order, all come in once their past is there; what builds on something that is
// refused for good waits no longer.
func TestWaiting(t *testing.T) {
	c, creator, _, _, client := court(t)
	var raws [][]byte
	for range 40 {
		raw, _, err := c.set.Author(creator.inc, clock, policy(Open))
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, raw)
	}
	late := must[*Set](t)(NewSet(c.genesis, c.meeting))
	var early [][]byte
	c.set.All(func(_ crypto.Hash, raw []byte) bool { early = append(early, raw); return true })
	slices.Reverse(early)
	for _, raw := range early {
		if _, err := late.Add(raw); err != nil {
			t.Fatal(err)
		}
	}
	if late.Digest() != c.set.Digest() || len(late.waiting.ops)+len(late.waiting.wanted)+len(late.waiting.share) > 0 {
		t.Errorf("%d of %d, %d wait", late.Len(), c.set.Len(), len(late.waiting.ops))
	}

	// An operation with a wrong signature, one on top of it, and one on top of that.
	raws = raws[:0]
	bad := Operation{Author: client.inc.Bundle().Hash(), Heads: []crypto.Hash{client.intro}, Body: leave()}
	first, err := bad.sign(c.meeting, creator.inc)
	if err != nil {
		t.Fatal(err)
	}
	raws = append(raws, first)
	for range 2 {
		o := Operation{Author: creator.inc.Bundle().Hash(), Heads: []crypto.Hash{HashOperation(raws[len(raws)-1])}, Body: policy(Open)}
		raw, err := o.sign(c.meeting, creator.inc)
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, raw)
	}
	for i := len(raws) - 1; i >= 0; i-- {
		if out, err := c.set.Add(raws[i]); (err == nil) != (i > 0) {
			t.Errorf("operation %d: %v, %v", i, out, err)
		}
	}
	if len(c.set.Missing()) != 0 || len(c.set.waiting.ops) != 0 {
		t.Error("what builds on a bad operation still waits")
	}
}

// TestManyHeads covers ROS-1: a thousand heads of a plain member's don't keep a host from building on a removal, so
// that the links made after it live.
func TestManyHeads(t *testing.T) {
	c, creator, senior, _, client := court(t)
	h := c.set.Heads()
	for range 3 * MaxHeads {
		c.invite(client, client.intro)
	}
	c.do(senior, setRole(client, RoleViewer), h...)
	removal := c.do(senior, remove(client), h...)
	for name, off := range map[string]protections{"rule": {}, "twin": {headOrder: true}} {
		set := c.set.clone()
		set.off = off
		_, invite, err := set.Author(creator.inc, clock, Body{Invite: &Invite{Key: crypto.NewInvite().Secret.Key()}})
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Roster().DeadInvite(invite); got != (name == "twin") {
			t.Errorf("%s: the new link is dead: %v", name, got)
		}
	}
	if heads := c.set.HeadsToName(); len(heads) != MaxHeads || !slices.Contains(heads, removal) || !slices.IsSortedFunc(heads, crypto.Hash.Compare) {
		t.Error("the heads to name")
	}
}

// TestRosterStays checks that a roster answers for the operations it was folded from, whatever is added later.
func TestRosterStays(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	l := c.invite(creator)
	old := c.set.Roster()
	say := func() string {
		return fmt.Sprint(old.Void(l.op), old.DeadInvite(l.op), old.Banned(client.identity.Public()), old.RemovedBy(client.identity.Public()),
			old.HasLeft(senior.inc.Bundle().Hash()), old.Equivocation(junior.identity.Public()), old.MayAdmit(junior.identity.Public()), old.Hash)
	}
	was := say()
	h := c.set.Heads()
	c.do(creator, ban(client))
	c.do(senior, leave())
	c.invite(junior, h...)
	later := c.invite(junior, h...)
	if say() != was {
		t.Errorf("%s became %s", was, say())
	}
	check(t, "a link that came later is dead", old.DeadInvite(later.op), true)
	if v := old.Void(later.op); v != VoidNotIn {
		t.Errorf("void: %q", v)
	}
	check(t, "what isn't an Invite is a dead link", c.set.Roster().DeadInvite(client.intro), true)
}
