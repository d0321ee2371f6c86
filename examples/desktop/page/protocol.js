// Everything that passes between the page and its agent, and the connection it passes over. The agent's side is
// protocol.go, protocol_requests.go and protocol_state.go, where the words, the limits and the errors are explained;
// a test of the agent's holds the names here and there together.
//
// The page opens the session once (openSession), then a Connection. Connection keeps the state: listen for "state"
// (everything is new) and "changed" (one part is), and read connection.state. Nothing here touches the document but
// the address bar and sessionStorage.

/**
 * @typedef {object} State state is everything the page shows. Each field is a part, sent whole when it changes.
 * @property {App} app
 * @property {Object<string, Feature>} features
 * @property {Settings} settings
 * @property {Store} store
 * @property {Contact[]} contacts empty while the store is locked
 * @property {NetworkSettings} network
 * @property {Phase} phase
 * @property {Meeting|null} meeting
 * @property {Invitation|null} invite the newest that this member made
 * @property {Member[]} members
 * @property {Knock[]} knocks
 * @property {Policy|null} policy
 * @property {Track[]} tracks
 * @property {Media} media
 * @property {Message[]} chat oldest first, the newest 500
 * @property {SharedFile[]} files
 * @property {Recording} recording
 * @property {Words|null} words of everybody; null while they don't agree, and alone
 * @property {Verification[]} verifications comparisons under way
 * @property {Warning[]} warnings those that hold
 * @property {string} link a link the program was started with, for the joining form
 */

/**
 * @typedef {object} App
 * @property {string} version
 * @property {string[]} languages fr, en
 * @property {string} systemLanguage SystemLanguage is that of the system, if it is one of ours, else en.
 * @property {string} system windows, darwin, linux
 * @property {number} graceSeconds how long a meeting outlives its tab
 * @property {number} maxFile bytes
 * @property {number} maxChat bytes
 * @property {number} maxName bytes
 * @property {string[]} reactions the reactions there are, as emoji
 * @property {boolean} [linkHandler] LinkHandler: the system opens huisclos: links with this program; see the request
 *   link-handler.
 */

/**
 * @typedef {object} Feature feature says whether something can be used. Keys: private-chat, reactions, hand,
 *   ask-mute, files, recording, attendance, verify, words, contacts, history, backup, reach, exposure, link-handler,
 *   simulcast, alone.
 * @property {boolean} available
 * @property {string} [reason] Reason is why not: "needs-store" (remember me first), "needs-host" (only hosts can),
 *   "system" (this system doesn't offer it).
 */

/**
 * @typedef {object} Settings settings are the person's choices. They last as long as the program, or are remembered
 *   with the store.
 * @property {string} name
 * @property {string} language fr or en
 * @property {string} theme system, light, dark
 * @property {Device} microphone Devices are the browser's device IDs, empty for its default. IDs of a browser change
 *   with the agent's port, so the labels are kept too, to find them again.
 * @property {Device} camera
 * @property {Device} speaker
 * @property {Object<string, string>} page Page is the page's own: at most 64 entries, 8 KiB in all.
 */

/**
 * @typedef {object} Device
 * @property {string} id
 * @property {string} label
 */

/**
 * @typedef {object} Store store is what is on the disk: nothing, unless the person has it.
 * @property {boolean} exists
 * @property {boolean} unlocked
 * @property {string} path where it is, or would be
 * @property {number} bytes
 * @property {boolean} history chat and attendance of meetings are kept
 * @property {number} retentionDays RetentionDays is after how many days history is deleted, 0 for never.
 * @property {boolean} failed the newest could not be written: the disk refused
 * @property {KeptMeeting[]} kept newest first
 */

/**
 * @typedef {object} KeptMeeting keptMeeting is one meeting in the history.
 * @property {string} id
 * @property {number} began
 * @property {number} ended
 * @property {string[]} names
 * @property {number} messages
 * @property {number} lost Lost is how many messages came before those, for which there was no room: the newest 2 MiB of a
 *   meeting are kept.
 * @property {boolean} attendance its record is kept; one that is too long isn't
 * @property {number} deleteAt 0 for never
 */

/**
 * @typedef {object} Contact
 * @property {string} id
 * @property {string} name what this person calls them
 * @property {boolean} verified
 * @property {number} [verifiedAt]
 * @property {number} [lastMet]
 * @property {string} [note]
 */

/**
 * @typedef {object} NetworkSettings networkSettings say how to connect from the next meeting on.
 * @property {string} mode Mode: normal, lan (nothing leaves the local network), hidden (everything goes through the relays).
 * @property {boolean} findOnLAN meetings are found, and announced, on the local network; rests while hidden
 * @property {DHTSettings} dht rests in the modes lan and hidden
 * @property {Relay[]} relays at most 4
 * @property {string} proxy Proxy is the host and port of the proxy by which relays may be reached, as this computer's settings name it; empty
 *   for none.
 */

/**
 * @typedef {object} DHTSettings dhtSettings say by which public or own directory meetings are found.
 * @property {string} use off, public (the public libp2p network), own
 * @property {string[]} nodes of an own one: where it begins, at most 8 multiaddrs that end in /p2p/ and the node's ID
 * @property {string} prefix of an own one: its protocol prefix
 */

/**
 * @typedef {object} Relay relay is one the person named, without what lets one use it: the agent alone has that.
 * @property {string} id its fingerprint, to compare with what its operator says
 * @property {string[]} addresses
 */

/**
 * @typedef {object} Phase phase is where the person is. The page's main screens follow it.
 * @property {string} name Name: start, creating, joining (looking for the meeting), replying (nobody can be reached, see
 *   reply), waiting (at the door), meeting, ended.
 * @property {number} since
 * @property {string} [reply] Reply is the code for who sent the link, by which they can reach this computer.
 * @property {Failure} [error] Error is why the last attempt failed (start), why the code is needed once more (replying;
 *   code reply-lost, reply-renewed), or why the meeting is over (ended; code left, ended, removed, …).
 * @property {boolean} [alone] Alone: the meeting is the one with two synthetic participants.
 * @property {Summary} [ended] Ended is the summary, when over.
 */

/**
 * @typedef {object} Summary
 * @property {number} began
 * @property {number} ended
 * @property {number} people who ever was in, with this member
 * @property {number} messages
 * @property {number} files
 * @property {boolean} attendance Attendance can be exported until the request done.
 * @property {boolean} kept Kept: history was on and holds this meeting.
 * @property {number} contacts how many people this person added or verified meanwhile, and so are in the store
 */

/**
 * @typedef {object} Meeting
 * @property {string} id hexadecimal
 * @property {string} self this member's id
 * @property {number} began for this member
 * @property {string} rosterHash
 * @property {boolean} hostsAbsent nobody can enter
 * @property {Rights} can
 * @property {string} mode Mode is that of the network settings it began with, found the ways it can be found without
 *   addresses by: local-network, dht-public, dht-own.
 * @property {string[]} found
 */

/**
 * @typedef {object} Rights rights are what this member may do now; the page hides or explains the rest.
 * @property {boolean} admit
 * @property {boolean} invite
 * @property {boolean} manage is a host: roles, policy, lock, remove those below
 * @property {boolean} end
 * @property {string[]} send of audio, video, screen, chat, files
 */

/**
 * @typedef {object} Invitation invitation is a link and what it means. It is a secret.
 * @property {string} link
 * @property {number} created
 * @property {number} expires 0 for never
 * @property {boolean} dead Dead: somebody was removed since; make a new one.
 * @property {Reach} reach
 * @property {Object<string, InvitationText>} text Text is the ready invitation, by language.
 */

/**
 * @typedef {object} InvitationText
 * @property {string} subject
 * @property {string} body
 */

/**
 * @typedef {object} Reach reach says from where a link can be reached, and what it reveals to whoever carries it.
 * @property {string} scope machine, network, everywhere, unknown; found: the link names no address, and is found by found of
 *   meeting.
 * @property {ReachAddress[]} addresses
 * @property {string} router Router: what asking the router came to: not-asked, mapped, double-nat, refused, none.
 */

/**
 * @typedef {object} ReachAddress
 * @property {string} address IP address, or name of a relay
 * @property {string} scope machine, network, everywhere
 * @property {string} via interface, router, relay
 * @property {string} [whose] Whose is the name of the host whose door it is; empty: this member's.
 */

/**
 * @typedef {object} Member
 * @property {string} id
 * @property {string} name what they call themselves; it proves nothing
 * @property {string} contact Contact: verified, known, stranger; self for this member.
 * @property {string} [contactName] what this person calls them
 * @property {string} [resembles] Resembles is the name of a contact, or of another member, that theirs could be
 *   mistaken for.
 * @property {string} role host, participant, viewer
 * @property {boolean} creator
 * @property {boolean} self
 * @property {boolean} away
 * @property {boolean} connected
 * @property {boolean} suspended signed two histories: nothing is sent to them
 * @property {boolean} verified words were compared
 * @property {boolean} [synthetic] of try-it-alone
 * @property {number} joined
 * @property {string} microphone Microphone, Camera, Screen: on, muted, off, as they say themselves.
 * @property {string} camera
 * @property {string} screen
 * @property {number} hand since when it is raised, 0 if it isn't
 * @property {boolean} below Below: this member may change their role or remove them.
 */

/**
 * @typedef {object} Knock
 * @property {string} id
 * @property {string} name
 * @property {string} contact verified, known, stranger
 * @property {string} [contactName]
 * @property {string} [resembles]
 * @property {number} at
 */

/**
 * @typedef {object} Policy
 * @property {string} entry ask, open, locked
 * @property {string} admitters hosts, members
 * @property {string[]} members what participants may send: audio, video, screen, chat, files
 * @property {string[]} viewers
 */

/**
 * @typedef {object} Track track is something another member sends.
 * @property {string} id
 * @property {string} member
 * @property {string} kind audio, video
 * @property {string} source microphone, camera, screen, screenAudio
 * @property {string} codec audio/opus, video/VP8, …
 * @property {boolean} muted
 * @property {string} mid Mid is that of the transceiver it comes on, empty while it has none.
 */

/**
 * @typedef {object} Media media is the connection between page and agent, and what this member sends.
 * @property {string} connection none, connecting, connected, failed
 * @property {Object<string, string>} own Own: by source, on, muted, off.
 */

/**
 * @typedef {object} Message
 * @property {string} id
 * @property {string} from
 * @property {string} name at that time
 * @property {string} [to] for private messages: the other member's id, whoever wrote it
 * @property {number} time
 * @property {string} text
 * @property {boolean} self
 * @property {string} [state] State of own messages: sent, failed.
 */

/**
 * @typedef {object} SharedFile file is one offered by us or to us.
 * @property {string} id
 * @property {string} from
 * @property {string} name safe as a file name on every system
 * @property {number} size
 * @property {string} type MIME type, for an icon only
 * @property {string} [to] empty: everybody
 * @property {boolean} [newcomers] Newcomers: of an own one, who comes later is offered it too.
 * @property {boolean} self
 * @property {number} time
 * @property {number} done bytes
 * @property {string} state State: reading (own: the page uploads it), offered, refused, receiving, paused, waiting
 *   (the link is lost), complete (checked), withdrawn, failed.
 * @property {Failure} [error]
 * @property {FileCopy[]} [copies] Copies are, of an own file, those of the others.
 * @property {string} [sha256]
 * @property {boolean} [saved] of one that came, the browser has taken it all
 */

/**
 * @typedef {object} FileCopy
 * @property {string} member
 * @property {string} state offered, refused, receiving, paused, waiting, complete, failed
 * @property {number} done
 */

/**
 * @typedef {object} Recording recording is the state of recordings in the meeting. Only after everybody's consent
 *   does one run.
 * @property {string} state State: none, asking (also after it ran: somebody withdrew, or a newcomer hasn't
 *   consented, see Reason; nothing is recorded till they do), running, stopped (over).
 * @property {string} [id] for recording-consent: the recording that the answer is about
 * @property {string} [by] member who records
 * @property {boolean} own this member records
 * @property {number} [since]
 * @property {Object<string, string>} [consents] Consents: by member id: asked, consented, refused, withdrawn.
 * @property {string} [mine] Mine is this member's: asked means the page must ask.
 * @property {string} [reason] refused, withdrawn, newcomer, ended
 * @property {string} [member] who caused it
 * @property {string} [save] Save is the file, when there is one to save. for recording-save
 * @property {number} [bytes]
 * @property {boolean} [saved] the browser took all of it
 */

/**
 * @typedef {object} Words
 * @property {string[]} fr six
 * @property {string[]} en
 * @property {string} digits
 */

/**
 * @typedef {object} Verification verification is a comparison with one member alone.
 * @property {string} member
 * @property {boolean} asked they began it
 * @property {Words} words
 */

/**
 * @typedef {object} Warning
 * @property {string} kind Kind: ghost, equivocation, isolation, unresolved, sending-stopped,
 *   unconsented-recording, lagged.
 * @property {string} [member]
 * @property {string} [name]
 * @property {number} since
 * @property {boolean} [kept] Kept, of isolation: what is said and shown is sent all the same, as the person chose
 *   (keep-sending).
 */

/**
 * @typedef {object} Stats stats are the picture of the mesh and the quality of what is received. Rates are those of
 *   the last second.
 * @property {number} at
 * @property {LinkStats[]} links
 * @property {TrackStats[]} tracks
 * @property {SentStats[]} sent
 */

/**
 * @typedef {object} LinkStats
 * @property {string} member
 * @property {string} path Path: direct, tcp (direct, where UDP is blocked), member, relay, none. Through is the id of the
 *   member in the middle, or of the one who named the relay, or an own relay's address.
 * @property {string} [through]
 * @property {number} rtt ms, 0 if unknown
 * @property {number} bitrateIn bit/s
 * @property {number} bitrateOut bit/s
 * @property {number} loss 0…1 of packets sent again
 * @property {number} target bit/s they can receive, 0 if unknown
 * @property {string[]} others Others are the members that this one says it is connected to directly; null if unknown.
 */

/**
 * @typedef {object} TrackStats
 * @property {string} track
 * @property {number} bitrate bit/s
 * @property {number} loss 0…1
 * @property {number} frames a second
 * @property {number} undecryptable
 * @property {number} rtt ms to the sender, 0 if unknown
 * @property {number} layers Layers is in how many layers it is sent, and Layer which one comes, 1 being the lowest; 0 if there is one encoding.
 * @property {number} layer
 */

/**
 * @typedef {object} SentStats
 * @property {string} source
 * @property {number} bitrate
 * @property {number} frames
 * @property {number} limit what the browser's encoder was last allowed, bit/s
 * @property {number[]} layers Layers is how many members get each layer, the lowest first; empty if there is one encoding.
 */

/**
 * @typedef {object} Exposure exposure is the page "who sees what": a row for each kind of datum.
 * @property {number} at
 * @property {ExposureRow[]} rows
 */

/**
 * @typedef {object} ExposureRow exposureRow is one datum. The page has the sentences for the codes.
 * @property {string} datum Datum: ip, device, browser, times, names, identity, membership, speaking, chat,
 *   private-chat, media, files, recording, attendance, words, contacts, link, volume, counterpart, received. But for the
 *   last, which is what the others sent, content is what this member sent.
 * @property {string} purpose Purpose: connect, show, deliver, authenticate, record, prove, none.
 * @property {ExposureParty[]} seen Seen says who could observe it.
 * @property {string[]} where Where: this-machine, members-machines, in-transit (encrypted), on-packets (in transit, not
 *   encrypted), nowhere.
 * @property {string} kept Kept: not-kept, memory (until the program ends), store, messages-store (the messages
 *   of it), members (they can keep it), downloads.
 * @property {number} [days] Days is the retention of what is in the store, 0 for none.
 */

/**
 * @typedef {object} ExposureParty
 * @property {string} party Party: self, members, host, carrier (who carries the link), access-provider,
 *   local-network, relay, proxy, beyond (on the way between a relay, or a member who passes data on, and others), dht, limited-relay (computers of the directory that help to open a direct way), router, browser, same-user (programs of the same user on this machine),
 *   transport (whoever carries packets), nobody-else, nobody.
 * @property {string} how How: clear, encrypted, address-only, sizes-and-times, part, possible (if it is
 *   turned on), addressed (in clear, to whom it was sent). Of recordings: agreed (if all agree), recording, recorded,
 *   discarded, consented.
 * @property {string} [why] Why is meet.SeenCause, in a meeting.
 * @property {string[]} [names] Names are those it concerns, for members, relays and proxies.
 */

/**
 * Why something was refused or ended: stable words that the page translates (each is explained in protocol.go).
 *
 * @typedef {(
 *   "bad-request"|"rate-limited"|"unavailable"|"busy"|"canceled"|"timeout"|"internal"|"not-in-meeting"|
 *   "already-in-meeting"|"bad-name"|"bad-link"|"link-expired"|"unreachable"|"neither-reachable"|"routers-apart"|
 *   "no-way-to-find"|"not-found"|"outside-lan"|"no-lan"|"needs-relay"|"relay-away"|"relay-clock"|"no-common-relay"|"bad-relay"|
 *   "bad-nodes"|"reply-unreadable"|"reply-foreign"|"reply-expired"|"reply-unreachable"|"reply-lost"|
 *   "reply-renewed"|"door-lost"|"impostor"|"denied-by-host"|"denied-locked"|"denied-link"|"denied-clock"|"denied-banned"|"denied-no-host"|"denied-ended"|"denied-busy"|
 *   "denied-removed"|"network"|"left"|"removed"|"banned"|"ended"|"resumed-elsewhere"|"admission-void"|
 *   "page-gone"|"recording-refused"|"unsaved-recording"|"unsaved-files"|"no-such-member"|"nobody-knocks"|"not-permitted"|"not-agreed"|"words-changed"|
 *   "not-connected"|"comparing"|"comparison-failed"|"isolated"|"too-long"|"not-text"|"too-many"|
 *   "unsupported-track"|"no-such-file"|"upload-lost"|"file-damaged"|"wrong-passphrase"|"weak-passphrase"|"store-locked"|
 *   "no-store"|"store-exists"|"store-damaged"|"store-write"|"no-such-contact"
 * )} Code
 */

/**
 * @typedef {object} Failure failure says why a request was refused, or why something ended.
 * @property {Code} code
 * @property {string} [by] By names who caused it, for the codes that say so.
 * @property {number} [seconds] Seconds is how long to wait, for busy and rate-limited.
 * @property {number} [limit] Limit is the limit that was passed, for too-long and too-many.
 * @property {string} [detail] Detail is technical, in English, for a "details" fold. It holds no secret.
 */

/**
 * @typedef {object} SettingsSet settings-set: replaces settings whole. A wrong name is bad-name.
 * @property {Settings} settings
 */

/**
 * @typedef {object} NetworkSet network-set: replaces what is wanted of the network, but for the relays, from the next
 *   meeting on. needs-relay, bad-nodes, too-many.
 * @property {string} mode
 * @property {boolean} findOnLAN
 * @property {DHTSettings} dht
 */

/**
 * @typedef {object} RelayAdd relay-add: takes a relay's text (huisclos-relay:…), a secret that is never shown again.
 *   bad-relay, too-many.
 * @property {string} text
 */

/**
 * @typedef {object} RelayRemove relay-remove: forgets it. needs-relay, if it is the last and the address is to be hidden.
 * @property {string} relay id
 */

/**
 * @typedef {object} LinkHandler link-handler: has the system open huisclos: links with this program, for this user, or
 *   undoes it. Part app follows. unavailable, store-write.
 * @property {boolean} on
 */

/**
 * @typedef {object} Create create: begins a meeting; the phase goes over creating to meeting. The invitation follows
 *   as the part invite. bad-name, already-in-meeting, network, needs-relay, unsaved-recording,
 *   unsaved-files.
 * @property {string} entry ask (empty too), open, locked
 */

/**
 * @typedef {object} LinkCheck link-check: reads a link without contacting anybody → linkChecked. bad-link,
 *   link-expired.
 * @property {string} link
 */

/**
 * @typedef {object} LinkChecked
 * @property {string} meeting
 * @property {number} expires
 */

/**
 * @typedef {object} Join join: knocks; replies at once, then follow the phases joining, replying if nobody can be reached,
 *   waiting, meeting; or start with an error. bad-link, link-expired, bad-name, already-in-meeting, needs-relay,
 *   unsaved-recording, unsaved-files.
 * @property {string} link
 * @property {boolean} askRouter AskRouter: where nobody can be reached, the person's own router is asked to let them in.
 */

/**
 * @typedef {object} Alone alone: a meeting with two synthetic participants on this machine. already-in-meeting,
 *   network, unsaved-recording, unsaved-files.
 */

/**
 * @typedef {object} Cancel cancel: gives up creating, joining or waiting; the phase is start again.
 */

/**
 * @typedef {object} Leave leave: leaves politely; the phase becomes ended.
 */

/**
 * @typedef {object} End end: ends the meeting for everybody. not-permitted.
 */

/**
 * @typedef {object} Done done: forgets what is shown of the meeting that is over; the phase becomes start. unsaved-recording,
 *   unsaved-files.
 */

/**
 * @typedef {object} Quit quit: leaves, ends the agent. The reply comes before the event bye.
 *   unsaved-recording, unsaved-files.
 */

/**
 * @typedef {object} Invite invite: makes a new link (part invite). not-permitted, no-lan, no-way-to-find.
 * @property {number} expires 0 for never
 * @property {boolean} noAddresses NoAddresses keeps addresses out of the link, for who can find the meeting by one of its
 *   ways to be found.
 */

/**
 * @typedef {object} ReplyFollow reply: follows the code that a guest sent back, who can't reach anybody; they knock then.
 *   reply-unreadable, reply-foreign, reply-expired, reply-unreachable.
 * @property {string} code
 */

/**
 * @typedef {object} ReachAskRouter reach-ask-router: has the router open a port, which everywhere-reachable links may
 *   need. not-permitted.
 */

/**
 * @typedef {object} Admit admit and deny: about somebody in knocks. nobody-knocks, not-permitted.
 * @property {string} member
 */

/**
 * @typedef {object} Deny
 * @property {string} member
 */

/**
 * @typedef {object} Lock lock: true lets nobody in. not-permitted.
 * @property {boolean} locked
 */

/**
 * @typedef {object} PolicySet policy-set: not-permitted.
 * @property {Policy} policy
 */

/**
 * @typedef {object} Role role: host, participant, viewer. not-permitted, no-such-member.
 * @property {string} member
 * @property {string} role
 */

/**
 * @typedef {object} Remove remove: with ban for good. not-permitted, no-such-member. Older links die with it (part
 *   invite).
 * @property {string} member
 * @property {boolean} ban
 */

/**
 * @typedef {object} KeepSending keep-sending: go on sending though no host hears us.
 * @property {boolean} keep
 */

/**
 * @typedef {object} MediaOffer media-offer: the page's offer. The page is always the one who offers, so there is no
 *   glare. Sources says which m-lines, by mid, bring what: microphone, camera, screen, screenAudio; the page keeps
 *   one sendonly transceiver for each that it has used. All others are recvonly, a pool: 4 of audio and 4 of video at
 *   first, more when media-grow says so; part tracks says by mid what comes on each. → mediaAnswer. ICE is complete
 *   in both descriptions (wait for iceGatheringState complete, at most 2 s). A new RTCPeerConnection begins with
 *   restart. A second offer while one is under way is busy.
 * @property {string} sdp
 * @property {Object<string, string>} sources
 * @property {boolean} restart
 */

/**
 * @typedef {object} MediaAnswer
 * @property {string} sdp
 */

/**
 * @typedef {object} MediaSend media-send: what this member sends, by source: on, muted (published, but silent: shown
 *   as muted), off (not there). Sources that are missing stay. Muting also holds in the agent: nothing leaves it,
 *   whatever the page sends. not-permitted, unsupported-track, too-many.
 * @property {Object<string, string>} own
 */

/**
 * @typedef {object} MediaWatch media-watch: which tracks are on screen, and how high in device pixels; others get no
 *   video (none needs to be told at first: then all are sent). Audio always comes.
 * @property {Object<string, number>} tracks track id to height; 0: not needed
 */

/**
 * @typedef {object} KeyFrame key-frame: asks the sender of a track for one. (The browser's own PLI does it too.)
 * @property {string} track
 */

/**
 * @typedef {object} Say say: a chat message, to all or, with to, to one. → said. too-long, not-text, not-permitted,
 *   isolated, no-such-member, not-connected.
 * @property {string} text
 * @property {string} to
 */

/**
 * @typedef {object} Said
 * @property {string} message id
 */

/**
 * @typedef {object} React react: one of app.reactions.
 * @property {string} reaction
 */

/**
 * @typedef {object} Hand hand: raises or lowers one's own; hosts may have another's lowered, by that one's client.
 *   not-permitted, no-such-member.
 * @property {boolean} up
 * @property {string} member empty: one's own
 */

/**
 * @typedef {object} MuteAsk mute-ask: asks a member to mute the microphone, or to end camera or screen.
 *   not-permitted, no-such-member.
 * @property {string} member
 * @property {string} source
 */

/**
 * @typedef {object} FileOffer file-offer: announces a file → fileUpload: PUT the bytes there, in order and whole.
 *   too-long (limit), not-permitted, too-many.
 * @property {string} name
 * @property {number} size
 * @property {string} type
 * @property {string} to empty: everybody
 * @property {boolean} newcomers Newcomers: whoever comes in later is offered it too. Of no meaning with To.
 */

/**
 * @typedef {object} FileUpload
 * @property {string} file
 * @property {string} url /upload/…
 */

/**
 * @typedef {object} FileAccept file-accept, file-refuse, file-pause, file-resume, file-withdraw (own: the offer;
 *   others': the transfer). no-such-file.
 * @property {string} file
 */

/**
 * @typedef {object} FileRefuse
 * @property {string} file
 */

/**
 * @typedef {object} FilePause
 * @property {string} file
 */

/**
 * @typedef {object} FileResume
 * @property {string} file
 */

/**
 * @typedef {object} FileWithdraw
 * @property {string} file
 */

/**
 * @typedef {object} FileSave file-save: → download. For a complete file. no-such-file.
 * @property {string} file
 */

/**
 * @typedef {object} FilesDiscard files-discard: deletes the files that came and weren't saved. Nothing else does: create,
 *   join, alone, done and quit are refused till then (unsaved-files).
 */

/**
 * @typedef {object} Download download is where a browser fetches something, once, within a minute: <a href=URL
 *   download=Name>.
 * @property {string} url /download/…
 * @property {string} name
 */

/**
 * @typedef {object} RecordingAsk recording-ask: asks everybody; it starts when all have consented. not-permitted, busy,
 *   unsaved-recording.
 */

/**
 * @typedef {object} RecordingConsent recording-consent: the answer to being asked; false also withdraws a consent
 *   given before. It names the recording that the person was asked about (id in the part recording); if that is over,
 *   it is canceled, whatever there is by then. busy (seconds) just after the question became another.
 * @property {string} recording
 * @property {boolean} consent
 */

/**
 * @typedef {object} RecordingStop recording-stop: one's own.
 */

/**
 * @typedef {object} RecordingSave recording-save: → download, of a stopped one (WebM). recording-discard: forgets it.
 *   Nothing else does as long as it isn't saved: create, join, alone, done and quit are refused till then
 *   (unsaved-recording).
 */

/**
 * @typedef {object} RecordingDiscard
 */

/**
 * @typedef {object} WordsAsk words: computes them (half a second) → wordsShown; they also come by themselves as the
 *   part words. not-agreed.
 */

/**
 * @typedef {object} WordsShown
 * @property {Words} words
 */

/**
 * @typedef {object} Verify verify: begins a comparison with one member → wordsShown; both then have it in
 *   verifications. no-such-member, not-connected, comparing, comparison-failed, timeout.
 * @property {string} member
 */

/**
 * @typedef {object} VerifiedSay verified: the person compared and says whether it matched. Matching marks them (and
 *   the contact) verified; not matching only ends the comparison here. With member empty: the words of all were
 *   compared, which marks everybody whom they are of. Digits are those of the words that were compared: if others are
 *   shown by now, a match is words-changed, and marks nobody.
 * @property {string} member
 * @property {boolean} match
 * @property {string} digits
 */

/**
 * @typedef {object} StatsAsk stats: turns the event stats on or off.
 * @property {boolean} on
 */

/**
 * @typedef {object} ExposureAsk exposure: who sees what → exposureShown. Outside a meeting: as the settings would
 *   have it.
 */

/**
 * @typedef {object} ExposureShown
 * @property {Exposure} exposure
 */

/**
 * @typedef {object} Attendance attendance: the signed record → download (csv, json), or with format show →
 *   attendanceShown. In a meeting or after it, until done; or of a meeting in the history. store-locked.
 * @property {string} format csv, json, show
 * @property {string} [meeting] id of one in the history; empty: the present or last one
 */

/**
 * @typedef {object} AttendanceShown
 * @property {string} meeting
 * @property {number} began
 * @property {number} ended 0: it goes on
 * @property {AttendanceLine[]} rows
 */

/**
 * @typedef {object} AttendanceLine attendanceLine is one time that somebody was in: who came back has several.
 * @property {string} id
 * @property {string} name
 * @property {string} role
 * @property {number} joined
 * @property {number} left 0: still in
 * @property {string} how left, removed, banned, ended, in
 * @property {string} by name of who removed them
 * @property {boolean} signed they signed something themselves; else only others say that they came
 * @property {string} admittedBy the name of who signed that they came; empty if they did themselves
 */

/**
 * @typedef {object} StoreCreate store-create: remembers identity, contacts and settings from now on. store-exists,
 *   weak-passphrase.
 * @property {string} passphrase
 */

/**
 * @typedef {object} StoreUnlock store-unlock: wrong-passphrase, no-store, store-damaged. At the start only:
 *   already-in-meeting.
 * @property {string} passphrase
 */

/**
 * @typedef {object} StorePassphrase store-passphrase: changes it. wrong-passphrase, weak-passphrase, store-locked.
 * @property {string} old
 * @property {string} new
 */

/**
 * @typedef {object} StoreHistory store-history: switches history on or off; off deletes what there is. Shorter
 *   retention deletes at once. store-locked.
 * @property {boolean} on
 * @property {number} retentionDays 0 for never
 */

/**
 * @typedef {object} StoreExport store-export: everything, readable (JSON) → download. store-locked.
 */

/**
 * @typedef {object} StoreErase store-erase: everything, with the file. No passphrase is asked: whoever forgot it must
 *   be able to.
 */

/**
 * @typedef {object} HistoryShow history-show: one meeting of the history → historyShown. history-delete: deletes it.
 *   store-locked.
 * @property {string} meeting id
 */

/**
 * @typedef {object} HistoryShown
 * @property {KeptMeeting} kept
 * @property {Message[]} chat
 */

/**
 * @typedef {object} HistoryDelete
 * @property {string} meeting id
 */

/**
 * @typedef {object} Backup backup: the encrypted store as a file → download. no-store.
 */

/**
 * @typedef {object} Restore restore: → fileUpload; the URL takes a backup file, at most 64 MiB, which replaces the
 *   store, and is open then. The upload's reply has {"error":{"code":…}} if it wasn't one (store-damaged,
 *   wrong-passphrase).
 * @property {string} passphrase of the backup
 */

/**
 * @typedef {object} ContactSet contact-set: names a person and takes a note; adds them if new. contact-delete:
 *   forgets them. no-such-contact, store-locked.
 * @property {string} contact id
 * @property {string} name at most 64 bytes
 * @property {string} note at most 1,024 bytes
 */

/**
 * @typedef {object} ContactDelete
 * @property {string} contact id
 */

/**
 * @typedef {object} JoinedEvent "joined" and "left": for live regions; the parts members and tracks have changed as
 *   well.
 * @property {string} event
 * @property {Member} member
 */

/**
 * @typedef {object} LeftEvent
 * @property {string} event
 * @property {Member} member
 * @property {string} reason left, removed, banned, admission-void
 * @property {string} [by] name of who removed them
 */

/**
 * @typedef {object} ChattedEvent "chatted": a message was said; it is also appended to the page's copy of the part
 *   chat, which isn't sent again. A message with an ID that is there replaces it.
 * @property {string} event
 * @property {Message} message
 */

/**
 * @typedef {object} ReactionEvent "reaction".
 * @property {string} event
 * @property {string} member
 * @property {string} reaction one of reactions
 */

/**
 * @typedef {object} MuteWantedEvent "mute-wanted": a host asks us to mute. Only the person does it.
 * @property {string} event
 * @property {string} by
 * @property {string} source
 */

/**
 * @typedef {object} LevelsEvent "levels": ten times a second while somebody is heard.
 * @property {string} event
 * @property {Object<string, number>} levels member to 0 (silent) … 1 (loudest); who is missing is silent
 * @property {string} [speaker] the active speaker; keeps being the last one in silence
 */

/**
 * @typedef {object} StatsEvent "stats": every second while the request stats is on.
 * @property {string} event
 * @property {Stats} stats
 */

/**
 * @typedef {object} FileProgressEvent "file-progress": at most four times a second for each file.
 * @property {string} event
 * @property {string} file
 * @property {number} done bytes
 * @property {number} [rate] bytes a second
 * @property {string} [to] of our own files: which member's copy
 */

/**
 * @typedef {object} EncoderEvent "encoder": what the page is to set on the sender of a source
 *   (RTCRtpSender.setParameters).
 * @property {string} event
 * @property {string} source
 * @property {number} maxBitrate bit/s
 * @property {number} [maxHeight]
 * @property {number} [maxFrameRate]
 */

/**
 * @typedef {object} MediaGrowEvent "media-grow": the page is to add so many recvonly transceivers of each kind and
 *   send media-offer again.
 * @property {string} event
 * @property {number} audio
 * @property {number} video
 */

/**
 * @typedef {object} LinkEvent "link": a huisclos: link was opened in the system while the agent runs; show the
 *   joining form with it.
 * @property {string} event
 * @property {string} link
 */

/**
 * @typedef {object} PlainEvent "superseded" (another page has taken over) and "bye" (the agent ends; reason quit or
 *   signal).
 * @property {string} event
 * @property {string} [reason]
 */

/**
 * The requests: what each takes, and what its reply has.
 *
 * @typedef {{
 *   "settings-set": [SettingsSet, {}],
 *   "network-set": [NetworkSet, {}],
 *   "relay-add": [RelayAdd, {}],
 *   "relay-remove": [RelayRemove, {}],
 *   "link-handler": [LinkHandler, {}],
 *   "create": [Create, {}],
 *   "link-check": [LinkCheck, LinkChecked],
 *   "join": [Join, {}],
 *   "alone": [{}, {}],
 *   "cancel": [{}, {}],
 *   "leave": [{}, {}],
 *   "end": [{}, {}],
 *   "done": [{}, {}],
 *   "quit": [{}, {}],
 *   "invite": [Invite, {}],
 *   "reply": [ReplyFollow, {}],
 *   "reach-ask-router": [{}, {}],
 *   "admit": [Admit, {}],
 *   "deny": [Deny, {}],
 *   "lock": [Lock, {}],
 *   "policy-set": [PolicySet, {}],
 *   "role": [Role, {}],
 *   "remove": [Remove, {}],
 *   "keep-sending": [KeepSending, {}],
 *   "media-offer": [MediaOffer, MediaAnswer],
 *   "media-send": [MediaSend, {}],
 *   "media-watch": [MediaWatch, {}],
 *   "key-frame": [KeyFrame, {}],
 *   "say": [Say, Said],
 *   "react": [React, {}],
 *   "hand": [Hand, {}],
 *   "mute-ask": [MuteAsk, {}],
 *   "file-offer": [FileOffer, FileUpload],
 *   "file-accept": [FileAccept, {}],
 *   "file-refuse": [FileRefuse, {}],
 *   "file-pause": [FilePause, {}],
 *   "file-resume": [FileResume, {}],
 *   "file-withdraw": [FileWithdraw, {}],
 *   "file-save": [FileSave, Download],
 *   "files-discard": [{}, {}],
 *   "recording-ask": [{}, {}],
 *   "recording-consent": [RecordingConsent, {}],
 *   "recording-stop": [{}, {}],
 *   "recording-save": [{}, Download],
 *   "recording-discard": [{}, {}],
 *   "words": [{}, WordsShown],
 *   "verify": [Verify, WordsShown],
 *   "verified": [VerifiedSay, {}],
 *   "stats": [StatsAsk, {}],
 *   "exposure": [{}, ExposureShown],
 *   "attendance": [Attendance, Download|AttendanceShown],
 *   "store-create": [StoreCreate, {}],
 *   "store-unlock": [StoreUnlock, {}],
 *   "store-passphrase": [StorePassphrase, {}],
 *   "store-history": [StoreHistory, {}],
 *   "store-export": [{}, Download],
 *   "store-erase": [{}, {}],
 *   "history-show": [HistoryShow, HistoryShown],
 *   "history-delete": [HistoryDelete, {}],
 *   "backup": [{}, Download],
 *   "restore": [Restore, FileUpload],
 *   "contact-set": [ContactSet, {}],
 *   "contact-delete": [ContactDelete, {}],
 * }} Requests
 */

/**
 * The events that leave no state, by name; the connection passes them on as they came.
 *
 * @typedef {{
 *   "joined": JoinedEvent,
 *   "left": LeftEvent,
 *   "chatted": ChattedEvent,
 *   "reaction": ReactionEvent,
 *   "mute-wanted": MuteWantedEvent,
 *   "levels": LevelsEvent,
 *   "stats": StatsEvent,
 *   "file-progress": FileProgressEvent,
 *   "encoder": EncoderEvent,
 *   "media-grow": MediaGrowEvent,
 *   "link": LinkEvent,
 *   "superseded": PlainEvent,
 *   "bye": PlainEvent,
 * }} Events
 */

/**
 * What the connection itself tells: "state" (value null: everything is new), "changed" (value: the part's name) and
 * "connection" (value: connecting, open, lost, superseded, ended, unknown).
 *
 * @typedef {object} OwnEvents
 * @property {null} state
 * @property {keyof State} changed
 * @property {"connecting"|"open"|"lost"|"superseded"|"ended"|"unknown"} connection
 */

/** Refusal is why the agent refused a request. */
export class Refusal extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.code);
    this.name = "Refusal";
    /** @type {Failure} */
    this.failure = failure;
  }
}

const sessionKey = "session";

/**
 * openSession exchanges the token in the address for a session, and takes it out of the address. It returns the
 * session's key, or null if the page has to be opened anew by the program (the token was used, or is too old).
 *
 * @returns {Promise<string|null>}
 */
export async function openSession() {
  const token = location.hash.slice(1);
  if (token !== "") {
    history.replaceState(null, "", location.pathname);
    const ask = () => fetch("/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    // A network that changes at this moment makes the browser drop the request: once more, then.
    const response = await ask().catch(ask);
    if (response.ok) {
      const { session } = await response.json();
      sessionStorage.setItem(sessionKey, session);
    }
  }
  return sessionStorage.getItem(sessionKey);
}

/** Close codes of the agent's. */
const closedSuperseded = 4001;
const closedEnded = 4002;
const closedUnknown = 4003;

const firstRetry = 500;
const longestRetry = 5000;
/** How long a reply may take: longer than anything the agent waits for. */
const replyTimeout = 60000;

/** Connection is the page's connection with its agent. It connects anew by itself. */
export class Connection {
  /** @param {string} session its key, from openSession */
  constructor(session) {
    /** @type {State|null} what the agent said last; null before the first event */
    this.state = null;
    this._session = session;
    /** @type {WebSocket|null} */
    this._socket = null;
    this._next = 1;
    this._retry = firstRetry;
    /** @type {number|undefined} */
    this._timer = undefined;
    /** @type {Map<number, {resolve: (reply: any) => void, reject: (error: Error) => void, timer: number}>} */
    this._waiting = new Map();
    /** @type {Map<string, Set<(value: any) => void>>} */
    this._listeners = new Map();
  }

  /** connect begins, or takes over again after superseded. It may be called at any time. */
  connect() {
    clearTimeout(this._timer);
    if (this._socket !== null) return;
    this._tell("connection", "connecting");
    const socket = new WebSocket(`ws://${location.host}/socket`, ["huisclos.1", `session.${this._session}`]);
    this._socket = socket;
    socket.onmessage = (message) => this._receive(message.data);
    socket.onclose = (close) => this._closed(socket, close.code);
  }

  /**
   * request asks the agent for something and returns its reply. It throws a Refusal; its code is "timeout" if
   * nothing came back, "canceled" if the connection was lost meanwhile.
   *
   * @template {keyof Requests} K
   * @param {K} what
   * @param {Requests[K][0]} fields
   * @returns {Promise<Requests[K][1]>}
   */
  request(what, fields) {
    const socket = this._socket;
    if (socket === null || socket.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Refusal({ code: "canceled" }));
    }
    const id = this._next++;
    return new Promise((resolve, reject) => {
      const timer = window.setTimeout(() => {
        this._waiting.delete(id);
        reject(new Refusal({ code: "timeout" }));
      }, replyTimeout);
      this._waiting.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ ...fields, id, do: what }));
    });
  }

  /**
   * upload sends a file to the URL that file-offer or restore gave. It throws a Refusal.
   *
   * @param {string} url
   * @param {Blob} body
   * @param {AbortSignal} [signal]
   */
  async upload(url, body, signal) {
    const response = await fetch(url, {
      method: "PUT",
      headers: { Authorization: `Bearer ${this._session}` },
      body,
      signal: signal ?? null,
    }).catch((error) => {
      // It says no more than that: the file can't be read (any more), or the agent is gone.
      throw signal?.aborted ? error : new Refusal({ code: "upload-lost" });
    });
    if (response.ok) return;
    const answer = await response.json().catch(() => ({}));
    throw new Refusal(answer.error ?? { code: "internal", detail: `status ${response.status}` });
  }

  /**
   * on calls the listener at each event of this name, and returns what ends that.
   *
   * @template {keyof (Events & OwnEvents)} K
   * @param {K} name
   * @param {(value: (Events & OwnEvents)[K]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const all = this._listeners.get(name) ?? new Set();
    this._listeners.set(name, all);
    all.add(listener);
    return () => void all.delete(listener);
  }

  /**
   * @param {string} name
   * @param {any} value
   */
  _tell(name, value) {
    for (const listener of [...(this._listeners.get(name) ?? [])]) listener(value);
  }

  /** @param {string} data */
  _receive(data) {
    const message = JSON.parse(data);
    if (message.re !== undefined) {
      this._answer(message);
      return;
    }
    switch (message.event) {
      case "state":
        this.state = message.state;
        this._retry = firstRetry;
        this._tell("connection", "open");
        this._tell("state", null);
        return;
      case "changed":
        if (this.state === null) return;
        /** @type {any} */ (this.state)[message.part] = message.value;
        this._tell("changed", message.part);
        return;
      case "chatted":
        this._keepMessage(message.message);
    }
    this._tell(message.event, message);
  }

  /** @param {Message} message */
  _keepMessage(message) {
    if (this.state === null) return;
    const at = this.state.chat.findIndex((m) => m.id === message.id);
    if (at >= 0) this.state.chat[at] = message;
    else this.state.chat.push(message);
  }

  /** @param {any} reply */
  _answer(reply) {
    const waiting = this._waiting.get(reply.re);
    if (waiting === undefined) return;
    this._waiting.delete(reply.re);
    clearTimeout(waiting.timer);
    if (reply.error !== undefined) waiting.reject(new Refusal(reply.error));
    else waiting.resolve(reply);
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   */
  _closed(socket, code) {
    if (this._socket !== socket) return;
    this._socket = null;
    for (const { reject, timer } of this._waiting.values()) {
      clearTimeout(timer);
      reject(new Refusal({ code: "canceled" }));
    }
    this._waiting.clear();
    if (code === closedSuperseded) return this._tell("connection", "superseded");
    if (code === closedEnded) return this._tell("connection", "ended");
    if (code === closedUnknown) return this._tell("connection", "unknown");
    this._tell("connection", "lost");
    this._timer = window.setTimeout(() => this.connect(), this._retry);
    this._retry = Math.min(2 * this._retry, longestRetry);
  }
}
