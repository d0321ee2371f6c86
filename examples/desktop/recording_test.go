package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bundled "github.com/huisclos/huisclos/examples/internal/media"
	"github.com/huisclos/huisclos/examples/internal/mediafile"
	"github.com/pion/webrtc/v4"
)

// speak sends bundled sound and pictures, which decode, until done, with a key frame whenever one is asked for.
func (b *pionBrowser) speak(t *testing.T, done <-chan struct{}) (over chan struct{}) {
	over = make(chan struct{})
	sources := map[*webrtc.TrackLocalStaticRTP]*mediafile.Source{}
	for track, name := range map[*webrtc.TrackLocalStaticRTP]string{b.audio: "speech-1.ogg", b.video: "picture-1.ivf"} {
		s, err := mediafile.OpenFS(bundled.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		sources[track] = s
	}
	go func() {
		defer close(over)
		start, due := time.Now(), map[*webrtc.TrackLocalStaticRTP]time.Duration{}
		skip, ahead := false, time.Duration(0)
		for {
			select {
			case <-done:
				return
			case <-b.pli:
				sources[b.video].Rewind() // to a key frame, as a browser makes one
				skip = true
			case <-time.After(5 * time.Millisecond):
			}
			for track, s := range sources {
				for due[track] <= time.Since(start) {
					packets, at, err := s.NextPackets()
					if err != nil {
						s.Rewind()
						continue
					}
					if track == b.video && skip { // a rewound file goes on where it would have ended
						ahead, skip = at-time.Since(start), false
					}
					if due[track] = at; track == b.video {
						due[track] -= ahead
					}
					for _, p := range packets {
						_ = track.WriteRTP(p)
					}
				}
			}
		}
	}()
	return over
}

func untilRecording(p *testPage, what string, ok func(recording) bool) (got recording) {
	p.t.Helper()
	p.until(what, func() bool {
		got = part[recording](p, "recording")
		return ok(got)
	})
	return got
}

// answer answers the question on the screen, as the page does.
func answer(p *testPage, agree bool) {
	p.t.Helper()
	p.must("recording-consent", map[string]any{"recording": part[recording](p, "recording").ID, "consent": agree})
}

func recordingIs(state, mine string) func(recording) bool {
	return func(r recording) bool { return r.State == state && r.Mine == mine }
}

// TestRecording: asked of all, running when they consent, stopped when one withdraws, going on, saved as a film of both.
func TestRecording(t *testing.T) {
	t.Parallel()
	host, guest := meetTwo(t, nil)
	done := make(chan struct{})
	for _, p := range []*testPage{host, guest} {
		b := newPionBrowser(t, p)
		b.negotiate(t)
		over := b.speak(t, done)
		defer func() { <-over }()
		p.must("media-send", map[string]any{"own": map[string]string{"microphone": "on", "camera": "on"}})
	}
	defer close(done)
	for _, p := range []*testPage{host, guest} {
		p.until("tracks", func() bool { return len(part[[]track](p, "tracks")) == 2 })
	}
	if !get[map[string]feature](host, "features")["recording"].Available {
		t.Error("recording isn't available")
	}
	if _, refused := host.ask("recording-save", nil); refused != noSuchFile {
		t.Error(refused)
	}
	if _, refused := guest.ask("recording-consent", map[string]any{"consent": true, "recording": ""}); refused != canceled {
		t.Error("consent to nothing:", refused)
	}
	me, them := other(guest).ID, other(host).ID
	host.must("recording-ask", nil)
	asking := untilRecording(host, "own question", recordingIs("asking", ""))
	if !asking.Own || asking.By != me || asking.Consents[them] != "asked" {
		t.Errorf("%+v", asking)
	}
	if r := untilRecording(guest, "question", recordingIs("asking", "asked")); r.Own || r.By != me {
		t.Errorf("%+v", r)
	}
	if _, refused := guest.ask("recording-ask", nil); refused != busy {
		t.Error("two recordings:", refused)
	}
	answer(guest, false)
	untilRecording(guest, "refusal", recordingIs("asking", "refused"))
	if r := untilRecording(host, "refusal", func(r recording) bool { return r.Reason == "refused" }); r.Member != them || r.Consents[them] != "refused" || r.State != "asking" {
		t.Errorf("who asked is shown %+v", r)
	}
	answer(guest, true)
	untilRecording(guest, "running", recordingIs("running", "consented"))
	if r := untilRecording(host, "running", recordingIs("running", "")); r.Consents[them] != "consented" || r.Since == 0 {
		t.Errorf("%+v", r)
	}
	time.Sleep(1500 * time.Millisecond) // a film needs some time
	answer(guest, false)
	if r := untilRecording(host, "pause", recordingIs("asking", "")); r.Reason != "withdrawn" || r.Member != them || r.Consents[them] != "withdrawn" {
		t.Errorf("%+v", r)
	}
	host.agent.mu.Lock()
	if host.agent.movie.recorder.Running() {
		t.Error("it goes on without consent")
	}
	host.agent.mu.Unlock()
	untilRecording(guest, "withdrawal", recordingIs("asking", "withdrawn"))
	answer(guest, true)
	untilRecording(host, "running again", recordingIs("running", ""))
	time.Sleep(1500 * time.Millisecond)
	if _, refused := guest.ask("recording-save", nil); refused != noSuchFile {
		t.Error("a guest saves it:", refused)
	}
	host.must("recording-stop", nil)
	r := untilRecording(host, "end", func(r recording) bool { return r.State == "stopped" && r.Save != "" })
	untilRecording(guest, "end", recordingIs("stopped", ""))
	if _, refused := host.ask("recording-ask", nil); refused != unsavedRecording {
		t.Error("an unsaved one is thrown away:", refused)
	}
	if _, refused := host.ask("quit", nil); refused != unsavedRecording {
		t.Error("by quitting too:", refused)
	}
	save := host.must("recording-save", nil)
	film := host.download(save["url"])
	var name string
	if _ = json.Unmarshal(save["name"], &name); !strings.HasSuffix(name, ".webm") || int64(len(film)) != r.Bytes {
		t.Errorf("%q has %d bytes of %d", name, len(film), r.Bytes)
	}
	watch(t, film)
	if r := untilRecording(host, "saved", func(r recording) bool { return r.Saved }); r.Save == "" {
		t.Errorf("%+v", r)
	}
	host.must("recording-discard", nil)
	untilRecording(host, "nothing", recordingIs("none", ""))
	if _, refused := host.ask("recording-save", nil); refused != noSuchFile {
		t.Error("it is still there:", refused)
	}
}

// TestConsentNamesRecording: an answer to a question that is over is none to the one that came after it.
func TestConsentNamesRecording(t *testing.T) {
	t.Parallel()
	host, guest := meetTwo(t, nil)
	host.must("recording-ask", nil)
	first := untilRecording(guest, "question", recordingIs("asking", "asked")).ID
	host.must("recording-stop", nil)
	untilRecording(guest, "end", recordingIs("stopped", ""))
	host.must("recording-ask", nil)
	second := untilRecording(guest, "another question", recordingIs("asking", "asked")).ID
	if first == second || len(first) != 96 {
		t.Fatalf("named %q and %q", first, second)
	}
	if _, refused := guest.ask("recording-consent", map[string]any{"recording": first, "consent": true}); refused != canceled {
		t.Error("a late answer was taken:", refused)
	}
	if r := part[recording](guest, "recording"); r.Mine != "asked" || r.State != "asking" {
		t.Errorf("%+v", r)
	}
	answer(guest, true) // control
	untilRecording(host, "running", recordingIs("running", ""))
}

// TestUnsavedRecording: what was recorded outlives the meeting, and nothing but the person's word deletes it: no other
// meeting, no going back to the start, no quitting, and no closed tab.
func TestUnsavedRecording(t *testing.T) {
	t.Parallel()
	host, guest := meetTwo(t, nil)
	done := make(chan struct{})
	b := newPionBrowser(t, host)
	b.negotiate(t)
	over := b.speak(t, done)
	defer func() { close(done); <-over }()
	host.must("media-send", map[string]any{"own": map[string]string{"microphone": "on", "camera": "on"}})
	host.must("recording-ask", nil)
	untilRecording(guest, "question", recordingIs("asking", "asked"))
	answer(guest, true)
	untilRecording(host, "running", recordingIs("running", ""))
	host.until("something of it", func() bool {
		host.agent.mu.Lock()
		defer host.agent.mu.Unlock()
		return host.agent.movie.recorder.Any() // the file has a head from the beginning
	})
	if _, refused := host.ask("quit", nil); refused != unsavedRecording {
		t.Error("quit while it runs:", refused)
	}
	host.agent.mu.Lock()
	host.agent.endMovie()
	host.agent.endMovie() // the recording ends, and the meeting, before the file is complete
	host.agent.mu.Unlock()
	host.must("leave", nil)
	host.untilPhase("ended")
	untilRecording(host, "film", func(r recording) bool { return r.Save != "" && !r.Saved })
	for _, do := range []string{"done", "quit", "create", "alone"} {
		if _, refused := host.ask(do, map[string]any{"entry": "ask"}); refused != unsavedRecording {
			t.Errorf("%s: %q", do, refused)
		}
	}
	host.untilKept("the recording")
	host.agent.mu.Lock()
	host.agent.dropMovie()
	host.agent.mu.Unlock()
	<-host.agent.context.Done() // control: without it, it ends by itself
}

// watch holds a film to what it must be: sound and pictures, of 2 to 20 s, that decode.
func watch(t *testing.T, film []byte) {
	t.Helper()
	if !bytes.HasPrefix(film, []byte{0x1a, 0x45, 0xdf, 0xa3}) || len(film) < 20_000 {
		t.Errorf("%d bytes beginning %x", len(film), film[:min(4, len(film))])
	}
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Log("needs ffprobe to look closer")
		return
	}
	path := filepath.Join(t.TempDir(), "film.webm")
	if err := os.WriteFile(path, film, 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := exec.Command("ffprobe", "-v", "error", "-count_frames", "-of", "json", "-show_streams", "-show_format", path).CombinedOutput()
	var got struct {
		Streams []struct {
			Codec  string `json:"codec_name"`
			Frames int    `json:"nb_read_frames,string"`
		}
		Format struct {
			Duration float64 `json:",string"`
		}
	}
	if err != nil || json.Unmarshal(raw, &got) != nil || len(got.Streams) != 2 || got.Streams[0].Codec != "vp8" || got.Streams[1].Codec != "opus" ||
		got.Streams[0].Frames < 20 || got.Streams[1].Frames < 100 || got.Format.Duration < 2 || got.Format.Duration > 20 {
		t.Errorf("%+v: %v\n%.200s", got, err, raw)
	}
}
