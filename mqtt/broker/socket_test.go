//go:build unix

package broker

import (
	"net"
	"path/filepath"
	"testing"
)

// A tried write reports how much it has written, and nothing of an earlier write.
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
	_ = mine.Close() // only an error can report that
	if n := s.writeSome([]byte("abc")); n != 0 {
		t.Errorf("a closed socket takes %d bytes", n)
	}
}
