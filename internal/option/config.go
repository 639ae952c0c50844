package option

import (
	"slices"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
)

// Configured reads the configuration files. It returns them, and the uses of options that they
// have for a tool, strongest first.
func Configured(env *Environment, uses []Use, tool ToolSet) (*Config, []Use, error) {
	c, err := ReadConfig(env, uses)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range c.Files {
		if err := f.Check(); err != nil {
			return nil, nil, err
		}
	}
	all, err := c.contextUses(env, uses, tool)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range slices.Backward(c.Files) {
		for _, part := range append(toolKeys[:], toolKey{keyDefaults, 0}) {
			if part.bit != 0 && part.bit != tool {
				continue
			}
			origin := f.origin
			if part.bit == tool {
				origin++
			}
			if all, err = f.append(all, f.Root.Get(part.key), part.key, tool, origin); err != nil {
				return nil, nil, err
			}
		}
	}
	return c, sameBroker(all, uses, env), nil
}

// sameBroker drops the settings that a part has for another broker than the one in use. If a part
// names a broker, its port, TLS options, user name and password are for that broker, and must not
// be sent to the broker that a stronger source names.
func sameBroker(all, uses []Use, env *Environment) []Use {
	if len(all) == 0 {
		return nil // the environment does not matter
	}
	named := slices.ContainsFunc(uses, func(u Use) bool { return namesBroker(u.Opt) })
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
		names := slices.ContainsFunc(part, func(u Use) bool { return namesBroker(u.Opt) })
		for _, u := range part {
			if !named || !names || !ofBroker(u.Opt) {
				kept = append(kept, u)
			}
		}
		named = named || names
	}
	return kept
}

// namesBroker reports whether an option names the broker.
func namesBroker(o *Option) bool {
	return o.Name == "host" || o.Name == "url" || o.Name == "unix" || o.Name == "serve"
}

// ofBroker reports whether an option is specific to one broker.
func ofBroker(o *Option) bool {
	return o.Group == GroupTLS || namesBroker(o) || slices.Contains(ofBrokers[:], o.Name)
}

var ofBrokers = [...]string{"port", "srv", "ws", "ws-path", "ws-header", "proxy", "proxy-command",
	"username", "password", "password-file", "password-command", "auth", "auth-command"}

// append appends the uses of one part.
func (f ConfigFile) append(all []Use, e *yamlfile.Entry, name string, tool ToolSet, origin Origin) ([]Use, error) {
	if e == nil {
		return all, nil
	}
	uses, err := f.Part(e.Value, name, All, tool)
	for i := range uses {
		uses[i].origin = origin
	}
	return append(all, uses...), err
}

// contextUses returns the uses of the context in use.
func (c *Config) contextUses(env *Environment, uses []Use, tool ToolSet) ([]Use, error) {
	name, label := c.InUse(env, uses)
	var all []Use
	f, e := c.current()
	if _, _, set := Chosen(env, uses, ContextOption); !set && e != nil {
		// --show-config prints which context is in use.
		all = append(all, Use{Opt: Table(tool).Find("--" + ContextOption), Raw: name, Place: f.Place(e.Value), part: KeyCurrent, origin: f.origin})
	}
	if name == None || name == "" {
		return all, nil
	}
	if f, e = c.Context(name); e == nil {
		return nil, c.UnknownContext(label, name)
	}
	return f.append(all, e, ContextOption+" "+name, tool, OriginContext)
}

// current returns the current-context of the files; that of the user's file overrides the
// system's.
func (c *Config) current() (ConfigFile, *yamlfile.Entry) {
	for _, f := range slices.Backward(c.Files) {
		if e := f.Root.Get(KeyCurrent); e != nil {
			return f, e
		}
	}
	return ConfigFile{}, nil
}

// InUse returns the name of the context in use, and the place that names it. The name is "" if
// there is none.
func (c *Config) InUse(env *Environment, uses []Use) (name, where string) {
	if name, label, set := Chosen(env, uses, ContextOption); set {
		return name, label
	}
	if f, e := c.current(); e != nil {
		return e.Value.Text, f.Place(e.Value) + ": " + KeyCurrent
	}
	return "", ""
}

// contexts returns the contexts of a file.
func (f ConfigFile) contexts() []yamlfile.Entry {
	if e := f.Root.Get(KeyContexts); e != nil {
		return e.Value.Entries
	}
	return nil
}

// Context returns the context with a name in this file, or nil.
func (f ConfigFile) Context(name string) *yamlfile.Entry {
	return (&yamlfile.Node{Entries: f.contexts()}).Get(name)
}

// Context returns the context with a name and its file. A context of the user's file overrides the
// system's.
func (c *Config) Context(name string) (ConfigFile, *yamlfile.Entry) {
	for _, f := range slices.Backward(c.Files) {
		if e := f.Context(name); e != nil {
			return f, e
		}
	}
	return ConfigFile{}, nil
}

// Names returns the names of all contexts, the system's first.
func (c *Config) Names() []string {
	var names []string
	for _, f := range c.Files {
		for _, e := range f.contexts() {
			if !slices.Contains(names, e.Key.Text) {
				names = append(names, e.Key.Text)
			}
		}
	}
	return names
}

func (c *Config) UnknownContext(label, name string) error {
	u := Usagef("%s: unknown context %q", label, name)
	if s := spelling.Nearest(name, c.Names()); s != "" {
		return u.WithHint("did you mean %s?", s)
	}
	if len(c.Names()) == 0 {
		return u.WithHint("there are no contexts yet; 'mqpub context add NAME ...' makes one")
	}
	return u.WithHint("the contexts are %s", units.AndList(c.Names()...))
}

// HoldsSecret reports whether the file holds a secret in plain text.
func (f ConfigFile) HoldsSecret() bool {
	parts := f.contexts()
	for _, e := range f.Root.Entries {
		if e.Key.Text != KeyContexts && e.Key.Text != KeyCurrent {
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
			for _, n := range e.Value.AsList() {
				if n.Kind == yamlfile.Scalar && rows[0].HoldsSecret(n.Text) {
					return true
				}
			}
		}
	}
	return false
}

// Broker returns a short description of the broker of a context.
func (f ConfigFile) Broker(n *yamlfile.Node) string {
	text := func(key string) string {
		if e := n.Get(key); e != nil {
			return e.Value.AsList()[0].Text
		}
		return ""
	}
	switch host, port := text("host"), text("port"); {
	case text("url") != "":
		shown, _ := Table(All).Find("--url").mask(text("url"))
		return shown
	case text("unix") != "":
		return text("unix")
	case port != "":
		return host + ":" + port
	default:
		return host
	}
}
