package main

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

func TestCapture(t *testing.T) {
	c := newCapture("a", true)
	at := time.Now()
	packet := ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte{128, 1})
	c.packet(at, true, packet)
	before := c.snapshot()
	c.packet(at.Add(time.Second), true, packet)
	c.packet(at.Add(time.Second), false, ip4("5.2.0.1:2", "5.1.0.1:1", protoUDP, []byte{128, 1}))
	for f, n := range c.since(before) {
		if n.packets != 1 || f.out && n.first != at {
			t.Errorf("%v: %+v", f, n)
		}
	}
	if len(c.since(before)) != 2 || len(c.packets()) != 3 || c.missed() != 0 {
		t.Errorf("%v", c.since(before))
	}
	c.size = keptBytes
	c.packet(at, true, packet)
	if c.missed() != 1 || len(c.packets()) != 3 {
		t.Error("a full capture doesn't say so")
	}
	c.drop = func() int { return 2 }
	if c.missed() != 3 {
		t.Error("what the kernel drops isn't missed")
	}
}

// TestRoundTrip: the shortest check that was answered counts, from when it was sent first.
func TestRoundTrip(t *testing.T) {
	c := newCapture("a", false)
	at := time.Now()
	check := func(after time.Duration, out bool, id byte) {
		b := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42}, bytes.Repeat([]byte{id}, 12)...)
		from, to := "5.1.0.1:1", "5.2.0.1:2"
		if !out {
			b[0], from, to = 1, to, from
		}
		c.packet(at.Add(after), out, ip4(from, to, protoUDP, b))
	}
	other := []netip.Addr{netip.MustParseAddr("5.2.0.1")}
	check(10*time.Millisecond, false, 7) // to nobody's question
	check(0, true, 1)
	if d := c.roundTrip(other); d != 0 {
		t.Errorf("without an answer: %v", d)
	}
	check(90*time.Millisecond, true, 1)
	check(100*time.Millisecond, false, 1)
	check(100*time.Millisecond, true, 2)
	check(150*time.Millisecond, false, 2)
	check(151*time.Millisecond, false, 2)
	if d := c.roundTrip(other); d != 50*time.Millisecond {
		t.Errorf("%v", d)
	}
}
