package sfncmd

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/cmd/gust/sfnworker"
)

// pollPatience is how long a poll may take: a minute, and a little for the way.
const pollPatience = 75 * time.Second

func (h *Host) activityWorker() *cobra.Command {
	o := sfnworker.Options{}
	var heartbeat int
	cmd := &cobra.Command{
		Use: "activity-worker --activity-arn ARN -- COMMAND [ARGUMENT...]", Short: "Do the tasks of an activity with a command",
		Long: `Poll an activity for tasks and run a command for each: the task's input is its standard input as JSON, what it prints on
standard output is the task's output as JSON (nothing is null), and while it runs heartbeats are sent. A command that exits
with another code than 0 fails the task with the error Gust.CommandFailed, and the end of its standard error as the cause;
output that is not JSON with Gust.OutputNotJSON, output above 256 KiB with Gust.OutputTooLarge. GUST_SFN_TASK_TOKEN and
GUST_SFN_ACTIVITY_ARN are set for it. A command whose task has timed out is ended.

SIGTERM or Ctrl-C drains: no new poll begins, open polls end within a minute, and running commands are waited for. A second
signal ends at once; unfinished tasks then fail with Gust.WorkerStopped.`,
		Example: "  gust sfn activity-worker --activity-arn arn:aws:states:us-east-1:123456789012:activity:pack --concurrency 4 -- ./pack.sh --fast",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return h.Arguments("COMMAND")(cmd, args)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.ActivityARN, "activity-arn", "", "the `ARN` of the activity (required)")
	flags.StringVar(&o.Name, "worker-name", "", "the `NAME` that histories show (default: host and process)")
	flags.IntVar(&o.Concurrency, "concurrency", 1, "do at most `N` tasks at once")
	flags.IntVar(&heartbeat, "heartbeat", 10, "send a heartbeat every `N` seconds, 0: none; less than the state's HeartbeatSeconds")
	flags.BoolVar(&o.Once, "once", false, "end after one task, or one poll that brought none")
	flags.SetInterspersed(false) // what follows the command is the command's
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case o.ActivityARN == "":
			return host.Usagef("sfn activity-worker: missing --activity-arn ARN")
		case o.Concurrency < 1 || heartbeat < 0:
			return host.Usagef("--concurrency must be at least 1, and --heartbeat must not be negative")
		}
		if o.Name == "" {
			host, err := os.Hostname()
			if err != nil {
				host = "worker"
			}
			o.Name = sfnworker.WorkerName(host, os.Getpid())
		}
		client, release, err := h.Client(cmd, pollPatience)
		if err != nil {
			return err
		}
		defer release()
		o.API, o.Command, o.Heartbeat = client, args, time.Duration(heartbeat)*time.Second
		var mu sync.Mutex
		o.Note = func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			h.note(time.Now().Format("15:04:05.000")+"  "+format, args...)
		}
		o.Note("%s works for %s with %s", o.Name, o.ActivityARN, strings.Join(args, " "))
		return h.work(cmd.Context(), o)
	}
	return cmd
}

// work runs the worker until it has drained; a second signal ends it at once.
func (h *Host) work(ctx context.Context, o sfnworker.Options) error {
	kill, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	again := make(chan os.Signal, 2)
	var watching sync.WaitGroup
	done := make(chan struct{})
	watching.Go(func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		// The signal that ended ctx came before this: only later ones are seen.
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(again)
		o.Note("draining: open polls end within a minute, running commands are waited for; a second signal ends at once")
		select {
		case <-done:
		case <-again:
			o.Note("second signal: ending at once")
			end()
		}
	})
	err := sfnworker.Run(ctx, kill, o)
	close(done)
	watching.Wait()
	return err
}
