package option

import (
	"slices"
	"strings"
)

// allTopics is the topic that prints all of the help.
const allTopics = "all"

// groupTopic is a group and its topic word.
type groupTopic struct {
	group Group
	word  string
}

// groupTopics are the topic words of the groups, in the order of the help.
var groupTopics = [...]groupTopic{
	{GroupLoad, "load"},
	{GroupScale, "scale"},
	{GroupReport, "report"},
	{GroupCheck, "check"},
	{GroupKubernetes, "k8s"},
	{GroupPlay, "play"},
	{GroupMessage, "publish"},
	{GroupRequest, "request"},
	{GroupSubscribe, "subscribe"},
	{GroupFilter, "filter"},
	{GroupStop, "stop"},
	{GroupReply, "reply"},
	{GroupOutput, "output"},
	{GroupBroker, "broker"},
	{GroupAuth, "auth"},
	{GroupSession, "session"},
	{GroupRetry, "retry"},
	{GroupTLS, "tls"},
	{GroupWill, "will"},
	{GroupServe, "serve"},
	{GroupConfig, "config"},
	{GroupGeneral, "general"},
}

// isGroupTopic reports whether a word is the topic of a group of the tool, for any command.
func (t *Program) isGroupTopic(word string) bool {
	return slices.ContainsFunc(Table(t.Bit), func(o *Option) bool { return o.Group.word() == word })
}

// word returns the topic word of the group.
func (g Group) word() string {
	for _, t := range groupTopics {
		if t.group == g {
			return t.word
		}
	}
	return ""
}

// shown returns the options that the help shows: those that the command obeys, or without a
// command those of all commands.
func (t *Program) shown() Options {
	if t.Command != nil || !t.NeedsCommand {
		return t.obeyed(nil)
	}
	return slices.DeleteFunc(Table(t.Bit), func(o *Option) bool { return o.Hidden })
}

// groups returns the groups that have options in the help.
func (t *Program) groups() (all []groupTopic) {
	options := t.shown()
	for _, g := range groupTopics {
		if slices.ContainsFunc(options, func(o *Option) bool { return o.Group == g.group }) {
			all = append(all, g)
		}
	}
	return all
}

// textTopics are the topics without options, and the tools that have them.
var textTopics = [...]struct {
	word  string
	tools ToolSet
	write func(*helpPage)
}{
	{"format", PubSub, func(p *helpPage) { p.WriteString(formatTopic) }},
	{"exit", All, (*helpPage).exits},
	{"env", All, (*helpPage).variables},
	{"durations", All, func(p *helpPage) { p.WriteString(durationsTopic) }},
	{"mosquitto", All, (*helpPage).mosquitto},
}

// HelpTopics returns the topics of --help, "all" first.
func (t *Program) HelpTopics() []string {
	words := []string{allTopics}
	if t.Command != nil && t.Command.Bare {
		return words
	}
	for _, g := range t.groups() {
		words = append(words, g.word)
	}
	for _, topic := range textTopics {
		if topic.tools&t.Bit != 0 {
			words = append(words, topic.word)
		}
	}
	return words
}

// topic writes a topic, and reports whether there is one with that word.
func (p *helpPage) topic(word string) bool {
	for _, g := range p.tool.groups() {
		if g.word == word {
			p.examplesOf(p.tool.Topics[word])
			p.group(g.group)
			return true
		}
	}
	for _, topic := range textTopics {
		if topic.word == word && topic.tools&p.tool.Bit != 0 {
			p.examplesOf(p.tool.Topics[word])
			topic.write(p)
			return true
		}
	}
	return false
}

// variables writes the topic env.
func (p *helpPage) variables() {
	p.environment()
	var none []string
	for _, o := range p.tool.shown() {
		if o.Env() == "" {
			none = append(none, "--"+o.Name)
		}
	}
	p.WriteString("\n")
	p.paragraph("The variable of an option is MQ_ and its long name in capitals, with _ for each hyphen: --will-topic is MQ_WILL_TOPIC. "+
		"Switches take true and false, and options that can be repeated one value per line. An empty variable counts as not set. "+
		"These options have none: "+strings.Join(none, " ")+".", 2)
}

// mosquitto writes the topic mosquitto: the options that exist for users of its clients.
func (p *helpPage) mosquitto() {
	p.heading("Known from mosquitto, and ignored or refused here")
	for _, o := range Table(p.tool.Bit) {
		if o.Hidden {
			p.option(o, helpColumn)
		}
	}
	if p.tool.Bit&PubSub == 0 {
		return
	}
	p.WriteString("\n")
	p.paragraph("A link named mosquitto_pub, mosquitto_sub or mosquitto_rr acts as that program, and so does the tool with --compat as its first argument. "+
		"Differences: "+p.tool.Name+"(1); the way from mosquitto's options to ours: mqtools(7).", 2)
}

const formatTopic = `FORMAT is text with these parts (in full: mqsub(1), FORMAT):
  %t              topic
  %p              payload
  %x %X           payload in hexadecimal, lower or upper case
  %l              length of the payload
  %q %r           QoS; retain flag, 0 or 1
  %m              packet identifier
  %C              content type
  %R %D           response topic; correlation data
  %P              user properties, as name:value
  %E %F           message expiry interval; payload format indicator
  %S %A           subscription identifier; topic alias
  %f %d           payload of 4 or 8 bytes as a floating-point number
  %j %J           everything as JSON, the payload as text or as JSON
  %I %U           time of arrival: ISO 8601, or seconds since 1970
  @X              time of arrival as strftime writes %X; @N: nanoseconds
  %% @@ \\        the character itself
  \n \r \t \v \a \e \0  control characters
Flag (0 or -), width and precision stand after %: '%-20t %.2:x'
`

const durationsTopic = `A DURATION is seconds or has units: ns us ms s m h.
  5               five seconds
  1.5             a second and a half
  250ms           a quarter of a second
  1h30m           an hour and a half

A SIZE is bytes or has a unit: k M G (powers of 1024), kB MB GB (of 1000).
  64k             65536 bytes
  1MiB            1048576 bytes
`
