package option

import (
	"slices"
	"strconv"
	"strings"
)

// Normalize turns the words after the program's name into the one form that urfave/cli and
// package flag read without surprises: every option as --name or --name=value under its
// canonical name, in order, and then, if there are positional words, "--" and those words.
// It reads no environment and checks no values, so its result depends on the arguments
// only, and it returns its own output unchanged.
//
// It accepts:
//
//   - every spelling of an option, as -t a, --topic a, --topic=a;
//   - a value that begins with a hyphen: -m -x sends "-x", -t -- has topic "--";
//   - bundles of one-letter switches, the last of which may have a value: -vd, -vt a/b;
//   - a value attached to its letter, -q1 or -ta/b, unless the word could mean something
//     else: it is a long name with a hyphen missing (-topic), the letter is followed by =,
//     a number is wanted and the text does not start like one (-pwd), or all letters of the
//     value are options themselves (-td);
//   - options after positional words; everything after "--" is positional;
//   - -D CMD PROP VALUE and -D CMD user-property KEY VALUE;
//   - an optional value (--serve) as --serve=ADDR, or as the next word if that is all
//     digits or has a colon and does not begin with a hyphen; that of --help as any next
//     word that does not begin with a hyphen.
//
// The error is a *UsageError. It never repeats the attached value of a secret option.
func Normalize(table Options, argv []string) ([]string, error) { return normalize(nil, table, argv) }

// normalize is Normalize for the words after a command, which may be nil.
func normalize(command *Command, table Options, argv []string) ([]string, error) {
	n := normalizer{command: command, table: table, argv: argv}
	n.out = make([]string, 0, len(argv)+1)
	for n.next < len(n.argv) {
		if err := n.word(); err != nil {
			return nil, err
		}
	}
	if len(n.positional) > 0 {
		n.out = append(append(n.out, "--"), n.positional...)
	}
	return n.out, nil
}

type normalizer struct {
	command    *Command // whose options are suggested; nil: all options
	table      Options
	argv       []string
	next       int // index in argv of the next word
	out        []string
	positional []string

	ended bool     // "--" was read
	wants *Option  // the option whose value is missing at the end of argv
	may   *Option  // the same for an optional value
	begun []string // the words already read after --property
}

// word reads the next word and the words that belong to it.
func (n *normalizer) word() *UsageError {
	w := n.argv[n.next]
	n.next++
	switch {
	case w == "--":
		if len(n.positional) > 0 && slices.ContainsFunc(n.out, func(w string) bool { o := n.table.Find(w); return o != nil && o.Rest }) {
			return Usagef("unexpected argument %q before --", n.positional[0])
		}
		n.positional = append(n.positional, n.argv[n.next:]...)
		n.next, n.ended = len(n.argv), true
	case len(w) < 2 || w[0] != '-':
		n.positional = append(n.positional, w)
	case strings.HasPrefix(w, "--"):
		return n.long(w)
	default:
		return n.short(w)
	}
	return nil
}

// long handles --name and --name=value.
func (n *normalizer) long(w string) *UsageError {
	name, value, attached := strings.Cut(w, "=")
	o := n.table.Find(name)
	if o == nil {
		return n.unknown(name)
	}
	if !attached {
		return n.option(o, name)
	}
	switch o.Type {
	case TypeBool:
		on, err := parseBool(value)
		if err != nil {
			return o.Invalid("--"+o.Name, value, err)
		}
		if on {
			n.out = append(n.out, "--"+o.Name)
		} else {
			n.out = append(n.out, "--"+o.Name+"=false")
		}
	case TypeProperty:
		p, err := parseProperty(value)
		if err != nil {
			return o.Invalid("--"+o.Name, value, err)
		}
		n.emit(o, p.Word())
	default:
		n.emit(o, value)
	}
	return nil
}

// short handles -x, -xVALUE and bundles such as -xyz.
func (n *normalizer) short(w string) *UsageError {
	letters := w[1:]
	if len(letters) > 1 {
		name, _, _ := strings.Cut(letters, "=")
		if long := "--" + name; len(name) > 1 && n.table.Find(long) != nil {
			return Usagef("unknown option %q", "-"+name).WithHint("did you mean %s?", long)
		}
	}
	for i := 0; i < len(letters); i++ {
		spelling := "-" + letters[i:i+1]
		o := n.table.Find(spelling)
		if o == nil {
			if i == 0 {
				return n.unknown(n.shown(w))
			}
			return Usagef("unknown option %q in %q", spelling, n.shown(w))
		}
		rest := letters[i+1:]
		if rest == "" {
			return n.option(o, spelling)
		}
		if o.Type == TypeBool {
			if rest[0] == '=' {
				return Usagef("%s takes no value in %q", spelling, w).
					WithHint("write --%s=false to turn it off", o.Name)
			}
			n.out = append(n.out, "--"+o.Name)
			continue
		}
		if o.numeric() && !strings.ContainsRune("-=0123456789", rune(rest[0])) {
			return n.unknown(n.shown(w)) // -pwd does not set a port
		}
		return n.attached(o, spelling, rest)
	}
	return nil
}

// attached handles an attached value, as in -q1.
func (n *normalizer) attached(o *Option, spelling, value string) *UsageError {
	word := strconv.Quote(spelling + value)
	if o.Secret {
		word = spelling + " with its value attached"
	}
	if o.Type == TypeProperty {
		return Usagef("%s needs its words separate: %s", spelling, o.Placeholder)
	}
	noOption := func(letter rune) bool { return n.table.Find("-"+string(letter)) == nil }
	// -q1 is unambiguous although -0 is an option: a number is a value.
	if value[0] == '=' || !allDigits(value) && !strings.ContainsFunc(value, noOption) {
		return Usagef("%s is ambiguous", word).WithHint("write %s %s or --%s=%s", spelling, o.Placeholder, o.Name, o.Placeholder)
	}
	n.emit(o, value)
	return nil
}

// option handles an option without an attached value; it consumes as many words as the
// option needs.
func (n *normalizer) option(o *Option, spelling string) *UsageError {
	switch {
	case o.Type == TypeBool:
		n.out = append(n.out, "--"+o.Name)
	case o.Type == TypeProperty:
		return n.property(o, spelling)
	case n.next == len(n.argv) && !o.Optional:
		n.wants = o
		return Usagef("%s needs a value: %s", spelling, o.Placeholder)
	case n.next == len(n.argv):
		n.may = o
		n.emit(o, "")
	case o.Optional && !o.takesNext(n.argv[n.next]):
		n.emit(o, "")
	default:
		n.emit(o, n.argv[n.next])
		n.next++
	}
	return nil
}

func (n *normalizer) property(o *Option, spelling string) *UsageError {
	words := n.argv[n.next:]
	want := propertyLength(words)
	if len(words) < want {
		n.wants, n.begun, n.next = o, words, len(n.argv)
		return Usagef("%s needs %d words, not %d: %s", spelling, want, len(words), o.Placeholder).
			WithHint("write %s CMD PROP VALUE, or %s CMD user-property KEY VALUE", spelling, spelling)
	}
	p, err := makeProperty(words[:want]...)
	if err != nil {
		return o.Invalid("--"+o.Name, strings.Join(words[:want], " "), err).
			WithHint("write %s CMD PROP VALUE, or %s CMD user-property KEY VALUE", spelling, spelling)
	}
	n.next += want
	n.emit(o, p.Word())
	return nil
}

func (n *normalizer) emit(o *Option, value string) {
	n.out = append(n.out, "--"+o.Name+"="+value)
}

func (n *normalizer) unknown(word string) *UsageError {
	err := Usagef("unknown option %q", word)
	obeyed := slices.DeleteFunc(slices.Clone(n.table), func(o *Option) bool { return !n.command.Obeys(o) })
	if s := suggest(obeyed, word); s != "" {
		return err.WithHint("did you mean %s?", s)
	}
	return err
}

// shown returns the part of a word of short options that an error may repeat: not what
// follows = or the letter of a secret option.
func (n *normalizer) shown(w string) string {
	w, _, _ = strings.Cut(w, "=")
	for i := 2; i < len(w); i++ {
		if o := n.table.Find("-" + w[i:i+1]); o != nil && o.Secret {
			return w[:i]
		}
	}
	return w
}

// takesNext reports whether the option, whose value is optional, consumes the next word.
func (o *Option) takesNext(w string) bool {
	if o.Type == TypeListen {
		return looksLikeAddress(w)
	}
	return w != "" && w[0] != '-'
}

func looksLikeAddress(w string) bool {
	return !strings.HasPrefix(w, "-") && (allDigits(w) || strings.ContainsRune(w, ':'))
}
