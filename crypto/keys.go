package crypto

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"

	"filippo.io/edwards25519"
)

// protocol begins everything that is hashed, signed or derived (SPEC section 1), so
// that nothing made here means anything elsewhere.
const protocol = "huisclos v1 "

// Hash is a SHA-256 hash.
type Hash [32]byte

// MeetingID names a meeting: the hash of its Genesis (INV-1).
type MeetingID [32]byte

// IdentityKey is the Ed25519 public key that names a person.
type IdentityKey [32]byte

// MeetingKey is the Ed25519 public key of one incarnation: one person, one meeting,
// one start. It is the libp2p key as well.
type MeetingKey [32]byte

// StaticKey is an X25519 public key: the static of an incarnation, or a door key.
type StaticKey [32]byte

// Signature is an Ed25519 signature (RFC 8032).
type Signature [64]byte

// Nonce is the random contribution of one side to the verification words.
type Nonce [16]byte

// String returns the first 8 bytes in hex: enough to tell hashes apart in a log.
func (h Hash) String() string { return short(h[:]) }

// Compare orders hashes by their bytes: -1, 0 or +1.
func (h Hash) Compare(o Hash) int { return bytes.Compare(h[:], o[:]) }

// IsZero reports whether h was never set.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns the first 8 bytes in hex.
func (m MeetingID) String() string { return short(m[:]) }

// Compare orders meeting IDs by their bytes: -1, 0 or +1.
func (m MeetingID) Compare(o MeetingID) int { return bytes.Compare(m[:], o[:]) }

// IsZero reports whether m was never set.
func (m MeetingID) IsZero() bool { return m == MeetingID{} }

// String returns the first 8 bytes in hex.
func (k IdentityKey) String() string { return short(k[:]) }

// Compare orders identities by their bytes: -1, 0 or +1.
func (k IdentityKey) Compare(o IdentityKey) int { return bytes.Compare(k[:], o[:]) }

// IsZero reports whether k was never set.
func (k IdentityKey) IsZero() bool { return k == IdentityKey{} }

// String returns the first 8 bytes in hex.
func (k MeetingKey) String() string { return short(k[:]) }

// Compare orders meeting keys by their bytes: -1, 0 or +1. The smaller of two
// members initiates their pair session.
func (k MeetingKey) Compare(o MeetingKey) int { return bytes.Compare(k[:], o[:]) }

// IsZero reports whether k was never set.
func (k MeetingKey) IsZero() bool { return k == MeetingKey{} }

// String returns the first 8 bytes in hex.
func (k StaticKey) String() string { return short(k[:]) }

// Compare orders static keys by their bytes: -1, 0 or +1.
func (k StaticKey) Compare(o StaticKey) int { return bytes.Compare(k[:], o[:]) }

// IsZero reports whether k was never set.
func (k StaticKey) IsZero() bool { return k == StaticKey{} }

// String returns the first 8 bytes in hex.
func (s Signature) String() string { return short(s[:]) }

// String returns the first 8 bytes in hex.
func (n Nonce) String() string { return short(n[:]) }

func short(b []byte) string { return hex.EncodeToString(b[:8]) }

// HashOf is H(label, parts…) of SPEC section 1. A label belongs to one purpose; the
// caller sees to it that the parts, concatenated, can be taken apart in one way only.
func HashOf(label string, parts ...[]byte) Hash {
	h := sha256.New()
	h.Write([]byte(protocol + label))
	h.Write([]byte{0})
	for _, p := range parts {
		h.Write(p)
	}
	var out Hash
	h.Sum(out[:0])
	return out
}

// expand is Expand(secret, label, n) of SPEC section 1; n is at most 8,160.
func expand(secret []byte, label string, n int) []byte {
	out, err := hkdf.Key(sha256.New, secret, nil, protocol+label, n)
	if err != nil {
		panic("crypto: " + err.Error()) // n is a constant of the caller's
	}
	return out
}

// signed returns what a signature covers (SPEC section 1).
func signed(label string, parts ...[]byte) []byte {
	n := len(protocol) + len(label) + 1
	for _, p := range parts {
		n += len(p)
	}
	b := make([]byte, 0, n)
	b = append(append(append(b, protocol...), label...), 0)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func sign(key ed25519.PrivateKey, label string, parts ...[]byte) Signature {
	return Signature(ed25519.Sign(key, signed(label, parts...)))
}

// Verify reports whether sig is the signature by k over label and parts. It doesn't
// check k itself: see Check.
func (k IdentityKey) Verify(label string, sig Signature, parts ...[]byte) bool {
	return ed25519.Verify(k[:], signed(label, parts...), sig[:])
}

// Verify reports whether sig is the signature by k over label and parts. It doesn't
// check k itself: see Check, which Bundle.Verify calls.
func (k MeetingKey) Verify(label string, sig Signature, parts ...[]byte) bool {
	return ed25519.Verify(k[:], signed(label, parts...), sig[:])
}

// Check refuses with ErrWeakKey a key of small order, and what is not the canonical
// encoding of a point (IDN-4).
func (k IdentityKey) Check() error { return checkEd25519(k) }

// Check refuses with ErrWeakKey a key of small order, and what is not the canonical
// encoding of a point (IDN-4).
func (k MeetingKey) Check() error { return checkEd25519(k) }

// Check refuses with ErrWeakKey a key of small order, with which every shared secret
// is known beforehand, and one that is not canonical, which would be a second name of
// another key (IDN-4).
func (k StaticKey) Check() error {
	if smallOrder(k) || !canonicalField(k) {
		return ErrWeakKey
	}
	return nil
}

// IDN-4: with a small-order key one signature holds for many messages; with a second
// encoding, one key has two names. A point with a part of small order besides does
// neither: its signatures bind as any other's, and as all verification here is
// cofactorless, whoever checks one comes to the same answer. All of it is public, so
// variable time is fine.
func checkEd25519(k [32]byte) error {
	p, err := new(edwards25519.Point).SetBytes(k[:])
	if err != nil || !bytes.Equal(p.Bytes(), k[:]) {
		return ErrWeakKey
	}
	if p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return ErrWeakKey
	}
	return nil
}

// smallOrderPoints are the u-coordinates, little-endian, of the points of order 1, 2,
// 4 and 8 of Curve25519 and its twist, and p and p+1, which mean 0 and 1.
var smallOrderPoints = [7][32]byte{
	{},
	{1},
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	fieldPrime(-1), fieldPrime(0), fieldPrime(1),
}

// fieldPrime returns 2^255-19+d, little-endian, for d from -1 to 1.
func fieldPrime(d int) (p [32]byte) {
	for i := range p {
		p[i] = 0xff
	}
	p[0], p[31] = byte(0xed+d), 0x7f
	return p
}

// smallOrder reports whether u, read as X25519 reads it (RFC 7748 section 5: the top
// bit is ignored), is of small order.
func smallOrder(u [32]byte) bool {
	u[31] &= 0x7f
	for _, p := range smallOrderPoints {
		if u == p {
			return true
		}
	}
	return false
}

// canonicalField reports whether u is below 2^255-19.
func canonicalField(u [32]byte) bool {
	p := fieldPrime(0)
	for i := 31; i >= 0; i-- {
		if u[i] != p[i] {
			return u[i] < p[i]
		}
	}
	return false
}
