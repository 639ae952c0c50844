package option

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/textfile"
)

// optionsFile is the option that names an options file.
const optionsFile = "options-file"

// maxOptionsLine is the longest line of an options file, in bytes.
const maxOptionsLine = 1 << 20

// readOptionsFile reads options in the format of the mosquitto clients: one per line,
// without quotes. The first word is the option; the rest after one blank is its value,
// including further blanks. Lines that begin with # are comments. Unlike in theirs, -D is
// followed by its words, and a missing file is an error. Errors begin with path:line.
func readOptionsFile(table Options, path string) ([]Use, error) {
	var uses []Use
	for line, err := range OptionsLines(path) {
		if err != nil {
			return nil, &UsageError{Text: err.Error()}
		}
		text := strings.TrimLeft(line.Text, " ")
		if text == "" || text[0] == '#' {
			continue
		}
		words := []string{text}
		if name, value, has := strings.Cut(text, " "); has {
			words = []string{name, value}
			if o := table.Find(name); o != nil && o.Type == TypeProperty {
				words = []string{"--" + o.Name + "=" + value}
			}
		}
		more, err := ReadOption(table, words)
		if err != nil {
			if u, ok := errors.AsType[*UsageError](err); ok {
				u.Text = line.Place + ": " + u.Text
			}
			return nil, err
		}
		for _, use := range more {
			use.Place = line.Place
			uses = append(uses, use)
		}
	}
	return uses, nil
}

// ReadOption parses the words of one line.
func ReadOption(table Options, words []string) ([]Use, error) {
	canonical, err := Normalize(table, words)
	if err != nil {
		return nil, err
	}
	uses, positional := split(table, canonical)
	switch {
	case len(uses) == 0 && len(positional) > 0:
		return nil, Usagef("%q is not an option", positional[0])
	case len(positional) > 0:
		return nil, Usagef("%s takes no value, and has %q", words[0], positional[0])
	}
	for _, use := range uses {
		switch use.Opt.Name {
		case optionsFile, "help", "version", "completion", "show-config", "hash-password":
			return nil, Usagef("--%s is not allowed in a file", use.Opt.Name)
		}
	}
	return uses, nil
}

// OptionsLine is a line of an options file.
type OptionsLine struct {
	Place string // path:line
	Text  string // without its line ending
}

// OptionsLines reads an options file line by line. An error names its place and comes last:
// the file cannot be read, or a line exceeds a megabyte or holds a null character.
func OptionsLines(path string) iter.Seq2[OptionsLine, error] {
	return func(yield func(OptionsLine, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(OptionsLine{}, fmt.Errorf("options file: %w", err))
			return
		}
		defer f.Close()
		r := bufio.NewReaderSize(textfile.NewReader(f), 4096)
		for number := 1; ; number++ {
			text, err := readOptionsLine(r)
			line := OptionsLine{path + ":" + strconv.Itoa(number), text}
			switch {
			case err == io.EOF:
				return
			case err != nil:
				yield(line, fmt.Errorf("%s: %w", line.Place, err))
				return
			case !yield(line, nil):
				return
			}
		}
	}
}

// readOptionsLine reads a line without its line ending; io.EOF is returned without a line.
func readOptionsLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxOptionsLine:
			return "", errors.New("the line has more than a megabyte")
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && (err != io.EOF || len(line) == 0):
			return "", err
		}
		line = bytes.TrimRight(line, "\r\n")
		if bytes.IndexByte(line, 0) >= 0 {
			return "", errors.New("a null character in the line")
		}
		return string(line), nil
	}
}
