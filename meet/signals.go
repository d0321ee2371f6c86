package meet

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

const (
	// maxKeyFrameSignals bounds how many requests for key frames wait; more are dropped, as readers ask again.
	maxKeyFrameSignals = 256
	// streamsEvery is how far apart state announcements are: what STR-3 lets a receiver take.
	streamsEvery = announceRefill
)

// signals is how the media plane tells the meeting something. It never waits and needs little room: sources and the
// transport's readers call it, and the meeting's goroutine may at that moment wait for them to end.
type signals struct {
	wake    chan struct{} // has room for one
	streams *atomic.Bool

	*keyFrameSignals
}

type keyFrameSignals struct {
	mu     sync.Mutex
	wanted map[keyFrameSignal]struct{}
}

type keyFrameSignal struct {
	from   crypto.MeetingKey
	stream uint8
}

func newSignals() signals {
	return signals{make(chan struct{}, 1), new(atomic.Bool), &keyFrameSignals{wanted: map[keyFrameSignal]struct{}{}}}
}

func (s signals) ring() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look at everything in any case
	}
}

func (s signals) streamsChanged() {
	s.streams.Store(true)
	s.ring()
}

func (s signals) keyFrameWanted(from crypto.MeetingKey, stream uint8) {
	s.mu.Lock()
	if len(s.wanted) < maxKeyFrameSignals {
		s.wanted[keyFrameSignal{from, stream}] = struct{}{}
	}
	s.mu.Unlock()
	s.ring()
}

func (s signals) takeKeyFrames() map[keyFrameSignal]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wanted) == 0 {
		return nil // never the map that others write to
	}
	wanted := s.wanted
	s.wanted = map[keyFrameSignal]struct{}{}
	return wanted
}

// signalled acts on what the plane has to say.
func (m *Meeting) signalled() {
	if m.signals.streams.Swap(false) {
		m.streams.changed = true
		m.becameSender()
		m.announceStreams(time.Now())
		m.observeStates()
	}
	for k := range m.signals.takeKeyFrames() {
		m.sendTo(k.from, pairMessage{KeyFrame: &keyFrameRequest{Stream: k.stream}})
	}
}

// streamsDue is whether this member's streams have to be announced, and when they were last.
type streamsDue struct {
	changed bool
	waiting bool // a timer runs
	at      time.Time
}

// announceStreams tells everybody this member's state, after it changed (STR-1), at most eight times a second, since
// others ignore more (STR-3).
func (m *Meeting) announceStreams(now time.Time) {
	if !m.streams.changed || m.streams.waiting {
		return
	}
	if wait := streamsEvery - now.Sub(m.streams.at); wait > 0 {
		m.streams.waiting = true
		m.after(wait, func() {
			m.streams.waiting = false
			m.announceStreams(time.Now())
		})
		return
	}
	m.streams.changed, m.streams.at = false, now
	for _, p := range m.peers {
		m.sendStreams(p, false)
	}
}

// streamsWait is how long somebody new isn't told of streams while there is no media link to them.
const streamsWait = 3 * time.Second

// sendStreams tells a peer our state, if it wasn't told or again. It waits until what we send can reach the peer:
// else the beginning of each track would be lost after the peer was told of it.
func (m *Meeting) sendStreams(p *peer, again bool) {
	if m.streams.changed || m.signals.streams.Load() {
		return // it is told with the others, soon (STR-3)
	}
	a := m.plane.announce()
	if a == nil || !p.connected || !p.installed || !again && a.Number == p.told {
		return
	}
	if len(a.Streams) > 0 && !p.mediaUp && time.Since(p.addedAt) < streamsWait {
		if again {
			p.told = 0 // what it was told may be lost
		}
		return
	}
	p.told = a.Number
	m.stateTo(p, a)
	m.send(p, pairMessage{State: a})
}

// limiter is a token bucket: so many at once, then so many a second. Its zero value is full.
type limiter struct {
	used float64
	at   time.Time
}

func (l *limiter) allow(now time.Time, burst, perSecond float64) bool {
	return l.allowMany(now, 1, burst, perSecond)
}

func (l *limiter) allowMany(now time.Time, n int, burst, perSecond float64) bool {
	l.used = max(0, l.used-now.Sub(l.at).Seconds()*perSecond)
	l.at = now
	if l.used+float64(n) > burst {
		return false
	}
	l.used += float64(n)
	return true
}
