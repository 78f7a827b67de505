package runcmd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

func (c Commands) runsList() *cobra.Command {
	var (
		start, end string
		limit      int
	)
	cmd := &cobra.Command{
		Use: "list [DAG_ID]", Short: "List runs of a DAG or of all, newest first", Args: c.Arguments("[DAG_ID]"), ValidArgsFunction: c.CompleteDags,
		Example: "  gust runs list\n  gust runs list daily_report --state failed --state queued -o json",
	}
	var states, types []string
	flags := cmd.Flags()
	flags.StringArrayVar(&states, "state", nil, "only runs in this `STATE`: "+strings.Join(allRunStates, ", ")+" (may be repeated)")
	flags.StringArrayVar(&types, "run-type", nil, "only runs of this `TYPE`: "+strings.Join(allRunTypes, ", ")+" (may be repeated)")
	flags.StringVarP(&start, "start-date", "s", "", "logical date not before this `DATE`")
	flags.StringVarP(&end, "end-date", "e", "", "logical date not after this `DATE`")
	flags.IntVar(&limit, "limit", 100, "at most `N` runs")
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if limit < 1 {
			return host.Usagef("--limit is %d; expected 1 or more", limit)
		}
		params := &store.RunListParams{Limit: limit}
		for _, s := range states {
			if err := c.oneOf("--state", s, allRunStates); err != nil {
				return err
			}
			params.States = append(params.States, dag.RunState(s))
		}
		for _, t := range types {
			if err := c.oneOf("--run-type", t, allRunTypes); err != nil {
				return err
			}
			params.Types = append(params.Types, dag.RunType(t))
		}
		if err := c.date(a, start, &params.LogicalFrom); err != nil {
			return err
		}
		if err := c.date(a, end, &params.LogicalUntil); err != nil {
			return err
		}
		if len(args) == 1 {
			params.DagID = args[0]
		}
		runs, err := a.Store.RunList(cmd.Context(), params)
		if err != nil {
			return err
		}
		if len(runs) == 0 && params.DagID != "" {
			if err := c.KnownDAG(cmd, a, params.DagID); err != nil {
				return err
			}
		}
		return c.Print(c.Host.Runs(runs), *format)
	})
	return cmd
}

var (
	allRunStates = []string{string(dag.RunQueued), string(dag.RunRunning), string(dag.RunSuccess), string(dag.RunFailed)}
	allRunTypes  = []string{string(dag.RunScheduled), string(dag.RunManual), string(dag.RunBackfill), string(dag.RunAsset)}
)

func (c Commands) runsShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show DAG_ID RUN_ID|LOGICAL_DATE", Short: "Show everything about a run", Args: c.Arguments("DAG_ID", "RUN_ID"),
		ValidArgsFunction: c.CompleteRun,
		Example:           "  gust runs show order_pipeline manual__2026-11-21T10:00:00+00:00\n  gust runs show order_pipeline 2026-11-21 -o yaml",
	}
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		run, err := c.FindRun(cmd, a, args[0], args[1])
		if err != nil {
			return err
		}
		tasks, err := a.Store.TaskInstanceList(cmd.Context(), run.RunKey)
		if err != nil {
			return err
		}
		t := &host.Table{}
		var values []any
		add := func(name string, value any) { t.Columns, values = append(t.Columns, name), append(values, value) }
		add("dag_id", run.DagID)
		add("run_id", run.RunID)
		add("state", string(run.State))
		add("reason", run.Reason)
		add("run_type", string(run.Type))
		add("triggered_by", string(run.TriggeredBy))
		add("logical_date", run.LogicalDate)
		add("data_interval_start", run.IntervalStart)
		add("data_interval_end", run.IntervalEnd)
		add("run_after", run.RunAfter)
		add("queued_at", run.QueuedAt)
		add("start_date", run.StartDate)
		add("end_date", run.EndDate)
		add("duration", duration(run.StartDate, run.EndDate))
		add("conf", run.Conf)
		add("dag_version", run.DagVersion)
		add("clear_number", run.ClearNumber)
		add("backfill_id", run.BackfillID)
		add("note", run.Note)
		add("tasks", stateCounts(tasks))
		t.Rows = [][]any{values}
		return c.Details(t, *format)
	})
	return cmd
}

func duration(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return to.Sub(from)
}

// stateCounts is how many task instances are in each state, "success 3, failed 1".
func stateCounts(tasks []dag.TaskInstance) string {
	n := map[dag.State]int{}
	for i := range tasks {
		n[tasks[i].State]++
	}
	var parts []string
	for _, s := range dag.TaskStates {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", s, n[s]))
		}
	}
	return strings.Join(parts, ", ")
}

func (c Commands) runsDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete DAG_ID RUN_ID|LOGICAL_DATE", Short: "Delete a finished run",
		Long: `Delete a finished run with its task instances, values and tries. Its log files stay. A scheduled run does not come back: its
date has been run. "gust db clean" deletes old runs.`,
		Args: c.Arguments("DAG_ID", "RUN_ID"), ValidArgsFunction: c.CompleteRun,
		Example: "  gust runs delete order_pipeline manual__2026-11-21T10:00:00+00:00 --yes",
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		run, err := c.FindRun(cmd, a, args[0], args[1])
		if err != nil {
			return err
		}
		unfinished := func() error {
			return host.Failedf("run %s of DAG %s is %s: only a finished run can be deleted; end it with `gust runs mark %s %s failed`",
				run.RunID, run.DagID, run.State, run.DagID, run.RunID)
		}
		if !run.State.Finished() {
			return unfinished()
		}
		if err := c.Proceed(yes, fmt.Sprintf("Delete run %s of DAG %s?", run.RunID, run.DagID)); err != nil {
			return err
		}
		n, err := a.Store.RunsDelete(cmd.Context(), &store.RunsDeleteParams{DagIDs: []string{run.DagID}, RunID: run.RunID})
		if err != nil {
			return err
		}
		if n == 0 { // it was cleared meanwhile
			return unfinished()
		}
		c.Printf("Deleted run %s of DAG %s.\n", run.RunID, run.DagID)
		return nil
	})
	return cmd
}

// chosen are the runs that are watched: those named, else the unfinished ones of the DAG, else its latest.
func (c Commands) chosen(cmd *cobra.Command, a *app.App, args []string) ([]dag.RunKey, error) {
	var keys []dag.RunKey
	for _, which := range args[1:] {
		run, err := c.FindRun(cmd, a, args[0], which)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(keys, run.RunKey) {
			keys = append(keys, run.RunKey)
		}
	}
	if len(keys) > 0 {
		return keys, nil
	}
	runs, err := a.Store.RunList(cmd.Context(), &store.RunListParams{
		DagID: args[0], States: []dag.RunState{dag.RunQueued, dag.RunRunning}, Limit: maxWatched,
	})
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		if runs, err = a.Store.RunList(cmd.Context(), &store.RunListParams{DagID: args[0], Limit: 1}); err != nil {
			return nil, err
		}
	}
	if len(runs) == 0 {
		if err := c.KnownDAG(cmd, a, args[0]); err != nil {
			return nil, err
		}
		return nil, host.NotFoundf("DAG %s has no run yet; create one with `gust dags trigger %s`", args[0], args[0])
	}
	for i := range slices.Backward(runs) { // oldest first
		keys = append(keys, runs[i].RunKey)
	}
	return keys, nil
}
