//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// pausedSize is the size of the file that is paused. On no machine does it come within the few milliseconds that
// pauseAtOnce takes.
const pausedSize = 48 << 20

// pauseAtOnce presses the button as soon as something came, faster than a hand or the driver could.
const pauseAtOnce = `(async () => {
	const pause = (await drive.load("i18n")).t("files.pause");
	for (const end = Date.now() + 40000; Date.now() < end; await new Promise((done) => setTimeout(done, 4))) {
		const button = [...document.querySelectorAll("#panel .file button")].find((b) => drive.label(b).startsWith(pause));
		if ((await drive.state()).files[0].done > 0 && button) return button.click(), true;
	}
	return false;
})()`

// TestE2EPause: a transfer is paused and resumed; both screens say so, and what arrives is whole.
func TestE2EPause(t *testing.T) {
	t.Parallel()
	b := browser(t, drive.Devices{})
	alice, bob := arrives(t, b, "Alice", "en"), arrives(t, b, "Bob", "fr")
	bob.enters(alice.creates(), alice)
	path := filepath.Join(t.TempDir(), "exhibits.bin")
	hash := sha256.New()
	f, err := os.Create(path)
	alice.must(err)
	_, err = io.Copy(io.MultiWriter(f, hash), io.LimitReader(rand.NewChaCha8([32]byte{'p'}), pausedSize))
	alice.must(err)
	alice.must(f.Close())

	alice.press("#control-files")
	alice.until(`document.querySelector("#file-pick") !== null`)
	alice.must(alice.page.Attach("#file-pick", path))
	bob.until(`S.files.length === 1 && S.files[0].state === "offered"`)
	bob.press("#control-files")
	bob.sayAbout("files.accept", "exhibits")
	pressed, err := drive.Evaluate[bool](bob.page, pauseAtOnce)
	if err != nil || !pressed {
		t.Fatalf("not paused: %v", err)
	}
	bob.until(`S.files[0].state === "paused"`)
	bob.until(`document.querySelector("#panel .file .state").textContent === (await drive.load("i18n")).t("file.paused")`)
	alice.until(`S.files[0].copies[0].state === "paused"`)
	alice.until(`document.querySelector("#panel .copies li").innerText.includes((await drive.load("i18n")).t("copy.paused"))`)
	done := value[int](bob, `S.files[0].done`)
	if done == 0 || done >= pausedSize {
		t.Errorf("paused at %d of %d bytes", done, pausedSize)
	}
	if sent := value[int](alice, `S.files[0].copies[0].done`); sent == 0 || sent >= pausedSize {
		t.Errorf("the sender is shown %d of %d bytes", sent, pausedSize)
	}
	alice.screen("files-paused-sender")
	bob.screen("files-paused")
	if now := value[int](bob, `S.files[0].done`); now != done {
		t.Errorf("paused at %d, then %d bytes", done, now)
	}
	bob.sayAbout("files.resume", "exhibits")
	bob.until(`S.files[0].state === "complete"`)
	alice.until(`S.files[0].copies[0].state === "complete"`)
	if got, want := value[string](bob, `S.files[0].sha256`), hex.EncodeToString(hash.Sum(nil)); got != want {
		t.Errorf("SHA-256 shown is %s, sent was %s", got, want)
	}
}
