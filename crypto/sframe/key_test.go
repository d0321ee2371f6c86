package sframe

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"slices"
	"sync"
	"testing"
)

var bothSuites = []CipherSuite{AES128GCM, AES256GCM}

func newKey(t testing.TB, suite CipherSuite, kid uint64) *Key {
	t.Helper()
	key, err := NewKey(suite, kid, pattern(byte(suite), 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNewKeyRefuses(t *testing.T) {
	for _, tt := range []struct {
		suite CipherSuite
		base  []byte
		want  error
	}{
		{0, pattern(1, 32), ErrSuite},
		{1, pattern(1, 32), ErrSuite},
		{6, pattern(1, 32), ErrSuite},
		{AES128GCM, nil, ErrBaseKey},
		{AES256GCM, pattern(1, MinBaseKey-1), ErrBaseKey},
	} {
		if _, err := NewKey(tt.suite, 1, tt.base); !errors.Is(err, tt.want) {
			t.Errorf("NewKey(%v): %v, want %v", tt.suite, err, tt.want)
		}
		if _, err := NewSealer(tt.suite, 1, tt.base); !errors.Is(err, tt.want) {
			t.Errorf("NewSealer(%v): %v, want %v", tt.suite, err, tt.want)
		}
		if _, err := Ratchet(tt.suite, tt.base); !errors.Is(err, tt.want) {
			t.Errorf("Ratchet(%v): %v, want %v", tt.suite, err, tt.want)
		}
	}
}

func TestAppendAndInPlace(t *testing.T) {
	for _, suite := range bothSuites {
		key, meta, plaintext := newKey(t, suite, 0x1234), pattern(1, 17), pattern(2, 500)
		want, err := key.Seal(nil, 300, meta, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		prefix := []byte("outer header")
		got, err := key.Seal(slices.Clip(bytes.Clone(prefix)), 300, meta, plaintext)
		if err != nil || !bytes.Equal(got, append(bytes.Clone(prefix), want...)) {
			t.Errorf("appended to a full slice: %x, %v", got, err)
		}
		// In place: the plaintext lies where the ciphertext will.
		n := Header{0x1234, 300}.Size()
		buf := make([]byte, n+len(plaintext)+TagSize)
		copy(buf[n:], plaintext)
		got, err = key.Seal(buf[:0], 300, meta, buf[n:n+len(plaintext)])
		if err != nil || !bytes.Equal(got, want) || &got[0] != &buf[0] {
			t.Errorf("sealed in place: %x, %v", got, err)
		}
		opened, h, err := key.Open(buf[n:n], meta, buf)
		if err != nil || !bytes.Equal(opened, plaintext) || h != (Header{0x1234, 300}) || &opened[0] != &buf[n] {
			t.Errorf("opened in place: %x, %+v, %v", opened, h, err)
		}
		opened, _, err = key.Open(slices.Clip(bytes.Clone(prefix)), meta, want)
		if err != nil || !bytes.Equal(opened, append(bytes.Clone(prefix), plaintext...)) {
			t.Errorf("opened behind a prefix: %x, %v", opened, err)
		}
	}
}

// TestTampering flips every bit of a packet and its metadata. Its twin opens the
// same packet with the AEAD alone, header and metadata left out of the AAD: there,
// a changed clear byte goes unnoticed.
func TestTampering(t *testing.T) {
	for _, suite := range bothSuites {
		key, meta := newKey(t, suite, 0x1234), pattern(1, 5)
		sealed, err := key.Seal(nil, 300, meta, pattern(2, 24))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range [][]byte{sealed, meta} {
			for i := range part {
				for bit := range 8 {
					part[i] ^= 1 << bit
					out, h, err := key.Open(nil, meta, sealed)
					if err == nil || out != nil || h != (Header{}) {
						t.Fatalf("bit %d of byte %d flipped: %x, %+v, %v", bit, i, out, h, err)
					}
					part[i] ^= 1 << bit
				}
			}
		}
		if _, _, err := key.Open(nil, meta, sealed); err != nil {
			t.Fatal("restored packet:", err)
		}
		sec := key.secret.Load()
		var s scratch
		s.prepare(sec, 300, nil, nil)
		unbound := sec.aead.Seal(nil, s.nonce[:], pattern(2, 24), nil)
		if _, err := sec.aead.Open(nil, s.nonce[:], unbound, nil); err != nil {
			t.Fatal("twin: without AAD any header and metadata go with the packet:", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	key, other := newKey(t, AES128GCM, 9), newKey(t, AES128GCM, 10)
	sealed, err := key.Seal(nil, 1, nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	dst := []byte("kept")
	for _, tt := range []struct {
		why  string
		key  *Key
		in   []byte
		want error
	}{
		{"KID of another key", other, sealed, ErrKeyMismatch},
		{"too long", key, append(AppendHeader(nil, Header{9, 1}), make([]byte, MaxPlaintext+TagSize+1)...), ErrMalformed},
		{"longest, forged", key, append(AppendHeader(nil, Header{9, 1}), make([]byte, MaxPlaintext+TagSize)...), ErrAuthentication},
		{"forged", key, append(AppendHeader(nil, Header{9, 1}), make([]byte, TagSize)...), ErrAuthentication},
		{"too short", key, sealed[:len(sealed)-2], ErrMalformed},
		{"empty", key, nil, ErrMalformed},
		{"zero key", new(Key), append([]byte{0}, make([]byte, TagSize)...), ErrWiped},
	} {
		out, h, err := tt.key.Open(dst, nil, tt.in)
		if !errors.Is(err, tt.want) || h != (Header{}) || string(out) != "kept" {
			t.Errorf("%s: %q, %+v, %v", tt.why, out, h, err)
		}
	}
	// Twin of the KID rule: only the number tells the packet from its neighbour's;
	// under one base key both KIDs still have different keys.
	relabelled := append(AppendHeader(nil, Header{10, 1}), sealed[Header{9, 1}.Size():]...)
	if _, _, err := other.Open(nil, nil, relabelled); !errors.Is(err, ErrAuthentication) {
		t.Errorf("relabelled packet: %v", err)
	}
}

func TestSealLimits(t *testing.T) {
	key := newKey(t, AES128GCM, 1)
	dst := []byte("kept")
	if out, err := key.Seal(dst, 0, nil, make([]byte, MaxPlaintext+1)); !errors.Is(err, ErrTooLarge) || string(out) != "kept" {
		t.Errorf("plaintext over the limit: %v", err)
	}
	if _, err := key.Seal(nil, 0, nil, make([]byte, MaxPlaintext)); err != nil {
		t.Errorf("plaintext at the limit: %v", err)
	}
	if _, err := key.Seal(nil, CounterLimit-1, nil, nil); err != nil {
		t.Errorf("last counter: %v", err)
	}
	if out, err := key.Seal(dst, CounterLimit, nil, nil); !errors.Is(err, ErrCounterExhausted) || string(out) != "kept" {
		t.Errorf("counter at the limit: %v", err)
	}
}

func TestSealer(t *testing.T) {
	sealer, err := NewSealer(AES256GCM, 77, pattern(byte(AES256GCM), 32))
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, AES256GCM, 77)
	for want := range uint64(10) {
		sealed, ctr, err := sealer.Seal(nil, []byte("meta"), []byte("same"))
		if err != nil || ctr != want {
			t.Fatalf("counter %d, %v, want %d", ctr, err, want)
		}
		out, h, err := key.Open(nil, []byte("meta"), sealed)
		if err != nil || string(out) != "same" || h != (Header{77, want}) || sealer.KID() != 77 {
			t.Fatalf("opens as %q, %+v, %v", out, h, err)
		}
	}
	sealer.next.Store(CounterLimit - 1)
	if _, ctr, err := sealer.Seal(nil, nil, nil); err != nil || ctr != CounterLimit-1 {
		t.Errorf("last counter: %d, %v", ctr, err)
	}
	for range 3 {
		if out, _, err := sealer.Seal([]byte("kept"), nil, nil); !errors.Is(err, ErrCounterExhausted) || string(out) != "kept" {
			t.Errorf("after the last counter: %v", err)
		}
	}
	if next := sealer.next.Load(); next != CounterLimit {
		t.Errorf("the counter ran on to %d", next)
	}
}

// TestNonceReuse shows what the Sealer is for: with the counter given from
// outside, two packets under one counter give away the XOR of their plaintexts.
func TestNonceReuse(t *testing.T) {
	key := newKey(t, AES128GCM, 1)
	a, b := []byte("attack at dawn.."), []byte("wait for the sun")
	leak := func(x, y []byte) bool {
		for i := range a {
			if x[2+i]^y[2+i] != a[i]^b[i] {
				return false
			}
		}
		return true
	}
	x, errX := key.Seal(nil, 9, nil, a)
	y, errY := key.Seal(nil, 9, nil, b)
	if errX != nil || errY != nil || !leak(x, y) {
		t.Error("twin: one counter twice should leak")
	}
	sealer := &Sealer{key: key}
	sealer.next.Store(9)
	x, _, errX = sealer.Seal(nil, nil, a)
	y, _, errY = sealer.Seal(nil, nil, b)
	if errX != nil || errY != nil || leak(x, y) {
		t.Error("the Sealer used a counter twice")
	}
}

// TestConcurrent: many goroutines on one Sealer and one Key, and no counter twice.
func TestConcurrent(t *testing.T) {
	sealer := &Sealer{key: newKey(t, AES128GCM, 3)}
	key := newKey(t, AES128GCM, 3)
	const workers, each = 8, 200
	counters := make([][]uint64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			meta := pattern(byte(w), 20+w)
			for i := range each {
				sealed, _, err := sealer.Seal(nil, meta, pattern(byte(i), i))
				if err != nil {
					t.Error(err)
					return
				}
				out, h, err := key.Open(nil, meta, sealed)
				if err != nil || !bytes.Equal(out, pattern(byte(i), i)) {
					t.Errorf("worker %d: %v", w, err)
					return
				}
				counters[w] = append(counters[w], h.CTR)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(counters...)
	slices.Sort(all)
	if len(slices.Compact(all)) != workers*each {
		t.Error("a counter was used twice")
	}
}

func TestWipe(t *testing.T) {
	key := newKey(t, AES128GCM, 3)
	sealer := &Sealer{key: newKey(t, AES128GCM, 3)}
	sealed, _, err := sealer.Seal(nil, nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := key.Open(nil, nil, sealed); err != nil {
		t.Error("twin: before it is wiped the key opens:", err)
	}
	key.Wipe()
	sealer.Wipe()
	if _, _, err := key.Open(nil, nil, sealed); !errors.Is(err, ErrWiped) {
		t.Errorf("Open after Wipe: %v", err)
	}
	if _, err := key.Seal(nil, 0, nil, nil); !errors.Is(err, ErrWiped) {
		t.Errorf("Seal after Wipe: %v", err)
	}
	if _, _, err := sealer.Seal(nil, nil, nil); !errors.Is(err, ErrWiped) {
		t.Errorf("Sealer.Seal after Wipe: %v", err)
	}
	if key.KID() != 3 || key.Suite() != AES128GCM {
		t.Error("a wiped key should still say which it was")
	}
}

// TestBaseKeyIsTheCallers: neither kept nor changed.
func TestBaseKeyIsTheCallers(t *testing.T) {
	base := pattern(byte(AES128GCM), 32)
	kept := bytes.Clone(base)
	key, err := NewKey(AES128GCM, 5, base)
	if err != nil || !bytes.Equal(base, kept) {
		t.Fatalf("base key changed, %v", err)
	}
	clear(base)
	sealed, err := newKey(t, AES128GCM, 5).Seal(nil, 0, nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := key.Open(nil, nil, sealed); err != nil {
		t.Error("the key changed with its base key:", err)
	}
}

// TestAllocations: none for each packet, sealing or opening, by Sealer too.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Log("allocations are counted without the race detector only")
		return
	}
	for _, suite := range bothSuites {
		sealer := &Sealer{key: newKey(t, suite, 0x123456)}
		key := newKey(t, suite, 0x123456)
		meta, plaintext := pattern(1, 33), pattern(2, 1200)
		packet := make([]byte, 0, MaxHeaderSize+len(plaintext)+TagSize)
		room := make([]byte, 0, len(plaintext))
		sealed, _, err := sealer.Seal(nil, meta, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		forged := append(bytes.Clone(sealed[:len(sealed)-1]), sealed[len(sealed)-1]^1)
		for what, f := range map[string]func(){
			"Sealer.Seal": func() { _, _, err = sealer.Seal(packet, meta, plaintext) },
			"Key.Open":    func() { _, _, err = key.Open(room, meta, sealed) },
			"forged":      func() { _, _, _ = key.Open(room, meta, forged) },
		} {
			if n := testing.AllocsPerRun(200, f); n != 0 || err != nil {
				t.Errorf("%v, %s: %v allocations, %v", suite, what, n, err)
			}
		}
	}
}

// TestAgainstBareGCM: the packet is what AES-GCM gives for the derived key, nonce
// and AAD, computed here step by step.
func TestAgainstBareGCM(t *testing.T) {
	for _, suite := range bothSuites {
		v := trace(t, suite, 0x1234, 0xabcdef&(CounterLimit-1), pattern(1, 32), pattern(2, 33), pattern(3, 100))
		block, err := aes.NewCipher(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		header := AppendHeader(nil, Header{v.KID, v.CTR})
		want := gcm.Seal(bytes.Clone(header), v.Nonce, v.PT, append(bytes.Clone(header), v.Metadata...))
		if !bytes.Equal(v.CT, want) {
			t.Errorf("%v: %x, want %x", suite, v.CT, want)
		}
	}
}
