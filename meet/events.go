package meet

import (
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// Event is something that happened in a meeting. The types are those of this file.
type Event interface{ isEvent() }

// Member is one person in the meeting, as this member sees it.
type Member struct {
	// Identity names the person, Key their present incarnation.
	Identity crypto.IdentityKey
	Key      crypto.MeetingKey // fresh at each start
	// Name is what they call themselves. It proves nothing.
	Name string
	// Role is what they may do (SPEC §6.4).
	Role Role
	// Creator is the host whom nobody can remove.
	Creator bool
	// Below: this member may change their role, or remove them (ROS-8).
	Below bool
	// Self is this member.
	Self bool
	// Away: not heard for 15 s (PRE-3). Still on the roster, but given no new key.
	Away bool
	// Connected: there is a path and a pair session.
	Connected bool
	// Path is the way by which what is said reaches them. Media has one of its own: see LinkStats.
	Path Path
	// Suspended: proven to have signed two histories; nothing is sealed to them (ROS-19).
	Suspended bool
	// Verified: words were compared with this identity, in this meeting or one before (CON-1).
	Verified bool
	// Sends is what they send, as they announced it: what isn't here, such as the camera, is off. It is the reader's to
	// keep, not to change.
	Sends []SentStream
	// HandRaised is since when they have had their hand up, by their own clock; zero if it is down.
	HandRaised time.Time
	// Known: they were a contact when they came in this time.
	Known bool
	// KnownAs is that contact's name then. If it isn't Name, show both.
	KnownAs string
	// Namesake is somebody else whose name reads like this one's, unless this person is verified. If Namesake.Verified,
	// somebody may be pretending to be them (CON-2).
	Namesake Namesake
}

// Snapshot is the first event of every reader, and follows every Lagged: who is in and what there is.
type Snapshot struct {
	Members []Member       // sorted by identity
	Knocks  []Knock        // as Knocks returns them
	Tracks  []*RemoteTrack // by member and stream
	Policy  Policy         // who may enter, and send what
	// RosterHash is equal for all who see the same roster.
	RosterHash crypto.Hash
	// Generation is that of this member's own sender key, 0 before the first.
	Generation uint64
	// Recordings are those that members make or ask to make.
	Recordings []Recording
	Files      []FileOffer // live ones, this member's own too, oldest first
	// ActiveSpeaker is the key of the member who speaks, zero if nobody does.
	ActiveSpeaker crypto.MeetingKey
}

// Lagged says that this reader was more than EventBuffer events behind; a Snapshot follows.
type Lagged struct {
	// Dropped is how many events were.
	Dropped int
}

// Knock is somebody at the door (SPEC §4).
type Knock struct {
	Identity crypto.IdentityKey // whom Admit and Deny are about
	Name     string             // what they call themselves; it proves nothing
	// Verified: words were once compared with this identity (CON-1).
	Verified bool
	// Known: they are a contact. KnownAs is that contact's name: if it isn't Name, show both.
	Known   bool
	KnownAs string
	// Namesake is somebody else whose name reads like this one's: a contact, or somebody in the meeting. If
	// Namesake.Verified, somebody may be pretending to be them (CON-2).
	Namesake Namesake
	At       time.Time // when they knocked, by this member's clock
	// Door is whose door it is; zero for this member's own. Another's word for it that somebody waits is worth this: the
	// owner of Identity knocked there, with this name, in this meeting. Whether they still wait only that one knows.
	Door crypto.IdentityKey
}

// Knocked says that somebody waits to be admitted or denied: at this member's door, or, if this member may admit, at
// that of another who may (DOR-11). Nobody waits twice at one door.
type Knocked struct{ Knock Knock }

// KnockGone says that somebody no longer waits at a door: admitted, denied, turned out, or gone by themselves; or that
// whoever answers that door can't be reached any more, or mayn't admit.
type KnockGone struct {
	Identity crypto.IdentityKey
	Door     crypto.IdentityKey // as in Knock
}

// MemberJoined says that a person is on the roster.
type MemberJoined struct{ Member Member }

// LeaveReason is why somebody isn't on the roster any more.
type LeaveReason string

// The reasons.
const (
	Left     LeaveReason = "left"           // by their own word
	Removed  LeaveReason = "removed"        // by a host; a new link lets them knock again
	Banned   LeaveReason = "banned"         // by a host, for good
	Refolded LeaveReason = "admission void" // whoever admitted them had no right to (ROS-12)
)

// MemberLeft says that a person is no longer on the roster.
type MemberLeft struct {
	Member Member // as they were
	Reason LeaveReason
	// By is who removed them, zero otherwise.
	By crypto.IdentityKey
}

// MemberChanged says that something in a Member is different: role, presence, connection, incarnation,
// what they send, a raised hand.
type MemberChanged struct{ Member Member }

// RosterChanged follows every change of the roster.
type RosterChanged struct {
	Hash       crypto.Hash // equal for all who see the same
	Generation uint64      // of this member's own sender key
	Members    []Member    // sorted by identity
	Policy     Policy
}

// HostsAbsent says whether no host is there: then nobody can enter (PRE-6).
type HostsAbsent struct{ Absent bool }

// WordsAvailable says that all present members see the same roster, so that Words can be compared (VER-2). Another
// one follows each time the people change.
type WordsAvailable struct{}

// TrackAdded says that a member sends something.
type TrackAdded struct{ Track *RemoteTrack }

// TrackRemoved says that it is over. The track's reads end.
type TrackRemoved struct{ Track *RemoteTrack }

// TrackChanged says that a track was muted or unmuted by its sender.
type TrackChanged struct{ Track *RemoteTrack }

// ActiveSpeaker says that another member speaks, perhaps this one, or that nobody does any more. It goes by the levels
// that senders claim for their microphones: it is good for arranging pictures, and proves nothing. Who sends none is
// never the active speaker (LEV-2).
type ActiveSpeaker struct {
	Member Member
	OK     bool // false: nobody speaks
}

// Chat is a chat message, signed by From, and sealed for all or for this member alone.
type Chat struct {
	From Member
	ID   crypto.MessageID // each is shown once
	Time time.Time        // by the author's clock
	Text string           // UTF-8, at most 4,096 bytes (MSG-2)
	// Private: it was said to this member alone (MSG-5).
	Private bool
}

// Reaction is somebody's reaction to what happens: to be shown for a moment.
type Reaction struct {
	From Member
	Time time.Time // by the author's clock
	Text string    // one visible character (MSG-6)
}

// MuteRequested says that a host asks this member to mute what it sends. Nothing was muted: the user decides (MUT-1).
type MuteRequested struct {
	By     Member
	Source Source
}

// Data is an application's own message, sealed and signed by From.
type Data struct {
	From Member
	ID   crypto.MessageID // each is delivered once
	Time time.Time        // by the author's clock
	Data []byte           // at most 8,192 bytes (MSG-2); the reader's to keep, not to change
}

// RecordingChanged says that a member asks to record, or that their recording runs, pauses, is over, or has another's
// consent or lacks it. This member's own is among them: write only while it runs.
type RecordingChanged struct{ Recording Recording }

// FileOffered says that a member offers a file: see Meeting.ReceiveFile.
type FileOffered struct{ Offer FileOffer }

// FileWithdrawn says that a file can't be had any more: its sender, perhaps oneself, withdrew it, is gone or began anew, or
// may not send files. What was not received by then fails.
type FileWithdrawn struct{ Offer FileOffer }

// FileRefused says that somebody doesn't want a file that this member offers; each is reported once. They may still change
// their mind.
type FileRefused struct {
	Offer FileOffer
	By    Member
}

// FileState is what a transfer does at present.
type FileState uint8

// The states.
const (
	FileRunning FileState = 1 // it goes on
	FilePaused  FileState = 2 // the receiver paused it
	FileWaiting FileState = 3 // for the other side: the link is lost, or too much is under way; it goes on by itself
)

// FileProgress says how far a transfer is, at most four times a second for each.
type FileProgress struct {
	Offer FileOffer
	// Peer is the other side: the receiver if Sending, else the sender.
	Peer    Member
	Sending bool
	Done    int64 // bytes; for a sender, those the receiver says it has
	State   FileState
}

// FileDone says that a transfer is over, for a receiver with the error that FileTransfer.Wait returns.
type FileDone struct {
	Offer   FileOffer
	Peer    Member // the other side
	Sending bool
	Err     error // nil: all of it arrived
}

// VerifyRequested says that a member compares words with us alone; show them, and call MarkVerified if they match.
type VerifyRequested struct {
	From         Member
	Verification crypto.Verification // its Words and Digits are what both see
}

// ContactChanged says that there is something to remember, if the user wants that: somebody was met, verified, or isn't
// verified any more. Those met before a reader began are in Meeting.Contacts.
type ContactChanged struct{ Contact Contact }

// WarningKind is what a Warning is about.
type WarningKind string

// The kinds of warning.
const (
	// Ghost: a member's stream is readable for others than those on this roster (KEY-4).
	Ghost WarningKind = "ghost"
	// Equivocation: a member signed two histories, or handed out different keys under one name (ROS-19, KEY-3).
	Equivocation WarningKind = "equivocation"
	// Isolation: a host hasn't shown for 30 s that it hears us (PRE-5).
	Isolation WarningKind = "isolation"
	// Unresolved: somebody knows of operations that don't reach us (PRE-5).
	Unresolved WarningKind = "unresolved"
	// SendingStopped: a host hasn't heard us for 100 s (PRE-5).
	SendingStopped WarningKind = "sending stopped"
	// UnconsentedRecording: a member says that it records, though somebody hasn't consented (REC-3).
	UnconsentedRecording WarningKind = "unconsented recording"
)

// Warning is something the user must be told. Over says that it no longer holds.
type Warning struct {
	Kind   WarningKind
	Member Member // whom it is about; zero if nobody in particular
	Over   bool   // it no longer holds
}

// Ended is the last event. Err says why, as Context's cause does.
type Ended struct{ Err error }

func (Snapshot) isEvent()         {}
func (Lagged) isEvent()           {}
func (Knocked) isEvent()          {}
func (KnockGone) isEvent()        {}
func (MemberJoined) isEvent()     {}
func (MemberLeft) isEvent()       {}
func (MemberChanged) isEvent()    {}
func (RosterChanged) isEvent()    {}
func (HostsAbsent) isEvent()      {}
func (WordsAvailable) isEvent()   {}
func (TrackAdded) isEvent()       {}
func (TrackRemoved) isEvent()     {}
func (TrackChanged) isEvent()     {}
func (Chat) isEvent()             {}
func (Data) isEvent()             {}
func (RecordingChanged) isEvent() {}
func (Reaction) isEvent()         {}
func (MuteRequested) isEvent()    {}
func (VerifyRequested) isEvent()  {}
func (Warning) isEvent()          {}
func (Ended) isEvent()            {}
func (FileOffered) isEvent()      {}
func (FileWithdrawn) isEvent()    {}
func (FileRefused) isEvent()      {}
func (FileProgress) isEvent()     {}
func (FileDone) isEvent()         {}
func (ContactChanged) isEvent()   {}
func (ActiveSpeaker) isEvent()    {}
