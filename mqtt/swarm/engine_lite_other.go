//go:build !linux

package swarm

import (
	"context"
	"errors"
)

const liteHere = false

func newLite(context.Context, *Options) (func(l *Loop) (driver, error), error) {
	return nil, errors.New("swarm: engine lite: it needs Linux")
}
