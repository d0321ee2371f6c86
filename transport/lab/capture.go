package main

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net/netip"
	"sync"
	"time"
)

// keptBytes is how much one capture keeps; a full one says so, and its audit fails.
const keptBytes = 256 << 20

// capture is what one host, or the WAN, has seen.
type capture struct {
	name string
	keep bool
	stop func()
	drop func() int // how many packets the kernel has dropped since it was asked last

	tasks sync.WaitGroup

	mu    sync.Mutex
	flows map[flowAt]counts
	kept  []kept
	size  int
	lost  int // packets that weren't kept, or not even seen

	asked map[transaction]time.Time    // STUN requests that went out and have no answer
	rtts  map[netip.Addr]time.Duration // the shortest time that one took, by who was asked
}

// flowAt is a flow as one host sees it.
type flowAt struct {
	flow
	out bool // sent by this host
}

// counts are those of a flow.
type counts struct {
	packets, bytes int
	first, last    time.Time
}

// kept is a packet.
type kept struct {
	at   time.Time
	out  bool
	data []byte
}

func newCapture(name string, keep bool) *capture {
	return &capture{name: name, keep: keep, stop: func() {}, drop: func() int { return 0 }, flows: map[flowAt]counts{},
		asked: map[transaction]time.Time{}, rtts: map[netip.Addr]time.Duration{}}
}

// packet notes an IP packet, which it doesn't hold on to.
func (c *capture) packet(at time.Time, out bool, data []byte) {
	f, payload, ok := parsePacket(data)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.class == classSTUN {
		c.transaction(at, out, f, payload)
	}
	key := flowAt{f, out}
	n, seen := c.flows[key]
	if !seen {
		n.first = at
	}
	n.packets++
	n.bytes += len(data)
	n.last = at
	c.flows[key] = n
	switch {
	case !c.keep:
	case c.size+len(data) > keptBytes:
		c.lost++
	default:
		c.kept = append(c.kept, kept{at, out, bytes.Clone(data)})
		c.size += len(data)
	}
}

// transaction is what a STUN request has in common with its answer (RFC 8489 §5), and whom it was sent to.
type transaction struct {
	id [12]byte
	of netip.AddrPort
}

// transaction notes how long a check of ICE took, there and back, on the wire. c.mu is held.
func (c *capture) transaction(at time.Time, out bool, f flow, payload []byte) {
	switch kind := binary.BigEndian.Uint16(payload); {
	case kind == stunRequest && out:
		t := transaction{[12]byte(payload[8:20]), f.dst}
		if _, again := c.asked[t]; !again {
			c.asked[t] = at
		}
	case kind == stunSuccess && !out:
		t := transaction{[12]byte(payload[8:20]), f.src}
		if asked, ok := c.asked[t]; ok {
			delete(c.asked, t)
			if shortest, ok := c.rtts[f.src.Addr()]; !ok || at.Sub(asked) < shortest {
				c.rtts[f.src.Addr()] = at.Sub(asked)
			}
		}
	}
}

// roundTrip is the shortest that any check to some addresses took; 0: none was answered.
func (c *capture) roundTrip(addresses []netip.Addr) (shortest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range addresses {
		if d := c.rtts[a]; d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	return shortest
}

// snapshot returns the flows up to now.
func (c *capture) snapshot() map[flowAt]counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.flows)
}

// since returns what has come to each flow since an earlier snapshot.
func (c *capture) since(before map[flowAt]counts) map[flowAt]counts {
	now := c.snapshot()
	for f, n := range now {
		n.packets -= before[f].packets
		n.bytes -= before[f].bytes
		if n.packets == 0 {
			delete(now, f)
			continue
		}
		now[f] = n
	}
	return now
}

// packets returns what was kept.
func (c *capture) packets() []kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[:len(c.kept):len(c.kept)]
}

// missed is how many packets aren't among those that were kept.
func (c *capture) missed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost += c.drop()
	return c.lost
}

// close ends the capture; what it saw stays.
func (c *capture) close() {
	c.stop()
	c.tasks.Wait()
}
