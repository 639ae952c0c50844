package interop

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestManifestsAreKubernetes decodes the output of mqbench k8s to Kubernetes' own types,
// and refuses unknown fields.
func TestManifestsAreKubernetes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "mqbench")
	if out, err := exec.Command("go", "build", "-mod=mod", "-o", program, "github.com/mqtools/mqtools/cmd/mqbench").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, scenario := range map[string]string{
		"plain.yaml":  "groups: {g: {clients: 40, publish: {topic: t, rate: 1/s}}}\n",
		"secret.yaml": "groups: {g: {clients: 40, username: u, password: p}}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(scenario), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "k8s", path, "-h", "broker.lan", "--shards", "4", "--namespace", "bench", "--secret", "login")
		cmd.Env = append(os.Environ(), "MQ_CONFIG=none")
		text, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		docs := bytes.Split(text, []byte("\n---\n"))
		if len(docs) != 2 {
			t.Fatalf("%s: %d documents", name, len(docs))
		}
		var files any = new(corev1.ConfigMap)
		if strings.HasPrefix(name, "secret") {
			files = new(corev1.Secret)
		}
		if err := yaml.UnmarshalStrict(docs[0], files); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var job batchv1.Job
		if err := yaml.UnmarshalStrict(docs[1], &job); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		spec := job.Spec
		pod := spec.Template.Spec
		if job.Kind != "Job" || *spec.CompletionMode != batchv1.IndexedCompletion || *spec.Completions != 4 || *spec.Parallelism != 4 || *spec.BackoffLimit != 0 ||
			pod.RestartPolicy != corev1.RestartPolicyNever || pod.Containers[0].Resources.Requests.Memory().Value() < 1<<20 {
			t.Errorf("%s: another job than was meant: %+v", name, spec)
		}
		if len(spec.PodFailurePolicy.Rules) != 2 || spec.PodFailurePolicy.Rules[0].Action != batchv1.PodFailurePolicyActionFailJob {
			t.Errorf("%s: failures: %+v", name, spec.PodFailurePolicy)
		}
	}
}
