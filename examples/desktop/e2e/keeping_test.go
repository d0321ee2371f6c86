//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// passphrase is what the history is kept under.
const passphrase = "correct horse battery staple"

// TestE2EHistory: with history on, a meeting is there after the program was ended and started again, once it is unlocked;
// it is exported, readable, backed up, not readable, erased, and restored where nothing was kept before.
func TestE2EHistory(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Alice", "en", "-data", data)
	alice.remembered(passphrase)
	alice.settings(4)
	alice.press("#history")
	alice.until(`S.store.history && S.store.retentionDays === 30`)
	alice.closes()

	const said, answered = "The hearing is on the 14th.", "So be it: the 14th."
	bob := startBot(t, "join", "--json", "--name", "Bob", alice.creates())
	alice.until(`S.knocks.length === 1`)
	alice.sayAbout("door.admit", "Bob")
	alice.until(`S.members.length === 2 && S.members.every((m) => m.self || m.connected)`)
	alice.press("#control-chat")
	alice.types("#chat-text", said)
	alice.enter()
	bob.await("chat")
	bob.tell("say " + answered)
	alice.until(`S.chat.length === 2`)
	who := alice.id()
	alice.press("#control-leave")
	alice.say("leave.go")
	alice.until(`S.phase.name === "ended" && S.phase.ended.kept && S.store.kept.length === 1 && !S.store.failed`)
	alice.screen("ended-kept")
	alice.quits("quit")
	noneReadable(t, data, said)

	alice.start("-language", "en", "-data", data)
	alice.open(alice.agent.URL)
	alice.until(`S.store.exists && !S.store.unlocked && S.store.kept.length === 0 && S.settings.name === ""`)
	alice.types("#unlock-passphrase", "not this one at all")
	alice.enter()
	alice.until(`document.querySelector(".unlock .failure") !== null && !S.store.unlocked`)
	alice.types("#unlock-passphrase", passphrase)
	alice.enter()
	alice.until(`S.store.unlocked && S.store.kept.length === 1 && S.store.kept[0].messages === 2`)
	alice.settings(4)
	alice.until(`document.querySelector(".section .people")?.innerText.includes("Bob")`)
	alice.screen("settings-history")
	alice.say("history.show")
	alice.until(`document.querySelector("dialog.dialog-history[open] .log")?.innerText.includes(%s)`, said)
	alice.until(`document.querySelector("dialog.dialog-history[open] .log").innerText.includes(%s)`, answered)
	alice.screen("history")
	alice.closes() // back to the settings

	alice.say("copies.export")
	if export := alice.saved("*.json"); !bytes.Contains(export, []byte("Bob")) || !holds(export, said) {
		t.Errorf("the export lacks what was said: %.300s", export)
	}
	alice.say("copies.backup")
	if backup := alice.saved("*.age"); bytes.Contains(backup, []byte(said)) || !bytes.HasPrefix(backup, []byte("age-encryption.org/")) {
		t.Errorf("the backup isn't encrypted: %.100q", backup)
	}
	alice.say("erase.begin")
	alice.until(`document.querySelector("dialog.dialog-erase[open]") !== null`)
	alice.screen("erase")
	alice.say("erase.go")
	alice.until(`!S.store.exists && S.store.kept.length === 0 && S.contacts.length === 0`)
	if left, _ := filepath.Glob(filepath.Join(data, "*.age")); len(left) > 0 {
		t.Errorf("erased, and still there: %v", left)
	}
	alice.settings(1)
	alice.quits("quit.long")

	// Elsewhere, where nothing was ever kept.
	copied, err := filepath.Glob(filepath.Join(alice.browser.Downloads(), "*.age"))
	alice.must(err)
	alice.start("-language", "en")
	alice.open(alice.agent.URL)
	alice.until(`!S.store.exists`)
	alice.settings(4)
	alice.say("restore.title")
	alice.must(alice.page.Attach("#restore-file", copied[0]))
	alice.types("#restore-passphrase", "not this one at all")
	alice.enter()
	alice.until(`document.querySelector("dialog[open] .failure") !== null && !S.store.exists`)
	alice.types("#restore-passphrase", passphrase)
	alice.enter()
	alice.until(`S.store.unlocked && S.store.history && S.store.kept.length === 1 && S.settings.name === "Alice"`)
	alice.screen("restored")
	alice.closes()
	alice.say("create.go")
	alice.until(`S.phase.name === "meeting"`)
	if again := alice.id(); again != who {
		t.Errorf("restored as %s, was %s", again, who)
	}
}

// settings opens a section of the settings.
func (p *person) settings(section int) {
	p.Helper()
	p.press(".top nav button:nth-of-type(2)")
	p.until(`document.querySelector("dialog[open] .sections") !== null`)
	p.press(".sections li:nth-child(" + string(rune('0'+section)) + ") button")
}

// closes closes the dialog that is open.
func (p *person) closes() { p.Helper(); p.press("dialog[open] header button") }

// quits ends the program by a button with this text.
func (p *person) quits(key string) {
	p.Helper()
	p.say(key)
	p.until(`document.querySelector("dialog.dialog-quit[open]") !== null`)
	p.say("quit")
	ctx, cancel := context.WithTimeout(p.Context(), drive.Patience)
	defer cancel()
	p.must(p.agent.Ended(ctx))
	p.page.Close()
}

// holds reports whether some string anywhere in a JSON text, also in base64, contains a text.
func holds(raw []byte, text string) bool {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	return within(v, text)
}

func within(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return bytes.Contains([]byte(v), []byte(text))
	case []any:
		for _, e := range v {
			if within(e, text) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if within(e, text) {
				return true
			}
		}
	}
	return false
}

// noneReadable looks for a text in every file below a directory, of which there must be one.
func noneReadable(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(text)) {
			t.Errorf("%s is readable", path)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files: %v", files, err)
	}
}
