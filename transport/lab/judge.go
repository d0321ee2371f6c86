package main

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// side is one direction of a pair: what one member hears of the other.
type side struct {
	Path     path
	First    time.Duration // from this member's Join to the other's first packet opened
	RTT      time.Duration
	Loss     float64
	Direct   time.Duration // from the path through a member to direct media; negative: there was none
	received uint64
}

// result is what came of a cell or scenario.
type result struct {
	Name     string
	A, B     kind
	Sides    [2]side // what the second hears of the first, and the first of the second
	Expected path
	Notes    []string // figures of a scenario
	Failures []string
	Breach   bool   // one of them is of something sent or shown that may not be: no repetition makes it good
	Pending  string // why it wasn't run
	Again    int    // the how manieth repetition this is; 0: none
	Took     time.Duration
}

func (r *result) fail(format string, args ...any) {
	r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
}

// breach fails for something sent or shown that may not be.
func (r *result) breach(format string, args ...any) {
	r.fail(format, args...)
	r.Breach = true
}

func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// measureFor is how long loss and path are measured.
const measureFor = 2 * time.Second

// The files hold 50 packets a second, of 80 bytes. On a stream several may share a packet of TCP or QUIC, so a path
// carries media if it carries bytes like media: what the members have to say beside is less.
const (
	mediaRate  = 25    // packets a second
	mediaBytes = 3_000 // a second, with headers
)

// pathOf tells from what a host received in a while on which path media came to it from another. Nobody else in the
// meeting sends any.
func pathOf(flows map[flowAt]counts, during time.Duration, other, bridge, relay []netip.Addr) path {
	bytes := map[path]int{}
	for f, n := range flows {
		from := f.src.Addr()
		switch {
		case f.out:
		case contains(other, from) && f.class == classTCP:
			bytes[pathTCP] += n.bytes
		case contains(other, from):
			bytes[pathUDP] += n.bytes
		case contains(bridge, from):
			bytes[pathBridge] += n.bytes
		case contains(relay, from):
			bytes[pathRelay] += n.bytes
		}
	}
	for p := pathUDP; p < pathNone; p++ {
		if float64(bytes[p]) >= mediaBytes*during.Seconds() {
			return p
		}
	}
	return pathNone
}

func contains(all []netip.Addr, a netip.Addr) bool { return slices.Contains(all, a.Unmap()) }

// destinations says what a host sent to addresses where it may not send.
func destinations(who string, flows map[flowAt]counts, allowed []netip.Addr) []string {
	var out []string
	for f, n := range flows {
		if f.out && f.class != classKernel && !contains(allowed, f.dst.Addr()) {
			out = append(out, fmt.Sprintf("%s sent %d packets to a stranger: %v", who, n.packets, f.flow))
		}
	}
	slices.Sort(out)
	return out
}

// judge holds a cell to the acceptance.
func (r *result) judge(c cell) {
	for i, s := range r.Sides {
		direction := []string{"A→B", "B→A"}[i]
		if s.Path > r.Expected {
			r.fail("%s: by %v, expected %v", direction, s.Path, r.Expected)
		}
		if s.received == 0 {
			r.fail("%s: no packet in %v", direction, measureFor)
		}
		punched := !c.a.open() && !c.b.open() && r.Expected == pathUDP
		if r.Expected == pathUDP && s.Direct < 0 {
			r.fail("%s: no direct media", direction)
		}
		if punched && s.Direct > directWithin {
			r.fail("%s: direct %v after the two could signal, the limit is %v", direction, s.Direct.Round(time.Millisecond), directWithin)
		}
		if s.Path == pathUDP && (s.RTT < lineRTT || s.RTT > 2*lineRTT) {
			r.fail("%s: a round trip of %v, where the lines take %v", direction, s.RTT, lineRTT)
		}
		if s.First > blockedWithin {
			r.fail("%s: first media after %v, the limit is %v", direction, s.First.Round(time.Millisecond), blockedWithin)
		}
	}
}

// open tells whether anybody may send to a network's hosts first.
func (k kind) open() bool { return k == kindPublic || k == kindFullCone }
