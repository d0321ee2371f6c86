package linkhandler

import "testing"

// TestDefault: our line comes and goes; all others stay.
func TestDefault(t *testing.T) {
	const line = "x-scheme-handler/huisclos=huisclos.desktop\n"
	for name, tt := range map[string]struct{ before, with, without string }{
		"nothing":       {"", "[Default Applications]\n" + line, ""},
		"no section":    {"[Added Associations]\na=b;\n", "[Added Associations]\na=b;\n[Default Applications]\n" + line, "[Added Associations]\na=b;\n"},
		"section":       {"[Default Applications]\ntext/html=f.desktop\n", "[Default Applications]\n" + line + "text/html=f.desktop\n", "[Default Applications]\ntext/html=f.desktop\n"},
		"there already": {"[Default Applications]\n" + line, "[Default Applications]\n" + line, "[Default Applications]\n"},
		"another's":     {"[Default Applications]\nx-scheme-handler/huisclos=other.desktop\n", "[Default Applications]\n" + line + "x-scheme-handler/huisclos=other.desktop\n", "[Default Applications]\nx-scheme-handler/huisclos=other.desktop\n"},
	} {
		if got := withDefault(tt.before); got != tt.with {
			t.Errorf("%s: with %q", name, got)
		}
		if got := withoutDefault(tt.before); got != tt.without {
			t.Errorf("%s: without %q", name, got)
		}
	}
}
