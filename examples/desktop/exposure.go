package main

import "slices"

// exposureOf says, from the state as it is, who could observe what in this meeting; before one, in a meeting begun now.
// It is pure, so that a test can hold it to what tests of the library show.
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
	record := "members"
	if s.Store.History {
		record = "store"
	}
	remembered := "memory"
	if s.Store.Unlocked {
		remembered = "store"
	}
	everywhere := []string{"this-machine", "members-machines", "in-transit"}
	rows := []exposureRow{
		{Datum: "ip", Purpose: "connect", Kept: "memory", Where: everywhere,
			Seen: []exposureParty{self, members("clear"), carrier("clear"), network("clear")}},
		{Datum: "device", Purpose: "none", Kept: "not-kept", Where: []string{"this-machine"},
			Seen: []exposureParty{self, browser, {Party: "nobody-else", How: "clear"}}},
		{Datum: "browser", Purpose: "none", Kept: "not-kept", Where: []string{"this-machine"},
			Seen: []exposureParty{self, {Party: "nobody-else", How: "clear"}}},
		{Datum: "times", Purpose: "connect", Kept: kept, Days: days, Where: everywhere,
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
		{Datum: "recording", Purpose: "deliver", Kept: "members", Where: []string{"members-machines"}, Seen: []exposureParty{self, members("possible")}},
		{Datum: "attendance", Purpose: "prove", Kept: record, Days: days, Where: []string{"this-machine", "members-machines"},
			Seen: []exposureParty{self, members("clear")}},
		{Datum: "words", Purpose: "authenticate", Kept: "not-kept", Where: []string{"this-machine", "members-machines"},
			Seen: []exposureParty{self, members("clear")}},
		{Datum: "contacts", Purpose: "authenticate", Kept: remembered, Where: []string{"this-machine"}, Seen: []exposureParty{self, programs}},
		{Datum: "link", Purpose: "connect", Kept: "memory", Where: everywhere, Seen: []exposureParty{self, carrier("clear"), members("clear")}},
	}
	if s.Phase.Alone { // nothing leaves this machine, and no link was sent
		outside := func(p exposureParty) bool { return p.Party == "carrier" || p.Party == "access-provider" }
		for i := range rows {
			rows[i].Seen = slices.DeleteFunc(slices.Clone(rows[i].Seen), outside)
		}
	}
	return exposure{At: now(), Rows: rows}
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
