package recorder

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bundled "github.com/huisclos/huisclos/examples/internal/media"
	"github.com/huisclos/huisclos/examples/internal/mediafile"
	"github.com/pion/rtp"
	"github.com/thesyncim/gopus"
)

// memory is a file.
type memory struct{ b []byte }

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if at > int64(len(m.b)) {
		return 0, errors.New("a hole")
	}
	m.b = append(m.b[:at], append(bytes.Clone(b), m.b[min(len(m.b), int(at)+len(b)):]...)...)
	return len(b), nil
}

// child finds the elements of an ID among those in b.
func child(t *testing.T, b []byte, id uint32) (all [][]byte) {
	t.Helper()
	for len(b) > 0 {
		n := 1
		for b[0]&(0x80>>(n-1)) == 0 {
			n++
		}
		var got uint32
		for _, x := range b[:n] {
			got = got<<8 | uint32(x)
		}
		size := int(binary.BigEndian.Uint64(b[n:]) &^ (1 << 56))
		if n+8+size > len(b) {
			t.Fatalf("%x has %d bytes of %d", got, len(b)-n-8, size)
		}
		if got == id {
			all = append(all, b[n+8:n+8+size])
		}
		b = b[n+8+size:]
	}
	return all
}

// blocks are those of a file, with absolute times.
func blocks(t *testing.T, file []byte) (all []block) {
	t.Helper()
	for _, c := range child(t, child(t, file, idSegment)[0], idCluster) {
		began := int64(binary.BigEndian.Uint64(child(t, c, idTimestamp)[0]))
		for _, b := range child(t, c, idSimpleBlock) {
			all = append(all, block{b[0] & 0x7f, began + int64(int16(binary.BigEndian.Uint16(b[1:]))), b[3]&0x80 != 0, b[4:]})
		}
	}
	return all
}

// tone is what one voice sends: 20 ms packets of a sine.
type tone struct {
	t       *testing.T
	encoder *gopus.Encoder
	hertz   float64
	n       int
}

func newTone(t *testing.T, hertz float64) *tone {
	e, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: sampleRate, Channels: 1, Application: gopus.ApplicationAudio})
	if err != nil {
		t.Fatal(err)
	}
	return &tone{t: t, encoder: e, hertz: hertz}
}

func (o *tone) packet(arrived time.Duration) packet {
	pcm, out := make([]float32, frameSize), make([]byte, 1500)
	for i := range pcm {
		pcm[i] = float32(0.3 * math.Sin(2*math.Pi*o.hertz*float64(o.n*frameSize+i)/sampleRate))
	}
	n, err := o.encoder.Encode(pcm, out)
	if err != nil {
		o.t.Fatal(err)
	}
	o.n++
	return packet{header: rtp.Header{SequenceNumber: uint16(o.n + 65500), Timestamp: uint32(o.n*frameSize + 4294960000), Marker: true}, payload: out[:n], arrived: arrived}
}

// sound decodes the sound of a file.
func sound(t *testing.T, all []block) (pcm []float32) {
	d, err := gopus.NewDecoder(gopus.DefaultDecoderConfig(sampleRate, 1))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, 5760)
	next := int64(0)
	for _, b := range all {
		if b.track != audioTrack {
			continue
		}
		if b.at != next || !b.key {
			t.Fatalf("a packet at %d ms, not %d", b.at, next)
		}
		n, err := d.Decode(b.data, out)
		if err != nil || n != frameSize {
			t.Fatal(n, err)
		}
		pcm = append(pcm, out[:n]...)
		next += 20
	}
	return pcm
}

// power is how much of a frequency is in samples (Goertzel).
func power(pcm []float32, hertz float64) float64 {
	w := 2 * math.Cos(2*math.Pi*hertz/sampleRate)
	var a, b float64
	for _, x := range pcm {
		a, b = float64(x)+w*a-b, a
	}
	return math.Sqrt(max(0, a*a+b*b-w*a*b)) * 2 / float64(len(pcm))
}

// TestMix: everybody is heard, at the right time, whatever order packets come in; what comes in a pause isn't.
func TestMix(t *testing.T) {
	file := &memory{}
	f, err := newFilm(file, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	opus := func(member string) Track { return Track{member, "microphone", "audio/opus"} }
	tracks := map[string]Track{"a": opus("A"), "b": opus("B"), "c": opus("C")}
	f.live(tracks)
	voices := map[string]*tone{"a": newTone(t, 400), "b": newTone(t, 1000), "c": newTone(t, 2500)}
	now := time.Duration(0)
	run := func(d time.Duration, who ...string) {
		t.Helper()
		for end := now + d; now < end; now += 40 * time.Millisecond {
			for _, id := range who {
				first, second := voices[id].packet(now), voices[id].packet(now)
				if id == "b" {
					first, second = second, first
				}
				for _, p := range []packet{first, second, first} { // one comes twice
					if err := f.take(id, p); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := f.advance(now, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(2*time.Second, "a")
	run(2*time.Second, "a", "b")
	if err := f.pause(now); err != nil {
		t.Fatal(err)
	}
	at := now
	for range 50 { // in the pause: Recorder lets nothing through
		voices["a"].packet(0)
		voices["b"].packet(0)
	}
	run(2*time.Second, "b", "c")
	if err := f.pause(now); err != nil {
		t.Fatal(err)
	}
	if err := f.finish(); err != nil {
		t.Fatal(err)
	}
	pcm := sound(t, blocks(t, file.b))
	if got := time.Duration(len(pcm)) * time.Second / sampleRate; got < now-40*time.Millisecond || got > now {
		t.Errorf("%v of %v", got, now)
	}
	for _, tt := range []struct {
		from, to time.Duration
		heard    string
	}{{200 * time.Millisecond, 1900 * time.Millisecond, "a"}, {2200 * time.Millisecond, at - 100*time.Millisecond, "ab"}, {at + 200*time.Millisecond, now - 200*time.Millisecond, "bc"}} {
		part := pcm[tt.from*sampleRate/time.Second : tt.to*sampleRate/time.Second]
		for id, v := range voices {
			got := power(part, v.hertz)
			if heard := strings.Contains(tt.heard, id); heard != (got > 0.2) || !heard && got > 0.01 {
				t.Errorf("%v to %v: %s has %.3f", tt.from, tt.to, id, got)
			}
		}
	}
}

// TestLoss: a lost packet doesn't shift what follows, and rubbish does no harm.
func TestLoss(t *testing.T) {
	file := &memory{}
	f, err := newFilm(file, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	f.live(map[string]Track{"a": {"A", "microphone", "audio/opus"}})
	v := newTone(t, 400)
	for i := range 200 {
		now := time.Duration(i) * 20 * time.Millisecond
		p := v.packet(now)
		switch {
		case i%10 == 3:
			continue
		case i%10 == 7:
			p.payload = bytes.Repeat([]byte{0xff}, 1+i%40)
		}
		if err := errors.Join(f.take("a", p), f.take("nobody", p), f.advance(now, false)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.pause(4*time.Second), f.finish()); err != nil {
		t.Fatal(err)
	}
	pcm := sound(t, blocks(t, file.b))
	if got := power(pcm[sampleRate/2:], 400); got < 0.15 || len(pcm) != 4*sampleRate {
		t.Error(got, len(pcm))
	}
}

// timed is a packet of a bundled file with its time.
type timed struct {
	at time.Duration
	*rtp.Packet
}

// play returns the packets of a bundled or other file, again and again until the time is over.
func play(t *testing.T, source *mediafile.Source, d time.Duration) (all []timed) {
	t.Helper()
	for {
		packets, at, err := source.NextPackets()
		switch {
		case errors.Is(err, io.EOF):
			source.Rewind()
			continue
		case err != nil:
			t.Fatal(err)
		case at >= d:
			return all
		}
		for _, p := range packets {
			all = append(all, timed{at, p.Clone()})
		}
	}
}

func open(t *testing.T, name string) *mediafile.Source {
	t.Helper()
	s, err := mediafile.OpenFS(bundled.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// meeting plays a meeting of two people into a film: A speaks for 6 s, then B; 12 s in all, with a pause after 9.
func meeting(t *testing.T, pictures map[string]*mediafile.Source) (file []byte, shown []string, asked map[string]int) {
	t.Helper()
	to, asked := &memory{}, map[string]int{}
	f, err := newFilm(to, func(id string) { asked[id]++ })
	if err != nil {
		t.Fatal(err)
	}
	const whole = 12 * time.Second
	speech := play(t, open(t, "speech-1.ogg"), whole)
	tracks, packets := map[string]Track{}, map[string][]timed{}
	for _, who := range []string{"A", "B"} {
		tracks[who+"-sound"] = Track{who, "microphone", "audio/opus"}
		if s := pictures[who]; s != nil {
			tracks[who+"-camera"] = Track{who, "camera", s.Codec().MimeType}
			packets[who+"-camera"] = play(t, s, whole)
		}
	}
	for _, p := range speech {
		who := "A"
		if p.at >= 6*time.Second {
			who = "B"
		}
		packets[who+"-sound"] = append(packets[who+"-sound"], p)
	}
	f.live(tracks)
	for now := time.Duration(0); now < whole; now += 20 * time.Millisecond {
		for id, all := range packets {
			for len(all) > 0 && all[0].at <= now {
				if err := f.take(id, packet{header: all[0].Header, payload: all[0].Payload, arrived: now}); err != nil {
					t.Fatal(err)
				}
				all = all[1:]
			}
			packets[id] = all
		}
		var err error
		if now == 9*time.Second {
			err = f.pause(now)
		} else {
			err = f.advance(now, false)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(shown) == 0 || shown[len(shown)-1] != f.shown {
			shown = append(shown, f.shown)
		}
	}
	if err := errors.Join(f.pause(whole), f.finish()); err != nil {
		t.Fatal(err)
	}
	return to.b, shown, asked
}

// TestPicture: the picture follows who speaks, at key frames; cues lead to key frames that begin clusters.
func TestPicture(t *testing.T) {
	file, shown, asked := meeting(t, map[string]*mediafile.Source{"A": open(t, "picture-1.ivf"), "B": open(t, "picture-1.ivf")})
	if got := strings.Join(shown, " "); got != "A-camera B-camera  B-camera" || asked["B-camera"] == 0 {
		t.Errorf("%q was shown; asked %v", got, asked)
	}
	segment := child(t, file, idSegment)[0]
	cues := child(t, child(t, segment, idCues)[0], idCuePoint)
	if len(cues) < 4 {
		t.Error(len(cues), "cues")
	}
	for _, c := range cues {
		at := binary.BigEndian.Uint64(child(t, c, idCueTime)[0])
		position := binary.BigEndian.Uint64(child(t, child(t, c, idCueTrackPositions)[0], idCueClusterPosition)[0])
		if binary.BigEndian.Uint32(segment[position:]) != idCluster {
			t.Fatalf("the cue at %d ms leads nowhere", at)
		}
		cluster := child(t, segment[position:], idCluster)[0]
		b := child(t, cluster, idSimpleBlock)[0]
		if b[0] != 0x80|videoTrack || b[3] != 0x80 || binary.BigEndian.Uint64(child(t, cluster, idTimestamp)[0]) != at {
			t.Errorf("the cue at %d ms leads to %x", at, b[:4])
		}
	}
	last := int64(-1)
	for _, b := range blocks(t, file) {
		if b.track != videoTrack {
			continue
		}
		if b.at <= last {
			t.Errorf("a picture at %d after one at %d", b.at, last)
		}
		last = b.at
	}
}

// TestPlayers: ffmpeg and ffprobe, which stand for players, find no fault, and can seek.
func TestPlayers(t *testing.T) {
	for _, program := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program)
		}
	}
	run := func(t *testing.T, program string, arguments ...string) []byte {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		var out, complaints bytes.Buffer
		c := exec.CommandContext(ctx, program, append([]string{"-v", "warning", "-threads", "1"}, arguments...)...)
		c.Stdout, c.Stderr = &out, &complaints
		if err := c.Run(); err != nil || complaints.Len() > 0 {
			t.Fatalf("%s %v: %v\n%s", program, arguments, err, complaints.String())
		}
		return out.Bytes()
	}
	dir := t.TempDir()
	large := filepath.Join(dir, "large.ivf") // another size than the bundled one; short, and played again and again
	run(t, "ffmpeg", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=15:duration=4", "-c:v", "libvpx", "-b:v", "150k", "-deadline", "realtime", "-cpu-used", "8",
		"-g", "30", "-auto-alt-ref", "0", "-lag-in-frames", "0", "-f", "ivf", large)
	second, err := mediafile.Open(large)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		pictures map[string]*mediafile.Source
		codecs   string
		width    int
	}{
		"VP8 of two sizes": {map[string]*mediafile.Source{"A": open(t, "picture-1.ivf"), "B": second}, "vp8 opus", 640},
		"VP9":              {map[string]*mediafile.Source{"A": open(t, "picture-2.ivf")}, "vp9 opus", 320},
		"sound alone":      {nil, "opus", 0},
	} {
		if testing.Short() && tt.width != 640 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			file, _, _ := meeting(t, tt.pictures)
			path := filepath.Join(dir, strconv.Itoa(len(file))+".webm")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			var got struct {
				Streams []struct {
					Codec string `json:"codec_name"`
					Width int
				}
				Format struct{ Duration, Format_name string }
			}
			if err := json.Unmarshal(run(t, "ffprobe", "-of", "json", "-show_streams", "-show_format", path), &got); err != nil {
				t.Fatal(err)
			}
			var codecs []string
			for _, s := range got.Streams {
				codecs = append(codecs, s.Codec)
			}
			duration, _ := strconv.ParseFloat(got.Format.Duration, 64)
			if strings.Join(codecs, " ") != tt.codecs || got.Streams[0].Width != tt.width || duration < 11.9 || duration > 12.1 {
				t.Errorf("%+v", got)
			}
			run(t, "ffmpeg", "-i", path, "-fps_mode", "passthrough", "-enc_time_base", "1:1000", "-f", "null", "-") // decodes all of it, with all its sizes
			for _, at := range []string{"1", "5", "8.5", "10.5"} {
				run(t, "ffmpeg", "-ss", at, "-i", path, "-t", "0.5", "-fps_mode", "passthrough", "-enc_time_base", "1:1000", "-f", "null", "-")
			}
			if tt.width == 0 {
				return
			}
			// What is decoded after a seek begins where a cue leads, not at the file's beginning.
			out := run(t, "ffprobe", "-read_intervals", "8.5%+#1", "-select_streams", "v", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", path)
			at, flags, _ := strings.Cut(strings.TrimSpace(string(out)), ",")
			if sec, err := strconv.ParseFloat(at, 64); err != nil || sec < 5 || sec > 8.6 || !strings.HasPrefix(flags, "K") {
				t.Errorf("a seek to 8.5 s leads to %q", out)
			}
		})
	}
}

// TestRecorder: what comes while it doesn't run, or of a track that isn't live, isn't in the file.
func TestRecorder(t *testing.T) {
	file := &memory{}
	r, err := New(Config{To: file, KeyFrame: func(string) {}, Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	v := newTone(t, 400)
	write := func(track string) {
		p := v.packet(0)
		r.Write(track, &p.header, p.payload)
	}
	count := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.pending)
	}
	r.Live(map[string]Track{"a": {"A", "microphone", "audio/opus"}})
	write("a")
	r.Run(true)
	write("b")
	if n := count(); n != 0 {
		t.Error(n, "packets were taken")
	}
	write("a")
	time.Sleep(50 * time.Millisecond)
	r.Run(false)
	write("a")
	if n := count(); n != 0 {
		t.Error("it goes on")
	}
	long, any, err := r.Close()
	if err != nil || !any || long < 50*time.Millisecond || long > 10*time.Second {
		t.Error(long, any, err)
	}
	if _, any, err := r.Close(); any || err != nil {
		t.Error(any, err)
	}
	if got := int64(len(sound(t, blocks(t, file.b)))) * 1000 / sampleRate; got != int64(long/time.Millisecond)/20*20 {
		t.Error(got, long)
	}
}

// TestFull: a disk that is full ends it, once, and harms nothing else.
func TestFull(t *testing.T) {
	failed := make(chan error, 10)
	full := errors.New("full")
	file := &memory{}
	r, err := New(Config{To: writerAt(func(b []byte, at int64) (int, error) {
		if at >= headSize {
			return 0, full
		}
		return file.WriteAt(b, at)
	}), KeyFrame: func(string) {}, Failed: func(err error) { failed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	r.Run(true)
	r.mu.Lock()
	r.resumed = r.resumed.Add(-20 * time.Second)
	r.mu.Unlock()
	if err := <-failed; !errors.Is(err, full) {
		t.Error(err)
	}
	if _, _, err := r.Close(); !errors.Is(err, full) || len(failed) != 0 {
		t.Error(err, len(failed))
	}
}

type writerAt func([]byte, int64) (int, error)

func (f writerAt) WriteAt(b []byte, at int64) (int, error) { return f(b, at) }

// BenchmarkVoice is what each person costs a second: 50 packets decoded and mixed.
func BenchmarkVoice(b *testing.B) {
	m, err := newMixer()
	if err != nil {
		b.Fatal(err)
	}
	v, err := newVoice()
	if err != nil {
		b.Fatal(err)
	}
	source, err := mediafile.OpenFS(bundled.FS, "speech-1.ogg")
	if err != nil {
		b.Fatal(err)
	}
	var all []*rtp.Packet
	for {
		p, _, err := source.NextPackets()
		if err != nil {
			break
		}
		all = append(all, p...)
	}
	n := 0
	for b.Loop() {
		for range 50 {
			v.decode(packet{header: all[n%len(all)].Header, payload: all[n%len(all)].Payload}, 0, m)
			n++
		}
	}
}

// BenchmarkEncode is what the mix costs a second.
func BenchmarkEncode(b *testing.B) {
	m, err := newMixer()
	if err != nil {
		b.Fatal(err)
	}
	pcm := make([]float32, sampleRate)
	for i := range pcm {
		pcm[i] = float32(0.3 * math.Sin(float64(i)/20) * math.Sin(float64(i)/7000))
	}
	for b.Loop() {
		m.add(m.done, pcm)
		if err := m.advance(m.done+sampleRate, func(block) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
