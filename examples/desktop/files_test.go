package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// content is n bytes that look like nothing.
func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func files(p *testPage) []file { return part[[]file](p, "files") }

// offerFile offers a file as the page does, and returns its ID.
func offerFile(t *testing.T, p *testPage, fields map[string]any, body []byte) string {
	t.Helper()
	fields["size"] = len(body)
	ready := p.must("file-offer", fields)
	if status, refused := p.upload(ready["url"], body); status != http.StatusNoContent {
		t.Fatal(status, refused)
	}
	var id string
	_ = json.Unmarshal(ready["file"], &id)
	return id
}

func untilFile(p *testPage, id, state string) (got file) {
	p.t.Helper()
	p.until("file "+state, func() bool {
		for _, f := range files(p) {
			if f.ID == id && f.State == state {
				got = f
				return true
			}
		}
		return false
	})
	return got
}

// TestFiles: a file from one person to another, checked and under a safe name; refused, withdrawn, broken off.
func TestFiles(t *testing.T) {
	t.Parallel()
	host, guest := meetTwo(t, nil)
	body := content(300_001)
	own := offerFile(t, host, map[string]any{"name": "C:\\x\\\u202egnp.exe", "type": "image/png"}, body)
	guest.until("offer", func() bool { return len(files(guest)) == 1 })
	f := get[[]file](guest, "files")[0]
	sum := sha256.Sum256(body)
	if f.State != "offered" || f.Name != "gnp.exe" || f.Size != 300_001 || f.From != other(guest).ID || f.Self || f.To != "" || f.SHA256 != hexOf(sum[:]) {
		t.Errorf("%+v", f)
	}
	if mine := untilFile(host, own, "offered"); !mine.Self || len(mine.Copies) != 1 || mine.Copies[0] != (fileCopy{other(host).ID, "offered", 0}) {
		t.Errorf("%+v", mine)
	}
	if _, refused := guest.ask("file-save", map[string]any{"file": f.ID}); refused != noSuchFile {
		t.Error("saved before it came:", refused)
	}
	guest.must("file-accept", map[string]any{"file": f.ID})
	if f = untilFile(guest, f.ID, "complete"); f.Done != f.Size {
		t.Errorf("%+v", f)
	}
	var name string
	save := guest.must("file-save", map[string]any{"file": f.ID})
	if _ = json.Unmarshal(save["name"], &name); name != "gnp.exe" || !bytes.Equal(guest.download(save["url"]), body) {
		t.Errorf("%q isn't what was sent", name)
	}
	guest.until("saved", func() bool { return files(guest)[0].Saved })
	host.until("copy", func() bool {
		return files(host)[0].Copies[0].State == "complete" && files(host)[0].Copies[0].Done == 300_001
	})

	second := offerFile(t, host, map[string]any{"name": "b", "to": other(host).ID}, nil) // an empty one, to one person
	guest.until("second", func() bool { return len(files(guest)) == 2 && files(guest)[1].To != "" })
	id := get[[]file](guest, "files")[1].ID
	guest.must("file-refuse", map[string]any{"file": id})
	untilFile(guest, id, "refused")
	host.until("refusal", func() bool {
		copies := files(host)[1].Copies // none before the first news of one
		return len(copies) == 1 && copies[0] == fileCopy{otherNow(host).ID, "refused", 0}
	})
	guest.must("file-accept", map[string]any{"file": id}) // it can be had as long as it is offered
	untilFile(guest, id, "complete")
	host.must("file-withdraw", map[string]any{"file": second})
	untilFile(host, second, "withdrawn")

	third := offerFile(t, guest, map[string]any{"name": "c"}, content(10))
	host.until("third", func() bool { return len(files(host)) == 3 })
	guest.must("file-withdraw", map[string]any{"file": third})
	id = get[[]file](host, "files")[2].ID
	untilFile(host, id, "withdrawn")
	if _, refused := host.ask("file-accept", map[string]any{"file": id}); refused != noSuchFile {
		t.Error(refused)
	}

	ready := guest.must("file-offer", map[string]any{"name": "d", "size": 10})
	if status, refused := guest.upload(ready["url"], content(9)); status == http.StatusNoContent {
		t.Error("a file that isn't whole was taken", refused)
	}
	guest.until("failure", func() bool { return files(guest)[3].State == "failed" && files(guest)[3].Error != nil })

	for _, tt := range []struct {
		fields map[string]any
		want   code
	}{
		{map[string]any{"name": "x", "size": maxFile + 1}, tooLong},
		{map[string]any{"name": "x", "size": -1}, badRequest},
		{map[string]any{"name": "", "size": 1}, badRequest},
		{map[string]any{"name": "x", "size": 1, "to": strings.Repeat("0", 64)}, noSuchMember},
	} {
		if _, refused := guest.ask("file-offer", tt.fields); refused != tt.want {
			t.Errorf("%v: %q, want %q", tt.fields, refused, tt.want)
		}
	}
	p := get[*policy](host, "policy")
	p.Members = []string{"chat"}
	host.must("policy-set", map[string]any{"policy": p})
	guest.until("less rights", func() bool { return len(part[*meeting](guest, "meeting").Can.Send) == 1 })
	if _, refused := guest.ask("file-offer", map[string]any{"name": "x", "size": 1}); refused != notPermitted {
		t.Error(refused)
	}

	host.must("leave", nil)
	guest.must("leave", nil)
	guest.untilPhase("ended")
	if e := get[phase](guest, "phase").Ended; e.Files != 4 {
		t.Errorf("%+v", e)
	}
	save = guest.must("file-save", map[string]any{"file": f.ID}) // what came can still be saved
	if !bytes.Equal(guest.download(save["url"]), body) {
		t.Error("damaged after the end")
	}
	guest.until("saved again", func() bool { return files(guest)[0].Saved })
	guest.must("files-discard", nil) // the second
	guest.must("done", nil)
	if _, refused := guest.ask("file-save", map[string]any{"file": f.ID}); refused != noSuchFile {
		t.Error("it is there after all was done:", refused)
	}
}

// TestFilesForNewcomers: who comes later is shown what is offered to them too, and nothing else.
func TestFilesForNewcomers(t *testing.T) {
	t.Parallel()
	host, guest := meetTwo(t, nil)
	offerFile(t, host, map[string]any{"name": "for those here"}, content(10))
	own := offerFile(t, host, map[string]any{"name": "for all", "newcomers": true}, content(10))
	guest.until("offers", func() bool { return len(files(guest)) == 2 })
	late := openPage(t, startAgent(t, nil))
	late.name("Late")
	late.must("join", map[string]any{"link": get[*invitation](host, "invite").Link})
	host.until("knock", func() bool { return len(part[[]knock](host, "knocks")) == 1 })
	host.must("admit", map[string]any{"member": get[[]knock](host, "knocks")[0].ID})
	late.until("offer", func() bool { return len(files(late)) > 0 })
	if all := get[[]file](late, "files"); len(all) != 1 || all[0].Name != "for all" {
		t.Errorf("%+v", all)
	}
	host.until("another copy", func() bool {
		for _, f := range files(host) {
			if f.ID == own {
				return f.Newcomers && len(f.Copies) == 2
			}
		}
		return false
	})
}

// TestFilePauses: a transfer stops and goes on as the receiver says, and begins again after it was stopped.
func TestFilePauses(t *testing.T) {
	t.Parallel()
	host, guest := meetTwo(t, nil)
	body := content(24_000_000)
	offerFile(t, host, map[string]any{"name": "a"}, body)
	guest.until("offer", func() bool { return len(files(guest)) == 1 })
	id := get[[]file](guest, "files")[0].ID
	guest.must("file-accept", map[string]any{"file": id})
	guest.must("file-pause", map[string]any{"file": id})
	untilFile(guest, id, "paused")
	guest.must("file-resume", map[string]any{"file": id})
	event[fileProgressEvent](guest, "file-progress")
	guest.must("file-withdraw", map[string]any{"file": id})
	untilFile(guest, id, "offered")
	host.until("refusal", func() bool { return files(host)[0].Copies[0].State == "refused" })
	guest.must("file-accept", map[string]any{"file": id})
	untilFile(guest, id, "complete")
	if !bytes.Equal(guest.download(guest.must("file-save", map[string]any{"file": id})["url"]), body) {
		t.Error("damaged")
	}
}

// TestUnsavedFiles: what came outlives the meeting, and nothing but the person's word deletes it: no other meeting, no
// going back to the start, no quitting, and no closed tab.
func TestUnsavedFiles(t *testing.T) {
	t.Parallel()
	host, guest := meetTwo(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		offerFile(t, host, map[string]any{"name": name}, content(100))
	}
	guest.until("offers", func() bool { return len(files(guest)) == 3 })
	all := get[[]file](guest, "files")
	guest.must("file-accept", map[string]any{"file": all[0].ID})
	untilFile(guest, all[0].ID, "complete")
	if _, refused := guest.ask("quit", nil); refused != unsavedFiles {
		t.Error("quit in the meeting:", refused)
	}
	guest.must("files-discard", nil)
	untilFile(guest, all[0].ID, "offered") // it can be had again
	for _, f := range all[:2] {
		guest.must("file-accept", map[string]any{"file": f.ID})
		untilFile(guest, f.ID, "complete")
	}
	guest.download(guest.must("file-save", map[string]any{"file": all[1].ID})["url"])
	guest.until("saved", func() bool { return files(guest)[1].Saved })
	guest.must("leave", nil)
	guest.untilPhase("ended")
	for _, do := range []string{"done", "quit", "create", "alone"} {
		if _, refused := guest.ask(do, map[string]any{"entry": "ask"}); refused != unsavedFiles {
			t.Errorf("%s: %q", do, refused)
		}
	}
	guest.untilKept("the file")
	back := connectPage(t, guest.agent, guest.session)
	if body := back.download(back.must("file-save", map[string]any{"file": all[0].ID})["url"]); !bytes.Equal(body, content(100)) {
		t.Error("it was damaged meanwhile")
	}
	back.until("saved", func() bool { return files(back)[0].Saved })
	_ = back.socket.Close()
	<-guest.agent.context.Done() // control: nothing is left that isn't saved, and it ends by itself
}

// TestFilesUnreadable: nothing of a file lies readable on the disk, and after the end nothing lies there.
func TestFilesUnreadable(t *testing.T) {
	t.Parallel()
	var dirs []string
	host, guest := meetTwo(t, func(o *options) {
		o.run = t.TempDir()
		dirs = append(dirs, o.run)
	})
	secret := bytes.Repeat([]byte("privileged and confidential "), 20_000)
	offerFile(t, host, map[string]any{"name": "a"}, secret)
	guest.until("offer", func() bool { return len(files(guest)) == 1 })
	id := get[[]file](guest, "files")[0].ID
	guest.must("file-accept", map[string]any{"file": id})
	untilFile(guest, id, "complete")
	check := func() (found int) {
		for _, dir := range append([]string{"/proc/self/fd"}, dirs...) { // files without a name too, where there is /proc
			_ = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
				if target, err := os.Readlink(path); err == nil && !strings.Contains(target, "spool") {
					return nil
				}
				if err != nil || info.IsDir() {
					return nil
				}
				if f, err := os.Open(path); err == nil {
					raw, _ := io.ReadAll(f)
					_ = f.Close()
					found++
					if bytes.Contains(raw, []byte("privileged")) {
						t.Errorf("%s is readable", path)
					}
				}
				return nil
			})
		}
		return found
	}
	if _, err := os.Stat("/proc/self/fd"); err == nil && check() < 2 {
		t.Error("nothing was looked at")
	}
	guest.must("files-discard", nil)
	for _, p := range []*testPage{host, guest} {
		p.must("quit", nil)
		<-p.agent.over
		p.agent.tasks.Wait()
	}
	for _, dir := range dirs {
		if left, err := os.ReadDir(filepath.Join(dir, "spool")); err == nil && len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
}
