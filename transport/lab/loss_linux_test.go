package main

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestLags has sound stand still for a second, and then come late for ever, or what was late be left out.
func TestLags(t *testing.T) {
	begin := time.Now()
	// At 50 a second, looked at each 20 ms; from 100 on, still for 50; then so many are left out.
	line := func(from, to int, left uint64) (all progresses) {
		for i := from; i < to; i++ {
			p := progress{at: begin.Add(time.Duration(i) * 20 * time.Millisecond), packets: uint64(i)}
			if i >= 100 {
				p.packets = 100
			}
			if i >= 150 {
				p.packets, p.lost = uint64(i)-50, left
			}
			all = append(all, p)
		}
		return all
	}
	clean := line(0, 100, 0)
	if l := clean.lag(clean); l.longest != 0 {
		t.Errorf("on time: %v", l)
	}
	over := begin.Add(3 * time.Second)
	queued, dropped := line(100, 300, 0), line(100, 300, 50)
	if l := dropped.lag(clean); l.longest != 980*time.Millisecond || l.p50 != 0 {
		t.Errorf("what was late was left out: %v", l)
	}
	if took, ok := dropped.below(clean, lossRecoveredTo, over); !ok || took > 0 || dropped.gone() != 50 {
		t.Errorf("what was late was left out, and still late after %v, %v", took, ok)
	}
	if l := queued.lag(clean); l.p50 != time.Second {
		t.Errorf("all comes late: %v", l)
	}
	if _, ok := queued.below(clean, lossRecoveredTo, over); ok || queued.gone() != 0 {
		t.Error("all comes late, which isn't seen")
	}
}

// TestRenumber: what still comes for an address that somebody had is lost, and no packet to nowhere.
func TestRenumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWAN()
		defer w.close()
		a, b := newLine(), newLine()
		w.attach("a", a, profile{}, netip.MustParsePrefix("5.1.0.1/32"))
		pb := w.attach("b", b, profile{}, netip.MustParsePrefix("5.2.0.1/32"))
		w.renumber(pb, netip.MustParsePrefix("5.3.0.1/32"))
		for _, to := range []string{"5.2.0.1:2", "5.3.0.1:2", "5.4.0.1:2"} {
			a.in <- ip4("5.1.0.1:1", to, protoUDP, nil)
		}
		synctest.Wait()
		if s := w.strayPackets(); len(b.out) != 1 || w.losses() != 1 || len(s) != 1 || s[0].flow.dst.String() != "5.4.0.1:2" {
			t.Errorf("%d arrived, %d lost, %v", len(b.out), w.losses(), s)
		}
		w.lose(pb, 1)
		a.in <- ip4("5.1.0.1:1", "5.3.0.1:2", protoUDP, nil)
		synctest.Wait()
		if len(b.out) != 1 || w.losses() != 2 {
			t.Error("a packet came over a line that loses all")
		}
	})
}

// TestOnTheMove: what may stray does so to a member's private address, for a moment.
func TestOnTheMove(t *testing.T) {
	moved := time.Now()
	c := &call{allowed: []netip.Addr{netip.MustParseAddr("192.168.1.20"), wan4(3).Addr()}, moves: []time.Time{moved}}
	for _, tt := range []struct {
		to    string
		after time.Duration
		may   bool
	}{
		{"192.168.1.20:1", 100 * time.Millisecond, true}, {"192.168.1.20:1", -time.Millisecond, false}, {"192.168.1.20:1", moveFor, false},
		{"192.168.1.21:1", 100 * time.Millisecond, false}, {"5.103.100.1:1", 100 * time.Millisecond, false}, {"8.8.8.8:53", 100 * time.Millisecond, false},
	} {
		if c.onTheMove(stray{flow: flow{dst: netip.MustParseAddrPort(tt.to)}, at: moved.Add(tt.after)}) != tt.may {
			t.Errorf("to %s after %v", tt.to, tt.after)
		}
	}
}
