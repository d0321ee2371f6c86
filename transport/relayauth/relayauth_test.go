package relayauth

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// TestTicket: a ticket is good for the relay that knows its token, until it expires, and no bit
// of it can be changed.
//
// Checks: RLY-1, RLY-2, RLY-3.
func TestTicket(t *testing.T) {
	token, other := NewToken(), NewToken()
	s := NewTokens(token, NewToken())
	ticket := token.Ticket(noon.Add(time.Hour))
	c, err := s.Verify(ticket, noon)
	if err != nil || c.Token != token.ID() || !c.Expiry.Equal(noon.Add(time.Hour)) {
		t.Fatalf("%+v, %v", c, err)
	}
	if bytes.Equal(ticket, token.Ticket(noon.Add(time.Hour))) {
		t.Error("two tickets are the same")
	}
	for name, tt := range map[string]struct {
		s      Tokens
		ticket []byte
		at     time.Time
		want   error
	}{
		"at its end":       {s, ticket, noon.Add(time.Hour), ErrTicketExpired},
		"another relay":    {NewTokens(other), ticket, noon, ErrTicket},
		"no tokens":        {Tokens{}, ticket, noon, ErrTicket},
		"of zeros":         {Tokens{}, Token{}.Ticket(noon.Add(time.Hour)), noon, ErrTicket},
		"of another token": {s, other.Ticket(noon.Add(time.Hour)), noon, ErrTicket},
		"short":            {s, ticket[1:], noon, ErrTicket},
		"long":             {s, append(bytes.Clone(ticket), 0), noon, ErrTicket},
		"empty":            {s, nil, noon, ErrTicket},
	} {
		if _, err := tt.s.Verify(tt.ticket, tt.at); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range 8 * len(ticket) {
		forged := bytes.Clone(ticket)
		forged[i/8] ^= 1 << (i % 8)
		if _, err := s.Verify(forged, noon); !errors.Is(err, ErrTicket) {
			t.Errorf("bit %d: %v", i, err)
		}
	}
}

// TestTokensFile: one token a line, and an error that names the line and shows nothing of it.
func TestTokensFile(t *testing.T) {
	a, b := NewToken(), NewToken()
	s, err := ReadTokens(strings.NewReader("# tokens\n\n" + a.Text() + " the Lyon office\r\n  " + b.Text() + "\n"))
	if err != nil || s.Len() != 2 || !s.Has(a.ID()) || !s.Has(b.ID()) {
		t.Fatalf("%d, %v", s.Len(), err)
	}
	for text, want := range map[string]string{
		a.Text() + "\nsecret-of-somebody\n":            "line 2: not a token",
		a.Text() + "\n" + a.Text():                     "line 2: token " + a.ID().String() + " stands there twice",
		strings.Repeat("#\n", MaxTokensFile):           "256 KiB",
		strings.Repeat("x", 1000):                      "line 1",
		strings.Replace(a.Text(), a.Text()[:1], "", 1): "line 1",
	} {
		if _, err := ReadTokens(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "somebody") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var many strings.Builder
	for range MaxTokens + 1 {
		many.WriteString(NewToken().Text() + "\n")
	}
	if _, err := ReadTokens(strings.NewReader(many.String())); !errors.Is(err, ErrTooManyTokens) {
		t.Error(err)
	}
}

func testURI(t testing.TB) URI {
	t.Helper()
	u := URI{Relay: Key{1, 2, 3}, Token: NewToken(), Addresses: Addresses(netip.MustParseAddrPort("203.0.113.5:443"))}
	return URI{u.Relay, append(u.Addresses, Addresses(netip.MustParseAddrPort("[2001:db8::1]:443"))...), u.Token}
}

// TestURI: text and URI are each other's inverse; what is lost on the way is noticed.
func TestURI(t *testing.T) {
	u := testURI(t)
	text := u.String()
	back, err := ParseURI("\n " + text[:40] + " \r\n" + text[40:])
	if err != nil || back.String() != text || back.Relay != u.Relay || back.Token.Text() != u.Token.Text() || len(back.Addresses) != 6 {
		t.Fatalf("%v", err)
	}
	for name, tt := range map[string]struct {
		text string
		want error
	}{
		"empty": {"", ErrURI}, "an invite": {"huisclos:1-AAAA", ErrURI}, "cut": {text[:len(text)-1], ErrURIChanged},
		"changed": {text[:30] + "x" + text[31:], ErrURIChanged}, "long": {text + strings.Repeat("A", MaxURI), ErrURI},
		"no body":    {uriScheme, ErrURIChanged},
		"no address": {URI{Relay: u.Relay, Token: u.Token}.String(), ErrURI},
		"a name":     {URI{u.Relay, []ma.Multiaddr{ma.StringCast("/dns4/relay.example/tcp/443")}, u.Token}.String(), ErrAddress},
	} {
		if _, err := ParseURI(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAddresses: a relay has IP addresses, and one of four ways to be reached.
//
// Checks: RLY-8.
func TestAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"/ip4/203.0.113.5/udp/443/quic-v1": true, "/ip4/203.0.113.5/tcp/443": true, "/ip4/203.0.113.5/tcp/443/ws": true,
		"/ip4/203.0.113.5/tcp/443/tls/ws": true, "/ip6/2001:db8::1/tcp/443/tls/ws": true, "/ip4/10.0.0.7/tcp/443": true,
		"/dns4/relay.example/tcp/443": false, "/ip4/0.0.0.0/tcp/443": false, "/ip4/224.0.0.1/udp/443/quic-v1": false,
		"/ip4/203.0.113.5/udp/443": false, "/ip4/203.0.113.5/tcp/0": false, "/ip4/203.0.113.5": false,
		"/ip4/203.0.113.5/tcp/443/tls/sni/example.com/ws": false, "/ip6zone/x/ip6/fe80::1/tcp/443": false, "/ip6/fe80::1/tcp/443": false,
		"/ip4/203.0.113.5/tcp/443/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit": false,
	} {
		if err := CheckAddress(ma.StringCast(text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	if CheckAddress(nil) == nil {
		t.Error("nothing is an address")
	}
}

// TestNoSecrets: neither fmt nor slog shows a token's secret.
func TestNoSecrets(t *testing.T) {
	u := testURI(t)
	secret := u.Token.Text()[12:]
	raw := fmt.Sprintf("%x", *u.Token.secret)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", u.Token, "uri", u)
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", u.Token, u.Token, u.Token, u.Token), log.String(),
		fmt.Sprintf("%+v", struct{ T Token }{u.Token}), fmt.Sprintf("%+v", struct{ t Token }{u.Token}), fmt.Sprint(NewTokens(u.Token))} {
		if strings.Contains(shown, secret) || strings.Contains(shown, raw) {
			t.Errorf("a secret: %s", shown)
		}
	}
}

// TestFrames: the relay's end reads one ticket and no more, whatever is announced.
func TestFrames(t *testing.T) {
	for name, b := range map[string][]byte{"empty": {0, 0}, "long": {0, 49}, "huge": {255, 255}} {
		if _, err := ReadTicket(bytes.NewReader(b)); !errors.Is(err, ErrTicket) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadTicket(bytes.NewReader([]byte{0, 48, 1})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	var b bytes.Buffer
	for _, tt := range []struct {
		refusal  error
		observed string
		want     []byte
	}{
		{nil, "", []byte{0, 1, 0}},
		{nil, "203.0.113.5:443", []byte{0, 7, 0, 203, 0, 113, 5, 1, 187}},
		{errors.New("no"), "203.0.113.5:443", []byte{0, 3, 1, 'n', 'o'}},
		{ErrTicketExpired, "203.0.113.5:443", []byte{0, 9, 2, 0, 0, 0, 0, 0, 0, 2, 1}},
	} {
		b.Reset()
		at, _ := netip.ParseAddrPort(tt.observed)
		if err := WriteAnswer(&b, tt.refusal, at, time.Unix(513, 0)); err != nil || !bytes.Equal(b.Bytes(), tt.want) {
			t.Errorf("%x, %v", b.Bytes(), err)
		}
	}
	b.Reset()
	if err := WriteAnswer(&b, errors.New(strings.Repeat("x", 1000)), netip.AddrPort{}, time.Now()); err != nil || b.Len() != 2+1+maxReason {
		t.Error(b.Len(), err)
	}
}

// FuzzURI: whatever is taken, is written the same again.
func FuzzURI(f *testing.F) {
	f.Add(testURI(f).String())
	f.Add(uriScheme)
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := ParseURI(text); err == nil {
			if again, err := ParseURI(u.String()); err != nil || again.String() != u.String() {
				t.Fatalf("%v", err)
			}
		}
		// The same behind a right checksum, which a fuzzer does not find.
		if body := []byte(text); len(body) < 500 {
			text := uriScheme + encoding.EncodeToString(append(body, uriChecksum(body)...))
			if u, err := ParseURI(text); err == nil && u.String() != text {
				t.Fatal("two texts for one URI")
			}
		}
	})
}

// FuzzTicket: no ticket verifies that wasn't made with the token.
func FuzzTicket(f *testing.F) {
	token := NewToken()
	s := NewTokens(token)
	good := token.Ticket(noon)
	f.Add(good)
	f.Add(binary.BigEndian.AppendUint64(make([]byte, 24), 1<<63))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := s.Verify(b, noon.Add(-time.Second)); err == nil && !bytes.Equal(b, good) {
			t.Fatal("forged")
		}
		if _, err := ReadTicket(bytes.NewReader(b)); err == nil && len(b) < 3 {
			t.Fatal("a ticket out of nothing")
		}
		_, _ = ReadTokens(bytes.NewReader(b))
	})
}
