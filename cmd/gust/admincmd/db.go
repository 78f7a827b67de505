package admincmd

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag/timetable"
	"gust/internal/app"
	"gust/store"
)

// DB are the commands for `gust db`.
func (c Commands) DB() []*cobra.Command { return []*cobra.Command{c.dbClean(), c.dbCheckMigrations()} }

type cleanFlags struct {
	before       string
	only, except []string
	batch        int
	dry, yes     bool
}

func (c Commands) dbClean() *cobra.Command {
	o := &cleanFlags{}
	cmd := &cobra.Command{
		Use: "clean", Short: "Delete old runs", Args: c.Arguments(),
		Long: `Delete the finished runs that ended before a date, with their task instances, values and tries, batch by batch: a running
daemon goes on in between. The latest scheduled run of each DAG stays, because its schedule goes on from it. Unless DAGs
are named, asset events from before the date go too, but for the latest of each asset and those that a DAG still waits
with or a run was made for. Log files stay. The daemon does the same by itself with core.run_retention.`,
		Example: "  gust db clean --clean-before-timestamp 2026-01-01 --dry-run\n" +
			"  gust db clean --clean-before-timestamp 2026-01-01 --dag-ids etl,daily_report --yes",
	}
	flags := cmd.Flags()
	flags.StringVar(&o.before, "clean-before-timestamp", "", "delete runs that ended before this `DATE`; needed")
	flags.StringSliceVar(&o.only, "dag-ids", nil, "only runs of these `DAG_IDS`, comma separated")
	flags.StringSliceVar(&o.except, "exclude-dag-ids", nil, "no runs of these `DAG_IDS`, comma separated")
	flags.IntVar(&o.batch, "batch-size", 200, "delete so many runs at once: `N`, at most 1000")
	flags.BoolVar(&o.dry, "dry-run", false, "only count")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	c.WithoutEffect(cmd, "skip-archive", "", "nothing is archived")
	c.WithoutEffect(cmd, "tables", "t", "a run is deleted with everything that belongs to it")
	for _, name := range []string{"dag-ids", "exclude-dag-ids"} {
		_ = cmd.RegisterFlagCompletionFunc(name, c.CompleteDags)
	}
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error { return c.clean(cmd, a, o) })
	return cmd
}

func (c Commands) clean(cmd *cobra.Command, a *app.App, o *cleanFlags) error {
	if o.before == "" {
		return host.Usagef("db clean: --clean-before-timestamp is missing\nfor example:\n%s", cmd.Example)
	}
	if o.batch < 1 || o.batch > 1000 {
		return host.Usagef("--batch-size is %d; expected 1 to 1000", o.batch)
	}
	before, err := c.ParseDate(a.Config, o.before)
	if err != nil {
		return err
	}
	if before.After(a.Now()) {
		return host.Usagef("--clean-before-timestamp %s lies in the future; it would delete every finished run", timetable.ISOFormat(before))
	}
	if err := c.storedDags(cmd, a, slices.Concat(o.only, o.except)); err != nil {
		return err
	}
	r := app.CleanRequest{EndedBefore: before, DagIDs: o.only, NotDagIDs: o.except, Batch: o.batch}
	n, err := a.CountClean(cmd.Context(), r)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d runs that ended before %s", n, timetable.ISOFormat(before))
	if n == 0 || o.dry {
		c.Printf("Found %s.\n", what)
		return nil
	}
	if err := c.Proceed(o.yes, fmt.Sprintf("You are about to delete %s. Are you sure?", what)); err != nil {
		return err
	}
	scr := c.Screen(c.Out)
	deleted, err := a.Clean(cmd.Context(), r, func(deleted int) {
		if scr.Live() {
			scr.Show([]string{fmt.Sprintf("%d of %d runs deleted", deleted, n)})
		}
	})
	scr.Leave()
	if err != nil {
		return fmt.Errorf("%d of %d runs were deleted: %w", deleted, n, err)
	}
	c.Printf("Deleted %d runs.\n", deleted)
	return nil
}

// storedDags refuses DAG ids that the database does not know: a typing error must not delete, or spare, the wrong runs.
func (c Commands) storedDags(cmd *cobra.Command, a *app.App, ids []string) error {
	rows, err := a.Store.DagList(cmd.Context())
	if err != nil {
		return err
	}
	known := make([]string, len(rows))
	for i := range rows {
		known[i] = rows[i].DagID
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return host.NotFoundf("the database has no DAG %q%s", id, c.DidYouMean(id, known))
		}
	}
	return nil
}

func (c Commands) dbCheckMigrations() *cobra.Command {
	var timeout int
	cmd := &cobra.Command{
		Use: "check-migrations", Short: "Wait until the database has this version's schema", Args: c.Arguments(),
		Long: `Wait until the database has this version's schema, for a start script beside another program that migrates it. Exits with 1
when it has not after the timeout. Nothing is changed.`,
		Example: "  gust db check-migrations -t 10",
	}
	cmd.Flags().IntVarP(&timeout, "migration-wait-timeout", "t", 60, "wait at most so many `SECONDS`; 0 looks once")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if timeout < 0 {
			return host.Usagef("--migration-wait-timeout is %d; expected 0 or more", timeout)
		}
		cfg, err := c.Config()
		if err != nil {
			return err
		}
		late := time.After(time.Duration(timeout) * time.Second)
		for {
			path, err := app.CheckDatabase(cmd.Context(), cfg)
			if err == nil {
				c.Printf("The database has this version's schema: %s\n", path)
				return nil
			}
			if timeout == 0 || errors.Is(err, store.ErrCorrupt) {
				return err
			}
			select {
			case <-cmd.Context().Done():
				return cmd.Context().Err()
			case <-late:
				return fmt.Errorf("after %d seconds: %w", timeout, err)
			case <-time.After(time.Second):
			}
		}
	}
	return cmd
}
