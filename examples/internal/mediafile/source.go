package mediafile

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

const (
	// MaxPayload is the largest RTP payload a [Source] makes, in bytes. It leaves
	// room for the headers and seals that are added on the way.
	MaxPayload = 1100

	// maxFileSize bounds the memory a Source takes.
	maxFileSize = 256 << 20

	// maxFrames bounds it too, for files of very small frames. A day of speech
	// has 4.3 million.
	maxFrames = 5_000_000

	// maxDuration bounds the times a file may claim.
	maxDuration = 24 * time.Hour

	videoClockRate = 90000
	opusClockRate  = 48000
)

// FormatError says why a file can't be played. Its text is one sentence for the
// person who named the file.
type FormatError struct {
	Path   string // the file, as it was named
	Reason string // what is wrong with it
}

// Error returns the path and the reason.
func (e *FormatError) Error() string { return fmt.Sprintf("can't play %s: %s", e.Path, e.Reason) }

// Frame is one encoded frame: an Opus packet or one picture.
type Frame struct {
	// Data is the frame as the file has it. It belongs to the Source: don't
	// change it.
	Data []byte
	// At is when to send the frame, counted from the start of the source; it goes
	// on growing over [Source.Rewind].
	At time.Duration
	// Timestamp is the same time in RTP units, from a random start.
	Timestamp uint32
	// KeyFrame says that a receiver can start here. It is true for all audio.
	KeyFrame bool
}

// frame is a frame of the file: its bytes and its time from the file's start,
// in units of the clock rate.
type frame struct {
	data []byte
	time uint64
	key  bool
}

// content is what a parser makes of a file.
type content struct {
	codec    webrtc.RTPCodecCapability
	channels int
	frames   []frame
	end      uint64 // in units of the clock rate
}

// Source plays one media file. It is used by one goroutine at a time.
type Source struct {
	content
	payloader rtp.Payloader
	next      int    // index of the next frame
	base      uint64 // length of the rounds played before this one, in clock units
	timestamp uint32 // random start of the RTP timestamps
	sequence  uint16
}

// Open reads the media file at a path and checks it whole. It returns a
// *[FormatError] for a file that is not a playable media file, and the error of
// package os where it can't be read at all.
func Open(name string) (*Source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return open(name, f)
}

// OpenFS is [Open] for a file of fsys, for instance an embedded one.
func OpenFS(fsys fs.FS, name string) (*Source, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return open(name, f)
}

func open(name string, f fs.File) (*Source, error) {
	c, err := read(name, f)
	if err != nil {
		return nil, err
	}
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	return &Source{
		content:   *c,
		payloader: payloaderFor(c.codec.MimeType),
		timestamp: binary.BigEndian.Uint32(random[:4]),
		sequence:  binary.BigEndian.Uint16(random[4:]),
	}, nil
}

// read parses a file by its extension.
func read(name string, f fs.File) (*content, error) {
	var parse func([]byte) (*content, error)
	switch strings.ToLower(path.Ext(filepath.ToSlash(name))) {
	case ".ogg":
		parse = parseOgg
	case ".ivf":
		parse = parseIVF
	case ".h264":
		parse = parseH264
	default:
		return nil, &FormatError{name, "the name must end in .ogg (Opus), .ivf (VP8, VP9, AV1) or .h264"}
	}
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, &FormatError{name, "it is a directory"}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(data) == 0:
		return nil, &FormatError{name, "the file is empty"}
	case len(data) > maxFileSize:
		return nil, &FormatError{name, fmt.Sprintf("the file is larger than %d MiB", maxFileSize>>20)}
	}
	c, err := parse(data)
	if err != nil {
		return nil, &FormatError{name, err.Error()}
	}
	if err := c.check(); err != nil {
		return nil, &FormatError{name, err.Error()}
	}
	return c, nil
}

// add appends a frame.
func (c *content) add(f frame) error {
	if len(c.frames) == maxFrames {
		return fmt.Errorf("it has more than %d frames", maxFrames)
	}
	c.frames = append(c.frames, f)
	return nil
}

// check holds what is the same for all formats.
func (c *content) check() error {
	if len(c.frames) == 0 {
		return errors.New("the file has no frames")
	}
	if limit := uint64(maxDuration.Seconds()) * uint64(c.codec.ClockRate); c.end > limit {
		return errors.New("the times in the file are longer than a day")
	}
	if !c.frames[0].key {
		return errors.New("the first frame is not a key frame")
	}
	return nil
}

func payloaderFor(mimeType string) rtp.Payloader {
	switch mimeType {
	case webrtc.MimeTypeVP8:
		return &codecs.VP8Payloader{EnablePictureID: true}
	case webrtc.MimeTypeVP9:
		return &codecs.VP9Payloader{}
	case webrtc.MimeTypeAV1:
		return &codecs.AV1Payloader{}
	case webrtc.MimeTypeH264:
		return &codecs.H264Payloader{}
	default:
		return &codecs.OpusPayloader{}
	}
}

// Kind says whether the file holds sound or pictures.
func (s *Source) Kind() webrtc.RTPCodecType {
	if s.codec.MimeType == webrtc.MimeTypeOpus {
		return webrtc.RTPCodecTypeAudio
	}
	return webrtc.RTPCodecTypeVideo
}

// Codec describes the file as a pion track wants it: MIME type, clock rate,
// channels as they are negotiated (always 2 for Opus, RFC 7587 section 7) and
// format parameters.
func (s *Source) Codec() webrtc.RTPCodecCapability { return s.codec }

// Channels is the number of audio channels in the file: 1, 2, or 0 for video.
func (s *Source) Channels() int { return s.channels }

// Duration is the length of one round of the file.
func (s *Source) Duration() time.Duration { return s.toDuration(s.end) }

func (s *Source) toDuration(units uint64) time.Duration {
	rate := uint64(s.codec.ClockRate)
	seconds, rest := units/rate, units%rate
	return time.Duration(seconds)*time.Second + time.Duration(rest)*time.Second/time.Duration(rate)
}

// Next returns the next frame, or io.EOF after the last one.
func (s *Source) Next() (Frame, error) {
	if s.next == len(s.frames) {
		return Frame{}, io.EOF
	}
	f := s.frames[s.next]
	s.next++
	t := s.base + f.time
	return Frame{Data: f.data, At: s.toDuration(t), Timestamp: s.timestamp + uint32(t), KeyFrame: f.key}, nil
}

// NextPackets returns the RTP packets of the next frame and the time to send
// them at, or io.EOF after the last one. Payloads have at most [MaxPayload]
// bytes; the last packet of a frame has the marker. Payload type and SSRC are
// left to the track.
func (s *Source) NextPackets() ([]*rtp.Packet, time.Duration, error) {
	f, err := s.Next()
	if err != nil {
		return nil, 0, err
	}
	payloads := s.payloader.Payload(MaxPayload, f.Data)
	packets := make([]*rtp.Packet, len(payloads))
	for i, payload := range payloads {
		packets[i] = &rtp.Packet{
			Header: rtp.Header{
				Version: 2,
				// Opus marks the start of a talk spurt (RFC 7587 section 4.2): there is
				// none without discontinuous transmission.
				Marker:         i == len(payloads)-1 && s.Kind() == webrtc.RTPCodecTypeVideo,
				SequenceNumber: s.sequence,
				Timestamp:      f.Timestamp,
			},
			Payload: payload,
		}
		s.sequence++
	}
	return packets, f.At, nil
}

// Rewind makes the next frame the first one again, at the time where this round
// ends: times, timestamps and sequence numbers go on as if the file were
// followed by a copy of itself. Before the end of the file, the rest of the
// round is skipped and leaves a gap of its length.
func (s *Source) Rewind() {
	if s.next == 0 {
		return
	}
	s.next = 0
	s.base += s.end
}
