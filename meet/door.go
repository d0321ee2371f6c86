package meet

import (
	"context"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

// Limits of DOR-7.
const (
	maxHandshakes = 8
	maxLobby      = 32
	knockBurst    = 16
	knocksPerMin  = 10
	doorHandshake = 10 * time.Second // for the three messages
	doorPatience  = 2 * time.Second  // for them, if others wait
	doorAnswer    = 10 * time.Second // for what follows a decision
)

// door is what a member needs to answer those who knock.
type door struct {
	invites map[crypto.InviteID]*openInvite
	lobby   map[crypto.IdentityKey]*visitor
	slots   chan struct{} // one for each handshake under way
	crowd   chan struct{} // taken from by a handshake under way for long enough: somebody waits for its slot
	version uint64        // grows with every change of the lobby
	told    uint64        // the version that the others were told (DOR-11)
	tells   limiter
}

// openInvite is a link that somebody may come with.
type openInvite struct {
	shared sharedInvite
	author crypto.IdentityKey
	at     time.Time // when it was learnt
	knocks limiter
}

// visitor is somebody whose knock was verified and who waits for a decision.
type visitor struct {
	knock    crypto.Knock
	link     crypto.InviteID
	invite   crypto.Hash
	at       time.Time
	decision chan decision // buffered
}

// decision is the answer to a knock.
type decision struct {
	denied DenyReason // 0: let in
	proof  []byte     // the operation that put the visitor out
	admit  *crypto.Hash
	roster [][]byte // encoded door messages
}

func newDoor() door {
	return door{invites: map[crypto.InviteID]*openInvite{}, lobby: map[crypto.IdentityKey]*visitor{}, slots: make(chan struct{}, maxHandshakes), crowd: make(chan struct{})}
}

func (d *door) close() {
	for _, i := range d.invites {
		i.shared.Invite.Wipe()
	}
}

// answerDoor runs beside the meeting's goroutine, one for each visitor. The transport bounds their number.
func (m *Meeting) answerDoor(d *transport.DoorStream) {
	defer d.Close()
	ctx, cancel := context.WithTimeout(m.ctx, doorHandshake)
	defer cancel()
	v, channel := m.doorHandshake(ctx, d)
	if v == nil {
		return // without a word (DOR-1)
	}
	defer m.post(func() { m.visitorGone(v) })
	waiting, err := call(ctx, m, func() (bool, error) { return m.knocked(v), nil })
	if err != nil {
		return
	}
	var gone <-chan struct{}
	if waiting {
		if !sendDoor(ctx, d, channel, doorMessage{Waiting: &struct{}{}}) {
			return
		}
		gone = m.watchVisitor(d)
	}
	var answer decision
	select {
	case answer = <-v.decision:
	case <-gone:
		return
	case <-m.ctx.Done():
		return
	}
	ctx, cancel = context.WithTimeout(m.ctx, doorAnswer)
	defer cancel()
	m.answerVisitor(ctx, d, channel, answer)
	// The visitor closes the stream when it has read everything.
	if gone == nil {
		_, _ = d.Receive(ctx)
		return
	}
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

// watchVisitor returns a channel that is closed when a waiting visitor goes away. It has nothing to say meanwhile, so
// whatever comes ends it.
func (m *Meeting) watchVisitor(d *transport.DoorStream) <-chan struct{} {
	gone := make(chan struct{})
	m.spawn(func() {
		defer close(gone)
		_, _ = d.Receive(m.ctx)
	})
	return gone
}

func (m *Meeting) answerVisitor(ctx context.Context, d *transport.DoorStream, channel *crypto.DoorChannel, answer decision) {
	if answer.denied != 0 {
		sendDoor(ctx, d, channel, doorMessage{Denied: &doorDenied{Reason: answer.denied, Operation: answer.proof}})
		return
	}
	for _, raw := range answer.roster {
		if !sendSealed(ctx, d, channel, raw) {
			return
		}
	}
	if answer.admit == nil {
		m.awaitResume(ctx, d, channel)
	}
}

// doorHandshake does the three messages of SPEC §4. Whoever has nothing to say takes nobody's slot.
func (m *Meeting) doorHandshake(ctx context.Context, d *transport.DoorStream) (*visitor, *crypto.DoorChannel) {
	first, err := d.Receive(ctx)
	if err != nil {
		return nil, nil
	}
	id, err := crypto.DoorInviteID(first)
	if err != nil {
		return nil, nil
	}
	shared, err := call(ctx, m, func() (*sharedInvite, error) {
		if i := m.door.invites[id]; i != nil {
			return &i.shared, nil
		}
		return nil, nil
	})
	if err != nil || shared == nil {
		return nil, nil
	}
	if !m.door.enter(ctx) {
		return nil, nil
	}
	defer func() { <-m.door.slots }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !m.config.hooks.noLimits {
		defer time.AfterFunc(doorPatience, func() { m.door.giveWay(ctx, cancel) }).Stop()
	}
	responder, second, err := crypto.NewDoorResponder(m.self, shared.Invite, crypto.MeetingKey(d.Peer()), first)
	if err != nil || d.Send(ctx, second) != nil {
		return nil, nil
	}
	third, err := d.Receive(ctx)
	if err != nil {
		return nil, nil
	}
	knock, channel, err := responder.Finish(third)
	if err != nil {
		return nil, nil
	}
	return &visitor{knock: knock, link: id, invite: shared.Operation, at: time.Now(), decision: make(chan decision, 1)}, channel
}

// enter waits for a slot (DOR-7).
func (d *door) enter(ctx context.Context) bool {
	for crowd := d.crowd; ; {
		select {
		case d.slots <- struct{}{}:
			return true
		case crowd <- struct{}{}: // somebody makes room
			crowd = nil
		case <-ctx.Done():
			return false
		}
	}
}

// giveWay ends a handshake when somebody waits for its slot.
func (d *door) giveWay(ctx context.Context, end func()) {
	select {
	case <-d.crowd:
		end()
	case <-ctx.Done():
	}
}

// tooOften says whether a link is over its rate (DOR-7). Who knocks too often is told so, since it has the link.
func (m *Meeting) tooOften(v *visitor) bool {
	i := m.door.invites[v.link]
	return i != nil && !i.knocks.allow(v.at, knockBurst, knocksPerMin/60.0) && !m.config.hooks.noLimits
}

// knocked decides at once what can be decided at once; true means that the visitor has to wait for somebody, and is
// told that and nothing else (DOR-6).
func (m *Meeting) knocked(v *visitor) (waiting bool) {
	id := v.knock.Bundle.Identity
	deny := func(r DenyReason) bool {
		v.decision <- decision{denied: r, proof: m.putOutBy(id)}
		return false
	}
	if f := m.config.hooks.denial; f != nil {
		if reason, proof := f(id); reason != 0 {
			v.decision <- decision{denied: reason, proof: proof}
			return false
		}
	}
	switch {
	case m.ending || m.roster.Ended:
		return deny(DeniedEnded)
	case m.tooOften(v):
		return deny(DeniedBusy)
	case m.roster.Member(id) != nil, id == m.set.Genesis().Creator && !m.roster.Banned(id):
		m.readmit(v) // DOR-8
		return false
	case m.roster.Banned(id):
		return deny(DeniedBanned)
	case m.roster.RemovedBy(id) != nil && m.roster.DeadInvite(v.invite):
		return deny(DeniedRemoved)
	case m.roster.Policy.Entry == roster.Locked:
		return deny(DeniedLocked)
	case m.roster.DeadInvite(v.invite):
		return deny(DeniedLink)
	case m.expired(v.invite, time.Now()): // CLK-3
		return deny(DeniedExpired)
	case !m.roster.MayAdmit(m.self.Identity()):
		return deny(DeniedNoHost)
	case m.roster.Policy.Entry == roster.Open && !m.roster.Member(m.self.Identity()).Equivocated:
		m.letIn(v)
		return false
	case len(m.door.lobby) >= maxLobby && m.door.lobby[id] == nil && !m.makeRoom(v):
		return deny(DeniedBusy)
	}
	if before := m.door.lobby[id]; before != nil { // it lost its connection, or knocks twice
		m.decide(before, decision{denied: DeniedBusy})
	}
	m.door.lobby[id] = v
	m.door.version++
	m.emit(Knocked{m.knock(v)})
	return true
}

// makeRoom turns out whoever came last by the link by which most wait, if those are more than by a visitor's own: keys are
// free, and who has one link must not keep out who comes by another (DOR-7).
func (m *Meeting) makeRoom(v *visitor) bool {
	waiting := map[crypto.InviteID]int{}
	for _, w := range m.door.lobby {
		waiting[w.link]++
	}
	var last *visitor
	for _, w := range m.door.lobby {
		if last == nil || waiting[w.link] > waiting[last.link] || waiting[w.link] == waiting[last.link] && w.at.After(last.at) {
			last = w
		}
	}
	if waiting[last.link] <= waiting[v.link]+1 || m.config.hooks.noLimits {
		return false
	}
	m.decide(last, decision{denied: DeniedBusy})
	return true
}

// putOutBy is the operation by which somebody is no longer in, or nil.
func (m *Meeting) putOutBy(id crypto.IdentityKey) []byte {
	if op := m.roster.EndedBy(); op != nil {
		return m.set.BytesOf(op)
	}
	if op := m.roster.RemovedBy(id); op != nil {
		return m.set.BytesOf(op)
	}
	return nil
}

// expired says whether an invite's time is over; the fold has no clock, so the door looks.
func (m *Meeting) expired(invite crypto.Hash, now time.Time) bool {
	op, _ := m.set.Operation(invite)
	return op == nil || op.Body.Invite == nil || op.Body.Invite.Expiry != 0 && now.Unix() >= int64(op.Body.Invite.Expiry)
}

// letIn admits a visitor: this member alone authors the Admit.
func (m *Meeting) letIn(v *visitor) {
	k := &v.knock
	raw, hash, err := m.set.Author(m.self, time.Now(), roster.Body{Admit: &roster.Admit{
		Bundle: k.Bundle, Name: k.Name, Invite: v.invite, Signature: k.Signature, JoinerNonce: k.JoinerNonce, ResponderNonce: k.ResponderNonce,
	}})
	if err != nil {
		m.log.Debug("not admitted", "error", err)
		v.decision <- decision{denied: DeniedLink}
		return
	}
	v.decision <- decision{admit: &hash, roster: m.welcome(&hash)}
	m.spread(raw)
	m.follow()
}

// readmit gives somebody who is on the roster what they need to speak for themselves (DOR-8).
func (m *Meeting) readmit(v *visitor) { v.decision <- decision{roster: m.welcome(nil)} }

// welcome is the whole roster and where the members are, as door messages.
func (m *Meeting) welcome(admit *crypto.Hash) [][]byte {
	var raws [][]byte
	m.set.All(func(_ crypto.Hash, raw []byte) bool {
		raws = append(raws, raw)
		return true
	})
	var all [][]byte
	for _, batch := range batches(raws) {
		all = append(all, encode(doorMessage{Roster: &doorRoster{Genesis: m.set.GenesisBytes(), Operations: batch}}))
	}
	w := &doorWelcome{Admit: admit, Addresses: m.knownRecords(crypto.MeetingKey{})}
	return append(all, encode(doorMessage{Welcome: w}))
}

// awaitResume takes the Resume of somebody who came back.
func (m *Meeting) awaitResume(ctx context.Context, d *transport.DoorStream, c *crypto.DoorChannel) {
	msg, err := receiveDoor(ctx, d, c)
	if err != nil || msg.Resume == nil {
		return
	}
	_ = command(ctx, m, func() error {
		if out, err := m.set.Add(msg.Resume); err != nil || out != roster.Added {
			return err
		}
		m.spread(msg.Resume)
		m.follow()
		return nil
	})
}

func (m *Meeting) visitorGone(v *visitor) {
	if m.door.lobby[v.knock.Bundle.Identity] == v {
		m.leaveLobby(v)
	}
}

// doorFollows turns out whoever waits with a link that died, or at a door that was locked (DOR-9).
func (m *Meeting) doorFollows() {
	m.recheckInvites()
	m.announce(time.Now())
	for id, v := range m.door.lobby {
		if m.config.hooks.keepLobby {
			break
		}
		reason := DenyReason(0)
		switch {
		case m.roster.Ended:
			reason = DeniedEnded
		case m.roster.Banned(id):
			reason = DeniedBanned
		case m.roster.DeadInvite(v.invite):
			reason = DeniedLink
		case m.roster.Policy.Entry == roster.Locked:
			reason = DeniedLocked
		case !m.roster.MayAdmit(m.self.Identity()):
			reason = DeniedNoHost
		}
		if reason != 0 {
			m.decide(v, decision{denied: reason})
		}
	}
	if self := m.roster.Member(m.self.Identity()); self != nil && self.Role != Viewer {
		for _, p := range m.peers {
			m.shareInvites(p)
		}
	}
	for _, p := range m.peers {
		m.tellWaiting(p, time.Now())
		m.showWaiting(p)
	}
}

func (m *Meeting) decide(v *visitor, d decision) {
	m.leaveLobby(v)
	v.decision <- d
}

func (m *Meeting) leaveLobby(v *visitor) {
	id := v.knock.Bundle.Identity
	delete(m.door.lobby, id)
	m.door.version++
	m.emit(KnockGone{Identity: id})
}

func (m *Meeting) doorTick(now time.Time) {
	for _, v := range m.door.lobby {
		if m.expired(v.invite, now) {
			m.decide(v, decision{denied: DeniedExpired})
		}
	}
}

func sendDoor(ctx context.Context, d *transport.DoorStream, c *crypto.DoorChannel, msg doorMessage) bool {
	return sendSealed(ctx, d, c, encode(msg))
}

func sendSealed(ctx context.Context, d *transport.DoorStream, c *crypto.DoorChannel, raw []byte) bool {
	frame, err := c.Seal(raw)
	return err == nil && d.Send(ctx, frame) == nil
}

func receiveDoor(ctx context.Context, d *transport.DoorStream, c *crypto.DoorChannel) (doorMessage, error) {
	var msg doorMessage
	frame, err := d.Receive(ctx)
	if err != nil {
		return msg, err
	}
	raw, err := c.Open(frame)
	if err != nil {
		return msg, err
	}
	return msg, decodeOne(raw, maxDoorMessage, &msg)
}
