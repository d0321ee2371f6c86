package meettest

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Tone is a synthetic track: numbered packets at a steady pace, whose content others can recognise.
type Tone struct {
	Publication *meet.Publication
	// Sent counts the packets.
	Sent atomic.Uint64

	stop context.CancelFunc
	done chan struct{}
}

// PublishTone publishes an Opus track of 50 packets of the given size a second, in bytes.
func (m *Member) PublishTone(ctx context.Context, size int) (*Tone, error) {
	return m.publishTone(ctx, webrtc.MimeTypeOpus, 48000, 20*time.Millisecond, size)
}

// PublishVideo publishes a VP8 track of about so many bits a second, in packets of 1,000 bytes, all of them key frames.
func (m *Member) PublishVideo(ctx context.Context, bitsPerSecond int) (*Tone, error) {
	return m.publishTone(ctx, webrtc.MimeTypeVP8, 90000, time.Duration(8000*int(time.Second)/bitsPerSecond), 1000)
}

func (m *Member) publishTone(ctx context.Context, mime string, rate uint32, every time.Duration, size int) (*Tone, error) {
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime, ClockRate: rate, Channels: channels(mime)}, "tone", m.Host)
	if err != nil {
		return nil, err
	}
	publication, err := m.Publish(ctx, track, meet.PublishOptions{})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(m.Context())
	t := &Tone{Publication: publication, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		packet := rtp.Packet{Header: rtp.Header{Version: 2, Marker: true}, Payload: make([]byte, max(size, 16))}
		packet.Payload[0] = 0x10 // VP8: start of a partition, and then a key frame
		for {
			select {
			case <-ticker.C:
			case <-running.Done():
				return
			}
			n := t.Sent.Add(1)
			packet.SequenceNumber, packet.Timestamp = uint16(n), uint32(n)*uint32(every.Seconds()*float64(rate))
			binary.BigEndian.PutUint64(packet.Payload[8:], n)
			_ = track.WriteRTP(&packet)
		}
	}()
	return t, nil
}

func channels(mime string) uint16 {
	if mime == webrtc.MimeTypeOpus {
		return 2
	}
	return 0
}

// Stop ends the track and its publication.
func (t *Tone) Stop() {
	t.stop()
	<-t.done
	_ = t.Publication.Close()
}
