package topic

import "testing"

// TestADollarAloneIsHiddenFromWildcards, as what begins with it (MQTT-4.7.2-1).
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
