package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// heldWords matches a comment that says that a function is called with a lock held.
var heldWords = regexp.MustCompile(`(?i)\b\w*mu (is|are) held\b|\bcalled with \w*mu\b`)

// lockFaults returns the functions of a file that break the rule for the suffix Locked: a
// function that is called with a lock held has the suffix, and does not begin by taking a
// lock of its receiver or of an argument; a function that calls one has the suffix too, or
// takes a lock.
func lockFaults(f *ast.File) (faults []string) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		name := fn.Name.Name
		locked := strings.HasSuffix(name, "Locked")
		if words := heldWords.FindString(strings.ReplaceAll(fn.Doc.Text(), "\n", " ")); words != "" && !locked {
			faults = append(faults, fmt.Sprintf("%s: its comment says %q, so its name is to end in Locked", name, words))
		}
		first, takes, calls := "", false, ""
		given := arguments(fn)
		later := 0 // end of the function literals seen, which run at another time
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if lit, ok := n.(*ast.FuncLit); ok {
				later = max(later, int(lit.End()))
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch x := call.Fun.(type) {
			case *ast.Ident:
				if strings.HasSuffix(x.Name, "Locked") {
					calls = x.Name
				}
			case *ast.SelectorExpr:
				switch x.Sel.Name {
				case "Lock", "RLock":
					takes = true
					fallthrough
				case "Unlock", "RUnlock":
					// After the call of another such function, the lock may have been
					// released.
					if first == "" && calls == "" && int(call.Pos()) > later && isMu(x.X) && given[root(x.X)] {
						first = x.Sel.Name
					}
				default:
					if strings.HasSuffix(x.Sel.Name, "Locked") {
						calls = x.Sel.Name
					}
				}
			}
			return true
		})
		if locked && (first == "Lock" || first == "RLock") {
			faults = append(faults, name+": it takes the lock that it is called with")
		}
		if calls != "" && !locked && !takes {
			faults = append(faults, name+": it calls "+calls+" and takes no lock")
		}
	}
	return faults
}

// arguments returns the names of a function's receiver and parameters.
func arguments(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	for _, list := range []*ast.FieldList{fn.Recv, fn.Type.Params} {
		if list == nil {
			continue
		}
		for _, field := range list.List {
			for _, id := range field.Names {
				names[id.Name] = true
			}
		}
	}
	return names
}

// isMu reports whether a lock is the one that a function with the suffix is called with: a
// type may have other locks, which the function may take.
func isMu(e ast.Expr) bool {
	x, ok := e.(*ast.SelectorExpr)
	return ok && x.Sel.Name == "mu"
}

// root returns the variable that a chain of selectors begins with, or "".
func root(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.SelectorExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func TestFunctionsThatWantALockHeldEndInLocked(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "../.." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasSuffix(fn.Name.Name, "Locked") {
				seen++
			}
		}
		for _, fault := range lockFaults(f) {
			t.Errorf("%s: %s", path, fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Errorf("found %d functions only whose names end in Locked", seen)
	}
}

func TestFaultsOfTheSuffixAreFound(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"// f does it.\n// c.mu is held.\nfunc (c *conn) f() {}", "is to end in Locked"},
		{"// f does it. Broker.mu and\n// cl.mu are held.\nfunc (b *Broker) f(cl *client) {}", "is to end in Locked"},
		{"// f does it. connMu is held.\nfunc (b *Broker) f() {}", "is to end in Locked"},
		{"// f does it. Called with mu.\nfunc (c *conn) f() {}", "is to end in Locked"},
		{"func (c *conn) fLocked() { c.mu.Lock() }", "it takes the lock"},
		{"func (c *conn) fLocked(cl *client) { defer cl.mu.RLock() }", "it takes the lock"},
		{"func (c *conn) f() { c.gLocked() }", "takes no lock"},
		{"func f() { gLocked() }", "takes no lock"},

		{"// f does it. No lock is held.\nfunc (c *conn) f() {}", ""},
		{"// fLocked does it. c.mu is held.\nfunc (c *conn) fLocked() {}", ""},
		{"func (c *conn) fLocked() { c.mu.Unlock(); c.mu.Lock() }", ""},
		{"func (c *conn) fLocked() { cl := c.client; cl.mu.Lock() }", ""},
		{"func (c *conn) fLocked() { c.other.Lock() }", ""},
		{"func (c *conn) fLocked() { c.gLocked(); c.mu.Lock() }", ""},
		{"func (c *conn) fLocked() { later(func() { c.mu.Lock() }) }", ""},
		{"func (c *conn) f() { c.mu.Lock(); c.gLocked() }", ""},
		{"func (c *conn) fLocked() { c.gLocked() }", ""},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+c.code, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(lockFaults(f), "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s\ngot %q, want %q", c.code, got, c.want)
		}
	}
}
