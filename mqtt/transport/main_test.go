package transport

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wantError checks kind and text, and that the error says where.
func wantError(t *testing.T, err error, op string, kind Kind, texts ...string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v (%T), want an *Error", err, err)
	}
	if e.Op != op || e.Kind != kind || !errors.Is(err, kind) {
		t.Errorf("got op %s kind %q in %v (inner %v), want %s %q", e.Op, e.Kind, e, e.Err, op, kind)
	}
	for _, want := range texts {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got text %q, want %q in it", err, want)
		}
	}
	return e
}
