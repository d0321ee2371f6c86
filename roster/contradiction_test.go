package roster

import (
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// TestContradiction covers PRE-7: who tells two members two stories is found out by what they echo, and who only says
// that there are two finds nobody believing it.
//
// Checks: PRE-7, PRE-1.
func TestContradiction(t *testing.T) {
	c := newCast(t, DefaultPolicy())
	bad := c.people[0]
	x, y := c.join(bad, "x"), c.join(bad, "y")
	r := c.set.Roster()
	story := func(about string) *Presence {
		p := NewPresence(bad.inc)
		p.Follow(r, clock)
		p.last = crypto.HashOf(about)
		return p
	}
	px, py := NewPresence(x.inc), NewPresence(y.inc)
	px.Follow(r, clock)
	py.Follow(r, clock)
	hear := func(p *Presence, from *actor, raw []byte) *Heartbeat {
		t.Helper()
		b, err := p.Hear(from.inc.Key(), raw, clock)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, other := story("one"), story("other")
	told := beat(t, c, one, clock)
	hear(px, bad, told)
	hear(py, bad, beat(t, c, other, clock))

	// Another heartbeat of x's makes other checks, so that nobody can know beforehand which stories pass.
	b := hear(py, x, beat(t, c, px, clock))
	again := hear(py, x, beat(t, c, px, clock.Add(time.Second)))
	if len(b.Echoes) != 1 || b.Echoes[0].Check == again.Echoes[0].Check {
		t.Fatalf("the check isn't salted: %x, %x", b.Echoes, again.Echoes)
	}
	found := py.Contradictions(b)
	if len(found) != 1 || found[0].Author != bad.inc.Key() {
		t.Fatalf("contradictions: %v", found)
	}
	check(t, "found out before there is proof", py.Equivocates(bad.inc.Key()), false)

	// A liar passes on what the author didn't sign, under a number it has.
	forged := append([]byte(nil), found[0].Heartbeat...)
	forged[len(forged)-1] ^= 1
	lie := Contradiction{bad.inc.Key(), forged}
	check(t, "a lie looks like a contradiction", px.Contradicts(lie), true)
	px.Judge(lie)
	check(t, "a lie is believed", px.Equivocates(bad.inc.Key()), false)
	px.Judge(Contradiction{bad.inc.Key(), told})
	check(t, "the same story is a contradiction", px.Equivocates(bad.inc.Key()), false)

	px.Judge(found[0])
	check(t, "found out", px.Equivocates(bad.inc.Key()), true)
	check(t, "contradicts again", px.Contradicts(found[0]), false)

	// Control: the same story to both is none.
	pz := NewPresence(y.inc)
	pz.Follow(r, clock)
	hear(pz, bad, told)
	if found := pz.Contradictions(b); len(found) != 0 {
		t.Errorf("one story, and yet: %v", found)
	}
	// What isn't kept any more isn't compared.
	for i := range recentBeats {
		hear(py, bad, beat(t, c, other, clock.Add(time.Duration(i))))
	}
	if found := py.Contradictions(b); len(found) != 0 {
		t.Errorf("kept for too long: %v", found)
	}
}
