package mqbench

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
)

func TestCalibrationFiles(t *testing.T) {
	t.Parallel()
	good := calibrationFile{cli.Version(), "auto", result.ThisEnvironment(), result.Calibration{Messages: 1e6, Acked: 1e5, Connects: 1e4, Floor: time.Millisecond}}
	write := func(change func(*calibrationFile)) string {
		f := good
		change(&f)
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return file(t, "c.json", string(b))
	}
	if c, err := readCalibration(write(func(*calibrationFile) {})); c != good.Calibration || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	for want, change := range map[string]func(*calibrationFile){
		" was measured by version 0: calibrate again":                                                  func(f *calibrationFile) { f.Tool = "0" },
		" was measured on another machine, or another kernel or number of processors: calibrate again": func(f *calibrationFile) { f.Environment.GOMAXPROCS++ },
		" is not what 'mqbench calibrate --out' writes":                                                func(f *calibrationFile) { f.Calibration.Messages = 0 },
	} {
		path := write(change)
		refused(t, "--calibration: "+path+want, "conn", "--calibration", path)
	}
	text := file(t, "c.json", "{}x")
	refused(t, "--calibration: "+text+" is not what", "conn", "--calibration", text)
	refused(t, "--calibration: cannot read ", "conn", "--calibration", text+"x")
	refused(t, "--duration: 1ms is too short to measure anything", "calibrate", "--duration", "1ms")
	refused(t, "--host has no effect on calibrate", "calibrate", "-h", "x")
}
