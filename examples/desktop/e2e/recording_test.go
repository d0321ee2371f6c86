//go:build e2e

package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// recorded is a recording by Alice: she is told who refuses, it runs only when both others have agreed, all see that it
// runs, it ends when one of them withdraws, and what was saved plays and can be searched.
func recorded(alice, bob, carol *person) {
	alice.Helper()
	alice.press("#control-more")
	alice.say("record.menu")
	alice.until(`document.querySelector("dialog.dialog-recording[open]") !== null`)
	alice.screen("recording-ask")
	alice.say("record.ask")
	for _, p := range []*person{bob, carol} {
		p.until(`S.recording.mine === "asked" && document.querySelector("dialog.dialog-consent[open]") !== null`)
	}
	carol.screen("recording-consent")
	bob.say("consent.yes")
	bob.until(`S.recording.mine === "consented"`)
	alice.until(`Object.values(S.recording.consents).filter((c) => c === "consented").length >= 1`)
	for _, p := range []*person{alice, bob, carol} {
		if running := value[bool](p, `S.recording.state === "running"`); running {
			p.Error("a recording runs that Carol hasn't agreed to")
		}
	}
	// She refuses, which who asked is told, and thinks again.
	carol.say("consent.no")
	for _, p := range []*person{alice, bob} {
		p.until(`S.recording.state === "asking" && S.recording.reason === "refused" && S.recording.consents[%s] === "refused"`, carol.id())
	}
	alice.until(`document.querySelector(".bars .bar").innerText.includes("Carol")`)
	alice.screen("recording-refused")
	carol.press("#control-more")
	carol.say("record.menu-running")
	carol.say("consent.yes")
	carol.until(`S.recording.mine === "consented"`)
	carol.press("dialog[open] header button")
	for _, p := range []*person{alice, bob, carol} {
		p.until(`S.recording.state === "running" && document.querySelector(".bar.recording") !== null`)
	}
	bob.screen("recording-runs")
	alice.until(`Date.now() - S.recording.since > 8000`)
	carol.say("record.withdraw")
	for _, p := range []*person{alice, bob, carol} {
		p.until(`S.recording.state !== "running" && document.querySelector(".bar.recording") === null`)
	}
	alice.until(`S.recording.reason === "withdrawn" && document.querySelector(".bars .bar").innerText.includes("Carol")`)
	alice.screen("recording-interrupted")
	alice.say("record.details")
	alice.until(`document.querySelector("dialog.dialog-recording[open]") !== null`)
	alice.say("record.stop")
	alice.until(`S.recording.save && S.recording.bytes > 10000`)
	alice.until(`document.querySelector("dialog.dialog-recording[open] .note") !== null`)
	alice.screen("recording-ready")
	alice.say("record.save")
	raw := alice.saved("*.webm")
	if len(raw) < 10000 {
		alice.Fatalf("a recording of %d bytes", len(raw))
	}
	alice.press("dialog[open] header button")
	plays(alice)
}

// plays has ffprobe and ffmpeg look at what was saved: both streams are there, of the right length, and it can be
// searched.
func plays(p *person) {
	p.Helper()
	all, err := filepath.Glob(filepath.Join(p.browser.Downloads(), "*.webm"))
	p.must(err)
	var probe struct {
		Streams []struct {
			Type   string `json:"codec_type"`
			Codec  string `json:"codec_name"`
			Frames string `json:"nb_read_packets"`
		}
		Format struct{ Duration string }
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-count_packets", "-show_streams", "-show_format", "-of", "json", all[0]).Output()
	p.must(err)
	p.must(json.Unmarshal(out, &probe))
	kinds := map[string]int{}
	for _, s := range probe.Streams {
		n, _ := strconv.Atoi(s.Frames)
		kinds[s.Type] += n
	}
	if len(probe.Streams) != 2 || kinds["video"] < 40 || kinds["audio"] < 200 {
		p.Errorf("what was recorded isn't picture and sound: %s", out)
	}
	if d, _ := strconv.ParseFloat(probe.Format.Duration, 64); d < 6 || d > 120 {
		p.Errorf("a recording of 8 seconds and more is %s long", probe.Format.Duration)
	}
	// From its second half, without an error; -ss before -i searches in the file's index.
	frames, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-ss", "4", "-i", all[0], "-frames:v", "5", "-f", "framemd5", "-").CombinedOutput()
	if err != nil {
		p.Errorf("it can't be played from its fifth second: %v\n%s", err, frames)
	}
}

// TestE2ERecordingNewcomer: a recording that everybody has agreed to stops when somebody comes in who hasn't, and goes
// on once they have.
func TestE2ERecordingNewcomer(t *testing.T) {
	t.Parallel()
	alice := arrives(t, browser(t, drive.Devices{Sign: &signOfAlice}), "Alice", "en")
	link := alice.creates()
	comes := func(name string) *bot {
		b := startBot(t, "join", "--json", "--name", name, link)
		alice.until(`S.knocks.some((k) => k.name === %s)`, name)
		alice.sayAbout("door.admit", name)
		alice.until(`S.members.some((m) => m.name === %s && m.connected)`, name)
		return b
	}
	runs := `S.recording.state === "running" && document.querySelector(".bar.recording") !== null`
	bob := comes("Bob")
	alice.press("#control-more")
	alice.say("record.menu")
	alice.say("record.ask")
	bob.await("recording")
	bob.tell("record consent Alice")
	alice.until(runs)
	carol := comes("Carol")
	alice.until(`S.recording.state === "asking" && S.recording.reason === "newcomer" && document.querySelector(".bar.recording") === null`)
	alice.until(`document.querySelector(".bars .bar").innerText.includes("Carol")`)
	alice.screen("recording-newcomer")
	carol.await("recording")
	carol.tell("record consent Alice")
	alice.until(runs)
}
