package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/examples/internal/mediafile"
)

// freshMedia makes a sound and a picture that never were before, in a folder of their own that only their owner may
// read: noise and a tone, and a moving picture with noise over it and a key frame every second.
func freshMedia(t *testing.T, dir string, seconds int) map[string]string {
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Error(err)
	}
	var random [4]byte
	rand.Read(random[:])
	seed := binary.BigEndian.Uint32(random[:]) >> 1
	audio, video := filepath.Join(dir, "sound.ogg"), filepath.Join(dir, "picture.ivf")
	for _, args := range [][]string{
		{
			"-f", "lavfi", "-i", fmt.Sprintf("anoisesrc=seed=%d:amplitude=0.2:sample_rate=48000:duration=%d", seed, seconds),
			"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=%d:sample_rate=48000:duration=%d", 200+seed%800, seconds),
			"-filter_complex", "amix", "-ac", "1", "-c:a", "libopus", "-b:a", "32k", "-vbr", "off",
			"-frame_duration", "20", "-page_duration", "20000", audio,
		},
		{
			"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=160x90:rate=15:duration=%d", seconds),
			"-vf", fmt.Sprintf("noise=alls=12:allf=t:all_seed=%d", seed), "-pix_fmt", "yuv420p", "-c:v", "libvpx",
			"-deadline", "realtime", "-cpu-used", "8", "-b:v", "200k", "-g", "15", "-keyint_min", "15",
			"-auto-alt-ref", "0", "-lag-in-frames", "0", "-error-resilient", "1", video,
		},
	} {
		if said, err := ffmpeg(args...); err != nil {
			t.Errorf("ffmpeg: %v: %s", err, said)
		}
		if err := os.Chmod(args[len(args)-1], 0o600); err != nil {
			t.Error(err)
		}
	}
	return map[string]string{"audio": audio, "video": video}
}

// mediaFor makes fresh media for several members, at once.
func mediaFor(t *testing.T, members, seconds int) []map[string]string {
	t.Helper()
	files := make([]map[string]string, members)
	var tasks sync.WaitGroup
	for i := range files {
		dir := t.TempDir()
		tasks.Go(func() { files[i] = freshMedia(t, dir, seconds) })
	}
	if tasks.Wait(); t.Failed() {
		t.FailNow()
	}
	return files
}

// member is a process that plays fresh media and records the others.
type member struct {
	*process
	files map[string]string // what it plays, by kind
	dir   string            // its recordings
}

// startPlaying runs headless with media, each played once.
func startPlaying(t *testing.T, files map[string]string, mode, name string, args ...string) member {
	t.Helper()
	m := member{files: files, dir: t.TempDir()}
	args = append([]string{"--play", files["audio"], "--play", files["video"], "--record", m.dir}, args...)
	m.process = start(t, mode, name, args...)
	return m
}

// checkRecording compares what a member has recorded of another with what that one played: it must decode without a
// complaint, hold the source's frames in their order, and at least 99 in 100 of those sent from track_added (of
// pictures: from the first key frame after it, for a file can't make one when it is asked) to the sender's end.
func checkRecording(t *testing.T, by, of member, kind string) {
	t.Helper()
	recorded := by.await("recording of "+of.name+"'s "+kind, func(e event) bool {
		return e.Event == "recorded" && e.Member == of.name && e.Kind == kind
	})
	added := by.await("track", func(e event) bool { return e.Event == "track_added" && e.Member == of.name && e.Kind == kind })
	started := of.await("play", func(e event) bool { return e.Event == "play_started" && e.Kind == kind })
	path := filepath.Join(by.dir, recorded.File)
	if said, err := ffmpeg("-xerror", "-i", path, "-f", "null", "-"); err != nil || said != "" {
		t.Errorf("ffmpeg on %s: %v: %s", recorded.File, err, said)
	}
	sent, got := hashes(t, of.files[kind]), hashes(t, path)
	first := firstCounted(t, of.files[kind], added.Time.Sub(started.Time))
	expected, found, next := len(sent)-first, 0, 0
	var lacking []string // which, from–to
	for i, h := range got {
		at := slices.Index(sent[next:], h)
		if at < 0 {
			t.Fatalf("frame %d of %s isn't the source's, or is out of order", i, recorded.File)
		}
		if from := max(first, next); next+at > from {
			lacking = append(lacking, fmt.Sprintf("%d–%d", from, next+at-1))
		}
		if next += at; next >= first {
			found++
		}
		next++
	}
	t.Logf("%s has recorded %d of %d frames of %s's %s sent after track_added (%.2f %%); %v after it began",
		by.name, found, expected, of.name, kind, 100*float64(found)/float64(expected), added.Time.Sub(started.Time).Round(time.Millisecond))
	if next < len(sent) {
		lacking = append(lacking, fmt.Sprintf("%d–%d", max(first, next), len(sent)-1))
	}
	if expected < len(sent)/3 || found*100 < expected*99 {
		t.Errorf("%s has recorded %d of %d frames (of %d in all, from %d) of %s's %s, without %v", by.name, found, expected, len(sent), first, of.name, kind, lacking)
	}
}

func hashes(t *testing.T, path string) [][sha256.Size]byte {
	t.Helper()
	all, err := mediafile.FrameHashes(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// firstCounted is the first frame of a file, played from one moment on, that is sent after some time, and from which a
// recording can begin.
func firstCounted(t *testing.T, path string, after time.Duration) int {
	t.Helper()
	source, err := mediafile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		f, err := source.Next()
		if err != nil {
			t.Fatalf("%s was over before the track was added", path)
		}
		if f.At >= after && f.KeyFrame {
			return i
		}
	}
}
