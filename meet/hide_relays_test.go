package meet_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/transport/relayauth"
	ma "github.com/multiformats/go-multiaddr"
)

// TestHiddenFromRelays: whoever hides uses no relay that a member names, which could tell that one where they are. The twin
// does.
//
// Checks: MOD-3.
func TestHiddenFromRelays(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			told := make(chan struct{}, 8)
			c := meet.OnPair(open(), func(_ crypto.MeetingKey, msg meet.PairMessage) {
				if msg.Relays != nil {
					told <- struct{}{}
				}
			})
			c.Relays, c.RelayOnly = []meet.Relay{realRelay(t, "127.0.0.19")}, hide
			c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.12:0")}
			a := must[*meet.Meeting](t)(meet.Create(ctx, c))
			defer a.Close()
			link := must[meet.Invite](t)(a.Invite(ctx, meet.InviteOptions{}))
			b := must[*meet.Meeting](t)(meet.Join(ctx, link, meet.Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.13:0")}}))
			defer b.Close()
			u := relayURI(t, 1)
			named := meet.SharedRelay{Key: u.Relay, Ticket: make([]byte, relayauth.TicketSize), Addresses: [][]byte{ma.StringCast("/ip4/127.0.0.14/tcp/9").Bytes()}}
			for sent := false; !sent; { // as soon as there is a session
				ok(t, b.InjectMessage(ctx, a.Incarnation().Key(), meet.PairMessage{Relays: []meet.SharedRelay{named}}))
				select {
				case <-told:
					sent = true
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
					t.Fatal(ctx.Err())
				}
			}
			want := 2
			if hide {
				want = 1
			}
			if status := must[[]meet.RelayStatus](t)(a.Relays(ctx)); len(status) != want {
				t.Errorf("it uses %+v", status)
			}
		})
	}
}
