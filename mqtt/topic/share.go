package topic

import "strings"

const sharePrefix = "$share/"

func isShare(filter string) bool { return strings.HasPrefix(filter, sharePrefix) }

// ParseShare splits a shared subscription's filter, $share/group/inner. For any
// other filter shared is false, group is empty and inner is the whole filter.
// The filter must be valid ([ValidateFilter]). For an invalid one such as
// "$share/g", inner is the whole filter as well and must not be used for
// matching.
func ParseShare(filter string) (group, inner string, shared bool) {
	if !isShare(filter) {
		return "", filter, false
	}
	group, inner, _ = cut(filter[len(sharePrefix):])
	if group == "" || inner == "" {
		return "", filter, false
	}
	return group, inner, true
}

// validateShare checks the share name and returns where the inner filter
// starts.
func validateShare(filter string) (int, error) {
	i := len(sharePrefix)
	for ; i < len(filter) && filter[i] != '/'; i++ {
		if filter[i] == '+' || filter[i] == '#' {
			return 0, filterError(filter, "MQTT-4.8.2-2", "wildcard in the share name", i)
		}
	}
	switch {
	case i == len(sharePrefix):
		return 0, filterError(filter, "MQTT-4.8.2-1", "empty share name", i)
	case i+1 >= len(filter):
		return 0, filterError(filter, "MQTT-4.8.2-2", "no topic filter after the share name", len(filter))
	}
	return i + 1, nil
}
