package topic

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		// The examples of section 4.7.1.
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		// Section 4.7.2.
		{"#", "$SYS/monitor", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/monitor/Clients", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"#", "a/$SYS", true},
		{"a/+", "a/$SYS", true},
		// Section 4.7.3.
		{"ACCOUNTS", "Accounts", false},
		{"/finance", "finance", false},
		{"Accounts payable", "Accounts payable", true},
		// Boundaries of both arguments.
		{"#", "a", true},
		{"#", "/", true},
		{"a", "a/", false},
		{"a/", "a", false},
		{"a/", "a/", true},
		{"a/b", "a", false},
		{"a", "a/b", false},
		{"a/b", "ab", false},
		{"a/#", "a/", true},
		{"a/#", "ab", false},
		{"a//#", "a", false},
		{"a//#", "a/", true},
		{"+/#", "a", true},
		{"+/#", "/", true},
		{"+/+/#", "a", false},
		{"a/+/c", "a//c", true},
		{"/", "/", true},
		{"//", "/", false},
		{"é", "e\u0301", false}, // MQTT-4.7.3-4
		// Shared subscriptions.
		{"$share/g/a/+", "a/b", true},
		{"$share/g/#", "$SYS/x", false},
		{"$share/g/$SYS/#", "$SYS/x", true},
		{"$share/g/a", "$share/g/a", false},
		// Invalid, but must do no harm.
		{"", "", false},
		{"", "a", false},
		{"#", "", false},
		{"$share/g/", "a", false},
	} {
		if got := Match(c.filter, c.name); got != c.want {
			t.Errorf("filter %q name %q: got %v, want %v", c.filter, c.name, got, c.want)
		}
		if got := MatchBytes(c.filter, []byte(c.name)); got != c.want {
			t.Errorf("filter %q name bytes %q: got %v, want %v", c.filter, c.name, got, c.want)
		}
	}
}

func TestMatchIsLinear(t *testing.T) {
	name := strings.Repeat("/", 65534) + "a"
	for _, f := range []string{strings.Repeat("+/", 32767) + "#", strings.Repeat("/", 65534) + "+"} {
		if !Match(f, name) {
			t.Errorf("filter %s: got no match", Quote(f))
		}
	}
}

// naiveMatch is a second implementation of Match, over slices of levels.
func naiveMatch(filter, name string) bool {
	f, n := strings.Split(filter, "/"), strings.Split(name, "/")
	if len(f) > 2 && f[0] == "$share" {
		f = f[2:]
	}
	if strings.HasPrefix(name, "$") && (f[0] == "+" || f[0] == "#") {
		return false
	}
	if f[len(f)-1] == "#" {
		if f = f[:len(f)-1]; len(n) < len(f) {
			return false
		}
		n = n[:len(f)]
	}
	if len(f) != len(n) {
		return false
	}
	for i := range f {
		if f[i] != "+" && f[i] != n[i] {
			return false
		}
	}
	return true
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"a/#", "a"}, {"+/+", "/"}, {"$share/g/+/b", "a/b"}, {"#", "$SYS"}, {"a/+/c", "a//c"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, filter, name string) {
		got := Match(filter, name) // it returns even if they are invalid
		if got != MatchBytes(filter, []byte(name)) {
			t.Fatalf("filter %q name %q: string and bytes differ", filter, name)
		}
		if ValidateFilter(filter) != nil || ValidateName(name) != nil {
			return
		}
		if want := naiveMatch(filter, name); got != want {
			t.Fatalf("filter %q name %q: got %v, want %v", filter, name, got, want)
		}
	})
}
