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
		fmt.Fprintf(&b, " %s : %s.\n", spelling, o.about(line.Table))
	}
	b.WriteString("\nThe long options that only mqtools has work too; its manual lists them.\n")
	return b.String()
}

// about returns the description of an option: that of our option with the same name, if
// there is one.
func (o *row) about(table option.Options) string {
	switch o.name {
	case "help":
		return "show this text"
	case "version":
		return "show the version"
	case "url":
		return "the broker and the topic as mqtt(s)://[username[:password]@]host[:port]/topic, or ws(s)://"
	case "property":
		return "a property: command, name and value, or command, user-property, name and value"
	case "quiet":
		return "print no errors of the run"
	case "debug":
		return "log every packet to standard output"
	case "pretty":
		return "write the JSON of -F indented"
	case "retain-as-published", "retain-handling":
		if table.Long("--"+o.name) == nil {
			return "accepted, and of no effect: retained messages are no responses"
		}
	case "options-file":
		return "read options from a file, one a line"
	case "skip-retained":
		return "leave out messages that were retained"
	case "max-inflight":
		return "the most QoS 1 and 2 messages on the way"
	}
	if ours := table.Long("--" + o.name); ours != nil {
		return ours.Help
	}
	return ""
}
