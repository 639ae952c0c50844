//go:build unix

package broker

import (
	"net"
	"path/filepath"
	"testing"
)

// A write that is tried tells what went out by it, and nothing of an earlier one.
func TestWhatATriedWriteTakes(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	theirs, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	mine, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	var s socket
	s.init(mine)
	if s.raw == nil {
		t.Skip("nothing can be tried here")
	}
	if n := s.writeSome([]byte("abc")); n != 3 {
		t.Errorf("an empty socket takes %d bytes of 3", n)
	}
	_ = mine.Close() // which can only be told by an error
	if n := s.writeSome([]byte("abc")); n != 0 {
		t.Errorf("a closed socket takes %d bytes", n)
	}
}
