package meet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// Each test of this file attacks a meeting and shows what comes of it, with the protection and, as its twin, without.

var ms20 = meettest.Options{Latency: 20 * time.Millisecond}

// twin runs f with the protection, and without it by the hook named.
func twin(t *testing.T, hook string, f func(t *testing.T, protected bool, config meet.Config)) {
	t.Run("protected", func(t *testing.T) { f(t, true, meet.Config{}) })
	t.Run("without", func(t *testing.T) { f(t, false, meet.With(meet.Config{}, hook)) })
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func self(t *testing.T, ctx context.Context, m *meettest.Member) meet.Member {
	t.Helper()
	return must[meet.Member](t)(m.Self(ctx))
}

// counter counts, by what.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

func (c *counter) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

func (c *counter) pair(_ crypto.MeetingKey, msg meet.PairMessage) {
	switch {
	case msg.Heartbeat != nil:
		c.add("heartbeat")
	case msg.Have != nil:
		c.add("have")
	case msg.Operations != nil:
		c.add("operations")
	}
}

func events[E meet.Event](m *meettest.Member) (all []E) {
	for _, e := range m.Log() {
		if e, ok := e.(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// TestUnpermitted covers ROS-22: what a changed client sends without the permission, chat, data and media, is not
// delivered.
func TestUnpermitted(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		config := open()
		config.Policy.Members = roster.Video
		host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
		bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.With(meet.Config{}, "unpermitted")))
		honest := must[*meettest.Member](t)(w.Join(ctx, "honest", host, meet.Config{}))
		twin := must[*meettest.Member](t)(w.Join(ctx, "twin", host, meet.With(meet.Config{}, "allPermitted")))
		connected(t, ctx, host, bad, honest, twin)
		if err := honest.Say(ctx, "x"); !errors.Is(err, meet.ErrNotPermitted) {
			t.Errorf("an honest client said: %v", err)
		}
		if _, err := honest.PublishTone(ctx, 60); !errors.Is(err, meet.ErrNotPermitted) {
			t.Errorf("an honest client published: %v", err)
		}
		tone := must[*meettest.Tone](t)(bad.PublishTone(ctx, 60))
		defer tone.Stop()
		ok(t, bad.Say(ctx, "without leave"))
		ok(t, bad.SendData(ctx, []byte("without leave")))
		w.Advance(5 * time.Second)
		got := func(m *meettest.Member) [3]int {
			return [3]int{len(events[meet.Chat](m)), len(events[meet.Data](m)), len(events[meet.TrackAdded](m))}
		}
		for _, m := range []*meettest.Member{host, honest} {
			if n := got(m); n != [3]int{} {
				t.Errorf("%s was delivered chat, data, tracks: %v", m.Host, n)
			}
		}
		if n := got(twin); n != [3]int{1, 1, 1} {
			t.Errorf("twin: who delivers everything got %v", n)
		}
	})
}

// TestListStorm covers SYN-3: a member that asks for lists, and for all operations, again and again is answered at a
// bounded rate.
func TestListStorm(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			var got counter
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.OnPair(meet.Config{}, got.pair)))
			connected(t, ctx, host, bad)
			w.Advance(5 * time.Second)
			before := [2]int{got.of("have"), got.of("operations")}
			for i := range 200 {
				digest := roster.Sync{Count: uint64(i), Digest: crypto.Hash{byte(i)}}
				ok(t, bad.InjectMessage(ctx, host.Incarnation().Key(), meet.PairMessage{Sync: &digest}))
				all := roster.Have{}
				for j := range all.Last {
					all.Last[j] = 0xff
				}
				ok(t, bad.InjectMessage(ctx, host.Incarnation().Key(), meet.PairMessage{Have: &all}))
			}
			w.Advance(900 * time.Millisecond)
			have, operations := got.of("have")-before[0], got.of("operations")-before[1]
			t.Logf("200 of each: answered with %d lists, %d batches", have, operations)
			if protected && (have > 2 || operations > 100) {
				t.Errorf("200 of each: answered with %d lists, %d batches", have, operations)
			}
			if !protected && (have < 200 || operations < 200) {
				t.Errorf("twin: 200 of each: answered with %d lists, %d batches", have, operations)
			}
		})
	})
}

// TestHeartbeats covers PRE-2: how often they come, and that they go by pair session, and by gossip only to whom there
// is none. Control: two members without a path to each other hear each other by gossip.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		var pair, gossip counter
		config := open()
		config = meet.OnPair(config, func(from crypto.MeetingKey, msg meet.PairMessage) {
			if msg.Heartbeat != nil {
				pair.add(from.String())
			}
		})
		config.Tap = func(at transport.TapPoint, _ transport.PeerKey, data []byte) {
			var g meet.GossipMessage
			if at == transport.TapGossip && codec.Unmarshal(data, 1<<16, &g) == nil && g.Heartbeat != nil {
				gossip.add("all")
			}
		}
		a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.With(meet.Config{}, "noBridges")))
		c := must[*meettest.Member](t)(w.Join(ctx, "c", a, meet.With(meet.Config{}, "noBridges")))
		connected(t, ctx, a, b, c)
		ok(t, a.SetRole(ctx, self(t, ctx, b).Identity, meet.Host))
		kb, kc := b.Incarnation().Key().String(), c.Incarnation().Key().String()
		w.Advance(10 * time.Second)
		from := [3]int{pair.of(kb), pair.of(kc), gossip.of("all")}
		w.Advance(time.Minute)
		host, plain, all := pair.of(kb)-from[0], pair.of(kc)-from[1], gossip.of("all")-from[2]
		if host < 10 || host > 14 || plain < 10 || plain > 14 || all != 0 {
			t.Errorf("in a minute: %d heartbeats of a host, %d of a member, %d by gossip", host, plain, all)
		}
		// No path between b and c: by gossip, through a, they are there all the same.
		x, y := b.IP(), c.IP()
		w.Network.SetFilter(func(d transporttest.Datagram) bool {
			return !(d.From.Addr() == x && d.To.Addr() == y || d.From.Addr() == y && d.To.Addr() == x)
		})
		w.Advance(time.Minute) // by when both have noticed, and heard each other by one of the rarer ones
		from[2] = gossip.of("all")
		w.Advance(time.Minute)
		if n := gossip.of("all") - from[2]; n < 20 {
			t.Errorf("without a path only %d heartbeats came by gossip", n)
		}
		for _, m := range must[[]meet.Member](t)(b.Members(ctx)) {
			if m.Away || m.Name == "c" && m.Connected {
				t.Errorf("b sees %+v", m)
			}
		}
	})
}

// TestIsolation covers PRE-5: whoever no host hears is told after 30 s, and sends nothing after 100 s, until a host is
// heard again.
func TestIsolation(t *testing.T) {
	t.Parallel()
	twin(t, "noIsolation", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", host, config))
			c := must[*meettest.Member](t)(w.Join(ctx, "c", host, meet.Config{}))
			connected(t, ctx, host, b, c)
			tone := must[*meettest.Tone](t)(b.PublishTone(ctx, 60))
			defer tone.Stop()
			w.Advance(10 * time.Second)
			w.Network.Partition([]string{"host"}, []string{"b", "c"})
			w.Advance(18 * time.Second) // what a host heard last may have been said 10 s before
			if n := warnings(b); len(n) != 0 {
				t.Errorf("warned too early: %v", n)
			}
			w.Advance(25 * time.Second)
			if n := warnings(b, meet.Isolation); protected && (len(n) != 1 || n[0].Member.Name != "host" || n[0].Over) {
				t.Errorf("after 43 s: %v", warnings(b))
			}
			w.Advance(47 * time.Second) // 90 s
			ok(t, crossed(ctx, w, b, c, time.Second))
			w.Advance(20 * time.Second)
			err, silent := b.Say(ctx, "x"), crossed(ctx, w, b, c, time.Second)
			if !protected {
				if silent != nil || err != nil || len(warnings(b)) != 0 {
					t.Errorf("twin: it must go on without a word: %v, %v, %v", silent, err, warnings(b))
				}
				return
			}
			if silent == nil || !errors.Is(err, meet.ErrIsolated) {
				t.Errorf("after 110 s it still sends: %v", err)
			}
			ok(t, b.KeepSending(ctx, true))
			ok(t, crossed(ctx, w, b, c, time.Second))
			ok(t, b.KeepSending(ctx, false))
			w.Network.Heal()
			w.Advance(15 * time.Second)
			ok(t, crossed(ctx, w, b, c, time.Second))
			ok(t, crossed(ctx, w, b, host, time.Second))
			if n := warnings(b, meet.Isolation, meet.SendingStopped); len(n) < 4 || !n[len(n)-1].Over || !n[len(n)-2].Over {
				t.Errorf("it isn't told that it is over: %v", n)
			}
		})
	})
}

// TestOneHostGone covers PRE-5's other half: where one of two hosts crashes, and where the next one leaves, nobody is
// alarmed.
func TestOneHostGone(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 5)
		for _, m := range all[1:3] {
			ok(t, all[0].SetRole(ctx, self(t, ctx, m).Identity, meet.Host))
		}
		tone := must[*meettest.Tone](t)(all[3].PublishTone(ctx, 60))
		defer tone.Stop()
		w.Advance(10 * time.Second)
		w.Crash(all[0])
		w.Advance(150 * time.Second)
		ok(t, all[1].Leave(ctx))
		w.Advance(150 * time.Second)
		ok(t, crossed(ctx, w, all[3], all[4], time.Second))
	})
}

// TestGhost covers KEY-4: a sender whose stream is readable for somebody not on the roster is named to the others
// within 10 s. Somebody who checks nothing isn't told.
func TestGhost(t *testing.T) {
	t.Parallel()
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		var ghost crypto.MeetingKey
		ghost[3] = 7
		var haunted atomic.Bool
		extra := func() []crypto.MeetingKey {
			if haunted.Load() {
				return []crypto.MeetingKey{ghost}
			}
			return nil
		}
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		sender := must[*meettest.Member](t)(w.Join(ctx, "sender", host, meet.Extra(meet.Config{}, extra)))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{}))
		blind := must[*meettest.Member](t)(w.Join(ctx, "blind", host, meet.With(meet.Config{}, "noGhosts")))
		connected(t, ctx, host, sender, b, blind)
		for _, m := range []*meettest.Member{host, sender, b} {
			tone := must[*meettest.Tone](t)(m.PublishTone(ctx, 60))
			defer tone.Stop()
		}
		w.Advance(20 * time.Second)
		haunted.Store(true)
		d := must[*meettest.Member](t)(w.Join(ctx, "d", host, meet.Config{})) // the next key
		if n := len(warnings(b)) + len(warnings(host)); n != 0 {
			t.Fatalf("%d warnings before", n)
		}
		w.Advance(10 * time.Second)
		for _, m := range []*meettest.Member{host, b, d} {
			if n := warnings(m); len(n) != 1 || n[0].Kind != meet.Ghost || n[0].Member.Name != "sender" {
				t.Errorf("%s was shown %v", m.Host, n)
			}
		}
		if n := warnings(blind); len(n) != 0 {
			t.Errorf("twin: who checks nothing was shown %v", n)
		}
		haunted.Store(false)
		ok(t, host.Remove(ctx, self(t, ctx, d).Identity, false)) // and the next
		w.Advance(10 * time.Second)
		if n := warnings(b); len(n) != 2 || !n[1].Over || n[1].Member.Name != "sender" {
			t.Errorf("it isn't told that it is over: %v", n)
		}
	})
}

// TestKeyKept covers KEY-4 from the other side: a sender that goes on with a key a removed member has is named.
func TestKeyKept(t *testing.T) {
	t.Parallel()
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		lazy := must[*meettest.Member](t)(w.Join(ctx, "lazy", host, meet.KeepKeys(meet.Config{})))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{}))
		c := must[*meettest.Member](t)(w.Join(ctx, "c", host, meet.Config{}))
		connected(t, ctx, host, lazy, b, c)
		tone := must[*meettest.Tone](t)(lazy.PublishTone(ctx, 60))
		defer tone.Stop()
		// Its key is made only by force, since it ignores who reads.
		ok(t, lazy.Say(ctx, "x"))
		w.Advance(10 * time.Second)
		ok(t, host.Remove(ctx, self(t, ctx, c).Identity, false))
		w.Advance(25 * time.Second)
		for _, m := range []*meettest.Member{host, b} {
			if n := warnings(m, meet.Ghost); len(n) != 1 || n[0].Member.Name != "lazy" {
				t.Errorf("%s was shown %v", m.Host, warnings(m))
			}
		}
	})
}

// TestAwayGetsNoKey covers KEY-10: somebody who is away, though connected, gets no new key before it is back, and then
// it does.
func TestAwayGetsNoKey(t *testing.T) {
	t.Parallel()
	twin(t, "keysForAway", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			var silent atomic.Bool
			var wraps atomic.Int32
			c := meet.Silent(meet.RecordWraps(meet.Config{}, func(crypto.MeetingKey, []byte) { wraps.Add(1) }), silent.Load)
			away := must[*meettest.Member](t)(w.Join(ctx, "away", host, c))
			d := must[*meettest.Member](t)(w.Join(ctx, "d", host, meet.Config{}))
			connected(t, ctx, host, away, d)
			tone := must[*meettest.Tone](t)(host.PublishTone(ctx, 60))
			defer tone.Stop()
			w.Advance(5 * time.Second)
			silent.Store(true)
			w.Advance(20 * time.Second)
			before := wraps.Load()
			ok(t, host.Remove(ctx, self(t, ctx, d).Identity, false))
			w.Advance(5 * time.Second)
			if got := wraps.Load() - before; protected != (got == 0) {
				t.Errorf("away, it got %d new keys", got)
			}
			if err := crossed(ctx, w, host, away, time.Second); protected != (err != nil) {
				t.Errorf("away, it hears: %v", err)
			}
			silent.Store(false)
			w.Advance(8 * time.Second)
			ok(t, crossed(ctx, w, host, away, time.Second))
		})
	})
}

// TestMissedChat covers MSG-3: what is said while somebody is cut off reaches it once, when it is back, and the others
// once.
func TestMissedChat(t *testing.T) {
	t.Parallel()
	twin(t, "noResend", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			author := must[*meettest.Member](t)(w.Join(ctx, "author", host, config))
			c := must[*meettest.Member](t)(w.Join(ctx, "c", host, meet.Config{}))
			connected(t, ctx, host, author, c)
			w.Network.Partition([]string{"host", "author"}, []string{"c"})
			w.Advance(time.Second)
			for i := range 3 {
				ok(t, author.Say(ctx, fmt.Sprint("line ", i)))
			}
			ok(t, author.SendData(ctx, []byte("data")))
			w.Advance(20 * time.Second)
			w.Network.Heal()
			w.Advance(20 * time.Second)
			for _, m := range []*meettest.Member{host, c} {
				said := map[string]int{}
				for _, e := range events[meet.Chat](m) {
					said[e.Text]++
				}
				for _, e := range events[meet.Data](m) {
					said[string(e.Data)]++
				}
				want := protected || m == host
				if (len(said) == 4) != want || !want && len(said) != 0 {
					t.Errorf("%s heard %v", m.Host, said)
				}
				for text, n := range said {
					if n != 1 {
						t.Errorf("%s heard %q %d times", m.Host, text, n)
					}
				}
			}
			if held := must[meet.Held](t)(author.Held(ctx)); protected && held.Outbox != 0 {
				t.Errorf("the author still keeps %d messages", held.Outbox)
			}
		})
	})
}

// TestForgedAddresses covers ADR-1: a member can't make another send packets to a third party, or isolate somebody, by a
// record that the member it is about didn't sign.
func TestForgedAddresses(t *testing.T) {
	t.Parallel()
	twin(t, "anyAddress", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			gone := must[*meettest.Member](t)(w.Join(ctx, "gone", host, meet.Config{}))
			connected(t, ctx, host, victim, bad, gone)
			w.Crash(gone) // so that everybody wants to connect to it
			w.Advance(20 * time.Second)
			var hit atomic.Int32
			w.Network.SetTap(func(d transporttest.Datagram) {
				if d.To.Addr().As4() == [4]byte{5, 99, 0, 1} {
					hit.Add(1)
				}
			})
			third := []byte{4, 5, 99, 0, 1, 0x91, 2, 0x11, 0x5c, 0xcd, 3} // 5.99.0.1, UDP 4444, QUIC
			record := meet.SignRecord(bad.Incarnation(), 1<<52, [][]byte{third})
			record.Author = gone.Incarnation().Key()
			stranger := must[*crypto.Incarnation](t)(crypto.GenerateIdentity().NewIncarnation(host.ID()))
			records := [][]byte{meet.Encode(record), meet.Encode(meet.SignRecord(stranger, 1, [][]byte{third}))}
			for _, r := range records {
				ok(t, bad.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Addresses: [][]byte{r}}))
			}
			w.Advance(20 * time.Second)
			if n := hit.Load(); protected != (n == 0) {
				t.Errorf("%d packets to a third party", n)
			}
			if held := must[meet.Held](t)(victim.Held(ctx)); held.Records > 3 {
				t.Errorf("%d records of three members", held.Records)
			}
		})
	})
}

// TestAddressesStayInside covers ADR-2: no member's address is in the gossip, nor in any datagram in the clear. Control:
// pair sessions carry them.
func TestAddressesStayInside(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		var gossip seen
		var mu sync.Mutex
		var sessions [][]byte
		tap := func(at transport.TapPoint, from transport.PeerKey, data []byte) {
			if at == transport.TapGossip {
				gossip.tap(at, from, data)
			}
		}
		config := open()
		config.Tap = tap
		var wire seen
		w.Network.SetTap(func(d transporttest.Datagram) { wire.tap("", transport.PeerKey{}, d.Data) })
		host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
		all := []*meettest.Member{host}
		for i := range 3 {
			c := meet.OnPair(meet.Config{Tap: tap}, func(_ crypto.MeetingKey, msg meet.PairMessage) {
				mu.Lock()
				defer mu.Unlock()
				for _, raw := range msg.Addresses {
					sessions = append(sessions, bytes.Clone(raw))
				}
			})
			all = append(all, must[*meettest.Member](t)(w.Join(ctx, fmt.Sprint("m", i), host, c)))
		}
		connected(t, ctx, all...)
		ok(t, host.Say(ctx, "salut"))
		w.Advance(30 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for _, m := range all {
			for _, address := range m.RawAddresses() {
				if gossip.contains(address) || wire.contains(address) {
					t.Errorf("an address of %s was in the gossip or in the clear", m.Host)
				}
				found := false
				for _, raw := range sessions {
					found = found || bytes.Contains(raw, address)
				}
				if !found {
					t.Errorf("control: no pair session carried an address of %s", m.Host)
				}
			}
		}
		if gossip.count(transport.TapGossip) == 0 {
			t.Error("control: no gossip was seen")
		}
	})
}
