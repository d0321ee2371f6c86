package meet

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/sframe"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// The first two bytes of a VP8 packet that begins a frame.
var vp8Key, vp8Delta = []byte{0x10, 0x00}, []byte{0x10, 0x01}

// simulcast is a camera in several layers.
type simulcast struct {
	t       testing.TB
	a       *actor
	pub     *Publication
	sources []*source
}

func (a *actor) simulcast(layers int) *simulcast {
	a.stage.t.Helper()
	c := &simulcast{t: a.stage.t, a: a}
	var tracks []webrtc.TrackLocal
	for i := range layers {
		track := localTrack(c.t, webrtc.MimeTypeVP8)
		tracks = append(tracks, track)
		c.sources = append(c.sources, &source{t: c.t, track: track, seq: uint16(i), time: uint32(1000 * i)})
	}
	pub, err := a.publish(tracks, PublishOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.pub = pub
	return c
}

// frame writes a frame of one packet in each layer, key frames in those named, as the encoder of a camera does. Its
// third byte is the layer, and its size doubles with each.
func (c *simulcast) frame(key ...int) {
	c.t.Helper()
	for i, s := range c.sources {
		head := vp8Delta
		if slices.Contains(key, i) {
			head = vp8Key
		}
		s.write(append(slices.Clone(head), append([]byte{byte(i)}, make([]byte, 100<<i)...)...)...)
	}
}

// asked takes the requests for key frames that the source got, by layer.
func (c *simulcast) asked() (all []int) {
	for i, l := range c.pub.layers {
		select {
		case <-l.bound.rtcp:
			all = append(all, i)
		default:
		}
	}
	return all
}

// pass lets frames pass, 20 a second, with layers chosen in between, and gives key frames for which it is asked.
func (c *simulcast) pass(d time.Duration, target func(transport.PeerKey) int) {
	c.t.Helper()
	for i := range int(d / (50 * time.Millisecond)) {
		c.a.stage.pass(50 * time.Millisecond)
		if i%5 == 0 {
			c.a.chooseLayers(c.a.stage.clock(), target)
		}
		c.frame(c.asked()...)
	}
}

func (c *simulcast) members() (n []int) {
	for _, l := range c.pub.Layers() {
		n = append(n, l.Members)
	}
	return n
}

func everything(transport.PeerKey) int { return 0 }

// layersOf are the layers of packets that frame made, one after the other.
func layersOf(packets []*rtp.Packet) (all []int) {
	for _, p := range packets {
		all = append(all, int(p.Payload[2]))
	}
	return slices.Compact(all)
}

// continuous fails unless packets go on without a gap, in number and in time.
func continuous(t testing.TB, packets []*rtp.Packet) {
	t.Helper()
	for i := 1; i < len(packets); i++ {
		before, p := packets[i-1], packets[i]
		if p.SequenceNumber != before.SequenceNumber+1 || p.Timestamp-before.Timestamp-1 > videoClock {
			t.Fatalf("packet %d: number %d after %d, time %d after %d", i, p.SequenceNumber, before.SequenceNumber, p.Timestamp, before.Timestamp)
		}
		if p.Payload[2] != before.Payload[2] && p.Payload[1]&1 != 0 {
			t.Fatalf("packet %d: layer %d doesn't begin with a key frame", i, p.Payload[2])
		}
	}
	if len(packets) > 0 && packets[0].Payload[1]&1 != 0 {
		t.Fatal("it doesn't begin with a key frame")
	}
}

// TestLayers: each reader gets one layer at a time, by what its link carries, changes at key frames, and sees one picture
// that goes on; what nobody gets isn't sealed. Checks: LAY-2.
func TestLayers(t *testing.T) {
	s := newStage(t)
	a, b, c := s.actor(), s.actor(), s.actor()
	a.sendTo(b, c)
	camera := a.simulcast(3)
	atB, _, _ := a.tell(b)
	atC, _, _ := a.tell(c)
	if len(atB) != 1 || len(atC) != 1 || a.plane.announce().Streams[0].Layers == nil {
		t.Fatalf("%d tracks", len(atB))
	}
	camera.frame() // nothing to begin with
	if len(a.sent) != 0 {
		t.Fatal("sent what nobody can begin with")
	}
	camera.frame(0, 1, 2)
	if len(a.sent) != 1 || !slices.Equal(camera.members(), []int{2, 0, 0}) {
		t.Fatalf("sealed %d times for %v", len(a.sent), camera.members())
	}
	thin := func(k transport.PeerKey) int {
		if k == transport.PeerKey(b.key) {
			return 30_000
		}
		return 1_000_000
	}
	camera.pass(10*time.Second, thin)
	if !slices.Equal(camera.members(), []int{1, 0, 1}) {
		t.Fatalf("members %v of layers %+v", camera.members(), camera.pub.Layers())
	}
	sealed := camera.pub.Layers()[1].Packets
	camera.pass(5*time.Second, thin)
	if n := camera.pub.Layers()[1].Packets; n != sealed {
		t.Fatal("a layer that nobody gets was sealed")
	}
	camera.pass(5*time.Second, everything)
	if !slices.Equal(camera.members(), []int{0, 0, 2}) {
		t.Fatalf("members %v", camera.members())
	}
	gotB, gotC := drain(t, atB[0]), drain(t, atC[0])
	continuous(t, gotB)
	continuous(t, gotC)
	if !slices.Equal(layersOf(gotB), []int{0, 2}) || !slices.Equal(layersOf(gotC), []int{0, 2}) {
		t.Fatalf("layers %v and %v", layersOf(gotB), layersOf(gotC))
	}
	for _, remote := range []*RemoteTrack{atB[0], atC[0]} {
		if st := remote.Stats(); st.Layer != 3 || st.Layers != 3 || st.Lost != 0 || st.Dropped != 0 || st.Packets < 400 {
			t.Fatalf("%+v", st)
		}
	}
	st, sum := camera.pub.Stats(), LayerStats{}
	for _, l := range camera.pub.Layers() {
		sum.Packets, sum.Bytes, sum.Frames = sum.Packets+l.Packets, sum.Bytes+l.Bytes, sum.Frames+l.Frames
	}
	if sum.Packets != st.Packets || sum.Bytes != st.Bytes || sum.Frames != st.Frames || int(st.Packets) != len(a.sent) {
		t.Fatalf("%+v, layers %+v, sealed %d", st, sum, len(a.sent))
	}

	// The twin: all is sealed, for all.
	a.off.allLayers = true
	sent := len(a.sent)
	camera.frame()
	if len(a.sent) != sent+3 {
		t.Fatal("the twin has the protection")
	}
}

// TestLayersNonce: every layer has its own stream, so that no (KID, counter) is used twice, whatever the layers number
// their packets. In the twin they have one; then what the other numbered alike is taken for a repetition, and is lost.
// Checks: LAY-1, KEY-1.
func TestLayersNonce(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newStage(t)
		a, b := s.actor(), s.actor()
		a.off.oneStream, a.off.allLayers, a.off.numbering = off, true, true
		a.sendTo(b)
		camera := a.simulcast(2)
		for range 100 {
			camera.sources[1].seq = camera.sources[0].seq // the worst that sources can do
			camera.frame(0, 1)
		}
		used := map[[2]uint64]bool{}
		for _, packet := range a.sent {
			h, _, err := sframe.ParseHeader(packet[1:])
			if err != nil {
				t.Fatal(err)
			}
			if used[[2]uint64{h.KID, h.CTR}] {
				t.Fatal("a nonce was used twice")
			}
			used[[2]uint64{h.KID, h.CTR}] = true
		}
		if want := map[bool]int{false: 200, true: 100}[off]; len(a.sent) != want || (camera.pub.Stats().Repeated > 0) != off {
			t.Errorf("%d packets were sealed, %+v", len(a.sent), camera.pub.Stats())
		}
	}
}

// TestLayersRefused: what an announcement can't say about layers, and what can't be published as such. Checks: LAY-1.
func TestLayersRefused(t *testing.T) {
	camera := func(n uint8, layers ...byte) stream {
		v := streamOf(n, SourceCamera, false, videoCodecs[0])
		v.Layers = layers
		return v
	}
	microphone := opusStream(20)
	microphone.Layers = []byte{21}
	many := make([]stream, 0, 11)
	for i := range uint8(11) {
		many = append(many, camera(16+3*i, 17+3*i, 18+3*i))
	}
	for name, c := range map[string]struct {
		streams []stream
		good    bool
	}{
		"three":                   {[]stream{camera(16, 17, 18)}, true},
		"any order":               {[]stream{camera(18, 17)}, true},
		"four":                    {[]stream{camera(16, 17, 18, 19)}, false},
		"itself":                  {[]stream{camera(16, 16)}, false},
		"one twice":               {[]stream{camera(16, 17, 17)}, false},
		"another's":               {[]stream{camera(16, 17), camera(17)}, false},
		"another's layer":         {[]stream{camera(16, 17), camera(18, 17)}, false},
		"message stream":          {[]stream{camera(16, 15)}, false},
		"sound":                   {[]stream{microphone}, false},
		"as many as there can be": {many[:10], true},
		"too many in all":         {many, false},
	} {
		acceptsOnly(t, name, c.good, c.streams)
	}
	s := newStage(t)
	a := s.actor()
	vp8, opus := func() webrtc.TrackLocal { return localTrack(t, webrtc.MimeTypeVP8) }, func() webrtc.TrackLocal { return localTrack(t, webrtc.MimeTypeOpus) }
	for name, tracks := range map[string][]webrtc.TrackLocal{
		"none": {}, "nothing": {vp8(), nil}, "four": {vp8(), vp8(), vp8(), vp8()}, "sound": {opus(), opus()}, "sound and picture": {vp8(), opus()},
		"two codecs": {vp8(), localTrack(t, webrtc.MimeTypeH264)},
	} {
		if _, err := a.publish(tracks, PublishOptions{}); !errors.Is(err, ErrUnsupportedTrack) || a.publishes() {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range maxStreams / 3 {
		a.simulcast(3)
	}
	if _, err := a.publish([]webrtc.TrackLocal{vp8(), vp8(), vp8()}, PublishOptions{}); err != ErrTooManyTracks {
		t.Errorf("more streams than can be announced: %v", err)
	}
}

// TestLayersKeyFrames: who asks for a key frame gets one of its own layer, and can't fill others' links with those of
// theirs. Checks: LAY-4, STR-5.
func TestLayersKeyFrames(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newStage(t)
		a, b, c := s.actor(), s.actor(), s.actor()
		a.sendTo(b, c)
		camera := a.simulcast(3)
		target := func(k transport.PeerKey) int {
			if k == transport.PeerKey(b.key) {
				return 30_000
			}
			return 0
		}
		camera.frame(0)
		camera.pass(5*time.Second, target)
		if !slices.Equal(camera.members(), []int{1, 0, 1}) {
			t.Fatalf("members %v", camera.members())
		}
		camera.asked()
		a.off.allLayers = off
		for range 100 {
			a.wantKeyFrame(b.key, camera.pub.Stream())
			a.wantKeyFrame(b.key, camera.pub.Stream()+2)
		}
		want := []int{0}
		if off { // the twin
			want = []int{0, 1, 2}
		}
		if got := camera.asked(); !slices.Equal(got, want) {
			t.Errorf("layers %v were asked", got)
		}
	}
}

// TestLayersChange: mute, permission, another codec, and who comes and goes.
func TestLayersChange(t *testing.T) {
	s := newStage(t)
	a, b, c := s.actor(), s.actor(), s.actor()
	a.sendTo(b)
	camera := a.simulcast(2)
	added, _, _ := a.tell(b)
	remote := added[0]
	camera.frame(0, 1)
	camera.pass(time.Second, everything)
	camera.pub.Mute(true)
	camera.frame()
	camera.pub.Mute(false)
	camera.pass(time.Second, everything)
	got := drain(t, remote)
	continuous(t, got)
	if !slices.Equal(layersOf(got), []int{0, 1}) || len(got) != 1+40+1 {
		t.Fatalf("%d packets of layers %v", len(got), layersOf(got))
	}
	if st := camera.pub.Stats(); st.Muted != 2 {
		t.Fatalf("%+v", st)
	}
	a.setOwnPermissions(roster.Audio)
	camera.frame()
	a.setOwnPermissions(roster.AllPermissions)
	camera.frame(camera.asked()...)

	// A newcomer begins with a key frame; who is gone gets nothing more.
	c.addSender(a.key)
	c.setPermissions(a.key, roster.AllPermissions)
	a.readers = []*actor{c}
	a.wrap()
	a.setRecipients([]transport.PeerKey{transport.PeerKey(c.key)})
	atC, _, _ := a.tell(c)
	before := remote.Stats().Packets
	camera.pass(time.Second, everything)
	if got = drain(t, atC[0]); remote.Stats().Packets != before || len(got) < 15 || !slices.Equal(layersOf(got), []int{1}) {
		t.Fatalf("%d packets of layers %v", len(got), layersOf(got))
	}
	continuous(t, got)

	// The same again goes on; another number of layers is another track; then it is one encoding.
	numbers := a.plane.announce().Streams
	again := []webrtc.TrackLocal{localTrack(t, webrtc.MimeTypeVP8), localTrack(t, webrtc.MimeTypeVP8)}
	if err := camera.pub.ReplaceLayers(again); err != nil {
		t.Fatal(err)
	}
	if now := a.plane.announce().Streams; !now[0].sameEncoding(numbers[0]) {
		t.Fatalf("%+v became %+v", numbers, now)
	}
	for i := range camera.sources {
		camera.sources[i] = &source{t: t, track: again[i].(*webrtc.TrackLocalStaticRTP), seq: 7}
	}
	camera.pass(time.Second, everything)
	more := drain(t, atC[0])
	continuous(t, append(got, more...))
	if len(more) < 15 {
		t.Fatalf("%d packets after it was replaced", len(more))
	}
	one := localTrack(t, webrtc.MimeTypeVP8)
	if err := camera.pub.Replace(one); err != nil {
		t.Fatal(err)
	}
	added, removed, _ := a.tell(c)
	if len(added) != 1 || len(removed) != 1 || removed[0] != atC[0] || len(camera.pub.Layers()) != 1 {
		t.Fatalf("added %v, removed %v", added, removed)
	}
	(&source{t: t, track: one}).write(vp8Delta...)
	wantPayloads(t, added[0], vp8Delta...)
	if st := added[0].Stats(); st.Layer != 0 || st.Layers != 0 || camera.pub.Layers()[0].Members != 1 {
		t.Fatalf("%+v", st)
	}
	if err := camera.pub.Close(); err != nil || a.publishes() {
		t.Fatal(err)
	}
}

// TestLayersHostile: a sender who sends all layers at once, or another with each packet, spoils its own picture and
// nothing else: the numbers go on, nothing is allocated. In the twin they jump. Checks: LAY-3.
func TestLayersHostile(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newStage(t)
		a, b := s.actor(), s.actor()
		a.off.allLayers, b.off.layering = true, off
		a.sendTo(b)
		camera := a.simulcast(3)
		added, _, _ := a.tell(b)
		for i := range 300 {
			s.pass(10 * time.Millisecond)
			switch {
			case i < 100:
				camera.frame(0, 1, 2)
			case i < 200:
				camera.frame()
			default:
				camera.frame(i % 3)
			}
		}
		got := drain(t, added[0])
		jumps := 0
		for i := 1; i < len(got); i++ {
			if got[i].SequenceNumber != got[i-1].SequenceNumber+1 || got[i].Timestamp-got[i-1].Timestamp-1 > videoClock {
				jumps++
			}
		}
		if (jumps > 0) != off || len(got) < 300+100+100 {
			t.Errorf("%d jumps in %d packets", jumps, len(got))
		}
		if st := added[0].Stats(); !off && st.Packets+st.Dropped != 900 {
			t.Errorf("%+v", st)
		}
	}
	l := newLayering(stream{Stream: 16, Layers: []byte{17, 18}})
	p := &crypto.MediaPacket{Flags: crypto.MediaFlags{KeyFrame: true, StartOfFrame: true}}
	now, n := time.Now(), 0
	if allocs := testing.AllocsPerRun(1000, func() {
		n++
		p.SequenceNumber, p.Timestamp = uint16(n*7919), uint32(n)*0x9e3779b9
		l.number(n%3, p, now)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestLayering: what becomes of packets that come late, out of order, or whose layer's beginning is lost.
func TestLayering(t *testing.T) {
	type in struct {
		layer    int
		sequence uint16
		kind     byte // K first of a key frame, k another of it, - of another frame
		want     int  // number in the series, -1: not delivered
	}
	for name, packets := range map[string][]in{
		"begins with a key frame":     {{0, 5, '-', -1}, {0, 6, 'K', 6}, {0, 7, 'k', 7}, {0, 8, '-', 8}},
		"goes on":                     {{0, 6, 'K', 6}, {0, 7, '-', 7}, {1, 900, 'K', 8}, {1, 901, 'k', 9}, {0, 8, 'K', 10}, {0, 9, '-', 11}, {1, 902, 'K', 12}},
		"late of the layer before":    {{0, 6, 'K', 6}, {0, 7, '-', 7}, {0, 9, '-', 9}, {1, 900, 'K', 10}, {0, 8, '-', -1}, {1, 901, '-', 11}},
		"its key frame, again":        {{0, 6, 'K', 6}, {0, 8, 'k', 8}, {1, 900, 'K', 9}, {0, 7, 'k', -1}, {1, 901, '-', 10}},
		"late within the layer":       {{0, 6, 'K', 6}, {1, 900, 'K', 7}, {1, 902, '-', 9}, {1, 901, 'k', 8}},
		"before the layer":            {{0, 6, 'K', 6}, {1, 900, 'K', 7}, {1, 890, '-', -1}},
		"first packet comes late":     {{0, 6, 'K', 6}, {1, 901, 'k', 23}, {1, 900, 'K', 22}, {1, 902, 'k', 24}},
		"beginning lost":              {{0, 6, 'K', 6}, {1, 901, '-', -1}, {1, 902, '-', -1}, {1, 903, 'K', 7}},
		"numbers come round":          {{0, 65535, 'K', 65535}, {1, 65535, 'K', 0}, {1, 0, '-', 1}, {0, 0, 'K', 2}},
		"layer from before, far away": {{0, 6, 'K', 6}, {1, 50, 'K', 7}, {1, 40000, '-', 39957}, {0, 7, 'K', 39958}},
	} {
		l := newLayering(stream{Stream: 16, Layers: []byte{17}})
		for i, p := range packets {
			m := &crypto.MediaPacket{SequenceNumber: p.sequence, Timestamp: uint32(3000 * i)}
			m.Flags.KeyFrame, m.Flags.StartOfFrame = p.kind != '-', p.kind == 'K'
			to := l.number(p.layer, m, time.Unix(0, 0))
			if to.deliver != (p.want >= 0) || to.deliver && m.SequenceNumber != uint16(p.want) {
				t.Errorf("%s: packet %d: %+v, number %d, want %d", name, i, to, m.SequenceNumber, p.want)
			}
		}
	}
}

// TestLayeringTime: timestamps are the layers' own where these have one clock, and go on in any case.
func TestLayeringTime(t *testing.T) {
	l := newLayering(stream{Stream: 16, Layers: []byte{17}})
	now, n := time.Unix(1000, 0), uint16(0)
	for i, c := range []struct {
		layer    int
		time     uint32
		passed   time.Duration
		want     uint32
		stranded bool
	}{
		{0, 5000, 0, 5000, false},
		{1, 8000, 33 * time.Millisecond, 8000, false},
		{0, 8000, 0, 8001, false},                            // the same frame
		{1, 11000, 33 * time.Millisecond, 11000, false},      // no drift
		{0, 4_000_000, 100 * time.Millisecond, 20000, false}, // another clock
		{1, 10, 100 * time.Millisecond, 29000, false},        // back
		{1, 3010, 33 * time.Millisecond, 32000, false},
		{0, 7_000_000, 1000 * time.Millisecond, 122000, false}, // from another time
	} {
		now, n = now.Add(c.passed), n+1
		m := &crypto.MediaPacket{SequenceNumber: n, Timestamp: c.time, Flags: crypto.MediaFlags{KeyFrame: true, StartOfFrame: true}}
		if l.number(c.layer, m, now); m.Timestamp != c.want {
			t.Errorf("packet %d: time %d, want %d", i, m.Timestamp, c.want)
		}
	}
	m := &crypto.MediaPacket{SequenceNumber: 100}
	if to := l.number(1, m, now.Add(time.Millisecond)); to.lost {
		t.Error("asks for a key frame because of a late packet")
	}
	m.SequenceNumber = 101
	if to := l.number(1, m, now.Add(strandedAfter)); !to.lost || to.deliver {
		t.Error("doesn't ask for a key frame, though nothing comes that can be shown")
	}
}

// TestLayersNoAllocations: neither sending layers nor changing between them allocates.
func TestLayersNoAllocations(t *testing.T) {
	s := newStage(t)
	a, b, c := s.actor(), s.actor(), s.actor()
	a.sendTo(b, c)
	camera := a.simulcast(3)
	a.host = &countingFanout{}
	camera.frame(0, 1, 2)
	camera.pass(time.Second, everything)
	h, payload := &rtp.Header{Version: 2}, append(slices.Clone(vp8Key), make([]byte, 1150)...)
	n := 0
	if allocs := testing.AllocsPerRun(2000, func() {
		n++
		for i, l := range camera.pub.layers {
			h.SequenceNumber, h.Timestamp = uint16(5000+n), uint32(n+1000)*3000
			camera.pub.receiving.all[0].next = n % 3 // changes with every frame
			l.pending += 1
			if _, err := l.bound.WriteRTP(h, payload); err != nil {
				t.Fatal(i, err)
			}
		}
	}); allocs != 0 && !raceEnabled { // which has pools forget
		t.Errorf("%v allocations per frame", allocs)
	}
}

// BenchmarkLayersOut is one frame of a packet in three layers to 25 members, of whom some get each, beside one packet of
// one encoding to all of them. Each is sealed once.
func BenchmarkLayersOut(b *testing.B) {
	for _, layers := range []int{1, 3} {
		b.Run(fmt.Sprintf("%d", layers), func(b *testing.B) {
			s := newStage(b)
			a := s.actor()
			var readers []*actor
			for range 25 {
				readers = append(readers, s.actor())
			}
			a.sendTo(readers...)
			a.host = &countingFanout{}
			camera := a.simulcast(layers)
			camera.frame(0, 1, 2)
			camera.pass(5*time.Second, func(k transport.PeerKey) int { return []int{30_000, 60_000, 0}[int(k[0])%3] })
			b.ReportAllocs()
			h, payload := &rtp.Header{Version: 2}, append(slices.Clone(vp8Delta), make([]byte, 1150)...)
			h.SequenceNumber, h.Timestamp = 5000, 1<<20
			for b.Loop() {
				h.SequenceNumber++
				h.Timestamp += 3000
				for _, l := range camera.pub.layers {
					if _, err := l.bound.WriteRTP(h, payload); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*layers), "ns/packet")
		})
	}
}
