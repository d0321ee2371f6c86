package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"strings"
	"unicode"
)

// MaxReply is the most characters of a reply code, white space not counted (RPL-1).
const MaxReply = 2048

const (
	replyScheme = "huisclos-reply:"
	replyPrefix = replyScheme + "1-"
	replyNonce  = 12
)

// ReplyCode is where a joiner can be reached, sealed to the invite it came by: what a joiner who can't reach the
// inviter hands back (SPEC section 4.1). Whoever has the link can read it.
type ReplyCode struct {
	// Invite names the link.
	Invite InviteID

	sealed []byte // nonce and ciphertext
}

// SealReply seals a joiner's meeting key and addresses, at most MaxDoorAddresses, to an invite.
func SealReply(secret InviteSecret, meeting MeetingID, joiner Door) (ReplyCode, error) {
	if len(joiner.Addresses) > MaxDoorAddresses {
		return ReplyCode{}, ErrLinkTooMany
	}
	if joiner.Addresses == nil {
		joiner.Addresses = [][]byte{}
	}
	c := ReplyCode{Invite: secret.ID(), sealed: make([]byte, replyNonce)}
	_, _ = rand.Read(c.sealed) // never fails
	c.sealed = replyAEAD(secret).Seal(c.sealed, c.sealed, encode(joiner), c.aad(meeting))
	if len(c.String()) > MaxReply {
		return ReplyCode{}, ErrReplyTooLong
	}
	return c, nil
}

// ParseReply reads a reply code. White space anywhere in it is ignored. The errors are ErrReplyMalformed,
// ErrReplyTooLong, ErrReplyVersion and ErrReplyChanged.
func ParseReply(text string) (ReplyCode, error) {
	if len(text) > 4*MaxReply {
		return ReplyCode{}, ErrReplyTooLong
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	if len(text) > MaxReply {
		return ReplyCode{}, ErrReplyTooLong
	}
	encoded, ok := strings.CutPrefix(text, replyPrefix)
	if !ok {
		if rest, scheme := strings.CutPrefix(text, replyScheme); scheme && otherVersion(rest) {
			return ReplyCode{}, ErrReplyVersion
		}
		return ReplyCode{}, ErrReplyMalformed
	}
	for _, b := range []byte(encoded) {
		if !isBase64URL(b) {
			return ReplyCode{}, ErrReplyMalformed
		}
	}
	raw, err := linkEncoding.DecodeString(encoded)
	if err != nil || len(raw) < len(InviteID{})+replyNonce+16+4 {
		return ReplyCode{}, ErrReplyChanged
	}
	body, sum := raw[:len(raw)-4], raw[len(raw)-4:]
	if subtle.ConstantTimeCompare(replyChecksum(body), sum) != 1 {
		return ReplyCode{}, ErrReplyChanged
	}
	return ReplyCode{Invite: InviteID(body), sealed: body[len(InviteID{}):]}, nil
}

// Open returns the joiner's meeting key and addresses. The error is ErrReplyForeign if the code isn't sealed to this
// invite of this meeting, or holds something else.
func (c ReplyCode) Open(secret InviteSecret, meeting MeetingID) (Door, error) {
	if len(c.sealed) < replyNonce || secret.isZero() {
		return Door{}, ErrReplyForeign
	}
	raw, err := replyAEAD(secret).Open(nil, c.sealed[:replyNonce], c.sealed[replyNonce:], c.aad(meeting))
	if err != nil {
		return Door{}, ErrReplyForeign
	}
	var d Door
	if decode(raw, MaxReply, &d) != nil || len(d.Addresses) > MaxDoorAddresses || d.Key.Check() != nil {
		return Door{}, ErrReplyForeign
	}
	return d, nil
}

// String returns the code to hand back.
func (c ReplyCode) String() string {
	body := append(bytes.Clone(c.Invite[:]), c.sealed...)
	return replyPrefix + linkEncoding.EncodeToString(append(body, replyChecksum(body)...))
}

// LogValue hides the code.
func (c ReplyCode) LogValue() slog.Value { return slog.StringValue(hiddenText) }

// aad binds the code to the meeting and the name of the invite.
func (c ReplyCode) aad(meeting MeetingID) []byte {
	return append(bytes.Clone(meeting[:]), c.Invite[:]...)
}

func replyAEAD(secret InviteSecret) cipher.AEAD {
	key := expand(secret.bytes(), labelReply, 32)
	defer wipe(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("crypto: " + err.Error()) // never for 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("crypto: " + err.Error())
	}
	return aead
}

func replyChecksum(body []byte) []byte {
	sum := HashOf(labelReplyChecksum, body)
	return sum[:4]
}
