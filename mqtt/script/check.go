package script

import (
	"maps"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// checker walks through a conversation of one version. It returns an error for steps that cannot
// be played: after the end of a connection, with variables that have no value, or with packets
// that have no encoding.
type checker struct {
	p     *parser
	v     packet.Version
	conns map[string]*checkedConn
	conn  *checkedConn
	vars  map[string]value // sample values of the right kind
}

type checkedConn struct {
	name    string
	version packet.Version
	began   bool // a step was played on it
	mute    bool // half-closed
	ended   bool
}

func (p *parser) check(v packet.Version) error {
	c := &checker{p: p, v: v, conns: map[string]*checkedConn{}, vars: map[string]value{}}
	for i := range p.script.scenes {
		s := &p.script.scenes[i]
		conn := c.conns[s.name]
		if conn == nil || conn.ended {
			conn = &checkedConn{name: s.name, version: v}
			c.conns[s.name] = conn
		}
		c.conn = conn
		if err := c.steps(s.steps); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) steps(steps []step) error {
	for i := range steps {
		if s := &steps[i]; s.in(c.v) {
			if err := c.step(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) step(s *step) error {
	conn := c.conn
	if conn.ended {
		return c.p.errorf(s.node, "%s comes after the end of connection %s", s.text, conn.name)
	}
	began := conn.began
	conn.began = true
	switch s.verb {
	case verbSend:
		if conn.mute {
			return c.p.errorf(s.node, "%s comes after a half-close", s.text)
		}
		_, v, err := s.encode(conn.version, conn.name, c.vars)
		if err != nil {
			return c.p.errorf(s.node, "%s: %v; what has no encoding is sent with raw", s.text, err)
		}
		conn.version = v
	case verbRaw, verbExpectRaw:
		if s.verb == verbRaw && conn.mute {
			return c.p.errorf(s.node, "raw comes after a half-close")
		}
		if _, err := resolveRaw(s.raw, c.vars); err != nil {
			return c.p.errorf(s.node, "%s: %v", s.text, err)
		}
	case verbExpectHead:
		if c.p.script.Role == Broker {
			c.vars["accept"] = value{kind: kindText}
		}
	case verbExpect:
		return c.expect(s)
	case verbAnyOrder:
		for i := range s.steps {
			if s.steps[i].in(c.v) {
				if err := c.expect(&s.steps[i]); err != nil {
					return err
				}
			}
		}
	case verbDistinct:
		for _, name := range s.refs {
			if _, has := c.vars[name]; !has {
				return c.p.errorf(s.node, "distinct: <%s> has no value here", name)
			}
		}
	case verbRepeat:
		outer := maps.Clone(c.vars)
		c.vars["round"] = value{n: 1}
		if err := c.steps(s.steps); err != nil {
			return err
		}
		if s.times > 1 && conn.ended {
			return c.p.errorf(s.node, "the connection ends in the first round of %d", s.times)
		}
		c.vars = outer
	case verbFault:
		if s.fault.refuse && began {
			return c.p.errorf(s.node, "refuse comes first: the connection is there already")
		}
		conn.mute = conn.mute || s.fault.halfClose
		conn.ended = s.fault.refuse || s.fault.reset
	case verbClose, verbExpectClose:
		conn.ended = true
	}
	return nil
}

// expect checks the properties and sets the variables of a step.
func (c *checker) expect(s *step) error {
	for i := range s.fields {
		f := &s.fields[i]
		v := c.conn.version
		if s.typ == packet.CONNECT && f.name == "version" && len(f.vals) == 1 {
			v = packet.Version(f.vals[0].n)
			c.conn.version = v
		}
		if f.prop != 0 && v < packet.V5 && f.vals != nil && f.vals[0].kind != kindAbsent {
			return c.p.errorf(f.node, "%s needs MQTT 5.0", f.name)
		}
		if f.name == "code" && v >= packet.V5 {
			return c.p.errorf(f.node, "code: MQTT 5.0 has a reason")
		}
		if f.ref != "" && !s.optional && !s.should {
			if _, has := c.vars[f.ref]; !has {
				c.vars[f.ref] = sample(s.typ, f)
			}
		}
	}
	return nil
}

// sample returns a value of the kind of a captured field.
func sample(t packet.Type, f *field) value {
	k := kindNumber
	switch {
	case f.prop != 0:
		k = propertySpec(f.prop).kind
	default:
		for _, list := range [][]spec{specs(t), filterSpecs, willSpecs} {
			if s, ok := findSpec(list, lastName(f.name)); ok {
				k = s.kind
				break
			}
		}
	}
	if k == kindText {
		return value{kind: kindText, b: []byte("x")}
	}
	return value{kind: k, n: 1}
}

// lastName returns the part of a field's name after the last dot.
func lastName(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			return name[i+1:]
		}
	}
	return name
}
