package recorder

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/huisclos/huisclos/examples/internal/mediafile"
)

const (
	// delay is how long sound waits for all of it to come: longer than patience.
	delay = 1200 * time.Millisecond
	// keyFrameEvery is how far apart key frames are at most, if the sender obeys: players seek to them.
	keyFrameEvery = 10 * time.Second
	askEvery      = time.Second
	// turn is how long somebody is shown at least.
	turn = 2 * time.Second
	// audible is the least energy of somebody who speaks, and louder is by how much another must be to be shown.
	audible, louder = 1e-4, 4.0
	videoRate       = 90_000
	maxTracks       = 256
	// patient is how long, in ms, the last picture stays while another is to come.
	patient = 3000
)

// videoCodecs are those a WebM file may have and every browser plays, by MIME type in lower case.
var videoCodecs = map[string]string{"video/vp8": "V_VP8", "video/vp9": "V_VP9"}

// Track says what is recorded under a name.
type Track struct {
	Member   string
	Source   string // microphone, camera, screen, screenAudio
	MimeType string
}

// picture is one video track.
type picture struct {
	order
	clock
	frames *mediafile.Pictures
	codec  string
	asked  time.Duration
	now    packet // whose frame is given
}

// film is the recording. It has neither clock nor goroutine: times are those on the timeline of the file, and one
// goroutine at a time uses it.
type film struct {
	file     *webm
	mix      *mixer
	keyFrame func(track string)
	tracks   map[string]Track
	voices   map[string]*voice
	pictures map[string]*picture

	shown    string // the track in the picture, empty: none, or black
	since    time.Duration
	keyAt    time.Duration // of the newest key frame
	speaker  string        // member
	waiting  []block       // pictures to come
	lastShow int64         // ms of the newest picture
	black    bool
}

func newFilm(to io.WriterAt, keyFrame func(string)) (*film, error) {
	w, err := newWebM(to)
	if err != nil {
		return nil, err
	}
	m, err := newMixer()
	if err != nil {
		return nil, err
	}
	w.preSkip = m.encoder.Lookahead()
	return &film{file: w, mix: m, keyFrame: keyFrame, tracks: map[string]Track{}, voices: map[string]*voice{}, pictures: map[string]*picture{}, lastShow: -1}, nil
}

// live says which tracks there are.
func (f *film) live(tracks map[string]Track) {
	f.tracks = tracks
	for id := range f.pictures {
		if _, ok := tracks[id]; !ok {
			delete(f.pictures, id)
		}
	}
	if _, ok := tracks[f.shown]; !ok {
		f.shown = ""
	}
	for id, v := range f.voices {
		if _, ok := tracks[id]; !ok && len(v.held) == 0 {
			delete(f.voices, id)
		}
	}
}

// take takes a packet.
func (f *film) take(id string, p packet) error {
	t, ok := f.tracks[id]
	if !ok || len(f.voices)+len(f.pictures) >= maxTracks {
		return nil
	}
	if strings.EqualFold(t.MimeType, "audio/opus") {
		v := f.voices[id]
		if v == nil {
			var err error
			if v, err = newVoice(); err != nil {
				return err
			}
			f.voices[id] = v
		}
		v.add(p)
		return nil
	}
	codec := videoCodecs[strings.ToLower(t.MimeType)]
	if codec == "" || f.file.videoCodec != "" && codec != f.file.videoCodec {
		return nil
	}
	v := f.pictures[id]
	if v == nil {
		v = &picture{codec: codec, clock: clock{rate: videoRate}, asked: -askEvery}
		v.frames = mediafile.NewPictures(t.MimeType, func(m mediafile.Picture) error { f.frame(id, v, m); return nil })
		f.pictures[id] = v
	}
	v.add(p)
	return nil
}

// advance writes what is due. With all, everything that came.
func (f *film) advance(now time.Duration, all bool) error {
	for _, v := range f.voices {
		for {
			p, lost, ok := v.take(now, all)
			if !ok {
				break
			}
			v.decode(p, lost, f.mix)
		}
		v.silent()
	}
	f.choose(now)
	for _, v := range f.pictures {
		for {
			p, lost, ok := v.take(now, all)
			if !ok {
				break
			}
			v.now = p
			if err := v.frames.Packet(&p.header, p.payload, lost); err != nil {
				return err
			}
		}
	}
	f.blacken(now)
	to := now
	if !all {
		to -= delay
	}
	if to <= 0 {
		return nil
	}
	return f.write(int64(to) / 1000 * sampleRate / 1_000_000)
}

// write writes everything before a sample of sound.
func (f *film) write(to int64) error {
	slices.SortStableFunc(f.waiting, func(a, b block) int { return int(a.at - b.at) })
	next := func(before int64) error {
		for len(f.waiting) > 0 && f.waiting[0].at <= before {
			if err := f.file.write(f.waiting[0]); err != nil {
				return err
			}
			f.waiting = f.waiting[1:]
		}
		return nil
	}
	err := f.mix.advance(to, func(b block) error {
		if err := next(b.at); err != nil {
			return err
		}
		return f.file.write(b)
	})
	if err != nil {
		return err
	}
	return next(f.mix.done * 1000 / sampleRate)
}

// frame takes a whole picture.
func (f *film) frame(id string, v *picture, m mediafile.Picture) {
	at := v.place(m.Timestamp, v.now.arrived) * 1000 / videoRate
	if f.shown != id {
		if f.wanted() != id || !m.Key {
			return
		}
		f.shown, f.since = id, v.now.arrived
	}
	if m.Key {
		f.keyAt = v.now.arrived
		if f.file.videoCodec == "" {
			f.file.videoCodec = v.codec
		}
		if int(m.Width)*int(m.Height) > int(f.file.width)*int(f.file.height) {
			f.file.width, f.file.height = m.Width, m.Height
		}
	}
	f.show(block{track: videoTrack, at: at, key: m.Key, data: slices.Clone(m.Data)})
	f.black = false
}

// show has a picture written when its time comes: not before what is written, nor before another.
func (f *film) show(b block) {
	b.at = max(b.at, f.lastShow+1, f.mix.done*1000/sampleRate)
	f.lastShow = b.at
	f.waiting = append(f.waiting, b)
}

// choose finds who speaks, and asks for a key frame of what is to be shown.
func (f *film) choose(now time.Duration) {
	energy := map[string]float64{}
	for id, v := range f.voices {
		if t := f.tracks[id]; t.Source == "microphone" {
			energy[t.Member] = max(energy[t.Member], v.energy)
		}
	}
	best := f.speaker
	for member, e := range energy {
		if e > audible && e > louder*energy[f.speaker] && e > energy[best] {
			best = member
		}
	}
	if now-f.since >= turn || f.shown == "" {
		f.speaker = best
	}
	id := f.wanted()
	v := f.pictures[id]
	if v == nil || now-v.asked < askEvery {
		return
	}
	if id != f.shown || v.frames.NeedsKeyFrame() || now-f.keyAt >= keyFrameEvery {
		v.asked = now
		f.keyFrame(id)
	}
}

// wanted is the track that should be in the picture: a screen, else whoever speaks, else who is in it, else anybody.
func (f *film) wanted() string {
	best, worth := "", 0
	for id, v := range f.pictures {
		if f.file.videoCodec != "" && v.codec != f.file.videoCodec {
			continue
		}
		t, w := f.tracks[id], 1
		switch {
		case t.Source == "screen":
			w = 5
		case t.Member == f.speaker:
			w = 3
		}
		if id == f.shown {
			w++
		}
		if w > worth || w == worth && id < best {
			best, worth = id, w
		}
	}
	return best
}

// blacken shows that nobody sends a picture.
func (f *film) blacken(now time.Duration) {
	at := int64(now / time.Millisecond)
	if f.shown == "" && !f.black && f.file.videoCodec != "" && (f.wanted() == "" || at-f.lastShow > patient) {
		f.black = true
		f.show(block{track: videoTrack, at: at, key: true, data: blackFrames[f.file.videoCodec]})
	}
}

// pause writes what came, and forgets where everybody was: after it the file goes on at once.
func (f *film) pause(now time.Duration) error {
	err := f.advance(now, true)
	f.voices, f.pictures = map[string]*voice{}, map[string]*picture{}
	f.shown = ""
	return err
}

// finish completes the file.
func (f *film) finish() error {
	for _, b := range f.waiting {
		if err := f.file.write(b); err != nil {
			return err
		}
	}
	f.waiting = nil
	return f.file.finish(max(f.mix.done*1000/sampleRate, f.file.last+1))
}
