package mediafile

import (
	"encoding/binary"

	"github.com/pion/rtp/codecs/av1/obu"
	"github.com/pion/rtp/codecs/vp9"
	"github.com/pion/webrtc/v4"
)

// frameInfo is what the first bytes of a frame say.
type frameInfo struct {
	key           bool
	width, height uint16 // of key frames; zero where unknown
}

// inspect checks that a frame has the codec's outward form.
func inspect(mimeType string, data []byte) (frameInfo, bool) {
	switch mimeType {
	case webrtc.MimeTypeVP8:
		return inspectVP8(data)
	case webrtc.MimeTypeVP9:
		return inspectVP9(data)
	case webrtc.MimeTypeAV1:
		return inspectAV1(data)
	default:
		return inspectH264(data)
	}
}

// inspectVP8 reads a frame tag (RFC 6386 section 9.1).
func inspectVP8(data []byte) (frameInfo, bool) {
	if len(data) < 4 {
		return frameInfo{}, false
	}
	tag := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16
	version, firstPartition := tag>>1&7, int(tag>>5)
	if version > 3 || firstPartition > len(data)-3 {
		return frameInfo{}, false
	}
	if tag&1 != 0 {
		return frameInfo{}, true
	}
	if len(data) < 10 || data[3] != 0x9d || data[4] != 0x01 || data[5] != 0x2a {
		return frameInfo{}, false
	}
	return frameInfo{
		key:    true,
		width:  binary.LittleEndian.Uint16(data[6:]) & 0x3fff,
		height: binary.LittleEndian.Uint16(data[8:]) & 0x3fff,
	}, true
}

func inspectVP9(data []byte) (frameInfo, bool) {
	var h vp9.Header
	if h.Unmarshal(data) != nil {
		return frameInfo{}, false
	}
	if h.ShowExistingFrame || h.NonKeyFrame {
		return frameInfo{}, true
	}
	return frameInfo{key: true, width: h.Width(), height: h.Height()}, true
}

// eachOBU calls f with the type and payload of every unit of an AV1 temporal
// unit in low-overhead format, in which all units but the last have a size.
func eachOBU(data []byte, f func(kind obu.Type, whole, payload []byte)) bool {
	for len(data) > 0 {
		header, err := obu.ParseOBUHeader(data)
		if err != nil || header.Size() > len(data) {
			return false
		}
		begin, size := header.Size(), len(data)-header.Size()
		if header.HasSizeField {
			n, length, err := obu.ReadLeb128(data[begin:])
			if err != nil {
				return false
			}
			begin += int(length)
			if n > uint(len(data)-begin) {
				return false
			}
			size = int(n)
		}
		f(header.Type, data[:begin+size], data[begin:begin+size])
		data = data[begin+size:]
	}
	return true
}

// inspectAV1 takes a temporal unit that begins with a sequence header for a key
// frame: encoders repeat the header just there.
func inspectAV1(data []byte) (info frameInfo, ok bool) {
	units := 0
	ok = eachOBU(data, func(kind obu.Type, _, payload []byte) {
		if kind == obu.OBUTemporalDelimiter {
			return
		}
		if units == 0 && kind == obu.OBUSequenceHeader {
			info.key = true
			info.width, info.height = av1Size(payload)
		}
		units++
	})
	return info, ok && units > 0
}

// av1Size reads the picture size of a sequence header (AV1 section 5.5.1), or
// zeros where it is behind timing information, which calls don't use.
func av1Size(data []byte) (width, height uint16) {
	r := bitReader{data: data}
	r.bits(3 + 1) // seq_profile, still_picture
	if reduced := r.flag(); reduced {
		r.bits(5)
	} else {
		if timing := r.flag(); timing {
			return 0, 0
		}
		delays := r.flag()
		for range r.bits(5) + 1 { // operating points
			r.bits(12)
			if level := r.bits(5); level > 7 {
				r.bits(1)
			}
			if delays && r.flag() {
				r.bits(4)
			}
		}
	}
	widthBits, heightBits := int(r.bits(4))+1, int(r.bits(4))+1
	w, h := r.bits(widthBits)+1, r.bits(heightBits)+1
	if r.overrun() || w > 0xffff || h > 0xffff {
		return 0, 0
	}
	return uint16(w), uint16(h)
}
