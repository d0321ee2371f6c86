package main

import "context"

// What the library or this program doesn't have yet. Each answers unavailable until it is wired; take its name off
// notYet then, and the function out of here.

// notYet are the features that aren't there.
var notYet = []string{
	"files", "recording", "reach", "link-handler", "simulcast",
	"lan-only", "relay-only", "own-relays", "dht",
}

// notYetHandlers answer the requests of those features.
var notYetHandlers = []string{
	"network-set", "reach-ask-router", "file-offer", "file-accept", "file-refuse", "file-pause",
	"file-resume", "file-withdraw", "file-save", "recording-ask", "recording-consent", "recording-stop", "recording-save",
	"recording-discard",
}

func notThere(*agent, context.Context, []byte) (any, error) { return nil, fail(unavailable) }

func init() {
	for _, name := range notYetHandlers {
		add(name, notThere)
	}
}
