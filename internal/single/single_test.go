package single

import (
	"os"
	"runtime"
	"testing"

	"github.com/mqtools/mqtools/internal/stack"
)

// TestOneProcessorUntilSettled checks the effect of importing the package.
func TestOneProcessorUntilSettled(t *testing.T) {
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("%d processors at the start, want 1", n)
	}
	stack.Settle()
	if n := runtime.GOMAXPROCS(0); os.Getenv("GOMAXPROCS") == "" && runtime.NumCPU() > 1 && n == 1 {
		t.Error("one processor after all")
	}
}
