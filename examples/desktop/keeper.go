package main

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto"
	vault "github.com/huisclos/huisclos/examples/desktop/internal/store"
)

// keeper is what is remembered: in memory, and in the store if the person made one.
type keeper struct {
	disk     sync.Mutex // one use of the store at a time; taken without agent.mu
	store    *vault.Store
	contents *vault.Contents // guarded by agent.mu; nil while locked, or where there is none
	failed   bool            // guarded by agent.mu: the newest isn't on the disk
	due      bool            // guarded by agent.mu: it will be written soon
}

func newKeeper(dir string, factor int) *keeper { return &keeper{store: vault.New(dir, factor)} }

// keptData is a meeting of the history.
type keptData struct {
	Began int64     `json:"began"`
	Ended int64     `json:"ended"`
	Names []string  `json:"names"`
	Chat  []message `json:"chat"`
	// Lost is how many messages were said before those, for which there was no room.
	Lost int `json:"lost,omitempty"`
	// Attendance is the signed record, as a file.
	Attendance string `json:"attendance,omitempty"`
}

// showStore shows what there is on the disk. Both locks are held, or nothing else runs yet.
func (a *agent) showStore() {
	k := a.keep
	size, exists := k.store.Size()
	s := store{Exists: exists, Unlocked: k.contents != nil, Path: k.store.Path(), Bytes: size, Failed: k.failed, Kept: []keptMeeting{}}
	if c := k.contents; c != nil {
		s.History, s.RetentionDays = c.History.On, c.History.RetentionDays
		for _, m := range slices.Backward(c.History.Meetings) {
			s.Kept = append(s.Kept, keptOf(m, c.History.RetentionDays))
		}
	}
	a.state.Store = s
	a.state.Features = features(s)
	a.changed("store", "features")
}

func keptOf(m vault.Meeting, days int) keptMeeting {
	var d keptData
	_ = json.Unmarshal(m.Data, &d)
	out := keptMeeting{ID: m.ID, Began: d.Began, Ended: d.Ended, Names: d.Names, Messages: len(d.Chat), Lost: d.Lost, Attendance: d.Attendance != ""}
	if days > 0 {
		out.DeleteAt = m.Ended.AddDate(0, 0, days).UnixMilli()
	}
	return out
}

// remember has the store written, soon and once, if there is an open one: each time costs a second, by the passphrase's
// protection. agent.mu is held.
func (a *agent) remember() {
	if a.keep.contents != nil && !a.keep.due {
		a.keep.due = true
		a.later(a.saveDue)
	}
}

// saveDue writes the store if something is new.
func (a *agent) saveDue() {
	a.mu.Lock()
	due := a.keep.due
	a.mu.Unlock()
	if due {
		a.save()
	}
}

// save writes the store, if there is an open one.
func (a *agent) save() {
	a.mu.Lock()
	a.keep.due = false // what is new from here on may be too late for this time
	a.mu.Unlock()
	_ = a.writeStore(func(c *vault.Contents) error {
		err := a.keep.store.Save(c)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.keep.failed = err != nil
		a.showStore()
		return err
	})
}

// writeStore has a function write what is to be remembered now. While it does, nothing else uses the store.
func (a *agent) writeStore(write func(*vault.Contents) error) error {
	a.keep.disk.Lock()
	defer a.keep.disk.Unlock()
	a.mu.Lock()
	c := a.collect()
	a.mu.Unlock()
	if c == nil {
		return fail(storeLocked)
	}
	return write(c)
}

// collect returns a copy of what is to be written, nil while locked. agent.mu is held.
func (a *agent) collect() *vault.Contents {
	if a.keep.contents == nil {
		return nil
	}
	c := *a.keep.contents
	c.Settings, c.Contacts, c.Network = encode(a.state.Settings), encode(a.state.Contacts), a.networkToKeep()
	c.History.Meetings = slices.Clone(c.History.Meetings)
	return &c
}

// keepMeeting adds a meeting to the history, if there is one. agent.mu is held.
func (a *agent) keepMeeting(s *session, sum *summary) bool {
	c := a.keep.contents
	if c == nil || !c.History.On || s.alone {
		return false
	}
	d := keptData{Began: sum.Began, Ended: sum.Ended, Chat: s.said.messages, Lost: s.said.lost, Names: slices.Sorted(maps.Values(s.names)), Attendance: attendanceText(s.meeting)}
	c.History.Meetings = append(c.History.Meetings, vault.Meeting{ID: crypto.NewMessageID().String(), Ended: time.UnixMilli(sum.Ended), Data: encode(d)})
	c.History.Expire(time.Now())
	a.remember()
	return true
}

// expire deletes what is older than the retention. agent.mu is held.
func (a *agent) expire(now time.Time) {
	c := a.keep.contents
	if c == nil {
		return
	}
	expired := c.History.Expire(now)
	if days := c.History.RetentionDays; days > 0 {
		expired = a.forgetMet(0, now.AddDate(0, 0, -days).UnixMilli()) || expired
	}
	if expired {
		a.remember()
	}
}

// forgetMet forgets that contacts were met between these times, which is history as well. agent.mu is held.
func (a *agent) forgetMet(from, to int64) (forgotten bool) {
	contacts := slices.Clone(a.state.Contacts) // the page may still be told of the ones there were
	for i, c := range contacts {
		if c.LastMet != 0 && c.LastMet >= from && c.LastMet <= to {
			contacts[i].LastMet, forgotten = 0, true
		}
	}
	if forgotten {
		a.state.Contacts = contacts
		a.changed("contacts")
	}
	return forgotten
}

// opened takes what a store holds, which was just unlocked, and adds these contacts of before that. agent.mu is held.
func (a *agent) opened(c *vault.Contents, before []contact) error {
	identity, err := crypto.ParseIdentity(c.Identity)
	if err != nil {
		return fail(storeDamaged)
	}
	var s settings
	var contacts []contact
	if len(c.Settings) > 0 && json.Unmarshal(c.Settings, &s) != nil || len(c.Contacts) > 0 && json.Unmarshal(c.Contacts, &contacts) != nil {
		return fail(storeDamaged)
	}
	if err := a.networkOpened(c.Network); err != nil {
		return err
	}
	a.identity = identity
	if s.Language != "" {
		if a.options.language != "" {
			s.Language = a.options.language
		}
		a.state.Settings = s
	}
	kept := len(contacts)
	for _, c := range before {
		if !slices.ContainsFunc(contacts, func(o contact) bool { return o.ID == c.ID }) {
			contacts = append(contacts, c)
		}
	}
	a.state.Contacts = append([]contact{}, contacts...)
	a.keep.contents = c
	if len(contacts) > kept {
		a.remember()
	}
	a.changed("settings", "contacts")
	a.expire(time.Now())
	a.showStore()
	return nil
}

// storeFailure translates the store's errors.
func storeFailure(err error) error {
	for from, to := range map[error]code{
		vault.ErrPassphrase: wrongPassphrase, vault.ErrDamaged: storeDamaged, vault.ErrExists: storeExists, vault.ErrNone: noStore, vault.ErrLocked: storeLocked,
	} {
		if errors.Is(err, from) {
			return fail(to)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrWeak):
		return failAbout(weakPassphrase, vault.MinPassphrase)
	}
	return &codeError{failure{Code: storeWrite, Detail: err.Error()}}
}
