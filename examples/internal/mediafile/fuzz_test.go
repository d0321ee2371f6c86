package mediafile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// checkOpen opens arbitrary bytes and, if they are accepted, plays them twice.
func checkOpen(t *testing.T, name string, data []byte) {
	s, err := openBytes(name, data)
	if err != nil {
		var format *FormatError
		if !errors.As(err, &format) {
			t.Fatalf("%v is not a FormatError", err)
		}
		return
	}
	if s.Duration() < 0 || s.Duration() > maxDuration {
		t.Fatalf("lasts %v", s.Duration())
	}
	last := int64(-1)
	for range 2 {
		for {
			packets, at, err := s.NextPackets()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || int64(at) < last {
				t.Fatalf("at %v after %v, %v", at, last, err)
			}
			last = int64(at)
			for _, p := range packets {
				if len(p.Payload) > MaxPayload {
					t.Fatalf("a payload of %d bytes", len(p.Payload))
				}
			}
		}
		s.Rewind()
	}
}

func FuzzOpenOgg(f *testing.F) {
	f.Add(mustRead(f, "speech-1.ogg")[:568])
	f.Fuzz(func(t *testing.T, data []byte) {
		checkOpen(t, "a.ogg", data)
		repaired := slices.Clone(data)
		repairOgg(repaired) // or no change would get past the checksum
		checkOpen(t, "a.ogg", repaired)
	})
}

func FuzzOpenIVF(f *testing.F) {
	f.Add(mustRead(f, "picture-1.ivf")[:9000])
	f.Add(mustRead(f, "picture-2.ivf")[:9000])
	f.Fuzz(func(t *testing.T, data []byte) { checkOpen(t, "a.ivf", data) })
}

func FuzzOpenH264(f *testing.F) {
	f.Add(mustRead(f, "picture-3.h264")[:3000])
	f.Fuzz(func(t *testing.T, data []byte) { checkOpen(t, "a.h264", data) })
}

// packetsOf reads packets off arbitrary bytes: sequence step, timestamp step,
// flags, length, payload.
func packetsOf(data []byte) (packets []*rtp.Packet) {
	sequence, timestamp := uint16(65500), uint32(1<<32-90000)
	for len(data) >= 4 {
		sequence += uint16(int8(data[0]))
		timestamp += uint32(int8(data[1])) * 480
		flags, n := data[2], min(int(data[3]), len(data)-4)
		if flags&2 != 0 {
			sequence += uint16(flags) << 8
		}
		if flags&4 != 0 {
			timestamp += uint32(flags) << 24
		}
		packets = append(packets, &rtp.Packet{
			Header: rtp.Header{
				SequenceNumber: sequence, Timestamp: timestamp, Marker: flags&1 != 0, SSRC: uint32(flags >> 6),
			},
			Payload: data[4 : 4+n],
		})
		data = data[4+n:]
	}
	return packets
}

// toFuzz is the other way round, for seeds.
func toFuzz(packets []*rtp.Packet) (data []byte) {
	var last *rtp.Packet
	for _, p := range packets {
		step := byte(0)
		if last != nil && p.Timestamp != last.Timestamp {
			step = 2
		}
		flags := byte(0)
		if p.Marker {
			flags = 1
		}
		n := min(len(p.Payload), 255)
		data = append(append(data, 1, step, flags, byte(n)), p.Payload[:n]...)
		last = p
	}
	return data
}

var recordable = []string{
	webrtc.MimeTypeOpus, webrtc.MimeTypeVP8, webrtc.MimeTypeVP9, webrtc.MimeTypeAV1, webrtc.MimeTypeH264,
}

func FuzzRecorder(f *testing.F) {
	for i, name := range []string{"speech-1.ogg", "picture-1.ivf", "picture-2.ivf", "", "picture-3.h264"} {
		if name == "" {
			f.Add(uint8(i), []byte{1, 2, 1, 14, 0x18, 0x0a, 0x0b, 0, 0, 0, 0x24, 0xc4, 0xff, 0xdf, 0x32, 1, 0x10, 0})
			continue
		}
		s, err := openBytes(name, mustRead(f, name))
		if err != nil {
			f.Fatal(err)
		}
		var packets []*rtp.Packet
		for len(packets) < 12 {
			more, _, err := s.NextPackets()
			if err != nil {
				f.Fatal(err)
			}
			packets = append(packets, more...)
		}
		f.Add(uint8(i), toFuzz(packets))
	}
	f.Fuzz(func(t *testing.T, codec uint8, data []byte) {
		mimeType := recordable[int(codec)%len(recordable)]
		path := filepath.Join(t.TempDir(), "fuzz"+Extension(mimeType))
		recorder, err := NewRecorder(path, mimeType)
		if err != nil {
			t.Fatal(err)
		}
		packets := packetsOf(data)
		for _, p := range packets {
			if err := recorder.WriteRTP(p); err != nil {
				t.Fatal(err)
			}
		}
		if err := recorder.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if (err == nil) != (recorder.Frames() > 0) || recorder.Frames() > uint64(len(packets)) {
			t.Fatalf("%d frames of %d packets, %v", recorder.Frames(), len(packets), err)
		}
		if err != nil {
			return
		}
		// Silence is the one thing written that did not come: at most a minute and
		// ten times the sound, in packets of 2.5 ms and 29 bytes.
		if limit := 1000 + int64(len(data))*8 + 29*(60*400+10*48*int64(len(packets))); info.Size() > limit {
			t.Fatalf("%d bytes of input made a file of %d", len(data), info.Size())
		}
		if mimeType == webrtc.MimeTypeH264 {
			return // units that Open refuses may be in pictures that came whole
		}
		if _, err := Open(path); err != nil {
			t.Fatalf("after %d frames: %v", recorder.Frames(), err)
		}
	})
}
