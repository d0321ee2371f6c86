package meet_test

import (
	"context"
	"testing"
	"time"

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
