package meet

import "github.com/huisclos/huisclos/roster"

// The single permissions, for Policy.Members and Policy.Viewers (SPEC §6.4).
const (
	PermitAudio  = roster.Audio
	PermitVideo  = roster.Video
	PermitScreen = roster.Screen
	PermitChat   = roster.Chat
	PermitFiles  = roster.Files
)

// Who may admit, for Policy.Admitters.
const (
	HostsAdmit   = roster.Hosts
	MembersAdmit = roster.HostsAndMembers
)

// VoidError says that an act would do nothing, for instance since this member hasn't the right to it. Nothing was sent.
type VoidError = roster.VoidError
