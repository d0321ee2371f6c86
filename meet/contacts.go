package meet

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
)

// Limits of Config.Contacts.
const (
	// MaxContacts is how many contacts a meeting can begin with.
	MaxContacts = 10_000
	// MaxNote is the most bytes of a contact's note.
	MaxNote = 1_024
)

// Contact is somebody this member met, and whether they compared words. The library keeps contacts in memory alone
// (CON-3): give those you stored to Config.Contacts, and store what Meeting.Contacts and ContactChanged say, if the user
// wants them remembered: a list of whom somebody met is a secret of its own. Times are this member's, in UTC, to the second.
type Contact struct {
	Identity crypto.IdentityKey
	// Name is what they called themselves: when they were verified or, if they never were, when they came last.
	Name string
	// Note is the user's own; nobody else sees it. At most MaxNote bytes.
	Note     string
	FirstMet time.Time // zero if never
	LastMet  time.Time // when they came last
	Verified time.Time // when words were compared with this identity and matched; zero if never
}

// contactText is a Contact's JSON, which stays as it is.
type contactText struct {
	Identity string    `json:"identity"` // in hex
	Name     string    `json:"name,omitempty"`
	Note     string    `json:"note,omitempty"`
	FirstMet time.Time `json:"first_met,omitzero"`
	LastMet  time.Time `json:"last_met,omitzero"`
	Verified time.Time `json:"verified,omitzero"`
}

// MarshalJSON returns an object with identity (in hex), name, note, first_met, last_met and verified (RFC 3339); what is
// empty is left out.
func (c Contact) MarshalJSON() ([]byte, error) {
	return json.Marshal(contactText{hex.EncodeToString(c.Identity[:]), c.Name, c.Note, c.FirstMet, c.LastMet, c.Verified})
}

// UnmarshalJSON reads what MarshalJSON writes. Other fields are passed over.
func (c *Contact) UnmarshalJSON(data []byte) error {
	var t contactText
	if err := json.Unmarshal(data, &t); err != nil {
		return err
	}
	key, err := hex.DecodeString(t.Identity)
	if err != nil || len(key) != len(c.Identity) {
		return fmt.Errorf("%w: an identity is 64 hexadecimal digits", ErrContact)
	}
	*c = Contact{crypto.IdentityKey(key), t.Name, t.Note, t.FirstMet, t.LastMet, t.Verified}
	return nil
}

// Errors about contacts.
var (
	// ErrContact: a contact of Config.Contacts, or its JSON, is malformed; the error says which and how.
	ErrContact = errors.New("this is no contact")
	// ErrNoSuchContact: nobody with this key was ever met.
	ErrNoSuchContact = errors.New("nobody with this key was met")
)

func checkContacts(all []Contact) error {
	if len(all) > MaxContacts {
		return fmt.Errorf("%w: there are more than %d", ErrContact, MaxContacts)
	}
	seen := make(map[crypto.IdentityKey]bool, len(all))
	for i := range all {
		c := &all[i]
		what := ""
		switch {
		case c.Identity.IsZero():
			what = "it has no identity"
		case seen[c.Identity]:
			what = "it is there twice"
		case c.Name != "" && crypto.CheckName(c.Name) != nil:
			what = "its name couldn't be anybody's"
		case len(c.Note) > MaxNote || !utf8.ValidString(c.Note):
			what = "its note is too long or isn't text"
		}
		if what != "" {
			return fmt.Errorf("%w (number %d): %s", ErrContact, i+1, what)
		}
		seen[c.Identity] = true
	}
	return nil
}

// Namesake is somebody else whose name reads like a person's (CON-2).
type Namesake struct {
	Identity crypto.IdentityKey // zero: there is nobody
	Name     string
	// Verified: words were compared with them. So whoever has the name now, and isn't verified, is somebody else.
	Verified bool
}

// contacts is what a meeting remembers of people. It belongs to the meeting's goroutine.
type contacts struct {
	all    map[crypto.IdentityKey]*Contact
	before map[crypto.IdentityKey]string   // of those on the roster who were known: as whom, when they came in
	byName map[string][]crypto.IdentityKey // contacts by nameKey

	of        *roster.Roster // for whose members the next two are; nil if contacts changed since
	present   map[string][]*roster.Member
	namesakes map[crypto.IdentityKey]Namesake
}

func newContacts(given []Contact, self crypto.IdentityKey) contacts {
	c := contacts{
		all: map[crypto.IdentityKey]*Contact{}, before: map[crypto.IdentityKey]string{}, byName: map[string][]crypto.IdentityKey{},
	}
	for _, g := range given {
		if g.Identity != self { // the same person on two devices
			c.put(g)
		}
	}
	return c
}

// put adds a contact or replaces it.
func (c *contacts) put(v Contact) {
	if old := c.all[v.Identity]; old != nil {
		c.unlist(old)
	}
	c.all[v.Identity] = &v
	key := nameKey(v.Name)
	c.byName[key] = append(c.byName[key], v.Identity)
	c.of = nil
}

// verified says whether words were compared with an identity (CON-1): nothing but the key counts.
func (c *contacts) verified(id crypto.IdentityKey) bool {
	v := c.all[id]
	return v != nil && !v.Verified.IsZero()
}

// makeRoom drops, of those nobody wrote a note about, verified or is in a meeting with, whoever was met longest ago. It
// says whether there is room for one more.
func (c *contacts) makeRoom(r *roster.Roster) bool {
	if len(c.all) < MaxContacts {
		return true
	}
	var oldest *Contact
	for id, v := range c.all {
		if v.Verified.IsZero() && v.Note == "" && r.Member(id) == nil && (oldest == nil || v.LastMet.Before(oldest.LastMet)) {
			oldest = v
		}
	}
	if oldest == nil {
		return false
	}
	c.unlist(oldest)
	delete(c.all, oldest.Identity)
	delete(c.before, oldest.Identity)
	return true
}

// unlist takes a contact's name out of the index.
func (c *contacts) unlist(v *Contact) {
	key := nameKey(v.Name)
	c.byName[key] = slices.DeleteFunc(c.byName[key], func(id crypto.IdentityKey) bool { return id == v.Identity })
	if len(c.byName[key]) == 0 {
		delete(c.byName, key)
	}
}

// met notes that somebody came in, or came back under another name.
func (c *contacts) met(r *roster.Member, now time.Time) Contact {
	v := Contact{Identity: r.Identity(), Name: r.Name, FirstMet: now}
	if old := c.all[v.Identity]; old != nil {
		c.before[v.Identity] = old.Name
		known := v.Name
		if v = *old; v.Verified.IsZero() || v.Name == "" {
			v.Name = known // of who is verified the name stays that under which they were
		}
		if v.FirstMet.IsZero() {
			v.FirstMet = now
		}
	}
	v.LastMet = now
	c.put(v)
	return v
}

// namesake finds somebody else of the same name: a verified contact first, then whoever is in, then another contact.
// Whoever is verified themselves has none.
func (c *contacts) namesake(id crypto.IdentityKey, name string) Namesake {
	if c.verified(id) {
		return Namesake{}
	}
	key := nameKey(name)
	var best Namesake
	rank := 0
	consider := func(n Namesake, r int) {
		if n.Identity != id && (r > rank || r == rank && n.Identity.Compare(best.Identity) < 0) {
			best, rank = n, r
		}
	}
	for _, other := range c.byName[key] {
		n := Namesake{Identity: other, Name: c.all[other].Name, Verified: c.verified(other)}
		if n.Verified {
			consider(n, 3)
		} else {
			consider(n, 1)
		}
	}
	for _, m := range c.present[key] {
		consider(Namesake{Identity: m.Identity(), Name: m.Name, Verified: c.verified(m.Identity())}, 2)
	}
	return best
}

// follow makes the names of a roster's members ready.
func (c *contacts) follow(r *roster.Roster) {
	if c.of == r {
		return
	}
	c.of, c.present, c.namesakes = r, map[string][]*roster.Member{}, map[crypto.IdentityKey]Namesake{}
	for i := range r.Members {
		key := nameKey(r.Members[i].Name)
		c.present[key] = append(c.present[key], &r.Members[i])
	}
	for i := range r.Members {
		m := &r.Members[i]
		c.namesakes[m.Identity()] = c.namesake(m.Identity(), m.Name)
	}
}

// stamp is the time as contacts have it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// knownMember fills in what this member knows of somebody who is or was in.
func (m *Meeting) knownMember(v *Member) {
	if v.Self {
		return
	}
	c := &m.contacts
	c.follow(m.roster)
	v.KnownAs, v.Known = c.before[v.Identity]
	v.Verified, v.Namesake = c.verified(v.Identity), c.namesakes[v.Identity]
	if m.config.hooks.byName && v.Namesake.Verified {
		v.Verified, v.Namesake = true, Namesake{}
	}
}

func (m *Meeting) knock(v *visitor) Knock {
	return m.knockOf(v.knock.Bundle.Identity, v.knock.Name, v.at)
}

// knockOf is somebody at a door, with what this member knows of them.
func (m *Meeting) knockOf(id crypto.IdentityKey, name string, at time.Time) Knock {
	k := Knock{Identity: id, Name: name, At: at}
	c := &m.contacts
	c.follow(m.roster)
	if known := c.all[k.Identity]; known != nil {
		k.Known, k.KnownAs = true, known.Name
	}
	k.Verified, k.Namesake = c.verified(k.Identity), c.namesake(k.Identity, k.Name)
	if m.config.hooks.byName && k.Namesake.Verified {
		k.Verified, k.Namesake = true, Namesake{}
	}
	return k
}

// meets remembers somebody who came in, if there is room: puppets mustn't fill the list.
func (m *Meeting) meets(r *roster.Member, now time.Time) []Event {
	if m.contacts.all[r.Identity()] == nil && !m.contacts.makeRoom(m.roster) {
		return nil
	}
	return []Event{ContactChanged{m.contacts.met(r, stamp(now))}}
}

// Contacts returns everybody there is to remember: those the meeting began with and those met in it, sorted by identity.
// Where there are more than MaxContacts, those are left out who were met longest ago and have neither note nor
// verification.
// It also answers after the end, as Attendance does. Call it after each Snapshot, which follows what was missed.
func (m *Meeting) Contacts(ctx context.Context) ([]Contact, error) {
	return callAnyTime(ctx, m, func() []Contact {
		all := make([]Contact, 0, len(m.contacts.all))
		for _, c := range m.contacts.all {
			all = append(all, *c)
		}
		slices.SortFunc(all, func(a, b Contact) int { return a.Identity.Compare(b.Identity) })
		return all
	})
}

// MarkVerified remembers that words were compared with a person and matched, all together or by Verify: the
// user's word, for nothing else makes anybody verified (CON-1). ErrNoSuchMember: nobody else on the roster has this identity.
// ErrContact: there are MaxContacts, none of whom may be forgotten.
func (m *Meeting) MarkVerified(ctx context.Context, who crypto.IdentityKey) error {
	return command(ctx, m, func() error {
		r, now := m.roster.Member(who), stamp(time.Now())
		if r == nil || who == m.self.Identity() {
			return ErrNoSuchMember
		}
		v := Contact{Identity: who, FirstMet: now, LastMet: now}
		if c := m.contacts.all[who]; c != nil {
			v = *c
		} else if !m.contacts.makeRoom(m.roster) {
			return fmt.Errorf("%w: there are %d, all with a note or verified: begin with fewer", ErrContact, MaxContacts)
		}
		v.Name, v.Verified = r.Name, now
		m.contacts.before[who] = v.Name
		m.remember(v)
		return nil
	})
}

// UnmarkVerified takes MarkVerified back, for whoever was ever met: a mistake, or a stolen device. ErrNoSuchContact:
// nobody with this identity was.
func (m *Meeting) UnmarkVerified(ctx context.Context, who crypto.IdentityKey) error {
	return command(ctx, m, func() error {
		c := m.contacts.all[who]
		if c == nil {
			return ErrNoSuchContact
		}
		v := *c
		v.Verified = time.Time{}
		m.remember(v)
		return nil
	})
}

// remember replaces a contact and tells.
func (m *Meeting) remember(v Contact) {
	m.contacts.put(v)
	if r := m.roster.Member(v.Identity); r != nil {
		m.emit(MemberChanged{m.memberOf(r)})
	}
	m.emit(ContactChanged{v})
}
