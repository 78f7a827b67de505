//go:build linux

package daemontest

import (
	"fmt"
	"strings"

	"gust/dag"
)

// end is how a task must end, crashes or not.
type end struct {
	state dag.State
	try   int
}

var (
	done    = end{dag.StateSuccess, 1}
	skipped = end{dag.StateSkipped, 0}
)

// pipeline is a DAG of the crash test and what each of its runs must come to.
type pipeline struct {
	text  string
	run   dag.RunState
	tasks map[string]end
	// executions are the executions that one run starts: by task, how many, one for each try.
	executions map[string]int
	// waits are the tasks that end as their executions do.
	waits map[string]bool
	// mapped is how many instances a mapped task has.
	mapped map[string]int
	// falls says that its commands end in the middle.
	falls bool
	// slots is the number of runs that the schedule makes; 0 for a DAG that is triggered.
	slots int
	// inner DAGs are triggered by others only.
	inner bool
}

// work is a bash command that keeps a journal and has children, one of them in a session of its own, which outlive it
// if nobody ends them.
func work(inside string) string {
	return strings.Join([]string{
		`id="{{ dag.dag_id }} {{ run_id }} {{ task.task_id }} {{ ti.try_number }}"`,
		`echo "begin $id" >> "$JOURNAL"`,
		`sleep 300 & one=$!`,
		`setsid sleep 300 & two=$!`,
		inside,
		`kill $one $two; wait`,
		`echo "end $id" >> "$JOURNAL"`,
	}, "\n        ")
}

func bash(id, inside string, more ...string) string {
	return task(id, "BashOperator", append([]string{"bash_command: |\n        " + work(inside)}, more...)...)
}

func task(id, operator string, more ...string) string {
	lines := append([]string{"task_id: " + id, "operator: " + operator}, more...)
	return "    - " + strings.Join(lines, "\n      ") + "\n"
}

// input tells the state machine who started the execution, so that executions can be counted by task and try.
const input = `state_machine_input:
        by: "{{ dag.dag_id }} {{ run_id }} {{ task.task_id }} {{ ti.try_number }}"
        route: left`

func machine(name string) string {
	return "state_machine_arn: arn:aws:states:us-east-1:123456789012:stateMachine:" + name
}

func pulled(task string) string {
	return fmt.Sprintf(`execution_arn: "{{ ti.xcom_pull(task_ids='%s') }}"`, task)
}

const (
	startOperator = "StepFunctionStartExecutionOperator"
	sensor        = "StepFunctionExecutionSensor"
	look          = "poke_interval: 0.1"
	soon          = "retry_delay: 0.05"
	patient       = "waiter_delay: 0.1\n      waiter_max_attempts: 6000"
	calls         = "trigger_dag_id: child\n      wait_for_completion: true"
)

// machines are the state machines: one that works for half a second or so, one that fails. Waits are a hundredth as
// long.
var machines = map[string]string{
	"fulfil": `{"StartAt": "Pause", "States": {
		"Pause": {"Type": "Wait", "Seconds": 20, "Next": "Work"},
		"Work": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:work", "Next": "Again"},
		"Again": {"Type": "Wait", "Seconds": 10, "Next": "Done"},
		"Done": {"Type": "Pass", "End": true}}}`,
	"refuse": `{"StartAt": "Pause", "States": {
		"Pause": {"Type": "Wait", "Seconds": 10, "Next": "Refused"},
		"Refused": {"Type": "Fail", "Error": "Refused", "Cause": "on purpose"}}}`,
}

// pipelines are the DAGs of the crash test.
func pipelines() map[string]pipeline {
	return map[string]pipeline{
		"orders":  orders(),
		"waits":   waits(),
		"retries": retries(),
		"fan":     fan(),
		"doomed": {
			text: head("doomed", "") + bash("falls", "kill $one $two; exit 7"), run: dag.RunFailed, falls: true,
			tasks: map[string]end{"falls": {dag.StateFailed, 1}},
		},
		"ticks": {
			text: head("ticks", "schedule: {__type__: datetime.timedelta, minutes: 1}\n  start_date: 2026-01-01T00:00:00Z\n"+
				"  end_date: 2026-01-01T00:24:00Z\n  catchup: true\n  max_active_runs: 2\n"+
				"  default_args: {depends_on_past: true}\n") + bash("tick", "sleep 0.02"),
			run: dag.RunSuccess, tasks: map[string]end{"tick": done}, slots: 25,
		},
		"parent": {
			text: head("parent", "") +
				task("call", "TriggerDagRunOperator", calls, look) +
				task("hold", "TriggerDagRunOperator", calls, look, "deferrable: false") +
				bash("after", ":", "dependencies: [call, hold]"),
			run: dag.RunSuccess, tasks: map[string]end{"call": done, "hold": done, "after": done},
		},
		"child": {
			text: head("child", "") + bash("answer", "sleep 0.03"), run: dag.RunSuccess,
			tasks: map[string]end{"answer": done}, inner: true,
		},
	}
}

// children is how many runs of child each run of parent starts.
const children = 2

func head(id, more string) string {
	if more == "" {
		more = "schedule: null\n"
	}
	return id + ":\n  " + more + "  tasks:\n"
}

// orders is a chain with a branch in it.
func orders() pipeline {
	text := head("orders", "") +
		bash("extract", "sleep 0.03") +
		task("start", startOperator, machine("fulfil"), input, "dependencies: [extract]") +
		task("wait", sensor, pulled("start"), look, "dependencies: [start]") +
		task("fetch", "StepFunctionGetExecutionOutputOperator", pulled("start"), "dependencies: [wait]") +
		task("choose", "BranchOperator", `follow: "{{ ti.xcom_pull(task_ids='fetch').route }}"`, "dependencies: [fetch]") +
		bash("left", "sleep 0.02", "dependencies: [choose]") +
		bash("right", ":", "dependencies: [choose]") +
		task("join", "EmptyOperator", "trigger_rule: none_failed_min_one_success", "dependencies: [left, right]") +
		bash("clean", ":", "trigger_rule: all_done", "dependencies: [join]")
	return pipeline{
		text: text, run: dag.RunSuccess, executions: map[string]int{"start": 1},
		tasks: map[string]end{"extract": done, "start": done, "wait": done, "fetch": done, "choose": done, "left": done,
			"right": skipped, "join": done, "clean": done},
	}
}

// waits waits in every way there is.
func waits() pipeline {
	text := head("waits", "") +
		task("held", startOperator, machine("fulfil"), input, "wait_for_completion: true", "deferrable: false", patient) +
		task("parked", startOperator, machine("fulfil"), input, "deferrable: true", patient) +
		task("begin", startOperator, machine("fulfil"), input) +
		task("poke", sensor, pulled("begin"), "mode: poke", look, "dependencies: [begin]") +
		task("reschedule", sensor, pulled("begin"), "mode: reschedule", look, "dependencies: [begin]") +
		bash("join", "sleep 0.02", "dependencies: [held, parked, poke, reschedule]")
	return pipeline{
		text: text, run: dag.RunSuccess, executions: map[string]int{"held": 1, "parked": 1, "begin": 1},
		waits: map[string]bool{"held": true, "parked": true},
		tasks: map[string]end{"held": done, "parked": done, "begin": done, "poke": done, "reschedule": done, "join": done},
	}
}

// retries fails, tries again and goes on.
func retries() pipeline {
	text := head("retries", "") +
		bash("flaky", `if [ {{ ti.try_number }} -lt 3 ]; then kill $one $two; echo "end $id" >> "$JOURNAL"; exit 1; fi`,
			"retries: 4", soon) +
		task("refused", startOperator, machine("refuse"), input, "deferrable: true", patient, "retries: 1", soon) +
		task("never", "EmptyOperator", "dependencies: [refused]") +
		bash("rescue", ":", "trigger_rule: one_failed", "dependencies: [refused]") +
		bash("end", ":", "trigger_rule: all_done", "dependencies: [flaky, never, rescue]")
	return pipeline{
		text: text, run: dag.RunSuccess, executions: map[string]int{"refused": 2},
		waits: map[string]bool{"refused": true},
		tasks: map[string]end{"flaky": {dag.StateSuccess, 3}, "refused": {dag.StateFailed, 2},
			"never": {dag.StateUpstreamFailed, 0}, "rescue": done, "end": done},
	}
}

// fan is many tasks at once.
func fan() pipeline {
	p := pipeline{text: head("fan", ""), run: dag.RunSuccess, tasks: map[string]end{"join": done}}
	var ids []string
	for i := range 6 {
		id := fmt.Sprintf("part%d", i)
		ids = append(ids, id)
		p.text += bash(id, fmt.Sprintf("sleep 0.0%d", i+1))
		p.tasks[id] = done
	}
	p.text += bash("join", ":", "dependencies: ["+strings.Join(ids, ", ")+"]")
	return p
}
