package main

// state is everything the page shows. Each field is a part, sent whole when it changes.
type state struct {
	App      app                `json:"app"`
	Features map[string]feature `json:"features"`
	Settings settings           `json:"settings"`
	Store    store              `json:"store"`
	Contacts []contact          `json:"contacts"` // empty while the store is locked
	Network  networkSettings    `json:"network"`
	Phase    phase              `json:"phase"`

	// What follows is null, or an empty list, outside a meeting. After its end it stays as it last was until the
	// next one begins or the request done.

	Meeting       *meeting       `json:"meeting"`
	Invite        *invitation    `json:"invite"` // the newest that this member made
	Members       []member       `json:"members"`
	Knocks        []knock        `json:"knocks"`
	Policy        *policy        `json:"policy"`
	Tracks        []track        `json:"tracks"`
	Media         media          `json:"media"`
	Chat          []message      `json:"chat"` // oldest first, the newest 500
	Files         []file         `json:"files"`
	Recording     recording      `json:"recording"`
	Words         *words         `json:"words"`         // of everybody; null while they don't agree, and alone
	Verifications []verification `json:"verifications"` // comparisons under way
	Warnings      []warning      `json:"warnings"`      // those that hold
	Link          string         `json:"link"`          // a link the program was started with, for the joining form
}

type app struct {
	Version   string   `json:"version"`
	Languages []string `json:"languages"` // fr, en
	// SystemLanguage is that of the system, if it is one of ours, else en.
	SystemLanguage string   `json:"systemLanguage"`
	System         string   `json:"system"`       // windows, darwin, linux
	GraceSeconds   int      `json:"graceSeconds"` // how long a meeting outlives its tab
	MaxFile        int64    `json:"maxFile"`      // bytes
	MaxChat        int      `json:"maxChat"`      // bytes
	MaxName        int      `json:"maxName"`      // bytes
	Reactions      []string `json:"reactions"`    // the reactions there are, as emoji
	// LinkHandler: the system opens huisclos: links with this program; see the request link-handler.
	LinkHandler bool `json:"linkHandler,omitempty"`
}

// feature says whether something can be used. Keys: private-chat, reactions, hand, ask-mute, files, recording,
// attendance, verify, words, contacts, history, backup, reach, exposure, link-handler, simulcast, alone.
type feature struct {
	Available bool `json:"available"`
	// Reason is why not: "needs-store" (remember me first), "needs-host" (only hosts can), "system" (this system doesn't
	// offer it).
	Reason string `json:"reason,omitempty"`
}

// settings are the person's choices. They last as long as the program, or are remembered with the store.
type settings struct {
	Name     string `json:"name"`
	Language string `json:"language"` // fr or en
	Theme    string `json:"theme"`    // system, light, dark
	// Devices are the browser's device IDs, empty for its default. IDs of a browser change with the agent's port,
	// so the labels are kept too, to find them again.
	Microphone device `json:"microphone"`
	Camera     device `json:"camera"`
	Speaker    device `json:"speaker"`
	// Page is the page's own: at most 64 entries, 8 KiB in all.
	Page map[string]string `json:"page"`
}

type device struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

// store is what is on the disk: nothing, unless the person has it.
type store struct {
	Exists   bool   `json:"exists"`
	Unlocked bool   `json:"unlocked"`
	Path     string `json:"path"` // where it is, or would be
	Bytes    int64  `json:"bytes"`
	History  bool   `json:"history"` // chat and attendance of meetings are kept
	// RetentionDays is after how many days history is deleted, 0 for never.
	RetentionDays int           `json:"retentionDays"`
	Failed        bool          `json:"failed"` // the newest could not be written: the disk refused
	Kept          []keptMeeting `json:"kept"`   // newest first
}

// keptMeeting is one meeting in the history.
type keptMeeting struct {
	ID       string   `json:"id"`
	Began    int64    `json:"began"`
	Ended    int64    `json:"ended"`
	Names    []string `json:"names"`
	Messages int      `json:"messages"`
	// Lost is how many messages came before those, for which there was no room: the newest 2 MiB of a meeting are kept.
	Lost       int   `json:"lost"`
	Attendance bool  `json:"attendance"` // its record is kept; one that is too long isn't
	DeleteAt   int64 `json:"deleteAt"`   // 0 for never
}

type contact struct {
	ID         string `json:"id"`
	Name       string `json:"name"` // what this person calls them
	Verified   bool   `json:"verified"`
	VerifiedAt int64  `json:"verifiedAt,omitempty"`
	LastMet    int64  `json:"lastMet,omitempty"`
	Note       string `json:"note,omitempty"`
}

// networkSettings say how to connect from the next meeting on.
type networkSettings struct {
	// Mode: normal, lan (nothing leaves the local network), hidden (everything goes through the relays).
	Mode      string      `json:"mode"`
	FindOnLAN bool        `json:"findOnLAN"` // meetings are found, and announced, on the local network; rests while hidden
	DHT       dhtSettings `json:"dht"`       // rests in the modes lan and hidden
	Relays    []relay     `json:"relays"`    // at most 4
	// Proxy is the host and port of the proxy by which relays may be reached, as this computer's settings name it; empty
	// for none.
	Proxy string `json:"proxy"`
}

// dhtSettings say by which public or own directory meetings are found.
type dhtSettings struct {
	Use    string   `json:"use"`    // off, public (the public libp2p network), own
	Nodes  []string `json:"nodes"`  // of an own one: where it begins, at most 8 multiaddrs that end in /p2p/ and the node's ID
	Prefix string   `json:"prefix"` // of an own one: its protocol prefix
}

// relay is one the person named, without what lets one use it: the agent alone has that.
type relay struct {
	ID        string   `json:"id"` // its fingerprint, to compare with what its operator says
	Addresses []string `json:"addresses"`
}

// phase is where the person is. The page's main screens follow it.
type phase struct {
	// Name: start, creating, joining (looking for the meeting), replying (nobody can be reached, see Reply), waiting (at
	// the door), meeting, ended.
	Name  string `json:"name"`
	Since int64  `json:"since"`
	// Reply is the code for who sent the link, by which they can reach this computer.
	Reply string `json:"reply,omitempty"`
	// Error is why the last attempt failed (start), why the code is needed once more (replying; code reply-lost,
	// reply-renewed), or why the meeting is over (ended; code left, ended, removed, …).
	Error *failure `json:"error,omitempty"`
	// Alone: the meeting is the one with two synthetic participants.
	Alone bool `json:"alone,omitempty"`
	// Ended is the summary, when over.
	Ended *summary `json:"ended,omitempty"`
}

type summary struct {
	Began    int64 `json:"began"`
	Ended    int64 `json:"ended"`
	People   int   `json:"people"` // who ever was in, with this member
	Messages int   `json:"messages"`
	Files    int   `json:"files"`
	// Attendance can be exported until the request done.
	Attendance bool `json:"attendance"`
	// Kept: history was on and holds this meeting.
	Kept bool `json:"kept"`
	// Contacts are how many people this person added or verified meanwhile, and so are in the store.
	Contacts int `json:"contacts"`
}

type meeting struct {
	ID          string `json:"id"`    // hexadecimal
	Self        string `json:"self"`  // this member's id
	Began       int64  `json:"began"` // for this member
	RosterHash  string `json:"rosterHash"`
	HostsAbsent bool   `json:"hostsAbsent"` // nobody can enter
	Can         rights `json:"can"`
	// Mode is that of the network settings it began with, Found the ways it can be found without addresses by:
	// local-network, dht-public, dht-own.
	Mode  string   `json:"mode"`
	Found []string `json:"found"`
}

// rights are what this member may do now; the page hides or explains the rest.
type rights struct {
	Admit  bool     `json:"admit"`
	Invite bool     `json:"invite"`
	Manage bool     `json:"manage"` // is a host: roles, policy, lock, remove those below
	End    bool     `json:"end"`
	Send   []string `json:"send"` // of audio, video, screen, chat, files
}

// invitation is a link and what it means. It is a secret.
type invitation struct {
	Link    string `json:"link"`
	Created int64  `json:"created"`
	Expires int64  `json:"expires"` // 0 for never
	// Dead: somebody was removed since; make a new one.
	Dead  bool  `json:"dead"`
	Reach reach `json:"reach"`
	// Text is the ready invitation, by language.
	Text map[string]invitationText `json:"text"`
}

type invitationText struct {
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// reach says from where a link can be reached, and what it reveals to whoever carries it.
type reach struct {
	// Scope: machine, network, everywhere, unknown; found: the link names no address, and is found by Found of meeting.
	Scope     string         `json:"scope"`
	Addresses []reachAddress `json:"addresses"`
	// Router: what asking the router came to: not-asked, mapped, double-nat, refused, none.
	Router string `json:"router"`
}

type reachAddress struct {
	Address string `json:"address"` // IP address, or name of a relay
	Scope   string `json:"scope"`   // machine, network, everywhere
	Via     string `json:"via"`     // interface, router, relay
	// Whose is the name of the host whose door it is; empty: this member's.
	Whose string `json:"whose,omitempty"`
}

type member struct {
	ID   string `json:"id"`
	Name string `json:"name"` // what they call themselves; it proves nothing
	// Contact: verified, known, stranger; self for this member.
	Contact     string `json:"contact"`
	ContactName string `json:"contactName,omitempty"` // what this person calls them
	// Resembles is the name of a contact, or of another member, that theirs could be mistaken for.
	Resembles string `json:"resembles,omitempty"`
	Role      string `json:"role"` // host, participant, viewer
	Creator   bool   `json:"creator"`
	Self      bool   `json:"self"`
	Away      bool   `json:"away"`
	Connected bool   `json:"connected"`
	Suspended bool   `json:"suspended"`           // signed two histories: nothing is sent to them
	Verified  bool   `json:"verified"`            // words were compared
	Synthetic bool   `json:"synthetic,omitempty"` // of try-it-alone
	Joined    int64  `json:"joined"`
	// Microphone, Camera, Screen: on, muted, off, as they say themselves.
	Microphone string `json:"microphone"`
	Camera     string `json:"camera"`
	Screen     string `json:"screen"`
	Hand       int64  `json:"hand"` // since when it is raised, 0 if it isn't
	// Below: this member may change their role or remove them.
	Below bool `json:"below"`
}

type knock struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Contact     string `json:"contact"` // verified, known, stranger
	ContactName string `json:"contactName,omitempty"`
	Resembles   string `json:"resembles,omitempty"`
	At          int64  `json:"at"`
}

type policy struct {
	Entry     string   `json:"entry"`     // ask, open, locked
	Admitters string   `json:"admitters"` // hosts, members
	Members   []string `json:"members"`   // what participants may send: audio, video, screen, chat, files
	Viewers   []string `json:"viewers"`
}

// track is something another member sends.
type track struct {
	ID     string `json:"id"`
	Member string `json:"member"`
	Kind   string `json:"kind"`   // audio, video
	Source string `json:"source"` // microphone, camera, screen, screenAudio
	Codec  string `json:"codec"`  // audio/opus, video/VP8, …
	Muted  bool   `json:"muted"`
	// Mid is that of the transceiver it comes on, empty while it has none.
	Mid string `json:"mid"`
}

// media is the connection between page and agent, and what this member sends.
type media struct {
	Connection string `json:"connection"` // none, connecting, connected, failed
	// Own: by source, on, muted, off.
	Own map[string]string `json:"own"`
}

type message struct {
	ID   string `json:"id"`
	From string `json:"from"`
	Name string `json:"name"`         // at that time
	To   string `json:"to,omitempty"` // for private messages: the other member's id, whoever wrote it
	Time int64  `json:"time"`
	Text string `json:"text"`
	Self bool   `json:"self"`
	// State of own messages: sent, failed.
	State string `json:"state,omitempty"`
}

// file is one offered by us or to us.
type file struct {
	ID   string `json:"id"`
	From string `json:"from"`
	Name string `json:"name"` // safe as a file name on every system
	Size int64  `json:"size"`
	Type string `json:"type"`         // MIME type, for an icon only
	To   string `json:"to,omitempty"` // empty: everybody
	// Newcomers: of an own one, who comes later is offered it too.
	Newcomers bool  `json:"newcomers,omitempty"`
	Self      bool  `json:"self"`
	Time      int64 `json:"time"`
	Done      int64 `json:"done"` // bytes
	// State: reading (own: the page uploads it), offered, refused, receiving, paused, waiting (the link is lost),
	// complete (checked), withdrawn, failed.
	State string   `json:"state"`
	Error *failure `json:"error,omitempty"`
	// Copies are, of an own file, those of the others.
	Copies []fileCopy `json:"copies,omitempty"`
	SHA256 string     `json:"sha256,omitempty"`
	// Saved: of one that came, the browser has taken it all.
	Saved bool `json:"saved,omitempty"`
}

type fileCopy struct {
	Member string `json:"member"`
	State  string `json:"state"` // offered, refused, receiving, paused, waiting, complete, failed
	Done   int64  `json:"done"`
}

// recording is the state of recordings in the meeting. Only after everybody's consent does one run.
type recording struct {
	// State: none, asking (also after it ran: somebody withdrew, or a newcomer hasn't consented, see Reason; nothing is
	// recorded till they do), running, stopped (over).
	State string `json:"state"`
	ID    string `json:"id,omitempty"` // for recording-consent: the recording that the answer is about
	By    string `json:"by,omitempty"` // member who records
	Own   bool   `json:"own"`          // this member records
	Since int64  `json:"since,omitempty"`
	// Consents: by member id: asked, consented, refused, withdrawn.
	Consents map[string]string `json:"consents,omitempty"`
	// Mine is this member's: asked means the page must ask.
	Mine   string `json:"mine,omitempty"`
	Reason string `json:"reason,omitempty"` // refused, withdrawn, newcomer, ended
	Member string `json:"member,omitempty"` // who caused it
	// Save is the file, when there is one to save.
	Save  string `json:"save,omitempty"` // for recording-save
	Bytes int64  `json:"bytes,omitempty"`
	Saved bool   `json:"saved,omitempty"` // the browser took all of it
}

type words struct {
	FR     []string `json:"fr"` // six
	EN     []string `json:"en"`
	Digits string   `json:"digits"`
}

// verification is a comparison with one member alone.
type verification struct {
	Member string `json:"member"`
	Asked  bool   `json:"asked"` // they began it
	Words  words  `json:"words"`
}

type warning struct {
	// Kind: ghost, equivocation, isolation, unresolved, sending-stopped, unconsented-recording, lagged.
	Kind   string `json:"kind"`
	Member string `json:"member,omitempty"`
	Name   string `json:"name,omitempty"`
	Since  int64  `json:"since"`
	// Kept, of isolation: what is said and shown is sent all the same, as the person chose (keep-sending).
	Kept bool `json:"kept,omitempty"`
}

// stats are the picture of the mesh and the quality of what is received. Rates are those of the last second.
type stats struct {
	At     int64        `json:"at"`
	Links  []linkStats  `json:"links"`
	Tracks []trackStats `json:"tracks"`
	Sent   []sentStats  `json:"sent"`
}

type linkStats struct {
	Member string `json:"member"`
	// Path: direct, tcp (direct, where UDP is blocked), member, relay, none. Through is the id of the member in the middle,
	// or of the one who named the relay, or an own relay's address.
	Path       string  `json:"path"`
	Through    string  `json:"through,omitempty"`
	RTT        float64 `json:"rtt"`        // ms, 0 if unknown
	BitrateIn  int64   `json:"bitrateIn"`  // bit/s
	BitrateOut int64   `json:"bitrateOut"` // bit/s
	Loss       float64 `json:"loss"`       // 0…1 of packets sent again
	Target     int64   `json:"target"`     // bit/s they can receive, 0 if unknown
	// Others are the members that this one says it is connected to directly; null if unknown.
	Others []string `json:"others"`
}

type trackStats struct {
	Track         string  `json:"track"`
	Bitrate       int64   `json:"bitrate"` // bit/s
	Loss          float64 `json:"loss"`    // 0…1
	Frames        float64 `json:"frames"`  // a second
	Undecryptable uint64  `json:"undecryptable"`
	RTT           float64 `json:"rtt"` // ms to the sender, 0 if unknown
	// Layers is in how many layers it is sent, and Layer which one comes, 1 being the lowest; 0 if there is one encoding.
	Layers int `json:"layers"`
	Layer  int `json:"layer"`
}

type sentStats struct {
	Source  string  `json:"source"`
	Bitrate int64   `json:"bitrate"`
	Frames  float64 `json:"frames"`
	Limit   int64   `json:"limit"` // what the browser's encoder was last allowed, bit/s
	// Layers is how many members get each layer, the lowest first; empty if there is one encoding.
	Layers []int `json:"layers"`
}

// exposure is the page "who sees what": a row for each kind of datum.
type exposure struct {
	At   int64         `json:"at"`
	Rows []exposureRow `json:"rows"`
}

// exposureRow is one datum. The page has the sentences for the codes.
type exposureRow struct {
	// Datum: ip, device, browser, times, names, identity, membership, speaking, chat, private-chat, media, files,
	// recording, attendance, words, contacts, link, volume, counterpart, received. But for the last, which is what the
	// others sent, content is what this member sent.
	Datum string `json:"datum"`
	// Purpose: connect, show, deliver, authenticate, record, prove, none.
	Purpose string `json:"purpose"`
	// Seen says who could observe it.
	Seen []exposureParty `json:"seen"`
	// Where: this-machine, members-machines, in-transit (encrypted), on-packets (in transit, not encrypted), nowhere.
	Where []string `json:"where"`
	// Kept: not-kept, memory (until the program ends), store, messages-store (the messages of it), members (they can keep
	// it), downloads.
	Kept string `json:"kept"`
	// Days is the retention of what is in the store, 0 for none.
	Days int `json:"days,omitempty"`
}

type exposureParty struct {
	// Party: self, members, host, carrier (who carries the link), access-provider, local-network, relay, proxy,
	// beyond (on the way between a relay, or a member who passes data on, and others), dht, router, browser, same-user (programs of the same user on this machine), transport
	// (whoever carries packets), nobody-else, nobody.
	Party string `json:"party"`
	// How: clear, encrypted, address-only, sizes-and-times, part, possible (if it is turned on), addressed (in clear, to
	// whom it was sent). Of recordings: agreed (if all agree), recording, recorded, discarded, consented.
	How string `json:"how"`
	// Why is meet.SeenCause, in a meeting.
	Why string `json:"why,omitempty"`
	// Names are those it concerns, for members, relays and proxies.
	Names []string `json:"names,omitempty"`
}
