//go:build race

package sframe

// raceEnabled: the race detector makes sync.Pool forget at random, so counts of
// allocations mean nothing under it.
const raceEnabled = true
