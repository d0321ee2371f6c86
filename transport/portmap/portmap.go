package portmap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// lifetime is what is asked for: whoever crashes leaves a hole for no longer. Routers that know only permanent
	// leases are told to delete by Close.
	lifetime = 10 * time.Minute
	// watchEvery is how often the router is asked whether it began anew.
	watchEvery = time.Minute
	// minLife is how long a mapping is taken to hold at least, whatever the router says: it is not to have us send
	// without end.
	minLife = 2 * time.Minute
	// upnpDelay is the head start of PCP and NAT-PMP.
	upnpDelay = 250 * time.Millisecond
	// tryTimeout bounds one attempt at a gateway, by all protocols.
	tryTimeout = 15 * time.Second
	// closeTimeout bounds deleting.
	closeTimeout = time.Second
)

// Errors.
var (
	// ErrNoRouter: there is no default gateway, or this machine's own address is public.
	ErrNoRouter = errors.New("portmap: there is no router to ask")
	// ErrNoAnswer: the router speaks none of PCP, NAT-PMP and UPnP, or they are switched off there.
	ErrNoAnswer = errors.New("portmap: the router doesn't answer requests to open a port")
)

// RefusedError is a router that said no.
type RefusedError struct {
	Protocol Protocol
	Code     int // result code of the protocol, or UPnP's error code
}

// Error names the code.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("portmap: the router refuses to open a port (%s code %d)", e.Protocol, e.Code)
}

// Protocol is how a router was asked.
type Protocol string

// The protocols.
const (
	PCP    Protocol = "PCP"
	NATPMP Protocol = "NAT-PMP"
	UPnP   Protocol = "UPnP"
)

// Mapping is one port that a router lets in.
type Mapping struct {
	Protocol Protocol
	// Network is "udp" or "tcp".
	Network string
	// Gateway is the router asked.
	Gateway netip.Addr
	// Internal is this machine's end, External the router's; of IPv6 they are alike as a rule.
	Internal, External netip.AddrPort
	// Expires is when it ends unless it is renewed, which it is; zero: it has no end of its own.
	Expires time.Time
}

// Public says whether the external address is one that the whole internet reaches. If not, there is another NAT behind
// the router.
func (m Mapping) Public() bool { return Public(m.External.Addr()) }

func (m Mapping) number() uint8 {
	if m.Network == "tcp" {
		return protocolTCP
	}
	return protocolUDP
}

// Outcome is what became of asking.
type Outcome uint8

// The outcomes.
const (
	NotAsked  Outcome = iota // or the answer isn't known yet
	NoRouter                 // there is none to ask
	NoAnswer                 // it speaks none of the protocols
	Refused                  // it said no
	DoubleNAT                // it mapped, but its own address is behind another NAT
	Mapped                   // reachable at a public address
)

// String returns the outcome in English, for logs.
func (o Outcome) String() string {
	return [...]string{"not asked", "no router", "no answer", "refused", "double NAT", "mapped"}[min(o, Mapped)]
}

// Config is what a Mapper is made from.
type Config struct {
	// Network is nil for the operating system's.
	Network Network
	// Listen are the addresses that the ports are bound to, unspecified ones for all interfaces; UDP and TCP are the
	// ports for the family of Listen. At most one of each family.
	Listen []Ports
	// Changed is called, from a goroutine of the Mapper's, when the mappings or the outcome have changed. It must not
	// call Close. May be nil.
	Changed func()

	unsafe unsafeSwitches
}

// unsafeSwitches turn protections off. Only this package's tests can set them, to show that the attacks work without.
type unsafeSwitches struct {
	anySource bool // MAP-2: hears whoever answers
	anyNonce  bool // MAP-2: believes an answer to another's request
	anyURL    bool // MAP-1: goes where a device leads
	keepOpen  bool // MAP-3: Close deletes nothing
	permanent bool // MAP-3: asks for mappings without an end
}

// Ports are what is to be reachable.
type Ports struct {
	// Local is the address the sockets are bound to.
	Local netip.Addr
	// UDP and TCP are their ports. 0: none.
	UDP, TCP uint16
}

// Mapper keeps ports open. Its methods may be called from any goroutine.
type Mapper struct {
	config  Config
	ctx     context.Context
	cancel  context.CancelFunc
	done    sync.WaitGroup
	known   chan struct{}
	learned func() // closes known

	refresh chan struct{} // has room for one

	mu    sync.Mutex
	sites []*site
}

// site is one gateway; its outcome, mappings and err are guarded by Mapper.mu.
type site struct {
	gateway  Gateway
	nonces   map[uint8]nonce
	renew    chan struct{} // has room for one
	outcome  Outcome
	mappings []Mapping
	err      error
}

// New begins to ask and returns at once.
func New(config Config) *Mapper {
	if config.Network == nil {
		config.Network = System{}
	}
	m := &Mapper{config: config, known: make(chan struct{}), refresh: make(chan struct{}, 1)}
	m.learned = sync.OnceFunc(func() { close(m.known) })
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.done.Go(m.run)
	return m
}

// Known is closed when the outcome is known, or the Mapper closed.
func (m *Mapper) Known() <-chan struct{} { return m.known }

// Outcome returns the best that became of asking, and why it isn't better.
func (m *Mapper) Outcome() (Outcome, error) {
	select {
	case <-m.known:
	default:
		return NotAsked, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	best, err := NoRouter, ErrNoRouter
	for _, s := range m.sites {
		if s.outcome > best {
			best, err = s.outcome, s.err
		}
	}
	return best, err
}

// Mappings returns what is mapped: UDP first, public addresses first.
func (m *Mapper) Mappings() (all []Mapping) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sites {
		all = append(all, s.mappings...)
	}
	rank := func(m Mapping) (n int) {
		if m.Network != "udp" {
			n++
		}
		if !m.Public() {
			n += 2
		}
		return n
	}
	slices.SortStableFunc(all, func(a, b Mapping) int { return rank(a) - rank(b) })
	return all
}

// Refresh has the mappings renewed at once, and others made if the machine is behind another router now: for whoever
// knows that the network has changed, or wakes up.
func (m *Mapper) Refresh() {
	select {
	case m.refresh <- struct{}{}:
	default:
	}
}

// Close deletes the mappings, for at most a second, and waits for every goroutine.
func (m *Mapper) Close() {
	m.cancel()
	m.done.Wait()
	m.learned()
}

// wanted is one port to map.
type wanted struct {
	protocol uint8
	port     uint16
	external netip.AddrPort // had before, or liked
}

func (w wanted) name() string {
	if w.protocol == protocolTCP {
		return "TCP"
	}
	return "UDP"
}

// mapping is w mapped. What a router says of time is believed within limits.
func (w wanted) mapping(p Protocol, g Gateway, external netip.AddrPort, life time.Duration) Mapping {
	m := Mapping{Protocol: p, Network: "udp", Gateway: g.Address, Internal: netip.AddrPortFrom(g.Local, w.port), External: external}
	if w.protocol == protocolTCP {
		m.Network = "tcp"
	}
	if life > 0 {
		m.Expires = time.Now().Add(min(max(life, minLife), lifetime))
	}
	return m
}
