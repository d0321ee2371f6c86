package meet

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/huisclos/huisclos/crypto"
)

// Limits on the reactions of one member: so many at once, and so many a second (MSG-7).
const reactionBurst, reactionRate = 8, 2

// reactions is what a sender, or a reader for each author, knows of the reactions so far.
type reactions struct {
	limit  limiter
	newest time.Time // of those sent or shown, by the author's clock
}

// React shows everybody who is there a reaction: one visible character, such as an emoji, of at most 32 bytes (MSG-6).
// It is for the moment: who doesn't get it at once never does. The errors are ErrNotReaction, ErrTooOften, ErrNotPermitted
// and ErrIsolated.
func (m *Meeting) React(ctx context.Context, text string) error {
	if !isReaction(text) {
		return ErrNotReaction
	}
	return command(ctx, m, func() error {
		if err := m.mayMessage(crypto.StreamReaction); err != nil {
			return err
		}
		now := time.Now()
		if !m.reactions.limit.allow(now, reactionBurst, reactionRate) {
			return ErrTooOften
		}
		at := now.Truncate(time.Millisecond)
		if !at.After(m.reactions.newest) { // MSG-7: also if the clock was set back
			at = m.reactions.newest.Add(time.Millisecond)
		}
		m.reactions.newest = at
		signed, err := crypto.SignMessage(m.self, crypto.StreamReaction, crypto.NewMessageID(), at, []byte(text))
		if err != nil {
			return err
		}
		return m.seal(crypto.StreamReaction, signed)
	})
}

// reacted shows a reaction that is newer than the last of its author, if there weren't too many (MSG-7).
func (m *Meeting) reacted(p *peer, from Member, msg crypto.Message, now time.Time) {
	r, text := &p.reactions, string(msg.Body)
	anyway := m.config.hooks.anyReaction
	if !anyway && (!isReaction(text) || !msg.Time.After(r.newest) || !r.limit.allow(now, reactionBurst, reactionRate)) {
		m.log.Debug("reaction refused")
		return
	}
	r.newest = msg.Time
	m.emit(Reaction{From: from, Time: msg.Time, Text: text})
}

// Code points of reactions.
const (
	zeroWidthJoiner  = '\u200d'
	textStyle        = '\ufe0e'
	emojiStyle       = '\ufe0f'
	enclosingKeycap  = '\u20e3'
	combiningJoiner  = '\u034f' // a mark that shows nothing
	firstRegional    = '\U0001f1e6'
	lastRegional     = '\U0001f1ff'
	firstTone        = '\U0001f3fb'
	lastTone         = '\U0001f3ff'
	firstPictograph  = '\U0001f000'
	lastPictograph   = '\U0001faff' // with those that Unicode hasn't assigned yet
	maxReactionMarks = 2
	fillersThatHide  = "\u115f\u1160\u3164\uffa0\u2800" // letters and a symbol that show nothing
	keycapCharacters = "0123456789#*"
)

// isReaction reports whether a text is one visible character: a flag, a keycap, or signs that are joined to one (MSG-6).
func isReaction(text string) bool {
	if text == "" || len(text) > crypto.MaxReactionBody || !utf8.ValidString(text) {
		return false
	}
	r := []rune(text)
	n := len(r)
	if n == 2 && isRegional(r[0]) && isRegional(r[1]) {
		return true
	}
	if (n == 2 || n == 3) && r[n-1] == enclosingKeycap {
		return strings.ContainsRune(keycapCharacters, r[0]) && (n == 2 || r[1] == emojiStyle)
	}
	for joined := false; ; joined = true {
		pictograph := isPictograph(r[0])
		rest, ok := afterSign(r)
		switch {
		case !ok, joined && !pictograph:
			return false
		case len(rest) == 0:
			return true
		case rest[0] != zeroWidthJoiner, !pictograph, len(rest) == 1:
			return false
		}
		r = rest[1:]
	}
}

// afterSign returns what follows a visible character with its style, skin tone and marks.
func afterSign(r []rune) (rest []rune, ok bool) {
	if !isPictograph(r[0]) && !unicode.In(r[0], unicode.L, unicode.N, unicode.P) || isRegional(r[0]) || strings.ContainsRune(fillersThatHide, r[0]) {
		return nil, false
	}
	r = r[1:]
	if len(r) > 0 && (r[0] == textStyle || r[0] == emojiStyle) {
		r = r[1:]
	}
	if len(r) > 0 && r[0] >= firstTone && r[0] <= lastTone {
		r = r[1:]
	}
	marks := 0
	for len(r) > marks && marks < maxReactionMarks && isMark(r[marks]) {
		marks++
	}
	return r[marks:], true
}

func isRegional(r rune) bool { return r >= firstRegional && r <= lastRegional }

func isPictograph(r rune) bool {
	return unicode.Is(unicode.S, r) || r >= firstPictograph && r <= lastPictograph
}

func isMark(r rune) bool {
	return unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Variation_Selector, r) && r != combiningJoiner
}
