package roster

import (
	"strings"
	"testing"

	"github.com/huisclos/huisclos/crypto"
)

// pairTable says, for every pair of kinds of operation, whether the one by the inferior of two hosts has effect:
// beside the superior's, after it, before it. The superior's always has. x is void, o is effective.
//
//	rows: what the superior does; Remove and SetRole are about the inferior, SetPolicy locks
//	columns: what the inferior does; Remove is about a plain member, SetRole promotes it, SetPolicy opens
const pairTable = `
            Invite  Admit  Resume  Leave  Remove  SetRole  SetPolicy  End
Invite      ooo     ooo    ooo     ooo    ooo     ooo      ooo        ooo
Admit       ooo     ooo    ooo     ooo    ooo     ooo      ooo        ooo
Resume      ooo     ooo    ooo     ooo    ooo     ooo      ooo        ooo
Leave       ooo     ooo    ooo     ooo    ooo     ooo      ooo        ooo
Remove      xxo     xxo    xxo     ooo    xxo     xxo      xxo        xxo
SetRole     xxo     xxo    ooo     ooo    xxo     xxo      xxo        xxo
SetPolicy   ooo     xxo    ooo     ooo    ooo     ooo      ooo        ooo
End         ooo     ooo    ooo     ooo    ooo     ooo      ooo        ooo
`

// TestPairs covers ROS-7 to ROS-18 for every pair of kinds, in the three relations two operations can have.
func TestPairs(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(pairTable), "\n")
	columns := strings.Fields(lines[0])
	cases := 0
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		for i, want := range cells[1:] {
			for j, relation := range []string{"beside", "after", "before"} {
				got := pair(t, cells[0], columns[i], relation)
				if (got == NotVoid) != (want[j] == 'o') {
					t.Errorf("superior's %s, inferior's %s %s it: %q, want %c", cells[0], columns[i], relation, got, want[j])
				}
				cases++
			}
		}
	}
	if cases != 192 {
		t.Errorf("%d cases", cases)
	}
	t.Logf("%d cases", cases)
}

// pair lets senior and junior each author one operation and says whether junior's is void.
func pair(t *testing.T, senior, junior, relation string) Void {
	c := newCast(t, DefaultPolicy())
	creator := c.people[0]
	a, b, plain := c.join(creator, "senior"), c.join(creator, "junior"), c.join(creator, "plain")
	c.promote(creator, a)
	c.promote(creator, b)
	la, lb := c.invite(a), c.invite(b)
	h := c.set.Heads()
	bodyA := map[string]func() Body{
		"Remove": func() Body { return remove(b) }, "SetRole": func() Body { return setRole(b, RoleMember) },
		"SetPolicy": func() Body { return policy(Locked) },
	}
	bodyB := map[string]func() Body{
		"Remove": func() Body { return remove(plain) }, "SetRole": func() Body { return setRole(plain, RoleHost) },
		"SetPolicy": func() Body { return policy(Open) },
	}
	do := func(x *actor, kind string, special map[string]func() Body, l link, parents []crypto.Hash) crypto.Hash {
		switch kind {
		case "Invite":
			return c.invite(x, parents...).op
		case "Admit":
			return c.do(x, l.admit(x, c.stranger("new")), parents...)
		case "Resume":
			r := back2(t, c, x)
			return c.do(r, Body{Resume: &Resume{Bundle: r.inc.Bundle(), Name: x.name}}, parents...)
		case "Leave":
			return c.do(x, Body{Leave: &Leave{}}, parents...)
		case "End":
			return c.do(x, Body{End: &End{}}, parents...)
		}
		return c.do(x, special[kind](), parents...)
	}
	var opA, opB crypto.Hash
	switch relation {
	case "beside":
		opA, opB = do(a, senior, bodyA, la, h), do(b, junior, bodyB, lb, h)
	case "after":
		opA = do(a, senior, bodyA, la, h)
		opB = do(b, junior, bodyB, lb, nil)
	case "before":
		opB = do(b, junior, bodyB, lb, h)
		if senior == "Admit" { // by a link that knows of what junior did
			la = c.invite(a)
		}
		opA = do(a, senior, bodyA, la, nil)
	}
	r := c.set.Roster()
	if v := r.Void(opA); v != NotVoid {
		t.Errorf("superior's %s, inferior's %s %s it: the superior's is void: %s", senior, junior, relation, v)
	}
	return r.Void(opB)
}
