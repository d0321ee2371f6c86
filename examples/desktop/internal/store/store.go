package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"

	"filippo.io/age"
)

// The limits.
const (
	// MaxSize is the longest store, in bytes, encrypted or not.
	MaxSize = 64 << 20
	// MinPassphrase is the shortest passphrase, in characters.
	MinPassphrase = 10

	workFactor    = 18 // scrypt, log2 N: about a second and 256 MiB
	maxWorkFactor = 20 // of a file that somebody gives us to restore
	fileName      = "huisclos.age"
)

// The errors.
var (
	// ErrPassphrase says that the passphrase is wrong.
	ErrPassphrase = errors.New("the passphrase is wrong")
	// ErrWeak says that a new passphrase is shorter than MinPassphrase.
	ErrWeak = errors.New("the passphrase is too short")
	// ErrDamaged says that the file isn't one of ours, or was changed.
	ErrDamaged = errors.New("the store is damaged")
	// ErrExists says that there is a store.
	ErrExists = errors.New("there is a store already")
	// ErrNone says that there is no store.
	ErrNone = errors.New("there is no store")
	// ErrLocked says that the store wasn't unlocked.
	ErrLocked = errors.New("the store is locked")
)

// Contents is what the store holds.
type Contents struct {
	Version  int             `json:"version"` // 1
	Identity string          `json:"identity"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Contacts json.RawMessage `json:"contacts,omitempty"`
	Network  json.RawMessage `json:"network,omitempty"`
	History  History         `json:"history"`
}

// History is what is kept of meetings, if the person wants it.
type History struct {
	On            bool      `json:"on"`
	RetentionDays int       `json:"retentionDays"` // 0: never deleted
	Meetings      []Meeting `json:"meetings"`      // oldest first
}

// Meeting is one meeting of the history.
type Meeting struct {
	ID    string          `json:"id"`
	Ended time.Time       `json:"ended"`
	Data  json.RawMessage `json:"data"`
}

// Store is the file. It is used by one goroutine at a time.
type Store struct {
	path       string
	factor     int
	passphrase string
	unlocked   bool
}

// New describes the store in a directory, without touching it. Factor is scrypt's work, log2 N, for tests that have no
// time; 0 is what protects a passphrase.
func New(dir string, factor int) *Store {
	if factor == 0 {
		factor = workFactor
	}
	return &Store{path: filepath.Join(dir, fileName), factor: factor}
}

// Path is where the file is or would be.
func (s *Store) Path() string { return s.path }

// Unlocked reports whether the passphrase is known.
func (s *Store) Unlocked() bool { return s.unlocked }

// Size returns how long the file is, and whether there is one.
func (s *Store) Size() (int64, bool) {
	info, err := os.Stat(s.path)
	if err != nil {
		return 0, false
	}
	return info.Size(), true
}

// Create begins a store. ErrExists, ErrWeak, and the disk's errors.
func (s *Store) Create(passphrase string, c *Contents) error {
	if _, ok := s.Size(); ok {
		return ErrExists
	}
	if utf8.RuneCountInString(passphrase) < MinPassphrase {
		return ErrWeak
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	if err := s.write(passphrase, c); err != nil {
		return err
	}
	s.passphrase, s.unlocked = passphrase, true
	return nil
}

// Unlock reads the store. ErrNone, ErrPassphrase, ErrDamaged.
func (s *Store) Unlock(passphrase string) (*Contents, error) {
	raw, err := s.Backup()
	if err != nil {
		return nil, err
	}
	c, err := open(raw, passphrase)
	if err != nil {
		return nil, err
	}
	s.passphrase, s.unlocked = passphrase, true
	return c, nil
}

// Save writes the contents in place of what there was. ErrLocked, and the disk's errors; the old file is there then.
func (s *Store) Save(c *Contents) error {
	if !s.unlocked {
		return ErrLocked
	}
	return s.write(s.passphrase, c)
}

// Change changes the passphrase. ErrLocked, ErrPassphrase if the old one is wrong, ErrWeak.
func (s *Store) Change(before, after string, c *Contents) error {
	switch {
	case !s.unlocked:
		return ErrLocked
	case before != s.passphrase: // who asks has the session, and sees all the store holds
		return ErrPassphrase
	case utf8.RuneCountInString(after) < MinPassphrase:
		return ErrWeak
	}
	if err := s.write(after, c); err != nil {
		return err
	}
	s.passphrase = after
	return nil
}

// Erase removes the store. It needs no passphrase: whoever forgot it must be able to.
func (s *Store) Erase() error {
	s.passphrase, s.unlocked = "", false
	err := os.Remove(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Backup returns the file as it is, encrypted. ErrNone, ErrDamaged if it is too long to be one.
func (s *Store) Backup() ([]byte, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(raw) > MaxSize {
		err = ErrDamaged
	}
	return raw, err
}

// Restore puts a backup in the store's place, if the passphrase opens it, and unlocks it. ErrPassphrase, ErrDamaged.
func (s *Store) Restore(raw []byte, passphrase string) (*Contents, error) {
	if len(raw) > MaxSize {
		return nil, ErrDamaged
	}
	c, err := open(raw, passphrase)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return nil, err
	}
	if err := replace(s.path, raw); err != nil {
		return nil, err
	}
	s.passphrase, s.unlocked = passphrase, true
	return c, nil
}

func open(raw []byte, passphrase string) (*Contents, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil { // empty
		return nil, ErrPassphrase
	}
	id.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(bytes.NewReader(raw), id)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, ErrDamaged
	}
	plain, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil || len(plain) > MaxSize {
		return nil, ErrDamaged
	}
	defer clear(plain)
	c := &Contents{}
	if json.Unmarshal(plain, c) != nil || c.Version != 1 {
		return nil, ErrDamaged
	}
	return c, nil
}

func (s *Store) write(passphrase string, c *Contents) error {
	c.Version = 1
	plain, err := json.Marshal(c)
	if err != nil {
		return err
	}
	defer clear(plain)
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	to.SetWorkFactor(s.factor)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to)
	if err != nil {
		return err
	}
	if _, err := w.Write(plain); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return replace(s.path, sealed.Bytes())
}

// replace writes a file that only its owner may read, whole or not at all.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), fileName+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Expire deletes the meetings that are older than the retention allows. It returns whether there were any.
func (h *History) Expire(now time.Time) bool {
	before := len(h.Meetings)
	if h.RetentionDays > 0 {
		oldest := now.AddDate(0, 0, -h.RetentionDays)
		h.Meetings = slices.DeleteFunc(h.Meetings, func(m Meeting) bool { return m.Ended.Before(oldest) })
	}
	return len(h.Meetings) != before
}
