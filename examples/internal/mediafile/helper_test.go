package mediafile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pion/rtp"

	"github.com/huisclos/huisclos/examples/internal/media"
)

// bundled writes a bundled file to disk and returns its path.
func bundled(t testing.TB, name string) string {
	t.Helper()
	data, err := media.FS.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ffmpeg runs it and returns everything it says.
func ffmpeg(t testing.TB, args ...string) (string, error) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.String(), err
}

func needFFmpeg(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("needs ffmpeg to make or decode media")
	}
}

// encoded makes a file with ffmpeg.
func encoded(t testing.TB, name string, args ...string) string {
	t.Helper()
	needFFmpeg(t)
	path := filepath.Join(t.TempDir(), name)
	if said, err := ffmpeg(t, append(args, path)...); strings.Contains(said, "Unknown encoder") {
		t.Skipf("needs an ffmpeg with the encoder for %s", name)
	} else if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return path
}

// mustDecode lets ffmpeg decode a file, which must find nothing to complain of.
func mustDecode(t testing.TB, path string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		return
	}
	if said, err := ffmpeg(t, "-xerror", "-i", path, "-f", "null", "-"); err != nil || said != "" {
		t.Errorf("ffmpeg on %s: %v: %s", filepath.Base(path), err, said)
	}
}

// sent is a frame and its packets.
type sent struct {
	frame   Frame
	hash    [sha256.Size]byte
	packets []*rtp.Packet
}

// sendAll plays a file once.
func sendAll(t testing.TB, path string) (*Source, []sent) {
	t.Helper()
	source, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := FrameHashes(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []sent
	for _, f := range source.frames {
		packets, at, err := source.NextPackets()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sent{frame: Frame{Data: f.data, At: at, KeyFrame: f.key}, packets: packets})
	}
	if _, _, err := source.NextPackets(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the last frame: %v, want io.EOF", err)
	}
	if len(hashes) != len(all) {
		t.Fatalf("%d frames, %d hashes", len(all), len(hashes))
	}
	for i := range all {
		all[i].hash = hashes[i]
	}
	return source, all
}

// flatten lists all packets in order.
func flatten(all []sent) []*rtp.Packet {
	var packets []*rtp.Packet
	for _, s := range all {
		packets = append(packets, s.packets...)
	}
	return packets
}

// shuffled moves packets by less than 2*distance places.
func shuffled(r *rand.Rand, packets []*rtp.Packet, distance int) []*rtp.Packet {
	out := slices.Clone(packets)
	for i := 0; i < len(out); i += distance {
		part := out[i:min(i+distance, len(out))]
		r.Shuffle(len(part), func(a, b int) { part[a], part[b] = part[b], part[a] })
	}
	return out
}

// record writes packets to a new file and returns its path.
func record(t testing.TB, mimeType string, packets []*rtp.Packet) (string, *Recorder) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording"+Extension(mimeType))
	recorder, err := NewRecorder(path, mimeType)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := recorder.WriteRTP(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	return path, recorder
}

func mustHash(t testing.TB, path string) [][sha256.Size]byte {
	t.Helper()
	hashes, err := FrameHashes(path)
	if err != nil {
		t.Fatal(err)
	}
	return hashes
}
