package meet

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

// Join knocks at the doors of a link and waits until it is let in or turned away, or ctx is done. Where too many knock it
// knocks again, for some minutes. Somebody whose
// identity is on the roster is let in at once, even with a dead link and while the meeting is locked. Where no door can be
// reached it may wait to be dialled: see Config.OnReply.
//
// The errors are *DeniedError, *RemovedError, *UnreachableError, *ImpostorError, *InviteExpiredError, those of the
// configuration, ErrOutsideLAN, ErrNoCommonRelay, ErrRelayAway, and ctx's. What an *UnreachableError wraps may be ErrNoRendezvous, ErrNotFound or
// ErrNotPunched.
func Join(ctx context.Context, invite Invite, config Config) (*Meeting, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if e := invite.link.Expiry; !e.IsZero() && !time.Now().Before(e) {
		return nil, &InviteExpiredError{}
	}
	self, err := config.Identity.NewIncarnation(invite.link.Meeting)
	if err != nil {
		return nil, err
	}
	in := &inbox{}
	host, err := listen(ctx, config, self, invite.link.Meeting, in)
	if err != nil {
		return nil, err
	}
	var sought atomic.Bool
	g := &guest{config: config, self: self, link: invite.link, host: host, asking: func() { sought.Store(true) }}
	err = g.patiently(ctx, func() error { return g.enter(ctx) })
	lost := new(UnreachableError)
	switch {
	case !errors.As(err, &lost):
	case config.LANOnly && errors.Is(lost.Err, transport.ErrNoAddress):
		err = ErrOutsideLAN
	case config.RelayOnly && errors.Is(lost.Err, transport.ErrNoAddress):
		err = ErrNoCommonRelay
	default:
		err = g.awaitDial(ctx, lost)
	}
	if err != nil {
		_ = host.Close()
		self.Wipe()
		return nil, err
	}
	m, err := newMeeting(config, self, g.set, host, in)
	if err != nil {
		_ = host.Close()
		self.Wipe()
		return nil, err
	}
	m.link, m.ledger.sought = &g.link, sought.Load()
	m.ledger.reply(g.replied)
	m.start(g.addresses)
	return m, nil
}

// guest is somebody at the door.
type guest struct {
	config    Config
	self      *crypto.Incarnation
	link      crypto.Link
	host      *transport.Host
	set       *roster.Set
	addresses [][]byte
	waiting   bool
	member    bool              // asks as a member that nobody answers: it speaks for nobody anew
	denied    crypto.MeetingKey // who denied
	crowded   bool              // and did so because too many knock, not because of us
	proof     []byte            // what a denial came with
	asking    func()            // called, if set, when each rendezvous is about to be asked, whatever comes of it (EXP-4)
	reply     [][]byte          // the addresses in the newest reply code that was handed out
	replied   [][]byte          // those in all of them
	turn      chan struct{}     // of attempts beside each other, which has proved its door; nil: there is one
}

const (
	// enterRounds is how often the doors of a link are tried, if all fail at once: whoever is connected to by many at one
	// moment turns some away.
	enterRounds = 4
	enterQuick  = 2 * time.Second
	enterPause  = 200 * time.Millisecond // and up to three times as long, by chance
)

// enter enters by the doors of the link, or by those that are found.
func (g *guest) enter(ctx context.Context) error {
	if len(g.config.Rendezvous) > 0 {
		return g.find(ctx)
	}
	if !named(g.link) {
		return &UnreachableError{Err: ErrNoRendezvous}
	}
	return g.byLink(ctx)
}

// named says whether a link names an address.
func named(l crypto.Link) bool {
	return slices.ContainsFunc(l.Doors, func(d crypto.Door) bool { return len(d.Addresses) > 0 })
}

// byLink tries the link's doors in turn, and again where all fail quickly. Only a door that can't be reached is followed
// by the next.
func (g *guest) byLink(ctx context.Context) error {
	for round := 1; ; round++ {
		begun := time.Now()
		err := g.tryDoors(ctx)
		var lost *lostError
		if !errors.As(err, &lost) {
			return err
		}
		if err := over(ctx); err != nil {
			return err
		}
		if round == enterRounds || time.Since(begun) > enterQuick {
			return &UnreachableError{Err: lost.err}
		}
		select {
		case <-time.After(enterPause + rand.N(2*enterPause)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// doorStagger is the head start of a door over the next.
const doorStagger = 500 * time.Millisecond

func (g *guest) tryDoors(ctx context.Context) error {
	last := &lostError{errors.New("the link names no door")}
	for doors := g.link.Doors; len(doors) > 0; {
		stream, key, rest, err := g.open(ctx, doors)
		if err != nil {
			return &lostError{err}
		}
		err = g.through(ctx, stream, key)
		stream.Close()
		if !errors.As(err, &last) {
			return err
		}
		doors = rest
	}
	return last
}

// open returns the stream to the door that opens first; each has a head start over the next, which a failure ends. With
// it come those that may still be tried. Somebody who asks as a member takes one after the other (DOR-10).
func (g *guest) open(ctx context.Context, doors []crypto.Door) (*transport.DoorStream, crypto.MeetingKey, []crypto.Door, error) {
	type attempt struct {
		door   int
		stream *transport.DoorStream
		err    error
	}
	dialling, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt, len(doors))
	failed := make([]bool, len(doors))
	begun, ended := 0, 0
	begin := func() {
		if begun == len(doors) {
			return
		}
		i, d := begun, doors[begun]
		begun++
		go func() {
			s, err := g.host.OpenDoor(dialling, peerKey(d.Key), multiaddrs(d.Addresses))
			results <- attempt{i, s, err}
		}()
	}
	begin()
	var last error
	for ended < begun {
		var stagger <-chan time.Time
		if begun < len(doors) && !g.member {
			stagger = time.After(doorStagger)
		}
		select {
		case <-stagger:
			begin()
			continue
		case r := <-results:
			ended++
			if r.err != nil {
				if failed[r.door] = true; last == nil || !errors.Is(r.err, transport.ErrNoAddress) {
					last = r.err // that a door exists says more than that one can't be dialled
				}
				begin()
				continue
			}
			cancel()
			for ; ended < begun; ended++ {
				if late := <-results; late.stream != nil {
					late.stream.Close()
				}
			}
			var rest []crypto.Door
			for i, d := range doors {
				if i != r.door && !failed[i] {
					rest = append(rest, d)
				}
			}
			return r.stream, doors[r.door].Key, rest, nil
		}
	}
	return nil, crypto.MeetingKey{}, nil, last
}

// over returns why ctx is done, or nil. A read that heeds ctx's deadline may fail just before ctx does.
func over(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return context.Cause(ctx)
}

// lostError is a connection that broke, so that the next door may be tried.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }

// through does the door's protocol (SPEC §4).
func (g *guest) through(ctx context.Context, d *transport.DoorStream, responder crypto.MeetingKey) (err error) {
	first, frame, err := crypto.NewDoorInitiator(g.self, g.config.Name, g.link.Secret, g.link.DoorKey, responder)
	if err != nil {
		return err
	}
	proof := doorHandshake
	if g.turn != nil { // whoever was found may say nothing for ever
		proof = foundDoor
	}
	shaking, cancel := context.WithTimeout(ctx, proof)
	defer cancel()
	if err := d.Send(shaking, frame); err != nil {
		return &lostError{err}
	}
	second, err := d.Receive(shaking)
	if err != nil {
		return &lostError{err}
	}
	third, channel, err := first.Finish(second)
	if err != nil {
		return &ImpostorError{Err: err}
	}
	if g.turn != nil { // two doors at a time would admit us twice
		select {
		case g.turn <- struct{}{}:
			defer func() { g.handOn(err) }()
		case <-ctx.Done():
			return &lostError{ctx.Err()}
		}
	}
	if err := d.Send(ctx, third); err != nil {
		return &lostError{err}
	}
	for count, told := 0, false; ; count++ {
		msg, err := receiveDoor(ctx, d, channel)
		switch {
		case count > maxDoorMessages:
			return &ImpostorError{Err: errors.New("more messages than a roster takes")}
		case err != nil && over(ctx) != nil:
			return over(ctx)
		case err != nil:
			return &lostError{err}
		case msg.Waiting != nil:
			told = true
			g.wait()
		case msg.Denied != nil:
			g.denied, g.proof = responder, msg.Denied.Operation
			g.crowded = msg.Denied.Reason == DeniedBusy && !told // else a newer knock of this identity replaced this one
			return g.deniedFor(msg.Denied.Reason, time.Now())
		case msg.Roster != nil:
			if err := g.take(msg.Roster); err != nil {
				return &ImpostorError{Err: err}
			}
		case msg.Welcome != nil:
			return g.welcomed(ctx, d, channel, first, msg.Welcome)
		default:
			return &ImpostorError{Err: errors.New("an unexpected message")}
		}
	}
}

// clocksAgree is how far apart two clocks may be that agree.
const clocksAgree = time.Minute

// deniedFor is a denial. Whoever says that a link is over which by our own clock isn't, has another clock (CLK-3).
func (g *guest) deniedFor(reason DenyReason, now time.Time) error {
	e := &DeniedError{Reason: reason}
	if left := g.link.Expiry.Sub(now); reason == DeniedExpired && !g.link.Expiry.IsZero() && left >= clocksAgree {
		e.Apart = left
	}
	return e
}

// handOn gives the turn to other doors, unless this one has decided.
func (g *guest) handOn(err error) {
	var lost *lostError
	var impostor *ImpostorError
	if errors.As(err, &lost) || errors.As(err, &impostor) {
		<-g.turn
	}
}

func (g *guest) wait() {
	if !g.waiting && g.config.OnWaiting != nil {
		g.waiting = true
		g.config.OnWaiting()
	}
}

// take adds a part of the roster. Its root is what the link names (INV-1).
func (g *guest) take(r *doorRoster) error {
	if g.set == nil {
		set, err := roster.NewSet(r.Genesis, g.link.Meeting)
		if err != nil {
			return err
		}
		g.set = set
	}
	for _, raw := range r.Operations {
		if _, err := g.set.Add(raw); err != nil {
			return err
		}
	}
	return nil
}

// welcomed checks the admission (DOR-5), or speaks for itself with a Resume (DOR-8).
func (g *guest) welcomed(ctx context.Context, d *transport.DoorStream, c *crypto.DoorChannel, first *crypto.DoorInitiator, w *doorWelcome) error {
	if g.set == nil || len(w.Addresses) > maxRecords {
		return &ImpostorError{Err: errors.New("no roster came with the welcome")}
	}
	g.addresses = w.Addresses
	if f := g.config.hooks.opened; f != nil {
		f("welcome", encode(w))
	}
	if g.member {
		return nil
	}
	if w.Admit == nil {
		return g.resume(ctx, d, c)
	}
	op, _ := g.set.Operation(*w.Admit)
	if op == nil || op.Body.Admit == nil {
		return &ImpostorError{Err: errors.New("no admission came with the welcome")}
	}
	a := op.Body.Admit
	if err := first.CheckAdmit(a.Bundle, a.Name, a.JoinerNonce, a.ResponderNonce); err != nil {
		return &ImpostorError{Err: err}
	}
	if g.set.Roster().ByMeetingKey(g.self.Key()) == nil {
		return &DeniedError{Reason: DeniedLink}
	}
	return nil
}

func (g *guest) resume(ctx context.Context, d *transport.DoorStream, c *crypto.DoorChannel) error {
	if op := g.set.Roster().RemovedBy(g.self.Identity()); op != nil {
		return g.removed(op)
	}
	raw, _, err := g.set.Author(g.self, time.Now(), roster.Body{Resume: &roster.Resume{Bundle: g.self.Bundle(), Name: g.config.Name}})
	if err != nil {
		return &ImpostorError{Err: err}
	}
	if !sendDoor(ctx, d, c, doorMessage{Resume: raw}) {
		return &lostError{errors.New("the door closed")}
	}
	return nil
}

func (g *guest) removed(op *roster.Operation) error {
	by := g.set.Roster().Author(op)
	name := "somebody"
	if m := g.set.Roster().Member(by); m != nil {
		name = m.Name
	}
	return &RemovedError{By: by, ByName: name, Banned: op.Body.Remove.Ban}
}

// askAfter is how long a member hears nobody, where each sends a heartbeat every 5 s, before it asks at the others'
// doors what became of it.
const (
	askAfter = 8 * time.Second
	// askSoon is how long after its last connection closed: time for another.
	askSoon = time.Second
)

// askAtDoors (DOR-10) finds out, where nobody is heard, whether this member is still in: whoever was put out while it
// was away can't be told otherwise, since nobody talks to it any more. The door tells those who were members.
func (m *Meeting) askAtDoors(now time.Time) {
	if len(m.peers) == 0 || m.ending || m.watch.asking || now.Sub(m.watch.heardAt) < askAfter || m.config.hooks.noAsking {
		return
	}
	m.watch.asking, m.watch.heardAt = true, now // and again after as long
	var doors []crypto.Door
	for _, hosts := range []bool{true, false} { // hosts first: what they say counts
		for key, r := range m.records {
			if member := m.roster.ByMeetingKey(key); member != nil && (member.Role == Host) == hosts && len(doors) < crypto.MaxDoors {
				doors = append(doors, crypto.Door{Key: key, Addresses: r.Addresses})
			}
		}
	}
	var links []crypto.Link
	for _, i := range m.door.invites {
		links = append(links, crypto.Link{Meeting: m.id, Secret: i.shared.Invite.Secret, DoorKey: i.shared.Invite.Door.Public(), Doors: doors})
	}
	if m.link != nil {
		link := *m.link
		link.Doors = doors
		links = append(links, link)
	}
	m.spawn(func() { m.ask(links) })
}

// lonely asks soon when the last connection is gone: it may be that all have closed theirs.
func (m *Meeting) lonely(now time.Time) {
	for _, p := range m.peers {
		if p.connected {
			return
		}
	}
	if soon := now.Add(askSoon - askAfter); m.watch.heardAt.After(soon) {
		m.watch.heardAt = soon
	}
}

// ask knocks with one link after the other until somebody answers.
func (m *Meeting) ask(links []crypto.Link) {
	ctx, cancel := context.WithTimeout(m.ctx, 2*dialTimeout)
	defer cancel()
	defer m.post(func() { m.watch.asking = false })
	for i, link := range slices.Concat(links, links[:min(len(links), 1)]) {
		g := &guest{config: m.config, self: m.self, link: link, host: m.host, member: true}
		g.asking = func() { m.post(func() { m.ledger.sought = true }) }
		g.config.OnWaiting = nil
		if i < len(links) { // where all have moved, they may be found
			g.config.Rendezvous = nil
		}
		err := g.enter(ctx)
		var denied *DeniedError
		if err == nil || errors.As(err, &denied) {
			m.post(func() { m.learned(g) })
			return
		}
	}
}

// learned takes what a door told: signed operations, which fold to whatever they fold to.
func (m *Meeting) learned(g *guest) {
	var raws [][]byte
	if g.set != nil {
		g.set.All(func(_ crypto.Hash, raw []byte) bool { raws = append(raws, raw); return true })
	}
	m.operations(raws, nil)
	m.addresses(g.addresses, nil, time.Now())
	m.putOutByProof(g.proof)
	// A host above us who denies somebody it would readmit doesn't have us on its roster (DOR-8).
	by, self := m.roster.ByMeetingKey(g.denied), m.roster.ByMeetingKey(m.self.Key())
	if by != nil && self != nil && by.Above(self) && !g.crowded {
		m.end(ErrAdmissionVoid)
	}
}

// putOutByProof ends the meeting here by an operation whose past isn't told to those who are out: a host above us
// signed that we are.
func (m *Meeting) putOutByProof(raw []byte) {
	op := m.set.Proof(raw, m.self.Identity())
	if op == nil {
		return
	}
	by, self := m.roster.Member(m.roster.Author(op)), m.roster.Member(m.self.Identity())
	if by == nil || self == nil || !by.Above(self) {
		return
	}
	if op.Body.End != nil {
		m.end(&EndedError{By: by.Identity(), ByName: by.Name})
		return
	}
	m.end(&RemovedError{By: by.Identity(), ByName: by.Name, Banned: op.Body.Remove.Ban})
}
