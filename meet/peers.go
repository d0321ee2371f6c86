package meet

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

const (
	dialTimeout  = 10 * time.Second
	maxDialPause = 5 * time.Second
	// redialPause is how long somebody who lost a connection waits at least before the next, and half of it more by
	// chance: a peer that is connected to by many at once turns some away.
	redialPause = 100 * time.Millisecond
	// answerPause is how long whoever was there leaves it to somebody new to connect, and half of it more by chance.
	answerPause = 400 * time.Millisecond
	// handshakeEvery is how long a handshake under way is left alone. The packets of one are on a reliable stream, so
	// a second one would only void the media offer of the first.
	handshakeEvery = time.Second
	// offerEvery is how long a media offer has to bring the link up before there is another. Where media goes by a
	// stream meanwhile, and a few offers came to nothing, it is lateOfferEvery (MST-4).
	offerEvery     = 5 * time.Second
	lateOfferEvery = 20 * time.Second
	earlyOffers    = 3
)

// peer is another member's present incarnation.
type peer struct {
	key     crypto.MeetingKey
	session *crypto.PairSession
	reader  *crypto.ReaderKeys

	connected bool // by the transport
	installed bool // the pair session carries
	away      bool
	heardAt   time.Time // when a pair message came last

	addedAt     time.Time
	told        uint64 // number of the state announcement it was sent last
	state       memberState
	stateNumber uint64 // of the announcement that said so
	dialling    int    // dials under way
	sought      bool   // it was there before this member, who dials it
	path        transport.Path
	apartSince  time.Time // since when there is no direct connection
	directAt    time.Time // when one is sought again
	dialAt      time.Time
	dialWait    time.Duration

	shookAt time.Time // when a handshake was begun or answered
	missed  bool      // something could not be queued for it

	mediaUp   bool // media can be sent to it
	mediaICE  bool // by ICE's path
	offeredAt time.Time
	offers    int // since ICE had a path, or the connection is new

	haveAt     time.Time // when it was sent a list of what is in the set (SYN-3)
	syncAt     time.Time // when it was asked to compare
	syncDue    bool
	compare    comparison
	resentAt   time.Time     // when it was sent messages again that it hasn't acknowledged (MSG-3)
	resendWait time.Duration // from then to the next time
	resent     int           // how many then

	acknowledged int // since then
	reactions    reactions
	relays       []sharedRelay            // that it named
	relaysAt     time.Time                // when tickets of ours were made for it
	tickets      []sharedRelay            // those
	unverified   []sharedInvite           // whose Invite isn't known yet
	knows        map[crypto.InviteID]bool // invites it was told
	waiting      []*waiting               // at its door, as it says (DOR-11)
	knocksTold   uint64                   // the version of our lobby that it was told

	ghost       ghostWatch
	limit       struct{ reconcile, offers, comparisons, contradictions, recordings, mutes, mutesSent, told, decisions, announcements, asks, chats, data, passes, relays, beats, answers, greetings, returns, operations limiter }
	unconsented map[crypto.MeetingKey]unconsented // who is seen not to consent to its recording (REC-3)
}

// Limits on what a peer makes us do, each as so many at once and so many a second.
const (
	reconcileBurst, reconcileRate = 64, 16 // lists and requests of operations (SYN-3)
	// Operations sent for that, besides twice the set at once; about 64 KiB a second.
	operationsBurst, operationsRate = 1024, 256
	offerBurst, offerRate           = 4, 1   // each makes a media session
	comparisonBurst, comparisonRate = 4, 0.2 // each shows the user something (VER-4)
	contradictBurst, contradictRate = 8, 1   // each is a signature to verify (PRE-7)
	beatBurst, beatRate             = 16, 2  // each is compared with what all others said (PRE-8)
	greetBurst, greetRate           = 8, 1   // each is all that it may have missed (PAI-8)
	fileBurst, fileRate             = 64, 1  // announcements of files, each of which shows the user something (FIL-8)
	askBurst, askRate               = 16, 4  // requests for files (FIL-8)
)

// addPeer begins with a member who is new on the roster.
func (m *Meeting) addPeer(r *roster.Member) {
	key := r.Bundle.MeetingKey
	session, err := crypto.NewPairSession(m.self, r.Bundle)
	if err != nil {
		m.log.Error("no pair session with a member", "error", err)
		return
	}
	p := &peer{key: key, session: session, reader: m.plane.addSender(key), addedAt: time.Now()}
	// Who comes dials, since it was told where everybody is; the others when nothing came of that: then a firewall may
	// stand before each, and open when both have sent.
	if m.started {
		m.dialLater(p, p.addedAt, answerPause+rand.N(answerPause/2))
	}
	m.peers[key] = p
	m.ledger.came(r)
	p.apart(p.addedAt)
	p.sought = !m.started
	m.host.Allow(peerKey(key))
	m.dial(p, time.Now())
	m.bridgeSoon()
}

// dropPeer ends everything with an incarnation that is no longer on the roster. It is told why, by the operations
// it may lack, and then cut off; nothing new is sent to it from this moment.
func (m *Meeting) dropPeer(p *peer) {
	m.leaves(p)
	delete(m.peers, p.key)
	delete(m.records, p.key)
	delete(m.bridges.held, p.key)
	if m.forgetWarnings(p.key); len(p.relays) > 0 {
		m.useRelays()
	}
	p.compare.fail(ErrNoSuchMember)
	m.hideWaiting(p)
	m.trackEvents(m.plane.removeSender(p.key), nil)
	m.recipientsChanged()
	var farewells [][]byte
	if p.session.Ready(time.Now()) {
		for _, raw := range m.lastWords(p) {
			msg := encode(pairMessage{Operations: [][]byte{raw}})
			if packet, err := p.session.Seal(time.Now(), msg); err == nil {
				farewells = append(farewells, packet)
			}
		}
	}
	p.session.Wipe()
	if m.config.hooks.keepPeers {
		return
	}
	m.host.Dismiss(peerKey(p.key), farewells)
}

// lastWords are the operations by which a peer is out.
func (m *Meeting) lastWords(p *peer) [][]byte {
	var raws [][]byte
	who := p.session.Peer().Identity
	for _, op := range []*roster.Operation{m.roster.RemovedBy(who), m.roster.EndedBy()} {
		if op != nil {
			raws = append(raws, m.set.BytesOf(op))
		}
	}
	if now := m.roster.Member(who); now != nil { // it took part anew, with other keys
		if _, raw := m.set.Operation(now.Introduction); raw != nil {
			raws = append(raws, raw)
		}
	}
	return raws
}

func (m *Meeting) connected(k crypto.MeetingKey) {
	p := m.peers[k]
	if p == nil {
		return
	}
	again := p.connected
	p.connected, p.dialWait, p.offers = true, 0, 0
	now := time.Now()
	m.pathChanged(p, now)
	if p.session.Ready(now) {
		// The session outlives the connection; what was under way may be lost.
		p.installed = true
		m.greet(p)
	} else {
		if again { // a packet of the handshake may be lost
			p.shookAt = time.Time{}
		}
		m.handshake(p, now)
	}
	m.changed(p)
}

func (m *Meeting) disconnected(k crypto.MeetingKey) {
	p := m.peers[k]
	if p == nil {
		return
	}
	p.connected, p.knows, p.shookAt = false, nil, time.Time{}
	p.compare.fail(ErrNotConnected)
	m.pathChanged(p, time.Now())
	m.lonely(time.Now())
	p.dialWait = 0
	m.changed(p)
	m.dialLater(p, time.Now(), redialPause+rand.N(redialPause/2))
}

// dialLater dials after a pause, and not before.
func (m *Meeting) dialLater(p *peer, now time.Time, pause time.Duration) {
	p.dialAt = now.Add(pause)
	m.after(pause, func() {
		if m.peers[p.key] == p {
			m.dial(p, time.Now())
		}
	})
}

func (m *Meeting) changed(p *peer) {
	if v, ok := m.memberByKey(p.key); ok {
		m.emit(MemberChanged{v})
	}
	m.showWaiting(p)
}

// maxDials is how many dials to one member may be under way: a later one takes the place of one that hangs (TRA-10).
const maxDials = 3

// dial connects to a peer at the addresses it signed, if it is time to.
func (m *Meeting) dial(p *peer, now time.Time) {
	record := m.records[p.key]
	if !p.connected && p.dialling < maxDials && record != nil && !now.Before(p.dialAt) && !m.ending {
		m.connect(p, record, now)
	}
}

// dialAnew dials at once, since there is something new to try.
func (m *Meeting) dialAnew(p *peer, now time.Time) {
	p.dialAt, p.dialWait = time.Time{}, 0
	m.dial(p, now)
}

// dialApart dials all who aren't connected, since there is a new way.
func (m *Meeting) dialApart(now time.Time) {
	for _, p := range m.peers {
		m.dialAnew(p, now)
	}
}

func (m *Meeting) connect(p *peer, record *knownRecord, now time.Time) {
	addrs := multiaddrs(record.Addresses)
	if len(addrs) == 0 {
		return
	}
	p.dialling++
	p.dialWait = min(max(2*p.dialWait, time.Second), maxDialPause)
	p.dialAt = now.Add(p.dialWait)
	m.spawn(func() {
		ctx, cancel := context.WithTimeout(m.ctx, dialTimeout)
		defer cancel()
		_ = m.host.Connect(ctx, peerKey(p.key), addrs)
		m.post(func() { p.dialling-- })
	})
}

// handshake begins a pair session, with a media offer in its first message where we are the one to offer, unless one
// is under way: both sides learn of a connection, and a nudge crosses an initiation.
func (m *Meeting) handshake(p *peer, now time.Time) {
	if now.Sub(p.shookAt) < handshakeEvery {
		return
	}
	p.shookAt = now
	if !p.session.Initiator() {
		m.deliver(p, p.session.Tick(now))
		return
	}
	var early []byte
	if !p.mediaICE {
		if offer, err := m.host.MediaOffer(peerKey(p.key)); err == nil && len(offer) < maxEarly {
			early, p.offeredAt = encode(earlyData{Media: offer}), now
		}
	}
	packet, err := p.session.Initiate(now, early)
	if err != nil {
		m.log.Debug("no initiation", "error", err)
		return
	}
	m.deliver(p, packet)
}

// deliver hands a pair packet to the transport.
func (m *Meeting) deliver(p *peer, packet []byte) {
	if packet == nil || m.config.hooks.silent != nil && m.config.hooks.silent() {
		return
	}
	if err := m.host.Send(peerKey(p.key), packet); err != nil {
		p.missed = p.missed || errors.Is(err, transport.ErrQueueFull) // all of it is said again when there is room
		m.log.Debug("packet not sent", "error", err)
	}
}

// packet takes one pair packet.
func (m *Meeting) packet(p *peer, data []byte) {
	now := time.Now()
	if content := m.unseal(p, data, now); content != nil {
		m.message(p, content, now)
	}
}

// unseal opens a pair packet, does what its handshake needs, and returns its content, or nil if it has none.
func (m *Meeting) unseal(p *peer, data []byte, now time.Time) []byte {
	ev, err := p.session.Receive(now, data)
	if err != nil {
		m.log.Debug("pair packet refused", "error", err)
		return nil
	}
	m.deliver(p, ev.Reply)
	if ev.Respond {
		m.respond(p, ev.Hint, now)
	}
	if ev.Initiate {
		m.handshake(p, now)
	}
	if ev.Early != nil {
		m.earlyAnswer(p, ev.Early)
	}
	if ev.Installed {
		p.installed = true
		m.greet(p)
		m.changed(p)
	}
	if ev.Data != nil {
		m.watch.heardAt, p.heardAt = now, now
		m.presence.Alive(p.key, now)
	}
	return ev.Data
}

// respond answers an initiation. A replayed offer is stale and does nothing (PAI-2).
func (m *Meeting) respond(p *peer, hint []byte, now time.Time) {
	m.openedEarly(hint)
	var early []byte
	var e earlyData
	if len(hint) > 0 && codec.Unmarshal(hint, maxEarly, &e) == nil && len(e.Media) > 0 {
		if answer, err := m.host.MediaAnswer(peerKey(p.key), e.Media); err == nil && len(answer) < maxEarly {
			early = encode(earlyData{Media: answer})
		}
	}
	p.shookAt = now
	packet, err := p.session.Respond(now, early)
	if err != nil {
		m.log.Debug("no response", "error", err)
		return
	}
	m.deliver(p, packet)
}

func (m *Meeting) openedEarly(early []byte) {
	if f := m.config.hooks.opened; f != nil {
		f("early", early)
	}
}

func (m *Meeting) earlyAnswer(p *peer, early []byte) {
	m.openedEarly(early)
	var e earlyData
	if codec.Unmarshal(early, maxEarly, &e) == nil && len(e.Media) > 0 {
		m.accept(p, e.Media)
	}
}

func (m *Meeting) answer(p *peer, offer []byte, now time.Time) {
	if !p.limit.offers.allow(now, offerBurst, offerRate) {
		return
	}
	if answer, err := m.host.MediaAnswer(peerKey(p.key), offer); err == nil {
		m.send(p, pairMessage{Answer: answer})
	}
}

func (m *Meeting) accept(p *peer, answer []byte) {
	if err := m.host.MediaAccept(peerKey(p.key), answer); err != nil && !errors.Is(err, transport.ErrStale) {
		m.log.Debug("media answer refused", "error", err)
	}
}

// greet sends what a peer needs to know when a session or connection is new, or when it missed something. All of it may
// be told twice: a reader takes the same key, announcement or record again as said before.
func (m *Meeting) greet(p *peer) {
	// PAI-8: who loses its connection without end is greeted when there is time again (tend).
	if p.missed = !p.limit.greetings.allow(time.Now(), greetBurst, greetRate) && !m.config.hooks.noLimits; p.missed {
		return
	}
	m.sendWrap(p)
	m.sendAnnounce(p)
	m.sendStreams(p, true)
	m.reconcile(p)
	m.sendRecords(p)
	m.shareInvites(p)
	m.shareRelays(p, time.Now())
	p.knocksTold = 0
	m.tellWaiting(p, time.Now())
	if p.limit.returns.allow(time.Now(), returnBurst, returnRate) || m.config.hooks.noLimits { // MSG-10
		p.resendWait = 0
	}
	m.resend(p, true, time.Now())
	if raw := m.presenceBeat(); raw != nil {
		m.send(p, pairMessage{Heartbeat: raw})
	}
	m.refuseAgain(p)
	m.files.wake(p.key)
}

// tend does for a peer what time brings: dialling, handshakes, media offers.
func (m *Meeting) tend(p *peer, now time.Time) {
	m.dial(p, now)
	if p.connected {
		m.deliver(p, p.session.Tick(now))
	}
	if p.missed && p.connected && p.installed {
		p.knows = nil
		m.greet(p)
	}
	p.compare.expire(now)
	m.sendStreams(p, false)
	if p.installed && p.connected && !p.mediaICE && now.Sub(p.offeredAt) >= p.offerPause() {
		m.offer(p, now)
	}
}

func (p *peer) offerPause() time.Duration {
	if p.mediaUp && p.offers >= earlyOffers {
		return lateOfferEvery
	}
	return offerEvery
}

func (m *Meeting) offer(p *peer, now time.Time) {
	if !p.session.Initiator() { // the smaller key offers
		return
	}
	p.offeredAt = now
	p.offers++
	if offer, err := m.host.MediaOffer(peerKey(p.key)); err == nil {
		m.send(p, pairMessage{Offer: offer})
	}
}

func (m *Meeting) mediaState(e transport.MediaState) {
	p := m.peers[crypto.MeetingKey(e.Peer)]
	ice := e.Up && !e.Stream
	if p == nil || p.mediaUp == e.Up && p.mediaICE == ice {
		return
	}
	lost := p.mediaICE && !ice
	if lost || ice {
		p.offers = 0
	}
	p.mediaUp, p.mediaICE = e.Up, ice
	if (lost || !e.Up) && p.installed {
		m.offer(p, time.Now())
	}
	m.recipientsChanged()
	m.sendStreams(p, false)
}

// send seals a message for a peer. Where there is no session yet, what matters is sent again by greet.
func (m *Meeting) send(p *peer, msg pairMessage) {
	if !p.connected {
		return
	}
	m.sendRaw(p, encode(msg))
}

func (m *Meeting) sendRaw(p *peer, raw []byte) {
	if packet, err := p.session.Seal(time.Now(), raw); err == nil {
		m.deliver(p, packet)
	}
}

func (m *Meeting) sendTo(k crypto.MeetingKey, msg pairMessage) {
	if p := m.peers[k]; p != nil {
		m.send(p, msg)
	}
}

func (m *Meeting) sendAll(msg pairMessage) {
	for _, p := range m.peers {
		m.send(p, msg)
	}
}

func peerKey(k crypto.MeetingKey) transport.PeerKey { return transport.PeerKey(k) }
