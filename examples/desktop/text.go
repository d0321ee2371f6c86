package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The lengths of what others wrote, in bytes. meet holds to them as well.
const (
	maxName = 64
	maxChat = 4096
)

// cleanName makes one line of what somebody calls themselves, without anything that can't be seen.
func cleanName(s string) string {
	return strings.TrimSpace(clean(s, maxName, false))
}

// cleanText is cleanName for a message, which may have lines.
func cleanText(s string) string { return clean(s, maxChat, true) }

// clean takes out control characters, changes of direction and other format characters but those that scripts and
// emoji need (zero width joiner and non-joiner), and what isn't UTF-8.
func clean(s string, limit int, lines bool) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\n' || r == '\t'), r == '\u200c', r == '\u200d':
			return r
		case r == '\n', r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
			return -1
		}
		return r
	}, s)
	for len(s) > limit {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
