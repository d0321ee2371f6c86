package meet_test

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/huisclos/huisclos/meet"
)

// TestSafeName covers FIL-10: names that lead elsewhere, hide, deceive or name a device.
func TestSafeName(t *testing.T) {
	for name, want := range map[string]string{
		"Plaidoyer d'appel.pdf":           "Plaidoyer d'appel.pdf",
		"日本語.txt":                         "日本語.txt",
		"e\u0301te\u0301.txt":             "e\u0301te\u0301.txt",
		"../../etc/passwd":                "passwd",
		`..\..\Windows\System32\x.dll`:    "x.dll",
		"/":                               "file",
		"..":                              "file",
		"":                                "file",
		"C:\\":                            "file",
		"a/..":                            "file",
		".bashrc":                         "bashrc",
		" . .hidden":                      "hidden",
		"x.txt. . ":                       "x.txt",
		"a\x00b\n\tc\x7f.txt":             "abc.txt",
		"invoice\u202Efdp.exe":            "invoicefdp.exe",
		"a\u200b\u2066\ufeff\u00adb":      "ab",
		"photo.jpg\u00a0\u2003  .exe":     "photo.jpg    .exe",
		"x\u3164\u2800\ufe0f\U000e0041":   "x",
		"\u0301accent first":              "accent first",
		"x.exe:stream":                    "x.exe_stream",
		`<>:"|?*`:                         "_______",
		"CON":                             "_CON",
		"con.txt":                         "_con.txt",
		"nul .txt":                        "_nul .txt",
		"NUL.tar.gz":                      "_NUL.tar.gz",
		"COM1.log":                        "_COM1.log",
		"lpt³":                            "_lpt³",
		"COM10":                           "COM10",
		"CONIN$":                          "_CONIN$",
		"console.txt":                     "console.txt",
		"bad\xff.txt":                     "bad_.txt",
		strings.Repeat("é", 127) + "x":    strings.Repeat("é", 100),
		strings.Repeat("a", 250) + ".pdf": strings.Repeat("a", 196) + ".pdf",
		"a." + strings.Repeat("b", 250):   "a." + strings.Repeat("b", 198),
	} {
		if got := (meet.FileOffer{Name: name}).SafeName(); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

// TestUnsafeName is the twin of TestSafeName (FIL-10): what these names do where they are used as they are.
func TestUnsafeName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	inside := func(name string) bool { return filepath.Dir(filepath.Join(dir, name)) == dir }
	for _, name := range []string{"../../etc/passwd", "..", "a/..", "sub/x.txt"} {
		if o := (meet.FileOffer{Name: name}); inside(o.Name) || !inside(o.SafeName()) {
			t.Errorf("%q: %v as it is, %v made safe", name, inside(o.Name), inside(o.SafeName()))
		}
	}
	const deceives = "invoice\u202Efdp.exe" // shown as invoiceexe.pdf
	if o := (meet.FileOffer{Name: deceives}); !strings.ContainsRune(o.Name, '\u202E') || strings.ContainsRune(o.SafeName(), '\u202E') {
		t.Errorf("%q", o.SafeName())
	}
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"a.txt", "../x", "CON .x", "\u202e", "....", strings.Repeat("\U0001f600", 70), "com¹", ". / .", "a. \u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		safe := meet.SafeFileName(name)
		switch {
		case safe == "" || len(safe) > 200 || !utf8.ValidString(safe):
			t.Errorf("%q has %d bytes", safe, len(safe))
		case strings.ContainsAny(safe, "/\\:<>\"|?*\x00"):
			t.Errorf("%q has separators", safe)
		case safe[0] == '.' || safe[0] == ' ' || strings.HasSuffix(safe, ".") || strings.HasSuffix(safe, " "):
			t.Errorf("%q hides, or would be cut", safe)
		case meet.SafeFileName(safe) != safe:
			t.Errorf("%q becomes %q", safe, meet.SafeFileName(safe))
		}
		for _, r := range safe {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%q has %U", safe, r)
			}
		}
	})
}
