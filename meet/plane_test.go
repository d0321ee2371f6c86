package meet

import (
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"
)

// stage is a meeting's media alone: planes, whose packets go straight to each other.
type stage struct {
	t       testing.TB
	meeting crypto.MeetingID
	mu      sync.Mutex
	now     time.Time
	actors  map[transport.PeerKey]*actor
}

// actor is one member's plane with its keys.
type actor struct {
	*plane
	stage    *stage
	key      crypto.MeetingKey
	incarn   *crypto.Incarnation
	readers  []*actor
	sent     [][]byte // by this one's host
	lose     func(n int) bool
	announce int                 // times streamsChanged was called
	wanted   []crypto.MeetingKey // whose key frames were
}

func newStage(t testing.TB) *stage {
	return &stage{
		t: t, meeting: crypto.MeetingID(crypto.HashOf("a stage")), now: time.Unix(1_800_000_000, 0),
		actors: map[transport.PeerKey]*actor{},
	}
}

// onStage is two members on a stage of their own; b reads what a sends.
func onStage(t testing.TB) (s *stage, a, b *actor) {
	t.Helper()
	s = newStage(t)
	a, b = s.actor(), s.actor()
	a.sendTo(b)
	return s, a, b
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *stage) actor() *actor {
	s.t.Helper()
	inc, err := crypto.GenerateIdentity().NewIncarnation(s.meeting)
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := crypto.NewSenderKeys(inc, suite)
	if err != nil {
		s.t.Fatal(err)
	}
	a := &actor{stage: s, key: inc.Key(), incarn: inc}
	a.plane = newPlane(s.meeting, inc, keys, suite, a, planeHooks{
		streamsChanged: func() { s.mu.Lock(); a.announce++; s.mu.Unlock() },
		keyFrameWanted: func(from crypto.MeetingKey, _ uint8) { s.mu.Lock(); a.wanted = append(a.wanted, from); s.mu.Unlock() },
	}, s.clock)
	s.actors[transport.PeerKey(a.key)] = a
	return a
}

// Fanout delivers at once.
func (a *actor) Fanout(kind transport.Kind, payload []byte, peers []transport.PeerKey) int {
	for _, k := range peers {
		if a.lose == nil || !a.lose(len(a.sent)) {
			a.stage.actors[k].onPacket(transport.PeerKey(a.key), kind, payload)
		}
	}
	a.sent = append(a.sent, slices.Clone(payload))
	return len(peers)
}

// sendTo makes the others readers of a: keys, permissions and recipients.
func (a *actor) sendTo(readers ...*actor) {
	a.stage.t.Helper()
	a.readers = readers
	var keys []crypto.MeetingKey
	var peers []transport.PeerKey
	for _, r := range readers {
		r.addSender(a.key)
		r.setPermissions(a.key, roster.AllPermissions)
		keys, peers = append(keys, r.key), append(peers, transport.PeerKey(r.key))
	}
	if _, err := a.keys.Rotate(a.stage.clock(), crypto.Hash{}, keys, nil); err != nil {
		a.stage.t.Fatal(err)
	}
	a.wrap()
	a.keys.Switch()
	a.setRecipients(peers)
}

func (a *actor) wrap() {
	a.stage.t.Helper()
	w, err := a.keys.Wrap()
	if err != nil {
		a.stage.t.Fatal(err)
	}
	for _, r := range a.readers {
		if _, err := r.sender(a.key).reader.AcceptWrap(a.stage.clock(), w); err != nil {
			a.stage.t.Fatal(err)
		}
		r.released(a.key)
	}
}

// tell announces a's streams to r.
func (a *actor) tell(r *actor) (added, removed, changed []*RemoteTrack) {
	a.stage.t.Helper()
	added, removed, changed, err := r.acceptState(a.key, a.plane.announce())
	if err != nil {
		a.stage.t.Fatal(err)
	}
	return added, removed, changed
}

// show publishes a track and returns it with what r gets of it.
func (a *actor) show(r *actor, mime string) (*webrtc.TrackLocalStaticRTP, *Publication, *RemoteTrack) {
	a.stage.t.Helper()
	track := localTrack(a.stage.t, mime)
	pub, err := a.publish([]webrtc.TrackLocal{track}, PublishOptions{})
	if err != nil {
		a.stage.t.Fatal(err)
	}
	added, _, _ := a.tell(r)
	if len(added) != 1 {
		a.stage.t.Fatalf("%d tracks added", len(added))
	}
	return track, pub, added[0]
}

func localTrack(t testing.TB, mime string) *webrtc.TrackLocalStaticRTP {
	t.Helper()
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, "track", "stream")
	if err != nil {
		t.Fatal(err)
	}
	return track
}

// source writes packets to a track.
type source struct {
	t     testing.TB
	track *webrtc.TrackLocalStaticRTP
	seq   uint16
	time  uint32
}

func (s *source) write(payload ...byte) {
	s.t.Helper()
	s.writeAs(s.seq, payload...)
	s.seq++
	s.time += 960
}

func (s *source) writeAs(seq uint16, payload ...byte) {
	s.t.Helper()
	err := s.track.WriteRTP(&rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: true, SequenceNumber: seq, Timestamp: s.time},
		Payload: payload,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// drain reads all that waits in a track.
func drain(t testing.TB, track *RemoteTrack) (packets []*rtp.Packet) {
	t.Helper()
	for {
		track.queue.mu.Lock()
		waiting := track.queue.size
		track.queue.mu.Unlock()
		if waiting == 0 {
			return packets
		}
		p, _, err := track.ReadRTP()
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, p)
	}
}

func payloads(packets []*rtp.Packet) (all []byte) {
	for _, p := range packets {
		all = append(all, p.Payload...)
	}
	return all
}

func wantPayloads(t testing.TB, track *RemoteTrack, want ...byte) {
	t.Helper()
	if got := payloads(drain(t, track)); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestPlaneDelivers(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := newStage(t)
	a, b, c := s.actor(), s.actor(), s.actor()
	a.sendTo(b, c)
	track, pub, atB := a.show(b, webrtc.MimeTypeOpus)
	addedC, _, _ := a.tell(c)
	src := &source{t: t, track: track, seq: 65534, time: 5}
	for i := range byte(5) {
		src.write(i)
	}
	got := drain(t, atB)
	if !slices.Equal(payloads(got), []byte{0, 1, 2, 3, 4}) {
		t.Fatalf("got %v", payloads(got))
	}
	for i, p := range got {
		if p.SequenceNumber != uint16(65534+i) || p.Timestamp != uint32(5+960*i) || !p.Marker || p.Version != 2 ||
			p.SSRC != uint32(atB.SSRC()) || p.PayloadType != 111 {
			t.Fatalf("packet %d: %+v", i, p.Header)
		}
	}
	wantPayloads(t, addedC[0], 0, 1, 2, 3, 4)
	if atB.MemberKey() != a.key || atB.Source() != SourceMicrophone || atB.Kind() != webrtc.RTPCodecTypeAudio ||
		atB.Codec().MimeType != webrtc.MimeTypeOpus || atB.Stream() != pub.Stream() || pub.Codec().ClockRate != 48000 {
		t.Fatalf("%+v", atB.Codec())
	}
	if st := atB.Stats(); st != (TrackStats{Packets: 5, Bytes: 5, Frames: 5}) {
		t.Fatalf("%+v", st)
	}
	if st := pub.Stats(); st != (PublicationStats{Packets: 5, Bytes: 5, Frames: 5}) {
		t.Fatalf("%+v", st)
	}
	if len(a.sent) != 5 {
		t.Fatalf("sealed %d times", len(a.sent))
	}
	if all := b.tracks(); len(all) != 1 || all[0] != atB {
		t.Fatalf("%v", all)
	}
	if err := errors.Join(pub.Close(), pub.Close()); err != nil {
		t.Fatal(err)
	}
	if _, removed, _ := a.tell(b); len(removed) != 1 || removed[0] != atB {
		t.Fatalf("removed %v", removed)
	}
	if _, _, err := atB.ReadRTP(); err != io.EOF {
		t.Fatalf("after the end: %v", err)
	}
}

// TestPlaneForgedSender: with the keys that A gave B, B can seal packets that authenticate as A's; and anybody can send
// on what it got. Neither counts, since packets that come from B are opened with B's keys alone.
func TestPlaneForgedSender(t *testing.T) {
	s := newStage(t)
	a, b, c := s.actor(), s.actor(), s.actor()
	a.sendTo(b, c)
	b.sendTo(c)
	track, _, _ := a.show(b, webrtc.MimeTypeOpus)
	ofA, _, _ := a.tell(c)
	_, _, ofB := b.show(c, webrtc.MimeTypeOpus)
	a.lose = func(int) bool { return true } // C hears A only through B
	src := &source{t: t, track: track}
	src.write(1)
	c.onPacket(transport.PeerKey(b.key), transport.Audio, a.sent[0])
	wantPayloads(t, ofA[0])
	wantPayloads(t, ofB)
	if st := ofB.Stats(); st.Undecryptable != 1 {
		t.Fatalf("%+v", st)
	}
	// The twin: opened with A's keys, as if nobody looked where it came from, the packet is good.
	c.onPacket(transport.PeerKey(a.key), transport.Audio, a.sent[0])
	wantPayloads(t, ofA[0], 1)
	// A stranger's packets reach nothing.
	c.onPacket(transport.PeerKey{9}, transport.Audio, a.sent[0])
}

func TestPlaneRepeated(t *testing.T) {
	_, a, b := onStage(t)
	track, pub, remote := a.show(b, webrtc.MimeTypeOpus)
	src := &source{t: t, track: track, seq: 100}
	src.write(1)
	src.writeAs(100, 1) // MED-3: the source sends it again
	src.write(2)
	b.onPacket(transport.PeerKey(a.key), transport.Audio, a.sent[0]) // KEY-9: the network does
	wantPayloads(t, remote, 1, 2)
	if len(a.sent) != 2 || pub.Stats().Repeated != 1 || remote.Stats().Repeated != 1 {
		t.Fatalf("sent %d, %+v, %+v", len(a.sent), pub.Stats(), remote.Stats())
	}
}

// TestPlaneKeyComesLate: packets before their key wait for it, and messages among them aren't lost.
func TestPlaneKeyComesLate(t *testing.T) {
	s, a, b := onStage(t)
	track, _, remote := a.show(b, webrtc.MimeTypeOpus)
	src := &source{t: t, track: track}
	if _, err := a.keys.Rotate(s.clock(), crypto.Hash{}, []crypto.MeetingKey{b.key}, nil); err != nil {
		t.Fatal(err)
	}
	a.keys.Switch()
	src.write(1)
	src.write(2)
	signed, _ := crypto.SignMessage(a.incarn, crypto.StreamChat, crypto.MessageID{1}, s.clock(), []byte("hello"))
	sealed, err := a.keys.Stream(crypto.StreamChat).SealMessage(signed)
	if err != nil {
		t.Fatal(err)
	}
	message, err := crypto.ParseSealedMessage(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.sender(a.key).reader.OpenMessage(s.clock(), message.Sealed); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Fatal(err)
	}
	wantPayloads(t, remote)
	a.wrap()
	wantPayloads(t, remote, 1, 2)
	if m := b.waitingMessages(a.key); len(m) != 1 || b.waitingMessages(a.key) != nil {
		t.Fatalf("%d messages", len(m))
	}
	if st := remote.Stats(); st.Undecryptable != 0 || st.Packets != 2 {
		t.Fatalf("%+v", st)
	}
}

// TestPlaneOvertaken: packets before the announcement of their stream wait for it, but not long, and not many (STR-4).
func TestPlaneOvertaken(t *testing.T) {
	play := func(off bool) (s *stage, a, b *actor, src *source) {
		s = newStage(t)
		a, b = s.actor(), s.actor()
		b.off.early = off
		a.sendTo(b)
		track := localTrack(t, webrtc.MimeTypeOpus)
		if _, err := a.publish([]webrtc.TrackLocal{track}, PublishOptions{}); err != nil {
			t.Fatal(err)
		}
		return s, a, b, &source{t: t, track: track}
	}
	s, a, b, src := play(false)
	src.write(1)
	s.pass(earlyTime - time.Millisecond)
	src.write(2)
	s.pass(time.Millisecond)
	added, _, _ := a.tell(b)
	wantPayloads(t, added[0], 2)

	_, a, b, src = play(false)
	for range earlyPackets + 50 {
		src.write(0)
	}
	if n := len(b.sender(a.key).early); n != earlyPackets {
		t.Fatalf("%d packets kept", n)
	}
	s, a, b, src = play(true) // the twin
	for range earlyPackets + 50 {
		src.write(0)
	}
	if n := len(b.sender(a.key).early); n <= earlyPackets {
		t.Fatalf("%d packets kept without the limit", n)
	}
	s.pass(time.Second)
	b.expire()
	if n := len(b.sender(a.key).early); n != 0 {
		t.Fatalf("%d packets kept too long", n)
	}
}

// TestPlanePermissions: what isn't permitted isn't delivered, nor what of it waits to be read (ROS-22).
func TestPlanePermissions(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newStage(t)
		a, b := s.actor(), s.actor()
		b.off.permissions = off
		a.sendTo(b)
		track, _, remote := a.show(b, webrtc.MimeTypeOpus)
		src := &source{t: t, track: track}
		src.write(1)
		gone, back := b.setPermissions(a.key, roster.Video|roster.Chat)
		src.write(2)
		if off { // the twin
			if wantPayloads(t, remote, 1, 2); len(gone)+len(back) != 0 {
				t.Fatal("the twin has the protection")
			}
			continue
		}
		if len(gone) != 1 || gone[0] != remote || len(back) != 0 || len(b.tracks()) != 0 {
			t.Fatalf("gone %v, back %v", gone, back)
		}
		if _, _, err := remote.ReadRTP(); err != io.EOF {
			t.Fatalf("reading what isn't permitted: %v", err)
		}
		gone, back = b.setPermissions(a.key, roster.Audio)
		if len(gone) != 0 || len(back) != 1 || back[0] == remote || back[0].ID() == "" {
			t.Fatalf("gone %v, back %v", gone, back)
		}
		src.write(3)
		wantPayloads(t, back[0], 3)
	}
}

func TestPlaneRemovedSender(t *testing.T) {
	_, a, b := onStage(t)
	track, _, remote := a.show(b, webrtc.MimeTypeOpus)
	src := &source{t: t, track: track}
	src.write(1)
	if gone := b.removeSender(a.key); len(gone) != 1 || gone[0] != remote {
		t.Fatalf("gone %v", gone)
	}
	src.write(2)
	if p, _, err := remote.ReadRTP(); err != nil || p.Payload[0] != 1 {
		t.Fatalf("what had come is lost: %v", err)
	}
	if _, _, err := remote.ReadRTP(); err != io.EOF {
		t.Fatalf("after the removal: %v", err)
	}
	if _, _, _, err := b.acceptState(a.key, a.plane.announce()); err != errNoSender {
		t.Fatalf("announcement of somebody gone: %v", err)
	}
	if gone, back := b.setPermissions(a.key, 0); gone != nil || back != nil || b.removeSender(a.key) != nil {
		t.Fatal("somebody gone has tracks")
	}
}

// TestPlaneRecipients: who is taken off gets nothing from then on, and nobody is not everybody.
func TestPlaneRecipients(t *testing.T) {
	_, a, b := onStage(t)
	track, pub, _ := a.show(b, webrtc.MimeTypeOpus)
	src := &source{t: t, track: track}
	src.write(1)
	a.setRecipients(nil)
	src.write(2)
	if len(a.sent) != 1 || pub.Stats().Unsent != 1 {
		t.Fatalf("sent %d", len(a.sent))
	}
	a.setRecipients([]transport.PeerKey{transport.PeerKey(b.key)})
	a.keys.Clear()
	src.write(3) // no key: not an error of the source's
	if len(a.sent) != 1 || pub.Stats().Unsent != 2 {
		t.Fatalf("sent %d", len(a.sent))
	}
}

func TestPlaneClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	_, a, b := onStage(t)
	b.sendTo(a)
	track, pub, remote := a.show(b, webrtc.MimeTypeVP8)
	rtcpDone := make(chan error)
	feedback := pub.layers[0].bound.RTCPReader()
	go func() {
		_, _, err := feedback.Read(make([]byte, 100), nil)
		rtcpDone <- err
	}()
	readDone := make(chan error)
	go func() {
		_, _, err := remote.ReadRTP()
		readDone <- err
	}()
	b.close()
	if err := <-readDone; err != io.EOF {
		t.Fatalf("reader: %v", err)
	}
	a.close()
	if err := <-rtcpDone; err != io.EOF {
		t.Fatalf("RTCP reader: %v", err)
	}
	if err := track.WriteRTP(&rtp.Packet{}); err != nil {
		t.Fatalf("the track is still bound: %v", err)
	}
	if _, err := a.publish([]webrtc.TrackLocal{track}, PublishOptions{}); err != ErrClosed {
		t.Fatalf("publishing afterwards: %v", err)
	}
	if pub.Replace(track) != ErrClosed || pub.Close() != nil {
		t.Fatal("the publication is still open")
	}
}

func TestPlaneConcurrently(t *testing.T) {
	_, a, b := onStage(t)
	track, pub, remote := a.show(b, webrtc.MimeTypeOpus)
	var all sync.WaitGroup
	each := func(f func(i int)) {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 200 {
				f(i)
			}
		}()
	}
	src := &source{t: t, track: track}
	each(func(i int) { src.write(byte(i)) })
	each(func(i int) { pub.Mute(i%2 == 0) })
	each(func(int) { a.plane.announce(); a.expire(); b.expire(); a.wantKeyFrame(b.key, pub.Stream()) })
	each(func(int) { b.tracks(); remote.Stats(); pub.Stats(); remote.Muted(); remote.RequestKeyFrame() })
	each(func(i int) { b.setPermissions(a.key, roster.Permissions(i%2)) })
	each(func(i int) { a.setOwnPermissions(roster.Permissions(i % 2)) })
	each(func(int) {
		other, err := a.publish([]webrtc.TrackLocal{localTrack(t, webrtc.MimeTypeOpus)}, PublishOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	reads := make(chan struct{})
	go func() {
		defer close(reads)
		for {
			if _, _, err := remote.ReadRTP(); err != nil {
				return
			}
		}
	}()
	all.Wait()
	a.close()
	b.close()
	<-reads
}
