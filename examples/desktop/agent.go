package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/desktop/internal/bridge"
	"github.com/huisclos/huisclos/examples/desktop/internal/localport"
	"github.com/huisclos/huisclos/examples/desktop/internal/spool"
	"github.com/huisclos/huisclos/meet"
)

// The agent's limits.
const (
	requestTimeout = 50 * time.Second // longer than a comparison takes that somebody else has to answer
	maxRequests    = 32               // under way at a time
	shownMessages  = 500              // on the screen; the history has its own limit
)

// options are what the program is started with.
type options struct {
	language              string
	listen                []netip.AddrPort
	grace                 time.Duration // how long a meeting outlives its page
	idle                  time.Duration // how long the program outlives its page when there is no meeting; 0 for ever
	data                  string        // directory of the store
	run                   string        // directory of what ends with the program
	link                  string
	network               func(meet.Config) meet.Config // for tests: another network
	proxy                 proxyFunc                     // for tests: another than the environment's
	factor                int                           // for tests: the store's scrypt work
	beginWait, uploadWait time.Duration                 // for tests: other than the constants of these names
	wordless              bool                          // for tests: words, which take half a second, are computed only when asked for
}

// agent is the state that the page shows, and everything that changes it. mu guards the state; whatever takes long is
// done without it.
type agent struct {
	options options
	port    *localport.Server
	bridge  *bridge.Bridge
	spool   *spool.Dir
	context context.Context // until the agent ends
	end     context.CancelCauseFunc
	tasks   sync.WaitGroup
	queue   *queue
	over    chan struct{} // closed when no meeting is left

	mu          sync.Mutex
	state       state
	page        *localport.Socket // the one page that is shown, nil if none
	alone       *time.Timer       // runs while no page is there
	session     *session          // the meeting, nil outside
	last        *meet.Meeting     // the one that is over, until the request done
	identity    *crypto.Identity
	next        *crypto.Identity // the one after the meeting, nil if the same
	keep        *keeper
	movie       *movie      // of this person, and after the meeting until done
	recorded    []*recorded // that ran in the meeting, and after it until done
	files       []*shared   // of the meeting, and after it until done
	uploadMoved time.Time   // when something of a file last came from the page
	stats       bool        // the page wants them
	relays      []meet.Relay
	chosen      bool // the person chose something of the network since the program began
}

// errQuit ends the agent.
var errQuit = errors.New("quit")

func newAgent(ctx context.Context, o options) (*agent, error) {
	a := &agent{options: o, identity: crypto.GenerateIdentity(), queue: newQueue(), over: make(chan struct{})}
	a.context, a.end = context.WithCancelCause(ctx)
	a.state = firstState(o)
	if a.options.proxy == nil {
		a.options.proxy = http.ProxyFromEnvironment // what this computer's user set
	}
	if a.options.beginWait == 0 {
		a.options.beginWait = beginWait
	}
	a.keep = newKeeper(o.data, o.factor)
	a.spool = spool.New(filepath.Join(o.run, "spool"))
	a.showStore()
	a.bridge = bridge.New(bridge.Config{
		OnSource: a.sourceCame, OnSlots: a.slotsChanged, OnGrow: a.grow, OnConnection: a.mediaConnection,
	})
	var err error
	if a.port, err = localport.Listen(localport.Config{Page: pageFiles(), Serve: a.serve, UploadWait: o.uploadWait}); err != nil {
		return nil, errors.Join(err, a.bridge.Close(), a.spool.Close())
	}
	a.tasks.Go(func() { a.queue.run(a.over) })
	a.tasks.Go(a.everySecond)
	a.tasks.Go(a.everyLevel)
	a.mu.Lock()
	a.pageGone()
	a.mu.Unlock()
	return a, nil
}

// wait waits for the end, leaves politely, tells the page, and ends everything.
func (a *agent) wait() error {
	<-a.context.Done()
	a.mu.Lock()
	s := a.session
	if a.alone != nil {
		a.alone.Stop()
	}
	a.mu.Unlock()
	if s != nil {
		s.leave(nil)
	}
	a.send(plainEvent{Event: "bye", Reason: "quit"})
	err := a.port.Close()
	close(a.over)
	a.tasks.Wait()
	a.saveDue() // what was to be remembered last
	return errors.Join(err, a.bridge.Close(), a.spool.Close())
}

// serve is one page's connection, from its beginning to its end.
func (a *agent) serve(socket *localport.Socket) {
	a.mu.Lock()
	if old := a.page; old != nil {
		old.Send(encode(plainEvent{Event: "superseded"}))
		old.Close(localport.CloseSuperseded)
	}
	a.page = socket
	if a.alone != nil {
		a.alone.Stop()
	}
	a.stats = false
	socket.Send(encode(stateEvent{"state", &a.state}))
	a.mu.Unlock()

	places := make(chan struct{}, maxRequests)
	turns := map[string]chan struct{}{}
	var requests sync.WaitGroup
	for {
		raw, err := socket.Receive()
		if err != nil {
			break
		}
		var r request
		_ = json.Unmarshal(raw, &r) // without a name and a number it is refused
		select {
		case places <- struct{}{}:
			var before chan struct{}
			done := make(chan struct{})
			if turn := inTurn[r.Do]; turn != "" {
				before, turns[turn] = turns[turn], done
			}
			requests.Go(func() {
				defer func() { <-places }()
				defer close(done)
				if before != nil {
					<-before
				}
				a.answer(socket, r, raw)
			})
		default:
			socket.Send(encode(reply{Re: r.ID, Error: &failure{Code: rateLimited, Seconds: 1}}))
		}
	}
	a.mu.Lock()
	if a.page == socket {
		a.page = nil
		a.pageGone()
	}
	a.mu.Unlock()
	requests.Wait()
}

// inTurn are the requests of which the last decides what holds: those with the same word here are done in the order
// they came. The others may wait for people, and don't have each other wait.
var inTurn = map[string]string{
	"settings-set": "settings", "network-set": "network", "policy-set": "policy", "lock": "policy", "role": "policy", "hand": "hand",
	"media-send": "send", "media-watch": "watch", "stats": "stats", "say": "say", "recording-consent": "consent", "store-history": "history",
	"link-handler": "link", "keep-sending": "keep", "file-pause": "file", "file-resume": "file",
}

// ofPage are the requests about the page itself: its connection, what it sends and shows. From a page that was superseded
// while they were on their way they are refused: a late offer would end the newer page's connection, and what it says
// it shows isn't what is on the screen. Not media-send: what the person muted there last is muted.
var ofPage = map[string]bool{"media-offer": true, "media-watch": true, "stats": true}

// shown reports whether this is the page that is shown.
func (a *agent) shown(socket *localport.Socket) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.page == socket
}

// answer does what a page asks for.
func (a *agent) answer(socket *localport.Socket, r request, raw []byte) {
	if r.ID <= 0 {
		socket.Send(encode(reply{Re: r.ID, Error: &failure{Code: badRequest}}))
		return
	}
	out := reply{Re: r.ID}
	handle, ok := handlers[r.Do]
	switch {
	case !ok:
		out.Error = &failure{Code: badRequest}
	case ofPage[r.Do] && !a.shown(socket):
		out.Error = &failure{Code: canceled}
	default:
		ctx, cancel := context.WithTimeout(a.context, requestTimeout)
		result, err := handle(a, ctx, raw)
		cancel()
		out.Result, out.Error = result, failureOf(err)
		if out.Error != nil {
			out.Result = nil
		}
	}
	socket.Send(encode(out))
}

// pageGone begins the time after which a meeting without a page ends, and then the program. a.mu is held.
func (a *agent) pageGone() {
	if a.alone != nil {
		a.alone.Stop()
	}
	wait := a.options.grace
	if a.session == nil {
		if wait = a.options.idle; wait == 0 {
			return
		}
	}
	a.alone = time.AfterFunc(wait, func() {
		a.mu.Lock()
		s, still := a.session, a.page == nil && a.context.Err() == nil
		if still && s == nil && a.wouldLose() != nil { // it waits to be asked for
			a.pageGone()
			still = false
		}
		a.mu.Unlock()
		switch {
		case !still:
		case s != nil:
			s.leave(fail(pageGone))
			a.mu.Lock()
			if a.page == nil {
				a.pageGone()
			}
			a.mu.Unlock()
		default:
			a.end(errQuit)
		}
	})
}

// later does something soon, in order, for those who must not wait.
func (a *agent) later(f func()) { a.queue.add(f) }

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil { // types of ours, without cycles or channels
		panic(err)
	}
	return raw
}

// send sends an event to the page, if there is one.
func (a *agent) send(event any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sendLocked(event)
}

func (a *agent) sendLocked(event any) {
	if a.page != nil {
		a.page.Send(encode(event))
	}
}

// parts are the fields of the state by name.
var parts = func() map[string]int {
	all := map[string]int{}
	t := reflect.TypeFor[state]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		all[name] = i
	}
	return all
}()

// changed tells the page of parts that are different now. a.mu is held.
func (a *agent) changed(names ...string) {
	if a.page == nil {
		return
	}
	for _, name := range names {
		a.sendLocked(changedEvent{"changed", name, reflect.ValueOf(&a.state).Elem().Field(parts[name]).Interface()})
	}
}

// update changes the state and tells the page of the parts named.
func (a *agent) update(change func(*state), names ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.state)
	a.changed(names...)
}

// inMeeting returns the session, or why there is none.
func (a *agent) inMeeting() (*session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == nil || a.session.meeting == nil {
		return nil, fail(notInMeeting)
	}
	return a.session, nil
}

func now() int64 { return time.Now().UnixMilli() }

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
