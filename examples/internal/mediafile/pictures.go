package mediafile

import "github.com/pion/rtp"

// Picture is one whole picture.
type Picture struct {
	Data          []byte // valid until the function it is given to returns
	Key           bool
	Width, Height uint16 // of key frames
	Timestamp     uint32 // of its packets
}

// Pictures makes pictures of the packets of one track. It gives a picture only when every packet of it came, and those
// it builds on were given: after a loss it waits for a key frame.
type Pictures struct{ sink *videoSink }

// NewPictures returns Pictures for a track of the given MIME type: VP8, VP9, AV1 or H.264. To is called, by Packet, with
// every picture.
func NewPictures(mimeType string, to func(Picture) error) *Pictures {
	w := &frameCaller{to: to}
	w.sink = newVideoSink(mimeType, w)
	return &Pictures{w.sink}
}

// Packet takes the next packet. Packets must come in order; lost says how many are missing before this one, -1 that
// the stream begins here. Damaged packets are no error; the error is that of the function the pictures are given to.
func (f *Pictures) Packet(header *rtp.Header, payload []byte, lost int) error {
	return f.sink.packet(header, payload, lost)
}

// NeedsKeyFrame says that pictures are dropped until the next key frame.
func (f *Pictures) NeedsKeyFrame() bool { return f.sink.waiting }

type frameCaller struct {
	sink *videoSink
	to   func(Picture) error
}

func (w *frameCaller) frame(data []byte, info frameInfo, _ uint64) error {
	return w.to(Picture{Data: data, Key: info.key, Width: info.width, Height: info.height, Timestamp: w.sink.timestamp})
}

func (w *frameCaller) finish() error { return nil }
