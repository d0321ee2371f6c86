package halfopen

import (
	"net/netip"
	"testing"
	"time"
)

// Checks: TRA-5.
func TestCounter(t *testing.T) {
	now := time.Unix(1000, 0)
	c := New(3)
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2") // one /64
	other := netip.MustParseAddr("192.0.2.1")
	for i, step := range []struct {
		from netip.Addr
		at   time.Duration
		want bool
	}{{a, 0, true}, {b, 1, true}, {a, 2, true}, {b, 3, false}, {other, 3, true}, {netip.MustParseAddr("::ffff:192.0.2.1"), 3, true}} {
		if got := c.Accept(step.from, now.Add(step.at*time.Second)); got != step.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	c.Secured(b)
	if !c.Accept(a, now.Add(4*time.Second)) || c.Accept(a, now.Add(5*time.Second)) {
		t.Error("who has proved its key counts on, or somebody else doesn't")
	}
	if !c.Accept(a, now.Add(lasts)) || c.Accept(a, now.Add(lasts)) {
		t.Error("the first should have been forgotten, and it alone")
	}
	c.Secured(netip.MustParseAddr("192.0.2.9")) // never seen
	for i := range 2 * maxAddresses {
		c.Accept(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), now)
	}
	if len(c.waiting) > maxAddresses {
		t.Error(len(c.waiting), "addresses are remembered")
	}
	if !c.Accept(netip.MustParseAddr("192.0.2.200"), now.Add(time.Hour)) || len(c.waiting) != 1 {
		t.Error("no room is made")
	}
}

// TestQUIC: up to so many of an address needn't prove it is theirs; what was proved is bounded, and what wasn't takes no
// place of that.
//
// Checks: TRA-5, RLY-5.
func TestQUIC(t *testing.T) {
	q := NewQUIC(20)
	a := netip.MustParseAddr("192.0.2.1")
	now := time.Now()
	for i := range 100 { // in another's name
		if got := q.unproven.Accept(a, now); got != (i < unproven) {
			t.Fatal(i, got)
		}
	}
	for i := range 30 {
		if got := q.proven.Accept(a, now); got != (i < 20) {
			t.Fatal(i, got)
		}
	}
	q.Secured(a)
	if !q.unproven.Accept(a, now) || !q.proven.Accept(a, now) {
		t.Error("who has proved its key counts on")
	}
}
