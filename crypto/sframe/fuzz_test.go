package sframe

import (
	"bytes"
	"testing"
)

// FuzzParseHeader: whatever is taken is the one encoding of what it gives.
func FuzzParseHeader(f *testing.F) {
	for _, h := range []Header{{}, {7, 8}, {255, 256}, {1 << 40, 3}, {1<<64 - 1, 1<<64 - 1}} {
		f.Add(AppendHeader(nil, h))
	}
	for _, bad := range badHeaders {
		f.Add(unhex(f, bad.encoded))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := ParseHeader(in)
		if err != nil {
			if h != (Header{}) || n != 0 {
				t.Fatalf("%x refused, but gives %+v, %d", in, h, n)
			}
			return
		}
		if again := AppendHeader(nil, h); !bytes.Equal(again, in[:n]) || n != h.Size() {
			t.Fatalf("malleable: %x and %x are both %+v", in[:n], again, h)
		}
	})
}

// FuzzOpen: whatever opens is what sealing its header and plaintext gives.
func FuzzOpen(f *testing.F) {
	key := newKey(f, AES128GCM, 0x1234)
	for _, size := range []int{0, 1, 40} {
		sealed, err := key.Seal(nil, uint64(size)*100, pattern(1, 17), pattern(2, size))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed, pattern(1, 17))
		f.Add(sealed, []byte{})
		f.Add(sealed[:len(sealed)-1], pattern(1, 17))
	}
	f.Fuzz(func(t *testing.T, sealed, metadata []byte) {
		out, h, err := key.Open(nil, metadata, sealed)
		if err != nil {
			if out != nil || h != (Header{}) {
				t.Fatalf("%x refused, but gives %x, %+v", sealed, out, h)
			}
			return
		}
		again, err := key.Seal(nil, h.CTR, metadata, out)
		if err != nil || !bytes.Equal(again, sealed) {
			t.Fatalf("malleable: %x and %x, %v", sealed, again, err)
		}
	})
}

// FuzzTamper seals, changes one byte of packet or metadata, and must not open.
func FuzzTamper(f *testing.F) {
	f.Add(uint64(0), []byte("meta"), []byte("plaintext"), uint16(0), byte(1))
	f.Add(uint64(300), []byte{}, []byte{}, uint16(3), byte(0x80))
	f.Add(uint64(1<<20), []byte("m"), make([]byte, 100), uint16(9999), byte(0xff))
	key := newKey(f, AES256GCM, 0x1234)
	f.Fuzz(func(t *testing.T, ctr uint64, metadata, plaintext []byte, at uint16, mask byte) {
		ctr %= CounterLimit
		sealed, err := key.Seal(nil, ctr, metadata, plaintext)
		if err != nil {
			if len(plaintext) > MaxPlaintext {
				return
			}
			t.Fatal(err)
		}
		out, h, err := key.Open(nil, metadata, sealed)
		if err != nil || !bytes.Equal(out, plaintext) || h != (Header{0x1234, ctr}) {
			t.Fatalf("opens as %x, %+v, %v", out, h, err)
		}
		both := append(bytes.Clone(sealed), metadata...)
		both[int(at)%len(both)] ^= mask
		if mask == 0 {
			return
		}
		if _, _, err := key.Open(nil, both[len(sealed):], both[:len(sealed)]); err == nil {
			t.Fatalf("opens with byte %d changed", int(at)%len(both))
		}
	})
}
