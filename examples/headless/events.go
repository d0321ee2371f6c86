package main

import (
	"fmt"
	"strings"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// The data of events, as --json shows it. Keys and hashes are hexadecimal, times are RFC 3339.

type readyData struct {
	Name    string `json:"name"`
	Key     string `json:"key"` // our identity
	Meeting string `json:"meeting"`
	Invite  string `json:"invite,omitempty"` // a secret
}

type inviteData struct {
	Invite string `json:"invite"` // a secret
}

// personData names somebody. Namesake is somebody else whose name reads the same.
type personData struct {
	Name     string        `json:"name"`
	Key      string        `json:"key"`
	Verified bool          `json:"verified"`
	Known    bool          `json:"known"`
	KnownAs  string        `json:"known_as,omitempty"`
	Namesake *namesakeData `json:"namesake,omitempty"`
}

type namesakeData struct {
	Name     string `json:"name"`
	Key      string `json:"key"`
	Verified bool   `json:"verified"`
}

func (d *personData) familiar(known bool, knownAs string, n meet.Namesake) {
	d.Known, d.KnownAs = known, knownAs
	if !n.Identity.IsZero() {
		d.Namesake = &namesakeData{n.Name, hexKey(n.Identity), n.Verified}
	}
}

// about is what there is to say of somebody's identity, or empty.
func (d *personData) about() string {
	var words []string
	if d.Verified {
		words = append(words, "verified")
	}
	if d.Known && d.KnownAs != d.Name {
		words = append(words, fmt.Sprintf("known as %s", d.KnownAs))
	}
	if n := d.Namesake; n != nil && n.Verified {
		words = append(words, fmt.Sprintf("NOT the %s you verified (%.16s)", n.Name, n.Key))
	} else if n != nil {
		words = append(words, fmt.Sprintf("not %s (%.16s), whose name reads the same", n.Name, n.Key))
	}
	if len(words) == 0 {
		return ""
	}
	return ", " + strings.Join(words, ", ")
}

// knockData is somebody who knocks, and at whose door if it isn't ours.
type knockData struct {
	personData
	Door    string `json:"door,omitempty"`
	DoorKey string `json:"door_key,omitempty"`
}

type knockGoneData struct {
	Key     string `json:"key"`
	DoorKey string `json:"door_key,omitempty"`
}

type memberData struct {
	personData
	Role      string `json:"role"`
	Creator   bool   `json:"creator"`
	Self      bool   `json:"self"`
	Away      bool   `json:"away"`
	Connected bool   `json:"connected"`
	Path      string `json:"path,omitempty"` // direct; direct, over TCP; through NAME; through a relay
	Suspended bool   `json:"suspended"`

	Sends []sendsData `json:"sends"`          // what they say they send
	Hand  string      `json:"hand,omitempty"` // raised since
}

type sendsData struct {
	Source string `json:"source"`
	Muted  bool   `json:"muted"`
}

type memberLeftData struct {
	memberData
	Reason string `json:"reason"` // left, removed, banned, admission void
	By     string `json:"by,omitempty"`
	ByKey  string `json:"by_key,omitempty"`
}

type membersData struct {
	Members []memberData `json:"members"`
}

type rosterData struct {
	Hash       string       `json:"hash"`
	Generation uint64       `json:"generation"`
	Entry      string       `json:"entry"`
	Members    []memberData `json:"members"`
}

type trackData struct {
	ID     string `json:"id"`
	Member string `json:"member"`
	Key    string `json:"key"`
	Kind   string `json:"kind"`
	Source string `json:"source"`
	Codec  string `json:"codec"`
	Muted  bool   `json:"muted"`
}

type wordsData struct {
	Words struct {
		French  []string `json:"fr"`
		English []string `json:"en"`
	} `json:"words"`
	Digits string `json:"digits"`
}

type verifyData struct {
	With string `json:"with"`
	Key  string `json:"key"`
	wordsData
}

type warningData struct {
	Kind   string `json:"kind"`
	Member string `json:"member,omitempty"`
	Key    string `json:"key,omitempty"`
	Over   bool   `json:"over"`
}

// speakerData is empty when nobody speaks.
type speakerData struct {
	Name string `json:"name,omitempty"`
	Key  string `json:"key,omitempty"`
}

type absentData struct {
	Absent bool `json:"absent"`
}

type fileData struct {
	File string `json:"file"`
	Kind string `json:"kind"`
}

type recordedData struct {
	File    string `json:"file"`
	Member  string `json:"member"`
	Kind    string `json:"kind"`
	Frames  uint64 `json:"frames"`
	Dropped uint64 `json:"dropped"` // frames that are not in the file
}

type errorData struct {
	Command string `json:"command,omitempty"`
	Error   string `json:"error"`
}

type endedData struct {
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	ByKey  string `json:"by_key,omitempty"`
	Error  string `json:"error"` // the reason as a sentence
	Status int    `json:"status"`
}

func roleName(r meet.Role) string {
	switch r {
	case meet.Host:
		return "host"
	case meet.Participant:
		return "member"
	}
	return "viewer"
}

func parseRole(s string) (meet.Role, bool) {
	for _, r := range []meet.Role{meet.Host, meet.Participant, meet.Viewer} {
		if s == roleName(r) {
			return r, true
		}
	}
	return 0, false
}

func entryName(e meet.Entry) string {
	switch e {
	case meet.EntryOpen:
		return "open"
	case meet.EntryLocked:
		return "locked"
	}
	return "ask"
}

func memberOf(m meet.Member) memberData {
	sends := make([]sendsData, len(m.Sends))
	for i, s := range m.Sends {
		sends[i] = sendsData{s.Source.String(), s.Muted}
	}
	d := memberData{
		personData: personData{Name: m.Name, Key: hexKey(m.Identity), Verified: m.Verified},
		Role:       roleName(m.Role), Creator: m.Creator, Self: m.Self, Away: m.Away, Connected: m.Connected, Suspended: m.Suspended,
		Sends: sends, Hand: stamp(m.HandRaised),
	}
	if m.Connected {
		d.Path = m.Path.String()
	}
	d.familiar(m.Known, m.KnownAs, m.Namesake)
	return d
}

func membersOf(all []meet.Member) []memberData {
	list := make([]memberData, len(all))
	for i := range all {
		list[i] = memberOf(all[i])
	}
	return list
}

// describe is a member in a sentence.
func describe(m memberData) string {
	words := []string{m.Role}
	for _, w := range []struct {
		holds bool
		word  string
	}{{m.Creator, "creator"}, {m.Self, "you"}, {m.Away, "away"}, {!m.Connected && !m.Self, "not connected"}, {m.Suspended, "suspended"}} {
		if w.holds {
			words = append(words, w.word)
		}
	}
	if m.Path != "" {
		words = append(words, "path: "+m.Path)
	}
	return fmt.Sprintf("%s (%s, %.16s%s)", m.Name, strings.Join(words, ", "), m.Key, m.about())
}

func describeAll(all []memberData) string {
	list := make([]string, len(all))
	for i := range all {
		list[i] = describe(all[i])
	}
	return strings.Join(list, "; ")
}

func wordsOf(v crypto.Verification) wordsData {
	var d wordsData
	french, english := v.Words(crypto.French), v.Words(crypto.English)
	d.Words.French, d.Words.English = french[:], english[:]
	d.Digits = v.Digits()
	return d
}

func (d wordsData) String() string {
	return fmt.Sprintf("%s  |  %s  |  %s", strings.Join(d.Words.French, " "), strings.Join(d.Words.English, " "), d.Digits)
}
