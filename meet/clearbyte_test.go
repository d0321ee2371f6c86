package meet

import (
	"strings"
	"testing"

	"github.com/huisclos/huisclos/crypto"
	"github.com/pion/webrtc/v4"
)

// code writes flags as letters: S start, K key frame, D discardable, and the layer.
func code(f crypto.MediaFlags) string {
	var s strings.Builder
	for _, x := range []struct {
		set    bool
		letter byte
	}{{f.StartOfFrame, 'S'}, {f.KeyFrame, 'K'}, {f.Discardable, 'D'}, {f.TemporalLayer > 0, '0' + f.TemporalLayer}} {
		if x.set {
			s.WriteByte(x.letter)
		}
	}
	return s.String()
}

func TestClearByte(t *testing.T) {
	type packet struct {
		time    uint32
		payload []byte
		want    string
	}
	for _, c := range []struct {
		mime    string
		packets []packet
	}{
		{webrtc.MimeTypeOpus, []packet{{0, []byte{1}, "S"}, {960, []byte{1}, "S"}, {1920, nil, "S"}}},
		{webrtc.MimeTypeVP8, []packet{
			{0, []byte{0x10, 0x00}, "SK"}, // S, partition 0; a key frame
			{0, []byte{0x00, 0x01}, "K"},
			{0, []byte{0x11, 0x01}, "K"}, // begins partition 1
			{3000, []byte{0x30, 0x01}, "SD"},
			{3000, []byte{0x20, 0x00}, "D"},
			{6000, []byte{0x90, 0xe0, 0x81, 0x23, 0x07, 0x80, 0x01}, "S2"}, // 15-bit picture ID, TL0PICIDX, TID 2
			{6000, []byte{0x80, 0x80, 0x05, 0x00}, "2"},
			{3000, []byte{0x00, 0x00}, ""},  // late
			{9000, []byte{0x90, 0xf0}, ""},  // cut
			{12000, []byte{0x10}, ""},       // cut
			{12000, []byte{0x00, 0x00}, ""}, // its beginning wasn't understood: not a key frame
		}},
		{webrtc.MimeTypeVP9, []packet{
			{0, []byte{0x88, 0x05, 0x00}, "SK"}, // I, B; 7-bit picture ID
			{0, []byte{0x84, 0x05, 0x00}, "K"},
			{3000, []byte{0xc8, 0x80, 0x06, 0x00}, "S"},        // I, P, B; 15 bits
			{6000, []byte{0xe8, 0x07, 0x40, 0x01, 0x00}, "S2"}, // TID 2, SID 0
			{6000, []byte{0xa8, 0x07, 0x43, 0x01, 0x00}, "2"},  // SID 1: the same picture, and not a key frame for it
			{9000, []byte{0xa8, 0x07, 0x00, 0x01, 0x00}, "SK"}, // SID 0 of a key picture
			{9000, []byte{0xa8, 0x07, 0x02, 0x01, 0x00}, "K"},  // SID 1 of it
			{12000, []byte{0xa8, 0x07}, ""},                    // cut
		}},
		{webrtc.MimeTypeAV1, []packet{
			{0, []byte{0x18, 0x0a, 0x00}, "SK"}, // W=1, N
			{0, []byte{0x90, 0x00}, "K"},        // Z
			{3000, []byte{0x10, 0x34, 0x40, 0x00}, "S2"},
			{6000, []byte{0x00, 0x03, 0x34, 0x20, 0x00}, "S1"},       // W=0: a length first
			{9000, []byte{0x20, 0x83, 0x00, 0x34, 0x20, 0x00}, "S1"}, // W=2, a longer length
			{12000, []byte{0x98, 0x00}, ""},                          // Z and N
			{15000, []byte{0x11, 0x00}, ""},                          // reserved
			{18000, []byte{0x10, 0xff}, ""},                          // forbidden bit
			{21000, []byte{0x00, 0xff}, ""},                          // cut
		}},
		{webrtc.MimeTypeH264, []packet{
			{0, []byte{0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 1}, "SK"}, // STAP-A: SPS, PPS
			{0, []byte{0x7c, 0x85, 1}, "K"},                       // FU-A, S, IDR
			{0, []byte{0x7c, 0x45, 1}, "K"},
			{3000, []byte{0x41, 1}, "S"},
			{3000, []byte{0x41, 1}, ""}, // another slice
			{6000, []byte{0x01, 1}, "SD"},
			{9000, []byte{0x1c, 0x81, 1}, "SD"}, // FU-A of a slice nobody needs
			{9000, []byte{0x1c, 0x41, 1}, "D"},
			{12000, []byte{0x06, 1}, "S"}, // SEI: says nothing of the picture
			{12000, []byte{0x65, 1}, "K"},
			{15000, []byte{0x78, 0, 9, 0x67}, ""}, // cut
			{18000, []byte{0xe5, 1}, ""},          // forbidden bit
			{21000, []byte{0x7d, 1}, ""},          // FU-B
		}},
		{"video/unknown", []packet{{0, []byte{0x10, 0x00}, ""}}},
	} {
		r := newFrameReader(strings.ToLower(c.mime))
		for i, p := range c.packets {
			if got := code(r.flags(p.time, p.payload)); got != p.want {
				t.Errorf("%s packet %d %x: %q, want %q", c.mime, i, p.payload, got, p.want)
			}
		}
	}
}

// FuzzClearByte: whatever a source writes, there are flags that can be sealed.
func FuzzClearByte(f *testing.F) {
	f.Add([]byte{0x10, 0x00}, []byte{0x7c, 0x85, 1}, uint32(3000))
	f.Add([]byte{0x90, 0xe0, 0x81, 0x23, 0x07, 0x80, 0x01}, []byte{}, uint32(0))
	f.Add([]byte{0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 1}, []byte{0x18, 0x0a, 0x00}, uint32(1<<31))
	f.Fuzz(func(t *testing.T, one, two []byte, passed uint32) {
		for _, mime := range []string{
			webrtc.MimeTypeVP8, webrtc.MimeTypeVP9, webrtc.MimeTypeAV1, webrtc.MimeTypeH264, webrtc.MimeTypeOpus, "video/x",
		} {
			r := newFrameReader(mime)
			a, b := r.flags(7, one), r.flags(7+passed, two)
			for _, flags := range []crypto.MediaFlags{a, b} {
				if flags.TemporalLayer > 7 || flags.KeyFrame && flags.Discardable {
					t.Fatalf("%s: %+v", mime, flags)
				}
			}
			if passed == 0 && b.StartOfFrame && !strings.HasPrefix(mime, "audio/") {
				t.Fatalf("%s: a frame begins twice", mime)
			}
		}
	})
}
