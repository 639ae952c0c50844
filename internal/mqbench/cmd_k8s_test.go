package mqbench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/yamlfile"
)

// manifest returns the documents of a manifest, by kind. The interop tests decode them as
// Kubernetes does.
func manifest(t *testing.T, text string) map[string]*yamlfile.Node {
	t.Helper()
	docs := map[string]*yamlfile.Node{}
	for _, doc := range strings.Split(text, "\n---\n") {
		f, err := yamlfile.Parse("manifest", []byte(doc))
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		docs[at(t, f.Root, "kind").Text] = f.Root
	}
	return docs
}

// at returns the node at a path of keys; 0 is the first item of a list.
func at(t *testing.T, n *yamlfile.Node, path ...string) *yamlfile.Node {
	t.Helper()
	for _, key := range path {
		if key == "0" && n.Kind == yamlfile.List && len(n.Items) > 0 {
			n = n.Items[0]
			continue
		}
		e := n.Get(key)
		if e == nil {
			t.Fatalf("there is no %s of %s", key, strings.Join(path, "."))
		}
		n = e.Value
	}
	return n
}

func texts(n *yamlfile.Node) (all []string) {
	for _, i := range n.Items {
		all = append(all, i.Text)
	}
	return all
}

func TestManifest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const scenario = "name: feed\nphases: {measure: 10s}\ngroups:\n  pubs: {clients: 50, publish: {topic: t/%i, payload: {lines: data/feed.jsonl}, rate: 10/s}}\n"
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"feed.yaml": scenario, "data/feed.jsonl": "{\"a\":1}\n{\"b\":2}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now()
	r := mqbench(t, "MQ_HOST=broker.lan", "MQ_OUT=/tmp/x", "k8s", filepath.Join(dir, "feed.yaml"), "--shards", "5", "--load", "2", "--namespace", "bench", "--name", "load", "--secret", "login")
	if r.code != 0 || r.err != "" {
		t.Fatalf("%+v", r)
	}
	docs := manifest(t, r.out)
	files := docs["ConfigMap"]
	if got := at(t, files, "data", "file-0").Text; got != scenario {
		t.Errorf("the scenario is %q", got)
	}
	if got := at(t, files, "data", "file-1").Text; got != "{\"a\":1}\n{\"b\":2}\n" {
		t.Errorf("the feed is %q", got)
	}
	job := docs["Job"]
	pod := at(t, job, "spec", "template", "spec")
	container := at(t, pod, "containers", "0")
	for path, want := range map[string]string{
		"metadata name": "load", "metadata namespace": "bench",
		"spec completionMode": "Indexed", "spec completions": "5", "spec parallelism": "5", "spec backoffLimit": "0",
		"spec podFailurePolicy rules 0 action":                                "FailJob",
		"spec template spec restartPolicy":                                    "Never",
		"spec template spec securityContext sysctls 0 name":                   "net.ipv4.ip_local_port_range",
		"spec template spec topologySpreadConstraints 0 topologyKey":          "kubernetes.io/hostname",
		"spec template spec containers 0 env 0 name":                          "MQBENCH_SHARDS",
		"spec template spec containers 0 env 0 value":                         "5",
		"spec template spec containers 0 envFrom 0 secretRef name":            "login",
		"spec template spec volumes 0 configMap name":                         "load",
		"spec template spec volumes 0 configMap items 0 path":                 "feed.yaml",
		"spec template spec containers 0 volumeMounts 0 mountPath":            "/etc/mqbench",
		"spec template spec containers 0 resources requests cpu":              "1",
		"spec template spec containers 0 securityContext capabilities drop 0": "ALL",
	} {
		if got := at(t, job, strings.Fields(path)...).Text; got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if got := at(t, pod, "volumes", "0", "configMap", "items").Items[1]; at(t, got, "path").Text != "data/feed.jsonl" {
		t.Error("the feed is not where the scenario looks for it")
	}
	if env := at(t, container, "env").Items; len(env) != 2 || at(t, env[1], "name").Text != "MQ_HOST" || at(t, env[1], "value").Text != "broker.lan" {
		t.Errorf("%d variables", len(env))
	}
	args := texts(at(t, container, "args"))
	if len(args) != 4 || args[0] != "run" || args[1] != "/etc/mqbench/feed.yaml" || args[2] != "--load=2" {
		t.Fatalf("the pods run %q", args)
	}
	start, err := readStart(strings.TrimPrefix(args[3], "--start-at="))
	if wait := start.Sub(before); err != nil || wait < 88*time.Second || wait > 150*time.Second {
		t.Errorf("%s is %v from now, %v", args[3], wait, err)
	}
}

func TestManifestOfAPreset(t *testing.T) {
	t.Parallel()
	r := mqbench(t, "k8s", "oms/p2p-1K-1K-1K-1K", "-L", "mqtts://broker.lan", "--insecure")
	docs := manifest(t, r.out)
	if r.code != 0 || len(docs) != 1 {
		t.Fatalf("%+v", r)
	}
	args := texts(at(t, docs["Job"], "spec", "template", "spec", "containers", "0", "args"))
	if got := strings.Join(args[:4], " "); got != "run oms/p2p-1K-1K-1K-1K --url=mqtts://broker.lan --insecure" {
		t.Errorf("the pods run %q", args)
	}
	if r := mqbench(t, "k8s", "pub", "--clients", "3"); r.code != 0 || !strings.Contains(r.out, "- pub\n") || !strings.Contains(r.err, "the broker's address refers to each pod itself") {
		t.Errorf("of a short form: %+v", r)
	}
}

// A manifest with passwords uses a Secret.
func TestManifestWithCredentials(t *testing.T) {
	t.Parallel()
	r := mqbench(t, "k8s", file(t, "login.yaml", "groups: {g: {clients: 4, username: u, password: p-%i}}\n"), "-h", "broker.lan")
	docs := manifest(t, r.out)
	if r.code != 0 || docs["Secret"] == nil || docs["ConfigMap"] != nil {
		t.Fatalf("%+v", r)
	}
	at(t, docs["Secret"], "stringData", "file-0")
	at(t, docs["Job"], "spec", "template", "spec", "volumes", "0", "secret", "secretName")
}

func TestManifestRefuses(t *testing.T) {
	t.Parallel()
	refused(t, "no preset or scenario given", "k8s")
	refused(t, "--password: a manifest must not contain a secret", "k8s", "conn", "-P", "x")
	refused(t, "MQ_PASSWORD: a manifest must not contain a secret", "MQ_PASSWORD=x", "k8s", "conn")
	refused(t, "--url: a manifest must not contain a secret", "k8s", "conn", "-L", "mqtt://u:p@broker.lan")
	refused(t, "--cafile: the pods do not have the files of this machine", "k8s", "conn", "--cafile", "ca.pem")
	refused(t, "--password-command: the pods are not this machine", "k8s", "conn", "--password-command", "x")
	refused(t, "--serve: a run of several pods needs a broker outside of them", "k8s", "conn", "--serve")
	refused(t, "--shards: there are not enough clients for 3 pods", "k8s", "conn", "--clients", "2", "--shards", "3")
	refused(t, `--name: invalid name "A" (want up to 61 lower-case letters, digits and hyphens)`, "k8s", "conn", "--name", "A")
	refused(t, `--name: invalid name "`+strings.Repeat("a", 62)+`" (want up to 61`, "k8s", "conn", "--name", strings.Repeat("a", 62))
	refused(t, `--namespace: invalid name "a_b" (want`, "k8s", "conn", "--namespace", "a_b")
	refused(t, `--image: invalid name "a b" (want`, "k8s", "conn", "--image", "a b")
	refused(t, "--out has no effect on k8s", "k8s", "conn", "--out", "x")
	outside := file(t, "f.yaml", "groups: {pubs: {clients: 5, publish: {topic: t, payload: {lines: /etc/hostname}, rate: 1/s}}}\n")
	if r := mqbench(t, "k8s", outside); r.code != 2 || !strings.Contains(r.err, "a file for the pods must be beside the scenario or below") {
		t.Errorf("%+v", r)
	}
}
