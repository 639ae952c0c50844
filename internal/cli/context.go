package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// contextCommand is one word after "context".
type contextCommand struct {
	word  string
	usage string
	text  string
	extra []Option // beside those of every command
	whole bool     // takes all options of the tool
	min   int      // positional words
	max   int
	names bool // they are contexts that there are
	run   func(*contextJob) error
}

var (
	contextForce = Option{Name: "force", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, Help: "replace a context of the same name"}
	contextNone  = Option{Name: none, Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, Help: "make no context the current one"}
	contextNames = Option{Name: "names", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, Help: "write the names alone"}
)

func contextCommands() []contextCommand {
	return []contextCommand{
		{"add", "NAME OPTION...", "keep the options as context NAME; --force replaces one", []Option{contextForce}, true, 1, 1, false, (*contextJob).add},
		{"list", "[--names]", "list the contexts and their brokers; * marks the current one, that of MQ_CONTEXT if set", []Option{contextNames}, false, 0, 0, false, (*contextJob).list},
		{"use", "NAME|--none", "make NAME the current context, or none", []Option{contextNone}, false, 0, 1, true, (*contextJob).use},
		{"show", "[NAME]", "show the options of a context, of the current one unless named", nil, false, 0, 1, true, (*contextJob).show},
		{"remove", "NAME", "take a context out of the file", nil, false, 1, 1, true, (*contextJob).remove},
	}
}

// contextJob is one run of a context command.
type contextJob struct {
	*Invocation
	uses []given
	conf *config
}

// runContext runs "TOOL context WORD ...".
func runContext(ctx context.Context, env Env, tool Tool, talk *Talk) int {
	tryHelp := "try '" + tool.Name + " context --help'"
	fail := func(err error) int {
		code, hint := CodeOf(ctx, err), ""
		if code == ExitUsage {
			hint = tryHelp
		}
		if tells(ctx, err) {
			talk.problem(err, hint)
		}
		return code
	}
	words := env.Args[1:]
	var command *contextCommand
	if len(words) > 0 {
		commands := contextCommands()
		for i := range commands {
			if commands[i].word == words[0] {
				command = &commands[i]
			}
		}
	}
	table := contextTable(tool.Bit, command)
	if command != nil {
		words = words[1:]
	}
	p, err := parseWords(table, words)
	switch {
	case err != nil:
		return fail(err)
	case p.has("help"):
		return env.writePage(tool.Bit, contextHelp(tool), talk)
	case command == nil && len(p.positional) == 0:
		return fail(Usagef("context: add, list, use, show or remove is missing"))
	case command == nil:
		err := Usagef("context: unknown command %q", p.positional[0])
		if s := spelling.Nearest(p.positional[0], contextWords()); s != "" {
			return fail(err.WithHint("did you mean %s?", s))
		}
		return fail(err)
	case len(p.positional) < command.min:
		return fail(Usagef("context %s: the name of the context is missing", command.word))
	case len(p.positional) > command.max:
		return fail(Usagef("unexpected argument %q", p.positional[command.max]))
	}
	job := &contextJob{Invocation: &Invocation{Env: env, Talk: talk, Tool: &tool, Args: p.positional, dry: true}, uses: p.uses}
	if job.Values, err = decode(table, p.uses, 0, nil, nil); err != nil {
		return fail(err)
	}
	job.Talk = NewTalk(env.Stderr, tool.Name, job.Values.Bool("quiet"), false, UseColor(job.Values.String("color"), env.Lookup, env.StderrIsTerminal))
	talk = job.Talk
	// Another may write the file meanwhile, and with patience it is our turn.
	for range 100 {
		if err = job.run(command); !errors.Is(err, yamlfile.ErrChanged) {
			break
		}
	}
	if err != nil {
		return fail(err)
	}
	return ExitDone
}

// run reads the files and does the work.
func (j *contextJob) run(command *contextCommand) (err error) {
	if j.conf, err = readConfig(&j.Env, j.uses); err != nil {
		// The file that the first context goes into need not be there.
		if _, _, set := chosen(&j.Env, j.uses, configOption); command.word != "add" || !set || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		j.conf = &config{}
	}
	for _, f := range j.conf.files {
		if err := f.check(); err != nil {
			return err
		}
	}
	return command.run(j)
}

// contextTable are the options of a context command.
func contextTable(bit ToolSet, command *contextCommand) Options {
	var table Options
	for _, o := range Table(bit) {
		switch o.Name {
		case configOption, "quiet", "color", "help":
			table = append(table, o)
		default:
			if command != nil && command.whole {
				table = append(table, o)
			}
		}
	}
	if command != nil {
		for i := range command.extra {
			table = append(table, &command.extra[i])
		}
	}
	return table
}

func contextWords() []string {
	var words []string
	for _, c := range contextCommands() {
		words = append(words, c.word)
	}
	return words
}

func contextHelp(tool Tool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s context COMMAND\nnamed sets of options in the configuration file, for %s --context NAME\n\n", tool.Name, tool.Name)
	for _, c := range contextCommands() {
		writeColumns(&b, "  "+c.word+" "+c.usage, c.text, helpColumn)
	}
	b.WriteString("\n")
	writeColumns(&b, "", "--config FILE is another configuration file. The manual page mqtools(5) has its form.", 0)
	return b.String()
}

// add keeps the options given as a context.
func (j *contextJob) add() error {
	name := j.Args[0]
	if why := checkContextName(name); why != "" {
		return Usagef("context add: %q: the name of a context %s", name, why)
	}
	pairs, secret, err := j.pairs()
	if err != nil {
		return err
	}
	if len(pairs) == 0 {
		return Usagef("context add: no options to keep").WithHint("e.g. '%s context add home -h broker.home -u me'", j.Tool.Name)
	}
	if _, err := j.Connection(context.Background()); err != nil {
		return err
	}
	f, err := j.own()
	if err != nil {
		return err
	}
	if e := f.Root.Get(keyContexts); e != nil && e.Value.Get(name) != nil && !j.Values.Bool("force") {
		return Usagef("%s: context %q is there already", f.place(e.Value.Get(name).Key), name).WithHint("--force replaces it")
	}
	edited, err := f.Put(keyContexts, name, pairs)
	if err != nil {
		return f.formError(err)
	}
	if err := j.save(edited, secret != ""); err != nil {
		return err
	}
	if secret != "" {
		j.Warnf("the file has a secret in plain text now, in %s; --password-file and --password-command keep a password out of it", secret)
	}
	j.Infof("context %q is in %s", name, f.Path)
	return nil
}

// aboutFile reports whether an option of context add says which file and how, and is
// not for the context.
func aboutFile(o *Option) bool {
	return o.Name == contextForce.Name || o.Name == configOption || o.Name == optionsFile
}

// obeys reports whether an option of the command's table has an effect on it: those
// that cannot be kept are in it for the error.
func (c *contextCommand) obeys(o *Option) bool {
	return !o.Hidden && (!c.whole || o.Key() != "" || aboutFile(o) || o.Name == "help")
}

// errNotUTF8 is why a value cannot be kept in a context.
var errNotUTF8 = errors.New("want UTF-8 text to keep in a context")

// pairs turns the options given into lines of the file, and names the first
// secret among them.
func (j *contextJob) pairs() (pairs []yamlfile.Pair, secret string, err error) {
	at := map[*Option]int{}
	for _, use := range j.uses {
		o, raw := use.opt, use.raw
		switch {
		case aboutFile(o):
			continue
		case o.Key() == "":
			return nil, "", Usagef("--%s cannot be kept in a context", o.Name)
		case !utf8.ValidString(raw):
			return nil, "", o.invalid("--"+o.Name, raw, errNotUTF8)
		}
		if o.HoldsSecret(raw) && secret == "" {
			secret = o.Name
		}
		if raw, err = o.absolute(raw); err != nil {
			return nil, "", err
		}
		if o.Optional && raw == "" {
			raw = o.Implied
		}
		pair := yamlfile.Pair{Key: o.Key(), Values: []string{raw}, Bare: o.Type == TypeBool}
		i, has := at[o]
		switch {
		case !has:
			at[o] = len(pairs)
			pairs = append(pairs, pair)
		case o.Repeat:
			pairs[i].Values = append(pairs[i].Values, raw)
		default:
			pairs[i] = pair
		}
	}
	for i := range pairs {
		pairs[i].List = len(pairs[i].Values) > 1
	}
	return pairs, secret, nil
}

// absolute is a value whose path means the same file in every directory. A name that
// begins with @ is that of an abstract socket, which is no file.
func (o *Option) absolute(raw string) (string, error) {
	switch {
	case o.Name == "url":
		t, err := transport.ParseURL(raw)
		if err != nil || t.Network != "unix" || strings.HasPrefix(t.Path, "@") || filepath.IsAbs(t.Path) {
			return raw, nil
		}
		t.Path, err = filepath.Abs(t.Path)
		return t.String(), err // which has no password: a relative path comes without a user
	case o.Name == "unix" && strings.HasPrefix(raw, "@"), raw == "-", o.Complete != CompleteFile && o.Complete != CompleteDir:
		return raw, nil
	}
	return filepath.Abs(raw)
}

// list writes the contexts.
func (j *contextJob) list() error {
	var b strings.Builder
	current, _ := j.conf.inUse(&j.Env, nil)
	width := 0
	for _, name := range j.conf.names() {
		width = max(width, len(name))
	}
	for _, name := range j.conf.names() {
		if j.Values.Bool(contextNames.Name) {
			b.WriteString(name + "\n")
			continue
		}
		mark := " "
		if name == current {
			mark = "*"
		}
		f, e := j.conf.context(name)
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("%s %-*s  %s", mark, width, name, f.broker(e.Value)), " "))
	}
	return j.write(b.String())
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

// show writes the options of a context.
func (j *contextJob) show() error {
	var f configFile
	var e *yamlfile.Entry
	if len(j.Args) == 0 {
		current, from := j.conf.inUse(&j.Env, nil)
		if current == "" || current == none {
			return Usagef("context show: no context is the current one").WithHint("name one, or choose it with '%s context use NAME'", j.Tool.Name)
		}
		if f, e = j.conf.context(current); e == nil {
			return j.conf.unknownContext(from, current)
		}
	} else if f, e = j.conf.context(j.Args[0]); e == nil {
		return j.conf.unknownContext("context show", j.Args[0])
	}
	uses, err := f.part(e.Value, contextOption+" "+e.Key.Text, All, 0)
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, use := range uses {
		if i > 0 && uses[i-1].opt == use.opt {
			continue
		}
		val := &value{opt: use.opt, origin: OriginContext, place: use.place}
		for _, more := range uses[i:] {
			if more.opt == use.opt {
				if err := val.set(more.place, more.raw); err != nil {
					return err
				}
			}
		}
		fmt.Fprintf(&b, "%-24s %-32s %s\n", use.opt.Name, val.shown(), use.place[:strings.LastIndexByte(use.place, ':')])
	}
	return j.write(b.String())
}

// use makes a context the current one.
func (j *contextJob) use() error {
	noContext := j.Values.Bool(contextNone.Name)
	if noContext == (len(j.Args) > 0) {
		return Usagef("context use needs the name of a context, or --none")
	}
	name := none
	if !noContext {
		name = j.Args[0]
		if _, e := j.conf.context(name); e == nil {
			return j.conf.unknownContext("context use", name)
		}
	}
	f, err := j.own()
	if err != nil {
		return err
	}
	var edited *yamlfile.File
	if name == none && !j.elsewhereCurrent(f) {
		edited, err = f.Unset(keyCurrent)
	} else {
		edited, err = f.Set(keyCurrent, name)
	}
	if err != nil {
		return f.formError(err)
	}
	return j.save(edited, false)
}

// elsewhereCurrent tells whether another file has a current context.
func (j *contextJob) elsewhereCurrent(own configFile) bool {
	for _, f := range j.conf.files {
		if f.Path != own.Path && f.Root.Get(keyCurrent) != nil {
			return true
		}
	}
	return false
}

// remove takes a context out.
func (j *contextJob) remove() error {
	name := j.Args[0]
	f, err := j.own()
	if err != nil {
		return err
	}
	if e := f.Root.Get(keyContexts); e == nil || e.Value.Get(name) == nil {
		if from, other := j.conf.context(name); other != nil {
			return Usagef("context remove: %q is in %s", name, from.place(other.Key)).WithHint("--config %s edits that file", from.Path)
		}
		return j.conf.unknownContext("context remove", name)
	}
	edited, err := f.Remove(keyContexts, name)
	if err != nil {
		return f.formError(err)
	}
	e := edited.Root.Get(keyCurrent)
	wasCurrent := e != nil && e.Value.Text == name
	if wasCurrent {
		if edited, err = edited.Unset(keyCurrent); err != nil {
			return f.formError(err)
		}
	}
	if err := j.save(edited, false); err != nil {
		return err
	}
	if wasCurrent {
		j.Infof("%q was the current context; there is none now", name)
	}
	return nil
}

// own is the file that is edited: that of --config or the user's, which may not
// be there yet.
func (j *contextJob) own() (configFile, error) {
	path, label, set := chosen(&j.Env, j.uses, configOption)
	switch {
	case set && path == none:
		return configFile{}, Usagef("%s: contexts are in a file, and none is none", label)
	case !set:
		if path = j.userConfig(); path == "" {
			return configFile{}, Usagef("there is no place for a configuration file").WithHint("set HOME, or name a file with --config")
		}
	}
	for _, f := range j.conf.files {
		if f.Path == path {
			return f, nil
		}
	}
	f, err := yamlfile.Parse(path, nil)
	return configFile{File: f}, err
}

// formError tells an edit that the form of the file does not allow.
func (f configFile) formError(err error) error {
	return Usagef("%s: %v", f.Path, err)
}

func (j *contextJob) save(f *yamlfile.File, private bool) error {
	if err := f.Write(private); err != nil {
		return Failed(ExitLocalIO, err)
	}
	for _, path := range (&config{files: []configFile{{f, false}}}).exposed(&j.Env) {
		j.warnExposed(j.Talk, path, "a secret", ownersOnly)
	}
	return nil
}

func (j *contextJob) write(text string) error {
	if err := j.CheckOutput(); err != nil {
		return err
	}
	if code := j.writePage(j.Tool.Bit, text, j.Talk); code != ExitDone {
		return Quietly(code)
	}
	return nil
}
