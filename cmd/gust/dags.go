package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gust/cmd/gust/admincmd"
	"gust/cmd/gust/lookcmd"
	"gust/dag"
	"gust/dag/dagfile"
	"gust/internal/app"
	"gust/internal/graphdraw"
	"gust/store"
)

func (c *cli) dagsCommand() *cobra.Command {
	return group("dags", "List, trigger, test and draw pipelines", "pipelines", append([]*cobra.Command{
		c.dagsList(), c.dagsImportErrors(), c.dagsDetails(), c.dagsShow(), c.dagsTrigger(), c.dagsTest(),
		c.dagsPause(true), c.dagsPause(false), c.dagsState(), c.dagsListRuns(), c.dagsNextExecution(), c.dagsLint(), c.dagsSchema(),
		admincmd.Commands{Host: c.lend()}.ListJobs(),
	}, lookcmd.Commands{Host: c.lend()}.Dags()...)...)
}

// dagColumns are what `dags list` can show, by column name.
var dagColumns = []struct {
	name  string
	value func(p *app.Pipelines, d *dag.DAG) any
}{
	{"dag_id", func(_ *app.Pipelines, d *dag.DAG) any { return d.ID }},
	{"fileloc", func(_ *app.Pipelines, d *dag.DAG) any { return shorten(d.FileLoc) }},
	{"owners", func(_ *app.Pipelines, d *dag.DAG) any { return owners(d) }},
	{"is_paused", func(p *app.Pipelines, d *dag.DAG) any { return p.Paused[d.ID] }},
	{"schedule", func(_ *app.Pipelines, d *dag.DAG) any { return d.Schedule.Text }},
	{"tags", func(_ *app.Pipelines, d *dag.DAG) any { return d.Tags }},
	{"dag_display_name", func(_ *app.Pipelines, d *dag.DAG) any { return cmp.Or(d.DisplayName, d.ID) }},
	{"description", func(_ *app.Pipelines, d *dag.DAG) any { return d.Description }},
	{"timezone", func(_ *app.Pipelines, d *dag.DAG) any { return d.Timezone }},
	{"start_date", func(_ *app.Pipelines, d *dag.DAG) any { return d.StartDate }},
	{"end_date", func(_ *app.Pipelines, d *dag.DAG) any { return d.EndDate }},
	{"catchup", func(_ *app.Pipelines, d *dag.DAG) any { return d.Catchup }},
	{"max_active_runs", func(_ *app.Pipelines, d *dag.DAG) any { return d.MaxActiveRuns }},
	{"max_active_tasks", func(_ *app.Pipelines, d *dag.DAG) any { return d.MaxActiveTasks }},
	{"dagrun_timeout", func(_ *app.Pipelines, d *dag.DAG) any { return d.DagrunTimeout }},
	{"tasks", func(_ *app.Pipelines, d *dag.DAG) any { return len(d.Tasks) }},
	{"version", func(_ *app.Pipelines, d *dag.DAG) any { return d.Version }},
}

func dagColumnNames() []string {
	names := make([]string, len(dagColumns))
	for i := range dagColumns {
		names[i] = dagColumns[i].name
	}
	return names
}

func (c *cli) dagsList() *cobra.Command {
	var columns []string
	cmd := &cobra.Command{
		Use: "list", Short: "List the DAGs of the pipelines folder", Args: arguments(),
		Long: "List the DAGs of the pipelines folder as they are now, whether or not a daemon runs. Those whose file is broken now\n" +
			"come last, as a daemon has last seen them.\n\nColumns: " + strings.Join(dagColumnNames()[:8], ", ") + ",\n" +
			strings.Join(dagColumnNames()[8:], ", ") + ".",
		Example: "  gust dags list\n  gust dags list --columns dag_id,schedule,timezone -o json",
	}
	cmd.Flags().StringSliceVar(&columns, "columns", dagColumnNames()[:6], "the `COLUMNS` to show, comma separated")
	_ = cmd.RegisterFlagCompletionFunc("columns", cobra.FixedCompletions(dagColumnNames(), cobra.ShellCompDirectiveNoFileComp))
	withoutEffect(cmd, "local", "l", "the pipelines folder is always read as it is now")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		for _, name := range columns {
			if !slices.Contains(dagColumnNames(), name) {
				return usagef("--columns: there is no column %q%s\ncolumns are %s", name, didYouMean(name, dagColumnNames()), strings.Join(dagColumnNames(), ", "))
			}
		}
		loaded, err := a.Pipelines(cmd.Context())
		if err != nil {
			return err
		}
		t := &table{columns: columns}
		for _, d := range slices.Concat(loaded.DAGs, loaded.Kept) {
			row := make([]any, len(columns))
			for i, name := range columns {
				row[i] = dagColumns[slices.Index(dagColumnNames(), name)].value(loaded, d)
			}
			t.rows = append(t.rows, row)
		}
		if err := t.print(c.out, *format); err != nil {
			return err
		}
		if n := len(loaded.Errors); n > 0 {
			c.note("%d file(s) could not be loaded; see `gust dags list-import-errors`", n)
		}
		return nil
	})
	return cmd
}

// shorten shows a path relative to the working directory when it lies below it.
func shorten(path string) string {
	wd, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
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
	var warnings bool
	cmd := &cobra.Command{
		Use: "list-import-errors", Short: "List the files that could not be loaded, with every problem", Args: arguments(),
		Long: `List the files that could not be loaded, with every problem in them: file, line, column, key, what was expected. Exits with
1 when there is one.

With --warnings (or -v) also what loads but is probably not meant, such as keys that have no effect. Warnings do not
change the exit code.`,
		Example: "  gust dags list-import-errors\n  gust dags list-import-errors --warnings",
	}
	cmd.Flags().BoolVar(&warnings, "warnings", false, "list warnings too")
	withoutEffect(cmd, "local", "l", "the pipelines folder is always read as it is now")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		loaded, err := a.Pipelines(cmd.Context())
		if err != nil {
			return err
		}
		if err := c.printProblems(loaded, *format, warnings || c.verbose); err != nil {
			return err
		}
		if len(loaded.Errors) > 0 {
			return &exitError{Code: codeFailed, Err: errQuiet}
		}
		return nil
	})
	return cmd
}

// printProblems prints the import errors, file by file, and then, if asked to, the warnings.
func (c *cli) printProblems(loaded *app.Pipelines, format string, warnings bool) error {
	t := &table{columns: []string{"filepath", "error"}}
	for _, e := range loaded.Errors {
		t.add(shorten(e.FileLoc), strings.TrimRight(e.Text, "\n"))
	}
	if warnings {
		t.columns = []string{"filepath", "error", "severity"}
		for i := range t.rows {
			t.rows[i] = append(t.rows[i], "error")
		}
		for _, p := range loaded.Problems {
			if p.Severity == dagfile.Warning {
				t.add(shorten(p.File), p.String(), "warning")
			}
		}
	}
	if format != "table" || len(t.rows) == 0 {
		return t.print(c.out, format)
	}
	for _, row := range t.rows { // every problem names its file: lines read better than a table of two columns
		c.printf("%s\n", row[1])
	}
	return nil
}

func (c *cli) dagsDetails() *cobra.Command {
	cmd := &cobra.Command{
		Use: "details DAG_ID|FILE", Short: "Show everything about a DAG", Args: arguments("DAG_ID"), ValidArgsFunction: c.completeDags,
		Example: "  gust dags details order_pipeline\n  gust dags details order_pipeline -o yaml",
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		d, warnings, err := c.findDAG(cmd, a, args[0])
		if err != nil {
			return err
		}
		paused := false
		if row, err := a.Store.DagGet(cmd.Context(), d.ID); err == nil {
			paused = row.IsPaused
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r := &record{}
		r.add("dag_id", d.ID)
		r.add("dag_display_name", cmp.Or(d.DisplayName, d.ID))
		r.add("description", d.Description)
		r.add("is_paused", paused)
		r.add("fileloc", d.FileLoc)
		r.add("version", d.Version)
		r.add("schedule", d.Schedule.Text)
		r.add("timezone", d.Timezone)
		r.add("start_date", d.StartDate)
		r.add("end_date", d.EndDate)
		r.add("catchup", d.Catchup)
		r.add("max_active_runs", d.MaxActiveRuns)
		r.add("max_active_tasks", d.MaxActiveTasks)
		r.add("dagrun_timeout", d.DagrunTimeout)
		r.add("owners", owners(d))
		r.add("tags", d.Tags)
		r.add("tasks", taskIDs(d))
		r.add("params", d.Params)
		r.add("warnings", warnings)
		return r.print(c.out, *format)
	})
	return cmd
}

func taskIDs(d *dag.DAG) []string {
	ids := make([]string, len(d.Tasks))
	for i, t := range d.Tasks {
		ids[i] = t.ID
	}
	return ids
}

// findDAG finds a DAG by id among the pipelines, or, when target is a file, in it. Its warnings come with it.
func (c *cli) findDAG(cmd *cobra.Command, a *app.App, target string) (*dag.DAG, []string, error) {
	if err := missingFile(target, a.Config.Core.DagsFolder); err != nil {
		return nil, nil, err
	}
	d, problems, err := a.Pipeline(cmd.Context(), target)
	if err != nil {
		return nil, nil, whyNoDAG(cmd, a, target, err)
	}
	var warnings []string
	for _, p := range problems {
		if p.Severity == dagfile.Warning {
			warnings = append(warnings, p.String())
		}
	}
	return d, warnings, nil
}

// whyNoDAG looks closer at a DAG that is not there: its file may be broken, or the target a folder.
func whyNoDAG(cmd *cobra.Command, a *app.App, target string, err error) error {
	var missing *app.NoDAGError
	if !errors.As(err, &missing) {
		return err
	}
	if info, statErr := os.Stat(target); statErr == nil && info.IsDir() {
		return notAFile(target)
	}
	if len(missing.Broken) == 0 {
		return err
	}
	loaded, loadErr := a.Pipelines(cmd.Context())
	if loadErr != nil {
		return err
	}
	var problems []dagfile.Problem
	for _, p := range loaded.Problems {
		if p.DagID == missing.DagID && p.Severity == dagfile.Error {
			problems = append(problems, p)
		}
	}
	if len(problems) == 0 {
		return err
	}
	return &exitError{Code: codeFailed, Err: fmt.Errorf("DAG %s cannot be loaded:\n%s", missing.DagID, strings.TrimRight(dagfile.Text(problems), "\n"))}
}

// missingFile is the error for a target that looks like a file and is none; it names the file that was probably meant.
func missingFile(target, folder string) error {
	path, _, _ := strings.Cut(target, ":")
	looksLikeFile := slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(path)) || strings.ContainsRune(path, filepath.Separator)
	if !looksLikeFile {
		return nil
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.Mode().IsRegular():
		return nil
	case err == nil:
		return notAFile(path)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, dir := range []string{filepath.Dir(path), folder} {
		if near := didYouMeanFile(dir, filepath.Base(path)); near != "" {
			return notFoundf("there is no file %s%s", path, near)
		}
	}
	return notFoundf("there is no file %s; `gust dags list` shows the DAGs of %s and their files", path, folder)
}

func notAFile(path string) error {
	return usagef("%s is not a file; give a pipeline file or the id of a DAG, see `gust dags list`", path)
}

func (c *cli) dagsShow() *cobra.Command {
	var save string
	cmd := &cobra.Command{
		Use: "show DAG_ID|FILE", Short: "Draw the graph of a DAG", Args: arguments("DAG_ID"), ValidArgsFunction: c.completeDags,
		Long:    "Draw the graph of a DAG in the terminal, or save it as DOT (.dot, .gv), Mermaid (.mmd, .mermaid) or SVG (.svg).",
		Example: "  gust dags show order_pipeline\n  gust dags show order_pipeline --save order.svg",
	}
	cmd.Flags().StringVarP(&save, "save", "s", "", "write to this `FILE`; its ending chooses the format: "+strings.Join(graphEndings, ", "))
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if err := checkGraphFile(save); err != nil {
			return err
		}
		d, _, err := c.findDAG(cmd, a, args[0])
		if err != nil {
			return err
		}
		return c.draw(graphOf(d), save)
	})
	return cmd
}

var graphEndings = []string{".dot", ".gv", ".mmd", ".mermaid", ".svg"}

func checkGraphFile(path string) error {
	if ending := filepath.Ext(path); path != "" && !slices.Contains(graphEndings, ending) {
		return usagef("%s: the ending %q says no format; expected one of %s", path, ending, strings.Join(graphEndings, ", "))
	}
	return nil
}

// draw prints a graph, or saves it in the format of the file's ending, which has been checked.
func (c *cli) draw(g *graphdraw.Graph, save string) error {
	if save == "" {
		colours := coloured(c.out)
		c.printf("%s", g.Text(func(n graphdraw.Node, text string) string { return paint(colours, n.Class, text) }))
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
	}
	if err := os.WriteFile(save, []byte(text), 0o644); err != nil {
		return err
	}
	c.printf("File %s saved\n", save)
	return nil
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
