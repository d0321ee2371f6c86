package mediafile

import (
	"io"
	"os"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4/pkg/media/oggwriter"
)

// audioSink writes Opus packets to an Ogg file. Where packets are missing it
// writes empty ones in their place, which tell the decoder to conceal the loss,
// so that the recording keeps its time (RFC 7845 section 4.1).
type audioSink struct {
	writer          *oggwriter.Writer
	track           *oggwriter.Track
	next            uint32 // RTP timestamp at which the next packet is due
	samples         uint64 // of sound written
	filled          uint64 // samples of silence written in place of missing packets
	allowance       uint64 // samples of silence allowed without any sound
	frames, dropped uint64
}

// fillAllowance and fillFactor bound the silence that a sender can make us
// write by skipping ahead: a minute, and ten times the sound that came.
const (
	fillAllowance = 60 * opusClockRate
	fillFactor    = 10
)

func newAudioSink(file *os.File) (*audioSink, error) {
	// Wrapped, so that the writer does not close the file: the Recorder does.
	writer, err := oggwriter.NewWriter(struct{ io.Writer }{file},
		oggwriter.WithSeekableOutput(file), oggwriter.WithVendor("huisclos"))
	if err != nil {
		return nil, err
	}
	track, err := writer.NewTrack(0)
	return &audioSink{writer: writer, track: track, allowance: fillAllowance}, err
}

func (a *audioSink) packet(header *rtp.Header, payload []byte, lost int) error {
	if len(payload) == 0 {
		return nil // padding
	}
	samples, ok := opusSamples(payload)
	if !ok {
		a.dropped++
		return nil // the gap in the timestamps is filled with the next packet
	}
	if lost > 0 {
		a.dropped += uint64(lost)
	}
	if gap := int32(header.Timestamp - a.next); lost >= 0 && gap > 0 && a.frames > 0 {
		if err := a.fill(uint64(gap), payload[0]); err != nil {
			return err
		}
	}
	if err := a.write(payload); err != nil {
		return err
	}
	a.next = header.Timestamp + uint32(samples)
	a.samples += samples
	a.frames++
	return nil
}

// fill writes empty packets of the same kind as the packet that follows them.
func (a *audioSink) fill(samples uint64, toc byte) error {
	one := opusFrameSamples(toc)
	samples = min(samples, max(a.allowance+fillFactor*a.samples, a.filled)-a.filled)
	for range samples / one {
		if err := a.write([]byte{toc &^ 3}); err != nil {
			return err
		}
		a.filled += one
	}
	return nil
}

func (a *audioSink) write(payload []byte) error {
	return a.track.WriteRTP(&rtp.Packet{Payload: payload})
}

func (a *audioSink) finish() error {
	return a.writer.Close()
}

func (a *audioSink) counts() (frames, dropped uint64) { return a.frames, a.dropped }

func (a *audioSink) needsKeyFrame() bool { return false }
