package topic

import "testing"

// TestADollarAloneIsHiddenFromWildcards checks the name "$" (MQTT-4.7.2-1).
func TestADollarAloneIsHiddenFromWildcards(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"$", "$/a", "$a", "$a/b"} {
		for _, filter := range []string{"#", "+", "+/#", "+/a", "+/b"} {
			var trie Trie[int, int]
			_, _ = trie.Insert(filter, 1, 1)
			trie.Match(name, func(int, int) { t.Errorf("%s reaches %s in the trie", name, filter) })
			if Match(filter, name) {
				t.Errorf("%s reaches %s", name, filter)
			}
		}
		var trie Trie[int, int]
		n := 0
		_, _ = trie.Insert(name, 1, 1)
		if trie.Match(name, func(int, int) { n++ }); n != 1 || !Match(name, name) {
			t.Errorf("%s reaches itself %d times", name, n)
		}
	}
}

// Anywhere else $ is an ordinary character.
func TestADollarElsewhereIsACharacter(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a$", "a$b", "a/$", "/$SYS", "a$/b", " $a"} {
		for filter, levels := range map[string]int{"#": 0, "+": 1, "+/#": 0, "+/+": 2, name: 0} {
			want := levels == 0 || levels == Levels(name)
			var trie Trie[int, int]
			var names NameMap[int]
			_, _ = trie.Insert(filter, 1, 1)
			_, _ = names.Set(name, 1)
			inTrie, inNames := 0, 0
			trie.Match(name, func(int, int) { inTrie++ })
			names.Match(filter, func(string, int) { inNames++ })
			if Match(filter, name) != want || (inTrie == 1) != want || (inNames == 1) != want {
				t.Errorf("%s reaches %s: %v, in the trie %d, in the names %d; want %v", name, filter, !want, inTrie, inNames, want)
			}
		}
	}
}
