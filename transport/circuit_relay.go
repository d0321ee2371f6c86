package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"
)

// MaxRelays is how many relays a host reserves at.
const MaxRelays = 4

const (
	// A dial to a relay has so long: little at first, since over one address it may hang that failed at once over another,
	// and is tried again there only by the next.
	relayTimeoutMin = time.Second
	relayTimeoutMax = 8 * time.Second
	// Dials begin so far apart.
	relayPauseMin = 500 * time.Millisecond
	relayPauseMax = 1500 * time.Millisecond
	// relayRefused is how long a relay that refused is left alone, and one that wasn't there for relayPatience: a member
	// may have named it.
	relayRefused  = 30 * time.Second
	relayPatience = time.Minute
	// A relay says how long it reserves; it is asked again no sooner and no later than this.
	renewSoonest = 10 * time.Second
	renewLatest  = 24 * time.Hour
	// clocksAgree is how far apart two clocks may be that agree: tickets are good for a day.
	clocksAgree = 5 * time.Minute
)

// Errors of relays.
var (
	// ErrRelayRefused reports that a relay does not serve us; it wraps a reason. Ask whoever runs it for a ticket.
	ErrRelayRefused = errors.New("transport: the relay refused")
	// ErrRelayClock reports that a ticket's time is over by the relay's clock, and that this computer's is another. It
	// comes wrapped in ErrRelayRefused. Set the clock that is wrong.
	ErrRelayClock = errors.New("this computer's date and time and the relay's don't agree: check date and time on this computer")
	// errTicketOver: both clocks say so, hence whoever made the ticket has a wrong one, or the relay's was set since.
	errTicketOver = errors.New("the ticket has expired: whoever named this relay may have a wrong date and time")
	// ErrRelayLimited reports a relay that cuts circuits after some minutes or bytes: of no use for a meeting.
	ErrRelayLimited = errors.New("transport: the relay limits circuits in time or bytes")
	// ErrRelayLost reports that the connection to a relay broke; it is made again.
	ErrRelayLost = errors.New("transport: the connection to the relay broke")
	// ErrRelayAddress reports a relay's address that isn't an IP address with QUIC, TCP or WebSocket, then /p2p/ and an Ed25519 peer ID.
	ErrRelayAddress = errors.New("transport: not a relay's address")
)

// Relay is a relay to reserve at. It sees who talks to whom when and how much, never what.
type Relay struct {
	// Address is one of its addresses, ending in /p2p/ and its peer ID. A relay may be given by several, in several Relays.
	Address ma.Multiaddr
	// Ticket is shown to the relay before reserving; nil for relays that ask for none. It is a secret.
	Ticket []byte
}

// String leaves the ticket out.
func (r Relay) String() string { return fmt.Sprintf("relay %v", r.Address) }

// RelayState is how things stand with a relay.
type RelayState struct {
	Relay     PeerKey
	Connected bool
	Reserved  bool  // others can connect to this host through it
	Err       error // why not; nil when reserved, or not tried yet
}

// relayClient keeps a reservation at one relay.
type relayClient struct {
	host   *Host
	id     peer.ID
	key    PeerKey
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // the connection came or went, or there is another ticket

	// Under Host.mu:
	addrs   []ma.Multiaddr
	ticket  []byte
	changed bool // addresses or ticket
	state   RelayState
}

// SetRelays replaces the relays this host reserves at: at most MaxRelays, at most MaxAddresses of each. Those that were
// set before keep their reservations. It returns at once; RelayChanged reports what becomes of them. The error is
// ErrRelayAddress or ErrTooLarge, and then nothing is changed.
func (h *Host) SetRelays(relays []Relay) error {
	wanted := map[peer.ID]*relayClient{}
	for _, r := range relays {
		id, at, ok := relayAddress(r.Address)
		if !ok {
			return fmt.Errorf("%w: %v", ErrRelayAddress, r.Address)
		}
		c := wanted[id]
		if c == nil {
			c = &relayClient{host: h, id: id, wake: make(chan struct{}, 1)}
			c.key, _ = keyOfID(id)
			c.state.Relay = c.key
			wanted[id] = c
		}
		if c.addrs = append(c.addrs, at); len(r.Ticket) > 0 {
			c.ticket = r.Ticket
		}
		if len(wanted) > MaxRelays || len(c.addrs) > MaxAddresses || len(r.Ticket) > maxTicket {
			return fmt.Errorf("%w: more than %d relays, %d addresses of one or %d bytes of a ticket", ErrTooLarge, MaxRelays, MaxAddresses, maxTicket)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, c := range h.relays {
		if wanted[id] == nil {
			h.dropRelayLocked(c)
		}
	}
	for id, w := range wanted {
		if c := h.relays[id]; c != nil {
			c.update(w)
		} else {
			h.addRelayLocked(w)
		}
	}
	h.hideBehindLocked()
	return nil
}

// RelayStates returns how things stand with this host's relays.
func (h *Host) RelayStates() []RelayState {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []RelayState
	for _, c := range h.relays {
		all = append(all, c.state)
	}
	slices.SortFunc(all, func(a, b RelayState) int { return slices.Compare(a.Relay[:], b.Relay[:]) })
	return all
}

// relayAddresses are those by which others reach this host through relays.
func (h *Host) relayAddresses() (all []ma.Multiaddr) {
	for _, s := range h.RelayStates() {
		id, err := idOfKey(s.Relay)
		if err != nil || !s.Reserved {
			continue
		}
		h.mu.Lock()
		if c := h.relays[id]; c != nil {
			for _, at := range c.addrs {
				all = append(all, slices.Concat(at, circuitAddress(id)))
			}
		}
		h.mu.Unlock()
	}
	return all
}

// relayAddress takes a relay's address apart.
func relayAddress(a ma.Multiaddr) (peer.ID, ma.Multiaddr, bool) {
	n := len(a)
	if n < 3 || a[n-1].Code() != ma.P_P2P {
		return "", nil, false
	}
	id, err := peer.IDFromBytes(a[n-1].RawValue())
	if err != nil {
		return "", nil, false
	}
	_, ed25519 := keyOfID(id)
	return id, a[:n-1], ed25519 && !slices.ContainsFunc(a, func(c ma.Component) bool { return c.Code() == ma.P_CIRCUIT })
}

func (h *Host) addRelayLocked(c *relayClient) {
	if h.closed || c.id == h.libp2p.ID() {
		return
	}
	c.ctx, c.cancel = context.WithCancel(h.ctx)
	h.relays[c.id] = c
	h.contacts.know(c.key)
	h.peerLocked(c.id).relay = c
	h.streams.Add(1)
	go func() {
		defer h.streams.Done()
		c.run()
	}()
}

func (h *Host) dropRelayLocked(c *relayClient) {
	c.cancel()
	delete(h.relays, c.id)
	if p := h.peers[c.id]; p != nil && p.relay == c {
		p.relay = nil
		h.expireLocked(p)
		h.forgetLocked(p)
	}
}

// update takes other addresses or another ticket. Host.mu is held.
func (c *relayClient) update(w *relayClient) {
	if slices.EqualFunc(c.addrs, w.addrs, ma.Multiaddr.Equal) && slices.Equal(c.ticket, w.ticket) {
		return
	}
	c.addrs, c.ticket, c.changed = w.addrs, w.ticket, true
	c.signal()
}

func (c *relayClient) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// isRelay tells whether a peer is a relay of ours: it brings circuits.
func (h *Host) isRelay(id peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	return p != nil && p.relay != nil
}

// run keeps the reservation until the relay is dropped (TRA-19).
func (c *relayClient) run() {
	pause, timeout, lost := relayPauseMin, relayTimeoutMin, time.Now()
	for c.ctx.Err() == nil {
		begun := time.Now()
		reserved, err := c.session(timeout)
		if c.ctx.Err() != nil {
			return
		}
		c.report(false, err)
		timeout = min(2*timeout, relayTimeoutMax)
		if reserved {
			pause, timeout, begun, lost = relayPauseMin, relayTimeoutMin, time.Now(), time.Now()
		}
		wait := pause + rand.N(pause/4) - time.Since(begun)
		pause = min(2*pause, relayPauseMax)
		if time.Since(lost) > relayPatience && !c.host.config.unsafe.eagerRelays {
			wait = relayRefused
		}
		if errors.Is(err, ErrRelayRefused) || errors.Is(err, ErrRelayLimited) {
			wait = relayRefused
		}
		c.sleep(wait)
	}
}

// sleep waits, but not past other addresses or another ticket.
func (c *relayClient) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-c.ctx.Done():
			return
		case <-c.wake:
			if c.takeChanged() {
				return
			}
		}
	}
}

func (c *relayClient) takeChanged() bool {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	changed := c.changed
	c.changed = false
	return changed
}

// session connects, reserves, and keeps the reservation as long as the connection lasts.
func (c *relayClient) session(timeout time.Duration) (reserved bool, err error) {
	if err := c.connect(timeout); err != nil {
		return false, err
	}
	for {
		until, err := c.reserve()
		if err != nil {
			return reserved, err
		}
		reserved = true
		c.report(true, nil)
		timer := time.NewTimer(renewAfter(time.Until(until)))
		for waiting := true; waiting; {
			select {
			case <-timer.C:
				waiting = false
			case <-c.wake:
				if !c.host.libp2p.direct(c.id) {
					timer.Stop()
					return true, ErrRelayLost
				}
				waiting = !c.takeChanged()
			case <-c.ctx.Done():
				timer.Stop()
				return true, c.ctx.Err()
			}
		}
		timer.Stop()
	}
}

// renewAfter is when a reservation is prolonged that lasts so long, as the relay says.
func renewAfter(lasts time.Duration) time.Duration {
	return min(max(lasts/4*3, renewSoonest), renewLatest)
}

// retryRelaysNow has relays that aren't there be looked for at once, since the network is another one.
func (h *Host) retryRelaysNow() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.relays {
		c.changed = true
		c.signal()
	}
}

func (c *relayClient) connect(timeout time.Duration) error {
	c.takeChanged()
	c.host.mu.Lock()
	addrs := slices.DeleteFunc(slices.Clone(c.addrs), func(a ma.Multiaddr) bool { return !c.host.filter.dialableRelay(a) })
	c.host.mu.Unlock()
	if c.host.libp2p.direct(c.id) {
		return nil
	}
	if len(addrs) == 0 {
		return ErrNoAddress
	}
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	return c.host.libp2p.dialDirect(ctx, c.id, addrs)
}

// reserve shows the ticket, if there is one, and reserves.
func (c *relayClient) reserve() (until time.Time, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, hopTimeout)
	defer cancel()
	c.host.mu.Lock()
	ticket := c.ticket
	c.host.mu.Unlock()
	if len(ticket) > 0 {
		if err := c.show(ctx, ticket); err != nil {
			return time.Time{}, err
		}
	}
	r, err := client.Reserve(ctx, c.host.libp2p, peer.AddrInfo{ID: c.id})
	switch {
	case pastReservation(err): // CLK-5
		return time.Time{}, fmt.Errorf("%w: %w: %w", ErrRelayRefused, ErrRelayClock, err)
	case err != nil && c.host.libp2p.direct(c.id):
		return time.Time{}, fmt.Errorf("%w: %w", ErrRelayRefused, err)
	case err != nil:
		return time.Time{}, fmt.Errorf("%w: %w", ErrRelayLost, err)
	case r.LimitData != 0 || r.LimitDuration != 0:
		return time.Time{}, ErrRelayLimited
	}
	return r.Expiration, nil
}

// pastReservation tells whether libp2p's client refuses what the relay granted since it is past by our clock.
func pastReservation(err error) bool {
	var refused client.ReservationError
	return errors.As(err, &refused) && strings.Contains(refused.Reason, "expiration date in the past")
}

// show presents a ticket; a relay that takes it may say where it sees us.
func (c *relayClient) show(ctx context.Context, ticket []byte) error {
	s, err := c.host.libp2p.NewStream(ctx, c.id, protocolRelay)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(hopTimeout))
	if err := writeFrame(s, ticket); err != nil {
		return err
	}
	frame, err := readFrame(s)
	if err != nil {
		return fmt.Errorf("%w: no answer to the ticket: %w", ErrRelayRefused, err)
	}
	a, err := decodeRelayAnswer(frame)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrRelayRefused, err)
	case !a.clock.IsZero():
		return fmt.Errorf("%w: %w", ErrRelayRefused, ticketOver(a.clock, time.Now()))
	case a.refused != "":
		return fmt.Errorf("%w: %s", ErrRelayRefused, a.refused)
	}
	c.host.noteObserved(c.id, a.observed)
	return nil
}

// ticketOver says what a relay's word that a ticket's time is over means, by the relay's clock and by this one (CLK-2).
func ticketOver(theirs, ours time.Time) error {
	apart, where := theirs.Sub(ours).Round(time.Minute), "ahead of"
	if apart < 0 {
		apart, where = -apart, "behind"
	}
	if apart < clocksAgree {
		return errTicketOver
	}
	return fmt.Errorf("%w (the relay's clock is %s %s this computer's)", ErrRelayClock, strings.TrimSuffix(apart.String(), "0s"), where)
}

func (c *relayClient) report(reserved bool, err error) {
	connected := c.host.libp2p.direct(c.id)
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	if c.host.closed || c.host.relays[c.id] != c {
		return
	}
	state := RelayState{Relay: c.key, Connected: connected, Reserved: reserved, Err: err}
	if state.Reserved == c.state.Reserved && state.Connected == c.state.Connected && errors.Is(err, c.state.Err) == (err == nil) && err == nil {
		return
	}
	c.state = state
	c.host.events.post(RelayChanged{state})
}
