// Package stack gives the main goroutine its final stack before anything else
// runs. By itself the stack would double several times, deep in the regular
// expressions that libraries compile at start and in the first connect, and
// each time all frames are looked up and moved: a thirtieth of the time of a
// one-shot mqpub.
//
// A package without imports is initialized before all that depend on something,
// in the order of import paths, which is why this one stands alone and is
// imported for its effect.
package stack

// Settle ends what package single began, once the program does more than one short
// thing; nil: nothing began.
var Settle func()

// never is false, which the compiler does not know.
var never bool

func init() { _ = grow(never) }

// grow has a frame of the size wanted, which nothing writes to.
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

// fill keeps room on the stack and in the program.
//
//go:noinline
func fill(room []byte) {
	for i := range room {
		room[i] = byte(i)
	}
}
