package option

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	helpWidth  = 80
	HelpColumn = 30 // where the sentences begin
)

// Help is the text of --help: the usage line, the options by group, the exit
// codes and the examples, at most 80 columns wide.
func Help(t *Program) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s %s\n", t.Name, t.Usage)
	if t.Summary != "" {
		b.WriteString(t.Summary + "\n")
	}
	if len(t.Commands) > 0 && t.Command == nil {
		b.WriteString("\nCommands (each has its --help):\n")
		for _, c := range t.Commands {
			WriteColumns(&b, "  "+c.Name, c.Summary, 14)
		}
	}
	var group Group
	for _, o := range t.obeyed(nil) {
		if o.Group != group {
			group = o.Group
			fmt.Fprintf(&b, "\n%s:\n", group)
		}
		WriteColumns(&b, "  "+helpSpelling(o), HelpSentence(o), HelpColumn)
	}
	b.WriteString("\n")
	WriteColumns(&b, "", "Every option but --help, --version, --completion, --show-config, --compat, -o, --ask-password and --hash-password has an environment variable: --host is MQ_HOST, "+
		"--will-topic is MQ_WILL_TOPIC; MQTT_URL stands in for MQ_URL. "+
		"The command line goes before an options file, that before the environment, "+
		"a context of the configuration file and its other parts (see '"+contextProgram(t.Name, t.Bit)+" context --help'). "+
		"A DURATION is seconds or has a unit: 5, 1.5, 250ms, 2m.", 0)
	b.WriteString("\nExit status:\n")
	for _, row := range t.Exits {
		WriteColumns(&b, fmt.Sprintf("  %3d", row.Code), row.Text, 7)
	}
	if len(t.Examples) > 0 {
		b.WriteString("\nExamples:\n")
		for _, e := range t.Examples {
			fmt.Fprintf(&b, "  %s\n", e.Command)
			WriteColumns(&b, "", e.Text, 6)
		}
	}
	return b.String()
}

// contextProgram is the tool that lists the contexts of a tool.
func contextProgram(tool string, bit ToolSet) string {
	if bit&PubSub == 0 {
		return "mqpub"
	}
	return tool
}

// helpSpelling is the left column: "-h, --host HOST".
func helpSpelling(o *Option) string {
	s := strings.Join(o.Spellings(), ", ")
	if o.Short == "" {
		s = "    " + s
	}
	switch {
	case o.Type == TypeBool:
		return s
	case o.Optional:
		return s + " [" + o.Placeholder + "]"
	}
	return s + " " + o.Placeholder
}

func HelpSentence(o *Option) string {
	if o.Default == "" || o.Default == "0" && o.Type == TypeDuration {
		return o.Help
	}
	return o.Help + " (default " + o.Default + ")"
}

// WriteColumns writes left and, from column on, text in lines of at most
// helpWidth columns.
func WriteColumns(b *strings.Builder, left, text string, column int) {
	at := utf8.RuneCountInString(left)
	b.WriteString(left)
	if at > 0 && at+2 > column {
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
