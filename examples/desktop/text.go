package main

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
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

// lookalikes are letters that are taken for Latin ones, and signs for letters.
var lookalikes = strings.NewReplacer(
	"а", "a", "е", "e", "о", "o", "р", "p", "с", "c", "у", "y", "х", "x", "і", "i", "ј", "j", "ѕ", "s", "к", "k", "м", "m", "т", "t", "в", "b", "н", "h",
	"α", "a", "ο", "o", "ρ", "p", "ν", "v", "ι", "i", "κ", "k", "τ", "t", "υ", "u", "χ", "x", "ı", "i",
	"0", "o", "1", "i", "l", "i", "|", "i", "5", "s", "rn", "m", "vv", "w",
)

// skeleton is equal for names that could be mistaken for each other.
func skeleton(name string) string {
	name = norm.NFKD.String(strings.ToLower(name))
	name = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '|' {
			return r
		}
		return -1
	}, name)
	return lookalikes.Replace(name)
}

// mistakable reports whether two different people's names could be mistaken for each other.
func mistakable(a, b string) bool {
	s := skeleton(a)
	return s != "" && s == skeleton(b)
}
