package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// TestAttendanceFile: the record of a meeting is written, checked offline and shown; one that was changed is refused.
func TestAttendanceFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	claire := start(t, "create", "Claire", "--admit", "auto", "--attendance", at("end.json"))
	paul := start(t, "join", "=Paul|1", claire.ready().Invite)
	paul.ready()
	claire.linked("=Paul|1", 0)
	claire.refused("say where to", "attendance")
	if e := claire.ask(kind("attendance"), "attendance %s", at("now.json")); e.File != at("now.json") {
		t.Errorf("%+v", e)
	}
	claire.refused("exists", "attendance %s", at("now.json"))
	claire.refused("no such file", "attendance %s", at("missing/now.json"))
	paul.ask(kind("attendance"), "attendance %s", at("table.csv"))
	claire.refused("say where to", "exposure")
	claire.ask(kind("exposure"), "exposure %s", at("exposure.json"))
	raw, err := os.ReadFile(at("exposure.json"))
	var e meet.Exposure
	if err != nil || json.Unmarshal(raw, &e) != nil || len(e.Parties) == 0 || e.Parties[0].Party.Name != "=Paul|1" {
		t.Errorf("%v: %s", err, raw)
	}
	paul.tell("leave")
	paul.exits(statusOver)
	claire.awaitFrom(0, "Paul's end", named("member_left", "=Paul|1"))
	claire.tell("end")
	claire.exits(statusOver)

	if info, err := os.Stat(at("now.json")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	table, err := os.ReadFile(at("table.csv"))
	if err != nil || !bytes.Contains(table, []byte("'=Paul|1,")) || bytes.Contains(table, []byte("\n=Paul")) {
		t.Errorf("%v: %s", err, table)
	}
	stdout, stderr, status := runOnce(t, "verify", at("end.json"))
	if status != statusOver || stderr != "" || !strings.Contains(stdout, "=Paul|1") {
		t.Errorf("status %d: %q, %q", status, stdout, stderr)
	}
	for l, want := range map[crypto.Language][]string{
		crypto.English: {"Genuine", "Ended", "NAME", "host", "began the meeting, to the end", "admitted by Claire, left", "can prove to anyone"},
		crypto.French:  {"Authentique", "Close le", "NOM", "hôte", "a ouvert la réunion, jusqu'à la fin", "admis par Claire, est parti", "peut prouver à quiconque"},
	} {
		var out, said bytes.Buffer
		if status := verifyFile(at("end.json"), &out, &said, l); status != statusOver || said.Len() > 0 {
			t.Errorf("%s: status %d, %q", l, status, said.String())
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", l, w, out.String())
			}
		}
	}
	good, err := os.ReadFile(at("end.json"))
	if err != nil {
		t.Fatal(err)
	}
	forged := writeFile(t, "forged.json", bytes.ReplaceAll(good, []byte("Claire"), []byte("Marie")), 0o600)
	for l, want := range map[crypto.Language]string{crypto.English: "no genuine attendance record", crypto.French: "n'est pas un relevé"} {
		var out, said bytes.Buffer
		if status := verifyFile(forged, &out, &said, l); status != statusInput || out.Len() > 0 || strings.Count(said.String(), "\n") != 1 || !strings.Contains(said.String(), want) {
			t.Errorf("%s: status %d, %q, %q", l, status, out.String(), said.String())
		}
	}
}
