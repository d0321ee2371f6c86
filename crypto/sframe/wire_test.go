package sframe

import (
	"errors"
	"testing"
)

// badHeaders must be refused. Those with a value are longer encodings of it, which
// lenientParse, the parser without the rule, takes.
var badHeaders = []struct {
	why     string
	encoded string
	lenient bool
	value   Header
}{
	{"nothing", "", false, Header{}},
	{"KID missing", "80", false, Header{}},
	{"counter missing", "08", false, Header{}},
	{"counter missing after the KID", "8808", false, Header{}},
	{"KID cut short", "f001020304050607", false, Header{}},
	{"counter cut short", "0f01020304050607", false, Header{}},
	{"counter cut short after the KID", "9901234567"[:8], false, Header{}},
	{"KID 7 in a byte", "8007", true, Header{7, 0}},
	{"KID 0 in a byte", "8000", true, Header{0, 0}},
	{"counter 7 in a byte", "0807", true, Header{0, 7}},
	{"counter 0 in eight bytes", "0f0000000000000000", true, Header{0, 0}},
	{"KID 255 in two bytes", "9000ff", true, Header{255, 0}},
	{"counter 255 in two bytes", "0900ff", true, Header{0, 255}},
	{"KID 65535 in three bytes", "a000ffff", true, Header{65535, 0}},
	{"counter of seven bytes in eight", "0f00ffffffffffffff", true, Header{0, 1<<56 - 1}},
	{"KID of seven bytes in eight", "f000ffffffffffffff", true, Header{1<<56 - 1, 0}},
	{"KID short, counter long", "890800ff", true, Header{8, 255}},
	{"KID long, counter short", "980008ff", true, Header{8, 255}},
}

func TestParseHeaderRefuses(t *testing.T) {
	for _, tt := range badHeaders {
		b := unhex(t, tt.encoded)
		h, n, err := ParseHeader(b)
		if !errors.Is(err, ErrMalformed) || h != (Header{}) || n != 0 {
			t.Errorf("%s: %+v, %d, %v", tt.why, h, n, err)
		}
		// Twin: without the rule, two encodings give one header.
		if h, ok := lenientParse(b); ok != tt.lenient || h != tt.value {
			t.Errorf("%s: without the rule %+v, %v", tt.why, h, ok)
		}
	}
}

// lenientParse is ParseHeader with the shortest-form rule left out.
func lenientParse(b []byte) (Header, bool) {
	if len(b) == 0 {
		return Header{}, false
	}
	read := func(rest []byte, extended bool, field byte) (v uint64, _ []byte, ok bool) {
		if !extended {
			return uint64(field), rest, true
		}
		n := int(field) + 1
		if len(rest) < n {
			return 0, nil, false
		}
		for _, c := range rest[:n] {
			v = v<<8 | uint64(c)
		}
		return v, rest[n:], true
	}
	kid, rest, ok := read(b[1:], b[0]&0x80 != 0, b[0]>>4&7)
	if !ok {
		return Header{}, false
	}
	ctr, _, ok := read(rest, b[0]&0x08 != 0, b[0]&7)
	if !ok {
		return Header{}, false
	}
	return Header{kid, ctr}, true
}

// TestEveryConfigByte: each of the 256 config bytes is taken with the largest values
// after it, which are in their shortest form, and says how long the header is.
func TestEveryConfigByte(t *testing.T) {
	rest := make([]byte, 16)
	for i := range rest {
		rest[i] = 0xff
	}
	for config := range 256 {
		h, n, err := ParseHeader(append([]byte{byte(config)}, rest...))
		if err != nil {
			t.Fatalf("config %#02x: %v", config, err)
		}
		want := 1
		if config&0x80 != 0 {
			want += config>>4&7 + 1
		}
		if config&0x08 != 0 {
			want += config&7 + 1
		}
		if n != want || n != h.Size() {
			t.Errorf("config %#02x: %d bytes, want %d", config, n, want)
		}
	}
}
