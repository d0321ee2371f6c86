package main

import "context"

// What the library or this program doesn't have yet. Each answers unavailable until it is wired; take its name off
// notYet then, and the function out of here.

// notYet are the features that aren't there.
var notYet = []string{
	"lan-only", "relay-only", "own-relays", "dht",
}

// notYetHandlers answer the requests of those features.
var notYetHandlers []string

func notThere(*agent, context.Context, []byte) (any, error) { return nil, fail(unavailable) }

func init() {
	for _, name := range notYetHandlers {
		add(name, notThere)
	}
}
