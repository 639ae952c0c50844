// Package stack gives the main goroutine its final stack before anything else runs.
// Otherwise the stack doubles several times, deep in the regular expressions that libraries
// compile at start and in the first connect, and each time all frames are looked up and
// moved: a thirtieth of the time of a one-shot mqpub.
//
// A package without imports is initialized before all packages that have dependencies, in
// the order of import paths. So this package stands alone and is imported for its effect.
package stack

// Settle ends the effect of package single, when the program does more than one short
// thing; nil: there is no effect.
var Settle func()

// never is false, which the compiler does not know.
var never bool

func init() { _ = grow(never) }

// grow has a frame of the wanted size, which is never written to.
//
//go:noinline
func grow(use bool) byte {
	if !use {
		return 0
	}
	var room [24 << 10]byte
	fill(room[:])
	return room[1]
}

// fill keeps the space on the stack and in the program.
//
//go:noinline
func fill(room []byte) {
	for i := range room {
		room[i] = byte(i)
	}
}
