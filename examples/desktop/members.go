package main

import (
	"slices"

	"github.com/huisclos/huisclos/meet"
)

var roleNames = map[meet.Role]string{meet.Viewer: "viewer", meet.Participant: "participant", meet.Host: "host"}

var rolesByName = inverse(roleNames)

var entryNames = map[meet.Entry]string{meet.EntryAsk: "ask", meet.EntryOpen: "open", meet.EntryLocked: "locked"}

// permissions in the order they are shown.
var permissions = []struct {
	name string
	bit  meet.Permissions
}{
	{"audio", meet.PermitAudio}, {"video", meet.PermitVideo}, {"screen", meet.PermitScreen}, {"chat", meet.PermitChat}, {"files", meet.PermitFiles},
}

func inverse[K, V comparable](m map[K]V) map[V]K {
	all := make(map[V]K, len(m))
	for k, v := range m {
		all[v] = k
	}
	return all
}

func permissionNames(p meet.Permissions) []string {
	names := []string{}
	for _, x := range permissions {
		if p&x.bit != 0 {
			names = append(names, x.name)
		}
	}
	return names
}

func permissionsOf(names []string) (p meet.Permissions, err error) {
	for _, name := range names {
		i := slices.IndexFunc(permissions, func(x struct {
			name string
			bit  meet.Permissions
		}) bool {
			return x.name == name
		})
		if i < 0 {
			return 0, fail(badRequest)
		}
		p |= permissions[i].bit
	}
	return p, nil
}

func policyOf(p meet.Policy) policy {
	admitters := "hosts"
	if p.Admitters == meet.MembersAdmit {
		admitters = "members"
	}
	return policy{Entry: entryNames[p.Entry], Admitters: admitters, Members: permissionNames(p.Members), Viewers: permissionNames(p.Viewers)}
}

// parse is the library's policy.
func (p policy) parse() (out meet.Policy, err error) {
	entry, ok := entries[p.Entry]
	if !ok || p.Entry == "" {
		return out, fail(badRequest)
	}
	out.Entry = entry
	switch p.Admitters {
	case "hosts":
		out.Admitters = meet.HostsAdmit
	case "members":
		out.Admitters = meet.MembersAdmit
	default:
		return out, fail(badRequest)
	}
	if out.Members, err = permissionsOf(p.Members); err != nil {
		return out, err
	}
	out.Viewers, err = permissionsOf(p.Viewers)
	return out, err
}

// memberOf is a member as the page shows them. agent.mu is held.
func (s *session) memberOf(m meet.Member) member {
	a := s.agent
	out := member{
		ID: hexKey(m.Identity), Name: cleanName(m.Name), Role: roleNames[m.Role], Creator: m.Creator, Self: m.Self, Away: m.Away,
		Connected: m.Connected, Suspended: m.Suspended, Verified: m.Verified, Joined: s.seen[m.Identity],
		Microphone: "off", Camera: "off", Screen: "off",
		Synthetic: s.alone && !m.Self,
	}
	out.Contact, out.ContactName = a.contactOf(out.ID, m.Verified)
	if m.Self {
		out.Contact, out.ContactName = "self", ""
		own := a.state.Media.Own
		out.Microphone, out.Camera, out.Screen = own["microphone"], own["camera"], own["screen"]
	} else if out.Contact == "stranger" {
		out.Resembles = a.resembles(out.ID, m.Name, s.members)
	}
	for _, t := range s.tracks {
		if t.MemberKey() == m.Key {
			state := map[bool]string{true: "muted", false: "on"}[t.Muted()]
			switch t.Source() {
			case meet.SourceMicrophone:
				out.Microphone = state
			case meet.SourceCamera:
				out.Camera = state
			case meet.SourceScreen:
				out.Screen = state
			}
		}
	}
	out.Below = s.below(m)
	return out
}

// below reports whether this member may probably change another's role or remove them. Only the roster knows for
// certain, who promoted whom: a refusal says so.
func (s *session) below(m meet.Member) bool {
	self, ok := s.own()
	if !ok || m.Self || self.Role != meet.Host || m.Creator {
		return false
	}
	return self.Creator || m.Role != meet.Host
}

func (s *session) own() (meet.Member, bool) {
	for _, m := range s.members {
		if m.Self {
			return m, true
		}
	}
	return meet.Member{}, false
}

// rights are what this member may do. agent.mu is held.
func (s *session) rights() rights {
	out := rights{Send: []string{}}
	self, ok := s.own()
	p := s.agent.state.Policy
	if !ok || p == nil {
		return out
	}
	host := self.Role == meet.Host
	admits := host || p.Admitters == "members" && self.Role == meet.Participant
	out.Admit, out.Invite, out.Manage, out.End = admits, admits, host, host
	switch self.Role {
	case meet.Host:
		out.Send = permissionNames(meet.PermitAudio | meet.PermitVideo | meet.PermitScreen | meet.PermitChat | meet.PermitFiles)
	case meet.Participant:
		out.Send = p.Members
	case meet.Viewer:
		out.Send = p.Viewers
	}
	return out
}

// knockOf is somebody at the door as the page shows them. agent.mu is held.
func (a *agent) knockOf(k meet.Knock, members []meet.Member) knock {
	out := knock{ID: hexKey(k.Identity), Name: cleanName(k.Name), At: milliseconds(k.At)}
	out.Contact, out.ContactName = a.contactOf(out.ID, k.Verified)
	if out.Contact == "stranger" {
		out.Resembles = a.resembles(out.ID, k.Name, members)
	}
	return out
}

// contactOf is what is remembered of a person. agent.mu is held.
func (a *agent) contactOf(id string, verifiedNow bool) (state, name string) {
	state = "stranger"
	for _, c := range a.state.Contacts {
		if c.ID == id {
			state, name = "known", c.Name
			verifiedNow = verifiedNow || c.Verified
		}
	}
	if verifiedNow {
		state = "verified"
	}
	return state, name
}

// resembles is the name of a contact or member that a stranger's could be mistaken for. agent.mu is held.
func (a *agent) resembles(id, name string, members []meet.Member) string {
	for _, c := range a.state.Contacts {
		if c.ID != id && mistakable(c.Name, name) {
			return c.Name
		}
	}
	for _, m := range members {
		if hexKey(m.Identity) != id && mistakable(m.Name, name) {
			return cleanName(m.Name)
		}
	}
	return ""
}
