package meet

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// Audio levels (SPEC §7.3) are what senders say of their own sound, sealed with each packet (RFC 6464): nothing is
// decoded to check them. Here they are decibels from the loudest sound there is, so 0 is that and -127 is silence.
const (
	silence    = -127
	levelFresh = time.Second // a level older than this isn't known any more

	// How fast the smoothed level follows: up within a syllable, down across the pause between two words.
	levelAttack  = 50 * time.Millisecond
	levelRelease = 250 * time.Millisecond
	levelPacket  = 20 * time.Millisecond  // what the first packet after a gap counts as, and
	levelLongest = 100 * time.Millisecond // any other at most: after that, silence sets in
)

// levelMeter is a track's smoothed level. One goroutine at a time notes, any may read. Its zero value knows nothing.
type levelMeter struct {
	// state is the time of the last packet (Unix ms, 48 bits) and the smoothed level (-1/256 dB, 16 bits).
	state atomic.Uint64
}

// note takes a packet's level, the byte of RFC 6464. Its voice flag is passed over: browsers set it on every packet. The
// level moves with time, not with packets, so that many of them at once move it no further than one (LEV-1); each is
// taken at its word where raw. It allocates nothing.
func (l *levelMeter) note(b uint8, now time.Time, raw bool) {
	at, v := l.load()
	x, ms := -float64(b&0x7f), now.UnixMilli()
	elapsed := time.Duration(ms-at) * time.Millisecond
	if elapsed < 0 || elapsed > levelFresh {
		v, elapsed = silence, levelPacket
	}
	v = fading(v, elapsed)
	elapsed = min(elapsed, levelLongest)
	constant := levelRelease
	if x > v {
		constant = levelAttack
	}
	v += (x - v) * float64(elapsed) / float64(elapsed+constant)
	if raw {
		v = x
	}
	l.state.Store(uint64(ms)<<16 | uint64(math.Round(-v*256)))
}

// fading is what a level has become when nothing came for so long.
func fading(v float64, age time.Duration) float64 {
	if age <= levelLongest {
		return v
	}
	return v + (silence-v)*float64(age-levelLongest)/float64(age-levelLongest+levelRelease)
}

func (l *levelMeter) load() (at int64, level float64) {
	s := l.state.Load()
	return int64(s >> 16), -float64(s&0xffff) / 256
}

// level returns the smoothed level, if it is known.
func (l *levelMeter) level(now time.Time) (float64, bool) {
	at, v := l.load()
	age := time.Duration(now.UnixMilli()-at) * time.Millisecond
	if at == 0 || age < 0 || age > levelFresh {
		return silence, false
	}
	return fading(v, age), true
}

func (l *levelMeter) forget() { l.state.Store(0) }

// AudioLevel is how loud the track is at present, smoothed, in dBov: from -127, which is silence, to 0 (RFC 6464). It is
// what the sender says, and may be anything. It isn't known for video, for a muted track, and where the sender gives no
// levels or sent nothing for a second: what a file player sends has none.
func (t *RemoteTrack) AudioLevel() (dBov int, ok bool) {
	if t.muted.Load() {
		return 0, false
	}
	return rounded(t.level.level(t.plane.now()))
}

// AudioLevel is how loud the source is at present, as RemoteTrack.AudioLevel has it, also while nobody is there to hear
// it. It isn't known while the publication is muted.
func (pub *Publication) AudioLevel() (dBov int, ok bool) {
	if pub.muted.Load() {
		return 0, false
	}
	return rounded(pub.level.level(pub.plane.now()))
}

func rounded(v float64, ok bool) (int, bool) {
	if !ok {
		return 0, false
	}
	return int(math.Round(v)), true
}

// voiceLevel is how loud a member's microphone is at a moment.
type voiceLevel struct {
	member crypto.MeetingKey
	level  float64
	known  bool
}

// voices appends the members, this one included, who have a microphone that isn't muted. It allocates nothing if there is room.
func (p *plane) voices(all []voiceLevel) []voiceLevel {
	now := p.now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	self := voiceLevel{member: p.self.Key(), level: silence}
	there := false
	for _, pub := range p.out.live {
		if pub.source == SourceMicrophone && !pub.muted.Load() {
			there = true
			self.louder(&pub.level, now)
		}
	}
	if there {
		all = append(all, self)
	}
	for _, s := range p.senders {
		v, there := voiceLevel{member: s.key, level: silence}, false
		s.mu.Lock()
		for _, t := range s.live {
			if t.stream.Source == SourceMicrophone && !t.muted.Load() {
				there = true
				v.louder(&t.level, now)
			}
		}
		s.mu.Unlock()
		if there {
			all = append(all, v)
		}
	}
	return all
}

func (v *voiceLevel) louder(l *levelMeter, now time.Time) {
	if level, ok := l.level(now); ok {
		v.level, v.known = max(v.level, level), true
	}
}

// listening is what the meeting's goroutine does about voices.
type listening struct {
	speaker speaker
	running bool // a timer runs
	buffer  []voiceLevel
}

// listen samples voices every speakerInterval, as long as any level is known, and tells when another member speaks. It is called
// each second in any case.
func (m *Meeting) listen(now time.Time) {
	if !m.voices.running {
		m.sampleVoices(now)
	}
}

func (m *Meeting) sampleVoices(now time.Time) {
	l := &m.voices
	l.buffer = m.plane.voices(l.buffer[:0])
	if l.speaker.sample(now, l.buffer) {
		v, ok := m.activeSpeaker()
		m.emit(ActiveSpeaker{Member: v, OK: ok})
	}
	l.running = l.speaker.busy()
	if l.running {
		m.after(speakerInterval, func() { m.sampleVoices(time.Now()) })
	}
}

func (m *Meeting) activeSpeaker() (Member, bool) {
	if m.voices.speaker.current.IsZero() {
		return Member{}, false
	}
	return m.memberByKey(m.voices.speaker.current)
}

// ActiveSpeaker returns who speaks, perhaps this member, or false if nobody does, as far as senders say how loud they
// are: see the event ActiveSpeaker.
func (m *Meeting) ActiveSpeaker(ctx context.Context) (Member, bool, error) {
	type answer struct {
		v  Member
		ok bool
	}
	a, err := call(ctx, m, func() (answer, error) {
		v, ok := m.activeSpeaker()
		return answer{v, ok}, nil
	})
	return a.v, a.ok, err
}
