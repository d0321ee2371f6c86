package meet

import (
	"context"
	"errors"
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
	reserved := func(s transport.RelayState) bool { return s.Reserved }
	states := awaitRelays(ctx, host, relayWait, func(all []transport.RelayState) bool { return slices.ContainsFunc(all, reserved) })
	if slices.ContainsFunc(states, reserved) {
		return nil
	}
	if over(ctx) != nil {
		return over(ctx)
	}
	return relayAway(states)
}

// relayAway says why no relay can be used. That of a clock comes first, since the user can do something about it (CLK-2).
func relayAway(states []transport.RelayState) error {
	why := func(s transport.RelayState) bool { return s.Err != nil }
	clock := func(s transport.RelayState) bool { return errors.Is(s.Err, ErrRelayClock) }
	for _, told := range []func(transport.RelayState) bool{clock, why} {
		if i := slices.IndexFunc(states, told); i >= 0 {
			return fmt.Errorf("%w (%w)", ErrRelayAway, states[i].Err)
		}
	}
	return ErrRelayAway
}

// settleRelays waits a little until it is known of each relay whether this member can be reached through it: a link
// names those alone.
func settleRelays(ctx context.Context, host *transport.Host) {
	awaitRelays(ctx, host, routerWait, func(all []transport.RelayState) bool {
		return !slices.ContainsFunc(all, func(s transport.RelayState) bool { return !s.Reserved && s.Err == nil })
	})
}

// awaitRelays waits until enough is true of the relays, for at most limit, and returns how things stand then.
func awaitRelays(ctx context.Context, host *transport.Host, limit time.Duration, enough func([]transport.RelayState) bool) []transport.RelayState {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		states := host.RelayStates()
		if enough(states) {
			return states
		}
		select {
		case <-time.After(relayPoll):
		case <-ctx.Done():
			return states
		}
	}
}
