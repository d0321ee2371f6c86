package main

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2" // reads links of later versions too, which the strict codec refuses
)

// The names and texts that no wire may show.
const (
	auditAlice = "Alice Auditeur"
	auditBob   = "Bob Betrachter"
	auditChat  = "the witness will be heard on Thursday"
)

// needle is something to look for, in one form.
type needle struct {
	label string
	bytes []byte // shortest or more
}

const (
	// minNeedle is how short a secret may be, and each of its encodings: what is shorter may be met by chance.
	minNeedle = 8
	// shortest is how short an IPv4 address is where it can be told from four bytes of anything. In the 10 MB that a run
	// searches for some of them, chance meets one once in some 10,000 runs.
	shortest = 5
)

// forms returns a secret as it might stand in a packet: as it is, in hexadecimal, and, wherever it begins in a longer
// text, in base32 and base64.
func forms(label string, secret []byte) []needle {
	if len(secret) < minNeedle {
		panic("lab: " + label + " is too short to look for") // a mistake in a scenario
	}
	out := []needle{
		{label, secret},
		{label + " (hex)", []byte(hex.EncodeToString(secret))},
		{label + " (HEX)", []byte(strings.ToUpper(hex.EncodeToString(secret)))},
	}
	for shift := range 5 {
		b32 := inner(base32.StdEncoding.EncodeToString, shift, secret, 5, 8)
		out = append(out, needle{label + " (base32)", []byte(b32)}, needle{label + " (base32, small)", []byte(strings.ToLower(b32))})
		if shift < 3 {
			out = append(out, needle{label + " (base64)", []byte(inner(base64.StdEncoding.EncodeToString, shift, secret, 3, 4))},
				needle{label + " (base64url)", []byte(inner(base64.URLEncoding.EncodeToString, shift, secret, 3, 4))})
		}
	}
	return slices.DeleteFunc(out, func(n needle) bool { return len(n.bytes) < minNeedle })
}

// inner encodes a secret that begins shift bytes into a longer one, and keeps the digits that depend on the secret alone.
func inner(encode func([]byte) string, shift int, secret []byte, group, digits int) string {
	whole := encode(append(make([]byte, shift), secret...))
	first := (shift*digits + group - 1) / group // digits with a bit of what comes before
	last := (shift + len(secret)) * digits / group
	return whole[first:last]
}

// mediaNeedles are samples of a media file: pieces of its packets, as they would travel unsealed.
func mediaNeedles(file []byte) []needle {
	const piece, every = 24, 211
	var out []needle
	for at := 4096; at+piece <= len(file); at += every {
		if p := file[at : at+piece]; entropy(p) {
			out = append(out, needle{"media", p})
		}
	}
	return out
}

// entropy tells whether bytes are various enough not to be met by chance.
func entropy(b []byte) bool {
	seen := map[byte]bool{}
	for _, x := range b {
		seen[x] = true
	}
	return len(seen) >= len(b)*2/3
}

// linkBody is what the laboratory reads of an invite link (SPEC §3).
type linkBody struct {
	Meeting []byte `cbor:"1,keyasint"`
	Secret  []byte `cbor:"2,keyasint"`
	DoorKey []byte `cbor:"3,keyasint"`
	Doors   []struct {
		Key []byte `cbor:"1,keyasint"`
	} `cbor:"4,keyasint"`
}

// readLink decodes an invite link, and returns its bytes too.
func readLink(link string) (body linkBody, raw []byte, err error) {
	text, ok := strings.CutPrefix(link, "huisclos:1-")
	if !ok {
		return body, nil, fmt.Errorf("not an invite link")
	}
	if raw, err = base64.RawURLEncoding.DecodeString(text); err != nil || len(raw) < 4 {
		return body, nil, fmt.Errorf("not an invite link: %w", err)
	}
	return body, raw, cbor.Unmarshal(raw[:len(raw)-4], &body)
}

// linkSecrets are what an invite link holds that no carrier of packets may see: meeting ID, secret, door key.
func linkSecrets(link string) ([]needle, error) {
	body, _, err := readLink(link)
	if err != nil {
		return nil, err
	}
	return slices.Concat(forms("meeting ID", body.Meeting), forms("invite secret", body.Secret), forms("door key", body.DoorKey)), nil
}

// addressNeedles are the forms of an IP address that can't be met by chance: as text, as it stands in a binary multiaddr,
// and as sixteen bytes.
func addressNeedles(whose string, a netip.Addr) []needle {
	text := a.Unmap().String()
	if len(text) < minNeedle {
		panic("lab: " + text + ", the address of " + whose + ", is too short to look for") // a mistake in a scenario
	}
	out := []needle{{whose + "'s address (text)", []byte(text)}, {whose + "'s address (multiaddr)", inMultiaddr(a.Unmap())}}
	if a.Unmap().Is4() {
		mapped := a.Unmap().As16()
		return append(out, needle{whose + "'s address (IPv4 in IPv6)", mapped[10:]}) // from its two bytes 255
	}
	return append(out, needle{whose + "'s address", a.AsSlice()})
}

// finder looks for many needles at once.
type finder struct {
	byStart map[uint64][]needle
	longest int
}

// startOf is what a finder knows a needle by: its first bytes.
func startOf(b []byte) uint64 {
	return uint64(b[0])<<32 | uint64(binary.BigEndian.Uint32(b[1:shortest]))
}

func newFinder(needles []needle) *finder {
	f := &finder{byStart: map[uint64][]needle{}}
	for _, n := range needles {
		start := startOf(n.bytes)
		f.byStart[start] = append(f.byStart[start], n)
		f.longest = max(f.longest, len(n.bytes))
	}
	return f
}

// find returns the labels of what is in data.
func (f *finder) find(data []byte, found func(label string)) {
	for i := 0; i+shortest <= len(data); i++ {
		for _, n := range f.byStart[startOf(data[i:])] {
			if bytes.HasPrefix(data[i:], n.bytes) {
				found(n.label)
			}
		}
	}
}

// finding is something found.
type finding struct {
	label string
	flow  flow
	times int
}

func (f finding) String() string { return fmt.Sprintf("%s, %d times, %v", f.label, f.times, f.flow) }

// search looks through captured packets, headers included, and through each flow's payload as one piece, since what is
// looked for may lie across two packets.
func search(packets []kept, needles []needle) []finding {
	f := newFinder(needles)
	type key struct {
		label string
		flow  flow
	}
	times := map[key]int{}
	tails := map[flow][]byte{}
	for _, p := range packets {
		fl, payload, ok := parsePacket(p.data)
		if !ok {
			continue
		}
		note := func(label string) { times[key{label, fl}]++ }
		f.find(p.data[:len(p.data)-len(payload)], note)
		tail := tails[fl]
		joined := append(tail, payload...)
		f.find(joined, note)
		// Only what is too short to hold a needle whole is looked at again.
		tails[fl] = bytes.Clone(joined[max(0, len(joined)-(f.longest-1)):])
		f.find(tails[fl], func(label string) { times[key{label, fl}]-- }) // counted now, and again with the next packet
	}
	for fl, tail := range tails { // what no next packet came for
		f.find(tail, func(label string) { times[key{label, fl}]++ })
	}
	var out []finding
	for k, n := range times {
		if n > 0 {
			out = append(out, finding{k.label, k.flow, n})
		}
	}
	slices.SortFunc(out, func(a, b finding) int { return strings.Compare(a.String(), b.String()) })
	return out
}
