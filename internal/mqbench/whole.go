package mqbench

import (
	"context"
	"io"
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/wholefile"
)

// whole is a file of --out that is replaced when it is complete, or not at all.
type whole interface {
	io.Writer
	Commit() error
	Discard()
}

// device is a file that cannot be replaced: a device, a pipe.
type device struct{ *os.File }

func (d device) Commit() error { return d.Close() }

func (d device) Discard() { _ = d.Close() }

// openWhole opens the file at path for writing.
func openWhole(ctx context.Context, path string) (whole, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		f, err := openWaiting(ctx, path)
		if err != nil {
			return nil, outError(ctx, err)
		}
		return device{f}, nil
	}
	f, err := wholefile.Create(path, 0o666)
	if err != nil {
		return nil, outError(ctx, err)
	}
	return f, nil
}

// fill writes all of the file.
func fill(w whole, b []byte) error {
	_, err := w.Write(b)
	if err == nil {
		err = w.Commit()
	}
	return failure(err)
}

// put writes b to --out at once, or to standard output if --out is not set or is -.
func put(ctx context.Context, inv *cli.Invocation, b []byte) error {
	path := inv.Values.Out.Text()
	if path == "" || path == "-" {
		return write(inv, b)
	}
	w, err := openWhole(ctx, path)
	if err != nil {
		return err
	}
	defer w.Discard()
	if _, direct := w.(device); !direct { // its reader may stay without reading
		defer inv.Begin()()
	}
	return fill(w, b)
}
