package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

// FileName is a template for the names of files, one for each message:
//
//	%t  topic       %{level N}  its level N, counted from 1
//	%n  number of the message, counted from 1
//	@X  strftime's %X, one of a A b B C d F g G h H I j m M N p P s S u U V w W y Y z
//	%%  a percent sign          @@  an at sign
//
// A level of a topic becomes a part of a name as follows. Letters, digits, dots, underscores
// and hyphens stay, but for a dot at the beginning; any other byte is a percent sign and two
// hexadecimal digits. An empty level, or one that the topic does not have, is a percent sign.
// Of more than 200 bytes, the first 183 stay, and a tilde and 16 hexadecimal digits of the
// SHA-256 of the level follow. The slashes of the topic stay, and so does its beginning of at
// most 1,000 bytes; a last level of a tilde and 16 digits of the topic's SHA-256 then stands
// for the others.
//
// A topic may be a level of another one, so that a file and a directory would have one name.
// Therefore a template with parts of the topic must end in an extension, such as .log, and in
// a directory that would end in it, or in it and a dot and digits, its dot is %2E.
type FileName struct {
	dir   string
	parts []namePart
	ext   string // of every file, or "" if the topic is not in the name
	once  bool   // %n is in the template
	n     int64
	text  []byte // reused
}

// namePart is a text, a level of the topic, or a time.
type namePart struct {
	verb  byte // 0 for text, 't', 'l', 'n', or '@' for a time
	conv  byte // of '@'
	level int
	text  string
}

// The bounds of names in bytes. File systems take 255 in a name, and a suffix may follow.
const (
	maxNameLevel = 200
	maxNameTopic = 1000
	maxNamePart  = 240
	maxNameExt   = 32
	nameDigest   = 1 + 16
)

// nameTimes are the conversions of times that give the same number of parts of a path
// everywhere, and no characters that a file system refuses.
const nameTimes = "aAbBCdFgGhHIjmMNpPsSuUVwWyYz"

// CompileFileName compiles a template. An error is a [*PatternError].
func CompileFileName(template string) (*FileName, error) {
	f := &FileName{}
	var text []byte
	start, topic := 0, false // where the text begins in the template
	field := func(p namePart) {
		if len(f.parts) == 0 { // the text before is the directory, and a part of a name
			slash := bytes.LastIndexByte(text, '/') + 1
			f.dir, text = string(text[:slash]), text[slash:]
		}
		if len(text) > 0 {
			f.parts = append(f.parts, namePart{text: string(text)})
			text = nil
		}
		f.parts = append(f.parts, p)
		topic = topic || p.verb == 't' || p.verb == 'l'
	}
	for i := 0; i < len(template); {
		c := template[i]
		if c != '%' && c != '@' {
			text = append(text, c)
			i++
			continue
		}
		inner, _, closed := strings.Cut(template[i:], "}")
		level, isLevel := strings.CutPrefix(inner, "%{level ")
		n, numErr := strconv.Atoi(level)
		size := 2
		switch next := template[i+1 : min(i+2, len(template))]; {
		case next == string(c):
			text = append(text, c)
		case c == '@' && next == "":
			return nil, &PatternError{Offset: i, Text: "incomplete time specifier @ at the end; an at sign is written @@"}
		case c == '@' && strings.Contains(nameTimes, next):
			field(namePart{verb: '@', conv: next[0]})
		case c == '@' && knownTime(next[0]):
			return nil, &PatternError{Offset: i, Text: "@" + next + " has characters that are not for file names", Unknown: next[0]}
		case c == '@':
			return nil, &PatternError{Offset: i, Text: fmt.Sprintf("unknown time specifier %q; an at sign is written @@", "@"+next), Unknown: next[0]}
		case next == "t", next == "n":
			field(namePart{verb: next[0]})
			f.once = f.once || next == "n"
		case closed && isLevel && numErr == nil && n >= 1 && n <= maxLevel:
			field(namePart{verb: 'l', level: n})
			size = len(inner) + 1
		default:
			return nil, &PatternError{Offset: i, Text: fmt.Sprintf("want %%t, %%n, %%{level N} or %%%% at %q", template[i:min(i+2, len(template))])}
		}
		i += size
		start = i
	}
	if len(f.parts) == 0 {
		f.dir = string(text)
		return f, nil
	}
	f.parts = append(f.parts, namePart{text: string(text)})
	if err := f.check(text, start, topic); err != nil {
		return nil, err
	}
	return f, nil
}

// check checks what follows the first field; tail is behind the last one.
func (f *FileName) check(tail []byte, at int, topic bool) error {
	var all strings.Builder // with a character for each field, which is never empty
	for i := range f.parts {
		if f.parts[i].verb == 0 {
			all.WriteString(f.parts[i].text)
		} else {
			all.WriteByte('x')
		}
	}
	for part := range strings.SplitSeq(all.String(), "/") {
		switch part {
		case "":
			return &PatternError{Offset: at, Text: "a name between or behind slashes is empty"}
		case ".", "..":
			return &PatternError{Offset: at, Text: part + " cannot follow a field"}
		}
	}
	if !topic {
		return nil
	}
	dot := bytes.LastIndexByte(tail, '.')
	if dot < 0 || bytes.IndexByte(tail[dot:], '/') >= 0 || len(bytes.Trim(tail[dot:], ".0123456789")) == 0 {
		return &PatternError{Offset: at, Text: "a name with a topic needs an extension, e.g. .log"}
	}
	if len(tail[dot:]) > maxNameExt {
		return &PatternError{Offset: at, Text: fmt.Sprintf("the extension has more than %d bytes", maxNameExt)}
	}
	f.ext = string(tail[dot:])
	return nil
}

// Literal returns the name, if it is the same for all messages.
func (f *FileName) Literal() (name string, ok bool) { return f.dir, len(f.parts) == 0 }

// Dir returns the directory that the template begins with: all files are in it or below it.
func (f *FileName) Dir() string {
	if f.dir == "" {
		return "."
	}
	return f.dir
}

// Once reports that each message has a file of its own.
func (f *FileName) Once() bool { return f.once }

// Times reports whether there are times in the name.
func (f *FileName) Times() bool {
	return slices.ContainsFunc(f.parts, func(p namePart) bool { return p.verb == '@' })
}

// Append appends the name of the file for a message, below Dir. Its parts are separated by
// slashes, and none of them is empty, "." or "..".
func (f *FileName) Append(dst []byte, m *mqtt.Message, at time.Time) []byte {
	f.n++
	f.text = f.text[:0]
	for i := range f.parts {
		switch p := &f.parts[i]; p.verb {
		case 0:
			f.text = append(f.text, p.text...)
		case 't':
			f.text = appendNameTopic(f.text, m.Topic)
		case 'l':
			f.text = appendNameLevel(f.text, levelOf(m.Topic, p.level))
		case 'n':
			f.text = strconv.AppendInt(f.text, f.n, 10)
		default:
			f.text = appendTime(f.text, p.conv, at)
		}
	}
	rest := f.text
	for {
		part, behind, more := bytes.Cut(rest, slash)
		if !more {
			return f.appendPart(dst, part, f.ext)
		}
		from := len(dst)
		dst = f.appendPart(dst, part, "")
		if at := f.likeFile(dst[from:]); at >= 0 {
			tail := string(dst[from+at+1:])
			dst = append(append(dst[:from+at], "%2E"...), tail...)
		}
		dst, rest = append(dst, '/'), behind
	}
}

var slash = []byte{'/'}

// likeFile returns where the extension begins in the name of a directory that a file might
// have, too, perhaps with a number behind it; otherwise -1. Some systems ignore case.
func (f *FileName) likeFile(name []byte) int {
	if f.ext == "" {
		return -1
	}
	for range 2 {
		if at := len(name) - len(f.ext); at >= 0 && strings.EqualFold(string(name[at:]), f.ext) {
			return at
		}
		short := bytes.TrimRight(name, "0123456789")
		if len(short) == len(name) || len(short) == 0 || short[len(short)-1] != '.' {
			return -1
		}
		name = short[:len(short)-1]
	}
	return -1
}

// appendPart appends a name between slashes, shortened if it is too long. ext stays.
func (f *FileName) appendPart(dst, part []byte, ext string) []byte {
	if len(part) <= maxNamePart {
		return append(dst, part...)
	}
	dst = append(dst, part[:maxNamePart-nameDigest-len(ext)]...)
	return append(appendNameDigest(dst, part), ext...)
}

// appendNameTopic appends a topic as a path.
func appendNameTopic(dst []byte, topic string) []byte {
	from := len(dst)
	for rest, more := topic, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		before := len(dst)
		if before > from {
			dst = append(dst, '/')
		}
		if dst = appendNameLevel(dst, level); len(dst)-from > maxNameTopic {
			return appendNameDigest(append(dst[:before], '/'), []byte(topic))
		}
	}
	return dst
}

// appendNameLevel appends a level of a topic as a part of a name.
func appendNameLevel(dst []byte, level string) []byte {
	from := len(dst)
	if level == "" {
		return append(dst, '%')
	}
	for i := 0; i < len(level); i++ {
		switch c := level[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.' && i > 0:
			dst = append(dst, c)
		default:
			const digits = "0123456789ABCDEF"
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	if len(dst)-from > maxNameLevel {
		dst = appendNameDigest(dst[:from+maxNameLevel-nameDigest], []byte(level))
	}
	return dst
}

// appendNameDigest appends a tilde, which stands in no other name, and 64 bits of a hash.
func appendNameDigest(dst, of []byte) []byte {
	sum := sha256.Sum256(of)
	return hex.AppendEncode(append(dst, '~'), sum[:8])
}
