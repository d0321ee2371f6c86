package main

// The requests, by subject. The comment gives the word in "do", what it does, its reply's type if it isn't empty, and
// the error codes beyond bad-request, rate-limited, internal, unavailable and not-in-meeting.
type (
	// settings-set: replaces settings whole. A wrong name is bad-name.
	settingsSet struct {
		Settings settings `json:"settings"`
	}
	// network-set: replaces what is wanted of the network, but for the relays, from the next meeting on. needs-relay,
	// bad-nodes, too-many.
	networkSet struct {
		Mode      string      `json:"mode"`
		FindOnLAN bool        `json:"findOnLAN"`
		DHT       dhtSettings `json:"dht"`
	}
	// relay-add: takes a relay's text (huisclos-relay:…), a secret that is never shown again. bad-relay, too-many.
	relayAdd struct {
		Text string `json:"text"`
	}
	// relay-remove: forgets it. needs-relay, if it is the last and the address is to be hidden.
	relayRemove struct {
		Relay string `json:"relay"` // id
	}

	// link-handler: has the system open huisclos: links with this program, for this user, or undoes it. Part app follows.
	// unavailable, store-write.
	linkHandler struct {
		On bool `json:"on"`
	}

	// create: begins a meeting; the phase goes over creating to meeting. The invitation follows as the part invite.
	// bad-name, already-in-meeting, network, needs-relay, unsaved-recording, unsaved-files.
	create struct {
		Entry string `json:"entry"` // ask (empty too), open, locked
	}
	// link-check: reads a link without contacting anybody → linkChecked. bad-link, link-expired.
	linkCheck struct {
		Link string `json:"link"`
	}
	linkChecked struct {
		Meeting string `json:"meeting"`
		Expires int64  `json:"expires"`
	}
	// join: knocks; replies at once, then follow the phases joining, replying if nobody can be reached, waiting, meeting;
	// or start with an error. bad-link, link-expired, bad-name, already-in-meeting, needs-relay, unsaved-recording, unsaved-files.
	join struct {
		Link string `json:"link"`
		// AskRouter: where nobody can be reached, the person's own router is asked to let them in.
		AskRouter bool `json:"askRouter"`
	}
	// alone: a meeting with two synthetic participants on this machine. already-in-meeting, network, unsaved-recording, unsaved-files.
	alone struct{}
	// cancel: gives up creating, joining or waiting; the phase is start again.
	cancel struct{}
	// leave: leaves politely; the phase becomes ended.
	leave struct{}
	// end: ends the meeting for everybody. not-permitted.
	end struct{}
	// done: forgets what is shown of the meeting that is over; the phase becomes start. unsaved-recording, unsaved-files.
	done struct{}
	// quit: leaves, ends the agent. The reply comes before the event bye. unsaved-recording, unsaved-files.
	quit struct{}

	// invite: makes a new link (part invite). not-permitted, no-lan, no-way-to-find.
	invite struct {
		Expires int64 `json:"expires"` // 0 for never
		// NoAddresses keeps addresses out of the link, for who can find the meeting by one of its ways to be found.
		NoAddresses bool `json:"noAddresses"`
	}
	// reply: follows the code that a guest sent back, who can't reach anybody; they knock then. reply-unreadable,
	// reply-foreign, reply-expired, reply-unreachable.
	replyFollow struct {
		Code string `json:"code"`
	}
	// reach-ask-router: has the router open a port, which everywhere-reachable links may need. not-permitted.
	reachAskRouter struct{}
	// admit and deny: about somebody in knocks. nobody-knocks, not-permitted.
	admit struct {
		Member string `json:"member"`
	}
	deny struct {
		Member string `json:"member"`
	}
	// lock: true lets nobody in. not-permitted.
	lock struct {
		Locked bool `json:"locked"`
	}
	// policy-set: not-permitted.
	policySet struct {
		Policy policy `json:"policy"`
	}
	// role: host, participant, viewer. not-permitted, no-such-member.
	role struct {
		Member string `json:"member"`
		Role   string `json:"role"`
	}
	// remove: with ban for good. not-permitted, no-such-member. Older links die with it (part invite).
	remove struct {
		Member string `json:"member"`
		Ban    bool   `json:"ban"`
	}
	// keep-sending: go on sending though no host hears us.
	keepSending struct {
		Keep bool `json:"keep"`
	}

	// media-offer: the page's offer. The page is always the one who offers, so there is no glare. Sources says which
	// m-lines, by mid, bring what: microphone, camera, screen, screenAudio; the page keeps one sendonly transceiver for
	// each that it has used. All others are recvonly, a pool: 4 of audio and 4 of video at first, more when
	// media-grow says so; part tracks says by mid what comes on each. → mediaAnswer. ICE is complete in both
	// descriptions (wait for iceGatheringState complete, at most 2 s). A new RTCPeerConnection begins with restart.
	// A second offer while one is under way is busy.
	mediaOffer struct {
		SDP     string            `json:"sdp"`
		Sources map[string]string `json:"sources"`
		Restart bool              `json:"restart"`
	}
	mediaAnswer struct {
		SDP string `json:"sdp"`
	}
	// media-send: what this member sends, by source: on, muted (published, but silent: shown as muted), off (not
	// there). Sources that are missing stay. Muting also holds in the agent: nothing leaves it, whatever the
	// page sends. not-permitted, unsupported-track, too-many.
	mediaSend struct {
		Own map[string]string `json:"own"`
	}
	// media-watch: which tracks are on screen, and how high in device pixels; others get no video (none needs to be
	// told at first: then all are sent). Audio always comes.
	mediaWatch struct {
		Tracks map[string]int `json:"tracks"` // track id to height; 0: not needed
	}
	// key-frame: asks the sender of a track for one. (The browser's own PLI does it too.)
	keyFrame struct {
		Track string `json:"track"`
	}

	// say: a chat message, to all or, with to, to one. → said. too-long, not-text, not-permitted, isolated,
	// no-such-member, not-connected.
	say struct {
		Text string `json:"text"`
		To   string `json:"to"`
	}
	said struct {
		Message string `json:"message"` // id
	}
	// react: one of app.reactions.
	react struct {
		Reaction string `json:"reaction"`
	}
	// hand: raises or lowers one's own; hosts may have another's lowered, by that one's client. not-permitted,
	// no-such-member.
	hand struct {
		Up     bool   `json:"up"`
		Member string `json:"member"` // empty: one's own
	}
	// mute-ask: asks a member to mute the microphone, or to end camera or screen. not-permitted, no-such-member.
	muteAsk struct {
		Member string `json:"member"`
		Source string `json:"source"`
	}

	// file-offer: announces a file → fileUpload: PUT the bytes there, in order and whole. too-long (limit),
	// not-permitted, too-many.
	fileOffer struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
		Type string `json:"type"`
		To   string `json:"to"` // empty: everybody
		// Newcomers: whoever comes in later is offered it too. Of no meaning with To.
		Newcomers bool `json:"newcomers"`
	}
	fileUpload struct {
		File string `json:"file"`
		URL  string `json:"url"` // /upload/…
	}
	// file-accept, file-refuse, file-pause, file-resume, file-withdraw (own: the offer; others': the transfer).
	// no-such-file.
	fileAccept struct {
		File string `json:"file"`
	}
	fileRefuse struct {
		File string `json:"file"`
	}
	filePause struct {
		File string `json:"file"`
	}
	fileResume struct {
		File string `json:"file"`
	}
	fileWithdraw struct {
		File string `json:"file"`
	}
	// file-save: → download. For a complete file. no-such-file.
	fileSave struct {
		File string `json:"file"`
	}
	// files-discard: deletes the files that came and weren't saved. Nothing else does: create, join, alone, done and quit are
	// refused till then (unsaved-files).
	filesDiscard struct{}
	// download is where a browser fetches something, once, within a minute: <a href=URL download=Name>.
	download struct {
		URL  string `json:"url"` // /download/…
		Name string `json:"name"`
	}

	// recording-ask: asks everybody; it starts when all have consented. not-permitted, busy, unsaved-recording.
	recordingAsk struct{}
	// recording-consent: the answer to being asked; false also withdraws a consent given before. It names the recording
	// that the person was asked about (id in the part recording); if that is over, it is canceled, whatever there is by
	// then. busy (seconds) just after the question became another.
	recordingConsent struct {
		Recording string `json:"recording"`
		Consent   bool   `json:"consent"`
	}
	// recording-stop: one's own.
	recordingStop struct{}
	// recording-save: → download, of a stopped one (WebM). recording-discard: forgets it. Nothing else does as long as it
	// isn't saved: create, join, alone, done and quit are refused till then (unsaved-recording).
	recordingSave    struct{}
	recordingDiscard struct{}

	// words: computes them (half a second) → wordsShown; they also come by themselves as the part words. not-agreed.
	wordsAsk   struct{}
	wordsShown struct {
		Words words `json:"words"`
	}
	// verify: begins a comparison with one member → wordsShown; both then have it in verifications. no-such-member,
	// not-connected, comparing, comparison-failed, timeout.
	verify struct {
		Member string `json:"member"`
	}
	// verified: the person compared and says whether it matched. Matching marks them (and the contact) verified;
	// not matching only ends the comparison here. With member empty: the words of all were compared, which marks
	// everybody whom they are of. Digits are those of the words that were compared: if others are shown by now, a match
	// is words-changed, and marks nobody.
	verifiedSay struct {
		Member string `json:"member"`
		Match  bool   `json:"match"`
		Digits string `json:"digits"`
	}

	// stats: turns the event stats on or off.
	statsAsk struct {
		On bool `json:"on"`
	}
	// exposure: who sees what → exposureShown. Outside a meeting: as the settings would have it.
	exposureAsk   struct{}
	exposureShown struct {
		Exposure exposure `json:"exposure"`
	}
	// attendance: the signed record → download (csv, json), or with format show → attendanceShown. In a meeting or
	// after it, until done; or of a meeting in the history. store-locked.
	attendance struct {
		Format  string `json:"format"`  // csv, json, show
		Meeting string `json:"meeting"` // id of one in the history; empty: the present or last one
	}
	attendanceShown struct {
		Meeting string           `json:"meeting"`
		Began   int64            `json:"began"`
		Ended   int64            `json:"ended"` // 0: it goes on
		Rows    []attendanceLine `json:"rows"`
	}
	// attendanceLine is one time that somebody was in: who came back has several.
	attendanceLine struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Role   string `json:"role"`
		Joined int64  `json:"joined"`
		Left   int64  `json:"left"`   // 0: still in
		How    string `json:"how"`    // left, removed, banned, ended, in
		By     string `json:"by"`     // name of who removed them
		Signed bool   `json:"signed"` // they signed something themselves; else only others say that they came
		// AdmittedBy is the name of who signed that they came; empty if they did themselves.
		AdmittedBy string `json:"admittedBy"`
	}

	// store-create: remembers identity, contacts and settings from now on. store-exists, weak-passphrase.
	storeCreate struct {
		Passphrase string `json:"passphrase"`
	}
	// store-unlock: wrong-passphrase, no-store, store-damaged. At the start only: already-in-meeting.
	storeUnlock struct {
		Passphrase string `json:"passphrase"`
	}
	// store-passphrase: changes it. wrong-passphrase, weak-passphrase, store-locked.
	storePassphrase struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	// store-history: switches history on or off; off deletes what there is. Shorter retention deletes at once.
	// store-locked.
	storeHistory struct {
		On            bool `json:"on"`
		RetentionDays int  `json:"retentionDays"` // 0 for never
	}
	// store-export: everything, readable (JSON) → download. store-locked.
	storeExport struct{}
	// store-erase: everything, with the file. No passphrase is asked: whoever forgot it must be able to.
	storeErase struct{}
	// history-show: one meeting of the history → historyShown. history-delete: deletes it. store-locked.
	historyShow struct {
		Meeting string `json:"meeting"` // id
	}
	historyShown struct {
		Kept keptMeeting `json:"kept"`
		Chat []message   `json:"chat"`
	}
	historyDelete struct {
		Meeting string `json:"meeting"` // id
	}
	// backup: the encrypted store as a file → download. no-store.
	backup struct{}
	// restore: → fileUpload; the URL takes a backup file, at most 64 MiB, which replaces the store, and is open then.
	// The upload's reply has {"error":{"code":…}} if it wasn't one (store-damaged, wrong-passphrase).
	restore struct {
		Passphrase string `json:"passphrase"` // of the backup
	}

	// contact-set: names a person and takes a note; adds them if new. contact-delete: forgets them.
	// no-such-contact, store-locked.
	contactSet struct {
		Contact string `json:"contact"` // id
		Name    string `json:"name"`    // at most 64 bytes
		Note    string `json:"note"`    // at most 1,024 bytes
	}
	contactDelete struct {
		Contact string `json:"contact"` // id
	}
)
