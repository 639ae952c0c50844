package mosquitto

import (
	"fmt"
	"strings"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// summary returns what a program does, and its usage.
func summary(in client) (text, usage string) {
	switch in {
	case pub:
		return "publishes a message to a topic and ends", "{[-h host] [-p port] [-u username] [-P password] -t topic | -L URL}\n           {-f file | -l | -n | -m message | -s} [options]"
	case sub:
		return "subscribes to topics and writes the messages", "{[-h host] [-p port] [-u username] [-P password] {-t topic}... | -L URL} [options]"
	}
	return "publishes a request and waits for a response", "{[-h host] [-p port] [-u username] [-P password] -t topic | -L URL}\n           -e response-topic {-f file | -n | -m message | -s} [options]"
}

// help returns the text of --help.
func help(line *cli.CommandLine, in client, name string) string {
	var b strings.Builder
	text, usage := summary(in)
	fmt.Fprintf(&b, "%s %s.\n%s\n\nUsage: %s %s\n       %s --help\n\n", name, text, versionLine(name), line.Name, usage, line.Name)
	for i := range options {
		o := &options[i]
		if o.in&in == 0 {
			continue
		}
		spelling := strings.Join(o.spellings(), ", ")
		if o.noun != "" {
			spelling += " " + strings.ReplaceAll(o.noun, " ", "-")
		}
		fmt.Fprintf(&b, " %s : %s.\n", spelling, o.description(line.Table))
	}
	b.WriteString("\nThe long options that only mqtools has work too; its manual lists them.\n")
	return b.String()
}

// description returns what the help says about an option. An option that only our other
// tool has is about retained messages.
func (o *row) description(table option.Options) string {
	if o.about != "" {
		return o.about
	}
	if ours := table.Long("--" + o.name); ours != nil {
		return ours.Help
	}
	return "accepted, and of no effect: retained messages are no responses"
}
