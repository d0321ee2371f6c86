//go:build race

package meet

const raceEnabled = true
