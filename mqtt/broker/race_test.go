//go:build race

package broker_test

// raceEnabled skips what the race detector distorts.
const raceEnabled = true
