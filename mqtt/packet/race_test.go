//go:build race

package packet

// raceEnabled is set to skip tests that the race detector distorts.
const raceEnabled = true
