//go:build race

package broker_test

// raceEnabled is for skipping tests that the race detector distorts.
const raceEnabled = true
