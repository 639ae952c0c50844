package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestWatchClosedPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	closed := WatchClosedPipe(ctx, w)
	// Data that is unread must not end the watch, nor must data that was read.
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
		t.Fatal("closed although the reader is there")
	default:
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	<-closed
}

func TestWatchClosedPipeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	closed := WatchClosedPipe(ctx, w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cancel()
	// The watch held a duplicate; EOF shows that it is closed.
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read: got %d, %v, want the end", n, err)
	}
	select {
	case <-closed:
		t.Error("closed although the reader is there")
	default:
	}
}

func TestWatchClosedPipeFiresForAPipeThatIsClosedAlready(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_ = r.Close()
	<-WatchClosedPipe(t.Context(), w)
}

func TestWatchClosedPipeLeavesOtherFilesAlone(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	gone, err := os.Create(filepath.Join(t.TempDir(), "gone"))
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	defer f.Close()
	for name, file := range map[string]*os.File{"a regular file": f, "a closed file": gone, "no file": nil} {
		select {
		case <-WatchClosedPipe(t.Context(), file):
			t.Errorf("%s: reported as a closed pipe", name)
		default:
		}
	}
}
