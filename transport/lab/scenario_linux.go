package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// scenarios are what pairs of networks don't show.
func (l *lab) scenarios() []experiment {
	return []experiment{
		{name: "wire audit: what the path sees", short: true, limit: time.Minute, run: l.wireAudit},
		{name: "audit: what Exposure says", needs: []string{"--relay", "--dht-bootstrap", "--exposure"}, limit: time.Minute, run: l.exposed},
		{name: "audit: what Exposure says of a proxy", needs: []string{"--relay", "--proxy", "--exposure"}, limit: time.Minute, run: l.proxied},
		{name: "courtroom: a LAN without any route", short: true, limit: time.Minute, run: l.courtroom},
		{name: "LAN only, beside the Internet", needs: []string{"--lan-only"}, limit: time.Minute, run: l.lanOnly},
		{name: "mDNS: a LAN without any route, a link without addresses", needs: []string{"--mdns", "--no-addresses"}, limit: time.Minute, run: l.multicast},
		{name: "DHT: a link without addresses", needs: []string{"--dht-bootstrap", "--no-addresses"}, limit: time.Minute, run: l.addressless},
		{name: "DHT: two whom nobody can reach", needs: []string{"--dht-bootstrap"}, limit: 90 * time.Second, run: l.unreached},
		{name: "hidden addresses", needs: []string{"--hide-address", "--relay"}, limit: time.Minute, run: l.hidden},
		{name: "link of a home with a UPnP router", needs: []string{"--router"}, limit: time.Minute, run: l.reachable(kindMapped)},
		{name: "link of a home whose router speaks UPnP alone", needs: []string{"--router"}, limit: time.Minute, run: l.reachable(kindUPnP)},
		{name: "link of a home whose router speaks NAT-PMP alone", needs: []string{"--router"}, limit: time.Minute, run: l.reachable(kindNATPMP)},
		{name: "link of a home with an IPv6 firewall", needs: []string{"--router"}, limit: time.Minute, run: l.reachable(kindIPv6)},
		{name: "reply code: only the joiner can be reached", needs: []string{"--reply"}, limit: time.Minute, run: l.reply},
		{name: "20 members behind one NAT", alone: true, limit: 3 * time.Minute, run: l.crowd},
		{name: "address change", alone: true, limit: time.Minute, run: l.roaming},
		{name: "router's address changes", alone: true, limit: 90 * time.Second, run: l.renumbered},
		{name: "UDP is dropped in mid-call", alone: true, limit: 90 * time.Second, run: l.blocked},
		{name: "relay restarted", needs: []string{"--relay"}, alone: true, limit: time.Minute, run: l.relayRestart((*relay).restart)},
		{name: "relay killed and started again", needs: []string{"--relay"}, alone: true, limit: time.Minute, run: l.relayRestart((*relay).crash)},
		{name: "loss on a line to the relay, by TCP", needs: []string{"--relay"}, alone: true, limit: 90 * time.Second, run: l.lossOn(kindOnly443)},
		{name: "loss on a line, by TCP", alone: true, limit: 90 * time.Second, run: l.lossOn(kindNoUDP)},
		{name: "60 s asleep", beside: true, limit: 3 * time.Minute, run: l.sleep},
		{name: "5 minutes of partition", beside: true, limit: 8 * time.Minute, run: l.partition},
	}
}

// sites makes one site of each kind, as Alice, Bob and so on, the first as the second of the world.
func (c *call) sites(kinds ...kind) ([]*site, error) {
	var all []*site
	for i, k := range kinds {
		s, err := c.world.site(k, fmt.Sprintf("site%d", i+1), i+1, 1)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// wireAudit has people talk, over UDP and TCP, and looks for what they said in every packet.
func (l *lab) wireAudit(ctx context.Context, r *result) error {
	c, err := l.newCall(true)
	if err != nil {
		return err
	}
	defer c.end()
	sites, err := c.sites(kindPublic, kindRestricted, kindNoUDP)
	if err != nil {
		return err
	}
	carol, err := c.create(ctx, sites[0].hosts[0], "Carol Clairvoyante")
	if err != nil {
		return err
	}
	alice, err := c.join(ctx, sites[1].hosts[0], auditAlice, c.play(0)...)
	if err != nil {
		return err
	}
	bob, err := c.join(ctx, sites[2].hosts[0], auditBob)
	if err != nil {
		return err
	}
	if _, err := hear(ctx, time.Now(), [2]*member{carol, alice}); err != nil {
		return err
	}
	for i, m := range []*member{alice, bob} {
		m.tell(fmt.Sprintf("say %s (%d)", auditChat, i))
		if _, err := carol.within(ctx, 10*time.Second, "chat", said(fmt.Sprintf("%s (%d)", auditChat, i))); err != nil {
			return err
		}
	}
	pause(ctx, 3*time.Second)
	needles, err := c.secrets(auditAlice, auditBob, "Carol Clairvoyante", auditChat)
	if err != nil {
		return err
	}
	c.audit(r)
	packets := c.world.seen.packets()
	r.searched(c.world.seen, needles)
	// The search can find something: what TCP's handshake shows, and the addresses.
	visible := search(packets, []needle{{"multistream", []byte("/multistream/1.0.0")}})
	if len(visible) == 0 {
		r.fail("the search doesn't find what is visible: the negotiation on TCP")
	}
	for _, s := range sites {
		public := s.hosts[0].outside[0]
		if !slices.ContainsFunc(packets, func(k kept) bool { f, _, _ := parsePacket(k.data); return f.src.Addr() == public }) {
			r.fail("the search doesn't find the address %v", public)
		}
	}
	return nil
}

// secrets are what the members of a call know and no wire may show.
func (c *call) secrets(texts ...string) ([]needle, error) {
	needles, err := linkSecrets(c.invite)
	if err != nil {
		return nil, err
	}
	for _, t := range texts {
		needles = append(needles, forms(t, []byte(t))...)
	}
	for _, m := range c.members {
		e, ok := m.find(isEvent("ready"))
		key, err := hex.DecodeString(e.Key)
		if !ok || err != nil {
			return nil, fmt.Errorf("%s didn't say its key: %w", m.name, err)
		}
		needles = append(needles, forms("identity key of "+m.name, key)...)
	}
	media, err := c.lab.samples()
	return append(needles, media...), err
}

// whole fails if a capture has missed something.
func (r *result) whole(c *capture) {
	if n := c.missed(); n > 0 {
		r.fail("the capture %s isn't whole: %d packets are missing", c.name, n)
	}
}

// searched fails for everything that is found in a capture, or if it isn't whole.
func (r *result) searched(c *capture, needles []needle) {
	r.whole(c)
	packets := c.packets()
	for _, f := range search(packets, needles) {
		r.breach("found at %s: %v", c.name, f)
	}
	r.note("%d packets searched for %d needles", len(packets), len(needles))
}

// courtroom: three on a LAN that leads nowhere, by the addresses in the link.
func (l *lab) courtroom(ctx context.Context, r *result) error { return l.onLAN(ctx, r, kindLAN) }

// lanOnly: three who don't want a packet to leave the LAN, though it could.
func (l *lab) lanOnly(ctx context.Context, r *result) error { return l.onLAN(ctx, r, kindRestricted) }

func (l *lab) onLAN(ctx context.Context, r *result, k kind) error {
	c, err := l.newCall(false)
	if err != nil {
		return err
	}
	defer c.end()
	s, err := c.world.site(k, "lan", 2, 3)
	if err != nil {
		return err
	}
	var flags []string
	if l.lacks([]string{"--lan-only"}) == "" {
		flags = append(flags, "--lan-only")
	}
	judge, err := c.create(ctx, s.hosts[0], "Judge", append(c.play(0), flags...)...)
	if err != nil {
		return err
	}
	began := time.Now()
	clerk, err := c.join(ctx, s.hosts[1], "Clerk", append(c.play(1), flags...)...)
	if err != nil {
		return err
	}
	party, err := c.join(ctx, s.hosts[2], "Party", flags...)
	if err != nil {
		return err
	}
	took, err := hear(ctx, began, [2]*member{judge, clerk}, [2]*member{clerk, judge}, [2]*member{party, judge}, [2]*member{party, clerk})
	if err != nil {
		return err
	}
	pause(ctx, 2*time.Second)
	r.note("all hear each other %v after the second began to join", took.Round(time.Millisecond))
	if took > blockedWithin+time.Second {
		r.fail("they hear each other after %v only", took.Round(time.Millisecond))
	}
	c.allowed = onLAN(s)
	c.audit(r)
	r.nothingLeft(c.world.seen)
	return nil
}

// onLAN are the addresses on a site's LAN where its members may send.
func onLAN(s *site) []netip.Addr {
	var all []netip.Addr
	for _, h := range s.hosts {
		all = append(all, h.own...)
	}
	return all
}

// hidden: members who show each other no address; everything goes through the relay.
func (l *lab) hidden(ctx context.Context, r *result) error {
	c, err := l.newCall(true)
	if err != nil {
		return err
	}
	defer c.end()
	sites, err := c.sites(kindPublic, kindPublic, kindRestricted)
	if err != nil {
		return err
	}
	relay, err := c.startTapped(ctx, 9)
	if err != nil {
		return err
	}
	flags := []string{"--hide-address", "--relay", relay.uri}
	carol, err := c.create(ctx, sites[0].hosts[0], "Carol Clairvoyante", flags...)
	if err != nil {
		return err
	}
	began := time.Now()
	alice, err := c.join(ctx, sites[1].hosts[0], auditAlice, append(c.play(0), flags...)...)
	if err != nil {
		return err
	}
	bob, err := c.join(ctx, sites[2].hosts[0], auditBob, append(c.play(1), flags...)...)
	if err != nil {
		return err
	}
	took, err := hear(ctx, began, [2]*member{carol, alice}, [2]*member{bob, alice}, [2]*member{alice, bob})
	if err != nil {
		return err
	}
	r.note("all hear each other after %v", took.Round(time.Millisecond))
	if err := c.exposures(ctx, r, auditor{relay: relay}); err != nil {
		return err
	}
	for _, m := range c.members {
		for _, s := range destinations(m.name, m.host.capture.snapshot(), relay.host.addresses()) {
			r.breach("%s", s)
		}
		// Nor does anything name another's address, in any packet that a member sees.
		var needles []needle
		for _, other := range c.members {
			if other != m {
				for _, a := range other.host.addresses() {
					needles = append(needles, addressNeedles(other.name, a)...)
				}
			}
		}
		r.searched(m.host.capture, needles)
	}
	return nil
}

// reachable: somebody at home creates the meeting, and their own router lets the others in.
func (l *lab) reachable(k kind) func(context.Context, *result) error {
	return func(ctx context.Context, r *result) error {
		c, err := l.newCall(false)
		if err != nil {
			return err
		}
		defer c.end()
		sites, err := c.sites(k, kindPublic)
		if err != nil {
			return err
		}
		c.allowed = append(c.allowed, sites[0].inside)
		home, err := c.create(ctx, sites[0].hosts[0], "Home", append(c.play(0), "--router")...)
		if err != nil {
			return err
		}
		e, err := home.within(ctx, joinTimeout, "reach", isEvent("reach"))
		if err != nil {
			return err
		}
		r.note("the link works from %s, the router: %s by %s", e.Reach, e.Router, e.Asked)
		if e.Reach != "everywhere" || e.Router != "mapped" || e.Asked != k.asked() {
			r.fail("the router wasn't asked by %s to any effect", k.asked())
		}
		began := time.Now()
		guest, err := c.join(ctx, sites[1].hosts[0], "Guest", c.play(1)...)
		if err != nil {
			return err
		}
		took, err := hear(ctx, began, [2]*member{guest, home}, [2]*member{home, guest})
		if err != nil {
			return err
		}
		r.note("media %v after the guest began to join", took.Round(time.Millisecond))
		if took > blockedWithin {
			r.fail("media after %v only", took.Round(time.Millisecond))
		}
		c.audit(r)
		return nil
	}
}

// reply: somebody at home creates the meeting, where nobody gets in; the guest hands back a reply code, and is dialled.
func (l *lab) reply(ctx context.Context, r *result) error {
	c, err := l.newCall(false)
	if err != nil {
		return err
	}
	defer c.end()
	sites, err := c.sites(kindRestricted, kindPublic)
	if err != nil {
		return err
	}
	home, err := c.create(ctx, sites[0].hosts[0], "Home", c.play(0)...)
	if err != nil {
		return err
	}
	guest, err := c.start(sites[1].hosts[0], "Guest", "join", append(c.play(1), "--reply", c.invite)...)
	if err != nil {
		return err
	}
	code, err := guest.within(ctx, 2*joinTimeout, "reply code", isEvent("reply"))
	if err != nil {
		return err
	}
	began := time.Now()
	home.tell("reply " + code.Code)
	took, err := hear(ctx, began, [2]*member{guest, home}, [2]*member{home, guest})
	if err != nil {
		return err
	}
	r.note("media %v after the code was entered", took.Round(time.Millisecond))
	if took > blockedWithin {
		r.fail("media %v after the code was entered, the limit is %v", took.Round(time.Millisecond), blockedWithin)
	}
	c.audit(r)
	return nil
}

// crowdWithin is how long twenty who knock at once may take.
const crowdWithin = 90 * time.Second

// crowd: everybody but the creator sits behind one address, and opens the same link at the same moment. It takes 16 at a time
// (DOR-7), and then one in 6 s; who finds it busy knocks again (DOR-14).
func (l *lab) crowd(ctx context.Context, r *result) error {
	const people = 20
	c, err := l.newCall(false)
	if err != nil {
		return err
	}
	defer c.end()
	outside, err := c.world.public("carol", 1)
	if err != nil {
		return err
	}
	office, err := c.world.site(kindRestricted, "office", 2, people)
	if err != nil {
		return err
	}
	carol, err := c.create(ctx, outside.hosts[0], "Carol", c.play(0)...)
	if err != nil {
		return err
	}
	began := time.Now()
	for i, h := range office.hosts {
		args := []string{c.invite}
		if i == 0 {
			args = append(c.play(1), c.invite)
		}
		if _, err := c.start(h, fmt.Sprintf("Office %d", i+1), "join", args...); err != nil {
			return err
		}
	}
	var pairs [][2]*member
	for i, m := range c.members[1:] {
		if _, err := m.within(ctx, crowdWithin, "ready", isEvent("ready")); err != nil {
			return err
		}
		pairs = append(pairs, [2]*member{m, carol})
		if i > 0 {
			pairs = append(pairs, [2]*member{m, c.members[1]})
		}
	}
	r.note("all %d are in after %v", people, time.Since(began).Round(time.Millisecond))
	pairs = append(pairs, [2]*member{carol, c.members[1]})
	took, err := hear(ctx, began, pairs...)
	if err != nil {
		return err
	}
	r.note("all hear both speakers after %v", took.Round(time.Millisecond))
	c.audit(r)
	return nil
}
