package sframe

import (
	"encoding/binary"
	"math/bits"
)

// Sizes on the wire, in bytes.
const (
	// TagSize is the size of the authentication tag, Nt of RFC 9605 §4.5. It is
	// never shortened.
	TagSize = 16
	// MaxHeaderSize is the size of the longest header.
	MaxHeaderSize = 1 + 8 + 8
	// MaxPlaintext is the most that one packet holds; CounterLimit counts on it.
	MaxPlaintext = 1<<16 - 1
)

// The config byte (RFC 9605 §4.3, figure 3): X K K K Y C C C. Each half holds a
// value of 0 to 7, or, with its flag set, the number of bytes of a value that
// follows, less one.
const (
	extendedKID = 0x80
	extendedCTR = 0x08
	maxInline   = 7
)

// Header is the SFrame header (RFC 9605 §4.3). It travels in clear and is
// authenticated with the packet.
type Header struct {
	// KID is the key ID, which selects the key.
	KID uint64
	// CTR is the counter, which makes the nonce.
	CTR uint64
}

// Size returns how many bytes the header takes, from 1 to MaxHeaderSize.
func (h Header) Size() int { return 1 + extendedSize(h.KID) + extendedSize(h.CTR) }

// AppendHeader appends the one encoding of h to dst (RFC 9605 §4.3).
func AppendHeader(dst []byte, h Header) []byte {
	kid, ctr := extendedSize(h.KID), extendedSize(h.CTR)
	dst = append(dst, halfConfig(h.KID, kid)<<4|halfConfig(h.CTR, ctr))
	dst = appendInt(dst, h.KID, kid)
	return appendInt(dst, h.CTR, ctr)
}

// ParseHeader reads the header at the start of b and returns it with its length n.
// What it returns is not authenticated before Key.Open has returned the same.
//
// RFC 9605 §4.3 asks senders for the minimum number of bytes; this refuses the
// rest, so that a header has one encoding. The error is ErrMalformed.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, ErrMalformed
	}
	config := b[0]
	kid, rest, ok := parseInt(b[1:], config&extendedKID != 0, config>>4&maxInline)
	if !ok {
		return Header{}, 0, ErrMalformed
	}
	ctr, rest, ok := parseInt(rest, config&extendedCTR != 0, config&maxInline)
	if !ok {
		return Header{}, 0, ErrMalformed
	}
	return Header{KID: kid, CTR: ctr}, len(b) - len(rest), nil
}

// extendedSize returns how many bytes v takes after the config byte.
func extendedSize(v uint64) int {
	if v <= maxInline {
		return 0
	}
	return (bits.Len64(v) + 7) / 8
}

// halfConfig returns flag and value, or flag and length, as the low four bits.
func halfConfig(v uint64, size int) byte {
	if size == 0 {
		return byte(v)
	}
	return extendedCTR | byte(size-1)
}

// appendInt appends the low size bytes of v, big-endian.
func appendInt(dst []byte, v uint64, size int) []byte {
	var wide [8]byte
	binary.BigEndian.PutUint64(wide[:], v)
	return append(dst, wide[8-size:]...)
}

// parseInt reads one of the two values; field is its three bits of the config byte.
func parseInt(b []byte, extended bool, field byte) (v uint64, rest []byte, ok bool) {
	if !extended {
		return uint64(field), b, true
	}
	size := int(field) + 1
	if len(b) < size {
		return 0, nil, false
	}
	for _, c := range b[:size] {
		v = v<<8 | uint64(c)
	}
	return v, b[size:], extendedSize(v) == size // the shortest form only
}
