// Package wordlist holds the two lists of words that people read aloud to
// compare a code: [English] and [French], 1,024 words each, so that one word
// carries exactly ten bits.
//
// The position of a word is its value, in both lists, so a program can switch
// between the languages without computing the code again.
//
//	value 0…1023 ──► English[value] ──► said aloud ──► the same word on the
//	             └─► French[value]                     other screen, or not
//
// The words were chosen for this project to be said and heard over a poor
// line: common things, 4 to 8 letters, nothing that would embarrass or upset
// in a meeting. Within a list, written without accents, any two words differ
// in their first four letters and by at least two edits, and no two sound the
// same. The lists are sorted by that unaccented form.
//
// The lists are part of the protocol: changing or moving one word changes what
// is read aloud, so members with different versions would see a mismatch where
// there is none. A test pins both files.
//
// The package never computes a code, compares anything or draws a random word;
// package crypto does.
package wordlist
