package mediafile

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/huisclos/huisclos/examples/internal/media"
)

// openBytes opens a file of these bytes.
func openBytes(name string, data []byte) (*Source, error) {
	return OpenFS(fstest.MapFS{name: {Data: data}}, name)
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	data, err := media.FS.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// repairOgg writes the right checksum into every page, and returns the starts
// of the pages.
func repairOgg(data []byte) (pages []int) {
	for i := 0; i+oggHeaderSize <= len(data) && string(data[i:i+4]) == "OggS"; {
		end := i + oggHeaderSize + int(data[i+26])
		if end > len(data) {
			break
		}
		for _, n := range data[i+oggHeaderSize : end] {
			end += int(n)
		}
		if end > len(data) {
			break
		}
		binary.LittleEndian.PutUint32(data[i+22:], oggChecksum(data[i:end]))
		pages = append(pages, i)
		i = end
	}
	return pages
}

// changed copies data and applies a change.
func changed(data []byte, change func(data []byte)) []byte {
	data = slices.Clone(data)
	change(data)
	return data
}

func TestOpenRefuses(t *testing.T) {
	ogg, ivf, h264 := mustRead(t, "speech-1.ogg"), mustRead(t, "picture-1.ivf"), mustRead(t, "picture-3.h264")
	pages := repairOgg(slices.Clone(ogg))
	frame2 := ivfHeaderSize + ivfFrameHeaderSize + int(binary.LittleEndian.Uint32(ivf[ivfHeaderSize:]))
	for _, c := range []struct {
		what, name string
		data       []byte
		want       string // in the reason
	}{
		{"nothing", "a.ogg", nil, "empty"},
		{"another extension", "a.wav", ogg, "name must end"},
		{"text", "a.ogg", []byte("Dear colleague, here is the agenda for tomorrow."), "not an Ogg file"},
		{"IVF named ogg", "a.ogg", ivf, "not an Ogg file"},
		{"Ogg named ivf", "a.ivf", ogg, "not an IVF file"},
		{"Ogg named h264", "a.h264", ogg, "not an H.264"},
		{"Ogg cut in a page", "a.ogg", ogg[:len(ogg)-5], "cut short"},
		{"Ogg cut in a header", "a.ogg", ogg[:pages[5]+10], "cut short"},
		{"Ogg with headers only", "a.ogg", ogg[:pages[2]], "no frames"},
		{"Ogg with one header", "a.ogg", ogg[:pages[1]], "no sound"},
		{"Ogg without a page", "a.ogg", slices.Delete(slices.Clone(ogg), pages[5], pages[6]), "page is missing"},
		{"Ogg with a flipped bit", "a.ogg", changed(ogg, func(d []byte) { d[pages[9]+40] ^= 1 }), "checksum"},
		{"Ogg twice", "a.ogg", append(slices.Clone(ogg), ogg...), "more than one stream"},
		{"Vorbis", "a.ogg", changed(ogg, func(d []byte) { copy(d[pages[0]+28:], "\x01vorbis\x00"); repairOgg(d) }), "no Opus"},
		{"six channels", "a.ogg", changed(ogg, func(d []byte) { d[pages[0]+28+9] = 6; repairOgg(d) }), "mono nor stereo"},
		{"times backwards", "a.ogg", changed(ogg, func(d []byte) { clear(d[pages[9]+6 : pages[9]+14]); repairOgg(d) }), "backwards"},
		{"a time in the far future", "a.ogg", changed(ogg, func(d []byte) { d[pages[len(pages)-1]+11] = 1; repairOgg(d) }), "longer than a day"},
		{"a bad Opus packet", "a.ogg", changed(ogg, func(d []byte) { d[pages[4]+28] |= 3; d[pages[4]+29] = 0; repairOgg(d) }), "packet 3 is damaged"},
		{"IVF cut in a frame", "a.ivf", ivf[:len(ivf)-1], "cut short"},
		{"IVF cut in a frame header", "a.ivf", ivf[:frame2+5], "cut short"},
		{"IVF cut in the header", "a.ivf", ivf[:20], "cut short"},
		{"IVF without frames", "a.ivf", ivf[:ivfHeaderSize], "no frames"},
		{"IVF from the second frame", "a.ivf", slices.Delete(slices.Clone(ivf), ivfHeaderSize, frame2), "not a key frame"},
		{"VP8 as VP9", "a.ivf", changed(ivf, func(d []byte) { copy(d[8:], "VP90") }), "frame 1 is not VP9"},
		{"MJPEG", "a.ivf", changed(ivf, func(d []byte) { copy(d[8:], "MJPG") }), "not VP8, VP9 or AV1"},
		{"no time base", "a.ivf", changed(ivf, func(d []byte) { clear(d[16:20]) }), "header makes no sense"},
		{"a frame of 4 GB", "a.ivf", changed(ivf, func(d []byte) { copy(d[frame2:], "\xff\xff\xff\xff") }), "cut short"},
		{"two frames at a time", "a.ivf", changed(ivf, func(d []byte) { clear(d[frame2+4 : frame2+12]) }), "not after"},
		{"a frame at the end of time", "a.ivf", changed(ivf, func(d []byte) { copy(d[frame2+4:], "\xff\xff\xff\xff\xff\xff\xff\xff") }), "makes no sense"},
		{"a week", "a.ivf", changed(ivf, func(d []byte) { d[frame2+7] = 1; copy(d[frame2:], ivf[frame2:frame2+4]) }), ""},
		{"H.264 without parameter sets", "a.h264", h264[40:], "not an H.264"},
		{"H.264 with parameter sets only", "a.h264", h264[:30], "no frames"},
		{"H.264 with the forbidden bit", "a.h264", changed(h264, func(d []byte) { d[4] |= 0x80 }), "damaged"},
	} {
		_, err := openBytes(c.name, c.data)
		var format *FormatError
		if !errors.As(err, &format) || format.Path != c.name || !strings.Contains(format.Reason, c.want) {
			t.Errorf("%s: %v, want a FormatError with %q", c.what, err, c.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q is more than a line", c.what, err)
		}
	}
}

func TestOpenRefusesBPictures(t *testing.T) {
	path := encoded(t, "b.h264", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "2", "-x264-params", "b-adapt=0:repeat-headers=1")
	var format *FormatError
	if _, err := Open(path); !errors.As(err, &format) || !strings.Contains(format.Reason, "B pictures") {
		t.Errorf("%v, want a FormatError about B pictures", err)
	}
}

func TestOpenWithoutFile(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none.ogg")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want fs.ErrNotExist", err)
	}
	directory := filepath.Join(t.TempDir(), "d.ogg")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	var format *FormatError
	if _, err := Open(directory); !errors.As(err, &format) {
		t.Errorf("a directory: %v, want a FormatError", err)
	}
}

// Holes in the granule positions are holes in time, padding cut off at the end
// is not, and a stream may begin anywhere.
func TestOggGranulePositions(t *testing.T) {
	ogg := mustRead(t, "speech-1.ogg")
	pages := repairOgg(slices.Clone(ogg))
	shift := func(d []byte, from int, by int64) {
		for _, p := range pages[from:] {
			binary.LittleEndian.PutUint64(d[p+6:], uint64(int64(binary.LittleEndian.Uint64(d[p+6:]))+by))
		}
		repairOgg(d)
	}
	whole, err := openBytes("a.ogg", ogg)
	if err != nil {
		t.Fatal(err)
	}
	late, err := openBytes("a.ogg", changed(ogg, func(d []byte) { shift(d, 2, 480000) }))
	if err != nil || late.Duration() != whole.Duration() {
		t.Errorf("a late begin: %v, want no error and %v", err, whole.Duration())
	}
	hole, err := openBytes("a.ogg", changed(ogg, func(d []byte) { shift(d, 12, 48000) }))
	if err != nil || hole.Duration() != whole.Duration()+time.Second {
		t.Fatalf("a hole of a second: %v", err)
	}
	for i := range 12 {
		f, err := hole.Next()
		want := time.Duration(i) * 20 * time.Millisecond
		if i >= 10 {
			want += time.Second
		}
		if err != nil || f.At != want {
			t.Errorf("packet %d at %v, %v; want %v", i, f.At, err, want)
		}
	}
}

func TestOpusSamples(t *testing.T) {
	long := make([]byte, 1277)
	for _, c := range []struct {
		packet  []byte
		samples uint64 // 0: refused
	}{
		{nil, 0},
		{[]byte{0x00}, 480},
		{[]byte{0x18, 1}, 2880},                          // SILK, 60 ms
		{[]byte{0x78, 1}, 960},                           // hybrid, 20 ms
		{[]byte{0x80, 1}, 120},                           // CELT, 2.5 ms
		{[]byte{0xf8, 1, 2}, 960},                        // CELT, 20 ms
		{[]byte{0xf9, 1, 2}, 1920},                       // two equal frames
		{[]byte{0xf9, 1, 2, 3}, 0},                       // R3: of odd length
		{[]byte{0xfa, 1, 2, 3}, 1920},                    // two frames, the first of one byte
		{[]byte{0xfa, 9, 2, 3}, 0},                       // R4: shorter than its first frame
		{[]byte{0xfa, 252}, 0},                           // half a length
		{[]byte{0xfb}, 0},                                // R6: no count
		{[]byte{0xfb, 0}, 0},                             // R5: no frames
		{[]byte{0xfb, 3, 1, 2, 3}, 2880},                 // three equal frames
		{[]byte{0xfb, 3, 1, 2}, 0},                       // that aren't
		{[]byte{0xfb, 0x83, 1, 0, 9, 9}, 2880},           // lengths 1, 0, rest
		{[]byte{0xfb, 0x83, 1, 9, 9, 9}, 0},              // R7
		{[]byte{0xfb, 0x41, 2, 9, 0, 0}, 960},            // padding
		{[]byte{0xfb, 0x41, 9, 9, 0, 0}, 0},              // R6: more padding than bytes
		{[]byte{0x1b, 3, 0, 0, 0}, 0},                    // R5: 180 ms
		{append([]byte{0xf8}, long[:1275]...), 960},      // the largest frame
		{append([]byte{0xf8}, long[:1276]...), 0},        // R2: a larger one
		{append([]byte{0xfb, 0x41, 255, 0}, 1, 2, 3), 0}, // 254 bytes of padding
	} {
		samples, ok := opusSamples(c.packet)
		if ok != (c.samples != 0) || ok && samples != c.samples {
			t.Errorf("% x…: %d, %v; want %d", c.packet[:min(6, len(c.packet))], samples, ok, c.samples)
		}
	}
}

func TestPictureSize(t *testing.T) {
	for _, name := range []string{"picture-1.ivf", "picture-2.ivf"} {
		s, err := OpenFS(media.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		info, ok := inspect(s.codec.MimeType, s.frames[0].data)
		if want := (frameInfo{true, 320, 180}); !ok || info != want {
			t.Errorf("%s: %v, %v; want %v", name, info, ok, want)
		}
	}
	s, err := Open(encoded(t, "av1.ivf", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=0.2",
		"-pix_fmt", "yuv420p", "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8"))
	if err != nil {
		t.Fatal(err)
	}
	info, ok := inspect(s.codec.MimeType, s.frames[0].data)
	if want := (frameInfo{true, 320, 180}); !ok || info != want {
		t.Errorf("AV1: %v, %v; want %v", info, ok, want)
	}
}
