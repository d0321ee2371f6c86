package meet

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// What tests in other packages of this folder need to play hostile members.
type (
	PairMessage   = pairMessage
	FileDecline   = fileDecline
	GossipMessage = gossipMessage
	GossipBeat    = memberHeartbeat
	AddressRecord = addressRecord
	SharedInvite  = sharedInvite
	ResentMessage = resentMessage
	KeyFrame      = keyFrameRequest
	MuteRequest   = muteRequest
	WaitingList   = waitingList
	WaitingKnock  = waitingKnock
	KnockDecision = knockDecision
	SharedRelay   = sharedRelay
)

// RecordWraps has f called with every sender key that a member is given: what a hostile one would keep.
func RecordWraps(c Config, f func(from crypto.MeetingKey, wrap []byte)) Config {
	c.hooks.wrapped = f
	return c
}

// KeepKeys switches off that a sender makes a fresh key when a reader goes (KEY-6).
func KeepKeys(c Config) Config { return With(c, "keepKeys") }

// With sets hooks by name.
func With(c Config, names ...string) Config {
	h := &c.hooks
	all := map[string]*bool{
		"unpermitted": &h.unpermitted, "ignoreEnding": &h.ignoreEnding, "noGossip": &h.noGossip, "keepKeys": &h.keepKeys, "restartSwitch": &h.restartSwitch,
		"keysForAway": &h.keysForAway, "noGhosts": &h.noGhosts, "noIsolation": &h.noIsolation, "noEchoes": &h.noEchoes, "anyAddress": &h.anyAddress,
		"anyInvite": &h.anyInvite, "gossipOnly": &h.gossipOnly, "noResend": &h.noResend, "allPermitted": &h.allPermitted,
		"anyRecipient": &h.anyRecipient, "repeatedState": &h.repeatedState, "anyReaction": &h.anyReaction, "anyAsker": &h.anyAsker, "recordAnyway": &h.recordAnyway, "anyConsent": &h.anyConsent, "trustRecorder": &h.trustRecorder,
		"noLimits": &h.noLimits, "anyTime": &h.anyTime, "keepLobby": &h.keepLobby, "keepPeers": &h.keepPeers,
		"anyKnock": &h.anyKnock, "anyDecider": &h.anyDecider, "anyResponder": &h.anyResponder, "noAsking": &h.noAsking, "knockOnce": &h.knockOnce,
		"anyAnnouncement": &h.anyAnnouncement, "anyFileAuthor": &h.anyFileAuthor, "anyRequest": &h.anyRequest,
		"anyReader": &h.anyReader, "anyFileReader": &h.anyFileReader, "keepUploads": &h.keepUploads, "noPacing": &h.noPacing,
		"anyContent": &h.anyContent, "anyRecording": &h.anyRecording, "anyRefusal": &h.anyRefusal, "anyOrder": &h.anyOrder, "everyNewcomer": &h.everyNewcomer,
		"byName": &h.byName, "noBridges": &h.noBridges, "anyRelay": &h.anyRelay, "anyReply": &h.anyReply, "anySealer": &h.anySealer, "unthankful": &h.unthankful, "anyReplyAddress": &h.anyReplyAddress,
		"noSeeking": &h.noSeeking, "noStreams": &h.noStreams, "anyDialler": &h.anyDialler,
		"oneTopic": &h.oneTopic, "keepTopics": &h.keepTopics, "trustFound": &h.trustFound, "keepTrying": &h.keepTrying, "announceAll": &h.announceAll,
	}
	for _, n := range names {
		*all[n] = true
	}
	return c
}

// OnPair has f called with every pair message that a member takes.
func OnPair(c Config, f func(from crypto.MeetingKey, msg PairMessage)) Config {
	c.hooks.pair = f
	return c
}

// OnOpened has f called with everything that a member takes in other ways: "welcome" from a door, "early" in a pair
// session's handshake, "room" for a room message, "sealed" for the content of a sealed one.
func OnOpened(c Config, f func(where string, what []byte)) Config {
	c.hooks.opened = f
	return c
}

// OnFold has f called with each fold of a member's.
func OnFold(c Config, f func()) Config {
	c.hooks.fold = f
	return c
}

// Extra has a member announce these as readers too.
func Extra(c Config, f func() []crypto.MeetingKey) Config {
	c.hooks.extra = f
	return c
}

// Silent has a member say nothing to anybody as long as f is true, though it stays connected.
func Silent(c Config, f func() bool) Config {
	c.hooks.silent = f
	return c
}

// Denying has a member deny whoever knocks, with any operation for a proof, unless the reason is 0.
func Denying(c Config, f func(who crypto.IdentityKey) (reason DenyReason, proof []byte)) Config {
	c.hooks.denial = f
	return c
}

// Moved returns a link whose doors are said to be at other addresses.
func Moved(i Invite, addrs ...ma.Multiaddr) Invite {
	var raw [][]byte
	for _, a := range addrs {
		raw = append(raw, a.Bytes())
	}
	i.link.Doors = slices.Clone(i.link.Doors)
	for n := range i.link.Doors {
		i.link.Doors[n].Addresses = raw
	}
	return i
}

// TopicAt is a link's topic at a time.
func TopicAt(i Invite, t time.Time) [32]byte { return i.link.Secret.Topic(slotAt(t)) }

// DoorKeyOf is whose door a link names first.
func DoorKeyOf(i Invite) crypto.MeetingKey { return i.link.Doors[0].Key }

// Inject has a member send any bytes in a pair session.
func (m *Meeting) Inject(ctx context.Context, to crypto.MeetingKey, raw []byte) error {
	return command(ctx, m, func() error {
		p := m.peers[to]
		if p == nil {
			return ErrNoSuchMember
		}
		m.sendRaw(p, raw)
		return nil
	})
}

// InjectMessage has a member send any message in a pair session.
func (m *Meeting) InjectMessage(ctx context.Context, to crypto.MeetingKey, msg PairMessage) error {
	return m.Inject(ctx, to, encode(msg))
}

// InjectGossip has a member publish any bytes.
func (m *Meeting) InjectGossip(raw []byte) error { return m.host.Publish(raw) }

// Encode encodes any message.
func Encode(v any) []byte { return encode(v) }

// Incarnation is a member's own: what a hostile client can sign with.
func (m *Meeting) Incarnation() *crypto.Incarnation { return m.self }

// SignRecord signs an address record.
func SignRecord(by *crypto.Incarnation, number uint64, addrs [][]byte) *AddressRecord {
	return signRecord(by, number, addrs)
}

// IP is where a member listens.
func (m *Meeting) IP() netip.Addr {
	for _, a := range m.host.Addresses() {
		if ip, err := manet.ToIP(a); err == nil {
			addr, _ := netip.AddrFromSlice(ip)
			return addr.Unmap()
		}
	}
	return netip.Addr{}
}

// RawAddresses are a member's addresses as records hold them.
func (m *Meeting) RawAddresses() (all [][]byte) {
	for _, a := range m.host.Addresses() {
		all = append(all, a.Bytes())
	}
	return all
}

// Held counts what a member keeps of what others sent.
type Held struct {
	Operations, Records, Seen, Outbox, Invites, Unverified, Lobby, History, Warned, Events int
}

// Held returns the counts.
func (m *Meeting) Held(ctx context.Context) (Held, error) {
	return call(ctx, m, func() (Held, error) {
		h := Held{
			Operations: m.set.Len(), Records: len(m.records), Outbox: len(m.chats.outbox), Invites: len(m.door.invites),
			Lobby: len(m.door.lobby), History: len(m.history), Warned: len(m.watch.warned),
		}
		for _, s := range m.chats.seen {
			h.Seen += len(s.order)
		}
		for _, p := range m.peers {
			h.Unverified += len(p.unverified)
		}
		return h, nil
	})
}

// SharedInvites are the links a member answers for.
func (m *Meeting) SharedInvites(ctx context.Context) ([]SharedInvite, error) {
	return call(ctx, m, func() (all []SharedInvite, err error) {
		for _, i := range m.door.invites {
			all = append(all, i.shared)
		}
		return all, nil
	})
}

// Operations are all operations a member has, parents first.
func (m *Meeting) Operations(ctx context.Context) ([][]byte, error) {
	return call(ctx, m, func() (all [][]byte, err error) {
		m.set.All(func(_ crypto.Hash, raw []byte) bool { all = append(all, raw); return true })
		return all, nil
	})
}

// Through makes an invite lead to other members' doors.
func Through(i Invite, doors ...*Meeting) Invite {
	i.link.Doors = nil
	for _, m := range doors {
		i.link.Doors = append(i.link.Doors, crypto.Door{Key: m.self.Key(), Addresses: m.RawAddresses()})
	}
	return i
}

// Nowhere puts a door before the others where nobody is.
func Nowhere(i Invite) Invite {
	id := crypto.GenerateIdentity()
	n, err := id.NewIncarnation(i.link.Meeting)
	if err != nil {
		panic(err)
	}
	nobody := crypto.Door{Key: n.Key(), Addresses: [][]byte{{4, 5, 99, 0, 1, 0x91, 2, 0x11, 0x5c, 0xcd, 3}}}
	i.link.Doors = append([]crypto.Door{nobody}, i.link.Doors...)
	return i
}

// Reseal seals a signed message, or what looks like one, under this member's key: what a changed client can do.
func (m *Meeting) Reseal(ctx context.Context, stream uint8, signed []byte) ([]byte, error) {
	return call(ctx, m, func() ([]byte, error) {
		sealed, err := m.keys.keys.Stream(stream).SealMessage(signed)
		return encode(gossipMessage{Sealed: sealed}), err
	})
}

// AnnounceRecording has a member announce any recording, as a hostile client may.
func (m *Meeting) AnnounceRecording(ctx context.Context, id RecordingID, running bool) error {
	return command(ctx, m, func() error {
		s := &recordingState{ID: id, Running: running}
		if running {
			s.Since = 1
		}
		m.setState(func(o *memberState) { o.recording = s })
		m.observeStates()
		return nil
	})
}

// InjectAltered has a member send its last state announcement again, with a hand raised under the old signature.
func (m *Meeting) InjectAltered(ctx context.Context, to crypto.MeetingKey) error {
	return command(ctx, m, func() error {
		a := *m.plane.announce()
		a.Hand = 1
		m.sendTo(to, pairMessage{State: &a})
		return nil
	})
}

// What tests of files need.
type (
	FileAnnounce = fileAnnounce
	FileDown     = fileDown
)

// SafeFileName is FileOffer.SafeName's.
var SafeFileName = safeFileName

// ChangeFile has a member change what it sends of a file, by chunk.
func ChangeFile(c Config, f func(chunk uint64, d FileDown) FileDown) Config {
	c.hooks.fileDown = f
	return c
}

// Announce has a member send any announcement of a file to somebody, as if to a person if to isn't zero.
func (m *Meeting) Announce(ctx context.Context, peer crypto.MeetingKey, a FileAnnounce, to crypto.IdentityKey) (crypto.MessageID, error) {
	return m.AnnounceAs(ctx, crypto.NewMessageID(), peer, a, to)
}

// AnnounceAs is Announce under any message ID.
func (m *Meeting) AnnounceAs(ctx context.Context, id crypto.MessageID, peer crypto.MeetingKey, a FileAnnounce, to crypto.IdentityKey) (crypto.MessageID, error) {
	stream, body := uint8(crypto.StreamFile), encode(a)
	if !to.IsZero() {
		stream, body = crypto.StreamPrivateFile, append(to[:], body...)
	}
	signed, err := crypto.SignMessage(m.self, stream, id, time.Now(), body)
	if err != nil {
		return id, err
	}
	return id, m.InjectMessage(ctx, peer, PairMessage{Resend: &ResentMessage{Stream: stream, Signed: signed}})
}

// KnowFile has a member know of a file that it wasn't offered, as if another had told it.
func (m *Meeting) KnowFile(ctx context.Context, o FileOffer) error {
	return command(ctx, m, func() error {
		m.files.offers[o.ID] = &offeredFile{FileOffer: o}
		return nil
	})
}

// OneFileKey has a member ask for files under the same key each time.
func OneFileKey(c Config) Config {
	raw, err := crypto.NewFileKey().MarshalCBOR()
	if err != nil {
		panic(err)
	}
	c.hooks.fileKey = func() (k crypto.FileKey) { // a copy, as who asks wipes it
		if err := k.UnmarshalCBOR(raw); err != nil {
			panic(err)
		}
		return k
	}
	return c
}

// ChunkOf is the sealed chunk in a frame of a transfer, or nil.
func ChunkOf(frame []byte) []byte {
	var d fileDown
	_ = decodeOne(frame, maxFileFrame, &d)
	return d.Chunk
}

// PlainAsk is a request for a file that isn't sealed.
func PlainAsk(o FileOffer, key crypto.FileKey) []byte {
	return encode(pairMessage{FileAsk: &fileAsk{File: o.ID, Key: key, Number: 1}})
}

// AskRaw opens a file stream and sends any first frame; it returns what comes back.
func (m *Meeting) AskRaw(ctx context.Context, to crypto.MeetingKey, frame []byte) ([]byte, error) {
	s, err := m.host.OpenFile(ctx, peerKey(to))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.Send(frame, time.Second); err != nil {
		return nil, err
	}
	return s.Receive(5 * time.Second)
}

// SealAsk seals a request for a file, with a fresh key.
func (m *Meeting) SealAsk(ctx context.Context, o FileOffer) ([]byte, error) {
	return call(ctx, m, func() ([]byte, error) {
		return m.askFile(&FileTransfer{m: m, offer: o}, crypto.NewFileKey())
	})
}

// OperationsAfterEnd are all operations a member had at the end.
func (m *Meeting) OperationsAfterEnd(ctx context.Context) (all [][]byte, err error) {
	select {
	case <-m.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m.set.All(func(_ crypto.Hash, raw []byte) bool { all = append(all, raw); return true })
	return all, nil
}

// ReplyFor is a reply code that names any addresses.
func ReplyFor(i Invite, joiner crypto.MeetingKey, addrs ...ma.Multiaddr) string {
	code, err := crypto.SealReply(i.link.Secret, i.link.Meeting, doorOf(joiner, addrs))
	if err != nil {
		panic(err)
	}
	return code.String()
}

// Renamed is a code that claims to answer another invite.
func Renamed(code string, to Invite) string {
	c, err := crypto.ParseReply(code)
	if err != nil {
		panic(err)
	}
	c.Invite = to.link.Secret.ID()
	return c.String()
}

// PlayDoor dials a joiner who waits, and answers its knock with the invite's secret and a door key of its own: what
// somebody can do who intercepted link and code. It says whether the joiner named itself.
func PlayDoor(ctx context.Context, network transport.Network, i Invite, code string) (named bool, err error) {
	self, err := crypto.GenerateIdentity().NewIncarnation(i.Meeting())
	if err != nil {
		return false, err
	}
	c, err := crypto.ParseReply(code)
	if err != nil {
		return false, err
	}
	joiner, err := c.Open(i.link.Secret, i.link.Meeting)
	if err != nil {
		return false, err
	}
	host, err := transport.Listen(ctx, transport.Config{Key: self.PrivateKey(), RoomID: [32]byte{1}, Network: network})
	if err != nil {
		return false, err
	}
	defer func() { _ = host.Close() }()
	host.SetDoorOpen(true)
	if err := host.ConnectStranger(ctx, peerKey(joiner.Key), multiaddrs(joiner.Addresses)); err != nil {
		return false, err
	}
	d := <-host.Doors()
	defer d.Close()
	first, err := d.Receive(ctx)
	if err != nil {
		return false, err
	}
	fake := crypto.NewInvite()
	fake.Secret = i.link.Secret
	_, second, err := crypto.NewDoorResponder(self, fake, joiner.Key, first)
	if err != nil {
		return false, err
	}
	if err := d.Send(ctx, second); err != nil {
		return false, err
	}
	_, err = d.Receive(ctx)
	return err == nil, nil
}

// ConnectionsTo counts what the transport has of connections to a peer: 0 or 1.
func (m *Meeting) ConnectionsTo(key crypto.MeetingKey) int {
	if m.host.Path(peerKey(key)).Kind == PathNone {
		return 0
	}
	return 1
}

// RecordsHeld are the address records of others that a member holds, encoded.
func (m *Meeting) RecordsHeld(ctx context.Context) ([][]byte, error) {
	return call(ctx, m, func() (all [][]byte, _ error) {
		for _, r := range m.records {
			all = append(all, encode(&r.addressRecord))
		}
		return all, nil
	})
}

// GreetWithoutMedia does what a new connection does before media can go over it, and then what media does.
func (m *Meeting) GreetWithoutMedia(ctx context.Context, to crypto.MeetingKey) error {
	return command(ctx, m, func() error {
		p := m.peers[to]
		p.mediaUp = false
		m.greet(p)
		p.mediaUp = true
		m.sendStreams(p, false)
		return nil
	})
}

// GreetAndTell has a member find, as it greets somebody, that another bridges for it, and then tell all where it is.
func (m *Meeting) GreetAndTell(ctx context.Context, bridge crypto.MeetingKey) error {
	return command(ctx, m, func() error {
		m.bridges.held[bridge] = &reservation{until: time.Now().Add(time.Hour)}
		m.knownRecords(crypto.MeetingKey{})
		m.tellRecord()
		return nil
	})
}

// RecordNames says whether a record names a circuit through a member.
func RecordNames(raw []byte, bridge crypto.MeetingKey) bool {
	r, err := readRecord(raw)
	return err == nil && r.names(bridge)
}

// AgeRelays has a member take the tickets it made for older than they are.
func (m *Meeting) AgeRelays(ctx context.Context, by time.Duration) error {
	return command(ctx, m, func() error {
		m.relays.made = m.relays.made.Add(-by)
		for _, p := range m.peers {
			p.relaysAt = p.relaysAt.Add(-by)
		}
		return nil
	})
}

// WithExpiry is a link as it looks to somebody by whose clock it expires at another time.
func WithExpiry(i Invite, at time.Time) Invite {
	i.link.Expiry = at
	return i
}

// ConnectedAgain has a member told that what was under way to another may be lost, as when that one ends its stream.
func (m *Meeting) ConnectedAgain(ctx context.Context, to crypto.MeetingKey) error {
	return command(ctx, m, func() error {
		m.connected(to)
		return nil
	})
}

// Move has a member tell all where it is, each time as if that were somewhere else. It returns the last record.
func (m *Meeting) Move(ctx context.Context, bridge crypto.MeetingKey, times int) ([]byte, error) {
	return call(ctx, m, func() ([]byte, error) {
		for range times {
			if m.bridges.held[bridge] == nil {
				m.bridges.held[bridge] = &reservation{until: time.Now().Add(time.Hour)}
			} else {
				delete(m.bridges.held, bridge)
			}
			m.tellRecord()
		}
		return encode(m.ownRecord()), nil
	})
}

// Kept counts what a meeting has of others and of what is under way: what is given back when they go and it is over.
type Kept struct {
	Peers, Records, Lobby, Waiting, Unverified, Warned, Shown, Recordings, Offers, Uploads, Transfers, Withdrawn, Uplink int
	Readers, Unacked, Topics, Bridges, Senders, Tracks, Published, Outbox, KeyFrames, Dialling, Comparing, Missing       int
}

// Kept returns the counts.
func (m *Meeting) Kept(ctx context.Context) (Kept, error) {
	return call(ctx, m, func() (Kept, error) {
		m.files.uplink.mu.Lock()
		uplink := len(m.files.uplink.sending)
		m.files.uplink.mu.Unlock()
		k := Kept{
			Peers: len(m.peers), Records: len(m.records), Lobby: len(m.door.lobby) + len(m.door.slots), Warned: len(m.watch.warned), Shown: len(m.shown),
			Recordings: len(m.recordings), Offers: len(m.files.offers), Uploads: len(m.files.uploads), Transfers: len(m.files.transfers),
			Withdrawn: len(m.files.withdrawn), Uplink: uplink, Readers: len(m.keys.readers), Unacked: len(m.keys.unacked), Topics: len(m.topics),
			Bridges: len(m.bridges.held), Senders: len(m.plane.senders), Tracks: len(m.plane.tracks()), Published: len(m.plane.out.live),
			Outbox: len(m.chats.outbox), Missing: len(m.set.Missing()),
		}
		m.signals.mu.Lock()
		k.KeyFrames = len(m.signals.wanted)
		m.signals.mu.Unlock()
		for _, p := range m.peers {
			k.Unverified += len(p.unverified)
			k.Waiting += len(p.waiting)
			k.Dialling += p.dialling
			if p.compare.state != nil || p.compare.reply != nil {
				k.Comparing++
			}
		}
		return k, nil
	})
}

// HangUp closes a member's connections to another.
func (m *Meeting) HangUp(to crypto.MeetingKey) { m.host.Disconnect(peerKey(to)) }

// LoiterAtDoor opens the first door of a link, says what only who has the link can, and then nothing until ctx is done,
// again and again.
func LoiterAtDoor(ctx context.Context, network transport.Network, i Invite) error {
	self, err := crypto.GenerateIdentity().NewIncarnation(i.Meeting())
	if err != nil {
		return err
	}
	host, err := transport.Listen(ctx, transport.Config{Key: self.PrivateKey(), RoomID: [32]byte{1}, Network: network})
	if err != nil {
		return err
	}
	defer func() { _ = host.Close() }()
	door := i.link.Doors[0]
	for ctx.Err() == nil {
		d, err := host.OpenDoor(ctx, peerKey(door.Key), multiaddrs(door.Addresses))
		if err != nil {
			continue
		}
		_, first, err := crypto.NewDoorInitiator(self, "x", i.link.Secret, i.link.DoorKey, door.Key)
		if err == nil && d.Send(ctx, first) == nil {
			_, _ = d.Receive(ctx)
			_, _ = d.Receive(ctx) // until the door has enough
		}
		d.Close()
	}
	return nil
}
