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
		Connected: m.Connected, Suspended: m.Suspended, Verified: m.Verified, Below: m.Below, Joined: s.seen[m.Identity],
		Resembles:  cleanName(m.Namesake.Name),
		Microphone: "off", Camera: "off", Screen: "off",
		Synthetic: s.alone && !m.Self,
	}
	out.Contact, out.ContactName = a.standing(m.Identity, m.Verified, m.Known, m.KnownAs)
	if m.Self {
		out.Contact, out.ContactName = "self", ""
	}
	if !m.HandRaised.IsZero() {
		out.Hand = m.HandRaised.UnixMilli()
	}
	for _, sent := range m.Sends {
		shown := map[bool]string{true: "muted", false: "on"}[sent.Muted]
		switch sent.Source {
		case meet.SourceMicrophone:
			out.Microphone = shown
		case meet.SourceCamera:
			out.Camera = shown
		case meet.SourceScreen:
			out.Screen = shown
		}
	}
	return out
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
