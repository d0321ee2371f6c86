package meet

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// Exposure says, for each party that something of this member's passed by, and for each kind of datum, whether that
// party could observe it in this meeting so far, and why (SPEC §11). It is computed from what this member's own program
// did and saw, not from its settings. What parties tell each other, it can't know.
type Exposure struct {
	// At is when it was computed, Since when this member's part in the meeting began.
	At    time.Time `json:"at"`
	Since time.Time `json:"since"`
	// Parties are in this order of Kind: members, relays, proxies, DHT nodes, the user's router, the local network,
	// observers of a link, those beyond a relay or a bridge, whoever carries an invite.
	Parties []PartyExposure `json:"parties"`
}

// PartyExposure is what one party could observe.
type PartyExposure struct {
	Party Party `json:"party"`
	// Observations has one entry for each of AllDatums, in that order.
	Observations []Observation `json:"observations"`
}

// Party is somebody who could observe something. In JSON, the identity is in hex.
type Party struct {
	Kind PartyKind
	// Identity and Name are those of a member, or of the one whose link an observer watches. The name of a relay is its
	// fingerprint, that of a proxy its host and port, as Config.Proxy named it. An observer named "DHT" watches the way to a
	// DHT's nodes, or is the name server that was asked for those the user gave by name.
	Identity crypto.IdentityKey
	Name     string
	// Gone: a member who is no longer on the roster.
	Gone bool
	// Bridge: a member through whom packets of this member went to others.
	Bridge bool
	// Beyond: an observer not of this member's own link, but of those between a relay, or a member who bridges, and the others
	// that it carried this member's packets to or from. Identity, Name and Addresses are that relay's or member's.
	Beyond bool
	// Limited: a relay that nobody named, a node of the DHT that the user chose, that helped to open a direct way and carried
	// nothing else (SPEC TRA-26); and an observer beyond such a one.
	Limited bool
	// Addresses are the addresses of the party, or, of an observer, those whose link with this member it watches, as far
	// as packets were sent to them or came from them. What a rendezvous asks isn't known by address.
	Addresses []netip.Addr
}

// partyText is a Party in JSON.
type partyText struct {
	Kind      PartyKind    `json:"kind"`
	Identity  string       `json:"identity,omitempty"` // in hex
	Name      string       `json:"name,omitempty"`
	Gone      bool         `json:"gone,omitempty"`
	Bridge    bool         `json:"bridge,omitempty"`
	Beyond    bool         `json:"beyond,omitempty"`
	Limited   bool         `json:"limited,omitempty"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
}

// MarshalJSON writes a party.
func (p Party) MarshalJSON() ([]byte, error) {
	t := partyText{p.Kind, "", p.Name, p.Gone, p.Bridge, p.Beyond, p.Limited, p.Addresses}
	if !p.Identity.IsZero() {
		t.Identity = hex.EncodeToString(p.Identity[:])
	}
	return json.Marshal(t)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Party) UnmarshalJSON(data []byte) error {
	var t partyText
	if err := json.Unmarshal(data, &t); err != nil {
		return err
	}
	*p = Party{t.Kind, crypto.IdentityKey{}, t.Name, t.Gone, t.Bridge, t.Beyond, t.Limited, t.Addresses}
	if n, err := hex.Decode(p.Identity[:], []byte(t.Identity)[:min(len(t.Identity), 64)]); err != nil || n != 0 && len(t.Identity) != 64 {
		return errors.New("meet: a party's identity isn't 32 bytes in hex")
	}
	return nil
}

// PartyKind is what a party is.
type PartyKind string

// The kinds of party.
const (
	PartyMember   PartyKind = "member"   // another member, at present or before
	PartyRelay    PartyKind = "relay"    // a relay that the user or another member named, or a limited one
	PartyProxy    PartyKind = "proxy"    // a proxy by which relays were reached, or tried (Config.Proxy)
	PartyDHT      PartyKind = "dht"      // the nodes of a DHT that the user chose
	PartyRouter   PartyKind = "router"   // the user's own router, if it was asked for a port
	PartyNetwork  PartyKind = "network"  // whoever can read on the local network: everything passes there
	PartyObserver PartyKind = "observer" // whoever can read on the way to an address: providers, the other end's network; or beyond a relay
	PartyCarrier  PartyKind = "carrier"  // whoever carries or finds an invite, or a reply code with its invite, this member made: mail, messenger
)

// Datum is a kind of datum, this member's own or one it shares with the others.
type Datum string

// The kinds of datum.
const (
	DatumAddress     Datum = "address"      // this member's IP addresses
	DatumSoftware    Datum = "software"     // that this member uses libp2p and WebRTC; the device and its system are told nobody
	DatumTimes       Datum = "times"        // when, and how long, this member took part
	DatumVolume      Datum = "volume"       // how much was sent when, in packets of which sizes
	DatumCounterpart Datum = "counterpart"  // with which addresses or meeting keys this member exchanges packets
	DatumMeetingKey  Datum = "meeting-key"  // this member's key for this meeting, fresh at each start
	DatumIdentity    Datum = "identity"     // this member's identity key
	DatumName        Datum = "name"         // what this member calls itself
	DatumMeeting     Datum = "meeting"      // the meeting's ID
	DatumMembers     Datum = "members"      // who is in the meeting: the roster, with names
	DatumAttendance  Datum = "attendance"   // a signed record of it that proves it to others
	DatumSpeaking    Datum = "speaking"     // when this member speaks
	DatumChat        Datum = "chat"         // what this member said to all by its program: messages, reactions, a raised hand, that it records or agrees to a recording
	DatumPrivateChat Datum = "private-chat" // what this member said to one: messages, requests to mute
	DatumMedia       Datum = "media"        // this member's sound, picture, screen; in part: which of them it has, and whether muted
	DatumFiles       Datum = "files"        // files this member offered: names, sizes, content
	DatumInvite      Datum = "invite"       // invites this member made
)

// AllDatums are the kinds of datum, in the order in which Exposure has them.
var AllDatums = []Datum{
	DatumAddress, DatumSoftware, DatumTimes, DatumVolume, DatumCounterpart, DatumMeetingKey, DatumIdentity, DatumName, DatumMeeting,
	DatumMembers, DatumAttendance, DatumSpeaking, DatumChat, DatumPrivateChat, DatumMedia, DatumFiles, DatumInvite,
}

// Observation is whether a party could observe a kind of datum.
type Observation struct {
	Datum Datum     `json:"datum"`
	Seen  Seen      `json:"seen"`
	Why   SeenCause `json:"why"`
}

// Seen is how well something could be observed.
type Seen string

// How well.
const (
	SeenNot     Seen = "no"      // not at all
	SeenPattern Seen = "pattern" // guessed at, from sizes and times of packets
	SeenPart    Seen = "part"    // some of it
	SeenClear   Seen = "yes"     // all of it
)

// SeenCause is why a party could observe something or couldn't: a code for programs to put into words.
type SeenCause string

// The causes, of what was observable first.
const (
	CauseTold         SeenCause = "told"          // this member told it, signed or sealed for this party
	CausePacket       SeenCause = "packet"        // it stands on every packet, or is how packets look
	CauseRecord       SeenCause = "record"        // it stands in the address record, which members are given
	CauseRoster       SeenCause = "roster"        // it is on the roster, which members share
	CauseHandshake    SeenCause = "handshake"     // it is proven to whom this member connects
	CauseReservation  SeenCause = "reservation"   // it stands in what a relay is asked for
	CauseRequest      SeenCause = "request"       // it stands in what a router, a DHT node or a proxy is asked for
	CauseAnnouncement SeenCause = "announcement"  // it is announced on the local network
	CauseInvite       SeenCause = "invite"        // it stands in the invite, or in the reply code
	CauseSizes        SeenCause = "sizes"         // sizes and times of packets give hints
	CauseNothing      SeenCause = "nothing"       // there was nothing of it
	CauseSealed       SeenCause = "sealed"        // it travels sealed end to end, and no key was given to this party
	CauseEncrypted    SeenCause = "encrypted"     // it travels encrypted between the two ends of a link
	CauseHidden       SeenCause = "hidden"        // this member hides its addresses
	CauseNotSent      SeenCause = "not-sent"      // it isn't sent to this party
	CauseNotAddressed SeenCause = "not-addressed" // it was for others
	CauseTooEarly     SeenCause = "absent"        // this party was not in when there was something of it
)

// Exposure returns who could observe what of this member so far. It also answers after the end. The error is ctx's.
func (m *Meeting) Exposure(ctx context.Context) (Exposure, error) {
	return callAnyTime(ctx, m, func() Exposure { return exposureOf(m.exposureFacts(time.Now())) })
}
