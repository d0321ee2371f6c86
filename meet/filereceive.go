package meet

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
)

const (
	// fileRetry is how long a transfer waits at least before it asks again, and maxFileRetry at most. A connection that
	// comes back rings in any case.
	fileRetry    = 100 * time.Millisecond
	maxFileRetry = 2 * time.Second
	fileOpening  = 10 * time.Second
)

// FileReceiveOptions say how to receive a file. The zero value works.
type FileReceiveOptions struct {
	// From is how many bytes dst holds already, from an earlier transfer of the same content; they are read and hashed, so
	// dst must then be an io.ReaderAt too.
	From int64
}

// FileTransfer is a file being received. Its methods may be called from any goroutine.
type FileTransfer struct {
	m      *Meeting
	offer  FileOffer
	dst    io.WriterAt
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   chan struct{}
	done   chan struct{}
	err    error          // why it is over, once done is closed
	report progressReport // the meeting's goroutine's

	// Of the transfer's goroutine:
	hash   hash.Hash // of what came
	next   uint64    // the first chunk that is missing
	told   time.Time
	said   FileState
	parted bool // the stream told the sender that this side cancelled

	mu     sync.Mutex
	paused bool
	taken  int64 // bytes
	state  FileState
	stream *transport.FileStream // under way
}

// ReceiveFile asks for a file that is offered and writes it to dst, from its beginning to its end, on a goroutine of its
// own; dst isn't touched any more once the transfer is over. It goes on by itself after a lost link, as long as the sender
// stays. Whoever writes into a folder: see FileOffer.SafeName. ctx bounds the call alone. The errors are ErrFileGone,
// ErrFileTooLarge (Config.MaxFileSize), and ErrFileBusy if this file is being received.
func (m *Meeting) ReceiveFile(ctx context.Context, id FileID, dst io.WriterAt, o FileReceiveOptions) (*FileTransfer, error) {
	return call(ctx, m, func() (*FileTransfer, error) {
		offer := m.files.offers[id]
		switch {
		case m.ending:
			return nil, m.reason
		case offer == nil || offer.content != nil || !m.mayReceiveFrom(offer.From.Key):
			return nil, ErrFileGone
		case offer.Size > m.config.MaxFileSize:
			return nil, ErrFileTooLarge
		case m.files.transfers[id] != nil:
			return nil, ErrFileBusy
		}
		source, _ := dst.(io.ReaderAt)
		if o.From < 0 || o.From > offer.Size || o.From > 0 && source == nil {
			return nil, errors.New("meet: FileReceiveOptions.From must be in the file, and dst readable")
		}
		t := &FileTransfer{
			m: m, offer: offer.FileOffer, dst: dst, wake: make(chan struct{}, 1), done: make(chan struct{}), hash: sha256.New(),
			state: FileRunning,
		}
		t.next = min(uint64(o.From)/crypto.FileChunk, fileChunks(offer.Size)-1) // one at least is asked for
		t.ctx, t.cancel = context.WithCancelCause(m.ctx)
		offer.refused = false
		m.files.transfers[id] = t
		m.spawn(func() { t.run(source) })
		return t, nil
	})
}

// Offer is what is received.
func (t *FileTransfer) Offer() FileOffer { return t.offer }

// Pause stops the transfer until Resume. What came stays.
func (t *FileTransfer) Pause() { t.setPaused(true) }

// Resume goes on after Pause.
func (t *FileTransfer) Resume() { t.setPaused(false) }

func (t *FileTransfer) setPaused(paused bool) {
	t.mu.Lock()
	t.paused = paused
	if paused && t.stream != nil {
		t.stream.Interrupt()
	}
	t.mu.Unlock()
	t.ring()
}

// Cancel ends the transfer, with ErrFileCancelled. Discard what came.
func (t *FileTransfer) Cancel() { t.fail(ErrFileCancelled) }

func (t *FileTransfer) fail(err error) { t.cancel(err) }

// Progress returns how many bytes came, and what the transfer does.
func (t *FileTransfer) Progress() (done int64, state FileState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taken, t.state
}

// Wait waits until the transfer is over, or ctx is. Nil means that all of it came and has the SHA-256 that was announced
// (FIL-6). With any other error discard what was written: ErrFileContent, ErrFileGone, ErrFileUnreadable,
// ErrFileCancelled, ErrNotPermitted, what dst failed with, or why the meeting ended.
func (t *FileTransfer) Wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *FileTransfer) ring() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run receives until the file is complete or there is no hope.
func (t *FileTransfer) run(have io.ReaderAt) {
	complete, err := false, t.hashPrefix(have)
	for wait := time.Duration(0); err == nil && !complete; {
		if err = t.turn(wait); err != nil {
			break
		}
		before := t.next
		complete, err = t.attempt()
		if wait = max(fileRetry, min(2*wait, maxFileRetry)); t.next > before {
			wait = fileRetry
		}
	}
	if err == nil && t.wrong() {
		err = ErrFileContent // FIL-6; the sender was told
	}
	t.cancel(err)
	t.err = err
	_ = command(t.m.ctx, t.m, func() error {
		delete(t.m.files.transfers, t.offer.ID)
		t.report.over = true
		if o := t.m.files.offers[t.offer.ID]; o != nil && errors.Is(err, ErrFileCancelled) && !t.parted {
			t.m.refuseFile(o) // nothing came just now, so the stream didn't say it
		}
		peer, ok := t.m.memberByKey(t.offer.From.Key)
		if !ok {
			peer = t.offer.From
		}
		t.m.emit(FileDone{Offer: t.offer, Peer: peer, Err: err})
		return nil
	})
	close(t.done)
}

// hashPrefix hashes what is there from an earlier transfer.
func (t *FileTransfer) hashPrefix(have io.ReaderAt) error {
	length := int64(t.next) * crypto.FileChunk
	if length == 0 {
		return nil
	}
	r := io.NewSectionReader(have, 0, length)
	n, err := io.Copy(t.hash, readerFunc(func(b []byte) (int, error) {
		if t.ctx.Err() != nil {
			return 0, context.Cause(t.ctx)
		}
		return r.Read(b)
	}))
	if err == nil && n != length {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// turn waits until it is time to ask: not paused, and so long after the last time, or when the link is back.
func (t *FileTransfer) turn(wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for waited := false; ; {
		t.mu.Lock()
		paused := t.paused
		t.mu.Unlock()
		over := timer.C
		switch {
		case t.ctx.Err() != nil:
			return context.Cause(t.ctx)
		case paused:
			t.tell(FilePaused)
			over = nil
		case waited:
			return nil
		}
		select {
		case <-over:
			waited = true
		case <-t.wake:
			waited = true
		case <-t.ctx.Done():
		}
	}
}

// attempt asks once and takes what comes. It reports whether the file is complete; the error is one after which there is
// no use in asking again.
func (t *FileTransfer) attempt() (complete bool, err error) {
	key := crypto.NewFileKey() // FIL-4: a fresh one each time, so that no nonce comes twice
	if f := t.m.config.hooks.fileKey; f != nil {
		key = f()
	}
	defer key.Wipe()
	cipher, err := key.Cipher(t.m.id, t.offer.From.Key, t.m.self.Key(), t.offer.ID)
	if err != nil {
		return false, err
	}
	packet, err := call(t.ctx, t.m, func() ([]byte, error) { return t.m.askFile(t, key) })
	if errors.Is(err, ErrNotConnected) {
		t.tell(FileWaiting)
		return false, nil
	} else if err != nil {
		return false, err
	}
	ctx, stop := context.WithTimeout(t.ctx, fileOpening)
	defer stop()
	stream, err := t.m.host.OpenFile(ctx, peerKey(t.offer.From.Key))
	if err != nil {
		t.tell(FileWaiting)
		return false, nil
	}
	defer stream.Close()
	release := t.use(stream)
	defer release()
	if err := stream.Send(packet, fileOpening); err != nil {
		return false, nil
	}
	return t.receive(stream, cipher)
}

// use makes a stream the one that Pause and Cancel interrupt.
func (t *FileTransfer) use(stream *transport.FileStream) (release func()) {
	stop := context.AfterFunc(t.ctx, stream.Interrupt)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stream = stream
	if t.paused {
		stream.Interrupt()
	}
	return func() {
		stop()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.stream = nil
	}
}

// askFile seals a request.
func (m *Meeting) askFile(t *FileTransfer, key crypto.FileKey) ([]byte, error) {
	p := m.peers[t.offer.From.Key]
	if p == nil {
		return nil, ErrFileGone
	}
	if !p.connected || !p.installed || !p.session.Ready(time.Now()) {
		return nil, ErrNotConnected
	}
	m.files.asks++
	ask := pairMessage{FileAsk: &fileAsk{File: t.offer.ID, From: t.next, Key: key, Number: m.files.asks}}
	packet, err := p.session.Seal(time.Now(), encode(ask))
	if err != nil {
		return nil, ErrNotConnected
	}
	return packet, nil
}

// receive takes chunks until the last, or until the stream ends.
func (t *FileTransfer) receive(stream *transport.FileStream, cipher *crypto.FileCipher) (complete bool, err error) {
	end := func(e fileEnd) {
		t.parted = stream.Send(encode(fileUp{Ended: e}), fileOpening) == nil && e == endedCancelled
	}
	count, plain := fileChunks(t.offer.Size), make([]byte, 0, crypto.FileChunk+64)
	for {
		frame, err := stream.Receive(fileIdle)
		if err != nil {
			return false, t.interrupted(end)
		}
		var down fileDown
		if decodeOne(frame, maxFileFrame, &down) != nil {
			end(endedWrong)
			return false, ErrFileContent
		}
		if down.Refused != 0 {
			return false, t.refused(down.Refused)
		}
		last := t.next+1 == count
		chunk, err := cipher.Open(plain[:0], t.next, last, down.Chunk)
		if err != nil || len(chunk) != chunkSize(t.offer.Size, t.next) { // FIL-5
			end(endedWrong)
			return false, ErrFileContent
		}
		if _, err := t.dst.WriteAt(chunk, int64(t.next)*crypto.FileChunk); err != nil {
			end(endedCancelled)
			return false, fmt.Errorf("meet: can't write the file: %w", err)
		}
		t.hash.Write(chunk)
		t.next++
		t.tell(FileRunning)
		if last {
			if t.wrong() {
				end(endedWrong)
			} else {
				end(endedComplete)
			}
			return true, nil
		}
		if stream.Send(encode(fileUp{Taken: t.next}), fileIdle) != nil {
			return false, t.interrupted(end)
		}
	}
}

// wrong says whether what came has another hash than was announced.
func (t *FileTransfer) wrong() bool {
	return subtle.ConstantTimeCompare(t.hash.Sum(nil), t.offer.Hash[:]) != 1 && !t.m.config.hooks.anyContent
}

// interrupted tells the sender why this side stops, if it is this side.
func (t *FileTransfer) interrupted(end func(fileEnd)) error {
	t.mu.Lock()
	paused := t.paused
	t.mu.Unlock()
	switch {
	case t.ctx.Err() != nil:
		end(endedCancelled)
		return context.Cause(t.ctx)
	case paused:
		end(endedPaused)
	default:
		t.tell(FileWaiting)
	}
	return nil
}

func (t *FileTransfer) refused(r fileRefusal) error {
	switch r {
	case refusedBusy:
		t.tell(FileWaiting)
		return nil
	case refusedUnreadable:
		return ErrFileUnreadable
	}
	return ErrFileGone
}

// tell notes how far it is, and reports it unless it did just now.
func (t *FileTransfer) tell(state FileState) {
	done := min(int64(t.next)*crypto.FileChunk, t.offer.Size)
	t.mu.Lock()
	t.taken, t.state = done, state
	t.mu.Unlock()
	now := time.Now()
	if state == t.said && now.Sub(t.told) < fileProgressEvery {
		return
	}
	t.said, t.told = state, now
	t.m.post(func() {
		peer, ok := t.m.memberByKey(t.offer.From.Key)
		if !ok {
			return
		}
		t.m.reportFile(&t.report, FileProgress{Offer: t.offer, Peer: peer, Done: done, State: state})
	})
}
