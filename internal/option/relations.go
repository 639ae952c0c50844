package option

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mqtools/mqtools/internal/units"
)

// Relation describes how an option relates to others. It stands in the entry of one of
// them, and only relations refuse combinations of options. What depends on a value, such as
// the scheme of a URL, is checked where the value is read, with the same wording.
type Relation struct {
	With []string // the names of the others; names that the tool does not have are ignored
	Or   []string // for Needs: others that also satisfy it; the error does not mention them
	Hint string

	// For Excludes. Of two options, the one from the weaker origin yields: it gets its
	// default. If both come from one origin, it is an error.
	Ranked bool // of two variables, which may be set for other programs, this one takes precedence
	Firm   bool // this one never yields: the other is an error on the command line and ignored elsewhere
	Native bool // the rule does not apply when imitating another program

	// For Needs. Always applies the rule to every origin, not only to the command line and
	// options files; without it, a configuration may serve runs that do not need the
	// option. If the option Beside is not set, nothing is needed.
	Always bool
	Beside string
}

// pair is two given options that cannot be used together.
type pair struct {
	a, b *Value // whose entry has the relation
	rel  *Relation
}

// rank returns the origin at which the pair is checked: the stronger one of the two,
// because the weaker yields. A firm pair is checked after everything that can make it
// yield.
func (p pair) rank() Origin {
	if p.rel.Firm {
		return p.a.origin
	}
	return max(p.a.origin, p.b.origin)
}

// Setting is the purpose of a set of values.
type Setting uint8

// The settings.
const (
	ForRun     Setting = iota // a run of the tool
	ForOther                  // a run that imitates another program
	ForContext                // options kept in a context, for runs that may not need all of them
)

// Relate applies the relations of the table to the options that are set. The warnings name
// variables that have no effect.
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
	// Strongest first: an option that has yielded excludes nothing.
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
	var reader *Value // a second reader would get what is meant for the first, or nothing
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

// lacks returns the error of an option that is set without what the relation needs, or nil.
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

// hinted adds the hint of the relation, if it has one, to a refusal.
func (rel *Relation) hinted(err *UsageError) *UsageError {
	err.Help = cmp.Or(rel.Hint, err.Help)
	return err
}

// known returns the options of the table among some names, with their hyphens.
func (t Options) known(names []string) (spelled []string) {
	for _, name := range names {
		if t.Long("--"+name) != nil {
			spelled = append(spelled, "--"+name)
		}
	}
	return spelled
}

// excluded returns the options of the table that cannot be used with o, whichever entry has
// the relation.
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
