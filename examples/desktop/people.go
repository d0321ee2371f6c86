package main

import (
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// Contacts are those whom the person added or verified: whom else they met is nothing to be remembered. The library
// recognises them; here is what of its word is kept, and how it is shown.

// known are the contacts, as the library takes them. agent.mu is held.
func (a *agent) known() []meet.Contact {
	all := make([]meet.Contact, 0, len(a.state.Contacts))
	seen := map[crypto.IdentityKey]bool{}
	for _, c := range a.state.Contacts {
		who, err := parseMember(c.ID)
		if err != nil || who.IsZero() || seen[who] || len(all) == meet.MaxContacts {
			continue
		}
		seen[who] = true
		k := meet.Contact{Identity: who}
		if crypto.CheckName(c.Name) == nil {
			k.Name = c.Name
		}
		if c.Verified {
			k.Verified = time.UnixMilli(max(c.VerifiedAt, 1)).UTC()
		}
		all = append(all, k)
	}
	return all
}

func (a *agent) contactIndex(id string) int {
	return slices.IndexFunc(a.state.Contacts, func(c contact) bool { return c.ID == id })
}

// standing is what is known of a person: verified, known or stranger, and what this person calls them. What the person
// wrote comes before what the library was told when the meeting began. agent.mu is held.
func (a *agent) standing(who crypto.IdentityKey, verified, known bool, knownAs string) (state, name string) {
	state, name = "stranger", cleanName(knownAs)
	if i := a.contactIndex(hexKey(who)); i >= 0 {
		known, name = true, a.state.Contacts[i].Name
	}
	switch {
	case verified:
		state = "verified"
	case known:
		state = "known"
	}
	return state, name
}

// contactChanged keeps what changed of a contact, and whom the person verified. agent.mu is held.
func (s *session) contactChanged(c meet.Contact) {
	a := s.agent
	id, verified := hexKey(c.Identity), !c.Verified.IsZero()
	i := a.contactIndex(id)
	if s.alone || i < 0 && (!verified || len(a.state.Contacts) >= maxContacts) {
		return
	}
	next := contact{ID: id, Name: cleanName(c.Name)}
	if i >= 0 {
		next = a.state.Contacts[i]
	}
	next.Verified, next.VerifiedAt = verified, milliseconds(c.Verified)
	if a.state.Store.History && !c.LastMet.IsZero() { // else that they met is nowhere on the disk
		next.LastMet = milliseconds(c.LastMet)
	}
	switch {
	case i < 0:
		a.state.Contacts = append(a.state.Contacts, next)
	case next == a.state.Contacts[i]:
		return
	default:
		a.state.Contacts[i] = next
	}
	if verified {
		s.contacts[id] = true
	}
	a.contactsChanged()
}

// contactsMissed takes what changed before events were read, or while they were lost. agent.mu is held: what comes by
// events is older then, or repeats it.
func (s *session) contactsMissed() {
	all, err := s.meeting.Contacts(s.agent.context)
	if err != nil {
		return // the agent ends
	}
	for _, c := range all {
		s.contactChanged(c)
	}
}

// knockOf is somebody at a door as the page shows them. agent.mu is held.
func (a *agent) knockOf(k meet.Knock) knock {
	out := knock{ID: hexKey(k.Identity), Name: cleanName(k.Name), Resembles: cleanName(k.Namesake.Name), At: milliseconds(k.At)}
	out.Contact, out.ContactName = a.standing(k.Identity, k.Verified, k.Known, k.KnownAs)
	return out
}

// showKnocks shows who waits at this member's door or another's, each person once: whoever decides does so for one
// door after the other. agent.mu is held.
func (s *session) showKnocks() {
	st := &s.agent.state
	st.Knocks = []knock{}
	for _, k := range s.knocks {
		if id := hexKey(k.Identity); !slices.ContainsFunc(st.Knocks, func(o knock) bool { return o.ID == id }) {
			st.Knocks = append(st.Knocks, s.agent.knockOf(k))
		}
	}
	s.agent.changed("knocks")
}

func (s *session) knockGone(e meet.KnockGone) {
	s.knocks = slices.DeleteFunc(s.knocks, func(k meet.Knock) bool { return k.Identity == e.Identity && k.Door == e.Door })
	s.showKnocks()
}
