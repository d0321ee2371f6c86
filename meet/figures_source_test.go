package meet_test

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// What everybody sends in the figures' meetings: 30 frames a second at 1.5 Mbit/s, and 50 packets of voice. Each
// packet holds when it was sent.
const (
	frameRate     = 30
	framePackets  = 6 // a key frame has three times as many
	framePayload  = 1042
	keyFrameEvery = 10 * time.Second // besides those that are asked for
	voicePayload  = 80
	stampAt       = 4 // where in a payload its time is
)

// camera is a video track like an encoder's: a key frame is sent first, every keyFrameEvery, and with the next frame
// after one was asked for.
type camera struct {
	*webrtc.TrackLocalStaticRTP
	wanted chan struct{}
}

func newCamera() (*camera, error) {
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "camera", "camera")
	return &camera{track, make(chan struct{}, 1)}, err
}

// Bind listens for requests for key frames until the track is unbound.
func (c *camera) Bind(t webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	p, err := c.TrackLocalStaticRTP.Bind(t)
	if err != nil {
		return p, err
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, _, err := t.RTCPReader().Read(buf, nil)
			if err != nil {
				return
			}
			if !wantsKeyFrame(buf[:n]) {
				continue
			}
			select {
			case c.wanted <- struct{}{}:
			default:
			}
		}
	}()
	return p, nil
}

func wantsKeyFrame(raw []byte) bool {
	packets, err := rtcp.Unmarshal(raw)
	return err == nil && slices.ContainsFunc(packets, func(p rtcp.Packet) bool {
		_, ok := p.(*rtcp.PictureLossIndication)
		return ok
	})
}

// run sends frames until ctx is done.
func (c *camera) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second / frameRate)
	defer ticker.Stop()
	packet := rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, framePayload)}
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		key := now.Sub(last) >= keyFrameEvery
		select {
		case <-c.wanted:
			key = true
		default:
		}
		n := framePackets
		if key {
			n, last = 3*framePackets, now
		}
		packet.Timestamp += 90000 / frameRate
		for i := range n {
			packet.Payload[0], packet.Payload[1] = 0, 1
			if i == 0 {
				packet.Payload[0] = 0x10 // RFC 7741: the frame starts
			}
			if key {
				packet.Payload[1] = 0
			}
			packet.SequenceNumber++
			packet.Marker = i == n-1
			binary.BigEndian.PutUint64(packet.Payload[stampAt:], uint64(time.Now().UnixNano()))
			_ = c.WriteRTP(&packet)
		}
	}
}

// runVoice sends 50 packets a second until ctx is done.
func runVoice(ctx context.Context, track *webrtc.TrackLocalStaticRTP) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	packet := rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, voicePayload)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		packet.SequenceNumber++
		packet.Timestamp += 960
		binary.BigEndian.PutUint64(packet.Payload[stampAt:], uint64(time.Now().UnixNano()))
		_ = track.WriteRTP(&packet)
	}
}

func newVoice() (*webrtc.TrackLocalStaticRTP, error) {
	return webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "voice", "voice")
}

// sendAll publishes a camera and a voice and runs them until ctx is done.
func sendAll(ctx context.Context, m *meet.Meeting) error {
	c, err := newCamera()
	if err != nil {
		return err
	}
	v, err := newVoice()
	if err != nil {
		return err
	}
	if _, err := m.Publish(ctx, c, meet.PublishOptions{}); err != nil {
		return err
	}
	if _, err := m.Publish(ctx, v, meet.PublishOptions{}); err != nil {
		return err
	}
	go c.run(ctx)
	go runVoice(ctx, v)
	return nil
}

// listener reads every track of a meeting, and notes when what came.
type listener struct {
	mu     sync.Mutex
	delays []time.Duration // send to opened, while sampling
	sample bool
	bytes  uint64                          // of payload
	first  map[crypto.MeetingKey]time.Time // opened packet, by sender
	frame  map[crypto.MeetingKey]time.Time // complete key frame, by sender
	more   chan struct{}                   // closed and replaced with each of those
}

func newListener() *listener {
	return &listener{first: map[crypto.MeetingKey]time.Time{}, frame: map[crypto.MeetingKey]time.Time{}, more: make(chan struct{})}
}

func listen(m *meet.Meeting) *listener {
	l := newListener()
	go func() {
		known := map[string]bool{}
		read := func(t *meet.RemoteTrack) {
			if !known[t.ID()] {
				known[t.ID()] = true
				go l.read(t.MemberKey(), t)
			}
		}
		for e := range m.Events() {
			switch e := e.(type) {
			case meet.Snapshot:
				for _, t := range e.Tracks {
					read(t)
				}
			case meet.TrackAdded:
				read(e.Track)
			}
		}
	}()
	return l
}

// remote is a track of somebody else's, ours or pion's.
type remote interface {
	ReadRTP() (*rtp.Packet, interceptor.Attributes, error)
	Kind() webrtc.RTPCodecType
}

func (l *listener) read(from crypto.MeetingKey, t remote) {
	var frames frameWatch
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		if len(p.Payload) < stampAt+8 {
			continue // pion's padding
		}
		now := time.Now()
		l.mu.Lock()
		if l.sample {
			l.delays = append(l.delays, now.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(p.Payload[stampAt:])))))
		}
		l.bytes += uint64(len(p.Payload))
		l.note(l.first, from, now)
		if t.Kind() == webrtc.RTPCodecTypeVideo && frames.decodable(p) {
			l.note(l.frame, from, now)
		}
		l.mu.Unlock()
	}
}

// note keeps the first time. l.mu is held.
func (l *listener) note(in map[crypto.MeetingKey]time.Time, from crypto.MeetingKey, now time.Time) {
	if in[from].IsZero() {
		in[from] = now
		close(l.more)
		l.more = make(chan struct{})
	}
}

// wait waits until n senders have an entry, and returns when the first and the last came.
func (l *listener) wait(ctx context.Context, in map[crypto.MeetingKey]time.Time, n int) (first, last time.Time, err error) {
	for {
		l.mu.Lock()
		if len(in) >= n {
			for _, at := range in {
				if first.IsZero() || at.Before(first) {
					first = at
				}
				if at.After(last) {
					last = at
				}
			}
		}
		more := l.more
		l.mu.Unlock()
		if !last.IsZero() {
			return first, last, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return first, last, context.Cause(ctx)
		}
	}
}

// waitFor waits until a sender is heard, and returns when that was.
func (l *listener) waitFor(ctx context.Context, from crypto.MeetingKey) (time.Time, error) {
	for {
		l.mu.Lock()
		at, more := l.first[from], l.more
		l.mu.Unlock()
		if !at.IsZero() {
			return at, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return at, context.Cause(ctx)
		}
	}
}

// sampling begins or ends to note delays, and returns those noted and the payload bytes received so far.
func (l *listener) sampling(on bool) ([]time.Duration, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delays := l.delays
	l.sample, l.delays = on, nil
	return delays, l.bytes
}

// frameWatch finds the first complete key frame of a camera's packets.
type frameWatch struct {
	inside bool
	next   uint16
}

func (f *frameWatch) decodable(p *rtp.Packet) bool {
	start, key := p.Payload[0]&0x10 != 0, p.Payload[1]&1 == 0
	f.inside = key && (start || f.inside && p.SequenceNumber == f.next)
	f.next = p.SequenceNumber + 1
	return f.inside && p.Marker
}

// quantile is of a list, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(float64(len(d))*q))]
}
