package transport

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/internal/units"
)

// SystemError returns the [*Error] for an error of the operating system in an
// operation, OpConnect or OpStream, on a connection to t. It is for callers
// that create or use sockets themselves.
func SystemError(op string, t *Target, err error) *Error {
	e := connectError(context.Background(), t, err, 0)
	e.Op = op
	return e
}

// connectError explains a failure before TLS.
func connectError(ctx context.Context, t *Target, err error, took time.Duration) *Error {
	e := &Error{Op: OpConnect, Addr: t.Address(), Err: err, Unix: t.Network == "unix"}
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		lookupError(e, t, dns)
	case errors.As(err, &op) && op.Addr != nil && op.Addr.String() != e.Addr:
		e.Addr += " (" + op.Addr.String() + ")" // the address that failed, of several
	}
	if e.Kind == Other {
		e.Kind = systemKind(t.Network, err)
	}
	switch {
	case errors.Is(err, syscall.EAGAIN) && ctx.Err() == nil:
		// A Unix socket reports a full queue this way; package net takes it for
		// a timeout.
		e.Kind, e.Text = Refused, "the listener's queue is full"
		return e
	case timedOut(err) || ctx.Err() != nil:
		ended(ctx, e, took, "")
	}
	if e.Kind == Other && strings.Contains(err.Error(), "no suitable address") {
		e.Kind, e.Text = AddrNotAvailable, "no address has the same family, IPv4 or IPv6, as the local address"
		return e
	}
	switch e.Kind {
	case Refused:
		if e.Unix {
			e.Hint = "the socket file is stale; start the broker"
		}
	case NoRoute:
		e.Hint = "check the network connection and the address"
	case NotSocket:
		e.Text = "the file is not a socket that accepts streams"
	case Permission:
		e.Hint = "check who may use the address"
		if t.Network == "unix" {
			e.Hint = "check the permissions of the socket and its directory"
		}
	case AddrNotAvailable:
		e.Text = "not a local address, or no free port"
		if op != nil && op.Source != nil {
			e.form, e.Text = formText, "cannot connect from "+strings.TrimSuffix(op.Source.String(), ":0")+": "+e.Text
		}
	case TooManyFiles:
		e.Hint = "raise the limit with ulimit -n, or use fewer clients"
	case NoMemory:
		e.Hint = "the system has no memory for more sockets: open fewer connections"
	}
	return e
}

func lookupError(e *Error, t *Target, dns *net.DNSError) {
	e.Op, e.Addr = OpLookup, strconv.Quote(t.Host)
	switch {
	case dns.IsNotFound:
		e.Kind, e.Text, e.Hint = NotFound, "no such host", ""
	case dns.IsTimeout:
		e.Kind = Timeout
	default:
		e.Kind, e.Text, e.Hint = LookupFailed, dns.Err, "try again, or use an IP address"
	}
}

// ended makes e a timeout or a cancellation, as ctx says. took is 0 if unknown.
// what is the thing that timed out, or "".
func ended(ctx context.Context, e *Error, took time.Duration, what string) {
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Kind, e.Text, e.Hint = Canceled, "canceled", ""
		// net.OpError hides what errors.Is(err, context.Canceled) looks for.
		e.Err = errors.Join(context.Canceled, e.Err)
		return
	}
	word := " within "
	if e.Kind, e.Text = Timeout, what; what == "" {
		e.Text, word = "timed out", " after "
	}
	if took > 0 {
		e.Text += word + units.Short(took)
	}
}

// spent returns how long an attempt took, or the limit that ended it, rounded
// to two digits: ten seconds are 10s, regardless of when exactly the clock was
// read.
func spent(ctx context.Context, start time.Time) time.Duration {
	took := time.Since(start)
	if end, has := ctx.Deadline(); has && ctx.Err() != nil && end.After(start) {
		took = min(took, end.Sub(start))
	}
	unit := time.Millisecond
	for took >= 100*unit {
		unit *= 10
	}
	return max(took.Round(unit), time.Millisecond)
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
