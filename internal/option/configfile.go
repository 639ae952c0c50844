package option

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/mqtools/mqtools/internal/yamlfile"
)

// A configuration file is a mapping of parts: defaults for all tools, one part for each tool, and
// named contexts, of which one can be the current one. Every part maps keys of the option table to
// values. mqtools(5) describes the form.

const (
	ConfigOption  = "config"
	ContextOption = "context"

	keyDefaults = "defaults"
	KeyContexts = "contexts"
	KeyCurrent  = "current-context"

	// None means no file, or no context.
	None = "none"
)

// toolKey is the key of the part for one tool.
type toolKey struct {
	key string
	bit ToolSet
}

var toolKeys = [...]toolKey{{"mqpub", Pub}, {"mqsub", Sub}, {"mqbench", Bench}}

// SystemConfig returns the path of the system's configuration file, or "".
func SystemConfig(lookup LookupFunc) string {
	if runtime.GOOS != "windows" {
		return "/etc/mqtools/config.yaml"
	}
	if dir, _ := lookup("ProgramData"); dir != "" {
		return filepath.Join(dir, "mqtools", "config.yaml")
	}
	return ""
}

// UserConfig returns the path of the user's configuration file, or "" for a user without a home
// directory. As in the XDG specification, a relative directory is ignored.
func (e *Environment) UserConfig() string {
	if runtime.GOOS == "windows" {
		if dir := e.Getenv("AppData"); filepath.IsAbs(dir) {
			return filepath.Join(dir, "mqtools", "config.yaml")
		}
		return ""
	}
	if dir := e.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return dir + "/mqtools/config.yaml"
	}
	if dir := e.Getenv("HOME"); filepath.IsAbs(dir) {
		return dir + "/.config/mqtools/config.yaml"
	}
	return ""
}

// ConfigFile is one configuration file.
type ConfigFile struct {
	*yamlfile.File
	origin Origin // of its defaults; its part for a tool is one stronger
}

// Config is the configuration files. The user's file is last.
type Config struct {
	Files []ConfigFile
}

// Chosen returns the value of an option that is needed before all others, and its source. set is
// false if neither an argument nor the environment has it.
func Chosen(env *Environment, uses []Use, name string) (value, label string, set bool) {
	for _, use := range uses {
		if use.Opt.Name == name {
			value, set, label = use.Raw, true, use.where()
		}
	}
	if set {
		return value, label, true
	}
	label = (&Option{Name: name}).Env()
	value = env.Getenv(label)
	return value, label, value != ""
}

// ReadConfig reads the configuration files. It does not check their keys and values, see Check.
func ReadConfig(env *Environment, uses []Use) (*Config, error) {
	c := &Config{}
	type place struct {
		path   string
		origin Origin
	}
	places := []place{{env.SystemConfig, OriginSystem}, {env.UserConfig(), OriginUser}}
	path, label, set := Chosen(env, uses, ConfigOption)
	switch {
	case !set:
		label = "configuration file"
	case path == None:
		return c, nil
	case path == "":
		return nil, Usagef("%s: \"\" is empty", label).WithHint("none reads no configuration file")
	default:
		places = []place{{path, OriginUser}}
	}
	for _, p := range places {
		if p.path == "" {
			continue
		}
		switch f, err := readConfigFile(p.path); {
		case err == nil:
			c.Files = append(c.Files, ConfigFile{f, p.origin})
		case set || !missing(p.path, err):
			return nil, asUsage(label, err)
		}
	}
	return c, nil
}

// asUsage returns an error of readConfigFile as a usage error.
func asUsage(label string, err error) error {
	if u, ok := errors.AsType[*UsageError](err); ok {
		return u
	}
	u := Usagef("%s: %v", label, err).WithHint("--config none uses no file")
	u.cause = err
	return u
}

// FileUsage returns the usage error of a file that an option names. An error with a place in the
// file does not need the option as a label.
func FileUsage(label string, err error) *UsageError {
	if e, ok := errors.AsType[*yamlfile.Error](err); ok {
		return usageOf(e)
	}
	return Usagef("%s: %v", label, err)
}

// readConfigFile reads one file. It returns a usage error, or the error of a file that cannot be
// opened.
func readConfigFile(path string) (*yamlfile.File, error) {
	f, err := yamlfile.Read(path)
	if e, ok := errors.AsType[*yamlfile.Error](err); ok {
		return nil, &UsageError{Text: e.Error(), Help: cmp.Or(e.Help, configHint)}
	}
	return f, err
}

// configHint is the hint for a file that cannot be parsed.
const configHint = "'man 5 mqtools' has the form of the file"

// missing reports whether the file does not exist, or the user may not even look for it, as in
// another user's home directory.
func missing(path string, err error) bool {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return true
	case errors.Is(err, fs.ErrPermission):
		_, err = os.Lstat(path)
		return errors.Is(err, fs.ErrPermission)
	}
	return false
}

// usage returns a usage error at a node.
func (f ConfigFile) usage(n *yamlfile.Node, format string, args ...any) *UsageError {
	return usageOf(f.Errorf(n, format, args...))
}

// want returns the usage error of a node of the wrong kind.
func (f ConfigFile) want(n *yamlfile.Node, name, want string) *UsageError {
	return usageOf(f.Want(n, name, want))
}

// usageOf returns an error in a YAML file as a usage error.
func usageOf(e *yamlfile.Error) *UsageError { return &UsageError{Text: e.Error(), Help: e.Help} }

// Place returns the place of a node, path:line:column.
func (f ConfigFile) Place(n *yamlfile.Node) string {
	return (&yamlfile.Error{Path: f.Path, Line: n.Line, Column: n.Column}).Place()
}

// Check checks the whole file: every key, and every value, also in parts that are not in use. Part
// checks the options of the parts in use against the running tool.
func (f ConfigFile) Check() error {
	s := f.schema()
	err := s.ReadOr(f.File, f.Root, "", func(key *yamlfile.Node) error {
		u := usageOf(f.UnknownKey(key, s.Keys()...))
		if Table(All).Find("--"+key.Text) != nil {
			return u.WithHint("options go below %s:, the name of a tool, or a context", keyDefaults)
		}
		return u
	})
	if e, ok := errors.AsType[*yamlfile.Error](err); ok {
		return usageOf(e)
	}
	return err
}

// schema returns the keys of a file.
func (f ConfigFile) schema() yamlfile.Schema {
	part := func(key string, tools ToolSet, doc string) yamlfile.Field {
		return yamlfile.Func(key, "", func(n *yamlfile.Node) error {
			_, err := f.Part(n, key, tools, 0)
			return err
		}, doc)
	}
	s := yamlfile.Schema{part(keyDefaults, All, "options of all tools")}
	for _, t := range toolKeys {
		s = append(s, part(t.key, t.bit, "options of "+t.key))
	}
	return append(s,
		yamlfile.Func(KeyContexts, "", f.checkContexts, "mapping of names to the options of a context"),
		yamlfile.Func(KeyCurrent, "NAME", func(n *yamlfile.Node) error {
			if n.Kind != yamlfile.Scalar || n.Null || n.Text == "" {
				return f.Want(n, KeyCurrent, "the name of a context")
			}
			return nil
		}, "context to use by default"))
}

func (f ConfigFile) checkContexts(n *yamlfile.Node) error {
	if n.Null {
		return nil
	}
	if n.Kind != yamlfile.Mapping {
		return f.want(n, KeyContexts, "a mapping of names")
	}
	for _, e := range n.Entries {
		if why := CheckContextName(e.Key.Text); why != "" {
			return f.usage(e.Key, "%s: the name of a context %s", KeyContexts, why)
		}
		if _, err := f.Part(e.Value, ContextOption+" "+e.Key.Text, All, 0); err != nil {
			return err
		}
	}
	return nil
}

// CheckContextName returns the rule that the name of a context breaks, or "".
func CheckContextName(name string) string {
	if name == "" || len(name) > 64 {
		return "has 1 to 64 bytes"
	}
	if name == None {
		return "cannot be none, which means no context"
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || strings.IndexByte("._-@+/", c) < 0) {
			return "has only letters and digits and, after the first, . _ - @ + /"
		}
	}
	return ""
}

// Part reads the options of one part. tools are the tools that the part is for; it must not have
// options of other tools only. If running is not 0, Part returns the uses of the options of that
// tool, which must be valid for it. Otherwise it is enough that each option is valid for some
// tool.
func (f ConfigFile) Part(n *yamlfile.Node, name string, tools, running ToolSet) ([]Use, error) {
	if n.Null {
		return nil, nil
	}
	if n.Kind != yamlfile.Mapping {
		return nil, f.want(n, name, "a mapping")
	}
	table := Table(tools)
	var all []Use
	for _, e := range n.Entries {
		rows := table.rows(e.Key.Text)
		if len(rows) == 0 {
			return nil, f.unknownOption(table, e.Key)
		}
		if running != 0 {
			rows = slices.DeleteFunc(rows, func(o *Option) bool { return o.Tools&running == 0 })
			if len(rows) == 0 {
				continue
			}
		}
		uses, err := f.option(rows[0], e.Value)
		for _, o := range rows[1:] {
			if more, otherErr := f.option(o, e.Value); err != nil && otherErr == nil {
				uses, err = more, nil
			}
		}
		if err != nil {
			return nil, err
		}
		for i := range uses {
			uses[i].part = name
		}
		all = append(all, uses...)
	}
	return all, nil
}

// rows returns the options with a key: -t of mqpub is not that of mqsub.
func (t Options) rows(key string) []*Option {
	var rows []*Option
	for _, o := range t {
		if key != "" && o.Key() == key {
			rows = append(rows, o)
		}
	}
	return rows
}

func (f ConfigFile) unknownOption(table Options, key *yamlfile.Node) error {
	word := yamlfile.ShownKey(key.Text)
	if o := table.Find("--" + word); o != nil && o.Name == word && o.Key() == "" {
		return f.usage(key, "%s cannot stand in a configuration file", word)
	}
	if word != key.Text && len(table.rows(word)) > 0 {
		return usageOf(f.UnknownKey(key, word))
	}
	u := usageOf(f.UnknownKey(key))
	spelling := "--" + strings.ReplaceAll(word, "_", "-")
	if len(word) == 1 {
		spelling = "-" + word
	}
	o := table.Find(spelling)
	if o == nil {
		o = table.Find(suggest(table, spelling))
	}
	switch {
	case o != nil && o.Key() != "":
		return u.WithHint("did you mean %s?", o.Key())
	case len(Table(All).rows(word)) > 0:
		return u.WithHint("it is an option of another tool")
	}
	return u.WithHint("the keys are the long names of the options")
}

// option returns the uses of an option for the value of its key, and checks them.
func (f ConfigFile) option(o *Option, n *yamlfile.Node) ([]Use, error) {
	var uses []Use
	scratch := Value{Opt: o}
	add := func(n *yamlfile.Node, raw string) error {
		place := f.Place(n)
		uses = append(uses, Use{Opt: o, Raw: raw, Place: place})
		return scratch.Set(place+": "+o.Name, raw)
	}
	wants := o.wants()
	switch {
	case n.Kind == yamlfile.Mapping || n.Null:
		return nil, f.want(n, o.Name, wants)
	case o.Optional && n.Bool:
		if on, _ := parseBool(n.Text); !on {
			return nil, nil
		}
		return uses, add(n, "")
	case n.Kind == yamlfile.List && (len(n.Items) == 0 || !o.Repeat):
		return nil, f.want(n, o.Name, wants)
	}
	items := n.Items
	if n.Kind == yamlfile.Scalar || o.Type == TypeProperty && isWords(n) {
		items = []*yamlfile.Node{n}
	}
	for _, item := range items {
		raw := item.Text
		switch {
		case item.Kind == yamlfile.List && o.Type == TypeProperty:
			p, err := f.propertyWords(o, item)
			if err != nil {
				return nil, err
			}
			raw = p.Word()
		case item.Kind != yamlfile.Scalar || item.Null:
			return nil, f.want(item, o.Name, wants)
		case item.Bool && o.Type != TypeBool && o.Type != TypeChoice:
			return nil, f.want(item, o.Name, wants).WithHint("quotes make a text of it")
		}
		if err := add(item, raw); err != nil {
			return nil, err
		}
	}
	return uses, nil
}

// wants returns the kind of value that the option has, for the error of a node of another kind.
func (o *Option) wants() string {
	switch o.Type {
	case TypeBool:
		return "true or false"
	case TypeInt:
		return strings.TrimPrefix(o.wantNumber(nil).Error(), "want ")
	case TypeDuration, TypeSize:
		return "a " + o.what()
	case TypeChoice:
		return o.choiceWords()
	case TypeProperty:
		return o.Placeholder
	}
	return "a text"
}

// isWords reports whether a list is the words of one property: the first word is the packet's
// name, which has no space.
func isWords(n *yamlfile.Node) bool {
	return n.Kind == yamlfile.List && n.Items[0].Kind == yamlfile.Scalar && !strings.Contains(n.Items[0].Text, " ")
}

// propertyWords parses [CMD, PROP, VALUE] and [CMD, user-property, KEY, VALUE].
func (f ConfigFile) propertyWords(o *Option, n *yamlfile.Node) (Property, error) {
	words := make([]string, len(n.Items))
	for i, item := range n.Items {
		if item.Kind != yamlfile.Scalar || item.Null {
			return Property{}, f.want(item, o.Name, "a word")
		}
		words[i] = item.Text
	}
	if want := propertyLength(words); len(words) != want {
		return Property{}, f.usage(n, "%s: want %d words, not %d: %s", o.Name, want, len(words), o.Placeholder)
	}
	p, err := makeProperty(words...)
	if err != nil {
		return Property{}, o.Invalid(f.Place(n)+": "+o.Name, strings.Join(words, " "), err)
	}
	return p, nil
}
