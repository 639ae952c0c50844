package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/option"
)

// Who may read a file that holds a secret, as a mask of who may not.
const (
	OwnersOnly fs.FileMode = 0o077
	NotPublic  fs.FileMode = 0o007 // what a service reads may be that of its group
)

// isExposed reports whether users that others excludes can read a file. On Windows the
// bits of a mode are made up.
func (e *Env) isExposed(path string, mode, others fs.FileMode) bool {
	return runtime.GOOS != "windows" && mode.IsRegular() && mode.Perm()&others != 0 && !e.isCredential(path)
}

// isCredential reports whether a file is one that systemd has put there for this
// service alone: by an access control list, whose mask looks like the rights of
// a group.
func (e *Env) isCredential(path string) bool {
	dir := e.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(path) == filepath.Clean(dir)
}

// WarnExposed warns of a file that holds what its owner does not want others to read.
// It is the one place for files of passwords, keys, users, options and configuration.
func (e *Env) WarnExposed(talk *Talk, path, holds string, others fs.FileMode) {
	if info, err := os.Stat(path); err == nil && e.isExposed(path, info.Mode(), others) {
		talk.tellExposed(path, holds)
	}
}

func (t *Talk) tellExposed(path, holds string) {
	t.Warnf("%s holds %s and other users can read it", fileerror.Quote(path), holds)
	t.Infof("chmod 600 %s", path)
}

// exposed are the configuration files that hold a secret and can be read by others.
func (e *Env) exposed(c *option.Config) []string {
	if c == nil {
		return nil
	}
	var paths []string
	for _, f := range c.Files {
		if e.isExposed(f.Path, f.Mode, OwnersOnly) && f.HoldsSecret() {
			paths = append(paths, f.Path)
		}
	}
	return paths
}
