package relay

import (
	"testing"
	"time"

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

// TestGuestsForgotten: a relay runs for months, and keys are free. Of who has gone it keeps nothing.
//
// Checks: RLY-5.
func TestGuestsForgotten(t *testing.T) {
	r := startRelay(t, Config{})
	for range 20 {
		p := newPeer(t)
		p.dial(r, relayauth.KindQUIC)
		_ = p.Network().ClosePeer(r.host.ID())
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		known, libp2p := r.remembered()
		if known == 0 && libp2p <= 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("of 20 who have gone %d are known to the relay, %d to libp2p", known, libp2p-1)
		}
	}
}
