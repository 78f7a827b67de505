package main

import (
	"fmt"

	"gust/dag"
)

// noOps and bashTrue say what the tasks of a pipeline do.
func noOps(t *dag.Task) { t.Operator = noOpOperator }

func bashTrue(t *dag.Task) {
	t.Operator = "BashOperator"
	t.Params = map[string]any{"bash_command": "true"}
}

// flat is a DAG of tasks that wait for nothing, chain one in which each waits for the one before. Only the executor
// limits how many run at once.
func flat(id string, tasks int, do func(*dag.Task)) (*dag.DAG, error) {
	return pipeline(id, tasks, do, func(int) []string { return nil })
}

func chain(id string, tasks int, do func(*dag.Task)) (*dag.DAG, error) {
	return pipeline(id, tasks, do, func(i int) []string {
		if i == 0 {
			return nil
		}
		return []string{taskID(i - 1)}
	})
}

func taskID(i int) string { return fmt.Sprintf("task_%05d", i) }

func pipeline(id string, tasks int, do func(*dag.Task), upstream func(i int) []string) (*dag.DAG, error) {
	d := &dag.DAG{
		ID: id, FileLoc: id + ".yaml", Timezone: "UTC", Schedule: dag.Schedule{Kind: dag.ScheduleNone},
		MaxActiveRuns: 1000, MaxActiveTasks: 1_000_000,
	}
	for i := range tasks {
		t := &dag.Task{
			ID: taskID(i), Upstream: upstream(i), TriggerRule: dag.AllSuccess, Owner: dag.DefaultOwner,
			RetryDelay: dag.DefaultRetryDelay, Pool: dag.DefaultPool, PoolSlots: 1, PriorityWeight: 1,
			WeightRule: dag.WeightDownstream, Queue: dag.DefaultQueue, DoXComPush: true,
		}
		do(t)
		d.Tasks = append(d.Tasks, t)
	}
	dag.Connect(d.Tasks)
	sorted, err := dag.Sort(d.Tasks)
	if err != nil {
		return nil, err
	}
	d.Tasks = sorted
	if d.Version, err = d.ContentVersion(); err != nil {
		return nil, err
	}
	d.Index()
	return d, nil
}
