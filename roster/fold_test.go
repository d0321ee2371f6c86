package roster

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"pgregory.net/rapid"
)

func encodeOrNil(o *Operation) []byte {
	raw, err := codec.Marshal(o)
	if err != nil || o.check() != nil {
		return nil
	}
	return raw
}

func trustingSet() *Set {
	s, _ := NewSet(historyGenesis, historyMeeting)
	s.trusting = true
	return s
}

// TestAllOrders covers ROS-2 and ROS-20: every order in which up to six operations can arrive gives one roster,
// with whatever has to wait for its past.
func TestAllOrders(t *testing.T) {
	sets, cases := 16, 0
	if testing.Short() {
		sets = 4
	}
	for seed := range sets {
		h := newHistory(rand.New(rand.NewPCG(2, uint64(seed))))
		h.grow(6+seed%10, nil, true) // the last six in every order, after those before them
		var raws [][]byte
		for _, n := range h.set.nodes[1:] {
			raws = append(raws, n.raw)
		}
		fixed, free := raws[:max(0, len(raws)-6)], raws[max(0, len(raws)-6):]
		want := h.set.Roster().Hash
		permute(free, func(order [][]byte) {
			cases++
			s := trustingSet()
			root := h.set.nodes[0]
			if err := s.insert(root.op, root.raw, root.hash); err != nil {
				t.Fatal(err)
			}
			for _, raw := range fixed {
				if _, err := s.Add(raw); err != nil {
					t.Fatal(err)
				}
			}
			for _, raw := range order {
				if _, err := s.Add(raw); err != nil {
					t.Fatal(err)
				}
			}
			if s.Len() != h.set.Len() || s.Roster().Hash != want {
				t.Fatalf("set %d: another roster by another order of arrival", seed)
			}
		})
	}
	t.Logf("%d sets of 6, %d orders of arrival", sets, cases)
}

func permute(x [][]byte, f func([][]byte)) {
	var rec func(int)
	rec = func(i int) {
		if i == len(x) {
			f(x)
			return
		}
		for j := i; j < len(x); j++ {
			x[i], x[j] = x[j], x[i]
			rec(i + 1)
			x[i], x[j] = x[j], x[i]
		}
	}
	rec(0)
}

// TestIncrementalIsBatch covers ROS-20 for larger sets: folding after each step gives what folding afresh gives,
// and so does any shuffled order.
func TestIncrementalIsBatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		rng := rand.New(rand.NewPCG(3, seed))
		h := newHistory(rng)
		h.grow(rapid.IntRange(1, 120).Draw(rt, "operations"), nil, true)
		s := trustingSet()
		root := h.set.nodes[0]
		if err := s.insert(root.op, root.raw, root.hash); err != nil {
			rt.Fatal(err)
		}
		order := rng.Perm(len(h.set.nodes) - 1)
		for _, i := range order {
			if _, err := s.Add(h.set.nodes[i+1].raw); err != nil {
				rt.Fatal(err)
			}
			step := s.Roster().Hash
			again := trustingSet()
			for _, n := range s.nodes {
				if err := again.insert(n.op, n.raw, n.hash); err != nil {
					rt.Fatal(err)
				}
			}
			if again.Roster().Hash != step {
				rt.Fatal("incremental and batch differ")
			}
		}
		if describe(s) != describe(h.set) {
			rt.Fatal("another roster by another order")
		}
		if a, b := s.Digest(), h.set.Digest(); a != b {
			rt.Fatal("another digest")
		}
	})
}

// TestNobodyTouchedByInferior covers ROS-8 over random histories: whatever those below a host author, back-dated
// and forked, the host keeps its place. HISTORIES sets how many; millions were run.
func TestNobodyTouchedByInferior(t *testing.T) {
	n := 4_000
	if testing.Short() {
		n = 700
	}
	if v := os.Getenv("HISTORIES"); v != "" {
		n, _ = strconv.Atoi(v)
	}
	touched, victims, broken := 0, 0, 0
	for seed := range n {
		v, hit, twin := inferiorsTry(rand.New(rand.NewPCG(4, uint64(seed))))
		victims += v
		touched += hit
		broken += twin
		if hit > 0 {
			t.Errorf("history %d: a host was touched by an inferior", seed)
			break
		}
	}
	if victims < n/10 {
		t.Errorf("only %d hosts in %d histories: this tries too little", victims, n)
	}
	if broken == 0 {
		t.Error("twin: without the rule nobody was touched either")
	}
	t.Logf("%d histories, %d hosts attacked, %d touched; without the rule %d", n, victims, touched, broken)
}

func inferiorsTry(rng *rand.Rand) (victims, touched, broken int) {
	h := newHistory(rng)
	h.grow(4+rng.IntN(10), nil, false)
	before := h.set.Roster()
	if before.Ended || len(before.Members) == 0 {
		return 0, 0, 0
	}
	// The attackers are all who are below the best-ranked victim chosen.
	v := before.Members[rng.IntN(len(before.Members))]
	if v.Role != RoleHost {
		return 0, 0, 0
	}
	var attackers []int
	for i, own := range h.pool {
		p := before.fold.people[own[0].Identity]
		if own[0].Identity == v.Identity() || p == nil {
			continue
		}
		below := true
		for _, t := range p.tenures { // any tenure, cut or not: its holder may back-date
			below = below && v.rank.betterThan(t.rank)
		}
		if below && own[0].Identity != h.set.genesis.Creator {
			attackers = append(attackers, i)
		}
	}
	if len(attackers) == 0 {
		return 0, 0, 0
	}
	h.grow(1+rng.IntN(6), attackers, false)
	after := h.set.Roster()
	if after.Ended { // an End by a host whom the creator made one is their right (ROS-18)
		return 0, 0, 0
	}
	same := func(r *Roster) bool {
		m := r.Member(v.Identity())
		if m == nil || m.Role != RoleHost || m.Bundle != v.Bundle || m.Grant != v.Grant || m.Name != v.Name {
			return false
		}
		for _, n := range before.fold.people[v.Identity()].authored { // nor does what the host did become void
			b := &n.op.Body // but a removal beats an admission beside it
			if b.Admit == nil && !(b.SetRole != nil && b.SetRole.Role == RoleHost) && before.fold.acts[n.index] == v.rank &&
				before.fold.void[n.index] == NotVoid && r.fold.void[n.index] != NotVoid {
				return false
			}
		}
		return true
	}
	if !same(after) {
		touched = 1
	}
	if off := h.set.foldWithout(protections{belowOnly: true}); !off.Ended && !same(off) {
		broken = 1
	}
	return 1, touched, broken
}

// TestPlainMembersTouchNobody covers ROS-5, ROS-8 and ROS-19 over random histories: whatever people who never were
// hosts author, back-dated and forked, and with bundles of others, nobody whom a host admitted loses membership, role,
// incarnation or nonces, or is suspended, and no operation of theirs becomes void.
func TestPlainMembersTouchNobody(t *testing.T) {
	n := 4_000
	if testing.Short() {
		n = 700
	}
	if v := os.Getenv("HISTORIES"); v != "" {
		n, _ = strconv.Atoi(v)
	}
	touched, victims, broken := 0, 0, 0
	for seed := range n {
		v, hit, twin := plainMembersTry(rand.New(rand.NewPCG(5, uint64(seed))))
		victims += v
		touched += hit
		broken += twin
		if hit > 0 {
			t.Errorf("history %d: somebody was touched", seed)
			break
		}
	}
	if victims < n/10 {
		t.Errorf("only %d people in %d histories: this tries too little", victims, n)
	}
	if broken == 0 {
		t.Error("twin: without the rules nobody was touched either")
	}
	t.Logf("%d histories, %d people attacked, %d touched; without the rules %d", n, victims, touched, broken)
}

func plainMembersTry(rng *rand.Rand) (victims, touched, broken int) {
	h := newHistory(rng)
	h.grow(4+rng.IntN(16), nil, false)
	before := h.set.Roster()
	var attackers []int
	hostile := map[crypto.IdentityKey]bool{}
	for i, own := range h.pool {
		if p := before.fold.people[own[0].Identity]; p != nil && len(p.tenures) == 0 {
			attackers, hostile[p.id] = append(attackers, i), true
		}
	}
	if before.Ended || len(attackers) == 0 {
		return 0, 0, 0
	}
	h.grow(1+rng.IntN(8), attackers, false)
	touchedBy := func(after *Roster) bool {
		for _, m := range before.Members {
			p := before.fold.people[m.Identity()]
			guest := slices.ContainsFunc(p.intros, func(i *node) bool {
				return hostile[i.person] || i.op.Body.Admit != nil && before.fold.acts[i.index] == plainRank
			})
			if hostile[m.Identity()] || guest { // of a plain member's: those may take back what they gave
				continue
			}
			victims = 1
			now := after.Member(m.Identity())
			if now == nil {
				return true
			}
			was, is := m, *now
			was.rank, was.intro, is.rank, is.intro = 0, nil, 0, nil
			if was != is {
				return true
			}
			for _, n := range p.authored {
				if before.fold.void[n.index] == NotVoid && after.fold.void[n.index] != NotVoid {
					return true
				}
			}
		}
		return false
	}
	if touchedBy(h.set.Roster()) {
		touched = 1
	}
	if touchedBy(h.set.foldWithout(protections{preference: true, onRoster: true, belowOnly: true})) {
		broken = 1
	}
	return victims, touched, broken
}
