package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// message has one field of every kind the project's messages use.
type message struct {
	Seq    uint64            `cbor:"1,keyasint,omitempty"`
	Key    []byte            `cbor:"2,keyasint,omitempty"`
	Name   string            `cbor:"3,keyasint,omitempty"`
	Heads  [][]byte          `cbor:"4,keyasint,omitempty"`
	Nested *message          `cbor:"5,keyasint,omitempty"`
	Flag   bool              `cbor:"6,keyasint,omitempty"`
	Hash   *[4]byte          `cbor:"7,keyasint,omitempty"`
	Pair   *pair             `cbor:"8,keyasint,omitempty"`
	Raw    cbor.RawMessage   `cbor:"9,keyasint,omitempty"`
	Table  map[string]uint64 `cbor:"10,keyasint,omitempty"`
	Signed int64             `cbor:"11,keyasint,omitempty"`
	Small  uint8             `cbor:"12,keyasint,omitempty"`
}

type pair struct {
	_ struct{} `cbor:",toarray"`
	A uint64
	B []byte
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	tests := []struct {
		name string
		in   message
		want string
	}{
		{"empty", message{}, "a0"},
		{"integers at each width", message{Seq: 23, Signed: -24, Small: 255}, "a3 01 17 0b 37 0c 18ff"},
		{"sixty-four bits", message{Seq: math.MaxUint64, Signed: math.MinInt64}, "a2 01 1bffffffffffffffff 0b 3b7fffffffffffffff"},
		{"bytes and text", message{Key: []byte{1, 2}, Name: "é"}, "a2 02 42 0102 03 62 c3a9"},
		{"array", message{Heads: [][]byte{{9}, {}}}, "a1 04 82 4109 40"},
		{"nested", message{Nested: &message{Flag: true}}, "a1 05 a1 06 f5"},
		{"fixed array", message{Hash: &[4]byte{1, 2, 3, 4}}, "a1 07 44 01020304"},
		{"toarray, nil bytes are empty bytes", message{Pair: &pair{A: 24}}, "a1 08 82 1818 40"},
		{"raw", message{Raw: cbor.RawMessage{0x81, 0x01}}, "a1 09 81 01"},
		{"map keys sorted", message{Table: map[string]uint64{"b": 1, "aa": 2, "a": 3}}, "a1 0a a3 6161 03 6162 01 626161 02"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := unhex(t, tt.want)
			got, err := Marshal(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("Marshal = %x, want %x", got, want)
			}
			out := message{Seq: 77, Name: "stale"} // must not survive
			if err := Unmarshal(want, len(want), &out); err != nil {
				t.Fatal(err)
			}
			again, err := Marshal(out)
			if err != nil || !bytes.Equal(again, want) {
				t.Fatalf("second Marshal = %x, %v", again, err)
			}
		})
	}
}

// TestRefused is the table of attacks. lax says whether a decoder without this
// package's rules (the CBOR library as it comes) takes the same bytes: that is
// the twin, which shows that the rule is what stops them (COD-2).
func TestRefused(t *testing.T) {
	deep := func(n int) string { return "a109" + strings.Repeat("81", n-1) + "01" }
	tests := []struct {
		name   string
		in     string
		reason Reason
		lax    bool
	}{
		{"empty input", "", ErrMalformed, false},
		{"cut short in a head", "a1 01 19 01", ErrMalformed, false},
		{"cut short in bytes", "a1 02 43 0102", ErrMalformed, false},
		{"cut short in a map", "a2 01 17", ErrMalformed, false},
		{"huge length", "a1 02 5b ffffffffffffffff", ErrMalformed, false},
		{"huge array", "a1 04 9a ffffffff", ErrTooLarge, false},
		{"huge map", "ba ffffffff", ErrTooLarge, false},
		{"array one over the limit", "a1 04 99 1001" + strings.Repeat("40", MaxElements+1), ErrTooLarge, true},
		{"nested one too deep", deep(MaxDepth + 1), ErrTooLarge, true},
		{"reserved head", "a1 01 1c", ErrMalformed, false},
		{"bytes after the message", "a0 00", ErrMalformed, false},
		{"second message after the first", "a0 a0", ErrMalformed, false},
		{"indefinite map", "bf 01 17 ff", ErrMalformed, true},
		{"indefinite array", "a1 04 9f 4109 ff", ErrMalformed, true},
		{"indefinite bytes", "a1 02 5f 4101 ff", ErrMalformed, true},
		{"indefinite text", "a1 03 7f 6161 ff", ErrMalformed, true},
		{"tag", "a1 01 c1 17", ErrMalformed, true},
		{"self-described message", "d9d9f7 a0", ErrMalformed, true},
		{"bignum", "a1 01 c2 41 17", ErrMalformed, true},
		{"half float", "a1 01 f9 3c00", ErrMalformed, false},
		{"single float", "a1 09 fa 47c35000", ErrMalformed, true},
		{"double float", "a1 09 fb 3ff199999999999a", ErrMalformed, true},
		{"not a number", "a1 09 f9 7e00", ErrMalformed, true},
		{"infinity", "a1 09 f9 7c00", ErrMalformed, true},
		{"null", "a1 05 f6", ErrMalformed, true},
		{"undefined", "a1 05 f7", ErrMalformed, true},
		{"simple value", "a1 09 f0", ErrMalformed, true},
		{"two-byte false", "a1 06 f8 14", ErrMalformed, false},
		{"text that is not UTF-8", "a1 03 61 ff", ErrMalformed, false},
		{"UTF-8 surrogate", "a1 03 63 eda080", ErrMalformed, false},
		{"duplicate key", "a2 01 17 01 16", ErrNotCanonical, true},
		{"duplicate key in a free map", "a1 0a a2 6161 01 6161 02", ErrNotCanonical, true},
		{"keys out of order", "a2 02 4101 01 17", ErrNotCanonical, true},
		{"keys in length-first order", "a1 0a a2 626161 02 6162 01", ErrNotCanonical, true},
		{"integer in two bytes", "a1 01 18 17", ErrNotCanonical, true},
		{"integer in three bytes", "a1 01 19 00ff", ErrNotCanonical, true},
		{"integer in five bytes", "a1 01 1a 0000ffff", ErrNotCanonical, true},
		{"integer in nine bytes", "a1 01 1b 00000000ffffffff", ErrNotCanonical, true},
		{"long key", "a1 1801 17", ErrNotCanonical, true},
		{"long length of bytes", "a1 02 5801 01", ErrNotCanonical, true},
		{"long length of array", "a1 04 9801 4109", ErrNotCanonical, true},
		{"long length of map", "b801 01 17", ErrNotCanonical, true},
		{"long integer inside a raw message", "a1 09 81 1817", ErrNotCanonical, true},
		{"explicit zero", "a1 01 00", ErrNotCanonical, true},
		{"explicit empty bytes", "a1 02 40", ErrNotCanonical, true},
		{"explicit false", "a1 06 f4", ErrNotCanonical, true},
		{"fixed array from a shorter string", "a1 07 43 010203", ErrNotCanonical, true},
		{"fixed array from a longer string", "a1 07 45 0102030405", ErrNotCanonical, true},
		{"fixed array from an array", "a1 07 84 01020304", ErrNotCanonical, true},
		{"unknown integer field", "a1 18ff 01", ErrMismatch, true},
		{"unknown text field", "a1 63536571 01", ErrMismatch, true},
		{"field by its Go name", "a1 63736571 01", ErrMismatch, true},
		{"text for bytes", "a1 02 61 61", ErrMismatch, false},
		{"bytes for text", "a1 03 41 61", ErrMismatch, false},
		{"integer out of range", "a1 0c 19 0100", ErrMismatch, false},
		{"negative for unsigned", "a1 01 20", ErrMismatch, false},
		{"below the least integer", "a1 0b 3b ffffffffffffffff", ErrMismatch, false},
		{"toarray with an element missing", "a1 08 81 01", ErrMismatch, false},
		{"toarray with an element more", "a1 08 83 01 40 40", ErrMismatch, false},
		{"another type altogether", "01", ErrMismatch, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.in)
			out := message{Seq: 77}
			err := Unmarshal(in, len(in), &out)
			if !errors.Is(err, tt.reason) {
				t.Fatalf("error %v, want %v", err, tt.reason)
			}
			var typed *Error
			if !errors.As(err, &typed) || typed.Reason != tt.reason {
				t.Fatalf("error %#v is not an *Error with the reason", err)
			}
			if out.Seq != 77 || out.Key != nil || out.Nested != nil {
				t.Fatal("a refused message changed the target")
			}
			var free message
			if lax := cbor.Unmarshal(in, &free) == nil; lax != tt.lax {
				t.Fatalf("without the rules: accepted = %v, want %v", lax, tt.lax)
			}
		})
	}
}

func TestAtTheLimits(t *testing.T) {
	for name, in := range map[string]string{
		"deepest":      "a109" + strings.Repeat("81", MaxDepth-1) + "01",
		"most allowed": "a1 04 99 1000" + strings.Repeat("40", MaxElements),
	} {
		b := unhex(t, in)
		if err := Unmarshal(b, len(b), new(message)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLimit: the limit counts bytes of input and comes before any decoding, so a
// message over it is refused for its size even where it is also malformed (COD-3).
func TestLimit(t *testing.T) {
	in := unhex(t, "a1 02 43 010203")
	for limit, want := range map[int]bool{-1: false, 0: false, 5: false, 6: true, 1 << 20: true} {
		err := Unmarshal(in, limit, new(message))
		if got := err == nil; got != want {
			t.Errorf("limit %d: %v", limit, err)
		}
		if !want && !errors.Is(err, ErrTooLarge) {
			t.Errorf("limit %d: %v, want ErrTooLarge", limit, err)
		}
	}
	if err := Unmarshal(make([]byte, 11), 10, new(message)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("malformed and too large: %v", err)
	}
	// Twin: without the limit the same bytes are decoded in full.
	if err := decMode.Unmarshal(in, new(message)); err != nil {
		t.Error("the library alone should take it:", err)
	}
}

// TestCanonicalTwin runs the pipeline with the comparison at its end left out:
// everything before it lets these through, so the comparison is what stops them (COD-1).
func TestCanonicalTwin(t *testing.T) {
	for _, in := range []string{"a1 01 00", "a1 02 40", "a1 06 f4", "a1 07 43 010203", "a1 07 45 0102030405"} {
		b := unhex(t, in)
		if err := scan(b); err != nil {
			t.Errorf("%s: scan alone refuses: %v", in, err)
		}
		if err := decMode.Unmarshal(b, new(message)); err != nil {
			t.Errorf("%s: decode alone refuses: %v", in, err)
		}
		if err := Unmarshal(b, len(b), new(message)); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v, want ErrNotCanonical", in, err)
		}
	}
}

// TestScanTwin: with the scan left out, decoding and comparing let these through.
func TestScanTwin(t *testing.T) {
	for _, in := range []string{"a1 09 81 1817", "a1 09 fa 47c35000", "a1 09 a2 01 01 01 02", "a1 09 f6"} {
		b := unhex(t, in)
		out := new(message)
		if err := decMode.Unmarshal(b, out); err != nil {
			t.Errorf("%s: decode alone refuses: %v", in, err)
		}
		if err := checkCanonical(b, out); err != nil {
			t.Errorf("%s: the comparison alone refuses: %v", in, err)
		}
		if err := Unmarshal(b, len(b), new(message)); err == nil {
			t.Errorf("%s: accepted", in)
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	nest := any(uint64(1))
	for range MaxDepth + 1 {
		nest = []any{nest}
	}
	for name, v := range map[string]any{
		"float":            1.5,
		"nil":              nil,
		"nil pointer":      (*message)(nil),
		"not UTF-8":        "\xff",
		"too deep":         nest,
		"too many":         make([]uint64, MaxElements+1),
		"channel":          make(chan int),
		"tag":              cbor.Tag{Number: 1, Content: uint64(1)},
		"broken raw":       cbor.RawMessage{0x18, 0x01},
		"undefined simple": cbor.SimpleValue(23),
	} {
		if _, err := Marshal(v); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", name, err)
		}
	}
}

func TestUnmarshalTarget(t *testing.T) {
	for name, v := range map[string]any{"nil": nil, "value": message{}, "nil pointer": (*message)(nil)} {
		if err := Unmarshal([]byte{0xa0}, 1, v); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", name, err)
		}
	}
}

// TestNoSharedMemory: the receive buffer may be used again at once.
func TestNoSharedMemory(t *testing.T) {
	in := unhex(t, "a3 02 42 0102 03 61 61 09 81 01")
	var out message
	if err := Unmarshal(in, len(in), &out); err != nil {
		t.Fatal(err)
	}
	clear(in)
	if !bytes.Equal(out.Key, []byte{1, 2}) || out.Name != "a" || !bytes.Equal(out.Raw, []byte{0x81, 1}) {
		t.Fatalf("decoded value changed with its input: %+v", out)
	}
}

// TestErrorsHoldNoData puts a marker in every place an error could quote from.
func TestErrorsHoldNoData(t *testing.T) {
	const marker = "hunter2"
	text := append([]byte{0x67}, marker...)
	inputs := [][]byte{
		append([]byte{0xa1, 0x01}, text...),                          // wrong type
		append(append([]byte{0xa1}, text...), 0x01),                  // unknown key
		append([]byte{0xa1, 0x03, 0x68, 0xff}, marker...),            // not UTF-8
		append([]byte{0xa1, 0x03, 0x78, 0x07}, marker...),            // long length
		append(append([]byte{0xa1, 0x03}, text...), marker...),       // trailing
		append(append([]byte{0xa2, 0x03}, text...), 0x03, 0x61, 'h'), // duplicate
		append([]byte{0xa1, 0x07, 0x47}, marker...),                  // array size
		append(append([]byte{0xa1, 0x0a, 0xa1}, text...), 0x61, 'h'), // in a map
		append([]byte{0xa1, 0x05, 0xa1, 0x02, 0x67}, marker...),      // nested
	}
	for _, in := range inputs {
		err := Unmarshal(in, 1000, new(message))
		if err == nil {
			t.Fatalf("%x accepted", in)
		}
		if s := err.Error(); strings.Contains(s, "hunter") || strings.Contains(s, hex.EncodeToString([]byte(marker))) {
			t.Errorf("error quotes the data: %s", s)
		}
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := Reason(0); r <= ErrUnsupported; r++ {
		if s := r.Error(); s == "" || seen[s] {
			t.Errorf("reason %d: text %q is empty or used twice", r, s)
		} else {
			seen[s] = true
		}
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	in, err := Marshal(message{Seq: 1 << 40, Key: make([]byte, 32), Heads: [][]byte{make([]byte, 32), make([]byte, 32)}})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("strict", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := Unmarshal(in, 1000, new(message)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := cbor.Unmarshal(in, new(message)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
