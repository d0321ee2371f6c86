package crypto

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/crypto/wordlist"
)

func people(n byte) (out []Person) {
	for i := range n {
		out = append(out, Person{Identity: IdentityKey{i}, JoinerNonce: Nonce{i, 1}, ResponderNonce: Nonce{i, 2}})
	}
	return out
}

// TestWordsAndDigits: 60 bits as six words, in either language, and 18 digits.
func TestWordsAndDigits(t *testing.T) {
	v := Verification{0: 0xff, 1: 0xc0, 7: 0x1f, 8: 0xff, 15: 7}
	en, fr := v.Words(English), v.Words(French)
	want := []int{1023, 0, 0, 0, 0, 1} // the last four bits of the eight bytes are left out
	for i, n := range want {
		if en[i] != wordlist.English[n] || fr[i] != wordlist.French[n] {
			t.Errorf("word %d: %s, %s", i, en[i], fr[i])
		}
	}
	if v.Words("xx") != en {
		t.Error("no fallback to English")
	}
	d := v.Digits()
	if d != "374 686 479 671 623 687" { // 0xff00000000000007 mod 10^18
		t.Errorf("digits %q", d)
	}
	if d := (Verification{}).Digits(); d != "000 000 000 000 000 000" {
		t.Errorf("digits of zero %q", d)
	}
	if len(strings.ReplaceAll(d, " ", "")) != 18 {
		t.Error("not 18 digits")
	}
}

// TestWordsMaterial: what goes into the words is the meeting, the people and the nonces
// of their admission, whatever the order; no meeting key, so re-keys and restarts don't
// change them.
//
// Checks: VER-1.
func TestWordsMaterial(t *testing.T) {
	all := people(4)
	base := string(wordsMaterial(testMeeting, all))
	if len(base) != 32+4*64 {
		t.Errorf("%d bytes", len(base))
	}
	shuffled := slices.Clone(all)
	slices.Reverse(shuffled)
	if string(wordsMaterial(testMeeting, shuffled)) != base {
		t.Error("the order matters")
	}
	seen := map[string]bool{base: true}
	note := func(what string, meeting MeetingID, change func(p []Person) []Person) {
		m := string(wordsMaterial(meeting, change(slices.Clone(all))))
		if seen[m] {
			t.Errorf("%s does not matter", what)
		}
		seen[m] = true
	}
	same := func(p []Person) []Person { return p }
	note("the meeting", MeetingID{}, same)
	note("a person less", testMeeting, func(p []Person) []Person { return p[1:] })
	note("another person", testMeeting, func(p []Person) []Person { p[2].Identity[9]++; return p })
	note("a joiner's nonce", testMeeting, func(p []Person) []Person { p[2].JoinerNonce[9]++; return p })
	note("a responder's nonce", testMeeting, func(p []Person) []Person { p[2].ResponderNonce[9]++; return p })
	note("whose nonce", testMeeting, func(p []Person) []Person {
		p[1].JoinerNonce, p[1].ResponderNonce = p[1].ResponderNonce, p[1].JoinerNonce
		return p
	})
}

// TestWords: the same for all, in any order, remembered in a bounded place, and made at
// the cost the SPEC names.
//
// Checks: VER-1, VER-3.
func TestWords(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 256 MiB and a second")
	}
	if wordsTime != 3 || wordsMemory != 256*1024 || wordsLanes != 4 {
		t.Error("Argon2id at another cost")
	}
	all := people(3)
	v := Words(testMeeting, all)
	slices.Reverse(all)
	if Words(testMeeting, all) != v {
		t.Error("the order matters")
	}
	if v != computeWords(testMeeting, wordsMaterial(testMeeting, all)) {
		t.Error("remembered something else")
	}
}

// TestSteeredWords: with commit and reveal, a joiner's nonce can't depend on the
// responder's, so it can't choose among words. In the twin, a handshake in which the
// joiner moves second, a search finds words that match in one word of six within a few
// thousand tries; for six words it is 2^33 with two rosters. (A fast hash stands in for
// Argon2id, whose price comes on top.)
//
// Checks: VER-3.
func TestSteeredWords(t *testing.T) {
	target := Verification{0xab, 0xcd}.Words(English)[0]
	word := func(joiner, responder Nonce) string {
		m := wordsMaterial(testMeeting, []Person{{Identity: IdentityKey{1}, JoinerNonce: joiner, ResponderNonce: responder}})
		return Verification(HashOf("test", m)).Words(English)[0]
	}
	d := newDoor(t)
	var committed, steered Nonce
	try := func(responder Nonce) knock {
		for i := range 1 << 16 {
			steered = Nonce{byte(i), byte(i >> 8), 1}
			if word(steered, responder) == target {
				break
			}
		}
		return d.signedKnock("Eve", steered, responder)
	}
	commitment := nonceCommitment(testMeeting, committed, d.joiner.Key())
	if err := hostile(t, d, commitment, try); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("steered knock: %v", err)
	}
	d.out = &DoorResponder{off: hooks{commitment: true}}
	if err := hostile(t, d, commitment, try); err != nil || word(steered, d.out.nonce) != target {
		t.Errorf("the twin should have let the steered words through: %v", err)
	}
}

// TestComparison: two compare, see the same, and not what others see; a nonce that
// doesn't open the commitment, a second use and a late one are refused. The twin lets
// the asker choose its nonce after the other's.
//
// Checks: VER-4.
func TestComparison(t *testing.T) {
	a, b := member(1), member(2)
	asker, commitment := StartComparison(epoch0, a, b.Bundle())
	other, nonce := AnswerComparison(epoch0, b, a.Bundle(), commitment)
	own, shown, err := asker.Reveal(epoch0, nonce)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := other.Open(epoch0, own); err != nil || v != shown {
		t.Fatalf("they see different words: %v", err)
	}
	if _, err := other.Open(epoch0, own); !errors.Is(err, ErrComparison) {
		t.Errorf("opened twice: %v", err)
	}
	if _, _, err := asker.Reveal(epoch0, nonce); !errors.Is(err, ErrComparison) {
		t.Errorf("revealed twice: %v", err)
	}
	if pairWords(testMeeting, a.Identity(), b.Identity(), own, nonce) != pairWords(testMeeting, b.Identity(), a.Identity(), own, nonce) {
		t.Error("the order of identities matters")
	}
	if pairWords(testMeeting, a.Identity(), b.Identity(), own, nonce) == pairWords(testMeeting, a.Identity(), b.Identity(), nonce, own) {
		t.Error("the roles don't matter")
	}
	for _, twin := range []bool{false, true} {
		other, _ := AnswerComparison(epoch0, b, a.Bundle(), commitment)
		other.off.opening = twin
		chosen := Nonce{1, 2, 3}
		if _, err := other.Open(epoch0, chosen); (err == nil) != twin {
			t.Errorf("twin %v: chosen nonce: %v", twin, err)
		}
		if _, err := other.Open(epoch0, own); !errors.Is(err, ErrComparison) {
			t.Errorf("second try: %v", err)
		}
	}
	other, _ = AnswerComparison(epoch0, b, a.Bundle(), commitment)
	if _, err := other.Open(epoch0.Add(ComparisonLifetime), own); !errors.Is(err, ErrComparison) {
		t.Errorf("late: %v", err)
	}
	asker, _ = StartComparison(epoch0, a, b.Bundle())
	if _, _, err := asker.Reveal(epoch0.Add(ComparisonLifetime), nonce); !errors.Is(err, ErrComparison) {
		t.Errorf("late: %v", err)
	}
	if _, err := asker.Open(epoch0, nonce); !errors.Is(err, ErrComparison) {
		t.Errorf("asker opens: %v", err)
	}
	if _, _, err := other.Reveal(epoch0, nonce); !errors.Is(err, ErrComparison) {
		t.Errorf("other reveals: %v", err)
	}
	wrong, _ := AnswerComparison(epoch0, b, member(3).Bundle(), commitment) // somebody else's commitment
	if _, err := wrong.Open(epoch0, own); !errors.Is(err, ErrComparison) {
		t.Errorf("another asker: %v", err)
	}
}
