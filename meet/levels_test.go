package meet

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// TestLevelMeter covers LEV-1: the level follows in time, whatever the number of packets and the voice flag.
func TestLevelMeter(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	var l levelMeter
	if _, ok := l.level(begin); ok {
		t.Error("known from nothing")
	}
	now := begin
	play := func(level uint8, every, d time.Duration) {
		for end := now.Add(d); now.Before(end); now = now.Add(every) {
			l.note(level, now, false)
		}
	}
	near := func(what string, want float64) {
		t.Helper()
		if v, ok := l.level(now); !ok || v < want-3 || v > want+3 {
			t.Errorf("%s: %v, %v, want about %v", what, v, ok, want)
		}
	}
	play(20, 20*time.Millisecond, 300*time.Millisecond)
	near("300 ms of speech", -20)
	play(0x80|20, 20*time.Millisecond, 300*time.Millisecond)
	near("the same with the voice flag", -20)
	play(60, 20*time.Millisecond, time.Second)
	near("a second of murmur", -60)
	play(20, 60*time.Millisecond, 300*time.Millisecond)
	near("speech in long packets", -20)
	play(0xff, 20*time.Millisecond, 2*time.Second)
	near("digital silence", -127)
	l.note(0, now, false)
	near("one loud packet", -90)
	now = now.Add(400 * time.Millisecond)
	if v, ok := l.level(now); !ok || v > -100 {
		t.Errorf("and nothing after it: %v, %v", v, ok)
	}
	now = now.Add(levelFresh)
	if _, ok := l.level(now); ok {
		t.Error("known though nothing came")
	}
	l.note(0, now, false)
	l.note(0, now.Add(-time.Hour), false) // a clock that was set back
	l.forget()
	if _, ok := l.level(now); ok {
		t.Error("not forgotten")
	}
	if n := testing.AllocsPerRun(100, func() { l.note(20, now, false); l.level(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestLevelsOfTracks: what a publication and its readers say, and LEV-1 against a burst, with its twin.
func TestLevelsOfTracks(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newStage(t)
		a, b := s.actor(), s.actor()
		a.off.levels, b.off.levels = off, off
		a.sendTo(b)
		track, pub, remote := a.show(b, webrtc.MimeTypeOpus)
		p := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: []byte("voice")}
		send := func(level int) {
			t.Helper()
			p.Header = rtp.Header{Version: 2, SequenceNumber: p.SequenceNumber + 1, Timestamp: p.Timestamp + 960}
			if level >= 0 {
				if err := p.SetExtension(AudioLevelExtension, []byte{byte(level)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := track.WriteRTP(p); err != nil {
				t.Fatal(err)
			}
		}
		send(-1)
		if _, ok := remote.AudioLevel(); ok {
			t.Error("known though none was sent")
		}
		for range 50 { // at one moment
			send(0)
		}
		burst, ok := remote.AudioLevel()
		if own, _ := pub.AudioLevel(); !ok || own != burst || (burst > -60) != off {
			t.Errorf("after a burst: %d, own %d (off: %v)", burst, own, off)
		}
		for range 30 {
			s.pass(20 * time.Millisecond)
			send(25)
		}
		if v, ok := remote.AudioLevel(); !ok || v < -27 || v > -25 {
			t.Errorf("%d, %v", v, ok)
		}
		if got := b.voices(nil); len(got) != 1 || got[0].member != a.key || !got[0].known || got[0].level < -27 {
			t.Errorf("%+v", got)
		}
		if got := a.voices(nil); len(got) != 1 || got[0].member != a.key || !got[0].known {
			t.Errorf("%+v", got)
		}
		pub.Mute(true)
		a.tell(b)
		_, ok = remote.AudioLevel()
		if _, own := pub.AudioLevel(); ok || own || len(b.voices(nil)) != 0 || len(a.voices(nil)) != 0 {
			t.Error("muted, it is known")
		}
		buffer := make([]voiceLevel, 0, 8)
		pub.Mute(false)
		if n := testing.AllocsPerRun(100, func() { buffer = a.voices(b.voices(buffer[:0])) }); n != 0 {
			t.Errorf("%v allocations to look at all", n)
		}
	}
}

// scene is a course of levels, for the speaker alone.
type scene struct {
	t     *testing.T
	s     speaker
	now   time.Time
	rng   *rand.Rand
	count int // changes
}

func newScene(t *testing.T) *scene {
	return &scene{t: t, now: time.Unix(1_800_000_000, 0), rng: rand.New(rand.NewPCG(1, 2))}
}

// pass lets members have these levels, by the first byte of their keys, for a time; nobody's is known at 1.
func (c *scene) pass(d time.Duration, levels map[byte]func(time.Duration) float64) {
	for at := time.Duration(0); at < d; at += speakerInterval {
		var all []voiceLevel
		for k, f := range levels {
			v := f(at)
			all = append(all, voiceLevel{member: crypto.MeetingKey{k}, level: min(v, 0), known: v <= 0})
		}
		if c.s.sample(c.now, all) {
			c.count++
		}
		c.now = c.now.Add(speakerInterval)
	}
}

func (c *scene) want(what string, k byte) {
	c.t.Helper()
	if c.s.current != (crypto.MeetingKey{k}) && !(k == 0 && c.s.current.IsZero()) {
		c.t.Errorf("%s: %x speaks, want %x", what, c.s.current[0], k)
	}
}

type level = func(time.Duration) float64

func constant(v float64) level { return func(time.Duration) float64 { return v } }

// speech goes up and down around a level, with a pause every two seconds.
func (c *scene) speech(v float64) level {
	return func(at time.Duration) float64 {
		if at%(2*time.Second) < 300*time.Millisecond {
			return v - 30
		}
		return v - 8*c.rng.Float64()
	}
}

// TestSpeaker covers LEV-2: who speaks becomes the speaker soon, stays it through pauses, and nothing flaps.
func TestSpeaker(t *testing.T) {
	c := newScene(t)
	quiet, voice := constant(-65), c.speech(-25)
	c.pass(time.Second, map[byte]level{1: quiet, 2: quiet})
	c.want("nobody", 0)
	c.pass(time.Second, map[byte]level{1: voice, 2: quiet})
	c.want("one speaks", 1)
	if c.count != 1 {
		t.Errorf("%d changes", c.count)
	}
	c.pass(20*time.Second, map[byte]level{1: voice, 2: quiet, 3: constant(1)})
	c.want("with pauses", 1)
	c.pass(150*time.Millisecond, map[byte]level{1: voice, 2: constant(-5)})
	c.pass(450*time.Millisecond, map[byte]level{1: voice, 2: quiet})
	c.want("a cough", 1)
	// Two who speak at once, equally loud: the first goes on.
	before := c.count
	c.pass(20*time.Second, map[byte]level{1: c.speech(-22), 2: c.speech(-22)})
	if n := c.count - before; n > 3 {
		t.Errorf("it changed %d times in 20 s", n)
	}
	c.pass(2*time.Second, map[byte]level{1: quiet, 2: voice})
	c.want("the other goes on", 2)
	c.pass(time.Second, map[byte]level{1: quiet, 2: quiet})
	c.want("a second of silence", 2)
	c.pass(time.Second, map[byte]level{1: quiet, 2: quiet})
	c.want("two seconds of silence", 0)
	c.pass(time.Second, map[byte]level{1: quiet, 2: voice})
	c.pass(150*time.Millisecond, map[byte]level{1: quiet})
	c.want("gone, or muted", 0)
	if len(c.s.floors) != 1 {
		t.Errorf("%d are remembered", len(c.s.floors))
	}
	// Somebody louder takes over, when the one before has had a second.
	c.pass(600*time.Millisecond, map[byte]level{1: constant(-45), 2: quiet})
	c.want("a soft voice", 1)
	c.pass(450*time.Millisecond, map[byte]level{1: constant(-45), 2: voice})
	c.want("not for a second yet", 1)
	c.pass(900*time.Millisecond, map[byte]level{1: constant(-45), 2: voice})
	c.want("somebody louder", 2)
	if c.pass(time.Second, nil); c.s.busy() || !c.s.current.IsZero() {
		t.Error("it is busy with nobody")
	}
}

// TestSpeakerHostile covers LEV-2: who claims the loudest level without end isn't the speaker for long, nor heard before
// others. The twins are.
func TestSpeakerHostile(t *testing.T) {
	for _, off := range []bool{false, true} {
		c := newScene(t)
		c.s.off.floor = off
		voice := c.speech(-28)
		liar := map[byte]level{1: voice, 9: constant(0)}
		c.pass(45*time.Second, liar)
		held := time.Duration(0)
		for range 400 {
			c.pass(speakerInterval, liar)
			if c.s.current == (crypto.MeetingKey{9}) {
				held += speakerInterval
			}
		}
		if (held > 0) != off {
			t.Errorf("floor off: %v; it was the speaker for %v of a minute", off, held)
		}
	}
	for _, off := range []bool{false, true} {
		c := newScene(t)
		c.s.off.cap = off
		c.pass(3*time.Second, map[byte]level{1: c.speech(-12), 9: constant(-65)})
		// A liar who goes up and down like a voice, as loud as can be, against an honest loud voice.
		c.pass(5*time.Second, map[byte]level{1: func(time.Duration) float64 { return -14 - 4*c.rng.Float64() }, 9: func(time.Duration) float64 { return -3 * c.rng.Float64() }})
		if (c.s.current == crypto.MeetingKey{9}) != off {
			t.Errorf("cap off: %v; %x speaks", off, c.s.current[0])
		}
	}
}

// BenchmarkLevel is what a level costs on the media path, and what a sample of 100 members costs.
func BenchmarkLevel(b *testing.B) {
	var l levelMeter
	now := time.Now()
	b.Run("packet", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.note(20, now, false)
		}
	})
	var s speaker
	voices := make([]voiceLevel, 100)
	for i := range voices {
		voices[i] = voiceLevel{member: crypto.MeetingKey{byte(i + 1)}, level: -30, known: true}
	}
	b.Run("sample of 100", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.sample(now, voices)
		}
	})
}
