package codec

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// CBOR major types and the additional information used here (RFC 8949 §3).
const (
	majorUint   = 0
	majorNegInt = 1
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorMap    = 5
	majorTag    = 6

	infoOneByte    = 24
	infoEightBytes = 27
	infoIndefinite = 31

	simpleFalse = 0xf4
	simpleTrue  = 0xf5
)

// scan walks data once, allocating nothing, and refuses everything but one
// canonical item (RFC 8949 §4.2.1) within the limits. It runs before any decoding
// by reflection, and it also covers what encoding again cannot see: a raw message
// is copied out as it came in.
func scan(data []byte) *Error {
	rest, err := scanItem(data, 0)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return refuse(ErrMalformed, "bytes after the message")
	}
	return nil
}

// scanItem checks the first item of b, which lies inside depth containers, and
// returns what follows it.
func scanItem(b []byte, depth int) ([]byte, *Error) {
	if len(b) == 0 {
		return nil, refuse(ErrMalformed, "cut short")
	}
	if b[0] == simpleFalse || b[0] == simpleTrue {
		return b[1:], nil
	}
	major := b[0] >> 5
	if major >= majorTag {
		return nil, refuse(ErrMalformed, "a tag, a floating-point number, null or another simple value")
	}
	n, rest, err := scanHead(b)
	if err != nil {
		return nil, err
	}
	switch major {
	case majorUint, majorNegInt:
		return rest, nil
	case majorBytes, majorText:
		if n > uint64(len(rest)) {
			return nil, refuse(ErrMalformed, "cut short")
		}
		if major == majorText && !utf8.Valid(rest[:n]) {
			return nil, refuse(ErrMalformed, "text that is not UTF-8")
		}
		return rest[n:], nil
	}
	if depth == MaxDepth {
		return nil, refuse(ErrTooLarge, "nested too deep")
	}
	if n > MaxElements {
		return nil, refuse(ErrTooLarge, "too many elements")
	}
	if major == majorArray {
		return scanArray(rest, n, depth+1)
	}
	return scanMap(rest, n, depth+1)
}

// scanHead reads the argument of an item's head and refuses all but its shortest
// form (RFC 8949 §4.2.1). b is not empty.
func scanHead(b []byte) (arg uint64, rest []byte, err *Error) {
	info := b[0] & 0x1f
	if info < infoOneByte {
		return uint64(info), b[1:], nil
	}
	if info == infoIndefinite {
		return 0, nil, refuse(ErrMalformed, "indefinite length")
	}
	if info > infoEightBytes {
		return 0, nil, refuse(ErrMalformed, "reserved head")
	}
	size := 1 << (info - infoOneByte) // 1, 2, 4 or 8 bytes
	if len(b) < 1+size {
		return 0, nil, refuse(ErrMalformed, "cut short")
	}
	var wide [8]byte
	copy(wide[8-size:], b[1:1+size])
	arg = binary.BigEndian.Uint64(wide[:])
	least := uint64(infoOneByte)
	if size > 1 {
		least = 1 << (8 * size / 2)
	}
	if arg < least {
		return 0, nil, refuse(ErrNotCanonical, "a longer head than needed")
	}
	return arg, b[1+size:], nil
}

func scanArray(b []byte, n uint64, depth int) ([]byte, *Error) {
	var err *Error
	for range n {
		if b, err = scanItem(b, depth); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// scanMap also refuses keys that don't ascend in bytewise order, which covers
// duplicates.
func scanMap(b []byte, n uint64, depth int) ([]byte, *Error) {
	var previous []byte
	for range n {
		value, err := scanItem(b, depth)
		if err != nil {
			return nil, err
		}
		key := b[:len(b)-len(value)]
		if bytes.Compare(previous, key) >= 0 {
			return nil, refuse(ErrNotCanonical, "map keys out of order or twice")
		}
		previous = key
		if b, err = scanItem(value, depth); err != nil {
			return nil, err
		}
	}
	return b, nil
}
