package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/yamlfile"
)

// contextCommand returns the command "TOOL context WORD ...", which stores options in a
// configuration file or works on those stored there.
func contextCommand() Command {
	about := []string{option.ConfigOption, "quiet", "color", "help"}
	verb := func(c option.Command, run func(*contextJob) error) Command {
		c.Bare = true
		if !c.Keeps {
			c.Only = about
		}
		return Command{Command: c, Run: func(_ context.Context, inv *Invocation) error { return runContext(inv, run) }}
	}
	return Command{
		Command: option.Command{
			Name: option.ContextOption, Usage: "COMMAND", Bare: true, Only: []string{"help"},
			Summary: "named sets of options in the configuration file",
		},
		Commands: []Command{
			verb(option.Command{Name: "add", Usage: "NAME OPTION...", Summary: "keep the options as context NAME; --force replaces one", Own: option.ContextForce, Keeps: true, MaxArgs: 1}, (*contextJob).add),
			verb(option.Command{Name: "list", Usage: "[--names]", Summary: "list the contexts and their brokers; * marks the current one, that of MQ_CONTEXT if set", Own: option.ContextNames}, (*contextJob).list),
			verb(option.Command{Name: "use", Usage: "NAME|--none", Summary: "make NAME the current context, or none", Own: option.ContextNone, MaxArgs: 1, Contexts: true}, (*contextJob).use),
			verb(option.Command{Name: "show", Usage: "[NAME]", Summary: "show the options of a context (default: the current one)", MaxArgs: 1, Contexts: true}, (*contextJob).show),
			verb(option.Command{Name: "remove", Usage: "NAME", Summary: "delete a context from the file", MaxArgs: 1, Contexts: true}, (*contextJob).remove),
		},
	}
}

// contextJob is one run of a context command.
type contextJob struct {
	*Invocation
	conf *option.Config
}

// runContext runs one of the context commands.
func runContext(inv *Invocation, run func(*contextJob) error) (err error) {
	job := &contextJob{Invocation: inv}
	// Another process may write the file at the same time, so try again until it is free.
	for range 100 {
		if err = job.read(); err == nil {
			err = run(job)
		}
		if !errors.Is(err, yamlfile.ErrChanged) {
			break
		}
	}
	return err
}

// read reads the configuration files.
func (j *contextJob) read() (err error) {
	if j.conf, err = option.ReadConfig(j.environment(), j.uses); err != nil {
		// The file that the first context is written to need not exist.
		if _, _, set := option.Chosen(j.environment(), j.uses, option.ConfigOption); !j.Tool.Command.Keeps || !set || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		j.conf = &option.Config{}
	}
	for _, f := range j.conf.Files {
		if err := f.Check(); err != nil {
			return err
		}
	}
	return nil
}

// name returns the name of the context, which the line must have.
func (j *contextJob) name() (string, error) {
	if len(j.Args) == 0 {
		return "", option.Usagef("%s: the name of the context is missing", j.Tool.Path)
	}
	return j.Args[0], nil
}

// add stores the options of the line as a context.
func (j *contextJob) add() error {
	name, err := j.name()
	if err != nil {
		return err
	}
	if why := option.CheckContextName(name); why != "" {
		return option.Usagef("context add: %q: the name of a context %s", name, why)
	}
	pairs, secret, err := j.pairs()
	if err != nil {
		return err
	}
	if len(pairs) == 0 {
		return option.Usagef("context add: no options to keep").WithHint("e.g. '%s context add home -h broker.home -u me'", j.Tool.Name)
	}
	if err := j.relate(option.Table(j.Tool.Bit), option.ForContext); err != nil {
		return err
	}
	if j.Tool.Resolve != nil {
		if _, _, err := j.Tool.Resolve(context.Background(), j.Invocation); err != nil {
			return err
		}
	}
	f, err := j.own()
	if err != nil {
		return err
	}
	if e := f.Context(name); e != nil && !j.Values.Force.On() {
		return option.Usagef("%s: context %q already exists", f.Place(e.Key), name).WithHint("--force replaces it")
	}
	edited, err := f.Put(option.KeyContexts, name, pairs)
	if err := j.save(f, edited, err, secret != ""); err != nil {
		return err
	}
	if secret != "" {
		j.Warnf("the file has a secret in plain text now, in %s; --password-file and --password-command keep a password out of it", secret)
	}
	j.Infof("context %q is in %s", name, f.Path)
	return nil
}

// errNotUTF8 is the reason why a value cannot be stored in a context.
var errNotUTF8 = errors.New("want UTF-8 text to keep in a context")

// pairs converts the options of the line to lines of the file, and returns the name of the
// first secret among them.
func (j *contextJob) pairs() (pairs []yamlfile.Pair, secret string, err error) {
	for _, use := range j.uses {
		o, raw := use.Opt, use.Raw
		switch {
		case o.AboutFile:
			continue
		case !utf8.ValidString(raw):
			return nil, "", o.Invalid("--"+o.Name, raw, errNotUTF8)
		}
		if o.HoldsSecret(raw) && secret == "" {
			secret = o.Name
		}
		if raw, err = o.Absolute(raw); err != nil {
			return nil, "", err
		}
		if o.Optional && raw == "" {
			raw = o.Implied
		}
		i := slices.IndexFunc(pairs, func(p yamlfile.Pair) bool { return p.Key == o.Key() })
		switch {
		case i < 0:
			pairs = append(pairs, yamlfile.Pair{Key: o.Key(), Values: []string{raw}, Bare: o.Type == option.TypeBool})
		case o.Repeat:
			pairs[i].Values, pairs[i].List = append(pairs[i].Values, raw), true
		default:
			pairs[i].Values[0] = raw
		}
	}
	return pairs, secret, nil
}

// list prints the contexts.
func (j *contextJob) list() error {
	var b strings.Builder
	current, _ := j.conf.InUse(j.environment(), nil)
	width := 0
	for _, name := range j.conf.Names() {
		width = max(width, len(name))
	}
	for _, name := range j.conf.Names() {
		if j.Values.Names.On() {
			b.WriteString(name + "\n")
			continue
		}
		mark := " "
		if name == current {
			mark = "*"
		}
		f, e := j.conf.Context(name)
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("%s %-*s  %s", mark, width, name, f.Broker(e.Value)), " "))
	}
	return j.write(b.String())
}

// show prints the options of a context.
func (j *contextJob) show() error {
	name, from := j.conf.InUse(j.environment(), nil)
	if len(j.Args) > 0 {
		name, from = j.Args[0], "context show"
	} else if name == "" || name == option.None {
		return option.Usagef("context show: no context is the current one").WithHint("name one, or choose it with '%s context use NAME'", j.Tool.Name)
	}
	f, e := j.conf.Context(name)
	if e == nil {
		return j.conf.UnknownContext(from, name)
	}
	uses, err := f.Part(e.Value, option.ContextOption+" "+e.Key.Text, option.All, 0)
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, use := range uses {
		if i > 0 && uses[i-1].Opt == use.Opt {
			continue
		}
		shown, err := option.Shown(use.Opt, uses[i:])
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%-24s %-32s %s\n", use.Opt.Name, shown, use.Place[:strings.LastIndexByte(use.Place, ':')])
	}
	return j.write(b.String())
}

// use makes a context the current one.
func (j *contextJob) use() error {
	noContext := j.Values.None.On()
	if noContext == (len(j.Args) > 0) {
		return option.Usagef("context use needs the name of a context, or --none")
	}
	name := option.None
	if !noContext {
		name = j.Args[0]
		if _, e := j.conf.Context(name); e == nil {
			return j.conf.UnknownContext("context use", name)
		}
	}
	f, err := j.own()
	if err != nil {
		return err
	}
	elsewhere := slices.ContainsFunc(j.conf.Files, func(other option.ConfigFile) bool {
		return other.Path != f.Path && other.Root.Get(option.KeyCurrent) != nil
	})
	var edited *yamlfile.File
	if name == option.None && !elsewhere {
		edited, err = f.Unset(option.KeyCurrent)
	} else {
		edited, err = f.Set(option.KeyCurrent, name)
	}
	return j.save(f, edited, err, false)
}

// remove deletes a context.
func (j *contextJob) remove() error {
	name, err := j.name()
	if err != nil {
		return err
	}
	f, err := j.own()
	if err != nil {
		return err
	}
	if f.Context(name) == nil {
		if from, other := j.conf.Context(name); other != nil {
			return option.Usagef("context remove: %q is in %s", name, from.Place(other.Key)).WithHint("--config %s edits that file", from.Path)
		}
		return j.conf.UnknownContext("context remove", name)
	}
	e := f.Root.Get(option.KeyCurrent)
	wasCurrent := e != nil && e.Value.Text == name
	edited, err := f.Remove(option.KeyContexts, name)
	if err == nil && wasCurrent {
		edited, err = edited.Unset(option.KeyCurrent)
	}
	err = j.save(f, edited, err, false)
	if err == nil && wasCurrent {
		j.Infof("%q was the current context; there is none now", name)
	}
	return err
}

// own returns the file to edit: that of --config or the user's, which may not exist yet.
func (j *contextJob) own() (option.ConfigFile, error) {
	path, label, set := option.Chosen(j.environment(), j.uses, option.ConfigOption)
	switch {
	case set && path == option.None:
		return option.ConfigFile{}, option.Usagef("%s: contexts need a configuration file", label)
	case !set:
		if path = j.environment().UserConfig(); path == "" {
			return option.ConfigFile{}, option.Usagef("there is no place for a configuration file").WithHint("set HOME, or name a file with --config")
		}
	}
	for _, f := range j.conf.Files {
		if f.Path == path {
			return f, nil
		}
	}
	f, err := yamlfile.Parse(path, nil)
	return option.ConfigFile{File: f}, err
}

// save writes the result of an edit of a file.
func (j *contextJob) save(f option.ConfigFile, edited *yamlfile.File, err error, private bool) error {
	if err != nil {
		return option.Usagef("%s: %v", f.Path, err) // its form does not allow the edit
	}
	if err := edited.Write(private); err != nil {
		return Failed(option.ExitLocalIO, err)
	}
	for _, path := range j.exposed(&option.Config{Files: []option.ConfigFile{{File: edited}}}) {
		j.WarnExposed(j.Talk, path, "a secret", OwnersOnly)
	}
	return nil
}

func (j *contextJob) write(text string) error {
	if err := j.CheckOutput(); err != nil {
		return err
	}
	return j.page(text)
}
