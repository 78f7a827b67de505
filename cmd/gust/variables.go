package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gust/connections"
	"gust/internal/app"
	"gust/internal/variables"
)

func (c *cli) variablesCommand() *cobra.Command {
	return group("variables", "List and set variables", "settings",
		c.variablesList(), c.variablesGet(), c.variablesSet(), c.variablesDelete(), c.variablesImport(), c.variablesExport())
}

func (c *cli) variablesList() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use: "list", Short: "List variables of the environment and the database", Args: arguments(),
		Long:    "List variables. Values are shown with --show-values; those under a sensitive name stay masked.",
		Example: "  gust variables list\n  gust variables list --show-values -o yaml",
	}
	cmd.Flags().BoolVar(&show, "show-values", false, "print the values too, secrets masked")
	withoutEffect(cmd, "hide-sensitive", "", "secrets are always masked")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		entries, err := a.Variables.List(cmd.Context())
		if err != nil {
			return err
		}
		t := &table{columns: []string{"key", "source", "description"}}
		if show {
			t.columns = append(t.columns, "value")
		}
		for _, e := range entries {
			row := []any{e.Key, e.Source, e.Description}
			if show {
				value, err := a.Variables.Get(cmd.Context(), e.Key)
				if err != nil {
					return err
				}
				row = append(row, a.Masker.Mask(value))
			}
			t.rows = append(t.rows, row)
		}
		return t.print(c.out, *format)
	})
	return cmd
}

func (c *cli) variablesGet() *cobra.Command {
	var (
		asJSON bool
		def    string
	)
	cmd := &cobra.Command{
		Use: "get KEY", Short: "Print a variable", Args: arguments("KEY"), ValidArgsFunction: c.completeVariables,
		Example: "  gust variables get warehouse\n  gust variables get limits --json\n  gust variables get maybe --default none",
	}
	cmd.Flags().BoolVarP(&asJSON, "json", "j", false, "read the value as JSON")
	cmd.Flags().StringVarP(&def, "default", "d", "", "print this `VALUE` when the variable does not exist")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		value, err := a.Variables.Get(cmd.Context(), args[0])
		var missing *variables.NotFoundError
		if errors.As(err, &missing) && cmd.Flags().Changed("default") {
			value, err = def, nil
		}
		if err != nil {
			return err
		}
		if asJSON {
			var decoded any
			if err := json.Unmarshal([]byte(value), &decoded); err != nil {
				return fmt.Errorf("variable %s is not JSON: %w", args[0], err)
			}
			pretty, err := json.MarshalIndent(decoded, "", "  ")
			if err != nil {
				return err
			}
			value = string(pretty)
		}
		c.printf("%s\n", value)
		return nil
	})
	return cmd
}

func (c *cli) variablesSet() *cobra.Command {
	var (
		asJSON      bool
		description string
	)
	cmd := &cobra.Command{
		Use: "set KEY VALUE", Short: "Set a variable, encrypted in the database", Args: arguments("KEY", "VALUE"),
		Long: `Set a variable in the database, encrypted. The VALUE "-" reads it from standard input: the way to set a secret, because
the command line is shown by ps and kept in the shell's history. Values under sensitive names (password, token, ...) are
masked in logs and lists.`,
		Example: "  gust variables set warehouse AMS-2\n  gust variables set limits '{\"daily\": 100}' --json\n" +
			"  gust variables set api_token - < token.txt",
	}
	cmd.Flags().BoolVarP(&asJSON, "json", "j", false, "VALUE is JSON and is checked")
	cmd.Flags().StringVar(&description, "description", "", "what it is for, a `TEXT`")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		secret := connections.SensitiveKey(args[0])
		if secret && args[1] != "-" && args[1] != "" {
			c.note("warning: other processes can read the value of %s on the command line, and the shell's history keeps it; "+
				"give a secret on standard input: gust variables set %s -", args[0], args[0])
		}
		if err := c.readDash(&args[1]); err != nil {
			return err
		}
		if asJSON && !json.Valid([]byte(args[1])) {
			if secret {
				return usagef("VALUE is not JSON")
			}
			return usagef("VALUE is not JSON: %s", args[1])
		}
		if err := a.Variables.Set(cmd.Context(), args[0], args[1], description); err != nil {
			return err
		}
		c.printf("Variable %s created\n", args[0])
		if _, name, shadowed := a.Variables.FromEnvironment(args[0]); shadowed {
			c.note("The environment variable %s hides it.", name)
		}
		return nil
	})
	return cmd
}

func (c *cli) variablesDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete KEY", Short: "Delete a variable from the database", Args: arguments("KEY"), ValidArgsFunction: c.completeVariables,
		Example: "  gust variables delete warehouse",
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			if err := a.Variables.Delete(cmd.Context(), args[0]); err != nil {
				return err
			}
			c.printf("Variable %s deleted\n", args[0])
			return nil
		}),
	}
}

func (c *cli) variablesImport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Import variables from a .json, .yaml or .env file", Args: arguments("FILE"),
		Example: "  gust variables import variables.json\n  gust variables import variables.yaml -a skip",
	}
	onExisting := choiceFlag(cmd, "action-on-existing-key", "a", "what to do with keys that exist, an `ACTION`: overwrite, fail or skip",
		string(variables.Overwrite), string(variables.Overwrite), string(variables.Fail), string(variables.Skip))
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		data, err := readFile(args[0])
		if err != nil {
			return err
		}
		result, err := a.Variables.Import(cmd.Context(), args[0], data, variables.OnExisting(onExisting.value))
		if err != nil {
			return err
		}
		c.printf("%d of %d variables successfully updated.\n", len(result.Set), len(result.Set)+len(result.Skipped))
		return nil
	})
	return cmd
}

func (c *cli) variablesExport() *cobra.Command {
	return &cobra.Command{
		Use: "export FILE|-", Short: "Export the database's variables, secrets included", Args: arguments("FILE"),
		Long:    "Export the variables of the database, secrets included, as .json, .yaml or .env by the file's ending (JSON for -).\nThe file is created readable by its owner only.",
		Example: "  gust variables export variables.json",
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
			format := strings.TrimPrefix(filepath.Ext(args[0]), ".")
			if format == "" || args[0] == "-" {
				format = "json"
			}
			data, err := a.Variables.Export(cmd.Context(), format)
			if err != nil {
				return usagef("%w", err)
			}
			if args[0] == "-" {
				c.printf("%s", data)
				return nil
			}
			if err := os.WriteFile(args[0], data, 0o600); err != nil {
				return err
			}
			c.printf("Variables successfully exported to %s.\n", args[0])
			return nil
		}),
	}
}

func (c *cli) completeVariables(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.complete(cmd, func(a *app.App) ([]string, error) {
		entries, err := a.Variables.List(cmd.Context())
		keys := make([]string, len(entries))
		for i, e := range entries {
			keys[i] = e.Key
		}
		return keys, err
	})
}
