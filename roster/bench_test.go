package roster

import (
	"fmt"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// meetingOf1000 is a realistic meeting: a creator and two hosts, 300 people by a few links, restarts, people who leave
// and come back, some who are removed, roles and policies; 1,000 operations in all.
func meetingOf1000(b *testing.B) *cast {
	b.Helper()
	c := newCast(b, DefaultPolicy())
	creator := c.people[0]
	hosts := []*actor{creator, c.join(creator, "second"), c.join(creator, "third")}
	c.promote(creator, hosts[1])
	c.promote(creator, hosts[2])
	var links []link
	admit := func(i int, a *actor) {
		h := i % len(hosts)
		a.intro = c.do(hosts[h], links[h].admit(hosts[h], a))
	}
	renew := func() {
		links = links[:0]
		for _, h := range hosts {
			links = append(links, c.invite(h))
		}
	}
	renew()
	var guests []*actor
	for i := 0; c.set.Len() < 1000; i++ {
		a := c.stranger(fmt.Sprint("guest ", i))
		admit(i, a)
		guests = append(guests, a)
		who := guests[(i*7)%len(guests)]
		switch {
		case i%60 == 59:
			c.do(hosts[i%3], remove(who))
			renew()
		case i%15 == 7:
			c.do(creator, policy(Entry(1+i%2)))
		case i%5 == 1:
			c.do(hosts[i%3], setRole(who, Role(1+i%2)))
		case i%2 == 0 && c.in(who):
			c.do(who, leave())
			*who = *c.another(who)
			admit(i, who)
		case c.in(who):
			c.resume(who)
		}
		if i%100 == 99 {
			c.resume(hosts[i%3])
		}
	}
	return c
}

// BenchmarkFold1000 folds a thousand operations that are in the set already.
func BenchmarkFold1000(b *testing.B) {
	c := meetingOf1000(b)
	b.ReportMetric(float64(len(c.set.Roster().Members)), "people")
	b.ReportAllocs()
	for b.Loop() {
		c.set.roster = nil
		c.set.Roster()
	}
}

// BenchmarkDecodeVerifyFold1000 takes a thousand operations as a joiner gets them. Beside it, in the same run: the
// Ed25519 verifications alone that they need, of their signatures, bundles and proofs.
func BenchmarkDecodeVerifyFold1000(b *testing.B) {
	c := meetingOf1000(b)
	var raws [][]byte
	c.set.All(func(_ crypto.Hash, raw []byte) bool { raws = append(raws, raw); return true })
	var verifications []func() bool
	for _, n := range c.set.nodes {
		n := n
		bundle, err := c.set.introduced(n)
		if err != nil {
			b.Fatal(err)
		}
		msg := make([]byte, len(n.raw))
		verifications = append(verifications, func() bool { return bundle.MeetingKey.Verify("operation", *n.op.Signature, msg) })
		if n.brings != nil {
			verifications = append(verifications, func() bool {
				return n.brings.Identity.Verify("bundle", n.brings.Signature, c.meeting[:], n.brings.MeetingKey[:], n.brings.Static[:])
			})
		}
		if a := n.op.Body.Admit; a != nil {
			verifications = append(verifications, func() bool { return a.Bundle.MeetingKey.Verify("knock", a.Signature, msg) })
		}
	}
	var bare time.Duration
	b.ReportAllocs()
	for b.Loop() {
		s, err := NewSet(c.genesis, c.meeting)
		if err != nil {
			b.Fatal(err)
		}
		for _, raw := range raws {
			if _, err := s.Add(raw); err != nil {
				b.Fatal(err)
			}
		}
		if len(s.Roster().Members) == 0 {
			b.Fatal("nobody")
		}
		b.StopTimer()
		start := time.Now()
		for _, verify := range verifications {
			verify()
		}
		bare += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "bare-ns/op")
	b.ReportMetric(float64(b.Elapsed())/float64(bare), "times-bare")
}

// BenchmarkAdd is one Admit into a set of a thousand, with the fold after it.
func BenchmarkAdd(b *testing.B) {
	c := meetingOf1000(b)
	raw := c.sign(c.people[0], c.invite(c.people[0]).admit(c.people[0], c.stranger("x")))
	b.ReportAllocs()
	for b.Loop() {
		s := c.set.clone()
		if _, err := s.Add(raw); err != nil {
			b.Fatal(err)
		}
		s.Roster()
	}
}

// BenchmarkHostileFold folds full sets that are made to be slow.
func BenchmarkHostileFold(b *testing.B) {
	for _, shape := range hostileShapes {
		b.Run(shape.name, func(b *testing.B) {
			k := newCrowd(b, protections{})
			shape.make(k)
			effective := 0
			for _, v := range k.set.Roster().fold.void {
				if v == NotVoid {
					effective++
				}
			}
			if k.set.Len() < MaxHostOperations || effective < 500 {
				b.Fatalf("%d operations, %d effective: not what it means to be", k.set.Len(), effective)
			}
			b.ReportMetric(float64(k.set.Len()), "operations")
			b.ReportAllocs()
			for b.Loop() {
				k.set.roster = nil
				k.set.Roster()
			}
		})
	}
}
