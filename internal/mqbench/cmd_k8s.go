package mqbench

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/yamlfile"
)

// object is a Kubernetes object, or a part of one.
type object = map[string]any

// list is a list of such parts.
type list = []any

const (
	// maxFiles is the capacity of a ConfigMap or Secret in bytes, less some room for the
	// rest of the object.
	maxFiles = 1_000_000
	// filesDir is where the pods have the scenario and the files that it names.
	filesDir = "/etc/mqbench"
)

// k8s prints the objects that run a plan as a Kubernetes Indexed Job.
func k8s(ctx context.Context, inv *cli.Invocation) error {
	j := &job{inv: inv, name: inv.Values.Name.Text(), shards: inv.Values.Shards.Int()}
	if err := j.read(ctx); err != nil {
		return err
	}
	text, err := yamlfile.Encode(j.objects()...)
	if err != nil {
		return failure(err)
	}
	return write(inv, text)
}

// job is the Job to print.
type job struct {
	inv    *cli.Invocation
	name   string
	shards int
	port   int // of --metrics; 0: none

	plan   *plan.Plan
	budget plan.Budget
	std    bool
	files  []podFile
	size   int // of the files
	args   []string
	vars   []option.Variable
}

// podFile is a file that the pods need.
type podFile struct {
	path string // relative to filesDir
	data []byte
}

func (j *job) read(ctx context.Context) error {
	inv, v := j.inv, j.inv.Values
	if index := len(strconv.Itoa(j.shards - 1)); !isDNSLabel(j.name) || len(j.name)+1+index > 63 {
		return v.Name.Invalid("name", j.name, "want up to %d lower-case letters, digits and hyphens", 62-index)
	}
	if ns := v.Namespace.Text(); v.Namespace.IsSet() && !isDNSLabel(ns) {
		return v.Namespace.Invalid("name", ns, "want up to 63 lower-case letters, digits and hyphens")
	}
	if image := v.Image.Text(); image == "" || strings.ContainsAny(image, " \t\r\n") {
		return v.Image.Invalid("name", image, "want one without blanks")
	}
	r := &runner{inv: inv, procs: 1}
	var err error
	if r.plan, err = readPlan(inv, inv.Args, nil, j.keepFiles); err != nil {
		return err
	}
	if j.plan = r.plan; j.size > maxFiles {
		return option.Usagef("the scenario and its files have %d bytes, and Kubernetes keeps at most %d", j.size, maxFiles).WithHint("put them into the image")
	}
	if err := checkShards(j.plan, j.shards-1, j.shards, v.Shards.Name(), fmt.Sprintf("%d pods", j.shards)); err != nil {
		return err
	}
	if j.budget, err = j.plan.Budget(j.shards); err != nil {
		return usage(err)
	}
	if err := j.readMetrics(); err != nil {
		return err
	}
	if err := j.readOptions(); err != nil {
		return err
	}
	if err := r.readWay(ctx); err != nil {
		return err
	}
	defer r.conn.Close()
	use := r.use()
	j.std = use.Std && runtime.GOOS == "linux" // otherwise this machine is the reason, not the pods
	if use.Local {
		inv.Warnf("the broker's address refers to each pod itself: set another with -h or -L")
	}
	j.command()
	return nil
}

// readMetrics reads the port on which each pod serves its metrics. PORT alone means
// 127.0.0.1, which cannot be reached in a pod.
func (j *job) readMetrics() error {
	v := j.inv.Values
	if !v.Metrics.IsSet() {
		return nil
	}
	host, port, err := net.SplitHostPort(v.Metrics.Text())
	n, perr := strconv.ParseUint(port, 10, 16)
	if addr, aerr := netip.ParseAddr(host); err != nil || perr != nil || n == 0 || host == "localhost" || aerr == nil && addr.IsLoopback() {
		return v.Metrics.Invalid("value", v.Metrics.Text(), "want :PORT, which is reached from outside the pod")
	}
	j.port = int(n)
	return nil
}

// keepFiles makes the plan collect the scenario, and the files that it reads, for the pods.
func (j *job) keepFiles(o *plan.Options) {
	if len(j.inv.Args) == 0 || !isScenario(j.inv.Args[0]) {
		return
	}
	scenario := j.inv.Args[0]
	if data, err := os.ReadFile(scenario); err == nil { // otherwise readPlan fails
		j.keep(filepath.Base(scenario), data)
	}
	o.ReadFile = func(name string) ([]byte, error) {
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%s: a file for the pods must be beside the scenario or below", name)
		}
		data, err := os.ReadFile(filepath.Join(filepath.Dir(scenario), name))
		if err == nil {
			j.keep(filepath.ToSlash(filepath.Clean(name)), data)
		}
		return data, err
	}
}

func (j *job) keep(name string, data []byte) {
	if !slices.ContainsFunc(j.files, func(f podFile) bool { return f.path == name }) {
		j.files = append(j.files, podFile{name, data})
		j.size += len(data)
	}
}

// ofManifest are the options that affect the manifest itself.
var ofManifest = []string{"image", "shards", "name", "namespace", "start-in", "secret", "quiet", "color", "debug"}

// readOptions reads the options to pass to the pods. It refuses those that only this
// machine can satisfy, and secrets, which anyone could read in the manifest.
func (j *job) readOptions() (err error) {
	v := j.inv.Values
	var refusal error
	j.args, j.vars, err = j.inv.Tool.Handover(j.inv.Values, j.inv.Env.Args, func(o *option.Option) bool {
		if slices.Contains(ofManifest, o.Name) || o.For != 0 && o.For&option.CommandK8s == 0 {
			return false
		}
		switch {
		case refusal != nil:
		case o.Name == "serve":
			refusal = option.Usagef("%s: a run of several pods needs a broker outside of them", v.Of(o.Name).Name())
		case o.Type == option.TypeString && o.HoldsSecret(v.Of(o.Name).Texts()...):
			refusal = option.Usagef("%s: a manifest must not contain a secret", v.Of(o.Name).Name()).
				WithHint("put %s into a Kubernetes Secret, and name that with --secret", o.Env())
		case o.Complete == option.CompleteFile || o.Complete == option.CompleteDir:
			refusal = option.Usagef("%s: the pods do not have the files of this machine", v.Of(o.Name).Name()).
				WithHint("put the file into the image, and %s into a Kubernetes Secret that --secret names", o.Env())
		case strings.HasSuffix(o.Name, "-command") || o.Name == "ask-password":
			refusal = option.Usagef("%s: the pods are not this machine", v.Of(o.Name).Name()).
				WithHint("put MQ_PASSWORD into a Kubernetes Secret, and name that with --secret")
		}
		return true
	})
	return errors.Join(refusal, err)
}

// command sets the command line of the pods.
func (j *job) command() {
	words := []string{"run", j.inv.Args[0]} // which readPlan needs
	switch {
	case shortForms[words[1]] != nil:
		words = words[1:]
	case isScenario(words[1]):
		words[1] = path.Join(filesDir, j.files[0].path)
	}
	start := time.Now().Add(j.inv.Values.StartIn.Duration()).UTC().Truncate(time.Second)
	j.args = append(words, append(j.args, "--start-at="+start.Format(time.RFC3339))...)
}

// secret reports whether the files belong in a Secret rather than a ConfigMap.
func (j *job) secret() bool {
	return slices.ContainsFunc(j.plan.Groups, func(g *plan.Group) bool { return g.Credentials != nil || g.Password != nil })
}

// objects returns the objects of the manifest.
func (j *job) objects() (docs []any) {
	if len(j.files) > 0 {
		docs = append(docs, j.bundle())
	}
	return append(docs, object{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": j.metadata(),
		"spec": object{
			"completionMode": "Indexed", "completions": j.shards, "parallelism": j.shards,
			// All pods or none: a shard that restarts is late.
			"backoffLimit": 0,
			"podFailurePolicy": object{"rules": list{
				object{"action": "FailJob", "onExitCodes": object{"containerName": "mqbench", "operator": "NotIn", "values": []int{0}}},
				object{"action": "FailJob", "onPodConditions": list{object{"type": "DisruptionTarget", "status": "True"}}},
			}},
			"template": object{"metadata": object{"labels": j.labels()}, "spec": j.pod()},
		},
	})
}

func (j *job) labels() object {
	return object{"app.kubernetes.io/name": "mqbench", "app.kubernetes.io/instance": j.name}
}

func (j *job) metadata() object {
	m := object{"name": j.name, "labels": j.labels()}
	if j.inv.Values.Namespace.IsSet() {
		m["namespace"] = j.inv.Values.Namespace.Text()
	}
	return m
}

// bundle returns the ConfigMap or Secret with the files.
func (j *job) bundle() object {
	text, binary := object{}, object{}
	for i, f := range j.files {
		if utf8.Valid(f.data) {
			text[fileKey(i)] = string(f.data)
		} else {
			binary[fileKey(i)] = base64.StdEncoding.EncodeToString(f.data)
		}
	}
	o := object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": j.metadata()}
	names := [...]string{"data", "binaryData"}
	if j.secret() {
		o["kind"], names = "Secret", [...]string{"stringData", "data"}
	}
	for i, part := range [...]object{text, binary} {
		if len(part) > 0 {
			o[names[i]] = part
		}
	}
	return o
}

// fileKey returns the key of a file, whose path may contain characters that a key must not
// have.
func fileKey(i int) string { return fmt.Sprintf("file-%d", i) }

// pod returns the specification of the pods.
func (j *job) pod() object {
	container := object{
		"name": "mqbench", "image": j.inv.Values.Image.Text(),
		"command": []string{"mqbench"}, "args": j.args, "env": j.environment(),
		"resources": object{"requests": j.requests()},
		"securityContext": object{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": object{"drop": []string{"ALL"}},
		},
	}
	if j.port > 0 {
		container["ports"] = list{object{"name": "metrics", "containerPort": j.port}}
	}
	if j.inv.Values.Secret.IsSet() {
		container["envFrom"] = list{object{"secretRef": object{"name": j.inv.Values.Secret.Text()}}}
	}
	pod := object{
		"restartPolicy":                "Never",
		"automountServiceAccountToken": false,
		"enableServiceLinks":           false,
		"securityContext": object{
			"runAsNonRoot": true, "runAsUser": 65534, "seccompProfile": object{"type": "RuntimeDefault"},
			// Kubernetes considers this sysctl safe.
			"sysctls": list{object{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}},
		},
		"topologySpreadConstraints": list{object{
			"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
			"labelSelector": object{"matchLabels": j.labels()},
		}},
		"containers": list{container},
	}
	if len(j.files) > 0 {
		var items list
		for i, f := range j.files {
			items = append(items, object{"key": fileKey(i), "path": f.path})
		}
		volume := object{"name": "files", "configMap": object{"name": j.name, "items": items}}
		if j.secret() {
			volume = object{"name": "files", "secret": object{"secretName": j.name, "items": items}}
		}
		pod["volumes"] = list{volume}
		container["volumeMounts"] = list{object{"name": "files", "mountPath": filesDir, "readOnly": true}}
	}
	return pod
}

func (j *job) environment() list {
	env := list{object{"name": "MQBENCH_SHARDS", "value": strconv.Itoa(j.shards)}}
	for _, v := range j.vars {
		env = append(env, object{"name": v.Name, "value": v.Value})
	}
	return env
}

// requests returns the resources of a pod: the memory that the plan needs, including the
// kernel's for its sockets, and a processor for each loop.
func (j *job) requests() object {
	memory := j.budget.MemoryLite
	if j.std {
		memory = j.budget.MemoryStd
	}
	cpus := max(j.inv.Values.Loops.Int(), 1)
	const MiB = 1 << 20
	return object{"cpu": strconv.Itoa(cpus), "memory": fmt.Sprintf("%dMi", (memory+j.budget.Kernel+MiB-1)/MiB)}
}
