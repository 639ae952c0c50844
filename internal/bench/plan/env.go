package plan

import (
	"fmt"
	"strconv"
)

// indexes are the variables that schedulers use to number processes. The first pair whose index is
// set counts.
var indexes = []struct {
	index, count string
	first, step  string // variables with the lowest index and the step; "" for 0 and 1
}{
	{"MQBENCH_SHARD", "MQBENCH_SHARDS", "", ""},
	{"JOB_COMPLETION_INDEX", "MQBENCH_SHARDS", "", ""},                                                 // Kubernetes Indexed Job, which does not set the count
	{"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"}, // sbatch --array
	{"AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", "", ""},
	{"NOMAD_ALLOC_INDEX", "MQBENCH_SHARDS", "", ""}, // does not set the count either
}

// ShardFromEnv returns the index of the shard and the number of shards from environment variables:
// MQBENCH_SHARD, JOB_COMPLETION_INDEX, SLURM_ARRAY_TASK_ID, AWS_BATCH_JOB_ARRAY_INDEX and
// NOMAD_ALLOC_INDEX, in this order. MQBENCH_SHARDS is the number of shards if the scheduler does
// not set one, and overrides it if it does. ok is false if no index is set. The error names the
// variable that is missing or not valid.
func ShardFromEnv(lookup func(name string) (value string, ok bool)) (i, n int, ok bool, err error) {
	number := func(name string) (int, bool, error) {
		s, found := lookup(name)
		if !found || s == "" {
			return 0, false, nil
		}
		v, err := strconv.ParseUint(s, 10, 31)
		if err != nil {
			return 0, true, fmt.Errorf("%s: %q is not a whole number", name, s)
		}
		return int(v), true, nil
	}
	for _, x := range indexes {
		i, found, err := number(x.index)
		if err != nil {
			return 0, 0, false, err
		}
		if !found {
			continue
		}
		if x.first != "" {
			first, _, err := number(x.first)
			if err != nil {
				return 0, 0, false, err
			}
			step, _, err := number(x.step)
			if err != nil {
				return 0, 0, false, err
			}
			if i < first {
				return 0, 0, false, fmt.Errorf("%s is %d, below %s, which is %d", x.index, i, x.first, first)
			}
			i = (i - first) / max(step, 1)
		}
		for _, name := range [...]string{"MQBENCH_SHARDS", x.count} {
			if n, found, err = number(name); err != nil {
				return 0, 0, false, err
			} else if found {
				break
			}
		}
		switch {
		case !found:
			return 0, 0, false, fmt.Errorf("%s is set, and %s, the number of shards, is not", x.index, x.count)
		case i >= n:
			return 0, 0, false, fmt.Errorf("%s: there is no shard %d of %d", x.index, i, n)
		}
		return i, n, true, nil
	}
	return 0, 0, false, nil
}
