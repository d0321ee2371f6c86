package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// What happens to a path in mid-call, of which no member's own machine tells.

// underWay is how long the call lasts before: a connection that is younger isn't given up so soon.
const underWay = 6 * time.Second

// renumbered: the router of Bob's home gets another outside address, as many do once a day, and forgets its conversations.
func (l *lab) renumbered(ctx context.Context, r *result) error {
	t, err := l.threesome(ctx, kindRestricted, kindRestricted)
	if err != nil {
		return err
	}
	defer t.end()
	pause(ctx, underWay)
	if err := t.world.renumber(t.sites[2], 3, 6); err != nil {
		return err
	}
	changed := time.Now()
	t.allowed = append(t.allowed, wan4(6).Addr())
	t.back(ctx, r, "the change of the router's address", changed, roamWithin) // found by MST-6
	t.audit(r)
	return nil
}

// blocked: the network of Bob begins to drop UDP, and what was direct goes by TCP through Carol.
func (l *lab) blocked(ctx context.Context, r *result) error {
	t, err := l.threesome(ctx, kindRestricted, kindRestricted)
	if err != nil {
		return err
	}
	defer t.end()
	pause(ctx, underWay)
	if err := t.sites[2].router.nft("insert rule inet igd forward meta l4proto udp drop\n"); err != nil {
		return err
	}
	blocked := time.Now()
	t.back(ctx, r, "UDP is dropped", blocked, blockedWithin)
	before := t.bob.host.capture.snapshot()
	pause(ctx, measureFor)
	if p := pathOf(t.bob.host.capture.since(before), measureFor, t.alice.host.addresses(), t.carol.host.addresses(), nil); p != pathBridge {
		r.fail("Bob hears Alice by %v, expected %v", p, pathBridge)
	}
	t.audit(r)
	return nil
}

// renumber gives the router of a site, the n-th of the world, the address of the m-th. The kernel forgets every conversation
// that it masqueraded with the old one.
func (w *world) renumber(s *site, n, m int) error {
	w.wan.renumber(s.port, wan4(m))
	for _, h := range s.hosts {
		h.outside = []netip.Addr{wan4(m).Addr()}
	}
	return s.router.ip(fmt.Sprintf("addr add %v dev wan", wan4(m)), fmt.Sprintf("addr del %v dev wan", wan4(n)))
}
