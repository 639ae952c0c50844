//go:build !linux

package swarm

func newPrecise() sleeper { return newTimer() }
