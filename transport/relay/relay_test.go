package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	rawquic "github.com/quic-go/quic-go"
)

// TestCircuit: two members with tickets reach each other through the relay, by each
// transport on its one port, in whatever combination.
func TestCircuit(t *testing.T) {
	token := relayauth.NewToken()
	r := startRelay(t, Config{Tokens: relayauth.NewTokens(token)})
	kinds := map[string]relayauth.AddressKind{"QUIC": relayauth.KindQUIC, "TCP": relayauth.KindTCP,
		"WebSocket": relayauth.KindWebSocket, "WebSocket over TLS": relayauth.KindWebSocketTLS}
	b := newPeer(t)
	b.echo()
	b.enter(r, relayauth.KindTCP, token)
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			a := newPeer(t)
			a.dial(r, kind)
			if err := a.circuit(r, b); err != nil {
				t.Fatal(err)
			}
			if got, err := a.say(b, "bonjour"); err != nil || got != "bonjour" {
				t.Fatalf("%q, %v", got, err)
			}
			if c := a.swarm.ConnsToPeer(b.ID())[0]; c.Stat().Limited {
				t.Error("the circuit is limited: GossipSub would not run on it")
			}
		})
	}
	if s := r.Stats(); s.CircuitsAccepted != 4 || s.TicketsAccepted != 1 || s.BytesRelayed == 0 || s.Reservations != 1 {
		t.Errorf("%+v", s)
	}
}

// TestStranger: a reservation needs a ticket that one of the relay's tokens made and that
// has not expired. The twin lets the same strangers in.
//
// Checks: RLY-2, RLY-3.
func TestStranger(t *testing.T) {
	token := relayauth.NewToken()
	hour := time.Now().Add(time.Hour)
	flip := func(ticket []byte, at int) []byte { ticket[at] ^= 1; return ticket }
	tests := []struct {
		name   string
		ticket []byte // nil: shows none
		twin   unsafeSwitches
	}{
		{"no ticket", nil, unsafeSwitches{noTickets: true}},
		{"expired", token.Ticket(time.Now().Add(-time.Second)), unsafeSwitches{anyExpiry: true}},
		{"of another relay", relayauth.NewToken().Ticket(hour), unsafeSwitches{noTickets: true}},
		{"forged, another expiry", flip(token.Ticket(time.Now().Add(-time.Hour)), 28), unsafeSwitches{noTickets: true}},
		{"forged, another nonce", flip(token.Ticket(hour), 9), unsafeSwitches{noTickets: true}},
		{"forged, another MAC", flip(token.Ticket(hour), relayauth.TicketSize-1), unsafeSwitches{noTickets: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			enters := func(twin unsafeSwitches) bool {
				r := startRelay(t, Config{Tokens: relayauth.NewTokens(token), unsafe: twin})
				p := newPeer(t)
				p.dial(r, relayauth.KindTCP)
				if tt.ticket != nil {
					var refused refusedError
					if err := p.present(r, tt.ticket); twin == (unsafeSwitches{}) && !errors.As(err, &refused) {
						t.Errorf("the ticket was taken: %v", err)
					}
				}
				return p.reserve(r) == nil
			}
			if enters(unsafeSwitches{}) {
				t.Error("a stranger has a reservation")
			}
			if !enters(tt.twin) {
				t.Error("the twin keeps the stranger out: the test shows nothing")
			}
		})
	}
}

// TestClockTold: a relay that refuses a ticket for its time says what time it has, and to nobody whose ticket it is that
// none of its tokens made. What it shows in QUIC's handshake tells nobody its time.
//
// Checks: CLK-1, CLK-2.
func TestClockTold(t *testing.T) {
	token := relayauth.NewToken()
	r := startRelay(t, Config{Tokens: relayauth.NewTokens(token)})
	for _, tt := range []struct {
		name   string
		ticket []byte
		told   bool
	}{
		{"over", token.Ticket(time.Now().Add(-time.Second)), true},
		{"over, of another relay", relayauth.NewToken().Ticket(time.Now().Add(-time.Second)), false},
	} {
		p := newPeer(t)
		p.dial(r, relayauth.KindTCP)
		var refused refusedError
		if err := p.present(r, tt.ticket); !errors.As(err, &refused) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if told := time.Since(p.clock).Abs() < time.Minute; told != tt.told || !told && !p.clock.IsZero() {
			t.Errorf("%s: told %v", tt.name, p.clock)
		}
	}
	var shown *x509.Certificate
	_, err := rawquic.DialAddr(ctxFor(t, 5*time.Second), r.Addresses()[0].String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"libp2p"},
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) (err error) {
			if shown, err = x509.ParseCertificate(raw[0]); err != nil {
				return err
			}
			return errors.New("seen")
		}}, nil)
	if shown == nil {
		t.Fatal(err)
	}
	if !shown.NotBefore.Equal(time.Unix(0, 0)) || shown.NotAfter.Year() != 9999 {
		t.Errorf("valid from %v to %v", shown.NotBefore, shown.NotAfter)
	}
}

// TestReservationOutlastsClocks: what a relay grants, as it says until when, isn't over by a clock that is a day or two ahead.
//
// Checks: CLK-5.
func TestReservationOutlastsClocks(t *testing.T) {
	token := relayauth.NewToken()
	r := startRelay(t, Config{Tokens: relayauth.NewTokens(token)})
	p := newPeer(t)
	p.enter(r, relayauth.KindTCP, token)
	granted, err := client.Reserve(ctxFor(t, 10*time.Second), p, peer.AddrInfo{ID: r.host.ID()})
	if err != nil {
		t.Fatal(err)
	}
	if lasts := time.Until(granted.Expiration); lasts < 71*time.Hour {
		t.Errorf("good for %v", lasts)
	}
}

// TestNoReservation: nobody reaches a peer that is connected but has reserved nothing.
func TestNoReservation(t *testing.T) {
	token := relayauth.NewToken()
	r := startRelay(t, Config{Tokens: relayauth.NewTokens(token)})
	a, b := newPeer(t), newPeer(t)
	b.echo()
	a.dial(r, relayauth.KindTCP)
	b.dial(r, relayauth.KindTCP)
	if err := b.present(r, token.Ticket(time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if a.circuit(r, b) == nil {
		t.Fatal("a circuit to a peer without a reservation")
	}
	if err := b.reserve(r); err != nil {
		t.Fatal(err)
	}
	if err := a.circuit(r, b); err != nil {
		t.Fatal(err)
	}
}

// TestTicketTime: a ticket that was good when it was shown lets nobody reserve when its time is over. The twin does.
//
// Checks: RLY-3.
func TestTicketTime(t *testing.T) {
	for _, twin := range []bool{false, true} {
		token := relayauth.NewToken()
		r := startRelay(t, Config{Tokens: relayauth.NewTokens(token), unsafe: unsafeSwitches{anyExpiry: twin}})
		p := newPeer(t)
		p.enter(r, relayauth.KindTCP, token)
		may := func() bool { return acl{r}.AllowReserve(p.ID(), nil) }
		if !may() {
			t.Fatal("a good ticket is refused")
		}
		r.mu.Lock()
		r.peers[p.ID()].claim.Expiry = time.Now().Add(-time.Second)
		r.mu.Unlock()
		if may() != twin {
			t.Errorf("twin %v: one whose ticket is over may reserve: %v", twin, !twin)
		}
	}
}

// TestTicketEnds: a ticket is good on a connection that is open: with that its places are free again, and who is back has to
// show it anew.
//
// Checks: RLY-2, RLY-5.
func TestTicketEnds(t *testing.T) {
	token := relayauth.NewToken()
	r := startRelay(t, Config{Tokens: relayauth.NewTokens(token), MaxPeersPerTicket: 1, MaxPeersPerToken: 1})
	ticket := token.Ticket(time.Now().Add(time.Hour))
	p, other := newPeer(t), newPeer(t)
	p.dial(r, relayauth.KindTCP)
	other.dial(r, relayauth.KindTCP)
	if err := p.present(r, ticket); err != nil {
		t.Fatal(err)
	}
	if other.present(r, ticket) == nil {
		t.Error("there is a second place")
	}
	_ = p.swarm.ClosePeer(r.host.ID())
	eventually(t, "gone", func() bool { return r.Stats().Members == 0 })
	p.dial(r, relayauth.KindTCP)
	if p.reserve(r) == nil {
		t.Error("who is back has reserved without a ticket")
	}
	if err := other.present(r, ticket); err != nil {
		t.Errorf("a place that is free again isn't: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.perToken) != 1 || len(r.perNonce) != 1 {
		t.Errorf("%d tokens and %d tickets are remembered", len(r.perToken), len(r.perNonce))
	}
}

// TestManyComers: far more than may wait at once to prove their keys come from one address, one after the other: who has proved
// its key makes room.
//
// Checks: RLY-5.
func TestManyComers(t *testing.T) {
	r := startRelay(t, Config{})
	for _, kind := range []relayauth.AddressKind{relayauth.KindTCP, relayauth.KindQUIC} {
		p := newPeer(t)
		for i := range 3 * r.config.halfOpen() {
			if err := p.Connect(ctxFor(t, 10*time.Second), r.info(kind)); err != nil {
				t.Fatalf("kind %d, number %d: %v", kind, i+1, err)
			}
			eventually(t, "there", func() bool { return r.Stats().Connections == 1 })
			_ = p.swarm.ClosePeer(r.host.ID())
			eventually(t, "gone", func() bool { return r.Stats().Connections == 0 })
		}
	}
}

// TestTokenRemoved: who came by a token that is taken off the list is put out, with its
// circuits; the others stay. The twin keeps it.
//
// Checks: RLY-4.
func TestTokenRemoved(t *testing.T) {
	for _, twin := range []bool{false, true} {
		gone, stays := relayauth.NewToken(), relayauth.NewToken()
		r := startRelay(t, Config{Tokens: relayauth.NewTokens(gone, stays), unsafe: unsafeSwitches{keepAll: twin}})
		a, b, c := newPeer(t), newPeer(t), newPeer(t)
		a.echo()
		b.echo()
		a.enter(r, relayauth.KindTCP, stays)
		b.enter(r, relayauth.KindTCP, gone)
		c.enter(r, relayauth.KindQUIC, stays)
		if err := c.circuit(r, a); err != nil {
			t.Fatal(err)
		}
		if err := c.circuit(r, b); err != nil {
			t.Fatal(err)
		}
		r.SetTokens(relayauth.NewTokens(stays))
		if twin {
			if _, err := c.say(b, "still here"); err != nil {
				t.Errorf("the twin puts out as well: %v", err)
			}
			continue
		}
		eventually(t, "put out", func() bool { return r.Stats().Members == 2 && len(b.swarm.ConnsToPeer(r.host.ID())) == 0 })
		if _, err := c.say(a, "still here"); err != nil {
			t.Errorf("another token's circuit ended: %v", err)
		}
		b.dial(r, relayauth.KindTCP)
		if err := b.present(r, gone.Ticket(time.Now().Add(time.Hour))); err == nil {
			t.Error("a removed token still lets in")
		}
	}
}

// TestCrowd: one ticket and one token are good for so many peers, and a guest may open so
// many circuits. The twin, with limits out of reach, lets all of them in.
//
// Checks: RLY-5.
func TestCrowd(t *testing.T) {
	for _, twin := range []bool{false, true} {
		c := Config{MaxPeersPerTicket: 2, MaxPeersPerToken: 3, MaxGuestCircuits: 1}
		if twin {
			c = Config{MaxPeersPerTicket: 1000, MaxPeersPerToken: 1000, MaxGuestCircuits: 100}
		}
		crowd(t, c, twin)
	}
}

func crowd(t *testing.T, c Config, twin bool) {
	hour := time.Now().Add(time.Hour)
	token := relayauth.NewToken()
	c.Tokens = relayauth.NewTokens(token)
	r := startRelay(t, c)
	shared := token.Ticket(hour)
	var peers []*testPeer
	for i, tt := range []struct {
		ticket []byte
		want   bool
	}{{shared, true}, {shared, true}, {shared, false}, {token.Ticket(hour), true}, {token.Ticket(hour), false}} {
		p := newPeer(t)
		p.dial(r, relayauth.KindTCP)
		if err := p.present(r, tt.ticket); (err == nil) != (tt.want || twin) {
			t.Errorf("twin %v, peer %d: %v", twin, i, err)
		}
		peers = append(peers, p)
	}
	if err := peers[0].present(r, token.Ticket(hour)); err != nil {
		t.Errorf("a renewal is taken for another peer: %v", err)
	}
	if err := peers[2].present(r, shared); err != nil && r.Stats().Members != 3 {
		t.Errorf("a place that is free again isn't: %v", err)
	}
	for _, p := range peers[:2] {
		p.echo()
		if err := p.reserve(r); err != nil {
			t.Fatal(err)
		}
	}
	guest := newPeer(t)
	guest.dial(r, relayauth.KindTCP)
	if err := guest.circuit(r, peers[0]); err != nil {
		t.Fatal(err)
	}
	if err := guest.circuit(r, peers[1]); (err == nil) != twin {
		t.Errorf("twin %v: a guest's second circuit: %v", twin, err)
	}
}

// TestIdleGuest: who has neither ticket nor circuit goes, who has one stays. The twin keeps both.
//
// Checks: RLY-7.
func TestIdleGuest(t *testing.T) {
	for _, twin := range []bool{false, true} {
		token := relayauth.NewToken()
		r := startRelay(t, Config{Tokens: relayauth.NewTokens(token), unsafe: unsafeSwitches{keepAll: twin}})
		a, guest := newPeer(t), newPeer(t)
		a.enter(r, relayauth.KindTCP, token)
		guest.dial(r, relayauth.KindTCP)
		eventually(t, "connected", func() bool { return r.Stats().Connections == 2 })
		if n := len(r.overdue(time.Now().Add(29 * time.Second))); n != 0 {
			t.Errorf("%d must go too soon", n)
		}
		overdue := r.overdue(time.Now().Add(31 * time.Second))
		if !twin && (len(overdue) != 1 || overdue[0] != guest.ID()) || twin && len(overdue) != 0 {
			t.Errorf("twin %v: %d must go", twin, len(overdue))
		}
	}
}

// TestObserved: who comes over QUIC learns where the relay sees its socket.
func TestObserved(t *testing.T) {
	token := relayauth.NewToken()
	r := startRelay(t, Config{Tokens: relayauth.NewTokens(token)})
	for kind, want := range map[relayauth.AddressKind]int{relayauth.KindQUIC: 6, relayauth.KindTCP: 0} {
		p := newPeer(t)
		p.enter(r, kind, token)
		if len(p.observed) != want {
			t.Errorf("kind %d: %d bytes", kind, len(p.observed))
		}
	}
}

// TestProtocols: the relay offers tickets and circuits, and nothing that says what runs there.
func TestProtocols(t *testing.T) {
	r := startRelay(t, Config{})
	p := newPeer(t)
	p.dial(r, relayauth.KindTCP)
	for _, id := range []protocol.ID{"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/libp2p/autonat/1.0.0", "/ipfs/kad/1.0.0", "/huisclos/door/1"} {
		if s, err := p.NewStream(ctxFor(t, 10*time.Second), r.host.ID(), id); err == nil {
			_ = s.Reset()
			t.Errorf("the relay speaks %s", id)
		}
	}
}

// TestBadTickets: after a few tickets that are none, the connection is closed.
func TestBadTickets(t *testing.T) {
	r := startRelay(t, Config{})
	p := newPeer(t)
	p.dial(r, relayauth.KindTCP)
	for range maxBadTickets {
		if p.present(r, relayauth.NewToken().Ticket(time.Now().Add(time.Hour))) == nil {
			t.Fatal("a relay without tokens takes a ticket")
		}
	}
	eventually(t, "closed", func() bool { return len(p.swarm.ConnsToPeer(r.host.ID())) == 0 })
}

// TestPlaces: there are so many connections of one address and in all, and so many reservations, and no more. The twins,
// with each limit as it is by default, have room for one more.
//
// Checks: RLY-5.
func TestPlaces(t *testing.T) {
	for name, tt := range map[string]struct {
		limit Config
		enter func(p *testPeer, r *Relay, ticket []byte) error
	}{
		"of an address": {Config{MaxConnectionsPerAddress: 2}, (*testPeer).tryDial},
		"in all":        {Config{MaxConnections: 2}, (*testPeer).tryDial},
		"reservations": {Config{MaxReservations: 2}, func(p *testPeer, r *Relay, ticket []byte) error {
			return errors.Join(p.tryDial(r, nil), p.present(r, ticket), p.reserve(r))
		}},
	} {
		for _, twin := range []bool{false, true} {
			c, token := tt.limit, relayauth.NewToken()
			if twin {
				c = Config{}
			}
			c.Tokens = relayauth.NewTokens(token)
			r := startRelay(t, c)
			for i := range 3 {
				err := tt.enter(newPeer(t), r, token.Ticket(time.Now().Add(time.Hour)))
				if (err == nil) != (i < 2 || twin) {
					t.Errorf("%s, twin %v, number %d: %v", name, twin, i+1, err)
				}
			}
		}
	}
}

// tryDial connects over TCP.
func (p *testPeer) tryDial(r *Relay, _ []byte) error {
	return p.Connect(ctxFor(p.t, 10*time.Second), r.info(relayauth.KindTCP))
}

// TestListenErrors: each thing that can be wrong has its own error.
func TestListenErrors(t *testing.T) {
	busy := startRelay(t, Config{}).Addresses()[0]
	v4 := netip.MustParseAddrPort("127.0.0.1:0")
	for name, tt := range map[string]struct {
		c    Config
		want error
	}{
		"no key":          {Config{Listen: []netip.AddrPort{v4}}, ErrKey},
		"no address":      {Config{Key: newKey(t)}, ErrListen},
		"two of a family": {Config{Key: newKey(t), Listen: []netip.AddrPort{v4, v4}}, ErrListen},
		"limit":           {Config{Key: newKey(t), Listen: []netip.AddrPort{v4}, MaxCircuits: -1}, ErrLimit},
		"port taken":      {Config{Key: newKey(t), Listen: []netip.AddrPort{busy}}, syscall.EADDRINUSE},
		"not ours":        {Config{Key: newKey(t), Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:0")}}, syscall.EADDRNOTAVAIL},
	} {
		r, err := Listen(tt.c)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = r.Close()
		}
	}
}

// TestShutdown: it waits for circuits, refuses what is new, and ends in time.
func TestShutdown(t *testing.T) {
	token := relayauth.NewToken()
	r := startRelay(t, Config{Tokens: relayauth.NewTokens(token)})
	a, b, late := newPeer(t), newPeer(t), newPeer(t)
	b.echo()
	b.enter(r, relayauth.KindTCP, token)
	a.dial(r, relayauth.KindQUIC)
	if err := a.circuit(r, b); err != nil {
		t.Fatal(err)
	}
	late.dial(r, relayauth.KindTCP)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(ctx) }()
	eventually(t, "draining", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.draining })
	if late.present(r, token.Ticket(time.Now().Add(time.Hour))) == nil {
		t.Error("a ticket is taken while shutting down")
	}
	if _, err := a.say(b, "still here"); err != nil {
		t.Errorf("the circuit ended: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	eventually(t, "told", func() bool { return len(a.swarm.ConnsToPeer(r.host.ID())) == 0 })
}
