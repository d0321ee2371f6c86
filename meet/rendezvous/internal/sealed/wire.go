package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	// ContentSize is how long what is sealed always is, in bytes.
	ContentSize = 512
	// Size is how long it is when it is sealed.
	Size = nonceSize + ContentSize + tagSize
	// MaxAddresses is the most addresses of an announcement (SPEC §4.2).
	MaxAddresses = 8

	nonceSize = 12
	tagSize   = 16
)

var (
	// ErrNoAddress reports that there is nothing to announce.
	ErrNoAddress = errors.New("there is no address to announce")
	// ErrNotOurs reports something that wasn't sealed under the topic.
	ErrNotOurs = errors.New("not sealed under this topic")
)

// Derive makes n bytes for one purpose from a topic, which is a secret of those who have the link.
func Derive(topic [32]byte, info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, topic[:], nil, info, n)
	if err != nil {
		panic("sealed: " + err.Error()) // n is a constant of the caller's
	}
	return out
}

// Box seals and opens under one key.
type Box struct{ gcm cipher.AEAD }

// NewBox derives its key from a topic, for the purpose that info names.
func NewBox(topic [32]byte, info string) Box {
	block, err := aes.NewCipher(Derive(topic, info, 32))
	if err != nil {
		panic("sealed: " + err.Error()) // never for 32 bytes
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("sealed: " + err.Error()) // never for AES
	}
	return Box{gcm}
}

// Seal returns Size bytes: nonce ‖ AES-256-GCM(content), with about as associated data. Addresses that don't fit, or beyond
// MaxAddresses, are left out. The error is ErrNoAddress.
func (b Box) Seal(addrs []ma.Multiaddr, about []byte) ([]byte, error) {
	plain, err := encode(addrs)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	return b.gcm.Seal(nonce, nonce, plain, about), nil
}

// Open is the inverse of Seal. The error is ErrNotOurs.
func (b Box) Open(sealed, about []byte) ([]ma.Multiaddr, error) {
	if len(sealed) != Size {
		return nil, ErrNotOurs
	}
	plain, err := b.gcm.Open(nil, sealed[:nonceSize], sealed[nonceSize:], about)
	if err != nil {
		return nil, ErrNotOurs
	}
	return decode(plain)
}

// encode gives, for each address, its length in one byte and the binary multiaddr, padded with zeros to ContentSize.
func encode(addrs []ma.Multiaddr) ([]byte, error) {
	out := make([]byte, 0, ContentSize)
	for _, a := range addrs[:min(len(addrs), MaxAddresses)] {
		if raw := a.Bytes(); len(raw) > 0 && len(raw) < 256 && len(out)+1+len(raw) <= ContentSize {
			out = append(append(out, byte(len(raw))), raw...)
		}
	}
	if len(out) == 0 {
		return nil, ErrNoAddress
	}
	return out[:ContentSize], nil
}

func decode(b []byte) (addrs []ma.Multiaddr, err error) {
	for len(b) > 0 && b[0] != 0 {
		n := int(b[0])
		if n >= len(b) || len(addrs) == MaxAddresses {
			return nil, ErrNotOurs
		}
		a, err := ma.NewMultiaddrBytes(b[1 : 1+n])
		if err != nil {
			return nil, ErrNotOurs
		}
		addrs, b = append(addrs, a), b[1+n:]
	}
	return addrs, nil
}
