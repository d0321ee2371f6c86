package crypto

import (
	"crypto/subtle"
	"io"

	"github.com/flynn/noise"
)

// MaxDoorMessage is the most bytes DoorChannel.Seal takes, so that a frame is at most
// one Noise message of 65,535 bytes.
const MaxDoorMessage = noise.MaxMsgLen - 16

// Noise_*_25519_AESGCM_SHA256, of doors and pair sessions alike.
var noiseSuite = noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)

// Verify checks a knock at a responder's door: bundle, name (DOR-7) and signature. The
// errors are ErrWeakKey, ErrBundle, ErrName and ErrSignature.
func (k Knock) Verify(meeting MeetingID, responder MeetingKey) error {
	if err := k.Bundle.Verify(meeting); err != nil {
		return err
	}
	if err := CheckName(k.Name); err != nil {
		return err
	}
	if !k.VerifySignature(meeting, responder) {
		return ErrSignature
	}
	return nil
}

// VerifySignature checks the signature alone: that whoever has the bundle's meeting key
// knocked so at this responder's door (IDN-7). It doesn't check the bundle: see Verify.
func (k Knock) VerifySignature(meeting MeetingID, responder MeetingKey) bool {
	return k.Bundle.MeetingKey.Verify(labelKnock, k.Signature, k.signed(meeting, responder)...)
}

// SignKnock fills in bundle and signature of a knock at a responder's door.
func (n *Incarnation) SignKnock(k Knock, responder MeetingKey) Knock {
	k.Bundle = n.bundle
	k.Signature = n.Sign(labelKnock, k.signed(n.meeting, responder)...)
	return k
}

// signed is of fixed length but for the name at its end.
func (k Knock) signed(meeting MeetingID, responder MeetingKey) [][]byte {
	h := k.Bundle.Hash()
	return [][]byte{meeting[:], k.Invite[:], responder[:], h[:], k.JoinerNonce[:], k.ResponderNonce[:], []byte(k.Name)}
}

// DoorInitiator is the joiner's side of the door handshake (SPEC section 4):
//
//	NewDoorInitiator ──first──▶ … ──second──▶ Finish ──third──▶ …, and a DoorChannel
//
// An error ends it; close the stream without a word.
type DoorInitiator struct {
	hidden
	noise   *noise.HandshakeState
	inc     *Incarnation
	door    StaticKey
	member  MeetingKey // whose door it is
	knocked Knock      // unsigned until the door is proven
	off     hooks
}

// NewDoorInitiator knocks, under a display name, with an invite secret at the door of
// the member whose meeting key the transport authenticated as responder. It returns the
// first frame. The errors are ErrName, ErrWeakKey and, for a wiped secret,
// ErrDoorRefused.
func NewDoorInitiator(inc *Incarnation, name string, secret InviteSecret, door StaticKey, responder MeetingKey) (*DoorInitiator, []byte, error) {
	return newDoorInitiator(inc, name, secret, door, responder, nil)
}

func newDoorInitiator(inc *Incarnation, name string, secret InviteSecret, door StaticKey, responder MeetingKey, random io.Reader) (*DoorInitiator, []byte, error) {
	if err := CheckName(name); err != nil {
		return nil, nil, err
	}
	if err := door.Check(); err != nil {
		return nil, nil, err
	}
	if secret.isZero() {
		return nil, nil, ErrDoorRefused
	}
	d := &DoorInitiator{inc: inc, door: door, member: responder, knocked: Knock{Name: name, Invite: secret.Key()}}
	fill(random, d.knocked.JoinerNonce[:])
	id, psk := secret.ID(), secret.doorPSK()
	defer wipe(psk)
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:   noiseSuite,
		Random:        random,
		Pattern:       noise.HandshakeXX,
		Initiator:     true,
		Prologue:      doorTranscript(inc.meeting, inc.Key(), responder, id),
		PresharedKey:  psk,
		StaticKeypair: inc.noiseKey(),
	})
	if err != nil {
		return nil, nil, ErrDoorRefused
	}
	d.noise = hs
	commitment := nonceCommitment(inc.meeting, d.knocked.JoinerNonce, inc.Key())
	first := append([]byte{doorVersion}, id[:]...)
	first, _, _, err = hs.WriteMessage(first, encode(doorFirst{Commitment: commitment}))
	if err != nil {
		return nil, nil, ErrDoorRefused
	}
	return d, first, nil
}

// Finish takes the responder's frame. Only when that has proved the door key does it
// return the third frame, which names the joiner (DOR-2), and the channel for what
// follows. The error is ErrDoorRefused.
func (d *DoorInitiator) Finish(second []byte) (third []byte, channel *DoorChannel, err error) {
	hs := d.noise
	d.noise = nil // one try: fail closed
	if hs == nil {
		return nil, nil, ErrDoorRefused
	}
	payload, _, _, err := hs.ReadMessage(nil, second)
	if err != nil {
		return nil, nil, ErrDoorRefused
	}
	// DOR-2: whoever answers has the private door key, or learns nothing.
	if subtle.ConstantTimeCompare(hs.PeerStatic(), d.door[:]) != 1 && !d.off.doorKey {
		return nil, nil, ErrDoorRefused
	}
	var m doorSecond
	if decode(payload, maxDoorPayload, &m) != nil {
		return nil, nil, ErrDoorRefused
	}
	k := &d.knocked
	k.ResponderNonce = m.Nonce
	*k = d.inc.SignKnock(*k, d.member)
	third, send, receive, err := hs.WriteMessage(nil, encode(knock{Name: k.Name, Bundle: k.Bundle, Nonce: k.JoinerNonce, Signature: k.Signature}))
	if err != nil {
		return nil, nil, ErrDoorRefused
	}
	return third, &DoorChannel{send: send, receive: receive}, nil
}

// CheckAdmit returns ErrWrongAdmit unless an Admit carries this joiner's bundle, name
// and both nonces (DOR-5). Call it after Finish and before trusting the roster the Admit came with.
func (d *DoorInitiator) CheckAdmit(b Bundle, name string, joiner, responder Nonce) error {
	k := &d.knocked
	if k.Bundle == (Bundle{}) || b != k.Bundle || name != k.Name || joiner != k.JoinerNonce || responder != k.ResponderNonce {
		if !d.off.admit {
			return ErrWrongAdmit
		}
	}
	return nil
}

// DoorInviteID reads, from the first frame of a door stream, which invite it names, so
// that the responder can look it up. For an unknown one close the stream without an
// answer (DOR-1). The error is ErrDoorRefused.
func DoorInviteID(first []byte) (InviteID, error) {
	if len(first) < 1+len(InviteID{}) || first[0] != doorVersion {
		return InviteID{}, ErrDoorRefused
	}
	return InviteID(first[1:]), nil
}

// DoorResponder is the admitting member's side of the door handshake (SPEC section 4):
//
//	first frame ──▶ DoorInviteID, NewDoorResponder ──second──▶ … ──third──▶ Finish ──▶ Knock
//
// An error ends it; close the stream without an answer.
type DoorResponder struct {
	hidden
	noise      *noise.HandshakeState
	meeting    MeetingID
	self       MeetingKey
	invite     Invite
	joiner     MeetingKey
	commitment Hash
	nonce      Nonce
	off        hooks
}

// NewDoorResponder answers the first frame of the peer that the transport
// authenticated as joiner, with the invite the frame names, and returns the second
// frame. A peer without the link gets ErrDoorRefused and no answer (DOR-1).
func NewDoorResponder(inc *Incarnation, invite Invite, joiner MeetingKey, first []byte) (*DoorResponder, []byte, error) {
	return newDoorResponder(inc, invite, joiner, first, nil)
}

func newDoorResponder(inc *Incarnation, invite Invite, joiner MeetingKey, first []byte, random io.Reader) (*DoorResponder, []byte, error) {
	id, err := DoorInviteID(first)
	if err != nil || invite.Secret.isZero() || id != invite.Secret.ID() {
		return nil, nil, ErrDoorRefused
	}
	psk, public := invite.Secret.doorPSK(), invite.Door.Public()
	defer wipe(psk)
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:   noiseSuite,
		Random:        random,
		Pattern:       noise.HandshakeXX,
		Prologue:      doorTranscript(inc.meeting, joiner, inc.Key(), id),
		PresharedKey:  psk,
		StaticKeypair: noise.DHKey{Private: invite.Door.bytes(), Public: public[:]},
	})
	if err != nil {
		return nil, nil, ErrDoorRefused
	}
	// DOR-1: without the PSK this fails, and nothing is answered.
	payload, _, _, err := hs.ReadMessage(nil, first[1+len(id):])
	if err != nil {
		return nil, nil, ErrDoorRefused
	}
	var m doorFirst
	if decode(payload, maxDoorPayload, &m) != nil {
		return nil, nil, ErrDoorRefused
	}
	d := &DoorResponder{noise: hs, meeting: inc.meeting, self: inc.Key(), invite: invite, joiner: joiner, commitment: m.Commitment}
	fill(random, d.nonce[:])
	second, _, _, err := hs.WriteMessage(nil, encode(doorSecond{Nonce: d.nonce}))
	if err != nil {
		return nil, nil, ErrDoorRefused
	}
	return d, second, nil
}

// Finish takes the third frame and returns the knock, with everything in it verified
// (DOR-3, DOR-4, DOR-7's rules on names), and the channel to answer it on. The error is
// ErrDoorRefused.
func (d *DoorResponder) Finish(third []byte) (Knock, *DoorChannel, error) {
	hs := d.noise
	d.noise = nil // one try: fail closed
	if hs == nil {
		return Knock{}, nil, ErrDoorRefused
	}
	payload, receive, send, err := hs.ReadMessage(nil, third)
	if err != nil {
		return Knock{}, nil, ErrDoorRefused
	}
	var m knock
	if decode(payload, maxKnock, &m) != nil {
		return Knock{}, nil, ErrDoorRefused
	}
	k := Knock{Name: m.Name, Bundle: m.Bundle, Invite: d.invite.Secret.Key(), JoinerNonce: m.Nonce, ResponderNonce: d.nonce, Signature: m.Signature}
	if d.check(k, StaticKey(hs.PeerStatic())) != nil {
		return Knock{}, nil, ErrDoorRefused
	}
	return k, &DoorChannel{send: send, receive: receive}, nil
}

func (d *DoorResponder) check(k Knock, static StaticKey) error {
	if err := CheckName(k.Name); err != nil { // DOR-7
		return err
	}
	// DOR-3: the nonce was fixed before it could know ours.
	if nonceCommitment(d.meeting, k.JoinerNonce, d.joiner) != d.commitment && !d.off.commitment {
		return ErrDoorRefused
	}
	// DOR-4: the bundle belongs to whom we talk with, and is genuine.
	if (k.Bundle.MeetingKey != d.joiner || k.Bundle.Static != static) && !d.off.knockKeys {
		return ErrDoorRefused
	}
	if err := k.Bundle.verify(d.meeting, d.off); err != nil {
		return err
	}
	// IDN-7: it says so to others as well, whom the transport proves nothing.
	if !k.VerifySignature(d.meeting, d.self) && !d.off.knockSignature {
		return ErrSignature
	}
	return nil
}

// doorTranscript is the prologue of the door handshake (SPEC section 4).
func doorTranscript(meeting MeetingID, joiner, responder MeetingKey, id InviteID) []byte {
	p := append([]byte(doorPrologue), meeting[:]...)
	p = append(append(p, joiner[:]...), responder[:]...)
	return append(p, id[:]...)
}

// nonceCommitment fixes the joiner's nonce before it can know the responder's: what
// makes the words safe with 60 bits (VER-3).
func nonceCommitment(meeting MeetingID, nonce Nonce, joiner MeetingKey) Hash {
	return HashOf(labelNonceCommitment, meeting[:], nonce[:], joiner[:])
}

// noiseKey returns the static as Noise wants it. It shares memory with n, so that
// n.Wipe reaches it.
func (n *Incarnation) noiseKey() noise.DHKey {
	return noise.DHKey{Private: n.static, Public: n.bundle.Static[:]}
}

// DoorChannel seals the frames that follow the door handshake. Frames must arrive
// complete and in order. One goroutine may seal while another opens.
type DoorChannel struct {
	hidden
	send, receive *noise.CipherState
	broken        bool // of the opening side
}

// Seal returns the frame that carries message. The error is ErrFrameTooLarge for more
// than MaxDoorMessage bytes.
func (c *DoorChannel) Seal(message []byte) ([]byte, error) {
	if len(message) > MaxDoorMessage {
		return nil, ErrFrameTooLarge
	}
	frame, err := c.send.Encrypt(nil, nil, message)
	if err != nil {
		return nil, ErrDoorRefused
	}
	return frame, nil
}

// Open returns the message of the next frame. The error is ErrDoorRefused, and then
// every later call's too: close the stream.
func (c *DoorChannel) Open(frame []byte) ([]byte, error) {
	if c.broken || len(frame) > noise.MaxMsgLen {
		c.broken = true
		return nil, ErrDoorRefused
	}
	message, err := c.receive.Decrypt(nil, nil, frame)
	if err != nil {
		c.broken = true
		return nil, ErrDoorRefused
	}
	return message, nil
}
