package crypto

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"io"

	"github.com/huisclos/huisclos/crypto/codec"
)

// InviteID names an invite in clear, without giving its secret away.
type InviteID [16]byte

// String returns the first 8 bytes in hex.
func (i InviteID) String() string { return short(i[:]) }

// InviteKey is what an Invite operation publishes. It derives from the secret, so that
// members told of a secret can check it (INV-5), and joiners sign it with their knock.
type InviteKey [32]byte

// String returns the first 8 bytes in hex.
func (k InviteKey) String() string { return short(k[:]) }

// Invite is what a link lets in by, and what all who may admit share over pair
// sessions: the secret and the private door key (SPEC section 3). How often it is used
// nobody counts: two sides of a partition couldn't agree on it (INV-4).
type Invite struct {
	// Secret is in the link.
	Secret InviteSecret `cbor:"1,keyasint"`
	// Door is the key pair whose public half is in the link.
	Door DoorKey `cbor:"2,keyasint"`
}

// NewInvite makes a fresh secret and door key.
func NewInvite() Invite { return newInvite(nil) }

func newInvite(random io.Reader) Invite {
	secret, door := make([]byte, 32), make([]byte, 32)
	fill(random, secret)
	fill(random, door)
	return Invite{Secret: InviteSecret{key: (*[32]byte)(secret)}, Door: DoorKey{key: (*[32]byte)(door)}}
}

// Wipe overwrites the secrets, in all copies of the value.
func (i Invite) Wipe() { i.Secret.Wipe(); i.Door.Wipe() }

// InviteSecret is the 32 random bytes of an invite. Copies share their memory.
// The zero value, and a wiped one, holds none: no door opens with it.
type InviteSecret struct {
	hidden
	key *[32]byte
}

// InviteSecretFrom takes a copy of 32 bytes. The error is ErrMalformed.
func InviteSecretFrom(b []byte) (InviteSecret, error) {
	key, err := copy32(b)
	return InviteSecret{key: key}, err
}

// Equal compares in constant time.
func (s InviteSecret) Equal(o InviteSecret) bool {
	return subtle.ConstantTimeCompare(s.bytes(), o.bytes()) == 1
}

// ID returns what names the invite in clear.
func (s InviteSecret) ID() InviteID { return InviteID(expand(s.bytes(), labelInviteID, 16)) }

// Key returns the invite key, which goes into the Invite operation.
func (s InviteSecret) Key() InviteKey { return InviteKey(expand(s.bytes(), labelInviteKey, 32)) }

// Topic returns under what name the invite's doors are announced and looked for during a slot
// of time (SPEC section 4.2). Who doesn't have the secret can't tell two topics of one invite
// from those of two (RDV-1).
func (s InviteSecret) Topic(slot uint64) [32]byte {
	key := expand(s.bytes(), labelRendezvous, 32)
	defer wipe(key)
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, slot)) // never fails
	return [32]byte(mac.Sum(nil))
}

// Wipe overwrites the secret, in all copies of the value.
func (s InviteSecret) Wipe() { wipe(s.bytes()) }

// MarshalCBOR gives the secret to the one encoder there is. It goes into links and
// pair sessions, nowhere else.
func (s InviteSecret) MarshalCBOR() ([]byte, error) { return codec.Marshal([32]byte(s.bytes())) }

// UnmarshalCBOR is the inverse of MarshalCBOR.
func (s *InviteSecret) UnmarshalCBOR(data []byte) (err error) {
	s.key, err = decode32(data)
	return err
}

// doorPSK returns the pre-shared key of the door handshake.
func (s InviteSecret) doorPSK() []byte { return expand(s.bytes(), labelDoorPSK, 32) }

// isZero reports whether there is no secret, or a wiped one.
func (s InviteSecret) isZero() bool {
	return subtle.ConstantTimeCompare(s.bytes(), make([]byte, 32)) == 1
}

func (s InviteSecret) bytes() []byte { return bytesOf(s.key) }

// DoorKey is the X25519 key pair of an invite. Whoever answers a door proves to have
// it. Copies share their memory.
type DoorKey struct {
	hidden
	key *[32]byte
}

// DoorKeyFrom takes a copy of a 32-byte private key. The error is ErrMalformed.
func DoorKeyFrom(b []byte) (DoorKey, error) {
	key, err := copy32(b)
	return DoorKey{key: key}, err
}

// Public returns the public half, which is in the link.
func (d DoorKey) Public() StaticKey {
	private, err := ecdh.X25519().NewPrivateKey(d.bytes())
	if err != nil {
		panic("crypto: " + err.Error()) // never for 32 bytes
	}
	return StaticKey(private.PublicKey().Bytes())
}

// Wipe overwrites the private key, in all copies of the value.
func (d DoorKey) Wipe() { wipe(d.bytes()) }

// MarshalCBOR gives the private key to the one encoder there is. It goes into pair
// sessions, nowhere else.
func (d DoorKey) MarshalCBOR() ([]byte, error) { return codec.Marshal([32]byte(d.bytes())) }

// UnmarshalCBOR is the inverse of MarshalCBOR.
func (d *DoorKey) UnmarshalCBOR(data []byte) (err error) {
	d.key, err = decode32(data)
	return err
}

func (d DoorKey) bytes() []byte { return bytesOf(d.key) }

func bytesOf(key *[32]byte) []byte {
	if key == nil {
		key = new([32]byte)
	}
	return key[:]
}

func copy32(b []byte) (*[32]byte, error) {
	if len(b) != 32 {
		return nil, ErrMalformed
	}
	key := [32]byte(b)
	return &key, nil
}

func decode32(data []byte) (*[32]byte, error) {
	key := new([32]byte)
	return key, decode(data, 34, key)
}
