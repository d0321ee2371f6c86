package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/huisclos/huisclos/transport/internal/tap"
)

// exposed holds what each member says of who could observe what of it to what could be seen: on its local network, on the
// way, at the other members, in the invite, and at the relay and a DHT's node also after their own decryption; and has
// the audit find each lie, on either side.
func (l *lab) exposed(ctx context.Context, r *result) error {
	c, err := l.newCall(true)
	if err != nil {
		return err
	}
	defer c.end()
	sites, err := c.sites(kindPublic, kindRestricted, kindOnly443)
	if err != nil {
		return err
	}
	relay, err := c.startTapped(ctx, 9)
	if err != nil {
		return err
	}
	nodes, err := c.startDHT(ctx, 8, false, 443)
	if err != nil {
		return err
	}
	if err := c.gather(ctx, hostsOf(sites), nil, append([]string{"--relay", relay.uri}, nodes.flags...)...); err != nil {
		return err
	}
	if err := c.exposures(ctx, r, auditor{relay: relay, nodes: nodes}); err != nil {
		return err
	}
	c.audit(r)
	return nil
}

// proxied is the same, where one has no way out but an office's proxy, to the relay: what is said of the proxy is held to
// what it saw.
func (l *lab) proxied(ctx context.Context, r *result) error {
	c, err := l.newCall(true)
	if err != nil {
		return err
	}
	defer c.end()
	sites, err := c.sites(kindPublic, kindRestricted, kindProxy)
	if err != nil {
		return err
	}
	relay, err := c.startTapped(ctx, 9)
	if err != nil {
		return err
	}
	proxy, at, err := c.startProxy(sites[2], 3)
	if err != nil {
		return err
	}
	own := map[int][]string{2: {"--proxy", "http://" + at.String()}}
	if err := c.gather(ctx, hostsOf(sites), own, "--relay", relay.uri); err != nil {
		return err
	}
	if err := c.exposures(ctx, r, auditor{relay: relay, proxy: proxy}); err != nil {
		return err
	}
	c.audit(r)
	return nil
}

// startProxy runs an HTTP proxy on a host of its own in a site, the n-th of the world, whose router lets it out.
func (c *call) startProxy(s *site, n int) (*host, netip.AddrPort, error) {
	h, err := c.world.inside(s, "proxy", n, len(s.hosts))
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	at := netip.AddrPortFrom(h.own[0], proxyPort)
	c.allowed = append(c.allowed, h.own...)
	// Where the kernel has bridges filtered too, what stays in the LAN is forwarded as well.
	rules := fmt.Sprintf("add rule inet igd forward ip saddr %v tcp dport 443 accept\nadd rule inet igd forward ip daddr %v tcp dport %d accept\n", at.Addr(), at.Addr(), at.Port())
	if err := s.router.nft(rules); err != nil {
		return nil, at, err
	}
	return h, at, c.world.proxy(h.ns, at)
}

// hostsOf are the first of each site.
func hostsOf(sites []*site) (all []*host) {
	for _, s := range sites {
		all = append(all, s.hosts[0])
	}
	return all
}

// gather has three come together, of whom the last two send sound. Beside the flags of all, some have their own.
func (c *call) gather(ctx context.Context, hosts []*host, own map[int][]string, flags ...string) error {
	carol, err := c.create(ctx, hosts[0], "Carol Clairvoyante", slices.Concat(flags, own[0], []string{"--accept-files", "--files", c.world.dir})...)
	if err != nil {
		return err
	}
	alice, err := c.join(ctx, hosts[1], auditAlice, slices.Concat(c.play(0), flags, own[1])...)
	if err != nil {
		return err
	}
	bob, err := c.join(ctx, hosts[2], auditBob, slices.Concat(c.play(1), flags, own[2])...)
	if err != nil {
		return err
	}
	_, err = hear(ctx, time.Now(), [2]*member{carol, alice}, [2]*member{bob, alice}, [2]*member{alice, bob})
	return err
}

// exposures has all talk, and holds what each says was to be seen to what was. The auditor says who is there besides.
func (c *call) exposures(ctx context.Context, r *result, a auditor) error {
	subjects, err := c.talk(ctx)
	if err != nil {
		return err
	}
	defer func() { // what a capture has missed can't be audited
		for _, h := range c.world.hosts {
			r.whole(h.capture)
		}
		r.whole(c.world.seen)
	}()
	a.call, a.kinds = c, map[string]bool{}
	for i, s := range subjects {
		file := filepath.Join(c.world.dir, fmt.Sprintf("exposure-%d.json", i))
		if _, err := c.members[i].ask(ctx, "exposure "+file); err != nil {
			return err
		}
		e, err := readExposure(file)
		if err != nil {
			return err
		}
		if err := a.hold(r, *s, c.members[i], e); err != nil {
			return err
		}
	}
	r.note("%d statements held to what %d sights show, %d lies found out", a.checked, a.sights, a.lies)
	kinds := []string{"network main.wire", "carrier main.invite", "member main.only"}
	if a.relay != nil {
		kinds = append(kinds, "observer main.wire", "relay main.wire", "relay main.opened")
	}
	if a.nodes != nil {
		kinds = append(kinds, "observer main.wire", "dht main.opened")
	}
	if a.nodes != nil && a.nodes.relay != "" {
		kinds = append(kinds, "relay main.wire", "relay main.opened")
	}
	if a.proxy != nil {
		kinds = append(kinds, "proxy main.carried", "relay main.withinTLS")
	}
	for _, k := range kinds {
		if !a.kinds[k] {
			r.fail("nobody was held to what the %s shows", k)
		}
	}
	if a.checked < 100 || a.lies < 100 {
		r.fail("too little was checked")
	}
	return nil
}

// auditor holds exposures to what could be seen.
type auditor struct {
	call  *call
	relay *relay // nil: none
	nodes *nodes // nil: none
	proxy *host  // nil: none

	checked, sights, lies int
	kinds                 map[string]bool // of party, with the type of sight
}

// hold holds one member's.
func (a *auditor) hold(r *result, s subject, m *member, e exposure) error {
	for _, p := range e.Parties {
		all, err := a.sightsOf(s, m, p)
		if err != nil {
			return err
		}
		for _, sight := range all {
			found := sight.of(s)
			a.checked += len(found)
			a.sights++
			a.kinds[fmt.Sprintf("%s %T", p.Party.Kind, sight)] = true
			for _, x := range p.contradictions(s.name, found, sight.clear()) {
				r.fail("%s", x.text)
				r.Breach = r.Breach || x.leak
			}
			n, err := s.selfTest(p, sight, found)
			if err != nil {
				r.fail("%v", err)
			}
			a.lies += n
		}
	}
	var dht []netip.Addr
	if a.nodes != nil {
		dht = a.nodes.host.addresses()
	}
	flows := m.host.capture.snapshot()
	for _, text := range e.unnamed(s.name, flows, m.host.own, dht) {
		r.breach("%s", text)
	}
	if a.lies++; len(exposure{}.unnamed(s.name, flows, m.host.own, dht)) == 0 {
		r.fail("that %s names nobody isn't found out", s.name)
	}
	return nil
}

// talk has each say something to all and something to one, and offer a file, and returns what gives each away.
func (c *call) talk(ctx context.Context) ([]*subject, error) {
	link, _, err := readLink(c.invite)
	if err != nil {
		return nil, err
	}
	var all []*subject
	keys := make([][]byte, len(c.members))
	for i, m := range c.members {
		e, ok := m.find(isEvent("ready"))
		key, err := hex.DecodeString(e.Key)
		if !ok || err != nil {
			return nil, fmt.Errorf("%s didn't say its key: %w", m.name, err)
		}
		other := c.members[(i+1)%len(c.members)]
		said := fmt.Sprintf("%s (%d)", auditChat, i)
		private := fmt.Sprintf("between you and me, number %d", i)
		name := fmt.Sprintf("confidential brief %d.txt", i)
		content := bytes.Repeat([]byte(fmt.Sprintf("the defendant %d was elsewhere. ", i)), 40)
		file := filepath.Join(c.world.dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return nil, err
		}
		m.tell("say " + said)
		m.tell("tell " + other.name + " " + private)
		m.tell("send " + file)
		if keys[i], err = c.meetingKey(ctx, m, key); err != nil {
			return nil, err
		}
		s := &subject{name: m.name, addresses: m.host.addresses(), key: keys[i], needles: map[string][]needle{
			"identity": forms("identity key", key), "name": forms("name", []byte(m.name)), "members": forms("another's name", []byte(other.name)),
			"meeting": forms("meeting ID", link.Meeting), "invite": slices.Concat(forms("invite secret", link.Secret), forms("door key", link.DoorKey)),
			"chat": forms("chat", []byte(said)), "private-chat": forms("private chat", []byte(private)),
			"files": slices.Concat(forms("file name", []byte(name)), forms("file", content[:30])),
		}}
		s.needles["meeting-key"] = keyNeedles("meeting key", s.key)
		if i > 0 { // who came plays
			if s.needles["media"], err = c.lab.samplesOf(i - 1); err != nil {
				return nil, err
			}
		}
		all = append(all, s)
	}
	if !bytes.Equal(keys[0], link.Doors[0].Key) {
		return nil, errors.New("the creator's meeting key isn't that of the link's door")
	}
	for i, s := range all {
		s.others = slices.Concat(all[:i], all[i+1:])
	}
	for i, m := range c.members {
		from := (i + len(c.members) - 1) % len(c.members)
		for _, text := range []string{fmt.Sprintf("%s (%d)", auditChat, from), fmt.Sprintf("between you and me, number %d", from)} {
			if _, err := m.within(ctx, 10*time.Second, "chat", said(text)); err != nil {
				return nil, err
			}
		}
	}
	pause(ctx, 3*time.Second) // for the files, and some media
	return all, nil
}

// sightsOf are what one party could look at of a member. None: it can't be seen here.
func (a *auditor) sightsOf(s subject, m *member, p exposedTo) ([]sight, error) {
	c := a.call
	switch p.Party.Kind {
	case "network":
		return []sight{wire(m.host.capture.packets())}, nil
	case "observer": // anywhere on the way, from the member's own router on
		to := p.Party.Addresses
		if p.Party.Beyond {
			var packets []kept
			for _, x := range c.members {
				if x != m && x.name != p.Party.Name {
					packets = append(packets, between(c.world.seen.packets(), x.host.outside, to)...)
				}
			}
			if len(packets) == 0 {
				return nil, nil // it forwarded inside a network, or to a proxy
			}
			// What is forwarded there is nobody's by its address, so that volume and times aren't told apart here.
			return []sight{only{"address": wire(packets).of(s)["address"]}}, nil
		}
		if p.Party.Name == "DHT" && a.nodes != nil {
			to = a.nodes.host.addresses()
		}
		packets := append(between(c.world.seen.packets(), m.host.outside, to), between(m.host.capture.packets(), m.host.own, to)...)
		if len(packets) == 0 && !slices.ContainsFunc(to, func(a netip.Addr) bool { return !a.IsPrivate() }) {
			return nil, nil // dialled on its own subnet, where nobody has the address: no packet, which no program is told
		}
		return []sight{wire(packets)}, nil
	case "relay":
		if p.Party.Limited && a.nodes != nil {
			records, err := tap.Read(a.nodes.relay)
			return []sight{wire(between(a.nodes.host.capture.packets(), m.host.outside, a.nodes.host.own)), opened{records, atLimited}}, err
		}
		records, err := tap.Read(a.relay.tap)
		var at sight = wire(between(a.relay.host.capture.packets(), m.host.outside, a.relay.host.own))
		if len(a.atProxy(m)) > 0 {
			at = withinTLS{at.(wire)}
		}
		return []sight{at, opened{records, atRelay}}, err
	case "proxy":
		if a.proxy == nil {
			return nil, fmt.Errorf("%s says that %q is a proxy", m.name, p.Party.Name)
		}
		return []sight{carried{a.atProxy(m), a.relay.host.own}}, nil
	case "dht":
		records, err := tap.Read(a.nodes.tap)
		return []sight{opened{records, atDHT}}, err
	case "carrier":
		_, raw, err := readLink(c.invite)
		return []sight{invite(raw)}, err
	case "member":
		i := slices.IndexFunc(c.members, func(x *member) bool { return x.name == p.Party.Name })
		if i < 0 {
			return nil, fmt.Errorf("%s says that %q is a member", m.name, p.Party.Name)
		}
		// What is sealed for a member it has; but its address is on packets, in a record, or unknown to it.
		at := slices.IndexFunc(p.Observations, func(o observed) bool { return o.Datum == "address" && o.Why != "record" })
		if at < 0 {
			return nil, nil
		}
		// A packet that was sent to it may be stopped by a firewall, of which no sender is told.
		sent := between(m.host.capture.packets(), m.host.own, p.Party.Addresses)
		return []sight{only{"address": wire(append(sent, c.members[i].host.capture.packets()...)).of(s)["address"]}}, nil
	}
	return nil, nil
}

// atProxy are the packets that a member and the proxy exchanged.
func (a *auditor) atProxy(m *member) []kept {
	if a.proxy == nil {
		return nil
	}
	return between(a.proxy.capture.packets(), m.host.own, a.proxy.own)
}

// selfTest turns each statement round, and has the sight give away each datum that isn't seen: the audit must find all
// of that out.
func (s subject) selfTest(p exposedTo, sight sight, found map[string]bool) (lies int, err error) {
	for _, liar := range p.liars(found, sight.clear()) {
		if lies++; len(liar.contradictions(s.name, found, sight.clear())) == 0 {
			return lies, fmt.Errorf("a lie of %s about %s isn't found out", s.name, p.Party.Kind)
		}
	}
	for datum, leaky := range sight.leaks(s) { // what was there besides was searched already
		if slices.ContainsFunc(p.Observations, func(o observed) bool { return o.Datum == datum && o.Seen != "no" }) {
			continue
		}
		is := leaky.of(s)[datum]
		if lies++; !is || len(p.contradictions(s.name, map[string]bool{datum: true}, nil)) == 0 {
			return lies, fmt.Errorf("%s of %s, shown to %s, isn't found out", datum, s.name, p.Party.Kind)
		}
	}
	return lies, nil
}

// meetingKey reads a member's key for this meeting off the record of who was in: it stands there behind the identity, in
// what the member signed (SPEC §2: {1: identity, 2: meeting key, …}).
func (c *call) meetingKey(ctx context.Context, m *member, identity []byte) ([]byte, error) {
	file := filepath.Join(c.world.dir, "attendance "+m.name)
	if _, err := m.ask(ctx, "attendance "+file); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var record struct {
		Genesis    []byte   `json:"genesis"`
		Operations [][]byte `json:"operations"`
	}
	if err := json.Unmarshal(raw, &record); err != nil {
		return nil, err
	}
	for _, b := range append(record.Operations, record.Genesis) {
		if _, key, ok := bytes.Cut(b, append(bytes.Clone(identity), 2, 0x58, 32)); ok && len(key) >= 32 {
			return key[:32], nil
		}
	}
	return nil, fmt.Errorf("the record doesn't have the bundle of %s", m.name)
}
