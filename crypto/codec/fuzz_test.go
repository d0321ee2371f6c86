package codec

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// FuzzUnmarshal checks that there is one encoding for each value: what is
// accepted encodes to the very bytes it came from, and scan agrees with the CBOR
// library that they are well-formed.
func FuzzUnmarshal(f *testing.F) {
	for _, v := range []message{
		{},
		{Seq: 1, Key: []byte{1}, Name: "a", Flag: true, Signed: -1, Small: 2},
		{Heads: [][]byte{{1}, {}}, Nested: &message{Seq: 500}, Hash: &[4]byte{1}},
		{Pair: &pair{A: 1 << 33, B: []byte{2}}, Raw: cbor.RawMessage{0xa0}, Table: map[string]uint64{"a": 1, "b": 2}},
	} {
		b, err := Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v message
		if err := Unmarshal(in, 1<<16, &v); err != nil {
			return
		}
		out, err := Marshal(v)
		if err != nil {
			t.Fatalf("accepted %x, which does not encode again: %v", in, err)
		}
		if !bytes.Equal(in, out) {
			t.Fatalf("malleable: %x and %x decode to one value", in, out)
		}
		if err := cbor.Wellformed(in); err != nil {
			t.Fatalf("accepted %x, which is not CBOR: %v", in, err)
		}
		// Any one byte put after, or taken off, makes it another message.
		if Unmarshal(append(in[:len(in):len(in)], 0), 1<<17, new(message)) == nil {
			t.Fatalf("%x: accepted with a byte after it", in)
		}
		if Unmarshal(in[:len(in)-1], 1<<16, new(message)) == nil {
			t.Fatalf("%x: accepted with its last byte missing", in)
		}
	})
}
