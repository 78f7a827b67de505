package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gust/dag"
	"gust/dag/timetable"
	"gust/internal/app"
	"gust/internal/config"
	"gust/internal/graphdraw"
	"gust/store"
)

// testOptions are the arguments of `dags test` and `tasks test`.
type testOptions struct {
	target, task, date string
	conf, confFlag     string
	env                string
	file               string
	markSuccess        string
	showRun            bool
	saveRun            string
	quiet              bool
}

func (c *cli) dagsTest() *cobra.Command {
	o := testOptions{confFlag: "--conf"}
	cmd := &cobra.Command{
		Use:   "test DAG_ID|FILE [LOGICAL_DATE]",
		Short: "Run a DAG once in the foreground, without a daemon",
		Long: `Run a DAG once in the foreground, without a daemon and without recording state. On a terminal the states of the tasks are
shown live, otherwise a line is printed for each change; the tasks' log lines come with them. aws_default, unless it is
defined, is an embedded Step Functions service with the state machines of the configured folder.

Of a file with several DAGs, FILE:DAG_ID chooses. The logical date is now unless given.

Exits with 0 when the run succeeds, 3 when it fails, 130 when it is interrupted with Ctrl-C; a second Ctrl-C ends at once.`,
		Example: `  gust dags test examples/order_pipeline.yaml
  gust dags test daily_report 2026-11-21 --conf '{"dry": true}'
  gust dags test price_fan_out --mark-success-pattern '^output_' --show-dagrun`,
		Args: arguments("DAG_ID", "[LOGICAL_DATE]"), ValidArgsFunction: c.completeDags,
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.conf, "conf", "c", "", "a `JSON` object, seen by templates as dag_run.conf and params")
	flags.StringVarP(&o.file, "dagfile-path", "f", "", "look for DAG_ID in this `FILE`")
	flags.StringVar(&o.markSuccess, "mark-success-pattern", "", "do not run tasks whose id this `REGEX` matches; mark them success")
	flags.BoolVar(&o.showRun, "show-dagrun", false, "draw the run's graph afterwards")
	flags.StringVar(&o.saveRun, "save-dagrun", "", "save the run's graph in this `FILE`: "+strings.Join(graphEndings, ", "))
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print only the outcome")
	withoutEffect(cmd, "use-executor", "", "a test run always uses the daemon's executor")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.target = args[0]
		if len(args) == 2 {
			o.date = args[1]
		}
		if o.file != "" {
			o.target = o.file + ":" + args[0]
		}
		return c.test(cmd, o)
	}
	return cmd
}

// test runs a DAG, or one task of it, in the foreground.
func (c *cli) test(cmd *cobra.Command, o testOptions) error {
	if err := checkGraphFile(o.saveRun); err != nil {
		return err
	}
	if err := setEnvironment(o.env); err != nil {
		return err
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if !c.verbose {
		cfg = quieter(cfg)
	}
	test, warnings, err := c.testRun(cmd, cfg, o)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		c.note("%s", w)
	}
	scr := newScreen(c.out)
	log := c.err
	if scr.live {
		log = scr // the live view and the messages share the terminal
	}
	abort, forget := secondSignal(cmd.Context(), func() {
		discard(fmt.Fprintln(log, "interrupted: ending the tasks that run; a second Ctrl-C kills them"))
	})
	defer forget()
	test.Abort = abort
	var live *liveRun
	if !o.quiet {
		live = newLiveRun(scr, test.DAG, test.Run.RunKey, cfg.Logging.BaseLogFolder, time.Now)
		test.Watch = live.transition
	}
	result, err := app.Test(cmd.Context(), cfg, app.Options{Log: log}, *test)
	if live != nil {
		live.close()
	}
	if err != nil {
		if cmd.Context().Err() != nil {
			return &exitError{Code: codeInterrupted, Err: errors.New("interrupted: the run was not finished")}
		}
		return err
	}
	return c.outcome(test.DAG, result, o)
}

// secondSignal returns a channel that is closed by the first signal after ctx has ended by one. begun is called when ctx
// ends. forget stops listening.
func secondSignal(ctx context.Context, begun func()) (second <-chan struct{}, forget func()) {
	closed, signals := make(chan struct{}), make(chan os.Signal, 1)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
		case <-quit:
			return
		}
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(signals)
		begun()
		select {
		case <-signals:
			close(closed)
		case <-quit:
		}
	}()
	return closed, func() {
		close(quit)
		<-done
	}
}

// quieter is the configuration with the engine's own messages limited to errors: in the foreground the user sees the
// run itself.
func quieter(cfg *config.Config) *config.Config {
	if cfg.Logging.Level != "INFO" {
		return cfg
	}
	less := *cfg
	less.Logging.Level = "ERROR"
	return &less
}

// testRun finds what is to be run.
func (c *cli) testRun(cmd *cobra.Command, cfg *config.Config, o testOptions) (_ *app.TestRun, _ []string, err error) {
	a, err := app.Open(cmd.Context(), cfg, app.Options{Log: c.err})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	d, warnings, err := c.findDAG(cmd, a, o.target)
	if err != nil {
		return nil, nil, err
	}
	test := &app.TestRun{DAG: d, Task: o.task}
	if o.task != "" {
		task, err := findTask(d, o.task)
		if err != nil {
			return nil, nil, err
		}
		test.DAG = only(d, task)
	}
	if o.markSuccess != "" {
		if test.DAG, err = marked(d, o.markSuccess); err != nil {
			return nil, nil, err
		}
	}
	err = c.setRun(cmd, a, test, o)
	return test, warnings, err
}

// only is the DAG with one task, which is not tried again.
func only(d *dag.DAG, task *dag.Task) *dag.DAG {
	one, t := *d, *task
	t.Retries = 0
	one.Tasks = []*dag.Task{&t}
	one.Index()
	return &one
}

// marked is the DAG with every task that the pattern matches doing nothing.
func marked(d *dag.DAG, pattern string) (*dag.DAG, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, usagef("--mark-success-pattern: %q is not a regular expression: %w", pattern, err)
	}
	copied := *d
	copied.Tasks = slices.Clone(d.Tasks)
	for i, task := range copied.Tasks {
		if re.MatchString(task.ID) {
			t := *task
			t.Operator, t.Params = "EmptyOperator", nil
			copied.Tasks[i] = &t
		}
	}
	copied.Index()
	return &copied, nil
}

// setRun makes the run that is tested. Its id is new, also for a date that has a run: the names of executions are derived
// from it, and a test must not find those of another run. A single task sees the values of the recorded run.
func (c *cli) setRun(cmd *cobra.Command, a *app.App, test *app.TestRun, o testOptions) error {
	request := app.TriggerRequest{DagID: test.DAG.ID, By: dag.ByTest}
	runID := timetable.RunID(dag.RunManual, a.Now().UTC())
	var err error
	if request.Conf, err = jsonObject(o.confFlag, o.conf); err != nil {
		return err
	}
	if o.task == "" { // a single task may be tried with less than its DAG needs
		if err := app.CheckConf(test.DAG, request.Conf); err != nil {
			return err
		}
	}
	if o.date != "" && o.task != "" {
		recorded, err := c.existingRun(cmd, a, test.DAG.ID, o.date)
		if err != nil {
			return err
		}
		if recorded != nil {
			test.Recorded, test.Run = &recorded.RunKey, &dag.Run{
				RunKey: dag.RunKey{DagID: test.DAG.ID, RunID: runID}, State: dag.RunQueued, Type: dag.RunManual,
				RunAfter: recorded.RunAfter, LogicalDate: recorded.LogicalDate, IntervalStart: recorded.IntervalStart,
				IntervalEnd: recorded.IntervalEnd, QueuedAt: a.Now().UTC(), Conf: recorded.Conf, TriggeredBy: dag.ByTest,
			}
			if request.Conf != nil {
				test.Run.Conf = request.Conf
			}
			return nil
		}
	}
	if o.date != "" {
		if request.LogicalDate, err = parseDate(a.Config, o.date); err != nil {
			return err
		}
	}
	if test.Run, err = a.NewRun(test.DAG, request); err == nil {
		test.Run.RunID = runID
	}
	return err
}

// existingRun is the recorded run with this id or logical date, or nil.
func (c *cli) existingRun(cmd *cobra.Command, a *app.App, dagID, which string) (*dag.Run, error) {
	run, err := a.Store.RunGet(cmd.Context(), dag.RunKey{DagID: dagID, RunID: which})
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return run, err
	}
	at, err := parseDate(a.Config, which)
	if err != nil {
		return nil, err
	}
	runs, err := a.Store.RunList(cmd.Context(), &store.RunListParams{DagID: dagID, LogicalDate: at, Limit: 1})
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return &runs[0], nil
}

// setEnvironment sets the variables of a JSON object of texts.
func setEnvironment(text string) error {
	if text == "" {
		return nil
	}
	var vars map[string]string
	if err := json.Unmarshal([]byte(text), &vars); err != nil {
		return usagef("--env-vars is not a JSON object of texts: %s\nexpected for example '{\"NAME\": \"value\"}'", text)
	}
	for name, value := range vars {
		if err := os.Setenv(name, value); err != nil {
			return usagef("--env-vars: %q: %w", name, err)
		}
	}
	return nil
}

// outcome prints how a test run ended and turns a failure into the exit code.
func (c *cli) outcome(d *dag.DAG, r *app.TestResult, o testOptions) error {
	took := round(r.Run.EndDate.Sub(r.Run.StartDate))
	colours := coloured(c.out)
	if !o.quiet {
		c.printf("\n")
	}
	c.printf("%s %s: %s in %s\n", d.ID, r.Run.RunID, paint(colours, string(r.Run.State), string(r.Run.State)), took)
	states := map[string]string{}
	for i := range r.Tasks {
		t := &r.Tasks[i]
		if before := dag.State(states[t.TaskID]); before != dag.StateFailed && before != dag.StateUpstreamFailed {
			states[t.TaskID] = t.State.String()
		}
		if t.State == dag.StateFailed {
			c.printf("  %s failed: %s\n", instanceName(t.Key), strings.ReplaceAll(strings.TrimSpace(t.Error), "\n", "\n    "))
		}
	}
	if o.showRun || o.saveRun != "" {
		g := graphOf(d)
		for i := range g.Nodes {
			g.Nodes[i].Class = states[g.Nodes[i].ID]
		}
		if err := c.drawRun(g, o); err != nil {
			return err
		}
	}
	if r.Run.State != dag.RunSuccess {
		return &exitError{Code: codeRunFailed, Err: errQuiet}
	}
	return nil
}

func (c *cli) drawRun(g *graphdraw.Graph, o testOptions) error {
	if o.saveRun != "" {
		if err := c.draw(g, o.saveRun); err != nil {
			return err
		}
	}
	if o.showRun {
		return c.draw(withStates(g), "")
	}
	return nil
}

// withStates writes each node's state beside its name, for a terminal without colours and for eyes that do not tell them
// apart.
func withStates(g *graphdraw.Graph) *graphdraw.Graph {
	labelled := *g
	labelled.Nodes = slices.Clone(g.Nodes)
	for i := range labelled.Nodes {
		n := &labelled.Nodes[i]
		if n.Class != "" {
			n.Label = fmt.Sprintf("%s [%s]", n.ID, n.Class)
		}
	}
	return &labelled
}
