package roster

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// cast is a meeting's people, with real keys, and one set that knows everything.
type cast struct {
	t       testing.TB
	meeting crypto.MeetingID
	genesis []byte
	set     *Set
	people  []*actor
	names   map[crypto.Hash]string // operations by the name a test gave them
}

type actor struct {
	name     string
	identity *crypto.Identity
	inc      *crypto.Incarnation
	intro    crypto.Hash // of the present incarnation
}

var clock = time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newCast begins a meeting: its creator is the first actor.
func newCast(t testing.TB, policy Policy) *cast {
	t.Helper()
	creator := crypto.GenerateIdentity()
	raw, meeting, err := Genesis{Creator: creator.Public(), Policy: policy, Suite: 4, Nonce: [32]byte{1}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c := &cast{t: t, meeting: meeting, genesis: raw, names: map[crypto.Hash]string{}}
	c.set = must[*Set](t)(NewSet(raw, meeting))
	a := &actor{name: "creator", identity: creator}
	c.people = append(c.people, a)
	c.resume(a)
	return c
}

// resume gives an actor a fresh incarnation, brought in by a Resume after everything known.
func (c *cast) resume(a *actor) crypto.Hash {
	a.inc = must[*crypto.Incarnation](c.t)(a.identity.NewIncarnation(c.meeting))
	h := c.do(a, Body{Resume: &Resume{Bundle: a.inc.Bundle(), Name: a.name}})
	a.intro = h
	return h
}

// stranger makes an actor who isn't in.
func (c *cast) stranger(name string) *actor {
	a := &actor{name: name, identity: crypto.GenerateIdentity()}
	a.inc = must[*crypto.Incarnation](c.t)(a.identity.NewIncarnation(c.meeting))
	return a
}

// link is an invite's secret and the hash of its operation.
type link struct {
	invite crypto.Invite
	op     crypto.Hash
}

func (c *cast) invite(by *actor, parents ...crypto.Hash) link {
	l := link{invite: crypto.NewInvite()}
	l.op = c.do(by, Body{Invite: &Invite{Key: l.invite.Secret.Key()}}, parents...)
	return l
}

// admit is what somebody at whose door the actor knocked with this link authors.
func (l link) admit(by, a *actor) Body { return l.admitWith(by, a, crypto.Nonce{1}) }

func (l link) admitWith(by, a *actor, joiner crypto.Nonce) Body {
	k := a.inc.SignKnock(crypto.Knock{Name: a.name, Invite: l.invite.Secret.Key(), JoinerNonce: joiner, ResponderNonce: crypto.Nonce{2}}, by.inc.Key())
	return Body{Admit: &Admit{Bundle: k.Bundle, Name: k.Name, Invite: l.op, JoinerNonce: k.JoinerNonce, ResponderNonce: k.ResponderNonce, Signature: k.Signature}}
}

// join brings somebody new in, by a fresh invite of the admitter.
func (c *cast) join(by *actor, name string) *actor {
	a := c.stranger(name)
	c.people = append(c.people, a)
	l := c.invite(by)
	a.intro = c.do(by, l.admit(by, a))
	return a
}

func (c *cast) promote(by, a *actor, parents ...crypto.Hash) crypto.Hash {
	return c.do(by, Body{SetRole: &SetRole{Introduction: a.intro, Role: RoleHost}}, parents...)
}

// do signs an operation whose past is the given parents (all heads if none are given) and adds it. It may be void.
// If the author's own last operation isn't in that past, this is a fork: seq and previous follow what is.
func (c *cast) do(by *actor, body Body, parents ...crypto.Hash) crypto.Hash {
	c.t.Helper()
	raw := c.sign(by, body, parents...)
	if _, err := c.set.Add(raw); err != nil {
		c.t.Fatalf("%s %s: %v", by.name, body.Kind(), err)
	}
	return HashOperation(raw)
}

func (c *cast) sign(by *actor, body Body, parents ...crypto.Hash) []byte {
	c.t.Helper()
	if len(parents) == 0 {
		parents = c.set.Heads()
	}
	o := Operation{Author: by.inc.Bundle().Hash(), Time: uint64(clock.UnixMilli()), Body: body}
	var last *node
	for _, n := range c.set.nodes {
		known := false
		for _, h := range parents {
			p := c.set.byHash[h]
			known = known || p == n || before(n, p)
		}
		if known && n.op.Author == o.Author && (last == nil || n.op.Seq > last.op.Seq) {
			last = n
		}
	}
	if last != nil {
		o.Seq, o.Previous = last.op.Seq+1, &last.hash
	}
	for _, h := range parents {
		if last == nil || h != last.hash {
			o.Heads = append(o.Heads, h)
		}
	}
	sortHashes(o.Heads)
	raw, err := o.sign(c.meeting, by.inc)
	if err != nil {
		c.t.Fatal(err)
	}
	return raw
}

func sortHashes(h []crypto.Hash) {
	for i := range h {
		for j := i; j > 0 && h[j].Compare(h[j-1]) < 0; j-- {
			h[j], h[j-1] = h[j-1], h[j]
		}
	}
}

// in says who is on the roster, and in which role.
func (c *cast) in(a *actor) bool { return c.set.Roster().Member(a.identity.Public()) != nil }

func (c *cast) role(a *actor) Role {
	if m := c.set.Roster().Member(a.identity.Public()); m != nil {
		return m.Role
	}
	return 0
}

// inWithout asks the fold with protections off.
func (c *cast) inWithout(a *actor, off protections) bool {
	return c.set.foldWithout(off).Member(a.identity.Public()) != nil
}

// fakeHash makes a hash of numbers, for histories without signatures.
func fakeHash(label byte, n uint64) crypto.Hash {
	var b [9]byte
	b[0] = label
	binary.BigEndian.PutUint64(b[1:], n)
	return sha256.Sum256(b[:])
}

// signBundle signs a bundle as the actor's identity would.
func signBundle(t testing.TB, a *actor, meeting crypto.MeetingID, b crypto.Bundle) crypto.Bundle {
	t.Helper()
	text, err := a.identity.Export()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text[len("HUISCLOS-IDENTITY-1-"):])
	if err != nil {
		t.Fatal(err)
	}
	msg := append([]byte("huisclos v1 bundle\x00"), meeting[:]...)
	msg = append(append(msg, b.MeetingKey[:]...), b.Static[:]...)
	b.Signature = crypto.Signature(ed25519.Sign(ed25519.NewKeyFromSeed(raw[:32]), msg))
	return b
}
