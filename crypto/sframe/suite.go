package sframe

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
)

// CipherSuite is a number of the IANA registry "SFrame Cipher Suites" (RFC 9605
// §8.1).
type CipherSuite uint16

// The cipher suites of this package (RFC 9605 §4.5).
const (
	// AES128GCM is AES_128_GCM_SHA256_128.
	AES128GCM CipherSuite = 0x0004
	// AES256GCM is AES_256_GCM_SHA512_128.
	AES256GCM CipherSuite = 0x0005
)

// MinBaseKey is the least length of a base key, in bytes. RFC 9605 sets none; a
// shorter one would be the weakest part of the suite.
const MinBaseKey = 16

// nonceSize is Nn of RFC 9605 §4.5, the same for both suites.
const nonceSize = 12

// The labels of RFC 9605 §4.4.2 and §5.1. The first two end in a space, and KID
// and suite follow; the third stands alone.
const (
	keyLabel     = "SFrame 1.0 Secret key "
	saltLabel    = "SFrame 1.0 Secret salt "
	ratchetLabel = "SFrame 1.0 Ratchet"
)

// Valid reports whether the package has this suite.
func (s CipherSuite) Valid() bool { return s == AES128GCM || s == AES256GCM }

// KeySize returns the size of the AES key in bytes (Nk of RFC 9605 §4.5), or 0
// for a suite that is not Valid.
func (s CipherSuite) KeySize() int {
	switch s {
	case AES128GCM:
		return 16
	case AES256GCM:
		return 32
	default:
		return 0
	}
}

// HashSize returns the size of the suite's hash in bytes (Nh of RFC 9605 §4.5),
// which is the size of what Ratchet returns, or 0 for a suite that is not Valid.
func (s CipherSuite) HashSize() int {
	switch s {
	case AES128GCM:
		return sha256.Size
	case AES256GCM:
		return sha512.Size
	default:
		return 0
	}
}

// String returns the suite's registered name, or its number.
func (s CipherSuite) String() string {
	switch s {
	case AES128GCM:
		return "AES_128_GCM_SHA256_128"
	case AES256GCM:
		return "AES_256_GCM_SHA512_128"
	default:
		return fmt.Sprintf("CipherSuite(0x%04x)", uint16(s))
	}
}

func (s CipherSuite) newHash() func() hash.Hash {
	if s == AES256GCM {
		return sha512.New
	}
	return sha256.New
}

// Ratchet returns the base key of the next ratchet step (RFC 9605 §5.1), of
// HashSize bytes whatever the length of baseKey. Nobody can go back from it. The
// errors are ErrSuite and ErrBaseKey.
func Ratchet(suite CipherSuite, baseKey []byte) ([]byte, error) {
	secret, err := extract(suite, baseKey)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return hkdf.Expand(suite.newHash(), secret, ratchetLabel, suite.HashSize())
}

// extract returns sframe_secret (RFC 9605 §4.4.2).
func extract(suite CipherSuite, baseKey []byte) ([]byte, error) {
	if !suite.Valid() {
		return nil, ErrSuite
	}
	if len(baseKey) < MinBaseKey {
		return nil, ErrBaseKey
	}
	return hkdf.Extract(suite.newHash(), baseKey, nil)
}

// expandLabel returns the HKDF info of sframe_key or sframe_salt: the label, the
// KID in eight bytes, the suite in two.
func expandLabel(label string, kid uint64, suite CipherSuite) string {
	b := binary.BigEndian.AppendUint64([]byte(label), kid)
	return string(binary.BigEndian.AppendUint16(b, uint16(suite)))
}

// derive returns sframe_key and sframe_salt (RFC 9605 §4.4.2).
func derive(suite CipherSuite, kid uint64, baseKey []byte) (key, salt []byte, err error) {
	secret, err := extract(suite, baseKey)
	if err != nil {
		return nil, nil, err
	}
	defer clear(secret)
	key, err = hkdf.Expand(suite.newHash(), secret, expandLabel(keyLabel, kid, suite), suite.KeySize())
	if err != nil {
		return nil, nil, err
	}
	salt, err = hkdf.Expand(suite.newHash(), secret, expandLabel(saltLabel, kid, suite), nonceSize)
	return key, salt, err
}
