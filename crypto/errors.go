package crypto

import "errors"

// The errors of this package: fixed texts, found with errors.Is, which hold nothing
// of keys or messages.
var (
	// ErrMalformed: the bytes are not the message they should be, or too long.
	// Drop them.
	ErrMalformed = errors.New("crypto: malformed message")
	// ErrWeakKey: a public key is of small order, or isn't the canonical encoding of a key (IDN-4).
	ErrWeakKey = errors.New("crypto: weak public key")
	// ErrBundle: the identity has not signed this bundle for this meeting (IDN-3).
	ErrBundle = errors.New("crypto: bundle is not signed for this meeting")
	// ErrSigner: the identity's signer is missing, is not Ed25519 or signs
	// something else. The signer's own error is wrapped where there is one.
	ErrSigner = errors.New("crypto: the identity's signer does not sign")
	// ErrNotExportable: the private key is not ours to export.
	ErrNotExportable = errors.New("crypto: this identity can't be exported")

	// ErrIdentityMalformed: the text is no exported identity.
	ErrIdentityMalformed = errors.New("this is not an exported identity")
	// ErrIdentityVersion: exported by a newer program.
	ErrIdentityVersion = errors.New("this identity was exported by another version: update the program")
	// ErrIdentityChanged: the checksum is wrong.
	ErrIdentityChanged = errors.New("this identity was cut short or changed: copy it again, the whole of it")

	// ErrName: a display name is empty, too long, or holds characters that can't be
	// seen or that change how others are read (DOR-7).
	ErrName = errors.New("a name needs 1 to 64 bytes of text that can be seen, without control characters")

	// ErrLinkMalformed: the text is no invite link (INV-2).
	ErrLinkMalformed = errors.New("this is not an invite link")
	// ErrLinkTooLong: the link is over MaxLink characters (INV-2).
	ErrLinkTooLong = errors.New("this invite link is too long")
	// ErrLinkVersion: the link is of another version of the protocol (INV-2).
	ErrLinkVersion = errors.New("this invite link is of another version: update the program")
	// ErrLinkChanged: the checksum is wrong: the link was cut or changed (INV-2).
	ErrLinkChanged = errors.New("this invite link was cut short or changed: copy it again, the whole of it")
	// ErrLinkTooMany: more doors, addresses or relays than allowed (INV-2).
	ErrLinkTooMany = errors.New("this invite link holds too many addresses")
	// ErrLinkExpired: by our clock, the link's time is over (INV-2, CLK-4).
	ErrLinkExpired = errors.New("by the date and time of this computer, this invite link has expired: ask for a new one, or, if it should still be good, check date and time")

	// ErrReplyMalformed: the text is no reply code (RPL-1).
	ErrReplyMalformed = errors.New("this is not a reply code")
	// ErrReplyTooLong: the code is over MaxReply characters (RPL-1).
	ErrReplyTooLong = errors.New("this reply code is too long")
	// ErrReplyVersion: the code is of another version of the protocol (RPL-1).
	ErrReplyVersion = errors.New("this reply code is of another version: update the program")
	// ErrReplyChanged: the checksum is wrong: the code was cut or changed (RPL-1).
	ErrReplyChanged = errors.New("this reply code was cut short or changed: copy it again, the whole of it")
	// ErrReplyForeign: the code isn't sealed to this invite (RPL-1).
	ErrReplyForeign = errors.New("this reply code is not an answer to this invite link")

	// ErrDoorRefused: the other end of the door is not who it should be, or sent
	// something else than the protocol says (DOR-1 to DOR-4). Close the stream
	// without an answer.
	ErrDoorRefused = errors.New("crypto: door handshake refused")
	// ErrWrongAdmit: the Admit is not for this knock (DOR-5). Leave.
	ErrWrongAdmit = errors.New("crypto: the admission is not the one asked for")
	// ErrFrameTooLarge: more than one frame holds.
	ErrFrameTooLarge = errors.New("crypto: frame too large")

	// ErrNoSession: no pair session, or one too old to seal with (PAI-4). Call Tick,
	// send what it returns, and wait for Installed.
	ErrNoSession = errors.New("crypto: no pair session is ready")
	// ErrRefused: a packet does not authenticate, is a replay, or comes too often. It
	// changed nothing (PAI-3, PAI-5, PAI-6). Drop it.
	ErrRefused = errors.New("crypto: packet refused")

	// ErrNoKey: the sender has no key in use: Rotate and Switch first.
	ErrNoKey = errors.New("crypto: no sender key in use")
	// ErrKeyLimit: generations or counters are used up (KEY-7). Rotate; at the last
	// generation, leave.
	ErrKeyLimit = errors.New("crypto: sender key used up")
	// ErrUnknownKey: the packet's key has not come yet; the packet was kept, for
	// 500 ms, if there was room (KEY-8). See ReaderKeys.Release.
	ErrUnknownKey = errors.New("crypto: key not known yet")
	// ErrOldKey: the packet's or wrap's key was erased, or never was for us (KEY-8).
	// Drop it.
	ErrOldKey = errors.New("crypto: key is no longer in use")
	// ErrReplay: this counter was opened before or is too old (KEY-9).
	ErrReplay = errors.New("crypto: packet seen before")
	// ErrDuplicate: the source packet was sealed before (MED-3). Drop it.
	ErrDuplicate = errors.New("crypto: source packet sealed before")
	// ErrStream: the stream number is not one for this kind of content (SPEC
	// section 7).
	ErrStream = errors.New("crypto: stream number of another kind")
	// ErrSignature: a message, announcement or knock is not signed by its author.
	ErrSignature = errors.New("crypto: not signed by its author")
	// ErrTooLarge: a message body is larger than its kind allows (MSG-2).
	ErrTooLarge = errors.New("crypto: message too large")
	// ErrEquivocation: an author told different readers different keys or readers
	// (KEY-3). EquivocationError has the proof.
	ErrEquivocation = errors.New("crypto: the sender handed out different keys under one name")

	// ErrComparison: a nonce does not open its commitment, or the comparison is over
	// (VER-4). Start again; if it happens twice, somebody interferes.
	ErrComparison = errors.New("crypto: comparison failed")
)

// signerError keeps the text of a signer's error (tokens explain themselves to the
// user) and is ErrSigner.
type signerError struct{ err error }

func (e *signerError) Error() string   { return ErrSigner.Error() + ": " + e.err.Error() }
func (e *signerError) Unwrap() []error { return []error{ErrSigner, e.err} }
