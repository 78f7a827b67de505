package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"gust/internal/app"
	"gust/store"
)

func (c *cli) poolsCommand() *cobra.Command {
	return group("pools", "List and set pools", "settings",
		c.poolsList(), c.poolsGet(), c.poolsSet(), c.poolsDelete(), c.poolsImport(), c.poolsExport())
}

// printPools prints pools with what occupies them.
func (c *cli) printPools(cmd *cobra.Command, a *app.App, pools []store.Pool, format string) error {
	usage, err := a.Store.PoolUsage(cmd.Context())
	if err != nil {
		return err
	}
	t := &table{columns: []string{"pool", "slots", "description", "include_deferred", "running", "queued", "deferred"}}
	for _, p := range pools {
		u := usage[p.Name]
		t.add(p.Name, p.Slots, p.Description, p.IncludeDeferred, u.Running, u.Queued, u.Deferred)
	}
	return t.print(c.out, format)
}

func (c *cli) poolsList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List pools and what occupies them", Example: "  gust pools list", Args: exactArgs()}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		pools, err := a.Store.PoolList(cmd.Context())
		if err != nil {
			return err
		}
		return c.printPools(cmd, a, pools, *format)
	})
	return cmd
}

func (c *cli) poolsGet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get NAME", Short: "Show a pool", Example: "  gust pools get default_pool",
		Args: exactArgs("name"), ValidArgsFunction: c.completePools,
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		p, err := a.Store.PoolGet(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.printPools(cmd, a, []store.Pool{*p}, *format)
	})
	return cmd
}

func (c *cli) poolsSet() *cobra.Command {
	var includeDeferred bool
	cmd := &cobra.Command{
		Use:   "set NAME SLOTS DESCRIPTION",
		Short: "Create or change a pool",
		Long:  "Create or change a pool. SLOTS is the number of task slots, -1 for no limit. A running daemon follows at once.",
		Example: `  gust pools set warehouse 4 "connections to the warehouse"
  gust pools set default_pool 64 "" --include-deferred`,
		Args: exactArgs("name", "slots", "description"),
	}
	cmd.Flags().BoolVar(&includeDeferred, "include-deferred", false, "deferred tasks occupy slots too")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		slots, err := strconv.Atoi(args[1])
		if err != nil || slots < -1 {
			return usagef("SLOTS is %q; expected a number of slots, or -1 for no limit", args[1])
		}
		p := store.Pool{Name: args[0], Slots: slots, Description: args[2], IncludeDeferred: includeDeferred}
		if err := a.Store.PoolSet(cmd.Context(), &p); err != nil {
			return err
		}
		a.Wake()
		return c.printPools(cmd, a, []store.Pool{p}, *format)
	})
	return cmd
}

func (c *cli) poolsDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a pool (default_pool cannot be deleted)", Example: "  gust pools delete warehouse",
		Args: exactArgs("name"), ValidArgsFunction: c.completePools,
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			if err := a.Store.PoolDelete(cmd.Context(), args[0]); err != nil {
				return err
			}
			a.Wake()
			c.printf("Pool %s deleted\n", args[0])
			return nil
		}),
	}
}

// poolFile is a pool in the file format of `airflow pools export`.
type poolFile struct {
	Slots           int    `json:"slots"`
	Description     string `json:"description"`
	IncludeDeferred bool   `json:"include_deferred"`
}

func (c *cli) poolsImport() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Import pools from a JSON file", Example: "  gust pools import pools.json",
		Args: exactArgs("file"),
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var pools map[string]poolFile
			if err := json.Unmarshal(data, &pools); err != nil {
				return fmt.Errorf("%s: %w; expected {\"name\": {\"slots\": 5, \"description\": \"...\", \"include_deferred\": false}}", args[0], err)
			}
			names := make([]string, 0, len(pools))
			for name, p := range pools {
				if p.Slots < -1 {
					return fmt.Errorf("%s: pool %q has %d slots; expected a number of slots, or -1 for no limit", args[0], name, p.Slots)
				}
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				p := pools[name]
				if err := a.Store.PoolSet(cmd.Context(), &store.Pool{Name: name, Slots: p.Slots, Description: p.Description, IncludeDeferred: p.IncludeDeferred}); err != nil {
					return err
				}
			}
			a.Wake()
			c.printf("Uploaded %d pool(s)\n", len(pools))
			return nil
		}),
	}
}

func (c *cli) poolsExport() *cobra.Command {
	return &cobra.Command{
		Use: "export FILE|-", Short: "Export all pools as JSON", Example: "  gust pools export pools.json",
		Args: exactArgs("file"),
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			pools, err := a.Store.PoolList(cmd.Context())
			if err != nil {
				return err
			}
			out := make(map[string]poolFile, len(pools))
			for _, p := range pools {
				out[p.Name] = poolFile{p.Slots, p.Description, p.IncludeDeferred}
			}
			data, err := json.MarshalIndent(out, "", "    ")
			if err != nil {
				return err
			}
			data = append(data, '\n')
			if args[0] == "-" {
				c.printf("%s", data)
				return nil
			}
			if err := os.WriteFile(args[0], data, 0o644); err != nil {
				return err
			}
			c.printf("Exported %d pools to %s\n", len(pools), args[0])
			return nil
		}),
	}
}

func (c *cli) completePools(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.complete(cmd, func(a *app.App) ([]string, error) {
		pools, err := a.Store.PoolList(cmd.Context())
		names := make([]string, len(pools))
		for i, p := range pools {
			names[i] = p.Name
		}
		return names, err
	})
}
