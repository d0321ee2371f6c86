package relayauth

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// Sizes, in bytes.
const (
	secretSize = 32
	nonceSize  = 16
	macSize    = 16
	// TicketSize is the size of every ticket.
	TicketSize = len(TokenID{}) + nonceSize + 8 + macSize
	// MaxTokens is the most tokens a relay has, and MaxTokensFile the size of their file.
	MaxTokens     = 1024
	MaxTokensFile = 256 << 10
)

// TicketLifetime is how long a ticket is good that a member makes. It is long enough for
// a clock that is hours wrong, and for a meeting in which whoever has the token left.
const TicketLifetime = 24 * time.Hour

// Errors of tickets and tokens.
var (
	// ErrTicket reports bytes that are no ticket, or one this relay's tokens did not make. It is
	// one error for all, so that a stranger learns nothing about the tokens (RLY-2).
	ErrTicket = errors.New("the ticket is not one of this relay's")
	// ErrTicketExpired reports a ticket that was good once: ask for another (RLY-3).
	ErrTicketExpired = errors.New("the ticket has expired")
	// ErrToken reports text that is no token.
	ErrToken = errors.New("not a token: want 54 letters, digits, - and _")
	// ErrTooManyTokens reports more than MaxTokens, or a file over MaxTokensFile bytes.
	ErrTooManyTokens = errors.New("more than 1,024 tokens, or more than 256 KiB")
)

// TokenID tells tokens apart. It is no secret: the relay sees it in each ticket.
type TokenID [8]byte

// String is the ID in hexadecimal.
func (id TokenID) String() string { return hex.EncodeToString(id[:]) }

// Nonce tells the tickets of one token apart.
type Nonce [nonceSize]byte

// Token is the right to use a relay, for whoever the operator gives it to. The zero value
// is no token. It prints without its secret.
type Token struct {
	id     TokenID
	secret *[secretSize]byte // a pointer, so that no %v can show it
}

// NewToken makes a token.
func NewToken() Token {
	t := Token{secret: new([secretSize]byte)}
	_, _ = rand.Read(t.id[:]) // never fails
	_, _ = rand.Read(t.secret[:])
	return t
}

var encoding = base64.RawURLEncoding.Strict()

// ParseToken reads what Text wrote.
func ParseToken(text string) (Token, error) {
	raw, err := encoding.DecodeString(text)
	if err != nil || len(raw) != len(TokenID{})+secretSize || strings.ContainsAny(text, "\r\n") {
		return Token{}, ErrToken
	}
	secret := [secretSize]byte(raw[len(TokenID{}):])
	return Token{TokenID(raw[:len(TokenID{})]), &secret}, nil
}

// Text returns the token as it stands in a relay's file of tokens. It is a secret.
func (t Token) Text() string {
	return encoding.EncodeToString(append(t.id[:], t.bytes()...))
}

// ID returns the token's public name.
func (t Token) ID() TokenID { return t.id }

// IsZero tells whether t is no token.
func (t Token) IsZero() bool { return t.secret == nil }

// String names the token and hides its secret.
func (t Token) String() string { return "token " + t.id.String() }

// GoString is String.
func (t Token) GoString() string { return t.String() }

// LogValue is String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

func (t Token) bytes() []byte {
	if t.secret == nil {
		return make([]byte, secretSize)
	}
	return t.secret[:]
}

// ticketLabel keeps a ticket's MAC apart from any other use of the secret.
const ticketLabel = "huisclos relay ticket v1"

// Ticket makes a ticket that is good until expiry, in whole seconds (SPEC §10.7, RLY-1):
//
//	token ID (8) ‖ nonce (16) ‖ expiry (8, Unix seconds) ‖ MAC (16)
//
// Whoever has it may reserve a place at the relay until then; so it goes to members alone.
func (t Token) Ticket(expiry time.Time) []byte {
	b := make([]byte, 0, TicketSize)
	b = append(b, t.id[:]...)
	var nonce Nonce
	_, _ = rand.Read(nonce[:])
	b = append(b, nonce[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(max(expiry.Unix(), 0)))
	return append(b, t.mac(b)...)
}

func (t Token) mac(b []byte) []byte {
	h := hmac.New(sha256.New, t.bytes())
	h.Write([]byte(ticketLabel))
	h.Write(b)
	return h.Sum(nil)[:macSize]
}

// Claim is what a good ticket says.
type Claim struct {
	Token  TokenID
	Nonce  Nonce
	Expiry time.Time
}

// ReadClaim returns what a ticket says, unchecked. The error is ErrTicket.
func ReadClaim(ticket []byte) (Claim, error) {
	if len(ticket) != TicketSize {
		return Claim{}, ErrTicket
	}
	c := Claim{Token: TokenID(ticket[:8]), Nonce: Nonce(ticket[8:24])}
	expiry := binary.BigEndian.Uint64(ticket[24:32])
	if expiry >= 1<<40 { // the year 36812; time.Time has its limits too
		return Claim{}, ErrTicket
	}
	c.Expiry = time.Unix(int64(expiry), 0)
	return c, nil
}

// Tokens are the tokens of a relay. The zero value has none: it lets nobody in.
type Tokens struct {
	byID  map[TokenID]Token
	order []TokenID
	notes map[TokenID]string
}

// NewTokens makes a set.
func NewTokens(tokens ...Token) Tokens {
	s := Tokens{byID: make(map[TokenID]Token, len(tokens)), notes: make(map[TokenID]string)}
	for _, t := range tokens {
		s.add(t, "")
	}
	return s
}

func (s *Tokens) add(t Token, note string) {
	if _, known := s.byID[t.id]; known || t.IsZero() {
		return
	}
	s.byID[t.id], s.notes[t.id] = t, note
	s.order = append(s.order, t.id)
}

// ReadTokens reads a file of tokens: one per line, and after a space whatever helps the
// operator to tell whose it is. Empty lines and those that begin with # don't count. Errors
// name the line, never what stands in it.
func ReadTokens(r io.Reader) (Tokens, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxTokensFile+1))
	if err != nil {
		return Tokens{}, err
	}
	if len(raw) > MaxTokensFile {
		return Tokens{}, ErrTooManyTokens
	}
	s := NewTokens()
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, MaxTokensFile+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		text, note, _ := strings.Cut(line, " ")
		t, err := ParseToken(text)
		if err != nil {
			return Tokens{}, fmt.Errorf("line %d: %w", n, err)
		}
		if _, twice := s.byID[t.id]; twice {
			return Tokens{}, fmt.Errorf("line %d: %v stands there twice", n, t)
		}
		if s.add(t, strings.TrimSpace(note)); len(s.byID) > MaxTokens {
			return Tokens{}, ErrTooManyTokens
		}
	}
	return s, lines.Err()
}

// Len is how many tokens there are.
func (s Tokens) Len() int { return len(s.byID) }

// All returns the tokens, in the order of their file.
func (s Tokens) All() []Token {
	all := make([]Token, 0, len(s.order))
	for _, id := range s.order {
		all = append(all, s.byID[id])
	}
	return all
}

// Note returns what the file says about a token, behind it in its line.
func (s Tokens) Note(id TokenID) string { return s.notes[id] }

// Has tells whether a token is one of them.
func (s Tokens) Has(id TokenID) bool { _, ok := s.byID[id]; return ok }

// Verify checks a ticket: that one of these tokens made it (RLY-2) and that it has not
// expired (RLY-3). The errors are ErrTicket and ErrTicketExpired.
func (s Tokens) Verify(ticket []byte, now time.Time) (Claim, error) {
	c, err := ReadClaim(ticket)
	if err != nil {
		return Claim{}, err
	}
	t, known := s.byID[c.Token] // an unknown token costs the same: its MAC is of zeros
	signed, mac := ticket[:TicketSize-macSize], ticket[TicketSize-macSize:]
	if right := hmac.Equal(t.mac(signed), mac); !right || !known {
		return Claim{}, ErrTicket
	}
	if !now.Before(c.Expiry) {
		return Claim{}, ErrTicketExpired
	}
	return c, nil
}
