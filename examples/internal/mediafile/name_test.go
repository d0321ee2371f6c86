package mediafile

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestSafeName(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"Maître Dupont", "Maître Dupont"},
		{"Mai\u0302tre", "Maître"},
		{"Ana-Maria O'Neill (2)", "Ana-Maria O'Neill (2)"},
		{"王小明", "王小明"},
		{"", "member"},
		{" \t\n", "member"},
		{"..", "member"},
		{"../../etc/passwd", "_.._etc_passwd"},
		{`C:\Windows\system32`, "C__Windows_system32"},
		{".hidden", "hidden"},
		{"-rf", "rf"},
		{"a\x00b\x1bc", "abc"},
		{"invoice\u202Egnp.exe", "invoicegnp.exe"},
		{"zero\u200Bwidth", "zerowidth"},
		{"con", "_con"},
		{"NUL.txt", "_NUL.txt"},
		{"com1", "_com1"},
		{"COM¹.log", "COM_.log"},
		{"aux .h", "_aux .h"},
		{"lpt10", "lpt10"},
		{"console", "console"},
		{"name. . .", "name"},
		{"a  b\u00a0c", "a b c"},
		{"\xff\xfe", "member"},
		{"\u0301a", "a"},
		{"$(reboot)`;&|*?\"<>", "_(reboot)_________"},
		{strings.Repeat("é", 40), strings.Repeat("é", 32)},
		{strings.Repeat("a", 63) + "é", strings.Repeat("a", 63)},
		{strings.Repeat("a", 63) + ".txt", strings.Repeat("a", 63)},
	} {
		got := SafeName(c.name)
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.name, got, c.want)
		}
		if problem := nameProblem(got); problem != "" {
			t.Errorf("%q: %q: %s", c.name, got, problem)
		}
	}
}

// nameProblem says what is wrong with a part of a file name.
func nameProblem(name string) string {
	switch {
	case name == "" || len(name) > 64:
		return "length"
	case !utf8.ValidString(name) || !norm.NFC.IsNormalString(name):
		return "not NFC"
	case strings.ContainsAny(name, `/\:*?"<>|`):
		return "separator or wildcard"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return "invisible character"
	case strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") || strings.TrimRight(name, ". ") != name:
		return "begin or end"
	}
	base, _, _ := strings.Cut(strings.ToUpper(name), ".")
	if base = strings.TrimSpace(base); base == "CON" || base == "NUL" || base == "LPT9" {
		return "reserved"
	}
	if dir := filepath.Dir(filepath.Join("recordings", name+".ogg")); dir != "recordings" {
		return "leaves its directory"
	}
	return ""
}

// The twin: the checks find the names that SafeName is there for.
func TestNameProblemsAreFound(t *testing.T) {
	for _, name := range []string{"", "../x", `a\b`, ".x", "-x", "x.", "con", "nul.txt", "a\u202eb", "e\u0301", "\xff", strings.Repeat("x", 65)} {
		if nameProblem(name) == "" {
			t.Errorf("%q passes the checks unchanged", name)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, name := range []string{"Maître Dupont", "../../etc/passwd", "COM1.txt", "a\u202eb", "\xff", "con.\u0301", strings.Repeat("é.", 40)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := SafeName(name)
		if problem := nameProblem(got); problem != "" {
			t.Errorf("%q: %q: %s", name, got, problem)
		}
		if again := SafeName(got); again != got {
			t.Errorf("%q: %q, and again %q", name, got, again)
		}
	})
}
