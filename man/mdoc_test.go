package man

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Man pages are written by hand, in mdoc. What they say about options and exit codes has
// one correct form, which the functions here render and check.

// manOptions returns the body of the OPTIONS section for a tool: a list for each group,
// each item in the one form that checkManPage accepts, followed by what the page says
// beyond the table.
func manOptions(tools option.ToolSet, beyond map[string]string) string {
	var b strings.Builder
	var group option.Group
	table := option.Table(tools)
	for _, o := range table {
		if o.Group != group {
			if group != "" {
				b.WriteString(".El\n")
			}
			group = o.Group
			fmt.Fprintf(&b, ".Ss %s\n.Bl -tag -width Ds\n", group)
		}
		fmt.Fprintf(&b, "%s\n%s\n", manItem(o), mdocText(sentence(option.HelpSentence(o))))
		b.WriteString(beyond[o.Name])
	}
	if group != "" {
		b.WriteString(".El\n")
	}
	return b.String()
}

// manBeyond returns what an OPTIONS section says about each option after the sentence of
// the table.
func manBeyond(section string, tools option.ToolSet) map[string]string {
	beyond := map[string]string{}
	table := option.Table(tools)
	name, at := "", 0
	for line := range strings.Lines(section) {
		switch words := strings.Fields(line); {
		case len(words) > 2 && words[0] == ".It" && words[1] == "Fl":
			name, at = "", 0
			if o := table.Find("-" + words[2]); o != nil {
				name = o.Name
			}
		case len(words) > 0 && (words[0] == ".Ss" || words[0] == ".El"):
			name = ""
		case name != "":
			if at++; at > 1 {
				beyond[name] += line
			}
		}
	}
	return beyond
}

// manExitStatus returns the body of the EXIT STATUS section for a tool.
func manExitStatus(tools option.ToolSet) string {
	var b strings.Builder
	b.WriteString(".Bl -tag -width Ds\n")
	for _, row := range option.ExitCodes(tools) {
		fmt.Fprintf(&b, ".It %d\n%s\n", row.Code, mdocText(sentence(row.Text)))
	}
	b.WriteString(".El\n")
	return b.String()
}

// manProperties returns the body of the PROPERTIES section of the tools that have
// --property: each property, the packets in which it may be set, and the form of its value.
func manProperties() string {
	var b strings.Builder
	b.WriteString(".Bl -column \"request-response-information\" \"connect disconnect\" \"name and text\"\n")
	for n := range 256 {
		id := packet.PropertyID(n)
		var words []string
		for i := range option.PropertyPackets {
			if p := &option.PropertyPackets[i]; p.Takes(id) {
				words = append(words, p.Word)
			}
		}
		if len(words) == len(option.PropertyPackets) {
			words = []string{"all"} // the row of six words is wider than a terminal
		}
		if len(words) > 0 {
			fmt.Fprintf(&b, ".It Cm %s Ta %s Ta %s\n", id, strings.Join(words, " "), manValue(id.Type()))
		}
	}
	b.WriteString(".El\n")
	return b.String()
}

// manValue describes the values of a type of properties.
func manValue(t packet.PropertyType) string {
	switch t {
	case packet.TypeBool:
		return "0 or 1"
	case packet.TypeString:
		return "text"
	case packet.TypeBinary:
		return "bytes"
	case packet.TypePair:
		return "name and text"
	}
	return "number"
}

// manItem returns the item line of an option:
//
//	.It Fl h , Fl -host Ar HOST
//	.It Fl -serve Op Ar ADDR
//	.It Fl D , Fl -property Ar CMD PROP Oo Ar KEY Oc Ar VALUE
func manItem(o *option.Option) string {
	var b strings.Builder
	b.WriteString(".It ")
	for i, s := range o.Spellings() {
		if i > 0 {
			b.WriteString(" , ")
		}
		b.WriteString("Fl " + s[1:])
	}
	switch {
	case o.Type == option.TypeBool:
		return b.String()
	case o.Optional:
		return b.String() + " Op Ar " + o.Placeholder
	}
	inArgument := false
	for _, word := range strings.Fields(o.Placeholder) {
		bare := strings.Trim(word, "[]")
		switch {
		case bare != word:
			b.WriteString(" Oo Ar " + bare + " Oc")
			inArgument = false
		case inArgument:
			b.WriteString(" " + word)
		default:
			b.WriteString(" Ar " + word)
			inArgument = true
		}
	}
	return b.String()
}

// sentence converts a lower-case phrase of a table to a sentence.
func sentence(s string) string {
	if c := s[0]; c >= 'a' && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
	return s + "."
}

// mdocText escapes what roff would interpret.
func mdocText(s string) string {
	s = strings.ReplaceAll(s, `\`, `\e`)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// checkManPage compares a man page in mdoc with the tables of a tool and returns one line
// for every disagreement: OPTIONS must have exactly one item for each option, with all of
// its spellings and its placeholder, and no item for an option that is not in the table;
// EXIT STATUS must have each code once and no other.
func checkManPage(page []byte, tools option.ToolSet) []string {
	var problems []string
	complain := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
	}
	table := option.Table(tools)
	optionAt, codeAt := map[*option.Option]int{}, map[int]int{}
	codes := map[int]bool{}
	for _, row := range option.ExitCodes(tools) {
		codes[row.Code] = true
	}
	section, number := "", 0
	for line := range strings.Lines(string(page)) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch {
		case words[0] == ".Sh":
			section = strings.Join(words[1:], " ")
		case words[0] != ".It" || len(words) < 2:
		case section == "OPTIONS" && words[1] == "Fl":
			if len(words) < 3 {
				complain(number, "item without an option")
				continue
			}
			o := table.Find("-" + words[2])
			got := strings.Join(words, " ")
			switch {
			case o == nil:
				complain(number, "-%s is not an option", words[2])
			case optionAt[o] != 0:
				complain(number, "%s is already on line %d", "--"+o.Name, optionAt[o])
			case got != manItem(o):
				optionAt[o] = number
				complain(number, "have %q, want %q", got, manItem(o))
			default:
				optionAt[o] = number
			}
		case section == "EXIT STATUS":
			code, err := strconv.Atoi(words[len(words)-1])
			switch {
			case err != nil:
				complain(number, "%q is no exit code", words[len(words)-1])
			case !codes[code]:
				complain(number, "exit code %d is not in the table", code)
			case codeAt[code] != 0:
				complain(number, "exit code %d is already on line %d", code, codeAt[code])
			default:
				codeAt[code] = number
			}
		}
	}
	for _, o := range table {
		if optionAt[o] == 0 {
			problems = append(problems, fmt.Sprintf("no item %q", manItem(o)))
		}
	}
	for _, row := range option.ExitCodes(tools) {
		if codeAt[row.Code] == 0 {
			problems = append(problems, fmt.Sprintf("exit code %d is missing", row.Code))
		}
	}
	return problems
}
