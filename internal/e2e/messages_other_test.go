//go:build !linux

package e2e

// deaf is a listener that the system answers no connection for.
func deaf(s *scene) { s.Skip("elsewhere queues of listeners are longer than was asked for") }
