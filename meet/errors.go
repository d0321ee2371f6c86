package meet

import (
	"errors"
	"fmt"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
)

// Errors that end a meeting, or keep it from beginning. Context returns one as its cause.
var (
	// ErrLeft: this member left.
	ErrLeft = errors.New("you left the meeting")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the meeting was closed here")
	// ErrNoSuchMember: nobody on the roster has this key.
	ErrNoSuchMember = errors.New("nobody in the meeting has this key")
	// ErrNobodyKnocks: nobody with this key waits at the door.
	ErrNobodyKnocks = errors.New("nobody with this key waits at the door")
	// ErrNotAgreed: the members present don't yet all see the same roster, or can't all hear each other (VER-2). Try
	// again when WordsAvailable is reported.
	ErrNotAgreed = errors.New("the members don't yet all see each other: wait before comparing words")
	// ErrUnsupportedTrack: no codec of the track's can be sent.
	ErrUnsupportedTrack = errors.New("no codec of this track can be sent")
	// ErrTooManyTracks: a member publishes at most MaxPublications tracks at a time.
	ErrTooManyTracks = errors.New("too many tracks are published")
	// ErrNotPermitted: the policy doesn't let this member send that.
	ErrNotPermitted = errors.New("the meeting's policy doesn't permit this")
	// ErrTooLong: a chat message or data is too long (MSG-2).
	ErrTooLong = errors.New("the message is too long")
	// ErrNotText: a chat message is empty or isn't UTF-8.
	ErrNotText = errors.New("a chat message must be UTF-8 text, and not empty")
	// ErrNotConnected: there is no connection to this member at the moment.
	ErrNotConnected = errors.New("there is no connection to this member at the moment")
	// ErrComparing: a comparison with this member is under way; there is one at a time (VER-4).
	ErrComparing = errors.New("a comparison with this member is under way")
	// ErrComparison: a comparison took over five minutes, or the other's answer didn't fit (VER-4).
	ErrComparison = crypto.ErrComparison
	// ErrNotReaction: a reaction isn't one visible character (MSG-6).
	ErrNotReaction = errors.New("a reaction is one visible character, such as an emoji")
	// ErrTooOften: the others would ignore so many at once (MSG-7, MUT-2). Try again in some seconds.
	ErrTooOften = errors.New("too many at once: wait some seconds")
	// ErrNoRecording: this member neither records nor asks to.
	ErrNoRecording = errors.New("this person neither records nor asks to")
	// ErrTooManyRecordings: a member consents to at most 8 recordings at a time (STA-1).
	ErrTooManyRecordings = errors.New("you have consented to eight recordings: withdraw one first")
	// ErrFileGone: the file isn't offered to this member, or not any more: its sender withdrew it, left, or began anew.
	ErrFileGone = errors.New("this file is no longer offered: ask for it to be sent again")
	// ErrFileContent: what came isn't what was announced, or the sender's copy has changed. Discard what was received.
	ErrFileContent = errors.New("the file that came is not the one that was announced: discard it")
	// ErrFileUnreadable: the sender couldn't read its file.
	ErrFileUnreadable = errors.New("the sender can't read this file")
	// ErrFileCancelled: the receiver, perhaps oneself, cancelled the transfer.
	ErrFileCancelled = errors.New("the transfer was cancelled")
	// ErrFileTooLarge: a file is larger than Config.MaxFileSize.
	ErrFileTooLarge = errors.New("the file is too large")
	// ErrFileName: a file's name is empty, over 255 bytes, or not UTF-8.
	ErrFileName = errors.New("a file's name is 1 to 255 bytes of UTF-8")
	// ErrFileBusy: this file is being received, or MaxFileOffers files are offered: withdraw some.
	ErrFileBusy = errors.New("this file is being received, or too many are offered")
	// ErrNoLAN: Config.LANOnly is set, and this computer has no address on a local network that a link could name.
	ErrNoLAN = errors.New("this computer is on no local network: connect it to one, or allow more than the local network")
	// ErrOutsideLAN: Config.LANOnly is set, and nobody of the link has an address on this computer's local networks.
	ErrOutsideLAN = errors.New("this link leads outside your local network, and only that is allowed: join the network of the person who sent it, or allow more than the local network")
	// ErrNoRendezvous: a link names no address, and Config.Rendezvous has no way to find it without one.
	ErrNoRendezvous = errors.New("this link names no address: choose a way to find its meeting, such as the local network, or ask for a link with addresses")
	// ErrNotPunched: somebody of the meeting was found who can't be reached, nor can this member, and the routers between
	// them let no direct connection through.
	ErrNotPunched = errors.New("the meeting was found, but the routers between you let no direct connection through, since they give each connection another port: use a relay of your own, or ask somebody in the meeting who can be reached for a link")
	// ErrNotFound: nobody of a link that names no address was found. A topic is that of the hour, so clocks must agree
	// (CLK-4, RDV-1).
	ErrNotFound = errors.New("nobody of this meeting was found: is the person who sent the link in the meeting, and do both of you look in the same place? Check date and time on both computers, too")
	// ErrRendezvousOutside: Config.LANOnly is set beside a Rendezvous that isn't a LocalRendezvous.
	ErrRendezvousOutside = errors.New("only the local network is allowed, and a way to be found leads outside it: take one of the two away")
	// ErrRendezvousShows: Config.RelayOnly is set beside a Rendezvous.
	ErrRendezvousShows = errors.New("a way to be found shows this computer's address, which is to be hidden: take one of the two away")
	// ErrNoRelay: Config.RelayOnly is set without Config.Relays.
	ErrNoRelay = errors.New("to hide this computer's address a relay is needed: name one")
	// ErrRelayClock: a relay says that a ticket is over, and its clock and this computer's don't agree (CLK-2). It is
	// wrapped in ErrRelayAway, or in a RelayStatus's Err.
	ErrRelayClock = transport.ErrRelayClock
	// ErrRelayAway: Config.RelayOnly is set, and none of the relays answers, or serves this member.
	// It wraps the reason, if there is one.
	ErrRelayAway = errors.New("none of your relays can be used, and without one this computer's address can't be hidden: ask who runs them")
	// ErrNoCommonRelay: Config.RelayOnly is set, and nobody of the link can be reached through this member's relays.
	ErrNoCommonRelay = errors.New("nobody of this meeting is at one of your relays, and all else would show this computer's address: ask for a link by a relay that both of you use")
	// ErrIsolated: a host hasn't shown for 100 s that it hears us, so nothing is sent (PRE-5).
	ErrIsolated = errors.New("no host has heard us for 100 s: sending has stopped")
)

// RemovedError says that this member was removed from the meeting.
type RemovedError struct {
	By     crypto.IdentityKey // who did it
	ByName string             // what they call themselves
	Banned bool               // no link lets this identity in again
}

// Error names who did it.
func (e *RemovedError) Error() string {
	if e.Banned {
		return fmt.Sprintf("%s removed you from the meeting for good", e.ByName)
	}
	return fmt.Sprintf("%s removed you from the meeting", e.ByName)
}

// EndedError says that a host ended the meeting for everybody.
type EndedError struct {
	By     crypto.IdentityKey // who did it
	ByName string             // what they call themselves
}

// Error names who did it.
func (e *EndedError) Error() string { return fmt.Sprintf("%s ended the meeting", e.ByName) }

// DenyReason is why a door stayed shut (SPEC §4).
type DenyReason uint8

// The reasons.
const (
	DeniedByHost  DenyReason = 1 // a host said no; the link goes on working
	DeniedLocked  DenyReason = 2 // the meeting is locked
	DeniedLink    DenyReason = 3 // somebody was removed since the link was made
	DeniedBanned  DenyReason = 4 // this identity was removed for good
	DeniedNoHost  DenyReason = 5 // nobody with the right to admit is there
	DeniedEnded   DenyReason = 6 // the meeting is over
	DeniedBusy    DenyReason = 7 // too many knock, still after some minutes (DOR-7, DOR-14), or this identity knocked again
	DeniedRemoved DenyReason = 8 // this identity was removed, and comes by an older link
	DeniedExpired DenyReason = 9 // by the responder's clock, the link has expired
)

// DeniedError says that the meeting didn't let this person in.
type DeniedError struct {
	Reason DenyReason
	// Apart is by how much at least the clock of whoever answered is ahead of this computer's, where only by theirs the link
	// has expired: one of the two is wrong (CLK-3). 0 otherwise.
	Apart time.Duration
}

// Error says why, and what can be done.
func (e *DeniedError) Error() string {
	switch e.Reason {
	case DeniedByHost:
		return "a host of the meeting refused"
	case DeniedLocked:
		return "the meeting is locked"
	case DeniedLink:
		return "this invite link no longer works: ask for a new one"
	case DeniedBanned:
		return "you were removed from this meeting for good"
	case DeniedNoHost:
		return "no host of the meeting is there to let you in"
	case DeniedEnded:
		return "the meeting is over"
	case DeniedBusy:
		return "too many people knock at the moment: try again later"
	case DeniedRemoved:
		return "you were removed from this meeting: ask for a new invite link"
	case DeniedExpired:
		if e.Apart > 0 {
			return "this invite link has expired by the clock of whoever answered, and not by this computer's: check date and time on both computers, or ask for a new link"
		}
		return "this invite link has expired: ask for a new one"
	}
	return "the meeting didn't let you in"
}

// InviteError says what is wrong with an invite link.
type InviteError struct{ Err error }

// Error is one sentence for the person who has the link.
func (e *InviteError) Error() string { return e.Err.Error() }

// Unwrap returns the reason, one of crypto's ErrLink… errors.
func (e *InviteError) Unwrap() error { return e.Err }

// InviteExpiredError says that a link's time is over.
type InviteExpiredError struct{}

// Error says what to do.
func (e *InviteExpiredError) Error() string { return crypto.ErrLinkExpired.Error() }

// Unwrap returns crypto.ErrLinkExpired.
func (e *InviteExpiredError) Unwrap() error { return crypto.ErrLinkExpired }

// UnreachableError says that nobody answered at the addresses of a link, or was found without.
type UnreachableError struct {
	Err error
	// Neither: the link leads into a private network, and this member is in one too, so a reply code wouldn't help. A
	// RelayRendezvous that both use may.
	Neither bool
}

// Error says what to check, or what there is to choose from.
func (e *UnreachableError) Error() string {
	if errors.Is(e.Err, ErrNoRendezvous) || errors.Is(e.Err, ErrNotFound) || errors.Is(e.Err, ErrNotPunched) {
		return e.Err.Error()
	}
	if e.Neither {
		return "neither you nor the person who sent this link can be reached from outside your own networks: have one of the two routers open a port and, if it is theirs, make a new link; or ask somebody in the meeting who can be reached for a link; or use a relay of your own. The public libp2p network, if both of you choose it, finds a meeting and helps two who can't be reached to open a way to each other, which doesn't work with every router; its computers that help then see both your addresses"
	}
	return "nobody answers at the addresses in this link: is the person who sent it in the meeting, and can you reach their network?"
}

// Unwrap returns what the last attempt failed with.
func (e *UnreachableError) Unwrap() error { return e.Err }

// ImpostorError says that whoever answered the door isn't who the link says, or showed another meeting.
type ImpostorError struct{ Err error }

// Error says what to do.
func (e *ImpostorError) Error() string {
	return "whoever answered is not the meeting that this link is for: ask for a new link over another way"
}

// Unwrap returns what gave it away.
func (e *ImpostorError) Unwrap() error { return e.Err }

// Reasons why a meeting ends here that are nobody's decision.
var (
	// ErrResumedElsewhere: the same identity took up the meeting again, on another device or by another start.
	ErrResumedElsewhere = errors.New("you took up this meeting elsewhere")
	// ErrAdmissionVoid: whoever admitted this member had no right to any more (ROS-12).
	ErrAdmissionVoid = errors.New("the one who admitted you was removed before: knock again with a new link")
)
