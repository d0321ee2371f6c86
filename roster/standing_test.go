package roster

import (
	"testing"

	"github.com/huisclos/huisclos/crypto"
)

// More attacks of SPEC §6, by those who left, restarted, were demoted or hold an old device, and by admitters against
// each other's guests. As in attack_test.go each has its twin.

func leave() Body { return Body{Leave: &Leave{}} }

// members is a meeting in which members may invite and admit.
func members() Policy {
	p := DefaultPolicy()
	p.Admitters = HostsAndMembers
	return p
}

// another gives a person a further incarnation, which isn't in.
func (c *cast) another(a *actor) *actor { return back2(c.t, c, a) }

// resumeAs is a Resume of that incarnation.
func resumeAs(a *actor) Body { return Body{Resume: &Resume{Bundle: a.inc.Bundle(), Name: a.name}} }

func (c *cast) current(a *actor) bool {
	m := c.set.Roster().Member(a.identity.Public())
	return m != nil && m.Bundle == a.inc.Bundle()
}

func (c *cast) currentWithout(a *actor, off protections) bool {
	m := c.set.foldWithout(off).Member(a.identity.Public())
	return m != nil && m.Bundle == a.inc.Bundle()
}

func (c *cast) void(t *testing.T, what string, h crypto.Hash, want Void) {
	t.Helper()
	if v := c.set.Roster().Void(h); v != want {
		t.Errorf("%s: void: %q, want %q", what, v, want)
	}
}

// TestLineOfAuthority covers ROS-6: the shorter line first, however late; of equal ones the one begun earlier.
func TestLineOfAuthority(t *testing.T) {
	c := newCast(t, DefaultPolicy())
	creator := c.people[0]
	first, short, long := c.join(creator, "first"), c.join(creator, "short"), c.join(creator, "long")
	c.promote(creator, first)
	c.promote(first, long)
	c.promote(creator, short)
	c.resume(first) // a restart doesn't change anything
	r := c.set.Roster()
	of := func(a *actor) *Member { return r.Member(a.identity.Public()) }
	line := []*actor{creator, first, short, long}
	for i, a := range line {
		for j, b := range line {
			check(t, a.name+" above "+b.name, of(a).Above(of(b)), i < j)
		}
	}
	c.do(long, remove(short))
	check(t, "short in", c.in(short), true)
	check(t, "twin", c.inWithout(short, protections{belowOnly: true}), false)
	c.do(short, remove(long))
	check(t, "long in", c.in(long), false)
}

// TestLeaverNeedsALink covers ROS-16 and ROS-17: who left, host or not, doesn't come back by a Resume, not even if a
// superior promotes them beside it.
func TestLeaverNeedsALink(t *testing.T) {
	c, creator, senior, _, client := court(t)
	h := c.set.Heads()
	for _, a := range []*actor{senior, client} {
		gone := c.do(a, leave())
		again := c.another(a)
		c.do(again, resumeAs(again), gone)
		check(t, a.name+" in, by a Resume after leaving", c.in(a), false)
		check(t, "twin", c.inWithout(a, protections{leaves: true}), true)
	}
	c.do(creator, setRole(client, RoleHost), h...)
	check(t, "client in, promoted beside leaving", c.in(client), false)

	// By a link they come back, as plain members; then they can resume again.
	back := c.another(senior)
	back.intro = c.do(creator, c.invite(creator).admit(creator, back))
	check(t, "senior is a plain member", c.role(senior) == RoleMember, true)
	c.resume(back)
	check(t, "senior is current after a restart", c.current(back), true)
	check(t, "senior is a plain member after a restart", c.role(senior) == RoleMember, true)
}

// TestOldDeviceDoesNotLeaveForItsOwner covers ROS-7 and ROS-17: an old device that leaves beside the Resume takes
// neither membership nor rank, and doesn't bar the next restart.
func TestOldDeviceDoesNotLeaveForItsOwner(t *testing.T) {
	c, _, senior, _, client := court(t)
	h := c.set.Heads()
	old := *senior
	c.resume(senior)
	c.do(&old, leave(), h...)
	check(t, "senior is host", c.role(senior) == RoleHost, true)
	c.resume(senior)
	check(t, "senior is host after another restart", c.role(senior) == RoleHost && c.current(senior), true)
	c.do(senior, remove(client))
	check(t, "client in, removed by the resumed host", c.in(client), false)
}

// TestMembersOldDevice covers ROS-16 for plain members: the Resume is deeper than the back-dated Admit, and ends it all
// the same.
func TestMembersOldDevice(t *testing.T) {
	c := newCast(t, members())
	creator := c.people[0]
	member := c.join(creator, "member")
	l := c.invite(member)
	h := c.set.Heads()
	for range 3 {
		c.do(creator, policyOf(members()))
	}
	old := *member
	c.resume(member)
	puppet := c.stranger("puppet")
	c.do(&old, l.admit(&old, puppet), h...)
	check(t, "puppet in", c.in(puppet), false)
	check(t, "twin", c.inWithout(puppet, protections{ended: true}), true)
}

func policyOf(p Policy) Body { return Body{SetPolicy: &SetPolicy{Policy: p}} }

// TestRestartUndoesNoInvite covers ROS-16: who made a link can't void, by a back-dated Resume, what a superior admitted
// by it.
func TestRestartUndoesNoInvite(t *testing.T) {
	c := newCast(t, members())
	creator := c.people[0]
	member := c.join(creator, "member")
	h := c.set.Heads()
	l := c.invite(member)
	guest := c.stranger("guest")
	c.do(creator, l.admit(creator, guest))
	again := c.another(member)
	c.do(again, resumeAs(again), h...)
	check(t, "guest in", c.in(guest), true)
}

// TestRemovedUndoNothing covers ROS-16: a removed host's back-dated Resume doesn't void what they did before.
func TestRemovedUndoNothing(t *testing.T) {
	c, creator, _, junior, _ := court(t)
	h := c.set.Heads()
	guest := c.join(junior, "guest")
	c.do(creator, remove(junior))
	again := c.another(junior)
	c.do(again, resumeAs(again), h...)
	check(t, "guest in", c.in(guest), true)
	check(t, "junior in", c.in(junior), false)
}

// TestAdmittedTwice covers ROS-11: whoever is on the roster resumes and isn't admitted, not by an inferior, not by a
// superior. So no admitter replaces somebody by a bundle kept from an earlier knock.
func TestAdmittedTwice(t *testing.T) {
	c := newCast(t, members())
	creator := c.people[0]
	hostile, victim, host := c.join(creator, "hostile"), c.join(creator, "victim"), c.join(creator, "host")
	c.promote(creator, host)
	stock := c.another(victim)
	h := c.do(hostile, c.invite(hostile).admit(hostile, stock))
	c.void(t, "an Admit of a kept bundle", h, VoidOnRoster)
	check(t, "victim is current", c.current(victim), true)
	check(t, "twin: the kept bundle is current", c.currentWithout(stock, protections{onRoster: true}), true)
	for _, by := range []*actor{hostile, creator} {
		want := VoidOnRoster
		if by == hostile {
			want = VoidSuperior
		}
		c.void(t, "an Admit of a host by "+by.name, c.do(by, c.invite(by).admit(by, c.another(host))), want)
		check(t, "host is host", c.role(host) == RoleHost && c.current(host), true)
	}
	c.do(host, remove(victim))
	check(t, "the host still acts", c.in(victim), false)
}

// TestBackdatedKeptBundle covers ROS-5: beside the victim's admission, where the rule above can't see, an inferior's
// Admit of another bundle of the victim's, or of the same one with other nonces, doesn't prevail, whatever its hash.
func TestBackdatedKeptBundle(t *testing.T) {
	won := 0
	for range 12 {
		c := newCast(t, members())
		creator := c.people[0]
		hostile := c.join(creator, "hostile")
		own, l := c.invite(hostile), c.invite(creator)
		h := c.set.Heads()
		victim := c.stranger("victim")
		c.do(creator, l.admit(creator, victim), h...)
		c.do(hostile, own.admit(hostile, c.another(victim)), h...)
		c.do(hostile, own.admitWith(hostile, victim, crypto.Nonce{77}), h...)
		m := c.set.Roster().Member(victim.identity.Public())
		if m == nil || m.Bundle != victim.inc.Bundle() || m.JoinerNonce != (crypto.Nonce{1}) {
			t.Fatal("the victim was displaced")
		}
		off := c.set.foldWithout(protections{preference: true}).Member(victim.identity.Public())
		if off.Bundle != victim.inc.Bundle() || off.JoinerNonce != (crypto.Nonce{1}) {
			won++
		}
	}
	check(t, "twin: by its hash the inferior's prevails at times", won > 0, true)
}

// TestPuppetBesideItsVictim covers ROS-5: a puppet with a member's meeting key, admitted beside that member by an
// inferior of whoever admitted it, is dropped, whatever its hash; and so is one that claims a resumed member's.
func TestPuppetBesideItsVictim(t *testing.T) {
	won := 0
	for i := range 12 {
		c := newCast(t, members())
		c.set.off.knocks = true // or the victim would have to help
		creator := c.people[0]
		hostile := c.join(creator, "hostile")
		own, l := c.invite(hostile), c.invite(creator)
		h := c.set.Heads()
		victim := c.stranger("victim")
		victim.intro = c.do(creator, l.admit(creator, victim), h...)
		if i%2 == 1 {
			c.resume(victim)
		}
		puppet := c.stranger("puppet")
		b := puppet.inc.Bundle()
		b.MeetingKey = victim.inc.Bundle().MeetingKey
		b = signBundle(t, puppet, c.meeting, b)
		c.do(hostile, Body{Admit: &Admit{Bundle: b, Name: "puppet", Invite: own.op}}, h...)
		if m := c.set.Roster().ByMeetingKey(b.MeetingKey); m == nil || m.Identity() != victim.identity.Public() || c.in(puppet) {
			t.Fatal("the victim was displaced")
		}
		if !c.inWithout(victim, protections{preference: true}) {
			won++
		}
	}
	check(t, "twin: by its hash the puppet prevails at times", won > 0, true)
}

// TestPromotionOfARepeatedKey covers ROS-5: a promotion doesn't bring back a bundle that was on the roster.
func TestPromotionOfARepeatedKey(t *testing.T) {
	c, creator, _, junior, client := court(t)
	old := *client
	c.resume(client)
	old.intro = c.do(junior, c.invite(junior).admit(junior, &old))
	h := c.promote(junior, &old)
	c.void(t, "the promotion", h, VoidRepeatedKey)
	check(t, "client is current", c.current(client), true)
	check(t, "twin: the old device is", c.currentWithout(&old, protections{repeatedKeys: true, onRoster: true}), true)
	_ = creator
}

// TestRightTakenAway covers ROS-15: once admission is the hosts', no member admits or invites by a past before that.
func TestRightTakenAway(t *testing.T) {
	c := newCast(t, members())
	creator := c.people[0]
	member := c.join(creator, "member")
	l := c.invite(member)
	h := c.set.Heads()
	c.do(creator, policyOf(DefaultPolicy()))
	puppet := c.stranger("puppet")
	c.do(member, l.admit(member, puppet), h...)
	invite := c.invite(member, h...)
	check(t, "puppet in", c.in(puppet), false)
	check(t, "the link is dead", c.set.Roster().DeadInvite(invite.op), true)
	check(t, "twin", c.inWithout(puppet, protections{withdrawal: true}), true)
	c.do(creator, policyOf(members()))
	guest := c.stranger("guest")
	c.do(member, c.invite(member).admit(member, guest))
	check(t, "guest in, when members may again", c.in(guest), true)
}

// TestDemotionStands covers ROS-12 and ROS-13: what a superior demoted an inferior doesn't promote, before, after or
// beside; Author says so.
func TestDemotionStands(t *testing.T) {
	c, creator, _, junior, client := court(t)
	h := c.set.Heads()
	c.do(creator, setRole(client, RoleViewer), h...)
	beside := c.promote(junior, client, h...)
	c.void(t, "a promotion beside", beside, VoidDemoted)
	_, _, err := c.set.Author(junior.inc, clock, setRole(client, RoleHost))
	if v, ok := err.(*VoidError); !ok || v.Reason != VoidDemoted {
		t.Errorf("a promotion after: %v", err)
	}
	after := c.promote(junior, client)
	check(t, "client is viewer", c.role(client) == RoleViewer, true)
	off := c.set.foldWithout(protections{demotion: true})
	if off.Void(after) != NotVoid || off.Member(client.identity.Public()).Role == RoleViewer {
		t.Error("twin: the promotion must have an effect")
	}
	c.promote(creator, client)
	check(t, "client is host by the creator", c.role(client) == RoleHost, true)
}

// TestLastWordAboutARole covers ROS-13: what the roster shows is what holds for operations, whoever spoke last.
func TestLastWordAboutARole(t *testing.T) {
	c := newCast(t, members())
	creator := c.people[0]
	senior, junior, client := c.join(creator, "senior"), c.join(creator, "junior"), c.join(creator, "client")
	c.promote(creator, senior)
	c.promote(creator, junior)
	works := func(what string, want bool) {
		t.Helper()
		guest := c.stranger("guest")
		c.do(client, c.invite(client).admit(client, guest))
		check(t, what+": guest in", c.in(guest), want)
		check(t, what+": may admit", c.set.Roster().MayAdmit(client.identity.Public()), want)
		check(t, what+": is viewer", c.role(client) == RoleViewer, !want)
	}
	c.do(senior, setRole(client, RoleViewer))
	works("a viewer", false)
	c.do(junior, setRole(client, RoleMember))
	works("a member again, by an inferior", true)
	h := c.set.Heads()
	c.do(senior, setRole(client, RoleMember), h...)
	c.do(junior, setRole(client, RoleViewer), h...)
	works("the superior's word beside another", true)

	// What somebody does who is removed, and is spoken of after it, stays as the removal left it.
	c.do(senior, remove(client))
	c.do(senior, setRole(client, RoleMember))
	check(t, "client in, by a role below host", c.in(client), false)
}

// TestAccompliceClearsNothing covers ROS-19: only a superior clears an equivocator.
func TestAccompliceClearsNothing(t *testing.T) {
	c := newCast(t, members())
	creator := c.people[0]
	forger, friend := c.join(creator, "forger"), c.join(creator, "friend")
	h := c.set.Heads()
	c.invite(forger, h...)
	c.invite(forger, h...)
	again := c.another(forger)
	c.do(forger, leave())
	c.do(friend, c.invite(friend).admit(friend, again))
	m := c.set.Roster().Member(forger.identity.Public())
	check(t, "forger is in and suspended", m != nil && m.Equivocated, true)
	check(t, "twin", c.set.foldWithout(protections{clearance: true}).Member(forger.identity.Public()).Equivocated, false)
	if proof := c.set.Roster().Equivocation(forger.identity.Public()); len(proof) != 2 {
		t.Error("no proof")
	}
}

// TestOldDeviceSuspendsOnce covers ROS-19: after a superior spoke for the new incarnation, the old one's forks do no
// more, or whoever got hold of it could have its owner suspended for ever; the new one's own forks do.
func TestOldDeviceSuspendsOnce(t *testing.T) {
	c, creator, _, _, client := court(t)
	suspended := func() bool { return c.set.Roster().Member(client.identity.Public()).Equivocated }
	old, first := *client, client.intro
	c.resume(client)
	c.invite(&old, first)
	c.do(&old, policy(Open), first)
	check(t, "suspended by the old device", suspended(), true)
	c.do(creator, setRole(client, RoleMember))
	check(t, "suspended after a superior named the new incarnation", suspended(), false)
	c.do(&old, Body{End: &End{}}, first)
	check(t, "suspended by the old device's next fork", suspended(), false)
	h := c.set.Heads()
	c.invite(client, h...)
	c.invite(client, h...)
	check(t, "suspended by its own fork", suspended(), true)
}

// TestWhoRemoved checks that whoever left after coming back isn't said to have been removed.
func TestWhoRemoved(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	c.do(junior, remove(client))
	last := c.do(senior, remove(client))
	if op, _ := c.set.Operation(last); c.set.Roster().RemovedBy(client.identity.Public()) != op {
		t.Error("not the last removal")
	}
	back := c.another(client)
	c.do(creator, c.invite(creator).admit(creator, back))
	c.do(back, leave())
	check(t, "said to be removed", c.set.Roster().RemovedBy(client.identity.Public()) != nil, false)
	check(t, "left", c.set.Roster().HasLeft(back.inc.Bundle().Hash()), true)
}

// TestCreatorIsNeverOut covers ROS-16: whatever hosts try, the creator resumes with all rights.
func TestCreatorIsNeverOut(t *testing.T) {
	c, creator, senior, junior, _ := court(t)
	h := c.set.Heads()
	c.do(senior, ban(creator), h...)
	c.do(junior, setRole(creator, RoleViewer), h...)
	c.do(senior, c.invite(senior).admit(senior, c.another(creator)))
	c.do(creator, leave())
	c.do(senior, policy(Locked))
	c.resume(creator)
	check(t, "creator is host", c.role(creator) == RoleHost && c.current(creator), true)
	check(t, "twin", c.inWithout(creator, protections{belowOnly: true}), false)
	c.do(creator, remove(senior))
	check(t, "senior in", c.in(senior), false)
	// Two at once, without each other: the lower hash is current, and a third merges them.
	a, b := c.another(creator), c.another(creator)
	h = c.set.Heads()
	c.do(a, resumeAs(a), h...)
	c.do(b, resumeAs(b), h...)
	check(t, "one of both is current", c.current(a) != c.current(b), true)
	c.resume(creator)
	check(t, "the third is current", c.current(creator), true)
}
