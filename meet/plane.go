package meet

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/sframe"
	"github.com/huisclos/huisclos/transport"
)

// Limits on what senders make a reader do (STR-3, STR-4).
const (
	announceBurst  = 32                     // state announcements of a sender at once,
	announceRefill = 125 * time.Millisecond // and one more each such time

	earlyPackets = 64                     // of a sender, kept for streams that are not announced yet,
	earlyTime    = 500 * time.Millisecond // for so long
)

// plane is the media plane: the one part of a meeting that isn't on the meeting's goroutine. It has no goroutine of
// its own. Sources call it to send, the transport calls it with what came, readers wait in their tracks.
//
//	TrackLocal ─WriteRTP─▶ Publication ─mute, number─▶ SenderStream.SealMedia ─▶ fanout to the recipients
//	RemoteTrack ◀─queue── deliver ◀─opened── ReaderKeys.OpenMedia ◀─stream?─ InspectMedia ◀─ onPacket(from)
//
// Who is a member, who may send what and who gets packets is decided on the meeting's goroutine, and holds for every
// packet that begins after the call which says so has returned.
type plane struct {
	meeting crypto.MeetingID
	self    *crypto.Incarnation
	keys    *crypto.SenderKeys
	suite   sframe.CipherSuite
	host    fanout
	hooks   planeHooks
	now     func() time.Time

	newChooser func() LayerChooser

	recipients atomic.Pointer[[]transport.PeerKey]
	off        planeOff

	mu      sync.RWMutex // guards what follows; never held while calling a track or a hook
	closed  bool
	senders map[crypto.MeetingKey]*sender
	out     publications
}

// fanout is what the plane needs of transport.Host.
type fanout interface {
	Fanout(kind transport.Kind, payload []byte, peers []transport.PeerKey) int
}

// planeHooks are how the plane tells the meeting. They must not wait for the meeting's goroutine. The plane calls them
// from sources' and the transport's goroutines, never from a method that the meeting's goroutine calls.
type planeHooks struct {
	// streamsChanged: announce anew.
	streamsChanged func()
	// keyFrameWanted: a reader of this member's stream needs a key frame.
	keyFrameWanted func(from crypto.MeetingKey, stream uint8)
}

// planeOff switches single protections off, so that a test can show that it is this protection which stops its attack.
// Only tests of this package set one.
type planeOff struct {
	signature   bool // STR-1: don't verify announcements
	number      bool // STR-1: accept older announcements
	limits      bool // STR-2: accept what is out of its limits
	rate        bool // STR-3: accept announcements however often they come
	early       bool // STR-4: keep all that is early
	permissions bool // ROS-22: deliver everything
	keyFrames   bool // STR-5: ask the source however often members ask
	mutedGuard  bool // STR-6: send what was recorded while muted
	numbering   bool // STR-7: send the sources' own sequence numbers
	levels      bool // LEV-1: take each packet's level at its word
	oneStream   bool // LAY-1: all layers have one stream
	allLayers   bool // LAY-2, LAY-4: everybody gets all layers, and asks for all
	layering    bool // LAY-3: deliver whatever comes of any layer, as it is numbered
}

// sender is another member's incarnation, as far as its media goes.
type sender struct {
	key    crypto.MeetingKey
	reader *crypto.ReaderKeys
	tracks [256]atomic.Pointer[RemoteTrack] // what is delivered, by stream number

	opening sync.Mutex // guards opened; ReaderKeys opens one packet at a time in any case
	opened  []byte     // the packet just opened, until its track has copied it

	mu        sync.Mutex // guards what follows
	gone      bool
	allowed   Permissions
	number    uint64 // of the newest announcement
	signature crypto.Signature
	streams   []stream       // of the newest announcement, permitted or not
	live      []*RemoteTrack // those of tracks, by stream number
	tokens    int            // announcements that may come now
	refilled  time.Time
	early     []earlyPacket
	messages  [][]byte // released, for waitingMessages
}

type earlyPacket struct {
	since  time.Time
	stream uint8
	packet []byte
}

func newPlane(meeting crypto.MeetingID, self *crypto.Incarnation, keys *crypto.SenderKeys, suite sframe.CipherSuite, host fanout, hooks planeHooks, now func() time.Time) *plane {
	p := &plane{
		meeting: meeting, self: self, keys: keys, suite: suite, host: host, hooks: hooks, now: now,
		senders: map[crypto.MeetingKey]*sender{}, newChooser: newSteadyChooser,
	}
	p.out.init()
	return p
}

// setRecipients says whom sealed packets go to from now on. Nil stops sending at once. The slice is the plane's.
func (p *plane) setRecipients(peers []transport.PeerKey) { p.recipients.Store(&peers) }

// onPacket is the transport's callback: any goroutine, and payload is valid only during the call.
func (p *plane) onPacket(from transport.PeerKey, _ transport.Kind, payload []byte) {
	if s := p.sender(crypto.MeetingKey(from)); s != nil {
		p.open(s, payload, true)
	}
}

func (p *plane) sender(key crypto.MeetingKey) *sender {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.senders[key]
}

// open opens a packet that came from s, with the keys of s and no others, and delivers it. Streams that were not
// announced (STR-4), or are not permitted (ROS-22), aren't even opened. live says that a hook may be called.
func (p *plane) open(s *sender, packet []byte, live bool) {
	h, err := crypto.InspectMedia(packet)
	if err != nil || h.Stream < crypto.FirstMediaStream {
		return
	}
	t := s.tracks[h.Stream].Load()
	if t == nil {
		if live {
			s.keepEarly(p.now(), h.Stream, packet, p.off.early)
		}
		return
	}
	if s.deliver(t, packet, p.now(), live) {
		p.hooks.keyFrameWanted(s.key, t.stream.Stream)
	}
}

func (s *sender) deliver(t *RemoteTrack, packet []byte, now time.Time, live bool) (ask bool) {
	s.opening.Lock()
	defer s.opening.Unlock()
	h, m, err := s.reader.OpenMedia(now, s.opened[:0], packet)
	if err != nil {
		t.failed(err)
		return false
	}
	return t.deliver(h.Stream, &m, now, live)
}

// keepEarly keeps a packet that overtook the announcement of its stream (STR-4).
func (s *sender) keepEarly(now time.Time, number uint8, packet []byte, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	announced := slices.ContainsFunc(s.streams, func(o stream) bool { return slices.Contains(o.numbers(), number) })
	if s.gone || announced { // announced and no track: not permitted
		return
	}
	s.expireEarly(now)
	if len(s.early) < earlyPackets || all {
		s.early = append(s.early, earlyPacket{since: now, stream: number, packet: bytes.Clone(packet)})
	}
}

func (s *sender) expireEarly(now time.Time) {
	s.early = slices.DeleteFunc(s.early, func(e earlyPacket) bool { return now.Sub(e.since) >= earlyTime })
}

// addSender makes the reader keys of a member who appeared. Nothing it sends is delivered before setPermissions.
func (p *plane) addSender(key crypto.MeetingKey) *crypto.ReaderKeys {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.senders[key]; s != nil {
		return s.reader
	}
	reader, err := crypto.NewReaderKeys(p.meeting, key, p.suite)
	if err != nil {
		panic("meet: " + err.Error()) // newMeeting made sender keys of the same suite
	}
	if !p.closed {
		p.senders[key] = &sender{
			key: key, reader: reader, opened: make([]byte, 0, transport.MaxPacket), tokens: announceBurst, refilled: p.now(),
		}
	}
	return reader
}

// removeSender wipes the keys of a member who is gone and ends its tracks, which it returns.
func (p *plane) removeSender(key crypto.MeetingKey) (gone []*RemoteTrack) {
	p.mu.Lock()
	s := p.senders[key]
	delete(p.senders, key)
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.end()
}

func (s *sender) end() (gone []*RemoteTrack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.streams, s.early, s.messages = nil, nil, nil
	_, gone, _ = s.reconcile(nil, false)
	s.reader.Wipe()
	return gone
}

// setPermissions says what a member may send (ROS-22). The tracks that end thereby, with what waits in them, and those
// that begin are returned. For this member itself: setOwnPermissions.
func (p *plane) setPermissions(key crypto.MeetingKey, allowed Permissions) (gone, back []*RemoteTrack) {
	s := p.sender(key)
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || s.allowed == allowed {
		return nil, nil
	}
	s.allowed = allowed
	back, gone, _ = s.reconcile(p, true)
	return gone, back
}

// acceptState takes what a member says of its state (STR-1 to STR-3, STA-1) and returns what became of its tracks. The same
// announcement again changes nothing and is no error.
func (p *plane) acceptState(from crypto.MeetingKey, a *stateAnnounce) (added, removed, changed []*RemoteTrack, err error) {
	s := p.sender(from)
	if s == nil {
		return nil, nil, nil, errNoSender
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.Number == s.number && a.Signature != nil && *a.Signature == s.signature:
		return nil, nil, nil, nil
	case s.gone:
		return nil, nil, nil, errNoSender
	case !s.spend(p.now()) && !p.off.rate:
		return nil, nil, nil, errStateRate
	case a.Number <= s.number && !p.off.number:
		return nil, nil, nil, errStateStale
	case !p.off.limits && a.check() != nil:
		return nil, nil, nil, errStateMalformed
	case !p.off.signature && !a.verify(p.meeting, from):
		return nil, nil, nil, errStateSignature
	}
	s.number = a.Number
	if a.Signature != nil {
		s.signature = *a.Signature
	}
	s.streams = slices.Clone(a.Streams)
	added, removed, changed = s.reconcile(p, false)
	return added, removed, changed, nil
}

// spend takes a token for one announcement, if there is one (STR-3).
func (s *sender) spend(now time.Time) bool {
	if n := int(now.Sub(s.refilled) / announceRefill); n > 0 {
		s.tokens = min(s.tokens+n, announceBurst)
		s.refilled = now
	}
	if s.tokens == 0 {
		return false
	}
	s.tokens--
	return true
}

// reconcile makes the tracks those that are announced and permitted. Tracks that end lose what waits in them if
// discard. p may be nil where no track can begin. s.mu is held.
func (s *sender) reconcile(p *plane, discard bool) (added, removed, changed []*RemoteTrack) {
	var want [256]*stream // by the lowest stream
	for i := range s.streams {
		o := &s.streams[i]
		if s.allowed&o.Source.permission() != 0 || p.off.permissions {
			want[o.Stream] = o
		}
	}
	live := s.live[:0:0]
	for _, t := range s.live {
		o := want[t.stream.Stream]
		if o == nil || !t.stream.sameEncoding(*o) {
			for _, n := range t.stream.numbers() {
				s.tracks[n].Store(nil)
			}
			t.end(discard)
			removed = append(removed, t)
			continue
		}
		if t.muted.Swap(o.Muted) != o.Muted {
			changed = append(changed, t)
		}
		want[t.stream.Stream] = nil
		live = append(live, t)
	}
	for _, o := range want {
		if o == nil {
			continue
		}
		t := newRemoteTrack(p, s.key, s.number, *o)
		for _, n := range o.numbers() {
			s.tracks[n].Store(t)
		}
		added = append(added, t)
		live = append(live, t)
	}
	slices.SortFunc(live, func(a, b *RemoteTrack) int { return cmp.Compare(a.stream.Stream, b.stream.Stream) })
	s.live = live
	if len(added) > 0 {
		s.openEarly(p)
	}
	return added, removed, changed
}

// openEarly delivers what overtook the announcement. s.mu is held; open takes it only for streams without a track.
func (s *sender) openEarly(p *plane) {
	s.expireEarly(p.now())
	s.early = slices.DeleteFunc(s.early, func(e earlyPacket) bool {
		if s.tracks[e.stream].Load() == nil {
			return false
		}
		p.open(s, e.packet, false)
		return true
	})
}

// released delivers the packets that waited for a key, after ReaderKeys.AcceptWrap. Messages among them are kept for
// waitingMessages.
func (p *plane) released(from crypto.MeetingKey) {
	s := p.sender(from)
	if s == nil {
		return
	}
	for _, packet := range s.reader.Release(p.now()) {
		h, err := crypto.InspectMedia(packet)
		if err == nil && h.Stream < crypto.FirstMediaStream {
			s.mu.Lock()
			s.messages = append(s.messages, packet)
			s.mu.Unlock()
			continue
		}
		p.open(s, packet, false)
	}
}

// waitingMessages takes the sealed messages that released found.
func (p *plane) waitingMessages(from crypto.MeetingKey) [][]byte {
	s := p.sender(from)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	messages := s.messages
	s.messages = nil
	return messages
}

// expire does what time alone brings. Call it each second.
func (p *plane) expire() {
	now := p.now()
	p.mu.RLock()
	senders, published := slices.Collect(maps.Values(p.senders)), p.out.all()
	p.mu.RUnlock()
	for _, s := range senders {
		s.reader.Expire(now)
		s.mu.Lock()
		s.expireEarly(now)
		s.mu.Unlock()
	}
	for _, pub := range published {
		pub.tick(now)
	}
}

// tracks returns the remote tracks there are, by member and stream.
func (p *plane) tracks() []*RemoteTrack {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var all []*RemoteTrack
	for _, s := range p.senders {
		s.mu.Lock()
		all = append(all, s.live...)
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b *RemoteTrack) int {
		return cmp.Or(a.member.Compare(b.member), cmp.Compare(a.stream.Stream, b.stream.Stream))
	})
	return all
}

// close ends every publication and every track, and wipes the reader keys. The sender keys are the meeting's.
func (p *plane) close() {
	p.setRecipients(nil)
	p.mu.Lock()
	p.closed = true
	senders, published := p.senders, p.out.all()
	p.senders = map[crypto.MeetingKey]*sender{}
	p.mu.Unlock()
	for _, s := range senders {
		s.end()
	}
	for _, pub := range published {
		_ = pub.end(false) // what a track says about being unbound concerns nobody any more
	}
}
