package meet

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/huisclos/huisclos/roster"
	"github.com/pion/webrtc/v4"
)

func opusStream(n uint8) stream {
	return streamOf(n, SourceMicrophone, false, audioCodecs[0])
}

// announced is a signed announcement of a's.
func (a *actor) announced(number uint64, streams ...stream) *stateAnnounce {
	an := &stateAnnounce{Number: number, Streams: streams}
	an.sign(a.incarn)
	return an
}

// TestStreamsSigned: only the author can say what it sends, and only in this meeting (STR-1).
func TestStreamsSigned(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newStage(t)
		a, b, c := s.actor(), s.actor(), s.actor()
		b.off.signature = off
		a.sendTo(b)
		forgeries := map[string]*stateAnnounce{
			"signed by another":        c.announced(1, opusStream(16)),
			"changed after it":         a.announced(2, opusStream(16)),
			"numbered after it":        a.announced(3, opusStream(16)),
			"signed nowhere":           {Number: 4, Streams: []stream{opusStream(16)}},
			"signed for other meeting": {Number: 5, Streams: []stream{opusStream(16)}},
		}
		forgeries["changed after it"].Streams[0].Source = SourceScreenAudio
		forgeries["numbered after it"].Number = 1000
		sig := a.incarn.Sign(labelState, make([]byte, 32), a.key[:], encode(&stateAnnounce{Number: 5, Streams: []stream{opusStream(16)}}))
		forgeries["signed for other meeting"].Signature = &sig
		for name, f := range forgeries {
			_, _, _, err := b.acceptState(a.key, f)
			if refused := errors.Is(err, errStateSignature); refused == off && !errors.Is(err, errStateStale) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(b.tracks()); !off && n != 0 || off && n == 0 {
			t.Errorf("%d tracks", n)
		}
	}
}

// TestStreamsOrder: an older announcement undoes nothing (STR-1).
func TestStreamsOrder(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newStage(t)
		a, b := s.actor(), s.actor()
		b.off.number = off
		a.sendTo(b)
		muted := opusStream(16)
		muted.Muted = true
		open, closed := a.announced(1, opusStream(16)), a.announced(2, muted)
		for i, an := range []*stateAnnounce{open, closed, closed, open} {
			_, _, changed, err := b.acceptState(a.key, an)
			if i == 2 && (err != nil || changed != nil) {
				t.Fatalf("the same again: %v", err)
			}
			if i == 3 && !off && err != errStateStale {
				t.Fatalf("an old one: %v", err)
			}
		}
		if b.tracks()[0].Muted() == off {
			t.Fatal("the old announcement decided") // or, in the twin, did not
		}
	}
}

// acceptsOnly says whether an announcement of these streams is good: only then it is taken. The twin, without the limits,
// takes a bad one.
func acceptsOnly(t *testing.T, name string, good bool, streams []stream) {
	t.Helper()
	_, a, b := onStage(t)
	_, _, _, err := b.acceptState(a.key, a.announced(1, streams...))
	if good != (err == nil) || err != nil && err != errStateMalformed {
		t.Errorf("%s: %v", name, err)
	}
	if b.off.limits = true; !good {
		if _, _, _, err := b.acceptState(a.key, a.announced(2, streams...)); err != nil {
			t.Errorf("%s, without the limits: %v", name, err)
		}
	}
}

// TestStreamsLimits covers STR-2.
func TestStreamsLimits(t *testing.T) {
	change := func(f func(*stream)) []stream {
		s := opusStream(16)
		f(&s)
		return []stream{s}
	}
	camera := streamOf(17, SourceCamera, false, videoCodecs[0])
	many := func(n int) (all []stream) {
		for i := range n {
			all = append(all, opusStream(uint8(16+i)))
		}
		return all
	}
	for name, c := range map[string]struct {
		streams []stream
		good    bool
	}{
		"good":                {many(maxStreams), true},
		"none":                {nil, true},
		"camera":              {[]stream{camera}, true},
		"mime in capitals":    {change(func(s *stream) { s.MimeType = "AUDIO/OPUS" }), true},
		"longest format":      {change(func(s *stream) { s.Format = strings.Repeat("x", maxCodecText) }), true},
		"too many":            {many(maxStreams + 1), false},
		"twice":               {[]stream{opusStream(16), opusStream(16)}, false},
		"message stream":      {[]stream{opusStream(15)}, false},
		"no source":           {change(func(s *stream) { s.Source = 0 }), false},
		"unknown source":      {change(func(s *stream) { s.Source = 5 }), false},
		"video as microphone": {change(func(s *stream) { s.MimeType = "video/VP8" }), false},
		"audio as camera":     {change(func(s *stream) { s.Source = SourceCamera }), false},
		"no name":             {change(func(s *stream) { s.MimeType = "audio/" }), false},
		"long name":           {change(func(s *stream) { s.MimeType = "audio/" + strings.Repeat("x", maxCodecText) }), false},
		"long format":         {change(func(s *stream) { s.Format = strings.Repeat("x", maxCodecText+1) }), false},
		"line in format":      {change(func(s *stream) { s.Format = "a\r\na=evil" }), false},
		"slow clock":          {change(func(s *stream) { s.ClockRate = 7999 }), false},
		"fast clock":          {change(func(s *stream) { s.ClockRate = 192_001 }), false},
		"many channels":       {change(func(s *stream) { s.Channels = 9 }), false},
		"video clock":         {func() []stream { v := camera; v.ClockRate = 1000; return []stream{v} }(), false},
		"video channels":      {func() []stream { v := camera; v.Channels = 1; return []stream{v} }(), false},
	} {
		acceptsOnly(t, name, c.good, c.streams)
	}
	_, a, b := onStage(t)
	if _, _, _, err := b.acceptState(a.key, a.announced(0)); err == nil {
		t.Error("number 0 was taken")
	}
	if raw := encode(pairMessage{State: a.announced(1<<63, many(maxStreams)...)}); len(raw) > maxPairMessage {
		t.Errorf("%d bytes", len(raw))
	}
}

// TestStreamsRate: a member can't keep others busy with verifying and with tracks that come and go (STR-3).
func TestStreamsRate(t *testing.T) {
	play := func(off bool) (taken int) {
		s := newStage(t)
		a, b := s.actor(), s.actor()
		b.off.rate = off
		a.sendTo(b)
		for i := range uint64(200) {
			if _, _, _, err := b.acceptState(a.key, a.announced(i+1, opusStream(uint8(16+i%2)))); err == nil {
				taken++
			}
			if i == 100 {
				s.pass(3*announceRefill + time.Millisecond)
			}
		}
		return taken
	}
	if n := play(false); n != announceBurst+3 {
		t.Errorf("%d announcements were taken", n)
	}
	if n := play(true); n != 200 {
		t.Errorf("%d announcements were taken without the limit", n)
	}
}

// TestStreamsChange: what becomes of tracks when announcements change.
func TestStreamsChange(t *testing.T) {
	_, a, b := onStage(t)
	step := func(number uint64, streams ...stream) (added, removed, changed []*RemoteTrack) {
		t.Helper()
		added, removed, changed, err := b.acceptState(a.key, a.announced(number, streams...))
		if err != nil {
			t.Fatal(err)
		}
		return added, removed, changed
	}
	added, _, _ := step(1, opusStream(18), opusStream(16))
	if len(added) != 2 || added[0].Stream() != 16 || added[1].Stream() != 18 || added[0].ID() == added[1].ID() {
		t.Fatalf("added %v", added)
	}
	kept := added[0]
	other := opusStream(18)
	other.Format = "stereo=1"
	added, removed, changed := step(2, opusStream(16), other)
	if len(added) != 1 || len(removed) != 1 || len(changed) != 0 || added[0].ID() == removed[0].ID() {
		t.Fatalf("added %v, removed %v, changed %v", added, removed, changed)
	}
	if all := b.tracks(); len(all) != 2 || all[0] != kept || all[1] != added[0] {
		t.Fatalf("%v", all)
	}
	// A number that means something else from now on is another track, even if the permission is the same.
	screen := opusStream(16)
	screen.Source = SourceScreenAudio
	if added, removed, _ = step(3, screen, other); len(added) != 1 || len(removed) != 1 || removed[0] != kept {
		t.Fatalf("added %v, removed %v", added, removed)
	}
	b.setPermissions(a.key, roster.Audio)
	if _, removed, _ = step(4, screen); len(removed) != 1 || len(b.tracks()) != 0 {
		t.Fatalf("removed %v", removed)
	}
}

func TestAnnounce(t *testing.T) {
	s, a, b := onStage(t)
	if a.plane.announce() != nil || a.publishes() {
		t.Fatal("something to announce")
	}
	_, pub, _ := a.show(b, webrtc.MimeTypeOpus)
	first := a.plane.announce()
	if first != a.plane.announce() || first.Number != 1 || !a.publishes() {
		t.Fatal("announced anew without need")
	}
	pub.Mute(true)
	if a.plane.announce().Number != 2 {
		t.Fatal("not announced anew")
	}
	if err := pub.Close(); err != nil {
		t.Fatal(err)
	}
	last := a.plane.announce()
	if last.Number != 3 || len(last.Streams) != 0 || a.publishes() {
		t.Fatalf("%+v", last)
	}
	if pub.Mute(false); a.plane.announce() != last {
		t.Fatal("a closed publication is announced")
	}
	// What is signed goes through the encoder unchanged.
	var again stateAnnounce
	if err := codec.Unmarshal(encode(first), maxPairMessage, &again); err != nil || !again.verify(s.meeting, a.key) {
		t.Fatalf("%v", err)
	}
}

func TestSources(t *testing.T) {
	for source, permission := range map[Source]Permissions{
		SourceMicrophone: roster.Audio, SourceCamera: roster.Video, SourceScreen: roster.Screen, SourceScreenAudio: roster.Screen, 0: 0, 9: 0,
	} {
		if source.permission() != permission || source.String() == "" {
			t.Errorf("%v needs %v", source, source.permission())
		}
	}
}

func TestCodecOf(t *testing.T) {
	for _, c := range append(sendCodecs(webrtc.RTPCodecTypeAudio), sendCodecs(webrtc.RTPCodecTypeVideo)...) {
		source := SourceCamera
		if strings.HasPrefix(c.MimeType, "audio/") {
			source = SourceMicrophone
		}
		s := streamOf(16, source, false, c)
		if got := codecOf(s); got.PayloadType != c.PayloadType || !s.valid() {
			t.Errorf("%s %s: payload type %d", c.MimeType, c.SDPFmtpLine, got.PayloadType)
		}
		s.Format = "x=1"
		if got := codecOf(s); got.PayloadType > 127 || got.PayloadType == otherVideoPayloadType || got.SDPFmtpLine != "x=1" {
			t.Errorf("%s: payload type %d", c.MimeType, got.PayloadType)
		}
	}
	if got := codecOf(stream{Source: SourceCamera, MimeType: "video/next", ClockRate: videoClock}); got.PayloadType != otherVideoPayloadType {
		t.Errorf("payload type %d", got.PayloadType)
	}
}

// FuzzAcceptState: whatever a member announces, signed, tracks are within the limits and the encoder's inverse holds.
func FuzzAcceptState(f *testing.F) {
	s := newStage(f)
	a := s.actor()
	f.Add(encode(a.announced(1, opusStream(16), streamOf(17, SourceScreen, true, videoCodecs[3]))))
	f.Add(encode(a.announced(2, opusStream(3))))
	f.Add(encode(a.announced(3)))
	all := &stateAnnounce{
		Number: 4, Hand: 1, Recording: &recordingState{ID: RecordingID{1}, Running: true, Since: 2}, Consents: []consent{{Recorder: a.key, ID: RecordingID{3}}},
	}
	all.sign(a.incarn)
	f.Add(encode(all))
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var an stateAnnounce
		if codec.Unmarshal(data, maxPairMessage, &an) != nil {
			return
		}
		if !bytes.Equal(encode(&an), data) {
			t.Fatal("two encodings of one announcement")
		}
		b := newStage(t).actor()
		b.addSender(a.key)
		b.setPermissions(a.key, roster.AllPermissions)
		if _, _, _, err := b.acceptState(a.key, &an); err == nil && !an.verify(s.meeting, a.key) {
			t.Fatal("an announcement that nobody signed was taken")
		}
		b.removeSender(a.key)
		b.addSender(a.key)
		b.setPermissions(a.key, roster.AllPermissions)
		an.sign(a.incarn)
		added, _, _, err := b.acceptState(a.key, &an)
		if err != nil {
			if len(b.tracks()) != 0 {
				t.Fatal("refused, and taken")
			}
			return
		}
		if len(added) != len(an.Streams) || len(added) > maxStreams {
			t.Fatalf("%d tracks of %d streams", len(added), len(an.Streams))
		}
		for _, track := range added {
			if track.Stream() < crypto.FirstMediaStream || track.Kind() == webrtc.RTPCodecTypeUnknown || track.PayloadType() > 127 {
				t.Fatalf("%+v", track.stream)
			}
		}
		b.close()
	})
}
