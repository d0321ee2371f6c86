package roster

import (
	"testing"

	"github.com/huisclos/huisclos/crypto"
)

// Each attack of SPEC §6 is carried out twice: against the rules, where it must fail, and, as its twin, against a
// fold with the one rule switched off, where it must succeed. A test whose twin fails proves nothing.

// court is a meeting with a creator, two hosts of different rank and a plain member.
func court(t testing.TB) (c *cast, creator, senior, junior, client *actor) {
	c = newCast(t, DefaultPolicy())
	creator = c.people[0]
	senior, junior, client = c.join(creator, "senior"), c.join(creator, "junior"), c.join(creator, "client")
	c.promote(creator, senior)
	c.promote(creator, junior)
	return c, creator, senior, junior, client
}

func remove(a *actor) Body { return Body{Remove: &Remove{Identity: a.identity.Public()}} }
func ban(a *actor) Body    { return Body{Remove: &Remove{Identity: a.identity.Public(), Ban: true}} }
func setRole(a *actor, r Role) Body {
	return Body{SetRole: &SetRole{Introduction: a.intro, Role: r}}
}
func policy(e Entry) Body {
	p := DefaultPolicy()
	p.Entry = e
	return Body{SetPolicy: &SetPolicy{Policy: p}}
}

func check(t *testing.T, what string, got, want bool) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestInferiorTouchesNobodyAbove covers ROS-6, ROS-7 and ROS-8.
func TestInferiorTouchesNobodyAbove(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	before := c.set.Heads()
	c.do(junior, remove(senior))
	c.do(junior, remove(creator))
	c.do(client, remove(junior))
	c.do(junior, setRole(senior, RoleViewer))
	for _, a := range []*actor{creator, senior, junior} {
		check(t, a.name+" is host", c.role(a) == RoleHost, true)
	}
	check(t, "twin: senior is in", c.inWithout(senior, protections{belowOnly: true}), false)

	// The back-dated coup: junior is demoted and removes its superior in a past before that.
	c.do(senior, setRole(junior, RoleMember))
	c.do(junior, remove(senior), before...)
	check(t, "senior after the coup", c.role(senior) == RoleHost, true)
	check(t, "junior after the coup", c.role(junior) == RoleMember, true)
}

// TestNoMutualRemoval covers ROS-8: of two hosts who remove each other only the superior succeeds.
func TestNoMutualRemoval(t *testing.T) {
	c, _, senior, junior, _ := court(t)
	h := c.set.Heads()
	c.do(senior, remove(junior), h...)
	c.do(junior, remove(senior), h...)
	check(t, "senior in", c.in(senior), true)
	check(t, "junior in", c.in(junior), false)
	check(t, "twin: senior in", c.inWithout(senior, protections{belowOnly: true, cuts: true}), false)
}

// TestLaterPromotionDoesNotProtect covers ROS-8: who was removed while plain isn't saved by a promotion that knew of it.
func TestLaterPromotionDoesNotProtect(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	c.do(junior, remove(client))
	_ = senior
	c.promote(creator, client) // re-admits the introduction it names: the creator is above junior (ROS-11, ROS-13)
	check(t, "client is host", c.role(client) == RoleHost, true)
	c.do(junior, remove(client)) // client's rank is below junior's
	check(t, "client in", c.in(client), false)
}

// TestRemovedHostsBackdatedAdmission covers ROS-12: what a removed host does beside its removal is void, and whom it
// admitted is out.
func TestRemovedHostsBackdatedAdmission(t *testing.T) {
	c, creator, _, junior, _ := court(t)
	l := c.invite(junior)
	h := c.set.Heads()
	puppet := c.stranger("puppet")
	c.do(creator, remove(junior))
	c.do(junior, l.admit(junior, puppet), h...)
	check(t, "puppet in", c.in(puppet), false)
	check(t, "twin: puppet in", c.inWithout(puppet, protections{cuts: true, removal: true}), true)
}

// TestDemotedHost covers ROS-12: demotion ends the tenure beside and after it; what came before stands.
func TestDemotedHost(t *testing.T) {
	c, creator, _, junior, client := court(t)
	early := c.join(junior, "early")
	h := c.set.Heads()
	c.do(creator, setRole(junior, RoleMember))
	c.do(junior, remove(client), h...)
	check(t, "client in", c.in(client), true)
	check(t, "early in", c.in(early), true)
	check(t, "junior is member", c.role(junior) == RoleMember, true)
	check(t, "twin: client in", c.inWithout(client, protections{cuts: true}), false)
	c.promote(creator, junior)
	c.do(junior, remove(client))
	check(t, "client in, after junior was promoted again", c.in(client), false)
}

// TestRemovalKillsLinks covers ROS-10: every removal kills all older links, by old and new keys.
func TestRemovalKillsLinks(t *testing.T) {
	c, creator, senior, _, client := court(t)
	old := c.invite(senior)
	dead := c.set.Roster().DeadInvite(old.op)
	check(t, "link is dead before", dead, false)
	c.do(creator, remove(client))
	check(t, "link is dead after", c.set.Roster().DeadInvite(old.op), true)
	newKey := c.stranger("the client under a new key")
	c.do(senior, old.admit(senior, newKey))
	check(t, "new key by the old link", c.in(newKey), false)
	check(t, "twin: new key by the old link", c.inWithout(newKey, protections{deadLinks: true}), true)
	fresh := c.stranger("somebody else")
	c.do(senior, c.invite(senior).admit(senior, fresh))
	check(t, "control: somebody by a new link", c.in(fresh), true)
}

// TestRemovalBeatsConcurrentAdmission covers ROS-11, with the bans.
func TestRemovalBeatsConcurrentAdmission(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	l := c.invite(senior)
	h := c.set.Heads()
	c.do(junior, remove(client), h...)
	back := &actor{name: "client", identity: client.identity}
	back.inc, _ = client.identity.NewIncarnation(c.meeting)
	c.do(senior, l.admit(senior, back), h...)
	check(t, "client in by a concurrent Admit", c.in(client), false)
	check(t, "twin", c.inWithout(client, protections{removal: true}), true)

	// After the removal a superior of the remover may admit again, an inferior not.
	fresh := c.invite(senior)
	c.do(senior, fresh.admit(senior, back2(t, c, client)))
	check(t, "client in by a later Admit of the remover's superior", c.in(client), true)
	c.do(creator, ban(client))
	fresh = c.invite(creator)
	c.do(creator, fresh.admit(creator, back2(t, c, client)))
	check(t, "client in after a ban, by a new link of the creator's", c.in(client), false)
	check(t, "client is banned", c.set.Roster().Banned(client.identity.Public()), true)
	check(t, "twin", c.inWithout(client, protections{bans: true}), true)
}

func back2(t testing.TB, c *cast, a *actor) *actor {
	inc, err := a.identity.NewIncarnation(c.meeting)
	if err != nil {
		t.Fatal(err)
	}
	return &actor{name: a.name, identity: a.identity, inc: inc}
}

// TestInferiorDoesNotReadmit covers ROS-11: an admission by a rank below the remover's doesn't undo the removal.
func TestInferiorDoesNotReadmit(t *testing.T) {
	c, creator, _, junior, client := court(t)
	c.do(creator, remove(client))
	l := c.invite(junior)
	c.do(junior, l.admit(junior, back2(t, c, client)))
	check(t, "client in", c.in(client), false)
	check(t, "twin", c.inWithout(client, protections{removal: true}), true)
}

// TestResume covers ROS-16: who is on the roster comes back by their own signature, even locked; who isn't does not.
func TestResume(t *testing.T) {
	c, creator, senior, _, client := court(t)
	c.do(creator, policy(Locked))
	old := *client
	c.resume(client)
	m := c.set.Roster().Member(client.identity.Public())
	if m == nil || m.Bundle != client.inc.Bundle() {
		t.Fatal("the new incarnation isn't current")
	}
	check(t, "nonces are the Admit's", m.JoinerNonce == crypto.Nonce{1}, true)
	h := c.set.Heads()
	c.do(senior, remove(client), h...)
	back := *client
	back.inc, _ = client.identity.NewIncarnation(c.meeting)
	c.do(&back, Body{Resume: &Resume{Bundle: back.inc.Bundle(), Name: "client"}}, h...)
	check(t, "client in by a Resume beside the removal", c.in(client), false)
	check(t, "twin", c.inWithout(client, protections{removal: true}), true)
	_ = old

	// The creator's rank and a host's tenure outlive their incarnations.
	c.resume(creator)
	c.resume(senior)
	check(t, "senior is host", c.role(senior) == RoleHost, true)
	guest := c.stranger("guest")
	c.do(creator, policy(Ask))
	c.do(senior, c.invite(senior).admit(senior, guest))
	check(t, "guest in, admitted by the resumed host", c.in(guest), true)
}

// TestOldDeviceGrantsNothing covers ROS-16: an ended incarnation's back-dated grants are void, its removals stand.
func TestOldDeviceGrantsNothing(t *testing.T) {
	c, _, senior, _, client := court(t)
	l := c.invite(senior)
	h := c.set.Heads()
	old := *senior
	c.resume(senior)
	puppet := c.stranger("puppet")
	c.do(&old, l.admit(&old, puppet), h...)
	check(t, "puppet in", c.in(puppet), false)
	check(t, "twin", c.inWithout(puppet, protections{ended: true}), true)
	c.do(&old, remove(client), h...)
	check(t, "client in, removed just before the crash", c.in(client), false)
}

// TestLock covers ROS-15.
func TestLock(t *testing.T) {
	c, creator, senior, junior, _ := court(t)
	low, high := c.invite(junior), c.invite(creator)
	h := c.set.Heads()
	c.do(senior, policy(Locked), h...)
	a, b := c.stranger("by an inferior"), c.stranger("by a superior")
	c.do(junior, low.admit(junior, a), h...)
	c.do(creator, high.admit(creator, b), h...)
	check(t, "admitted by an inferior beside the lock", c.in(a), false)
	check(t, "twin", c.inWithout(a, protections{lock: true}), true)
	check(t, "admitted by a superior beside the lock", c.in(b), true)
	late := c.stranger("late")
	c.do(creator, high.admit(creator, late))
	check(t, "admitted after the lock", c.in(late), false)
	check(t, "twin", c.inWithout(late, protections{lock: true}), true)
}

// TestRepeatedKeys covers ROS-5: a bundle that was on the roster doesn't come back.
func TestRepeatedKeys(t *testing.T) {
	c, creator, _, _, client := court(t)
	c.do(client, Body{Leave: &Leave{}})
	l := c.invite(creator)
	again := c.do(creator, l.admit(creator, client))
	check(t, "client in by its old bundle", c.in(client), false)
	if v := c.set.Roster().Void(again); v != VoidRepeatedKey {
		t.Errorf("void: %q", v)
	}
	if v := c.set.foldWithout(protections{repeatedKeys: true}).Void(again); v != NotVoid {
		t.Errorf("twin: void: %q", v)
	}
}

// TestPuppetWithCreatorsKey covers IDN-7, ROS-3 and ROS-5: a bundle that claims another's meeting key neither speaks for
// them nor displaces them.
func TestPuppetWithCreatorsKey(t *testing.T) {
	c, creator, _, junior, _ := court(t)
	l := c.invite(junior)
	puppet := c.stranger("puppet")
	bundle := puppet.inc.Bundle()
	claim := creator.inc.Bundle().MeetingKey
	bundle.MeetingKey = claim
	// Its own identity signs it: only the meeting key is another's.
	raw := signBundle(t, puppet, c.meeting, bundle)
	body := l.admit(junior, puppet) // signed with the key it has
	body.Admit.Bundle = raw
	if _, err := c.set.Add(c.sign(junior, body)); !IsRefused(err) {
		t.Errorf("a puppet with a key it hasn't: %v", err)
	}
	c.set.off.knocks = true // as if the creator had helped
	// Beside the creator's Resume, so that the key isn't in the Admit's past: that is impossible for the first
	// Resume, which is in everybody's past, so the rule of ROS-5 answers.
	h := c.do(junior, body)
	if v := c.set.Roster().Void(h); v != VoidRepeatedKey {
		t.Errorf("void: %q", v)
	}
	off := c.set.foldWithout(protections{repeatedKeys: true})
	if m := off.Member(creator.identity.Public()); m == nil || !m.Creator {
		t.Error("the creator must stay even so: of two members with one key the better rank stays")
	}
	if off.Member(puppet.identity.Public()) != nil {
		t.Error("the puppet shares the roster with the creator's key")
	}
}

// TestEquivocation covers ROS-19.
func TestEquivocation(t *testing.T) {
	c, creator, senior, junior, _ := court(t)
	h := c.set.Heads()
	guest := c.join(junior, "guest")
	c.do(junior, policy(Open), h...)
	suspended := func(a *actor) bool { return c.set.Roster().Member(a.identity.Public()).Equivocated }
	check(t, "junior is suspended", suspended(junior), true)
	check(t, "guest in: nothing is voided", c.in(guest), true)
	if proof := c.set.Roster().Equivocation(junior.identity.Public()); len(proof) != 2 {
		t.Error("no proof")
	}
	c.resume(junior)
	check(t, "junior is suspended after a Resume", suspended(junior), true)
	c.do(senior, setRole(junior, RoleHost))
	check(t, "junior is suspended after a superior re-admitted", suspended(junior), false)
	c.do(creator, policy(Ask), h...)
	c.do(creator, policy(Open), h...)
	check(t, "the creator is shown", suspended(creator), true)
	check(t, "the creator is host", c.role(creator) == RoleHost, true)
}

// TestLeaveAndEnd covers ROS-17 and ROS-18.
func TestLeaveAndEnd(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	c.do(junior, Body{Leave: &Leave{}})
	check(t, "junior in", c.in(junior), false)
	l := c.invite(creator)
	again := back2(t, c, junior)
	c.do(creator, l.admit(creator, again))
	check(t, "junior is a plain member after coming back", c.role(junior) == RoleMember, true)
	c.do(creator, Body{Leave: &Leave{}})
	check(t, "creator in", c.in(creator), false)
	c.resume(creator)
	check(t, "creator is host after coming back", c.role(creator) == RoleHost, true)
	c.do(client, Body{End: &End{}})
	c.promote(senior, client)
	c.do(client, Body{End: &End{}})
	check(t, "ended by a plain member, and by a host whom a host made", c.set.Roster().Ended, false)
	c.do(senior, Body{End: &End{}})
	check(t, "ended by a host", c.set.Roster().Ended, true)
	check(t, "senior in", c.in(senior), false)
}

// TestRoles covers ROS-13 and ROS-9.
func TestRoles(t *testing.T) {
	p := DefaultPolicy()
	p.Admitters = HostsAndMembers
	c := newCast(t, p)
	creator := c.people[0]
	a, b := c.join(creator, "a"), c.join(creator, "b")
	guest := c.join(a, "guest")
	check(t, "guest in, admitted by a member", c.in(guest), true)
	h := c.set.Heads()
	c.do(creator, setRole(b, RoleViewer), h...)
	l := link{invite: crypto.NewInvite()}
	l.op = c.do(b, Body{Invite: &Invite{Key: l.invite.Secret.Key()}}, h...)
	check(t, "a viewer's invite beside the change is dead", c.set.Roster().DeadInvite(l.op), true)
	check(t, "b is viewer", c.role(b) == RoleViewer, true)
	c.do(creator, setRole(b, RoleMember))
	guest2 := c.join(b, "guest 2")
	check(t, "guest 2 in", c.in(guest2), true)
	if r := c.set.Roster(); !r.MayAdmit(a.identity.Public()) || r.Policy.Allows(RoleViewer) != Chat {
		t.Error("rights by the policy")
	}
}

// TestConcurrentPolicies covers ROS-14: the superior's wins, whichever hash is lower.
func TestConcurrentPolicies(t *testing.T) {
	for range 8 {
		c, _, senior, junior, _ := court(t)
		h := c.set.Heads()
		c.do(junior, policy(Open), h...)
		c.do(senior, policy(Locked), h...)
		if e := c.set.Roster().Policy.Entry; e != Locked {
			t.Fatalf("entry %d", e)
		}
		c.do(junior, policy(Open))
		if e := c.set.Roster().Policy.Entry; e != Open {
			t.Fatalf("entry after a later one: %d", e)
		}
	}
}

// TestPromotionImpliesAdmission covers ROS-13: who was promoted stays when their admitter's powers are cut.
func TestPromotionImpliesAdmission(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	l := c.invite(junior)
	h := c.set.Heads()
	c.do(senior, setRole(junior, RoleMember), h...)
	guest := c.stranger("guest")
	guest.intro = c.do(junior, l.admit(junior, guest), h...)
	check(t, "guest in", c.in(guest), false)
	c.promote(creator, guest)
	check(t, "guest is host", c.role(guest) == RoleHost, true)
	c.do(guest, remove(client))
	check(t, "client in", c.in(client), false)
}
