package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gust/dag"
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
	cmd := &cobra.Command{Use: "list", Short: "List pools and what occupies them", Example: "  gust pools list", Args: arguments()}
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
		Args: arguments("NAME"), ValidArgsFunction: c.completePools,
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		p, err := a.Store.PoolGet(cmd.Context(), args[0])
		if errors.Is(err, store.ErrNotFound) {
			return noPool(cmd, a, args[0])
		}
		if err != nil {
			return err
		}
		return c.printPools(cmd, a, []store.Pool{*p}, *format)
	})
	return cmd
}

// noPool says that there is no such pool, and which one was probably meant.
func noPool(cmd *cobra.Command, a *app.App, name string) error {
	pools, err := a.Store.PoolList(cmd.Context())
	if err != nil {
		return err
	}
	return notFoundf("there is no pool %q%s\nsee %q", name, didYouMean(name, poolNames(pools)), "gust pools list")
}

func poolNames(pools []store.Pool) []string {
	names := make([]string, len(pools))
	for i := range pools {
		names[i] = pools[i].Name
	}
	return names
}

func (c *cli) poolsSet() *cobra.Command {
	var includeDeferred, unlimited bool
	cmd := &cobra.Command{
		Use:   "set NAME SLOTS DESCRIPTION",
		Short: "Create or change a pool",
		Long:  "Create or change a pool. SLOTS is the number of task slots, -1 for no limit. A running daemon follows at once.",
		Example: `  gust pools set warehouse 4 "connections to the warehouse"
  gust pools set default_pool -1 "" --include-deferred`,
		// The SLOTS of -1 look like a flag, and so they are one.
		Args: func(cmd *cobra.Command, args []string) error {
			if unlimited {
				return arguments("NAME", "DESCRIPTION")(cmd, args)
			}
			return arguments("NAME", "SLOTS", "DESCRIPTION")(cmd, args)
		},
	}
	cmd.Flags().BoolVar(&includeDeferred, "include-deferred", false, "deferred tasks occupy slots too")
	cmd.Flags().BoolVarP(&unlimited, "unlimited", "1", false, "no limit, in place of SLOTS")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		slots := -1
		if !unlimited {
			var err error
			if slots, err = strconv.Atoi(args[1]); err != nil || slots < -1 {
				return usagef("SLOTS is %q; expected a number of slots, or -1 for no limit", args[1])
			}
		}
		p := store.Pool{Name: args[0], Slots: slots, Description: args[len(args)-1], IncludeDeferred: includeDeferred}
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
		Args: arguments("NAME"), ValidArgsFunction: c.completePools,
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			if args[0] == dag.DefaultPool {
				return &exitError{Code: codeFailed, Err: fmt.Errorf("%s cannot be deleted: tasks without a pool use it; change its slots with `gust pools set`", args[0])}
			}
			err := a.Store.PoolDelete(cmd.Context(), args[0])
			if errors.Is(err, store.ErrNotFound) {
				return noPool(cmd, a, args[0])
			}
			if err != nil {
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
		Args: arguments("FILE"),
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			data, err := readFile(args[0])
			if err != nil {
				return err
			}
			pools, err := readPools(args[0], data)
			if err != nil {
				return err
			}
			names := make([]string, 0, len(pools))
			for name, p := range pools {
				if name == "" {
					return fmt.Errorf("%s: a pool has no name; nothing has been imported", args[0])
				}
				if p.Slots < -1 {
					return fmt.Errorf("%s: pool %q has %d slots; expected a number of slots, or -1 for no limit; nothing has been imported", args[0], name, p.Slots)
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

// readPools reads a file of pools. An error says where it is.
func readPools(path string, data []byte) (map[string]poolFile, error) {
	const want = `expected {"name": {"slots": 5, "description": "...", "include_deferred": false}}`
	var pools map[string]poolFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(&pools)
	var (
		syntax *json.SyntaxError
		typed  *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("%s: %w; %s", position(path, data, syntax.Offset), err, want)
	case errors.As(err, &typed):
		return nil, fmt.Errorf("%s: a %s does not belong here; %s", position(path, data, typed.Offset), typed.Value, want)
	case err != nil:
		return nil, fmt.Errorf("%s: %s; %s", path, strings.TrimPrefix(err.Error(), "json: "), want)
	}
	return pools, nil
}

// position is file:line:column of an offset.
func position(path string, data []byte, offset int64) string {
	before := data[:min(max(offset-1, 0), int64(len(data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Sprintf("%s:%d:%d", path, line, len(before)-bytes.LastIndexByte(before, '\n'))
}

func (c *cli) poolsExport() *cobra.Command {
	return &cobra.Command{
		Use: "export FILE|-", Short: "Export all pools as JSON", Example: "  gust pools export pools.json",
		Args: arguments("FILE"),
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
		return poolNames(pools), err
	})
}
