package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/huisclos/huisclos/meet"
)

// maxContactFile is more than the longest list of contacts takes.
const maxContactFile = 32 << 20

// contactFile keeps contacts. It may be used by several goroutines.
type contactFile struct {
	path string
	mu   sync.Mutex
}

type contactsData struct {
	Contacts []meet.Contact `json:"contacts"`
}

// loadContacts reads a file of contacts, if there is one. It refuses one that others may read: it says whom somebody met.
func loadContacts(path string) (*contactFile, []meet.Contact, error) {
	file := &contactFile{path: path}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil, file.save(nil) // now, rather than when somebody was met, it is known whether this works
	}
	if err != nil {
		return nil, nil, badInput("--contacts: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, badInput("--contacts: %w", err)
	case !info.Mode().IsRegular():
		return nil, nil, badInput("--contacts: %s is not a file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, nil, badInput("--contacts: others may read %s: run chmod 600 on it", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxContactFile))
	if err != nil {
		return nil, nil, badInput("--contacts: %w", err)
	}
	var d contactsData
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, nil, badInput("--contacts: %s: %w", path, err)
	}
	return file, d.Contacts, nil
}

// save replaces the file as a whole: whatever happens meanwhile, it is the old one or the new one.
func (f *contactFile) save(all []meet.Contact) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if all == nil {
		all = []meet.Contact{}
	}
	data, err := json.MarshalIndent(contactsData{all}, "", "  ")
	if err != nil {
		return err
	}
	// CreateTemp's files are for their owner alone.
	t, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+"-*")
	if err != nil {
		return badInput("--contacts: %w", err)
	}
	_, err = t.Write(append(data, '\n'))
	if err = errors.Join(err, t.Sync(), t.Close()); err == nil {
		err = os.Rename(t.Name(), f.path)
	}
	if err != nil {
		return badInput("--contacts: %w", errors.Join(err, os.Remove(t.Name())))
	}
	return nil
}

func (p *participant) contactChanged(c meet.Contact) {
	what := "met"
	if !c.Verified.IsZero() {
		what = "verified"
	}
	p.out.event("contact", c, "to remember: %s (%s), %s", c.Name, c.Identity, what)
	p.saveContacts()
}

// saveContacts writes everybody there is to remember, if the user wants that.
func (p *participant) saveContacts() {
	if p.contacts == nil {
		return
	}
	all, err := p.m.Contacts(context.Background()) // it answers at the end, too
	if err == nil {
		err = p.contacts.save(all)
	}
	if err != nil {
		p.refuse("contacts", err)
	}
}

func (p *participant) mark(ctx context.Context, who string) error {
	m, err := p.somebody(ctx, who)
	if err != nil {
		return err
	}
	return p.m.MarkVerified(ctx, m.key)
}

// unmark is about whoever was ever met.
func (p *participant) unmark(ctx context.Context, who string) error {
	if who == "" {
		return errWho
	}
	all, err := p.m.Contacts(ctx)
	if err != nil {
		return err
	}
	var list []person
	for _, c := range all {
		list = append(list, person{c.Identity, c.Name})
	}
	m, err := find(who, list)
	if err != nil {
		return err
	}
	return p.m.UnmarkVerified(ctx, m.key)
}

func (p *participant) showContacts(ctx context.Context) error {
	all, err := p.m.Contacts(ctx)
	if err != nil {
		return err
	}
	list := make([]string, len(all))
	for i, c := range all {
		list[i] = fmt.Sprintf("%s (%s", c.Name, c.Identity)
		if !c.Verified.IsZero() {
			list[i] += ", verified " + c.Verified.Local().Format("2006-01-02")
		}
		list[i] += ")"
	}
	p.out.event("contacts", contactsData{all}, "contacts: %s", strings.Join(list, "; "))
	return nil
}
