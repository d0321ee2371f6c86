package meet

import (
	"errors"
	"fmt"
	"testing"

	"github.com/huisclos/huisclos/transport"
)

// TestRelayAway: of several relays that can't be used, the one whose clock is another is told of.
//
// Checks: CLK-2.
func TestRelayAway(t *testing.T) {
	lost, clock := transport.RelayState{Err: transport.ErrRelayLost}, transport.RelayState{Err: fmt.Errorf("%w: %w", transport.ErrRelayRefused, ErrRelayClock)}
	for _, tt := range []struct {
		states []transport.RelayState
		want   error
	}{{nil, ErrRelayAway}, {[]transport.RelayState{{}, lost}, transport.ErrRelayLost}, {[]transport.RelayState{lost, clock}, ErrRelayClock}} {
		if err := relayAway(tt.states); !errors.Is(err, tt.want) || !errors.Is(err, ErrRelayAway) {
			t.Errorf("%+v: %v", tt.states, err)
		}
	}
}
