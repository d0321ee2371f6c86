package meet

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// TrackBuffer is how many packets of a track wait for a slow reader; then the oldest go.
const TrackBuffer = 1024

// AudioLevelExtension is the ID of the RTP header extension with the audio level (RFC 6464): that under which a
// published track is to give it, and a RemoteTrack gives it.
const AudioLevelExtension = 1

// Asking for a first key frame (STR-5): at most so often, and so many times.
const (
	firstKeyFrameEvery = time.Second
	firstKeyFrameTries = 5
	keyFrameEvery      = 250 * time.Millisecond // requests for one stream are not passed on more often
)

// RemoteTrack is something another member sends. It reads like pion's webrtc.TrackRemote, and may be read from several
// goroutines, each packet going to one of them.
//
// Packets come in the order they arrived, opened and authenticated, each once. There is no jitter buffer: put one
// behind it, such as pion's samplebuilder, as with pion. A track lives until its sender ends it, loses the permission
// or the meeting; what is sent anew after that is another track, with another ID.
type RemoteTrack struct {
	member crypto.MeetingKey
	id     string
	stream stream // as announced; its Muted is in muted
	codec  webrtc.RTPCodecParameters
	ssrc   uint32
	muted  atomic.Bool
	level  levelMeter
	plane  *plane

	queue packetQueue

	mu       sync.Mutex // guards what follows; never held while waiting
	stats    TrackStats
	layering layering
	first    bool   // a packet was delivered
	highest  uint32 // extended sequence number (RFC 3550 appendix A.1)
	expected uint64 // packets of earlier numberings that should have come
	base     uint32 // extended sequence number with which this numbering began
	keySeen  bool
	tries    int
	asked    time.Time // when a key frame was asked for last
}

// TrackStats counts what a RemoteTrack got. All but Dropped counts what arrived, whether it was read or not; take the
// difference of two to have a rate.
type TrackStats struct {
	// Packets were opened, and Bytes is their payload.
	Packets, Bytes uint64
	// Frames counts markers on video, packets on audio.
	Frames uint64
	// KeyFrames counts those of video.
	KeyFrames uint64
	// Lost counts gaps in the sender's sequence numbers. One that comes late is taken off again.
	Lost uint64
	// Undecryptable came under a key that is over, or didn't authenticate (KEY-8). Packets before their key aren't
	// counted here: they wait for it.
	Undecryptable uint64
	// Repeated came before and were not delivered again (KEY-9).
	Repeated uint64
	// Dropped is how many were not read in time: TrackBuffer newer ones had come. Also those of a layer that was over, or
	// whose beginning didn't come; they aren't in Packets.
	Dropped uint64
	// Layers is in how many layers it is sent, of which the sender chooses one at a time, and Layer which one came last:
	// 1 is the lowest, 0 none yet. Both are 0 where there is one encoding alone.
	Layers, Layer int
}

func newRemoteTrack(p *plane, member crypto.MeetingKey, announced uint64, s stream) *RemoteTrack {
	t := &RemoteTrack{
		member: member,
		id:     fmt.Sprintf("%s-%d-%d", member, s.Stream, announced),
		stream: s,
		codec:  codecOf(s),
		ssrc:   rand.Uint32(),
		plane:  p,

		layering: newLayering(s),
	}
	t.muted.Store(s.Muted)
	t.queue.init()
	return t
}

// MemberKey is the sender's meeting key.
func (t *RemoteTrack) MemberKey() crypto.MeetingKey { return t.member }

// ID names the track in this meeting. Nobody else need use the same.
func (t *RemoteTrack) ID() string { return t.id }

// Source is what the track shows or lets hear, as its sender says.
func (t *RemoteTrack) Source() Source { return t.stream.Source }

// Stream is the sender's number of the stream (SPEC §7), for logs and statistics.
func (t *RemoteTrack) Stream() uint8 { return t.stream.Stream }

// Kind is audio or video.
func (t *RemoteTrack) Kind() webrtc.RTPCodecType { return t.stream.Source.kind() }

// Codec is the codec, as its sender announced it.
func (t *RemoteTrack) Codec() webrtc.RTPCodecParameters { return t.codec }

// PayloadType is what the packets of this track have, always the same.
func (t *RemoteTrack) PayloadType() webrtc.PayloadType { return t.codec.PayloadType }

// SSRC is what the packets of this track have: random, and always the same.
func (t *RemoteTrack) SSRC() webrtc.SSRC { return webrtc.SSRC(t.ssrc) }

// Muted reports whether the sender said that it sends nothing on purpose.
func (t *RemoteTrack) Muted() bool { return t.muted.Load() }

// Stats returns the counters up to now.
func (t *RemoteTrack) Stats() TrackStats {
	t.mu.Lock()
	s := t.stats
	if total := t.expected + uint64(t.highest-t.base) + 1; t.first && total > s.Packets {
		s.Lost = total - s.Packets
	}
	if len(t.layering.numbers) > 1 {
		s.Layers, s.Layer = len(t.layering.numbers), t.layering.current+1
	}
	t.mu.Unlock()
	s.Dropped += t.queue.lost()
	return s
}

// RequestKeyFrame asks the sender for a key frame: after loss, or when a new viewer has come. It doesn't wait. Requests
// are passed on at most four times a second, and never for audio.
func (t *RemoteTrack) RequestKeyFrame() {
	if t.Kind() != webrtc.RTPCodecTypeVideo || t.queue.over() {
		return
	}
	now := t.plane.now()
	t.mu.Lock()
	due := now.Sub(t.asked) >= keyFrameEvery
	if due {
		t.asked = now
	}
	t.mu.Unlock()
	if due {
		t.plane.hooks.keyFrameWanted(t.member, t.stream.Stream)
	}
}

// SetReadDeadline ends reads that wait after this time with os.ErrDeadlineExceeded; the zero time means never. It
// also acts on reads that wait already.
func (t *RemoteTrack) SetReadDeadline(at time.Time) error {
	t.queue.deadline.set(at)
	return nil
}

// ReadRTP returns the next packet, which the caller may keep. The attributes are nil. It waits for one until the
// deadline (os.ErrDeadlineExceeded) or the end of the track (io.EOF, once all that had come was read).
func (t *RemoteTrack) ReadRTP() (*rtp.Packet, interceptor.Attributes, error) {
	p, err := t.ReadRTPContext(context.Background())
	return p, nil, err
}

// ReadRTPContext is ReadRTP that also ends with the context, with its cause.
func (t *RemoteTrack) ReadRTPContext(ctx context.Context) (*rtp.Packet, error) {
	var out *rtp.Packet
	err := t.queue.next(ctx, func(p *queuedPacket) error {
		out = &rtp.Packet{Payload: append([]byte(nil), p.payload...), Header: rtp.Header{
			Version: 2, Marker: p.marker, PayloadType: uint8(t.codec.PayloadType), SSRC: t.ssrc,
			SequenceNumber: p.sequence, Timestamp: p.timestamp,
		}}
		if p.hasLevel {
			return out.SetExtension(AudioLevelExtension, []byte{p.level})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Read is ReadRTP with the whole packet, as RTP's bytes, in b. It allocates nothing. If b is too short for the packet
// it returns io.ErrShortBuffer, and the packet stays; 1,500 bytes are always enough.
func (t *RemoteTrack) Read(b []byte) (n int, _ interceptor.Attributes, err error) {
	err = t.queue.next(context.Background(), func(p *queuedPacket) error {
		n, err = p.marshal(b, uint8(t.codec.PayloadType), t.ssrc)
		return err
	})
	return n, nil, err
}

// deliver takes an opened packet of the track, which came on one of its streams. It returns whether a key frame should
// be asked for, if it may.
func (t *RemoteTrack) deliver(number uint8, p *crypto.MediaPacket, now time.Time, may bool) (ask bool) {
	if p.HasLevel && t.Kind() == webrtc.RTPCodecTypeAudio {
		t.level.note(p.AudioLevel, now, t.plane.off.levels)
	}
	t.mu.Lock()
	sequence := p.SequenceNumber
	to := t.layering.number(t.layering.layer(number), p, now)
	if t.plane.off.layering {
		to = place{deliver: true}
	}
	if to.deliver {
		t.count(p, sequence, to.began)
	} else {
		t.stats.Dropped++
	}
	if may && t.Kind() == webrtc.RTPCodecTypeVideo && (to.lost || !t.keySeen && t.tries < firstKeyFrameTries) {
		if ask = now.Sub(t.asked) >= firstKeyFrameEvery; ask {
			t.tries++
			t.asked = now
		}
	}
	t.mu.Unlock()
	if to.deliver {
		t.queue.push(p)
	}
	return ask
}

// restartGap is how far a sequence number may be off before it means that the source began again.
const restartGap = 3000

// count does the statistics of a packet that had this number from its sender; began says that another layer begins with
// it. t.mu is held.
func (t *RemoteTrack) count(p *crypto.MediaPacket, sequence uint16, began bool) {
	video := t.Kind() == webrtc.RTPCodecTypeVideo
	t.stats.Packets++
	t.stats.Bytes += uint64(len(p.Payload))
	if !video || p.Marker {
		t.stats.Frames++
	}
	if video && p.Flags.KeyFrame && p.Flags.StartOfFrame {
		t.stats.KeyFrames++
		t.keySeen = true
	}
	step := int16(sequence - uint16(t.highest))
	switch {
	case !t.first:
		t.first = true
		t.highest = 1<<16 | uint32(sequence)
		t.base = t.highest
	case began || step > restartGap || step < -restartGap:
		t.expected += uint64(t.highest-t.base) + 1
		t.highest = 1<<16 | uint32(sequence)
		t.base = t.highest
	case step > 0:
		t.highest += uint32(step)
	}
}

// failed counts a packet that couldn't be opened.
func (t *RemoteTrack) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch err {
	case crypto.ErrUnknownKey:
	case crypto.ErrReplay:
		t.stats.Repeated++
	default:
		t.stats.Undecryptable++
	}
}

// end ends the track: reads return io.EOF when the queue is empty, which it is at once if discard.
func (t *RemoteTrack) end(discard bool) { t.queue.end(discard) }

// packetQueue holds the packets of a track that were not read yet. Buffers are used again, so that nothing is
// allocated in the long run, and given back to the collector after a long backlog.
type packetQueue struct {
	ready    chan struct{} // has room for one: there may be packets
	done     chan struct{} // closed at the end
	deadline deadline

	mu      sync.Mutex
	ring    [TrackBuffer]*queuedPacket
	first   int
	size    int
	free    []*queuedPacket
	ended   bool
	dropped uint64
}

// keepFree is how many buffers are kept for later when the queue is empty.
const keepFree = 32

type queuedPacket struct {
	marker    bool
	hasLevel  bool
	level     uint8
	sequence  uint16
	timestamp uint32
	payload   []byte
}

func (q *packetQueue) init() {
	q.ready, q.done = make(chan struct{}, 1), make(chan struct{})
	q.deadline.over = make(chan struct{})
}

func (q *packetQueue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

func (q *packetQueue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}

func (q *packetQueue) push(p *crypto.MediaPacket) {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return
	}
	var e *queuedPacket
	switch {
	case q.size == TrackBuffer: // the oldest goes: late media is worth nothing
		e = q.pop()
		q.dropped++
	case len(q.free) > 0:
		e = q.free[len(q.free)-1]
		q.free = q.free[:len(q.free)-1]
	default:
		e = &queuedPacket{}
	}
	e.marker, e.hasLevel, e.level = p.Marker, p.HasLevel, p.AudioLevel
	e.sequence, e.timestamp = p.SequenceNumber, p.Timestamp
	e.payload = append(e.payload[:0], p.Payload...)
	q.ring[(q.first+q.size)%TrackBuffer] = e
	q.size++
	q.mu.Unlock()
	q.wake()
}

// pop takes the oldest. q.mu is held, and there is one.
func (q *packetQueue) pop() *queuedPacket {
	e := q.ring[q.first]
	q.ring[q.first] = nil
	q.first = (q.first + 1) % TrackBuffer
	q.size--
	return e
}

// recycle keeps a buffer for later. q.mu is held.
func (q *packetQueue) recycle(e *queuedPacket) {
	q.free = append(q.free, e)
	if q.size == 0 && len(q.free) > keepFree {
		clear(q.free[keepFree:])
		q.free = q.free[:keepFree]
	}
}

func (q *packetQueue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// next waits for the oldest packet and gives it to f, during which it is valid. If f fails the packet stays.
func (q *packetQueue) next(ctx context.Context, f func(*queuedPacket) error) error {
	for {
		if err := q.wait(ctx); err != nil {
			return err
		}
		q.mu.Lock()
		if q.size == 0 { // another reader was faster, or it is the end
			over := q.ended
			q.mu.Unlock()
			if over {
				return io.EOF
			}
			continue
		}
		err := f(q.ring[q.first])
		if err == nil {
			q.recycle(q.pop())
		}
		more := q.size > 0
		q.mu.Unlock()
		if more {
			q.wake()
		}
		return err
	}
}

// wait returns when there may be a packet, or it is the end of the track.
func (q *packetQueue) wait(ctx context.Context) error {
	passed := q.deadline.passed()
	select { // these come first, even if there is always a packet
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-passed:
		return os.ErrDeadlineExceeded
	default:
	}
	select {
	case <-q.ready:
	case <-q.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (q *packetQueue) end(discard bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if discard {
		for q.size > 0 {
			q.pop()
		}
	}
	if !q.ended {
		q.ended = true
		close(q.done)
	}
	q.free = nil
}

// marshal writes the packet as RTP's bytes (RFC 3550 §5.1, RFC 8285 §4.2).
func (p *queuedPacket) marshal(b []byte, payloadType uint8, ssrc uint32) (int, error) {
	n := 12
	if p.hasLevel {
		n += 8
	}
	if len(b) < n+len(p.payload) {
		return 0, io.ErrShortBuffer
	}
	b[0], b[1] = 2<<6, payloadType
	if p.marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], p.sequence)
	binary.BigEndian.PutUint32(b[4:], p.timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	if p.hasLevel {
		b[0] |= 0x10
		copy(b[12:], []byte{0xbe, 0xde, 0, 1, AudioLevelExtension << 4, p.level, 0, 0})
	}
	return n + copy(b[n:], p.payload), nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
