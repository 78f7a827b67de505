package lookcmd

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
)

// Triggers is `gust triggers`.
func (c Commands) Triggers() *cobra.Command {
	return c.Group("triggers", "See and end what waits without a worker", "pipelines",
		c.triggersList(), c.triggersShow(), c.triggersFire(), c.triggersCancel())
}

// maxArgs is how much of what a wait is about fits into a table.
const maxArgs = 80

func (c Commands) triggersList() *cobra.Command {
	var (
		dagID string
		limit int
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List what is parked, on what, since when and until when", Args: c.Arguments(),
		Long: `List the task instances that wait without a worker, longest first: what they wait on, since when, when they are looked at
next, and when they give up at the latest. The next look is known while a daemon runs and serves its health (api.enabled).
In a table what they wait on is shortened; -o json shows all of it.`,
		Example: "  gust triggers list\n  gust triggers list --dag-id order_pipeline -o json",
	}
	cmd.Flags().StringVar(&dagID, "dag-id", "", "only those of this `DAG_ID`")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most `N`")
	_ = cmd.RegisterFlagCompletionFunc("dag-id", c.CompleteDags)
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		if limit < 1 {
			return host.Usagef("--limit is %d; expected 1 or more", limit)
		}
		if dagID != "" {
			if err := c.KnownDAG(cmd, a, dagID); err != nil {
				return err
			}
		}
		most := limit
		if dagID != "" {
			most = maxDeferred
		}
		list, err := a.Store.DeferredList(cmd.Context(), most)
		if err != nil {
			return err
		}
		t := &host.Table{Columns: []string{"dag_id", "run_id", "task_id", "map_index", "trigger", "on", "since", "waiting", "next_check", "deadline"}}
		next := a.NextChecks(cmd.Context(), most)
		for i := range list {
			ti := &list[i]
			if dagID != "" && ti.DagID != dagID || len(t.Rows) == limit {
				continue
			}
			if d := ti.Deferral; d != nil {
				waiting := a.Now().Sub(d.Since).Truncate(1e9)
				t.Add(ti.DagID, ti.RunID, ti.TaskID, ti.MapIndex, d.Kind, c.on(a, d, *format), d.Since, waiting, next[ti.Key], d.Deadline)
			}
		}
		return c.Print(t, *format)
	})
	return cmd
}

// maxDeferred is how many waits are looked through for those of a DAG.
const maxDeferred = 10_000

// on is what a wait is about.
func (c Commands) on(a *app.App, d *dag.Deferral, format string) any {
	text := a.Masker.Mask(string(d.Args))
	if format == "json" || format == "yaml" {
		return json.RawMessage(text)
	}
	if utf8.RuneCountInString(text) > maxArgs {
		text = string([]rune(text)[:maxArgs-1]) + "…"
	}
	return text
}

// ofWait makes a command about one wait: DAG, run, task.
func (c Commands) ofWait(cmd *cobra.Command) (mapIndex *int) {
	cmd.Args = c.Arguments("DAG_ID", "RUN_ID", "TASK_ID")
	cmd.ValidArgsFunction = c.completeRunTask
	return cmd.Flags().Int("map-index", -1, "`INDEX` of a mapped task instance")
}

func (c Commands) triggersShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show DAG_ID RUN_ID|LOGICAL_DATE TASK_ID", Short: "Show what a task waits for, and how it is looked at",
		Long: `Show what a task waits for, since when and until when, and, while a daemon runs and serves its health (api.enabled), how it
is looked at: with how many other waits together, how often so far, when next, whether events can end it, and why it is
looked at in this way.`,
		Example: "  gust triggers show order_pipeline manual__2026-11-21T10:00:00+00:00 wait_for_load",
	}
	mapIndex := c.ofWait(cmd)
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		ti, err := c.FindInstance(cmd, a, args[0], args[2], args[1], *mapIndex)
		if err != nil {
			return err
		}
		if err := app.Waits(ti); err != nil {
			return err
		}
		t := &host.Table{Rows: make([][]any, 1)}
		add := func(column string, value any) {
			t.Columns, t.Rows[0] = append(t.Columns, column), append(t.Rows[0], value)
		}
		stored(a, ti, add)
		shown := a.ShowWait(cmd.Context(), ti.Key)
		if shown == nil {
			c.Note("How it is looked at is known while a daemon runs and serves its health (api.enabled).")
			return c.Details(t, *format)
		}
		add("doing", shown.Doing)
		add("checks", shown.Checks)
		add("last_check", shown.LastCheck)
		add("next_check", shown.NextCheck)
		add("events", shown.Hears)
		add("key", shown.Key)
		add("place", shown.Place)
		add("together", shown.Together)
		if *format == "json" || *format == "yaml" {
			add("explained", append([]string{}, shown.Explained...))
			return c.Details(t, *format)
		}
		if err := c.Details(t, *format); err != nil {
			return err
		}
		for i, line := range shown.Explained {
			if i == 0 {
				c.Printf("\nHow the waits of this key are looked at:\n")
			}
			c.Printf("  %s\n", line)
		}
		return nil
	})
	return cmd
}

// stored adds what the row of a wait tells.
func stored(a *app.App, ti *dag.TaskInstance, add func(column string, value any)) {
	d := ti.Deferral
	add("dag_id", ti.DagID)
	add("run_id", ti.RunID)
	add("task_id", ti.TaskID)
	add("map_index", ti.MapIndex)
	add("try_number", ti.TryNumber)
	add("trigger", d.Kind)
	add("on", json.RawMessage(a.Masker.Mask(string(d.Args))))
	add("since", d.Since)
	add("waiting", a.Now().Sub(d.Since).Truncate(1e9))
	add("deadline", d.Deadline)
}

func (c Commands) triggersFire() *cobra.Command {
	var event string
	cmd := &cobra.Command{
		Use: "fire DAG_ID RUN_ID|LOGICAL_DATE TASK_ID", Short: "End a wait as if what it waits for had come",
		Long: `End a wait as if its trigger had fired: the task goes on with the event, at once when a daemon runs, else when one starts.
What the task has started is left alone.

Without --event the event is that of a good end: an execution or a job that succeeded (an execution without output), a state
machine that is gone, a file that is there, a run or tasks in an allowed state, a query or a request that is met, a moment
that has come. A wait for a task of an activity needs --event. The event of a Step Functions execution has the keys status
("success" or "error"), execution_arn, execution_status, output (JSON as a text), error and cause.`,
		Example: "  gust triggers fire order_pipeline manual__2026-11-21T10:00:00+00:00 wait_for_load\n" +
			`  gust triggers fire order_pipeline 2026-11-21 load --event '{"status": "success", "output": "{\"rows\": 3}"}'`,
	}
	mapIndex := c.ofWait(cmd)
	cmd.Flags().StringVar(&event, "event", "", "the event as `JSON`, instead of that of a good end")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		var given json.RawMessage
		if cmd.Flags().Changed("event") {
			if given = json.RawMessage(event); !json.Valid(given) {
				return host.Usagef("--event is not JSON: %s\nexpected for example '{\"status\": \"success\"}'", event)
			}
		}
		ti, err := c.FindInstance(cmd, a, args[0], args[2], args[1], *mapIndex)
		if err != nil {
			return err
		}
		sent, err := a.FireWait(cmd.Context(), ti, given)
		if err != nil {
			return err
		}
		c.Printf("Fired the wait of task %s of run %s of DAG %s with %s.\n", ti.TaskID, ti.RunID, ti.DagID, a.Masker.Mask(string(sent)))
		c.whenApplied(a)
		return nil
	})
	return cmd
}

func (c Commands) triggersCancel() *cobra.Command {
	var (
		reason string
		leave  bool
	)
	cmd := &cobra.Command{
		Use: "cancel DAG_ID RUN_ID|LOGICAL_DATE TASK_ID", Short: "Fail a wait, and stop what it waits for",
		Long: `End a wait as if its trigger had failed, at once when a daemon runs, else when one starts: the task fails with that error,
and is tried again as its retries allow. What the task has started, such as a Step Functions execution, is stopped as by a
kill, unless it is left running.`,
		Example: "  gust triggers cancel order_pipeline manual__2026-11-21T10:00:00+00:00 load --reason 'wrong input'\n" +
			"  gust triggers cancel order_pipeline 2026-11-21 load --leave-running",
	}
	mapIndex := c.ofWait(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "`WHY`, for the task's error and its log")
	cmd.Flags().BoolVar(&leave, "leave-running", false, "do not stop what the task has started")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		ti, err := c.FindInstance(cmd, a, args[0], args[2], args[1], *mapIndex)
		if err != nil {
			return err
		}
		if err := a.CancelWait(cmd.Context(), ti, reason, leave); err != nil {
			return err
		}
		c.Printf("Cancelled the wait of task %s of run %s of DAG %s.\n", ti.TaskID, ti.RunID, ti.DagID)
		c.whenApplied(a)
		return nil
	})
	return cmd
}

// whenApplied tells that an edit has no effect yet.
func (c Commands) whenApplied(a *app.App) {
	if !a.SchedulerAlive() {
		c.Note("No daemon runs: it takes effect when one starts.")
	}
}
