package roster

import (
	"math/rand/v2"

	"github.com/huisclos/huisclos/crypto"
)

// history makes random operations, back-dated and forked ones among them, without signatures: a set that trusts
// takes them, so that millions can be folded.
type history struct {
	rng    *rand.Rand
	set    *Set
	pool   [][]crypto.Bundle // of each person, a few incarnations
	serial uint64
}

const (
	historyPeople       = 6
	historyIncarnations = 3
)

var historyPool, historyGenesis, historyMeeting = func() ([][]crypto.Bundle, []byte, crypto.MeetingID) {
	var pool [][]crypto.Bundle
	for p := range uint64(historyPeople) {
		var own []crypto.Bundle
		for i := range uint64(historyIncarnations) {
			own = append(own, crypto.Bundle{
				Identity:   crypto.IdentityKey(fakeHash('i', p)),
				MeetingKey: crypto.MeetingKey(fakeHash('m', p*16+i)),
				Static:     crypto.StaticKey(fakeHash('s', p*16+i)),
			})
		}
		pool = append(pool, own)
	}
	g, meeting, err := Genesis{Creator: pool[0][0].Identity, Policy: DefaultPolicy(), Suite: 4}.Encode()
	if err != nil {
		panic(err)
	}
	return pool, g, meeting
}()

// newHistory begins with the creator's Resume.
func newHistory(rng *rand.Rand) *history {
	h := &history{rng: rng, pool: historyPool}
	h.set, _ = NewSet(historyGenesis, historyMeeting)
	h.set.trusting = true
	b := h.pool[0][0]
	h.insert(&Operation{Author: b.Hash(), Body: Body{Resume: &Resume{Bundle: b, Name: "0"}}}, nil)
	return h
}

func (h *history) insert(o *Operation, raw []byte) *node {
	h.serial++
	hash := fakeHash('o', h.rng.Uint64())
	if raw != nil {
		hash = HashOperation(raw)
	}
	if h.set.byHash[hash] != nil || h.set.insert(o, raw, hash) != nil {
		return nil
	}
	return h.set.nodes[len(h.set.nodes)-1]
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// step adds one random operation by one of the given people (all if nil); it may fail, and then adds none.
func (h *history) step(people []int, encoded bool) *node {
	nodes := h.set.nodes
	var parents []*node
	if h.rng.IntN(3) > 0 { // honest: all heads
		for _, x := range h.set.Heads() {
			parents = append(parents, h.set.byHash[x])
		}
	} else {
		for range 1 + h.rng.IntN(2) {
			parents = append(parents, nodes[h.rng.IntN(len(nodes))])
		}
	}
	past := newBits(len(nodes))
	for _, p := range parents {
		past.union(p.past)
		past.set(p.index)
	}
	who := h.rng.IntN(historyPeople)
	if people != nil {
		who = people[h.rng.IntN(len(people))]
	}
	bundle := h.pool[who][h.rng.IntN(historyIncarnations)]
	o := &Operation{Author: bundle.Hash(), Body: h.body(bundle, past)}
	if o.Body.Kind() == "" {
		return nil
	}
	var last *node
	if o.Body.Resume == nil {
		for _, n := range nodes {
			if past.has(n.index) && n.op.Author == o.Author && (last == nil || n.op.Seq > last.op.Seq) {
				last = n
			}
		}
	}
	if last != nil {
		o.Seq, o.Previous = last.op.Seq+1, &last.hash
	}
	for _, p := range parents {
		if p != last {
			o.Heads = append(o.Heads, p.hash)
		}
	}
	sortHashes(o.Heads)
	var raw []byte
	if encoded {
		o.Signature = &crypto.Signature{}
		raw = encodeOrNil(o)
		if raw == nil {
			return nil
		}
	}
	return h.insert(o, raw)
}

// body is a random body whose references lie in the past.
func (h *history) body(author crypto.Bundle, past bits) Body {
	pick := func(ok func(*node) bool) *node {
		var all []*node
		for _, n := range h.set.nodes {
			if past.has(n.index) && ok(n) {
				all = append(all, n)
			}
		}
		if len(all) == 0 {
			return nil
		}
		return all[h.rng.IntN(len(all))]
	}
	target := h.pool[h.rng.IntN(historyPeople)][h.rng.IntN(historyIncarnations)]
	switch k := h.rng.IntN(20); {
	case k < 2:
		return Body{Invite: &Invite{}}
	case k < 8:
		if i := pick(func(n *node) bool { return n.op.Body.Invite != nil }); i != nil {
			return Body{Admit: &Admit{Bundle: target, Name: "x", Invite: i.hash}}
		}
		return Body{Invite: &Invite{}}
	case k < 9:
		return Body{Resume: &Resume{Bundle: author, Name: "r"}}
	case k < 10:
		return Body{Leave: &Leave{}}
	case k < 13:
		return Body{Remove: &Remove{Identity: target.Identity, Ban: h.rng.IntN(4) == 0}}
	case k < 18:
		if i := pick(func(n *node) bool { return n.brings != nil }); i != nil {
			return Body{SetRole: &SetRole{Introduction: i.hash, Role: Role(1 + h.rng.IntN(3))}}
		}
	case k < 19:
		p := Policy{Entry: Entry(1 + h.rng.IntN(3)), Admitters: Admitters(1 + h.rng.IntN(2)), Members: AllPermissions}
		return Body{SetPolicy: &SetPolicy{Policy: p}}
	case h.rng.IntN(10) == 0:
		return Body{End: &End{}}
	}
	return Body{}
}

// grow adds up to n operations.
func (h *history) grow(n int, people []int, encoded bool) {
	for tries := 0; n > 0 && tries < 20*n+100; tries++ {
		if h.step(people, encoded) != nil {
			n--
		}
	}
}
