package sframe

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
)

// CounterLimit is how many packets one key seals: its counters are 0 to
// CounterLimit-1.
//
// Nonces never repeat, so the limit of 2^32 of NIST SP 800-38D §8.3, which is for
// nonces that may, does not bind. What does is how far AES-GCM can be told from
// random: RFC 9001 appendix B.1.1 allows 2^23 packets of up to 2^16 bytes for an
// advantage of at most 2^-57, and this takes it over. It is 2.3 hours at 1,000
// packets a second, where keys last ten minutes.
const CounterLimit = 1 << 23

// Key is the key of one KID: what RFC 9605 §4.4.2 derives from a base key. It is
// safe for concurrent use. Its zero value is a wiped key. It prints and logs
// without its secret.
type Key struct {
	suite  CipherSuite
	kid    uint64
	secret atomic.Pointer[secret]
}

// secret is apart from Key so that Wipe can drop it whole while others use it.
type secret struct {
	aead cipher.AEAD
	salt [nonceSize]byte
}

// scratch holds what goes to the AEAD through an interface and so can't lie on
// the stack. Pooled rather than kept in the Key, a Key can be used concurrently.
type scratch struct {
	nonce [nonceSize]byte
	aad   []byte
}

var scratchPool = sync.Pool{New: func() any { return &scratch{aad: make([]byte, 0, 128)} }}

// NewKey derives the key of kid from baseKey, which it neither keeps nor changes.
// The errors are ErrSuite and ErrBaseKey.
func NewKey(suite CipherSuite, kid uint64, baseKey []byte) (*Key, error) {
	key, salt, err := derive(suite, kid, baseKey)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	defer clear(salt)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	k := &Key{suite: suite, kid: kid}
	k.secret.Store(&secret{aead: aead, salt: [nonceSize]byte(salt)})
	return k, nil
}

// KID returns the key ID.
func (k *Key) KID() uint64 { return k.kid }

// Suite returns the cipher suite.
func (k *Key) Suite() CipherSuite { return k.suite }

// Seal appends header, ciphertext and tag of one packet to dst and returns the
// longer slice (RFC 9605 §4.4.3). metadata is authenticated, not sent.
//
// The caller answers for ctr: sealing two packets under one counter gives both
// away and lets anyone forge. Use a Sealer instead, except where the counter is
// given from outside, as in test vectors.
//
// It allocates nothing if dst has room for Header.Size()+len(plaintext)+TagSize
// more bytes. plaintext may overlap that room only if it starts exactly where its
// ciphertext will, after the header. The errors are ErrTooLarge,
// ErrCounterExhausted and ErrWiped, and dst is then returned as it was.
func (k *Key) Seal(dst []byte, ctr uint64, metadata, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return dst, ErrTooLarge
	}
	if ctr >= CounterLimit {
		return dst, ErrCounterExhausted
	}
	sec := k.secret.Load()
	if sec == nil {
		return dst, ErrWiped
	}
	h := Header{KID: k.kid, CTR: ctr}
	dst = slices.Grow(dst, h.Size()+len(plaintext)+TagSize)
	start := len(dst)
	dst = AppendHeader(dst, h)
	s := scratchPool.Get().(*scratch)
	s.prepare(sec, ctr, dst[start:], metadata)
	dst = sec.aead.Seal(dst, s.nonce[:], plaintext, s.aad)
	scratchPool.Put(s)
	return dst, nil
}

// Open authenticates the packet sealed and appends its plaintext to dst (RFC 9605
// §4.4.4). It returns the header as authenticated. metadata must be what the
// sealer gave. It does not look for replays: see ReplayWindow.
//
// It allocates nothing if dst has room for the plaintext. To open in place, pass
// dst = sealed[n:n], n being what ParseHeader returned; otherwise dst's room must
// not overlap sealed. On error nothing is to be used: dst comes back at its former
// length and the header is zero; in place, the ciphertext is gone. The errors are
// ErrMalformed, ErrKeyMismatch, ErrAuthentication and ErrWiped.
func (k *Key) Open(dst, metadata, sealed []byte) ([]byte, Header, error) {
	h, n, err := ParseHeader(sealed)
	if err != nil {
		return dst, Header{}, err
	}
	if size := len(sealed) - n; size < TagSize || size > MaxPlaintext+TagSize {
		return dst, Header{}, ErrMalformed
	}
	if h.KID != k.kid {
		return dst, Header{}, ErrKeyMismatch
	}
	sec := k.secret.Load()
	if sec == nil {
		return dst, Header{}, ErrWiped
	}
	s := scratchPool.Get().(*scratch)
	s.prepare(sec, h.CTR, sealed[:n], metadata)
	out, err := sec.aead.Open(dst, s.nonce[:], sealed[n:], s.aad)
	scratchPool.Put(s)
	if err != nil {
		return dst, Header{}, ErrAuthentication
	}
	return out, h, nil
}

// prepare sets nonce = salt XOR counter and AAD = header ‖ metadata (RFC 9605
// §4.4.3).
func (s *scratch) prepare(sec *secret, ctr uint64, header, metadata []byte) {
	s.nonce = sec.salt
	low := s.nonce[nonceSize-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^ctr)
	s.aad = append(append(s.aad[:0], header...), metadata...)
}

// Wipe makes every later Seal and Open fail with ErrWiped; one under way ends as
// it began. It drops the expanded key for the garbage collector, which is all that
// Go allows: the memory is overwritten when it is used again, not before.
func (k *Key) Wipe() { k.secret.Store(nil) }

// String names the key without its secret.
func (k *Key) String() string {
	if k == nil {
		return "sframe.Key(nil)"
	}
	return fmt.Sprintf("sframe.Key(KID %#x, %v, secret not shown)", k.kid, k.suite)
}

// GoString names the key without its secret, for %#v.
func (k *Key) GoString() string { return k.String() }

// Format names the key without its secret, whatever the verb.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue names the key without its secret, for slog.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
