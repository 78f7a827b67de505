package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gust/dag"
	"gust/internal/app"
	"gust/internal/config"
	"gust/internal/footprint"
)

func (c *cli) standaloneCommand() *cobra.Command {
	var trigger []string
	cmd := &cobra.Command{
		Use: "standalone", Short: "Run the daemon with an embedded Step Functions service", GroupID: "serve", Args: arguments(),
		Long: `Run the daemon: it watches the pipelines folder (core.dags_folder), creates runs on their schedules, and executes them.
Beside it runs an embedded Step Functions service on loopback: the endpoint of aws_default unless that connection is
defined. Its state machines come from stepfunctions.state_machines_folder.

With --trigger a run of that DAG is created at once and shown live; the daemon stays up afterwards.

Ctrl-C stops in order: running tasks get scheduler.graceful_stop_timeout to end, then they are interrupted and repeated
after the next start. A second Ctrl-C ends at once; nothing is lost then either.`,
		Example: "  gust standalone\n  gust standalone --trigger order_pipeline",
	}
	cmd.Flags().StringArrayVar(&trigger, "trigger", nil, "create a run of `DAG_ID` and show it live (may be repeated)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.serve(cmd, true, trigger) }
	return cmd
}

func (c *cli) schedulerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "scheduler", Short: "Run the daemon", GroupID: "serve", Args: arguments(),
		Long: `Run the daemon: it watches the pipelines folder (core.dags_folder), creates runs on their schedules, and executes them.
It is "gust standalone" without the embedded Step Functions service: aws_default is a connection of yours.

SIGTERM or Ctrl-C stops in order: running tasks get scheduler.graceful_stop_timeout to end, then they are interrupted and
repeated after the next start. A second signal ends at once; nothing is lost then either.`,
		Example: "  gust scheduler",
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.serve(cmd, false, nil) },
	}
}

// serve runs a daemon until a signal, or until it fails.
func (c *cli) serve(cmd *cobra.Command, standalone bool, trigger []string) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	scr := newScreen(c.out)
	log := c.err
	if scr.live {
		log = scr // the live view and the messages share the terminal
	}
	footprint.Bound()
	d, err := app.StartDaemon(cmd.Context(), cfg, app.Options{Log: log}, app.DaemonOptions{Standalone: standalone})
	if err != nil {
		return err
	}
	d.Log.Info("gust is ready", "took", d.Ready.Round(time.Millisecond), "dags_folder", cfg.Core.DagsFolder, "home", cfg.Home(),
		"parallelism", cfg.Core.Parallelism)
	if d.Service != nil {
		d.Log.Info("the embedded Step Functions service listens", "endpoint", d.Service.Endpoint(), "aws_conn_id", "aws_default")
	}
	footprint.Release()
	failure := c.attend(cmd.Context(), d, c.showRuns(cmd.Context(), d, scr, trigger))
	return errors.Join(failure, c.stop(d, cfg))
}

// firstLooks is the time in which the waits of the last life are looked at first, which leaves a lot of unused memory.
const firstLooks = 30 * time.Second

// attend waits until the daemon is to stop, or has to.
func (c *cli) attend(ctx context.Context, d *app.Daemon, shown <-chan error) error {
	recovered := d.Recovered()
	var looked <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.Done():
			return errors.New("the scheduler has stopped by itself")
		case <-recovered:
			recovered = nil
			if n := d.Parked(); n > 0 {
				d.Log.Info("the waits of the last life are parked again", "waits", n)
				footprint.Release()
				looked = time.After(firstLooks)
			}
		case <-looked:
			footprint.Release()
		case failure := <-shown:
			if failure != nil {
				return failure
			}
			shown = nil // all are shown; the daemon stays up
			d.Log.Info("the daemon goes on with the other pipelines; stop it with Ctrl-C")
		}
	}
}

// stop stops the daemon in order; a second signal ends it at once.
func (c *cli) stop(d *app.Daemon, cfg *config.Config) error {
	grace := cfg.Scheduler.GracefulStopTimeout
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	d.Log.Info("stopping: no new tasks start, running ones are waited for; a second Ctrl-C ends at once", "at_most", grace)
	stopped := make(chan struct{})
	second := make(chan bool, 1)
	go func() {
		select {
		case <-again:
			d.Log.Warn("second signal: ending at once")
			cancel()
			d.Abort()
			second <- true
		case <-stopped:
			second <- false
		}
	}()
	err := d.Stop(ctx)
	close(stopped)
	if <-second {
		return &exitError{Code: codeInterrupted, Err: errors.Join(errors.New("ended at once by a second signal"), err)}
	}
	return err
}

// showRuns creates a run of each DAG and shows them one after the other. The channel gets nil when all have ended, or the
// first error; it stays silent when there is nothing to show.
func (c *cli) showRuns(ctx context.Context, d *app.Daemon, scr *screen, dagIDs []string) <-chan error {
	result := make(chan error, 1)
	if len(dagIDs) == 0 {
		return result
	}
	go func() {
		for _, id := range dagIDs {
			if err := c.showRun(ctx, d, scr, id); err != nil {
				if ctx.Err() == nil {
					result <- err
				}
				return
			}
		}
		result <- nil
	}()
	return result
}

func (c *cli) showRun(ctx context.Context, d *app.Daemon, scr *screen, dagID string) error {
	pipeline, _, err := d.Pipeline(ctx, dagID)
	if err != nil {
		return err
	}
	run, err := d.NewRun(pipeline, app.TriggerRequest{DagID: dagID, By: dag.ByCLI})
	if err != nil {
		return err
	}
	live := newLiveRun(scr, pipeline, run.RunKey, d.Config.Logging.BaseLogFolder, time.Now)
	stop := d.Watch(live.transition)
	_, err = d.Trigger(ctx, app.TriggerRequest{DagID: dagID, RunID: run.RunID, LogicalDate: run.LogicalDate, By: dag.ByCLI})
	var ended *dag.Run
	if err == nil {
		ended, err = d.WaitRun(ctx, run.RunKey)
	}
	stop()
	live.close()
	if err != nil {
		return err
	}
	if !scr.live { // there the last view says it
		discard(fmt.Fprintf(scr, "%s %s: %s in %s\n", dagID, ended.RunID, ended.State, round(ended.EndDate.Sub(ended.StartDate))))
	}
	return nil
}
