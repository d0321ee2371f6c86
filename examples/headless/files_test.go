package main

import (
	"bytes"
	"crypto/sha256"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestFiles: two processes, 50 MB over loopback, paused once in the middle; a private one; no overwriting; what goes wrong.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir, folder := t.TempDir(), t.TempDir()
	body := make([]byte, 50_000_000)
	rand.New(rand.NewSource(1)).Read(body)
	path := filepath.Join(dir, "Conclusions d'appel.pdf")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	claire := start(t, "create", "Claire", "--admit", "auto")
	paul := start(t, "join", "Paul", "--files", folder, claire.ready().Invite)
	paul.ready()
	claire.linked("Paul", 0)
	claire.tell("send %s", path)
	o := paul.await("an offer", kind("file_offered"))
	if o.Name != "Conclusions d'appel.pdf" || o.Size != int64(len(body)) || o.From != "Claire" || o.Private {
		t.Fatalf("%+v", o)
	}
	begun := time.Now()
	from := paul.now()
	paul.tell("accept %s", o.ID)
	paul.awaitFrom(from, "a beginning", func(e event) bool { return e.Event == "file_progress" && e.Done > 0 })
	paused := paul.ask(func(e event) bool { return e.Event == "file_progress" && e.State == "paused" }, "pause %s", o.ID[:8])
	if paused.Done == 0 || paused.Done == paused.Size {
		t.Errorf("paused at %d bytes: that isn't in the middle", paused.Done)
	}
	claire.await("the pause", func(e event) bool { return e.Event == "file_progress" && e.State == "paused" && e.Sending })
	done := paul.ask(kind("file_done"), "resume %s", o.ID[:8])
	t.Logf("paused at %d of %d bytes, done after %v", paused.Done, paused.Size, time.Since(begun))
	got, err := os.ReadFile(done.File)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(body) || done.File != filepath.Join(folder, o.SafeName) {
		t.Fatalf("%v %+v", err, done)
	}
	claire.await("the end", func(e event) bool { return e.Event == "file_done" && e.Sending && e.Error == "" && e.Member == "Paul" })

	// Again, to Paul alone: under another name.
	small := filepath.Join(dir, "small one.txt")
	if err := os.WriteFile(small, []byte("bonjour"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"small one.txt", "small one (2).txt"} {
		o := paul.askOther(claire, kind("file_offered"), "send %s Paul", small)
		if !o.Private {
			t.Error("it isn't private")
		}
		done := paul.ask(kind("file_done"), "accept %s", o.ID)
		got, err := os.ReadFile(done.File)
		if err != nil || !bytes.Equal(got, []byte("bonjour")) || filepath.Base(done.File) != want {
			t.Errorf("%v %q %+v", err, got, done)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*.part")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	unwanted := paul.askOther(claire, kind("file_offered"), "send %s Paul", small)
	paul.tell("refuse %s", unwanted.ID)
	if e := claire.await("the refusal", kind("file_refused")); e.ID != unwanted.ID || e.Member != "Paul" {
		t.Errorf("%+v", e)
	}
	paul.refused("nobody offers", "accept 12345678")
	paul.refused("nobody offers", "refuse 12345678")
	paul.refused("no file", "pause 12345678")
	claire.refused("no such file", "send %s", filepath.Join(dir, "nothing"))
	claire.refused("regular file", "send %s", dir)
	claire.refused("nobody here", "send %s Nobody", small)
	claire.refused("nobody offers", "accept %s", o.ID) // one's own
	claire.tell("end")
	claire.exits(statusOver)
	paul.exits(statusOver)
}

// askOther has another process do something, and returns what this one then reports.
func (p *process) askOther(other *process, wanted func(event) bool, format string, args ...any) event {
	p.t.Helper()
	from := p.now()
	other.tell(format, args...)
	return p.awaitFrom(from, "what the other did", wanted)
}

// TestAcceptFiles: with --accept-files all that is offered is received, under safe names.
func TestAcceptFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(t.TempDir(), ".bashrc")
	if err := os.WriteFile(path, []byte("echo"), 0o600); err != nil {
		t.Fatal(err)
	}
	claire := start(t, "create", "Claire", "--admit", "auto")
	paul := start(t, "join", "Paul", "--files", folder, "--accept-files", claire.ready().Invite)
	paul.ready()
	claire.linked("Paul", 0)
	claire.tell("send %s", path)
	if done := paul.await("the file", kind("file_done")); done.File != filepath.Join(folder, "bashrc") || done.Error != "" {
		t.Errorf("%+v", done)
	}
	if _, err := parse([]string{"create", "--accept-files"}); err == nil {
		t.Error("--accept-files without a folder")
	}
}
