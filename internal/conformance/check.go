package conformance

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/script"
)

// sections are the sections of the specifications that have normative statements, from
// appendix B. Each has the number of its last statement, or of the first and the last if
// they do not begin with 1.
var sections = map[packet.Version]string{
	packet.V311: `1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12 3.3.2:3 3.3.4:1 3.3.5:2
		3.6.1:1 3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1 4.3.2:2
		4.3.3:2 4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3 4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4 7.0.0:2 7.1.1:1 7.1.2:1`,
	packet.V5: `1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:2-6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6 3.2.0:2 3.2.2:22 3.3.1:13
		3.3.2:20 3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1 3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 3.10.3:2
		3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1 3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 4.2:1 4.3.1:1 4.3.2:5
		4.3.3:13 4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3 4.12.0:7 4.12.1:2 4.13.1:1 4.13.2:1
		6.0.0:4`,
}

// identifiers lists the statements of sections.
func identifiers(sections string) (all []string) {
	for s := range strings.FieldsSeq(sections) {
		section, numbers, _ := strings.Cut(s, ":")
		first, last, has := strings.Cut(numbers, "-")
		if !has {
			first, last = "1", numbers
		}
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		for ; from <= to; from++ {
			all = append(all, fmt.Sprintf("MQTT-%s-%d", section, from))
		}
	}
	return all
}

// Find returns a statement of a version, or nil.
func (r *Record) Find(v packet.Version, id string) *Statement {
	for i := range r.Versions {
		for k := range r.Versions[i].Statements {
			if s := &r.Versions[i].Statements[k]; r.Versions[i].Version == v && s.ID == id {
				return s
			}
		}
	}
	return nil
}

// Load reads the record of the repository at root.
func Load(root fs.FS) (*Record, error) {
	b, err := fs.ReadFile(root, Path)
	if err != nil {
		return nil, err
	}
	return Parse(Path, b)
}

// shown is a claim in a script's head.
type shown struct {
	version packet.Version
	id      string
	role    Role
}

// claims reads the scripts of a repository. It returns the names of the scripts and, in
// order, those that show each statement. Problems are statements that the record does not
// have, or not for that role.
func (r *Record) claims(root fs.FS) (names [roles]map[string]bool, by map[shown][]string, problems []string, err error) {
	by = map[shown][]string{}
	for role, folder := range folders {
		names[role] = map[string]bool{}
		paths, err := fs.Glob(root, folder+"/*.yaml")
		if err != nil {
			return names, nil, nil, err
		}
		for _, p := range paths { // in order
			b, err := fs.ReadFile(root, p)
			if err != nil {
				return names, nil, nil, err
			}
			s, err := script.Parse(p, b)
			if err != nil {
				return names, nil, nil, err
			}
			name := strings.TrimSuffix(path.Base(p), ".yaml")
			names[role][name] = true
			for _, v := range s.Versions {
				if s.KnownFailure != "" && len(s.Shows[v]) > 0 {
					problems = append(problems, fmt.Sprintf("%s is known to fail, and shows nothing", p))
				}
				for _, id := range s.Shows[v] {
					if st := r.Find(v, id); st == nil || !st.Binds[role] {
						problems = append(problems, fmt.Sprintf("%s shows %s: MQTT %s has no such statement that binds a %s", p, id, v, Role(role)))
					}
					key := shown{v, id, Role(role)}
					if slices.Contains(by[key], name) {
						problems = append(problems, fmt.Sprintf("%s shows %s twice", p, id))
						continue
					}
					by[key] = append(by[key], name)
				}
				for _, id := range s.Breaks[v] {
					if st := r.Find(v, id); st == nil || !st.Binds[1-role] {
						problems = append(problems, fmt.Sprintf("%s breaks %s: MQTT %s has no such statement that binds a %s", p, id, v, Role(1-role)))
					}
				}
			}
		}
	}
	return names, by, problems, nil
}

// Fill sets the scripts of each statement from the heads of the scripts.
func (r *Record) Fill(root fs.FS) error {
	_, by, _, err := r.claims(root)
	if err != nil {
		return err
	}
	for _, v := range r.Versions {
		for i := range v.Statements {
			for role := range roles {
				v.Statements[i].Proofs[role].Scripts = by[shown{v.Version, v.Statements[i].ID, role}]
			}
		}
	}
	return nil
}

// Check returns the problems in the record of a repository: statements that are missing or
// unknown, or that have neither a proof nor a reason; scripts and tests that do not exist,
// that disagree with the record, or that are known to fail. The error is that of reading.
func (r *Record) Check(root fs.FS) (problems []string, err error) {
	return r.check(root, sections)
}

func (r *Record) check(root fs.FS, sections map[packet.Version]string) ([]string, error) {
	names, by, problems, err := r.claims(root)
	if err != nil {
		return nil, err
	}
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	tests := tests{root: root, found: map[string]string{}}
	used := map[string]bool{}
	for v, list := range sections {
		var got []string
		for i := range r.Versions {
			if r.Versions[i].Version == v {
				for k := range r.Versions[i].Statements {
					got = append(got, r.Versions[i].Statements[k].ID)
				}
			}
		}
		want := identifiers(list)
		for _, id := range want {
			if !slices.Contains(got, id) {
				wrong("MQTT %s: %s is missing", v, id)
			}
		}
		for _, id := range got {
			if !slices.Contains(want, id) {
				wrong("MQTT %s: there is no statement %s", v, id)
			}
		}
	}
	for _, v := range r.Versions {
		for i := range v.Statements {
			s := &v.Statements[i]
			at := fmt.Sprintf("MQTT %s: %s", v.Version, s.ID)
			if s.Says == "" {
				wrong("%s says nothing", at)
			}
			if s.Binds == [roles]bool{} {
				wrong("%s binds no role", at)
			}
			for role := range roles {
				p, at := &s.Proofs[role], fmt.Sprintf("%s, %s", at, role)
				switch {
				case !s.Binds[role]:
					if p.shown() || p.Reason != "" {
						wrong("%s: it does not bind a %s", at, role)
					}
				case p.shown() && p.Reason != "":
					wrong("%s: it is shown, and there is a reason why it cannot be", at)
				case !p.shown() && p.Reason == "":
					wrong("%s: neither a proof nor a reason", at)
				case p.Reason != "" && !slices.ContainsFunc(r.Reasons, func(reason Reason) bool { return reason.Name == p.Reason }):
					wrong("%s: there is no reason called %q", at, p.Reason)
				case p.Reason != "" && p.Why == "":
					wrong("%s: %s: why?", at, p.Reason)
				}
				used[p.Reason] = true
				claimed := by[shown{v.Version, s.ID, role}]
				for _, name := range p.Scripts {
					switch {
					case !names[role][name]:
						wrong("%s: there is no %s/%s.yaml", at, folders[role], name)
					case !slices.Contains(claimed, name):
						wrong("%s: %s/%s.yaml does not say that it shows it", at, folders[role], name)
					}
				}
				for _, name := range claimed {
					if s.Binds[role] && !slices.Contains(p.Scripts, name) {
						wrong("%s: %s/%s.yaml shows it, and is not in the record", at, folders[role], name)
					}
				}
				for i, name := range p.Tests {
					if slices.Contains(p.Tests[:i], name) {
						wrong("%s: it has %s twice", at, name)
					}
					if err := tests.find(name, s.ID); err != nil {
						wrong("%s: %v", at, err)
					}
				}
			}
		}
	}
	for _, reason := range r.Reasons {
		if !used[reason.Name] || reason.Says == "" {
			wrong("the reason %q is not used, or says nothing", reason.Name)
		}
	}
	slices.Sort(problems)
	return problems, nil
}

// tests finds Go tests. found holds the text of the test files of a folder.
type tests struct {
	root  fs.FS
	found map[string]string
}

// find returns the problem with a test, such as mqtt/broker.TestScripts, that is to show a
// statement: exactly one test must have that name, and it must name the statement, as
// scripts do, so that its editors know what depends on it.
func (t *tests) find(name, id string) error {
	i := strings.LastIndexByte(name, '.')
	folder, test := name[:i], name[i+1:]
	if _, has := t.found[folder]; !has {
		paths, err := fs.Glob(t.root, folder+"/*_test.go")
		if err != nil {
			return err
		}
		var all strings.Builder
		for _, p := range paths {
			b, err := fs.ReadFile(t.root, p)
			if err != nil {
				return err
			}
			all.WriteString("\n" + string(b))
		}
		t.found[folder] = all.String()
	}
	before, body, has := strings.Cut(t.found[folder], "\nfunc "+test+"(t *testing.T) {")
	if !strings.HasPrefix(test, "Test") || !has {
		return fmt.Errorf("there is no test %s in %s", test, folder)
	}
	body, _, _ = strings.Cut(body, "\n}\n")
	if comment := before[strings.LastIndex(before, "\n\n")+1:]; !names(comment+body, id) {
		return fmt.Errorf("%s does not name it", name)
	}
	return nil
}

// names reports whether a text contains an identifier, not only as a prefix of another one.
func names(text, id string) bool {
	for rest := text; ; {
		_, after, has := strings.Cut(rest, id)
		if !has {
			return false
		}
		if after == "" || after[0] < '0' || after[0] > '9' {
			return true
		}
		rest = after
	}
}
