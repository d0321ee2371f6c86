package meet

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

const (
	// fileFirst is how long whoever opens a file stream may take to ask, fileIdle how long either side of a transfer may
	// be silent, or take no more.
	fileFirst = 10 * time.Second
	fileIdle  = 30 * time.Second
	// fileProgressEvery is how far apart reports of one transfer are.
	fileProgressEvery = 250 * time.Millisecond
)

// uploadKey names what is sent to whom.
type uploadKey struct {
	file FileID
	to   crypto.MeetingKey
}

// upload is a file on its way to one member, from the first request to the last. It belongs to the meeting's goroutine.
type upload struct {
	offer   FileOffer
	peer    Member
	current *sending // nil between two requests
	report  progressReport
}

func (u *upload) stop() {
	if u.current != nil {
		u.current.stream.Close()
	}
}

// sending is one request being answered.
type sending struct {
	m       *Meeting
	key     uploadKey
	offer   FileOffer
	content io.ReaderAt
	stream  *transport.FileStream
	cipher  *crypto.FileCipher
	from    uint64

	mu    sync.Mutex
	pace  pace
	sent  uint64 // chunks, counted from the file's first
	taken uint64
	at    [paceMax]time.Time // when each of the newest was sent
	ended bool
	wake  chan struct{}
}

// Error says why a file isn't sent.
func (r fileRefusal) Error() string { return "the request for a file was refused" }

// fileChunks counts the chunks of a file: an empty one has one, so that every transfer has a last.
func fileChunks(size int64) uint64 {
	return max(1, uint64((size+crypto.FileChunk-1)/crypto.FileChunk))
}

// chunkSize is how many bytes are in a chunk.
func chunkSize(size int64, index uint64) int {
	return int(min(crypto.FileChunk, size-int64(index)*crypto.FileChunk))
}

// serveFile answers one request for a file.
func (m *Meeting) serveFile(stream *transport.FileStream) {
	defer stream.Close()
	frame, err := stream.Receive(fileFirst)
	if err != nil {
		return
	}
	s, err := call(m.ctx, m, func() (*sending, error) { return m.fileAsked(stream, frame, time.Now()) })
	var refusal fileRefusal
	if errors.As(err, &refusal) {
		_ = stream.Send(encode(fileDown{Refused: refusal}), fileFirst)
	}
	if err == nil {
		s.run()
	}
}

var errNotAsked = errors.New("the first frame of a file stream isn't a request")

// fileAsked decides about a request (FIL-3).
func (m *Meeting) fileAsked(stream *transport.FileStream, frame []byte, now time.Time) (*sending, error) {
	p := m.peers[crypto.MeetingKey(stream.Peer())]
	if p == nil {
		return nil, errNotAsked
	}
	// FIL-4: only the member of this meeting key can have sealed it, and nobody can send it again.
	plain := m.unseal(p, frame, now)
	if plain == nil && m.config.hooks.anyRequest {
		plain = frame
	}
	var msg pairMessage
	if err := decodeOne(plain, maxPairMessage, &msg); err != nil || msg.FileAsk == nil {
		return nil, errNotAsked
	}
	ask := msg.FileAsk
	defer ask.Key.Wipe()
	peer, known := m.memberByKey(p.key)
	o := m.files.offers[ask.File]
	switch {
	case m.ending || m.watch.stopped || !p.limit.asks.allow(now, askBurst, askRate) && !m.config.hooks.noLimits:
		return nil, refusedBusy
	case o == nil || o.content == nil || !known || !m.allowedReader(p.key) || ask.From >= fileChunks(o.Size):
		return nil, refusedUnknown
	case !o.readers[peer.Identity] && !m.config.hooks.anyReader: // FIL-3
		return nil, refusedUnknown
	}
	if ask.Number <= o.asked[p.key] && !m.config.hooks.anyOrder { // FIL-13
		return nil, errNotAsked
	}
	o.asked[p.key] = ask.Number
	key := uploadKey{o.ID, p.key}
	u := m.files.uploads[key]
	if u == nil {
		u = &upload{offer: o.FileOffer}
	}
	u.stop() // the receiver knows that the last request came to nothing
	u.current = nil
	if all, each := m.files.underWay(p.key); (all >= maxUploads || each >= maxUploadsEach) && !m.config.hooks.noLimits {
		return nil, refusedBusy
	}
	cipher, err := ask.Key.Cipher(m.id, m.self.Key(), p.key, o.ID)
	if err != nil {
		return nil, errNotAsked
	}
	m.files.uploads[key] = u
	u.peer = peer
	u.current = &sending{
		m: m, key: key, offer: o.FileOffer, content: o.content, stream: stream, cipher: cipher, from: ask.From,
		pace: newPace(), sent: ask.From, taken: ask.From, wake: make(chan struct{}, 1),
	}
	m.uploadProgress(u, ask.From, FileRunning)
	return u.current, nil
}

// underWay counts what is being sent, in all and to one member.
func (f *files) underWay(to crypto.MeetingKey) (all, each int) {
	for key, u := range f.uploads {
		if u.current != nil {
			all++
			if key.to == to {
				each++
			}
		}
	}
	return all, each
}

// run sends until the file's end, or until the receiver has enough.
func (s *sending) run() {
	var end fileEnd
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		end = s.listen()
		s.mu.Lock()
		s.ended = true
		s.mu.Unlock()
		s.ring()
	}()
	var err error
	if s.join() {
		err = s.send()
	}
	s.m.files.uplink.leave(s)
	if err != nil {
		s.stream.Interrupt()
	}
	<-heard
	s.stream.Close()
	s.m.post(func() { s.m.uploadOver(s, end, err) })
}

func (s *sending) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// listen takes what the receiver says, until it ends the transfer, or 0 if it just goes.
func (s *sending) listen() fileEnd {
	var told time.Time
	for {
		frame, err := s.stream.Receive(fileIdle)
		if err != nil {
			return 0
		}
		var up fileUp
		if decodeOne(frame, maxFileReply, &up) != nil {
			return 0
		}
		if up.Ended != 0 {
			return up.Ended
		}
		now := time.Now()
		if !s.acknowledged(up.Taken, now) {
			return 0
		}
		if now.Sub(told) >= fileProgressEvery {
			told = now
			s.m.post(func() {
				if u := s.m.files.uploads[s.key]; u != nil && u.current == s {
					s.m.uploadProgress(u, up.Taken, FileRunning)
				}
			})
		}
	}
}

func (s *sending) acknowledged(taken uint64, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken <= s.taken || taken > s.sent {
		return false
	}
	s.taken = taken
	s.pace.acked(now, now.Sub(s.at[(taken-1)%paceMax]), s.m.files.uplink.met(s, s.pace.steady))
	s.ring()
	return true
}

// join waits until this file may begin beside others. It reports whether the transfer goes on.
func (s *sending) join() bool {
	for again := !s.m.config.hooks.noPacing; again; {
		var wait time.Duration
		wait, again = s.m.files.uplink.join(s, time.Now())
		s.sleep(wait)
		s.mu.Lock()
		ended := s.ended
		s.mu.Unlock()
		if ended || s.m.ctx.Err() != nil {
			return false
		}
	}
	return true
}

// turn waits until a chunk may be sent (FIL-9). It reports whether the transfer goes on.
func (s *sending) turn() bool {
	for first := true; ; first = false {
		hold := s.m.files.uplink.hold(s, time.Now())
		s.mu.Lock()
		ended := s.ended
		allowed := s.pace.allows(s.sent - s.taken)
		if first && s.sent == s.taken {
			hold = max(hold, s.pace.pause())
		}
		if s.m.config.hooks.noPacing {
			hold, allowed = 0, s.sent-s.taken < paceMax
		}
		s.mu.Unlock()
		switch {
		case ended:
			return false
		case hold > 0:
			s.sleep(hold)
		case allowed:
			return true
		default:
			<-s.wake // rung at the end, too
		}
	}
}

// sleep waits, at most for a second or so.
func (s *sending) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.m.ctx.Done():
	}
}

// send seals and sends chunks. The error is refusedUnreadable, or nil.
func (s *sending) send() error {
	count, plain, sealed := fileChunks(s.offer.Size), make([]byte, crypto.FileChunk), make([]byte, 0, crypto.FileChunk+64)
	for i := s.from; i < count && s.turn(); i++ {
		chunk := plain[:chunkSize(s.offer.Size, i)]
		if n, err := s.content.ReadAt(chunk, int64(i)*crypto.FileChunk); n < len(chunk) {
			s.m.log.Debug("an offered file can't be read", "error", err)
			_ = s.stream.Send(encode(fileDown{Refused: refusedUnreadable}), fileIdle)
			return refusedUnreadable
		}
		down := fileDown{Chunk: s.cipher.Seal(sealed[:0], i, i+1 == count, chunk)}
		if f := s.m.config.hooks.fileDown; f != nil {
			down = f(i, down)
		}
		s.mu.Lock()
		s.at[i%paceMax] = time.Now()
		s.sent = i + 1
		s.mu.Unlock()
		if s.stream.Send(encode(down), fileIdle) != nil {
			return nil // listen learns why
		}
	}
	return nil
}

// uploadOver notes how a request ended.
func (m *Meeting) uploadOver(s *sending, end fileEnd, err error) {
	u := m.files.uploads[s.key]
	if u == nil || u.current != s {
		return // dropped, or asked for anew
	}
	u.current = nil
	switch {
	case err != nil:
		m.dropUpload(s.key, u, ErrFileUnreadable)
	case end == endedComplete:
		m.dropUpload(s.key, u, nil)
	case end == endedCancelled:
		m.dropUpload(s.key, u, ErrFileCancelled)
	case end == endedWrong:
		m.dropUpload(s.key, u, ErrFileContent)
	case end == endedPaused:
		m.uploadProgress(u, s.taken, FilePaused)
	default:
		m.uploadProgress(u, s.taken, FileWaiting)
	}
}

// dropUpload ends what is sent to somebody, for good.
func (m *Meeting) dropUpload(key uploadKey, u *upload, err error) {
	u.stop()
	delete(m.files.uploads, key)
	u.report.over = true
	m.emit(FileDone{Offer: u.offer, Peer: u.peer, Sending: true, Err: err})
}

func (m *Meeting) uploadProgress(u *upload, chunks uint64, state FileState) {
	if peer, ok := m.memberByKey(u.peer.Key); ok {
		u.peer = peer
	}
	done := min(int64(chunks)*crypto.FileChunk, u.offer.Size)
	m.reportFile(&u.report, FileProgress{Offer: u.offer, Peer: u.peer, Sending: true, Done: done, State: state})
}

// progressReport holds back what is reported of a transfer too often.
type progressReport struct {
	at   time.Time
	due  bool // a timer runs
	over bool
	next FileProgress
}

func (m *Meeting) reportFile(r *progressReport, p FileProgress) {
	r.next = p
	if r.due || r.over {
		return
	}
	tell := func() {
		r.due = false
		if !r.over {
			r.at = time.Now()
			m.emit(r.next)
		}
	}
	if wait := fileProgressEvery - time.Since(r.at); wait > 0 {
		r.due = true
		m.after(wait, tell)
		return
	}
	tell()
}

// mayReceiveFrom says whether a member may send files, as this one sees it (ROS-22).
func (m *Meeting) mayReceiveFrom(k crypto.MeetingKey) bool {
	r := m.roster.ByMeetingKey(k)
	return r != nil && (m.roster.Policy.Allows(r.Role)&roster.Files != 0 || m.config.hooks.allPermitted)
}
