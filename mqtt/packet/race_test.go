//go:build race

package packet

// raceEnabled skips what the race detector distorts.
const raceEnabled = true
