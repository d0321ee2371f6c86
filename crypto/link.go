package crypto

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"strings"
	"time"
	"unicode"
)

// Limits of a link (INV-2).
const (
	// MaxLink is the most characters of a link, white space not counted.
	MaxLink = 4096
	// MaxDoors is the most doors of a link.
	MaxDoors = 8
	// MaxDoorAddresses is the most addresses of one door.
	MaxDoorAddresses = 8
	// MaxRelays is the most relays of a link.
	MaxRelays = 4
)

const (
	linkScheme = "huisclos:"
	linkPrefix = linkScheme + "1-"
	// maxLinkText bounds what is looked at at all, white space included.
	maxLinkText = 4 * MaxLink
)

var linkEncoding = base64.RawURLEncoding.Strict()

// Link is an invite as it is sent to somebody (SPEC section 3). It names no person
// (INV-3) but shows the addresses in it to whoever carries it.
//
// A Link is a secret: who has it may knock. String returns it because that is its
// purpose, so fmt shows it; log/slog does not.
type Link struct {
	// Meeting is the root of all authority (INV-1).
	Meeting MeetingID
	// Secret is the invite's.
	Secret InviteSecret
	// DoorKey is what whoever answers must have the private half of.
	DoorKey StaticKey
	// Doors are the members to try, at most MaxDoors.
	Doors []Door
	// Relays are binary multiaddrs of relays the inviter named, at most MaxRelays.
	Relays [][]byte
	// Expiry is when the link stops working; zero means never. It has whole seconds.
	Expiry time.Time
}

// ParseLink reads a link. White space anywhere in it is ignored. The errors are
// ErrLinkMalformed, ErrLinkTooLong, ErrLinkVersion, ErrLinkChanged, ErrLinkTooMany,
// ErrLinkExpired and ErrWeakKey (INV-2).
func ParseLink(text string, now time.Time) (Link, error) {
	if len(text) > maxLinkText {
		return Link{}, ErrLinkTooLong
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	if len(text) > MaxLink {
		return Link{}, ErrLinkTooLong
	}
	body, err := linkBytes(text)
	if err != nil {
		return Link{}, err
	}
	var b linkBody
	if decode(body, MaxLink, &b) != nil {
		return Link{}, ErrLinkMalformed
	}
	key := b.Secret
	l := Link{Meeting: b.Meeting, Secret: InviteSecret{key: &key}, DoorKey: b.DoorKey, Doors: b.Doors, Relays: b.Relays}
	if b.Expiry > 1<<40 { // the year 36812; time.Time has its limits too
		return Link{}, ErrLinkMalformed
	}
	if b.Expiry != 0 {
		l.Expiry = time.Unix(int64(b.Expiry), 0)
	}
	if err := l.Validate(); err != nil {
		return Link{}, err
	}
	if !l.Expiry.IsZero() && !now.Before(l.Expiry) {
		return Link{}, ErrLinkExpired
	}
	return l, nil
}

// linkBytes takes the text apart as far as the checksum.
func linkBytes(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, linkPrefix)
	if !ok {
		if rest, scheme := strings.CutPrefix(text, linkScheme); scheme && otherVersion(rest) {
			return nil, ErrLinkVersion
		}
		return nil, ErrLinkMalformed
	}
	for _, c := range []byte(encoded) {
		if !isBase64URL(c) {
			return nil, ErrLinkMalformed
		}
	}
	raw, err := linkEncoding.DecodeString(encoded)
	if err != nil || len(raw) < 4 {
		return nil, ErrLinkChanged
	}
	body, sum := raw[:len(raw)-4], raw[len(raw)-4:]
	if subtle.ConstantTimeCompare(linkChecksum(body), sum) != 1 {
		return nil, ErrLinkChanged
	}
	return body, nil
}

// otherVersion reports whether rest begins with a number and a dash.
func otherVersion(rest string) bool {
	number, _, ok := strings.Cut(rest, "-")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

func isBase64URL(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func linkChecksum(body []byte) []byte {
	sum := HashOf(labelLinkChecksum, body)
	return sum[:4]
}

// Validate reports whether ParseLink would take the link's text, were it not expired.
func (l Link) Validate() error {
	if len(l.Doors) > MaxDoors || len(l.Relays) > MaxRelays {
		return ErrLinkTooMany
	}
	for _, d := range l.Doors {
		if len(d.Addresses) > MaxDoorAddresses {
			return ErrLinkTooMany
		}
		if err := d.Key.Check(); err != nil {
			return err
		}
	}
	if err := l.DoorKey.Check(); err != nil {
		return err
	}
	if len(l.String()) > MaxLink {
		return ErrLinkTooLong
	}
	return nil
}

// String returns the link's text. It is only worth sending if Validate agrees.
func (l Link) String() string {
	b := linkBody{Meeting: l.Meeting, Secret: [32]byte(l.Secret.bytes()), DoorKey: l.DoorKey, Doors: l.Doors, Relays: l.Relays}
	if !l.Expiry.IsZero() {
		b.Expiry = uint64(max(l.Expiry.Unix(), 1))
	}
	body := encode(b)
	raw := append(bytes.Clone(body), linkChecksum(body)...)
	defer wipe(body, raw)
	return linkPrefix + linkEncoding.EncodeToString(raw)
}

// LogValue hides the link (IDN-5).
func (l Link) LogValue() slog.Value { return slog.StringValue(hiddenText) }
