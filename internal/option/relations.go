package option

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mqtools/mqtools/internal/units"
)

// Relation is what an option has to do with others. It stands in the entry of one of
// them, and is the only place that refuses a combination of options: what a value says,
// as the scheme of a URL, is judged where the value is read, in the same words.
type Relation struct {
	With []string // the names of the others; what the tool does not have does not count
	Or   []string // of Needs: others that will do, and need not be named
	Hint string

	// Of Excludes. Of two options the one from the weaker origin yields: it has its
	// default then. Where both come from one origin, it is an error.
	Ranked bool // but of two variables, which may be there for other programs, this one counts
	Firm   bool // this one never yields: the other is an error from the command line, and has no effect from elsewhere
	Native bool // in place of another program there is no such rule

	// Of Needs: wherever the option comes from, and not only from the command line or
	// an options file. A configuration may be about runs that do without. Beside is the
	// option without which there is nothing to need.
	Always bool
	Beside string
}

// pair are two given options of which one excludes the other.
type pair struct {
	a, b *Value // a has the entry
	rel  *Relation
}

// rank is the origin at which the pair is judged: the stronger one of the two, as the
// weaker yields. A firm one is judged when all has been that can make it yield.
func (p pair) rank() Origin {
	if p.rel.Firm {
		return p.a.origin
	}
	return max(p.a.origin, p.b.origin)
}

// Setting is what values are for.
type Setting uint8

// The settings.
const (
	ForRun     Setting = iota // of the tool
	ForOther                  // a run in place of another program
	ForContext                // to be kept in a context, for runs that may do without some
)

// Relate carries out what the entries of a table say of options that are given together.
// The warnings are of variables that have no effect.
func (v *Values) Relate(table Options, setting Setting) (warnings []string, err error) {
	var pairs []pair
	for _, o := range table {
		if len(o.Excludes) == 0 || !v.Of(o.Name).Given() {
			continue
		}
		for i := range o.Excludes {
			rel := &o.Excludes[i]
			for _, name := range rel.With {
				if v.Of(name).Given() && !(rel.Native && setting == ForOther) {
					pairs = append(pairs, pair{v.Of(o.Name), v.Of(name), rel})
				}
			}
		}
	}
	// The strongest first: what has yielded excludes nothing.
	slices.SortStableFunc(pairs, func(p, q pair) int { return cmp.Compare(q.rank(), p.rank()) })
	for _, p := range pairs {
		if !p.a.Given() || !p.b.Given() {
			continue
		}
		switch {
		case p.a.origin > p.b.origin:
			p.b.yield()
		case p.a.origin < p.b.origin && !p.rel.Firm:
			p.a.yield()
		case p.a.origin < p.b.origin && p.b.origin >= OriginFile,
			p.a.origin == p.b.origin && !(p.rel.Ranked && p.a.origin == OriginEnvironment):
			return warnings, p.rel.hinted(p.a.Together(p.b))
		default:
			warnings = append(warnings, fmt.Sprintf("%s has no effect beside %s", p.b.Name(), p.a.Name()))
			p.b.yield()
		}
	}
	var reader *Value // a second one would get what is meant for the first, or nothing
	for _, o := range table {
		if val := v.Of(o.Name); o.Stdin && val.Given() && (o.Type != TypeString || val.Text() == "-") {
			if reader != nil {
				return warnings, reader.Together(val).WithHint("both read standard input")
			}
			reader = val
		}
	}
	for _, o := range table {
		if len(o.Needs) == 0 || !v.Of(o.Name).Given() {
			continue
		}
		for i := range o.Needs {
			rel := &o.Needs[i]
			if !rel.Always && (setting == ForContext || v.Of(o.Name).Origin() < OriginFile) ||
				rel.Beside != "" && !v.Of(rel.Beside).Given() {
				continue
			}
			if err := v.lacks(o, rel); err != nil {
				return warnings, err
			}
		}
	}
	return warnings, nil
}

// lacks is the error of a given option without what a relation says that it needs.
func (v *Values) lacks(o *Option, rel *Relation) error {
	var names []string
	for _, name := range slices.Concat(rel.With, rel.Or) {
		switch val := v.Of(name); {
		case val.Given():
			return nil
		case val.Known() && slices.Contains(rel.With, name):
			names = append(names, "--"+name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return rel.hinted(v.Of(o.Name).Lacks(units.OrList(names...)))
}

// hinted gives a refusal the hint of the relation, if it has one.
func (rel *Relation) hinted(err *UsageError) *UsageError {
	if rel.Hint != "" {
		err.Help = rel.Hint
	}
	return err
}

// known are the options of the table among some names, as they are written.
func (t Options) known(names []string) (spelled []string) {
	for _, name := range names {
		if t.Long("--"+name) != nil {
			spelled = append(spelled, "--"+name)
		}
	}
	return spelled
}

// excluded are the options of the table that cannot be used with o, whichever entry
// says so.
func (t Options) excluded(o *Option) (spelled []string) {
	for _, other := range t {
		says := func(a, b *Option) bool {
			return slices.ContainsFunc(a.Excludes, func(rel Relation) bool { return slices.Contains(rel.With, b.Name) })
		}
		if !other.Hidden && (says(o, other) || says(other, o)) {
			spelled = append(spelled, "--"+other.Name)
		}
	}
	return spelled
}
