package meet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	ma "github.com/multiformats/go-multiaddr"
)

// Whoever has a link whose addresses don't answer, or that names none, finds the meeting by what Config.Rendezvous has:
//
//	the link's doors, again and again ──┐
//	                                    ├─▶ handshakes, beside each other ─▶ one at a time: knock, wait, enter
//	what each rendezvous finds ─────────┘   (each proves the door key)
//
// Nobody is told who knocks before it has proved the door key (DOR-2), so a lying rendezvous learns nothing.

// Limits of RDV-3, for each rendezvous.
const (
	findAfter   = time.Second      // that the link's own addresses have
	findFor     = 45 * time.Second // that all of it takes at most
	findPause   = 2 * time.Second  // between rounds at the link's doors meanwhile
	maxFound    = 64               // different lists of addresses that are looked at
	maxTries    = 3                // of one list
	maxTrying   = 4                // at a time
	retryFound  = 3 * time.Second  // before a list is tried again
	foundDoor   = 5 * time.Second  // to connect
	maxDoorsFor = 4                // of the link's doors that are tried at addresses that don't say whose they are
)

// finding is one search.
type finding struct {
	guest *guest
	turn  chan struct{} // who has it is at a door that has proved its key
	over  context.CancelFunc
	topic [32]byte // what is looked for, set before that begins

	mu     sync.Mutex
	winner *guest
	err    error
	shut   bool // by routers, a door that was found
}

// find enters by the link's doors and by what is found, whichever is first.
func (g *guest) find(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &finding{guest: g, turn: make(chan struct{}, 1), over: cancel}
	var once sync.Once
	if told := g.config.OnWaiting; told != nil {
		g.config.OnWaiting = func() { once.Do(told) }
		defer func() { g.config.OnWaiting = told }()
	}
	failed, found := make(chan struct{}), make(chan struct{})
	var last error
	var group sync.WaitGroup
	group.Go(func() { last = f.byLink(inner, failed, found) })
	group.Go(func() {
		defer close(found)
		f.search(inner, failed)
	})
	group.Wait()
	switch {
	case f.winner != nil:
		config := g.config
		*g = *f.winner
		g.config = config
		return f.err
	case over(ctx) != nil:
		return over(ctx)
	case f.shut:
		return &UnreachableError{Err: ErrNotPunched}
	case !named(g.link):
		return &UnreachableError{Err: ErrNotFound}
	}
	return last
}

// end takes the outcome of an attempt that is one: the first counts.
func (f *finding) end(g *guest, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.winner == nil {
		f.winner, f.err = g, err
		f.over()
	}
}

// attempt is a guest who tries one way; what it learns is its own until it has entered.
func (f *finding) attempt() *guest {
	g := *f.guest
	g.turn = f.turn
	return &g
}

// byLink tries the link's doors until everything that was found was tried too. It closes failed after the first round.
func (f *finding) byLink(ctx context.Context, failed chan<- struct{}, found <-chan struct{}) error {
	for round := 0; ; round++ {
		g := f.attempt()
		err := g.byLink(ctx)
		var unreachable *UnreachableError
		if round == 0 {
			close(failed)
		}
		if ctx.Err() != nil {
			return err
		}
		if !errors.As(err, &unreachable) {
			f.end(g, err)
			return err
		}
		select {
		case <-found:
			return err
		case <-time.After(findPause):
		case <-ctx.Done():
			return err
		}
	}
}

// search asks each rendezvous, once the link's addresses have had their time.
func (f *finding) search(ctx context.Context, failed <-chan struct{}) {
	if named(f.guest.link) {
		select {
		case <-time.After(findAfter):
		case <-failed:
		case <-ctx.Done():
			return
		}
	}
	if !f.take(ctx) { // as long as somebody is at a door there is nothing to look for
		return
	}
	f.give()
	if asking := f.guest.asking; asking != nil {
		asking()
	}
	looking, cancel := context.WithTimeout(ctx, findFor)
	defer cancel()
	f.topic = f.guest.link.Secret.Topic(f.guest.slot(time.Now()))
	var group sync.WaitGroup
	for _, r := range f.guest.config.Rendezvous {
		group.Go(func() { f.searchBy(ctx, looking, r) })
	}
	group.Wait()
}

// take waits for the turn; give hands it on.
func (f *finding) take(ctx context.Context) bool {
	select {
	case f.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *finding) give() { <-f.turn }

// searchBy tries what one rendezvous finds while looking lasts (RDV-3). Who is at a door by then goes on.
func (f *finding) searchBy(ctx, looking context.Context, r Rendezvous) {
	looking, cancel := context.WithCancel(looking)
	lists := r.Find(looking, f.topic)
	slots := make(chan struct{}, maxTrying)
	tried := map[string]*tries{}
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for {
		select {
		case addrs, more := <-lists:
			if !more {
				return
			}
			addrs = addrs[:min(len(addrs), transport.MaxAddresses)]
			if _, relays := r.(RelayRendezvous); !relays {
				addrs = withoutPunch(addrs)
			}
			if !f.guest.worthTrying(tried, listName(addrs)) {
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-looking.Done():
				return
			}
			group.Go(func() {
				defer func() { <-slots }()
				f.try(ctx, addrs)
			})
		case <-looking.Done():
			return
		}
	}
}

// tries counts those of one list of addresses.
type tries struct {
	count int
	at    time.Time
}

// worthTrying counts a list, or says that it or all of them were tried enough (RDV-3).
func (g *guest) worthTrying(tried map[string]*tries, name string) bool {
	t := tried[name]
	if t == nil {
		if len(tried) >= maxFound && !g.config.hooks.noLimits {
			return false
		}
		t = &tries{}
		tried[name] = t
	}
	if t.count == maxTries && !g.config.hooks.keepTrying || t.count > 0 && time.Since(t.at) < retryFound {
		return false
	}
	t.count, t.at = t.count+1, time.Now()
	return true
}

func listName(addrs []ma.Multiaddr) string {
	var b []byte
	for _, a := range addrs {
		b = append(b, a.Bytes()...)
		b = append(b, 0)
	}
	return string(b)
}

// try goes to the doors that may be at addresses that were found.
func (f *finding) try(ctx context.Context, addrs []ma.Multiaddr) {
	doors := map[crypto.MeetingKey][]ma.Multiaddr{}
	var order []crypto.MeetingKey
	add := func(key crypto.MeetingKey, a ma.Multiaddr) {
		if !slices.Contains(order, key) {
			order = append(order, key)
		}
		doors[key] = append(doors[key], a)
	}
	for _, a := range addrs {
		if rest, key, ok := transport.SplitPeer(a); ok {
			add(crypto.MeetingKey(key), rest)
			continue
		}
		for _, d := range f.guest.link.Doors[:min(len(f.guest.link.Doors), maxDoorsFor)] {
			add(d.Key, a)
		}
	}
	for _, key := range order {
		if key == f.guest.self.Key() || ctx.Err() != nil {
			continue
		}
		g := f.attempt()
		err := g.foundDoor(ctx, key, doors[key], f.topic)
		var lost *lostError
		var impostor *ImpostorError
		switch {
		case errors.As(err, &lost):
			f.unpunched(lost.err)
		case ctx.Err() != nil:
			return
		case errors.As(err, &impostor) && !g.config.hooks.trustFound:
			// RDV-4: whoever a rendezvous names needn't be anybody of the meeting, and so ends nothing.
		default:
			f.end(g, err)
			return
		}
	}
}

// foundDoor knocks at a door that was found under a topic. It gets a limited time until it has proved the door key.
func (g *guest) foundDoor(ctx context.Context, key crypto.MeetingKey, addrs []ma.Multiaddr, topic [32]byte) error {
	stream, err := g.openFound(ctx, key, addrs, topic)
	if err != nil {
		return &lostError{err}
	}
	defer stream.Close()
	return g.through(ctx, stream, key)
}

func (g *guest) slot(at time.Time) uint64 {
	if g.config.hooks.oneTopic {
		return 0
	}
	return slotAt(at)
}
