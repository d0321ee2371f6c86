package mediafile

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/ivfwriter"

	"github.com/huisclos/huisclos/examples/internal/media"
)

// eachMedia runs a test with every bundled file and with files that ffmpeg
// makes in ways the bundled ones are not.
func eachMedia(t *testing.T, test func(t *testing.T, path string)) {
	for _, name := range append(media.Speech(), media.Pictures()...) {
		t.Run(name, func(t *testing.T) { test(t, bundled(t, name)) })
	}
	if testing.Short() {
		return // the encoders take their time
	}
	picture := []string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=3", "-pix_fmt", "yuv420p", "-b:v", "600k", "-g", "20"}
	sound := []string{"-f", "lavfi", "-i", "sine=frequency=330:duration=3", "-ar", "48000", "-c:a", "libopus"}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"vp8.ivf", append(picture, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8")},
		{"vp9.ivf", append(picture, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")},
		{"av1.ivf", append(picture, "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0")},
		{"delimiters-slices.h264", append(picture, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-x264-params", "aud=1:slices=4:repeat-headers=1")},
		{"many-packets-a-page.ogg", append(sound, "-b:a", "24k", "-vbr", "off", "-page_duration", "1000000")},
		{"long-frames.ogg", append(sound, "-b:a", "64k", "-ac", "2", "-frame_duration", "60")},
		{"short-frames.ogg", append(sound, "-b:a", "64k", "-frame_duration", "2.5", "-application", "lowdelay", "-page_duration", "100000")},
	} {
		t.Run(c.name, func(t *testing.T) { test(t, encoded(t, c.name, c.args...)) })
	}
}

func TestRoundTripInDisorder(t *testing.T) {
	eachMedia(t, func(t *testing.T, path string) {
		source, all := sendAll(t, path)
		r := rand.New(rand.NewPCG(1, 2))
		packets := shuffled(r, flatten(all), 24)
		for i := 0; i < len(packets); i += 17 { // some come twice
			packets = slices.Insert(packets, i, packets[i])
		}
		recording, recorder := record(t, source.Codec().MimeType, packets)
		if !slices.Equal(mustHash(t, recording), mustHash(t, path)) {
			t.Error("the recording has other frames than the source")
		}
		if recorder.Frames() != uint64(len(all)) || recorder.Dropped() != 0 || recorder.NeedsKeyFrame() {
			t.Errorf("%d frames, %d dropped, want %d, 0", recorder.Frames(), recorder.Dropped(), len(all))
		}
		played, err := Open(recording)
		if err != nil {
			t.Fatal(err)
		}
		if source.codec.MimeType != webrtc.MimeTypeH264 { // which has no times
			for i := range all {
				if f, err := played.Next(); err != nil || f.At != all[i].frame.At {
					t.Fatalf("frame %d at %v, %v; in the source at %v", i, f.At, err, all[i].frame.At)
				}
			}
		}
		mustDecode(t, recording)
	})
}

// survivors says which frames must be in a recording if some packets are lost:
// the whole ones, from each key frame until the next loss.
func survivors(all []sent, lost map[*rtp.Packet]bool, audio bool) (hashes [][sha256.Size]byte) {
	waiting := true
	for _, s := range all {
		whole := true
		for _, p := range s.packets {
			whole = whole && !lost[p]
		}
		switch {
		case !whole:
			waiting = !audio
		case !waiting || s.frame.KeyFrame:
			waiting = false
			hashes = append(hashes, s.hash)
		}
	}
	return hashes
}

func TestRoundTripWithLoss(t *testing.T) {
	eachMedia(t, func(t *testing.T, path string) {
		source, all := sendAll(t, path)
		audio := source.Kind() == webrtc.RTPCodecTypeAudio
		for seed := range uint64(4) {
			r := rand.New(rand.NewPCG(seed, 7))
			lost := map[*rtp.Packet]bool{}
			rate := 60
			if audio {
				rate = 12
			}
			packets := shuffled(r, flatten(all), 16)
			first, last := all[0].packets[0], all[len(all)-1].packets[0]
			packets = slices.DeleteFunc(packets, func(p *rtp.Packet) bool {
				if p != first && p != last && r.IntN(rate) == 0 {
					lost[p] = true
				}
				return lost[p]
			})
			recording, recorder := record(t, source.Codec().MimeType, packets)
			want := survivors(all, lost, audio)
			if len(lost) == 0 || len(want) == 0 || len(want) == len(all) {
				t.Fatalf("%d packets lost, %d frames of %d left: no test", len(lost), len(want), len(all))
			}
			if !slices.Equal(mustHash(t, recording), want) {
				t.Errorf("seed %d: the recording has other frames than those that came whole", seed)
			}
			if recorder.Frames() != uint64(len(want)) || recorder.Dropped() == 0 {
				t.Errorf("seed %d: %d frames, %d dropped, want %d frames", seed, recorder.Frames(), recorder.Dropped(), len(want))
			}
			if audio {
				played, err := Open(recording)
				if err != nil {
					t.Fatal(err)
				}
				if recorder.Dropped() != uint64(len(lost)) || played.Duration() != source.Duration() {
					t.Errorf("seed %d: %d dropped, lasts %v; want %d, %v", seed, recorder.Dropped(), played.Duration(), len(lost), source.Duration())
				}
			}
			mustDecode(t, recording)
		}
	})
}

// The twin of the test above: a recorder that does not look for losses does
// write damaged pictures.
func TestLossDamagesAnUnguardedRecording(t *testing.T) {
	path := bundled(t, "picture-1.ivf")
	_, all := sendAll(t, path)
	recording := filepath.Join(t.TempDir(), "unguarded.ivf")
	writer, err := ivfwriter.New(recording, ivfwriter.WithCodec(webrtc.MimeTypeVP8),
		ivfwriter.WithFrameRate(1, videoClockRate), ivfwriter.WithDirectPTS())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		for i, p := range s.packets {
			if i == 1 && len(s.packets) > 2 {
				continue // lost
			}
			if err := writer.WriteRTP(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	genuine := mustHash(t, path)
	damaged := 0
	for data := c[ivfHeaderSize:]; len(data) > 0; {
		size := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
		frame := data[ivfFrameHeaderSize : ivfFrameHeaderSize+size]
		if !slices.Contains(genuine, sha256.Sum256(frame)) {
			damaged++
		}
		data = data[ivfFrameHeaderSize+size:]
	}
	if damaged == 0 {
		t.Error("no frame was damaged: the test with loss proves nothing")
	}
}

func TestSourceTimes(t *testing.T) {
	for _, c := range []struct {
		name   string
		step   time.Duration // between frames
		units  uint32        // the same in RTP units
		kind   webrtc.RTPCodecType
		mime   string
		length time.Duration // roughly
	}{
		{"speech-1.ogg", 20 * time.Millisecond, 960, webrtc.RTPCodecTypeAudio, webrtc.MimeTypeOpus, 12600 * time.Millisecond},
		{"speech-3.ogg", 20 * time.Millisecond, 960, webrtc.RTPCodecTypeAudio, webrtc.MimeTypeOpus, 13700 * time.Millisecond},
		{"picture-1.ivf", time.Second / 15, 6000, webrtc.RTPCodecTypeVideo, webrtc.MimeTypeVP8, 12 * time.Second},
		{"picture-2.ivf", time.Second / 15, 6000, webrtc.RTPCodecTypeVideo, webrtc.MimeTypeVP9, 12 * time.Second},
		{"picture-3.h264", time.Second / 30, 3000, webrtc.RTPCodecTypeVideo, webrtc.MimeTypeH264, 12 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := OpenFS(media.FS, c.name)
			if err != nil {
				t.Fatal(err)
			}
			if s.Kind() != c.kind || s.Codec().MimeType != c.mime || (s.Duration()-c.length).Abs() > 50*time.Millisecond {
				t.Errorf("%v, %s, %v", s.Kind(), s.Codec().MimeType, s.Duration())
			}
			var previous *rtp.Packet
			for round := range 2 {
				for i := range s.frames {
					packets, at, err := s.NextPackets()
					if err != nil || len(packets) == 0 {
						t.Fatalf("frame %d: %d packets, %v", i, len(packets), err)
					}
					want := time.Duration(round)*s.Duration() + time.Duration(i)*c.step
					if (at - want).Abs() > time.Microsecond {
						t.Fatalf("round %d: frame %d at %v, want %v", round, i, at, want)
					}
					for j, p := range packets {
						if len(p.Payload) > MaxPayload {
							t.Fatalf("a payload of %d bytes", len(p.Payload))
						}
						if previous != nil {
							step := p.Timestamp - previous.Timestamp
							if p.SequenceNumber != previous.SequenceNumber+1 || j == 0 && step != c.units || j > 0 && step != 0 {
								t.Fatalf("round %d, frame %d: sequence %d after %d, timestamp step %d",
									round, i, p.SequenceNumber, previous.SequenceNumber, step)
							}
						}
						previous = p
					}
				}
				if _, err := s.Next(); !errors.Is(err, io.EOF) {
					t.Fatalf("%v, want io.EOF", err)
				}
				s.Rewind()
				s.Rewind() // does nothing more
			}
		})
	}
}

// A recording joined in the middle begins with the first key frame.
func TestRecorderWaitsForKeyFrame(t *testing.T) {
	for _, name := range media.Pictures() {
		source, all := sendAll(t, bundled(t, name))
		begin := 5
		key := begin + slices.IndexFunc(all[begin:], func(s sent) bool { return s.frame.KeyFrame })
		recording, recorder := record(t, source.Codec().MimeType, flatten(all[begin:]))
		if got := mustHash(t, recording); len(got) != len(all)-key || got[0] != all[key].hash {
			t.Errorf("%s: %d frames, want the %d from the first key frame on", name, len(got), len(all)-key)
		}
		if recorder.Dropped() != uint64(key-begin) {
			t.Errorf("%s: %d dropped, want %d", name, recorder.Dropped(), key-begin)
		}
		mustDecode(t, recording)
	}
}

// A sender that starts anew, with another SSRC or other numbers, is recorded on.
func TestRecorderFollowsRestart(t *testing.T) {
	for _, name := range []string{"speech-1.ogg", "picture-1.ivf", "picture-3.h264"} {
		for _, newSSRC := range []bool{true, false} {
			path := bundled(t, name)
			source, all := sendAll(t, path)
			packets := flatten(all)
			again := len(packets)
			for _, p := range packets[:again] {
				q := *p
				q.SequenceNumber -= 20000
				q.Timestamp -= 3_000_000
				if newSSRC {
					q.SSRC = 77
				}
				packets = append(packets, &q)
			}
			recording, _ := record(t, source.Codec().MimeType, packets)
			got, once := mustHash(t, recording), mustHash(t, path)
			if newSSRC && len(got) != 2*len(once) || len(got) < len(once)+len(once)/2 {
				t.Errorf("%s, new SSRC %v: %d frames, want about twice %d", name, newSSRC, len(got), len(once))
			}
			mustDecode(t, recording)
		}
	}
}

func TestRecorderFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ogg")
	recorder, err := NewRecorder(path, "AUDIO/opus")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if _, err := NewRecorder(path, webrtc.MimeTypeOpus); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second recorder on the file: %v, want fs.ErrExist", err)
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty recording is left: %v", err)
	}
	if err := recorder.WriteRTP(&rtp.Packet{Payload: []byte{0}}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v, want fs.ErrClosed", err)
	}
	if _, err := NewRecorder(filepath.Join(t.TempDir(), "a.wav"), webrtc.MimeTypePCMU); err == nil {
		t.Error("a recorder for PCMU")
	}
}

// A program closes its recorders while packets still come.
func TestRecorderClosedWhileWriting(t *testing.T) {
	source, all := sendAll(t, bundled(t, "speech-1.ogg"))
	path := filepath.Join(t.TempDir(), "a.ogg")
	recorder, err := NewRecorder(path, source.Codec().MimeType)
	if err != nil {
		t.Fatal(err)
	}
	half, done := make(chan struct{}), make(chan error)
	go func() {
		packets := flatten(all)
		for i := 0; ; i++ {
			if i == len(packets)/2 {
				close(half)
			}
			if err := recorder.WriteRTP(packets[i%len(packets)]); err != nil {
				done <- err
				return
			}
		}
	}()
	<-half
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%v, want fs.ErrClosed", err)
	}
	if got := len(mustHash(t, path)); uint64(got) != recorder.Frames() || got < len(all)/2 {
		t.Errorf("%d frames in the file, %d counted", got, recorder.Frames())
	}
	mustDecode(t, path)
}

// skipAhead records a sender that jumps 100 seconds with every packet.
func skipAhead(t *testing.T, allowance uint64) (size int64) {
	path := filepath.Join(t.TempDir(), "skip.ogg")
	recorder, err := NewRecorder(path, webrtc.MimeTypeOpus)
	if err != nil {
		t.Fatal(err)
	}
	if allowance != 0 {
		recorder.sink.(*audioSink).allowance = allowance
	}
	for i := range uint16(10) {
		p := &rtp.Packet{Header: rtp.Header{SequenceNumber: i, Timestamp: uint32(i) * 100 * opusClockRate}, Payload: []byte{0x78, 1, 2, 3}}
		if err := recorder.WriteRTP(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestSkippingAheadFillsNoDisk(t *testing.T) {
	const limit = 150_000
	if size := skipAhead(t, 0); size > limit {
		t.Errorf("10 packets made a file of %d bytes, want at most %d", size, limit)
	}
	if size := skipAhead(t, 1<<40); size <= limit { // the twin, without the limit
		t.Errorf("without the limit the file has %d bytes: the test proves nothing", size)
	}
}
