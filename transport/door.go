package transport

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// doorFirst is how long the opener of a door stream may take for its first frame.
const doorFirst = 10 * time.Second

// DoorStream is a stream of frames between peers that need not be members of each
// other's meeting: the only thing open to strangers. One goroutine may send and one
// receive. After an error the stream is good for nothing but Close.
type DoorStream struct {
	host   *Host
	stream network.Stream
	peer   PeerKey
	limit  *time.Timer
	once   sync.Once
	opener bool

	receive  sync.Mutex
	started  bool // receive: the welcome or the first frame has come
	deadline time.Time
}

// SetDoorOpen opens or closes the door to incoming streams. It is closed at first.
// Streams already there stay.
func (h *Host) SetDoorOpen(open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.doorOpen = open
}

// Doors delivers incoming door streams while the door is open. The reader must Close
// each of them. It is never closed.
func (h *Host) Doors() <-chan *DoorStream { return h.doors }

// OpenDoor connects to a peer, allowed or not, as Connect does, and opens a door
// stream. What is sent at once arrives with the opening.
func (h *Host) OpenDoor(ctx context.Context, key PeerKey, addrs []ma.Multiaddr) (*DoorStream, error) {
	id, err := idOfKey(key)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, ErrClosed
	}
	p := h.peerLocked(id)
	p.doors++ // before dialling, so that the connection is not a mere stranger's
	h.mu.Unlock()
	if err := h.libp2p.dial(ctx, id, addrs); err != nil {
		h.doorClosed(p)
		return nil, err
	}
	s, err := h.libp2p.NewStream(ctx, id, protocolDoor)
	if err != nil {
		h.doorClosed(p)
		return nil, err
	}
	return h.newDoor(s, p, true), nil
}

func (h *Host) newDoor(s network.Stream, p *peerState, opener bool) *DoorStream {
	d := &DoorStream{host: h, stream: s, peer: p.key, opener: opener}
	d.deadline = time.Now().Add(h.config.DoorTimeout)
	d.limit = time.AfterFunc(h.config.DoorTimeout, d.Close)
	return d
}

// handleDoor is the far end of OpenDoor.
func (h *Host) handleDoor(s network.Stream) {
	from, _ := addrPortOf(s.Conn().RemoteMultiaddr())
	h.mu.Lock()
	p := h.peerLocked(s.Conn().RemotePeer())
	ok := !h.closed && h.doorOpen && (h.config.unsafe.anyDoors || p.doors == 0 && h.doorsOpenLocked() < h.config.MaxDoors &&
		h.doorRate.allow(from.Addr(), time.Now())) // TRA-5
	if !ok {
		h.forgetLocked(p)
		h.mu.Unlock()
		_ = s.Reset()
		return
	}
	p.doors++
	h.mu.Unlock()
	d := h.newDoor(s, p, false)
	if err := h.sendWelcome(s); err != nil {
		d.Close()
		return
	}
	select {
	case h.doors <- d: // there is room for MaxDoors
	default:
		d.Close()
	}
}

// finish ends a stream, delivering what was sent. Close gives its place free, without which a connection would have but so
// many streams in its life; a lazyStream's waits for an answer.
func finish(s network.Stream) {
	_ = s.CloseWrite()
	_ = s.CloseRead()
	if l, ok := s.(*lazyStream); ok {
		s = l.Stream
	}
	_ = s.Close()
}

func (h *Host) doorsOpenLocked() (n int) {
	for _, p := range h.peers {
		n += p.doors
	}
	return n
}

func (h *Host) doorClosed(p *peerState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.doors--
	h.retireLocked(p)
	h.expireLocked(p)
	h.forgetLocked(p)
}

// sendWelcome tells the opener of a stream that it is let in, and where we see it.
func (h *Host) sendWelcome(s network.Stream) error {
	remote := s.Conn().RemoteMultiaddr()
	observed, _ := addrPortOf(remote)
	if len(remote) < 2 || remote[1].Code() != ma.P_UDP || isCircuit(s.Conn()) {
		observed = noAddr // only the UDP socket's outside helps anyone
	}
	frame, err := encodeWelcome(observed)
	if err != nil {
		return err
	}
	_ = s.SetWriteDeadline(time.Now().Add(negotiationTimeout))
	err = writeFrame(s, frame)
	_ = s.SetWriteDeadline(time.Time{})
	return err
}

// receiveWelcome reads that first frame.
func (h *Host) receiveWelcome(s network.Stream) error {
	frame, err := readFrame(s)
	if err != nil {
		return err
	}
	observed, err := decodeWelcome(frame)
	if err != nil {
		return err
	}
	if !isCircuit(s.Conn()) { // over one, it would be the address of whoever is in the middle
		h.noteObserved(s.Conn().RemotePeer(), observed)
	}
	return nil
}

// Peer is who is at the other end; the connection proves it.
func (d *DoorStream) Peer() PeerKey { return d.peer }

// Send sends one frame of 1 to MaxFrame bytes.
func (d *DoorStream) Send(ctx context.Context, frame []byte) error {
	defer d.bound(ctx, d.deadline, d.stream.SetWriteDeadline)()
	return d.fail(ctx, writeFrame(d.stream, frame))
}

// Receive returns the next frame; io.EOF once the peer has closed the stream.
func (d *DoorStream) Receive(ctx context.Context) ([]byte, error) {
	d.receive.Lock()
	defer d.receive.Unlock()
	until := d.deadline
	if !d.started && !d.opener && !d.host.config.unsafe.anyDoors {
		until = time.Now().Add(doorFirst)
	}
	defer d.bound(ctx, until, d.stream.SetReadDeadline)()
	if !d.started && d.opener {
		if err := d.host.receiveWelcome(d.stream); err != nil {
			return nil, d.fail(ctx, err)
		}
	}
	d.started = true
	frame, err := readFrame(d.stream)
	if err != nil {
		return nil, d.fail(ctx, err)
	}
	if tap := d.host.config.Tap; tap != nil {
		tap(TapDoor, d.peer, frame)
	}
	return frame, nil
}

// bound applies a context and a deadline to one direction of the stream.
func (d *DoorStream) bound(ctx context.Context, until time.Time, set func(time.Time) error) func() {
	if t, ok := ctx.Deadline(); ok && t.Before(until) {
		until = t
	}
	_ = set(until)
	stop := context.AfterFunc(ctx, func() { _ = set(time.Unix(1, 0)) })
	return func() { stop() }
}

// fail adds the context's error, so that a caller can tell it gave up itself.
func (d *DoorStream) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return err
}

// Close ends the stream, delivering what was sent. It may be called more than once.
func (d *DoorStream) Close() {
	d.once.Do(func() {
		d.limit.Stop()
		finish(d.stream)
		id := d.stream.Conn().RemotePeer()
		d.host.mu.Lock()
		p := d.host.peerLocked(id)
		d.host.mu.Unlock()
		d.host.doorClosed(p)
	})
}
