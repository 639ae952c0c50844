package conformance

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Group is a set of statements that bind a role and are shown in the same way.
type Group struct {
	Name       string
	Statements []*Statement
}

// Groups sorts the statements of a version that bind a role: those shown by scripts, those
// shown by tests alone, those that cannot be shown, with one group per reason, and those
// that are open.
func (r *Record) Groups(v *Version, role Role) []Group {
	groups := []Group{{Name: "shown by scripts"}, {Name: "shown by tests"}}
	for _, reason := range r.Reasons {
		groups = append(groups, Group{Name: "not shown: " + reason.Name})
	}
	groups = append(groups, Group{Name: "open"})
	for i := range v.Statements {
		s := &v.Statements[i]
		p := &s.Proofs[role]
		n := len(groups) - 1
		switch {
		case !s.Binds[role]:
			continue
		case len(p.Scripts) > 0:
			n = 0
		case len(p.Tests) > 0:
			n = 1
		}
		for k, reason := range r.Reasons {
			if p.Reason == reason.Name {
				n = 2 + k
			}
		}
		groups[n].Statements = append(groups[n].Statements, s)
	}
	return groups
}

// Totals writes a table of how many statements of each version bind each role, and how many
// of them are in which group.
func (r *Record) Totals(w io.Writer) error {
	head, all := fmt.Sprintf("%-20s", ""), fmt.Sprintf("%-20s", "statements")
	var lines []string
	for i := range r.Versions {
		for role := range roles {
			n := 0
			for k, g := range r.Groups(&r.Versions[i], role) {
				if len(lines) == k {
					lines = append(lines, fmt.Sprintf("%-20s", g.Name))
				}
				lines[k] += fmt.Sprintf("%14d", len(g.Statements))
				n += len(g.Statements)
			}
			head += fmt.Sprintf("%14s", r.Versions[i].Version.String()+" "+role.String())
			all += fmt.Sprintf("%14d", n)
		}
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n%s\n", head, all, strings.Join(lines, "\n"))
	return err
}

// List writes the statements of each group, with what shows them.
func (r *Record) List(w io.Writer) error {
	var b strings.Builder
	for i := range r.Versions {
		for role := range roles {
			for _, g := range r.Groups(&r.Versions[i], role) {
				if len(g.Statements) == 0 {
					continue
				}
				fmt.Fprintf(&b, "MQTT %s, %s: %s (%d)\n", r.Versions[i].Version, role, g.Name, len(g.Statements))
				for _, s := range g.Statements {
					fmt.Fprintf(&b, "  %s %s\n", s.ID, s.Says)
					p := &s.Proofs[role]
					if proof := strings.Join(slices.Concat(p.Scripts, p.Tests), ", ") + p.Why; proof != "" {
						fmt.Fprintf(&b, "    %s\n", proof)
					}
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary returns the record's totals, with a line for each version.
func (r *Record) Summary() string {
	s := ""
	for i := range r.Versions {
		v := &r.Versions[i]
		var n, shown [roles]int
		for role := range roles {
			for k, g := range r.Groups(v, role) {
				n[role] += len(g.Statements)
				if k < 2 { // by scripts, by tests
					shown[role] += len(g.Statements)
				}
			}
		}
		s += fmt.Sprintf("- MQTT %s: %d of %d statements that bind a client are shown, %d of %d that bind a server.\n",
			v.Version, shown[Client], n[Client], shown[Server], n[Server])
	}
	return s
}
