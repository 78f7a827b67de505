package main

import (
	"fmt"
	"strings"
)

// gustYAML is a pipeline file of tasks that run true, each after the one before or all at once. Its first scheduled
// run, if it has a schedule, is far away.
func gustYAML(id, schedule string, tasks int, chain bool) string {
	return gustTasks(id, schedule, tasks, chain, "      operator: BashOperator\n      bash_command: \"true\"\n")
}

// gustTasks says what the tasks are.
func gustTasks(id, schedule string, tasks int, chain bool, task string) string {
	if schedule == "" {
		schedule = "null"
	} else {
		schedule = fmt.Sprintf("%q", schedule)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s:\n  schedule: %s\n  start_date: 2100-01-01\n  catchup: false\n", id, schedule)
	fmt.Fprintf(&text, "  max_active_runs: 100\n  max_active_tasks: 200\n  tasks:\n")
	for i := range tasks {
		fmt.Fprintf(&text, "    - task_id: s%d\n%s", i, task)
		if chain && i > 0 {
			fmt.Fprintf(&text, "      dependencies: [s%d]\n", i-1)
		}
	}
	return text.String()
}

// daguYAML is the same for Dagu.
func daguYAML(steps int, chain bool) string {
	return daguSteps(steps, chain, "    command: \"true\"\n")
}

// daguSteps says what the steps are.
func daguSteps(steps int, chain bool, step string) string {
	var text strings.Builder
	if chain {
		text.WriteString("type: chain\nsteps:\n")
	} else {
		fmt.Fprintf(&text, "type: graph\nmaxActiveSteps: %d\nsteps:\n", steps)
	}
	for i := range steps {
		fmt.Fprintf(&text, "  - name: s%d\n%s", i, step)
	}
	return text.String()
}
