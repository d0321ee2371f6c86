package meettest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Camera is a synthetic picture in layers, as a browser's simulcast makes them: VP8, 25 frames a second, of packets of at
// most 1,000 bytes. Its frames are key frames where it is asked for one, and nowhere else. The third byte of each packet is
// the layer.
type Camera struct {
	Publication *meet.Publication
	// KeyFrames counts key frames, by layer.
	KeyFrames [meet.MaxLayers]atomic.Uint64

	layers []*cameraLayer
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// cameraLayer is one encoding: a track that knows when it is asked for a key frame.
type cameraLayer struct {
	*webrtc.TrackLocalStaticRTP
	wanted atomic.Bool
	rate   int
	packet rtp.Packet
}

const cameraFrames = 25 // a second

// Bind follows the requests for key frames, until it is unbound.
func (l *cameraLayer) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	codec, err := l.TrackLocalStaticRTP.Bind(c)
	if err == nil {
		go func() {
			buf := make([]byte, 100)
			for {
				if _, _, err := c.RTCPReader().Read(buf, nil); err != nil {
					return
				}
				l.wanted.Store(true)
			}
		}()
	}
	return codec, err
}

// PublishCamera publishes a picture in so many layers of about so many bits a second, the lowest first.
func (m *Member) PublishCamera(ctx context.Context, bitsPerSecond ...int) (*Camera, error) {
	c := &Camera{}
	var tracks []webrtc.TrackLocal
	for _, rate := range bitsPerSecond {
		track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "camera", m.Host)
		if err != nil {
			return nil, err
		}
		l := &cameraLayer{TrackLocalStaticRTP: track, rate: rate}
		l.packet.Version = 2
		l.packet.SequenceNumber, l.packet.Timestamp = uint16(1000*len(tracks)), uint32(77_777*len(tracks)) // each its own
		l.wanted.Store(true)
		c.layers, tracks = append(c.layers, l), append(tracks, l)
	}
	var err error
	if c.Publication, err = m.PublishLayers(ctx, tracks, meet.PublishOptions{}); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(m.Context())
	c.stop = stop
	c.done.Go(func() {
		ticker := time.NewTicker(time.Second / cameraFrames)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				for i, l := range c.layers {
					c.frame(i, l)
				}
			case <-running.Done():
				return
			}
		}
	})
	return c, nil
}

// frame writes one frame of a layer. A key frame is three times as large as another.
func (c *Camera) frame(layer int, l *cameraLayer) {
	size, kind := l.rate/8/cameraFrames, byte(0x01)
	if l.wanted.Swap(false) {
		size, kind = 3*size, 0x00
		c.KeyFrames[layer].Add(1)
	}
	p := &l.packet
	p.Timestamp += 90000 / cameraFrames
	start := byte(0x10)
	for left := max(size, 16); left > 0; left -= len(p.Payload) {
		p.Payload = append([]byte{start, kind, byte(layer)}, make([]byte, max(0, min(left, 1000)-3))...)
		p.Marker = left <= len(p.Payload)
		p.SequenceNumber++
		_ = l.WriteRTP(p)
		start = 0
	}
}

// Stop ends the picture and its publication.
func (c *Camera) Stop() {
	c.stop()
	c.done.Wait()
	_ = c.Publication.Close()
}
