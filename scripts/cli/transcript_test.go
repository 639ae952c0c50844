//go:build unix

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// runTranscript is the command
//
//	transcript FILE
//
// which runs the lines of FILE that begin with "$ " in the shell, one after the other,
// and checks that each is followed by what it prints: standard output, standard error
// with "2> " before each line, and a status other than 0 as "[2]". Empty lines and those
// that begin with "#" separate commands; they cannot be expected. In what is expected,
// variables as $ADDR stand for their values.
func runTranscript(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: transcript FILE")
	}
	var got, want strings.Builder
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case isCommand:
			want.WriteString(line)
			got.WriteString(line + shell(ts, strings.TrimSuffix(command, "\n")))
		case line == "\n" || strings.HasPrefix(line, "#"):
			want.WriteString(line)
			got.WriteString(line)
		default:
			want.WriteString(os.Expand(line, func(name string) string {
				return cmp.Or(ts.Getenv(name), "$"+name)
			}))
		}
	}
	if got.String() != want.String() {
		ts.Fatalf("%s: got\n%s", args[0], got.String())
	}
}

// shell runs a command and returns what it printed and how it ended.
func shell(ts *testscript.TestScript, command string) string {
	err := ts.Exec("sh", "-c", command)
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%s: %v", command, err)
	}
	text := inLines(ts.ReadFile("stdout"))
	for line := range strings.Lines(inLines(ts.ReadFile("stderr"))) {
		text += strings.TrimRight("2> "+line, " \n") + "\n"
	}
	if exit != nil {
		text += fmt.Sprintf("[%d]\n", exit.ExitCode())
	}
	return text
}

// inLines ends the last line of a text.
func inLines(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

// awaitText is the command
//
//	appears FILE TEXT [NAME]
//
// which waits until a file contains a text in a line that is complete; $NAME is then
// what follows the text in that line.
func awaitText(ts *testscript.TestScript, args []string) {
	if len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: appears FILE TEXT [NAME]")
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		content, err := os.ReadFile(ts.MkAbs(args[0]))
		if _, rest, found := strings.Cut(string(content), args[1]); found {
			if rest, _, complete := strings.Cut(rest, "\n"); complete {
				if len(args) == 3 {
					ts.Setenv(args[2], rest)
				}
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not contain %q: %v\n%s", args[0], args[1], err, content)
		}
	}
}
