package meet

import (
	"log/slog"
	"net/netip"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/sframe"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

// Config says how to take part in a meeting. Its zero value works.
type Config struct {
	// Identity is who takes part. Nil makes a fresh one, which nobody recognises next time. It signs once.
	Identity *crypto.Identity
	// Name is what the others are shown: 1 to 64 bytes of visible text (DOR-7). Empty is "Anonymous".
	Name string
	// Logger gets what helps to find faults: never a key, a name, an address or content. Nil logs nothing.
	Logger *slog.Logger
	// Listen are the addresses to listen on, at most one IPv4 and one IPv6. Empty is all interfaces, any port.
	Listen []netip.AddrPort
	// Policy is the policy that Create begins with. The zero value is DefaultPolicy. Join ignores it.
	Policy Policy
	// OnWaiting is called by Join when the knock was delivered and somebody has to decide, or too many knock and it will
	// knock again: once, and again after each OnReply.
	OnWaiting func()
	// OnReply is called by Join when no door of the link can be reached, but this member may be: with a code to hand back
	// to whoever sent the link, for Meeting.Reply. Join then waits to be dialled until ctx is done. It is called again when
	// the connection is lost while the knock waits: Meeting.Reply has to be called again, with the same code, or a new one
	// if this member's addresses are others now. The code shows these to whoever has it and the link. Nil: Join returns an
	// UnreachableError instead.
	OnReply func(code string)
	// AskRouter lets the user's own router, the default gateway, be asked to let peers in (by PCP, NAT-PMP or UPnP): by
	// Invite, and by Join where no door of the link can be reached. Nobody else is asked, and what was opened is closed
	// again at the end.
	AskRouter bool
	// EstimateBandwidth has LinkStats.TargetBitrate estimated for each link: what the other end can receive from us. It
	// costs about a third more processor time for each packet sent, so it is for who can act on it: a source whose bitrate
	// can be set, such as an encoder, or one with layers. Where media goes by a stream it is estimated in any case.
	EstimateBandwidth bool
	// NewLayerChooser makes what chooses layers, for each member and each publication that has layers. Nil is the one of
	// SPEC section 7.4.
	NewLayerChooser func() LayerChooser
	// LANOnly keeps every packet on the own local network: none is sent to another address, and none is taken from one. It
	// works without a route to anywhere, as in a courtroom. Links name addresses of the local network only; tunnels (VPN)
	// aren't part of it (SPEC MOD-2).
	LANOnly bool
	// RelayOnly hides this computer's addresses from the other members: everything goes through Relays, which it needs and
	// which see it, and media too; links lead there (SPEC MOD-3). Who hides is slower to hear. It excludes Rendezvous.
	RelayOnly bool
	// Rendezvous are ways to find a link's doors where its addresses don't answer or it names none, and to be found. Each
	// may show those who watch it this computer's address, not which meeting. A RelayRendezvous, such as a DHT, also opens a
	// way where neither side can be reached, by nodes that then see both addresses. Empty: none, so that nobody else is
	// asked.
	Rendezvous []Rendezvous
	// Network is the network to use. Nil is the operating system's; package meettest has simulated ones.
	Network transport.Network
	// Relays are relays the user may use, at most MaxRelays: members reach each other through them where no direct way
	// exists. The others in the meeting get tickets for them. Nil is none.
	Relays []Relay
	// Proxy is the HTTP or SOCKS5 proxy by which relays are reached over WebSocket, and nothing else. Nil is none: the
	// environment's isn't asked. http.ProxyFromEnvironment asks it, http.ProxyURL names one. With LANOnly there is none.
	Proxy transport.ProxyFunc
	// Tap, if not nil, is shown every byte that reaches this member after the network's own decryption. It is for
	// tests that prove what others can see.
	Tap func(at transport.TapPoint, from transport.PeerKey, data []byte)

	// MaxFileSize is the largest file to offer or to receive, in bytes. 0 is 4 GiB, a negative one none.
	MaxFileSize int64
	// Contacts are whom this member knows, by earlier meetings: at most MaxContacts, each identity once. See Contact.
	Contacts []Contact

	hooks hooks
}

// hooks let tests of this package watch, and switch protections off, to show that their attacks work without.
type hooks struct {
	wrapped func(from crypto.MeetingKey, wrap []byte)     // every sender key this member was given
	pair    func(from crypto.MeetingKey, msg pairMessage) // every pair message it took
	opened  func(where string, what []byte)               // whatever else it decrypted: "welcome", "early", "room", "sealed"

	fold func() // called with each fold, to have it take long

	// What a hostile member's client does.
	extra        func() []crypto.MeetingKey              // KEY-4: announces these as readers too
	silent       func() bool                             // says nothing
	unpermitted  bool                                    // ROS-22: sends whatever the policy says
	ignoreEnding bool                                    // goes on when it is put out
	unthankful   bool                                    // MSG-10, KEY-12: acknowledges no message and no key
	noGossip     bool                                    // GOS-2: forwards nothing
	fileDown     func(chunk uint64, d fileDown) fileDown // changes what it sends of a file
	fileKey      func() crypto.FileKey                   // FIL-4: the key of each request
	// DOR-10: denies whoever knocks, with this operation for a proof, unless the reason is 0
	denial func(who crypto.IdentityKey) (reason DenyReason, proof []byte)

	// Twins: without the protection.
	restartSwitch   bool // KEY-12: each rotation has its own time
	keepKeys        bool // KEY-6: no fresh key when readers go
	keysForAway     bool // KEY-10: away members get new keys
	noGhosts        bool // KEY-4: announced readers aren't checked
	noEchoes        bool // PRE-7: doesn't compare what others heard
	noIsolation     bool // PRE-5: goes on sending without a word
	anyAddress      bool // ADR-1: takes address records whoever signed them
	anyInvite       bool // INV-5: keeps whatever link it is told of
	gossipOnly      bool // GOS-2: operations go by gossip alone
	noResend        bool // MSG-3: what was missed is lost
	allPermitted    bool // ROS-22: delivers whatever comes
	noLimits        bool // ADR-1, DOR-11, SYN-3, REC-4, MUT-2, MSG-8, RLY-11, PAI-8, PRE-8, DOR-7, MSG-10, SYN-4: answers however often it is asked
	anyTime         bool // VER-2: shows words whatever the others see
	keepLobby       bool // DOR-9: a removal leaves who waits
	keepPeers       bool // who is put out stays connected
	anyKnock        bool // DOR-12: shows whatever knock it is told of
	anyDecider      bool // DOR-13: does what anybody decides
	anyResponder    bool // DOR-11: shows who waits whoever told of it, gone or not
	noAsking        bool // DOR-10: doesn't ask whether it is still in
	knockOnce       bool // DOR-14: doesn't knock again at a busy door
	repeatedState   bool // STR-1: believes what seems to be said again
	anySealer       bool // MSG-9: takes what is sealed in an author's name, whoever sealed it
	anyReaction     bool // MSG-6, MSG-7: shows whatever comes as a reaction
	anyAsker        bool // MUT-1: reports whoever asks to mute
	recordAnyway    bool // REC-1: records without consent
	anyConsent      bool // REC-2, REC-5: takes a consent to any recording, or a refusal of any, as one to this
	anyRecording    bool // REC-6: answers whatever recording there is
	trustRecorder   bool // REC-3: believes whoever records
	anyRecipient    bool // MSG-5: shows what is for somebody else
	anyAnnouncement bool // FIL-1: takes announcements whatever is in them
	anyFileAuthor   bool // FIL-1: a file's ID doesn't bind its author
	anyRequest      bool // FIL-4: takes requests that aren't sealed
	anyFileReader   bool // FIL-2: takes announcements for others
	anyReader       bool // FIL-3: sends a file to whoever asks
	anyOrder        bool // FIL-13: an older request replaces a newer one
	anyRefusal      bool // FIL-11: reports whoever refuses whatever
	everyNewcomer   bool // FIL-12: offers to who comes what was for those before
	keepUploads     bool // FIL-7: goes on sending to who is out
	noPacing        bool // FIL-9: sends as fast as it can
	anyContent      bool // FIL-6: takes content whatever its hash
	noBridges       bool // reserves nowhere
	noSeeking       bool // BRI-3: leaves it at a circuit
	anyRelay        bool // RLY-11: takes whatever relays a member names
	oneTopic        bool // RDV-1: the same topic for ever
	keepTopics      bool // RDV-2: dead links too
	announceAll     bool // RDV-5: circuits through members too
	trustFound      bool // RDV-4: whoever is found and isn't the meeting ends the search
	keepTrying      bool // RDV-3: tries what was found as long as it is found
	byName          bool // CON-1, CON-2: a name says who somebody is
	anyReply        bool // RPL-1: follows codes for dead links
	anyReplyAddress bool // RPL-2: dials whatever a code names
	noStreams       bool // MST-4: no media where ICE has no path
	anyDialler      bool // RPL-4: whoever dials ends the wait
}

// Policy, roles and permissions are the roster's (SPEC §6.4).
type (
	// Policy says who may enter and what members may send.
	Policy = roster.Policy
	// Role is what a member may do.
	Role = roster.Role
	// Permissions is a sum of what a person may send.
	Permissions = roster.Permissions
	// Entry says who may enter.
	Entry = roster.Entry
)

// Who may enter, for Policy.Entry.
const (
	EntryAsk    = roster.Ask    // whom a host admits
	EntryOpen   = roster.Open   // whoever has a living link
	EntryLocked = roster.Locked // nobody
)

// The roles.
const (
	Viewer      = roster.RoleViewer
	Participant = roster.RoleMember
	Host        = roster.RoleHost
)

// DefaultPolicy asks a host about everybody who knocks, lets members send everything and viewers chat.
func DefaultPolicy() Policy { return roster.DefaultPolicy() }

// suite is the SFrame suite of new meetings (SPEC §3).
const suite = sframe.AES128GCM

func (c Config) withDefaults() (Config, error) {
	if c.Identity == nil {
		c.Identity = crypto.GenerateIdentity()
	}
	if c.Name == "" {
		c.Name = "Anonymous"
	}
	if err := crypto.CheckName(c.Name); err != nil {
		return c, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxFileSize == 0 {
		c.MaxFileSize = defaultFileSize
	}
	if err := c.checkRendezvous(); err != nil {
		return c, err
	}
	if c.RelayOnly && len(c.Relays) == 0 {
		return c, ErrNoRelay
	}
	c.AskRouter = c.AskRouter && !c.LANOnly && !c.RelayOnly // neither lets anybody in from outside
	if err := checkContacts(c.Contacts); err != nil {
		return c, err
	}
	if err := checkRelays(c.Relays); err != nil {
		return c, err
	}
	if c.Policy == (Policy{}) {
		c.Policy = DefaultPolicy()
	}
	return c, nil
}
