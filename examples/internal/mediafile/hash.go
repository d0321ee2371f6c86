package mediafile

import (
	"crypto/sha256"
	"os"

	"github.com/pion/rtp/codecs/av1/obu"
	"github.com/pion/webrtc/v4"
)

// FrameHashes returns the SHA-256 hash of every frame of a media file, in
// order, so that a recording can be compared with its source. What RTP does not
// carry is left out on both sides: H.264 access unit delimiters, filler and the
// length of start codes, AV1 temporal delimiters, and the empty Opus packets
// that stand for losses. Errors are those of [Open].
func FrameHashes(name string) ([][sha256.Size]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	c, err := read(name, f)
	if err != nil {
		return nil, err
	}
	var hashes [][sha256.Size]byte
	for _, frame := range c.frames {
		if data := carried(c.codec.MimeType, frame.data); len(data) > 0 {
			hashes = append(hashes, sha256.Sum256(data))
		}
	}
	return hashes, nil
}

// carried is the part of a frame that RTP carries.
func carried(mimeType string, data []byte) []byte {
	var out []byte
	switch mimeType {
	case webrtc.MimeTypeOpus:
		if len(data) > 1 {
			out = data
		}
	case webrtc.MimeTypeAV1:
		eachOBU(data, func(kind obu.Type, whole, _ []byte) {
			if kind != obu.OBUTemporalDelimiter && kind != obu.OBUTileList {
				out = append(out, whole...)
			}
		})
	case webrtc.MimeTypeH264:
		eachNAL(data, func(nal []byte) {
			if kind := nalKind(nal); kind != nalDelimiter && kind != nalFiller {
				out = append(append(out, 0, 0, 0, 1), nal...)
			}
		})
	default:
		out = data
	}
	return out
}
