package meet

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

const (
	tickInterval = time.Second
	// farewell and ownFarewell are how long what was sent last has to arrive before connections close: where somebody else
	// ended it, and where this member did, so that the others learn it from nobody else (PRE-9).
	farewell, ownFarewell = 100 * time.Millisecond, 2 * time.Second
	// lastWordsWait is how long somebody who leaves waits for pair sessions that are under way, looking that often.
	lastWordsWait = 2 * time.Second
	lastWordsPoll = 20 * time.Millisecond
)

// Meeting is one member's part in a meeting. Its methods may be called from any goroutine.
type Meeting struct {
	config Config
	log    *slog.Logger
	id     crypto.MeetingID
	self   *crypto.Incarnation
	host   *transport.Host
	plane  *plane
	events *broadcaster

	commands chan func()
	signals  signals
	ctx      context.Context
	cancel   context.CancelCauseFunc
	tasks    sync.WaitGroup
	done     chan struct{}

	// What follows belongs to the meeting's goroutine.

	set        *roster.Set
	roster     *roster.Roster
	presence   *roster.Presence
	peers      map[crypto.MeetingKey]*peer
	door       door
	folding    folding
	keys       distribution
	streams    streamsDue
	chats      chats
	reactions  reactions                        // this member's
	state      memberState                      // this member's, but for its streams
	shown      map[crypto.MeetingKey]shownState // of everybody, as reported
	recordings map[crypto.MeetingKey]Recording  // as reported
	own, told  *addressRecord                   // this member's, signed anew when its addresses change; what all were told last
	records    map[crypto.MeetingKey]*knownRecord
	history    []formerRoster // for ghosts
	watch      watch
	link       *crypto.Link // by which this member came, nil for the creator
	happened   []Event      // not published yet
	started    bool         // past the first fold
	ending     bool
	reason     error // why, when ending
	files      files
	contacts   contacts
	replies    limiter // codes followed (RPL-3)
	voices     listening
	relays     relays
	ledger     ledger // for Exposure
	choosing   bool   // layers; a timer runs
	bridges    bridges
	topics     map[topicKey]*announcement // under way
	limited    limitedUse

	afterEnd sync.Mutex // guards all of it once the goroutine has ended: see callAnyTime
}

// newMeeting prepares a meeting whose set is complete. The caller starts it.
func newMeeting(config Config, self *crypto.Incarnation, set *roster.Set, host *transport.Host, in *inbox) (*Meeting, error) {
	keys, err := crypto.NewSenderKeys(self, suiteOf(set))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	m := &Meeting{
		config: config, log: config.Logger, id: set.Meeting(), self: self, host: host,
		events: newBroadcaster(), commands: make(chan func(), 64), ctx: ctx, cancel: cancel, done: make(chan struct{}),
		set: set, roster: emptyRoster(set), presence: roster.NewPresence(self), peers: map[crypto.MeetingKey]*peer{},
		records: map[crypto.MeetingKey]*knownRecord{}, contacts: newContacts(config.Contacts, self.Identity()), signals: newSignals(),
		shown: map[crypto.MeetingKey]shownState{}, recordings: map[crypto.MeetingKey]Recording{},
	}
	m.door = newDoor()
	m.topics = map[topicKey]*announcement{}
	m.keys = distribution{keys: keys, readers: map[crypto.MeetingKey]bool{}, unacked: map[crypto.MeetingKey]bool{}}
	m.chats = newChats()
	m.files = newFiles()
	m.ledger = newLedger(time.Now())
	m.bridges.held = map[crypto.MeetingKey]*reservation{}
	m.watch = watch{warned: map[warningKey]Member{}, heardAt: time.Now()}
	m.plane = newPlane(m.id, self, keys, suiteOf(set), host, planeHooks{
		streamsChanged: m.signals.streamsChanged, keyFrameWanted: m.signals.keyFrameWanted,
	}, time.Now)
	m.plane.off.permissions = config.hooks.allPermitted
	if config.NewLayerChooser != nil {
		m.plane.newChooser = config.NewLayerChooser
	}
	in.open(m.plane)
	m.relays = in.relays // before a member names others: else ours would be dropped
	moved := func() { m.post(m.tellRecord) }
	in.moved.Store(&moved)
	return m, nil
}

// start begins with a complete set, and with what is known of where the others are.
func (m *Meeting) start(addresses [][]byte) {
	m.host.SetDoorOpen(true)
	m.follow()
	m.addresses(addresses, nil, time.Now())
	m.happened = nil // nobody reads yet: all of it is in the snapshot
	m.events.set(m.snapshot())
	m.started = true
	go m.run()
}

// run is the meeting's goroutine: it alone touches the state.
func (m *Meeting) run() {
	defer close(m.done)
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	for {
		select {
		case f := <-m.commands:
			f()
		case e := <-m.host.Events():
			m.transported(e)
		case d := <-m.host.Doors():
			m.spawn(func() { m.answerDoor(d) })
		case s := <-m.host.Files():
			m.spawn(func() { m.serveFile(s) })
		case <-m.signals.wake:
			m.signalled()
		case <-tick.C:
			m.tick(time.Now())
		case <-m.ctx.Done():
			m.shutDown()
			return
		}
		m.tell()
	}
}

func (m *Meeting) shutDown() {
	for _, p := range m.peers {
		m.leaves(p)
	}
	m.plane.close()
	_ = m.host.Close()
	m.tasks.Wait()
	m.door.close()
	for _, p := range m.peers {
		p.compare.fail(context.Cause(m.ctx))
		p.session.Wipe()
	}
	m.keys.keys.Wipe()
	m.self.Wipe()
	m.emit(Ended{Err: context.Cause(m.ctx)})
	m.tell()
	m.events.close()
}

// end ends the meeting here, for the reason given; the first one counts.
func (m *Meeting) end(err error) { m.cancel(err) }

// endSoon ends it when what was sent last has arrived, or has had time to (PRE-9).
func (m *Meeting) endSoon(err error, patience time.Duration) {
	if m.ending {
		return
	}
	m.ending, m.reason = true, err
	m.plane.setRecipients(nil)
	m.after(0, func() { // when all of it is sent
		m.spawn(func() {
			ctx, cancel := context.WithTimeout(m.ctx, patience)
			defer cancel()
			m.host.Farewell(ctx)
			m.end(err)
		})
	})
}

// spawn runs f beside the meeting's goroutine; shutDown waits for it, so f must heed m.ctx.
func (m *Meeting) spawn(f func()) {
	m.tasks.Add(1)
	go func() {
		defer m.tasks.Done()
		f()
	}()
}

// post has f run on the meeting's goroutine, and does nothing after the end. It waits for room in the queue, so it isn't
// for the meeting's goroutine, nor for those of the transport: they have signals.
func (m *Meeting) post(f func()) {
	select {
	case m.commands <- f:
	case <-m.ctx.Done():
	}
}

// after posts f later.
func (m *Meeting) after(d time.Duration, f func()) { time.AfterFunc(d, func() { m.post(f) }) }

// call runs f on the meeting's goroutine and returns what it returns; at the end of the meeting, why it ended.
func call[T any](ctx context.Context, m *Meeting, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var zero T
	ch := make(chan result, 1)
	run := func() {
		if ctx.Err() != nil {
			return // the caller has given up: nothing happens behind its back
		}
		v, err := f()
		m.tell() // what it did is in the next reader's snapshot
		ch <- result{v, err}
	}
	if ctx.Err() != nil {
		return zero, context.Cause(ctx)
	}
	select {
	case m.commands <- run:
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	case <-m.ctx.Done():
		return zero, context.Cause(m.ctx)
	}
	select {
	case r := <-ch:
		return r.v, r.err
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	case <-m.done:
		select {
		case r := <-ch:
			return r.v, r.err
		default:
			return zero, context.Cause(m.ctx)
		}
	}
}

// callAnyTime is call that also answers after the end. f changes nothing and doesn't fail.
func callAnyTime[T any](ctx context.Context, m *Meeting, f func() T) (T, error) {
	v, err := call(ctx, m, func() (T, error) { return f(), nil })
	if err == nil || m.ctx.Err() == nil {
		return v, err
	}
	select {
	case <-m.done: // nobody else has the state any more
		m.afterEnd.Lock()
		defer m.afterEnd.Unlock()
		return f(), nil
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}

func command(ctx context.Context, m *Meeting, f func() error) error {
	_, err := call(ctx, m, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// emit notes what happened. tell publishes it when this turn of the meeting's goroutine is done, so that nobody's
// snapshot falls between events that go together.
func (m *Meeting) emit(e ...Event) { m.happened = append(m.happened, e...) }

func (m *Meeting) tell() {
	m.tellKnocks(time.Now())
	if len(m.happened) > 0 {
		m.events.publishAll(m.happened, m.snapshot())
		m.happened = nil
	}
}

// Events yields what happens from now on, beginning with a Snapshot. Each call is a reader of its own. A reader that
// falls 1,024 events behind gets Lagged and a fresh Snapshot; it never holds up the meeting. The sequence ends after
// Ended.
func (m *Meeting) Events() iter.Seq[Event] { return m.events.subscribe() }

// Context is done when the meeting is over for this member; its cause says why: ErrLeft, ErrClosed, a RemovedError or
// an EndedError.
func (m *Meeting) Context() context.Context { return m.ctx }

// ID returns the meeting's ID, which is public among those who have a link.
func (m *Meeting) ID() crypto.MeetingID { return m.id }

// Close ends this member's part at once, without a word to the others, who see it away; Leave is the polite way. It
// waits until every goroutine has ended.
func (m *Meeting) Close() error {
	m.end(ErrClosed)
	<-m.done
	return nil
}

// Leave tells the others, and ends this member's part. It waits until every goroutine has ended.
func (m *Meeting) Leave(ctx context.Context) error {
	m.awaitSessions(ctx)
	err := command(ctx, m, func() error {
		if m.ending {
			return nil // it is over already
		}
		if err := m.author(roster.Body{Leave: &roster.Leave{}}); err != nil {
			return err
		}
		m.endSoon(ErrLeft, ownFarewell)
		return nil
	})
	if err != nil {
		m.end(ErrLeft) // without a word; the first reason counts
	}
	<-m.done
	if errors.Is(err, ErrLeft) {
		return nil
	}
	return err
}

// awaitSessions waits, for at most lastWordsWait, until there is a pair session with everybody present: who has just come
// and goes at once is heard then.
func (m *Meeting) awaitSessions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastWordsWait)
	defer cancel()
	for {
		ready, err := call(ctx, m, func() (bool, error) {
			for _, p := range m.peers {
				if !p.away && !(p.connected && p.installed) {
					return false, nil
				}
			}
			return true, nil
		})
		if ready || err != nil {
			return
		}
		select {
		case <-time.After(lastWordsPoll):
		case <-ctx.Done():
		}
	}
}

// transported handles what the transport reports.
func (m *Meeting) transported(e transport.Event) {
	switch e := e.(type) {
	case transport.PeerConnected:
		m.connected(crypto.MeetingKey(e.Peer))
	case transport.PeerDisconnected:
		m.disconnected(crypto.MeetingKey(e.Peer))
	case transport.Message:
		if p := m.peers[crypto.MeetingKey(e.Peer)]; p != nil {
			m.packet(p, e.Data)
		}
	case transport.Gossip:
		m.gossip(e)
	case transport.MediaState:
		m.mediaState(e)
	case transport.PathChanged:
		if p := m.peers[crypto.MeetingKey(e.Peer)]; p != nil {
			m.pathChanged(p, time.Now())
		}
	case transport.RelayChanged:
		m.ledger.relay(crypto.MeetingKey(e.State.Relay))
		m.tellRecord()
		if e.State.Reserved {
			m.dialApart(time.Now())
		}
	case transport.NetworkChanged: // the transport has closed what ran over the old one
		m.tellRecord()
		m.dialApart(time.Now())
	}
}

// tick does what time alone brings.
func (m *Meeting) tick(now time.Time) {
	m.plane.expire()
	m.announceStreams(now)
	for _, p := range m.peers {
		m.tend(p, now)
	}
	m.bridgesTick(now)
	m.relaysTick(now)
	m.beat(now)
	m.observe(now)
	m.observeRecordings(now)
	m.keysTick(now)
	m.chatsTick(now)
	m.filesTick(now)
	m.doorTick(now)
	m.announce(now)
	m.askAtDoors(now)
	m.listen(now)
	m.startChoosing(now)
}
