//go:build !linux && !darwin

package result

// noFile returns 0: the limits are unknown here.
func noFile() (soft, hard uint64) { return 0, 0 }
