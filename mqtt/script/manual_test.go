package script

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

const manual = "../../man/mqtools-script.5"

// words are the words of the language that a function of the parser knows: those
// of its switches, of comparisons with key, and of its calls of known.
func words(t *testing.T, file, function string) []string {
	t.Helper()
	parsed, err := goparser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	add := func(list ...ast.Expr) {
		for _, e := range list {
			if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
				s, _ := strconv.Unquote(l.Value)
				set[s] = true
			}
		}
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != function {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CaseClause:
				add(n.List...)
			case *ast.BinaryExpr:
				if key, ok := n.X.(*ast.Ident); ok && key.Name == "key" && n.Op == token.EQL {
					add(n.Y)
				}
			case *ast.CallExpr:
				if called, ok := n.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "known" {
					add(n.Args...)
				}
			}
			return true
		})
	}
	if len(set) < 3 {
		t.Fatalf("%s: function %s knows only %d words: this test looks in the wrong place", file, function, len(set))
	}
	return slices.Sorted(maps.Keys(set))
}

// page is the manual: the items of each list by section and, behind a slash,
// subsection, and the packets of FIELDS.
type page struct {
	items map[string][]string
	rows  map[string][]string // fields by packet
}

func readManual(t *testing.T) page {
	t.Helper()
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	p := page{items: map[string][]string{}, rows: map[string][]string{}}
	section, part, packet := "", "", ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, ".Sh "); ok {
			section, part = title, title
		}
		if title, ok := strings.CutPrefix(line, ".Ss "); ok {
			part = section + "/" + title
		}
		item, ok := strings.CutPrefix(line, ".It ")
		if packet != "" {
			p.rows[packet], packet = strings.Fields(line), ""
		}
		if !ok {
			continue
		}
		if part == "FIELDS" {
			packet = item // its fields are in the next line
			continue
		}
		// Cm WORD , WORD ... and what does not belong to the names
		item, _, _ = strings.Cut(item, " :")
		for _, w := range strings.Split(strings.TrimPrefix(item, "Cm "), " , ") {
			if slices.Contains(p.items[part], w) {
				t.Errorf("%s: %s has %q twice", manual, part, w)
			}
			p.items[part] = append(p.items[part], w)
		}
	}
	return p
}

func TestTheManualHasTheGrammar(t *testing.T) {
	t.Parallel()
	p := readManual(t)
	var steps []string
	for _, v := range verbs {
		steps = append(steps, v.word)
	}
	reading := &parser{script: &Script{}}
	acting := append(slices.Collect(maps.Keys(actions)), "fails")
	for verb := range actions {
		for _, key := range reading.extras(&Action{Verb: verb}).Keys() {
			acting = append(acting, verb+" "+key)
		}
	}
	for _, c := range []struct {
		part string
		want []string
	}{
		{"HEAD", reading.head().Keys()},
		{"STEPS", steps},
		{"STEPS/Beside a step", words(t, "parse.go", "rest")},
		{"FAULTS", append(words(t, "parse.go", "fault"), reading.disturbances(&fault{}).Keys()...)},
		{"FIELDS/Texts", words(t, "parsefields.go", "text")},
		{"ACTIONS", acting},
		{"NEEDS", reading.settings(&Needs{}).Keys()},
	} {
		got := p.items[c.part]
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %s has\n%q, the parser\n%q", manual, c.part, got, c.want)
		}
	}
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	if want := ".Cm " + strings.Join(failures[:], " , ") + "\n"; !strings.Contains(string(b), want) {
		t.Errorf("%s: ACTIONS does not have %q", manual, want)
	}
}

// TestTheManualHasTheFields tries every name with every packet.
func TestTheManualHasTheFields(t *testing.T) {
	t.Parallel()
	p := readManual(t)
	names := []string{"will", "filters", "codes", "nonsense"}
	for _, list := range [][]spec{connectSpecs, connackSpecs, publishSpecs, ackSpecs, subackSpecs, subscribeSpecs, filterSpecs, willSpecs, reasonSpecs} {
		for _, s := range list {
			if !slices.Contains(names, s.name) {
				names = append(names, s.name)
			}
		}
	}
	holders := map[string]string{"a will": "expect: CONNECT, will: {NAME: []}", "a filter": "expect: SUBSCRIBE, filters: [{filter: x, NAME: []}]"}
	for typ := packet.CONNECT; typ <= packet.AUTH; typ++ {
		holders[typ.String()] = "expect: " + typ.String() + ", NAME: []"
	}
	for holder, step := range holders {
		var want []string
		for _, name := range names {
			text := "name: x\nrole: broker\nversion: 5.0\nsteps:\n  - {" + strings.Replace(step, "NAME", name, 1) + "}\n"
			_, err := Parse("x.yaml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), "unknown key "+strconv.Quote(name)) {
				want = append(want, name)
			}
		}
		got := slices.DeleteFunc(slices.Clone(p.rows[holder]), func(s string) bool { return s == "none" })
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s has the fields %q, the parser %q", manual, holder, got, want)
		}
		delete(p.rows, holder)
	}
	for holder := range p.rows {
		t.Errorf("%s: %s is no packet", manual, holder)
	}
}
