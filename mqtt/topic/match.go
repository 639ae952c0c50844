package topic

// Match reports whether a message published to name matches a subscription to
// filter. A shared subscription's filter matches as its inner filter does.
//
//   - + matches one level, which may be empty; # matches the rest and its
//     parent: "a/#" matches "a" (section 4.7.1.2)
//   - a filter that starts with a wildcard does not match names that start with $
//     (MQTT-4.7.2-1)
//
// Both must be valid; otherwise the result is meaningless. The time is linear
// in the length of the shorter, and nothing is allocated.
func Match(filter, name string) bool {
	if len(filter) > 0 && filter[0] == '$' {
		_, filter, _ = ParseShare(filter)
	}
	if filter == "" || name == "" {
		return false
	}
	if name[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		if filter == "#" {
			return true
		}
		want, filterRest, filterMore := cut(filter)
		have, nameRest, nameMore := cut(name)
		switch {
		case want != "+" && want != have:
			return false
		case !nameMore:
			return !filterMore || filterRest == "#"
		case !filterMore:
			return false
		}
		filter, name = filterRest, nameRest
	}
}

// MatchBytes is [Match] for a name that is still in its packet.
func MatchBytes(filter string, name []byte) bool { return Match(filter, view(name)) }
