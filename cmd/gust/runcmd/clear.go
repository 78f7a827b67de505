// Package runcmd is the commands that people steer runs with: look at runs and watch them, clear, mark and annotate them and
// their tasks, delete them, and backfill.
package runcmd

import (
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
)

// Commands makes the commands.
type Commands struct{ *host.Host }

// Tasks are the commands for `gust tasks`.
func (c Commands) Tasks() []*cobra.Command {
	return []*cobra.Command{c.tasksClear(), c.tasksMark(), c.tasksNote()}
}

// Runs is `gust runs`.
func (c Commands) Runs() *cobra.Command {
	return c.Group("runs", "List, watch, clear, mark and delete runs", "pipelines",
		c.runsList(), c.runsShow(), c.runsWatch(), c.runsClear(), c.runsMark(), c.runsNote(), c.runsDelete())
}

const clearLong = `Clear task instances, so that they run again: their states are forgotten, the tries so far are kept, the retries are
granted anew. Finished runs are queued again; what runs is ended and begins a new try. A task brings its setups and
teardowns along.

Without --run-id and dates all runs of the DAG are meant. Task instances that have not been looked at yet have nothing to
clear. A run goes on with the version of the DAG that it began with unless --latest-version is given.`

type clearFlags struct {
	task, runID, start, end string
	dagRegex, yes, dry      bool
	past, future            bool
	mapIndex                int
	request                 app.ClearRequest
}

func (c Commands) tasksClear() *cobra.Command {
	o := &clearFlags{}
	cmd := &cobra.Command{
		Use: "clear DAG_ID", Short: "Clear task instances, so that they run again", Long: clearLong,
		Args: c.Arguments("DAG_ID"), ValidArgsFunction: c.CompleteDags,
		Example: `  gust tasks clear order_pipeline --run-id manual__2026-11-21T10:00:00+00:00 --only-failed
  gust tasks clear order_pipeline -t '^load$' --downstream -s 2026-11-01 -e 2026-11-21 --dry-run
  gust tasks clear '^price_' --dag-regex --only-failed --yes`,
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.task, "task-regex", "t", "", "only tasks whose id this `REGEX` matches")
	flags.StringVar(&o.runID, "run-id", "", "only this `RUN`, by its id or logical date")
	flags.IntVar(&o.mapIndex, "map-index", -1, "only this `INDEX` of mapped tasks")
	flags.StringVarP(&o.start, "start-date", "s", "", "only runs with a logical date not before this `DATE`")
	flags.StringVarP(&o.end, "end-date", "e", "", "only runs with a logical date not after this `DATE`")
	flags.BoolVar(&o.past, "past", false, "with --run-id: the runs before it too")
	flags.BoolVar(&o.future, "future", false, "with --run-id: the runs after it too")
	flags.BoolVarP(&o.request.Options.Upstream, "upstream", "u", false, "what lies upstream of the tasks too")
	flags.BoolVarP(&o.request.Options.Downstream, "downstream", "d", false, "what lies downstream of the tasks too")
	flags.BoolVarP(&o.dagRegex, "dag-regex", "R", false, "DAG_ID is a regular expression, for several DAGs at once")
	c.clearFlags(cmd, o)
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if err := c.clearRequest(cmd, a, args[0], o); err != nil {
			return err
		}
		return c.clear(cmd, a, o, *format)
	})
	return cmd
}

// clearFlags are those of `tasks clear` and `runs clear`.
func (c Commands) clearFlags(cmd *cobra.Command, o *clearFlags) {
	flags := cmd.Flags()
	flags.BoolVarP(&o.request.Options.OnlyFailed, "only-failed", "f", false, "only what is failed or upstream_failed")
	flags.BoolVarP(&o.request.Options.OnlyRunning, "only-running", "r", false, "only what is running")
	flags.BoolVar(&o.request.LatestVersion, "latest-version", false, "let the runs go on with the latest version of their DAG")
	flags.BoolVar(&o.dry, "dry-run", false, "only list what would be cleared")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
}

func (c Commands) runsClear() *cobra.Command {
	o := &clearFlags{}
	cmd := &cobra.Command{
		Use: "clear DAG_ID RUN_ID|LOGICAL_DATE", Short: "Clear a whole run, so that it runs again",
		Long: `Clear every task instance of a run, so that it runs again under the same run id and dates. "gust tasks clear" clears a part
of it, or many runs.`,
		Args: c.Arguments("DAG_ID", "RUN_ID"), ValidArgsFunction: c.CompleteRun,
		Example: "  gust runs clear order_pipeline manual__2026-11-21T10:00:00+00:00\n" +
			"  gust runs clear order_pipeline 2026-11-21 --only-failed --yes",
	}
	c.clearFlags(cmd, o)
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if err := c.Exclusive(cmd, "only-failed", "only-running"); err != nil {
			return err
		}
		run, err := c.FindRun(cmd, a, args[0], args[1])
		if err != nil {
			return err
		}
		o.request.DagIDs, o.request.RunID = []string{run.DagID}, run.RunID
		return c.clear(cmd, a, o, *format)
	})
	return cmd
}

// clearRequest reads the arguments of `tasks clear`.
func (c Commands) clearRequest(cmd *cobra.Command, a *app.App, target string, o *clearFlags) error {
	if err := c.Exclusive(cmd, "only-failed", "only-running"); err != nil {
		return err
	}
	if o.runID != "" && (o.start != "" || o.end != "") {
		return host.Usagef("--run-id is one run and dates are many; give one of them, or --past and --future with the run")
	}
	if o.runID == "" && (o.past || o.future) {
		return host.Usagef("--past and --future are relative to a run; give it with --run-id")
	}
	r := &o.request
	if cmd.Flags().Changed("map-index") {
		if o.mapIndex < 0 {
			return host.Usagef("--map-index is %d; expected 0 or more", o.mapIndex)
		}
		r.Options.MapIndex = &o.mapIndex
	}
	if err := c.clearDags(cmd, a, target, o); err != nil {
		return err
	}
	if err := c.date(a, o.start, &r.From); err != nil {
		return err
	}
	if err := c.date(a, o.end, &r.Until); err != nil {
		return err
	}
	if o.task == "" {
		return nil
	}
	var err error
	if r.Options.Tasks, err = regexp.Compile(o.task); err != nil {
		return host.Usagef("--task-regex: %q is not a regular expression: %w", o.task, err)
	}
	return c.someTask(cmd, a, o)
}

// date parses a date flag, "" is none.
func (c Commands) date(a *app.App, text string, to *time.Time) error {
	if text == "" {
		return nil
	}
	at, err := c.ParseDate(a.Config, text)
	*to = at
	return err
}

// clearDags finds the DAGs, and the run.
func (c Commands) clearDags(cmd *cobra.Command, a *app.App, target string, o *clearFlags) error {
	r := &o.request
	if !o.dagRegex {
		if err := c.KnownDAG(cmd, a, target); err != nil {
			return err
		}
		r.DagIDs = []string{target}
	} else {
		pattern, err := regexp.Compile(target)
		if err != nil {
			return host.Usagef("DAG_ID: %q is not a regular expression: %w", target, err)
		}
		if r.DagIDs, err = a.DagsMatching(cmd.Context(), pattern); err != nil {
			return err
		}
		if len(r.DagIDs) == 0 {
			return host.NotFoundf("no DAG of the database matches %s; `gust dags list` shows the DAGs", target)
		}
	}
	if o.runID == "" {
		return nil
	}
	if len(r.DagIDs) > 1 {
		return host.Usagef("--run-id is a run of one DAG, and %s matches %d", target, len(r.DagIDs))
	}
	run, err := c.FindRun(cmd, a, r.DagIDs[0], o.runID)
	if err != nil {
		return err
	}
	if !o.past && !o.future {
		r.RunID = run.RunID
		return nil
	}
	if run.LogicalDate.IsZero() {
		return host.Usagef("run %s has no logical date, so nothing is before or after it", run.RunID)
	}
	if !o.past {
		r.From = run.LogicalDate
	}
	if !o.future {
		r.Until = run.LogicalDate
	}
	return nil
}

// someTask refuses a --task-regex that no task of the DAGs matches as they are now: it is a typing error.
func (c Commands) someTask(cmd *cobra.Command, a *app.App, o *clearFlags) error {
	var ids []string
	for _, id := range o.request.DagIDs {
		d, err := a.Latest(cmd.Context(), id)
		if err != nil {
			return nil //nolint:nilerr // it is only a look for typing errors; the runs have versions of their own
		}
		for _, t := range d.Tasks {
			if o.request.Options.Tasks.MatchString(t.ID) {
				return nil
			}
			ids = append(ids, t.ID)
		}
	}
	return host.NotFoundf("no task matches --task-regex %s%s", o.task, c.DidYouMean(o.task, ids))
}

// clear plans, shows, asks and clears.
func (c Commands) clear(cmd *cobra.Command, a *app.App, o *clearFlags, format string) error {
	cleared, err := a.PlanClear(cmd.Context(), o.request)
	if err != nil {
		return err
	}
	if len(cleared.Tasks) == 0 {
		c.Printf("Nothing to clear.\n")
		return nil
	}
	t := &host.Table{Columns: []string{"dag_id", "run_id", "task_id", "map_index", "state", "try_number"}}
	runs, running := map[dag.RunKey]bool{}, 0
	for i := range cleared.Instances {
		ti := &cleared.Instances[i]
		t.Add(ti.DagID, ti.RunID, ti.TaskID, ti.MapIndex, ti.State, ti.TryNumber)
		runs[ti.Run()] = true
		if ti.State == dag.StateRunning {
			running++
		}
	}
	if o.dry || !o.yes {
		if err := c.Print(t, format); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("%s in %s", count(len(t.Rows), "task instance"), count(len(runs), "run"))
	if o.dry {
		c.Note("%s would be cleared.", what)
		return nil
	}
	question := fmt.Sprintf("You are about to clear %s.", what)
	if running > 0 {
		question += fmt.Sprintf(" %d of them run and are ended.", running)
	}
	if err := c.Proceed(o.yes, question+" Are you sure?"); err != nil {
		return err
	}
	if err := a.Clear(cmd.Context(), cleared); err != nil {
		return err
	}
	c.Printf("Cleared %s.\n", what)
	c.noteStopped(a)
	return nil
}

// noteStopped says that nothing happens before a daemon runs.
func (c Commands) noteStopped(a *app.App) {
	if !a.SchedulerAlive() {
		c.Note("No daemon runs on %s: it takes effect when `gust scheduler` or `gust standalone` runs.", a.Config.Home())
	}
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
