package meet

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxFileName bounds the name of a file, in bytes (FIL-1).
	maxFileName = 255
	// maxSafeName bounds a safe name: shorter, so that there is room for a number and a suffix.
	maxSafeName = 200
	// noName is the safe name of a file whose name has nothing that is safe.
	noName = "file"
)

func checkFileName(name string) error {
	if name == "" || len(name) > maxFileName || !utf8.ValidString(name) {
		return ErrFileName
	}
	return nil
}

// SafeName returns a name under which the file can be kept in a folder, on any system: made of Name, which a hostile
// sender chose. It is the last element of a path and can't lead elsewhere; it has no control, format, bidirectional or
// other invisible characters, so that "exe.txt" isn't shown where "txt.exe" is meant; it is no device of Windows, not
// hidden, has no stream, dots or spaces at its end, and at most 200 bytes, of which the extension is kept. It says nothing
// about what is in the file, and the same name may be there already: never overwrite (FIL-10).
func (o FileOffer) SafeName() string { return safeFileName(o.Name) }

func safeFileName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		case unicode.IsSpace(r) && !unicode.IsControl(r) && r != '\u2028' && r != '\u2029':
			return ' '
		case !unicode.IsGraphic(r), invisible(r):
			return -1
		}
		return r
	}, name)
	name = shorten(trimName(name))
	if name == "" {
		return noName
	}
	if stem, _, _ := strings.Cut(name, "."); device(stem) {
		return shorten("_" + name)
	}
	return name
}

// trimName cuts what hides a file, what Windows cuts by itself, and what would join the name before it.
func trimName(name string) string {
	name = strings.TrimLeftFunc(name, func(r rune) bool { return r == '.' || r == ' ' || unicode.Is(unicode.Mn, r) })
	return strings.TrimRight(name, ". ")
}

// invisible says whether a character that unicode calls graphic shows nothing: with it two names look alike, or an
// extension is pushed out of sight.
func invisible(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return unicode.In(r, unicode.Variation_Selector, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point)
}

// device says whether Windows takes a name, whatever follows its first dot, for a device.
func device(stem string) bool {
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	if number, ok := strings.CutPrefix(stem, "COM"); ok {
		return digit(number)
	}
	number, ok := strings.CutPrefix(stem, "LPT")
	return ok && digit(number)
}

func digit(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n == len(s) && (r >= '0' && r <= '9' || r == '¹' || r == '²' || r == '³')
}

// shorten cuts a name to maxSafeName bytes, in its stem, so that the extension, which says how it would be opened, stays.
func shorten(name string) string {
	if len(name) <= maxSafeName {
		return name
	}
	extension := ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= maxSafeName/2 {
		name, extension = name[:i], name[i:]
	}
	cut := maxSafeName - len(extension)
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return strings.TrimRight(name[:cut], ". ") + extension
}
