package mqpub

import (
	"fmt"
	"io"
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// maxPayload is the largest payload that fits a packet beside a short topic,
// in bytes. The encoder has the exact word.
const maxPayload = packet.MaxRemainingLength - 4

// payload reads the one message of a run.
func (j *job) payload(mode string) ([]byte, error) {
	v := j.inv.Values
	var b []byte
	var err error
	switch mode {
	case "message":
		b = []byte(v.String("message"))
	case "stdin-file":
		b, err = readAll(j.inv.Stdin, "standard input")
	case "file":
		name := v.String("file")
		if name == "-" {
			b, err = readAll(j.inv.Stdin, "standard input")
			break
		}
		var f *os.File
		if f, err = os.Open(name); err != nil {
			return nil, cli.Usagef("%s: %v", v.Label("file"), err)
		}
		defer f.Close()
		if st, e := f.Stat(); e == nil && st.IsDir() {
			return nil, cli.Usagef("%s %q is a directory", v.Label("file"), name)
		}
		b, err = readAll(f, fmt.Sprintf("file %q", name))
	}
	if err == nil && len(b) > maxPayload {
		err = cli.Usagef("message of %d bytes; MQTT carries at most %d", len(b), maxPayload)
	}
	return b, err
}

// readAll reads everything, but not more than a message can hold.
func readAll(r io.Reader, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPayload+1))
	if err != nil {
		return nil, cli.Failed(cli.ExitLocalIO, fmt.Errorf("%s: %w", what, err))
	}
	if len(b) > maxPayload {
		return nil, cli.Usagef("%s has more than %d bytes, the most that MQTT carries", what, maxPayload)
	}
	return b, nil
}
