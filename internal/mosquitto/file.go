package mosquitto

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mqtools/mqtools/internal/option"
)

// optionsFile returns the value of -o. It accepts -o only where an option is expected; the
// programs themselves accept it anywhere.
func (c *config) optionsFile(argv []string) (path string, err *failure) {
	for i := 0; i < len(argv); i++ {
		o := find(c.table, argv[i])
		switch {
		case o == nil || o.in&c.client == 0:
		case o.name == "options-file":
			if path != "" {
				return "", wrongf("Duplicate -o argument given.")
			}
			if i++; i == len(argv) {
				return "", wrongf("-o argument given but no options file specified.")
			}
			path = argv[i]
		case o.name == "property":
			i += 3
			if i < len(argv) && strings.EqualFold(argv[i-1], "user-property") {
				i++
			}
		case o.takesValue():
			i++
		}
	}
	return path, nil
}

// defaultFile returns the path of the options file that a program reads without -o.
func defaultFile(name string, get option.LookupFunc) string {
	if runtime.GOOS == "windows" {
		if dir, ok := get("USERPROFILE"); ok && dir != "" {
			return filepath.Join(dir, name+".conf")
		}
		return ""
	}
	if dir, ok := get("XDG_CONFIG_HOME"); ok {
		return dir + "/" + name
	}
	if dir, ok := get("HOME"); ok {
		return dir + "/.config/" + name
	}
	return ""
}

// file reads options from a file: one per line; the first word is the option, and the rest
// after one blank is its value, verbatim. Lines that begin with # are comments. Unlike in
// the programs, lines may be long and -D is followed by its words.
func (c *config) file(path string, optional bool) *failure {
	defer func() { c.place = "" }()
	for line, err := range option.OptionsLines(path) {
		switch {
		case optional && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return tightf("%v", err)
		case strings.HasPrefix(line.Text, "#"):
			continue
		}
		c.place = line.Place
		name, value, has := strings.Cut(strings.TrimLeft(line.Text, " "), " ")
		words := []string{name}
		switch o := find(c.table, name); {
		case name == "":
			continue
		case has && o != nil && o.name == "property":
			words = append(words, strings.SplitN(value, " ", 3)...)
			if len(words) == 4 && strings.EqualFold(words[2], "user-property") {
				words = append(words[:3], strings.SplitN(words[3], " ", 2)...)
			}
		case has:
			words = append(words, value)
		}
		if err := c.words(words); err != nil {
			if err.page == "" {
				err.text = c.place + ": " + err.text
			}
			return err
		}
	}
	return nil
}
