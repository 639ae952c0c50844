package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/option"
)

// Who must not be able to read a file that holds a secret, as bits of its mode.
const (
	OwnersOnly fs.FileMode = 0o077
	NotPublic  fs.FileMode = 0o007 // a service's files may be readable by its group
)

// isExposed reports whether users in the mask others can read a file. On Windows the mode
// bits are made up.
func (e *Env) isExposed(path string, mode, others fs.FileMode) bool {
	return runtime.GOOS != "windows" && mode.IsRegular() && mode.Perm()&others != 0 && !e.isCredential(path)
}

// isCredential reports whether systemd has put a file there for this service alone, with an
// access control list whose mask looks like the rights of a group.
func (e *Env) isCredential(path string) bool {
	dir := e.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(path) == filepath.Clean(dir)
}

// WarnExposed warns if other users can read a file that holds a secret. All files of
// passwords, keys, users, options and configuration are checked here.
func (e *Env) WarnExposed(talk *Talk, path, holds string, others fs.FileMode) {
	if info, err := os.Stat(path); err == nil && e.isExposed(path, info.Mode(), others) {
		talk.warnExposed(path, holds)
	}
}

func (t *Talk) warnExposed(path, holds string) {
	t.Warnf("%s holds %s and other users can read it", fileerror.Quote(path), holds)
	t.Infof("chmod 600 %s", path)
}

// exposed returns the configuration files that hold a secret and that others can read.
func (e *Env) exposed(c *option.Config) []string {
	var paths []string
	for _, f := range c.Files {
		if e.isExposed(f.Path, f.Mode, OwnersOnly) && f.HoldsSecret() {
			paths = append(paths, f.Path)
		}
	}
	return paths
}
