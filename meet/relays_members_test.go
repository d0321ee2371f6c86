package meet_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/relayauth"
	ma "github.com/multiformats/go-multiaddr"
)

// TestMemberAsRelay: a member calls another one, or whom it says it to, a relay, at addresses where nobody is. Nobody dials
// there: it would take the place of dials to that member. The twin does.
//
// Checks: RLY-11.
func TestMemberAsRelay(t *testing.T) {
	twin(t, "anyRelay", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			other := must[*meettest.Member](t)(w.Join(ctx, "other", host, meet.Config{}))
			connected(t, ctx, host, victim, other)
			w.Advance(time.Second)
			var named []meet.SharedRelay
			for _, m := range []*meettest.Member{other, victim, host} {
				named = append(named, meet.SharedRelay{Key: relayauth.Key(m.Incarnation().Key()), Ticket: make([]byte, relayauth.TicketSize),
					Addresses: [][]byte{ma.StringCast("/ip4/203.0.113.7/tcp/443").Bytes()}})
			}
			ok(t, host.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Relays: named}))
			w.Advance(time.Second)
			if status := must[[]meet.RelayStatus](t)(victim.Relays(ctx)); (len(status) == 0) != protected {
				t.Errorf("%+v", status)
			}
		})
	})
}

// TestRelaysOfMany: members who name as many relays as they may don't crowd out each other's, nor the user's own: of each
// the first is used, then of each the second, four in all. The twin uses all.
//
// Checks: RLY-11.
func TestRelaysOfMany(t *testing.T) {
	t.Parallel()
	twin(t, "anyRelay", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			own := relayURI(t, 1)
			config.Relays = []meet.Relay{parseRelay(t, own)}
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			other := must[*meettest.Member](t)(w.Join(ctx, "other", host, meet.Config{}))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			connected(t, ctx, host, other, victim)
			w.Advance(time.Second)
			named := map[crypto.MeetingKey][]string{}
			for i, m := range []*meettest.Member{host, other} {
				var all []meet.SharedRelay
				for j := range byte(meet.MaxRelays) {
					u := relayURI(t, byte(10*(i+1))+j)
					all = append(all, meet.SharedRelay{Key: u.Relay, Addresses: [][]byte{u.Addresses[0].Bytes()}, Ticket: u.Token.Ticket(time.Now().Add(time.Hour))})
					named[m.Incarnation().Key()] = append(named[m.Incarnation().Key()], u.Relay.Fingerprint())
				}
				ok(t, m.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Relays: all}))
			}
			w.Advance(time.Second)
			first, second := host.Incarnation().Key(), other.Incarnation().Key()
			if bytes.Compare(first[:], second[:]) > 0 {
				first, second = second, first
			}
			want := []string{own.Relay.Fingerprint(), named[first][0], named[second][0], named[first][1]}
			var got []string
			for _, s := range must[[]meet.RelayStatus](t)(victim.Relays(ctx)) {
				got = append(got, s.Fingerprint)
			}
			if slices.Equal(got, want) != protected || !protected && len(got) != 1+2*meet.MaxRelays {
				t.Errorf("it uses %q, not %q", got, want)
			}
		})
	})
}
