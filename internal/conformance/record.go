// Package conformance reads the conformance record: every normative statement of MQTT 3.1.1
// and 5.0, the roles that it binds, and what shows it.
//
// The record is scripts/conformance.yaml. Only the record says which roles a statement
// binds and why something cannot be shown. Which scripts show a statement stands in the
// heads of the scripts (shows:) and is copied into the record.
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

// String returns the specification's name of the role.
func (r Role) String() string { return roleNames[r] }

// folders are the folders of the scripts that test a role.
var folders = [roles]string{"scripts/client", "scripts/broker"}

// Record is the whole record, in the order of the file.
type Record struct {
	Reasons  []Reason
	Versions []Version

	head string // the comment at the beginning of the file
}

// Reason is a reason why a statement cannot be shown.
type Reason struct{ Name, Says string }

// Version holds the statements of a version of the protocol.
type Version struct {
	Version    packet.Version
	Statements []Statement
}

// Statement is a normative statement of a specification.
type Statement struct {
	ID     string // "MQTT-3.3.1-2"
	Says   string // in a few words that are not the specification's
	Binds  [roles]bool
	Proofs [roles]Proof
}

// Proof is what shows a statement for a role: scripts and tests, or the reason why there
// are none.
type Proof struct {
	Scripts []string // names without .yaml
	Tests   []string // such as mqtt/broker.TestScripts

	Reason string // the name of one of the record's reasons
	Why    string // in words
}

// Parse parses a record; path is for errors.
func Parse(path string, data []byte) (*Record, error) {
	f, err := yamlfile.Parse(path, data)
	if err != nil {
		return nil, err
	}
	r := &Record{head: comment(string(data))}
	for i := range f.Root.Entries {
		e := &f.Root.Entries[i]
		if i == 0 {
			if e.Key.Text != "reasons" || e.Value.Kind != yamlfile.Mapping {
				return nil, f.Errorf(e.Key, "reasons come first")
			}
			for k := range e.Value.Entries {
				sub := &e.Value.Entries[k]
				r.Reasons = append(r.Reasons, Reason{sub.Key.Text, sub.Value.Text})
			}
			continue
		}
		version, _ := packet.ParseVersion(e.Key.Text)
		v := Version{Version: version}
		if version < packet.V311 || e.Value.Kind != yamlfile.Mapping {
			return nil, f.Errorf(e.Key, "%q is neither 3.1.1 nor 5.0 with its statements", e.Key.Text)
		}
		for k := range e.Value.Entries {
			s, err := statement(f, &e.Value.Entries[k])
			if err != nil {
				return nil, err
			}
			v.Statements = append(v.Statements, s)
		}
		r.Versions = append(r.Versions, v)
	}
	return r, nil
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

func statement(f *yamlfile.File, e *yamlfile.Entry) (Statement, error) {
	s := Statement{ID: e.Key.Text}
	if e.Value.Kind != yamlfile.Mapping {
		return s, f.Want(e.Value, s.ID, "says, binds and proofs")
	}
	for i := range e.Value.Entries {
		key, v := e.Value.Entries[i].Key, e.Value.Entries[i].Value
		role := slices.Index(roleNames[:], key.Text)
		switch {
		case key.Text == "says":
			s.Says = v.Text
		case key.Text == "binds" && v.Text == "both":
			s.Binds = [roles]bool{true, true}
		case key.Text == "binds" && slices.Contains(roleNames[:], v.Text):
			s.Binds[slices.Index(roleNames[:], v.Text)] = true
		case key.Text == "binds":
			return s, f.Invalid(v, "binds", "value", "want client, server or both")
		case role < 0:
			return s, f.UnknownKey(key, "says", "binds", "client", "server")
		case v.Kind == yamlfile.List:
			for _, item := range v.Items {
				p := &s.Proofs[role]
				if strings.Contains(item.Text, ".") {
					p.Tests = append(p.Tests, item.Text)
				} else {
					p.Scripts = append(p.Scripts, item.Text)
				}
			}
		case v.Kind == yamlfile.Mapping && len(v.Entries) == 1:
			s.Proofs[role].Reason, s.Proofs[role].Why = v.Entries[0].Key.Text, v.Entries[0].Value.Text
		default:
			return s, f.Want(v, key.Text, "a list of scripts and tests, or {REASON: words}")
		}
	}
	return s, nil
}

// width is the longest line of scripts, in bytes.
const width = 100

// Text returns the record in the format of its file.
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
