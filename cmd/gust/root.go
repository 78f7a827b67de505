package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"gust/cmd/gust/admincmd"
	"gust/cmd/gust/host"
	"gust/cmd/gust/lookcmd"
	"gust/cmd/gust/runcmd"
	"gust/connections"
	"gust/internal/app"
	"gust/internal/variables"
	"gust/internal/version"
	"gust/store"
)

// Exit codes; see the package comment.
const (
	codeOK          = 0
	codeFailed      = host.CodeFailed
	codeUsage       = host.CodeUsage
	codeRunFailed   = host.CodeRunFailed
	codeNotFound    = host.CodeNotFound
	codeInterrupted = host.CodeInterrupted
)

// exitError carries an exit code with its message.
type exitError = host.ExitError

func usagef(format string, args ...any) error { return host.Usagef(format, args...) }

func notFoundf(format string, args ...any) error { return host.NotFoundf(format, args...) }

// errQuiet ends a command with a code whose reason is printed already.
var errQuiet = errors.New("")

// execute runs the command line and returns the exit code. It prints errors to the error stream.
func execute(ctx context.Context, args []string, std streams) int {
	root := newRoot(std)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return codeOK
	}
	if text := err.Error(); text != "" {
		discard(fmt.Fprintf(std.err, "gust: %s\n", text))
	}
	return exitCode(ctx, err)
}

// exitCode is the code that says what kind of error it was.
func exitCode(ctx context.Context, err error) int {
	var (
		exit       *exitError
		coded      interface{ ExitCode() int }
		noDAG      *app.NoDAGError
		noVariable *variables.NotFoundError
	)
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return codeInterrupted
	case errors.As(err, &coded):
		return coded.ExitCode()
	case errors.Is(err, store.ErrNotFound), errors.As(err, &noDAG), errors.As(err, &noVariable), connections.IsNotFound(err):
		return codeNotFound
	}
	return codeFailed
}

// cli is what every command shares: the streams and where the configuration is.
type cli struct {
	streams
	configPath string
	verbose    bool
	environ    []string
}

const rootLong = `Gust runs pipelines written in YAML: batch jobs, sensors and AWS Step Functions executions, on schedules, with retries,
without holding a worker while it waits. Commands, names, states and file formats are Airflow's.

Start here:

  gust dags test examples/order_pipeline.yaml   run a pipeline once, in the foreground, without a daemon
  gust standalone                               run the daemon: schedules, and a Step Functions service inside
  gust dags trigger order_pipeline              ask the daemon for a run, from another terminal
  gust dags list-runs order_pipeline            see how it went

Settings come from config.yaml in this folder (or --config, or GUST_CONFIG); a variable GUST__SECTION__KEY overrides one.
"gust config list" prints them. State lives in GUST_HOME, by default the folder .gust beside the configuration.

Exit codes: 0 success, 1 failed, 2 wrong usage or configuration, 3 a run ended as failed, 4 not found, 130 interrupted.`

func newRoot(std streams) *cobra.Command {
	c := &cli{streams: std, environ: os.Environ()}
	runs := runcmd.Commands{Host: c.lend()}
	look := lookcmd.Commands{Host: c.lend()}
	admin := admincmd.Commands{Host: c.lend()}
	root := group("gust", "Run pipelines of batch jobs and Step Functions executions", "",
		c.standaloneCommand(), c.schedulerCommand(),
		c.dagsCommand(), runs.Runs(), c.tasksCommand(), runs.Backfill(), look.Assets(), look.Triggers(), c.operatorsCommand(),
		c.connectionsCommand(), c.variablesCommand(), c.poolsCommand(), c.configCommand(), c.rotateCommand("settings"),
		c.sfnCommand(),
		c.dbCommand(), c.infoCommand(), c.versionCommand(), c.completionCommand(),
	)
	root.AddCommand(admin.System()...)
	root.Long = rootLong
	root.Example = "  gust standalone\n  gust dags test examples/order_pipeline.yaml"
	root.Version = version.Version
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.StringVar(&c.configPath, "config", os.Getenv("GUST_CONFIG"), "the configuration `FILE` (default: config.yaml in this folder, if there is one)")
	flags.BoolVarP(&c.verbose, "verbose", "v", false, "print debugging messages too")
	root.AddGroup(
		&cobra.Group{ID: "serve", Title: "Serve:"},
		&cobra.Group{ID: "pipelines", Title: "Pipelines:"},
		&cobra.Group{ID: "stepfunctions", Title: "Step Functions:"},
		&cobra.Group{ID: "settings", Title: "Connections and settings:"},
		&cobra.Group{ID: "system", Title: "The system itself:"},
	)
	root.SetHelpCommandGroupID("system")
	root.SetUsageFunc(usage)
	return root
}

// usage writes how a command is called. One that holds others does nothing by itself: its usage is that of its commands.
//
// Written with cobra's own function and not with a template: a program that reaches text/template keeps every method of
// every type, which for the AWS clients means code for hundreds of calls nobody makes.
func usage(cmd *cobra.Command) error {
	if cmd.HasAvailableSubCommands() {
		run := cmd.RunE
		cmd.RunE = nil
		defer func() { cmd.RunE = run }()
	}
	return new(cobra.Command).UsageFunc()(cmd)
}

// group is a command that only holds others: called alone it teaches them, called with an unknown one it names the
// nearest.
func group(use, short, groupID string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, GroupID: groupID,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
		DisableFlagsInUseLine: true,
	}
	cmd.AddCommand(commands...)
	return cmd
}

// discard silences a write error of a terminal or pipe that has gone: there is nobody left to tell.
func discard(_ int, _ error) {}

func (c *cli) printf(format string, args ...any) { discard(fmt.Fprintf(c.out, format, args...)) }

// note tells the user something that is not the command's output.
func (c *cli) note(format string, args ...any) { discard(fmt.Fprintf(c.err, format+"\n", args...)) }
