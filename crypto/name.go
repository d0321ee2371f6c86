package crypto

import (
	"unicode"
	"unicode/utf8"
)

// MaxName is the most bytes of a display name (DOR-7).
const MaxName = 64

// CheckName refuses, with ErrName, a display name that is over MaxName bytes, is not
// UTF-8, shows nothing, or holds a control or bidirectional control character (DOR-7).
func CheckName(name string) error {
	if len(name) > MaxName || !utf8.ValidString(name) {
		return ErrName
	}
	visible := false
	for _, r := range name {
		// Line and paragraph separators are not category Cc but break lines all the same.
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ErrName
		}
		visible = visible || isVisible(r)
	}
	if !visible {
		return ErrName
	}
	return nil
}

// isVisible reports whether r alone leaves a mark: a letter, number, punctuation or
// symbol that is not one of those Unicode has for filling space.
func isVisible(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800': // fillers, blank Braille
		return false
	}
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r)
}
