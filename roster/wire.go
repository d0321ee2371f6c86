package roster

import (
	"bytes"
	"errors"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
)

// Limits of SPEC §3 and §6.1.
const (
	// MaxOperationSize is the most bytes of one encoded operation (ROS-1).
	MaxOperationSize = 2048
	// MaxHeads is the most heads of one operation (ROS-1).
	MaxHeads = 16
	// MaxPlainOperations is how many operations somebody who wasn't made host may author (ROS-4).
	MaxPlainOperations = 1000
	// MaxHostOperations is how many a host other than the creator may author (ROS-4).
	MaxHostOperations = 8192
	// MaxOperations is how many operations a set holds (ROS-4).
	MaxOperations = 16384
	// MaxWaiting is how many operations wait for their past (ROS-2).
	MaxWaiting = 1024

	creatorReserve = 1024 // operations of the creator's that a full set still takes
	maxGenesisSize = 256
	maxTime        = 1 << 53
	version        = 1
)

// Role is what a member may do (SPEC §6.1).
type Role uint8

// The roles. A viewer is a member with the viewers' permissions of the policy; a host has them all.
const (
	RoleViewer Role = 1
	RoleMember Role = 2
	RoleHost   Role = 3
)

// String returns the role's name in lower case.
func (r Role) String() string {
	switch r {
	case RoleViewer:
		return "viewer"
	case RoleMember:
		return "member"
	case RoleHost:
		return "host"
	}
	return "unknown role"
}

// Entry says what happens to those who knock (SPEC §6.4).
type Entry uint8

// The kinds of entry.
const (
	Ask    Entry = 1 // a host decides
	Open   Entry = 2 // whoever has a living link is admitted
	Locked Entry = 3 // nobody is
)

// Admitters says who may invite and admit (SPEC §6.4).
type Admitters uint8

// Who may admit.
const (
	Hosts           Admitters = 1
	HostsAndMembers Admitters = 2
)

// Permissions is a sum of what a person may send (SPEC §6.4).
type Permissions uint8

// The single permissions, and all of them.
const (
	Audio Permissions = 1 << iota
	Video
	Screen
	Chat
	Files

	AllPermissions = Audio | Video | Screen | Chat | Files
)

// Policy is the meeting's policy (SPEC §6.4). The zero value isn't valid; see DefaultPolicy.
type Policy struct {
	Entry     Entry       `cbor:"1,keyasint"`
	Admitters Admitters   `cbor:"2,keyasint"`
	Members   Permissions `cbor:"3,keyasint"`
	Viewers   Permissions `cbor:"4,keyasint"`
}

// DefaultPolicy asks a host about everybody who knocks, lets members send everything and viewers chat.
func DefaultPolicy() Policy {
	return Policy{Entry: Ask, Admitters: Hosts, Members: AllPermissions, Viewers: Chat}
}

// check enforces ROS-21.
func (p Policy) check() error {
	if p.Entry < Ask || p.Entry > Locked || p.Admitters < Hosts || p.Admitters > HostsAndMembers ||
		p.Members&^AllPermissions != 0 || p.Viewers&^AllPermissions != 0 {
		return refuse("the policy has values out of range")
	}
	return nil
}

// Allows says what a person of role r may send under the policy.
func (p Policy) Allows(r Role) Permissions {
	switch r {
	case RoleHost:
		return AllPermissions
	case RoleMember:
		return p.Members
	case RoleViewer:
		return p.Viewers
	}
	return 0
}

// Genesis is the root of a meeting; its hash is the meeting ID (SPEC §3, INV-1).
type Genesis struct {
	Version uint8              `cbor:"1,keyasint"`
	Creator crypto.IdentityKey `cbor:"2,keyasint"`
	Policy  Policy             `cbor:"3,keyasint"`
	Suite   uint16             `cbor:"4,keyasint"` // SFrame suite, 4 or 5
	Nonce   [32]byte           `cbor:"5,keyasint"`
}

// Encode returns the genesis' bytes and the meeting ID they hash to.
func (g Genesis) Encode() ([]byte, crypto.MeetingID, error) {
	g.Version = version
	if err := g.check(); err != nil {
		return nil, crypto.MeetingID{}, err
	}
	raw, err := codec.Marshal(g)
	if err != nil {
		return nil, crypto.MeetingID{}, err
	}
	return raw, crypto.MeetingID(crypto.HashOf("genesis", raw)), nil
}

func (g Genesis) check() error {
	if g.Version != version {
		return refuse("the meeting is of another version of the protocol")
	}
	if g.Suite != 4 && g.Suite != 5 {
		return refuse("the meeting uses a cipher suite that isn't known")
	}
	return g.Policy.check()
}

// DecodeGenesis returns the genesis of the meeting with the given ID. It refuses any other bytes (INV-1).
func DecodeGenesis(raw []byte, meeting crypto.MeetingID) (Genesis, error) {
	var g Genesis
	if crypto.MeetingID(crypto.HashOf("genesis", raw)) != meeting {
		return g, refuse("this is the beginning of another meeting")
	}
	if err := codec.Unmarshal(raw, maxGenesisSize, &g); err != nil {
		return g, err
	}
	return g, g.check()
}

// Operation is one signed entry of the roster (SPEC §6.1).
type Operation struct {
	Author    crypto.Hash       `cbor:"1,keyasint"` // hash of the author's bundle
	Seq       uint64            `cbor:"2,keyasint,omitempty"`
	Previous  *crypto.Hash      `cbor:"3,keyasint,omitempty"`
	Heads     []crypto.Hash     `cbor:"4,keyasint,omitempty"`
	Time      uint64            `cbor:"5,keyasint"` // Unix milliseconds, by the author's clock; the fold ignores it
	Body      Body              `cbor:"6,keyasint"`
	Signature *crypto.Signature `cbor:"7,keyasint,omitempty"`
}

// At returns the author's time.
func (o *Operation) At() time.Time { return time.UnixMilli(int64(o.Time)) }

// Body holds exactly one of the eight kinds of operation.
type Body struct {
	Invite    *Invite    `cbor:"1,keyasint,omitempty"`
	Admit     *Admit     `cbor:"2,keyasint,omitempty"`
	Resume    *Resume    `cbor:"3,keyasint,omitempty"`
	Leave     *Leave     `cbor:"4,keyasint,omitempty"`
	Remove    *Remove    `cbor:"5,keyasint,omitempty"`
	SetRole   *SetRole   `cbor:"6,keyasint,omitempty"`
	SetPolicy *SetPolicy `cbor:"7,keyasint,omitempty"`
	End       *End       `cbor:"8,keyasint,omitempty"`
}

// Invite publishes the key that a link's secret gives; who comes by the link signs that key (ROS-9).
type Invite struct {
	Key    crypto.InviteKey `cbor:"1,keyasint"`
	Expiry uint64           `cbor:"2,keyasint,omitempty"` // Unix seconds; 0 is never. The door enforces it, the fold has no clock.
}

// Admit brings a bundle onto the roster (ROS-9 to ROS-11).
type Admit struct {
	Bundle         crypto.Bundle    `cbor:"1,keyasint"`
	Name           string           `cbor:"2,keyasint"`
	Invite         crypto.Hash      `cbor:"3,keyasint"`
	Signature      crypto.Signature `cbor:"4,keyasint"` // the joiner's, of its knock at the author's door
	JoinerNonce    crypto.Nonce     `cbor:"5,keyasint"`
	ResponderNonce crypto.Nonce     `cbor:"6,keyasint"`
}

// Resume brings a fresh incarnation of somebody who is on the roster (ROS-16).
type Resume struct {
	Bundle crypto.Bundle `cbor:"1,keyasint"`
	Name   string        `cbor:"2,keyasint"`
}

// Leave ends the author's own membership (ROS-17).
type Leave struct{}

// Remove puts an identity out (ROS-11, ROS-12).
type Remove struct {
	Identity crypto.IdentityKey `cbor:"1,keyasint"`
	Ban      bool               `cbor:"2,keyasint,omitempty"`
}

// SetRole makes the person that an introduction brought in a viewer, member or host (ROS-13).
type SetRole struct {
	Introduction crypto.Hash `cbor:"1,keyasint"`
	Role         Role        `cbor:"2,keyasint"`
}

// SetPolicy replaces the policy (ROS-14).
type SetPolicy struct {
	Policy Policy `cbor:"1,keyasint"`
}

// End ends the meeting for everybody (ROS-18).
type End struct{}

// Kind names the body's kind, as in SPEC §6.1; empty if it holds none or several.
func (b *Body) Kind() string {
	kind, n := "", 0
	for _, k := range []struct {
		set  bool
		name string
	}{
		{b.Invite != nil, "Invite"}, {b.Admit != nil, "Admit"}, {b.Resume != nil, "Resume"}, {b.Leave != nil, "Leave"},
		{b.Remove != nil, "Remove"}, {b.SetRole != nil, "SetRole"}, {b.SetPolicy != nil, "SetPolicy"}, {b.End != nil, "End"},
	} {
		if k.set {
			kind, n = k.name, n+1
		}
	}
	if n != 1 {
		return ""
	}
	return kind
}

// introduces returns the bundle and name that an introduction brings in, or nil.
func (b *Body) introduces() (*crypto.Bundle, string) {
	switch {
	case b.Admit != nil:
		return &b.Admit.Bundle, b.Admit.Name
	case b.Resume != nil:
		return &b.Resume.Bundle, b.Resume.Name
	}
	return nil, ""
}

// DecodeOperation decodes and checks all that can be checked without the operation's past (ROS-1, ROS-21).
func DecodeOperation(raw []byte) (*Operation, error) {
	var o Operation
	if err := codec.Unmarshal(raw, MaxOperationSize, &o); err != nil {
		return nil, err
	}
	return &o, o.check()
}

func (o *Operation) check() error {
	switch {
	case o.Body.Kind() == "":
		return refuse("an operation needs exactly one body")
	case o.Signature == nil:
		return refuse("an operation needs a signature")
	case o.Time >= maxTime:
		return refuse("an operation's time is out of range")
	case len(o.Heads) > MaxHeads:
		return refuse("an operation has too many heads")
	case (o.Seq == 0) != (o.Previous == nil):
		return refuse("an operation needs a previous one exactly when its seq isn't 0")
	case o.Previous == nil && len(o.Heads) == 0 && o.Body.Resume == nil:
		return refuse("an operation needs a parent")
	case o.Body.Resume != nil && o.Seq != 0:
		return refuse("a Resume is its author's first operation")
	case o.Body.SetRole != nil && (o.Body.SetRole.Role < RoleViewer || o.Body.SetRole.Role > RoleHost):
		return refuse("a role is out of range")
	}
	for i, h := range o.Heads {
		if i > 0 && bytes.Compare(o.Heads[i-1][:], h[:]) >= 0 {
			return refuse("an operation's heads must be sorted and distinct")
		}
		if o.Previous != nil && h == *o.Previous {
			return refuse("an operation's heads must not repeat its previous operation")
		}
	}
	if o.Body.SetPolicy != nil {
		return o.Body.SetPolicy.Policy.check()
	}
	if b, name := o.Body.introduces(); b != nil {
		return crypto.CheckName(name)
	}
	return nil
}

// sign encodes and signs an operation.
func (o *Operation) sign(meeting crypto.MeetingID, author *crypto.Incarnation) ([]byte, error) {
	o.Signature = nil
	unsigned, err := codec.Marshal(o)
	if err != nil {
		return nil, err
	}
	sig := author.Sign("operation", meeting[:], unsigned)
	o.Signature = &sig
	return codec.Marshal(o)
}

// verify checks the signature with the meeting key of the author's bundle (ROS-3).
func (o *Operation) verify(meeting crypto.MeetingID, author *crypto.Bundle) error {
	bare := *o
	bare.Signature = nil
	unsigned, err := codec.Marshal(&bare)
	if err != nil {
		return err
	}
	if !author.MeetingKey.Verify("operation", *o.Signature, meeting[:], unsigned) {
		return refuse("an operation's signature is wrong")
	}
	return nil
}

// RefusedError says why an operation or message was refused. Nothing of it was kept.
type RefusedError struct{ Reason string }

// Error returns the reason as one sentence without a full stop.
func (e *RefusedError) Error() string { return "roster: " + e.Reason }

func refuse(reason string) error { return &RefusedError{Reason: reason} }

// IsRefused says whether err says that something from outside was refused: a RefusedError, one of the codec's, or one
// of crypto's about keys, bundles and names.
func IsRefused(err error) bool {
	var r *RefusedError
	var c *codec.Error
	return errors.As(err, &r) || errors.As(err, &c) ||
		errors.Is(err, crypto.ErrName) || errors.Is(err, crypto.ErrBundle) || errors.Is(err, crypto.ErrWeakKey)
}
