package meet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
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
}

// TestPairsOfNATs: two behind any two kinds of NAT, with a third member in the open, hear each other: directly wherever
// that can be, within a second of the circuit; through the third where it can't.
//
// Checks: BRI-1, BRI-3.
func TestPairsOfNATs(t *testing.T) {
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
	hopeless := symmetric(ka) && symmetric(kb) || symmetric(max(ka, kb)) && min(ka, kb) == transporttest.PortRestricted
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
