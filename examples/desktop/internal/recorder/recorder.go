package recorder

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/pion/rtp"
)

const (
	tick = 100 * time.Millisecond
	// maxPending bounds the packets that wait for the next tick.
	maxPending = 16 << 10
)

// Config says what a recording is written to.
type Config struct {
	// To is the file, empty. It is written from its beginning to its end, and then once more at the beginning.
	To io.WriterAt
	// KeyFrame asks the sender of a track for a key frame. It must neither wait nor call the Recorder.
	KeyFrame func(track string)
	// Failed is called once, from a goroutine of its own, when the file can't be written: nothing is any more.
	Failed func(error)
}

// Recorder makes a file. Its methods may be called from any goroutine.
type Recorder struct {
	config Config
	stop   chan struct{}
	tasks  sync.WaitGroup

	mu      sync.Mutex // held shortly: the media path waits for it
	pending []pendingPacket
	tracks  map[string]Track
	running bool
	resumed time.Time
	passed  time.Duration // on the timeline, until resumed

	work   sync.Mutex // held while the film works; taken before mu
	film   *film
	err    error
	closed bool
}

type pendingPacket struct {
	track string
	packet
}

// New begins a file. Nothing is recorded until Run.
func New(c Config) (*Recorder, error) {
	f, err := newFilm(c.To, c.KeyFrame)
	if err != nil {
		return nil, err
	}
	r := &Recorder{config: c, film: f, stop: make(chan struct{})}
	r.tasks.Go(r.ticks)
	return r, nil
}

// Live says which tracks are recorded, by a name of the caller's, from now on.
func (r *Recorder) Live(tracks map[string]Track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracks = tracks
}

// Write takes one packet of a track, and copies it. It never waits long. Packets of tracks that aren't live are
// dropped, and all while it doesn't run.
func (r *Recorder) Write(track string, header *rtp.Header, payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.tracks[track]; !r.running || !ok || len(r.pending) >= maxPending {
		return
	}
	r.pending = append(r.pending, pendingPacket{track, packet{
		header:  rtp.Header{Version: 2, Marker: header.Marker, SequenceNumber: header.SequenceNumber, Timestamp: header.Timestamp},
		payload: bytes.Clone(payload), arrived: r.now(),
	}})
}

// now is where we are on the timeline. r.mu is held.
func (r *Recorder) now() time.Duration {
	if !r.running {
		return r.passed
	}
	return r.passed + time.Since(r.resumed)
}

// Run lets it go on, or stops it: what comes after that isn't in the file.
func (r *Recorder) Run(on bool) {
	r.mu.Lock()
	was := r.running
	if on && !was {
		r.resumed = time.Now()
	}
	if !on {
		r.passed = r.now()
	}
	r.running = on
	r.mu.Unlock()
	if was && !on {
		r.turn(true)
	}
}

// Running reports whether it runs.
func (r *Recorder) Running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running
}

// Any reports whether there is anything in the recording yet.
func (r *Recorder) Any() bool {
	r.work.Lock()
	defer r.work.Unlock()
	return r.film.file.blocks > 0
}

func (r *Recorder) ticks() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if r.Running() {
				r.turn(false)
			}
		case <-r.stop:
			return
		}
	}
}

// turn gives the film what came. Pause: it stops here.
func (r *Recorder) turn(pause bool) {
	r.work.Lock()
	defer r.work.Unlock()
	r.mu.Lock()
	pending, tracks, now := r.pending, r.tracks, r.now()
	r.pending = nil
	again := pause && r.running // it goes on already
	r.mu.Unlock()
	if r.err != nil || r.closed {
		return
	}
	r.film.live(tracks)
	for _, p := range pending {
		if r.err == nil {
			r.err = r.film.take(p.track, p.packet)
		}
	}
	if r.err == nil && pause && !again {
		r.err = r.film.pause(now)
	} else if r.err == nil {
		r.err = r.film.advance(now, false)
	}
	if err := r.err; err != nil && r.config.Failed != nil {
		go r.config.Failed(err)
	}
}

// Close stops it and completes the file. It returns how long the recording is, and whether there is anything in it.
func (r *Recorder) Close() (time.Duration, bool, error) {
	r.Run(false)
	r.work.Lock()
	if r.closed {
		r.work.Unlock()
		return 0, false, nil
	}
	r.closed = true
	close(r.stop)
	if r.err == nil {
		r.err = r.film.finish()
	}
	err, any := r.err, r.film.file.blocks > 0
	r.work.Unlock()
	r.tasks.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passed, any, err
}
