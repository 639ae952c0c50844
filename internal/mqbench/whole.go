package mqbench

import (
	"context"
	"io"
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/wholefile"
)

// whole is a file of --out that is in its place when it is whole, or not at all.
type whole interface {
	io.Writer
	Commit() error
	Discard()
}

// device is what can only be written as it is: a device, a pipe.
type device struct{ *os.File }

func (d device) Commit() error { return d.Close() }

func (d device) Discard() { _ = d.Close() }

// openWhole begins the file at path.
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
	if err != nil {
		return cli.Failed(option.ExitFailure, err)
	}
	return nil
}

// put writes what there is to --out at once; without it, and as -, to standard output.
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
	if _, direct := w.(device); !direct { // whose reader may stay and read nothing
		defer inv.Begin()()
	}
	return fill(w, b)
}
