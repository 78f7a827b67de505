package lookcmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
	"gust/internal/graphdraw"
	"gust/store"
)

// Dags are the commands for `gust dags`.
func (c Commands) Dags() []*cobra.Command {
	return []*cobra.Command{c.dagsExplain(), c.dagsReport(), c.dagsDependencies(), c.dagsDelete()}
}

func (c Commands) dagsExplain() *cobra.Command {
	var mapIndex int
	cmd := &cobra.Command{
		Use: "explain DAG_ID RUN_ID|LOGICAL_DATE TASK_ID", Short: "Say why a task is not running, or how it ended",
		Long: `Say in words why a task of a run is in its state: every rule that is not met, every limit and pool that holds it back, what
it is parked on, who skipped it, how it failed.`,
		Args:    c.Arguments("DAG_ID", "RUN_ID", "TASK_ID"),
		Example: "  gust dags explain order_pipeline manual__2026-11-21T10:00:00+00:00 load_express",
	}
	cmd.ValidArgsFunction = c.completeRunTask
	cmd.Flags().IntVar(&mapIndex, "map-index", -1, "`INDEX` of a mapped task instance")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		run, err := c.FindRun(cmd, a, args[0], args[1])
		if err != nil {
			return err
		}
		key := dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: args[2], MapIndex: mapIndex}
		state := dag.StateNone
		ti, err := c.FindInstance(cmd, a, run.DagID, args[2], run.RunID, mapIndex)
		switch {
		case err == nil:
			state = ti.State
		case c.mapped(cmd, a, run, args[2]) && mapIndex < 0:
			return c.explainMapped(cmd, a, run, args[2])
		case c.noInstance(cmd, a, run, args[2]):
			// The run has not begun, or the task is excluded from it.
		default:
			return err
		}
		reasons, err := a.Explain(cmd.Context(), key)
		if err != nil {
			return err
		}
		c.Printf("%s of run %s of DAG %s: %s\n", args[2], run.RunID, run.DagID, state)
		c.reasons(reasons)
		return nil
	})
	return cmd
}

// completeRunTask completes DAG, run, task.
func (c Commands) completeRunTask(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 2 {
		return c.CompleteTask(cmd, args[:1], toComplete)
	}
	return c.CompleteRun(cmd, args, toComplete)
}

func (c Commands) reasons(reasons []string) {
	if len(reasons) == 0 {
		c.Printf("  nothing stands in its way: the scheduler starts it next\n")
	}
	for _, reason := range reasons {
		c.Printf("  %s\n", reason)
	}
}

// mapped reports whether the run has instances of a mapped task.
func (c Commands) mapped(cmd *cobra.Command, a *app.App, run *dag.Run, task string) bool {
	list, err := a.Store.TaskInstanceList(cmd.Context(), run.RunKey)
	return err == nil && slices.ContainsFunc(list, func(ti dag.TaskInstance) bool { return ti.TaskID == task && ti.MapIndex >= 0 })
}

// noInstance reports whether the run's DAG has the task although the run has no instance of it.
func (c Commands) noInstance(cmd *cobra.Command, a *app.App, run *dag.Run, task string) bool {
	d, err := a.Latest(cmd.Context(), run.DagID)
	if run.DagVersion != "" {
		d, err = a.Store.DagVersionGet(cmd.Context(), run.DagVersion)
	}
	if err != nil || d.Task(task) == nil {
		return false
	}
	list, err := a.Store.TaskInstanceList(cmd.Context(), run.RunKey)
	return err == nil && !slices.ContainsFunc(list, func(ti dag.TaskInstance) bool { return ti.TaskID == task })
}

// explainMapped explains the instances of a mapped task that have not succeeded, each reason once.
func (c Commands) explainMapped(cmd *cobra.Command, a *app.App, run *dag.Run, task string) error {
	list, err := a.Store.TaskInstanceList(cmd.Context(), run.RunKey)
	if err != nil {
		return err
	}
	counts, shown := map[dag.State]int{}, 0
	const most = 10
	for i := range list {
		if list[i].TaskID == task {
			counts[list[i].State]++
		}
	}
	var parts []string
	for _, s := range dag.TaskStates {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", s, counts[s]))
		}
	}
	c.Printf("%s of run %s of DAG %s is mapped: %s\n", task, run.RunID, run.DagID, strings.Join(parts, ", "))
	for i := range list {
		ti := &list[i]
		if ti.TaskID != task || ti.State == dag.StateSuccess {
			continue
		}
		if shown == most {
			c.Printf("  ... --map-index explains any other\n")
			return nil
		}
		shown++
		reasons, err := a.Explain(cmd.Context(), ti.Key)
		if err != nil {
			return err
		}
		c.Printf("[%d] %s\n", ti.MapIndex, ti.State)
		c.reasons(reasons)
	}
	return nil
}

func (c Commands) dagsReport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "report", Short: "List the pipeline files with what reading them took", Args: c.Arguments(),
		Example: "  gust dags report\n  gust dags report -o json",
	}
	c.WithoutEffect(cmd, "local", "l", "the pipelines folder is always read as it is now")
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		loaded, err := a.Pipelines(cmd.Context())
		if err != nil {
			return err
		}
		t := &host.Table{Columns: []string{"file", "duration", "dag_num", "task_num", "dags", "warning_num", "error_num"}}
		for i := range loaded.Files {
			f := &loaded.Files[i]
			t.Add(c.Shorten(f.Path), f.Took, len(f.DAGs), f.Tasks, f.DAGs, f.Warnings, f.Errors)
		}
		return c.Print(t, *format)
	})
	return cmd
}

func (c Commands) dagsDependencies() *cobra.Command {
	var save string
	cmd := &cobra.Command{
		Use: "show-dependencies", Short: "Draw which DAGs depend on which", Args: c.Arguments(),
		Long: `Draw which DAGs depend on which: by assets, by TriggerDagRunOperator, and by ExternalTaskSensor. DAGs without any of these
are left out. The graph is drawn in the terminal, or saved as DOT (.dot, .gv), Mermaid (.mmd, .mermaid) or SVG (.svg).`,
		Example: "  gust dags show-dependencies\n  gust dags show-dependencies --save dags.svg",
	}
	cmd.Flags().StringVarP(&save, "save", "s", "", "write to this `FILE`; its ending chooses the format")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		if err := c.CheckGraphFile(save); err != nil {
			return err
		}
		loaded, err := a.Pipelines(cmd.Context())
		if err != nil {
			return err
		}
		g := Dependencies(slices.Concat(loaded.DAGs, loaded.Kept))
		if len(g.Nodes) == 0 {
			c.Printf("No DAG depends on another.\n")
			return nil
		}
		return c.Draw(g, save)
	})
	return cmd
}

// Dependencies is the graph of DAGs and assets.
func Dependencies(dags []*dag.DAG) *graphdraw.Graph {
	g := &graphdraw.Graph{Name: "dag_dependencies"}
	node := func(id, label string) string {
		if !slices.ContainsFunc(g.Nodes, func(n graphdraw.Node) bool { return n.ID == id }) {
			g.Nodes = append(g.Nodes, graphdraw.Node{ID: id, Label: label})
		}
		return id
	}
	edge := func(from, to string) {
		if e := (graphdraw.Edge{From: from, To: to}); from != to && !slices.Contains(g.Edges, e) {
			g.Edges = append(g.Edges, e)
		}
	}
	asset := func(ref dag.AssetRef) string {
		if ref.Asset != nil {
			return node("asset:"+ref.Asset.Name, "asset "+ref.Asset.Name)
		}
		return node("alias:"+ref.Alias, "alias "+ref.Alias)
	}
	for _, d := range dags {
		for _, t := range d.Tasks {
			for _, o := range t.Outlets {
				edge(node(d.ID, d.ID), asset(o))
			}
			if other := literal(t, "TriggerDagRunOperator", "trigger_dag_id"); other != "" {
				edge(node(d.ID, d.ID), node(other, other))
			}
			if other := literal(t, "ExternalTaskSensor", "external_dag_id"); other != "" {
				edge(node(other, other), node(d.ID, d.ID))
			}
		}
		if d.Schedule.Assets != nil {
			for _, ref := range d.Schedule.Assets.Refs() {
				edge(asset(ref), node(d.ID, d.ID))
			}
		}
	}
	return g
}

// literal is a parameter of a task of an operator; a template says nothing yet.
func literal(t *dag.Task, operator, name string) string {
	text, _ := t.Params[name].(string)
	if t.Operator != operator || strings.Contains(text, "{{") || strings.Contains(text, "{%") {
		return ""
	}
	return text
}

func (c Commands) dagsDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete DAG_ID", Short: "Delete a DAG's runs and everything else about it from the database",
		Long: `Delete everything about a DAG from the database: runs, task instances, values, backfills, whether it is paused. It comes
back, without a past, while a file still defines it. Log files stay. Refused while it has unfinished runs.`,
		Args: c.Arguments("DAG_ID"), ValidArgsFunction: c.CompleteDags, Example: "  gust dags delete old_pipeline --yes",
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		row, err := a.Store.DagGet(cmd.Context(), args[0])
		if errors.Is(err, store.ErrNotFound) {
			if err := c.KnownDAG(cmd, a, args[0]); err != nil {
				return err
			}
			c.Printf("Nothing to delete: DAG %s has never run.\n", args[0])
			return nil
		}
		if err != nil {
			return err
		}
		n, err := a.Store.RunsDelete(cmd.Context(), &store.RunsDeleteParams{DagIDs: args[:1], DryRun: true})
		if err != nil {
			return err
		}
		question := fmt.Sprintf("This deletes everything about DAG %s, with %d finished runs. Proceed?", args[0], n)
		if err := c.Proceed(yes, question); err != nil {
			return err
		}
		if err := a.DeleteDAG(cmd.Context(), args[0]); err != nil {
			return err
		}
		c.Printf("Deleted DAG %s with %d runs.\n", args[0], n)
		if !row.Stale {
			if _, err := a.Latest(cmd.Context(), args[0]); err == nil {
				c.Note("%s still defines it: it comes back when the daemon reads the file.", c.Shorten(row.FileLoc))
			}
		}
		return nil
	})
	return cmd
}
