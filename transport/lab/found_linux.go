package main

import (
	"context"
	"slices"
	"strings"
	"time"
)

// multicast: three on a LAN that leads nowhere, by a link without addresses. What they ask the network for is blinded.
func (l *lab) multicast(ctx context.Context, r *result) error {
	c, err := l.newCall(true)
	if err != nil {
		return err
	}
	defer c.end()
	s, err := c.world.site(kindLAN, "lan", 2, 3)
	if err != nil {
		return err
	}
	if err := c.gather(ctx, s.hosts, map[int][]string{0: {"--no-addresses"}}, "--mdns", "--lan-only"); err != nil {
		return err
	}
	c.found(r)
	if err := c.exposures(ctx, r, auditor{}); err != nil {
		return err
	}
	needles, err := c.secrets(auditAlice, auditBob, "Carol Clairvoyante", auditChat)
	if err != nil {
		return err
	}
	asked, messages := map[string]bool{}, 0
	for _, m := range c.members {
		r.searched(m.host.capture, needles)
		for _, p := range m.host.capture.packets() {
			f, payload, _ := parsePacket(p.data)
			if f.src.Port() != mdnsPort && f.dst.Port() != mdnsPort {
				if contains(mdnsGroups, f.dst.Addr()) {
					r.breach("a packet to the group that is no multicast DNS: %v", f)
				}
				continue
			}
			names, err := blinded(payload)
			if err != nil {
				r.breach("%v: %v", f, err)
			}
			messages++
			for _, name := range names {
				asked[name] = true
			}
		}
	}
	if messages < 2 || len(asked) == 0 || len(asked) > 2 { // a topic has one an hour
		r.fail("%d messages of multicast DNS name %d topics", messages, len(asked))
	}
	r.note("%d messages of multicast DNS, all blinded", messages)
	c.allowed = append(onLAN(s), mdnsGroups...)
	c.audit(r)
	r.nothingLeft(c.world.seen)
	return nil
}

// addressless: three at home and elsewhere, by a link without addresses, over a DHT.
func (l *lab) addressless(ctx context.Context, r *result) error {
	c, err := l.newCall(true)
	if err != nil {
		return err
	}
	defer c.end()
	sites, err := c.sites(kindPublic, kindRestricted, kindRestricted)
	if err != nil {
		return err
	}
	nodes, err := c.startDHT(ctx, 8, false, 4001, 4002, 4003)
	if err != nil {
		return err
	}
	if err := c.gather(ctx, hostsOf(sites), map[int][]string{0: {"--no-addresses"}}, nodes.flags...); err != nil {
		return err
	}
	c.found(r)
	if err := c.exposures(ctx, r, auditor{nodes: nodes}); err != nil {
		return err
	}
	needles, err := c.secrets(auditAlice, auditBob, "Carol Clairvoyante", auditChat)
	if err != nil {
		return err
	}
	r.searched(c.world.seen, needles) // on the way, also to the DHT, which no member names
	c.audit(r)
	return nil
}

// unreached: two at home, whom nobody can reach, by a link and a DHT whose nodes relay for anybody for a moment: they hear
// each other directly, and nothing but signals passes the nodes.
func (l *lab) unreached(ctx context.Context, r *result) error {
	c, err := l.newCall(true)
	if err != nil {
		return err
	}
	defer c.end()
	sites, err := c.sites(kindRestricted, kindRestricted)
	if err != nil {
		return err
	}
	nodes, err := c.startDHT(ctx, 8, true, 4001, 4002, 4003)
	if err != nil {
		return err
	}
	hosts := hostsOf(sites)
	carol, err := c.create(ctx, hosts[0], "Carol Clairvoyante", slices.Concat(nodes.flags, []string{"--accept-files", "--files", c.world.dir})...)
	if err != nil {
		return err
	}
	pause(ctx, reserveTime)
	began := time.Now()
	alice, err := c.join(ctx, hosts[1], auditAlice, append(c.play(0), nodes.flags...)...)
	if err != nil {
		return err
	}
	took, err := hear(ctx, began, [2]*member{carol, alice})
	if err != nil {
		return err
	}
	r.note("media %v after who can't be reached, and nor can the other, began to join", took.Round(time.Millisecond))
	if took > foundWithin {
		r.fail("media after %v, the limit is %v", took, foundWithin)
	}
	before := hosts[0].capture.snapshot()
	pause(ctx, measureFor)
	if p := pathOf(hosts[0].capture.since(before), measureFor, hosts[1].addresses(), nil, nodes.host.addresses()); p != pathUDP {
		r.fail("media by %v", p)
	}
	if err := c.exposures(ctx, r, auditor{nodes: nodes}); err != nil {
		return err
	}
	needles, err := c.secrets(auditAlice, "Carol Clairvoyante", auditChat)
	if err != nil {
		return err
	}
	r.searched(c.world.seen, needles)
	c.audit(r)
	return nil
}

// reserveTime is how long somebody who can't be reached has to reserve at nodes, before others come by the link.
const reserveTime = 12 * time.Second

// found fails if the link names an address, and notes how long it took each of those who joined to get in. The first of
// them begins as soon as the meeting is created, perhaps before it is announced.
func (c *call) found(r *result) {
	_, raw, err := readLink(c.invite)
	if err != nil {
		r.fail("%v", err)
	}
	var took []string
	for _, m := range c.members {
		if invite(raw).of(subject{addresses: m.host.addresses()})["address"] {
			r.breach("the link has an address of %s", m.name)
		}
		e, ok := m.find(isEvent("ready"))
		if !ok || m == c.members[0] {
			continue
		}
		d := e.Time.Sub(m.began).Round(time.Millisecond)
		took = append(took, d.String())
		if d > foundWithin {
			r.fail("%s is in after %v, the limit is %v", m.name, d, foundWithin)
		}
	}
	r.note("who joins at once is in after %s", strings.Join(took, ", who joins then after "))
}

// foundWithin is how long it may take to find a meeting whose link has no address, and to get in.
const foundWithin = 10 * time.Second

// nothingLeft fails for what left a LAN.
func (r *result) nothingLeft(wan *capture) {
	for f, n := range wan.snapshot() {
		if f.class != classKernel { // the router's own
			r.breach("%d packets left the LAN: %v", n.packets, f.flow)
		}
	}
}
