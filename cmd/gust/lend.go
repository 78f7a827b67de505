package main

import (
	"io"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
)

// lend is the program as the packages of its commands see it.
func (c *cli) lend() *host.Host {
	return &host.Host{
		In: c.in, Out: c.out, Err: c.err, Config: c.config, WithApp: c.withApp, Group: group,
		Arguments: arguments, Exclusive: exclusive, OutputFlag: outputFlag, WithoutEffect: withoutEffect,
		Choice: func(cmd *cobra.Command, name, shorthand, usage, def string, values ...string) *string {
			return &choiceFlag(cmd, name, shorthand, usage, def, values...).value
		},
		Print: func(t *host.Table, format string) error {
			return (&table{columns: t.Columns, rows: t.Rows}).print(c.out, format)
		},
		Details: func(t *host.Table, format string) error {
			return (&record{table{columns: t.Columns, rows: t.Rows}}).print(c.out, format)
		},
		Confirm: c.confirm, DidYouMean: didYouMean, ParseDate: parseDate,
		JSONObject: func(flag, text string) ([]byte, error) { return jsonObject(flag, text) },
		FindDAG: func(cmd *cobra.Command, a *app.App, target string) (*dag.DAG, error) {
			d, _, err := c.findDAG(cmd, a, target)
			return d, err
		},
		FindRun: c.findRun, FindTask: findTask, KnownDAG: c.knownDAG, Waits: c.waits,
		FindInstance: func(cmd *cobra.Command, a *app.App, dagID, taskID, which string, mapIndex int) (*dag.TaskInstance, error) {
			return c.instance(cmd, a, []string{dagID, taskID, which}, mapIndex)
		},
		Runs: func(runs []dag.Run) *host.Table {
			t := printRuns(runs, false)
			return &host.Table{Columns: t.columns, Rows: t.rows}
		},
		CheckGraphFile: checkGraphFile, Draw: c.draw, Shorten: shorten,
		CompleteDags: c.completeDags, CompleteRun: c.completeRun, CompleteTask: c.completeDagTask,
		Screen: func(w io.Writer) host.Screen { return lentScreen{newScreen(w)} },
		Paint:  paint, Symbol: symbol,
	}
}

// lentScreen is a screen as the packages of commands see it.
type lentScreen struct{ *screen }

func (s lentScreen) Live() bool       { return s.live }
func (s lentScreen) Colours() bool    { return s.colours }
func (s lentScreen) Size() (int, int) { return s.size() }
func (s lentScreen) Show(l []string)  { s.show(l) }
func (s lentScreen) Leave()           { s.leave() }
