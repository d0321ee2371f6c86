package meet

import (
	"strings"

	"github.com/huisclos/huisclos/crypto"
	"github.com/pion/webrtc/v4"
)

// frameReader tells from a stream's own packets what the clear byte of each says (SPEC §7.1): enough for a forwarder
// to choose, and no more. What it isn't sure of it doesn't say. It reads headers only and keeps no content.
type frameReader struct {
	read func(payload []byte) packetFacts

	started   bool
	timestamp uint32 // of the frame under way
	frame     crypto.MediaFlags
}

// packetFacts is what one packet alone shows.
type packetFacts struct {
	known   bool // the payload could be read
	start   bool // nothing before it can belong to the same frame, as far as the payload tells
	key     bool // its frame needs no other
	discard bool // no other frame needs this packet's frame
	layered bool // temporal is meant
	layer   uint8
}

// lateFrames is how far back a timestamp may lie to be of a frame before, not of a source that began again: two
// seconds of video.
const lateFrames = 2 * videoClock

// newFrameReader returns the reader for a codec.
func newFrameReader(mime string) *frameReader {
	r := &frameReader{}
	switch {
	case strings.EqualFold(mime, webrtc.MimeTypeVP8):
		r.read = readVP8
	case strings.EqualFold(mime, webrtc.MimeTypeVP9):
		r.read = readVP9
	case strings.EqualFold(mime, webrtc.MimeTypeAV1):
		r.read = readAV1
	case strings.EqualFold(mime, webrtc.MimeTypeH264):
		r.read = readH264
	case hasType(mime, "audio/"):
		r.read = readAudio
	default:
		r.read = func([]byte) packetFacts { return packetFacts{} }
	}
	return r
}

// flags returns the clear byte of the next packet. Packets of one frame have one timestamp, and only its first shows
// whether it is a key frame, so that is carried along.
func (r *frameReader) flags(timestamp uint32, payload []byte) crypto.MediaFlags {
	if late := r.timestamp - timestamp; r.started && late > 0 && late < lateFrames {
		return crypto.MediaFlags{} // of a frame before: what it was is forgotten
	}
	p := r.read(payload)
	fresh := !r.started || timestamp != r.timestamp
	if fresh {
		r.started, r.timestamp, r.frame = true, timestamp, crypto.MediaFlags{}
	}
	if !p.known {
		return crypto.MediaFlags{}
	}
	if p.key {
		r.frame.KeyFrame = true
	}
	if p.discard {
		r.frame.Discardable = true
	}
	if p.layered {
		r.frame.TemporalLayer = p.layer
	}
	if r.frame.KeyFrame {
		r.frame.Discardable = false
	}
	f := r.frame
	f.StartOfFrame = p.start && fresh
	return f
}

// reset forgets the frame under way: another source follows.
func (r *frameReader) reset() { *r = frameReader{read: r.read} }

// readAudio: every packet is a frame that needs no other.
func readAudio([]byte) packetFacts { return packetFacts{known: true, start: true} }

// readVP8 reads the payload descriptor (RFC 7741 §4.2) and the first bit of the frame header.
func readVP8(b []byte) packetFacts {
	if len(b) < 2 {
		return packetFacts{}
	}
	extended, nonReference := b[0]&0x80 != 0, b[0]&0x20 != 0
	first := b[0]&0x10 != 0 && b[0]&0x0f == 0 // S, and partition 0
	p := packetFacts{known: true, start: first, discard: nonReference}
	n := 1
	if extended {
		x := b[1]
		n++
		if x&0x80 != 0 { // picture ID, 7 or 15 bits
			if n >= len(b) {
				return packetFacts{}
			}
			if b[n]&0x80 != 0 {
				n++
			}
			n++
		}
		if x&0x40 != 0 { // TL0PICIDX
			n++
		}
		if x&0x30 != 0 { // TID and KEYIDX share a byte
			if n >= len(b) {
				return packetFacts{}
			}
			if x&0x20 != 0 {
				p.layered, p.layer = true, b[n]>>6
			}
			n++
		}
	}
	if n >= len(b) {
		return packetFacts{}
	}
	p.key = first && b[n]&0x01 == 0 // RFC 6386 §9.1
	return p
}

// readVP9 reads the payload descriptor (RFC 9628 §4.2). Whether other frames need this one isn't in it.
func readVP9(b []byte) packetFacts {
	if len(b) < 2 {
		return packetFacts{}
	}
	pictureID, predicted, layers, begins := b[0]&0x80 != 0, b[0]&0x40 != 0, b[0]&0x20 != 0, b[0]&0x08 != 0
	n := 1
	if pictureID {
		if b[n]&0x80 != 0 {
			n++
		}
		n++
	}
	base := true // the lowest spatial layer, with which a picture begins
	p := packetFacts{known: true}
	if layers {
		if n >= len(b) {
			return packetFacts{}
		}
		p.layered, p.layer = true, b[n]>>5
		base = b[n]>>1&0x07 == 0
		n++
	}
	if n >= len(b) {
		return packetFacts{}
	}
	p.start = begins && base
	p.key = p.start && !predicted
	return p
}

// AV1's OBU header (AV1 specification §5.3.2).
const (
	obuForbidden = 0x80
	obuExtension = 0x04
)

// readAV1 reads the aggregation header (AV1 RTP specification §4.4) and the first OBU's header.
func readAV1(b []byte) packetFacts {
	if len(b) < 2 || b[0]&0x07 != 0 { // reserved bits
		return packetFacts{}
	}
	continues, count, sequence := b[0]&0x80 != 0, b[0]>>4&0x03, b[0]&0x08 != 0
	if continues && sequence { // forbidden: a sequence begins with an OBU
		return packetFacts{}
	}
	p := packetFacts{known: true, start: !continues, key: sequence}
	if continues {
		return p
	}
	obu := b[1:]
	if count != 1 { // a length comes first (LEB128), but before the last of a known count
		n := 0
		for n < len(obu) && n < 8 && obu[n]&0x80 != 0 {
			n++
		}
		obu = obu[min(n+1, len(obu)):]
	}
	if len(obu) < 1 || obu[0]&obuForbidden != 0 {
		return packetFacts{}
	}
	if obu[0]&obuExtension != 0 && len(obu) > 1 {
		p.layered, p.layer = true, obu[1]>>5
	}
	return p
}

// NAL unit types (ITU-T H.264 table 7-1, RFC 6184 §5.4).
const (
	nalSlice = 1
	nalIDR   = 5
	nalSPS   = 7
	nalSTAPA = 24
	nalFUA   = 28
)

// readH264 reads NAL unit headers, of single units, STAP-A and FU-A: what packetization mode 1 uses in practice.
func readH264(b []byte) packetFacts {
	if len(b) < 2 || b[0]&0x80 != 0 { // forbidden_zero_bit
		return packetFacts{}
	}
	p := packetFacts{known: true, start: true}
	switch kind := b[0] & 0x1f; {
	case kind >= 1 && kind <= 23:
		p.nal(b[0])
	case kind == nalSTAPA:
		for rest := b[1:]; len(rest) > 0; {
			if len(rest) < 3 {
				return packetFacts{}
			}
			size := int(rest[0])<<8 | int(rest[1])
			if size == 0 || len(rest) < 2+size {
				return packetFacts{}
			}
			p.nal(rest[2])
			rest = rest[2+size:]
		}
	case kind == nalFUA:
		p.start = b[1]&0x80 != 0
		p.nal(b[0]&0x60 | b[1]&0x1f)
	default:
		return packetFacts{}
	}
	if p.key {
		p.discard = false
	}
	return p
}

// nal takes one NAL unit's header. The parameter sets that a decoder needs to begin come with a key frame, before it,
// so they count as its first packet.
func (p *packetFacts) nal(header byte) {
	switch header & 0x1f {
	case nalIDR, nalSPS:
		p.key = true
	case nalSlice:
		p.discard = header&0x60 == 0 // nal_ref_idc 0; all slices of a picture agree
	}
}
