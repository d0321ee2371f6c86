// Package codec is the project's one encoder and decoder: CBOR (RFC 8949) in
// which every value has exactly one encoding.
//
// It is the code of meet/SPEC.md section 1.1: COD-1 (one encoding), COD-2 (what is
// refused) and COD-3 (limits, checked before decoding).
//
// Signatures and hashes cover encoded bytes, so two encodings of one value would
// be two messages that mean the same thing (malleability), and one encoding read
// in two ways would be worse. Unmarshal therefore takes nothing but what Marshal
// writes for the value it returns:
//
//	bytes ──▶ size limit ──▶ scan ──▶ decode into a fresh value ──▶ encode again ──▶ value
//	              │            │                  │                      │
//	         ErrTooLarge  ErrMalformed       ErrMismatch          ErrNotCanonical
//	                      ErrTooLarge
//	                      ErrNotCanonical
//
// The encoding is the core deterministic one of RFC 8949 §4.2.1: shortest
// lengths and integers, definite lengths, map keys in bytewise order. Left out
// on purpose are tags, floating-point numbers, null, undefined and all simple
// values but true and false: an absent thing is a field left out (omitempty), and
// a nil slice or map is an empty one.
//
// Messages are Go structs whose fields carry integer keys,
//
//	type Genesis struct {
//		Creator []byte `cbor:"1,keyasint,omitempty"`
//		Nonce   []byte `cbor:"2,keyasint,omitempty"`
//	}
//
// or structs with a `cbor:",toarray"` marker, whose fields are all always there.
//
// The package never does I/O, never keeps a reference to its input, and never
// puts any part of the data into an error.
package codec
