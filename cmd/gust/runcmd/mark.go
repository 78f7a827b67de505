package runcmd

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

var (
	taskMarks = []string{string(dag.StateSuccess), string(dag.StateFailed), string(dag.StateSkipped)}
	runMarks  = []string{string(dag.RunSuccess), string(dag.RunFailed)}
)

func (c Commands) tasksMark() *cobra.Command {
	var (
		regex, dry bool
		mapIndex   int
	)
	cmd := &cobra.Command{
		Use: "mark DAG_ID TASK_ID RUN_ID|LOGICAL_DATE success|failed|skipped", Short: "Set the state of a task in a run",
		Long: `Set the state of a task in a run. What runs is ended; no callback is made. Marked success or skipped, tasks downstream that
are upstream_failed are cleared, so that they run; a finished run is opened again as far as its outcome changes.

Of a mapped task all instances are marked, or the one of --map-index.`,
		Args: c.Arguments("DAG_ID", "TASK_ID", "RUN_ID", "STATE"), ValidArgsFunction: c.withStates(c.CompleteTask, 3, taskMarks),
		Example: "  gust tasks mark order_pipeline load manual__2026-11-21T10:00:00+00:00 success\n" +
			"  gust tasks mark order_pipeline '^notify_' 2026-11-21 skipped --regex --dry-run",
	}
	cmd.Flags().BoolVar(&regex, "regex", false, "TASK_ID is a regular expression, for several tasks at once")
	cmd.Flags().IntVar(&mapIndex, "map-index", -1, "only this `INDEX` of a mapped task")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only list what would change")
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if err := c.oneOf("STATE", args[3], taskMarks); err != nil {
			if slices.Contains(taskMarks, args[2]) {
				return host.Usagef("the state comes last: gust tasks mark %s %s %s %s", args[0], args[1], args[3], args[2])
			}
			return err
		}
		run, err := c.FindRun(cmd, a, args[0], args[2])
		if err != nil {
			return err
		}
		pattern, err := c.taskPattern(cmd, a, run, args[1], regex)
		if err != nil {
			return err
		}
		var only *int
		if cmd.Flags().Changed("map-index") {
			if only = &mapIndex; !regex {
				if _, err := c.FindInstance(cmd, a, run.DagID, args[1], run.RunID, mapIndex); err != nil {
					return err
				}
			}
		}
		e, err := a.PlanMarkTasks(cmd.Context(), run.RunKey, pattern, only, dag.State(args[3]))
		if err != nil {
			return err
		}
		return c.mark(cmd, a, e, dry, *format)
	})
	return cmd
}

// taskPattern matches the tasks that the user has named; there must be one in the run.
func (c Commands) taskPattern(cmd *cobra.Command, a *app.App, run *dag.Run, text string, regex bool) (*regexp.Regexp, error) {
	list, err := a.Store.TaskInstanceList(cmd.Context(), run.RunKey)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, host.NotFoundf("run %s of DAG %s has no tasks yet: it is %s", run.RunID, run.DagID, run.State)
	}
	pattern := regexp.MustCompile("^" + regexp.QuoteMeta(text) + "$")
	if regex {
		if pattern, err = regexp.Compile(text); err != nil {
			return nil, host.Usagef("TASK_ID: %q is not a regular expression: %w", text, err)
		}
	}
	var ids []string
	for i := range list {
		if pattern.MatchString(list[i].TaskID) {
			return pattern, nil
		}
		ids = append(ids, list[i].TaskID)
	}
	if regex {
		return nil, host.NotFoundf("no task of run %s of DAG %s matches %s", run.RunID, run.DagID, text)
	}
	return nil, host.NotFoundf("run %s of DAG %s has no task %q%s", run.RunID, run.DagID, text, c.DidYouMean(text, ids))
}

func (c Commands) runsMark() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "mark DAG_ID RUN_ID|LOGICAL_DATE success|failed", Short: "End a run with a state",
		Long: `End a run with a state. Marked failed, what runs is ended and failed, what has not begun is skipped. Marked success,
everything that is not finished succeeds. Teardowns still run: the run ends with them. No callback is made.`,
		Args: c.Arguments("DAG_ID", "RUN_ID", "STATE"), ValidArgsFunction: c.withStates(c.CompleteRun, 2, runMarks),
		Example: "  gust runs mark order_pipeline manual__2026-11-21T10:00:00+00:00 failed\n" +
			"  gust runs mark order_pipeline 2026-11-21 success --dry-run",
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only list what would change")
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if err := c.oneOf("STATE", args[2], runMarks); err != nil {
			return err
		}
		run, err := c.FindRun(cmd, a, args[0], args[1])
		if err != nil {
			return err
		}
		e, err := a.PlanMarkRun(cmd.Context(), run.RunKey, dag.RunState(args[2]))
		if err != nil {
			return err
		}
		if len(e.Runs) == 0 && string(run.State) != args[2] {
			c.Note("Teardowns of the run have not run yet: it ends with them.")
		}
		return c.mark(cmd, a, e, dry, *format)
	})
	return cmd
}

func (c Commands) oneOf(name, value string, values []string) error {
	if slices.Contains(values, value) {
		return nil
	}
	list := ""
	for i, v := range values {
		if i > 0 {
			list += ", "
		}
		list += v
	}
	return host.Usagef("%s is %q; expected one of %s%s", name, value, list, c.DidYouMean(value, values))
}

// withStates completes the states after the arguments that names complete.
func (c Commands) withStates(names host.Completion, at int, states []string) host.Completion {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) == at {
			return states, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cmd, args, toComplete)
	}
}

// mark shows an edit and carries it out.
func (c Commands) mark(cmd *cobra.Command, a *app.App, e *store.Edit, dry bool, format string) error {
	t := &host.Table{Columns: []string{"dag_id", "run_id", "task_id", "map_index", "becomes"}}
	for i := range e.Tasks {
		m := &e.Tasks[i]
		t.Add(m.Key.DagID, m.Key.RunID, m.Key.TaskID, m.Key.MapIndex, m.State)
	}
	for i := range e.Clear {
		k := &e.Clear[i].Key
		t.Add(k.DagID, k.RunID, k.TaskID, k.MapIndex, "cleared")
	}
	for i := range e.Runs {
		t.Add(e.Runs[i].Key.DagID, e.Runs[i].Key.RunID, nil, nil, fmt.Sprintf("run %s", e.Runs[i].State))
	}
	if len(t.Rows) == 0 {
		c.Printf("Nothing changes: it is so already.\n")
		return nil
	}
	if !dry {
		if err := a.Apply(cmd.Context(), e); err != nil {
			return err
		}
	}
	if err := c.Print(t, format); err != nil {
		return err
	}
	if dry {
		c.Note("Nothing was changed: it was a dry run.")
		return nil
	}
	c.noteStopped(a)
	return nil
}

func (c Commands) tasksNote() *cobra.Command {
	var mapIndex int
	cmd := &cobra.Command{
		Use: "note DAG_ID TASK_ID RUN_ID|LOGICAL_DATE [NOTE]", Short: "Show or set the note of a task in a run",
		Long:    `Show the note of a task in a run, or set it; "" removes it. Notes are for people: nothing reads them.`,
		Args:    c.Arguments("DAG_ID", "TASK_ID", "RUN_ID", "[NOTE]"),
		Example: "  gust tasks note order_pipeline load manual__2026-11-21T10:00:00+00:00 'warehouse was down'",
	}
	cmd.ValidArgsFunction = c.CompleteTask
	cmd.Flags().IntVar(&mapIndex, "map-index", -1, "`INDEX` of a mapped task instance")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		ti, err := c.FindInstance(cmd, a, args[0], args[1], args[2], mapIndex)
		if err != nil {
			return err
		}
		if len(args) == 3 {
			c.Printf("%s\n", ti.Note)
			return nil
		}
		return a.Store.TaskNoteSet(cmd.Context(), ti.Key, args[3])
	})
	return cmd
}

func (c Commands) runsNote() *cobra.Command {
	cmd := &cobra.Command{
		Use: "note DAG_ID RUN_ID|LOGICAL_DATE [NOTE]", Short: "Show or set the note of a run",
		Long:    `Show the note of a run, or set it; "" removes it. Notes are for people: nothing reads them.`,
		Args:    c.Arguments("DAG_ID", "RUN_ID", "[NOTE]"),
		Example: "  gust runs note order_pipeline manual__2026-11-21T10:00:00+00:00 'repeated after the outage'",
	}
	cmd.ValidArgsFunction = c.CompleteRun
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		run, err := c.FindRun(cmd, a, args[0], args[1])
		if err != nil {
			return err
		}
		if len(args) == 2 {
			c.Printf("%s\n", run.Note)
			return nil
		}
		return a.Store.RunNoteSet(cmd.Context(), run.RunKey, args[2])
	})
	return cmd
}
