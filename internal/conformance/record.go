// Package conformance reads the conformance record: every normative statement of MQTT 3.1.1 and
// 5.0, the roles that it binds, and the proofs that the project keeps it.
//
// The record is scripts/conformance.yaml. It is the only place for the roles and for the reasons
// why a statement cannot be shown. The scripts that show a statement name it in their head
// (shows:); the tool conformance copies them into the record.
package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Path is the path of the record in the repository.
const Path = "scripts/conformance.yaml"

// Role is a role that a statement binds.
type Role uint8

// The roles.
const (
	Client Role = iota
	Server
	roles
)

var roleNames = [roles]string{"client", "server"}

// String returns the role as the specification calls it.
func (r Role) String() string { return roleNames[r] }

// folders are the folders of the scripts that test a role.
var folders = [roles]string{"scripts/client", "scripts/broker"}

// Record is the whole record, in the order of the file.
type Record struct {
	Reasons  []Reason
	Versions []Version

	head string // the comment at the beginning of the file
}

// Reason is a kind of reason why a statement cannot be shown.
type Reason struct{ Name, Says string }

// Version is a version of the protocol and its statements.
type Version struct {
	Version    packet.Version
	Statements []Statement
}

// Statement is a normative statement of a specification.
type Statement struct {
	ID     string // "MQTT-3.3.1-2"
	Says   string // a summary, not the words of the specification
	Binds  [roles]bool
	Proofs [roles]Proof
}

// Proof is what shows a statement for a role: scripts and tests, or a reason why there are none.
type Proof struct {
	Scripts []string // their names without .yaml
	Tests   []string // as mqtt/broker.TestScripts

	Reason string // the name of a Reason of the record
	Why    string // explains Reason
}

// Parse parses a record. path is for errors.
func Parse(path string, data []byte) (*Record, error) {
	f, err := yamlfile.Parse(path, data)
	if err != nil {
		return nil, err
	}
	r := &Record{head: comment(string(data))}
	if err := r.schema(f).Read(f, f.Root, ""); err != nil {
		return nil, err
	}
	if first := f.Root.Entries[0].Key; first.Text != "reasons" {
		return nil, f.Errorf(first, "reasons must come first")
	}
	return r, nil
}

func (r *Record) schema(f *yamlfile.File) yamlfile.Schema {
	s := yamlfile.Schema{
		yamlfile.Func("reasons", "", func(n *yamlfile.Node) error {
			return f.Each(n, "reasons", func(e yamlfile.Entry) error {
				says, err := f.Text(e.Value, e.Key.Text)
				r.Reasons = append(r.Reasons, Reason{e.Key.Text, says})
				return err
			})
		}, "mapping of names to reasons why a statement cannot be shown").Needed(),
	}
	for _, version := range [...]packet.Version{packet.V311, packet.V5} {
		s = append(s, yamlfile.Func(version.String(), "", func(n *yamlfile.Node) error {
			v := Version{Version: version}
			err := f.Each(n, version.String(), func(e yamlfile.Entry) error {
				s := Statement{ID: e.Key.Text}
				err := s.schema(f).Read(f, e.Value, s.ID)
				v.Statements = append(v.Statements, s)
				return err
			})
			r.Versions = append(r.Versions, v)
			return err
		}, "mapping of identifiers to the statements of this version"))
	}
	return s
}

// comment returns the comment at the beginning of a file.
func comment(s string) string {
	end := 0
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			break
		}
		end += len(line)
	}
	return s[:end]
}

func (s *Statement) schema(f *yamlfile.File) yamlfile.Schema {
	all := yamlfile.Schema{
		yamlfile.Text("says", &s.Says, "the statement in a few words"),
		yamlfile.Func("binds", "client|server|both", func(n *yamlfile.Node) error {
			i, err := f.Word(n, "binds", "client", "server", "both")
			if err == nil {
				s.Binds = [roles]bool{Client: i != 1, Server: i != 0}
			}
			return err
		}, "the role that the statement binds"),
	}
	for role := range roles {
		all = append(all, yamlfile.Func(role.String(), "", func(n *yamlfile.Node) error { return s.Proofs[role].read(f, n, role.String()) },
			"list of scripts and tests, or {REASON: words}"))
	}
	return all
}

func (p *Proof) read(f *yamlfile.File, n *yamlfile.Node, name string) (err error) {
	switch {
	case n.Kind == yamlfile.List:
		for _, item := range n.Items {
			text, err := f.Text(item, name)
			if err != nil {
				return err
			}
			if strings.Contains(text, ".") {
				p.Tests = append(p.Tests, text)
			} else {
				p.Scripts = append(p.Scripts, text)
			}
		}
		return nil
	case n.Kind == yamlfile.Mapping && len(n.Entries) == 1:
		p.Reason = n.Entries[0].Key.Text
		p.Why, err = f.Text(n.Entries[0].Value, p.Reason)
		return err
	}
	return f.Want(n, name, "a list of scripts and tests, or {REASON: words}")
}

// width is the maximum length of a line of scripts, in bytes.
const width = 100

// Text returns the record as its file has it.
func (r *Record) Text() []byte {
	var b strings.Builder
	b.WriteString(r.head)
	b.WriteString("reasons:\n")
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  %s: %s\n", yamlfile.Quote(reason.Name), yamlfile.Quote(reason.Says))
	}
	for _, v := range r.Versions {
		fmt.Fprintf(&b, "\n%s:\n", v.Version)
		for i := range v.Statements {
			v.Statements[i].text(&b)
		}
	}
	return []byte(b.String())
}

func (s *Statement) text(b *strings.Builder) {
	binds := "both"
	for r, other := range [roles]Role{Server, Client} {
		if !s.Binds[other] {
			binds = roleNames[r]
		}
	}
	fmt.Fprintf(b, "  %s:\n    says: %s\n    binds: %s\n", s.ID, yamlfile.Quote(s.Says), binds)
	for r, p := range s.Proofs {
		switch {
		case p.Reason != "":
			fmt.Fprintf(b, "    %s: {%s: %s}\n", Role(r), yamlfile.Quote(p.Reason), yamlfile.Quote(p.Why))
		case p.shown():
			line := "    " + roleNames[r] + ": ["
			for i, name := range slices.Concat(p.Scripts, p.Tests) {
				if i > 0 {
					line += ","
					if len(line)+len(name) > width {
						b.WriteString(line + "\n")
						line = "     "
					}
					line += " "
				}
				line += name
			}
			b.WriteString(line + "]\n")
		}
	}
}

func (p *Proof) shown() bool { return len(p.Scripts)+len(p.Tests) > 0 }
