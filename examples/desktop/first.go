package main

import (
	"os"
	"os/user"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/desktop/internal/linkhandler"
)

// reactions are those there are.
var reactions = []string{"👍", "👏", "❤️", "😂", "😮", "🤔", "🎉", "👎"}

const maxFile = 4 << 30

// firstState is what the page shows before anything has happened.
func firstState(o options) state {
	language := o.language
	if language == "" {
		language = systemLanguage(os.Getenv)
	}
	s := state{
		App: app{
			Version: programVersion(), Languages: []string{"fr", "en"}, SystemLanguage: systemLanguage(os.Getenv), System: runtime.GOOS,
			GraceSeconds: int(o.grace.Seconds()), MaxFile: maxFile, MaxChat: maxChat, MaxName: maxName, Reactions: reactions,
			LinkHandler: linkhandler.Registered(),
		},
		Settings: settings{Name: userName(), Language: language, Theme: "system", Page: map[string]string{}},
		Contacts: []contact{},
		Network:  firstNetwork(),
		Phase:    phase{Name: "start", Since: now()},
		Media:    media{Connection: "none", Own: map[string]string{}},
		Link:     o.link,
	}
	s.outside()
	return s
}

// outside empties what belongs to a meeting.
func (s *state) outside() {
	s.Meeting, s.Invite, s.Policy, s.Words = nil, nil, nil, nil
	s.Members, s.Knocks, s.Tracks = []member{}, []knock{}, []track{}
	s.Chat, s.Files, s.Verifications, s.Warnings = []message{}, []file{}, []verification{}, []warning{}
	s.Recording = recording{State: "none"}
	s.Media.Own = map[string]string{"microphone": "off", "camera": "off", "screen": "off", "screenAudio": "off"}
}

// meetingParts are what outside empties.
var meetingParts = []string{
	"meeting", "invite", "policy", "words", "members", "knocks", "tracks", "chat", "files", "verifications", "warnings", "recording", "media",
}

// version is set by the linker in releases.
var version string

func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// systemLanguage is fr or en.
func systemLanguage(getenv func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := getenv(name); value != "" {
			if strings.HasPrefix(strings.ToLower(value), "fr") {
				return "fr"
			}
			return "en"
		}
	}
	return "en"
}

// userName is what the system calls the person, as a beginning.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(u.Name, ",")
	if name = cleanName(name); crypto.CheckName(name) != nil || strings.EqualFold(name, "root") {
		return ""
	}
	return name
}

// features says what can be used.
func features(s store) map[string]feature {
	all := map[string]feature{}
	for _, name := range []string{"verify", "words", "exposure", "alone", "reach", "contacts", "files", "recording", "private-chat", "reactions", "hand", "ask-mute", "attendance"} {
		all[name] = feature{Available: true}
	}
	all["link-handler"] = feature{Available: linkhandler.Available()}
	if !linkhandler.Available() {
		all["link-handler"] = feature{Reason: "system"}
	}
	for _, name := range []string{"history", "backup"} {
		all[name] = feature{Available: s.Unlocked}
		if !s.Unlocked {
			all[name] = feature{Reason: "needs-store"}
		}
	}
	return all
}
