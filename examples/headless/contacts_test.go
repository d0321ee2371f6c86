package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestContactsFile: who was marked is known the next time, under any name, and somebody else of that name is shown as such.
func TestContactsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, who := filepath.Join(dir, "contacts"), filepath.Join(dir, "paul")
	read := func() (d contactsData) {
		t.Helper()
		raw, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(raw, &d)
		}
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	claire := start(t, "create", "Claire", "--contacts", file)
	paul := start(t, "join", "Paul", "--identity", who, "--contacts", filepath.Join(dir, "pauls"), claire.ready().Invite)
	claire.admits(paul)
	claire.linked("Paul", 0)
	claire.await("contact", named("contact", "Paul"))
	if d := read(); len(d.Contacts) != 1 || d.Contacts[0].Name != "Paul" || !d.Contacts[0].Verified.IsZero() {
		t.Errorf("%+v", d)
	}
	claire.ask(kind("verify"), "verify Paul")
	claire.refused("nobody here", "mark Emma")
	marked := claire.ask(func(e event) bool { return e.Event == "contact" && e.Verified != nil }, "mark Paul")
	claire.ask(kind("contacts"), "contacts")
	if marked.Name != "Paul" {
		t.Errorf("%+v", marked)
	}
	claire.tell("end")
	claire.exits(statusOver)
	paul.exits(statusOver)
	if d := read(); len(d.Contacts) != 1 || d.Contacts[0].Verified.IsZero() {
		t.Errorf("%+v", d)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}

	claire = start(t, "create", "Claire", "--contacts", file)
	paul = start(t, "join", "Léo", "--identity", who, claire.ready().Invite)
	stranger := start(t, "join", "PAUL", claire.ready().Invite)
	k := claire.await("knock", named("knock", "Léo"))
	if k.Verified != true || !k.Known || k.KnownAs != "Paul" || k.Namesake != nil {
		t.Errorf("%+v", k)
	}
	s := claire.await("knock", named("knock", "PAUL"))
	if s.Verified != false || s.Known || s.Namesake == nil || !s.Namesake.Verified || s.Namesake.Key != k.Key {
		t.Errorf("%+v", s)
	}
	claire.tell("deny %s", s.Key)
	stranger.exits(statusDenied)
	claire.admits(paul)
	claire.ask(func(e event) bool { return e.Event == "contact" && e.Verified == nil }, "unmark Paul")
	claire.tell("leave")
	claire.exits(statusOver)
	if d := read(); len(d.Contacts) != 1 || !d.Contacts[0].Verified.IsZero() {
		t.Errorf("%+v", d)
	}
}
