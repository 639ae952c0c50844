package cli

import (
	"os"
	"testing"
)

func TestAClosedDescriptorDiffersFromOneThatDiscards(t *testing.T) {
	t.Parallel()
	for flag, want := range map[int]bool{os.O_RDWR: true, os.O_WRONLY: false, os.O_RDONLY: false} {
		f, err := os.OpenFile(os.DevNull, flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := closedAtStart(int(f.Fd())); got != want {
			t.Errorf("/dev/null opened with %x: %v, want %v", flag, got, want)
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if closedAtStart(int(f.Fd())) {
		t.Error("a file counts as closed")
	}
	zero, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	if closedAtStart(int(zero.Fd())) {
		t.Error("/dev/full counts as closed")
	}
	if !sameFile(int(f.Fd()), int(f.Fd())) || sameFile(int(f.Fd()), int(zero.Fd())) {
		t.Error("files are not distinguished")
	}
}
