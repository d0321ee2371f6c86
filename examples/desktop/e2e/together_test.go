//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tile is somebody's picture, as a CSS selector in an expression.
const tile = `document.querySelector('.tile[data-member="' + %s + '"]:not(.is-screen)')`

// hands go up, for all to see, and a host may lower them.
func hands(alice, bob, carol *person) {
	alice.Helper()
	b := bob.id()
	bob.press("#control-hand")
	for _, p := range []*person{alice, carol} {
		p.until(`S.members.find((m) => m.id === %s).hand > 0`, b)
		p.until(tile+`.querySelector(".raised") !== null`, b)
	}
	alice.press("#control-people")
	alice.sayAbout("people.actions", "Bob")
	alice.screen("hand")
	alice.sayAbout("people.lower-hand", "Bob")
	bob.until(`document.querySelector("#control-hand").getAttribute("aria-pressed") === "false"`)
	carol.until(`S.members.find((m) => m.id === %s).hand === 0`, b)

	// To be asked to mute mutes nobody: the person does.
	bob.until(`S.media.own.microphone === "on"`)
	alice.sayAbout("people.ask-mute", "Bob")
	bob.until(`document.querySelector(".notices .notice") !== null`)
	if on := value[bool](bob, `S.media.own.microphone === "on" && document.querySelector("#control-microphone").getAttribute("aria-pressed") === "true"`); !on {
		bob.Error("to be asked to mute has muted")
	}
	bob.screen("mute-wanted")
	bob.say("mute-wanted.do-microphone")
	alice.until(`S.members.find((m) => m.id === %s).microphone === "muted"`, b)
	bob.press("#control-microphone")
	alice.press("#control-people")
}

// reactions float over the picture of whoever sends one.
func reactions(alice, bob, carol *person) {
	alice.Helper()
	bob.press("#control-more")
	bob.until(`document.querySelector("dialog[open] .reaction-buttons") !== null`)
	bob.screen("more")
	bob.press(".reaction-buttons button:nth-child(2)")
	for _, p := range []*person{alice, carol} {
		p.until(tile+`.querySelector(".reactions")?.textContent.includes("👏")`, bob.id())
	}
}

// private is a message from Bob to Carol that Alice, who is the host, doesn't get.
func private(alice, bob, carol *person) {
	alice.Helper()
	const secret, open = "Entre nous : le 14 à 9 h.", "À tous : le 15 à 10 h."
	bob.press("#control-chat")
	bob.until(`document.querySelector("#chat-to") !== null`)
	bob.chooses("#chat-to", carol.id())
	bob.types("#chat-text", secret)
	bob.enter()
	carol.until(`S.chat.some((m) => m.text === %s && m.to === %s)`, secret, bob.id())
	bob.until(`document.querySelector(".message.private") !== null`)
	carol.press("#control-chat")
	carol.until(`document.querySelector(".message.private .badge") !== null`)
	carol.screen("chat-private")
	bob.chooses("#chat-to", "")
	bob.types("#chat-text", open)
	bob.enter()
	// What was said to all after it has come, so what was said before it would have.
	alice.until(`S.chat.some((m) => m.text === %s)`, open)
	alice.press("#control-chat")
	alice.until(`document.body.innerText.includes(%s)`, open)
	if leaked := value[bool](alice, `JSON.stringify(S).includes("Entre nous") || document.body.innerText.includes("Entre nous")`); leaked {
		alice.Error("a private message reached a third person")
	}
	for _, p := range []*person{alice, bob, carol} {
		p.press("#control-chat")
	}
}

// fileSize is the size of the file that is sent.
const fileSize = 50 << 20

// file is sent by Bob to all: Alice takes it, and gets the very same bytes; Carol doesn't.
func file(alice, bob, carol *person) {
	alice.Helper()
	name := "pièces du dossier.bin"
	path := filepath.Join(bob.TempDir(), name)
	hash := sha256.New()
	f, err := os.Create(path)
	bob.must(err)
	_, err = io.Copy(io.MultiWriter(f, hash), io.LimitReader(rand.NewChaCha8([32]byte{'f', 'i', 'l', 'e'}), fileSize))
	bob.must(err)
	bob.must(f.Close())
	want := hex.EncodeToString(hash.Sum(nil))

	bob.press("#control-files")
	bob.until(`document.querySelector("#file-pick") !== null`)
	bob.must(bob.page.Attach("#file-pick", path))
	for _, p := range []*person{alice, carol} {
		p.until(`S.files.length === 1 && S.files[0].state === "offered" && S.files[0].size === %s`, fileSize)
		p.press("#control-files")
		p.until(`document.querySelector("#panel .file")?.innerText.includes(%s)`, name)
	}
	alice.screen("files-offered")
	carol.sayAbout("files.refuse", name)
	alice.sayAbout("files.accept", name)
	alice.until(`S.files[0].state === "complete"`)
	carol.until(`S.files[0].state === "refused"`)
	bob.until(`S.files[0].copies.some((c) => c.member === %s && c.state === "complete")`, alice.id())
	bob.until(`S.files[0].copies.find((c) => c.member === %s).state === "refused"`, carol.id())
	bob.until(`document.querySelector("#panel .file .state").innerText.includes("Carol")`)
	bob.screen("files-refused")
	if got := value[string](alice, `S.files[0].sha256`); got != want {
		alice.Errorf("SHA-256 shown is %s, sent was %s", got, want)
	}
	alice.screen("files-complete")
	alice.sayAbout("files.save", name)
	alice.eventually(func() string {
		all, err := filepath.Glob(filepath.Join(alice.browser.Downloads(), "*.bin"))
		if err != nil || len(all) != 1 {
			return fmt.Sprintf("not saved: %v %v", all, err)
		}
		raw, err := os.ReadFile(all[0])
		if err != nil || len(raw) < fileSize {
			return fmt.Sprintf("%d bytes saved, %v", len(raw), err)
		}
		if got := sha256.Sum256(raw); hex.EncodeToString(got[:]) != want {
			return fmt.Sprintf("saved were other bytes: %x", got)
		}
		return ""
	})
	for _, p := range []*person{alice, bob, carol} {
		p.press("#control-files")
	}
}

// attended looks at the record of who was there, saves it, and has it checked offline.
func attended(alice, bob, carol *person) {
	alice.Helper()
	alice.press("#control-more")
	alice.say("attendance.title")
	alice.until(`document.querySelectorAll("dialog[open] tbody tr").length === 3`)
	alice.until(`[%s, %s, %s].every((name) => document.querySelector("dialog[open] table").innerText.includes(name))`, alice.name, bob.name, carol.name)
	alice.screen("attendance")
	alice.say("attendance.csv")
	csv := string(alice.saved("*.csv"))
	for _, p := range []*person{alice, bob, carol} {
		if !strings.Contains(csv, p.name) || !strings.Contains(csv, p.id()) {
			alice.Errorf("%s is missing in the record:\n%s", p.name, csv)
		}
	}
	if strings.Contains(csv, "127.0.0.1") {
		alice.Errorf("the record has addresses:\n%s", csv)
	}
	alice.say("attendance.json")
	path := filepath.Join(alice.TempDir(), "attendance.json")
	raw := alice.saved("*.json")
	verify := func() (string, error) {
		out, err := exec.Command("go", "run", "github.com/huisclos/huisclos/examples/headless", "verify", path).CombinedOutput()
		return string(out), err
	}
	alice.must(os.WriteFile(path, raw, 0o600))
	if out, err := verify(); err != nil || !strings.Contains(out, "Carol") {
		alice.Errorf("headless verify: %v\n%s", err, out)
	}
	alice.must(os.WriteFile(path, bytes.Replace(raw, []byte("Carol"), []byte("Chuck"), 1), 0o600))
	if out, err := verify(); err == nil {
		alice.Errorf("headless verify found nothing wrong in a forged record:\n%s", out)
	}
	alice.press("dialog[open] header button")
}

// saved waits until the browser has saved a file, and returns what is in it.
func (p *person) saved(pattern string) (raw []byte) {
	p.Helper()
	p.eventually(func() string {
		all, err := filepath.Glob(filepath.Join(p.browser.Downloads(), pattern))
		if err != nil || len(all) != 1 {
			return fmt.Sprintf("nothing saved like %s: %v %v", pattern, all, err)
		}
		if raw, err = os.ReadFile(all[0]); err != nil || len(raw) == 0 {
			return fmt.Sprintf("nothing in it, %v", err)
		}
		return ""
	})
	return raw
}
