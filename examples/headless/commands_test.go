package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/huisclos/huisclos/examples/internal/media"
)

// TestOtherHost has a host decide about those who knock at another's door.
func TestOtherHost(t *testing.T) {
	t.Parallel()
	claire := start(t, "create", "Claire")
	invite := claire.ready().Invite
	paul := start(t, "join", "Paul", invite)
	claire.admits(paul)
	claire.tell("role Paul host")
	paul.await("Paul as host", func(e event) bool {
		return e.Event == "roster" && len(e.Members) == 2 && e.Members[0].Role == e.Members[1].Role
	})
	for name, command := range map[string]string{"Emma": "admit", "Léa": "deny"} {
		guest := start(t, "join", name, invite)
		if k := paul.await("knock", named("knock", name)); k.Door != "Claire" {
			t.Errorf("Paul was told %+v", k)
		}
		if k := claire.await("knock", named("knock", name)); k.Door != "" {
			t.Errorf("Claire was told %+v", k)
		}
		paul.tell("%s %s", command, name)
		if command == "deny" {
			guest.exits(statusDenied)
		} else {
			guest.ready()
		}
	}
}

// TestCommands does everything there is on stdin.
func TestCommands(t *testing.T) {
	t.Parallel()
	claire := start(t, "create", "Claire")
	invite := claire.ready().Invite
	paul := start(t, "join", "Paul", invite)
	claire.await("knock", named("knock", "Paul"))
	other := start(t, "join", "paul", invite) // as if he were
	claire.await("knock", named("knock", "paul"))
	paul.await("waiting", kind("waiting"))
	paul.refused("not in the meeting yet", "say Let me in")

	// Two of one name: nobody is let in by mistake.
	key, otherKey := claire.await("knock", named("knock", "Paul")).Key, claire.await("knock", named("knock", "paul")).Key
	refusal := claire.refused("say which by the beginning of the key", "admit Paul")
	if !strings.Contains(refusal.Error, key[:16]) || !strings.Contains(refusal.Error, otherKey[:16]) {
		t.Errorf("the candidates aren't named: %q", refusal.Error)
	}
	claire.refused("nobody here", "admit Emma")
	claire.refused("nobody here", "admit %s", key[:7]) // too little of a key
	claire.refused("say who", "admit")
	claire.tell("admit %s", key[:8])
	paul.ready()
	claire.tell("deny %s", strings.ToUpper(otherKey))
	if end := other.exits(statusDenied); end.Error != "a host of the meeting refused" {
		t.Errorf("the other Paul was told %q", end.Error)
	}
	claire.linked("Paul", 0)

	testDoor(t, claire, paul, invite)
	testTalk(t, claire, paul)
	testState(t, claire, paul)

	claire.refused("no such command", "dance")
	claire.refused("nothing follows", "lock the door")
	claire.refused("role WHO host|member|viewer", "role Paul king")
	claire.refused("role WHO host|member|viewer", "role host")
	claire.refused("nobody here", "remove Nobody")
	paul.refused("no effect", "remove Claire")
	if err := paul.stdin.Close(); err != nil { // its end isn't that of the program
		t.Fatal(err)
	}
	claire.ask(func(e event) bool { return e.Event == "member_changed" && e.Role == "viewer" }, "role Paul viewer")
	if err := paul.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if end := paul.exits(statusOver); end.Reason != "left" {
		t.Errorf("Paul ended with %+v", end)
	}
	if left := claire.await("Paul's end", named("member_left", "Paul")); left.Reason != "left" || left.By != "" {
		t.Errorf("Claire was told %+v", left)
	}
	claire.tell("leave")
	if end := claire.exits(statusOver); end.Reason != "left" {
		t.Errorf("Claire ended with %+v", end)
	}
}

// testDoor locks and unlocks.
func testDoor(t *testing.T, claire, paul *process, invite string) {
	entry := func(state string) func(event) bool {
		return func(e event) bool { return e.Event == "roster" && e.Entry == state }
	}
	claire.ask(entry("locked"), "lock")
	paul.await("lock", entry("locked"))
	if end := start(t, "join", "Emma", invite).exits(statusDenied); end.Error != "the meeting is locked" {
		t.Errorf("Emma was told %q", end.Error)
	}
	claire.ask(entry("ask"), "unlock")
	emma := start(t, "join", "Emma", claire.invite())
	claire.await("knock", named("knock", "Emma"))
	emma.tell("leave") // at the door
	if end := emma.exits(statusOver); end.Reason != "left" {
		t.Errorf("Emma ended with %+v", end)
	}
	claire.await("Emma's going away", kind("knock_gone"))
}

// testTalk chats, verifies and lists.
func testTalk(t *testing.T, claire, paul *process) {
	const text = `L'été, "<&>" — 🔒`
	claire.tell("say %s", text)
	if chat := paul.await("chat", kind("chat")); chat.From != "Claire" || chat.Text != text {
		t.Errorf("Paul read %+v", chat)
	}
	paul.refused("say what", "say  ")

	asked := claire.ask(kind("verify"), "verify Paul")
	answered := paul.await("verify", kind("verify"))
	if asked.Digits == "" || asked.Digits != answered.Digits || asked.With != "Paul" || answered.With != "Claire" {
		t.Errorf("Claire compares %+v with Paul's %+v", asked, answered)
	}
	paul.refused("nobody here", "verify Emma")

	claire.await("words", kind("words"))
	if again, theirs := claire.ask(kind("words"), "words"), paul.ask(kind("words"), "words"); again.Digits != theirs.Digits {
		t.Errorf("Claire's words are %+v, Paul's %+v", again.Words, theirs.Words)
	}
	members := claire.ask(kind("members"), "members").Members
	if len(members) != 2 {
		t.Fatalf("Claire sees %+v", members)
	}
	for _, m := range members {
		if want := m.Name == "Claire"; m.Self != want || m.Creator != want || (m.Role == "host") != want {
			t.Errorf("Claire sees %+v", m)
		}
	}
	if stats := claire.ask(kind("stats"), "stats"); len(stats.Tracks) != 0 {
		t.Errorf("Claire counts %+v", stats.Tracks)
	}
}

// testState does what members tell and ask each other besides.
func testState(t *testing.T, claire, paul *process) {
	claire.tell("tell paul between us")
	if chat := paul.await("private chat", func(e event) bool { return e.Event == "chat" && e.Private }); chat.From != "Claire" || chat.Text != "between us" {
		t.Errorf("Paul read %+v", chat)
	}
	claire.refused("tell WHO TEXT", "tell Emma hello")
	claire.refused("tell WHO TEXT", "tell paul")
	paul.tell("react 👍")
	if r := claire.await("reaction", kind("reaction")); r.From != "Paul" || r.Text != "👍" {
		t.Errorf("Claire saw %+v", r)
	}
	paul.refused("one visible character", "react well done")
	hand := func(raised bool) func(event) bool {
		return func(e event) bool { return e.Event == "hand" && e.Name == "Paul" && e.Raised == raised }
	}
	paul.ask(hand(true), "hand up")
	claire.await("hand", hand(true))
	paul.tell("hand down")
	claire.await("lowered hand", hand(false))
	paul.refused("hand up or hand down", "hand left")
	claire.tell("askmute Paul")
	if r := paul.await("request to mute", kind("mute_requested")); r.By != "Claire" || r.Source != "microphone" {
		t.Errorf("Paul was asked %+v", r)
	}
	paul.refused("policy doesn't permit", "askmute Claire")
	state := func(s string) func(event) bool {
		return func(e event) bool { return e.Event == "recording" && e.By == "Claire" && e.State == s }
	}
	paul.refused("neither records", "record consent Claire")
	claire.refused("record ask", "record now")
	claire.tell("record ask")
	paul.await("question", state("asked"))
	paul.tell("record refuse Claire")
	claire.await("refusal", func(e event) bool { return e.Event == "recording" && len(e.Refused) == 1 })
	paul.tell("record consent Claire")
	claire.await("recording", state("running"))
	paul.tell("record withdraw Claire")
	claire.await("pause", state("paused"))
	claire.tell("record stop")
	paul.await("end of recording", state("over"))
}

// TestPlay: files end where they end, go on with --loop, and --duration ends everything; a viewer isn't heard.
func TestPlay(t *testing.T) {
	t.Parallel()
	speech, err := media.FS.ReadFile("speech-2.ogg")
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, "speech.ogg", speech, 0o600)
	dir := filepath.Join(t.TempDir(), "made", "here")
	claire := start(t, "create", "Claire", "--admit", "auto", "--record", dir)
	invite := claire.ready().Invite
	paul := start(t, "join", "../Paul:1", "--play", file, "--loop", "--duration", "1h", invite)
	claire.await("track", kind("track_added"))
	claire.tell("role ../Paul:1 viewer")
	recorded := claire.await("recording", kind("recorded"))
	if recorded.File != "_Paul_1-audio-1.ogg" {
		t.Errorf("the recording is %q", recorded.File)
	}
	if err := paul.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	emma := start(t, "join", "Emma", "--play", file, "--duration", "1500ms", invite)
	ready := emma.ready().Time
	claire.await("track", func(e event) bool { return e.Event == "track_added" && e.Member == "Emma" })
	if end := emma.exits(statusOver); end.Reason != "left" || end.Time.Sub(ready) < 1500*time.Millisecond {
		t.Errorf("Emma was ready at %v and ended with %+v", ready, end)
	}
	claire.await("Emma's end", named("member_left", "Emma"))
	claire.await("recording", func(e event) bool { return e.Event == "recorded" && e.Member == "Emma" && e.Frames > 0 })
}

// TestDemo: it tells the whole story and ends well.
func TestDemo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ language, first, last string }{
		{"C", "Claire begins a meeting", "That was all"},
		{"fr_FR.UTF-8", "Claire ouvre une réunion", "C'est tout"},
	} {
		if testing.Short() && tt.language == "C" {
			continue
		}
		t.Run(tt.language, func(t *testing.T) {
			t.Parallel()
			testDemo(t, tt.language, tt.first, tt.last)
		})
	}
}
