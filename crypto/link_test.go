package crypto

import (
	"bytes"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

// testLink has every field set.
func testLink() Link {
	invite := testInvite(1)
	return Link{
		Meeting: testMeeting,
		Secret:  invite.Secret,
		DoorKey: invite.Door.Public(),
		Doors: []Door{
			{Key: member(1).Key(), Addresses: [][]byte{{4, 192, 0, 2, 1, 0x91, 2, 0x1f, 0x40}, {4, 192, 0, 2, 2}}},
			{Key: member(2).Key(), Addresses: [][]byte{}},
		},
		Relays: [][]byte{{4, 198, 51, 100, 7}},
		Expiry: epoch0.Add(time.Hour),
	}
}

func sameLink(a, b Link) bool {
	return a.Meeting == b.Meeting && a.Secret.Equal(b.Secret) && a.DoorKey == b.DoorKey && a.Expiry.Equal(b.Expiry) &&
		reflect.DeepEqual(a.Doors, b.Doors) && len(a.Relays) == len(b.Relays)
}

// TestLink: text and link are each other's inverse; white space doesn't matter.
//
// Checks: INV-2.
func TestLink(t *testing.T) {
	l := testLink()
	text := l.String()
	if !strings.HasPrefix(text, "huisclos:1-") || strings.Trim(text[len(linkPrefix):], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Fatalf("the link has another form: %s", text)
	}
	var spaced strings.Builder
	for i, r := range text {
		spaced.WriteRune(r)
		spaced.WriteString([]string{"", " ", "\r\n", "\u00a0", "\t", "\u2003"}[i%6])
	}
	for name, text := range map[string]string{"plain": text, "around": "\n" + text + " ", "mailed": spaced.String()} {
		back, err := ParseLink(text, epoch0)
		if err != nil || !sameLink(l, back) || back.String() != l.String() {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := Link{Meeting: l.Meeting, Secret: l.Secret, DoorKey: l.DoorKey}
	back := must(ParseLink(short.String(), epoch0.AddDate(1000, 0, 0)))
	if !back.Expiry.IsZero() || len(back.Doors) != 0 {
		t.Error("a link without doors and expiry came back with some")
	}
}

// TestLinkRefused: each way a link can be wrong has its error.
//
// Checks: INV-2.
func TestLinkRefused(t *testing.T) {
	l := testLink()
	text := l.String()
	with := func(change func(l *Link)) string {
		l := testLink()
		change(&l)
		return l.String()
	}
	body := must(linkBytes(text))
	sealed := func(body []byte) string {
		return linkPrefix + linkEncoding.EncodeToString(append(bytes.Clone(body), linkChecksum(body)...))
	}
	many := make([][]byte, 9)
	for i := range many {
		many[i] = []byte{byte(i)}
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":           {"", ErrLinkMalformed},
		"a web page":        {"https://example.org/huisclos:1-", ErrLinkMalformed},
		"another scheme":    {"huisclo:1-" + text[11:], ErrLinkMalformed},
		"no number":         {"huisclos:" + text[11:], ErrLinkMalformed},
		"version 2":         {"huisclos:2-" + text[11:], ErrLinkVersion},
		"version 12":        {"huisclos:12-x", ErrLinkVersion},
		"cut by one":        {text[:len(text)-1], ErrLinkChanged},
		"cut in half":       {text[:len(text)/2], ErrLinkChanged},
		"cut to the prefix": {linkPrefix, ErrLinkChanged},
		"one letter more":   {text + "A", ErrLinkChanged},
		"a full stop":       {text + ".", ErrLinkMalformed},
		"changed letter":    {text[:50] + string(text[50]^1) + text[51:], ErrLinkChanged},
		"too long":          {text + strings.Repeat("A", MaxLink), ErrLinkTooLong},
		"far too long":      {strings.Repeat(" ", maxLinkText) + text, ErrLinkTooLong},
		"not CBOR":          {sealed([]byte("no")), ErrLinkMalformed},
		"trailing byte":     {sealed(append(bytes.Clone(body), 0)), ErrLinkMalformed},
		"nine doors":        {with(func(l *Link) { l.Doors = make([]Door, 9) }), ErrLinkTooMany},
		"nine addresses":    {with(func(l *Link) { l.Doors[0].Addresses = many }), ErrLinkTooMany},
		"five relays":       {with(func(l *Link) { l.Relays = many[:5] }), ErrLinkTooMany},
		"weak door":         {with(func(l *Link) { l.Doors[0].Key = MeetingKey{1} }), ErrWeakKey},
		"weak door key":     {with(func(l *Link) { l.DoorKey = StaticKey{1} }), ErrWeakKey},
		"long address":      {with(func(l *Link) { l.Relays[0] = make([]byte, MaxLink) }), ErrLinkTooLong},
	} {
		if _, err := ParseLink(c.text, epoch0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for d, want := range map[time.Duration]error{-time.Second: nil, 0: ErrLinkExpired, time.Hour: ErrLinkExpired} {
		if _, err := ParseLink(text, l.Expiry.Add(d)); !errors.Is(err, want) {
			t.Errorf("expiry %v: %v", d, err)
		}
	}
	if _, err := ParseLink(with(func(l *Link) { l.Expiry = time.Unix(0, 0) }), epoch0); !errors.Is(err, ErrLinkExpired) {
		t.Errorf("expired in 1970: %v", err)
	}
	for n := range 3 { // whatever the length, no bit of the last letter means nothing
		text := with(func(l *Link) { l.Relays[0] = make([]byte, 3+n) })
		for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			other := text[:len(text)-1] + string(last)
			if _, err := ParseLink(other, epoch0); (err == nil) != (other == text) {
				t.Errorf("last letter %c: %v", last, err)
			}
		}
	}
	eachFlip([]byte(text), func(i int, changed []byte) {
		if _, err := ParseLink(string(changed), epoch0); err == nil {
			t.Errorf("byte %d changed and still read", i)
		}
	})
	eachCut([]byte(text), func(cut []byte) {
		if _, err := ParseLink(string(cut), epoch0); err == nil {
			t.Errorf("cut to %d and still read", len(cut))
		}
	})
}

// TestLinkNamesNobody: what is in a link is in this list, and none of it is a name or
// an identity, nor a count of uses.
//
// Checks: INV-3, INV-4.
func TestLinkNamesNobody(t *testing.T) {
	kinds := map[string]string{"Meeting": "MeetingID", "Secret": "[32]uint8", "DoorKey": "StaticKey", "Doors": "[]crypto.Door", "Relays": "[][]uint8", "Expiry": "uint64"}
	body := reflect.TypeFor[linkBody]()
	for i := range body.NumField() {
		f := body.Field(i)
		if strings.TrimPrefix(f.Type.String(), "crypto.") != kinds[f.Name] {
			t.Errorf("a link carries %s %s: does it name a person, or count uses?", f.Name, f.Type)
		}
	}
	inc := member(1)
	l := testLink()
	raw := must(linkBytes(l.String()))
	static, identity := inc.Bundle().Static, inc.Identity()
	if bytes.Contains(raw, identity[:]) || bytes.Contains(raw, static[:]) {
		t.Error("the identity or static is in the link")
	}
}

// TestLinkIsNotLogged: only who asks for the text gets it.
//
// Checks: IDN-5.
func TestLinkIsNotLogged(t *testing.T) {
	l := testLink()
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("invited", "link", l)
	}
	if strings.Contains(out.String(), l.String()[11:40]) || shows(out.String(), l.Secret.bytes()) {
		t.Errorf("the log shows the link: %s", out.String())
	}
}

// TestInviteDerivations: what derives from a secret differs by purpose and by secret.
func TestInviteDerivations(t *testing.T) {
	a, b := testInvite(1).Secret, testInvite(2).Secret
	if a.ID() == b.ID() || a.Key() == b.Key() || bytes.Equal(a.doorPSK(), b.doorPSK()) || a.Equal(b) || !a.Equal(a) {
		t.Error("two secrets derive the same")
	}
	data := encode(testInvite(1))
	var back Invite
	if err := decode(data, len(data), &back); err != nil || !back.Secret.Equal(a) || back.Door.Public() != testInvite(1).Door.Public() {
		t.Errorf("Invite over the wire: %v", err)
	}
	if _, err := InviteSecretFrom(make([]byte, 31)); !errors.Is(err, ErrMalformed) {
		t.Errorf("31 bytes: %v", err)
	}
	if _, err := DoorKeyFrom(make([]byte, 33)); !errors.Is(err, ErrMalformed) {
		t.Errorf("33 bytes: %v", err)
	}
}
