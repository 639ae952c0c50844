package man

import (
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
)

func manPage(bit option.ToolSet) string {
	return ".Sh NAME\n.Sh OPTIONS\n" + manOptions(bit, nil) + ".Sh EXIT STATUS\n" + manExitStatus(bit) + ".Sh SEE ALSO\n"
}

func TestRenderedManPageAgreesWithItself(t *testing.T) {
	t.Parallel()
	for _, bit := range []option.ToolSet{option.Pub, option.Sub, option.Bench} {
		if problems := checkManPage([]byte(manPage(bit)), bit); len(problems) > 0 {
			t.Errorf("tool %d: %q", bit, problems)
		}
	}
}

func TestManItems(t *testing.T) {
	t.Parallel()
	table := option.Table(option.Sub)
	for spelling, want := range map[string]string{
		"-h":      ".It Fl h , Fl -host Ar HOST",
		"-v":      ".It Fl v , Fl -verbose",
		"--pw":    ".It Fl P , Fl -password , Fl -pw Ar PASSWORD",
		"--serve": ".It Fl -serve Op Ar ADDR",
		"-D":      ".It Fl D , Fl -property Ar CMD PROP Oo Ar KEY Oc Ar VALUE",
		"--quiet": ".It Fl -quiet",
	} {
		if got := manItem(table.Find(spelling)); got != want {
			t.Errorf("%s: got %q, want %q", spelling, got, want)
		}
	}
}

func TestCheckManPageFinds(t *testing.T) {
	t.Parallel()
	good := manPage(option.Sub)
	const host = ".It Fl h , Fl -host Ar HOST\n"
	for _, c := range []struct {
		it       string
		old, new string
		want     string // end of the first problem
	}{
		{"a missing option", host, "", `no item ".It Fl h , Fl -host Ar HOST"`},
		{"an option twice", host, host + host, "--host is already on line"},
		{"a missing spelling", host, ".It Fl -host Ar HOST\n", `want ".It Fl h , Fl -host Ar HOST"`},
		{"another placeholder", host, ".It Fl h , Fl -host Ar NAME\n", `want ".It Fl h , Fl -host Ar HOST"`},
		{"an unknown option", host, host + ".It Fl -hsot\n", "--hsot is not an option"},
		{"an item without an option", host, host + ".It Fl\n", "item without an option"},
		{"a missing exit code", ".It 27\n", "", "exit code 27 is missing"},
		{"an exit code twice", ".It 27\n", ".It 27\n.It 27\n", "exit code 27 is already on line"},
		{"an unknown exit code", ".It 27\n", ".It 27\n.It Li 29\n", "exit code 29 is not in the table"},
		{"an exit code that is none", ".It 27\n", ".It 27\n.It many\n", `"many" is no exit code`},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(good, c.old) {
				t.Fatalf("the page has no %q", c.old)
			}
			problems := checkManPage([]byte(strings.Replace(good, c.old, c.new, 1)), option.Sub)
			if len(problems) != 1 || !strings.Contains(problems[0], c.want) {
				t.Errorf("got %q, want one problem with %q", problems, c.want)
			}
		})
	}
	if got := len(checkManPage(nil, option.Sub)); got != len(option.Table(option.Sub))+len(option.ExitCodes(option.Sub)) {
		t.Errorf("empty page: got %d problems, want one for each option and code", got)
	}
	// Items in other sections, such as ENVIRONMENT, are not checked.
	if p := checkManPage([]byte(good+".Sh ENVIRONMENT\n.It Fl -hsot\n.It Ev MQ_HOST\n"), option.Sub); len(p) > 0 {
		t.Errorf("items of another section: %q", p)
	}
}

func TestExitCodesAreTheOnesOfTheManual(t *testing.T) {
	t.Parallel()
	for bit, want := range map[option.ToolSet][]int{
		option.Pub: {0, 1, 2, 3, 4, 5, 6, 7, 27, 75, 129, 130, 131, 141, 143},
		option.Sub: {0, 1, 2, 3, 4, 5, 6, 7, 27, 28, 129, 130, 131, 141, 143},
	} {
		var got []int
		for _, row := range option.ExitCodes(bit) {
			got = append(got, row.Code)
			if row.Name == "" || row.Text == "" {
				t.Errorf("code %d has no name or no text", row.Code)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("tool %d: got %d, want %d", bit, got, want)
		}
	}
}
