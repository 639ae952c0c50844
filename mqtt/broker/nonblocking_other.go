//go:build !unix

package broker

const canTry = false

func readNow(uintptr, []byte) (n int, again bool, err error) { return 0, true, nil }

func hasNow(uintptr) bool { return false }

func writeNow(uintptr, []byte) (n int) { return 0 }
