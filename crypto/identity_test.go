package crypto

import (
	"bytes"
	stdcrypto "crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"filippo.io/edwards25519"
)

// countingSigner is an identity in a token, which notes what it signs.
type countingSigner struct {
	ed25519.PrivateKey
	signed [][]byte
	answer func(message []byte) ([]byte, error) // in place of a signature
}

func (s *countingSigner) Sign(random io.Reader, message []byte, opts stdcrypto.SignerOpts) ([]byte, error) {
	s.signed = append(s.signed, bytes.Clone(message))
	if s.answer != nil {
		return s.answer(message)
	}
	return s.PrivateKey.Sign(random, message, opts)
}

// TestIdentitySignsOneBundle: an incarnation costs one signature by the identity, over
// the bundle, and nothing done with the incarnation costs another.
//
// Checks: IDN-1.
func TestIdentitySignsOneBundle(t *testing.T) {
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	token := &countingSigner{PrivateKey: private}
	id := must(NewIdentity(token))
	inc := must(id.NewIncarnation(testMeeting))
	inc.Sign("operation", []byte("x"))
	_, _, err := NewDoorInitiator(inc, "Ada", testInvite(1).Secret, testInvite(1).Door.Public(), member(2).Key())
	if err != nil {
		t.Fatal(err)
	}
	if len(token.signed) != 1 || !bytes.HasPrefix(token.signed[0], []byte("huisclos v1 bundle\x00")) {
		t.Fatalf("the identity signed %d times", len(token.signed))
	}
	if err := inc.Bundle().Verify(testMeeting); err != nil {
		t.Fatal(err)
	}
	if _, err := id.Export(); !errors.Is(err, ErrNotExportable) {
		t.Fatalf("Export: %v", err)
	}
}

// TestSignerThatMisbehaves: tokens that fail or sign something else are refused.
func TestSignerThatMisbehaves(t *testing.T) {
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	broken := errors.New("no touch")
	for name, answer := range map[string]func([]byte) ([]byte, error){
		"error":   func([]byte) ([]byte, error) { return nil, broken },
		"short":   func([]byte) ([]byte, error) { return make([]byte, 63), nil },
		"other":   func([]byte) ([]byte, error) { return ed25519.Sign(private, []byte("other")), nil },
		"nothing": func([]byte) ([]byte, error) { return nil, nil },
	} {
		id := must(NewIdentity(&countingSigner{PrivateKey: private, answer: answer}))
		_, err := id.NewIncarnation(testMeeting)
		if !errors.Is(err, ErrSigner) || name == "error" && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewIdentity(nil); !errors.Is(err, ErrSigner) {
		t.Errorf("nil signer: %v", err)
	}
	if _, err := NewIdentity(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))); !errors.Is(err, ErrSigner) {
		t.Errorf("P-256 signer: %v", err)
	}
}

// TestFreshKeys: every start and every meeting has its own meeting key and static. It has no twin: nothing is stored that
// could return.
//
// Checks: IDN-2.
func TestFreshKeys(t *testing.T) {
	id := GenerateIdentity()
	seen := map[[32]byte]bool{}
	for _, meeting := range []MeetingID{testMeeting, testMeeting, MeetingID(HashOf("another"))} {
		b := must(id.NewIncarnation(meeting)).Bundle()
		if seen[b.MeetingKey] || seen[b.Static] || b.Identity != id.Public() {
			t.Fatal("a key came back")
		}
		seen[b.MeetingKey], seen[b.Static] = true, true
	}
}

// TestBundleOfAnotherMeeting: a bundle holds in its own meeting only, and any change
// breaks it. The twin, without the signature check, takes it.
//
// Checks: IDN-3.
func TestBundleOfAnotherMeeting(t *testing.T) {
	other := MeetingID(HashOf("another meeting"))
	b := memberOf(other, 1).Bundle()
	if err := b.Verify(other); err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(testMeeting); !errors.Is(err, ErrBundle) {
		t.Fatalf("replayed bundle: %v", err)
	}
	if err := b.verify(testMeeting, hooks{bundleMeeting: true}); err != nil {
		t.Fatalf("the twin should have let it in: %v", err)
	}
	good := member(1).Bundle()
	eachFlip(good.Encode(), func(i int, changed []byte) {
		if b, err := ParseBundle(changed); err == nil && b.Verify(testMeeting) == nil {
			t.Fatalf("byte %d changed and still valid", i)
		}
	})
}

// smallEd25519 are encodings of the points of order 1, 2, 4 and 8.
func smallEd25519(t *testing.T) []IdentityKey {
	// A point of order 8, y from draft-ietf-lwig-curve-representations; its multiples
	// are the small subgroup.
	torsion := must(new(edwards25519.Point).SetBytes([]byte{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}))
	p := edwards25519.NewIdentityPoint()
	var out []IdentityKey
	for range 8 {
		out = append(out, IdentityKey(p.Bytes()))
		p.Add(p, torsion)
	}
	if p.Equal(edwards25519.NewIdentityPoint()) != 1 || out[4] == out[0] {
		t.Fatal("not a point of order 8")
	}
	return out
}

// TestWeakIdentity: keys of small order and second encodings are refused; with a
// small-order key and no check, one signature holds for many messages. A point of mixed
// order passes.
//
// Checks: IDN-4.
func TestWeakIdentity(t *testing.T) {
	small := smallEd25519(t)
	for i, k := range small {
		if !errors.Is(k.Check(), ErrWeakKey) || !errors.Is(MeetingKey(k).Check(), ErrWeakKey) {
			t.Errorf("torsion point %d accepted", i)
		}
		mixed := must(new(edwards25519.Point).SetBytes(k[:]))
		good := member(1).Identity()
		mixed.Add(mixed, must(new(edwards25519.Point).SetBytes(good[:])))
		if err := IdentityKey(mixed.Bytes()).Check(); err != nil {
			t.Errorf("mixed-order point %d: %v", i, err)
		}
	}
	for y := range byte(19) { // p+y, the only second encodings there are
		for _, sign := range []byte{0, 0x80} {
			k := IdentityKey(fieldPrime(0))
			k[0] += y
			k[31] |= sign
			if !errors.Is(k.Check(), ErrWeakKey) {
				t.Errorf("second encoding of y = %d accepted", y)
			}
		}
	}
	for name, k := range map[string]IdentityKey{
		"neutral with the sign bit": func() (k IdentityKey) { k[0], k[31] = 1, 0x80; return }(),
		"not on the curve":          {2},
	} {
		if !errors.Is(k.Check(), ErrWeakKey) {
			t.Errorf("%s accepted", name)
		}
	}
	// The twin: signature R = neutral, S = 0 verifies for every message when k·A is
	// neutral, which for the neutral element it always is.
	b := member(1).Bundle()
	b.Identity = small[0]
	b.Signature = Signature{1}
	for _, meeting := range []MeetingID{testMeeting, MeetingID(HashOf("any other"))} {
		if err := b.verify(meeting, hooks{weakKeys: true}); err != nil {
			t.Fatalf("the twin should have let it in: %v", err)
		}
		if err := b.Verify(meeting); !errors.Is(err, ErrWeakKey) {
			t.Fatalf("weak identity: %v", err)
		}
	}
}

// TestWeakStatic: the list of X25519 points of small order is complete and right, and
// second encodings are refused as well.
//
// Checks: IDN-4.
func TestWeakStatic(t *testing.T) {
	private := must(ecdh.X25519().GenerateKey(rand.Reader))
	for i, u := range smallOrderPoints {
		for _, top := range []byte{0, 0x80} {
			u[31] = u[31]&0x7f | top
			if !smallOrder(u) || !errors.Is(StaticKey(u).Check(), ErrWeakKey) {
				t.Errorf("point %d accepted", i)
			}
			public := must(ecdh.X25519().NewPublicKey(u[:]))
			if _, err := private.ECDH(public); err == nil {
				t.Errorf("point %d is not of small order", i)
			}
		}
	}
	k := member(1).Bundle().Static
	if err := k.Check(); err != nil {
		t.Fatal(err)
	}
	k[31] |= 0x80
	if !errors.Is(k.Check(), ErrWeakKey) {
		t.Error("a second name of a key accepted")
	}
	random := seeded(1)
	id := generateIdentity(random)
	b := member(1).Bundle()
	b.Static = StaticKey(smallOrderPoints[2])
	b.Signature = Signature(must(id.signer.Sign(nil, signed(labelBundle, testMeeting[:], b.MeetingKey[:], b.Static[:]), stdcrypto.Hash(0))))
	if err := b.Verify(testMeeting); !errors.Is(err, ErrWeakKey) {
		t.Errorf("weak static in a signed bundle: %v", err)
	}
	if err := b.verify(testMeeting, hooks{weakKeys: true}); err != nil {
		t.Errorf("the twin should have taken it: %v", err)
	}
	for d := -1; d <= 1; d++ {
		if canonicalField(fieldPrime(d)) != (d < 0) {
			t.Errorf("canonicalField(p%+d)", d)
		}
	}
}

// TestWipe: what should be gone is gone.
//
// Checks: IDN-6.
func TestWipe(t *testing.T) {
	id := GenerateIdentity()
	seed := id.seed
	inc := must(id.NewIncarnation(testMeeting))
	invite := testInvite(1)
	copied := invite.Secret
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	held := [][]byte{seed, inc.key, inc.static, copied.bytes(), invite.Door.bytes(), w.keys.current.key, r.epochs[0].key}
	for i, b := range held {
		if bytes.Count(b, []byte{0}) == len(b) {
			t.Fatalf("%d: nothing to wipe", i)
		}
	}
	id.Wipe()
	inc.Wipe()
	invite.Wipe()
	w.keys.Wipe()
	r.Wipe()
	for i, b := range held {
		if bytes.Count(b, []byte{0}) != len(b) {
			t.Errorf("%d: not wiped", i)
		}
	}
	if _, err := id.NewIncarnation(testMeeting); !errors.Is(err, ErrSigner) {
		t.Errorf("wiped identity signs: %v", err)
	}
	if _, err := id.Export(); !errors.Is(err, ErrNotExportable) {
		t.Errorf("wiped identity exports: %v", err)
	}
	if _, err := w.keys.Stream(16).SealMedia(nil, &MediaPacket{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("wiped sender seals: %v", err)
	}
}

// TestRotatedKeysAreWiped: a key that was replaced or has expired is overwritten.
//
// Checks: IDN-6, KEY-8.
func TestRotatedKeysAreWiped(t *testing.T) {
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	if err := w.open(r, w.packet(16)); err != nil {
		t.Fatal(err)
	}
	old, oldRead := w.keys.current.key, r.epochs[0].key
	w.rotate(r)
	if err := w.open(r, w.packet(16)); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(eraseAfter)
	r.Expire(w.now)
	must(w.keys.Rotate(w.now, w.roster, nil, nil)) // and one replaced before it was used
	unused := w.keys.next.key
	must(w.keys.Rotate(w.now, w.roster, nil, nil))
	for i, b := range [][]byte{old, oldRead, unused} {
		if bytes.Count(b, []byte{0}) != len(b) {
			t.Errorf("%d: not wiped", i)
		}
	}
}

// TestIdentityText: Export and ParseIdentity are inverse, and nothing but the one text
// of an identity is read.
func TestIdentityText(t *testing.T) {
	id := generateIdentity(seeded(5))
	text := must(id.Export())
	back := must(ParseIdentity(" " + text + "\n"))
	if back.Public() != id.Public() || must(back.Export()) != text {
		t.Fatal("not the same identity")
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":         {"", ErrIdentityMalformed},
		"something":     {"AGE-SECRET-KEY-1", ErrIdentityMalformed},
		"version":       {strings.Replace(text, "-1-", "-2-", 1), ErrIdentityVersion},
		"cut":           {text[:len(text)-1], ErrIdentityChanged},
		"longer":        {text + "A", ErrIdentityChanged},
		"lower case":    {strings.Replace(text, text[20:], strings.ToLower(text[20:]), 1), ErrIdentityChanged},
		"broken line":   {text[:40] + "\n" + text[40:], ErrIdentityChanged},
		"line in place": {text[:40] + "\n" + text[41:], ErrIdentityChanged},
	} {
		if _, err := ParseIdentity(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" { // two bits of the last letter mean nothing
		other := text[:len(text)-1] + string(last)
		if _, err := ParseIdentity(other); (err == nil) != (other == text) {
			t.Errorf("last letter %c: %v", last, err)
		}
	}
	eachFlip([]byte(text), func(i int, changed []byte) {
		if _, err := ParseIdentity(string(changed)); err == nil {
			t.Errorf("byte %d changed and still read", i)
		}
	})
}
