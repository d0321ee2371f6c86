package meet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/huisclos/huisclos/transport"
)

const (
	relayWait = 10 * time.Second
	relayPoll = 20 * time.Millisecond
)

// awaitRelay waits, where this member's address is hidden, until it can be reached through a relay: there is no other way,
// for links and for others (MOD-3).
func awaitRelay(ctx context.Context, config Config, host *transport.Host) error {
	if !config.RelayOnly {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, relayWait)
	defer cancel()
	for {
		states := host.RelayStates()
		if slices.ContainsFunc(states, func(s transport.RelayState) bool { return s.Reserved }) {
			return nil
		}
		select {
		case <-time.After(relayPoll):
			continue
		case <-waiting.Done():
		}
		if over(ctx) != nil {
			return over(ctx)
		}
		for _, s := range states {
			if s.Err != nil {
				return fmt.Errorf("%w (%w)", ErrRelayAway, s.Err)
			}
		}
		return ErrRelayAway
	}
}
