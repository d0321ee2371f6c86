package meet_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/relayauth"
	ma "github.com/multiformats/go-multiaddr"
)

// relayURI is a relay that isn't there.
func relayURI(t *testing.T, n byte) relayauth.URI {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key := relayauth.Key(public)
	return relayauth.URI{Relay: key, Token: relayauth.NewToken(),
		Addresses: relayauth.Addresses(netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, n}), 443))}
}

func parseRelay(t *testing.T, u relayauth.URI) meet.Relay {
	t.Helper()
	return must[meet.Relay](t)(meet.ParseRelay(u.String()))
}

// TestParseRelay: text and relay are each other's inverse; a Config takes four, each once.
func TestParseRelay(t *testing.T) {
	u := relayURI(t, 1)
	r := parseRelay(t, u)
	if r.String() != u.String() || r.Fingerprint() != u.Relay.Fingerprint() || fmt.Sprint(r.LogValue()) == r.String() {
		t.Error(r.Fingerprint())
	}
	if _, err := meet.ParseRelay("huisclos-relay:" + u.String()[20:]); !errors.Is(err, relayauth.ErrURIChanged) {
		t.Error(err)
	}
	many := []meet.Relay{r}
	for i := range byte(4) {
		many = append(many, parseRelay(t, relayURI(t, 10+i)))
	}
	for name, relays := range map[string][]meet.Relay{"five": many, "twice": {r, r}} {
		if _, err := meet.Create(t.Context(), meet.Config{Relays: relays}); !errors.Is(err, meet.ErrTooManyRelays) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := meet.Create(t.Context(), meet.Config{Relays: []meet.Relay{{}}}); !errors.Is(err, relayauth.ErrURI) {
		t.Error(err)
	}
}

// ticketTold is a ticket as a member was told it.
type ticketTold struct {
	at    time.Time
	claim relayauth.Claim
}

// ticketWatch collects the tickets for one relay that members are told, by their names.
type ticketWatch struct {
	t      testing.TB
	u      relayauth.URI
	tokens relayauth.Tokens
	mu     sync.Mutex
	told   map[string][]ticketTold
}

func watchTickets(t testing.TB, u relayauth.URI) *ticketWatch {
	return &ticketWatch{t: t, u: u, tokens: relayauth.NewTokens(u.Token), told: map[string][]ticketTold{}}
}

func (w *ticketWatch) config(name string) meet.Config {
	return meet.OnPair(meet.Config{}, func(_ crypto.MeetingKey, msg meet.PairMessage) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, r := range msg.Relays {
			claim, err := w.tokens.Verify(r.Ticket, time.Now())
			if err != nil || r.Key != w.u.Relay || len(r.Addresses) != 3 {
				w.t.Errorf("%s is told of %+v: %v", name, r, err)
			}
			w.told[name] = append(w.told[name], ticketTold{time.Now(), claim})
		}
	})
}

func (w *ticketWatch) of(name string) []ticketTold {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told[name])
}

// relayedPair makes a host who has the relay that is watched, and a guest.
func relayedPair(t *testing.T, ctx context.Context, w *meettest.World, tickets *ticketWatch) (host, guest *meettest.Member) {
	t.Helper()
	c := open()
	c.Relays = []meet.Relay{parseRelay(t, tickets.u)}
	host = must[*meettest.Member](t)(w.Create(ctx, "host", c))
	guest = must[*meettest.Member](t)(w.Join(ctx, "guest", host, tickets.config("guest")))
	connected(t, ctx, host, guest)
	return host, guest
}

// TestRelayTickets: each member, a viewer too, gets a ticket of its own, good for a day, renewed at half of that; nobody
// who only knocks gets one, and the token travels to nobody.
//
// Checks: RLY-10.
func TestRelayTickets(t *testing.T) {
	u := relayURI(t, 1)
	tickets := watchTickets(t, u)
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		policy := meet.DefaultPolicy()
		policy.Entry = meet.EntryOpen
		host := must[*meettest.Member](t)(w.Create(ctx, "host", meet.Config{Policy: policy, Relays: []meet.Relay{parseRelay(t, u)}}))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, tickets.config("a")))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, tickets.config("b")))
		connected(t, ctx, host, a, b)
		ok(t, host.SetRole(ctx, self(t, ctx, b).Identity, meet.Viewer))
		w.Advance(5 * time.Second)
		ofA, ofB := tickets.of("a"), tickets.of("b")
		if len(ofA) != 1 || len(ofB) != 1 || ofA[0].claim.Nonce == ofB[0].claim.Nonce {
			t.Fatalf("%+v, %+v", ofA, ofB)
		}
		if left := ofA[0].claim.Expiry.Sub(ofA[0].at); left > relayauth.TicketLifetime || left < relayauth.TicketLifetime-time.Minute {
			t.Errorf("good for %v", left)
		}
		status := must[[]meet.RelayStatus](t)(a.Relays(ctx))
		if len(status) != 1 || status[0].Fingerprint != u.Relay.Fingerprint() || status[0].NamedBy != host.Incarnation().Key() || status[0].Reserved {
			t.Errorf("%+v", status)
		}
		if own := must[[]meet.RelayStatus](t)(host.Relays(ctx)); len(own) != 1 || own[0].NamedBy != (crypto.MeetingKey{}) {
			t.Errorf("%+v", own)
		}
		ok(t, host.Leave(ctx))
		w.Advance(2 * time.Second)
		if status := must[[]meet.RelayStatus](t)(a.Relays(ctx)); len(status) != 0 {
			t.Errorf("who left still names %+v", status)
		}
	})
}

// TestRelayRenewal: before half a ticket's life there is no other, after it everybody has one.
//
// Checks: RLY-10.
func TestRelayRenewal(t *testing.T) {
	tickets := watchTickets(t, relayURI(t, 1))
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host, _ := relayedPair(t, ctx, w, tickets)
		ok(t, host.AgeRelays(ctx, relayauth.TicketLifetime/2-time.Minute))
		w.Advance(30 * time.Second)
		if early := tickets.of("guest"); len(early) != 1 {
			t.Fatalf("early: %v", early)
		}
		w.Advance(time.Minute)
		if got := tickets.of("guest"); len(got) != 2 || got[1].claim.Expiry.Sub(got[1].at) < relayauth.TicketLifetime-time.Minute {
			t.Errorf("%v", got)
		}
	})
}

// TestHostileRelays: what a member names that can't be a relay, or too many, is left out, and keeps nobody from using
// those that others name. The twin takes it all.
//
// Checks: RLY-8, RLY-11.
func TestHostileRelays(t *testing.T) {
	t.Parallel()
	good := relayURI(t, 1)
	share := func(u relayauth.URI, addresses ...string) meet.SharedRelay {
		r := meet.SharedRelay{Key: u.Relay, Ticket: u.Token.Ticket(time.Now().Add(time.Hour))}
		for _, a := range addresses {
			r.Addresses = append(r.Addresses, ma.StringCast(a).Bytes())
		}
		return r
	}
	fine := "/ip4/203.0.113.7/tcp/443"
	five := make([]meet.SharedRelay, 5)
	for i := range five {
		five[i] = share(relayURI(t, byte(i)), fine)
	}
	noTicket, longTicket, noPoint := share(relayURI(t, 2), fine), share(relayURI(t, 2), fine), share(relayURI(t, 2), fine)
	noTicket.Ticket = nil
	longTicket.Ticket = make([]byte, 50_000)
	var nine []string
	for i := range 9 {
		nine = append(nine, fmt.Sprintf("/ip4/203.0.113.7/tcp/%d", 443+i))
	}
	noPoint.Addresses = [][]byte{{1, 2, 3}}
	for name, hostile := range map[string][]meet.SharedRelay{
		"five":          five,
		"no ticket":     {noTicket},
		"a long ticket": {longTicket},
		"no address":    {share(relayURI(t, 2))},
		"bad address":   {noPoint},
		"nine":          {share(relayURI(t, 2), nine...)},
		"a name":        {share(relayURI(t, 2), "/dns4/relay.example/tcp/443")},
		"a circuit":     {share(relayURI(t, 2), "/ip4/203.0.113.7/tcp/443/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit")},
	} {
		t.Run(name, func(t *testing.T) {
			twin(t, "anyRelay", func(t *testing.T, protected bool, config meet.Config) {
				world(t, ms20, func(ctx context.Context, w *meettest.World) {
					host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
					victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
					connected(t, ctx, host, victim)
					w.Advance(time.Second)
					key := victim.Incarnation().Key()
					ok(t, host.InjectMessage(ctx, key, meet.PairMessage{Relays: []meet.SharedRelay{share(good, fine)}}))
					w.Advance(time.Second)
					ok(t, host.InjectMessage(ctx, key, meet.PairMessage{Relays: hostile}))
					w.Advance(time.Second)
					status := must[[]meet.RelayStatus](t)(victim.Relays(ctx))
					kept := len(status) == 1 && status[0].Fingerprint == good.Relay.Fingerprint()
					if kept != protected {
						t.Errorf("%+v", status)
					}
				})
			})
		})
	}
}

// TestRelaysFlood: a member changes what it names as often as it likes; few of it are taken. The twin takes all.
//
// Checks: RLY-11.
func TestRelaysFlood(t *testing.T) {
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			connected(t, ctx, host, victim)
			w.Advance(time.Second)
			var last relayauth.URI
			for i := range byte(20) {
				last = relayURI(t, i)
				ok(t, host.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Relays: []meet.SharedRelay{{Key: last.Relay,
					Addresses: [][]byte{last.Addresses[1].Bytes()}, Ticket: last.Token.Ticket(time.Now().Add(time.Hour))}}}))
			}
			w.Advance(time.Second)
			status := must[[]meet.RelayStatus](t)(victim.Relays(ctx))
			if len(status) != 1 || (status[0].Fingerprint == last.Relay.Fingerprint()) == protected {
				t.Errorf("%+v", status)
			}
		})
	})
}
