package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gust/dag"
	"gust/internal/app"
)

// testOptions are the arguments of `dags test` and `tasks test`.
type testOptions struct {
	target, task, date, conf string
	quiet                    bool
}

func (c *cli) dagsTest() *cobra.Command {
	options := testOptions{}
	cmd := &cobra.Command{
		Use:   "test DAG_ID|FILE [LOGICAL_DATE]",
		Short: "Run a DAG once in the foreground, without a daemon",
		Long: `Run a DAG once in the foreground, without a daemon and without recording state. On a terminal the states of the tasks are
shown live, otherwise a line is printed for each change; the tasks' log lines come with them. aws_default, unless it is
defined, is an embedded Step Functions service with the state machines of the configured folder.

Of a file with several DAGs, FILE:DAG_ID chooses. Exits with 3 when the run fails.`,
		Example: "  gust dags test examples/order_pipeline.yaml\n  gust dags test daily_report 2026-11-21 --conf '{\"dry\": true}'",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: c.completeDags,
	}
	cmd.Flags().StringVarP(&options.conf, "conf", "c", "", "a JSON object, seen by templates as dag_run.conf and params")
	cmd.Flags().BoolVarP(&options.quiet, "quiet", "q", false, "print only the outcome")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options.target = args[0]
		if len(args) == 2 {
			options.date = args[1]
		}
		return c.test(cmd, options)
	}
	return cmd
}

// test runs a DAG, or one task of it, in the foreground.
func (c *cli) test(cmd *cobra.Command, o testOptions) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	a, err := app.Open(cmd.Context(), cfg, app.Options{Log: c.err})
	if err != nil {
		return err
	}
	d, warnings, err := c.findDAG(cmd, a, o.target)
	var run *dag.Run
	if err == nil {
		run, err = c.testRun(a, d, o)
	}
	if closeErr := a.Close(); err != nil || closeErr != nil {
		return errors.Join(err, closeErr)
	}
	for _, w := range warnings {
		discard(fmt.Fprintln(c.err, w))
	}
	if o.task != "" {
		if _, err := findTask(d, o.task); err != nil {
			return err
		}
	}
	scr := newScreen(c.out)
	test := app.TestRun{DAG: d, Task: o.task, Run: run}
	var live *liveRun
	if !o.quiet {
		live = newLiveRun(scr, shownDAG(d, o.task), run.RunKey, cfg.Logging.BaseLogFolder, time.Now)
		test.Watch = live.transition
	}
	result, err := app.Test(cmd.Context(), cfg, app.Options{Log: c.err}, test)
	if live != nil {
		live.close()
	}
	if err != nil {
		if cause := cmd.Context().Err(); cause != nil {
			return &exitError{codeInterrupted, fmt.Errorf("interrupted: %w", err)}
		}
		return err
	}
	return c.outcome(d, result)
}

func shownDAG(d *dag.DAG, task string) *dag.DAG {
	if task == "" {
		return d
	}
	only := *d
	only.Tasks = []*dag.Task{d.Task(task)}
	only.Index()
	return &only
}

func (c *cli) testRun(a *app.App, d *dag.DAG, o testOptions) (*dag.Run, error) {
	request := app.TriggerRequest{DagID: d.ID, By: dag.ByTest}
	if o.date != "" {
		at, err := parseDate(o.date)
		if err != nil {
			return nil, err
		}
		request.LogicalDate = at
	}
	if o.conf != "" {
		var object map[string]any
		if err := json.Unmarshal([]byte(o.conf), &object); err != nil || object == nil {
			return nil, usagef("not a JSON object: %s", o.conf)
		}
		request.Conf = json.RawMessage(o.conf)
	}
	return a.NewRun(d, request)
}

// outcome prints how a test run ended and turns a failure into the exit code.
func (c *cli) outcome(d *dag.DAG, r *app.TestResult) error {
	took := round(r.Run.EndDate.Sub(r.Run.StartDate))
	colours := terminal(c.out)
	c.printf("\n%s %s: %s in %s\n", d.ID, r.Run.RunID, paint(colours, string(r.Run.State), string(r.Run.State)), took)
	for i := range r.Tasks {
		if t := &r.Tasks[i]; t.State == dag.StateFailed {
			c.printf("  %s failed: %s\n", t.TaskID, t.Error)
		}
	}
	if r.Run.State != dag.RunSuccess {
		return &exitError{codeRunFailed, errQuiet}
	}
	return nil
}
