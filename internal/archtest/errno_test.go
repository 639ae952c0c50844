package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// errnoHome is the package that knows the meaning of system error numbers.
const errnoHome = "mqtt/transport"

// flow are the numbers with which nonblocking calls say "again". They are not failures, and
// are checked where such a call is made, by code for one system.
var flow = regexp.MustCompile(`^(EAGAIN|EWOULDBLOCK|EINTR|EINPROGRESS|ENOSYS)$`)

// errnoElsewhere are the other comparisons, with the reason why they are allowed.
var errnoElsewhere = map[string]string{
	"internal/cli/blocked.go EIO":           "of a terminal that is closed, which Windows does not say by a number",
	"internal/option/configfile.go ENOTDIR": "of a file and not of the network; Windows says ERROR_PATH_NOT_FOUND, which is fs.ErrNotExist",
}

var errnoName = regexp.MustCompile(`^(E[A-Z0-9]+|WSAE[A-Z]+|ERROR_[A-Z_]+)$`)

// errnoOf returns the error number that an expression names, or "".
func errnoOf(e ast.Expr) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok || pkg.Name != "syscall" && pkg.Name != "unix" && pkg.Name != "windows" || !errnoName.MatchString(sel.Sel.Name) {
		return ""
	}
	return sel.Sel.Name
}

// compared returns the error numbers that a file compares errors with.
func compared(f *ast.File) (names []string) {
	add := func(list ...ast.Expr) {
		for _, e := range list {
			if name := errnoOf(e); name != "" && !flow.MatchString(name) {
				names = append(names, name)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				add(n.X, n.Y)
			}
		case *ast.CaseClause:
			add(n.List...)
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "Is" || sel.Sel.Name == "ErrorIs") {
				add(n.Args...)
			}
		}
		return true
	})
	return names
}

// TestNumbersOfSystemsAreComparedInOnePlace guards Windows, where no reset ever has the
// number syscall.ECONNRESET: a comparison with it misses a lost connection without any
// sign.
func TestNumbersOfSystemsAreComparedInOnePlace(t *testing.T) {
	seen := map[string]bool{}
	files := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "../.." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		files++
		rel, err := filepath.Rel("../..", path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if strings.HasPrefix(rel, errnoHome+"/") {
			return nil
		}
		for _, name := range compared(f) {
			seen[rel+" "+name] = true
			if errnoElsewhere[rel+" "+name] == "" {
				t.Errorf("%s compares an error with %s: ask %s (IsReset, IsClosedPipe, KindOf ...)", rel, name, errnoHome)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 200 {
		t.Errorf("looked into %d files only", files)
	}
	for entry := range errnoElsewhere {
		if !seen[entry] {
			t.Errorf("%q is excused and not there", entry)
		}
	}
}

func TestComparisonsOfNumbersAreFound(t *testing.T) {
	for _, c := range []struct {
		code string
		want string
	}{
		{"errors.Is(err, syscall.ECONNRESET)", "ECONNRESET"},
		{"err == unix.EPIPE", "EPIPE"},
		{"syscall.ENOSPC != err", "ENOSPC"},
		{"errno == windows.WSAECONNRESET", "WSAECONNRESET"},
		{"func() { switch err { case nil, syscall.EMFILE: } }", "EMFILE"},
		{"errors.Is(err, windows.ERROR_NO_DATA)", "ERROR_NO_DATA"},
		{"errors.Is(err, syscall.EAGAIN)", ""},
		{"os.NewSyscallError(\"read\", syscall.ECONNRESET)", ""},
		{"errors.Is(err, fs.ErrNotExist)", ""},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nvar _ = "+c.code, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(compared(f), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.code, got, c.want)
		}
	}
}
