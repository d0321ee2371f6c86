package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"
)

// errForbidden is returned for a datagram to where the address filter lets nothing go. It
// names no address, and is made once: it is returned for each packet.
var errForbidden = errors.New("transport: datagram to an address this host may not send to")

// verdictSlots is how many addresses the filter remembers its verdict on. A meeting has far
// fewer peers; two that fall into one slot are judged anew each time, which is slow, not wrong.
const verdictSlots = 1024

// verdict is what the filter said of an address when its own prefixes were those of a
// generation.
type verdict struct {
	ip         netip.Addr
	generation uint32
	allowed    bool
}

// choke is the one place that every UDP datagram passes, QUIC's, ICE's and media's, on its way
// in and out (MOD-1). Whatever names an address to something above it (a record, a
// candidate, a library's own idea), nothing gets past it. A look-up costs two loads and no
// lock.
type choke struct {
	filter *addressFilter
	open   bool // tests only
	slots  [verdictSlots]atomic.Pointer[verdict]
}

// permits is addressFilter.allow with a memory.
func (c *choke) permits(ip netip.Addr) bool {
	if c.open || c.filter.any {
		return true
	}
	generation := c.filter.generation.Load()
	slot := &c.slots[slotOf(ip)]
	if v := slot.Load(); v != nil && v.ip == ip && v.generation == generation {
		return v.allowed
	}
	allowed := c.filter.allow(ip)
	slot.Store(&verdict{ip: ip, generation: generation, allowed: allowed})
	return allowed
}

// slotOf spreads addresses; who chooses theirs to share another's slot slows it down, no more.
func slotOf(ip netip.Addr) uint64 {
	b := ip.As16()
	h := (binary.LittleEndian.Uint64(b[:]) ^ binary.LittleEndian.Uint64(b[8:])) * 0x9e3779b97f4a7c15
	return h >> 54
}

// prefixInterval is how old what is known of the own interfaces may be.
const prefixInterval = 5 * time.Second

// watch forgets all verdicts whenever the own prefixes change.
func (c *choke) watch(ctx context.Context) {
	tick := time.NewTicker(prefixInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.filter.refresh()
		case <-ctx.Done():
			return
		}
	}
}
