package crypto

import (
	"errors"
	"testing"

	"github.com/flynn/noise"
)

// handshakeAs is a whole handshake of d's joiner, with a static, a commitment and a knock of the test's choosing.
func handshakeAs(t *testing.T, d *door, off hooks, static noise.DHKey, commitment Hash, make3 func(responder Nonce) knock) error {
	t.Helper()
	id := d.invite.Secret.ID()
	hs := must(noise.NewHandshakeState(noise.Config{
		CipherSuite: noiseSuite, Pattern: noise.HandshakeXX, Initiator: true,
		Prologue:     doorTranscript(testMeeting, d.joiner.Key(), d.member.Key(), id),
		PresharedKey: d.invite.Secret.doorPSK(), StaticKeypair: static,
	}))
	d.first, _, _, _ = hs.WriteMessage(append([]byte{doorVersion}, id[:]...), encode(doorFirst{Commitment: commitment}))
	d.answer()
	d.out.off = off
	payload, _, _, err := hs.ReadMessage(nil, d.second)
	if err != nil {
		t.Fatal(err)
	}
	var m doorSecond
	if err := decode(payload, maxDoorPayload, &m); err != nil {
		t.Fatal(err)
	}
	third, _, _, err := hs.WriteMessage(nil, encode(make3(m.Nonce)))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = d.out.Finish(third)
	return err
}

// TestDoorOneKey: each of the two keys of a bundle has to be the handshake's: whoever has but the one that the transport
// proves, or but the static, isn't let in by the bundle. So with a commitment made by another joiner, or for another
// meeting. Each twin, with that one check off, lets in.
//
// Checks: DOR-3, DOR-4, VER-3.
func TestDoorOneKey(t *testing.T) {
	nonce := Nonce{1}
	d, other := newDoor(t), member(3)
	commitment := nonceCommitment(testMeeting, nonce, d.joiner.Key())
	good := func(responder Nonce) knock { return d.signedKnock("Eve", nonce, responder) }
	// Of the other's bundle it has all but the transport key.
	othersKey := func(responder Nonce) knock {
		d := *d
		d.joiner = other
		return d.signedKnock("Eve", nonce, responder)
	}
	own, others, key := d.joiner.noiseKey(), other.noiseKey(), d.joiner.Key()
	if err := handshakeAs(t, newDoor(t), hooks{}, own, commitment, good); err != nil {
		t.Fatalf("an honest knock: %v", err)
	}
	for name, c := range map[string]struct {
		static     noise.DHKey
		commitment Hash
		knock      func(Nonce) knock
		twin       hooks
	}{
		"another meeting key":      {others, commitment, othersKey, hooks{knockKeys: true}},
		"another static":           {others, commitment, good, hooks{knockKeys: true}},
		"another's commitment":     {own, nonceCommitment(testMeeting, nonce, other.Key()), good, hooks{commitment: true}},
		"another meeting's":        {own, nonceCommitment(MeetingID{1}, nonce, d.joiner.Key()), good, hooks{commitment: true}},
		"commitment to no meeting": {own, HashOf(labelNonceCommitment, nonce[:], key[:]), good, hooks{commitment: true}},
		"commitment by nobody":     {own, HashOf(labelNonceCommitment, testMeeting[:], nonce[:]), good, hooks{commitment: true}},
	} {
		if err := handshakeAs(t, newDoor(t), hooks{}, c.static, c.commitment, c.knock); !errors.Is(err, ErrDoorRefused) {
			t.Errorf("%s: %v", name, err)
		}
		if err := handshakeAs(t, newDoor(t), c.twin, c.static, c.commitment, c.knock); err != nil {
			t.Errorf("%s: the twin should have let it in: %v", name, err)
		}
	}
}

// TestKnockVerify: whoever is told of a knock by its responder checks all of it, and the signature covers all of it.
//
// Checks: DOR-7, DOR-12, IDN-7.
func TestKnockVerify(t *testing.T) {
	joiner, responder := member(1), member(2).Key()
	plain := Knock{Name: "Ada", Invite: testInvite(1).Secret.Key(), JoinerNonce: Nonce{1}, ResponderNonce: Nonce{2}}
	good := joiner.SignKnock(plain, responder)
	if err := good.Verify(testMeeting, responder); err != nil {
		t.Fatal(err)
	}
	resigned := func(change func(*Knock)) Knock { // by the meeting key of its bundle, though that isn't genuine
		k := good
		change(&k)
		k.Signature = joiner.Sign(labelKnock, k.signed(testMeeting, responder)...)
		return k
	}
	changed := func(change func(*Knock)) Knock { k := good; change(&k); return k }
	for name, c := range map[string]struct {
		knock Knock
		want  error
	}{
		"another's identity":   {resigned(func(k *Knock) { k.Bundle.Identity = member(3).Identity() }), ErrBundle},
		"another static":       {resigned(func(k *Knock) { k.Bundle.Static = member(3).Bundle().Static }), ErrBundle},
		"a name in disguise":   {resigned(func(k *Knock) { k.Name = "Ada\u202e" }), ErrName},
		"no name":              {resigned(func(k *Knock) { k.Name = "" }), ErrName},
		"unsigned":             {changed(func(k *Knock) { k.Signature = Signature{} }), ErrSignature},
		"another name":         {changed(func(k *Knock) { k.Name = "Eve" }), ErrSignature},
		"another link":         {changed(func(k *Knock) { k.Invite = testInvite(2).Secret.Key() }), ErrSignature},
		"another joiner nonce": {changed(func(k *Knock) { k.JoinerNonce = Nonce{9} }), ErrSignature},
		"another nonce":        {changed(func(k *Knock) { k.ResponderNonce = Nonce{9} }), ErrSignature},
		"at another's door":    {joiner.SignKnock(plain, member(3).Key()), ErrSignature},
		"in another meeting":   {memberOf(MeetingID{1}, 1).SignKnock(plain, responder), ErrBundle},
	} {
		if err := c.knock.Verify(testMeeting, responder); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// The signature alone, for a bundle that is the same person's by the same meeting key.
	if good.VerifySignature(MeetingID{1}, responder) {
		t.Error("signed for another meeting")
	}
	if other := changed(func(k *Knock) { k.Bundle.Signature = Signature{} }); other.VerifySignature(testMeeting, responder) {
		t.Error("signed with another bundle")
	}
}
