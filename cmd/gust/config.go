package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"gust/internal/app"
	"gust/internal/config"
	"gust/internal/version"
)

// config loads the configuration; a wrong one is a usage error.
func (c *cli) config() (*config.Config, error) {
	cfg, err := config.Load(c.configPath, c.environ)
	if err != nil {
		return nil, &exitError{codeUsage, err}
	}
	return cfg, nil
}

// withApp opens the home for a command and closes it afterwards.
func (c *cli) withApp(f func(cmd *cobra.Command, a *app.App, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cfg, err := c.config()
		if err != nil {
			return err
		}
		a, err := app.Open(cmd.Context(), cfg, app.Options{Log: c.err})
		if err != nil {
			return err
		}
		defer func() {
			if err := a.Close(); err != nil {
				discard(fmt.Fprintf(c.err, "gust: %v\n", err))
			}
		}()
		return f(cmd, a, args)
	}
}

// complete offers names for shell completion; trouble offers nothing.
func (c *cli) complete(cmd *cobra.Command, names func(*app.App) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	cfg, err := c.config()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	a, err := app.Open(cmd.Context(), cfg, app.Options{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	found, err := names(a)
	if closeErr := a.Close(); err != nil || closeErr != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

func (c *cli) configCommand() *cobra.Command {
	return group("config", "Show the settings", "settings", c.configList(), c.configGetValue())
}

func (c *cli) configList() *cobra.Command {
	var (
		section             string
		describe, overrides bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the effective settings, secrets masked", Args: exactArgs(),
		Long:    "List every setting with its effective value and where it comes from: default, config.yaml, or an environment variable.\nSecrets are masked.",
		Example: "  gust config list\n  gust config list --section core --describe\n  gust config list --changed -o yaml",
	}
	cmd.Flags().StringVar(&section, "section", "", "only this section")
	cmd.Flags().BoolVarP(&describe, "describe", "d", false, "explain each setting")
	cmd.Flags().BoolVar(&overrides, "changed", false, "only settings that differ from their default's source")
	format := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := c.config()
		if err != nil {
			return err
		}
		t := &table{columns: []string{"section", "key", "value", "source", "variable"}}
		if describe {
			t.columns = append(t.columns, "expected", "meaning")
		}
		for _, e := range cfg.Entries() {
			if section != "" && e.Section != section || overrides && e.Source == config.SourceDefault {
				continue
			}
			source := string(e.Source)
			if e.Origin != "" {
				source = e.Origin
			}
			row := []any{e.Section, e.Key, e.Value, source, e.Variable}
			if describe {
				row = append(row, e.Expected, e.Doc)
			}
			t.rows = append(t.rows, row)
		}
		return t.print(c.out, *format)
	}
	return cmd
}

func (c *cli) configGetValue() *cobra.Command {
	return &cobra.Command{
		Use: "get-value SECTION KEY", Short: "Print one setting", Args: exactArgs("section", "key"),
		Example: "  gust config get-value core parallelism",
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			e, err := cfg.Entry(args[0], args[1])
			if err != nil {
				return &exitError{codeNotFound, err}
			}
			c.printf("%s\n", e.Value)
			return nil
		},
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", GroupID: "system", Args: exactArgs(), Example: "  gust version",
		RunE: func(*cobra.Command, []string) error {
			c.printf("%s\n", version.Version)
			return nil
		},
	}
}

func (c *cli) infoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "info", Short: "Show versions, paths and what is running", GroupID: "system", Args: exactArgs(),
		Example: "  gust info\n  gust info -o json",
	}
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		cfg := a.Config
		file := cfg.File()
		if file == "" {
			file = "(none: defaults)"
		}
		t := &table{columns: []string{"item", "value"}}
		t.add("version", version.Version)
		t.add("go", runtime.Version())
		t.add("platform", runtime.GOOS+"/"+runtime.GOARCH)
		t.add("configuration", file)
		t.add("home", cfg.Home())
		t.add("database", a.DatabasePath)
		t.add("dags_folder", cfg.Core.DagsFolder)
		t.add("logs", cfg.Logging.BaseLogFolder)
		status, err := a.SchedulerStatus(cmd.Context())
		if err != nil {
			return err
		}
		t.add("scheduler", status)
		registry, err := app.Catalog()
		if err != nil {
			return err
		}
		t.add("operators", len(registry.Specs()))
		return t.print(c.out, *format)
	})
	return cmd
}
