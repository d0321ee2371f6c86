// Relay is what a firm runs on its own machine, so that its members and their guests reach each other where their
// networks let nothing else through. It makes its key and a first token, and prints what to hand out:
//
//	go run ./examples/relay -listen :4433 -public 203.0.113.5
//
// README.md says how to run it for good, and what it can and can't observe. It contacts nobody, and writes no file but
// its key and its list of tokens, each only if it isn't there.
package main
