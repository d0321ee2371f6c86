package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// TestThree: three processes talk, and everybody records everybody.
func TestThree(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	seconds := 10
	if testing.Short() {
		seconds = 5
	}
	files := mediaFor(t, 3, seconds)
	claire := startPlaying(t, files[0], "create", "Claire", "--admit", "auto")
	invite := claire.ready().Invite
	paul := startPlaying(t, files[1], "join", "Paul", invite)
	emma := startPlaying(t, files[2], "join", "Emma", "-")
	emma.tell("%s", invite)
	all := []member{claire, paul, emma}

	var hash string
	var words event
	for i, m := range all {
		threeIn := func(e event) bool { return e.Event == "roster" && len(e.Members) == 3 }
		roster := m.await("roster of three", threeIn)
		spoken := m.await("words of three", func(e event) bool {
			return e.Event == "words" && e.Time.After(roster.Time)
		})
		if len(spoken.Words.Fr) != 6 || len(spoken.Words.En) != 6 || len(spoken.Digits) != 23 {
			t.Errorf("%s's words are %v", m.name, spoken.Words)
		}
		if i == 0 {
			hash, words = roster.Hash, spoken
			continue
		}
		if roster.Hash != hash {
			t.Errorf("%s's roster is %s, Claire's %s", m.name, roster.Hash, hash)
		}
		if spoken.Digits != words.Digits || !slices.Equal(spoken.Words.Fr, words.Words.Fr) || !slices.Equal(spoken.Words.En, words.Words.En) {
			t.Errorf("%s's words are %v, Claire's %v", m.name, spoken, words)
		}
	}
	for _, by := range all {
		for _, of := range all {
			if by.process != of.process {
				checkRecording(t, by, of, "audio")
				checkRecording(t, by, of, "video")
			}
		}
	}
	for _, m := range all {
		m.tell("leave")
		m.exits(statusOver)
		stats := m.all("stats")
		if len(stats) != 1 || len(stats[0].Tracks) != 4 {
			t.Fatalf("%s's last stats are %+v", m.name, stats)
		}
		for _, track := range stats[0].Tracks {
			t.Logf("%s of %s's %s: %d packets, %d lost, %d undecryptable", m.name, track.Member, track.Kind, track.Packets, track.Lost, track.Undecryptable)
			if track.Packets == 0 || track.Undecryptable != 0 || !track.Over {
				t.Errorf("%s's stats of %s's %s: %+v", m.name, track.Member, track.Kind, track)
			}
		}
	}
}

// TestRemove: who is removed is told by whom, and doesn't come back by any older link; who is banned, by none.
func TestRemove(t *testing.T) {
	t.Parallel()
	claire := start(t, "create", "Claire")
	old := claire.ready().Invite
	who := filepath.Join(t.TempDir(), "identity")
	paul := start(t, "join", "Paul", "--identity", who, old)
	claire.admits(paul)
	emma := start(t, "join", "Emma", old)
	claire.admits(emma)
	waiting := start(t, "join", "Waiting", old)
	claire.await("knock", named("knock", "Waiting"))

	// Who isn't linked yet when put out learns it too, from a door, but some seconds later: see TestCreatorKilled.
	claire.linked("Paul", 0)
	claire.tell("remove Paul")
	if end := paul.exits(statusRemoved); end.Reason != "removed" || end.By != "Claire" || !strings.Contains(paul.stderr.String(), "Claire removed you") {
		t.Errorf("Paul ended with %+v and said %q", end, paul.stderr.String())
	}
	waiting.exits(statusDenied)
	if left := emma.await("Paul's end", named("member_left", "Paul")); left.Reason != "removed" || left.By != "Claire" {
		t.Errorf("Emma was told %+v", left)
	}
	start(t, "join", "Paul", "--identity", who, old).exits(statusDenied)
	start(t, "join", "Somebody", old).exits(statusDenied)

	// A removal is no ban: with a new link he may ask again.
	from := claire.now()
	link := claire.invite()
	paul = start(t, "join", "Paul", "--identity", who, link)
	claire.awaitFrom(from, "knock", named("knock", "Paul"))
	claire.tell("admit Paul")
	paul.ready()
	claire.linked("Paul", from)
	claire.tell("ban Paul")
	if end := paul.exits(statusRemoved); end.Reason != "banned" || end.By != "Claire" {
		t.Errorf("Paul ended with %+v", end)
	}
	paul = start(t, "join", "Paul", "--identity", who, claire.invite())
	if end := paul.exits(statusDenied); !strings.Contains(end.Error, "for good") {
		t.Errorf("Paul ended with %+v", end)
	}
	if members := emma.ask(kind("members"), "members").Members; len(members) != 2 {
		t.Errorf("Emma sees %+v", members)
	}
}

// TestCreatorKilled: the meeting outlives its creator, who comes back without anybody's help.
func TestCreatorKilled(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	seconds := 10
	if testing.Short() {
		seconds = 5
	}
	files := mediaFor(t, 2, seconds)
	who := filepath.Join(t.TempDir(), "identity")
	claire := start(t, "create", "Claire", "--identity", who)
	first := claire.ready().Invite
	paul := startPlaying(t, files[0], "join", "Paul", first)
	claire.admits(paul.process)
	emma := startPlaying(t, files[1], "join", "Emma", first)
	claire.admits(emma.process)
	claire.tell("role Paul host")
	for _, m := range []member{paul, emma} {
		m.withRole("Paul", "host", 0)
		m.await("track", kind("track_added"))
	}
	if err := claire.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// What they record of each other began before and ends after it.
	for _, kind := range []string{"audio", "video"} {
		checkRecording(t, paul, emma, kind)
		checkRecording(t, emma, paul, kind)
	}
	if !testing.Short() { // it takes 15 s
		for _, m := range []member{paul, emma} {
			m.await("Claire away", func(e event) bool { return e.Event == "member_changed" && e.Name == "Claire" && e.Away })
		}
	}
	link := paul.invite()
	lea := start(t, "join", "Léa", link)
	paul.admits(lea)
	emma.await("Léa", named("member_joined", "Léa"))
	paul.tell("remove Léa")
	if end := lea.exits(statusRemoved); end.By != "Paul" {
		t.Errorf("Léa ended with %+v", end)
	}

	// The removal killed the link; for who is on the roster it opens the door all the same.
	from := emma.now()
	claire = start(t, "join", "Claire", "--identity", who, link)
	claire.ready()
	back := emma.awaitFrom(from, "Claire back", func(e event) bool { return e.Event == "member_changed" && e.Name == "Claire" && !e.Away })
	if back.Role != "host" || !back.Creator {
		t.Errorf("Claire is back as %+v", back)
	}
	for _, name := range []string{"Paul", "Emma"} {
		claire.linked(name, 0)
	}
	claire.ask(func(e event) bool { return e.Event == "roster" && e.Entry == "locked" }, "lock")
	claire.tell("end")
	for _, p := range []*process{claire, paul.process, emma.process} {
		if end := p.exits(statusOver); end.Reason != "ended" || end.By != "Claire" {
			t.Errorf("%s ended with %+v", p.name, end)
		}
	}
}

// TestNoHost: without a host the meeting goes on, nobody enters, and everybody is told.
func TestNoHost(t *testing.T) {
	t.Parallel()
	claire := start(t, "create", "Claire", "--admit", "auto")
	paul := start(t, "join", "Paul", claire.ready().Invite)
	paul.ready()
	emma := start(t, "join", "Emma", claire.ready().Invite)
	emma.ready()
	// A link whose door is Paul's, who is no host any more.
	claire.tell("role Paul host")
	for _, p := range []*process{paul, emma} {
		p.withRole("Paul", "host", 0)
	}
	link := paul.invite()
	from, fromEmma := paul.now(), emma.now()
	claire.tell("role Paul member")
	paul.withRole("Paul", "member", from)
	emma.withRole("Paul", "member", fromEmma)
	// Claire's link, which is alive, with that door of Paul's.
	living, door := parseLink(t, claire.ready().Invite), parseLink(t, link)
	living.Doors = door.Doors
	if testing.Short() {
		claire.tell("leave")
		claire.exits(statusOver)
	} else if err := claire.cmd.Process.Kill(); err != nil { // this takes 15 s to notice
		t.Fatal(err)
	}
	for _, p := range []*process{paul, emma} {
		p.await("absence of hosts", func(e event) bool { return e.Event == "hosts_absent" && e.Absent })
	}
	if end := start(t, "join", "Léa", living.String()).exits(statusDenied); !strings.Contains(end.Error, "no host") {
		t.Errorf("Léa was told %q", end.Error)
	}
	start(t, "join", "Léa", link).exits(statusDenied)
	from = emma.now()
	paul.tell("say Nobody decides any more.")
	emma.awaitFrom(from, "chat", kind("chat"))
	for _, p := range []*process{paul, emma} {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		p.exits(statusOver)
	}
}

func parseLink(t *testing.T, text string) crypto.Link {
	t.Helper()
	link, err := crypto.ParseLink(text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return link
}
