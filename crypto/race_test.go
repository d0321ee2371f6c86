//go:build race

package crypto

// raceEnabled says that sync.Pool drops things at random, so allocations can't be
// counted.
const raceEnabled = true
