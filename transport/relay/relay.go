package relay

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// sweepInterval is how often the relay looks for who has to go.
	sweepInterval = time.Second
	// ticketTimeout bounds one exchange of ticket and answer.
	ticketTimeout = 10 * time.Second
	// maxBadTickets is how many tickets a peer may show that are none.
	maxBadTickets = 4
	// copyBuffer is the size of what is copied at once, each way of each circuit. It bounds
	// how far a peer can overdraw its rate at one read.
	copyBuffer = 16 << 10
	// guestOpening is how many streams a peer without a ticket may have under way before they are circuits: by far more than
	// somebody who knocks needs, and so few that strangers' connections together can't take all streams there are.
	guestOpening = 32
	// reservationTime is so long for clients whose clock is ahead (CLK-5), and no longer: what is asked for while the
	// connection ends may stay until then.
	reservationTime = 72 * time.Hour
)

// Reasons for which a ticket is refused, as its owner is told.
var (
	errTicketCrowded = errors.New("too many use this ticket")
	errTokenCrowded  = errors.New("too many use this token")
	errDraining      = errors.New("the relay is shutting down")
)

// Relay is a running relay. Its methods may be called from any goroutine.
type Relay struct {
	config   Config
	key      relayauth.Key
	ctx      context.Context
	cancel   context.CancelFunc
	host     *relayHost
	gate     gate
	service  *circuit.Relay
	listen   []netip.AddrPort
	counters counters
	tracked  sync.WaitGroup // streams and goroutines
	circuits sync.WaitGroup
	poke     chan struct{} // has the sweeper look at once

	mu       sync.Mutex
	closed   bool
	draining bool
	tokens   relayauth.Tokens
	peers    map[peer.ID]*peerState
	perToken map[relayauth.TokenID]int
	perNonce map[relayauth.Nonce]int
}

// peerState is what the relay knows of a connected peer; but for bucket, guarded by Relay.mu.
type peerState struct {
	id       peer.ID
	conns    int
	opening  int // streams it opened that are negotiated or answered now
	streams  int // of circuits, either end, those that are asked for as well
	circuits int // of streams, those that are connected
	idle     time.Time
	claim    *relayauth.Claim // the ticket it showed; nil for none
	bad      int
	bucket   bucket
}

// Listen opens the sockets and starts the relay. The errors are ErrKey, ErrListen,
// ErrLimit and *ListenError.
func Listen(config Config) (*Relay, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Relay{
		config:   config,
		tokens:   config.Tokens,
		poke:     make(chan struct{}, 1),
		peers:    make(map[peer.ID]*peerState),
		perToken: make(map[relayauth.TokenID]int),
		perNonce: make(map[relayauth.Nonce]int),
	}
	r.gate = newGate(config)
	copy(r.key[:], config.Key[32:])
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.host, err = newRelayHost(r); err != nil {
		r.cancel()
		return nil, err
	}
	r.host.SetStreamHandler(relayauth.Protocol, r.handleTicket)
	resources := circuit.DefaultResources()
	resources.Limit = nil // else GossipSub would not run over a circuit, nor a meeting of two hours
	resources.ReservationTTL = reservationTime
	resources.MaxReservations = config.MaxReservations
	resources.MaxReservationsPerIP = config.MaxReservations // an office shares an address: tickets count instead
	resources.MaxReservationsPerASN = config.MaxReservations
	resources.MaxCircuits = config.MaxCircuits
	resources.BufferSize = copyBuffer
	r.service, err = circuit.New(r.host, circuit.WithResources(resources), circuit.WithInfiniteLimits(),
		circuit.WithACL(acl{r}), circuit.WithMetricsTracer(&tracer{r}))
	if err == nil {
		err = r.host.listen()
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	r.tracked.Add(1)
	go r.sweep()
	return r, nil
}

// Key returns the relay's public key.
func (r *Relay) Key() relayauth.Key { return r.key }

// Addresses are the sockets the relay listens on: each answers QUIC over UDP, and TCP and
// WebSocket with and without TLS over TCP.
func (r *Relay) Addresses() []netip.AddrPort { return r.listen }

// URI returns what to hand to those who may use the relay by a token, at the addresses by
// which they reach it.
func (r *Relay) URI(token relayauth.Token, addresses []ma.Multiaddr) relayauth.URI {
	return relayauth.URI{Relay: r.key, Addresses: addresses, Token: token}
}

// SetTokens replaces the tokens. Who showed a ticket of a token that is gone is put out at
// once, with all reservations and circuits (RLY-4).
func (r *Relay) SetTokens(tokens relayauth.Tokens) {
	r.mu.Lock()
	r.tokens = tokens
	r.mu.Unlock()
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// Shutdown refuses whatever is new, waits until no circuit is left or ctx is done, and closes.
func (r *Relay) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for r.counters.circuits.Load() > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return r.Close()
}

// Close tells every peer, by closing its connection, and waits for every goroutine.
func (r *Relay) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	if r.service != nil {
		_ = r.service.Close()
	}
	err := r.host.close()
	r.tracked.Wait()
	r.circuits.Wait()
	return err
}

// track counts what Close waits for; it refuses once the relay closes.
func (r *Relay) track() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.tracked.Add(1)
	return true
}

// connected and disconnected follow the swarm.
func (r *Relay) connected(_ network.Network, c network.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peerLocked(c.RemotePeer()).conns++
}

func (r *Relay) disconnected(_ network.Network, c network.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peerLocked(c.RemotePeer())
	p.conns--
	r.forgetLocked(p)
}

func (r *Relay) peerLocked(id peer.ID) *peerState {
	p := r.peers[id]
	if p == nil {
		p = &peerState{id: id, idle: time.Now()}
		r.peers[id] = p
	}
	return p
}

// forgetLocked drops a peer that is gone, with its ticket: it shows it again when it is back. What libp2p keeps of all who
// ever connected goes, too: keys are free (RLY-5).
func (r *Relay) forgetLocked(p *peerState) {
	if p.conns == 0 && p.streams == 0 && p.opening == 0 && r.peers[p.id] == p {
		r.dropClaimLocked(p)
		delete(r.peers, p.id)
		r.host.book.RemovePeer(p.id)
	}
}

func (r *Relay) dropClaimLocked(p *peerState) {
	if p.claim == nil {
		return
	}
	if r.perToken[p.claim.Token]--; r.perToken[p.claim.Token] == 0 {
		delete(r.perToken, p.claim.Token)
	}
	if r.perNonce[p.claim.Nonce]--; r.perNonce[p.claim.Nonce] == 0 {
		delete(r.perNonce, p.claim.Nonce)
	}
	p.claim = nil
}

// handleTicket reads a peer's ticket and answers.
func (r *Relay) handleTicket(s network.Stream) {
	defer func() { _ = s.Close() }()
	_ = s.SetDeadline(time.Now().Add(ticketTimeout))
	ticket, err := relayauth.ReadTicket(s)
	if err != nil && !errors.Is(err, relayauth.ErrTicket) {
		_ = s.Reset()
		return
	}
	now := time.Now()
	refusal, out := r.admit(s.Conn().RemotePeer(), ticket, now)
	if refusal == nil {
		r.counters.ticketsAccepted.Add(1)
	} else {
		r.counters.ticketsRefused.Add(1)
		r.config.Logger.Debug("a ticket was refused", "reason", refusal)
	}
	var observed netip.AddrPort
	if remote := s.Conn().RemoteMultiaddr(); relayauth.Kind(remote) == relayauth.KindQUIC {
		observed, _ = addrPortOf(remote)
	}
	if relayauth.WriteAnswer(s, refusal, observed, now) != nil || out {
		_ = s.Reset()
	}
	if out {
		_ = r.host.swarm.ClosePeer(s.Conn().RemotePeer())
	}
}

// admit takes a ticket or says why not (RLY-2, RLY-3, RLY-5); out says that the peer has
// tried often enough.
func (r *Relay) admit(id peer.ID, ticket []byte, now time.Time) (refusal error, out bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[id]
	if p == nil || r.closed {
		return ErrClosed, true
	}
	if r.draining {
		return errDraining, false
	}
	claim, err := r.tokens.Verify(ticket, now)
	if r.config.unsafe.anyExpiry && errors.Is(err, relayauth.ErrTicketExpired) {
		claim, err = relayauth.ReadClaim(ticket)
	}
	if err != nil {
		p.bad++
		return err, p.bad >= maxBadTickets
	}
	// Its own place doesn't count against it when a peer renews.
	had := p.claim
	r.dropClaimLocked(p)
	switch {
	case r.perNonce[claim.Nonce] >= r.config.MaxPeersPerTicket:
		err = errTicketCrowded
	case r.perToken[claim.Token] >= r.config.MaxPeersPerToken:
		err = errTokenCrowded
	}
	if err != nil {
		if had == nil {
			return err, false
		}
		claim = *had // a refusal takes nothing away
	}
	p.claim = &claim
	r.perToken[claim.Token]++
	r.perNonce[claim.Nonce]++
	return err, false
}

// holds tells whether a peer has a ticket that is good now.
func (r *Relay) holdsLocked(p *peerState, now time.Time) bool {
	if p == nil || p.claim == nil {
		return false
	}
	return r.tokens.Has(p.claim.Token) && (now.Before(p.claim.Expiry) || r.config.unsafe.anyExpiry)
}

// sweep puts out whose ticket is no longer good (RLY-4), and guests that do nothing (RLY-7).
func (r *Relay) sweep() {
	defer r.tracked.Done()
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.poke:
		case <-r.ctx.Done():
			return
		}
		for _, id := range r.overdue(time.Now()) {
			_ = r.host.swarm.ClosePeer(id)
		}
	}
}

func (r *Relay) overdue(now time.Time) []peer.ID {
	if r.config.unsafe.keepAll {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []peer.ID
	for id, p := range r.peers {
		switch {
		case r.holdsLocked(p, now):
		case p.claim != nil, p.circuits == 0 && now.Sub(p.idle) >= r.config.GuestTimeout && !(p.streams > 0 && r.config.unsafe.anySilence):
			out = append(out, id)
		}
	}
	return out
}

// acl is what the circuit service asks (RLY-2).
type acl struct{ r *Relay }

// AllowReserve lets peers with a good ticket reserve.
func (a acl) AllowReserve(id peer.ID, _ ma.Multiaddr) bool {
	r := a.r
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config.unsafe.noTickets || !r.draining && r.holdsLocked(r.peers[id], time.Now())
}

// AllowConnect lets everybody connect to a peer that holds a ticket: the service itself asks for a reservation. What comes
// through must still prove itself to that peer. A quarter of a peer's circuits is kept for those with a ticket (RLY-5).
func (a acl) AllowConnect(from peer.ID, _ ma.Multiaddr, to peer.ID) bool {
	r := a.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.config.unsafe.noTickets {
		return true
	}
	p, now := r.peers[to], time.Now()
	if r.draining || !r.holdsLocked(p, now) {
		return false
	}
	return p.streams < r.config.MaxCircuits-r.config.MaxCircuits/4 || r.holdsLocked(r.peers[from], now) || r.config.unsafe.guestsTakeAll
}

// begin counts a stream of a circuit with peer id; nil if there may be no more. Limits of who
// has a ticket are the circuit service's.
func (r *Relay) begin(id peer.ID, opened bool) *peerState {
	if !r.track() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peerLocked(id)
	if opened && p.streams >= r.config.MaxGuestCircuits && !r.holdsLocked(p, time.Now()) {
		r.forgetLocked(p)
		r.tracked.Done()
		return nil
	}
	p.streams++
	return p
}

// end counts a stream of a circuit less. One that never came to be a circuit leaves its peer as idle as it was (RLY-7).
func (r *Relay) end(s *meteredStream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := s.peer
	p.streams--
	s.over = true
	if s.circuit {
		if p.circuits--; p.circuits == 0 {
			p.idle = time.Now()
		}
	}
	r.forgetLocked(p)
	r.tracked.Done()
}

// arrive counts a stream that a peer opens, for as long as it is negotiated and answered; nil if there may be no more of
// them (RLY-5).
func (r *Relay) arrive(id peer.ID) *peerState {
	if !r.track() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peerLocked(id)
	if p.opening >= guestOpening && !r.config.unsafe.anySilence && !r.holdsLocked(p, time.Now()) {
		r.forgetLocked(p)
		r.tracked.Done()
		return nil
	}
	p.opening++
	return p
}

// arrived counts it less.
func (r *Relay) arrived(p *peerState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.opening--
	r.forgetLocked(p)
	r.tracked.Done()
}
