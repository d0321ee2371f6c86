package meet_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
	ma "github.com/multiformats/go-multiaddr"
)

// pathTo is the way from one member to another now.
func pathTo(t *testing.T, ctx context.Context, from, to *meettest.Member) meet.Path {
	t.Helper()
	members, err := from.Members(ctx)
	if err != nil {
		t.Fatal(err)
	}
	self, err := to.Self(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.Key == self.Key && m.Connected {
			return m.Path
		}
	}
	return meet.Path{}
}

// awaitPath waits until there is a path of one of these kinds both ways, and returns how long that took.
func awaitPath(t *testing.T, ctx context.Context, w *meettest.World, a, b *meettest.Member, limit time.Duration, kinds ...meet.PathKind) time.Duration {
	t.Helper()
	for start := time.Now(); ; w.Advance(5 * time.Millisecond) {
		p, q := pathTo(t, ctx, a, b), pathTo(t, ctx, b, a)
		for _, k := range kinds {
			if p.Kind == k && q.Kind == k {
				return time.Since(start)
			}
		}
		if time.Since(start) > limit {
			t.Fatalf("%s and %s: %v, %v after %v, want %v", a.Host, b.Host, p, q, limit, kinds)
		}
	}
}

var nats = []struct {
	name string
	kind transporttest.NAT
}{
	{"public", transporttest.Public}, {"full cone", transporttest.FullCone},
	{"port-restricted", transporttest.PortRestricted}, {"symmetric", transporttest.Symmetric},
	{"carrier-grade", transporttest.CarrierGrade},
}

// TestPairsOfNATs: two behind any two kinds of NAT, with a third member in the open, hear each other: directly wherever
// that can be, within a second of the circuit; through the third where it can't.
//
// Checks: BRI-1, BRI-3.
func TestPairsOfNATs(t *testing.T) {
	t.Parallel()
	for _, a := range nats {
		for _, b := range nats {
			t.Run(a.name+" and "+b.name, func(t *testing.T) {
				world(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
					pairOfNATs(t, ctx, w, a.kind, b.kind)
				})
			})
		}
	}
}

func pairOfNATs(t *testing.T, ctx context.Context, w *meettest.World, ka, kb transporttest.NAT) {
	w.Place("a", transporttest.HostOptions{NAT: ka})
	w.Place("b", transporttest.HostOptions{NAT: kb})
	creator, err := w.Create(ctx, "bridge", open())
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.Join(ctx, "a", creator, meet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tone, err := a.PublishTone(ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	defer tone.Stop()
	w.Advance(3 * time.Second)
	begun := time.Now()
	b, err := w.Join(ctx, "b", creator, meet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	joined := time.Since(begun)
	begun = time.Now()
	awaitPath(t, ctx, w, a, b, 3*time.Second, meet.PathUDP, meet.PathMember)
	connected := time.Since(begun)
	line := fmt.Sprintf("joined %v; from there: connected %v (%v)", joined, connected, pathTo(t, ctx, b, a))
	symmetric := func(k transporttest.NAT) bool { return k == transporttest.Symmetric }
	byPort := func(k transporttest.NAT) bool { return k >= transporttest.PortRestricted } // lets in who was sent to, at that port
	hopeless := (symmetric(ka) || symmetric(kb)) && byPort(ka) && byPort(kb)
	if !hopeless {
		direct := connected + awaitPath(t, ctx, w, a, b, 5*time.Second, meet.PathUDP)
		if err := crossed(ctx, w, a, b, 3*time.Second); err != nil {
			t.Error(err)
		}
		line += fmt.Sprintf(", direct %v, media %v", direct, time.Since(begun))
		if direct-connected > time.Second {
			t.Errorf("direct %v after the circuit", direct-connected)
		}
	} else {
		if err := crossed(ctx, w, a, b, 3*time.Second); err != nil {
			t.Error(err)
		}
		line += fmt.Sprintf(", media %v", time.Since(begun))
		w.Advance(10 * time.Second)
		if p, q := pathTo(t, ctx, a, b), pathTo(t, ctx, b, a); p.Kind != meet.PathMember || q.Kind != meet.PathMember || p.Name != "bridge" {
			t.Errorf("paths %v, %v", p, q)
		}
	}
	t.Log(line)
	// what is said reaches them
	if err := a.Say(ctx, "hello"); err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := meettest.AwaitEvent[meet.Chat](c, b); err != nil {
		t.Error("no chat:", err)
	}
}

// TestNoBridges is the twin of TestPairsOfNATs: where nobody reserves, two behind symmetric NATs don't find each other.
//
// Checks: BRI-1.
func TestNoBridges(t *testing.T) {
	alarmed(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		creator, err := w.Create(ctx, "bridge", open())
		if err != nil {
			t.Fatal(err)
		}
		var pair []*meettest.Member
		for _, name := range []string{"a", "b"} {
			w.Place(name, transporttest.HostOptions{NAT: transporttest.Symmetric})
			m, err := w.Join(ctx, name, creator, meet.With(meet.Config{}, "noBridges"))
			if err != nil {
				t.Fatal(err)
			}
			pair = append(pair, m)
		}
		w.Advance(20 * time.Second)
		if p := pathTo(t, ctx, pair[0], pair[1]); p.Kind != meet.PathNone {
			t.Errorf("path %v", p)
		}
	})
}

// TestDirectAgain: two whom something keeps apart, but for a while, don't go on through the one in the middle when that is
// over, though ICE still finds nothing; until then both are shown who that is. The twin goes on through it. (That the way
// is shown has no twin: what is shown is the connection there is.)
//
// Checks: BRI-3.
func TestDirectAgain(t *testing.T) {
	twin(t, "noSeeking", func(t *testing.T, protected bool, config meet.Config) {
		world(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
			creator := must[*meettest.Member](t)(w.Create(ctx, "bridge", open()))
			var mu sync.Mutex
			var bridge netip.Addr
			apart := true
			w.Network.SetFilter(func(d transporttest.Datagram) bool {
				mu.Lock()
				defer mu.Unlock()
				if !bridge.IsValid() {
					bridge = d.To.Addr() // whom a dials
				}
				quic := d.Data[0]&0x40 != 0 // RFC 9000 section 17
				return d.From.Addr() == bridge || d.To.Addr() == bridge || quic && !apart
			})
			a := must[*meettest.Member](t)(w.Join(ctx, "a", creator, config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", creator, config))
			awaitPath(t, ctx, w, a, b, 10*time.Second, meet.PathMember)
			w.Advance(time.Minute)
			if p, q := pathTo(t, ctx, a, b), pathTo(t, ctx, b, a); p.Name != "bridge" || q.Name != "bridge" {
				t.Errorf("paths %v, %v", p, q)
			}
			mu.Lock()
			apart = false
			mu.Unlock()
			w.Advance(32 * time.Second)
			if p, q := pathTo(t, ctx, a, b), pathTo(t, ctx, b, a); (p.Kind == meet.PathUDP) != protected || (q.Kind == meet.PathUDP) != protected {
				t.Errorf("protected %v: paths %v, %v", protected, p, q)
			}
		})
	})
}

// TestOffice: twenty members (twelve, in short) behind one address, where nothing comes back in from outside to that
// address (no hairpin), and one in the open: all are directly connected.
//
// Checks: BRI-1.
func TestOffice(t *testing.T) {
	t.Parallel()
	desks := 20
	if testing.Short() {
		desks = 12 // more than the 8 connections of one address that libp2p allows
	}
	world(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		creator, err := w.Create(ctx, "outside", open())
		if err != nil {
			t.Fatal(err)
		}
		all := []*meettest.Member{creator}
		for i := range desks {
			name := fmt.Sprintf("desk%d", i)
			w.Place(name, transporttest.HostOptions{NAT: transporttest.PortRestricted, LAN: "office"})
			m, err := w.Join(ctx, name, creator, meet.Config{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		begun := time.Now()
		connected(t, ctx, all...)
		t.Logf("all connected %v after the last came", time.Since(begun))
		w.Advance(3 * time.Second)
		for _, m := range all {
			members, err := m.Members(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range members {
				if !v.Self && v.Path.Kind != meet.PathUDP {
					t.Errorf("%s to %s: %v", m.Host, v.Name, v.Path)
				}
			}
		}
	})
}

// strangersToEachOther is a meeting of a creator and another in the open, and two behind symmetric NATs.
func strangersToEachOther(t *testing.T, ctx context.Context, w *meettest.World) (creator, second, a, b *meettest.Member) {
	t.Helper()
	for _, name := range []string{"a", "b"} {
		w.Place(name, transporttest.HostOptions{NAT: transporttest.Symmetric})
	}
	creator, err := w.Create(ctx, "creator", open())
	if err != nil {
		t.Fatal(err)
	}
	var joined []*meettest.Member
	for _, name := range []string{"second", "a", "b"} {
		m, err := w.Join(ctx, name, creator, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		joined = append(joined, m)
	}
	second, a, b = joined[0], joined[1], joined[2]
	awaitPath(t, ctx, w, a, b, 3*time.Second, meet.PathMember)
	w.Advance(5 * time.Second)
	return creator, second, a, b
}

// TestBridgeGone: when the member in the middle leaves, crashes or is removed, the others go on through another.
//
// Checks: BRI-1.
func TestBridgeGone(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]time.Duration{"leaves": time.Second, "crashes": 10 * time.Second, "is removed": time.Second} {
		t.Run(name, func(t *testing.T) {
			alarmed(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
				creator, second, a, b := strangersToEachOther(t, ctx, w)
				// Whoever is in the middle now is to go; only the creator can't be removed.
				middle, other := creator, second
				if pathTo(t, ctx, a, b).Name == "second" || name == "is removed" {
					middle, other = second, creator
				}
				s, err := middle.Self(ctx)
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				switch name {
				case "leaves":
					err = middle.Leave(ctx)
				case "crashes":
					w.Crash(middle)
				default:
					err = creator.Remove(ctx, s.Identity, false)
				}
				if err != nil {
					t.Fatal(err)
				}
				for {
					p, q := pathTo(t, ctx, a, b), pathTo(t, ctx, b, a)
					if p.Kind == meet.PathMember && q.Kind == meet.PathMember && p.Name == other.Host && q.Name == other.Host {
						break
					}
					if time.Since(begun) > limit {
						t.Fatalf("%v, %v after %v", p, q, limit)
					}
					w.Advance(5 * time.Millisecond)
				}
				t.Logf("through another after %v", time.Since(begun))
			})
		})
	}
}

// TestRemovedIsNotBridged: a member who was removed is cut off from whom it reached through another, though that one
// could still be asked.
//
// Checks: BRI-1.
func TestRemovedIsNotBridged(t *testing.T) {
	alarmed(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		creator, _, a, b := strangersToEachOther(t, ctx, w)
		s, err := b.Self(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := creator.Remove(ctx, s.Identity, false); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		if n := a.ConnectionsTo(s.Key); n != 0 {
			t.Errorf("%d connections to who was removed", n)
		}
		if b.Context().Err() == nil {
			t.Error("who was removed is still in")
		}
	})
}

// TestBridgeFlood: a member who has others pass on its address without end makes them send little. The twin shows how
// much it would be.
//
// Checks: BRI-2.
func TestBridgeFlood(t *testing.T) {
	t.Parallel()
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			alarmed(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
				config := open()
				if !protected {
					config = meet.With(config, "noLimits")
				}
				creator, err := w.Create(ctx, "creator", config)
				if err != nil {
					t.Fatal(err)
				}
				var passed atomic.Int64
				victim := creator.Incarnation().Key()
				_, err = w.Join(ctx, "reader", creator, meet.OnPair(meet.Config{}, func(from crypto.MeetingKey, msg meet.PairMessage) {
					if from == victim && len(msg.Addresses) > 0 {
						passed.Add(1)
					}
				}))
				if err != nil {
					t.Fatal(err)
				}
				w.Advance(20 * time.Second) // nobody is new any more
				evil, err := w.Join(ctx, "evil", creator, meet.Config{})
				if err != nil {
					t.Fatal(err)
				}
				w.Advance(15 * time.Second)
				before := passed.Load()
				bridge, err := transport.CircuitAddress(transport.PeerKey(victim))
				if err != nil {
					t.Fatal(err)
				}
				for i := range 40 {
					r := meet.SignRecord(evil.Incarnation(), uint64(time.Now().Add(time.Hour).UnixMilli())+uint64(i), [][]byte{bridge.Bytes()})
					if err := evil.InjectMessage(ctx, victim, meet.PairMessage{Addresses: [][]byte{meet.Encode(r)}}); err != nil {
						t.Fatal(err)
					}
					w.Advance(500 * time.Millisecond)
				}
				if n := passed.Load() - before; (n <= 9) != protected || n < 4 {
					t.Errorf("%d records passed on in 20 s, protected: %v", n, protected)
				}
			})
		})
	}
}

// TestGreetingSwallowsNothing: what a member tells one who has just come about where it can be reached, it tells the
// others, too.
//
// Checks: ADR-1.
func TestGreetingSwallowsNothing(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		creator := must[*meettest.Member](t)(w.Create(ctx, "creator", open()))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", creator, meet.Config{}))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", creator, meet.Config{}))
		connected(t, ctx, creator, a, b)
		w.Advance(3 * time.Second)
		bridge := self(t, ctx, creator).Key
		ok(t, a.GreetAndTell(ctx, bridge))
		w.Advance(200 * time.Millisecond)
		if !slices.ContainsFunc(must[[][]byte](t)(b.RecordsHeld(ctx)), func(raw []byte) bool { return meet.RecordNames(raw, bridge) }) {
			t.Error("the others weren't told")
		}
	})
}

// TestAnnouncedMembers: what is announced of somebody for whom members bridge names none of them. The twin does.
//
// Checks: RDV-5.
func TestAnnouncedMembers(t *testing.T) {
	t.Parallel()
	for name, hooks := range map[string][]string{"protected": nil, "twin": {"announceAll"}} {
		t.Run(name, func(t *testing.T) {
			alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
				b := newBoard()
				for _, name := range []string{"a", "b"} {
					w.Place(name, transporttest.HostOptions{NAT: transporttest.Symmetric})
				}
				creator := must[*meettest.Member](t)(w.Create(ctx, "creator", open()))
				must[*meettest.Member](t)(w.Join(ctx, "a", creator, meet.Config{}))
				who := must[*meettest.Member](t)(w.Join(ctx, "b", creator, meet.With(found(b), hooks...)))
				ok(t, creator.SetRole(ctx, self(t, ctx, who).Identity, meet.Host))
				w.Advance(5 * time.Second)
				must[meet.Invite](t)(who.Invite(ctx, meet.InviteOptions{}))
				w.Advance(2 * time.Second)
				announced, named := 0, 0
				key := transport.PeerKey(self(t, ctx, creator).Key)
				circuit := must[ma.Multiaddr](t)(transport.CircuitAddress(key))
				for _, topic := range b.topics() {
					for _, addrs := range b.now[topic] {
						for _, a := range addrs {
							announced++
							if strings.Contains(a.String(), circuit.String()) {
								named++
							}
						}
					}
				}
				if announced == 0 {
					t.Error("nothing is announced")
				}
				if named > 0 != (name == "twin") {
					t.Errorf("%d of %d addresses name a member", named, announced)
				}
			})
		})
	}
}
