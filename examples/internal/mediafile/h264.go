package mediafile

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/pion/webrtc/v4"
)

// h264FrameRate is the rate at which H.264 files play: the byte stream format
// has no times.
const h264FrameRate = 30

// The kinds of NAL unit that matter here (H.264 table 7-1).
const (
	nalSlice     = 1
	nalIDR       = 5
	nalSEI       = 6
	nalSPS       = 7
	nalPPS       = 8
	nalDelimiter = 9
	nalFiller    = 12
	nalSTAPA     = 24 // RFC 6184 section 5.7.1
)

func nalKind(nal []byte) byte { return nal[0] & 0x1f }

var startCode = []byte{0, 0, 1}

// eachNAL calls f with every NAL unit of a byte stream (H.264 Annex B).
func eachNAL(data []byte, f func(nal []byte)) {
	begin := bytes.Index(data, startCode)
	for begin >= 0 {
		data = data[begin+3:]
		begin = bytes.Index(data, startCode)
		nal := data
		if begin >= 0 {
			nal = data[:begin]
		}
		// Zeros belong to the next start code or pad the stream.
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 {
			f(nal)
		}
	}
}

// beginsPicture says whether a slice is the first of its picture:
// first_mb_in_slice, an Exp-Golomb number, is zero.
func beginsPicture(nal []byte) bool { return len(nal) > 1 && nal[1]&0x80 != 0 }

// isBSlice reads slice_type (H.264 section 7.3.3): 1 and 6 are B slices.
func isBSlice(nal []byte) bool {
	r := bitReader{data: nal[1:]}
	r.golomb()
	return r.golomb()%5 == 1
}

// h264Parser groups NAL units into access units, one picture each.
type h264Parser struct {
	content
	unit     []byte // the access unit being put together
	hasSlice bool
	err      error
}

// parseH264 reads an H.264 byte stream. A stream says nothing of its length, so
// one that was cut short plays up to there.
func parseH264(data []byte) (*content, error) {
	if !bytes.HasPrefix(data, startCode) && !bytes.HasPrefix(data, []byte{0, 0, 0, 1}) {
		return nil, errors.New("it is not an H.264 byte stream")
	}
	p := h264Parser{}
	p.codec = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: videoClockRate}
	eachNAL(data, p.nal)
	p.endUnit()
	if p.err != nil {
		return nil, p.err
	}
	p.setEnd()
	return &p.content, nil
}

// nal takes in one NAL unit, ending the access unit before it where this one
// begins another (H.264 section 7.4.1.2.3).
func (p *h264Parser) nal(nal []byte) {
	kind := nalKind(nal)
	switch {
	case p.err != nil:
		return
	case nal[0]&0x80 != 0 || kind == 0 || kind >= nalSTAPA:
		p.err = errors.New("it is damaged, or not an H.264 byte stream")
		return
	case kind >= 2 && kind <= 4:
		p.err = errors.New("its pictures are in data partitions, which a call can't carry")
		return
	case kind == nalSlice || kind == nalIDR:
		if len(nal) < 3 {
			p.err = fmt.Errorf("picture %d is damaged", len(p.frames)+1)
			return
		}
		if isBSlice(nal) {
			p.err = errors.New("it has B pictures, which a call can't carry: encode it in the Baseline profile")
			return
		}
		if p.hasSlice && beginsPicture(nal) {
			p.endUnit()
		}
		p.hasSlice = true
	case kind == nalSPS && p.codec.SDPFmtpLine == "" && len(nal) >= 4:
		p.codec.SDPFmtpLine = fmt.Sprintf(
			"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=%02x%02x%02x", nal[1], nal[2], nal[3])
		fallthrough
	case kind >= nalSEI && kind <= nalDelimiter || kind >= 14 && kind <= 18:
		if p.hasSlice {
			p.endUnit()
		}
		if (kind == nalSPS || kind == nalPPS) && len(nal) > MaxPayload/2-8 {
			p.err = errors.New("it is damaged: a parameter set is too large")
			return
		}
	}
	p.unit = append(append(p.unit, 0, 0, 0, 1), nal...)
}

func (p *h264Parser) endUnit() {
	if p.err != nil || !p.hasSlice {
		return
	}
	info, _ := inspectH264(p.unit)
	p.err = p.add(frame{
		data: p.unit,
		time: uint64(len(p.frames)) * videoClockRate / h264FrameRate,
		key:  info.key,
	})
	p.unit, p.hasSlice = nil, false
}

// inspectH264 takes an access unit for a key frame if a decoder can start with
// it alone: both parameter sets and an IDR picture.
func inspectH264(unit []byte) (frameInfo, bool) {
	var sps, pps, idr, slices bool
	eachNAL(unit, func(nal []byte) {
		switch nalKind(nal) {
		case nalSPS:
			sps = true
		case nalPPS:
			pps = true
		case nalIDR:
			idr, slices = true, true
		case nalSlice:
			slices = true
		}
	})
	return frameInfo{key: sps && pps && idr}, slices
}
