package mediafile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// ReorderWindow is how many sequence numbers a [Recorder] waits for a packet
// that is late: about a second of speech.
const ReorderWindow = 64

// Recorder writes one received track to a file. Its methods may be called from
// several goroutines.
type Recorder struct {
	mu     sync.Mutex
	file   *os.File
	window window
	sink   sink
	closed bool
	err    error // the first error of the file; nothing is written after it
}

// sink makes frames of packets in order and writes them.
type sink interface {
	// packet takes the next packet in order. lost says how many packets are
	// missing before it; -1 means that the stream begins here, the first time or
	// anew.
	packet(header *rtp.Header, payload []byte, lost int) error
	// finish completes the file, without closing it.
	finish() error
	counts() (frames, dropped uint64)
	needsKeyFrame() bool
}

// NewRecorder creates a file that only its owner may read, and records a track
// of the given MIME type into it: Opus to Ogg, VP8, VP9 and AV1 to IVF, H.264 to
// a byte stream. The path should end in what [Extension] says. An existing file
// is never overwritten: the error is then fs.ErrExist.
func NewRecorder(path, mimeType string) (*Recorder, error) {
	extension := Extension(mimeType)
	if extension == "" {
		return nil, fmt.Errorf("can't record %q: only Opus, VP8, VP9, AV1 and H.264", mimeType)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	r := &Recorder{file: file}
	switch extension {
	case ".ogg":
		r.sink, err = newAudioSink(file)
	case ".ivf":
		r.sink = newVideoSink(mimeType, &ivfWriter{file: file, mimeType: canonical(mimeType)})
	default:
		r.sink = newVideoSink(mimeType, &h264Writer{file: file})
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return r, nil
}

// Extension is the file extension for recordings of a MIME type, with its dot,
// or "" for a type that can't be recorded.
func Extension(mimeType string) string {
	switch canonical(mimeType) {
	case webrtc.MimeTypeOpus:
		return ".ogg"
	case webrtc.MimeTypeVP8, webrtc.MimeTypeVP9, webrtc.MimeTypeAV1:
		return ".ivf"
	case webrtc.MimeTypeH264:
		return ".h264"
	}
	return ""
}

// canonical spells a MIME type as pion does: they compare without case.
func canonical(mimeType string) string {
	for _, known := range []string{
		webrtc.MimeTypeOpus, webrtc.MimeTypeVP8, webrtc.MimeTypeVP9, webrtc.MimeTypeAV1, webrtc.MimeTypeH264,
	} {
		if strings.EqualFold(mimeType, known) {
			return known
		}
	}
	return ""
}

// WriteRTP takes one packet, in whatever order it came; the packet may be
// reused afterwards. Damaged, late and repeated packets are no error. An error
// means that the file can't be written, or os.ErrClosed.
func (r *Recorder) WriteRTP(packet *rtp.Packet) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return fs.ErrClosed
	case r.err != nil:
		return r.err
	}
	r.err = r.window.push(&packet.Header, packet.Payload, r.sink.packet)
	return r.err
}

// Close writes what waits in the reorder window, completes the file and closes
// it. A file in which there is not one frame is removed, for no player would
// open it.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.err
	if err == nil {
		err = r.window.flush(r.sink.packet)
	}
	err = errors.Join(err, r.sink.finish(), r.file.Close())
	if frames, _ := r.sink.counts(); frames == 0 {
		err = errors.Join(err, os.Remove(r.file.Name()))
	}
	return err
}

// Frames is the number of frames in the file so far.
func (r *Recorder) Frames() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	frames, _ := r.sink.counts()
	return frames
}

// Dropped is the number of frames that are not in the file: of sound, the
// packets that never came; of pictures, those of which something came, but not
// all, and those that build on one that is missing.
func (r *Recorder) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, dropped := r.sink.counts()
	return dropped
}

// NeedsKeyFrame says that pictures are being dropped until the next key frame
// comes: a good moment to ask the sender for one.
func (r *Recorder) NeedsKeyFrame() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sink.needsKeyFrame()
}
