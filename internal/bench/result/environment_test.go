package result

import (
	"runtime"
	"testing"
)

func TestThisEnvironment(t *testing.T) {
	e := ThisEnvironment()
	if e.CPUs < 1 || e.GOMAXPROCS < 1 || e.Go != runtime.Version() || e.OS != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("got %+v", e)
	}
	if runtime.GOOS == "linux" && (e.Kernel == "" || e.Memory < 1<<24 || e.NoFile == 0 || e.NoFileHard < e.NoFile) {
		t.Errorf("got %+v", e)
	}
}
