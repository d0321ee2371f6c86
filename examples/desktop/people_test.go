package main

import (
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// TestContacts: whom the person verified is recognised at the door of the next meeting, under whatever name; whoever
// takes that name is not, and is said to resemble them. Whom they only met is no contact.
func TestContacts(t *testing.T) {
	t.Parallel()
	host, ada := meetTwo(t, nil)
	id := other(host).ID
	ada.must("say", map[string]any{"text": "x"}) // all that came before is shown after it
	event[chattedEvent](host, "chatted")
	if c := get[[]contact](host, "contacts"); len(c) != 0 {
		t.Errorf("met, and a contact: %+v", c)
	}
	host.compares(id)
	host.until("contact", func() bool { return len(part[[]contact](host, "contacts")) == 1 })
	if c := get[[]contact](host, "contacts")[0]; c.ID != id || !c.Verified || c.VerifiedAt == 0 || c.LastMet != 0 {
		t.Errorf("%+v", c)
	}
	host.must("contact-set", map[string]any{"contact": id, "name": "Ada L.", "note": "a client"})
	if m := other(host); m.ContactName != "Ada L." || m.Contact != "verified" || !m.Verified {
		t.Errorf("%+v", m)
	}
	host.must("end", nil)
	ada.untilPhase("ended")
	host.untilPhase("ended")

	host.must("create", nil)
	host.until("invitation", func() bool { return part[*invitation](host, "invite") != nil })
	link := get[*invitation](host, "invite").Link
	ada.name("Blaise")
	ada.must("join", map[string]any{"link": link})
	thief := openPage(t, startAgent(t, nil))
	thief.name("АDA L.") // the first letter is Cyrillic
	thief.must("join", map[string]any{"link": link})
	host.until("two at the door", func() bool { return len(part[[]knock](host, "knocks")) == 2 })
	for _, k := range get[[]knock](host, "knocks") {
		if k.ID == id {
			if k.Contact != "verified" || k.ContactName != "Ada L." || k.Name != "Blaise" || k.Resembles != "" {
				t.Errorf("%+v", k)
			}
		} else if k.Contact != "stranger" || k.Resembles != "Ada L." || k.ContactName != "" {
			t.Errorf("%+v", k)
		}
		host.must("admit", map[string]any{"member": k.ID})
	}
	host.until("three members", func() bool { return len(connected(part[[]member](host, "members"))) == 3 })
	for _, m := range get[[]member](host, "members") {
		switch {
		case m.Self:
		case m.ID == id:
			if m.Contact != "verified" || !m.Verified || m.ContactName != "Ada L." || m.Resembles != "" {
				t.Errorf("%+v", m)
			}
		case m.Contact != "stranger" || m.Verified || m.Resembles != "Ada L.":
			t.Errorf("%+v", m)
		}
	}
	host.must("contact-delete", map[string]any{"contact": id})
	host.until("nobody verified", func() bool {
		return len(part[[]contact](host, "contacts")) == 0 && !named(host, "Blaise").Verified && named(host, "Blaise").Contact != "verified"
	})
	host.must("end", nil)
}

// TestContactChanged: what the library says of contacts is kept for those whom the person has, and when they came only
// if history is.
func TestContactChanged(t *testing.T) {
	t.Parallel()
	who := crypto.IdentityKey{7}
	at := time.UnixMilli(5000).UTC()
	have := contact{ID: hexKey(who), Name: "Mine", Note: "n"}
	seen := have
	seen.LastMet = 5000
	verified := have
	verified.Verified, verified.VerifiedAt = true, 5000
	for name, tt := range map[string]struct {
		before  []contact
		history bool
		alone   bool
		is      meet.Contact
		want    []contact
	}{
		"met":                     {nil, true, false, meet.Contact{LastMet: at}, nil},
		"verified":                {nil, false, false, meet.Contact{Name: "A\u202eda", LastMet: at, Verified: at}, []contact{{ID: have.ID, Name: "Ada", Verified: true, VerifiedAt: 5000}}},
		"verified, with history":  {nil, true, false, meet.Contact{Name: "Ada", LastMet: at, Verified: at}, []contact{{ID: have.ID, Name: "Ada", Verified: true, VerifiedAt: 5000, LastMet: 5000}}},
		"a program":               {nil, false, true, meet.Contact{Name: "Ada", Verified: at}, nil},
		"seen":                    {[]contact{have}, false, false, meet.Contact{Name: "Theirs", LastMet: at}, []contact{have}},
		"seen, with history":      {[]contact{have}, true, false, meet.Contact{Name: "Theirs", LastMet: at}, []contact{seen}},
		"verified, and had":       {[]contact{have}, false, false, meet.Contact{Name: "Theirs", Verified: at}, []contact{verified}},
		"not verified any more":   {[]contact{verified}, false, false, meet.Contact{Name: "Theirs"}, []contact{have}},
		"verified, without room":  {make([]contact, maxContacts), false, false, meet.Contact{Name: "Ada", Verified: at}, make([]contact, maxContacts)},
		"verified, the last room": {make([]contact, maxContacts-1), false, false, meet.Contact{Name: "Mine", Verified: at}, append(make([]contact, maxContacts-1), contact{ID: have.ID, Name: "Mine", Verified: true, VerifiedAt: 5000})},
	} {
		a := &agent{state: firstState(options{}), keep: newKeeper(t.TempDir(), 10)}
		a.state.Contacts, a.state.Store.History = tt.before, tt.history
		tt.is.Identity = who
		(&session{agent: a, contacts: map[string]bool{}, alone: tt.alone}).contactChanged(tt.is)
		if len(a.state.Contacts) != len(tt.want) || len(tt.want) > 0 && a.state.Contacts[len(tt.want)-1] != tt.want[len(tt.want)-1] {
			t.Errorf("%s: %+v", name, a.state.Contacts[max(0, len(a.state.Contacts)-1):])
		}
	}
}

// TestKnown: a damaged list of contacts keeps nobody out of a meeting.
func TestKnown(t *testing.T) {
	t.Parallel()
	one := strings.Repeat("0", 63) + "1"
	a := &agent{state: firstState(options{})}
	a.state.Contacts = []contact{
		{ID: one, Name: "Ada", Verified: true, VerifiedAt: 5000}, {ID: one, Name: "again"}, {ID: "zz"}, {ID: strings.Repeat("0", 64)},
		{ID: strings.Repeat("0", 62) + "02", Name: "\u202e"},
	}
	got := a.known()
	if len(got) != 2 || got[0].Name != "Ada" || got[0].Verified.UnixMilli() != 5000 || got[1].Name != "" || !got[1].Verified.IsZero() {
		t.Errorf("%+v", got)
	}
}
