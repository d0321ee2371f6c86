package roster

import (
	"bytes"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
)

// TestAdmitSize keeps an Admit below the 500 bytes aimed at, with one head beside its previous operation.
func TestAdmitSize(t *testing.T) {
	c, creator, _, _, client := court(t)
	l := c.invite(creator)
	c.do(client, Body{Leave: &Leave{}}, l.op) // a second head
	a := c.stranger("Maître Dupont-Moretti")
	raw := c.sign(creator, l.admit(creator, a))
	t.Logf("an Admit is %d bytes", len(raw))
	if len(raw) >= 540 {
		t.Errorf("an Admit is %d bytes", len(raw))
	}
}

// TestGenesisIsTheMeeting covers INV-1.
func TestGenesisIsTheMeeting(t *testing.T) {
	c := newCast(t, DefaultPolicy())
	changed := bytes.Clone(c.genesis)
	changed[len(changed)-1] ^= 1
	if _, err := NewSet(changed, c.meeting); err == nil {
		t.Error("another genesis was taken")
	}
	// The twin: with the ID that it hashes to, it is a meeting.
	if _, err := NewSet(changed, crypto.MeetingID(crypto.HashOf("genesis", changed))); err != nil {
		t.Error(err)
	}
	for name, g := range map[string]Genesis{
		"suite":  {Suite: 1, Policy: DefaultPolicy()},
		"policy": {Suite: 4, Policy: Policy{Entry: 9}},
	} {
		if _, _, err := g.Encode(); err == nil {
			t.Errorf("%s out of range was taken", name)
		}
	}
}

// TestOperationLimits covers ROS-1, ROS-13 and ROS-21: what is refused without looking at the past.
func TestOperationLimits(t *testing.T) {
	c := newCast(t, DefaultPolicy())
	creator := c.people[0]
	a, b := fakeHash('a', 1), fakeHash('b', 2)
	lo, hi := a, b
	if hi.Compare(lo) < 0 {
		lo, hi = hi, lo
	}
	author := creator.inc.Bundle().Hash()
	many := make([]crypto.Hash, MaxHeads+1)
	for i := range many {
		many[i] = crypto.Hash{byte(i + 1)}
	}
	leave := Body{Leave: &Leave{}}
	resume := Body{Resume: &Resume{Bundle: creator.inc.Bundle(), Name: "x"}}
	long := Body{Resume: &Resume{Bundle: creator.inc.Bundle(), Name: strings.Repeat("n", 65)}}
	for name, o := range map[string]Operation{
		"no body":               {Heads: []crypto.Hash{a}},
		"two bodies":            {Heads: []crypto.Hash{a}, Body: Body{Leave: &Leave{}, End: &End{}}},
		"no parents":            {Body: leave},
		"too many heads":        {Heads: many, Body: leave},
		"heads not sorted":      {Heads: []crypto.Hash{hi, lo}, Body: leave},
		"a head twice":          {Heads: []crypto.Hash{lo, lo}, Body: leave},
		"previous among heads":  {Seq: 1, Previous: &lo, Heads: []crypto.Hash{lo}, Body: leave},
		"seq without previous":  {Seq: 1, Heads: []crypto.Hash{lo}, Body: leave},
		"previous without seq":  {Previous: &lo, Body: leave},
		"late resume":           {Seq: 1, Previous: &lo, Body: resume},
		"time out of range":     {Heads: []crypto.Hash{lo}, Body: leave, Time: maxTime},
		"role out of range":     {Heads: []crypto.Hash{lo}, Body: Body{SetRole: &SetRole{Role: 4}}},
		"policy out of range":   {Heads: []crypto.Hash{lo}, Body: Body{SetPolicy: &SetPolicy{Policy: Policy{Entry: 1, Admitters: 3}}}},
		"name too long":         {Heads: []crypto.Hash{lo}, Body: long},
		"permission that isn't": {Heads: []crypto.Hash{lo}, Body: Body{SetPolicy: &SetPolicy{Policy: Policy{Entry: 1, Admitters: 1, Members: 32}}}},
	} {
		o.Author = author
		raw, err := o.sign(c.meeting, creator.inc)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := DecodeOperation(raw); err == nil {
			t.Errorf("%s: taken", name)
		} else if !IsRefused(err) && err != crypto.ErrName {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeOperation(make([]byte, MaxOperationSize+1)); err == nil {
		t.Error("an operation over the size was taken")
	}
	raw, err := (&Operation{Author: author, Heads: []crypto.Hash{lo}, Body: leave}).sign(c.meeting, creator.inc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeOperation(raw); err != nil {
		t.Errorf("control: %v", err)
	}
}

// TestStrangersFillNothing covers ROS-3: what isn't signed by somebody introduced in its past isn't kept.
func TestStrangersFillNothing(t *testing.T) {
	c, creator, _, _, client := court(t)
	s := c.stranger("stranger")
	n := c.set.Len()
	refused := func(name string, raw []byte) {
		t.Helper()
		if out, err := c.set.Add(raw); err == nil {
			t.Errorf("%s: %v", name, out)
		}
		if c.set.Len() != n {
			t.Errorf("%s was kept", name)
		}
	}
	refused("a stranger's operation", c.sign(s, Body{Leave: &Leave{}}))
	refused("a stranger's meeting", c.sign(s, Body{Resume: &Resume{Bundle: creator.inc.Bundle(), Name: "x"}}))
	bad := c.sign(client, Body{Leave: &Leave{}})
	bad[len(bad)-1] ^= 1
	refused("a wrong signature", bad)
	// The creator's words in the client's mouth: signed by the client with the creator as author.
	o := Operation{Author: creator.inc.Bundle().Hash(), Heads: c.set.Heads(), Body: remove(client)}
	o.Seq, o.Previous = 1, nil
	tip := c.set.tips[o.Author]
	o.Seq, o.Previous, o.Heads = tip.op.Seq+1, &tip.hash, nil
	forged, err := o.sign(c.meeting, client.inc)
	if err != nil {
		t.Fatal(err)
	}
	refused("a forged removal", forged)
	twin := c.set.clone()
	twin.trusting = true
	if _, err := twin.Add(forged); err != nil || twin.Roster().Member(client.identity.Public()) != nil {
		t.Errorf("twin: without signatures the forgery must work: %v", err)
	}
	// By another link than its joiner came by.
	l, other := c.invite(creator), crypto.NewInvite()
	n = c.set.Len()
	wrong := link{invite: other, op: l.op}
	refused("an Admit by another link", c.sign(creator, wrong.admit(creator, s)))
	// A bundle of another meeting.
	elsewhere, err := s.identity.NewIncarnation(crypto.MeetingID{7})
	if err != nil {
		t.Fatal(err)
	}
	moved := &actor{name: "moved", identity: s.identity, inc: elsewhere}
	refused("a bundle of another meeting", c.sign(creator, l.admit(creator, moved)))
	// References that aren't in the past.
	refused("a SetRole of nobody", c.sign(creator, Body{SetRole: &SetRole{Introduction: l.op, Role: RoleHost}}))
	refused("an Admit by no Invite", c.sign(creator, link{invite: other, op: creator.intro}.admit(creator, s)))
	// Skipping a seq.
	o = Operation{Author: creator.inc.Bundle().Hash(), Seq: 9, Previous: &l.op, Body: Body{Leave: &Leave{}}}
	skipped, _ := o.sign(c.meeting, creator.inc)
	refused("a skipped seq", skipped)
}

// TestPlainMembersAreBounded covers ROS-4, and ROS-2's bound.
func TestPlainMembersAreBounded(t *testing.T) {
	h := newHistory(newRand(9))
	host, plain := h.pool[0][0], h.pool[1][0]
	add := func(o *Operation) error {
		h.serial++
		return h.set.insert(o, nil, fakeHash('x', h.serial))
	}
	root := h.set.nodes[0].hash
	inv := &Operation{Author: host.Hash(), Seq: 1, Previous: &root, Body: Body{Invite: &Invite{}}}
	if err := add(inv); err != nil {
		t.Fatal(err)
	}
	last := h.set.nodes[1].hash
	if err := add(&Operation{Author: host.Hash(), Seq: 2, Previous: &last, Body: Body{Admit: &Admit{Bundle: plain, Name: "p", Invite: last}}}); err != nil {
		t.Fatal(err)
	}
	admit := h.set.nodes[2].hash
	var n int
	for n = 0; n <= MaxPlainOperations; n++ {
		o := &Operation{Author: plain.Hash(), Seq: uint64(n), Body: Body{Invite: &Invite{}}}
		if n == 0 {
			o.Heads = []crypto.Hash{admit}
		} else {
			p := h.set.nodes[len(h.set.nodes)-1].hash
			o.Previous = &p
		}
		if add(o) != nil {
			break
		}
	}
	if n != MaxPlainOperations {
		t.Errorf("a plain member authored %d operations", n)
	}
	// A host goes on.
	hp := admit
	if err := add(&Operation{Author: host.Hash(), Seq: 3, Previous: &hp, Body: Body{SetPolicy: &SetPolicy{Policy: DefaultPolicy()}}}); err != nil {
		t.Error(err)
	}

	// What waits is bounded, and comes back.
	s := trustingSet()
	for i := range uint64(MaxWaiting + 10) {
		o := &Operation{Author: plain.Hash(), Heads: []crypto.Hash{fakeHash('?', i)}, Body: Body{Leave: &Leave{}}, Signature: &crypto.Signature{}}
		out, err := s.Add(encodeOrNil(o))
		if i < MaxWaiting && (err != nil || out != Waiting) || i >= MaxWaiting && err == nil {
			t.Fatalf("operation %d: %v %v", i, out, err)
		}
	}
	if len(s.Missing()) != MaxWaiting {
		t.Error("what is missing isn't named")
	}
}

// TestAuthor checks that what would have no effect is told to its author and not sent.
func TestAuthor(t *testing.T) {
	c, creator, senior, junior, client := court(t)
	n := c.set.Len()
	_, _, err := c.set.Author(junior.inc, clock, remove(senior))
	if v, ok := err.(*VoidError); !ok || v.Reason != VoidSuperior {
		t.Errorf("got %v", err)
	}
	if c.set.Len() != n {
		t.Error("it was kept")
	}
	raw, hash, err := c.set.Author(senior.inc, clock, remove(client))
	if err != nil || HashOperation(raw) != hash || c.in(client) {
		t.Errorf("got %v", err)
	}
	op, got := c.set.Operation(hash)
	if op == nil || !bytes.Equal(got, raw) || !op.At().Equal(clock) {
		t.Error("it isn't in the set")
	}
	if by := c.set.Roster().RemovedBy(client.identity.Public()); by == nil || c.set.Roster().Author(by) != senior.identity.Public() {
		t.Error("who removed isn't known")
	}
	me, you := c.set.Roster().Member(creator.identity.Public()), c.set.Roster().Member(senior.identity.Public())
	if !me.Above(you) || you.Above(me) {
		t.Error("ranks")
	}
}

// FuzzOperation covers COD-1 for operations: what decodes encodes to the same bytes.
func FuzzOperation(f *testing.F) {
	c, creator, senior, _, client := court(f)
	l := c.invite(creator)
	for _, b := range []Body{l.admit(creator, c.stranger("x")), remove(client), ban(client), setRole(client, RoleHost),
		policy(Locked), {End: &End{}}, {Leave: &Leave{}}} {
		f.Add(c.sign(senior, b))
	}
	f.Add(c.genesis)
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := DecodeOperation(raw)
		if err != nil {
			return
		}
		again, err := codec.Marshal(o)
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatal("decode and encode differ")
		}
		_, _ = c.set.clone().Add(raw)
	})
}

// FuzzHeartbeat is the same for heartbeats.
func FuzzHeartbeat(f *testing.F) {
	c, creator, senior, _, _ := court(f)
	p := NewPresence(creator.inc)
	p.Follow(c.set.Roster(), clock)
	raw, err := p.Beat(c.set.Roster(), c.set.Heads(), crypto.Hash{1}, clock)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := DecodeHeartbeat(raw)
		if err != nil {
			return
		}
		again, err := codec.Marshal(b)
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatal("decode and encode differ")
		}
		q := NewPresence(senior.inc)
		q.Follow(c.set.Roster(), clock)
		_, _ = q.Hear(creator.inc.Key(), raw, clock)
	})
}
