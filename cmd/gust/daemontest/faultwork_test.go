//go:build linux

package daemontest

import (
	"context"
	"encoding/json"
	"sync"

	"gust/dag"
	"gust/stepfunctions/handlers"
)

// faultMachines are the state machines of the fault harness beside those of the crash tests: one that fails until it is
// redriven, and one that ends only when it is stopped.
var faultMachines = map[string]string{
	"mend": `{"StartAt": "Pause", "States": {
		"Pause": {"Type": "Wait", "Seconds": 5, "Next": "Mend"},
		"Mend": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:mend", "End": true}}}`,
	"hold": `{"StartAt": "Hold", "States": {"Hold": {"Type": "Wait", "Seconds": 9000000, "End": true}}}`,
}

// handlersOfFaults do the tasks of the machines.
func handlersOfFaults() map[string]handlers.Handler {
	var mu sync.Mutex
	seen := map[string]bool{}
	return map[string]handlers.Handler{
		"work": {Func: func(_ context.Context, input []byte) ([]byte, error) { return input, nil }},
		"mend": {Func: func(_ context.Context, input []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			var in struct{ By string }
			if err := json.Unmarshal(input, &in); err != nil {
				return nil, err
			}
			if !seen[in.By] {
				seen[in.By] = true
				return nil, &handlers.TaskError{Name: "Broken", Cause: "the first time"}
			}
			return input, nil
		}},
	}
}

// faultPipelines are the DAGs of the fault harness.
func faultPipelines() map[string]pipeline {
	all := pipelines()
	all["mapped"] = mappedStarts()
	all["mend"] = pipeline{
		text: head("mend", "") +
			task("mend", startOperator, machine("mend"), input, "deferrable: true", patient, "retries: 1", "retry_mode: redrive", soon) +
			task("fetch", "StepFunctionGetExecutionOutputOperator", pulledARN("mend"), "dependencies: [mend]"),
		run: dag.RunSuccess, executions: map[string]int{"mend": 1}, waits: map[string]bool{"mend": true},
		tasks: map[string]end{"mend": {dag.StateSuccess, 2}, "fetch": done},
	}
	// An attempt may run into its time before it has started anything, so its executions are not counted.
	all["held"] = pipeline{
		text: head("held", "") +
			task("hold", startOperator, machine("hold"), input, "deferrable: true", patient, "execution_timeout: 0.5", "retries: 1", soon) +
			task("after", "EmptyOperator", "trigger_rule: all_done", "dependencies: [hold]"),
		run: dag.RunSuccess, waits: map[string]bool{"hold": true},
		tasks: map[string]end{"hold": {dag.StateFailed, 2}, "after": done},
	}
	all["narrow"], all["endless"] = narrow(), endless()
	return all
}

// mappedStarts is a task that starts an execution for each item, in a pool that counts those that wait.
func mappedStarts() pipeline {
	by := `state_machine_input:
        by: "{{ dag.dag_id }} {{ run_id }} {{ task.task_id }}[{{ ti.map_index }}] {{ ti.try_number }}"`
	return pipeline{
		text: head("mapped", "") +
			task("part", startOperator, machine("fulfil"), by, "deferrable: true", "waiter_delay: 0.1", "pool: waiting",
				"expand: {waiter_max_attempts: [6000, 6001, 6002, 6003]}") +
			bash("join", ":", "dependencies: [part]"),
		run: dag.RunSuccess, executions: map[string]int{"part": 1}, waits: map[string]bool{"part": true},
		mapped: map[string]int{"part": 4}, tasks: map[string]end{"part": done, "join": done},
	}
}

// narrow is more tasks than its pool and its limits have room for.
func narrow() pipeline {
	p := pipeline{
		text: head("narrow", "schedule: null\n  max_active_tasks: 3\n"), run: dag.RunSuccess,
		tasks: map[string]end{},
	}
	for _, id := range []string{"one", "two", "three", "four"} {
		p.text += bash(id, "sleep 0.02", "pool: narrow")
		p.tasks[id] = done
	}
	p.text += bash("few", "sleep 0.02", "max_active_tis_per_dag: 2", "dependencies: [one]")
	p.tasks["few"] = done
	return p
}

// pulledARN is the ARN that a task of an execution left, whatever became of it.
func pulledARN(task string) string {
	return `execution_arn: "{{ ti.xcom_pull(task_ids='` + task + `', key='execution_arn') }}"`
}

// faultMenu are the DAGs that are triggered, in turn.
var faultMenu = []string{
	"orders", "waits", "mapped", "retries", "mend", "held", "endless", "narrow", "waits", "parent", "fan", "narrow", "mapped",
	"doomed", "mend",
}
