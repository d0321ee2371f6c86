package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// flowPath is a path of a rate and a round trip, as a streamFlow sees it, in steps of 5 ms. It returns the bytes that
// got through, and the longest time that any waited on its way beyond the round trip.
func flowPath(t *testing.T, f *streamFlow, now *time.Time, rate int, rtt, length time.Duration, offered int) (through int, waited time.Duration) {
	t.Helper()
	type part struct {
		at    time.Time
		total uint64
	}
	var way []part // when each is acknowledged
	free, budget := *now, 0
	for end := now.Add(length); now.Before(end); *now = now.Add(5 * time.Millisecond) {
		for len(way) > 0 && !way[0].at.After(*now) {
			if err := f.acknowledged(*now, way[0].total); err != nil {
				t.Fatal(err)
			}
			way = way[1:]
		}
		for budget = min(budget+offered*5/1000, 4*flowPacket+offered*5/1000); budget >= flowPacket; {
			_, video := f.room(*now)
			if video < flowPacket {
				break
			}
			f.wrote(*now, flowPacket)
			if free.Before(*now) {
				free = *now
			}
			free = free.Add(time.Duration(float64(flowPacket) / float64(rate) * float64(time.Second)))
			waited = max(waited, free.Sub(*now))
			way = append(way, part{free.Add(rtt), f.sent})
			through += flowPacket
			budget -= flowPacket
		}
	}
	for _, p := range way {
		if err := f.acknowledged(p.at, p.total); err != nil {
			t.Fatal(err)
		}
	}
	return through, waited
}

// TestStreamFlow covers MST-3: whatever a path carries is used, and little waits on its way, also after it changes.
func TestStreamFlow(t *testing.T) {
	now := time.Unix(1000, 0)
	f := newStreamFlow(now)
	if err := f.acknowledged(now, 0); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		rate int // bytes a second
		rtt  time.Duration
	}{{62_500, 40 * time.Millisecond}, {1_000_000, 40 * time.Millisecond}, {30_000, 40 * time.Millisecond}, {250_000, 200 * time.Millisecond},
		{250_000, 10 * time.Millisecond}} {
		flowPath(t, f, &now, c.rate, c.rtt, 15*time.Second, 2*c.rate) // it settles
		through, waited := flowPath(t, f, &now, c.rate, c.rtt, 10*time.Second, 2*c.rate)
		t.Logf("%d: %.2f of the path, waited %v, window %d, estimate %d kbit/s", i, float64(through)/10/float64(c.rate), waited, f.window, f.estimate/1000)
		if through < c.rate*10*7/10 {
			t.Errorf("%d: %d of %d bytes a second", i, through/10, c.rate)
		}
		if waited > 200*time.Millisecond {
			t.Errorf("%d: bytes waited for %v", i, waited)
		}
		if bits := 8 * c.rate; f.estimate > bits*11/10 || f.estimate < min(bits, targetMost)/3 {
			t.Errorf("%d: estimate %d of %d", i, f.estimate, bits)
		}
	}
}

// TestStreamFlowStall: while the path stands still nothing is written, and when it goes on, neither is the estimate of
// what was not tried raised (MST-3).
func TestStreamFlowStall(t *testing.T) {
	now := time.Unix(1000, 0)
	f := newStreamFlow(now)
	_ = f.acknowledged(now, 0)
	f.wrote(now, 100)
	if audio, video := f.room(now.Add(100 * time.Millisecond)); audio == 0 || video == 0 {
		t.Error("no room at first")
	}
	if audio, video := f.room(now.Add(flowStall + time.Millisecond)); audio != 0 || video != 0 {
		t.Errorf("room for %d and %d on a path that stands still", audio, video)
	}
	if f.dead(now.Add(flowDead)) || !f.dead(now.Add(flowDead+1)) {
		t.Error("the end of a stream without acknowledgements")
	}
	if f = newStreamFlow(now); f.dead(now.Add(flowDead)) || !f.dead(now.Add(flowDead+1)) {
		t.Error("the end of a stream that the peer doesn't take")
	}
	if _ = f.acknowledged(now, 0); f.dead(now.Add(time.Hour)) {
		t.Error("a stream on which nothing is sent ends")
	}
	f = newStreamFlow(now)
	_ = f.acknowledged(now, 0)
	flowPath(t, f, &now, 1_000_000, 20*time.Millisecond, 30*time.Second, 12_500)
	if f.estimate > targetFirst {
		t.Errorf("%d bit/s are estimated where 100,000 were tried", f.estimate)
	}
}

// TestStreamFlowAcks covers MST-2.
func TestStreamFlowAcks(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, acks := range map[string][]uint64{
		"no welcome": {1}, "too much": {0, 101}, "twice": {0, 50, 50}, "back": {0, 50, 40}, "nothing": {0, 0},
	} {
		f := newStreamFlow(now)
		f.wrote(now, 100)
		var err error
		for _, n := range acks {
			err = f.acknowledged(now.Add(time.Millisecond), n)
		}
		if !errors.Is(err, errBadAck) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStreamFlowLies covers MST-2: a receiver that acknowledges more than it can have got gets no more than its window.
// Twin: it has the sender write without end.
func TestStreamFlowLies(t *testing.T) {
	for name, trusting := range map[string]bool{"protected": false, "twin": true} {
		now := time.Unix(1000, 0)
		f := newStreamFlow(now)
		f.trusting = trusting
		_ = f.acknowledged(now, 0)
		f.wrote(now, flowPacket)
		over := f.acknowledged(now.Add(time.Millisecond), 10_000_000) != nil // and with that the stream
		written := 0
		for !over && written < 5_000_000 {
			_, video := f.room(now.Add(2 * time.Millisecond))
			if video == 0 {
				break
			}
			f.wrote(now.Add(2*time.Millisecond), video)
			written += video
		}
		if (written < 100_000) == trusting {
			t.Errorf("%s: %d bytes written", name, written)
		}
	}
}

func queued(q *mediaQueue, kind Kind, at time.Time, data ...byte) {
	p := sharePayload(data)
	q.push(kind, p, at)
	p.release()
}

// TestMediaQueue covers MST-3: stale packets go, and what can't be decoded without them.
func TestMediaQueue(t *testing.T) {
	var dropped [2]atomic.Uint64
	describe := func(b []byte) VideoFacts {
		return VideoFacts{Stream: b[0], Start: b[1] == 'K', Discardable: b[1] == 'd'}
	}
	start := time.Unix(1000, 0)
	q := newMediaQueue(describe, &dropped)
	take := func(kind Kind, most int, after time.Duration) string {
		var out []byte
		for {
			p := q.pop(kind, most, start.Add(after))
			if p == nil {
				return string(out)
			}
			out = append(out, p.data[1:]...)
			p.release()
		}
	}
	for i, c := range "abc" {
		queued(q, Audio, start.Add(time.Duration(i)*100*time.Millisecond), 0, byte(c))
	}
	if got := take(Audio, 2, 100*time.Millisecond); got != "" {
		t.Errorf("%q where there is no room", got)
	}
	if got := take(Audio, 100, 160*time.Millisecond); got != "bc" || dropped[Audio].Load() != 1 {
		t.Errorf("voice %q", got)
	}
	queued(q, Video, start, 1, '1')
	queued(q, Video, start, 2, 'd') // nothing needs it
	for _, c := range "23K45" {
		queued(q, Video, start.Add(200*time.Millisecond), 1, byte(c))
	}
	queued(q, Video, start.Add(200*time.Millisecond), 2, '6')
	queued(q, Video, start.Add(200*time.Millisecond), 3, '7')
	if got := take(Video, 0, 300*time.Millisecond); got != "" {
		t.Errorf("%q where there is no room", got)
	}
	if got := q.brokenStreams(nil, start.Add(300*time.Millisecond)); len(got) != 0 {
		t.Errorf("broken: %v, though a beginning waits", got)
	}
	if got := take(Video, 100, 300*time.Millisecond); got != "K4567" || dropped[Video].Load() != 4 {
		t.Errorf("picture %q, %d dropped", got, dropped[Video].Load())
	}
	queued(q, Video, start.Add(time.Second), 1, '8') // a key frame went before: it may take its time
	if got := take(Video, 100, 1290*time.Millisecond); got != "8" {
		t.Errorf("picture %q after a key frame", got)
	}
	queued(q, Video, start.Add(10*time.Second), 1, '9')
	take(Video, 100, 11*time.Second)
	for _, c := range "xyz" {
		queued(q, Video, start.Add(11*time.Second), 1, byte(c))
	}
	if got := take(Video, 100, 11*time.Second); got != "" {
		t.Errorf("picture %q without a beginning", got)
	}
	if got := q.brokenStreams(nil, start.Add(11*time.Second)); string(got) != "\x01" {
		t.Errorf("broken: %v", got)
	}
	queued(q, Video, start.Add(14*time.Second), 1, '!')
	if got := take(Video, 100, 14*time.Second); got != "!" {
		t.Errorf("picture %q where no beginning is to be had", got)
	}
	queued(q, Video, start.Add(15*time.Second), 4, '?')
	take(Video, 100, 16*time.Second)
	if got := q.brokenStreams(nil, start.Add(17*time.Second)); string(got) != "\x04" {
		t.Errorf("broken: %v", got)
	}
	if got := q.brokenStreams(nil, start.Add(18*time.Second)); len(got) != 0 || q.holes != 0 {
		t.Errorf("broken: %v, of which nothing comes any more", got)
	}
	for i := range 2 * queuedPackets[Audio] {
		queued(q, Audio, start, 0, byte(i))
	}
	q.clear()
	if got := take(Audio, 100, 0); got != "" {
		t.Errorf("%d after clear", len(got))
	}
}

// FuzzMediaFrame: whatever bytes come, frames are within their limits and have one encoding (MST-1).
func FuzzMediaFrame(f *testing.F) {
	f.Add(appendMediaFrame(appendMediaFrame(nil, Audio, []byte("voice")), Video, make([]byte, MaxPacket)))
	f.Add([]byte{0x10, 0})
	f.Add([]byte{0x15, 0x01})
	f.Add([]byte{0x20, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		for rest := b; ; {
			kind, payload, more, err := splitMediaFrame(rest)
			if err != nil {
				return
			}
			if payload == nil {
				if !bytes.Equal(append(again, rest...), b) {
					t.Fatalf("malleable: %x and %x", b, again)
				}
				if len(more) != len(rest) || len(rest) >= maxMediaFrame {
					t.Fatalf("%d bytes are kept", len(rest))
				}
				return
			}
			if kind > Video || len(payload) == 0 || len(payload) > MaxPacket || len(more) >= len(rest) {
				t.Fatalf("kind %d, %d bytes", kind, len(payload))
			}
			again = appendMediaFrame(again, kind, payload)
			rest = more
		}
	})
}

// sinkStream takes all that is written, and has nothing to read.
type sinkStream struct {
	network.Stream
	n uint64
}

func (s *sinkStream) Write(b []byte) (int, error) { s.n += uint64(len(b)); return len(b), nil }
func (s *sinkStream) Read([]byte) (int, error)    { return 0, io.EOF }

// TestStreamAllocatesNothing: our part of a packet's way out by a stream, from WritePacket to libp2p, and of its
// acknowledgement.
func TestStreamAllocatesNothing(t *testing.T) {
	h := &Host{media: &mediaConfig{links: map[PeerKey]*Link{}}}
	h.config.DescribeVideo = func(b []byte) VideoFacts { return VideoFacts{Start: b[0] == 1} }
	l := &Link{host: h, wake: make(chan struct{}, 1)}
	h.media.links[l.key] = l
	sink := &sinkStream{}
	m := &mediaStream{link: l, queue: newMediaQueue(h.config.DescribeVideo, &l.stats.dropped), stream: sink,
		acks: make(chan struct{}, 1), buf: make([]byte, 0, streamBatch), flow: newStreamFlow(time.Now())}
	l.stream.Store(m)
	_ = m.flow.acknowledged(time.Now(), 0)
	payload, peers := make([]byte, 1200), []PeerKey{l.key}
	var ack [mediaAckSize]byte
	if n := testing.AllocsPerRun(2000, func() {
		_ = l.WritePacket(Audio, payload[:100])
		if h.Fanout(Video, payload, peers) != 1 {
			t.Fatal("not sent")
		}
		for {
			if sent, err := m.send(time.Now()); err != nil {
				t.Fatal(err)
			} else if !sent {
				break
			}
		}
		binary.BigEndian.PutUint64(ack[:], sink.n)
		if err := m.flow.acknowledged(time.Now(), binary.BigEndian.Uint64(ack[:])); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 && !raceDetector { // which has pools forget
		t.Errorf("%v allocations", n)
	}
	if st := l.stats.packetsSent.Load(); st < 4000 {
		t.Errorf("%d packets sent: the test shows nothing", st)
	}
}
