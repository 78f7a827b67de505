package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gust/dag"
	"gust/dag/dagfile"
	"gust/dag/timetable"
	"gust/internal/app"
	"gust/internal/graphdraw"
	"gust/store"
)

func (c *cli) dagsCommand() *cobra.Command {
	return group("dags", "List, trigger, test and draw pipelines", "pipelines",
		c.dagsList(), c.dagsImportErrors(), c.dagsDetails(), c.dagsShow(), c.dagsTrigger(), c.dagsTest(),
		c.dagsPause(true), c.dagsPause(false), c.dagsState(), c.dagsListRuns(), c.dagsNextExecution())
}

func (c *cli) dagsList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the DAGs of the pipelines folder", Args: exactArgs(),
		Long: "List the DAGs of the pipelines folder as they are now, whether or not a daemon runs. Those whose file is broken now\n" +
			"come last, as a daemon has last seen them.",
		Example: "  gust dags list\n  gust dags list -o json",
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		loaded, err := a.Pipelines(cmd.Context())
		if err != nil {
			return err
		}
		t := &table{columns: []string{"dag_id", "fileloc", "owners", "is_paused", "schedule", "tags"}}
		for _, d := range slices.Concat(loaded.DAGs, loaded.Kept) {
			t.add(d.ID, c.shorten(d.FileLoc), owners(d), loaded.Paused[d.ID], d.Schedule.Text, d.Tags)
		}
		if err := t.print(c.out, *format); err != nil {
			return err
		}
		if n := len(loaded.Errors); n > 0 {
			discard(fmt.Fprintf(c.err, "%d file(s) could not be loaded; see `gust dags list-import-errors`\n", n))
		}
		return nil
	})
	return cmd
}

// shorten shows a path relative to the working directory when it lies below it.
func (c *cli) shorten(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

func owners(d *dag.DAG) string {
	var names []string
	for _, t := range d.Tasks {
		if !slices.Contains(names, t.Owner) {
			names = append(names, t.Owner)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (c *cli) dagsImportErrors() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list-import-errors", Short: "List the files that could not be loaded, with every problem", Args: exactArgs(),
		Long:    "List the files that could not be loaded, with every problem in them. Exits with 1 when there is one.",
		Example: "  gust dags list-import-errors",
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		loaded, err := a.Pipelines(cmd.Context())
		if err != nil {
			return err
		}
		if *format == "table" {
			for _, e := range loaded.Errors {
				c.printf("%s\n", strings.TrimRight(e.Text, "\n"))
			}
			if len(loaded.Errors) == 0 {
				c.printf("No data found\n")
			}
		} else {
			t := &table{columns: []string{"filepath", "error"}}
			for _, e := range loaded.Errors {
				t.add(e.FileLoc, e.Text)
			}
			if err := t.print(c.out, *format); err != nil {
				return err
			}
		}
		if len(loaded.Errors) > 0 {
			return &exitError{codeFailed, errQuiet}
		}
		return nil
	})
	return cmd
}

func (c *cli) dagsDetails() *cobra.Command {
	cmd := &cobra.Command{
		Use: "details DAG_ID", Short: "Show everything about a DAG", Args: exactArgs("dag_id"), ValidArgsFunction: c.completeDags,
		Example: "  gust dags details order_pipeline -o yaml",
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		d, warnings, err := c.findDAG(cmd, a, args[0])
		if err != nil {
			return err
		}
		t := &table{columns: []string{"property", "value"}}
		t.add("dag_id", d.ID)
		t.add("dag_display_name", cmpOr(d.DisplayName, d.ID))
		t.add("description", d.Description)
		t.add("fileloc", d.FileLoc)
		t.add("version", d.Version)
		t.add("schedule", d.Schedule.Text)
		t.add("timezone", d.Timezone)
		t.add("start_date", d.StartDate)
		t.add("end_date", d.EndDate)
		t.add("catchup", d.Catchup)
		t.add("max_active_runs", d.MaxActiveRuns)
		t.add("max_active_tasks", d.MaxActiveTasks)
		t.add("dagrun_timeout", d.DagrunTimeout)
		t.add("owners", owners(d))
		t.add("tags", d.Tags)
		t.add("tasks", len(d.Tasks))
		t.add("params", d.Params)
		for _, w := range warnings {
			t.add("warning", w)
		}
		return t.print(c.out, *format)
	})
	return cmd
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// findDAG finds a DAG by id among the pipelines, or, when target is a file, in it. Its warnings come with it.
func (c *cli) findDAG(cmd *cobra.Command, a *app.App, target string) (*dag.DAG, []string, error) {
	d, problems, err := a.Pipeline(cmd.Context(), target)
	var missing *app.NoDAGError
	if errors.As(err, &missing) {
		return nil, nil, &exitError{codeNotFound, err}
	}
	if err != nil {
		return nil, nil, err
	}
	var warnings []string
	for _, p := range problems {
		if p.Severity == dagfile.Warning {
			warnings = append(warnings, p.String())
		}
	}
	return d, warnings, nil
}

func (c *cli) dagsShow() *cobra.Command {
	var save string
	cmd := &cobra.Command{
		Use: "show DAG_ID|FILE", Short: "Draw the graph of a DAG", Args: exactArgs("dag_id"), ValidArgsFunction: c.completeDags,
		Long:    "Draw the graph of a DAG in the terminal, or save it as DOT (.dot, .gv), Mermaid (.mmd, .mermaid) or SVG (.svg).",
		Example: "  gust dags show order_pipeline\n  gust dags show order_pipeline --save order.svg",
	}
	cmd.Flags().StringVarP(&save, "save", "s", "", "write to this file; its ending chooses the format")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		d, _, err := c.findDAG(cmd, a, args[0])
		if err != nil {
			return err
		}
		g := graphOf(d)
		if save == "" {
			c.printf("%s", g.Text(nil))
			return nil
		}
		var text string
		switch filepath.Ext(save) {
		case ".dot", ".gv":
			text = g.DOT()
		case ".mmd", ".mermaid":
			text = g.Mermaid()
		case ".svg":
			text = g.SVG()
		default:
			return usagef("--save %s: the ending is unknown; expected .dot, .gv, .mmd, .mermaid or .svg", save)
		}
		if err := os.WriteFile(save, []byte(text), 0o644); err != nil {
			return err
		}
		c.printf("File %s saved\n", save)
		return nil
	})
	return cmd
}

func graphOf(d *dag.DAG) *graphdraw.Graph {
	g := &graphdraw.Graph{Name: d.ID}
	for _, t := range d.Tasks {
		g.Nodes = append(g.Nodes, graphdraw.Node{ID: t.ID})
		for _, up := range t.Upstream {
			g.Edges = append(g.Edges, graphdraw.Edge{From: up, To: t.ID})
		}
	}
	return g
}

func (c *cli) dagsTrigger() *cobra.Command {
	var runID, conf, logicalDate string
	cmd := &cobra.Command{
		Use: "trigger DAG_ID", Short: "Create a run", Args: exactArgs("dag_id"), ValidArgsFunction: c.completeDags,
		Long: `Create a queued run. A running daemon takes it up at once; without one it waits for the next start, and a paused DAG's run
waits until the DAG is unpaused. The logical date is now unless given; "none" gives the run none.`,
		Example: "  gust dags trigger order_pipeline\n  gust dags trigger order_pipeline --conf '{\"customer\": \"ada\"}' --run-id manual__1",
	}
	cmd.Flags().StringVarP(&runID, "run-id", "r", "", "the run's id (default: manual__<run after>)")
	cmd.Flags().StringVarP(&conf, "conf", "c", "", "a JSON object, seen by templates as dag_run.conf and params")
	cmd.Flags().StringVarP(&logicalDate, "logical-date", "l", "", "logical date (ISO 8601), or none")
	cmd.Flags().StringVarP(&logicalDate, "exec-date", "e", "", "as --logical-date (Airflow 2)")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		request := app.TriggerRequest{DagID: args[0], RunID: runID, By: dag.ByCLI}
		if conf != "" {
			var object map[string]any
			if err := json.Unmarshal([]byte(conf), &object); err != nil || object == nil {
				return usagef("--conf is not a JSON object: %s", conf)
			}
			request.Conf = json.RawMessage(conf)
		}
		switch {
		case strings.EqualFold(logicalDate, "none"):
			request.NoLogicalDate = true
		case logicalDate != "":
			at, err := parseDate(logicalDate)
			if err != nil {
				return err
			}
			request.LogicalDate = at
		}
		run, err := a.Trigger(cmd.Context(), request)
		var missing *app.NoDAGError
		if errors.As(err, &missing) {
			return &exitError{codeNotFound, err}
		}
		if err != nil {
			return err
		}
		if err := printRuns([]dag.Run{*run}).print(c.out, *format); err != nil {
			return err
		}
		if *format == "table" {
			c.printWaiting(cmd, a, run)
		}
		return nil
	})
	return cmd
}

// printWaiting says what a queued run waits for, when it will not start at once.
func (c *cli) printWaiting(cmd *cobra.Command, a *app.App, run *dag.Run) {
	if row, err := a.Store.DagGet(cmd.Context(), run.DagID); err == nil {
		if row.IsPaused {
			c.printf("DAG %s is paused: the run waits for `gust dags unpause %s`.\n", run.DagID, run.DagID)
		}
		broken, err := a.Store.ImportErrorList(cmd.Context())
		if err == nil && slices.ContainsFunc(broken, func(e store.ImportError) bool { return e.FileLoc == row.FileLoc }) {
			c.printf("%s cannot be loaded as it is now: the run uses the last good version of DAG %s.\n", c.shorten(row.FileLoc), run.DagID)
		}
	}
	if !a.SchedulerAlive() {
		c.printf("No daemon runs on %s: the run waits for `gust scheduler` or `gust standalone`.\n", a.Config.Home())
	}
}

// parseDate reads an ISO 8601 date or time; without an offset it is UTC.
func parseDate(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, usagef("%q is not a date; expected ISO 8601 such as 2026-11-21 or 2026-11-21T06:00:00+01:00", text)
}

func printRuns(runs []dag.Run) *table {
	t := &table{columns: []string{"dag_id", "run_id", "state", "run_after", "logical_date", "start_date", "end_date", "run_type"}}
	for i := range runs {
		r := &runs[i]
		t.add(r.DagID, r.RunID, string(r.State), r.RunAfter, r.LogicalDate, r.StartDate, r.EndDate, string(r.Type))
	}
	return t
}

func (c *cli) dagsPause(pause bool) *cobra.Command {
	verb := "unpause"
	if pause {
		verb = "pause"
	}
	var regex, yes bool
	cmd := &cobra.Command{
		Use: verb + " DAG_ID", Args: exactArgs("dag_id"), ValidArgsFunction: c.completeDags,
		Short:   map[bool]string{true: "Stop creating runs of a DAG", false: "Go on creating runs of a DAG"}[pause],
		Example: fmt.Sprintf("  gust dags %s daily_report\n  gust dags %s '^price_' --treat-dag-id-as-regex --yes", verb, verb),
	}
	cmd.Flags().BoolVar(&regex, "treat-dag-id-as-regex", false, "DAG_ID is a regular expression, for several DAGs at once")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask when several DAGs match")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		ids, err := c.matchDags(cmd, a, args[0], regex)
		if err != nil {
			return err
		}
		if len(ids) > 1 && !yes && !c.confirm(fmt.Sprintf("%s %d DAGs: %s? (y/n) ", verb, len(ids), strings.Join(ids, ", "))) {
			return &exitError{codeFailed, errors.New("cancelled")}
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

func (c *cli) matchDags(cmd *cobra.Command, a *app.App, pattern string, regex bool) ([]string, error) {
	loaded, err := a.Pipelines(cmd.Context())
	if err != nil {
		return nil, err
	}
	ids, err := loaded.Match(pattern, regex)
	var missing *app.NoDAGError
	if errors.As(err, &missing) {
		return nil, &exitError{codeNotFound, err}
	}
	if err != nil {
		return nil, usagef("%w", err)
	}
	return ids, nil
}

// findRun finds a run by its id, or by its logical date.
func (c *cli) findRun(cmd *cobra.Command, a *app.App, dagID, which string) (*dag.Run, error) {
	run, err := a.Store.RunGet(cmd.Context(), dag.RunKey{DagID: dagID, RunID: which})
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return run, err
	}
	if at, dateErr := parseDate(which); dateErr == nil {
		runs, err := a.Store.RunList(cmd.Context(), &store.RunListParams{DagID: dagID, LogicalDate: at, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(runs) == 1 {
			return &runs[0], nil
		}
	}
	text := fmt.Sprintf("DAG %s has no run %q, neither as run id nor as logical date", dagID, which)
	if runs, err := a.Store.RunList(cmd.Context(), &store.RunListParams{DagID: dagID, Limit: 1}); err == nil && len(runs) == 1 {
		text += fmt.Sprintf("; its latest run is %s", runs[0].RunID)
	}
	return nil, notFoundf("%s", text)
}

func (c *cli) dagsState() *cobra.Command {
	return &cobra.Command{
		Use: "state DAG_ID RUN_ID|LOGICAL_DATE", Short: "Print the state of a run", Args: exactArgs("dag_id", "run_id"),
		ValidArgsFunction: c.completeDags, Example: "  gust dags state daily_report 2026-11-21T05:00:00",
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			run, err := c.findRun(cmd, a, args[0], args[1])
			if err != nil {
				return err
			}
			text := string(run.State)
			if run.Reason != "" {
				text += ", " + run.Reason
			}
			c.printf("%s\n", text)
			return nil
		}),
	}
}

func (c *cli) dagsListRuns() *cobra.Command {
	var (
		state, start, end string
		noBackfill        bool
		limit             int
	)
	cmd := &cobra.Command{
		Use: "list-runs DAG_ID", Short: "List the runs of a DAG, newest first", Args: exactArgs("dag_id"), ValidArgsFunction: c.completeDags,
		Example: "  gust dags list-runs daily_report\n  gust dags list-runs daily_report --state failed -o json",
	}
	cmd.Flags().StringVar(&state, "state", "", "only runs in this state: queued, running, success, failed")
	cmd.Flags().BoolVar(&noBackfill, "no-backfill", false, "leave backfill runs out")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	cmd.Flags().StringVarP(&start, "start-date", "s", "", "logical date not before")
	cmd.Flags().StringVarP(&end, "end-date", "e", "", "logical date not after")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		params := &store.RunListParams{DagID: args[0], Limit: limit}
		if state != "" {
			states := []string{string(dag.RunQueued), string(dag.RunRunning), string(dag.RunSuccess), string(dag.RunFailed)}
			if !slices.Contains(states, state) {
				return usagef("--state is %q; expected one of %s", state, strings.Join(states, ", "))
			}
			params.States = []dag.RunState{dag.RunState(state)}
		}
		if noBackfill {
			params.NotTypes = []dag.RunType{dag.RunBackfill}
		}
		for text, to := range map[*string]*time.Time{&start: &params.LogicalFrom, &end: &params.LogicalUntil} {
			if *text == "" {
				continue
			}
			at, err := parseDate(*text)
			if err != nil {
				return err
			}
			*to = at
		}
		runs, err := a.Store.RunList(cmd.Context(), params)
		if err != nil {
			return err
		}
		if len(runs) == 0 {
			if _, _, err := c.findDAG(cmd, a, args[0]); err != nil {
				return err
			}
		}
		return printRuns(runs).print(c.out, *format)
	})
	return cmd
}

func (c *cli) dagsNextExecution() *cobra.Command {
	var (
		n       int
		asTable bool
	)
	cmd := &cobra.Command{
		Use: "next-execution DAG_ID", Short: "Print when a DAG runs next", Args: exactArgs("dag_id"), ValidArgsFunction: c.completeDags,
		Example: "  gust dags next-execution daily_report\n  gust dags next-execution daily_report -n 5 --table",
	}
	cmd.Flags().IntVarP(&n, "num-executions", "n", 1, "how many")
	cmd.Flags().BoolVar(&asTable, "table", false, "with logical date and data interval")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if n < 1 {
			return usagef("--num-executions is %d; expected 1 or more", n)
		}
		d, _, err := c.findDAG(cmd, a, args[0])
		if err != nil {
			return err
		}
		slots, err := a.Upcoming(cmd.Context(), d, n)
		if err != nil {
			return err
		}
		if len(slots) == 0 {
			c.printf("None\n")
			discard(fmt.Fprintf(c.err, "DAG %s has no next run: its schedule is %s\n", d.ID, cmpOr(d.Schedule.Text, "none")))
			return nil
		}
		if !asTable {
			for _, s := range slots {
				c.printf("%s\n", timetable.ISOFormat(s.RunAfter))
			}
			return nil
		}
		t := &table{columns: []string{"run_after", "logical_date", "data_interval_start", "data_interval_end"}}
		for _, s := range slots {
			t.add(s.RunAfter, s.LogicalDate, s.IntervalStart, s.IntervalEnd)
		}
		return t.print(c.out, "table")
	})
	return cmd
}

func (c *cli) completeDags(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.complete(cmd, func(a *app.App) ([]string, error) {
		loaded, err := a.Pipelines(cmd.Context())
		if err != nil {
			return nil, err
		}
		ids := make([]string, len(loaded.DAGs))
		for i, d := range loaded.DAGs {
			ids[i] = d.ID
		}
		return ids, nil
	})
}
