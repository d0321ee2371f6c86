package mediafile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/pion/webrtc/v4"
)

// The IVF container: a header of 32 bytes, then frames of 12 bytes of header
// (size, time) and their data. All numbers are little-endian.
const (
	ivfHeaderSize      = 32
	ivfFrameHeaderSize = 12
)

var ivfCodecs = map[string]string{
	"VP80": webrtc.MimeTypeVP8,
	"VP90": webrtc.MimeTypeVP9,
	"AV01": webrtc.MimeTypeAV1,
}

// parseIVF reads an IVF file. pion's reader allocates whatever size a frame
// claims; this one takes slices of the file.
func parseIVF(data []byte) (*content, error) {
	if len(data) < ivfHeaderSize {
		return nil, errCutShort
	}
	if string(data[:4]) != "DKIF" || binary.LittleEndian.Uint16(data[4:]) != 0 {
		return nil, errors.New("it is not an IVF file")
	}
	mimeType, ok := ivfCodecs[string(data[8:12])]
	if !ok {
		return nil, fmt.Errorf("its codec %q is not VP8, VP9 or AV1", data[8:12])
	}
	header := int(binary.LittleEndian.Uint16(data[6:]))
	rate, scale := binary.LittleEndian.Uint32(data[16:]), binary.LittleEndian.Uint32(data[20:])
	if header < ivfHeaderSize || header > len(data) || rate == 0 || scale == 0 {
		return nil, errors.New("it is damaged: the header makes no sense")
	}
	c := &content{codec: webrtc.RTPCodecCapability{MimeType: mimeType, ClockRate: videoClockRate}}
	if mimeType == webrtc.MimeTypeVP9 {
		c.codec.SDPFmtpLine = "profile-id=0"
	}
	if err := c.ivfFrames(data[header:], rate, scale); err != nil {
		return nil, err
	}
	c.setEnd()
	return c, nil
}

// ivfFrames reads the frames; a unit of their times is scale/rate seconds.
func (c *content) ivfFrames(data []byte, rate, scale uint32) error {
	var first, last uint64
	for number := 1; len(data) > 0; number++ {
		if len(data) < ivfFrameHeaderSize {
			return errCutShort
		}
		size := uint64(binary.LittleEndian.Uint32(data))
		time := binary.LittleEndian.Uint64(data[4:])
		data = data[ivfFrameHeaderSize:]
		if size > uint64(len(data)) {
			return errCutShort
		}
		if number == 1 {
			first, last = time, time
		} else if time <= last {
			return fmt.Errorf("the time of frame %d is not after that of the frame before", number)
		}
		last = time
		high, low := bits.Mul64(time-first, uint64(scale)*videoClockRate)
		if high >= uint64(rate) {
			return fmt.Errorf("the time of frame %d makes no sense", number)
		}
		t, _ := bits.Div64(high, low, uint64(rate))
		info, ok := inspect(c.codec.MimeType, data[:size])
		if !ok {
			return fmt.Errorf("frame %d is not %s, or damaged", number, codecName(c.codec.MimeType))
		}
		if err := c.add(frame{data: data[:size:size], time: t, key: info.key}); err != nil {
			return err
		}
		data = data[size:]
	}
	return nil
}

// setEnd lets the last frame last as long as the one before it.
func (c *content) setEnd() {
	n := len(c.frames)
	switch n {
	case 0:
	case 1:
		c.end = videoClockRate / h264FrameRate
	default:
		c.end = 2*c.frames[n-1].time - c.frames[n-2].time
	}
}

func codecName(mimeType string) string { return mimeType[len("video/"):] }
