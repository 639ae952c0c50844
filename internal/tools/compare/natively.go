package main

import (
	"fmt"
	"slices"
	"strings"
)

// natives are our tools, by the programs that they replace without a link.
var natives = map[string]string{"mosquitto_pub": "mqpub", "mosquitto_sub": "mqsub"}

// change is one row of the differences for users who come from mosquitto without the links,
// as in mqtools(7).
type change struct {
	there, here string // cells of the table, in mdoc
	// is reports whether the row explains the difference of a case; nil if no case can show
	// it.
	is func(c *scenario) bool
}

// has reports whether w is one of the words of the case.
func (c *scenario) has(w string) bool { return slices.Contains(c.words, w) }

// statuses reports whether the case exits with these statuses.
func (c *scenario) statuses(theirs, native int) bool {
	return c.theirs.status == theirs && c.native.status == native
}

func (c *scenario) says(text string) bool { return strings.Contains(c.native.stderr, text) }

// changes is the table. The first row that explains a case counts.
var changes = []change{
	{`Nm mosquitto_rr`, `Ic mqpub request`, nil},
	{`Fl R , Fl -retain-handling No of mosquitto_rr`, "none: retained messages are never replies", nil},
	{`Fl -psk`, `not supported; Fl -proxy-command No can connect through a program`, func(c *scenario) bool { return c.has("--psk") }},
	{`Fl -tls-engine`, "not supported", func(c *scenario) bool { return c.has("--tls-engine") }},
	{`Fl -tls-version Cm tlsv1.1`, `Cm 1.2 No or Cm 1.3`, func(c *scenario) bool { return c.has("--tls-version") }},
	{`Fl -insecure No without TLS is ignored`, `needs Fl -tls`, func(c *scenario) bool { return c.has("--insecure") }},
	{`Fl V Cm mqttv311 No by default`, `Fl V Cm auto : No 5.0, or 3.1.1 if the broker refuses 5.0`, func(c *scenario) bool {
		return c.peer != nil && !c.has("-V")
	}},
	{`Fl V Cm 311 No with Fl D No ignores Fl D`, "is an error", func(c *scenario) bool { return c.has("-V") && c.says("needs MQTT 5") }},
	{`Fl M Cm 0 No to Cm 65535`, `Cm 1 No to Cm 65534`, func(c *scenario) bool { return c.has("-M") }},
	{`numbers in base 8 and 16`, "in base 10 only", func(c *scenario) bool {
		return slices.ContainsFunc(c.words, func(w string) bool { return strings.HasPrefix(w, "0x") })
	}},
	{`Fl q Cm abc No is 0`, "is an error", func(c *scenario) bool { return c.has("-q") && c.has("abc") }},
	{`mosquitto_pub Fl t Ar A Fl t Ar B No publishes to B`, "publishes to both", func(c *scenario) bool {
		return c.program() == "mosquitto_pub" && c.has("-t") && slices.Index(c.words, "-t") != lastIndex(c.words, "-t")
	}},
	{`Fl l No cuts a line at a NUL byte`, "sends the whole line", func(c *scenario) bool { return strings.Contains(c.stdin, "\x00") }},
	{`Fl f No reads regular files`, "also reads pipes", func(c *scenario) bool { return c.has("/dev/stdin") }},
	{`Fl L No does not decode the topic`, `decodes Cm %20`, func(c *scenario) bool {
		return c.has("-L") && slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(w, "%20") })
	}},
	{`Fl h Ar HOST:PORT No is an error`, "is accepted", func(c *scenario) bool {
		i := slices.Index(c.words, "-h")
		return i >= 0 && i+1 < len(c.words) && strings.Contains(c.words[i+1], ":")
	}},
	{`options in Pa ~/.config/mosquitto_pub`, `a configuration file, see Xr mqtools 5`, func(c *scenario) bool {
		return c.files[".config/mosquitto_pub"] != ""
	}},
	{`Fl d No logs to standard output`, "to standard error", func(c *scenario) bool { return c.has("-d") }},
	{`Fl F Cm %j Fl -pretty`, `Fl -json No and Ic jq ; Fl -pretty No has its own format`, func(c *scenario) bool { return c.has("--pretty") }},
	{`Fl F Cm %j No of a binary payload is empty`, `Fl -json No encodes it in base64; retain is a boolean, as in 2.1`, func(c *scenario) bool {
		return c.has("%j") || c.has("%J")
	}},
	{`Fl F Cm %3x No of 2.0 truncates`, "pads, as in 2.1", func(c *scenario) bool { return c.has("[%12x]") || c.has("%3x") }},
	{`Fl -retained-only Fl W Ar 2`, `Fl -retained-only , No which exits when it is done`, nil},
	{`Fl -remove-retained Fl C Ar N No never exits`, "exits", func(c *scenario) bool { return c.has("--remove-retained") }},
	{`Fl V Cm 5 : No a signal or Fl W No publishes the will`, "does not publish it", func(c *scenario) bool {
		return c.has("--will-topic") && c.theirs.arrived != c.native.arrived
	}},
	{"status 1 for a usage error", "2", func(c *scenario) bool { return c.statuses(1, 2) }},
	{"status 1 if the broker is unreachable", "3", func(c *scenario) bool { return c.statuses(1, 3) }},
	{"the CONNACK code as status", "4", func(c *scenario) bool { return c.native.status == 4 }},
	{"status 0 if a message or filter is refused", "5", func(c *scenario) bool { return c.native.status == 5 }},
	{"status 0 after SIGINT or SIGTERM", "130 or 143: killed by the signal", func(c *scenario) bool {
		return c.statuses(0, 130) || c.statuses(0, 143)
	}},
	{"the DISCONNECT reason as status", "7", func(c *scenario) bool { return c.native.status == 7 }},
	{`status 1 for Fl -help , Fl -version`, "0", func(c *scenario) bool { return c.has("--help") || c.has("--version") }},
}

func lastIndex(words []string, w string) int {
	last := -1
	for i := range words {
		if words[i] == w {
			last = i
		}
	}
	return last
}

// nativeDifferences returns the fields that differ, without standard error, which is worded
// differently.
func (c *scenario) nativeDifferences() (fields []string) {
	for _, name := range []string{"status", "stdout", "arrived"} {
		if c.theirs.field(name) != c.native.field(name) {
			fields = append(fields, name)
		}
	}
	return fields
}

// explained reports whether every difference has a reason.
func (c *scenario) explained() bool {
	if (len(c.differences()) > 0) != (c.why != "") {
		return false
	}
	return natives[c.program()] == "" || len(c.nativeDifferences()) == 0 || c.row() >= 0
}

// row returns the index of the change that explains the difference, or -1.
func (c *scenario) row() int {
	return slices.IndexFunc(changes, func(ch change) bool { return ch.is != nil && ch.is(c) })
}

// reportNatively compares the differences without the links with the table: a difference
// needs a row, and a row a difference. whole is set if all holds every case, not a
// selection.
func reportNatively(all []*scenario, whole bool) error {
	count, same, bad := make([]int, len(changes)), 0, 0
	for _, c := range all {
		if natives[c.program()] == "" {
			continue
		}
		if c.native.broken != "" {
			bad++
			fmt.Printf("| `%s` | | **the case itself fails: %s** |\n", cell(c.line()), cell(c.native.broken))
			continue
		}
		fields := c.nativeDifferences()
		if len(fields) == 0 {
			same++
			continue
		}
		i := c.row()
		if i < 0 {
			bad++
			fmt.Printf("| `%s` | %s | %s | **no row of mqtools(7)** |\n", cell(c.line()), cell(c.theirs.summary(fields)), cell(c.native.summary(append(fields, "stderr"))))
			continue
		}
		count[i]++
	}
	for i, ch := range changes {
		if whole && ch.is != nil && count[i] == 0 {
			bad++
			fmt.Printf("| %s | %s | **no case shows this row** |\n", ch.there, ch.here)
		}
	}
	fmt.Printf("\nWithout the links: %d the same, %d differ by a row of mqtools(7)", same, len(all)-same-bad)
	if bad > 0 {
		fmt.Printf(", %d are wrong\n", bad)
		return fmt.Errorf("%d are wrong without the links", bad)
	}
	fmt.Println()
	return nil
}
