package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/desktop/internal/localport"
	vault "github.com/huisclos/huisclos/examples/desktop/internal/store"
)

// keeperHandlers do what is asked about what is remembered.
var keeperHandlers = map[string]handler{
	"store-create": on((*agent).storeCreate), "store-unlock": on((*agent).storeUnlock), "store-passphrase": on((*agent).storePassphrase),
	"store-history": on((*agent).storeHistory), "store-export": on((*agent).storeExport), "store-erase": on((*agent).storeErase),
	"history-show": on((*agent).historyShow), "history-delete": on((*agent).historyDelete),
	"backup": on((*agent).backup), "restore": on((*agent).restore),
	"contact-set": on((*agent).contactSet), "contact-delete": on((*agent).contactDelete),
}

const (
	maxNote     = 1024
	maxContacts = 10_000
)

func (a *agent) storeCreate(_ context.Context, r storeCreate) (any, error) {
	a.keep.disk.Lock()
	defer a.keep.disk.Unlock()
	a.mu.Lock()
	identity := a.identity
	if a.next != nil {
		identity = a.next
	}
	text, err := identity.Export()
	c := &vault.Contents{Identity: text, Settings: encode(a.state.Settings), Contacts: encode(a.state.Contacts), Network: a.networkToKeep()}
	a.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := a.keep.store.Create(r.Passphrase, c); err != nil {
		return nil, storeFailure(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keep.contents = c
	a.showStore()
	return nil, nil
}

func (a *agent) storeUnlock(_ context.Context, r storeUnlock) (any, error) {
	a.keep.disk.Lock()
	defer a.keep.disk.Unlock()
	if err := a.betweenMeetings(); err != nil {
		return nil, err
	}
	c, err := a.keep.store.Unlock(r.Passphrase)
	if err != nil {
		return nil, storeFailure(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session != nil { // begun meanwhile, with another identity
		return nil, fail(alreadyInMeeting)
	}
	return nil, a.opened(c, a.state.Contacts)
}

// betweenMeetings: the identity doesn't change in a meeting.
func (a *agent) betweenMeetings() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session != nil {
		return fail(alreadyInMeeting)
	}
	return nil
}

func (a *agent) storePassphrase(_ context.Context, r storePassphrase) (any, error) {
	return nil, a.writeStore(func(c *vault.Contents) error { return storeFailure(a.keep.store.Change(r.Old, r.New, c)) })
}

func (a *agent) storeHistory(_ context.Context, r storeHistory) (any, error) {
	if r.RetentionDays < 0 || r.RetentionDays > 36_500 {
		return nil, fail(badRequest)
	}
	a.mu.Lock()
	c := a.keep.contents
	if c == nil {
		a.mu.Unlock()
		return nil, fail(storeLocked)
	}
	c.History.On, c.History.RetentionDays = r.On, r.RetentionDays
	if !r.On {
		c.History.Meetings = nil
		a.forgetMet(0, math.MaxInt64)
	}
	a.expire(time.Now())
	a.mu.Unlock()
	a.save() // at once: what is said to be deleted is
	return nil, a.saved()
}

// saved says whether the last save succeeded.
func (a *agent) saved() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keep.failed {
		return fail(storeWrite)
	}
	return nil
}

// storeExport gives everything, readable but for the identity's secret key and what lets one use the relays, which are in
// the backup.
func (a *agent) storeExport(context.Context, storeExport) (any, error) {
	a.mu.Lock()
	c, network := a.collect(), encode(a.state.Network)
	a.mu.Unlock()
	if c == nil {
		return nil, fail(storeLocked)
	}
	c.Network = network
	c.Identity = "in the backup, which is encrypted"
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	return a.offerDownload("huisclos-export.json", "application/json", raw)
}

func (a *agent) storeErase(ctx context.Context, _ storeErase) (any, error) {
	a.keep.disk.Lock()
	defer a.keep.disk.Unlock()
	if err := a.keep.store.Erase(); err != nil {
		return nil, storeFailure(err)
	}
	a.mu.Lock()
	a.keep.contents, a.keep.failed = nil, false
	forgotten := a.state.Contacts
	a.state.Contacts = []contact{}
	a.next = crypto.GenerateIdentity() // the one that was kept is forgotten too
	a.identityDue()
	a.forgetNetwork()
	a.contactsChanged()
	a.showStore()
	a.mu.Unlock()
	var ids []string
	for _, c := range forgotten {
		if c.Verified {
			ids = append(ids, c.ID)
		}
	}
	a.unmark(ctx, ids...)
	return nil, nil
}

// identityDue changes to the next identity, if there is one: between meetings, never in one. agent.mu is held.
func (a *agent) identityDue() {
	if a.session == nil && a.next != nil {
		a.identity, a.next = a.next, nil
	}
}

func (a *agent) historyShow(_ context.Context, r historyShow) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.keep.contents
	if c == nil {
		return nil, fail(storeLocked)
	}
	for _, m := range c.History.Meetings {
		if m.ID == r.Meeting {
			var d keptData
			if json.Unmarshal(m.Data, &d) != nil {
				return nil, fail(storeDamaged)
			}
			return historyShown{Kept: keptOf(m, c.History.RetentionDays), Chat: append([]message{}, d.Chat...)}, nil
		}
	}
	return nil, fail(badRequest)
}

func (a *agent) historyDelete(_ context.Context, r historyDelete) (any, error) {
	a.mu.Lock()
	c := a.keep.contents
	if c == nil {
		a.mu.Unlock()
		return nil, fail(storeLocked)
	}
	c.History.Meetings = slices.DeleteFunc(c.History.Meetings, func(m vault.Meeting) bool {
		if m.ID != r.Meeting {
			return false
		}
		kept := keptOf(m, 0)
		a.forgetMet(kept.Began, kept.Ended)
		return true
	})
	a.mu.Unlock()
	a.save()
	return nil, a.saved()
}

func (a *agent) backup(context.Context, backup) (any, error) {
	a.keep.disk.Lock()
	defer a.keep.disk.Unlock()
	raw, err := a.keep.store.Backup()
	if err != nil {
		return nil, storeFailure(err)
	}
	return a.offerDownload("huisclos-backup.age", "", raw)
}

func (a *agent) offerDownload(name, mime string, raw []byte) (any, error) {
	url, err := a.port.NewDownload(localport.Download{Name: name, Type: mime, Size: int64(len(raw)), Give: func(_ context.Context, w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(raw))
		return err
	}})
	if err != nil {
		return nil, fail(tooMany)
	}
	return download{URL: url, Name: name}, nil
}

func (a *agent) restore(_ context.Context, r restore) (any, error) {
	if err := a.betweenMeetings(); err != nil {
		return nil, err
	}
	url, err := a.port.NewUpload(localport.Upload{Size: vault.MaxSize, AtMost: true, Take: func(_ context.Context, body io.Reader) error {
		raw, err := io.ReadAll(body)
		if err != nil {
			return fail(uploadLost)
		}
		a.keep.disk.Lock()
		defer a.keep.disk.Unlock()
		if err := a.betweenMeetings(); err != nil {
			return err
		}
		c, err := a.keep.store.Restore(raw, r.Passphrase)
		if err != nil {
			return storeFailure(err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.opened(c, nil) // it replaces what there was
	}})
	if err != nil {
		return nil, fail(tooMany)
	}
	return fileUpload{URL: url}, nil
}

func (a *agent) contactSet(_ context.Context, r contactSet) (any, error) {
	raw, err := hex.DecodeString(r.Contact)
	switch {
	case err != nil || len(raw) != len(crypto.IdentityKey{}):
		return nil, fail(noSuchContact)
	case crypto.CheckName(r.Name) != nil || cleanName(r.Name) != r.Name:
		return nil, failAbout(badName, maxName)
	case len(r.Note) > maxNote:
		return nil, failAbout(tooLong, maxNote)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.contactIndex(r.Contact)
	if i < 0 {
		if len(a.state.Contacts) >= maxContacts {
			return nil, failAbout(tooMany, maxContacts)
		}
		i = len(a.state.Contacts)
		a.state.Contacts = append(a.state.Contacts, contact{ID: r.Contact})
		if a.session != nil {
			a.session.contacts[r.Contact] = true
		}
	}
	a.state.Contacts[i].Name, a.state.Contacts[i].Note = r.Name, cleanText(r.Note)
	a.contactsChanged()
	return nil, nil
}

func (a *agent) contactDelete(ctx context.Context, r contactDelete) (any, error) {
	a.mu.Lock()
	a.state.Contacts = slices.DeleteFunc(a.state.Contacts, func(c contact) bool { return c.ID == r.Contact })
	a.contactsChanged()
	a.mu.Unlock()
	a.unmark(ctx, r.Contact)
	return nil, nil
}

// unmark has the meeting that is on, if there is one, take nobody of these for verified any more.
func (a *agent) unmark(ctx context.Context, ids ...string) {
	s, err := a.inMeeting()
	if err != nil {
		return
	}
	for _, id := range ids {
		if who, err := parseMember(id); err == nil {
			_ = s.meeting.UnmarkVerified(ctx, who) // nobody met them, or the meeting has just ended
		}
	}
}

// contactsChanged shows and remembers them. agent.mu is held.
func (a *agent) contactsChanged() {
	a.changed("contacts")
	if a.session != nil && a.session.meeting != nil {
		a.session.showMembers()
		a.session.showKnocks()
	}
	a.remember()
}
