package runcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

// Backfill is `gust backfill`.
func (c Commands) Backfill() *cobra.Command {
	return c.Group("backfill", "Run a DAG for past dates", "pipelines",
		c.backfillCreate(), c.backfillList(), c.backfillShow(), c.backfillPause(true), c.backfillPause(false), c.backfillCancel())
}

var reprocess = []string{string(store.ReprocessNone), string(store.ReprocessCompleted), string(store.ReprocessFailed)}

type backfillFlags struct {
	dagID, from, to, conf string
	backwards             bool
	maxActive             int
	latest, notLatest     bool
	dry, wait             bool
}

func (c Commands) backfillCreate() *cobra.Command {
	o := &backfillFlags{}
	cmd := &cobra.Command{
		Use: "create", Short: "Create the runs of a range of dates", Args: c.Arguments(),
		Long: `Create the runs that the DAG's schedule has between two dates, both inclusive, and let the daemon execute them, oldest
first. They have a limit of their own: --max-active-runs counts only them. A date that has a run is passed over unless
--reprocess-behavior says that finished runs (completed), or failed ones (failed), are to run again. A DAG has one
backfill at a time.

With --wait the progress is shown until the last run has ended; the command then exits with 3 when one has failed. Ctrl-C
only ends the waiting.`,
		Example: `  gust backfill create --dag-id daily_report --from-date 2026-11-01 --to-date 2026-11-21 --dry-run
  gust backfill create --dag-id daily_report --from-date 2026-11-01 --to-date 2026-11-21 --max-active-runs 3 --wait
  gust backfill create --dag-id daily_report --from-date 2026-11-01 --to-date 2026-11-21 --reprocess-behavior failed`,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dagID, "dag-id", "", "the `DAG_ID`")
	flags.StringVar(&o.from, "from-date", "", "the earliest logical `DATE`")
	flags.StringVar(&o.to, "to-date", "", "the latest logical `DATE`")
	flags.StringVar(&o.conf, "dag-run-conf", "", "a `JSON` object, the conf of the new runs")
	flags.BoolVar(&o.backwards, "run-backwards", false, "begin with the latest date; refused when tasks depend on the past")
	flags.IntVar(&o.maxActive, "max-active-runs", 10, "how many of its runs are active at once: `N`")
	flags.BoolVar(&o.latest, "run-on-latest-version", false, "runs that run again use the latest version of the DAG")
	flags.BoolVar(&o.notLatest, "no-run-on-latest-version", false, "runs that run again keep their version of the DAG (the default)")
	behavior := c.Choice(cmd, "reprocess-behavior", "", "which dates that have a `RUN` run again: none, completed, failed", "none", reprocess...)
	flags.BoolVar(&o.dry, "dry-run", false, "only list the runs")
	flags.BoolVar(&o.wait, "wait", false, "show the progress until the last run has ended")
	_ = cmd.RegisterFlagCompletionFunc("dag-id", c.CompleteDags)
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		plan, err := c.planBackfill(cmd, a, o, store.ReprocessBehavior(*behavior))
		if err != nil {
			return err
		}
		if o.dry {
			return c.printPlan(plan, *format)
		}
		b, err := a.Backfill(cmd.Context(), plan)
		if err != nil {
			if errors.Is(err, store.ErrExists) {
				return host.Failedf("%w; see `gust backfill list --dag-id %s`", err, o.dagID)
			}
			return err
		}
		if err := c.Print(backfillTable([]store.Backfill{*b}), *format); err != nil {
			return err
		}
		c.Note("Backfill %d: %s.", b.ID, count(plan.Runs(), "run"))
		if row, err := a.Store.DagGet(cmd.Context(), b.DagID); err == nil && row.IsPaused {
			c.Note("DAG %s is paused: the runs wait for `gust dags unpause %s`.", b.DagID, b.DagID)
		}
		c.noteStopped(a)
		if !o.wait {
			return nil
		}
		return c.await(cmd.Context(), a, b)
	})
	return cmd
}

func (c Commands) planBackfill(cmd *cobra.Command, a *app.App, o *backfillFlags, behavior store.ReprocessBehavior) (*app.BackfillPlan, error) {
	for _, f := range []struct{ name, value string }{{"dag-id", o.dagID}, {"from-date", o.from}, {"to-date", o.to}} {
		if f.value == "" {
			return nil, host.Usagef("backfill create: --%s is missing\nfor example:\n%s", f.name, cmd.Example)
		}
	}
	if err := c.Exclusive(cmd, "run-on-latest-version", "no-run-on-latest-version"); err != nil {
		return nil, err
	}
	if err := c.Exclusive(cmd, "dry-run", "wait"); err != nil {
		return nil, err
	}
	if o.maxActive < 1 {
		return nil, host.Usagef("--max-active-runs is %d; expected 1 or more", o.maxActive)
	}
	r := app.BackfillRequest{
		DagID: o.dagID, Reprocess: behavior, RunBackwards: o.backwards, MaxActiveRuns: o.maxActive, LatestVersion: o.latest,
	}
	if err := c.date(a, o.from, &r.From); err != nil {
		return nil, err
	}
	if err := c.date(a, o.to, &r.To); err != nil {
		return nil, err
	}
	conf, err := c.JSONObject("--dag-run-conf", o.conf)
	if err != nil {
		return nil, err
	}
	r.Conf = json.RawMessage(conf)
	return a.PlanBackfill(cmd.Context(), r)
}

func (c Commands) printPlan(p *app.BackfillPlan, format string) error {
	t := &host.Table{Columns: []string{"logical_date", "run_id", "what"}}
	for i := range p.Dates {
		t.Add(p.Dates[i].LogicalDate, p.Dates[i].RunID, p.Dates[i].What)
	}
	if err := c.Print(t, format); err != nil {
		return err
	}
	c.Note("%s would be made. Nothing was changed: it was a dry run.", count(p.Runs(), "run"))
	return nil
}

func backfillState(b *store.Backfill) string {
	switch {
	case !b.CompletedAt.IsZero():
		return "completed"
	case b.IsPaused:
		return "paused"
	}
	return "running"
}

func backfillTable(list []store.Backfill) *host.Table {
	t := &host.Table{Columns: []string{
		"id", "dag_id", "from_date", "to_date", "state", "is_paused", "max_active_runs", "reprocess_behavior", "created_at", "completed_at",
	}}
	for i := range list {
		b := &list[i]
		t.Add(b.ID, b.DagID, b.From, b.To, backfillState(b), b.IsPaused, b.MaxActiveRuns, string(b.Reprocess), b.CreatedAt, b.CompletedAt)
	}
	return t
}

func (c Commands) backfillList() *cobra.Command {
	var dagID string
	cmd := &cobra.Command{
		Use: "list", Short: "List backfills, newest first", Args: c.Arguments(),
		Example: "  gust backfill list\n  gust backfill list --dag-id daily_report -o json",
	}
	cmd.Flags().StringVar(&dagID, "dag-id", "", "only those of this `DAG_ID`")
	_ = cmd.RegisterFlagCompletionFunc("dag-id", c.CompleteDags)
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		if dagID != "" {
			if err := c.KnownDAG(cmd, a, dagID); err != nil {
				return err
			}
		}
		list, err := a.Store.BackfillList(cmd.Context(), dagID)
		if err != nil {
			return err
		}
		return c.Print(backfillTable(list), *format)
	})
	return cmd
}

// backfill finds a backfill by its number.
func (c Commands) backfill(cmd *cobra.Command, a *app.App, text string) (*store.Backfill, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, host.Usagef("BACKFILL_ID is %q; expected a number, see `gust backfill list`", text)
	}
	b, err := a.Store.BackfillGet(cmd.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, host.NotFoundf("there is no backfill %d; `gust backfill list` shows them", id)
	}
	return b, err
}

func (c Commands) completeBackfills(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) == 0 {
		err := c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
			list, err := a.Store.BackfillList(cmd.Context(), "")
			for i := range list {
				ids = append(ids, strconv.FormatInt(list[i].ID, 10))
			}
			return err
		})(cmd, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (c Commands) backfillShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show BACKFILL_ID", Short: "Show a backfill and how far it is", Args: c.Arguments("BACKFILL_ID"),
		Example: "  gust backfill show 1\n  gust backfill show 1 -o json", ValidArgsFunction: c.completeBackfills,
	}
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		b, err := c.backfill(cmd, a, args[0])
		if err != nil {
			return err
		}
		runs, err := a.BackfillRuns(cmd.Context(), b)
		if err != nil {
			return err
		}
		p := progressOf(runs)
		t := backfillTable([]store.Backfill{*b})
		t.Columns = append(t.Columns, "run_backwards", "dag_run_conf", "runs", "queued", "running", "success", "failed")
		t.Rows[0] = append(t.Rows[0], b.RunBackwards, b.Conf, len(runs), p.queued, p.running, p.success, p.failed)
		return c.Details(t, *format)
	})
	return cmd
}

func (c Commands) backfillPause(pause bool) *cobra.Command {
	verb, short, long, done := "unpause", "Go on starting runs of a backfill", "Go on starting runs of a backfill.", "goes on"
	if pause {
		verb, short, done = "pause", "Start no more runs of a backfill", "is paused"
		long = "Start no more runs of a backfill. Those that run go on."
	}
	cmd := &cobra.Command{
		Use: verb + " BACKFILL_ID", Short: short, Long: long, Args: c.Arguments("BACKFILL_ID"),
		Example: fmt.Sprintf("  gust backfill %s 1", verb), ValidArgsFunction: c.completeBackfills,
	}
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		b, err := c.openBackfill(cmd, a, args[0])
		if err != nil {
			return err
		}
		if err := a.Store.BackfillSetPaused(cmd.Context(), b.ID, pause); err != nil {
			return err
		}
		a.Wake()
		c.Printf("Backfill %d of DAG %s %s.\n", b.ID, b.DagID, done)
		return nil
	})
	return cmd
}

// openBackfill finds a backfill that is not completed.
func (c Commands) openBackfill(cmd *cobra.Command, a *app.App, text string) (*store.Backfill, error) {
	b, err := c.backfill(cmd, a, text)
	if err == nil && !b.CompletedAt.IsZero() {
		return nil, host.Failedf("backfill %d of DAG %s is completed", b.ID, b.DagID)
	}
	return b, err
}

func (c Commands) backfillCancel() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cancel BACKFILL_ID", Short: "End a backfill", Args: c.Arguments("BACKFILL_ID"),
		Long:    "End a backfill: its queued runs are failed. Those that run go on; end them with `gust runs mark`.",
		Example: "  gust backfill cancel 1", ValidArgsFunction: c.completeBackfills,
	}
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		b, err := c.openBackfill(cmd, a, args[0])
		if err != nil {
			return err
		}
		if err := a.Store.BackfillCancel(cmd.Context(), b.ID, a.Now().UTC()); err != nil {
			return err
		}
		a.Wake()
		runs, err := a.BackfillRuns(cmd.Context(), b)
		if err != nil {
			return err
		}
		p := progressOf(runs)
		c.Printf("Backfill %d of DAG %s is cancelled: %s.\n", b.ID, b.DagID, p)
		return nil
	})
	return cmd
}

// progress counts the runs of a backfill by state.
type progress struct{ queued, running, success, failed int }

func progressOf(runs []dag.Run) progress {
	var p progress
	for i := range runs {
		switch runs[i].State {
		case dag.RunQueued:
			p.queued++
		case dag.RunRunning:
			p.running++
		case dag.RunSuccess:
			p.success++
		case dag.RunFailed:
			p.failed++
		}
	}
	return p
}

func (p progress) total() int { return p.queued + p.running + p.success + p.failed }
func (p progress) ended() int { return p.success + p.failed }

func (p progress) String() string {
	return fmt.Sprintf("%d of %d runs ended, %d running, %d failed", p.ended(), p.total(), p.running, p.failed)
}

// bar is a progress bar of a width in characters.
func (p progress) bar(width int) string {
	done := 0
	if p.total() > 0 {
		done = width * p.ended() / p.total()
	}
	return "[" + strings.Repeat("#", done) + strings.Repeat(".", width-done) + "]"
}

// await shows the progress of a backfill until its last run has ended.
func (c Commands) await(ctx context.Context, a *app.App, b *store.Backfill) error {
	scr := c.Screen(c.Out)
	defer scr.Leave()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := ""
	stopped := func() error {
		return &host.ExitError{Code: host.CodeInterrupted, Err: fmt.Errorf("no longer waiting: backfill %d goes on, see `gust backfill show %d`", b.ID, b.ID)}
	}
	for {
		runs, err := a.BackfillRuns(ctx, b)
		if err != nil {
			if ctx.Err() != nil {
				return stopped()
			}
			return err
		}
		p := progressOf(runs)
		if scr.Live() {
			scr.Show([]string{fmt.Sprintf("backfill %d  %s  %s", b.ID, p.bar(40), p)})
		} else if text := p.String(); text != last {
			c.Printf("%s\n", text)
			last = text
		}
		if p.ended() == p.total() {
			if p.failed > 0 {
				return host.Quiet(host.CodeRunFailed)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return stopped()
		case <-tick.C:
		}
	}
}
