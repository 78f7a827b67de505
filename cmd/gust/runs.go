package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gust/dag"
	"gust/dag/timetable"
	"gust/internal/app"
	"gust/internal/config"
	"gust/store"
)

func (c *cli) dagsTrigger() *cobra.Command {
	var runID, conf, logicalDate string
	cmd := &cobra.Command{
		Use: "trigger DAG_ID", Short: "Create a run", Args: arguments("DAG_ID"), ValidArgsFunction: c.completeDags,
		Long: `Create a queued run. A running daemon takes it up at once; without one it waits for the next start, and a paused DAG's run
waits until the DAG is unpaused. The logical date is now unless given; "none" gives the run none.`,
		Example: "  gust dags trigger order_pipeline\n  gust dags trigger order_pipeline --conf '{\"customer\": \"ada\"}' --run-id manual__1",
	}
	cmd.Flags().StringVarP(&runID, "run-id", "r", "", "the run's `ID` (default: manual__<run after>)")
	cmd.Flags().StringVarP(&conf, "conf", "c", "", "a `JSON` object, seen by templates as dag_run.conf and params")
	cmd.Flags().StringVarP(&logicalDate, "logical-date", "l", "", "logical `DATE` (ISO 8601), or none")
	cmd.Flags().StringVarP(&logicalDate, "exec-date", "e", "", "logical `DATE`, as Airflow 2 calls it")
	withoutEffect(cmd, "no-replace-microseconds", "", "microseconds are always kept")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		request := app.TriggerRequest{DagID: args[0], RunID: runID, By: dag.ByCLI}
		var err error
		if request.Conf, err = jsonObject("--conf", conf); err != nil {
			return err
		}
		if err := setLogicalDate(a.Config, &request, logicalDate); err != nil {
			return err
		}
		run, err := a.Trigger(cmd.Context(), request)
		if err != nil {
			return err
		}
		if err := printRuns([]dag.Run{*run}, true).print(c.out, *format); err != nil {
			return err
		}
		c.noteWaiting(cmd, a, run)
		return nil
	})
	return cmd
}

// jsonObject checks a JSON object of the command line; "" is none.
func jsonObject(flag, text string) (json.RawMessage, error) {
	if text == "" {
		return nil, nil
	}
	var object map[string]any
	err := json.Unmarshal([]byte(text), &object)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, usagef("%s is not JSON: %w at character %d of %s", flag, err, syntax.Offset, text)
	case err != nil || object == nil:
		return nil, usagef("%s is not a JSON object: %s\nexpected for example '{\"key\": \"value\"}'", flag, text)
	}
	return json.RawMessage(text), nil
}

func setLogicalDate(cfg *config.Config, request *app.TriggerRequest, text string) error {
	if strings.EqualFold(text, "none") {
		request.NoLogicalDate = true
		return nil
	}
	if text == "" {
		return nil
	}
	at, err := parseDate(cfg, text)
	request.LogicalDate = at
	return err
}

// noteWaiting says what a queued run waits for, when it will not start at once, and which version it uses.
func (c *cli) noteWaiting(cmd *cobra.Command, a *app.App, run *dag.Run) {
	for _, reason := range c.waits(cmd, a, run) {
		c.note("%s", reason)
	}
	row, err := a.Store.DagGet(cmd.Context(), run.DagID)
	if err != nil {
		return // a note is not worth an error
	}
	isBroken := func(e store.ImportError) bool { return e.FileLoc == row.FileLoc }
	broken, err := a.Store.ImportErrorList(cmd.Context())
	if err != nil || !slices.ContainsFunc(broken, isBroken) {
		return
	}
	// The daemon may not have seen yet that the file has been mended.
	if now, err := a.Pipelines(cmd.Context()); err == nil && slices.ContainsFunc(now.Errors, isBroken) {
		c.note("%s cannot be loaded as it is now: the run uses the last good version of DAG %s.", shorten(row.FileLoc), run.DagID)
	}
}

// waits are the reasons for which a queued run does not start at once.
func (c *cli) waits(cmd *cobra.Command, a *app.App, run *dag.Run) []string {
	var reasons []string
	if row, err := a.Store.DagGet(cmd.Context(), run.DagID); err == nil && row.IsPaused {
		reasons = append(reasons, fmt.Sprintf("DAG %s is paused: the run waits for `gust dags unpause %s`.", run.DagID, run.DagID))
	}
	if !a.SchedulerAlive() {
		reasons = append(reasons, fmt.Sprintf("No daemon runs on %s: the run waits for `gust scheduler` or `gust standalone`.", a.Config.Home()))
	}
	return reasons
}

// parseDate reads an ISO 8601 date or time; without an offset it is in core.default_timezone, as in Airflow.
func parseDate(cfg *config.Config, text string) (time.Time, error) {
	zone, err := time.LoadLocation(cfg.Core.DefaultTimezone)
	if err != nil {
		return time.Time{}, fmt.Errorf("core.default_timezone: %w", err)
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02 15:04:05.999999Z07:00", "2006-01-02T15:04:05.999999", "2006-01-02T15:04", "2006-01-02 15:04:05.999999", "2006-01-02",
	} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, usagef("%q is not a date; expected ISO 8601 such as 2026-11-21 or 2026-11-21T06:00:00+01:00", text)
}

// printRuns is the table of runs, with the conf of each when asked for.
func printRuns(runs []dag.Run, conf bool) *table {
	t := &table{columns: []string{"dag_id", "run_id", "state", "run_after", "logical_date", "start_date", "end_date", "run_type"}}
	if conf {
		t.columns = append(t.columns, "conf")
	}
	for i := range runs {
		r := &runs[i]
		row := []any{r.DagID, r.RunID, string(r.State), r.RunAfter, r.LogicalDate, r.StartDate, r.EndDate, string(r.Type)}
		if conf {
			row = append(row, r.Conf)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func (c *cli) dagsPause(pause bool) *cobra.Command {
	verb, short, long := "unpause", "Go on creating runs of a DAG", "Go on creating runs of a DAG. Slots missed meanwhile are run when it catches up (catchup: true)."
	if pause {
		verb, short = "pause", "Stop creating runs of a DAG"
		long = "Stop creating runs of a DAG. Runs that are going finish; queued ones wait until it is unpaused."
	}
	var regex, yes bool
	cmd := &cobra.Command{
		Use: verb + " DAG_ID", Short: short, Long: long, Args: arguments("DAG_ID"), ValidArgsFunction: c.completeDags,
		Example: fmt.Sprintf("  gust dags %s daily_report\n  gust dags %s '^price_' --treat-dag-id-as-regex --yes", verb, verb),
	}
	cmd.Flags().BoolVar(&regex, "treat-dag-id-as-regex", false, "DAG_ID is a regular expression, for several DAGs at once")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask when several DAGs match")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		loaded, err := a.Pipelines(cmd.Context())
		if err != nil {
			return err
		}
		ids, err := loaded.Match(args[0], regex)
		var missing *app.NoDAGError
		switch {
		case errors.As(err, &missing):
			return err
		case err != nil:
			return usagef("%w", err)
		}
		if len(ids) > 1 && !yes && !c.confirm(fmt.Sprintf("%s %d DAGs: %s? (y/n) ", verb, len(ids), strings.Join(ids, ", "))) {
			return &exitError{Code: codeFailed, Err: errors.New("cancelled")}
		}
		t := &table{columns: []string{"dag_id", "is_paused"}}
		for _, id := range ids {
			if err := a.SetPaused(cmd.Context(), id, pause); err != nil {
				return err
			}
			t.add(id, pause)
		}
		return t.print(c.out, *format)
	})
	return cmd
}

// knownDAG returns an error unless the DAG is among the pipelines or has been.
func (c *cli) knownDAG(cmd *cobra.Command, a *app.App, id string) error {
	_, err := a.Store.DagGet(cmd.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		_, _, err = a.Pipeline(cmd.Context(), id)
	}
	return err
}

// findRun finds a run by its id, or by its logical date.
func (c *cli) findRun(cmd *cobra.Command, a *app.App, dagID, which string) (*dag.Run, error) {
	run, err := a.Store.RunGet(cmd.Context(), dag.RunKey{DagID: dagID, RunID: which})
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return run, err
	}
	if at, dateErr := parseDate(a.Config, which); dateErr == nil {
		runs, err := a.Store.RunList(cmd.Context(), &store.RunListParams{DagID: dagID, LogicalDate: at, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(runs) == 1 {
			return &runs[0], nil
		}
	}
	if err := c.knownDAG(cmd, a, dagID); err != nil {
		return nil, err
	}
	ids, err := runIDs(cmd, a, dagID)
	switch {
	case err != nil:
		return nil, err
	case len(ids) == 0:
		return nil, notFoundf("DAG %s has no run yet; create one with `gust dags trigger %s`", dagID, dagID)
	}
	text := fmt.Sprintf("DAG %s has no run %q, neither as run id nor as logical date", dagID, which)
	if near := didYouMean(which, ids); near != "" {
		return nil, notFoundf("%s%s", text, near)
	}
	return nil, notFoundf("%s; its latest run is %s, `gust dags list-runs %s` shows all", text, ids[0], dagID)
}

func (c *cli) dagsState() *cobra.Command {
	return &cobra.Command{
		Use: "state DAG_ID RUN_ID|LOGICAL_DATE", Short: "Print the state of a run", Args: arguments("DAG_ID", "RUN_ID"),
		Long:              "Print the state of a run, and after a comma its conf when it has one. Why it is so follows on standard error.",
		ValidArgsFunction: c.completeRun, Example: "  gust dags state daily_report 2026-11-21T05:00:00\n" +
			"  gust dags state order_pipeline manual__2026-11-21T10:00:00+00:00",
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			run, err := c.findRun(cmd, a, args[0], args[1])
			if err != nil {
				return err
			}
			text := string(run.State)
			if len(run.Conf) > 0 && string(run.Conf) != "{}" {
				text += ", " + string(run.Conf)
			}
			c.printf("%s\n", text)
			if run.Reason != "" {
				c.note("%s", run.Reason)
			}
			return nil
		}),
	}
}

func (c *cli) dagsListRuns() *cobra.Command {
	var (
		start, end string
		noBackfill bool
		limit      int
	)
	cmd := &cobra.Command{
		Use: "list-runs DAG_ID", Short: "List the runs of a DAG, newest first", Args: arguments("DAG_ID"), ValidArgsFunction: c.completeDags,
		Example: "  gust dags list-runs daily_report\n  gust dags list-runs daily_report --state failed -o json",
	}
	state := choiceFlag(cmd, "state", "", "only runs in this `STATE`: queued, running, success, failed", "",
		string(dag.RunQueued), string(dag.RunRunning), string(dag.RunSuccess), string(dag.RunFailed))
	cmd.Flags().BoolVar(&noBackfill, "no-backfill", false, "leave backfill runs out")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most `N` runs")
	cmd.Flags().StringVarP(&start, "start-date", "s", "", "logical date not before this `DATE`")
	cmd.Flags().StringVarP(&end, "end-date", "e", "", "logical date not after this `DATE`")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if limit < 1 {
			return usagef("--limit is %d; expected 1 or more", limit)
		}
		params := &store.RunListParams{DagID: args[0], Limit: limit}
		if state.value != "" {
			params.States = []dag.RunState{dag.RunState(state.value)}
		}
		if noBackfill {
			params.NotTypes = []dag.RunType{dag.RunBackfill}
		}
		for text, to := range map[*string]*time.Time{&start: &params.LogicalFrom, &end: &params.LogicalUntil} {
			if *text == "" {
				continue
			}
			at, err := parseDate(a.Config, *text)
			if err != nil {
				return err
			}
			*to = at
		}
		runs, err := a.Store.RunList(cmd.Context(), params)
		if err != nil {
			return err
		}
		if len(runs) == 0 { // a DAG that is not there has no runs either: say so
			if err := c.knownDAG(cmd, a, args[0]); err != nil {
				return err
			}
		}
		return printRuns(runs, false).print(c.out, *format)
	})
	return cmd
}

// nextFields are the dates of a coming run, under Airflow's names.
var nextFields = []string{"logical_date", "data_interval.start", "data_interval.end", "run_after"}

func nextField(s *timetable.Slot, name string) time.Time {
	switch name {
	case "logical_date":
		return s.LogicalDate
	case "data_interval.start":
		return s.IntervalStart
	case "data_interval.end":
		return s.IntervalEnd
	}
	return s.RunAfter
}

func (c *cli) dagsNextExecution() *cobra.Command {
	var (
		n       int
		asTable bool
	)
	cmd := &cobra.Command{
		Use: "next-execution DAG_ID", Short: "Print the logical date of a DAG's next run", Args: arguments("DAG_ID"), ValidArgsFunction: c.completeDags,
		Long: `Print the logical date of a DAG's next run, or of the next N. Under a cron schedule that is when it runs; with a data
interval it is the interval's start, and --field run_after says when the run is created.`,
		Example: "  gust dags next-execution daily_report\n  gust dags next-execution daily_report -n 5 --table\n" +
			"  gust dags next-execution daily_report --field run_after",
	}
	cmd.Flags().IntVarP(&n, "num-executions", "n", 1, "print the next `N` runs")
	cmd.Flags().BoolVar(&asTable, "table", false, "print all dates of each run")
	field := choiceFlag(cmd, "field", "", "the `DATE` to print: "+strings.Join(nextFields, ", "), nextFields[0], nextFields...)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if n < 1 {
			return usagef("--num-executions is %d; expected 1 or more", n)
		}
		if err := exclusive(cmd, "table", "field"); err != nil {
			return err
		}
		d, _, err := c.findDAG(cmd, a, args[0])
		if err != nil {
			return err
		}
		slots, err := a.Upcoming(cmd.Context(), d, n)
		if err != nil {
			return err
		}
		if row, err := a.Store.DagGet(cmd.Context(), d.ID); err == nil && row.IsPaused {
			c.note("DAG %s is paused: no run is created before `gust dags unpause %s`.", d.ID, d.ID)
		}
		if len(slots) == 0 {
			c.printf("None\n")
			c.note("DAG %s has no next run: its schedule is %s.", d.ID, cmp.Or(d.Schedule.Text, "none"))
			return nil
		}
		t := &table{columns: nextFields}
		for i := range slots {
			if !asTable {
				c.printf("%s\n", timetable.ISOFormat(nextField(&slots[i], field.value)))
				continue
			}
			row := make([]any, len(nextFields))
			for j, name := range nextFields {
				row[j] = nextField(&slots[i], name)
			}
			t.rows = append(t.rows, row)
		}
		if !asTable {
			return nil
		}
		return t.print(c.out, "table")
	})
	return cmd
}

// completeRun completes a DAG and then one of its runs.
func (c *cli) completeRun(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return c.completeDags(cmd, args, toComplete)
	}
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.complete(cmd, func(a *app.App) ([]string, error) { return runIDs(cmd, a, args[0]) })
}

// runIDs are the latest runs of a DAG.
func runIDs(cmd *cobra.Command, a *app.App, dagID string) ([]string, error) {
	runs, err := a.Store.RunList(cmd.Context(), &store.RunListParams{DagID: dagID, Limit: 20})
	ids := make([]string, len(runs))
	for i := range runs {
		ids[i] = runs[i].RunID
	}
	return ids, err
}
