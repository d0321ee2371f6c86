package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// exposed holds what each member says of who could observe what of it to what was captured: on its local network, on the
// way, at the relay, at the other members; and has the audit find each lie, on either side.
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
	relay, err := l.startRelay(ctx, c.world, 9)
	if err != nil {
		return err
	}
	c.ends = append(c.ends, relay.end)
	c.allowed = append(c.allowed, relay.host.addresses()...)
	if err := c.gather(ctx, sites, "--relay", relay.uri); err != nil {
		return err
	}
	subjects, err := c.talk(ctx)
	if err != nil {
		return err
	}
	checked, lies := 0, 0
	for i, s := range subjects {
		file := filepath.Join(c.world.dir, fmt.Sprintf("exposure-%d.json", i))
		if _, err := c.members[i].ask(ctx, "exposure "+file); err != nil {
			return err
		}
		e, err := readExposure(file)
		if err != nil {
			return err
		}
		for _, p := range e.Parties {
			found, packets, err := c.sawOf(s, c.members[i], p, relay)
			if err != nil {
				return err
			}
			checked += len(found)
			for _, text := range p.contradictions(s.name, found) {
				r.fail("%s", text)
			}
			n, err := s.selfTest(p, found, packets)
			if err != nil {
				r.fail("%v", err)
			}
			lies += n
		}
	}
	c.audit(r)
	r.note("%d statements held to captures, %d lies found out", checked, lies)
	if checked < 100 || lies < 100 {
		r.fail("too little was checked")
	}
	return nil
}

// gather has three come together, of whom the last reaches the relay alone.
func (c *call) gather(ctx context.Context, sites []*site, flags ...string) error {
	carol, err := c.create(ctx, sites[0].hosts[0], "Carol Clairvoyante", append(flags, "--accept-files", "--files", c.world.dir)...)
	if err != nil {
		return err
	}
	alice, err := c.join(ctx, sites[1].hosts[0], auditAlice, append(c.play(0), flags...)...)
	if err != nil {
		return err
	}
	bob, err := c.join(ctx, sites[2].hosts[0], auditBob, append(c.play(1), flags...)...)
	if err != nil {
		return err
	}
	_, err = hear(ctx, time.Now(), [2]*member{carol, alice}, [2]*member{bob, alice}, [2]*member{alice, bob})
	return err
}

// talk has each say something to all and something to one, and offer a file, and returns what gives each away.
func (c *call) talk(ctx context.Context) ([]subject, error) {
	link, _, err := readLink(c.invite)
	if err != nil {
		return nil, err
	}
	var all []subject
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
		s := subject{name: m.name, addresses: m.host.addresses(), needles: map[string][]needle{
			"identity": forms("identity key", key), "name": forms("name", []byte(m.name)), "members": forms("another's name", []byte(other.name)),
			"meeting": forms("meeting ID", link.Meeting), "invite": slices.Concat(forms("invite secret", link.Secret), forms("door key", link.DoorKey)),
			"chat": forms("chat", []byte(said)), "private-chat": forms("private chat", []byte(private)),
			"files": slices.Concat(forms("file name", []byte(name)), forms("file", content[:30])),
		}}
		if i == 0 {
			s.needles["meeting-key"] = forms("meeting key", link.Doors[0].Key)
		} else if s.needles["media"], err = c.lab.samplesOf(i - 1); err != nil {
			return nil, err
		}
		all = append(all, s)
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

// sawOf is what the captures show that one party could look at of a member. Nil: it can't be captured.
func (c *call) sawOf(s subject, m *member, p exposedTo, relay *relay) (map[string]bool, []kept, error) {
	var packets []kept
	switch p.Party.Kind {
	case "network":
		packets = m.host.capture.packets()
	case "observer": // anywhere on the way, from the member's own router on
		packets = append(between(c.world.seen.packets(), m.host.outside, p.Party.Addresses),
			between(m.host.capture.packets(), m.host.own, p.Party.Addresses)...)
		if len(packets) == 0 && !slices.ContainsFunc(p.Party.Addresses, func(a netip.Addr) bool { return !a.IsPrivate() }) {
			return nil, nil, nil // dialled on its own subnet, where nobody has the address: no packet, which no program is told
		}
	case "relay":
		packets = between(relay.host.capture.packets(), m.host.outside, relay.host.own)
	case "carrier":
		_, raw, err := readLink(c.invite)
		return s.inInvite(raw), nil, err
	case "member":
		i := slices.IndexFunc(c.members, func(x *member) bool { return x.name == p.Party.Name })
		if i < 0 {
			return nil, nil, fmt.Errorf("%s says that %q is a member", m.name, p.Party.Name)
		}
		// What is sealed for a member it has; but its address is on packets, in a record, or unknown to it.
		at := slices.IndexFunc(p.Observations, func(o observed) bool { return o.Datum == "address" && o.Why != "record" })
		if at < 0 {
			return nil, nil, nil
		}
		// A packet that was sent to it may be stopped by a firewall, of which no sender is told.
		sent := between(m.host.capture.packets(), m.host.own, p.Party.Addresses)
		return map[string]bool{"address": s.found(append(sent, c.members[i].host.capture.packets()...))["address"]}, nil, nil
	default:
		return nil, nil, nil
	}
	return s.found(packets), packets, nil
}

// selfTest turns each statement round, and has the wire give away each datum: the audit must find all of that out.
func (s subject) selfTest(p exposedTo, found map[string]bool, packets []kept) (lies int, err error) {
	for _, liar := range p.liars(found) {
		if lies++; len(liar.contradictions(s.name, found)) == 0 {
			return lies, fmt.Errorf("a lie of %s about %s isn't found out", s.name, p.Party.Kind)
		}
	}
	if packets == nil {
		return lies, nil
	}
	for datum, leaky := range s.planted(nil) { // what passed besides was searched already
		if slices.ContainsFunc(p.Observations, func(o observed) bool { return o.Datum == datum && o.Seen != "no" }) {
			continue
		}
		if lies++; !s.found(leaky)[datum] || len(p.contradictions(s.name, map[string]bool{datum: true})) == 0 {
			return lies, fmt.Errorf("%s of %s on the wire of %s isn't found out", datum, s.name, p.Party.Kind)
		}
	}
	return lies, nil
}
