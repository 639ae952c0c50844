package mqbench

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/process"
)

// collect implements "mqbench collect": it finds the results of shards in files,
// directories and logs, and merges them.
func collect(ctx context.Context, inv *cli.Invocation) error {
	if err := needOut(inv); err != nil {
		return err
	}
	if len(inv.Args) > 0 && inv.Args[0] == "k8s" {
		all, err := readJob(ctx, inv, inv.Args[1:])
		if err != nil {
			return err
		}
		return writeMerged(ctx, inv, all)
	}
	if inv.Values.Namespace.IsSet() {
		return option.Usagef("%s has no effect on files", inv.Values.Namespace.Name()).WithHint("e.g. 'mqbench collect k8s job/mqbench'")
	}
	return mergeSaved(ctx, inv, func(inv *cli.Invocation, path string) ([]saved, error) {
		if info, err := os.Stat(path); path != "-" && err == nil && info.IsDir() {
			return readDir(inv, path)
		}
		return readSaved(inv, path)
	})
}

// readDir reads the results in the files of a directory. Other files are skipped, and
// hidden files and directories are not read. A result that cannot be read is reported and
// skipped.
func readDir(inv *cli.Invocation, dir string) (all []saved, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, failure(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
			continue
		}
		some, err := readFile(inv, path)
		all = append(all, some...) // none with an error
		switch unread, _ := errors.AsType[*fs.PathError](err); {
		case unread != nil && unread.Op == "open":
			return nil, failure(err)
		case err != nil && !errors.Is(err, result.ErrNoResult):
			inv.Warnf("skipped: %v", err)
		}
	}
	if len(all) == 0 {
		return nil, option.Usagef("%s: no result file found", dir)
	}
	return all, nil
}

// readJob reads the logs of the pods of a Kubernetes Job.
func readJob(ctx context.Context, inv *cli.Invocation, args []string) ([]saved, error) {
	if len(args) != 1 {
		return nil, option.Usagef("collect k8s: one job is needed").WithHint("e.g. 'mqbench collect k8s job/mqbench --out result.jsonl'")
	}
	name := args[0]
	for _, kind := range [...]string{"job/", "jobs/", "job.batch/", "jobs.batch/"} {
		name = strings.TrimPrefix(name, kind)
	}
	if !isDNSLabel(name) {
		return nil, option.Invalid("collect k8s", "name of a job", args[0], "want up to 63 lower-case letters, digits and hyphens")
	}
	words := []string{"logs", "--selector=job-name=" + name, "--tail=-1", "--max-log-requests=4096"}
	if inv.Values.Namespace.IsSet() {
		words = append(words, "--namespace="+inv.Values.Namespace.Text())
	}
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		return nil, &cli.Exit{Code: option.ExitFailure, Err: errors.New("cannot find kubectl"),
			Help: "where it is: kubectl " + strings.Join(words, " ") + " | mqbench collect - --out FILE"}
	}
	cmd := exec.Command(kubectl, words...)
	var said bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &said, time.Second
	defer inv.Begin()()
	p, err := process.Start(cmd)
	if err != nil {
		return nil, cli.Failed(option.ExitFailure, err)
	}
	_ = p.In.Close()
	stop := context.AfterFunc(ctx, p.Kill)
	all, readErr := readFrom(p.Out, "logs of job/"+name)
	p.Close()
	<-p.Exited()
	stop()
	switch err := p.Err(); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && (readErr == nil || errors.Is(readErr, result.ErrNoResult)):
		return nil, cli.Failed(option.ExitFailure, errors.New("kubectl: "+lastWords(said.String(), "kubectl")))
	case errors.Is(readErr, result.ErrNoResult):
		return nil, &cli.Exit{Code: option.ExitFailure, Err: readErr, Help: "the job may not be over: kubectl wait --for=condition=complete job/" + name}
	}
	return all, failure(readErr)
}

// isDNSLabel reports whether a text can be the name of a Kubernetes object.
func isDNSLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
