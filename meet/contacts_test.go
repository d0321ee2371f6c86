package meet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

func memberNamed(t *testing.T, ctx context.Context, m *meettest.Member, name string) meet.Member {
	t.Helper()
	for _, v := range must[[]meet.Member](t)(m.Members(ctx)) {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("%s isn't there", name)
	return meet.Member{}
}

// TestContacts: who is met is told, who is verified is so in the next meeting, under whatever name, and what was
// known is shown beside it (CON-1).
func TestContacts(t *testing.T) {
	identity := crypto.GenerateIdentity()
	var kept []meet.Contact
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, meet.Config{Name: "Maître Dupont", Identity: identity}))
		connected(t, ctx, host, a)
		met := events[meet.ContactChanged](host)
		if len(met) != 1 || met[0].Contact.Name != "Maître Dupont" || met[0].Contact.FirstMet.IsZero() || !met[0].Contact.Verified.IsZero() {
			t.Fatalf("%+v", met)
		}
		// Who was there before is in the list.
		if all := must[[]meet.Contact](t)(a.Contacts(ctx)); len(all) != 1 || all[0].Name != "host" {
			t.Errorf("%+v", all)
		}
		if v := memberNamed(t, ctx, host, "Maître Dupont"); v.Known || v.Verified || v.KnownAs != "" {
			t.Errorf("%+v", v)
		}
		who := identity.Public()
		if err := host.MarkVerified(ctx, self(t, ctx, host).Identity); !errors.Is(err, meet.ErrNoSuchMember) {
			t.Errorf("oneself: %v", err)
		}
		ok(t, host.MarkVerified(ctx, who))
		w.Advance(time.Second)
		met = events[meet.ContactChanged](host)
		if last := met[len(met)-1].Contact; last.Verified.IsZero() || last.Identity != who || !memberNamed(t, ctx, host, "Maître Dupont").Verified {
			t.Errorf("%+v", last)
		}
		ok(t, host.End(ctx))
		kept = must[[]meet.Contact](t)(host.Contacts(ctx)) // after the end
	})
	raw := must[[]byte](t)(json.Marshal(kept))
	kept = nil
	ok(t, json.Unmarshal(raw, &kept))
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		c := meet.Config{Contacts: kept}
		host := must[*meettest.Member](t)(w.Create(ctx, "host", c))
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		k := knock(ctx, w, "a", invite, meet.Config{Name: "Jean", Identity: identity})
		waits := must[[]meet.Knock](t)(host.Knocks(ctx))
		if len(waits) != 1 || !waits[0].Known || !waits[0].Verified || waits[0].KnownAs != "Maître Dupont" || waits[0].Name != "Jean" || waits[0].Namesake != (meet.Namesake{}) {
			t.Errorf("%+v", waits)
		}
		ok(t, host.Admit(ctx, identity.Public()))
		<-k.done
		v := memberNamed(t, ctx, host, "Jean")
		if !v.Known || !v.Verified || v.KnownAs != "Maître Dupont" {
			t.Errorf("%+v", v)
		}
		now := must[[]meet.Contact](t)(host.Contacts(ctx))[0]
		if now.Name != "Maître Dupont" || now.FirstMet != kept[0].FirstMet || now.Verified != kept[0].Verified {
			t.Errorf("%+v, was %+v", now, kept[0])
		}
		ok(t, host.UnmarkVerified(ctx, identity.Public()))
		if v := memberNamed(t, ctx, host, "Jean"); v.Verified || !v.Known {
			t.Errorf("%+v", v)
		}
		if err := host.UnmarkVerified(ctx, crypto.IdentityKey{1}); !errors.Is(err, meet.ErrNoSuchContact) {
			t.Error(err)
		}
		ok(t, host.MarkVerified(ctx, identity.Public()))
		if v := memberNamed(t, ctx, host, "Jean"); !v.Verified || v.KnownAs != "Jean" {
			t.Errorf("%+v", v)
		}
	})
}

// TestNamesake covers CON-1 and CON-2: a stranger who calls himself like a verified contact isn't taken for them, at
// the door or inside, and is shown as somebody else. The twin goes by names.
func TestNamesake(t *testing.T) {
	twin(t, "byName", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			friend := meet.Contact{Identity: crypto.GenerateIdentity().Public(), Name: "Maître Dupont", Verified: time.Unix(1e9, 0)}
			config.Contacts = []meet.Contact{friend, {Identity: crypto.IdentityKey{9}, Name: "MAITRE DUPONT"}}
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			liar, honest := crypto.GenerateIdentity(), crypto.GenerateIdentity()
			first := knock(ctx, w, "liar", invite, meet.Config{Name: "Maitrе  Duропt", Identity: liar}) // е, р, о are Cyrillic
			second := knock(ctx, w, "honest", invite, meet.Config{Name: "Paul", Identity: honest})
			for _, k := range must[[]meet.Knock](t)(host.Knocks(ctx)) {
				lies := k.Identity == liar.Public()
				warned := k.Namesake == meet.Namesake{Identity: friend.Identity, Name: friend.Name, Verified: true}
				if warned != (lies && protected) || k.Verified != (lies && !protected) || k.Known {
					t.Errorf("%+v", k)
				}
			}
			ok(t, host.Admit(ctx, liar.Public()))
			ok(t, host.Admit(ctx, honest.Public()))
			<-first.done
			<-second.done
			if v := memberNamed(t, ctx, host, "Maitrе  Duропt"); v.Namesake.Verified != protected || v.Verified == protected {
				t.Errorf("%+v", v)
			}
			if !protected {
				return
			}
			// Like somebody who is in, or like the host: no contact is needed.
			for name, like := range map[string]crypto.IdentityKey{"PAUL": honest.Public(), "H O S T": self(t, ctx, host).Identity} {
				id := crypto.GenerateIdentity()
				gone, leave := context.WithCancel(ctx)
				k := knock(gone, w, "x", invite, meet.Config{Name: name, Identity: id})
				i := slices.IndexFunc(must[[]meet.Knock](t)(host.Knocks(ctx)), func(k meet.Knock) bool { return k.Namesake.Identity == like })
				if i < 0 {
					t.Errorf("%s passes for nobody", name)
				}
				leave()
				<-k.done
			}
		})
	})
}

// TestContactsStay covers CON-3: nothing of a member's contacts reaches anybody. There is no twin, as there is no check to
// switch off: no message has a field for them. That the test would see it is shown by the note, said by its writer.
func TestContactsStay(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		const note, name = "owes me money", "Somebody Absent"
		absent := meet.Contact{Identity: crypto.GenerateIdentity().Public(), Name: name, Note: note}
		var mu sync.Mutex
		var got bytes.Buffer
		config := open()
		config.Contacts = []meet.Contact{absent}
		host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, meet.OnPair(meet.Config{}, func(_ crypto.MeetingKey, m meet.PairMessage) {
			mu.Lock()
			defer mu.Unlock()
			got.Write(meet.Encode(m))
		})))
		connected(t, ctx, host, a)
		ok(t, host.Lock(ctx))
		ok(t, host.MarkVerified(ctx, self(t, ctx, a).Identity))
		must[crypto.Verification](t)(host.Verify(ctx, self(t, ctx, a).Identity))
		w.Advance(10 * time.Second)
		record := must[meet.AttendanceRecord](t)(host.Attendance(ctx))
		mu.Lock()
		got.Write(record.Encode())
		for _, s := range []string{note, name, string(absent.Identity[:])} {
			if bytes.Contains(got.Bytes(), []byte(s)) {
				t.Errorf("%q went out", s)
			}
		}
		mu.Unlock()
		ok(t, host.SayTo(ctx, self(t, ctx, a).Identity, note))
		w.Advance(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if !bytes.Contains(got.Bytes(), []byte(note)) { // control
			t.Error("what goes out isn't seen")
		}
	})
}

// TestContactsRefused: what an embedder gives is checked before anybody hears of us.
func TestContactsRefused(t *testing.T) {
	id := crypto.GenerateIdentity().Public()
	for name, list := range map[string][]meet.Contact{
		"no identity":   {{Name: "x"}},
		"twice":         {{Identity: id}, {Identity: id}},
		"name":          {{Identity: id, Name: "a\nb"}},
		"long note":     {{Identity: id, Note: strings.Repeat("n", meet.MaxNote+1)}},
		"note's coding": {{Identity: id, Note: "\xff"}},
		"too many":      make([]meet.Contact, meet.MaxContacts+1),
	} {
		if _, err := meet.Create(t.Context(), meet.Config{Contacts: list}); !errors.Is(err, meet.ErrContact) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestContactText: the JSON is what it was, and comes back.
func TestContactText(t *testing.T) {
	at := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	c := meet.Contact{Identity: crypto.IdentityKey{0xab}, Name: "Ève", Note: "n", FirstMet: at, LastMet: at, Verified: at}
	raw := must[[]byte](t)(json.Marshal(c))
	want := `{"identity":"ab` + strings.Repeat("00", 31) + `","name":"Ève","note":"n","first_met":"2026-01-02T10:00:00Z","last_met":"2026-01-02T10:00:00Z","verified":"2026-01-02T10:00:00Z"}`
	if string(raw) != want {
		t.Errorf("%s", raw)
	}
	var back meet.Contact
	ok(t, json.Unmarshal(raw, &back))
	if back != c {
		t.Errorf("%+v", back)
	}
	if raw := must[[]byte](t)(json.Marshal(meet.Contact{Identity: c.Identity})); string(raw) != `{"identity":"ab`+strings.Repeat("00", 31)+`"}` {
		t.Errorf("%s", raw)
	}
	for _, bad := range []string{`{}`, `{"identity":"ab"}`, `{"identity":"zz"}`, `[]`, `{"identity":"` + strings.Repeat("ab", 32) + `","verified":"soon"}`} {
		if json.Unmarshal([]byte(bad), &back) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestContactsFull: puppets can't fill the list so that it is refused the next time, or push out whoever matters.
func TestContactsFull(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		at := time.Unix(1e9, 0)
		list := make([]meet.Contact, meet.MaxContacts)
		for i := range list {
			list[i] = meet.Contact{Identity: crypto.IdentityKey{1, byte(i), byte(i >> 8)}, Verified: at, LastMet: at}
		}
		list[5].Verified, list[7].Verified, list[7].Note = time.Time{}, time.Time{}, "a note"
		config := open()
		config.Contacts = list
		host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, meet.Config{})) // in the place of number 5
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{})) // there is no more room
		connected(t, ctx, host, a, b)
		all := must[[]meet.Contact](t)(host.Contacts(ctx))
		has := func(id crypto.IdentityKey) bool {
			return slices.ContainsFunc(all, func(c meet.Contact) bool { return c.Identity == id })
		}
		ids := []crypto.IdentityKey{self(t, ctx, a).Identity, self(t, ctx, b).Identity}
		if len(all) != meet.MaxContacts || has(list[5].Identity) || !has(list[7].Identity) || !has(ids[0]) || has(ids[1]) {
			t.Errorf("%d contacts", len(all))
		}
		if n := len(events[meet.ContactChanged](host)); n != 1 {
			t.Errorf("%d events", n)
		}
		if err := host.MarkVerified(ctx, ids[1]); !errors.Is(err, meet.ErrContact) {
			t.Error(err)
		}
		ok(t, host.MarkVerified(ctx, ids[0]))
	})
}
