package roster

import (
	"testing"

	"github.com/huisclos/huisclos/crypto"
)

// TestPossession covers IDN-7: where members may admit, a hostile one can't keep somebody out by admitting a puppet with
// that person's meeting key first. The twin can.
func TestPossession(t *testing.T) {
	for name, off := range map[string]protections{"rule": {}, "twin": {knocks: true}} {
		c := newCast(t, members())
		c.set.off = off
		hostile, honest := c.join(c.people[0], "hostile"), c.join(c.people[0], "honest")
		own, l := c.invite(hostile), c.invite(honest)
		victim, puppet := c.stranger("victim"), c.stranger("puppet")
		b := puppet.inc.Bundle()
		b.MeetingKey = victim.inc.Key() // as it was seen at the hostile's door, or told by another's
		body := own.admit(hostile, puppet)
		body.Admit.Bundle = signBundle(t, puppet, c.meeting, b)
		if _, err := c.set.Add(c.sign(hostile, body)); IsRefused(err) == off.knocks {
			t.Errorf("%s: the puppet: %v", name, err)
		}
		h := c.do(honest, l.admit(honest, victim))
		check(t, name+": the victim is in", c.in(victim), !off.knocks)
		if want := map[bool]Void{true: VoidRepeatedKey}[off.knocks]; c.set.Roster().Void(h) != want {
			t.Errorf("%s: void: %q", name, c.set.Roster().Void(h))
		}
	}
}

// TestKnockElsewhere covers IDN-7: whoever isn't the responder can't admit by a knock that it was told of, under another
// name, with nonces or a link of its choice. The twin can.
func TestKnockElsewhere(t *testing.T) {
	for name, off := range map[string]protections{"rule": {}, "twin": {knocks: true}} {
		c := newCast(t, members())
		c.set.off = off
		hostile, honest := c.join(c.people[0], "hostile"), c.join(c.people[0], "honest")
		own, l := c.invite(hostile), c.invite(honest)
		for what, change := range map[string]func(by *actor, a *Admit) *actor{
			"at another's door": func(by *actor, a *Admit) *actor { return hostile },
			"another name":      func(by *actor, a *Admit) *actor { a.Name = "somebody else"; return by },
			"other nonces":      func(by *actor, a *Admit) *actor { a.JoinerNonce = crypto.Nonce{9}; return by },
			"another link":      func(by *actor, a *Admit) *actor { a.Invite = own.op; return by },
		} {
			body := l.admit(honest, c.stranger("victim"))
			by := change(honest, body.Admit)
			if _, err := c.set.Add(c.sign(by, body)); IsRefused(err) == off.knocks {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

// TestClaimedStatic covers ROS-5: a puppet that claims somebody's static keeps nobody out. The twin, in which a repeated
// static counts, does.
func TestClaimedStatic(t *testing.T) {
	for name, off := range map[string]protections{"rule": {}, "twin": {statics: true}} {
		c := newCast(t, members())
		c.set.off = off
		hostile, honest := c.join(c.people[0], "hostile"), c.join(c.people[0], "honest")
		own, l := c.invite(hostile), c.invite(honest)
		victim, puppet := c.stranger("victim"), c.stranger("puppet")
		b := puppet.inc.Bundle()
		b.Static = victim.inc.Bundle().Static
		b = signBundle(t, puppet, c.meeting, b)
		body := own.admit(hostile, puppet)
		body.Admit.Bundle = b
		body.Admit.Signature = signFor(puppet, own, hostile, b)
		c.do(hostile, body)
		check(t, name+": the puppet is in", c.in(puppet), true)
		c.do(honest, l.admit(honest, victim))
		check(t, name+": the victim is in", c.in(victim), !off.statics)
	}
}

// signFor signs, with an actor's own meeting key, a knock by another bundle than its own.
func signFor(a *actor, l link, by *actor, b crypto.Bundle) crypto.Signature {
	h, key, invite := b.Hash(), by.inc.Key(), l.invite.Secret.Key()
	joiner, responder := crypto.Nonce{1}, crypto.Nonce{2}
	meeting := a.inc.Meeting()
	return a.inc.Sign("knock", meeting[:], invite[:], key[:], h[:], joiner[:], responder[:], []byte(a.name))
}
