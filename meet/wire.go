package meet

import (
	"errors"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport/relayauth"
)

// Limits of what members send each other (SPEC §9).
const (
	maxPairMessage  = 60_000
	maxGossip       = 16_384
	maxDoorMessage  = 60_000
	maxDoorMessages = 4_096 // after the handshake: more than the largest roster takes
	maxEarly        = 8_192
	maxBatch        = 24_000 // bytes of operations in one message
	maxStreams      = 32
	maxCodecText    = 256
	maxConsents     = 8
	maxRecordSize   = 1_024
	maxRecords      = 64
	maxSharedInvite = 64
	maxFileFrame    = crypto.FileChunk + 64
	maxFileReply    = 32
)

// pairMessage is what a pair session carries: a map with exactly one field (SPEC §9.1).
type pairMessage struct {
	Wrap       []byte              `cbor:"1,keyasint,omitempty"`
	Ack        *keyAck             `cbor:"2,keyasint,omitempty"`
	Heartbeat  []byte              `cbor:"3,keyasint,omitempty"`
	Sync       *roster.Sync        `cbor:"4,keyasint,omitempty"`
	Have       *roster.Have        `cbor:"5,keyasint,omitempty"`
	Want       []roster.ShortHash  `cbor:"6,keyasint,omitempty"`
	Operations [][]byte            `cbor:"7,keyasint,omitempty"`
	Addresses  [][]byte            `cbor:"8,keyasint,omitempty"` // encoded address records
	Offer      []byte              `cbor:"9,keyasint,omitempty"`
	Answer     []byte              `cbor:"10,keyasint,omitempty"`
	State      *stateAnnounce      `cbor:"11,keyasint,omitempty"`
	KeyFrame   *keyFrameRequest    `cbor:"12,keyasint,omitempty"`
	Invites    []sharedInvite      `cbor:"13,keyasint,omitempty"`
	Received   []crypto.MessageID  `cbor:"14,keyasint,omitempty"`
	Resend     *resentMessage      `cbor:"15,keyasint,omitempty"`
	Commit     *crypto.Hash        `cbor:"16,keyasint,omitempty"`
	Nonce      *crypto.Nonce       `cbor:"17,keyasint,omitempty"`
	Reveal     *crypto.Nonce       `cbor:"18,keyasint,omitempty"`
	Announce   *crypto.KeyAnnounce `cbor:"19,keyasint,omitempty"`
	Waiting    *waitingList        `cbor:"20,keyasint,omitempty"`
	Decision   *knockDecision      `cbor:"21,keyasint,omitempty"`

	Contradiction *memberHeartbeat `cbor:"25,keyasint,omitempty"` // PRE-7
	Mute          *muteRequest     `cbor:"22,keyasint,omitempty"`
	FileAsk       *fileAsk         `cbor:"23,keyasint,omitempty"` // on a file stream alone
	FileRefused   *fileDecline     `cbor:"24,keyasint,omitempty"` // FIL-11

	Relays []sharedRelay `cbor:"30,keyasint,omitempty"` // RLY-10
}

// sharedRelay is a relay that its sender may use, with a ticket for the receiver (RLY-10).
type sharedRelay struct {
	Key       relayauth.Key `cbor:"1,keyasint"`
	Addresses [][]byte      `cbor:"2,keyasint,omitempty"` // binary multiaddrs, at most 8
	Ticket    []byte        `cbor:"3,keyasint,omitempty"`
}

// keyAck acknowledges a wrap (KEY-6).
type keyAck struct {
	Generation uint64 `cbor:"1,keyasint"`
	Step       uint8  `cbor:"2,keyasint,omitempty"`
}

// addressRecord is where a member can be reached, signed by itself, so that others may pass it on (ADR-1).
type addressRecord struct {
	Author    crypto.MeetingKey `cbor:"1,keyasint"`
	Number    uint64            `cbor:"2,keyasint"`
	Addresses [][]byte          `cbor:"3,keyasint,omitempty"` // binary multiaddrs, at most 8
	Signature *crypto.Signature `cbor:"4,keyasint,omitempty"`
}

// stateAnnounce says all there is to know of its author's present state, signed (STR-1).
type stateAnnounce struct {
	Number    uint64            `cbor:"1,keyasint"`
	Streams   []stream          `cbor:"2,keyasint,omitempty"`
	Signature *crypto.Signature `cbor:"3,keyasint,omitempty"`
	Hand      uint64            `cbor:"4,keyasint,omitempty"` // raised since, Unix ms; 0 is down
	Recording *recordingState   `cbor:"5,keyasint,omitempty"`
	Consents  []consent         `cbor:"6,keyasint,omitempty"`
	Refusals  []consent         `cbor:"7,keyasint,omitempty"` // REC-5
}

// recordingState is the recording that the author of an announcement makes, or asks to make (SPEC §9.4).
type recordingState struct {
	ID      RecordingID `cbor:"1,keyasint"`
	Running bool        `cbor:"2,keyasint,omitempty"`
	Since   uint64      `cbor:"3,keyasint,omitempty"` // ran first, Unix ms; 0 if never
}

// consent is the author's to one recording of one member's, or their refusal of it (REC-2, REC-5).
type consent struct {
	Recorder crypto.MeetingKey `cbor:"1,keyasint"`
	ID       RecordingID       `cbor:"2,keyasint"`
}

// stream is one media stream: its number, what it is, and its codec as in SDP (RFC 8866).
type stream struct {
	Stream    uint8  `cbor:"1,keyasint"`
	Source    Source `cbor:"2,keyasint"`
	MimeType  string `cbor:"3,keyasint"`
	ClockRate uint32 `cbor:"4,keyasint"`
	Channels  uint16 `cbor:"5,keyasint,omitempty"`
	Format    string `cbor:"6,keyasint,omitempty"` // fmtp
	Muted     bool   `cbor:"7,keyasint,omitempty"`
	Layers    []byte `cbor:"8,keyasint,omitempty"` // of the same picture, the lowest first (LAY-1)
}

// keyFrameRequest asks the receiver of it for a key frame of its stream.
type keyFrameRequest struct {
	Stream uint8 `cbor:"1,keyasint"`
}

// muteRequest asks the receiver of it to mute what it sends (MUT-1).
type muteRequest struct {
	Source Source `cbor:"1,keyasint"`
}

// sharedInvite is what lets a member answer the door for a link (SPEC §3).
type sharedInvite struct {
	Invite    crypto.Invite `cbor:"1,keyasint"`
	Operation crypto.Hash   `cbor:"2,keyasint"` // the Invite
	// Signature is the Invite's author's, over the public door key: others pass it on (INV-5).
	Signature crypto.Signature `cbor:"3,keyasint"`
}

// waitingList says who waits at its sender's door: all of them, at most maxLobby (DOR-11).
type waitingList struct {
	Knocks []waitingKnock `cbor:"1,keyasint,omitempty"`
}

// waitingKnock is somebody who waits, and for how many seconds by now.
type waitingKnock struct {
	Knock  crypto.Knock `cbor:"1,keyasint"`
	Waited uint64       `cbor:"2,keyasint,omitempty"`
}

// knockDecision asks the responder to admit or deny whom the responder nonce of a knock names (DOR-13).
type knockDecision struct {
	Knock crypto.Nonce `cbor:"1,keyasint"`
	Admit bool         `cbor:"2,keyasint,omitempty"`
}

// resentMessage is a signed message for somebody who missed it (MSG-3).
type resentMessage struct {
	Stream uint8  `cbor:"1,keyasint"`
	Signed []byte `cbor:"2,keyasint"`
}

// gossipMessage is what the room carries: a map with exactly one field (SPEC §9.2).
type gossipMessage struct {
	Operation []byte           `cbor:"1,keyasint,omitempty"`
	Announce  []byte           `cbor:"2,keyasint,omitempty"` // an encoded KeyAnnounce
	Sealed    []byte           `cbor:"3,keyasint,omitempty"` // SPEC §7.2
	Heartbeat *memberHeartbeat `cbor:"4,keyasint,omitempty"` // for those to whom there is no pair session (PRE-2)
}

// memberHeartbeat is a heartbeat that doesn't come from its author.
type memberHeartbeat struct {
	Author    crypto.MeetingKey `cbor:"1,keyasint"`
	Heartbeat []byte            `cbor:"2,keyasint"`
}

// doorMessage is what follows the door handshake: a map with exactly one field (SPEC §4).
type doorMessage struct {
	Waiting *struct{}    `cbor:"1,keyasint,omitempty"`
	Denied  *doorDenied  `cbor:"2,keyasint,omitempty"`
	Roster  *doorRoster  `cbor:"3,keyasint,omitempty"`
	Welcome *doorWelcome `cbor:"4,keyasint,omitempty"`
	Resume  []byte       `cbor:"5,keyasint,omitempty"`
}

// doorDenied may carry the operation that put the visitor out, for whoever has the rest of the roster.
type doorDenied struct {
	Reason    DenyReason `cbor:"1,keyasint"`
	Operation []byte     `cbor:"2,keyasint,omitempty"`
}

// doorRoster is a part of the roster, parents first.
type doorRoster struct {
	Genesis    []byte   `cbor:"1,keyasint"`
	Operations [][]byte `cbor:"2,keyasint,omitempty"`
}

// doorWelcome ends the roster: the Admit, or nothing for who must resume, and where the members are.
type doorWelcome struct {
	Admit     *crypto.Hash `cbor:"1,keyasint,omitempty"`
	Addresses [][]byte     `cbor:"2,keyasint,omitempty"` // encoded address records
}

// earlyData rides in a pair session's handshake: hints only (PAI-2).
type earlyData struct {
	Media []byte `cbor:"1,keyasint,omitempty"` // an offer in message 1, an answer in message 2
}

// fileAnnounce is the body of a message about a file: an offer, or the withdrawal of an earlier one (FIL-1). In a message
// to one person it follows that person's identity.
type fileAnnounce struct {
	Name      string            `cbor:"1,keyasint,omitempty"`
	Size      uint64            `cbor:"2,keyasint,omitempty"`
	Hash      *crypto.Hash      `cbor:"3,keyasint,omitempty"` // SHA-256 of the content
	Withdrawn *crypto.MessageID `cbor:"4,keyasint,omitempty"` // the offer's
}

// fileAsk is the first frame of a file stream, in a packet of the pair session: what is wanted, from which chunk, and
// under which fresh key (FIL-4).
type fileAsk struct {
	File   crypto.FileID  `cbor:"1,keyasint"`
	From   uint64         `cbor:"2,keyasint,omitempty"`
	Key    crypto.FileKey `cbor:"3,keyasint"`
	Number uint64         `cbor:"4,keyasint"` // FIL-13: greater than those of all its requests before
}

// fileDecline says that a file isn't wanted, and that the request of this number, if any, was the last for it (SPEC §9.5).
type fileDecline struct {
	File   crypto.FileID `cbor:"1,keyasint"`
	Number uint64        `cbor:"2,keyasint,omitempty"`
}

// fileDown is what the sender of a file says on its stream: a map with exactly one field (SPEC §9.5).
type fileDown struct {
	Chunk   []byte      `cbor:"1,keyasint,omitempty"` // sealed
	Refused fileRefusal `cbor:"2,keyasint,omitempty"`
}

// fileUp is what the receiver says after its first frame: a map with exactly one field (SPEC §9.5).
type fileUp struct {
	Taken uint64  `cbor:"1,keyasint,omitempty"` // how many chunks it has, from the file's first
	Ended fileEnd `cbor:"2,keyasint,omitempty"`
}

type fileRefusal uint8

const (
	refusedUnknown    fileRefusal = 1 // it isn't offered to you, or no longer
	refusedBusy       fileRefusal = 2 // too much is under way: ask again
	refusedUnreadable fileRefusal = 3 // the content can't be read, or has changed
)

type fileEnd uint8

const (
	endedComplete  fileEnd = 1 // all of it came, and its hash is right
	endedPaused    fileEnd = 2
	endedCancelled fileEnd = 3
	endedWrong     fileEnd = 4 // it isn't what was announced
)

// decodeOne decodes a map with exactly one field, which is what every message here is (SPEC §9): so each has one meaning.
func decodeOne(raw []byte, limit int, v any) error {
	if len(raw) == 0 || raw[0] != mapOfOne {
		return errNotOne
	}
	return codec.Unmarshal(raw, limit, v)
}

const mapOfOne = 0xa1 // CBOR's head of a map with one pair

var errNotOne = errors.New("a message must be a map with exactly one field")

// encode encodes a message of this file, which can't fail: none holds anything that has no encoding.
func encode(v any) []byte {
	raw, err := codec.Marshal(v)
	if err != nil {
		panic("meet: " + err.Error())
	}
	return raw
}
