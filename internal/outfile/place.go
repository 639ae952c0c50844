package outfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/wholefile"
)

// place is where a file stands: below a directory that nothing leads out of, or, without one,
// anywhere.
type place struct {
	root *os.Root
	path string // with a root, its parts are separated by slashes
}

// open opens the file, which must be a regular one, to append to it. create is os.O_CREATE or 0.
func (p place) open(create int) (f *os.File, st fs.FileInfo, err error) {
	flags := os.O_RDWR | os.O_APPEND | create
	if p.root != nil {
		f, err = p.root.OpenFile(p.path, flags, 0o666)
		err = p.named(err)
	} else {
		f, err = os.OpenFile(p.path, flags, 0o666)
	}
	if err != nil {
		return nil, nil, err
	}
	if st, err = f.Stat(); err == nil && !st.Mode().IsRegular() {
		err = refused(p.String(), "not a regular file")
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, st, nil
}

// named returns err with the call and the path that it has without a root.
func (p place) named(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && p.root != nil {
		return &fs.PathError{Op: strings.TrimSuffix(e.Op, "at"), Path: p.String(), Err: e.Err}
	}
	return err
}

func (p place) String() string {
	if p.root != nil {
		return filepath.Join(p.root.Name(), filepath.FromSlash(p.path))
	}
	return p.path
}

// as returns the place of another name in the same directory.
func (p place) as(name string) place {
	if p.root != nil {
		return place{p.root, path.Join(path.Dir(p.path), name)}
	}
	return place{nil, filepath.Join(filepath.Dir(p.path), name)}
}

func (p place) base() string {
	if p.root != nil {
		return path.Base(p.path)
	}
	return filepath.Base(p.path)
}

func (p place) dir() string {
	if p.root != nil {
		return path.Dir(p.path)
	}
	return filepath.Dir(p.path)
}

// stat returns what stands there, without following a link.
func (p place) stat() (fs.FileInfo, error) {
	if p.root != nil {
		return p.root.Lstat(p.path)
	}
	return os.Lstat(p.path)
}

func (p place) rename(to place) error {
	if p.root != nil {
		return p.root.Rename(p.path, to.path)
	}
	return os.Rename(p.path, to.path)
}

func (p place) openDir() (*os.File, error) {
	if p.root != nil {
		return p.root.Open(p.dir())
	}
	return os.Open(p.dir())
}

// syncDir makes the names in the directory durable.
func (p place) syncDir() error {
	if p.root == nil {
		return wholefile.SyncDir(p.dir())
	}
	if runtime.GOOS == "windows" { // as in wholefile
		return nil
	}
	d, err := p.openDir()
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// numbers are the last numbers of rotated files, by directory and name. The zero value is
// empty.
type numbers struct {
	dirs  map[string]map[string]int
	names int
}

// The bounds of numbers: what is larger was not counted by us, and what is kept of them.
const (
	maxNumber       = 1_000_000
	maxNumbersNames = 100_000
)

// next returns the place of a file that is rotated now: its name, a dot, and the number after
// the largest one that is there.
func (n *numbers) next(p place) (place, error) {
	seen := n.dirs[p.dir()]
	if seen == nil || seen[p.base()] == 0 && n.names > maxNumbersNames {
		if n.dirs == nil || n.names > maxNumbersNames {
			n.dirs, n.names = map[string]map[string]int{}, 0
		}
		var err error
		if seen, err = rotated(p); err != nil {
			return place{}, err
		}
		n.dirs[p.dir()] = seen
		n.names += len(seen) + 1
	}
	for {
		if seen[p.base()]++; seen[p.base()] == 1 {
			n.names++
		}
		to := p.as(fmt.Sprintf("%s.%d", p.base(), seen[p.base()]))
		if _, err := to.stat(); err != nil {
			if os.IsNotExist(err) {
				return to, nil
			}
			return place{}, err
		}
	}
}

// rotated returns the largest number of each name in the directory of p.
func rotated(p place) (map[string]int, error) {
	d, err := p.openDir()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	seen := map[string]int{}
	for {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			if dot := strings.LastIndexByte(name, '.'); dot > 0 && name[dot+1:] != "" && name[dot+1] != '0' {
				if i, err := strconv.ParseUint(name[dot+1:], 10, 31); err == nil && i <= maxNumber {
					seen[name[:dot]] = max(seen[name[:dot]], int(i))
				}
			}
		}
		if err == io.EOF {
			return seen, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
