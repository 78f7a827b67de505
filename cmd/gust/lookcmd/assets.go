// Package lookcmd is the commands that look at how pipelines hang together and what they wait for: assets, dependencies
// between DAGs, parked waits, reasons.
package lookcmd

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
)

// Commands makes the commands.
type Commands struct{ *host.Host }

// Assets is `gust assets`.
func (c Commands) Assets() *cobra.Command {
	return c.Group("assets", "List assets and their events, and update them", "pipelines",
		c.assetsList(), c.assetsDetails(), c.assetsEvents(), c.assetsMaterialize(), c.assetsCreateEvent())
}

var assetColumns = []string{"name", "uri", "group", "extra", "producing_tasks", "consuming_dags"}

func assetValue(as *app.Asset, column string) any {
	switch column {
	case "name":
		return as.Name
	case "uri":
		return as.URI
	case "group":
		return as.Group
	case "extra":
		return as.Extra
	case "producing_tasks":
		return as.Producers
	}
	return as.Consumers
}

func (c Commands) assetsList() *cobra.Command {
	var (
		alias   bool
		columns []string
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the assets of the pipelines", Args: c.Arguments(),
		Long: "List the assets that pipelines name: as outlets and inlets of tasks, and in schedules.\n\nColumns: " +
			strings.Join(assetColumns, ", ") + ".",
		Example: "  gust assets list\n  gust assets list --columns name,consuming_dags -o json",
	}
	cmd.Flags().BoolVar(&alias, "alias", false, "list the aliases instead")
	cmd.Flags().StringSliceVar(&columns, "columns", assetColumns[:4], "the `COLUMNS` to show, comma separated")
	_ = cmd.RegisterFlagCompletionFunc("columns", cobra.FixedCompletions(assetColumns, cobra.ShellCompDirectiveNoFileComp))
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		for _, name := range columns {
			if !slices.Contains(assetColumns, name) {
				return host.Usagef("--columns: there is no column %q%s\ncolumns are %s", name, c.DidYouMean(name, assetColumns), strings.Join(assetColumns, ", "))
			}
		}
		list, err := a.Assets(cmd.Context())
		if err != nil {
			return err
		}
		t := &host.Table{Columns: columns}
		for i := range list {
			if list[i].IsAlias != alias {
				continue
			}
			row := make([]any, len(columns))
			for j, name := range columns {
				row[j] = assetValue(&list[i], name)
			}
			t.Rows = append(t.Rows, row)
		}
		return c.Print(t, *format)
	})
	return cmd
}

// assetFlags are --name and --uri.
func (c Commands) assetFlags(cmd *cobra.Command) (find func(cmd *cobra.Command, a *app.App) (*app.Asset, error)) {
	var name, uri string
	cmd.Flags().StringVar(&name, "name", "", "the asset's `NAME`")
	cmd.Flags().StringVar(&uri, "uri", "", "the asset's `URI`")
	return func(cmd *cobra.Command, a *app.App) (*app.Asset, error) {
		if err := c.Exclusive(cmd, "name", "uri"); err != nil {
			return nil, err
		}
		if name == "" && uri == "" {
			return nil, host.Usagef("which asset? give --name or --uri; `gust assets list` shows the assets\nfor example:\n%s", cmd.Example)
		}
		as, err := a.FindAsset(cmd.Context(), name, uri)
		var missing *app.NoAssetError
		if errors.As(err, &missing) {
			return nil, host.NotFoundf("%w", err)
		}
		return as, err
	}
}

func (c Commands) assetsDetails() *cobra.Command {
	cmd := &cobra.Command{
		Use: "details", Short: "Show an asset, who updates it and who waits for it", Args: c.Arguments(),
		Example: "  gust assets details --name orders\n  gust assets details --uri s3://shop/orders -o json",
	}
	find, format := c.assetFlags(cmd), c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		as, err := find(cmd, a)
		if err != nil {
			return err
		}
		events, err := a.Store.AssetEventList(cmd.Context(), as.Name, 1)
		if err != nil {
			return err
		}
		t := &host.Table{Columns: append(slices.Clone(assetColumns), "last_event")}
		var row []any
		for _, name := range assetColumns {
			row = append(row, assetValue(as, name))
		}
		var last any
		if len(events) == 1 {
			last = events[0].At
		}
		t.Rows = [][]any{append(row, last)}
		return c.Details(t, *format)
	})
	return cmd
}

func (c Commands) assetsEvents() *cobra.Command {
	var (
		name  string
		limit int
	)
	cmd := &cobra.Command{
		Use: "events", Short: "List asset events, newest first", Args: c.Arguments(),
		Example: "  gust assets events\n  gust assets events --name orders --limit 5 -o json",
	}
	cmd.Flags().StringVar(&name, "name", "", "only events of the asset with this `NAME`")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most `N` events")
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		if limit < 1 {
			return host.Usagef("--limit is %d; expected 1 or more", limit)
		}
		events, err := a.Store.AssetEventList(cmd.Context(), name, limit)
		if err != nil {
			return err
		}
		if len(events) == 0 && name != "" {
			if _, err := a.FindAsset(cmd.Context(), name, ""); err != nil {
				return host.NotFoundf("%w", err)
			}
		}
		t := &host.Table{Columns: []string{
			"id", "name", "uri", "timestamp", "source_dag_id", "source_run_id", "source_task_id", "source_map_index", "extra", "aliases",
		}}
		for i := range events {
			e := &events[i]
			var index any
			if e.Source.DagID != "" {
				index = e.Source.MapIndex
			}
			t.Add(e.ID, e.Name, e.URI, e.At, e.Source.DagID, e.Source.RunID, e.Source.TaskID, index, e.Extra, e.Aliases)
		}
		return c.Print(t, *format)
	})
	return cmd
}

func (c Commands) assetsMaterialize() *cobra.Command {
	var conf string
	cmd := &cobra.Command{
		Use: "materialize", Short: "Run the DAG that updates an asset", Args: c.Arguments(),
		Long: `Create a run of the DAG whose task has the asset as an outlet. When several DAGs update it, trigger one of them; when none
does, "gust assets create-event" makes an event without a run.`,
		Example: "  gust assets materialize --name orders\n  gust assets materialize --uri s3://shop/orders",
	}
	find, format := c.assetFlags(cmd), c.OutputFlag(cmd)
	cmd.Flags().StringVarP(&conf, "conf", "c", "", "a `JSON` object, the conf of the run")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		as, err := find(cmd, a)
		if err != nil {
			return err
		}
		object, err := c.JSONObject("--conf", conf)
		if err != nil {
			return err
		}
		run, err := a.Materialize(cmd.Context(), as, object)
		if err != nil {
			return err
		}
		if err := c.Print(c.Runs([]dag.Run{*run}), *format); err != nil {
			return err
		}
		for _, reason := range c.Waits(cmd, a, run) {
			c.Note("%s", reason)
		}
		return nil
	})
	return cmd
}

func (c Commands) assetsCreateEvent() *cobra.Command {
	var extra string
	cmd := &cobra.Command{
		Use: "create-event", Short: "Say that an asset has been updated", Args: c.Arguments(),
		Long: `Say that an asset has been updated by something outside. DAGs that wait for it run as if a task had updated it. The daemon
makes the event; without one it waits for the next start.`,
		Example: "  gust assets create-event --name orders\n  gust assets create-event --name orders --extra '{\"rows\": 5}'",
	}
	find := c.assetFlags(cmd)
	cmd.Flags().StringVar(&extra, "extra", "", "a `JSON` object that goes with the event")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		as, err := find(cmd, a)
		if err != nil {
			return err
		}
		object, err := c.JSONObject("--extra", extra)
		if err != nil {
			return err
		}
		if err := a.CreateAssetEvent(cmd.Context(), as, object); err != nil {
			return err
		}
		c.Printf("An event of asset %s has been asked for.\n", as.Name)
		if !a.SchedulerAlive() {
			c.Note("No daemon runs on %s: the event waits for `gust scheduler` or `gust standalone`.", a.Config.Home())
		}
		return nil
	})
	return cmd
}
