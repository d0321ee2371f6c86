package transport

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	// mediaAckEvery is how often a media stream is acknowledged, at most.
	mediaAckEvery = 30 * time.Millisecond
	// maxIncomingMedia is how many media streams of one peer there may be: one, and others that are about to end (MST-1).
	maxIncomingMedia = 4
)

// incomingMedia is a media stream that a member has opened.
type incomingMedia struct {
	link   *Link
	stream network.Stream
	taken  atomic.Uint64 // bytes of frames
	due    chan struct{} // something is to be acknowledged
	end    chan struct{} // nothing more comes
}

// handleMedia reads a member's media stream. It is read as fast as its packets are taken, and so a peer that sends
// more waits.
func (h *Host) handleMedia(s network.Stream) {
	defer h.abandon(s)
	key, ok := keyOfID(s.Conn().RemotePeer())
	if !ok {
		return
	}
	l, err := h.link(key)
	if err != nil {
		return
	}
	in := &incomingMedia{link: l, stream: s, due: make(chan struct{}, 1), end: make(chan struct{})}
	if !l.addIncoming(in) {
		return
	}
	acknowledged := make(chan struct{})
	go func() {
		defer close(acknowledged)
		in.acknowledge()
	}()
	in.read()
	l.removeIncoming(in)
	close(in.end)
	timer := time.AfterFunc(streamTick, func() { h.abandon(s) }) // a peer that takes no acknowledgement
	<-acknowledged
	timer.Stop()
}

// addIncoming registers a stream, so that it ends with the link.
func (l *Link) addIncoming(in *incomingMedia) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.incoming) >= maxIncomingMedia && !l.host.config.unsafe.anyFrames {
		return false
	}
	if l.incoming == nil {
		l.incoming = make(map[*incomingMedia]struct{})
	}
	l.incoming[in] = struct{}{}
	l.reading.Add(1)
	return true
}

func (l *Link) removeIncoming(in *incomingMedia) {
	l.mu.Lock()
	delete(l.incoming, in)
	l.mu.Unlock()
	l.reading.Done()
}

// read delivers packets until the stream ends.
func (in *incomingMedia) read() {
	var buf [4 * maxMediaFrame]byte
	for have := 0; ; {
		n, err := in.stream.Read(buf[have:])
		rest := buf[:have+n]
		taken := in.taken.Load()
		for {
			kind, payload, more, bad := splitMediaFrame(rest)
			if bad != nil && in.link.host.config.unsafe.anyFrames {
				taken += uint64(len(rest))
				rest = nil
				break
			}
			if bad != nil { // MST-1
				in.link.host.abandon(in.stream)
				return
			}
			if payload == nil {
				break
			}
			rest = more
			taken += mediaFrameHead + uint64(len(payload))
			in.link.deliver(in.link.ctx, kind, payload)
		}
		have = copy(buf[:], rest)
		if taken != in.taken.Swap(taken) {
			select {
			case in.due <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// acknowledge says that the stream is taken, and then how much of it: at once after a pause, else every mediaAckEvery,
// and at the end.
func (in *incomingMedia) acknowledge() {
	var said uint64
	var b [mediaAckSize]byte
	if _, err := in.stream.Write(b[:]); err != nil { // the welcome: nothing so far
		return
	}
	say := func() bool {
		total := in.taken.Load()
		if total == said {
			return true
		}
		said = total
		binary.BigEndian.PutUint64(b[:], total)
		_, err := in.stream.Write(b[:])
		return err == nil
	}
	pause := time.NewTimer(mediaAckEvery)
	defer pause.Stop()
	for over := false; !over; {
		select {
		case <-in.due:
		case <-in.end:
			over = true
		}
		if !say() {
			return
		}
		pause.Reset(mediaAckEvery)
		select {
		case <-pause.C:
		case <-in.end:
		}
	}
	_ = in.stream.CloseWrite()
}

// deliver hands one packet to the owner, one at a time for each peer, unless what it came by is over.
func (l *Link) deliver(by context.Context, kind Kind, payload []byte) {
	l.delivering.Lock()
	defer l.delivering.Unlock()
	l.stats.packetsReceived.Add(1)
	l.stats.bytesReceived.Add(uint64(len(payload)))
	if tap := l.host.config.Tap; tap != nil {
		tap(TapMedia, l.key, payload)
	}
	if f := l.host.config.OnPacket; f != nil && (by.Err() == nil || l.host.config.unsafe.keepStreams) {
		f(l.key, kind, payload)
	}
}
