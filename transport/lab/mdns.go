package main

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	mdnsPort = 5353
	// sealedSize is how long every announcement is (SPEC §4.2): nonce, 512 bytes, tag.
	sealedSize = 12 + 512 + 16
)

// The groups of multicast DNS (RFC 6762 §3).
var mdnsGroups = []netip.Addr{netip.MustParseAddr("224.0.0.251"), netip.MustParseAddr("ff02::fb")}

// blindedName is what may be asked for on a local network: 16 bytes of a hash.
var blindedName = regexp.MustCompile(`^[a-z2-7]{26}\.local\.$`)

// blinded says what a multicast DNS message shows that it shouldn't: anything but questions for blinded names, and
// answers to them of one sealed text of one length. It returns the names.
func blinded(message []byte) (names []string, err error) {
	var m dnsmessage.Message
	if err := m.Unpack(message); err != nil {
		return nil, fmt.Errorf("not a DNS message: %w", err)
	}
	if len(m.Authorities) > 0 || len(m.Additionals) > 0 {
		return nil, errors.New("it says more than questions and answers")
	}
	for _, q := range m.Questions {
		if q.Type != dnsmessage.TypeTXT {
			return nil, fmt.Errorf("it asks for %v", q.Type)
		}
		names = append(names, q.Name.String())
	}
	for _, a := range m.Answers {
		text, ok := a.Body.(*dnsmessage.TXTResource)
		if !ok {
			return nil, fmt.Errorf("it answers with %v", a.Header.Type)
		}
		size := 0
		for _, part := range text.TXT {
			size += len(part)
		}
		if size != sealedSize {
			return nil, fmt.Errorf("it answers with %d bytes of text, and not %d", size, sealedSize)
		}
		names = append(names, a.Header.Name.String())
	}
	for _, name := range names {
		if !blindedName.MatchString(name) {
			return nil, fmt.Errorf("the name %q isn't blinded", name)
		}
	}
	return names, nil
}
