package script

import (
	"bytes"
	"maps"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// compare returns the fields that differ. It sets the variables that have no value yet.
func compare(want, got []field, vars map[string]value) (diff []Diff) {
	for i := range want {
		w := &want[i]
		have := value{kind: kindAbsent}
		for k := range got {
			if got[k].name == w.name {
				have = got[k].vals[0]
				break
			}
		}
		if w.ref == "" {
			if !w.is(have) {
				diff = append(diff, Diff{w.name, w.wanted(), have.String()})
			}
			continue
		}
		switch v, known := vars[w.ref]; {
		case have.kind == kindAbsent:
			diff = append(diff, Diff{w.name, "<" + w.ref + ">", "absent"})
		case !known:
			vars[w.ref] = have
		case have.kind == kindText && !bytes.Equal(v.text(), have.b), have.kind != kindText && !v.equal(have):
			diff = append(diff, Diff{w.name, v.String() + " <" + w.ref + ">", have.String()})
		}
	}
	return diff
}

// wanted returns the expected values of a field, for a diff.
func (f *field) wanted() string {
	s := ""
	for i, v := range f.vals {
		if i > 0 {
			s += " or "
		}
		s += v.String()
	}
	return s
}

// match compares a packet with an expectation. If they agree, it sets the variables of the
// expectation in vars.
func (s *step) match(f packet.Frame, v packet.Version, vars map[string]value) (diff []Diff, version packet.Version, err error) {
	got, version, err := decode(f, v)
	if err != nil {
		return nil, 0, err
	}
	want := s.fields
	names := func(name string) bool {
		_, has := (&builder{fields: s.fields}).get(name)
		return has
	}
	unsaid := func(name string, val value) {
		want = append(want[:len(want):len(want)], field{name: name, vals: []value{val}})
	}
	switch {
	case s.typ == packet.CONNECT && !names("version"):
		unsaid("version", value{kind: kindVersion, n: uint64(v)})
	case s.typ == packet.CONNACK && !names("reason") && !names("code"):
		unsaid("reason", value{kind: kindReason, n: uint64(packet.Success)})
	}
	trial := maps.Clone(vars)
	if diff = compare(want, got, trial); len(diff) == 0 {
		maps.Copy(vars, trial)
	}
	return diff, version, nil
}
