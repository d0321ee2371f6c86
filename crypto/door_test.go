package crypto

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/flynn/noise"
)

// door is one handshake: member 1 joins at member 2's door.
type door struct {
	t              testing.TB
	joiner, member *Incarnation
	invite         Invite
	in             *DoorInitiator
	out            *DoorResponder
	first, second  []byte
	third          []byte
}

func newDoor(t testing.TB) *door {
	return &door{t: t, joiner: member(1), member: member(2), invite: testInvite(1)}
}

// knock sends the first frame.
func (d *door) knock() *door {
	d.t.Helper()
	var err error
	d.in, d.first, err = NewDoorInitiator(d.joiner, "Ada", d.invite.Secret, d.invite.Door.Public(), d.member.Key())
	if err != nil {
		d.t.Fatal(err)
	}
	return d
}

// answer answers it.
func (d *door) answer() *door {
	d.t.Helper()
	var err error
	d.out, d.second, err = NewDoorResponder(d.member, d.invite, d.joiner.Key(), d.first)
	if err != nil {
		d.t.Fatal(err)
	}
	return d
}

// signedKnock is the third frame's payload, as the joiner should make it.
func (d *door) signedKnock(name string, joiner, responder Nonce) knock {
	k := d.joiner.SignKnock(Knock{Name: name, Invite: d.invite.Secret.Key(), JoinerNonce: joiner, ResponderNonce: responder}, d.member.Key())
	return knock{Name: k.Name, Bundle: k.Bundle, Nonce: k.JoinerNonce, Signature: k.Signature}
}

func (d *door) finish() (a, b *DoorChannel, k Knock) {
	d.t.Helper()
	third, a, err := d.in.Finish(d.second)
	if err != nil {
		d.t.Fatal(err)
	}
	d.third = third
	k, b, err = d.out.Finish(third)
	if err != nil {
		d.t.Fatal(err)
	}
	return a, b, k
}

// TestDoor: a knock, and frames both ways.
func TestDoor(t *testing.T) {
	d := newDoor(t).knock()
	if id, err := DoorInviteID(d.first); err != nil || id != d.invite.Secret.ID() {
		t.Fatalf("invite ID: %v", err)
	}
	a, b, k := d.answer().finish()
	if k.Name != "Ada" || k.Bundle != d.joiner.Bundle() || k.JoinerNonce == (Nonce{}) || k.ResponderNonce == (Nonce{}) ||
		k.Invite != d.invite.Secret.Key() || k.Verify(testMeeting, d.member.Key()) != nil {
		t.Fatalf("knock: %+v", k)
	}
	for i := range 3 {
		for _, ends := range [][2]*DoorChannel{{a, b}, {b, a}} {
			frame := must(ends[0].Seal([]byte{byte(i)}))
			if got := must(ends[1].Open(frame)); !bytes.Equal(got, []byte{byte(i)}) {
				t.Fatal("another message")
			}
		}
	}
	largest := must(a.Seal(make([]byte, MaxDoorMessage)))
	if len(largest) > 65535 || len(must(b.Open(largest))) != MaxDoorMessage {
		t.Error("largest frame")
	}
	if _, err := a.Seal(make([]byte, MaxDoorMessage+1)); !errors.Is(err, ErrFrameTooLarge) {
		t.Errorf("too large: %v", err)
	}
	frame := must(a.Seal([]byte("x")))
	frame[0] ^= 1
	if _, err := b.Open(frame); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("changed frame: %v", err)
	}
	frame[0] ^= 1
	if _, err := b.Open(frame); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("the genuine frame after it: %v", err)
	}
	if _, _, err := d.in.Finish(d.second); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("second Finish: %v", err)
	}
}

// TestDoorStranger: whoever lacks the secret gets no answer: not by naming the invite
// without it, nor by changing or replaying what others sent, nor against a wiped invite.
//
// Checks: DOR-1.
func TestDoorStranger(t *testing.T) {
	d := newDoor(t).knock()
	refuse := func(what string, joiner MeetingKey, invite Invite, first []byte) {
		t.Helper()
		if _, answer, err := NewDoorResponder(d.member, invite, joiner, first); !errors.Is(err, ErrDoorRefused) || answer != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Knows the invite ID (it was sent in clear), guesses the secret.
	_, guess, err := NewDoorInitiator(d.joiner, "Eve", testInvite(2).Secret, d.invite.Door.Public(), d.member.Key())
	if err != nil {
		t.Fatal(err)
	}
	refuse("unknown invite", d.joiner.Key(), d.invite, guess)
	id := d.invite.Secret.ID()
	copy(guess[1:], id[:])
	refuse("guessed secret", d.joiner.Key(), d.invite, guess)
	refuse("replayed by another peer", member(3).Key(), d.invite, d.first)
	eachFlip(d.first, func(_ int, changed []byte) { refuse("changed", d.joiner.Key(), d.invite, changed) })
	eachCut(d.first, func(cut []byte) { refuse("cut", d.joiner.Key(), d.invite, cut) })
	refuse("longer", d.joiner.Key(), d.invite, append(bytes.Clone(d.first), 0))
	for _, point := range smallOrderPoints {
		forged := bytes.Clone(d.first)
		copy(forged[17:], point[:])
		refuse("small order", d.joiner.Key(), d.invite, forged)
	}
	wiped := testInvite(1)
	wiped.Wipe()
	zero := wiped.Secret.ID() // a stranger can compute all that derives from 32 zero bytes
	hs := must(noise.NewHandshakeState(noise.Config{
		CipherSuite: noiseSuite, Pattern: noise.HandshakeXX, Initiator: true,
		Prologue:     doorTranscript(testMeeting, d.joiner.Key(), d.member.Key(), zero),
		PresharedKey: wiped.Secret.doorPSK(), StaticKeypair: d.joiner.noiseKey(),
	}))
	first, _, _, err := hs.WriteMessage(append([]byte{doorVersion}, zero[:]...), encode(doorFirst{}))
	if err != nil {
		t.Fatal(err)
	}
	refuse("wiped invite", d.joiner.Key(), wiped, first)
	if _, _, err := NewDoorInitiator(d.joiner, "Ada", wiped.Secret, d.invite.Door.Public(), d.member.Key()); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("wiped secret: %v", err)
	}
	other := memberOf(MeetingID(HashOf("elsewhere")), 2)
	if _, _, err := NewDoorResponder(other, d.invite, d.joiner.Key(), d.first); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("another meeting: %v", err)
	}
	// The twin: one who has the secret is answered.
	if _, answer, err := NewDoorResponder(d.member, d.invite, d.joiner.Key(), d.first); err != nil || len(answer) == 0 {
		t.Errorf("with the link: %v", err)
	}
}

// TestDoorImpostor: somebody who has the link (it came by mail) and sits where the
// responder should learns neither name nor identity. The twin tells it both.
//
// Checks: DOR-2.
func TestDoorImpostor(t *testing.T) {
	for _, twin := range []bool{false, true} {
		d := newDoor(t).knock()
		d.in.off.doorKey = twin
		stolen := Invite{Secret: d.invite.Secret, Door: testInvite(7).Door}
		impostor, second, err := NewDoorResponder(d.member, stolen, d.joiner.Key(), d.first)
		if err != nil {
			t.Fatal("the impostor has the link's secret and should get so far")
		}
		third, _, err := d.in.Finish(second)
		if twin {
			k, _, err := impostor.Finish(third)
			if err != nil || k.Name != "Ada" || k.Bundle.Identity != d.joiner.Identity() {
				t.Errorf("the twin should have told: %v", err)
			}
		} else if !errors.Is(err, ErrDoorRefused) || third != nil {
			t.Errorf("impostor: %v", err)
		}
	}
}

// TestDoorGarbage: the second and third frames with one bit of any byte changed, cut,
// of another handshake or reflected end the handshake.
//
// Checks: DOR-2, DOR-4.
func TestDoorGarbage(t *testing.T) {
	var frames [][]byte
	for range 2 { // two handshakes, to cross them
		d := newDoor(t).knock().answer()
		d.finish()
		frames = append(frames, d.second, d.third)
	}
	second := func(change func(own []byte) []byte) {
		t.Helper()
		d := newDoor(t).knock().answer()
		if third, _, err := d.in.Finish(change(d.second)); !errors.Is(err, ErrDoorRefused) || third != nil {
			t.Errorf("second frame: %v", err)
		}
	}
	third := func(change func(own []byte) []byte) {
		t.Helper()
		d := newDoor(t).knock().answer()
		own, _, err := d.in.Finish(d.second)
		if err != nil {
			t.Fatal(err)
		}
		if _, channel, err := d.out.Finish(change(own)); !errors.Is(err, ErrDoorRefused) || channel != nil {
			t.Errorf("third frame: %v", err)
		}
	}
	for i := range frames[0] {
		second(func(b []byte) []byte { b[i] ^= 1 << (i % 8); return b })
		second(func(b []byte) []byte { return b[:i] })
	}
	for i := range frames[1] {
		third(func(b []byte) []byte { b[i] ^= 1 << (i % 8); return b })
		if i%8 == 0 {
			third(func(b []byte) []byte { return b[:i] })
		}
	}
	for _, f := range frames {
		second(func([]byte) []byte { return f })
		third(func([]byte) []byte { return f })
	}
	d := newDoor(t).knock().answer()
	if _, _, err := d.in.Finish(d.first); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("reflected: %v", err)
	}
	if _, _, err := d.in.Finish(d.second); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("the genuine frame after another: %v", err)
	}
	d = newDoor(t).knock().answer()
	own, _, err := d.in.Finish(d.second)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.out.Finish(frames[1]); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("third frame of another handshake: %v", err)
	}
	if _, _, err := d.out.Finish(own); !errors.Is(err, ErrDoorRefused) {
		t.Errorf("the genuine frame after another: %v", err)
	}
	for _, point := range smallOrderPoints {
		second(func(b []byte) []byte { copy(b, point[:]); return b })
	}
}

// TestDoorMalformedPayload: well sealed, but not the message it should be.
//
// Checks: DOR-1, DOR-4.
func TestDoorMalformedPayload(t *testing.T) {
	d := newDoor(t)
	id, public := d.invite.Secret.ID(), d.invite.Door.Public()
	config := noise.Config{
		CipherSuite: noiseSuite, Pattern: noise.HandshakeXX, Initiator: true,
		Prologue:     doorTranscript(testMeeting, d.joiner.Key(), d.member.Key(), id),
		PresharedKey: d.invite.Secret.doorPSK(), StaticKeypair: d.joiner.noiseKey(),
	}
	good := encode(doorFirst{Commitment: nonceCommitment(testMeeting, Nonce{1}, d.joiner.Key())})
	for _, payload := range [][]byte{nil, {0xa0}, append(good[:len(good):len(good)], 0), encode(doorSecond{})} {
		hs := must(noise.NewHandshakeState(config))
		first, _, _, _ := hs.WriteMessage(append([]byte{doorVersion}, id[:]...), payload)
		if _, answer, err := NewDoorResponder(d.member, d.invite, d.joiner.Key(), first); !errors.Is(err, ErrDoorRefused) || answer != nil {
			t.Errorf("first payload %x: %v", payload, err)
		}

		hs = must(noise.NewHandshakeState(config))
		first, _, _, _ = hs.WriteMessage(append([]byte{doorVersion}, id[:]...), good)
		out, second, err := NewDoorResponder(d.member, d.invite, d.joiner.Key(), first)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, _ = hs.ReadMessage(nil, second)
		third, _, _, _ := hs.WriteMessage(nil, payload)
		if _, _, err := out.Finish(third); !errors.Is(err, ErrDoorRefused) {
			t.Errorf("third payload %x: %v", payload, err)
		}

		d.knock()
		answer := config
		answer.Initiator, answer.StaticKeypair = false, noise.DHKey{Private: d.invite.Door.bytes(), Public: public[:]}
		hs = must(noise.NewHandshakeState(answer))
		_, _, _, _ = hs.ReadMessage(nil, d.first[17:])
		if bytes.Equal(payload, encode(doorSecond{})) {
			payload = good
		}
		second, _, _, _ = hs.WriteMessage(nil, payload)
		if _, _, err := d.in.Finish(second); !errors.Is(err, ErrDoorRefused) {
			t.Errorf("second payload %x: %v", payload, err)
		}
	}
}

// hostile speaks the joiner's side with a payload of the test's choosing in the third
// frame.
func hostile(t *testing.T, d *door, commitment Hash, make3 func(responder Nonce) knock) error {
	t.Helper()
	off := hooks{}
	if d.out != nil {
		off = d.out.off
	}
	return handshakeAs(t, d, off, d.joiner.noiseKey(), commitment, make3)
}

// TestDoorHostileKnock: nonces chosen late, bundles of others and signatures of something
// else are refused by a responder. Each twin, with that one check off, takes them.
//
// Checks: DOR-3, DOR-4, DOR-7, IDN-7, VER-3.
func TestDoorHostileKnock(t *testing.T) {
	d := newDoor(t)
	committed := Nonce{1}
	good := func(responder Nonce) knock { return d.signedKnock("Eve", committed, responder) }
	commitment := nonceCommitment(testMeeting, committed, d.joiner.Key())
	if err := hostile(t, d, commitment, good); err != nil {
		t.Fatalf("an honest knock: %v", err)
	}
	// late is chosen after it knew the responder's nonce, to steer the words.
	late := func(responder Nonce) knock { return d.signedKnock("Eve", responder, responder) }
	stolen := func(responder Nonce) knock {
		d := *d
		d.joiner = member(3)
		return d.signedKnock("Eve", committed, responder)
	}
	forged := func(responder Nonce) knock {
		k := good(responder)
		k.Bundle.Identity = member(3).Identity()
		full := Knock{Name: k.Name, Bundle: k.Bundle, Invite: d.invite.Secret.Key(), JoinerNonce: committed, ResponderNonce: responder}
		k.Signature = d.joiner.Sign(labelKnock, full.signed(testMeeting, d.member.Key())...)
		return k
	}
	unsigned := func(responder Nonce) knock { // by another than the bundle's meeting key
		k := good(responder)
		full := Knock{Name: k.Name, Bundle: k.Bundle, Invite: d.invite.Secret.Key(), JoinerNonce: committed, ResponderNonce: responder}
		k.Signature = member(3).Sign(labelKnock, full.signed(testMeeting, d.member.Key())...)
		return k
	}
	otherLink := func(responder Nonce) knock {
		d := *d
		d.invite = testInvite(2)
		return d.signedKnock("Eve", committed, responder)
	}
	otherDoor := func(responder Nonce) knock {
		d := *d
		d.member = member(3)
		return d.signedKnock("Eve", committed, responder)
	}
	otherName := func(responder Nonce) knock { k := good(responder); k.Name = "Ada"; return k }
	old := func(Nonce) knock { return good(Nonce{9}) }
	named := func(responder Nonce) knock { return d.signedKnock("Eve\u202e", committed, responder) }
	for name, c := range map[string]struct {
		knock func(Nonce) knock
		twin  hooks
	}{
		"late nonce":              {late, hooks{commitment: true}},
		"another's bundle":        {stolen, hooks{knockKeys: true}},
		"unsigned bundle":         {forged, hooks{bundleMeeting: true}},
		"signed by another key":   {unsigned, hooks{knockSignature: true}},
		"signed for another link": {otherLink, hooks{knockSignature: true}},
		"signed for another door": {otherDoor, hooks{knockSignature: true}},
		"signed for another name": {otherName, hooks{knockSignature: true}},
		"signed before":           {old, hooks{knockSignature: true}},
		"bidirectional name":      {named, hooks{}},
	} {
		d := newDoor(t)
		if err := hostile(t, d, commitment, c.knock); !errors.Is(err, ErrDoorRefused) {
			t.Errorf("%s: %v", name, err)
		}
		if c.twin == (hooks{}) {
			continue
		}
		d.out = &DoorResponder{off: c.twin}
		if err := hostile(t, d, commitment, c.knock); err != nil {
			t.Errorf("%s: the twin should have let it in: %v", name, err)
		}
	}
}

// TestDoorWrongAdmit: a joiner leaves if the admission isn't what it asked for: other
// nonces mean that somebody in between steers the words. The twin stays.
//
// Checks: DOR-5, VER-3.
func TestDoorWrongAdmit(t *testing.T) {
	d := newDoor(t).knock().answer()
	_, _, k := d.finish()
	if err := d.in.CheckAdmit(k.Bundle, k.Name, k.JoinerNonce, k.ResponderNonce); err != nil {
		t.Fatal(err)
	}
	wrong := []error{
		d.in.CheckAdmit(member(3).Bundle(), k.Name, k.JoinerNonce, k.ResponderNonce),
		d.in.CheckAdmit(k.Bundle, "Eve", k.JoinerNonce, k.ResponderNonce),
		d.in.CheckAdmit(k.Bundle, k.Name, Nonce{}, k.ResponderNonce),
		d.in.CheckAdmit(k.Bundle, k.Name, k.JoinerNonce, Nonce{}),
		d.in.CheckAdmit(k.Bundle, k.Name, k.ResponderNonce, k.JoinerNonce),
	}
	for i, err := range wrong {
		if !errors.Is(err, ErrWrongAdmit) {
			t.Errorf("%d: %v", i, err)
		}
	}
	unfinished := newDoor(t).knock()
	if err := unfinished.in.CheckAdmit(Bundle{}, "", unfinished.in.knocked.JoinerNonce, Nonce{}); !errors.Is(err, ErrWrongAdmit) {
		t.Errorf("before the knock: %v", err)
	}
	d.in.off.admit = true
	if err := d.in.CheckAdmit(k.Bundle, k.Name, Nonce{}, Nonce{}); err != nil {
		t.Errorf("the twin should have stayed: %v", err)
	}
}

// TestNames: what a display name may be.
//
// Checks: DOR-7.
func TestNames(t *testing.T) {
	for _, name := range []string{"Ada", "Zoë Müller", "李小龍", "عمر", "O'Neil-Smith (Cabinet X)", "é", "👩‍⚖️", strings.Repeat("x", 64), "1"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", "\t", "\u00a0", "\u200b", "\u200d", "\u0301", "\u3164", "\u2800", "\u00ad", strings.Repeat("x", 65),
		"a\nb", "a\x00", "a\x7f", "a\u0085", "a\u2028b", "a\u202eb", "a\u2066b", "a\u200fb", "a\u061cb", "\xff", "a\xc0\xaf"} {
		if err := CheckName(name); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	_, _, err := NewDoorInitiator(member(1), "\u202e", testInvite(1).Secret, testInvite(1).Door.Public(), member(2).Key())
	if !errors.Is(err, ErrName) {
		t.Errorf("own name: %v", err)
	}
	_, _, err = NewDoorInitiator(member(1), "Ada", testInvite(1).Secret, StaticKey{}, member(2).Key())
	if !errors.Is(err, ErrWeakKey) {
		t.Errorf("weak door key: %v", err)
	}
}
