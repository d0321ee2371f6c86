package halfopen

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// lasts is how long a handshake may take (libp2p's limit); nobody tells when one fails.
	lasts = 15 * time.Second
	// maxAddresses bounds the addresses that are remembered.
	maxAddresses = 4096
)

// Counter counts. Its methods may be called from any goroutine.
type Counter struct {
	limit   int
	mu      sync.Mutex
	waiting map[netip.Addr][]time.Time // when each began, the oldest first
	purged  time.Time                  // when those that are over were sought last
}

// New returns a counter that lets so many wait of one IPv4 address or IPv6 /64.
func New(limit int) *Counter {
	return &Counter{limit: limit, waiting: make(map[netip.Addr][]time.Time)}
}

// Accept counts a connection that begins, or says that too many of its address are waiting.
func (c *Counter) Accept(from netip.Addr, now time.Time) bool {
	from = network(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.waiting[from]; !known && len(c.waiting) >= maxAddresses {
		if now.Sub(c.purged) >= time.Second { // not for each packet of a flood
			c.purged = now
			for a := range c.waiting {
				c.expireLocked(a, now)
			}
		}
		if len(c.waiting) >= maxAddresses {
			return false
		}
	}
	c.expireLocked(from, now)
	if len(c.waiting[from]) >= c.limit {
		return false
	}
	c.waiting[from] = append(c.waiting[from], now)
	return true
}

// Secured says that the other end of one of an address's connections has proved its key.
func (c *Counter) Secured(from netip.Addr) {
	from = network(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waiting[from]; len(w) > 1 {
		c.waiting[from] = w[:len(w)-1] // which one it was isn't known: the oldest are most likely silent
	} else {
		delete(c.waiting, from)
	}
}

func (c *Counter) expireLocked(from netip.Addr, now time.Time) {
	w := c.waiting[from]
	for len(w) > 0 && now.Sub(w[0]) >= lasts {
		w = w[1:]
	}
	if len(w) == 0 {
		delete(c.waiting, from)
	} else {
		c.waiting[from] = w
	}
}

// network is what one subscriber has at least: an IPv4 address, an IPv6 /64.
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
