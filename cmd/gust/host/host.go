// Package host is what the program lends to the packages of its commands: its streams, its home, its forms of output and of
// errors.
package host

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gust/dag"
	"gust/internal/app"
	"gust/internal/config"
	"gust/internal/graphdraw"
)

// Host is the program as its commands see it.
type Host struct {
	In       io.Reader
	Out, Err io.Writer
	// Config loads the configuration; WithApp opens the home for a command.
	Config  func() (*config.Config, error)
	WithApp func(f func(cmd *cobra.Command, a *app.App, args []string) error) func(*cobra.Command, []string) error
	// Group is a command that only holds others.
	Group func(use, short, groupID string, commands ...*cobra.Command) *cobra.Command
	// Arguments checks positional arguments, by name; Exclusive refuses more than one of the flags.
	Arguments func(names ...string) cobra.PositionalArgs
	Exclusive func(cmd *cobra.Command, names ...string) error
	// OutputFlag is -o, whose value Print takes; Choice is a flag with a closed set of values, the default first.
	OutputFlag func(cmd *cobra.Command) *string
	Choice     func(cmd *cobra.Command, name, shorthand, usage, def string, values ...string) *string
	// WithoutEffect adds a hidden flag that Airflow has and that changes nothing here.
	WithoutEffect func(cmd *cobra.Command, name, shorthand, reason string)
	Print         func(t *Table, format string) error
	// Details prints a table of one row as a list of properties.
	Details func(t *Table, format string) error
	// Confirm asks on the terminal.
	Confirm    func(question string) bool
	DidYouMean func(name string, names []string) string
	ParseDate  func(cfg *config.Config, text string) (time.Time, error)
	JSONObject func(flag, text string) ([]byte, error)
	// FindDAG, FindRun and FindTask find what the user has named, or say what was probably meant.
	FindDAG  func(cmd *cobra.Command, a *app.App, target string) (*dag.DAG, error)
	FindRun  func(cmd *cobra.Command, a *app.App, dagID, which string) (*dag.Run, error)
	FindTask func(d *dag.DAG, id string) (*dag.Task, error)
	// FindInstance finds a task instance of a run; -1 is that of a task that is not mapped.
	FindInstance func(cmd *cobra.Command, a *app.App, dagID, taskID, which string, mapIndex int) (*dag.TaskInstance, error)
	// KnownDAG is an error unless the DAG is among the pipelines or has been.
	KnownDAG func(cmd *cobra.Command, a *app.App, id string) error
	// Waits are the reasons for which a queued run does not start at once.
	Waits func(cmd *cobra.Command, a *app.App, run *dag.Run) []string
	// Runs is the table of runs.
	Runs func(runs []dag.Run) *Table
	// CompleteDags, CompleteRun and CompleteTask complete arguments: DAG; DAG, run; DAG, task, run.
	CompleteDags, CompleteRun, CompleteTask Completion
	// CheckGraphFile refuses a file whose ending names no format of graphs; Draw prints a graph, or saves it in a file.
	CheckGraphFile func(path string) error
	Draw           func(g *graphdraw.Graph, save string) error
	// Shorten shows a path relative to the working directory when it lies below it.
	Shorten func(path string) string
	// Screen makes a screen of a stream; Paint colours a text by the class of a state, and Symbol is its mark.
	Screen func(io.Writer) Screen
	Paint  func(colours bool, class, text string) string
	Symbol func(class string) string
}

// Completion completes the arguments of a command.
type Completion = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective)

// Screen is a stream with a region at its bottom that is redrawn in place, when the stream is a terminal.
type Screen interface {
	io.Writer
	// Live reports whether there is a region, Colours whether colours are shown.
	Live() bool
	Colours() bool
	// Size is the terminal's size, 0, 0 when it is none.
	Size() (columns, rows int)
	// Show replaces the region and Leave lets it stand.
	Show(lines []string)
	Leave()
}

// Table is what list commands print: columns in order, a row of values each.
type Table struct {
	Columns []string
	Rows    [][]any
}

// Add adds a row.
func (t *Table) Add(values ...any) { t.Rows = append(t.Rows, values) }

// Exit codes of the program.
const (
	CodeFailed      = 1
	CodeUsage       = 2
	CodeRunFailed   = 3
	CodeNotFound    = 4
	CodeInterrupted = 130
)

// ExitError is an error with the program's exit code. An empty message prints nothing: the command has said it already.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode is the program's.
func (e *ExitError) ExitCode() int { return e.Code }

// Usagef is an error of usage.
func Usagef(format string, args ...any) error {
	return &ExitError{CodeUsage, fmt.Errorf(format, args...)}
}

// NotFoundf is the error that something named does not exist.
func NotFoundf(format string, args ...any) error {
	return &ExitError{CodeNotFound, fmt.Errorf(format, args...)}
}

// Failedf is the error that an operation failed.
func Failedf(format string, args ...any) error {
	return &ExitError{CodeFailed, fmt.Errorf(format, args...)}
}

// Quiet ends a command with a code whose reason is printed already.
func Quiet(code int) error { return &ExitError{code, errors.New("")} }

// Printf prints output. A write error of a terminal or pipe that has gone is dropped: there is nobody left to tell.
func (h *Host) Printf(format string, args ...any) { _, _ = fmt.Fprintf(h.Out, format, args...) }

// Note tells the user something that is not the command's output.
func (h *Host) Note(format string, args ...any) { _, _ = fmt.Fprintf(h.Err, format+"\n", args...) }

// Proceed asks a question unless the user has answered it with --yes.
func (h *Host) Proceed(yes bool, question string) error {
	if yes || h.Confirm(question+" (y/n) ") {
		return nil
	}
	return Failedf("cancelled")
}
