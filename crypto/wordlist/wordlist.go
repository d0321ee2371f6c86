package wordlist

import (
	_ "embed"
	"strings"
)

// Size is the number of words in each list: ten bits a word.
const Size = 1024

//go:embed english.txt
var englishText string

//go:embed french.txt
var frenchText string

// English is the English list, sorted. Treat it as a constant: the protocol
// depends on the position of every word.
var English = parse(englishText)

// French is the French list, in Unicode NFC, sorted by the form without
// accents. Treat it as a constant: the protocol depends on the position of
// every word.
var French = parse(frenchText)

// parse panics on a list of the wrong length: it runs once, at start-up, on
// text fixed at compile time.
func parse(text string) [Size]string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != Size {
		panic("wordlist: a list must have exactly 1024 lines")
	}
	return [Size]string(lines)
}
