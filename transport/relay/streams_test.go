package relay

import (
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	mss "github.com/multiformats/go-multistream"
)

// open opens a stream to the relay and says nothing on it but which protocol it is, or half of that.
func (p *testPeer) open(r *Relay, id protocol.ID) error {
	s, err := p.swarm.NewStream(network.WithNoDial(ctxFor(p.t, 10*time.Second), ""), r.host.ID())
	if err != nil {
		return err
	}
	if id == "" {
		_, err = s.Write([]byte("\x13/multi"))
		return err
	}
	return mss.SelectProtoOrFail(id, s)
}

// TestSilentStreams: a few strangers, whose keys are free, open as many streams as they can and don't say what for, or
// that they want a circuit, and not to whom. Others enter and reach each other meanwhile.
//
// Checks: RLY-5.
func TestSilentStreams(t *testing.T) {
	for _, c := range []struct {
		name   string
		asks   protocol.ID
		unsafe unsafeSwitches
		in     bool
	}{
		{"nothing", "", unsafeSwitches{}, true},
		{"hop", proto.ProtoIDv2Hop, unsafeSwitches{}, true},
		{"unprotected", "", unsafeSwitches{anySilence: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := relayauth.NewToken()
			r := startRelay(t, Config{Tokens: relayauth.NewTokens(token), unsafe: c.unsafe})
			a, b := newPeer(t), newPeer(t)
			opened := 0
			var guests []*testPeer
			for range 5 {
				guest := newPeer(t)
				guest.dial(r, relayauth.KindTCP)
				for range 250 {
					if guest.open(r, c.asks) == nil {
						opened++
					}
				}
				guests = append(guests, guest)
			}
			if !c.in { // of many at once, one may be refused though there is room
				eventually(t, "no room", func() (full bool) {
					for _, guest := range guests {
						_ = guest.open(r, c.asks)
					}
					_ = r.host.resources.ViewTransient(func(s network.ResourceScope) error {
						full = s.Stat().NumStreamsInbound == 1024
						return nil
					})
					return full
				})
			}
			a.dial(r, relayauth.KindQUIC)
			b.dial(r, relayauth.KindTCP)
			err := a.present(r, token.Ticket(time.Now().Add(time.Hour)))
			if err == nil {
				err = a.reserve(r)
			}
			if err == nil {
				err = b.circuit(r, a)
			}
			if t.Logf("%d streams", opened); (err == nil) != c.in {
				t.Errorf("%v", err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, p := range r.peers {
				if (p.opening > guestOpening || p.streams > r.config.MaxGuestCircuits) && c.in {
					t.Errorf("%d streams are opened, %d hold a place", p.opening, p.streams)
				}
			}
		})
	}
}

// TestSilentGuest: who asks for a circuit and says no more, or is refused one, goes like anybody who has none.
//
// Checks: RLY-7.
func TestSilentGuest(t *testing.T) {
	for _, twin := range []bool{false, true} {
		token := relayauth.NewToken()
		r := startRelay(t, Config{Tokens: relayauth.NewTokens(token), unsafe: unsafeSwitches{anySilence: twin}})
		member, silent, knocks := newPeer(t), newPeer(t), newPeer(t)
		member.enter(r, relayauth.KindTCP, token)
		silent.dial(r, relayauth.KindTCP)
		knocks.dial(r, relayauth.KindQUIC)
		type known struct {
			streams, circuits int
			idle              time.Time
		}
		state := func(p *testPeer) known {
			r.mu.Lock()
			defer r.mu.Unlock()
			if s := r.peers[p.ID()]; s != nil {
				return known{s.streams, s.circuits, s.idle}
			}
			return known{}
		}
		var since time.Time
		eventually(t, "connected", func() bool { since = state(silent).idle; return !since.IsZero() && !state(knocks).idle.IsZero() })
		if silent.circuit(r, newPeer(t)) == nil {
			t.Fatal("a circuit to nobody")
		}
		if now := state(silent); now.idle != since || now.circuits != 0 {
			t.Error("a refusal makes a guest stay longer")
		}
		if err := silent.open(r, proto.ProtoIDv2Hop); err != nil {
			t.Fatal(err)
		}
		if err := knocks.circuit(r, member); err != nil {
			t.Fatal(err)
		}
		eventually(t, "asked", func() bool { return state(silent).streams == 1 && state(knocks).circuits == 1 })
		overdue := r.overdue(time.Now().Add(31 * time.Second))
		if gone := slices.Contains(overdue, silent.ID()); gone == twin {
			t.Errorf("twin %v: who says nothing goes: %v", twin, gone)
		}
		if slices.Contains(overdue, knocks.ID()) {
			t.Error("who has a circuit goes")
		}
		_ = knocks.swarm.ClosePeer(member.ID())
		eventually(t, "over", func() bool { return state(knocks).circuits == 0 && state(member).circuits == 0 })
		if !state(knocks).idle.After(since) {
			t.Error("who had a circuit is put out at once when it ends")
		}
	}
}
