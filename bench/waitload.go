package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// executionLoad is the executions of a case and the parked tasks that wait for them, one each.
type executionLoad struct {
	waitingCase
	*parkedHome
	firstEnd, lastEnd time.Time
}

// waitUntil is a state machine that ends at the time in its input.
const waitUntil = `{"StartAt":"W","States":{"W":{"Type":"Wait","TimestampPath":"$.at","End":true}}}`

// machine is the name of the state machine of a run's i-th task. With more machines than tasks each run has its own.
func (l *executionLoad) machine(run string, i int) string {
	if l.machines <= l.tasks {
		return "machine-" + strconv.Itoa(i%l.machines)
	}
	return fmt.Sprintf("machine-%s-%d", run, i%(l.machines/l.runs))
}

func (l *executionLoad) execution(run, task string) string {
	i, err := strconv.Atoi(strings.TrimPrefix(task, "task_"))
	if err != nil {
		i = 0 // taskID made it
	}
	return "arn:aws:states:" + cloudRegion + ":" + cloudAccount + ":execution:" + l.machine(run, i) + ":" + run + "-" + task
}

// plan says when the executions end. All is to be ready when the first one does.
func (l *executionLoad) plan(now time.Time) {
	const prepared = 4000 // executions that are started, or rows that are copied, in a second, with room
	l.firstEnd = now.Add(l.lead + time.Duration(l.executions)*time.Second/prepared)
	l.lastEnd = l.firstEnd.Add(l.over)
}

// input is that of a task's execution: when it ends.
func (l *executionLoad) input(run, task string) string {
	at := l.firstEnd.Add(time.Duration(shuffled(run+"-"+task) * float64(l.over)))
	return fmt.Sprintf(`{"at":%q}`, at.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// task is the YAML of the i-th task. It starts its execution in the run that is copied; the copies find theirs parked.
func (l *executionLoad) task(i int) string {
	return fmt.Sprintf("      operator: StepFunctionStartExecutionOperator\n      deferrable: true\n      state_machine_arn: %q\n"+
		"      name: \"{{ run_id }}-%s\"\n      state_machine_input: '%s'\n      waiter_delay: %.0f\n",
		machineARN+l.machine("{{ run_id }}", i), taskID(i), l.input(templateRun, taskID(i)), l.poke.Seconds())
}

// createMachines makes the state machines.
func (l *executionLoad) createMachines(ctx context.Context, aws *cloud) error {
	machines := map[string]bool{}
	for r := range l.runs {
		for i := range l.tasks {
			machines[l.machine(runID(r), i)] = true
		}
	}
	for name := range machines {
		err := aws.invoke(ctx, "CreateStateMachine", map[string]string{
			"name": name, "definition": waitUntil, "roleArn": "arn:aws:iam::" + cloudAccount + ":role/any",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// start starts the executions of the runs from the given one on.
func (l *executionLoad) start(ctx context.Context, aws *cloud, from int) error {
	return inParallel(sfnCallers, (l.runs-from)*l.tasks, func(n int) error {
		run, i := runID(from+(n-1)/l.tasks), (n-1)%l.tasks
		return aws.invoke(ctx, "StartExecution", map[string]string{
			"stateMachineArn": machineARN + l.machine(run, i), "name": run + "-" + taskID(i), "input": l.input(run, taskID(i)),
		})
	})
}

// shuffled is a number from 0 to 1 that follows from a name as if by chance, the same in every run of the bench.
func shuffled(name string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	mixed := h.Sum64() * 0x9E3779B97F4A7C15
	return float64(mixed>>11) / (1 << 53)
}

// openForReading opens the database of a home folder beside its daemon.
func openForReading(homeDir string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+filepath.Join(homeDir, "gust.db")+"?mode=ro&_pragma=busy_timeout(10000)")
}

// countDeferred counts the parked tasks in a home's database. An index has them.
func countDeferred(ctx context.Context, homeDir string) (int, error) {
	return countTasks(ctx, homeDir, "state = 'deferred'")
}

// countUnfinished counts the tasks that go on. All rows are read for that.
func countUnfinished(ctx context.Context, homeDir string) (int, error) {
	return countTasks(ctx, homeDir, "end_date IS NULL")
}

func countTasks(ctx context.Context, homeDir, condition string) (n int, err error) {
	db, err := openForReading(homeDir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM task_instance WHERE "+condition).Scan(&n)
	return n, err
}

// finishedTask is how a task went.
type finishedTask struct {
	run, task, state, problem string
	try                       int
	end                       time.Time
}

// finishedTasks reads the task instances of a home folder. There must be so many.
func finishedTasks(ctx context.Context, homeDir string, wanted int) (tasks []finishedTask, err error) {
	db, err := openForReading(homeDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx,
		"SELECT run_id, task_id, coalesce(state, 'none'), error, try_number, coalesce(end_date, 0) FROM task_instance")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var t finishedTask
		var end int64
		if err := rows.Scan(&t.run, &t.task, &t.state, &t.problem, &t.try, &end); err != nil {
			return nil, err
		}
		t.end = time.UnixMicro(end)
		tasks = append(tasks, t)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(tasks) != wanted {
		return nil, fmt.Errorf("%d task instances in the database, expected %d", len(tasks), wanted)
	}
	return tasks, nil
}
