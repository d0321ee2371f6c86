package mediafile

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxName     = 64 // bytes
	unnamedName = "member"
)

// SafeName makes of a member's display name, which may be anything, a part of a
// file name that means the same on every system. It keeps letters, marks and
// digits of all scripts, spaces and a few signs; everything else becomes "_", and
// what can't be seen (control characters, changes of direction) goes. The result
// is in NFC, has 1 to 64 bytes, begins with neither a dot nor a hyphen, and is
// no name that Windows reserves. Different names may give the same result.
func SafeName(name string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(strings.ToValidUTF8(name, "")) {
		switch {
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsDigit(r), strings.ContainsRune("-_.'()", r):
			b.WriteRune(r)
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.IsGraphic(r):
			b.WriteByte('_')
		}
	}
	clean := norm.NFC.String(strings.Join(strings.Fields(b.String()), " "))
	// Cutting can bare what trimming removes, and the other way round.
	for {
		trimmed := trimName(clean)
		if trimmed == clean {
			break
		}
		clean = trimmed
	}
	if clean == "" {
		return unnamedName
	}
	return clean
}

// trimName applies once the rules about length, ends and reserved names.
func trimName(name string) string {
	name = strings.TrimLeftFunc(name, func(r rune) bool {
		return r == '.' || r == '-' || r == ' ' || unicode.IsMark(r)
	})
	if base, _, _ := strings.Cut(name, "."); isReserved(strings.TrimRight(base, " ")) {
		name = "_" + name
	}
	if len(name) > maxName {
		end := maxName
		for !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end]
	}
	return strings.TrimRight(name, ". ")
}

// isReserved says whether Windows keeps a name for a device, with or without
// an extension. It keeps COM¹ as well, but that digit never comes here.
func isReserved(base string) bool {
	base = strings.ToUpper(base)
	switch base {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(base) == 4 && (base[:3] == "COM" || base[:3] == "LPT") && base[3] >= '0' && base[3] <= '9'
}
