package cli

import (
	"slices"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
)

// configured reads what the configuration files say for a tool: the uses of its
// options, strongest first.
func configured(env *Environment, uses []given, tool ToolSet) (*config, []given, error) {
	c, err := readConfig(env, uses)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range c.files {
		if err := f.check(); err != nil {
			return nil, nil, err
		}
	}
	all, err := c.contextUses(env, uses, tool)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range slices.Backward(c.files) {
		forTool, forAll := OriginUserTool, OriginUser
		if f.system {
			forTool, forAll = OriginSystemTool, OriginSystem
		}
		for _, t := range toolKeys {
			if t.bit == tool {
				if all, err = f.append(all, f.Root.Get(t.key), t.key, tool, forTool); err != nil {
					return nil, nil, err
				}
			}
		}
		if all, err = f.append(all, f.Root.Get(keyDefaults), keyDefaults, tool, forAll); err != nil {
			return nil, nil, err
		}
	}
	return c, sameBroker(all, uses, env), nil
}

// sameBroker leaves out what a part says about another broker than the one
// that is meant: where a part names a broker, its port, TLS options, user name
// and password are for that one, and must not go to the broker that a stronger
// place names.
func sameBroker(all, uses []given, env *Environment) []given {
	if len(all) == 0 {
		return nil // without a look at the environment
	}
	named := slices.ContainsFunc(uses, func(u given) bool { return namesBroker(u.opt) })
	for _, o := range Table(All) {
		if namesBroker(o) {
			named = named || env.Getenv(o.Env()) != "" || o.EnvFallback != "" && env.Getenv(o.EnvFallback) != ""
		}
	}
	kept := all[:0:0]
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].part == all[0].part && all[n].origin == all[0].origin {
			n++
		}
		part := all[:n]
		all = all[n:]
		names := slices.ContainsFunc(part, func(u given) bool { return namesBroker(u.opt) })
		for _, u := range part {
			if !named || !names || !ofBroker(u.opt) {
				kept = append(kept, u)
			}
		}
		named = named || names
	}
	return kept
}

// namesBroker tells whether an option says where the broker is.
func namesBroker(o *Option) bool {
	return o.Name == "host" || o.Name == "url" || o.Name == "unix" || o.Name == "serve"
}

// ofBroker tells whether an option is for one broker alone.
func ofBroker(o *Option) bool {
	if o.Group == GroupTLS || namesBroker(o) {
		return true
	}
	switch o.Name {
	case "port", "srv", "ws", "ws-path", "ws-header", "proxy", "proxy-command", "username", "password", "password-file", "password-command", "auth", "auth-command":
		return true
	}
	return false
}

// append adds the uses of one part.
func (f configFile) append(all []given, e *yamlfile.Entry, name string, tool ToolSet, origin Origin) ([]given, error) {
	if e == nil {
		return all, nil
	}
	uses, err := f.part(e.Value, name, All, tool)
	for i := range uses {
		uses[i].origin = origin
	}
	return append(all, uses...), err
}

// contextUses finds the context in use and reads it.
func (c *config) contextUses(env *Environment, uses []given, tool ToolSet) ([]given, error) {
	name, label := c.inUse(env, uses)
	var all []given
	f, e := c.current()
	if _, _, set := chosen(env, uses, contextOption); !set && e != nil {
		// So that --show-config tells which one is in use.
		origin := OriginUser
		if f.system {
			origin = OriginSystem
		}
		all = append(all, given{opt: Table(tool).find("--" + contextOption), raw: name, place: f.place(e.Value), part: keyCurrent, origin: origin})
	}
	if name == none || name == "" {
		return all, nil
	}
	if f, e = c.context(name); e == nil {
		return nil, c.unknownContext(label, name)
	}
	return f.append(all, e, contextOption+" "+name, tool, OriginContext)
}

// current is the current-context of the files, the user's first.
func (c *config) current() (configFile, *yamlfile.Entry) {
	for _, f := range slices.Backward(c.files) {
		if e := f.Root.Get(keyCurrent); e != nil {
			return f, e
		}
	}
	return configFile{}, nil
}

// inUse is the name of the context that a run takes, and where that stands; "" is
// none.
func (c *config) inUse(env *Environment, uses []given) (name, where string) {
	if name, label, set := chosen(env, uses, contextOption); set {
		return name, label
	}
	if f, e := c.current(); e != nil {
		return e.Value.Text, f.place(e.Value) + ": " + keyCurrent
	}
	return "", ""
}

// contexts are the contexts of a file.
func (f configFile) contexts() []yamlfile.Entry {
	if e := f.Root.Get(keyContexts); e != nil {
		return e.Value.Entries
	}
	return nil
}

// context finds a context; the user's goes before the system's.
func (c *config) context(name string) (configFile, *yamlfile.Entry) {
	for _, f := range slices.Backward(c.files) {
		if e := f.Root.Get(keyContexts); e != nil {
			if found := e.Value.Get(name); found != nil {
				return f, found
			}
		}
	}
	return configFile{}, nil
}

// names are the names of all contexts, the system's first.
func (c *config) names() []string {
	var names []string
	for _, f := range c.files {
		for _, e := range f.contexts() {
			if !slices.Contains(names, e.Key.Text) {
				names = append(names, e.Key.Text)
			}
		}
	}
	return names
}

func (c *config) unknownContext(label, name string) error {
	u := Usagef("%s: unknown context %q", label, name)
	if s := spelling.Nearest(name, c.names()); s != "" {
		return u.WithHint("did you mean %s?", s)
	}
	if len(c.names()) == 0 {
		return u.WithHint("there are no contexts yet; 'mqpub context add NAME ...' makes one")
	}
	return u.WithHint("the contexts are %s", units.AndList(c.names()...))
}

// holdsSecret tells whether a value in the file is one.
func (f configFile) holdsSecret() bool {
	parts := f.contexts()
	for _, e := range f.Root.Entries {
		if e.Key.Text != keyContexts && e.Key.Text != keyCurrent {
			parts = append(parts[:len(parts):len(parts)], e)
		}
	}
	table := Table(All)
	for _, p := range parts {
		for _, e := range p.Value.Entries {
			rows := table.rows(e.Key.Text)
			if len(rows) == 0 {
				continue
			}
			for _, n := range append([]*yamlfile.Node{e.Value}, e.Value.Items...) {
				if n.Kind == yamlfile.Scalar && rows[0].HoldsSecret(n.Text) {
					return true
				}
			}
		}
	}
	return false
}

// broker says in a few words where a context leads.
func (f configFile) broker(n *yamlfile.Node) string {
	text := func(key string) string {
		if e := n.Get(key); e != nil {
			return e.Value.AsList()[0].Text
		}
		return ""
	}
	switch host, port := text("host"), text("port"); {
	case text("url") != "":
		shown, _ := Table(All).find("--url").mask(text("url"))
		return shown
	case text("unix") != "":
		return text("unix")
	case port != "":
		return host + ":" + port
	default:
		return host
	}
}

// formError tells an edit that the form of the file does not allow.
func (f configFile) formError(err error) error {
	return Usagef("%s: %v", f.Path, err)
}
