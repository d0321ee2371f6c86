package transport

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Limits of file streams that others open (TRA-17).
const (
	maxFileStreams     = 64 // in all
	maxFileStreamsPeer = 8  // of one peer
)

// FileStream is a stream of frames between two members, beside their pair channel: what is long goes on one of its own,
// so that it never stands before what is urgent. Send and Receive may be called at the same time, each by any goroutine.
// It ends at once when the peer is revoked or dismissed (TRA-17).
type FileStream struct {
	host   *Host
	peer   *peerState
	stream network.Stream
	once   sync.Once

	send    sync.Mutex
	receive sync.Mutex

	deadline    sync.Mutex // keeps Interrupt from being undone by a Receive that begins
	interrupted bool
	ended       bool // by the host: guarded by Host.mu
	theirs      bool // the peer opened it
}

// OpenFile opens a file stream to a connected member. ctx bounds the opening alone. The caller must Close it. The errors
// are ErrNotAllowed, ErrNotConnected, ErrClosed and those of the network.
func (h *Host) OpenFile(ctx context.Context, key PeerKey) (*FileStream, error) {
	id, err := idOfKey(key)
	if err != nil {
		return nil, err
	}
	s, err := h.libp2p.NewStream(ctx, id, protocolFile)
	if err != nil {
		return nil, err
	}
	f, err := h.newFile(s, false)
	if err != nil {
		_ = s.Reset()
		return nil, err
	}
	return f, nil
}

// Files delivers file streams that members open. The reader must Close each of them. It is never closed.
func (h *Host) Files() <-chan *FileStream { return h.files }

// newFile registers a stream, so that it ends with its peer's membership.
func (h *Host) newFile(s network.Stream, theirs bool) (*FileStream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[s.Conn().RemotePeer()]
	switch {
	case h.closed:
		return nil, ErrClosed
	case p == nil || !p.allowed && !h.config.unsafe.openGate:
		return nil, ErrNotAllowed
	}
	if theirs && !h.config.unsafe.anyFiles { // TRA-17
		own, all := 0, 0
		for _, q := range h.peers {
			for f := range q.files {
				if f.theirs {
					all++
					if q == p {
						own++
					}
				}
			}
		}
		if own >= maxFileStreamsPeer || all >= maxFileStreams {
			return nil, ErrQueueFull
		}
	}
	f := &FileStream{host: h, peer: p, stream: s, theirs: theirs}
	if p.files == nil {
		p.files = map[*FileStream]struct{}{}
	}
	p.files[f] = struct{}{}
	return f, nil
}

// handleFile is the far end of OpenFile.
func (h *Host) handleFile(s network.Stream) {
	f, err := h.newFile(s, true)
	if err != nil {
		_ = s.Reset()
		return
	}
	select {
	case h.files <- f: // there is room for maxFileStreams
	default:
		f.Close()
	}
}

// stopFilesLocked has nothing more go over the file streams of a peer. Host.mu is held; the caller then resets them
// without it.
func (h *Host) stopFilesLocked(p *peerState) (stopped fileStreams) {
	if h.config.unsafe.keepFiles {
		return nil
	}
	for f := range p.files {
		f.ended = true
		stopped = append(stopped, f)
	}
	p.files = nil
	return stopped
}

type fileStreams []*FileStream

func (all fileStreams) reset() {
	for _, f := range all {
		f.host.abandon(f.stream)
	}
}

// Peer is who is at the other end; the connection proves it.
func (f *FileStream) Peer() PeerKey { return f.peer.key }

// Send sends one frame of 1 to MaxFrame bytes, within the time given.
func (f *FileStream) Send(frame []byte, within time.Duration) error {
	f.send.Lock()
	defer f.send.Unlock()
	if f.over() {
		return ErrNotAllowed
	}
	_ = f.stream.SetWriteDeadline(time.Now().Add(within))
	return writeFrame(f.stream, frame)
}

// Receive returns the next frame, waiting no longer than the time given; io.EOF once the peer has closed the stream.
func (f *FileStream) Receive(within time.Duration) ([]byte, error) {
	f.receive.Lock()
	defer f.receive.Unlock()
	f.deadline.Lock()
	if !f.interrupted {
		_ = f.stream.SetReadDeadline(time.Now().Add(within))
	}
	f.deadline.Unlock()
	frame, err := readFrame(f.stream)
	if err != nil {
		return nil, err
	}
	if f.over() {
		return nil, ErrNotAllowed
	}
	if tap := f.host.config.Tap; tap != nil {
		tap(TapFile, f.peer.key, frame)
	}
	return frame, nil
}

// Interrupt makes the Receive under way, and every later one, fail. Send goes on working.
func (f *FileStream) Interrupt() {
	f.deadline.Lock()
	defer f.deadline.Unlock()
	f.interrupted = true
	_ = f.stream.SetReadDeadline(time.Unix(1, 0))
}

func (f *FileStream) over() bool {
	f.host.mu.Lock()
	defer f.host.mu.Unlock()
	return f.ended
}

// Close ends the stream, delivering what was sent. It may be called more than once, and waits for nobody: on a connection
// whose peer has stopped to read, yamux would have it wait for seconds, and with it a meeting (TRA-17).
func (f *FileStream) Close() {
	f.once.Do(func() {
		f.host.behind(func() { finish(f.stream) }) // else the host closes, and with it the connection
		f.host.mu.Lock()
		defer f.host.mu.Unlock()
		delete(f.peer.files, f)
	})
}
