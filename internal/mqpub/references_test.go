package mqpub

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bytebroker"
)

// A broker that refers to another is left for that with --follow-references.
func TestFollowReferences(t *testing.T) {
	t.Parallel()
	next := bytebroker.Start(t, []bytebroker.Step{{"10...", "20 03 00 00 00"}, {"30 05 0001 74 00 78", ""}, {"e0 00", ""}})
	ref := "127.0.0.1:" + next.Port
	refer := fmt.Sprintf("20 %02x 00 9c %02x 1c %04x %x", len(ref)+6, len(ref)+3, len(ref), ref)
	first := bytebroker.Start(t, []bytebroker.Step{{"10...", refer}})
	r := first.Run(t.Context(), Tool(), "", "-V", "5", "-t", "t", "-m", "x", "--follow-references")
	first.Wait()
	next.Wait()
	if says := "use another server (0x9c): use " + ref; r.Code != 0 || !strings.Contains(r.Stderr, says) {
		t.Errorf("got %+v, want %q", r, says)
	}
}

func TestReferencesAreNotFollowedUnasked(t *testing.T) {
	t.Parallel()
	first := bytebroker.Start(t, []bytebroker.Step{{"10...", "20 09 00 9d 06 1c 0003 74776f"}})
	r := first.Run(t.Context(), Tool(), "", "-V", "5", "-t", "t", "-m", "x")
	if r.Code != 4 || !strings.Contains(r.Stderr, "use two") || !strings.Contains(r.Stderr, "--follow-references") {
		t.Errorf("got %+v", r)
	}
}
