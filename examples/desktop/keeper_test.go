package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	vault "github.com/huisclos/huisclos/examples/desktop/internal/store"
)

const testPassphrase = "six words that nobody guesses"

// TestNothingKept: a whole meeting leaves nothing on the disk, unless the person wants it.
func TestNothingKept(t *testing.T) {
	t.Parallel()
	var dirs []string
	host, guest := meetTwo(t, func(o *options) { dirs = append(dirs, o.data) })
	host.must("say", map[string]any{"text": "privileged"})
	event[chattedEvent](guest, "chatted")
	host.must("end", nil)
	guest.untilPhase("ended")
	host.untilPhase("ended")
	for _, dir := range dirs {
		if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
			t.Error(files, err)
		}
	}
}

// TestRemembered: what the person has remembered is there at the next start, with the passphrase; it can be deleted,
// exported, saved and restored.
func TestRemembered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := true
	host, guest := meetTwo(t, func(o *options) {
		if first {
			o.data = dir
		}
		first = false
	})
	host.must("store-create", map[string]any{"passphrase": testPassphrase})
	if _, refused := host.ask("store-create", map[string]any{"passphrase": testPassphrase}); refused != storeExists {
		t.Error(refused)
	}
	host.must("store-history", map[string]any{"on": true, "retentionDays": 30})
	host.compares(other(host).ID)
	guest.must("say", map[string]any{"text": "privileged"})
	event[chattedEvent](host, "chatted")
	ada := other(host).ID
	self := get[*meeting](host, "meeting").Self
	host.must("end", nil)
	guest.untilPhase("ended")
	host.untilPhase("ended")
	if e := get[phase](host, "phase").Ended; e.Contacts != 1 || !e.Kept || get[phase](guest, "phase").Ended.Kept {
		t.Error("the ends don't say what was kept")
	}
	host.until("history", func() bool { return len(part[store](host, "store").Kept) == 1 })
	if seen := namesIn(host, "names"); !slices.Contains(seen, "Ada") {
		t.Errorf("after the meeting, who has learnt the name: %q", seen)
	}
	host.must("quit", nil)
	<-host.agent.over
	host.agent.tasks.Wait()
	raw, err := os.ReadFile(filepath.Join(dir, "huisclos.age"))
	if err != nil || bytes.Contains(raw, []byte("privileged")) {
		t.Fatal(err)
	}

	p := openPage(t, startAgent(t, func(o *options) { o.data = dir }))
	if s := get[store](p, "store"); !s.Exists || s.Unlocked || len(s.Kept) != 0 || len(get[[]contact](p, "contacts")) != 0 {
		t.Errorf("%+v", s)
	}
	if _, refused := p.ask("store-unlock", map[string]any{"passphrase": "another passphrase"}); refused != wrongPassphrase {
		t.Error(refused)
	}
	p.must("store-unlock", map[string]any{"passphrase": testPassphrase})
	s := get[store](p, "store")
	c := get[[]contact](p, "contacts")
	if !s.Unlocked || !s.History || len(s.Kept) != 1 || s.Kept[0].DeleteAt == 0 || len(c) != 1 || c[0].ID != ada || !c[0].Verified || c[0].LastMet == 0 || get[settings](p, "settings").Name != "Maître Dupont" {
		t.Fatalf("%+v, %+v", s, c)
	}
	p.must("create", nil)
	p.untilPhase("meeting")
	if get[*meeting](p, "meeting").Self != self {
		t.Error("the identity is another")
	}
	p.must("leave", nil)
	p.untilPhase("ended")
	p.until("history of both", func() bool { return len(part[store](p, "store").Kept) == 2 })
	var chat []message
	if err := json.Unmarshal(p.must("history-show", map[string]any{"meeting": s.Kept[0].ID})["chat"], &chat); err != nil || len(chat) != 1 || chat[0].Text != "privileged" {
		t.Error(chat, err)
	}
	if export := p.download(p.must("store-export", nil)["url"]); !strings.Contains(string(export), "privileged") || strings.Contains(string(export), "SECRET") {
		t.Error(string(export))
	}
	backup := p.download(p.must("backup", nil)["url"])
	p.must("store-history", map[string]any{"on": false})
	p.until("no history", func() bool { s := part[store](p, "store"); return len(s.Kept) == 0 && !s.History })
	p.until("nobody was met", func() bool { return part[[]contact](p, "contacts")[0].LastMet == 0 })
	p.must("store-erase", nil)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Error("erased, and still there:", files, err)
	}
	if status, refused := p.upload(p.must("restore", map[string]any{"passphrase": "another passphrase"})["url"], backup); refused != wrongPassphrase {
		t.Error(status, refused)
	}
	if status, refused := p.upload(p.must("restore", map[string]any{"passphrase": testPassphrase})["url"], backup); status != 204 {
		t.Error(status, refused)
	}
	p.until("everything back", func() bool {
		s := part[store](p, "store")
		return s.Unlocked && len(s.Kept) == 2 && len(part[[]contact](p, "contacts")) == 1
	})
	p.must("contact-set", map[string]any{"contact": strings.Repeat("ab", 32), "name": "Blaise"})
	p.until("another", func() bool { return len(part[[]contact](p, "contacts")) == 2 })
	p.upload(p.must("restore", map[string]any{"passphrase": testPassphrase})["url"], backup)
	p.until("the copy's alone", func() bool { return len(part[[]contact](p, "contacts")) == 1 })
}

// namesIn are those who observed a datum, by name, as the page is told.
func namesIn(p *testPage, datum string) (names []string) {
	p.t.Helper()
	var shown exposure
	if err := json.Unmarshal(p.must("exposure", nil)["exposure"], &shown); err != nil {
		p.t.Fatal(err)
	}
	for _, r := range shown.Rows {
		for _, party := range r.Seen {
			if r.Datum == datum && party.How == "clear" {
				names = append(names, party.Names...)
			}
		}
	}
	return names
}

// TestContactsBeforeUnlock: who became a contact before the store was unlocked is kept in it.
func TestContactsBeforeUnlock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	again := func() *testPage { return openPage(t, startAgent(t, func(o *options) { o.data = dir })) }
	over := func(p *testPage) {
		p.must("quit", nil)
		<-p.agent.over
		p.agent.tasks.Wait()
	}
	p := again()
	p.must("store-create", map[string]any{"passphrase": testPassphrase})
	over(p)
	p = again()
	p.must("contact-set", map[string]any{"contact": strings.Repeat("ab", 32), "name": "Blaise"})
	p.must("store-unlock", map[string]any{"passphrase": testPassphrase})
	over(p)
	p = again()
	p.must("store-unlock", map[string]any{"passphrase": testPassphrase})
	if c := get[[]contact](p, "contacts"); len(c) != 1 || c[0].Name != "Blaise" {
		t.Errorf("%+v", c)
	}
}

// TestMetForgotten: when a contact was last met is deleted with the meetings it tells of.
func TestMetForgotten(t *testing.T) {
	now := time.Now()
	met := func(days int) int64 { return now.AddDate(0, 0, -days).UnixMilli() }
	a := &agent{keep: &keeper{contents: &vault.Contents{}}, queue: newQueue()}
	left := func() (out []int64) {
		for _, c := range a.state.Contacts {
			out = append(out, c.LastMet)
		}
		return out
	}
	a.state.Contacts = []contact{{ID: "a", LastMet: met(8)}, {ID: "b", LastMet: met(6)}, {ID: "c", LastMet: met(2)}, {ID: "d"}}
	a.keep.contents.History.RetentionDays = 0
	if a.expire(now); !slices.Equal(left(), []int64{met(8), met(6), met(2), 0}) {
		t.Error("without a retention:", left())
	}
	a.keep.contents.History.RetentionDays = 7
	if a.expire(now); !slices.Equal(left(), []int64{0, met(6), met(2), 0}) {
		t.Error("after a week:", left())
	}
	if !a.keep.due {
		t.Error("it isn't written")
	}
	a.forgetMet(met(6)-1000, met(6)+1000)
	if !slices.Equal(left(), []int64{0, 0, met(2), 0}) {
		t.Error("with its meeting:", left())
	}
}

// TestErasedInMeeting: who erases everything in a meeting is somebody else from the next one on, and so is whoever is kept
// anew meanwhile.
func TestErasedInMeeting(t *testing.T) {
	t.Parallel()
	p := openPage(t, startAgent(t, nil))
	p.name("Ada")
	self := func() string {
		p.must("create", nil)
		p.untilPhase("meeting")
		return get[*meeting](p, "meeting").Self
	}
	over := func() {
		p.must("leave", nil)
		p.untilPhase("ended")
		p.must("done", nil)
	}
	p.must("store-create", map[string]any{"passphrase": testPassphrase})
	before := self()
	p.must("store-erase", nil)
	p.must("store-create", map[string]any{"passphrase": testPassphrase})
	over()
	after := self()
	if after == before {
		t.Error("the identity that was erased is used again")
	}
	over()
	p.must("quit", nil)
	<-p.agent.over
	p.agent.tasks.Wait()
	again := openPage(t, startAgent(t, func(o *options) { o.data = p.agent.options.data }))
	again.must("store-unlock", map[string]any{"passphrase": testPassphrase})
	again.must("create", nil)
	again.untilPhase("meeting")
	if got := get[*meeting](again, "meeting").Self; got != after {
		t.Error("another identity was kept")
	}
}
