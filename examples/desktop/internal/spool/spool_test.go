package spool

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func create(t *testing.T) *File {
	t.Helper()
	d := New(filepath.Join(t.TempDir(), "spool"))
	f, err := d.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// disk is what lies on the disk: the file may have no name.
func disk(t *testing.T, f *File) []byte {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.flush(); err != nil {
		t.Fatal(err)
	}
	info, err := f.disk.Stat()
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, info.Size())
	if _, err := f.disk.ReadAt(raw, 0); err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestModel: it behaves like memory, for random writes and reads.
func TestModel(t *testing.T) {
	f, r := create(t), rand.New(rand.NewPCG(1, 2))
	var model []byte
	for range 400 {
		at := r.Int64N(int64(len(model)) + 1)
		if r.IntN(3) > 0 {
			at = int64(len(model))
		}
		b := make([]byte, r.IntN(2*ChunkSize))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if n, err := f.WriteAt(b, at); n != len(b) || err != nil {
			t.Fatal(n, err)
		}
		model = append(model[:at], append(b, model[min(len(model), int(at)+len(b)):]...)...)
		from := r.IntN(len(model) + 1)
		got := make([]byte, r.IntN(ChunkSize))
		n, err := f.ReadAt(got, int64(from))
		want := model[from:min(len(model), from+len(got))]
		if !bytes.Equal(got[:n], want) || (n < len(got)) != errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes of %d at %d of %d: %v", n, len(got), from, len(model), err)
		}
	}
	if f.Size() != int64(len(model)) {
		t.Error(f.Size(), len(model))
	}
	if _, err := f.WriteAt([]byte("x"), f.Size()+1); err == nil {
		t.Error("a hole was made")
	}
}

// TestNothingReadable: neither what was written nor that two chunks are the same is to be seen, and the same bytes are
// sealed otherwise each time.
func TestNothingReadable(t *testing.T) {
	f := create(t)
	secret := bytes.Repeat([]byte("privileged "), 3*ChunkSize/11)
	if _, err := f.WriteAt(secret, 0); err != nil {
		t.Fatal(err)
	}
	first := disk(t, f)
	if bytes.Contains(first, []byte("privileged")) || bytes.Equal(first[:1000], first[ChunkSize+tagSize:][:1000]) {
		t.Error("readable")
	}
	if _, err := f.WriteAt(secret, 0); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(first[:1000], disk(t, f)[:1000]) {
		t.Error("sealed twice with the same nonce")
	}
}

// TestDamage: what was changed, exchanged or put back on the disk isn't returned.
func TestDamage(t *testing.T) {
	const whole = ChunkSize + tagSize
	for name, damage := range map[string]func(now, before []byte){
		"changed":   func(now, _ []byte) { now[5] ^= 1 },
		"exchanged": func(now, _ []byte) { copy(now[:whole], now[whole:]) },
		"put back":  func(now, before []byte) { copy(now[:whole], before[:whole]) },
	} {
		t.Run(name, func(t *testing.T) {
			f := create(t)
			write := func() []byte {
				for at := int64(0); at <= ChunkSize; at += ChunkSize {
					if _, err := f.WriteAt(make([]byte, ChunkSize), at); err != nil {
						t.Fatal(err)
					}
				}
				return disk(t, f)
			}
			before := write()
			now := write()
			damage(now, before)
			if _, err := f.disk.WriteAt(now, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
		})
	}
}

// TestGone: nothing stays, not even what an earlier run left, and nobody else may look.
func TestGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(path, "left")
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := New(path)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Error("what an earlier run left is there", err)
	}
	f, err := d.Create()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Error(info.Mode(), err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the directory is there", err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if _, err := d.Create(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	d := New(filepath.Join(b.TempDir(), "spool"))
	f, err := d.Create()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	piece := make([]byte, 4<<10)
	b.SetBytes(int64(len(piece)))
	for b.Loop() {
		if _, err := f.WriteAt(piece, f.Size()%(64<<20)); err != nil {
			b.Fatal(err)
		}
	}
}
