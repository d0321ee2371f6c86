package main

import "encoding/json"

// This file and protocol_state.go define everything that passes between the agent and its page; page/protocol.js is
// their mirror for the browser. protocol_requests.go holds what each request takes and gives.
//
// # Coming in
//
// The agent opens the browser at http://127.0.0.1:PORT/#TOKEN. The page takes the token out of the address bar
// (history.replaceState) and exchanges it: POST /session with {"token":"…"} gives {"session":"…"}, or 401. A token
// works once, and for two minutes. The session key is kept in sessionStorage, so that reloading the tab works; there
// is no cookie.
//
// Everything else then carries the session:
//
//	WebSocket /socket      subprotocols "huisclos.1" and "session.KEY"; the answer is "huisclos.1"
//	PUT  /upload/TICKET    Authorization: Bearer KEY; the body is the file
//	GET  /download/TICKET  a navigation (<a download>); the ticket works once, for a minute
//
// # The socket
//
// Text frames of JSON, one message each, at most 256 KiB. The page sends requests, the agent replies to each once, in
// any order, and sends events. Of changes of one kind (settings, policy, what is sent, …) the last one sent holds.
//
//	{"id":7,"do":"say","text":"Bonjour"}             request; id is the page's, 1 to 2^53-1, and not used twice
//	{"re":7}                                         reply; the result's fields stand beside "re"
//	{"re":7,"error":{"code":"not-permitted"}}        refusal; codes are below, the page has the sentences
//	{"event":"state","state":{"phase":{…},…}}        first, and after each reconnection: everything
//	{"event":"changed","part":"members","value":[…]} a part of the state is now this, whole
//	{"event":"reaction",…}                           something happened that leaves no state
//
// A second page takes over: the older one gets {"event":"superseded"} and its socket is closed with code 4001; it
// must not reconnect by itself, but may offer to ("use it here"). Code 4002: the agent has ended; 4003: the session
// is no longer known. On any other end the page reconnects, after 0.5 s, then doubling to 5 s.
//
// Members are named by "id", their identity's public key in 64 hexadecimal digits; it stays when they restart. Times
// are milliseconds since 1970. Names and texts are untrusted: at most 64 bytes and 4,096 bytes, valid UTF-8; the agent
// has taken out control characters and changes of direction, the page shows them as text and isolates their direction.

// request is what the page asks for. The other fields are those of the type named like the request in
// protocol_requests.go.
type request struct {
	ID int64  `json:"id"`
	Do string `json:"do"`
}

// reply answers a request. The fields of Result, if any, stand beside re.
type reply struct {
	Re     int64    `json:"re"`
	Error  *failure `json:"error,omitempty"`
	Result any      `json:"-"`
}

// MarshalJSON puts the result's fields beside re.
func (r reply) MarshalJSON() ([]byte, error) {
	type plain reply
	head, err := json.Marshal(plain(r))
	if err != nil || r.Result == nil {
		return head, err
	}
	body, err := json.Marshal(r.Result)
	if err != nil || len(body) <= len("{}") {
		return head, err
	}
	return append(append(head[:len(head)-1], ','), body[1:]...), nil
}

// failure says why a request was refused, or why something ended.
type failure struct {
	Code code `json:"code"`
	// By names who caused it, for the codes that say so.
	By string `json:"by,omitempty"`
	// Seconds is how long to wait, for busy and rate-limited.
	Seconds int `json:"seconds,omitempty"`
	// Limit is the limit that was passed, for too-long and too-many.
	Limit int64 `json:"limit,omitempty"`
	// Detail is technical, in English, for a "details" fold. It holds no secret.
	Detail string `json:"detail,omitempty"`
}

// code is a stable word for what went wrong. The page translates it, with the failure's other fields.
type code string

const (
	// The page's own doing.
	badRequest  code = "bad-request"  // unknown request, or fields that don't fit
	rateLimited code = "rate-limited" // too many requests at once
	unavailable code = "unavailable"  // this version can't do it; see features
	busy        code = "busy"         // the same is under way already
	canceled    code = "canceled"     // by the person, before it was done
	timeout     code = "timeout"      // it took too long
	internal    code = "internal"     // a fault in the agent

	// Where we are.
	notInMeeting     code = "not-in-meeting"
	alreadyInMeeting code = "already-in-meeting"

	// Links and the door.
	badName          code = "bad-name" // empty, over 64 bytes, or not visible text
	badLink          code = "bad-link" // not a huisclos link, or damaged on its way
	linkExpired      code = "link-expired"
	unreachable      code = "unreachable"       // nobody answered at the link's addresses
	neitherSide      code = "neither-reachable" // nor can this computer be reached: a router, relay or directory is needed
	routersApart     code = "routers-apart"     // found, and the routers on the way let no direct connection through
	noWayToFind      code = "no-way-to-find"    // the link names no address, and no way to find it is on
	notFound         code = "not-found"         // it names none, and nobody was found
	outsideLAN       code = "outside-lan"       // the link leads outside the local network, and only that is allowed
	noLAN            code = "no-lan"            // the same, and there is no local network
	needsRelay       code = "needs-relay"       // hiding the address needs one
	relayAway        code = "relay-away"        // none of the relays can be used
	relayClock       code = "relay-clock"       // none can, and by the clock of one our ticket is over
	noCommonRelay    code = "no-common-relay"   // nobody of the link is at one of ours
	badRelay         code = "bad-relay"         // not a relay's text, or damaged
	badNodes         code = "bad-nodes"         // not addresses of a DHT's nodes
	replyUnreadable  code = "reply-unreadable"  // not a whole reply code
	replyForeign     code = "reply-foreign"     // not to a link of this meeting
	replyExpired     code = "reply-expired"     // its link no longer works
	replyUnreachable code = "reply-unreachable" // nobody answers at its addresses
	replyLost        code = "reply-lost"        // the connection broke while the guest waited: the host takes the code again
	replyRenewed     code = "reply-renewed"     // the same, by a code that the host hasn't seen
	doorLost         code = "door-lost"         // the connection broke while the guest waited, and didn't come back
	impostor         code = "impostor"          // whoever answered isn't who made the link
	deniedByHost     code = "denied-by-host"
	deniedLocked     code = "denied-locked"
	deniedLink       code = "denied-link"  // somebody was removed since
	deniedClock      code = "denied-clock" // expired by the clock of whoever answered, and not by this computer's
	deniedBanned     code = "denied-banned"
	deniedNoHost     code = "denied-no-host"
	deniedEnded      code = "denied-ended"
	deniedBusy       code = "denied-busy"
	deniedRemoved    code = "denied-removed" // removed before, and came by an older link
	network          code = "network"        // couldn't listen or connect

	// How a meeting ends for us.
	left             code = "left"
	removed          code = "removed" // by
	banned           code = "banned"  // by
	endedByHost      code = "ended"   // by
	resumedElsewhere code = "resumed-elsewhere"
	admissionVoid    code = "admission-void" // whoever admitted us had no right to any more
	pageGone         code = "page-gone"      // the tab was closed longer than the grace
	recordingRefused code = "recording-refused"
	unsavedRecording code = "unsaved-recording" // it would be lost: recording-save or recording-discard first
	unsavedFiles     code = "unsaved-files"     // the same of files that came: file-save or files-discard first

	// In the meeting.
	noSuchMember     code = "no-such-member"
	nobodyKnocks     code = "nobody-knocks"
	notPermitted     code = "not-permitted" // by role or policy
	notAgreed        code = "not-agreed"    // words: not everybody sees the same yet
	wordsChanged     code = "words-changed" // they aren't those that were compared: somebody came, left or asked anew
	notConnected     code = "not-connected" // no path to this member now
	comparing        code = "comparing"     // a comparison with them is under way
	comparisonFailed code = "comparison-failed"
	isolated         code = "isolated" // nothing is sent: no host has heard us for 100 s
	tooLong          code = "too-long"
	notText          code = "not-text"
	tooMany          code = "too-many"
	unsupportedTrack code = "unsupported-track"
	noSuchFile       code = "no-such-file"
	uploadLost       code = "upload-lost"  // the page didn't give all of a file in time, or is gone
	fileDamaged      code = "file-damaged" // its hash isn't the one that was announced

	// What is kept.
	wrongPassphrase code = "wrong-passphrase"
	weakPassphrase  code = "weak-passphrase" // limit: shortest allowed
	storeLocked     code = "store-locked"
	noStore         code = "no-store"
	storeExists     code = "store-exists"
	storeDamaged    code = "store-damaged"
	storeWrite      code = "store-write" // the disk refused
	noSuchContact   code = "no-such-contact"
)

// stateEvent carries the whole state.
type stateEvent struct {
	Event string `json:"event"` // "state"
	State *state `json:"state"`
}

// changedEvent replaces one part of the state. Part is a field name of state.
type changedEvent struct {
	Event string `json:"event"` // "changed"
	Part  string `json:"part"`
	Value any    `json:"value"`
}

// Events that leave no state. The event's name is in the comment.
type (
	// "joined" and "left": for live regions; the parts members and tracks have changed as well.
	joinedEvent struct {
		Event  string `json:"event"`
		Member member `json:"member"`
	}
	leftEvent struct {
		Event  string `json:"event"`
		Member member `json:"member"`
		Reason string `json:"reason"`       // left, removed, banned, admission-void
		By     string `json:"by,omitempty"` // name of who removed them
	}
	// "chatted": a message was said; it is also appended to the page's copy of the part chat, which isn't sent again.
	// A message with an ID that is there replaces it.
	chattedEvent struct {
		Event   string  `json:"event"`
		Message message `json:"message"`
	}
	// "reaction".
	reactionEvent struct {
		Event    string `json:"event"`
		Member   string `json:"member"`
		Reaction string `json:"reaction"` // one of reactions
	}
	// "mute-wanted": a host asks us to mute. Only the person does it.
	muteWantedEvent struct {
		Event  string `json:"event"`
		By     string `json:"by"`
		Source string `json:"source"`
	}
	// "levels": ten times a second while somebody is heard.
	levelsEvent struct {
		Event   string             `json:"event"`
		Levels  map[string]float64 `json:"levels"`            // member to 0 (silent) … 1 (loudest); who is missing is silent
		Speaker string             `json:"speaker,omitempty"` // the active speaker; keeps being the last one in silence
	}
	// "stats": every second while the request stats is on.
	statsEvent struct {
		Event string `json:"event"`
		Stats stats  `json:"stats"`
	}
	// "file-progress": at most four times a second for each file.
	fileProgressEvent struct {
		Event string `json:"event"`
		File  string `json:"file"`
		Done  int64  `json:"done"`           // bytes
		Rate  int64  `json:"rate,omitempty"` // bytes a second
		To    string `json:"to,omitempty"`   // of our own files: which member's copy
	}
	// "encoder": what the page is to set on the sender of a source (RTCRtpSender.setParameters).
	encoderEvent struct {
		Event        string `json:"event"`
		Source       string `json:"source"`
		MaxBitrate   int    `json:"maxBitrate"` // bit/s
		MaxHeight    int    `json:"maxHeight,omitempty"`
		MaxFrameRate int    `json:"maxFrameRate,omitempty"`
	}
	// "media-grow": the page is to add so many recvonly transceivers of each kind and send media-offer again.
	mediaGrowEvent struct {
		Event string `json:"event"`
		Audio int    `json:"audio"`
		Video int    `json:"video"`
	}
	// "link": a huisclos: link was opened in the system while the agent runs; show the joining form with it.
	linkEvent struct {
		Event string `json:"event"`
		Link  string `json:"link"`
	}
	// "superseded" (another page has taken over) and "bye" (the agent ends; reason quit or signal).
	plainEvent struct {
		Event  string `json:"event"`
		Reason string `json:"reason,omitempty"`
	}
)
