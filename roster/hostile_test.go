package roster

import "github.com/huisclos/huisclos/crypto"

// hostileShapes fill a set in ways that cost the fold most: two hosts, and those in league with them, against all.
var hostileShapes = []struct {
	name string
	make func(*crowd)
}{
	{"removals", func(k *crowd) { // and re-admissions and restarts of one person
		a, b, p := k.hosts()
		for i := range uint64(900) {
			k.try(a, Body{Remove: &Remove{Identity: p.Identity}})
			k.try(a, k.admitBody(k.bundle(7, 1000+i), k.try(a, Body{Invite: &Invite{}})))
			next := k.bundle(7, 3000+i)
			k.try(next, Body{Resume: &Resume{Bundle: next, Name: "x"}}, k.set.HeadsToName()...)
		}
		k.rest(a, Body{Remove: &Remove{Identity: p.Identity}})
		k.rest(b, Body{Remove: &Remove{Identity: p.Identity}})
	}},
	{"removals beside each other", func(k *crowd) {
		a, b, p := k.hosts()
		at := k.set.HeadsToName()
		for range 900 {
			k.try(p, Body{Invite: &Invite{}})
		}
		k.forks(a, Body{Remove: &Remove{Identity: p.Identity}}, at)
		k.forks(b, Body{Remove: &Remove{Identity: p.Identity}}, at)
	}},
	{"policies beside each other", func(k *crowd) {
		a, b, _ := k.hosts()
		at := k.set.HeadsToName()
		i := k.try(b, Body{Invite: &Invite{}})
		var heads []crypto.Hash
		for range MaxHostOperations - 100 {
			heads = append(heads, k.fork(a, policyOf(members()), at))
		}
		for n := uint64(0); k.set.Len() < MaxOperations && n < MaxHostOperations; n++ {
			var some []crypto.Hash
			for range MaxHeads - 1 {
				if len(heads) > 0 {
					some, heads = append(some, heads[0]), heads[1:]
				}
			}
			if _, err := k.add(b, k.admitBody(k.bundle(1000+n, 0), i), some...); err != nil {
				break
			}
		}
	}},
	{"promotions and demotions", func(k *crowd) {
		a, b, p := k.hosts()
		in := k.set.people[p.Identity][0].hash
		for i := range MaxHostOperations {
			k.try(a, Body{SetRole: &SetRole{Introduction: in, Role: Role(1 + i%3)}})
		}
		k.rest(p, policyOf(members()))
		k.rest(b, Body{SetRole: &SetRole{Introduction: in, Role: RoleHost}})
	}},
	{"promotions beside each other", func(k *crowd) {
		a, b, p := k.hosts()
		in, at := k.set.people[p.Identity][0].hash, k.set.HeadsToName()
		for i := range MaxHostOperations - 10 {
			k.fork(a, Body{SetRole: &SetRole{Introduction: in, Role: Role(2 + i%2)}}, at)
		}
		for range 400 {
			k.try(p, policyOf(members()), k.set.HeadsToName()...)
		}
		k.rest(p, policyOf(members()))
		k.forks(b, Body{SetRole: &SetRole{Introduction: in, Role: RoleViewer}}, at)
	}},
	{"a long line of promotions", func(k *crowd) {
		a, b, _ := k.hosts()
		i := k.try(a, Body{Invite: &Invite{}})
		by := b
		for n := uint64(0); k.set.Len() < MaxOperations; n++ {
			next := k.bundle(1000+n, 0)
			in, err := k.add(a, k.admitBody(next, i))
			if err != nil {
				in = k.try(b, k.admitBody(next, i), k.set.HeadsToName()...)
			}
			if _, err := k.add(by, Body{SetRole: &SetRole{Introduction: in, Role: RoleHost}}, in); err != nil {
				break
			}
			by = next
		}
	}},
	{"restarts of a host", func(k *crowd) {
		a, _, p := k.hosts()
		in := k.set.people[p.Identity][0].hash
		for i := range uint64(MaxHostOperations / 2) {
			k.try(a, Body{SetRole: &SetRole{Introduction: in, Role: RoleHost}}, k.set.HeadsToName()...)
			next := k.bundle(7, 100+i)
			k.try(next, Body{Resume: &Resume{Bundle: next, Name: "x"}}, k.set.HeadsToName()...)
			k.try(next, policyOf(members()))
			k.try(a, Body{Remove: &Remove{Identity: crypto.IdentityKey(fakeHash('r', i))}})
		}
	}},
	{"admissions of one person", func(k *crowd) {
		a, b, _ := k.hosts()
		i := k.try(b, Body{Invite: &Invite{}})
		j := k.try(a, Body{Invite: &Invite{}}, i)
		for n := range uint64(MaxHostOperations - 10) {
			k.fork(b, k.admitBody(k.bundle(1000, n%2*n), i), []crypto.Hash{i})
			k.fork(a, k.admitBody(k.bundle(1000, 50000+n%2*n), j), []crypto.Hash{j})
		}
	}},
	{"forks", func(k *crowd) {
		a, b, p := k.hosts()
		at := k.set.HeadsToName()
		in := k.set.people[p.Identity][0].hash
		for range MaxPlainOperations {
			k.fork(p, Body{Leave: &Leave{}}, at)
		}
		k.forks(a, Body{SetRole: &SetRole{Introduction: in, Role: RoleMember}}, at)
		k.rest(b, Body{SetRole: &SetRole{Introduction: in, Role: RoleMember}})
	}},
	{"roles under members who admit", func(k *crowd) {
		a, b, p := k.hosts()
		k.try(a, policyOf(members()))
		in, at := k.set.people[p.Identity][0].hash, k.set.HeadsToName()
		for i := range MaxHostOperations - 10 {
			k.fork(a, Body{SetRole: &SetRole{Introduction: in, Role: Role(1 + i%2)}}, at)
		}
		for len(k.set.heads) > 1 && k.set.Len() < MaxOperations-1100 {
			k.try(b, Body{Invite: &Invite{}}, k.set.HeadsToName()...)
		}
		k.rest(p, Body{Invite: &Invite{}})
	}},
}

// hosts begins with two hosts and a plain member.
func (k *crowd) hosts() (a, b, p crypto.Bundle) {
	creator := k.bundle(0, 0)
	a, b, p = k.bundle(5, 0), k.bundle(6, 0), k.bundle(7, 0)
	for _, h := range []crypto.Bundle{a, b} {
		k.must(creator, Body{SetRole: &SetRole{Introduction: k.join(creator, h), Role: RoleHost}})
	}
	k.join(creator, p)
	return a, b, p
}

func (k *crowd) admitBody(who crypto.Bundle, invite crypto.Hash) Body {
	return Body{Admit: &Admit{Bundle: who, Name: "x", Invite: invite}}
}

// try adds an operation after its author's last and the given parents, or else all heads; it may be refused.
func (k *crowd) try(by crypto.Bundle, body Body, parents ...crypto.Hash) crypto.Hash {
	if len(parents) == 0 && k.set.tips[by.Hash()] == nil {
		parents = k.set.HeadsToName()
	}
	h, _ := k.add(by, body, parents...)
	return h
}

func (k *crowd) fork(by crypto.Bundle, body Body, parents []crypto.Hash) crypto.Hash {
	raw, h := k.op(by, body, true, parents...)
	_, _ = k.set.Add(raw)
	return h
}

// rest and forks go on until there is no more room.
func (k *crowd) rest(by crypto.Bundle, body Body) {
	for n := -1; n != k.set.Len(); {
		n = k.set.Len()
		k.try(by, body)
	}
}

func (k *crowd) forks(by crypto.Bundle, body Body, parents []crypto.Hash) {
	for n := -1; n != k.set.Len(); {
		n = k.set.Len()
		k.fork(by, body, parents)
	}
}
