package main

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gust/internal/app"
	"gust/internal/config"
	"gust/internal/version"
)

// config loads the configuration; a wrong one is a usage error.
func (c *cli) config() (*config.Config, error) {
	cfg, err := config.Load(c.configPath, c.environ)
	if err != nil {
		return nil, &exitError{Code: codeUsage, Err: err}
	}
	if c.verbose {
		louder := *cfg
		louder.Logging.Level = "DEBUG"
		return &louder, nil
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
				c.note("gust: %v", err)
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
	return group("config", "Show the settings", "settings", c.configList(), c.configGetValue(), c.configLint())
}

func (c *cli) configList() *cobra.Command {
	var (
		section                               string
		describe, variables, changed, samples bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the effective settings, secrets masked", Args: arguments(),
		Long: `List every setting with its effective value and where it comes from: default, the configuration file, or an environment
variable. Secrets are masked.

With --defaults print a configuration file that holds every setting with its default and its explanation.`,
		Example: "  gust config list\n  gust config list --section core --include-descriptions\n  gust config list --changed -o yaml\n" +
			"  gust config list --defaults > config.yaml",
	}
	flags := cmd.Flags()
	flags.StringVar(&section, "section", "", "only this `SECTION`")
	flags.BoolVarP(&describe, "include-descriptions", "d", false, "explain each setting, and what is expected")
	flags.BoolVarP(&variables, "include-env-vars", "V", false, "show the variable that overrides each setting")
	flags.BoolVarP(&samples, "defaults", "a", false, "print a commented configuration file with the defaults")
	flags.BoolVar(&changed, "changed", false, "only settings that the configuration file or a variable sets")
	withoutEffect(cmd, "include-sources", "s", "the source is always shown")
	withoutEffect(cmd, "include-examples", "e", "--include-descriptions shows what is expected")
	withoutEffect(cmd, "exclude-providers", "p", "there are no settings of providers")
	withoutEffect(cmd, "hide-sensitive", "", "secrets are always masked")
	format := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if samples {
			text, err := config.Sample()
			if err != nil {
				return err
			}
			c.printf("%s", text)
			return nil
		}
		cfg, err := c.config()
		if err != nil {
			return err
		}
		if err := knownSection(cfg, section); err != nil {
			return err
		}
		t := &table{columns: []string{"section", "key", "value", "source"}}
		if variables {
			t.columns = append(t.columns, "variable")
		}
		if describe {
			t.columns = append(t.columns, "expected", "description")
		}
		for _, e := range cfg.Entries() {
			if !within(e.Section, section) || changed && e.Source == config.SourceDefault {
				continue
			}
			row := []any{e.Section, e.Key, e.Value, cmp.Or(e.Origin, string(e.Source))}
			if variables {
				row = append(row, e.Variable)
			}
			if describe {
				row = append(row, e.Expected, e.Doc)
			}
			t.rows = append(t.rows, row)
		}
		return t.print(c.out, *format)
	}
	return cmd
}

// within reports whether a section is the one that is asked for, or lies in it; "" asks for all.
func within(section, asked string) bool {
	return asked == "" || section == asked || strings.HasPrefix(section, asked+".")
}

func knownSection(cfg *config.Config, section string) error {
	if section == "" {
		return nil
	}
	var names []string
	for _, e := range cfg.Entries() {
		if !slices.Contains(names, e.Section) {
			names = append(names, e.Section)
		}
	}
	if slices.Contains(names, section) {
		return nil
	}
	return notFoundf("there is no section %q%s\nsections are %s", section, didYouMean(section, names), strings.Join(names, ", "))
}

func (c *cli) configGetValue() *cobra.Command {
	return &cobra.Command{
		Use: "get-value SECTION KEY", Short: "Print one setting", Args: arguments("SECTION", "KEY"),
		Example: "  gust config get-value core parallelism",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			cfg, err := c.config()
			if err != nil || len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, e := range cfg.Entries() {
				switch {
				case len(args) == 0 && !slices.Contains(names, e.Section):
					names = append(names, e.Section)
				case len(args) == 1 && e.Section == args[0]:
					names = append(names, e.Key)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			e, err := cfg.Entry(args[0], args[1])
			if err != nil {
				return &exitError{Code: codeNotFound, Err: fmt.Errorf("%w; see `gust config list`", err)}
			}
			c.printf("%s\n", e.Value)
			return nil
		},
	}
}

func (c *cli) configLint() *cobra.Command {
	return &cobra.Command{
		Use: "lint", Short: "Check the configuration file and the variables", Args: arguments(),
		Long:    "Check the configuration file and the GUST__ variables: every problem with its place and the nearest name. Exits with 2\nwhen there is one.",
		Example: "  gust config lint",
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			c.printf("No issues found in %s.\n", cmp.Or(shorten(cfg.File()), "the environment; there is no configuration file"))
			return nil
		},
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", GroupID: "system", Args: arguments(), Example: "  gust version",
		RunE: func(*cobra.Command, []string) error {
			c.printf("%s\n", version.Version)
			return nil
		},
	}
}

func (c *cli) infoCommand() *cobra.Command {
	var anonymize bool
	cmd := &cobra.Command{
		Use: "info", Short: "Show versions, paths and what is running", GroupID: "system", Args: arguments(),
		Example: "  gust info\n  gust info --anonymize -o json",
	}
	cmd.Flags().BoolVar(&anonymize, "anonymize", false, "write ${HOME} and ${USER} instead of what they are, for a report to others")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		status, err := a.SchedulerStatus(cmd.Context())
		if err != nil {
			return err
		}
		registry, err := app.Catalog()
		if err != nil {
			return err
		}
		cfg, hide := a.Config, func(text string) string { return text }
		if anonymize {
			hide = anonymized
		}
		r := &record{}
		r.add("version", version.Version)
		r.add("go", runtime.Version())
		r.add("platform", runtime.GOOS+"/"+runtime.GOARCH)
		r.add("configuration", hide(cmp.Or(cfg.File(), "none, the defaults count")))
		r.add("home", hide(cfg.Home()))
		r.add("database", hide(a.DatabasePath))
		r.add("dags_folder", hide(cfg.Core.DagsFolder))
		r.add("logs", hide(cfg.Logging.BaseLogFolder))
		r.add("scheduler", status)
		r.add("operators", len(registry.Specs()))
		return r.print(c.out, *format)
	})
	return cmd
}

// anonymized hides who the user is in a path.
func anonymized(text string) string {
	if dir, err := os.UserHomeDir(); err == nil && len(dir) > 1 {
		text = strings.ReplaceAll(text, dir, "${HOME}")
	}
	if me, err := user.Current(); err == nil && me.Username != "" {
		text = strings.ReplaceAll(text, "/"+me.Username+"/", "/${USER}/")
	}
	return text
}
