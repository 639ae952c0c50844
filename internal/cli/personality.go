package cli

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Personality lets a tool stand in for another program: that one's command
// line, words and exit codes over the tool's own work. A tool takes it when it
// is invoked by the other program's name, through a link, or when the first
// word is --compat.
type Personality struct {
	Name string // of the program, and of the link: mosquitto_sub
	Flag string // what --compat calls it beside that: mosquitto

	Habits

	// Read reads the command line and puts what it says into it by Use. It
	// returns what to write instead of running the tool, or nil.
	Read func(c *CommandLine) *Page
	// Verdict gives the end of the tool, err with the exit code that it has
	// natively, the other program's words, a whole line or "" for the usual
	// one, and its exit code.
	Verdict func(inv *Invocation, err error, native int) (line string, code int)
	// Trace makes what tells every packet on w, standard output, for --debug.
	Trace func(w io.Writer) func(sent bool, f packet.Frame, v packet.Version)
}

// Habits are what a tool itself does in another way.
type Habits struct {
	// A signal or the end of the time makes the broker publish the will; a
	// signal is then a good end.
	WillAtEnd bool
	// Empty standard input is no message, but an error.
	NeedsInput bool
	// A request carries no correlation data of its own making, and a reply
	// without any is one. Latencies go to standard output.
	PlainRequest bool
	// A retained message may be a reply.
	RetainedReplies bool
	// --pretty is about the JSON of --format.
	PrettyFormat bool
}

// Page is what a program writes that then ends.
type Page struct {
	Out, Err string
	Code     int
}

// CommandLine is what a Personality reads.
type CommandLine struct {
	Name  string         // what the program is called in its messages
	Args  []string       // the words
	Env   *Env           // the tool's
	Table option.Options // of the tool
	Quiet bool           // errors of the run are not told
	Debug bool           // packets are told

	RetainedReplies bool // the habit of that name, which is then that of the run

	uses []option.Use
}

// Use sets an option of the tool to a value; true and false are a switch's.
// place is the path:line of a file, or "".
func (c *CommandLine) Use(name, value, place string) {
	i := slices.IndexFunc(c.Table, func(o *option.Option) bool { return o.Name == name })
	c.uses = append(c.uses, option.Use{Opt: c.Table[i], Raw: value, Place: place})
}

// UseProperty adds a use of --property.
func (c *CommandLine) UseProperty(p option.Property, place string) {
	c.Use("property", p.Word(), place)
}

// Read reads words in the tool's own grammar, as those of one more option.
func (c *CommandLine) Read(words []string, place string) error {
	uses, err := option.ReadOption(c.Table, words)
	for _, use := range uses {
		use.Place = place
		c.uses = append(c.uses, use)
	}
	return err
}

// personality finds out whether the tool is to stand in for another program,
// takes the words that say so off args, and tells what the program is called.
func (t *Tool) personality(env *Env) (p *Personality, name string) {
	base := strings.TrimSuffix(filepath.Base(env.Name), ".exe")
	for i := range t.Personalities {
		if p := &t.Personalities[i]; p.Name == base {
			return p, base
		}
	}
	if len(env.Args) == 0 {
		return nil, ""
	}
	flag, used := strings.CutPrefix(env.Args[0], "--"+option.Compat+"=")
	if !used && (env.Args[0] != "--"+option.Compat || len(env.Args) < 2) {
		return nil, ""
	}
	rest := env.Args[1:]
	if !used {
		flag, rest = env.Args[1], env.Args[2:]
	}
	for i := range t.Personalities {
		if p := &t.Personalities[i]; p.Flag == flag || p.Name == flag {
			env.Args = rest
			return p, t.Name + " --" + option.Compat + " " + flag
		}
	}
	return nil, ""
}

// runAs runs a tool in place of another program.
func runAs(ctx context.Context, env Env, tool Tool, p *Personality, name string) int {
	env.streams()
	c := &CommandLine{Name: name, Args: env.Args, Env: &env, Table: option.Table(tool.Bit)}
	if page := p.Read(c); page != nil {
		env.CatchNow()
		_, _ = io.WriteString(env.Stderr, page.Err)
		if _, err := io.WriteString(env.Stdout, page.Out); err != nil {
			return 1
		}
		return page.Code
	}
	if c.RetainedReplies {
		own := *p
		own.RetainedReplies = true
		p = &own
	}
	lookup := env.Lookup
	env.Lookup = nil // the other program knows nothing of ours, nor of a proxy's
	inv := &Invocation{Env: env, Tool: &tool, As: p}
	inv.Talk = NewTalk(env.Stderr, name, c.Quiet, false, false)
	inv.errorWord, inv.warningWord, inv.mute = "Error: ", "", c.Quiet
	if c.Debug {
		inv.Trace = p.Trace(env.Stdout)
	}
	var err error
	if inv.Values, err = option.Decode(c.Table, c.uses, nil, secretsOnly(c, lookup), nil); err == nil {
		err = inv.relate(c.Table, option.ForOther)
	}
	if err == nil {
		if inv.Values.ShowConfig.On() {
			if err = inv.page(option.ShowConfig(inv.Values, c.Table, nil, nil)); tells(ctx, err) {
				inv.problem(err, "")
			}
			return CodeOf(ctx, err)
		}
		inv.endInTime(ctx)
		err = inv.run(ctx)
	}
	line, code := p.Verdict(inv, err, CodeOf(ctx, err))
	_, wrong := errors.AsType[*option.UsageError](err)
	switch {
	case !tells(ctx, err) || c.Quiet && !wrong:
	case wrong: // is told all the same
		_, _ = io.WriteString(env.Stderr, "Error: "+format.Escape(err.Error())+"\n\n")
		if hint := HintOf(err); hint != "" {
			_, _ = io.WriteString(env.Stderr, format.Escape(hint)+"\n")
		}
		_, _ = io.WriteString(env.Stderr, "Use '"+name+" --help' to see usage.\n")
	case line != "":
		_, _ = io.WriteString(env.Stderr, format.Escape(line)+"\n")
	default:
		inv.problem(err, "")
	}
	return code
}

// secretsOnly lets the password come from the environment, where a user name
// is given and no password.
func secretsOnly(c *CommandLine, lookup option.LookupFunc) option.LookupFunc {
	user, password := false, false
	for _, use := range c.uses {
		user = user || use.Opt.Name == "username"
		password = password || slices.Contains(option.PasswordSources[:], use.Opt.Name)
	}
	if lookup == nil || !user || password {
		return nil
	}
	return func(name string) (string, bool) {
		if name != "MQ_PASSWORD" && name != "MQ_PASSWORD_FILE" && name != "MQ_PASSWORD_COMMAND" {
			return "", false
		}
		return lookup(name)
	}
}

// Given reports whether the words have used an option of the tool.
func (c *CommandLine) Given(name string) bool {
	return slices.ContainsFunc(c.uses, func(u option.Use) bool { return u.Opt.Name == name })
}
