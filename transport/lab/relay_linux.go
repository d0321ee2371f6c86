package main

import (
	"context"
	"errors"
)

// relay is a running examples/relay.
type relay struct {
	host *host
	uri  string
	end  func()
}

// restart ends the relay and starts it again, with its key and configuration.
func (r *relay) restart(context.Context) error { return errors.New("there is no relay yet") }

// startRelay runs one on a public host, on port 443.
func (l *lab) startRelay(context.Context, *world, int) (*relay, error) {
	return nil, errors.New("there is no relay yet")
}
