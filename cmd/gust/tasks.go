package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gust/cmd/gust/runcmd"
	"gust/dag"
	"gust/internal/app"
	"gust/runner/tasklog"
	"gust/store"
)

func (c *cli) tasksCommand() *cobra.Command {
	return group("tasks", "List, test and look at tasks", "pipelines",
		append([]*cobra.Command{
			c.tasksList(), c.tasksTest(), c.tasksRender(), c.tasksState(), c.tasksStates(), c.tasksLogs(), c.tasksFailedDeps(),
		}, runcmd.Commands{Host: c.lend()}.Tasks()...)...)
}

// findTask finds a task of a DAG; a wrong name gets the nearest.
func findTask(d *dag.DAG, id string) (*dag.Task, error) {
	if t := d.Task(id); t != nil {
		return t, nil
	}
	text := fmt.Sprintf("DAG %s has no task %q", d.ID, id)
	if near := didYouMean(id, taskIDs(d)); near != "" {
		return nil, notFoundf("%s%s", text, near)
	}
	return nil, notFoundf("%s; `gust tasks list %s` shows them", text, d.ID)
}

func (c *cli) tasksList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list DAG_ID", Short: "List the tasks of a DAG, upstream first", Args: arguments("DAG_ID"), ValidArgsFunction: c.completeDags,
		Example: "  gust tasks list order_pipeline\n  gust tasks list order_pipeline -o json",
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		d, _, err := c.findDAG(cmd, a, args[0])
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("output") {
			for _, t := range d.Tasks {
				c.printf("%s\n", t.ID)
			}
			return nil
		}
		t := &table{columns: []string{"task_id", "operator", "trigger_rule", "upstream", "pool", "retries", "owner"}}
		for _, task := range d.Tasks {
			t.add(task.ID, task.Operator, string(task.TriggerRule), task.Upstream, task.Pool, task.Retries, task.Owner)
		}
		return t.print(c.out, *format)
	})
	return cmd
}

func (c *cli) tasksTest() *cobra.Command {
	options := testOptions{}
	cmd := &cobra.Command{
		Use: "test DAG_ID|FILE TASK_ID [LOGICAL_DATE]", Short: "Run one task in the foreground, without its dependencies",
		Long: `Run one task once in the foreground, without its dependencies, without retries, and without recording state. Values of other
tasks are those of the run with that logical date, if there is one. Exits with 3 when the task fails.`,
		Example: "  gust tasks test order_pipeline extract\n  gust tasks test order_pipeline extract 2026-11-21 --task-params '{\"n\": 1}'",
		Args:    arguments("DAG_ID", "TASK_ID", "[LOGICAL_DATE]"), ValidArgsFunction: c.completeDagTask,
	}
	cmd.Flags().StringVarP(&options.conf, "task-params", "t", "", "a `JSON` object over the task's params")
	cmd.Flags().StringVar(&options.env, "env-vars", "", "a `JSON` object of environment variables to set for the task")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options.target, options.task, options.confFlag = args[0], args[1], "--task-params"
		if len(args) == 3 {
			options.date = args[2]
		}
		return c.test(cmd, options)
	}
	return cmd
}

func (c *cli) tasksRender() *cobra.Command {
	cmd := &cobra.Command{
		Use: "render DAG_ID|FILE TASK_ID RUN_ID|LOGICAL_DATE", Short: "Render a task's templates", Args: arguments("DAG_ID", "TASK_ID", "RUN_ID"),
		Long:              "Render the templated parameters of a task for a run, or for a logical date that has none, without running it. Secrets\nare masked.",
		Example:           "  gust tasks render daily_report build 2026-11-21",
		ValidArgsFunction: c.completeDagTask,
	}
	index, format := mapIndexFlag(cmd), outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		d, _, err := c.findDAG(cmd, a, args[0])
		if err != nil {
			return err
		}
		task, err := findTask(d, args[1])
		if err != nil {
			return err
		}
		if *index >= 0 && task.Mapped == nil {
			return usagef("--map-index: task %s is not mapped", task.ID)
		}
		run, err := c.findRun(cmd, a, d.ID, args[2])
		if err != nil {
			at, dateErr := parseDate(a.Config, args[2])
			if dateErr != nil {
				return err
			}
			if run, err = a.NewRun(d, app.TriggerRequest{LogicalDate: at, By: dag.ByTest}); err != nil {
				return err
			}
		}
		if *index >= 0 {
			if _, err := c.instance(cmd, a, args, *index); err != nil {
				return err
			}
		}
		fields, err := a.Render(cmd.Context(), d, task, run, *index)
		if err != nil {
			return err
		}
		t := &table{columns: []string{"parameter", "value"}}
		for _, f := range fields {
			raw, err := marshal(f.Value)
			if err != nil {
				return err
			}
			t.add(f.Name, json.RawMessage(a.Masker.Mask(string(raw))))
		}
		if *format != "table" {
			return t.print(c.out, *format)
		}
		rule := strings.Repeat("-", 58)
		for _, f := range fields {
			text, ok := f.Value.(string)
			if !ok {
				raw, err := json.MarshalIndent(f.Value, "", "  ")
				if err != nil {
					return err
				}
				text = string(raw)
			}
			c.printf("# %s\n# property: %s\n# %s\n%s\n\n", rule, f.Name, rule, a.Masker.Mask(text))
		}
		return nil
	})
	return cmd
}

// instance finds a task instance of a run.
func (c *cli) instance(cmd *cobra.Command, a *app.App, args []string, mapIndex int) (*dag.TaskInstance, error) {
	run, err := c.findRun(cmd, a, args[0], args[2])
	if err != nil {
		return nil, err
	}
	ti, err := a.Store.TaskInstanceGet(cmd.Context(), dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: args[1], MapIndex: mapIndex})
	if !errors.Is(err, store.ErrNotFound) {
		return ti, err
	}
	list, listErr := a.Store.TaskInstanceList(cmd.Context(), run.RunKey)
	if listErr != nil {
		return nil, listErr
	}
	var ids []string
	for _, t := range list {
		ids = append(ids, t.TaskID)
	}
	if len(ids) == 0 {
		return nil, notFoundf("run %s of DAG %s has no tasks yet: it is %s", run.RunID, run.DagID, run.State)
	}
	text := fmt.Sprintf("run %s of DAG %s has no task %q", run.RunID, run.DagID, args[1])
	if mapIndex >= 0 && slices.Contains(ids, args[1]) {
		return nil, notFoundf("%s with the map index %d", text, mapIndex)
	}
	return nil, notFoundf("%s%s", text, didYouMean(args[1], ids))
}

func mapIndexFlag(cmd *cobra.Command) *int {
	return cmd.Flags().Int("map-index", -1, "`INDEX` of a mapped task instance")
}

func (c *cli) tasksState() *cobra.Command {
	cmd := &cobra.Command{
		Use: "state DAG_ID TASK_ID RUN_ID|LOGICAL_DATE", Short: "Print the state of a task in a run", Args: arguments("DAG_ID", "TASK_ID", "RUN_ID"),
		Example: "  gust tasks state order_pipeline extract manual__2026-11-21T10:00:00+00:00", ValidArgsFunction: c.completeDagTask,
	}
	index := mapIndexFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		ti, err := c.instance(cmd, a, args, *index)
		if err != nil {
			return err
		}
		c.printf("%s\n", ti.State)
		return nil
	})
	return cmd
}

func (c *cli) tasksStates() *cobra.Command {
	cmd := &cobra.Command{
		Use: "states-for-dag-run DAG_ID RUN_ID|LOGICAL_DATE", Short: "List the states of all tasks of a run", Args: arguments("DAG_ID", "RUN_ID"),
		Example: "  gust tasks states-for-dag-run order_pipeline manual__2026-11-21T10:00:00+00:00", ValidArgsFunction: c.completeRun,
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		run, err := c.findRun(cmd, a, args[0], args[1])
		if err != nil {
			return err
		}
		list, err := a.Store.TaskInstanceList(cmd.Context(), run.RunKey)
		if err != nil {
			return err
		}
		t := &table{columns: []string{"dag_id", "logical_date", "task_id", "state", "try_number", "start_date", "end_date", "error"}}
		mapped := slices.ContainsFunc(list, func(ti dag.TaskInstance) bool { return ti.MapIndex >= 0 })
		if mapped { // as Airflow has it: only where it says something
			t.columns = append(t.columns, "map_index", "rendered_map_index")
		}
		for _, ti := range list {
			row := []any{ti.DagID, run.LogicalDate, ti.TaskID, ti.State, ti.TryNumber, ti.StartDate, ti.EndDate, firstLine(ti.Error)}
			if mapped {
				row = append(row, ti.MapIndex, ti.RenderedMapIndex)
			}
			t.rows = append(t.rows, row)
		}
		return t.print(c.out, *format)
	})
	return cmd
}

func (c *cli) tasksLogs() *cobra.Command {
	var (
		try            int
		follow, asJSON bool
	)
	cmd := &cobra.Command{
		Use: "logs DAG_ID TASK_ID RUN_ID|LOGICAL_DATE", Short: "Print the log of a task's attempt", Args: arguments("DAG_ID", "TASK_ID", "RUN_ID"),
		Long:    "Print the log of a task's attempt, the latest unless --try says otherwise. With --follow it goes on until the task has ended.",
		Example: "  gust tasks logs order_pipeline extract manual__2026-11-21T10:00:00+00:00\n  gust tasks logs order_pipeline load manual__2026-11-21T10:00:00+00:00 -f", ValidArgsFunction: c.completeDagTask,
	}
	cmd.Flags().IntVar(&try, "try", 0, "the attempt `N`, from 1 (default: the latest)")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print new lines until the task has ended")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the lines as stored, JSON objects")
	index := mapIndexFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		ti, err := c.instance(cmd, a, args, *index)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("try") && try < 1 {
			return usagef("--try is %d; expected 1 or more", try)
		}
		attempt := ti.Attempt()
		if try > 0 {
			attempt.TryNumber = try
		}
		attempt.TryNumber = max(attempt.TryNumber, 1)
		base := a.Config.Logging.BaseLogFolder
		reader := &tasklog.Reader{W: c.out, JSON: asJSON}
		path := tasklog.Path(base, attempt)
		if follow {
			return reader.Follow(cmd.Context(), path, func(ctx context.Context) (bool, error) {
				now, err := a.Store.TaskInstanceGet(ctx, ti.Key)
				if err != nil {
					return false, err
				}
				return now.State.Finished() || now.TryNumber > attempt.TryNumber, nil
			})
		}
		if err := reader.Print(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		tries, err := tasklog.Tries(base, ti.Key)
		if err != nil {
			return err
		}
		if len(tries) == 0 {
			return notFoundf("task %s of run %s has no log: it is %s and no attempt has written one", ti.TaskID, ti.RunID, ti.State)
		}
		return notFoundf("attempt %d of task %s has no log; there are logs of %s", attempt.TryNumber, ti.TaskID, strings.Trim(fmt.Sprint(tries), "[]"))
	})
	return cmd
}

func (c *cli) tasksFailedDeps() *cobra.Command {
	cmd := &cobra.Command{
		Use: "failed-deps DAG_ID TASK_ID RUN_ID|LOGICAL_DATE", Short: "Say why a task is not running", Args: arguments("DAG_ID", "TASK_ID", "RUN_ID"),
		Long:              "Say why a task is not running: every unmet dependency, limit and pool, in words.",
		Example:           "  gust tasks failed-deps order_pipeline load_express manual__2026-11-21T10:00:00+00:00",
		ValidArgsFunction: c.completeDagTask,
	}
	index := mapIndexFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		reasons, err := c.unmet(cmd, a, args, *index)
		if err != nil {
			return err
		}
		if len(reasons) == 0 {
			c.printf("Task instance dependencies are all met.\n")
			return nil
		}
		c.printf("Task instance dependencies not met:\n")
		for _, reason := range reasons {
			c.printf("  %s\n", reason)
		}
		return nil
	})
	return cmd
}

// unmet are the reasons why a task is not running. A run that is queued has no tasks yet: its reasons are theirs.
func (c *cli) unmet(cmd *cobra.Command, a *app.App, args []string, mapIndex int) ([]string, error) {
	ti, err := c.instance(cmd, a, args, mapIndex)
	if err == nil {
		return a.Explain(cmd.Context(), ti.Key)
	}
	run, runErr := c.findRun(cmd, a, args[0], args[2])
	if runErr != nil || run.State != dag.RunQueued {
		return nil, err
	}
	version, versionErr := a.Store.DagVersionGet(cmd.Context(), run.DagVersion)
	if versionErr == nil {
		if _, err := findTask(version, args[1]); err != nil {
			return nil, err
		}
	}
	if waits := c.waits(cmd, a, run); len(waits) > 0 {
		return waits, nil
	}
	return []string{"the run is queued: it starts when fewer than max_active_runs of its DAG are running"}, nil
}

func (c *cli) completeDagTask(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return c.completeDags(cmd, args, toComplete)
	}
	return c.complete(cmd, func(a *app.App) ([]string, error) {
		switch len(args) {
		case 1:
			d, _, err := a.Pipeline(cmd.Context(), args[0])
			if err != nil {
				return nil, err
			}
			return taskIDs(d), nil
		case 2:
			return runIDs(cmd, a, args[0])
		}
		return nil, nil
	})
}
