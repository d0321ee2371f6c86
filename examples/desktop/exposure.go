package main

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/huisclos/huisclos/meet"
)

// whoSees answers the page: in a meeting and after it by what the library noted, before one as the settings would have it.
func (a *agent) whoSees(ctx context.Context) (exposure, error) {
	var noted *meet.Exposure
	a.mu.Lock()
	m, alone := a.last, a.state.Phase.Alone
	if a.session != nil {
		m, alone = a.session.meeting, a.session.alone
	}
	a.mu.Unlock()
	if m != nil {
		e, err := m.Exposure(ctx)
		if err != nil {
			return exposure{}, err
		}
		if alone { // its link goes from hand to hand within this program
			e.Parties = slices.DeleteFunc(e.Parties, func(p meet.PartyExposure) bool { return p.Party.Kind == meet.PartyCarrier })
		}
		noted = &e
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := exposureOf(&a.state)
	if noted != nil {
		e.follow(noted)
		e.recordings(a.recorded, a.movie)
	}
	return e, nil
}

// noted are the data of which the library notes who could observe them.
var noted = map[string]meet.Datum{
	"ip": meet.DatumAddress, "times": meet.DatumTimes, "names": meet.DatumName, "identity": meet.DatumIdentity,
	"membership": meet.DatumMembers, "speaking": meet.DatumSpeaking, "chat": meet.DatumChat, "private-chat": meet.DatumPrivateChat,
	"media": meet.DatumMedia, "files": meet.DatumFiles, "attendance": meet.DatumAttendance, "link": meet.DatumInvite,
	"volume": meet.DatumVolume, "counterpart": meet.DatumCounterpart,
}

// follow has the rows say what the library noted, instead of what could be.
func (e *exposure) follow(from *meet.Exposure) {
	for i, r := range e.Rows {
		d, ok := noted[r.Datum]
		if !ok {
			continue
		}
		here := slices.DeleteFunc(slices.Clone(r.Seen), func(p exposureParty) bool {
			return p.Party != "self" && p.Party != "browser" && p.Party != "same-user"
		})
		others := observed(from, d)
		if len(others) == 0 {
			others = []exposureParty{{Party: "nobody-else", How: "clear"}}
		}
		e.Rows[i].Seen = append(here, others...)
	}
}

// partyNames are what the page calls the library's parties.
var partyNames = map[meet.PartyKind]string{
	meet.PartyMember: "members", meet.PartyRelay: "relay", meet.PartyProxy: "proxy", meet.PartyDHT: "dht", meet.PartyRouter: "router",
	meet.PartyNetwork: "local-network", meet.PartyObserver: "access-provider", meet.PartyCarrier: "carrier",
}

// observed are those who could observe a datum, and those who had it before them encrypted; who alike, together.
func observed(from *meet.Exposure, d meet.Datum) (all []exposureParty) {
	for _, p := range from.Parties {
		for _, o := range p.Observations {
			how, seen := howSeen(o)
			if o.Datum != d || !seen {
				continue
			}
			found, name := exposureParty{Party: partyNames[p.Party.Kind], How: how, Why: string(o.Why)}, shownName(p.Party)
			switch {
			case p.Party.Kind == meet.PartyMember && p.Party.Bridge:
				found.Party = "bridge"
			case p.Party.Beyond:
				found.Party = "beyond"
			case p.Party.Kind == meet.PartyRelay && p.Party.Limited:
				found.Party = "limited-relay"
			case p.Party.Kind == meet.PartyObserver && local(p.Party.Addresses):
				found.Party, name = "local-network", ""
			}
			i := slices.IndexFunc(all, func(x exposureParty) bool {
				return x.Party == found.Party && x.How == found.How && x.Why == found.Why
			})
			if i < 0 {
				i, all = len(all), append(all, found)
			}
			if name != "" {
				all[i].Names = append(all[i].Names, name)
			}
		}
	}
	return all
}

// local tells that no provider carries packets to these addresses.
func local(all []netip.Addr) bool {
	return len(all) > 0 && !slices.ContainsFunc(all, func(a netip.Addr) bool { return !a.IsPrivate() && !a.IsLinkLocalUnicast() })
}

// shownName is what a person knows a party by: a relay by its addresses, and not by the fingerprint of its key.
func shownName(p meet.Party) string {
	relay := p.Kind == meet.PartyRelay || p.Kind == meet.PartyObserver && p.Identity.IsZero() && p.Name != ""
	if !relay || len(p.Addresses) == 0 {
		return cleanName(p.Name)
	}
	var all []string
	for _, a := range p.Addresses {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

func howSeen(o meet.Observation) (how string, seen bool) {
	switch {
	case o.Seen == meet.SeenClear:
		return "clear", true
	case o.Seen == meet.SeenPattern:
		return "sizes-and-times", true
	case o.Seen == meet.SeenPart:
		return "part", true
	case o.Why == meet.CauseSealed, o.Why == meet.CauseEncrypted:
		return "encrypted", true
	}
	return "", false
}

// exposureOf says, from the state as it is, who could observe what in a meeting begun now. It is pure.
func exposureOf(s *state) exposure {
	var others []string
	for _, m := range s.Members {
		if !m.Self {
			others = append(others, m.Name)
		}
	}
	self := exposureParty{Party: "self", How: "clear"}
	browser := exposureParty{Party: "browser", How: "clear"}
	programs := exposureParty{Party: "same-user", How: "possible"}
	members := func(how string) exposureParty { return exposureParty{Party: "members", How: how, Names: others} }
	network := func(how string) exposureParty { return exposureParty{Party: "access-provider", How: how} }
	carrier := func(how string) exposureParty { return exposureParty{Party: "carrier", How: how} }
	content := []exposureParty{self, members("clear"), browser, programs, network("encrypted")}

	kept, days := "memory", 0
	if s.Store.History {
		kept, days = "store", s.Store.RetentionDays
	}
	record, received := "members", "memory"
	if s.Store.History {
		record, received = "store", "messages-store"
	}
	remembered := "memory"
	if s.Store.Unlocked {
		remembered = "store"
	}
	everywhere := []string{"this-machine", "members-machines", "in-transit"}
	packets := []string{"this-machine", "members-machines", "on-packets"}
	rows := []exposureRow{
		{Datum: "ip", Purpose: "connect", Kept: "memory", Where: packets,
			Seen: []exposureParty{self, members("clear"), carrier("clear"), network("clear")}},
		{Datum: "device", Purpose: "none", Kept: "not-kept", Where: []string{"this-machine"},
			Seen: []exposureParty{self, browser, {Party: "nobody-else", How: "clear"}}},
		{Datum: "browser", Purpose: "none", Kept: "not-kept", Where: []string{"this-machine"},
			Seen: []exposureParty{self, {Party: "nobody-else", How: "clear"}}},
		{Datum: "times", Purpose: "connect", Kept: kept, Days: days, Where: packets,
			Seen: []exposureParty{self, members("clear"), network("sizes-and-times")}},
		{Datum: "names", Purpose: "show", Kept: kept, Days: days, Where: everywhere,
			Seen: []exposureParty{self, members("clear"), browser, programs, network("encrypted")}},
		{Datum: "identity", Purpose: "authenticate", Kept: remembered, Where: everywhere,
			Seen: []exposureParty{self, members("clear"), network("encrypted")}},
		{Datum: "membership", Purpose: "authenticate", Kept: "members", Where: everywhere,
			Seen: []exposureParty{self, members("clear"), network("address-only")}},
		{Datum: "speaking", Purpose: "show", Kept: "not-kept", Where: everywhere,
			Seen: []exposureParty{self, members("clear"), network("sizes-and-times")}},
		{Datum: "chat", Purpose: "deliver", Kept: kept, Days: days, Where: everywhere, Seen: content},
		{Datum: "private-chat", Purpose: "deliver", Kept: kept, Days: days, Where: everywhere,
			Seen: []exposureParty{self, privately(s), browser, programs, network("encrypted")}},
		{Datum: "media", Purpose: "deliver", Kept: "not-kept", Where: everywhere, Seen: content},
		{Datum: "files", Purpose: "deliver", Kept: "members", Where: everywhere, Seen: content},
		{Datum: "recording", Purpose: "record", Kept: "members", Where: []string{"members-machines"}, Seen: []exposureParty{self, members("agreed")}},
		{Datum: "attendance", Purpose: "prove", Kept: record, Days: days, Where: []string{"this-machine", "members-machines"},
			Seen: []exposureParty{self, members("clear")}},
		{Datum: "words", Purpose: "authenticate", Kept: "not-kept", Where: []string{"this-machine", "members-machines"},
			Seen: []exposureParty{self, members("clear")}},
		{Datum: "contacts", Purpose: "authenticate", Kept: remembered, Where: []string{"this-machine"}, Seen: []exposureParty{self, programs}},
		{Datum: "volume", Purpose: "connect", Kept: "not-kept", Where: packets, Seen: []exposureParty{self, members("clear"), network("clear")}},
		{Datum: "counterpart", Purpose: "connect", Kept: "memory", Where: packets, Seen: []exposureParty{self, members("clear"), network("clear")}},
		{Datum: "link", Purpose: "connect", Kept: "memory", Where: everywhere, Seen: []exposureParty{self, carrier("clear"), members("clear")}},
		{Datum: "received", Purpose: "deliver", Kept: received, Days: days, Where: everywhere,
			Seen: []exposureParty{self, members("addressed"), browser, programs, {Party: "transport", How: "encrypted"}}},
	}
	if s.Phase.Alone { // nothing leaves this machine, and no link was sent
		outside := func(p exposureParty) bool {
			return p.Party == "carrier" || p.Party == "access-provider" || p.Party == "transport"
		}
		for i := range rows {
			rows[i].Seen = slices.DeleteFunc(slices.Clone(rows[i].Seen), outside)
		}
	}
	if !s.Phase.Alone {
		for i := range rows {
			if rows[i].Datum != "received" { // it names whoever carries packets together
				rows[i].Seen = s.Network.whoElse(rows[i].Datum, rows[i].Seen)
			}
		}
	}
	return exposure{At: now(), Rows: rows}
}

// whoElse are those who could observe a datum by what the person chose of the network, too or instead.
func (n networkSettings) whoElse(datum string, seen []exposureParty) []exposureParty {
	hidden, lan := n.Mode == modeHidden, n.Mode == modeLAN
	seen = slices.Clone(seen)
	if lan { // providers carry none of it
		for i := range seen {
			if seen[i].Party == "access-provider" {
				seen[i].Party = "local-network"
			}
		}
	}
	sealed := slices.ContainsFunc(seen, func(p exposureParty) bool { return p.How == "encrypted" })
	relays := make([]string, 0, len(n.Relays))
	for _, r := range n.Relays {
		relays = append(relays, r.Addresses...)
	}
	with := func(party, how string, names ...string) {
		seen = append(seen, exposureParty{Party: party, How: how, Names: names})
	}
	switch ip := datum == "ip"; {
	case len(relays) == 0:
	case ip, datum == "times", datum == "volume", datum == "counterpart":
		if with("relay", "clear", relays...); ip && hidden {
			seen = slices.DeleteFunc(seen, func(p exposureParty) bool { return p.Party == "members" || p.Party == "carrier" })
		}
		if n.Proxy != "" {
			with("proxy", "clear", n.Proxy)
		}
		switch datum {
		case "times", "volume":
			with("beyond", "clear", relays...)
		case "counterpart":
			with("beyond", "sizes-and-times", relays...)
		}
	case sealed, datum == "membership", datum == "speaking":
		if with("relay", "encrypted", relays...); n.Proxy != "" {
			with("proxy", "encrypted", n.Proxy)
		}
		if datum == "speaking" {
			with("beyond", "sizes-and-times", relays...)
		} else {
			with("beyond", "encrypted", relays...)
		}
	}
	for _, way := range n.ways() {
		switch party := map[bool]string{true: "local-network", false: "dht"}[way == "local-network"]; datum {
		case "ip", "times":
			if !slices.ContainsFunc(seen, func(p exposureParty) bool { return p.Party == party }) {
				with(party, "clear")
			}
			if party == "dht" {
				with("limited-relay", "clear")
			}
		case "counterpart":
			if party == "dht" {
				with("limited-relay", "clear")
			}
		}
	}
	return seen
}

// privately is who read or wrote private messages with this person.
func privately(s *state) exposureParty {
	var names []string
	for _, m := range s.Chat {
		name := m.Name
		if m.Self {
			name = ""
			for _, o := range s.Members {
				if o.ID == m.To {
					name = o.Name
				}
			}
		}
		if m.To != "" && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if names == nil {
		return exposureParty{Party: "members", How: "possible"}
	}
	return exposureParty{Party: "members", How: "clear", Names: names}
}
