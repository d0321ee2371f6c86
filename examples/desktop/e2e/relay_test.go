//go:build e2e

package e2e

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// startRelay runs a relay of one's own, and returns what its operator hands out.
func startRelay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "relay")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/huisclos/huisclos/examples/relay").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.Command(program, "-listen", "127.0.0.1:0")
	run.Dir = dir
	out, err := run.StdoutPipe()
	if err == nil {
		err = run.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "huisclos-relay:") {
			return lines.Text()
		}
	}
	t.Fatal("the relay prints nothing to hand out")
	return ""
}

// TestE2ERelay: somebody hides her address behind a relay of her own, by the settings as a person finds them. Her link
// shows the relay's address alone; the guest comes through it, they see and hear each other, and the picture of the
// connections says which way. The relay's secret is nowhere in her page.
func TestE2ERelay(t *testing.T) {
	t.Parallel()
	text := startRelay(t)
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Maître Alice", "fr", "-listen", "127.0.0.2:0")
	bob := arrives(t, browser(t, drive.Devices{Sign: &signOfBob}), "Bob", "en", "-listen", "127.0.0.3:0")

	alice.say("nav.settings")
	alice.press(".sections li:nth-child(5) button")
	alice.until(`document.querySelector("#network-hidden").disabled`)
	alice.types("#relay-text", text)
	alice.say("network.relay-add")
	alice.until(`S.network.relays.length === 1 && document.querySelector("#relay-text").value === ""`)
	alice.press("#network-hidden")
	alice.until(`S.network.mode === "hidden" && document.querySelector("#network-findOnLAN").disabled`)
	alice.screen("settings-network-relay")
	if value[bool](alice, `JSON.stringify(S).includes(%s)`, text[len(text)-24:]) {
		t.Error("the page knows the relay's secret")
	}
	alice.press("dialog[open] header button")

	alice.say("create.go")
	alice.until(`S.phase.name === "meeting" && S.invite !== null`)
	alice.until(`document.querySelector("dialog.dialog-invite[open] .reach.good") !== null`)
	alice.screen("invite-relay")
	alice.until(`S.invite.reach.addresses.every((a) => a.via === "relay" && a.address === "127.0.0.1")`)
	link := alice.copies("invite.copy-link")
	alice.press("dialog[open] header button")
	bob.enters(link, alice)

	a, b := alice.id(), bob.id()
	alice.sees(b, signOfBob)
	bob.sees(a, signOfAlice)
	bob.hears(a, signOfAlice)
	for _, p := range []*person{alice, bob} {
		p.press("#control-more")
		p.say("look.title")
		p.until(`document.querySelector("dialog[open] .mesh .relay-box") !== null`)
	}
	bob.until(`[...document.querySelectorAll("dialog[open] tbody td")].some((x) => x.textContent.includes("through the relay of") && x.textContent.includes("Maître Alice"))`)
	alice.until(`[...document.querySelectorAll("dialog[open] tbody td")].some((x) => x.textContent.includes("127.0.0.1:"))`)
	bob.screen("look-relay")
}
