package crypto

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/huisclos/huisclos/crypto/wordlist"
)

// The cost of the words (SPEC section 8): what makes each try of an admitter who
// chooses both nonces of its puppets dear (VER-3).
const (
	wordsTime   = 3
	wordsMemory = 256 << 10 // KiB
	wordsLanes  = 4
)

// Language chooses the list of words.
type Language string

// The languages there is a list for.
const (
	// English chooses wordlist.English.
	English Language = "en"
	// French chooses wordlist.French.
	French Language = "fr"
)

// Verification is what people compare: the same for all, shown as words or digits
// (SPEC section 8). Two are the same if they are equal. The zero value is nobody's.
type Verification [32]byte

// Words returns six words of the list of a language (English, if there is none): 60
// bits.
func (v Verification) Words(language Language) [6]string {
	list := &wordlist.English
	if language == French {
		list = &wordlist.French
	}
	bits := binary.BigEndian.Uint64(v[:8])
	var out [6]string
	for i := range out {
		out[i] = list[bits>>(54-10*i)&1023]
	}
	return out
}

// Digits returns 18 digits in six groups of three, for those who share no language.
func (v Verification) Digits() string {
	n := binary.BigEndian.Uint64(v[8:16]) % 1e18
	s := fmt.Sprintf("%018d", n)
	for i := 15; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// Person is what one member contributes to the words: who it is, and the nonces of the
// Admit by which it is in; zero for the creator (SPEC section 8). No meeting key is in
// it, so that words outlive re-keys and restarts (VER-1).
type Person struct {
	// Identity names the person.
	Identity IdentityKey
	// JoinerNonce is the nonce it committed to at the door.
	JoinerNonce Nonce
	// ResponderNonce is that of the member who answered.
	ResponderNonce Nonce
}

// Words returns the verification of a meeting with these people, in any order. It takes
// about half a second of four cores and 256 MiB, on purpose (VER-3): not on a goroutine
// that others wait for. The last few results are remembered, and one is computed at a
// time.
func Words(meeting MeetingID, people []Person) Verification {
	material := wordsMaterial(meeting, people)
	name := sha256.Sum256(material)
	wordsCache.Lock()
	defer wordsCache.Unlock()
	for _, e := range wordsCache.entries {
		if e.name == name {
			return e.value
		}
	}
	v := computeWords(meeting, material)
	wordsCache.entries[wordsCache.next] = wordsEntry{name: name, value: v}
	wordsCache.next = (wordsCache.next + 1) % len(wordsCache.entries)
	return v
}

// wordsCache spares the second of two computations of one roster. The lock is held
// while computing, so that memory is taken once.
var wordsCache struct {
	sync.Mutex
	entries [4]wordsEntry
	next    int
}

type wordsEntry struct {
	name  [32]byte
	value Verification
}

func wordsMaterial(meeting MeetingID, people []Person) []byte {
	sorted := slices.SortedFunc(slices.Values(people), func(a, b Person) int { return a.Identity.Compare(b.Identity) })
	material := append(make([]byte, 0, 32+64*len(sorted)), meeting[:]...)
	for _, p := range sorted {
		material = append(material, p.Identity[:]...)
		material = append(append(material, p.JoinerNonce[:]...), p.ResponderNonce[:]...)
	}
	return material
}

func wordsSalt(meeting MeetingID) []byte {
	h := HashOf(labelWords, meeting[:])
	return h[:16]
}

func computeWords(meeting MeetingID, material []byte) Verification {
	return Verification(argon2.IDKey(material, wordsSalt(meeting), wordsTime, wordsMemory, wordsLanes, 32))
}

// ComparisonLifetime is how long a comparison of two may take (VER-4).
const ComparisonLifetime = 5 * time.Minute

// Comparison lets two members compare words of their own at any time, over their pair
// session (SPEC section 8). Keep one per peer at most:
//
//	asker                                other
//	StartComparison ── commitment ─────▶ AnswerComparison
//	Reveal          ◀── nonce ──────────
//	  words         ─── nonce ─────────▶ Open ▶ words
type Comparison struct {
	hidden
	meeting    MeetingID
	own, peer  Bundle
	asker      bool
	nonce      Nonce
	commitment Hash
	started    time.Time
	done       bool
	off        hooks
}

// StartComparison begins one with a peer and returns the commitment to send.
func StartComparison(now time.Time, inc *Incarnation, peer Bundle) (*Comparison, Hash) {
	c := &Comparison{meeting: inc.meeting, own: inc.bundle, peer: peer, asker: true, started: now}
	fill(nil, c.nonce[:])
	c.commitment = pairCommitment(c.meeting, c.nonce, c.own.MeetingKey)
	return c, c.commitment
}

// AnswerComparison answers a peer's commitment and returns the nonce to send.
func AnswerComparison(now time.Time, inc *Incarnation, peer Bundle, commitment Hash) (*Comparison, Nonce) {
	c := &Comparison{meeting: inc.meeting, own: inc.bundle, peer: peer, commitment: commitment, started: now}
	fill(nil, c.nonce[:])
	return c, c.nonce
}

// Reveal takes the other's nonce, for the asker, and returns one's own, to send, and
// what to show. The error is ErrComparison.
func (c *Comparison) Reveal(now time.Time, other Nonce) (Nonce, Verification, error) {
	if !c.asker || c.over(now) {
		return Nonce{}, Verification{}, ErrComparison
	}
	c.done = true
	return c.nonce, pairWords(c.meeting, c.own.Identity, c.peer.Identity, c.nonce, other), nil
}

// Open takes the asker's nonce, for the other side, and returns what to show. The error
// is ErrComparison: above all if the nonce doesn't open the commitment (VER-4).
func (c *Comparison) Open(now time.Time, asker Nonce) (Verification, error) {
	if c.asker || c.over(now) {
		return Verification{}, ErrComparison
	}
	c.done = true
	if pairCommitment(c.meeting, asker, c.peer.MeetingKey) != c.commitment && !c.off.opening {
		return Verification{}, ErrComparison
	}
	return pairWords(c.meeting, c.own.Identity, c.peer.Identity, asker, c.nonce), nil
}

func (c *Comparison) over(now time.Time) bool {
	return c.done || now.Sub(c.started) >= ComparisonLifetime
}

func pairCommitment(meeting MeetingID, nonce Nonce, asker MeetingKey) Hash {
	return HashOf(labelPairCommitment, meeting[:], nonce[:], asker[:])
}

func pairWords(meeting MeetingID, a, b IdentityKey, asker, other Nonce) Verification {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return Verification(HashOf(labelPairWords, meeting[:], a[:], b[:], asker[:], other[:]))
}
