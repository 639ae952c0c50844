package mqbench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// calibrationFile is the file that calibrate writes. Its figures are valid for their
// machine and for the version that measured them.
type calibrationFile struct {
	Tool        string             `json:"tool"`
	Engine      string             `json:"engine"`
	Environment result.Environment `json:"environment"`
	Calibration result.Calibration `json:"calibration"`
}

const (
	// calibrationLength is the duration of each measurement.
	calibrationLength = 2 * time.Second
	// calibrationClients is the number of clients connected to measure connections.
	calibrationClients = 5000
)

// calibrate implements "mqbench calibrate".
func calibrate(ctx context.Context, inv *cli.Invocation) error {
	v := inv.Values
	o := swarm.Options{Loops: readLoops(v), Engine: readEngine(v)}
	length, err := readLength(v)
	if err != nil {
		return err
	}
	clients := calibrationClients
	// Both ends are in this process, and half of the files are not used.
	if files := bench.ThisMachine(0, false).Files; files > 0 {
		clients = int(min(uint64(clients), files/4))
	}
	inv.CatchSignals()
	out := v.Out.Text()
	var to whole // nil: no file
	if out != "" && out != "-" {
		if to, err = openWhole(ctx, out); err != nil {
			return err
		}
		defer to.Discard()
	}
	inv.Infof("against a sink in this process, for about %v", 3*length+2*time.Second)
	c, err := bench.Calibrate(ctx, o, length, clients)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return failure(err)
	}
	file, err := json.MarshalIndent(calibrationFile{cli.Version(), v.Engine.Text(), result.ThisEnvironment(), c}, "", "  ")
	file = append(file, '\n')
	switch {
	case err != nil:
		return failure(err)
	case out == "-":
		return write(inv, file)
	case to != nil:
		if err := fill(to, file); err != nil {
			return err
		}
	}
	return writePage(inv, func(w io.Writer) error { return report.Calibration(w, c) })
}

// readLength reads the duration of each measurement.
func readLength(v *option.Values) (length time.Duration, err error) {
	length = calibrationLength
	if v.Duration.IsSet() {
		length = v.Duration.Duration()
	}
	if length < 100*time.Millisecond {
		return 0, option.Usagef("%s: %v is too short to measure anything", v.Duration.Name(), length)
	}
	return length, nil
}

// readCalibration reads a calibration file. It refuses one of another machine or version.
func readCalibration(path string) (result.Calibration, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return result.Calibration{}, err
	}
	var f calibrationFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err = d.Decode(&f)
	switch here, there := result.ThisEnvironment(), f.Environment; {
	case err != nil || f.Calibration.Messages <= 0:
		return result.Calibration{}, fmt.Errorf("%s is not what 'mqbench calibrate --out' writes", path)
	case f.Tool != cli.Version():
		return result.Calibration{}, fmt.Errorf("%s was measured by version %s: calibrate again", path, f.Tool)
	case here.Hostname != there.Hostname || here.CPU != there.CPU || here.CPUs != there.CPUs || here.GOMAXPROCS != there.GOMAXPROCS || here.Kernel != there.Kernel:
		return result.Calibration{}, fmt.Errorf("%s was measured on another machine, or another kernel or number of processors: calibrate again", path)
	}
	return f.Calibration, nil
}
