//go:build !linux && !darwin

package result

// noFile is unknown here.
func noFile() (soft, hard uint64) { return 0, 0 }
