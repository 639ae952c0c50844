package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/yamlfile"
)

var (
	contextForce = Option{Name: "force", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, AboutFile: true, Help: "replace a context of the same name"}
	contextNone  = Option{Name: none, Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, Help: "make no context the current one"}
	contextNames = Option{Name: "names", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, Help: "write the names alone"}
)

// contextVerbs are the words behind "context".
func contextVerbs() []Verb {
	return []Verb{
		{"add", "NAME OPTION...", "keep the options as context NAME; --force replaces one", []Option{contextForce}, true, 1, 1, false},
		{"list", "[--names]", "list the contexts and their brokers; * marks the current one, that of MQ_CONTEXT if set", []Option{contextNames}, false, 0, 0, false},
		{"use", "NAME|--none", "make NAME the current context, or none", []Option{contextNone}, false, 0, 1, true},
		{"show", "[NAME]", "show the options of a context, of the current one unless named", nil, false, 0, 1, true},
		{"remove", "NAME", "take a context out of the file", nil, false, 1, 1, true},
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
	var verb *Verb
	for _, v := range contextVerbs() {
		if len(words) > 0 && v.Word == words[0] {
			verb = &v
		}
	}
	table := verb.Table(tool.Bit)
	if verb != nil {
		words = words[1:]
	}
	p, err := parseWords(table, words)
	switch {
	case err != nil:
		return fail(err)
	case p.has("help"):
		return env.writePage(tool.Bit, contextHelp(tool), talk)
	case verb == nil && len(p.positional) == 0:
		return fail(Usagef("context: add, list, use, show or remove is missing"))
	case verb == nil:
		err := Usagef("context: unknown command %q", p.positional[0])
		if s := spelling.Nearest(p.positional[0], contextWords()); s != "" {
			return fail(err.WithHint("did you mean %s?", s))
		}
		return fail(err)
	case len(p.positional) < verb.Min:
		return fail(Usagef("context %s: the name of the context is missing", verb.Word))
	case len(p.positional) > verb.Max:
		return fail(Usagef("unexpected argument %q", p.positional[verb.Max]))
	}
	job := &contextJob{Invocation: &Invocation{Env: env, Talk: talk, Tool: &tool, Args: p.positional, dry: true}, uses: p.uses}
	if job.Values, err = decode(table, p.uses, 0, nil, nil); err != nil {
		return fail(err)
	}
	job.Talk = NewTalk(env.Stderr, tool.Name, job.Values.Bool("quiet"), false, UseColor(job.Values.String("color"), env.Lookup, env.StderrIsTerminal))
	talk = job.Talk
	// Another may write the file meanwhile, and with patience it is our turn.
	for range 100 {
		if err = job.run(verb.Word); !errors.Is(err, yamlfile.ErrChanged) {
			break
		}
	}
	if err != nil {
		return fail(err)
	}
	return ExitDone
}

// run reads the files and does the work.
func (j *contextJob) run(verb string) (err error) {
	if j.conf, err = readConfig(j.environment(), j.uses); err != nil {
		// The file that the first context goes into need not be there.
		if _, _, set := chosen(j.environment(), j.uses, configOption); verb != "add" || !set || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		j.conf = &config{}
	}
	for _, f := range j.conf.files {
		if err := f.check(); err != nil {
			return err
		}
	}
	switch verb {
	case "add":
		return j.add()
	case "list":
		return j.list()
	case "use":
		return j.use()
	case "show":
		return j.show()
	}
	return j.remove()
}

func contextWords() []string {
	var words []string
	for _, v := range contextVerbs() {
		words = append(words, v.Word)
	}
	return words
}

func contextHelp(tool Tool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s context COMMAND\nnamed sets of options in the configuration file, for %s --context NAME\n\n", tool.Name, tool.Name)
	for _, v := range contextVerbs() {
		writeColumns(&b, "  "+v.Word+" "+v.Usage, v.Text, helpColumn)
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
	if j.Tool.Resolve != nil {
		if _, _, err := j.Tool.Resolve(context.Background(), j.Invocation); err != nil {
			return err
		}
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

// errNotUTF8 is why a value cannot be kept in a context.
var errNotUTF8 = errors.New("want UTF-8 text to keep in a context")

// pairs turns the options given into lines of the file, and names the first
// secret among them.
func (j *contextJob) pairs() (pairs []yamlfile.Pair, secret string, err error) {
	at := map[*Option]int{}
	for _, use := range j.uses {
		o, raw := use.opt, use.raw
		switch {
		case o.AboutFile:
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

// list writes the contexts.
func (j *contextJob) list() error {
	var b strings.Builder
	current, _ := j.conf.inUse(j.environment(), nil)
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

// show writes the options of a context.
func (j *contextJob) show() error {
	var f configFile
	var e *yamlfile.Entry
	if len(j.Args) == 0 {
		current, from := j.conf.inUse(j.environment(), nil)
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
	path, label, set := chosen(j.environment(), j.uses, configOption)
	switch {
	case set && path == none:
		return configFile{}, Usagef("%s: contexts are in a file, and none is none", label)
	case !set:
		if path = j.environment().userConfig(); path == "" {
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

func (j *contextJob) save(f *yamlfile.File, private bool) error {
	if err := f.Write(private); err != nil {
		return Failed(ExitLocalIO, err)
	}
	for _, path := range j.exposed(&config{files: []configFile{{f, false}}}) {
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
