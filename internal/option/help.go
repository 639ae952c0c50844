package option

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/units"
)

const (
	helpWidth  = 80
	helpColumn = 30 // column of the descriptions
)

// AskedHelp reports whether a command line has --help, and returns its topic and the value
// of --color, or "". If so, it narrows the program to the command. Invalid words are
// ignored.
func (t *Program) AskedHelp(argv []string) (topic, color string, asked bool) {
	if !slices.ContainsFunc(argv, func(w string) bool { return strings.HasPrefix(w, "--help") }) {
		return "", "", false
	}
	argv = argv[t.Choose(argv):]
	n := normalizer{table: t.Table(), argv: argv}
	for n.next < len(n.argv) {
		_ = n.word()
	}
	for _, w := range n.out {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "--color":
			color = value
		case "--help":
			topic, asked = value, true
			if on, err := parseBool(value); err == nil {
				topic, asked = "", on
			}
		}
	}
	return topic, color, asked
}

// Help returns what --help prints, in lines of at most 80 columns: without a topic what
// fits on one screen, for "all" everything, for a topic its options or its text, and for
// the name of an option the details of it. If styled, headings and options are highlighted
// for a terminal. The error is that of an unknown topic.
func Help(t *Program, topic string, styled bool) (string, error) {
	command := slices.Contains(t.names(), topic) && (t.NeedsCommand || !slices.Contains(t.HelpTopics(), topic))
	if command {
		narrowed := *t
		narrowed.Choose([]string{topic})
		t, topic = &narrowed, ""
	}
	p := &helpPage{tool: t, form: t.Command.form(nil), styled: styled}
	switch {
	case t.Command != nil && t.Command.Bare && (topic == "" || topic == allTopics):
		p.bare()
		return p.String(), nil
	case topic == "" && p.brief():
		return p.String(), nil
	case topic == "" || topic == allTopics:
		p.all()
		return p.String(), nil
	case p.topic(topic):
		return p.String(), nil
	}
	table := Table(t.Bit)
	o := table.Find(topic)
	if o == nil && !t.isGroupTopic(topic) {
		o = table.Find("--" + topic)
	}
	switch {
	case o != nil && !t.Command.Obeys(o):
		return "", Usagef("--%s has no effect on %s", o.Name, t.Path)
	case o != nil:
		p.facts(o)
		return p.String(), nil
	}
	err := Usagef("unknown help topic %q", topic)
	topics := "topics: " + strings.Join(t.HelpTopics(), " ")
	if s := spelling.Nearest(topic, t.HelpTopics()); s != "" {
		return "", err.WithHint("did you mean %s? %s", s, topics)
	}
	if s := suggest(table, topic); s != "" && !t.isGroupTopic(topic) {
		return "", err.WithHint("did you mean --help=%s? %s", s, topics)
	}
	return "", err.WithHint("%s", topics)
}

// helpPage is a page of --help under construction.
type helpPage struct {
	strings.Builder
	tool   *Program
	form   Forms // of the command's plan; 0 is any
	styled bool
}

// Text styles on a terminal.
const (
	bold      = "\x1b[1m"
	underline = "\x1b[4m"
	plainText = "\x1b[0m"
)

// style returns text in a style, if the page is for a terminal.
func (p *helpPage) style(how, text string) string {
	if !p.styled || text == "" {
		return text
	}
	return how + text + plainText
}

// columns writes left in bold, and text starting at a column.
func (p *helpPage) columns(left, text string, column int) {
	p.row("  "+left, "  "+p.style(bold, left), text, column, 2)
}

// row writes left in the form shown, and text starting at a column, after at least gap
// blanks.
func (p *helpPage) row(left, shown, text string, column, gap int) {
	var b strings.Builder
	writeColumns(&b, left, text, column, gap)
	p.WriteString(shown + strings.TrimPrefix(b.String(), left))
}

// option writes the row of an option.
func (p *helpPage) option(o *Option, column int) {
	words := o.helpWords()
	shown := make([]string, len(words))
	for i, w := range words {
		if w[0] == '-' {
			shown[i] = p.style(bold, strings.TrimSuffix(w, ",")) + w[len(strings.TrimSuffix(w, ",")):]
		} else {
			shown[i] = p.style(underline, w)
		}
	}
	blank := "  "
	if o.Short == "" {
		blank = "      "
	}
	p.row(blank+strings.Join(words, " "), blank+strings.Join(shown, " "), o.sentence(p.tool.Bits(), p.form), column, 2)
}

// paragraph writes text starting at a column.
func (p *helpPage) paragraph(text string, column int) { p.row("", "", text, column, 0) }

func (p *helpPage) heading(text string) { p.WriteString(p.style(bold, text+":") + "\n") }

// head writes the summary and the usage of the program.
func (p *helpPage) head() {
	if p.tool.Summary != "" {
		p.row(p.tool.Invoked(), p.style(bold, p.tool.Invoked()), "- "+p.tool.Summary, utf8.RuneCountInString(p.tool.Invoked())+1, 1)
		p.WriteString("\n")
	}
	word := "Usage:"
	for usage := range strings.SplitSeq(p.tool.Usage, "\n") {
		left := word + " " + p.tool.Name
		p.row(left, p.style(bold, word)+" "+p.tool.Name, usage, len(left)+1, 1)
		word = "      "
	}
}

// examples writes an empty line and the examples of the tool.
func (p *helpPage) examples() {
	if len(p.tool.Examples) > 0 {
		p.WriteString("\n")
		p.list(p.tool.Examples)
	}
}

// examplesOf writes the examples of a topic and an empty line, unless there is a command,
// which has its own examples.
func (p *helpPage) examplesOf(examples []Example) {
	if len(examples) > 0 && p.tool.Command == nil {
		p.list(examples)
		p.WriteString("\n")
	}
}

// list writes examples, one line each if they all fit.
func (p *helpPage) list(examples []Example) {
	column, fits := 0, true
	for _, e := range examples {
		column = max(column, 4+utf8.RuneCountInString(e.Command))
	}
	for _, e := range examples {
		fits = fits && column+utf8.RuneCountInString(e.Text) <= helpWidth
	}
	p.heading("Examples")
	for _, e := range examples {
		if fits {
			p.row("  "+e.Command, "  "+e.Command, e.Text, column, 2)
			continue
		}
		p.WriteString("  " + e.Command + "\n")
		p.paragraph(e.Text, 6)
	}
}

// brief writes the help that fits on one screen, and reports whether there is one.
func (p *helpPage) brief() bool {
	names, sections := p.tool.Brief[p.tool.Path], p.tool.Overview
	if p.tool.Command != nil {
		sections = nil
	}
	if len(names)+len(sections) == 0 {
		return false
	}
	p.head()
	table := p.tool.Table()
	column := 0
	for _, name := range names {
		if n := utf8.RuneCountInString(table.Find("--"+name).helpSpelling()) + 4; n <= helpColumn {
			column = max(column, n)
		}
	}
	if len(names) > 0 {
		p.WriteString("\n")
	}
	for _, name := range names {
		p.option(table.Find("--"+name), column)
	}
	for i, s := range sections {
		if i == 0 {
			p.WriteString("\n")
		}
		title := s.Title
		for _, row := range s.Rows {
			left := fmt.Sprintf("%-9s %-12s", title, row[0])
			p.row(left, p.style(bold, fmt.Sprintf("%-9s", title))+" "+p.style(bold, row[0])+strings.Repeat(" ", max(0, 12-len(row[0]))), row[1], 23, 1)
			title = ""
		}
	}
	p.examples()
	p.WriteString("\n")
	p.paragraph(p.more(), 0)
	return true
}

// more returns the lines that point to the rest of the help.
func (p *helpPage) more() string {
	topics := p.tool.HelpTopics()[1:] // all comes first
	text := "More: " + p.tool.Invoked() + " --help all, or " + p.tool.Invoked() + " --help TOPIC. Topics: " + strings.Join(topics, " ") + ". "
	if p.tool.Bit&PubSub != 0 {
		if names := p.tool.names(); len(names) > 0 {
			text += "Commands: " + strings.Join(names, " ") + "; each has its --help. "
		}
		return text + "Manual: " + p.tool.Name + "(1); recipes: mqtools(7)."
	}
	return text + "Manual: " + p.tool.Name + "(1), " + p.tool.Name + "-scenario(5); recipes: mqtools(7)."
}

// all writes everything.
func (p *helpPage) all() {
	p.head()
	if len(p.tool.Commands) > 0 && p.tool.Command == nil {
		p.WriteString("\n")
		p.heading("Commands (each has its --help)")
		for _, c := range p.tool.Commands {
			p.columns(c.Name, c.Summary, 14)
		}
	}
	p.examples()
	for _, t := range p.tool.groups() {
		p.WriteString("\n")
		p.group(t.group)
	}
	p.WriteString("\n")
	p.environment()
	p.WriteString("\n")
	p.exits()
}

// group writes the options of a group that have an effect.
func (p *helpPage) group(g Group) {
	p.heading(string(g))
	for _, o := range p.tool.shown() {
		if o.Group == g {
			p.option(o, helpColumn)
		}
	}
}

// environment writes where options can be set.
func (p *helpPage) environment() {
	p.heading("Environment and precedence")
	p.paragraph("Options can also come from environment variables (--host is MQ_HOST; --url also MQTT_URL), an options file (-o), "+
		"and the configuration file (see '"+contextProgram(p.tool.Name, p.tool.Bit)+" context --help'). "+
		"Precedence, highest first: command line, options file, environment, context, configuration file. "+durations, 2)
}

// durations describes the format of durations.
const durations = "Durations are seconds or have a unit: 5, 1.5, 250ms, 2m."

// exits writes the table of exit codes.
func (p *helpPage) exits() {
	p.heading("Exit status")
	for _, row := range ExitCodes(p.tool.Bit) {
		p.columns(fmt.Sprintf("%3d", row.Code), row.Text, 7)
	}
}

// facts writes all that the table has about an option.
func (p *helpPage) facts(o *Option) {
	command := p.tool.Bits()
	p.option(o, helpColumn)
	fact := func(what, text string) {
		if text != "" {
			p.row("      "+what, "      "+what, text, helpColumn, 2)
		}
	}
	p.WriteString("\n")
	values := strings.Join(o.takes(command), ", ")
	switch {
	case o.Type == TypeBool:
		values = "none; --" + o.Name + "=false turns it off"
	case values != "":
	case o.Complete == CompleteFile:
		values = "file"
	case o.Complete == CompleteDir:
		values = "directory"
	case o.Type == TypeInt:
		values = "whole number, " + o.rangeText(plain)
	case o.Type == TypeSize:
		values = "bytes, e.g. 512, 64k or 1MiB; " + o.rangeText(plain)
	case o.Type == TypeDuration:
		values = "duration, e.g. 5, 250ms or 2m; " + o.rangeText(shortDuration)
		if len(o.DurationWords) > 0 {
			values += "; or " + o.DurationWords[0].Word
		}
	case o.Type == TypeProperty:
		values = "packet, property and value; mqpub(1) lists the properties"
	case o.Type == TypeEscaped:
		values = `text with the escapes \n \r \t \0 \\ and \xHH`
	case o.Type == TypeListen:
		values = "PORT, HOST:PORT, the path of a Unix socket, or a URL"
	case o.Name == "help":
		values = "the topics " + strings.Join(p.tool.HelpTopics(), ", ") + "; or an option"
	default:
		values = "text"
	}
	if o.Suffix != "" {
		values += "; or with " + o.Suffix + " behind it"
	}
	fact("value", values)
	for _, c := range o.Choices {
		if len(c.Also) > 0 && slices.Contains(o.takes(command), c.Value) {
			fact("", c.Value+" is also written "+strings.Join(c.Also, ", "))
		}
	}
	_, def := o.said(command, p.form)
	if p.tool.Command == nil {
		def = cmp.Or(def, o.perCommandDefaults(command))
	}
	fact("default", def)
	if o.Optional {
		fact("without value", o.Implied)
	}
	if o.Repeat {
		fact("repeatable", "yes")
	}
	if o.V5 {
		fact("needs", "MQTT 5")
	}
	table := Table(p.tool.Bit)
	for _, rel := range o.Needs {
		names := table.known(slices.Concat(rel.With, rel.Or))
		if c := p.tool.Command; len(names) > 0 && (c == nil || !slices.Contains(rel.With, c.Means)) {
			fact("needs", units.OrList(names...))
		}
	}
	if names := table.excluded(o); len(names) > 0 {
		fact("not with", strings.Join(names, ", "))
	}
	variable := o.Env()
	if variable != "" && o.EnvFallback != "" {
		variable += ", or " + o.EnvFallback
	}
	fact("variable", cmp.Or(variable, "none"))
	fact("key", cmp.Or(o.Key(), "none"))
	if o.Group != "" {
		fact("topic", o.Group.word())
	}
	p.WriteString("\n")
	p.paragraph("More: "+p.tool.Name+"(1).", 0)
}

// contextProgram returns the tool that lists the contexts of a tool.
func contextProgram(tool string, bit ToolSet) string {
	if bit&PubSub == 0 {
		return "mqpub"
	}
	return tool
}

// helpWords returns the words of the left column: "-h," "--host" "HOST".
func (o *Option) helpWords() []string {
	words := o.Spellings()
	for i := range words[:len(words)-1] {
		words[i] += ","
	}
	switch {
	case o.Type == TypeBool:
	case o.Optional:
		words = append(words, "["+o.Placeholder+"]")
	default:
		words = append(words, o.Placeholder)
	}
	return words
}

// helpSpelling returns the left column: "-h, --host HOST".
func (o *Option) helpSpelling() string {
	s := strings.Join(o.helpWords(), " ")
	if o.Short == "" {
		s = "    " + s
	}
	return s
}

// said returns the help and the default of the option for a command with a plan of a form;
// form 0 is all.
func (o *Option) said(c Commands, f Forms) (help, def string) {
	help, def = o.Help, o.Default
	if p := o.perCommand(c, f); p != nil {
		return cmp.Or(p.Help, help), cmp.Or(p.Default, def)
	}
	agreed, differ := "", false
	for _, p := range o.PerCommand {
		if f == 0 && p.For&c != 0 {
			differ = differ || agreed != "" && agreed != p.Default
			agreed = p.Default
		}
	}
	if agreed != "" && !differ {
		def = agreed
	}
	return help, def
}

// perCommand returns what differs for a command with a plan of a form, or nil.
func (o *Option) perCommand(c Commands, f Forms) *PerCommand {
	for i := range o.PerCommand {
		if p := &o.PerCommand[i]; p.For&c != 0 && (p.Forms == 0 || p.Forms&f != 0) {
			return p
		}
	}
	return nil
}

// text returns the help of the option for a command, without the default.
func (o *Option) text(c Commands, f Forms) string {
	help, _ := o.said(c, f)
	return o.fill(help, c)
}

// fill inserts the values that the option accepts into a text.
func (o *Option) fill(text string, c Commands) string {
	return strings.Replace(text, "{values}", units.OrList(o.takes(c)...), 1)
}

// sentence returns the help of the option for a command, with the default.
func (o *Option) sentence(c Commands, f Forms) string {
	help, def := o.said(c, f)
	if def == "0" && o.Type == TypeDuration {
		def = ""
	}
	return withDefault(o.fill(help, c), def)
}

// HelpSentence returns the help of the option with its default, or with those of the
// commands.
func HelpSentence(o *Option) string {
	text := o.sentence(0, 0)
	if def := o.perCommandDefaults(0); o.Default == "" && def != "" {
		if word, value, labeled := strings.Cut(def, ": "); labeled && word == commandWord(CommandVerify) {
			return text + " (" + word + ": default " + value + ")"
		}
		return withDefault(text, def)
	}
	return text
}

// perCommandDefaults lists the defaults that differ by command, for one command or, if c is
// 0, all.
func (o *Option) perCommandDefaults(c Commands) string {
	var all []string
	for _, p := range o.PerCommand {
		text := p.Default
		if p.Default == "" || c != 0 && p.For&c == 0 {
			continue
		}
		if p.For&CommandRun == 0 && c == 0 && len(o.commands()) != 1 {
			text = commandWord(p.For) + ": " + text
		}
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, "; ")
}

// commands returns the commands that obey the option, one by one.
func (o *Option) commands() (all []Commands) {
	of := o.For
	if of == 0 {
		of = commandsPlan
	}
	for c := CommandRun; c <= CommandPresets; c <<= 1 {
		if of&c != 0 {
			all = append(all, c)
		}
	}
	return all
}

// commandWord returns the name of a command that has its own defaults.
func commandWord(c Commands) string {
	return map[Commands]string{CommandVerify: "verify", CommandCalibrate: "calibrate", CommandSearch: "search"}[c]
}

// withDefault inserts a default into a sentence, before suffixes such as (repeatable).
func withDefault(text, def string) string {
	if def == "" {
		return text
	}
	at := len(text)
	for _, end := range [...]string{" (repeatable)", " (MQTT 5)", " (exit "} {
		if i := strings.Index(text, end); i >= 0 {
			at = min(at, i)
		}
	}
	return text[:at] + " (default " + def + ")" + text[at:]
}

// writeColumns writes left and then text, after at least gap blanks and starting at column,
// in lines of at most helpWidth columns.
func writeColumns(b *strings.Builder, left, text string, column, gap int) {
	at := utf8.RuneCountInString(left)
	b.WriteString(left)
	if at > 0 && at+gap > column {
		b.WriteString("\n")
		at = 0
	}
	lineEmpty := true
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if !lineEmpty && at+1+n > helpWidth {
			b.WriteString("\n")
			at, lineEmpty = 0, true
		}
		if lineEmpty {
			b.WriteString(strings.Repeat(" ", column-at))
			at = column
		} else {
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += n
		lineEmpty = false
	}
	b.WriteString("\n")
}

// bare writes the help of a command for the configuration file: its usage, and its commands
// or its options.
func (p *helpPage) bare() {
	p.head()
	p.WriteString("\n")
	for _, c := range p.tool.Commands {
		p.columns(strings.TrimSpace(c.Name+" "+c.Usage), c.Summary, helpColumn)
	}
	keeps := p.tool.Command.Keeps
	for _, o := range p.tool.Table() {
		if len(p.tool.Commands) == 0 && (keeps && o.AboutFile && o.Name != optionsFile || o.Name == "help" || !keeps && p.tool.Command.Obeys(o)) {
			p.option(o, helpColumn)
		}
	}
	p.WriteString("\n")
	if keeps {
		p.paragraph("OPTION is one of '"+p.tool.Name+" --help all' that can stand in a configuration file.", 0)
	}
	p.paragraph("A run uses one by --context NAME. --config FILE is another configuration file. The manual page mqtools(5) has its form.", 0)
}
