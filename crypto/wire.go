package crypto

import (
	"github.com/huisclos/huisclos/crypto/codec"
)

// Labels of hashes, signatures and derivations (SPEC section 1): one purpose each.
const (
	labelBundle           = "bundle"
	labelIdentityChecksum = "identity checksum"
	labelInviteID         = "invite id"
	labelDoorPSK          = "door psk"
	labelInviteKey        = "invite key"
	labelRendezvous       = "rendezvous"
	labelLinkChecksum     = "link checksum"
	labelNonceCommitment  = "nonce commitment"
	labelKnock            = "knock"
	labelSenderKey        = "sender key"
	labelRecipients       = "recipients"
	labelKeyView          = "key view"
	labelKeyAnnounce      = "key announce"
	labelStream           = "stream"
	labelMessage          = "message"
	labelSealedMessage    = "sealed message"
	labelWords            = "words"
	labelPairCommitment   = "pair commitment"
	labelPairWords        = "pair words"
	labelFileID           = "file id"
	labelFileChunks       = "file chunks"
	labelFileTransfer     = "file transfer"
	labelReply            = "reply"
	labelReplyChecksum    = "reply checksum"

	// Prologues and HKDF info, in full.
	doorPrologue = protocol + "door\x00"
	pairPrologue = protocol + "pair\x00"
	pairKeysInfo = protocol + "pair keys"
)

// Limits of what is decoded, in bytes (COD-3).
const (
	maxBundle       = 256
	maxKnock        = 512
	maxDoorPayload  = 64
	maxWrap         = 256
	maxKeyAnnounce  = 256 + 9*MaxOmitted
	maxInnerMessage = MaxDataBody + 128
	maxMessage      = maxInnerMessage + 256
)

// Bundle is the binding of an incarnation's keys to its identity (SPEC section 2).
type Bundle struct {
	// Identity names the person.
	Identity IdentityKey `cbor:"1,keyasint"`
	// MeetingKey names the incarnation.
	MeetingKey MeetingKey `cbor:"2,keyasint"`
	// Static is the incarnation's key for Noise handshakes.
	Static StaticKey `cbor:"3,keyasint"`
	// Signature is the identity's over meeting ID, meeting key and static.
	Signature Signature `cbor:"4,keyasint"`
}

// linkBody is what a link encodes (SPEC section 3).
type linkBody struct {
	Meeting MeetingID `cbor:"1,keyasint"`
	Secret  [32]byte  `cbor:"2,keyasint"`
	DoorKey StaticKey `cbor:"3,keyasint"`
	Doors   []Door    `cbor:"4,keyasint"`
	Relays  [][]byte  `cbor:"5,keyasint,omitempty"`
	Expiry  uint64    `cbor:"6,keyasint,omitempty"` // Unix seconds
}

// Door is where a link leads: a member who may admit, and that member's addresses
// (SPEC section 3).
type Door struct {
	// Key is the member's meeting key.
	Key MeetingKey `cbor:"1,keyasint"`
	// Addresses are binary multiaddrs, at most MaxDoorAddresses.
	Addresses [][]byte `cbor:"2,keyasint"`
}

// doorFirst is the payload of the door's Noise message 1 (SPEC section 4).
type doorFirst struct {
	Commitment Hash `cbor:"1,keyasint"`
}

// doorSecond is the payload of the door's Noise message 2 (SPEC section 4).
type doorSecond struct {
	Nonce Nonce `cbor:"1,keyasint"`
}

// knock is the payload of the door's Noise message 3 (SPEC section 4).
type knock struct {
	Name      string    `cbor:"1,keyasint"`
	Bundle    Bundle    `cbor:"2,keyasint"`
	Nonce     Nonce     `cbor:"3,keyasint"`
	Signature Signature `cbor:"4,keyasint"`
}

// Knock is what a joiner shows at the door, with the two nonces that go into its Admit.
// The joiner signs all of it, for one responder: so those whom the responder tells of it
// can verify it too (SPEC sections 4 and 9.1).
type Knock struct {
	// Name is the joiner's display name, which it chose: it proves nothing.
	Name string `cbor:"1,keyasint"`
	// Bundle is the joiner's.
	Bundle Bundle `cbor:"2,keyasint"`
	// Invite is the key of the invite it came by.
	Invite InviteKey `cbor:"3,keyasint"`
	// JoinerNonce is the nonce the joiner committed to first.
	JoinerNonce Nonce `cbor:"4,keyasint"`
	// ResponderNonce is the responder's: fresh, so that it names this knock.
	ResponderNonce Nonce `cbor:"5,keyasint"`
	// Signature is by the meeting key of the bundle, over all of this and the
	// responder's meeting key (IDN-7).
	Signature Signature `cbor:"6,keyasint"`
}

// The door's first frame is doorVersion ‖ invite ID ‖ Noise message 1 (SPEC section 4).
const doorVersion = 0x01

// Types of pair packets, their first byte (SPEC section 5).
const (
	pairInitiation = 0x01
	pairResponse   = 0x02
	pairData       = 0x03
	pairNudge      = 0x04
)

// pairHeaderSize is that of a data packet: type, session, counter u48.
const pairHeaderSize = 8

// wrap is a sender key on its way to one reader (SPEC section 7).
type wrap struct {
	_          struct{} `cbor:",toarray"`
	Generation uint64
	Step       uint8
	Key        []byte // of the suite's hash size
	View       KeyView
	Signature  Signature
}

// KeyAnnounce says, to everybody, for whom a sender key is (SPEC section 7).
type KeyAnnounce struct {
	// Author is the sender's meeting key.
	Author MeetingKey `cbor:"1,keyasint"`
	// Generation counts the sender's random keys, from 1.
	Generation uint64 `cbor:"2,keyasint"`
	// Step is how often this generation was ratcheted, 0 to MaxStep.
	Step uint8 `cbor:"3,keyasint"`
	// Roster is the hash of the roster the sender saw.
	Roster Hash `cbor:"4,keyasint"`
	// Recipients is RecipientsHash of the readers.
	Recipients Hash `cbor:"5,keyasint"`
	// Commitment fixes the key.
	Commitment Hash `cbor:"6,keyasint"`
	// Signature is the author's; a wrap of this key carries the same.
	Signature Signature `cbor:"7,keyasint"`
	// Omitted names those on the roster who are not among the readers, such as who is away, by the first 8 bytes of
	// their meeting keys, sorted, at most MaxOmitted. So whoever sees the same roster can tell who the readers are.
	Omitted [][8]byte `cbor:"8,keyasint,omitempty"`
}

// Bits of the clear byte of a sealed packet (SPEC section 7.1).
const (
	clearStart       = 0x80
	clearKeyFrame    = 0x40
	clearDiscardable = 0x20
	clearReserved    = 0x18
	clearTemporal    = 0x07
)

// The inner header of sealed media (SPEC section 7.1): flags, sequence number u16,
// timestamp u32, and the level if its bit is set.
const (
	innerMarker     = 0x80
	innerLevel      = 0x40
	innerReserved   = 0x3f
	innerHeaderSize = 7
)

// SealedMessage is a message as gossip carries it (SPEC section 7.2).
type SealedMessage struct {
	// Author is who claims to have sealed it.
	Author MeetingKey `cbor:"1,keyasint"`
	// Sealed is the packet for the author's ReaderKeys.OpenMessage.
	Sealed []byte `cbor:"2,keyasint"`
	// Signature is the author's, of the packet as it is.
	Signature Signature `cbor:"3,keyasint"`
}

// innerMessage is what is sealed in it (SPEC section 7.2).
type innerMessage struct {
	ID        MessageID `cbor:"1,keyasint"`
	Time      uint64    `cbor:"2,keyasint"` // Unix ms
	Body      []byte    `cbor:"3,keyasint"`
	Signature Signature `cbor:"4,keyasint"`
}

// encode encodes a message of this file, which can't fail: none holds anything
// that has no encoding.
func encode(v any) []byte {
	b, err := codec.Marshal(v)
	if err != nil {
		panic("crypto: " + err.Error())
	}
	return b
}

// decode decodes one message of at most limit bytes, or fails with ErrMalformed.
func decode(data []byte, limit int, v any) error {
	if codec.Unmarshal(data, limit, v) != nil {
		return ErrMalformed
	}
	return nil
}
