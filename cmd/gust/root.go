package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gust/internal/version"
	"gust/store"
)

// Exit codes; see the package comment.
const (
	codeOK          = 0
	codeFailed      = 1
	codeUsage       = 2
	codeRunFailed   = 3
	codeNotFound    = 4
	codeInterrupted = 130
)

// exitError carries an exit code with its message. An empty message prints nothing: the command has said it already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &exitError{codeUsage, fmt.Errorf(format, args...)}
}

func notFoundf(format string, args ...any) error {
	return &exitError{codeNotFound, fmt.Errorf(format, args...)}
}

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
		fmt.Fprintf(std.err, "gust: %s\n", text)
	}
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, store.ErrNotFound):
		return codeNotFound
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return codeInterrupted
	}
	return codeFailed
}

// cli is what every command shares: the streams and where the configuration is.
type cli struct {
	streams
	configPath string
	environ    []string
}

func newRoot(std streams) *cobra.Command {
	c := &cli{streams: std, environ: os.Environ()}
	root := &cobra.Command{
		Use:   "gust",
		Short: "Run pipelines of batch jobs and Step Functions executions",
		Long: `Gust runs pipelines written in YAML: batch jobs, sensors and AWS Step Functions executions, on schedules, with
retries, without holding a worker while it waits. Names, states and formats are Airflow's.

  gust standalone                 the daemon, with an embedded Step Functions service
  gust dags test examples/order_pipeline.yaml
                                  one run in the foreground, without a daemon
  gust dags trigger order_pipeline
                                  a run by the daemon

Settings come from config.yaml (--config, or GUST_CONFIG), overridden by GUST__SECTION__KEY variables; see
"gust config list". State lives in GUST_HOME (default: .gust beside the configuration).

Exit codes: 0 success, 1 failed, 2 wrong usage or configuration, 3 a run ended as failed, 4 not found, 130 interrupted.`,
		Version:           version.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetVersionTemplate("gust {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w\nsee %q", err, cmd.CommandPath()+" --help")
	})
	root.PersistentFlags().StringVar(&c.configPath, "config", os.Getenv("GUST_CONFIG"), "the configuration file (default: config.yaml in this folder, if there is one)")
	root.AddGroup(
		&cobra.Group{ID: "serve", Title: "Serve:"},
		&cobra.Group{ID: "pipelines", Title: "Pipelines:"},
		&cobra.Group{ID: "settings", Title: "Connections and settings:"},
		&cobra.Group{ID: "system", Title: "The system itself:"},
	)
	root.AddCommand(
		c.standaloneCommand(), c.schedulerCommand(),
		c.dagsCommand(), c.tasksCommand(), c.operatorsCommand(),
		c.connectionsCommand(), c.variablesCommand(), c.poolsCommand(), c.configCommand(),
		c.dbCommand(), c.infoCommand(), c.versionCommand(),
	)
	return root
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
			text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return usagef("%s\nsee %q", text, cmd.CommandPath()+" --help")
		},
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(commands...)
	return cmd
}

// exactArgs wants these arguments, by name, so that the message says what is missing.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("%s: missing argument %s\nusage: %s", cmd.CommandPath(), strings.ToUpper(names[len(args)]), cmd.UseLine())
		}
		if len(args) > len(names) {
			return usagef("%s: unexpected argument %q\nusage: %s", cmd.CommandPath(), args[len(names)], cmd.UseLine())
		}
		return nil
	}
}

// discard silences a write error of a terminal or pipe that has gone: there is nobody left to tell.
func discard(_ int, _ error) {}

func (c *cli) printf(format string, args ...any) { discard(fmt.Fprintf(c.out, format, args...)) }
