package option

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it   string // completes "it ..."
		tool ToolSet
		argv []string
		want []string
	}{
		{"leaves nothing as nothing", Sub, nil, nil},
		{"renames short forms and aliases", Pub, []string{"-h", "x", "--pw", "y", "--password", "z"},
			[]string{"--host=x", "--password=y", "--password=z"}},
		{"mixes forms of one option", Sub, []string{"-t", "a", "--topic", "b", "--topic=c"},
			[]string{"--topic=a", "--topic=b", "--topic=c"}},
		{"keeps blanks, commas and equals signs in values", Sub, []string{"-t", " a, b=c "}, []string{"--topic= a, b=c "}},
		{"takes a value that looks like an option", Pub, []string{"-m", "-x", "-t", "--"}, []string{"--message=-x", "--topic=--"}},
		{"takes an empty value", Pub, []string{"-m", "", "--topic="}, []string{"--message=", "--topic="}},
		{"takes bytes that are not text", Pub, []string{"-m", "\xff\x01\n"}, []string{"--message=\xff\x01\n"}},
		{"takes a negative number as a value", Sub, []string{"-x", "-1"}, []string{"--session-expiry-interval=-1"}},
		{"splits bundles", Sub, []string{"-vd"}, []string{"--verbose", "--debug"}},
		{"lets a bundle end in an option with a value", Sub, []string{"-vt", "a/b"}, []string{"--verbose", "--topic=a/b"}},
		{"lets a bundle end in an attached value", Sub, []string{"-vq1"}, []string{"--verbose", "--qos=1"}},
		{"leaves a value alone that equals a bundle", Pub, []string{"-m", "-dr", "-dr"}, []string{"--message=-dr", "--debug", "--retain"}},
		{"takes an attached number", Sub, []string{"-q1", "-p1883", "-C0"}, []string{"--qos=1", "--port=1883", "--count=0"}},
		{"takes an attached topic", Sub, []string{"-ta/b"}, []string{"--topic=a/b"}},
		{"reads options after positional words", Pub, []string{"a/b", "-q", "1", "c"}, []string{"--qos=1", "--", "a/b", "c"}},
		{"ends options at --", Pub, []string{"-q", "1", "--", "-d", "--"}, []string{"--qos=1", "--", "-d", "--"}},
		{"drops a -- that ends nothing", Pub, []string{"-d", "--"}, []string{"--debug"}},
		{"takes a lone hyphen and an empty word as positional", Pub, []string{"-", ""}, []string{"--", "-", ""}},
		{"knows switches with a value", Pub, []string{"--debug=true", "--quiet=0", "--retain=yes"}, []string{"--debug", "--quiet=false", "--retain"}},
		{"packs a property of one word", Pub, []string{"-D", "PUBLISH", "Content-Type", "text/plain; a", "-d"},
			[]string{"--property=publish content-type text/plain; a", "--debug"}},
		{"packs a user property of two words", Pub, []string{"-D", "publish", "user-property", `a b\`, " c d", "-q", "1"},
			[]string{`--property=publish user-property a\ b\\  c d`, "--qos=1"}},
		{"takes property values that look like options", Pub, []string{"--property", "publish", "user-property", "-k", "-D"},
			[]string{"--property=publish user-property -k -D"}},
		{"takes a property as one attached word", Pub, []string{"--property=Publish content-type x y"},
			[]string{"--property=publish content-type x y"}},
		{"gives an optional value nothing", Sub, []string{"--serve", "-v"}, []string{"--serve=", "--verbose"}},
		{"gives an optional value an address", Sub, []string{"--serve", "localhost:99"}, []string{"--serve=localhost:99"}},
		{"gives an optional value a port", Sub, []string{"--serve", "99"}, []string{"--serve=99"}},
		{"leaves a word without colon after an optional value", Sub, []string{"--serve", "a/b"}, []string{"--serve=", "--", "a/b"}},
		{"gives an optional value what is attached", Sub, []string{"--serve=/run/x"}, []string{"--serve=/run/x"}},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			got, err := Normalize(Table(c.tool), c.argv)
			if err != nil {
				t.Fatalf("%q: %v", c.argv, err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q:\n got %q\nwant %q", c.argv, got, c.want)
			}
		})
	}
}

func TestNormalizeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it   string
		tool ToolSet
		argv []string
		text string
		hint string
	}{
		{"an unknown option", Sub, []string{"--xyzzy"}, `unknown option "--xyzzy"`, ""},
		{"a typing error, with the nearest option", Sub, []string{"--topci", "a"}, `unknown option "--topci"`, "did you mean --topic?"},
		{"a value of an unknown option, without showing it", Sub, []string{"--pasword=hunter2"}, `unknown option "--pasword"`, "did you mean --password?"},
		{"a shortened name, with the long one", Sub, []string{"--will-ret"}, `unknown option "--will-ret"`, "did you mean --will-retain?"},
		{"a letter in the wrong case", Sub, []string{"-Q", "1"}, `unknown option "-Q"`, "did you mean -q?"},
		{"two hyphens before a letter", Sub, []string{"--t", "a"}, `unknown option "--t"`, "did you mean -t?"},
		{"a long name with one hyphen", Sub, []string{"-topic", "a"}, `unknown option "-topic"`, "did you mean --topic?"},
		{"a long name with one hyphen and a value", Sub, []string{"-topic=a"}, `unknown option "-topic"`, "did you mean --topic?"},
		{"an option of another tool", Pub, []string{"--skip-retained"}, `unknown option "--skip-retained"`, ""},
		{"a bundle with a stranger", Sub, []string{"-vZ"}, `unknown option "-Z" in "-vZ"`, ""},
		{"a missing value", Sub, []string{"-v", "-t"}, "-t needs a value: FILTER", ""},
		{"an attached value after =", Sub, []string{"-q=1"}, `"-q=1" is ambiguous`, "write -q QOS or --qos=QOS"},
		{"an attached value made of options", Sub, []string{"-td"}, `"-td" is ambiguous`, "write -t FILTER or --topic=FILTER"},
		{"a switch with an attached =", Sub, []string{"-v=1"}, `-v takes no value in "-v=1"`, "write --verbose=false to turn it off"},
		{"a switch with a strange value", Sub, []string{"--debug=maybe"}, `--debug: invalid value "maybe" (want true or false)`, ""},
		{"a property with too few words", Pub, []string{"-D", "publish", "content-type"},
			"-D needs 3 words, not 2: CMD PROP [KEY] VALUE", "write -D CMD PROP VALUE, or -D CMD user-property KEY VALUE"},
		{"a user property with too few words", Pub, []string{"-D", "publish", "USER-property", "k"},
			"-D needs 4 words, not 3: CMD PROP [KEY] VALUE", "write -D CMD PROP VALUE, or -D CMD user-property KEY VALUE"},
		{"an option where a property's name belongs", Pub, []string{"-D", "publish", "-t", "x"},
			`--property: invalid value "publish -t x" ("-t" is not the name of a packet or property)`, "write -D CMD PROP VALUE, or -D CMD user-property KEY VALUE"},
		{"an attached property", Pub, []string{"-Dpublish"}, "-D needs its words separate: CMD PROP [KEY] VALUE", ""},
		{"a broken property word", Pub, []string{"--property=publish user-property k"},
			`--property: invalid value "publish user-property k" (want CMD user-property KEY VALUE)`, ""},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			got, err := Normalize(Table(c.tool), c.argv)
			usage, ok := errors.AsType[*UsageError](err)
			if !ok {
				t.Fatalf("%q: got %q and error %v, want a usage error", c.argv, got, err)
			}
			if usage.Text != c.text || usage.Help != c.hint {
				t.Errorf("%q:\n got %q, hint %q\nwant %q, hint %q", c.argv, usage.Text, usage.Help, c.text, c.hint)
			}
		})
	}
}

func TestNormalizeNeverShowsASecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, argv := range [][]string{
		{"-P=" + secret}, {"-dP=" + secret}, {"--pasword=" + secret}, {"-P" + secret, "--xyzzy"}, {"-zP" + secret},
		{"-dzP" + secret}, {"-P", secret, "-q"}, {"-L=" + secret}, {"-pwd=" + secret}, {"-pw=" + secret}, {"--Password=" + secret},
	} {
		for _, tool := range []ToolSet{Pub, Sub, Bench} {
			_, err := Normalize(Table(tool), argv)
			if err == nil {
				t.Errorf("%q: no error", argv)
				continue
			}
			if u := err.(*UsageError); strings.Contains(u.Text+u.Help, secret) {
				t.Errorf("%q: the error shows the secret: %v", argv, err)
			}
		}
	}
}

// FuzzNormalize checks that the result is either a usage error of one line, or canonical
// words that Normalize leaves unchanged and urfave/cli reads as exactly what they mean.
func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{
		"-t\x00a\x00--topic\x00b", "-vd\x00-q1", "-D\x00publish\x00user-property\x00k\\ \x00v", "--serve\x00-v", "a\x00-m\x00-x\x00--\x00-d",
		"--property=a b c", "--property=publish user-property a\\ b c", "--help=false", "-P=x", "--", "-", "\x00", "-∞", "--=", "---", "-=",
		"--topic=\xff", "help\x00h", "--serve=\x00--serve\x001", "--generate-bash-completion", "-test.v", "-D\x00\x00\x00", "topic\x00-t\x00topic",
	} {
		for tool := range byte(3) {
			f.Add(seed, tool)
		}
	}
	f.Fuzz(func(t *testing.T, packed string, tool byte) {
		table := Table([...]ToolSet{Pub, Sub, Bench}[tool%3])
		argv := strings.Split(packed, "\x00")
		words, err := Normalize(table, argv)
		if err != nil {
			if _, ok := err.(*UsageError); !ok {
				t.Fatalf("%q: error of type %T: %v", argv, err, err)
			}
			return
		}
		again, err := Normalize(table, words)
		if err != nil {
			t.Fatalf("%q: refuses its own output %q: %v", argv, words, err)
		}
		if !slices.Equal(words, again) {
			t.Fatalf("%q: not idempotent:\n once %q\ntwice %q", argv, words, again)
		}
		uses, positional := split(table, words)
		tree := &Program{Name: "mqx", Bit: [...]ToolSet{Pub, Sub, Bench}[tool%3], Commands: []*Command{{Name: "do"}}}
		if err := tree.Dispatch(append([]string{"do"}, words...), func(line *Line) error {
			if !reflect.DeepEqual(line.Uses, uses) || !slices.Equal(line.Positional, positional) {
				t.Fatalf("%q: urfave reads %q as\n%v %q, want\n%v %q", argv, words, line.Uses, line.Positional, uses, positional)
			}
			return nil
		}); err != nil && !slices.ContainsFunc(uses, func(u Use) bool { return u.Opt.Name == optionsFile }) {
			t.Fatalf("%q: urfave refuses %q: %v", argv, words, err)
		}
		var read []string
		for _, use := range uses {
			word := "--" + use.Opt.Name + "=" + use.Raw
			if use.Opt.Type == TypeBool {
				word = strings.TrimSuffix(word, "=true")
			}
			read = append(read, word)
		}
		if len(positional) > 0 {
			read = append(append(read, "--"), positional...)
		}
		if !slices.Equal(read, words) {
			t.Fatalf("%q: split misreads\n%q as\n%q", argv, words, read)
		}
		if _, err := Decode(table, uses, nil, nil, nil); err != nil {
			if _, ok := err.(*UsageError); !ok {
				t.Fatalf("%q: error of type %T: %v", argv, err, err)
			}
		}
	})
}

func TestPropertyWordRoundTrip(t *testing.T) {
	t.Parallel()
	for _, p := range []Property{
		{"publish", "content-type", "", "text/plain"},
		{"publish", "correlation-data", "", " \x00\xff "},
		{"will", "user-property", "", ""},
		{"connect", "user-property", ` \ \\ `, `a\ b `},
		{"publish", "content-type", "", ""},
	} {
		got, err := parseProperty(p.Word())
		if err != nil || got != p {
			t.Errorf("%q: got %+v, %v, want %+v", p.Word(), got, err, p)
		}
	}
}
