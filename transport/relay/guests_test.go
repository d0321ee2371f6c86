package relay

import (
	"testing"

	"github.com/huisclos/huisclos/transport/relayauth"
)

// TestGuestsFlood: strangers, whose keys are free, take no place that somebody with a ticket needs to reach a member.
//
// Checks: RLY-5.
func TestGuestsFlood(t *testing.T) {
	for _, c := range []struct {
		unsafe unsafeSwitches
		in     bool
	}{{unsafeSwitches{}, true}, {unsafeSwitches{guestsTakeAll: true}, false}} {
		token := relayauth.NewToken()
		r := startRelay(t, Config{Tokens: relayauth.NewTokens(token), MaxCircuits: 8, unsafe: c.unsafe})
		member, other := newPeer(t), newPeer(t)
		member.enter(r, relayauth.KindQUIC, token)
		other.enter(r, relayauth.KindQUIC, token)
		through := 0
		for range 10 {
			guest := newPeer(t)
			guest.dial(r, relayauth.KindQUIC)
			if guest.circuit(r, member) == nil {
				through++
			}
		}
		if through == 0 {
			t.Error("nobody can knock")
		}
		if err := other.circuit(r, member); (err == nil) != c.in {
			t.Errorf("%d strangers are through; who has a ticket: %v", through, err)
		}
	}
}
