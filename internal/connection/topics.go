package connection

import (
	"errors"
	"strings"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// CheckTopic checks a topic name that the user has set.
func CheckTopic(label, name string) error {
	err := topic.ValidateName(name)
	if err == nil {
		return checkCharacters(label, name)
	}
	e := option.Usagef("%s %s: %s", label, topic.Quote(name), reasonOf(err))
	if strings.ContainsAny(name, "+#") {
		return option.Usagef("%s %s: cannot publish to a wildcard", label, topic.Quote(name)).WithHint("publish to one topic; + and # are for subscribing")
	}
	return e
}

// CheckFilter checks a topic filter that the user has set.
func CheckFilter(label, filter string) error {
	if err := topic.ValidateFilter(filter); err != nil {
		return option.Usagef("%s %s: %s", label, topic.Quote(filter), reasonOf(err)).
			WithHint("+ and # stand for whole levels, and # comes last, e.g. 'a/+/b/#'")
	}
	return checkCharacters(label, filter)
}

func checkCharacters(label, s string) error {
	if r, at, found := topic.FirstDiscouraged(s); found {
		return option.Usagef("%s %s: U+%04X at byte %d is a control character or not a character", label, topic.Quote(s), r, at)
	}
	return nil
}

func reasonOf(err error) string {
	var e *topic.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return err.Error()
}
