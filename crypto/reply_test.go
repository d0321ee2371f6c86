package crypto

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func testReply() ReplyCode {
	return must(SealReply(testInvite(1).Secret, testMeeting, Door{Key: member(3).Key(), Addresses: [][]byte{{4, 192, 0, 2, 1, 0x91, 2, 0x1f, 0x40}}}))
}

// TestReply: what was sealed is read by who has the link, and by nobody else.
//
// Checks: RPL-1.
func TestReply(t *testing.T) {
	c := testReply()
	text := c.String()
	back := must(ParseReply(" " + text[:30] + "\r\n" + text[30:] + " "))
	d, err := back.Open(testInvite(1).Secret, testMeeting)
	if err != nil || d.Key != member(3).Key() || len(d.Addresses) != 1 || !reflect.DeepEqual(back, c) {
		t.Fatalf("%v, %v", d, err)
	}
	if back.Invite != testInvite(1).Secret.ID() {
		t.Error("it names another invite")
	}
	if testReply().String() == text {
		t.Error("two codes are alike: the nonce isn't random")
	}
	other := testMeeting
	other[0] ^= 1
	for name, open := range map[string]func() error{
		"another invite":  func() error { _, err := back.Open(testInvite(2).Secret, testMeeting); return err },
		"another meeting": func() error { _, err := back.Open(testInvite(1).Secret, other); return err },
		"no secret":       func() error { _, err := back.Open(InviteSecret{}, testMeeting); return err },
		"renamed": func() error {
			c := back
			c.Invite = testInvite(2).Secret.ID()
			_, err := c.Open(testInvite(1).Secret, testMeeting)
			return err
		},
		"nothing": func() error { _, err := ReplyCode{}.Open(testInvite(1).Secret, testMeeting); return err },
		"a weak key": func() error {
			c := must(SealReply(testInvite(1).Secret, testMeeting, Door{}))
			_, err := c.Open(testInvite(1).Secret, testMeeting)
			return err
		},
	} {
		if err := open(); !errors.Is(err, ErrReplyForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := SealReply(testInvite(1).Secret, testMeeting, Door{Addresses: make([][]byte, MaxDoorAddresses+1)}); !errors.Is(err, ErrLinkTooMany) {
		t.Error(err)
	}
}

// TestReplyRefused: what isn't a code is said to be what it is.
//
// Checks: RPL-1.
func TestReplyRefused(t *testing.T) {
	text := testReply().String()
	for bad, want := range map[string]error{
		"": ErrReplyMalformed, "huisclos:1-abc": ErrReplyMalformed, replyScheme + "2-abc": ErrReplyVersion, replyScheme + "x-abc": ErrReplyMalformed,
		replyPrefix: ErrReplyChanged, replyPrefix + "a=": ErrReplyMalformed, text + "A": ErrReplyChanged,
		replyPrefix + strings.Repeat("A", MaxReply): ErrReplyTooLong, strings.Repeat(" ", 4*MaxReply+1): ErrReplyTooLong,
	} {
		if _, err := ParseReply(bad); !errors.Is(err, want) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	eachFlip([]byte(text), func(i int, changed []byte) {
		if _, err := ParseReply(string(changed)); err == nil {
			t.Errorf("byte %d changed and still read", i)
		}
	})
	eachCut([]byte(text), func(cut []byte) {
		if _, err := ParseReply(string(cut)); err == nil {
			t.Errorf("cut to %d and still read", len(cut))
		}
	})
}

// FuzzReply: one code, one text, but for white space; past the checksum nothing opens that wasn't sealed.
//
// Checks: RPL-1.
func FuzzReply(f *testing.F) {
	f.Add(testReply().String())
	f.Add(replyPrefix)
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseReply(text); err == nil && c.String() != stripSpace(text) {
			t.Error("two texts of one code")
		}
		raw := []byte(text)
		c := ReplyCode{sealed: raw}
		copy(c.Invite[:], raw)
		if _, err := c.Open(testInvite(1).Secret, testMeeting); err == nil {
			t.Error("opened what nobody sealed")
		}
	})
}
