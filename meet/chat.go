package meet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
)

const (
	// maxOutbox bounds how many own messages are kept for those who missed them (MSG-3).
	maxOutbox = 256
	// maxSeen bounds how many message IDs of each author are remembered (MSG-1).
	maxSeen = 4096
	// resendAfter is how long the room has to deliver a message before it is sent pairwise, and resendEvery how often.
	resendAfter = 500 * time.Millisecond
	resendEvery = 2 * time.Second
	// resendBatch bounds what is sent again to one peer each time.
	resendBatch = 64
	// maxResendWait is how far apart that gets for who doesn't acknowledge it (MSG-10), and returnBurst and returnRate how
	// often a new connection begins anew, as so many at once and so many a second.
	maxResendWait           = 2 * time.Minute
	returnBurst, returnRate = 4, 1. / 60
	// chatBurst and chatRate bound what is shown of one author, private or not, as so many at once and so many a second: at
	// least what an author may have kept for us while we were away (MSG-8).
	chatBurst, chatRate = maxOutbox, 8
	// dataBurst and dataRate are the same of an application's messages: a program reads faster than a person, but what it
	// doesn't read in time, chat of others among it, is lost to it (EventBuffer).
	dataBurst, dataRate = EventBuffer, 256
	// maxDeparted bounds of how many authors who are gone the message IDs are remembered.
	maxDeparted = 64
)

// chats is what this member said and has heard, for as long as needed.
type chats struct {
	outbox []*outgoing
	due    bool // a timer runs, to look whether all has arrived
	seen   map[crypto.MeetingKey]*seenMessages
}

// outgoing is an own message that not everybody has acknowledged.
type outgoing struct {
	id     crypto.MessageID
	stream uint8
	signed []byte
	at     time.Time
	lack   map[crypto.IdentityKey]bool // by person: they may come back as another incarnation; the addressee alone, if there is one
}

type seenMessages struct {
	ids   map[crypto.MessageID]bool
	order []crypto.MessageID
}

func newChats() chats { return chats{seen: map[crypto.MeetingKey]*seenMessages{}} }

// Say sends a chat message to everybody: at most 4,096 bytes of UTF-8 (MSG-2). It returns when the message is sealed
// and sent; whoever is away gets it when they are back, as long as this member stays (MSG-3). The errors are ErrNotText,
// ErrTooLong, ErrNotPermitted and ErrIsolated.
func (m *Meeting) Say(ctx context.Context, text string) error {
	if err := checkChat(text); err != nil {
		return err
	}
	return m.sayAny(ctx, crypto.StreamChat, []byte(text), nil)
}

// SendData sends an application's own message to everybody, sealed like chat: at most 8,192 bytes (MSG-2). Of messages
// and chat together the newest 256 are kept for those who missed them (MSG-3).
func (m *Meeting) SendData(ctx context.Context, data []byte) error {
	if len(data) > crypto.MaxDataBody {
		return ErrTooLong
	}
	return m.sayAny(ctx, crypto.StreamData, data, nil)
}

// SayTo sends a chat message to one person alone: at most 4,096 bytes of UTF-8. It travels by pair session only, and
// nobody else can be shown it as said to them or to all (MSG-4, MSG-5). Somebody who is away, or comes back with another
// incarnation, gets it then, as long as this member stays. The errors are Say's, and ErrNoSuchMember, also for oneself and
// for who is suspended.
func (m *Meeting) SayTo(ctx context.Context, who crypto.IdentityKey, text string) error {
	if err := checkChat(text); err != nil {
		return err
	}
	return m.sayAny(ctx, crypto.StreamPrivate, append(bytes.Clone(who[:]), text...), &who) // MSG-5: bound to the recipient
}

func checkChat(text string) error {
	switch {
	case !utf8.ValidString(text), text == "":
		return ErrNotText
	case len(text) > crypto.MaxChatBody:
		return ErrTooLong
	}
	return nil
}

func (m *Meeting) sayAny(ctx context.Context, stream uint8, body []byte, to *crypto.IdentityKey) error {
	return command(ctx, m, func() error {
		_, err := m.sendMessage(stream, body, to)
		return err
	})
}

// messagePermission is what a member needs in order to send a kind of message (ROS-22).
func messagePermission(stream uint8) Permissions {
	if isFileStream(stream) {
		return roster.Files
	}
	return roster.Chat
}

// mayMessage says whether this member may send a kind of message at present.
func (m *Meeting) mayMessage(stream uint8) error {
	self := m.roster.ByMeetingKey(m.self.Key())
	switch {
	case m.ending:
		return m.reason
	case (self == nil || m.roster.Policy.Allows(self.Role)&messagePermission(stream) == 0) && !m.config.hooks.unpermitted:
		return ErrNotPermitted
	case m.watch.stopped:
		return ErrIsolated
	}
	return nil
}

// sendMessage signs a message, sends it to everybody, or to one person if to isn't nil, and keeps it until it is
// acknowledged (MSG-3). What is for one person goes by pair session; its body has to say whom it is for.
func (m *Meeting) sendMessage(stream uint8, body []byte, to *crypto.IdentityKey) (*outgoing, error) {
	id, now := crypto.NewMessageID(), time.Now()
	if err := m.mayMessage(stream); err != nil {
		return nil, err
	}
	readers := m.addressees(to)
	if to != nil && len(readers) == 0 {
		return nil, ErrNoSuchMember
	}
	signed, err := crypto.SignMessage(m.self, stream, id, now, body)
	if err != nil {
		return nil, err
	}
	o := &outgoing{id: id, stream: stream, signed: signed, at: now, lack: readers}
	if to == nil {
		err = m.seal(stream, signed)
	} else if p := m.peers[m.roster.Member(*to).Bundle.MeetingKey]; p != nil && p.installed {
		m.send(p, pairMessage{Resend: &resentMessage{Stream: stream, Signed: signed}})
	}
	if err == nil {
		m.messageTo(stream, readers, to != nil)
	}
	if err == nil && len(readers) > 0 {
		m.keep(o)
	}
	return o, err
}

// addressees are those a message is for: one person, or all (nil), but for this member and who is suspended.
func (m *Meeting) addressees(to *crypto.IdentityKey) map[crypto.IdentityKey]bool {
	readers := map[crypto.IdentityKey]bool{}
	for i := range m.roster.Members {
		r := &m.roster.Members[i]
		if r.Bundle.MeetingKey != m.self.Key() && !r.Equivocated && (to == nil || r.Identity() == *to) {
			readers[r.Identity()] = true
		}
	}
	return readers
}

// keep holds a message until it is acknowledged, among the newest (MSG-3).
func (m *Meeting) keep(o *outgoing) {
	if len(m.chats.outbox) >= maxOutbox {
		m.chats.outbox = m.chats.outbox[1:]
	}
	m.chats.outbox = append(m.chats.outbox, o)
	if !m.chats.due {
		m.chats.due = true
		m.after(resendAfter, func() {
			m.chats.due = false
			m.chatsTick(time.Now())
		})
	}
}

// seal seals a signed message for all and publishes it.
func (m *Meeting) seal(stream uint8, signed []byte) error {
	if m.keys.generation() == 0 {
		m.rotate(0)
	}
	sealed, err := m.keys.keys.Stream(stream).SealMessage(signed)
	if err != nil {
		return err
	}
	m.publish(gossipMessage{Sealed: sealed})
	return nil
}

// sealed opens a sealed message of the room. One whose key hasn't come waits for it (KEY-8).
func (m *Meeting) sealed(raw []byte, now time.Time) {
	s, err := crypto.ParseSealedMessage(raw)
	if err != nil {
		return
	}
	p := m.peers[s.Author]
	if p == nil || s.Verify(m.id) != nil && !m.config.hooks.anySealer { // MSG-9
		return
	}
	m.openMessage(p, s.Sealed, now)
}

func (m *Meeting) openMessage(p *peer, packet []byte, now time.Time) {
	msg, err := p.reader.OpenMessage(now, packet)
	if err != nil {
		if !errors.Is(err, crypto.ErrReplay) {
			m.log.Debug("message not opened", "error", err)
		}
		return
	}
	if f := m.config.hooks.opened; f != nil {
		f("sealed", msg.Body)
	}
	m.show(p, msg, now)
}

// show delivers a message once (MSG-1), if its author may chat (ROS-22), and acknowledges it.
func (m *Meeting) show(p *peer, msg crypto.Message, now time.Time) {
	from, ok := m.memberByKey(p.key)
	if !ok || m.roster.Policy.Allows(from.Role)&messagePermission(msg.Stream) == 0 && !m.config.hooks.allPermitted {
		return
	}
	if isFileStream(msg.Stream) && !m.takesAnnouncement(p, msg) {
		return
	}
	if msg.Stream == crypto.StreamReaction {
		m.reacted(p, from, msg, now)
		return
	}
	private := msg.Stream == crypto.StreamPrivate
	if private {
		if msg, ok = m.forMe(msg); !ok {
			return
		}
	}
	if !isFileStream(msg.Stream) && !m.takesChat(p, msg, now) {
		return
	}
	if !m.config.hooks.unthankful {
		m.send(p, pairMessage{Received: []crypto.MessageID{msg.ID}})
	}
	if !m.chats.first(p.key, msg.ID) {
		return
	}
	if isFileStream(msg.Stream) {
		m.fileAnnounced(p, from, msg)
		return
	}
	if msg.Stream == crypto.StreamChat || private {
		if utf8.Valid(msg.Body) {
			m.emit(Chat{From: from, ID: msg.ID, Time: msg.Time, Text: string(msg.Body), Private: private})
		}
		return
	}
	m.emit(Data{From: from, ID: msg.ID, Time: msg.Time, Data: msg.Body})
}

// forMe returns a private message with its text as body, unless it is for somebody else (MSG-5).
func (m *Meeting) forMe(msg crypto.Message) (crypto.Message, bool) {
	self := m.self.Identity()
	if len(msg.Body) < len(self) || !bytes.Equal(msg.Body[:len(self)], self[:]) && !m.config.hooks.anyRecipient {
		m.log.Debug("private message refused: it is for somebody else")
		return msg, false
	}
	msg.Body = msg.Body[len(self):]
	return msg, true
}

// takesChat says whether a message may be shown now: what is too much isn't acknowledged, and so comes again (MSG-8).
func (m *Meeting) takesChat(p *peer, msg crypto.Message, now time.Time) bool {
	if s := m.chats.seen[p.key]; s != nil && s.ids[msg.ID] {
		return true
	}
	if msg.Stream == crypto.StreamData {
		return p.limit.data.allow(now, dataBurst, dataRate) || m.config.hooks.noLimits
	}
	return p.limit.chats.allow(now, chatBurst, chatRate) || m.config.hooks.noLimits
}

// first says whether a message of an author is new, and remembers it.
func (c *chats) first(author crypto.MeetingKey, id crypto.MessageID) bool {
	s := c.seen[author]
	if s == nil {
		s = &seenMessages{ids: map[crypto.MessageID]bool{}}
		c.seen[author] = s
	}
	if s.ids[id] {
		return false
	}
	if len(s.order) >= maxSeen {
		delete(s.ids, s.order[0])
		s.order = s.order[1:]
	}
	s.ids[id] = true
	s.order = append(s.order, id)
	return true
}

func (m *Meeting) received(p *peer, ids []crypto.MessageID) {
	if len(ids) > maxOutbox { // nobody is sent so many
		return
	}
	who := p.session.Peer().Identity
	for _, o := range m.chats.outbox {
		if o.lack[who] && slices.Contains(ids, o.id) {
			delete(o.lack, who)
			p.acknowledged++
		}
	}
	if 2*p.acknowledged >= p.resent {
		p.resendWait = resendEvery
	}
	m.chats.outbox = slices.DeleteFunc(m.chats.outbox, func(o *outgoing) bool { return len(o.lack) == 0 })
}

// resend seals again, pairwise, what a peer has missed (MSG-3), if it may read it. To one who is
// greeted goes what was just said, too, since the room may not have reached it. Who doesn't acknowledge half of it waits
// twice as long for the next time (MSG-10).
func (m *Meeting) resend(p *peer, greeting bool, now time.Time) {
	if !m.allowedReader(p.key) || m.config.hooks.noResend || now.Sub(p.resentAt) < p.resendWait {
		return
	}
	who, count := p.session.Peer().Identity, 0
	for _, o := range m.chats.outbox {
		if count < resendBatch && o.lack[who] && (greeting || now.Sub(o.at) >= resendAfter) {
			m.send(p, pairMessage{Resend: &resentMessage{Stream: o.stream, Signed: o.signed}})
			count++
		}
	}
	if count > 0 {
		p.resentAt, p.resent, p.acknowledged = now, count, 0
		p.resendWait = min(max(2*p.resendWait, resendEvery), maxResendWait)
		if m.config.hooks.noLimits {
			p.resendWait = resendEvery
		}
	}
}

func (m *Meeting) resent(p *peer, r *resentMessage, now time.Time) {
	if r.Stream == crypto.StreamReaction { // MSG-6: it was for the moment
		return
	}
	msg, err := crypto.VerifyMessage(m.id, p.key, r.Stream, r.Signed)
	if err != nil {
		m.log.Debug("message refused", "error", err)
		return
	}
	m.show(p, msg, now)
}

// chatsTick sends again what present members haven't acknowledged, and forgets who is no longer on the roster.
func (m *Meeting) chatsTick(now time.Time) {
	for _, o := range m.chats.outbox {
		for who := range o.lack {
			if m.roster.Member(who) == nil {
				delete(o.lack, who)
			}
		}
	}
	m.chats.outbox = slices.DeleteFunc(m.chats.outbox, func(o *outgoing) bool { return len(o.lack) == 0 })
	if len(m.chats.outbox) > 0 {
		for _, p := range m.peers {
			if p.connected && p.installed && !p.away {
				m.resend(p, false, now)
			}
		}
	}
	for author := range m.chats.seen {
		if len(m.chats.seen) > len(m.peers)+maxDeparted && m.peers[author] == nil {
			delete(m.chats.seen, author)
		}
	}
}
