package mqpub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// maxPayload is the largest payload that fits in a packet with a short topic, in bytes. The
// encoder makes the exact check.
const maxPayload = packet.MaxRemainingLength - 4

// payload reads the message of a run. When ctx is done, it stops waiting for a stream that
// has not ended.
func (j *job) payload(ctx context.Context, mode string) ([]byte, error) {
	v := j.inv.Values
	var read func() ([]byte, error)
	switch {
	case mode == "message":
		b := []byte(v.Message.Text())
		if len(b) > maxPayload {
			return nil, option.Usagef("message of %d bytes; MQTT carries at most %d", len(b), maxPayload)
		}
		return b, nil
	case mode == "null-message":
		return nil, nil
	case mode == "stdin-file" || v.File.Text() == "-":
		read = func() ([]byte, error) { return readAll(j.inv.Stdin, "standard input") }
	default:
		read = func() ([]byte, error) { return readFile(v.File.Name(), v.File.Text()) }
	}
	return cli.Await(ctx, func() ([]byte, error) {
		b, err := read()
		if err == nil && len(b) == 0 && mode == "stdin-file" && j.inv.CompatBehavior().NeedsInput {
			err = cli.Failed(option.ExitLocalIO, errors.New("standard input is empty"))
		}
		return b, err
	})
}

func readFile(label, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, option.Usagef("%s: %v", label, err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, option.Usagef("%s %q is a directory", label, name)
	}
	return readAll(f, fmt.Sprintf("file %q", name))
}

// readAll reads until EOF, up to the size that a message can hold.
func readAll(r io.Reader, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPayload+1))
	if err != nil {
		return nil, cli.Failed(option.ExitLocalIO, fmt.Errorf("%s: %w", what, err))
	}
	if len(b) > maxPayload {
		return nil, option.Usagef("%s has more than %d bytes, the most that MQTT carries", what, maxPayload)
	}
	return b, nil
}
