package spool

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"sync"
)

// ChunkSize is how many bytes are sealed at a time.
const ChunkSize = 64 << 10

const (
	tagSize   = 16
	nonceSize = 12
)

// ErrDamaged says that what is on the disk isn't what was written.
var ErrDamaged = errors.New("the temporary file was changed")

// Dir is the directory of a program's spool files. Its methods may be called from any goroutine.
type Dir struct {
	path  string
	mu    sync.Mutex
	open  map[*File]struct{}
	ended bool
}

// New describes a directory, which nobody else uses, and deletes what an earlier run of the program left there. It is
// made when it is needed.
func New(path string) *Dir {
	_ = os.RemoveAll(path) // what can't be removed can't be read either
	return &Dir{path: path, open: map[*File]struct{}{}}
}

// Create makes an empty file.
func (d *Dir) Create() (*File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return nil, os.ErrClosed
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return nil, err
	}
	disk, err := os.CreateTemp(d.path, "") // mode 0600
	if err != nil {
		return nil, err
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	clear(key[:])
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	f := &File{dir: d, disk: disk, aead: aead, current: -1}
	f.unnamed = os.Remove(disk.Name()) == nil // where the system lets one, it is gone even if the program is killed
	d.open[f] = struct{}{}
	return f, nil
}

// Close closes and deletes everything.
func (d *Dir) Close() error {
	d.mu.Lock()
	d.ended = true
	all := make([]*File, 0, len(d.open))
	for f := range d.open {
		all = append(all, f)
	}
	d.mu.Unlock()
	var err error
	for _, f := range all {
		err = errors.Join(err, f.Close())
	}
	return errors.Join(err, os.RemoveAll(d.path))
}

// File is a temporary file that only this process can read. Its methods may be called from any goroutine.
type File struct {
	dir     *Dir
	unnamed bool

	mu      sync.Mutex
	disk    *os.File
	aead    cipher.AEAD
	size    int64
	written []uint32 // how often each chunk was sealed
	current int64    // number of the chunk in plain, -1: none
	dirty   bool
	plain   [ChunkSize]byte
	sealed  [ChunkSize + tagSize]byte
	closed  bool
}

// Size is where the furthest write ended.
func (f *File) Size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.size
}

// WriteAt writes anywhere up to the end of the file: there are no holes.
func (f *File) WriteAt(b []byte, at int64) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at < 0 || at > f.size {
		return 0, errors.New("spool: a write beyond the end")
	}
	for n < len(b) {
		if err := f.load((at + int64(n)) / ChunkSize); err != nil {
			return n, err
		}
		c := copy(f.plain[(at+int64(n))%ChunkSize:], b[n:])
		n += c
		f.dirty = true
		f.size = max(f.size, at+int64(n))
	}
	return n, nil
}

// ReadAt reads what was written.
func (f *File) ReadAt(b []byte, at int64) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at < 0 {
		return 0, errors.New("spool: a read before the beginning")
	}
	for n < len(b) {
		here := at + int64(n)
		if here >= f.size {
			return n, io.EOF
		}
		if err := f.load(here / ChunkSize); err != nil {
			return n, err
		}
		n += copy(b[n:], f.plain[here%ChunkSize:min(ChunkSize, f.size-here/ChunkSize*ChunkSize)])
	}
	return n, nil
}

// load makes a chunk the current one. f.mu is held.
func (f *File) load(number int64) error {
	switch {
	case f.closed:
		return os.ErrClosed
	case number == f.current:
		return nil
	}
	if err := f.flush(); err != nil {
		return err
	}
	f.current = -1
	if number >= int64(len(f.written)) { // the next one, since there are no holes
		clear(f.plain[:])
		f.written = append(f.written, 0)
		f.current = number
		return nil
	}
	if _, err := f.disk.ReadAt(f.sealed[:], number*int64(len(f.sealed))); err != nil {
		return err
	}
	nonce := f.nonce(number)
	if _, err := f.aead.Open(f.plain[:0], nonce[:], f.sealed[:], nil); err != nil {
		return ErrDamaged
	}
	f.current = number
	return nil
}

// flush seals the current chunk onto the disk, if it was changed. f.mu is held.
func (f *File) flush() error {
	if !f.dirty || f.current < 0 {
		return nil
	}
	if f.written[f.current] == math.MaxUint32 {
		return errors.New("spool: a chunk was written too often")
	}
	f.written[f.current]++ // so that no nonce comes twice
	nonce := f.nonce(f.current)
	sealed := f.aead.Seal(f.sealed[:0], nonce[:], f.plain[:], nil)
	if _, err := f.disk.WriteAt(sealed, f.current*int64(len(f.sealed))); err != nil {
		return err
	}
	f.dirty = false
	return nil
}

func (f *File) nonce(number int64) (n [nonceSize]byte) {
	binary.BigEndian.PutUint32(n[:], f.written[number])
	binary.BigEndian.PutUint64(n[4:], uint64(number))
	return n
}

// Close deletes the file. What is under way of reads and writes fails.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	f.aead = nil
	clear(f.plain[:])
	err := f.disk.Close()
	if !f.unnamed {
		err = errors.Join(err, os.Remove(f.disk.Name()))
	}
	f.dir.mu.Lock()
	delete(f.dir.open, f)
	f.dir.mu.Unlock()
	return err
}
