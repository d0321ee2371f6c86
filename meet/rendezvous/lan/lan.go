package lan

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// How often something is said, by what the clock of who says it shows.
const (
	askFirst = time.Second // between the first two questions; then twice as long each time
	askLast  = 8 * time.Second
	// refresh is how often the sockets are looked after: a network may have come.
	refresh = 10 * time.Second
	// answerBurst answers are given at once, and then answerRate a second, about all topics together. Who asks under a
	// false address has others be sent few.
	answerBurst = 16
	answerRate  = 4
)

// Rendezvous is the local network. It is a meet.Rendezvous and a meet.LocalRendezvous; several meetings may share one.
type Rendezvous struct {
	medium medium

	mu        sync.Mutex
	announced map[string]*announced
	sockets   []socket // that hear the group, while something is announced
	readers   sync.WaitGroup
	tokens    float64
	spent     time.Time
}

// announced is a topic with the addresses of each who announces it here.
type announced struct {
	subject subject
	addrs   map[int][]ma.Multiaddr
	next    int
}

// New returns the local network. It opens no socket before it is used.
func New() *Rendezvous { return newOn(machine{}) }

func newOn(m medium) *Rendezvous {
	return &Rendezvous{medium: m, announced: map[string]*announced{}, tokens: answerBurst}
}

// LocalNetwork says that no packet goes beyond the local network.
func (r *Rendezvous) LocalNetwork() {}

// Announce answers who asks for the topic, until ctx is done. An error before that: there is no local network.
func (r *Rendezvous) Announce(ctx context.Context, topic [32]byte, addrs []ma.Multiaddr) error {
	s := newSubject(topic)
	if _, err := s.answer(addrs, 0, false); err != nil {
		return err
	}
	r.mu.Lock()
	if len(r.announced) == 0 {
		if err := r.openLocked(); err != nil {
			r.mu.Unlock()
			return err
		}
	}
	a := r.announced[s.name]
	if a == nil {
		a = &announced{subject: s, addrs: map[int][]ma.Multiaddr{}}
		r.announced[s.name] = a
	}
	a.next++
	n := a.next
	a.addrs[n] = slices.Clone(addrs)
	r.mu.Unlock()
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.rejoin()
		case <-ctx.Done():
			r.withdraw(s.name, n)
			return context.Cause(ctx)
		}
	}
}

// withdraw ends an announcement. The last one closes the sockets and waits for their readers.
func (r *Rendezvous) withdraw(name string, n int) {
	r.mu.Lock()
	a := r.announced[name]
	if delete(a.addrs, n); len(a.addrs) == 0 {
		delete(r.announced, name)
	}
	if len(r.announced) > 0 {
		r.mu.Unlock()
		return
	}
	for _, s := range r.sockets {
		s.close()
	}
	r.sockets = nil
	r.mu.Unlock()
	r.readers.Wait()
}

func (r *Rendezvous) openLocked() error {
	sockets, err := r.medium.join()
	if err != nil {
		return err
	}
	r.sockets = sockets
	for _, s := range sockets {
		r.readers.Add(1)
		go func() {
			defer r.readers.Done()
			r.hear(s)
		}()
	}
	return nil
}

// rejoin joins the group on networks that have come.
func (r *Rendezvous) rejoin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sockets {
		if u, ok := s.(*udp); ok {
			u.joinAll()
		}
	}
}

// hear answers questions until the socket is closed.
func (r *Rendezvous) hear(s socket) {
	b := make([]byte, maxMessage)
	for {
		n, from, err := s.receive(b)
		if err != nil {
			return
		}
		names, id := questions(b[:n])
		for _, name := range names {
			r.answer(s, name, id, from)
		}
	}
}

// answer says what is announced under a name, to who asked and, for those who can't be reached so, to the group.
func (r *Rendezvous) answer(s socket, name string, id uint16, from netip.AddrPort) {
	r.mu.Lock()
	a := r.announced[name]
	var lists [][]ma.Multiaddr
	if a != nil {
		for _, addrs := range a.addrs {
			if r.allowedLocked(time.Now()) {
				lists = append(lists, addrs)
			}
		}
	}
	r.mu.Unlock()
	for _, addrs := range lists {
		if from.Port() != port && r.medium.neighbour(from.Addr()) {
			if message, err := a.subject.answer(addrs, id, true); err == nil {
				_ = s.to(message, from)
			}
		}
		if message, err := a.subject.answer(addrs, 0, false); err == nil {
			_ = s.group(message)
		}
	}
}

// allowedLocked is a token bucket.
func (r *Rendezvous) allowedLocked(now time.Time) bool {
	if !r.spent.IsZero() {
		r.tokens = min(answerBurst, r.tokens+now.Sub(r.spent).Seconds()*answerRate)
	}
	r.spent = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// Find asks for the topic until ctx is done: at once, and then more and more seldom. Where there is no local network the
// channel is closed.
func (r *Rendezvous) Find(ctx context.Context, topic [32]byte) <-chan []ma.Multiaddr {
	found := make(chan []ma.Multiaddr)
	s := newSubject(topic)
	asking, _ := r.medium.ask()
	sockets, _ := r.medium.join() // an answer to the group passes firewalls that one to the port doesn't
	if len(asking) == 0 {
		asking = sockets
	} else {
		sockets = append(sockets, asking...)
	}
	if len(sockets) == 0 {
		close(found)
		return found
	}
	var group sync.WaitGroup
	for _, socket := range sockets {
		group.Go(func() { listen(ctx, socket, s, found) })
	}
	go func() {
		defer close(found)
		defer group.Wait()
		defer func() {
			for _, socket := range sockets {
				socket.close()
			}
		}()
		ask(ctx, asking, s)
	}()
	return found
}

// listen hands on what comes about a topic.
func listen(ctx context.Context, from socket, s subject, found chan<- []ma.Multiaddr) {
	b := make([]byte, maxMessage)
	for {
		n, _, err := from.receive(b)
		if err != nil {
			return
		}
		addrs, err := s.open(b[:n])
		if err != nil || len(addrs) == 0 {
			continue
		}
		select {
		case found <- addrs:
		case <-ctx.Done():
			return
		}
	}
}

// ask sends the question, with pauses.
func ask(ctx context.Context, sockets []socket, s subject) {
	question, err := s.question()
	if err != nil {
		return
	}
	for wait := askFirst; ; wait = min(2*wait, askLast) {
		for _, socket := range sockets {
			_ = socket.group(question)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
