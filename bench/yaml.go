package main

import (
	"fmt"
	"strings"
)

// gustYAML is a pipeline file of tasks that run true, each after the one before or all at once. Its first scheduled
// run, if it has a schedule, is far away.
func gustYAML(id, schedule string, tasks int, chain bool) string {
	if schedule == "" {
		schedule = "null"
	} else {
		schedule = fmt.Sprintf("%q", schedule)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s:\n  schedule: %s\n  start_date: 2100-01-01\n  catchup: false\n", id, schedule)
	fmt.Fprintf(&text, "  max_active_runs: 100\n  max_active_tasks: 200\n  tasks:\n")
	for i := range tasks {
		fmt.Fprintf(&text, "    - task_id: s%d\n      operator: BashOperator\n      bash_command: \"true\"\n", i)
		if chain && i > 0 {
			fmt.Fprintf(&text, "      dependencies: [s%d]\n", i-1)
		}
	}
	return text.String()
}

// daguYAML is the same for Dagu.
func daguYAML(steps int, chain bool) string {
	var text strings.Builder
	if chain {
		text.WriteString("type: chain\nsteps:\n")
	} else {
		fmt.Fprintf(&text, "type: graph\nmaxActiveSteps: %d\nsteps:\n", steps)
	}
	for i := range steps {
		fmt.Fprintf(&text, "  - name: s%d\n    command: \"true\"\n", i)
	}
	return text.String()
}
