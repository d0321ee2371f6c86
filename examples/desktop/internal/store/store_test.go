package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"
	"time"
)

const passphrase = "six words that nobody guesses"

func newStore(t *testing.T) *Store {
	return New(filepath.Join(t.TempDir(), "huisclos"), 10)
}

func contents() *Contents {
	return &Contents{Identity: "secret identity", Settings: json.RawMessage(`{"name":"Ada"}`), History: History{On: true, RetentionDays: 30,
		Meetings: []Meeting{{ID: "one", Ended: time.Unix(1000, 0).UTC(), Data: json.RawMessage(`{"chat":"privileged"}`)}}}}
}

func TestStore(t *testing.T) {
	s := newStore(t)
	if _, ok := s.Size(); ok || s.Unlocked() {
		t.Fatal("there is one")
	}
	if _, err := s.Unlock(passphrase); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if err := s.Save(contents()); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	if err := s.Create("short", contents()); !errors.Is(err, ErrWeak) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(s.path)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was written before there was a store:", err)
	}
	if err := s.Create(passphrase, contents()); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(passphrase, contents()); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	raw, err := os.ReadFile(s.path)
	if err != nil || bytes.Contains(raw, []byte("privileged")) || bytes.Contains(raw, []byte("Ada")) {
		t.Error("readable on the disk:", err)
	}
	if info, err := os.Stat(s.path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	again := &Store{path: s.path, factor: 10}
	if _, err := again.Unlock("another passphrase"); !errors.Is(err, ErrPassphrase) || again.Unlocked() {
		t.Error(err)
	}
	got, err := again.Unlock(passphrase)
	if want := contents(); err != nil || got.Identity != want.Identity || !reflect.DeepEqual(got.History, want.History) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := again.Change("another passphrase", "a new passphrase", got); !errors.Is(err, ErrPassphrase) {
		t.Error(err)
	}
	if err := again.Change(passphrase, "short", got); !errors.Is(err, ErrWeak) {
		t.Error(err)
	}
	if err := again.Change(passphrase, "a new passphrase", got); err != nil {
		t.Error(err)
	}
	if _, err := again.Unlock(passphrase); !errors.Is(err, ErrPassphrase) {
		t.Error("the old passphrase opens it:", err)
	}
	if files, err := os.ReadDir(filepath.Dir(s.path)); err != nil || len(files) != 1 {
		t.Error("something else lies about:", files, err)
	}
	if err := again.Erase(); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(filepath.Dir(s.path)); err != nil || len(files) != 0 {
		t.Error("something is left:", files, err)
	}
	if err := again.Erase(); err != nil || again.Unlocked() {
		t.Error(err)
	}
}

func TestBackup(t *testing.T) {
	s := newStore(t)
	if err := s.Create(passphrase, contents()); err != nil {
		t.Fatal(err)
	}
	raw, err := s.Backup()
	if err != nil {
		t.Fatal(err)
	}
	to := newStore(t)
	for name, tt := range map[string]struct {
		raw        []byte
		passphrase string
		want       error
	}{
		"wrong passphrase": {raw, "another passphrase", ErrPassphrase},
		"no passphrase":    {raw, "", ErrPassphrase},
		"nothing":          {nil, passphrase, ErrDamaged},
		"no age file":      {[]byte("hello"), passphrase, ErrDamaged},
		"cut off":          {raw[:len(raw)-1], passphrase, ErrDamaged},
		"changed":          {append(bytes.Clone(raw[:len(raw)-1]), raw[len(raw)-1]^1), passphrase, ErrDamaged},
	} {
		if _, err := to.Restore(tt.raw, tt.passphrase); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if _, ok := to.Size(); ok {
			t.Errorf("%s was taken over", name)
		}
	}
	if c, err := to.Restore(raw, passphrase); err != nil || c.Identity != contents().Identity || !to.Unlocked() {
		t.Error(c, err)
	}
	// A hostile backup that would keep us computing for hours is refused.
	slow := newStore(t)
	if err := slow.Create(passphrase, contents()); err != nil {
		t.Fatal(err)
	}
	hostile, _ := slow.Backup()
	hostile = bytes.Replace(hostile, []byte(" 10\n"), []byte(" 30\n"), 1)
	if _, err := to.Restore(hostile, passphrase); err == nil {
		t.Error("a work factor of 2^30 was accepted")
	}
}

func TestRetention(t *testing.T) {
	h := History{RetentionDays: 30}
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 3 {
		h.Meetings = append(h.Meetings, Meeting{ID: string(rune('a' + i)), Ended: begin.AddDate(0, 0, 10*i)})
	}
	if h.Expire(begin.AddDate(0, 0, 30)) || len(h.Meetings) != 3 {
		t.Error("deleted too early")
	}
	if !h.Expire(begin.AddDate(0, 0, 41)) || len(h.Meetings) != 1 || h.Meetings[0].ID != "c" {
		t.Error(h.Meetings)
	}
	h.RetentionDays = 0
	if h.Expire(begin.AddDate(100, 0, 0)) || len(h.Meetings) != 1 {
		t.Error("deleted what was to be kept")
	}
}
