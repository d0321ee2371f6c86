package wordlist

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold removes accents, as somebody typing in haste would.
func fold(word string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(word) {
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// faults lists everything wrong with a list of words: the rules of doc.go.
func faults(words []string, letters string, key func(string) string) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	folded := make([]string, len(words))
	prefixes, sounds := map[string]string{}, map[string]string{}
	for i, w := range words {
		folded[i] = fold(w)
		if n := utf8.RuneCountInString(w); n < 4 || n > 8 {
			add("length: %q has %d letters", w, n)
		}
		if j := strings.IndexFunc(w, func(r rune) bool { return !strings.ContainsRune(letters, r) }); j >= 0 {
			add("charset: %q at byte %d", w, j)
		}
		if !norm.NFC.IsNormalString(w) {
			add("NFC: %q", w)
		}
		prefix := folded[i][:min(4, len(folded[i]))]
		if other, ok := prefixes[prefix]; ok {
			add("prefix: %q and %q", other, w)
		}
		prefixes[prefix] = w
		if other, ok := sounds[key(w)]; ok {
			add("sound: %q and %q (%s)", other, w, key(w))
		}
		sounds[key(w)] = w
	}
	if !slices.IsSorted(folded) {
		add("order: not sorted")
	}
	for i, a := range folded {
		for j, b := range folded[i+1:] {
			if len(a)-len(b) < 2 && len(b)-len(a) < 2 && editDistance(a, b) < 2 {
				add("distance: %q and %q", words[i], words[i+1+j])
			}
		}
	}
	return list
}

const (
	englishLetters = "abcdefghijklmnopqrstuvwxyz"
	frenchLetters  = englishLetters + "àâçèéêëîïôùûü"
)

func TestLists(t *testing.T) {
	for _, c := range []struct {
		name    string
		words   []string
		letters string
		key     func(string) string
	}{
		{"English", English[:], englishLetters, englishKey},
		{"French", French[:], frenchLetters, frenchKey},
	} {
		if len(c.words) != 1024 {
			t.Errorf("%s: %d words, want 1024", c.name, len(c.words))
		}
		for _, f := range faults(c.words, c.letters, c.key) {
			t.Errorf("%s: %s", c.name, f)
		}
	}
}

// A checker that finds nothing proves nothing: each rule must refuse a list
// that breaks it.
func TestFaultsAreFound(t *testing.T) {
	for _, c := range []struct{ kind, words string }{
		{"length", "ane"},
		{"length", "abeilleuse"},
		{"charset", "Abeille"},
		{"charset", "abeille-s"},
		{"NFC", "canoe\u0308"},
		{"prefix", "cabane cabanon"},
		{"sound", "ancre encre"},
		{"sound", "balai ballet"},
		{"order", "banane abeille"},
		{"distance", "carte tarte"},
		{"distance", "poule poulet"},
		{"distance", "cote côté"},
	} {
		found := faults(strings.Fields(c.words), frenchLetters, frenchKey)
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, c.kind) }) {
			t.Errorf("%q: no fault of kind %q among %q", c.words, c.kind, found)
		}
	}
}

// The lists are protocol: whoever changes one must mean to.
func TestListsArePinned(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"english.txt", englishText, "c1c213536b7c654d0c2ccf0a93cc56373d46476ed658d83f23bfc757b871a4ec"},
		{"french.txt", frenchText, "6efdd55fd73f1580634e842110786e16a802f6bda3fe016c8ae7223edeec46ab"},
	} {
		sum := sha256.Sum256([]byte(c.text))
		if got := hex.EncodeToString(sum[:]); got != c.want {
			t.Errorf("%s has SHA-256 %s, want %s", c.name, got, c.want)
		}
	}
}

func TestParseRefusesAnotherLength(t *testing.T) {
	for _, text := range []string{"", "one\n", englishText + "more\n"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a list of %d lines was accepted", strings.Count(text, "\n"))
				}
			}()
			parse(text)
		}()
	}
}
