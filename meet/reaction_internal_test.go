package meet

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestIsReaction covers MSG-6: what shows one character, and nothing else.
func TestIsReaction(t *testing.T) {
	for _, text := range []string{
		"👍", "❤", "❤️", "✋🏽", "👍🏿", "🇫🇷", "1️⃣", "#⃣", "👨‍👩‍👧‍👦", "👩🏽‍⚖️", "❤️‍🔥", "🙂‍↔️", "🏳️‍🌈", "✓", "+", "?", "é", "e\u0301", "好", "אּ", "5", "€", "\U0001fadf",
	} {
		if !isReaction(text) {
			t.Errorf("%q was refused", text)
		}
	}
	for name, text := range map[string]string{
		"nothing":                "",
		"space":                  " ",
		"two":                    "👍👍",
		"word":                   "ok",
		"sign and space":         "👍 ",
		"not UTF-8":              "\xff",
		"control":                "\a",
		"line":                   "\n",
		"bidirectional":          "\u202e",
		"sign and bidirectional": "👍\u202e",
		"isolate":                "\u2066a",
		"joiner alone":           "\u200d",
		"joiner last":            "👍\u200d",
		"joiner first":           "\u200d👍",
		"joiner twice":           "❤\u200d\u200d🔥",
		"joined letters":         "a\u200db",
		"letter joined":          "👍\u200da",
		"space joined":           "👍\u200d ",
		"style alone":            "\ufe0f",
		"two styles":             "❤\ufe0f\ufe0f",
		"mark alone":             "\u0301",
		"three marks":            "e\u0301\u0301\u0301",
		"hidden data":            "👍\U000e0101",
		"tags":                   "🏴\U000e0067\U000e0062\U000e007f",
		"grapheme joiner":        "a\u034f",
		"filler":                 "\u3164",
		"blank Braille":          "\u2800",
		"soft hyphen":            "\u00ad",
		"zero width space":       "\u200b",
		"byte order mark":        "\ufeff",
		"half a flag":            "🇫",
		"a flag and a half":      "🇫🇷🇫",
		"keycap alone":           "\u20e3",
		"keycap of a letter":     "a\u20e3",
		"private use":            "\ue000",
		"over 32 bytes":          strings.Repeat("👍\u200d", 4) + "👍👍",
		"exactly too long":       strings.Repeat("👨\u200d", 4) + "👨\ufe0f" + "\u0301",
	} {
		if isReaction(text) {
			t.Errorf("%s: %q was taken", name, text)
		}
	}
}

// FuzzReaction: whatever is taken is short, valid, and holds nothing that acts on the text around it.
func FuzzReaction(f *testing.F) {
	for _, s := range []string{"👍", "👩🏽‍⚖️", "🇫🇷", "1️⃣", "e\u0301", "\u202e", "a\u200db"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !isReaction(text) {
			return
		}
		if len(text) > 32 || !utf8.ValidString(text) || utf8.RuneCountInString(text) > 20 {
			t.Fatalf("%q", text)
		}
		if strings.ContainsAny(text, " \t\r\n\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2066\u2067\u2068\u2069\ufeff") || isReaction(text+" ") || isReaction(" "+text) {
			t.Fatalf("%q", text)
		}
	})
}
