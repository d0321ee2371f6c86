package mediafile

import (
	"bytes"
	"encoding/binary"
	"os"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

// maxFrame bounds the memory for one picture.
const maxFrame = 8 << 20

// videoWriter puts whole frames into a file. The time is in RTP units since
// the first frame.
type videoWriter interface {
	frame(data []byte, info frameInfo, time uint64) error
	finish() error
}

// videoSink puts frames together. After a loss it waits for the next key frame,
// since what comes before builds on what is missing:
//
//	          key frame begins            packet missing, or damaged
//	waiting ───────────────────► writing ───────────────────────────► waiting
type videoSink struct {
	mimeType string
	writer   videoWriter
	waiting  bool

	depacketizer rtp.Depacketizer
	data         []byte // of the frame being put together
	open         bool   // whether a frame is being put together
	timestamp    uint32 // of the last packet
	seen         bool   // whether there was a packet before
	size         int    // payload bytes of the open frame

	started         bool
	time            uint64 // of the last frame written
	last            uint32 // its timestamp
	anew            bool   // the stream began anew since then
	frames, dropped uint64
}

func newVideoSink(mimeType string, writer videoWriter) *videoSink {
	return &videoSink{mimeType: canonical(mimeType), writer: writer, waiting: true}
}

func (v *videoSink) counts() (frames, dropped uint64) { return v.frames, v.dropped }

func (v *videoSink) needsKeyFrame() bool { return v.waiting }

func (v *videoSink) packet(header *rtp.Header, payload []byte, lost int) error {
	if lost != 0 {
		v.fail()
		v.anew = v.anew || lost < 0
	}
	if len(payload) == 0 {
		return nil // padding
	}
	if v.open && header.Timestamp != v.timestamp {
		v.fail() // the frame before had no end
	}
	fresh := !v.seen || header.Timestamp != v.timestamp || lost < 0
	v.seen, v.timestamp = true, header.Timestamp
	if !v.open {
		if v.waiting && !beginsKeyFrame(v.mimeType, payload) {
			if fresh {
				v.dropped++
			}
			return nil
		}
		v.begin()
	}
	if !v.add(payload) {
		v.fail()
		return nil
	}
	if !header.Marker {
		return nil
	}
	return v.end()
}

// fail gives up the open frame, if any, and waits for a key frame.
func (v *videoSink) fail() {
	if v.open {
		v.dropped++
	}
	v.open, v.waiting = false, true
}

// begin opens a frame. A depacketizer that never saw another frame can't mix
// two.
func (v *videoSink) begin() {
	v.open, v.size, v.data = true, 0, v.data[:0]
	switch v.mimeType {
	case webrtc.MimeTypeVP8:
		v.depacketizer = &codecs.VP8Packet{}
	case webrtc.MimeTypeVP9:
		v.depacketizer = &codecs.VP9Packet{}
	case webrtc.MimeTypeAV1:
		v.depacketizer = &codecs.AV1Depacketizer{}
	default:
		v.depacketizer = &codecs.H264Packet{}
	}
}

func (v *videoSink) add(payload []byte) bool {
	if v.size += len(payload); v.size > maxFrame {
		return false
	}
	vp9, isVP9 := v.depacketizer.(*codecs.VP9Packet)
	if isVP9 {
		*vp9 = codecs.VP9Packet{} // it adds to the references of the packet before
	}
	if v.mimeType == webrtc.MimeTypeAV1 {
		payload = bytes.Clone(payload) // the depacketizer keeps fragments of it
	}
	data, err := v.depacketizer.Unmarshal(payload)
	if err != nil {
		return false
	}
	if isVP9 && vp9.L && vp9.SID > 0 {
		return true // only the base layer of a scalable stream stands alone
	}
	v.data = append(v.data, data...)
	return len(v.data) <= maxFrame
}

// end writes the open frame.
func (v *videoSink) end() error {
	info, ok := inspect(v.mimeType, v.data)
	if !ok || v.waiting && !info.key {
		v.fail()
		return nil
	}
	v.open, v.waiting = false, false
	switch step := int32(v.timestamp - v.last); {
	case !v.started:
	case v.anew || step <= 0:
		// How much time passed is unknown; players want times that grow.
		v.time += videoClockRate / h264FrameRate
	default:
		v.time += uint64(step)
	}
	v.started, v.anew, v.last = true, false, v.timestamp
	v.frames++
	return v.writer.frame(v.data, info, v.time)
}

func (v *videoSink) finish() error {
	if v.open {
		v.fail()
	}
	return v.writer.finish()
}

// beginsKeyFrame says whether a payload is the very first of a key frame. It
// says no where that isn't sure.
func beginsKeyFrame(mimeType string, payload []byte) bool {
	switch mimeType {
	case webrtc.MimeTypeVP8:
		var p codecs.VP8Packet
		data, err := p.Unmarshal(payload)
		return err == nil && p.S == 1 && p.PID == 0 && len(data) > 0 && data[0]&1 == 0
	case webrtc.MimeTypeVP9:
		var p codecs.VP9Packet
		data, err := p.Unmarshal(payload)
		if err != nil || !p.B || p.L && p.SID > 0 {
			return false
		}
		info, ok := inspectVP9(data)
		return ok && info.key
	case webrtc.MimeTypeAV1:
		// Z clear, N set: a new coded video sequence (AV1 RTP section 4.4).
		return payload[0]&0x88 == 0x08
	default:
		if nalKind(payload) == nalSTAPA && len(payload) > 3 {
			payload = payload[3:] // the first unit, after its length
		}
		return nalKind(payload) == nalSPS || nalKind(payload) == nalDelimiter
	}
}

// ivfWriter writes frames with the RTP clock as the time base.
type ivfWriter struct {
	file     *os.File
	mimeType string
	count    uint32
	buffer   []byte
}

// temporalDelimiter begins every AV1 temporal unit in a file; RTP leaves it out.
var temporalDelimiter = []byte{0x12, 0x00}

func (w *ivfWriter) frame(data []byte, info frameInfo, time uint64) error {
	buffer := w.buffer[:0]
	if w.count == 0 {
		buffer = w.header(buffer, info)
	}
	size := len(data)
	if w.mimeType == webrtc.MimeTypeAV1 {
		size += len(temporalDelimiter)
	}
	buffer = binary.LittleEndian.AppendUint32(buffer, uint32(size))
	buffer = binary.LittleEndian.AppendUint64(buffer, time)
	if w.mimeType == webrtc.MimeTypeAV1 {
		buffer = append(buffer, temporalDelimiter...)
	}
	w.buffer = append(buffer, data...)
	w.count++
	_, err := w.file.Write(w.buffer)
	return err
}

// header appends the file header; the number of frames is written at the end.
func (w *ivfWriter) header(buffer []byte, info frameInfo) []byte {
	fourCC := ""
	for code, mimeType := range ivfCodecs {
		if mimeType == w.mimeType {
			fourCC = code
		}
	}
	buffer = append(buffer, "DKIF\x00\x00"...)
	buffer = binary.LittleEndian.AppendUint16(buffer, ivfHeaderSize)
	buffer = append(buffer, fourCC...)
	buffer = binary.LittleEndian.AppendUint16(buffer, info.width)
	buffer = binary.LittleEndian.AppendUint16(buffer, info.height)
	buffer = binary.LittleEndian.AppendUint32(buffer, videoClockRate)
	buffer = binary.LittleEndian.AppendUint32(buffer, 1)
	return append(buffer, make([]byte, 8)...)
}

func (w *ivfWriter) finish() error {
	if w.count == 0 {
		return nil
	}
	_, err := w.file.WriteAt(binary.LittleEndian.AppendUint32(nil, w.count), 24)
	return err
}

// h264Writer writes access units one after the other. The byte stream has no
// times.
type h264Writer struct{ file *os.File }

func (w *h264Writer) frame(data []byte, _ frameInfo, _ uint64) error {
	_, err := w.file.Write(data)
	return err
}

func (w *h264Writer) finish() error { return nil }
