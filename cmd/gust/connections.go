package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gust/connections"
	"gust/internal/app"
	"gust/store"
)

func (c *cli) connectionsCommand() *cobra.Command {
	return group("connections", "List, add and test connections", "settings",
		c.connectionsList(), c.connectionsGet(), c.connectionsAdd(), c.connectionsDelete(),
		c.connectionsImport(), c.connectionsExport(), c.connectionsTest(), c.rotateCommand(""))
}

func (c *cli) connectionsList() *cobra.Command {
	var connID string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the connections of every source",
		Long: "List the connections of every source in the order they are looked up: environment, files, database, built in.\n" +
			"Secrets are masked.",
		Example: "  gust connections list\n  gust connections list --conn-id aws_default -o json",
		Args:    arguments(),
	}
	format := outputFlag(cmd)
	cmd.Flags().StringVar(&connID, "conn-id", "", "only the connection `ID`")
	withoutEffect(cmd, "show-values", "", "everything but secrets is always shown; `connections get --show-secrets` shows those of one")
	withoutEffect(cmd, "hide-sensitive", "", "secrets are always masked")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		entries, err := a.Connections.List(cmd.Context())
		if err != nil {
			return err
		}
		t := &table{columns: []string{"conn_id", "conn_type", "source", "description", "host", "schema", "login", "password", "port", "extra", "note"}}
		for _, e := range entries {
			if connID != "" && e.ID != connID {
				continue
			}
			t.rows = append(t.rows, connectionRow(e))
		}
		return t.print(c.out, *format)
	})
	return cmd
}

func connectionRow(e connections.Entry) []any {
	note := ""
	if e.Shadowed {
		note = "shadowed by an earlier source"
	}
	if e.Err != nil {
		return []any{e.ID, "", e.Source, "", "", "", "", "", nil, nil, e.Err.Error()}
	}
	m := e.Connection.Masked()
	var port any
	if m.Port != 0 {
		port = m.Port
	}
	return []any{e.ID, m.Type, e.Source, m.Description, m.HostOr(""), m.SchemaOr(""), m.LoginOr(""), m.PasswordOr(""), port, m.Extra, note}
}

func (c *cli) connectionsGet() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:               "get CONN_ID",
		Short:             "Show a connection, from whichever source defines it",
		Long:              "Show a connection, from whichever source defines it: environment, files, database, built in.\nSecrets are masked unless --show-secrets is given.",
		Example:           "  gust connections get aws_default\n  gust connections get warehouse --show-secrets -o yaml",
		Args:              arguments("CONN_ID"),
		ValidArgsFunction: c.completeConnections,
	}
	format := outputFlag(cmd)
	cmd.Flags().BoolVar(&show, "show-secrets", false, "print the password and sensitive extra values too")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		e, err := a.Connections.Find(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		conn := e.Connection
		if !show {
			conn = conn.Masked()
		}
		var port any
		if conn.Port != 0 {
			port = conn.Port
		}
		t := &table{columns: []string{"conn_id", "conn_type", "source", "description", "host", "schema", "login", "password", "port", "extra", "get_uri"}}
		t.add(e.ID, conn.Type, e.Source, conn.Description, conn.HostOr(""), conn.SchemaOr(""), conn.LoginOr(""), conn.PasswordOr(""), port,
			conn.Extra, conn.URI())
		return t.print(c.out, *format)
	})
	return cmd
}

func (c *cli) connectionsDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete CONN_ID",
		Short:   "Delete a connection from the database",
		Example: "  gust connections delete aws_prod",
		Args:    arguments("CONN_ID"), ValidArgsFunction: c.completeConnections,
	}
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if err := a.Database.Delete(cmd.Context(), args[0]); err != nil {
			if !errors.Is(err, store.ErrNotFound) && !connections.IsNotFound(err) {
				return err
			}
			if e, findErr := a.Connections.Find(cmd.Context(), args[0]); findErr == nil {
				return notFoundf("connection %q is not in the database; it is defined in %s, remove it there", args[0], e.Source)
			}
			ids, listErr := a.Database.List(cmd.Context())
			if listErr != nil {
				return listErr
			}
			return notFoundf("there is no connection %q%s", args[0], didYouMean(args[0], ids))
		}
		c.printf("Successfully deleted connection with `conn_id`=%s\n", args[0])
		return nil
	})
	return cmd
}

func (c *cli) connectionsImport() *cobra.Command {
	var overwrite bool
	cmd := &cobra.Command{
		Use:     "import FILE",
		Short:   "Import connections from a .json, .yaml or .env file",
		Long:    "Import connections from a file in a format of `airflow connections export`. Nothing is imported when the file has an error.",
		Example: "  gust connections import connections.yaml --overwrite",
		Args:    arguments("FILE"),
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace connections of the same id")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		data, err := readFile(args[0])
		if err != nil {
			return err
		}
		conns, err := connections.Import(args[0], data)
		if err != nil {
			return err
		}
		for _, conn := range conns {
			err := a.Database.Add(cmd.Context(), conn, overwrite)
			switch {
			case errors.Is(err, store.ErrExists):
				c.printf("Could not import connection %s: connection already exists. Use --overwrite to replace it.\n", conn.ID)
			case err != nil:
				return err
			default:
				c.printf("Imported connection %s\n", conn.ID)
			}
		}
		return nil
	})
	return cmd
}

func (c *cli) connectionsExport() *cobra.Command {
	var format, serialization string
	cmd := &cobra.Command{
		Use:     "export FILE|-",
		Short:   "Export the database's connections, secrets included",
		Long:    "Export the connections of the database, secrets included, for `connections import` here or in Airflow. The file is\ncreated readable by its owner only.",
		Example: "  gust connections export connections.yaml\n  gust connections export - --file-format env",
		Args:    arguments("FILE"),
	}
	cmd.Flags().StringVar(&format, "file-format", "", "`FORMAT` json, yaml or env (default: by the file's ending, json for -)")
	cmd.Flags().StringVar(&serialization, "serialization-format", "", "`FORMAT` uri or json of the values in an env file")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if format == "" {
			format = strings.TrimPrefix(filepath.Ext(args[0]), ".")
		}
		switch format {
		case "", "-":
			format = "json"
		case "yml":
			format = "yaml"
		}
		ids, err := a.Database.List(cmd.Context())
		if err != nil {
			return err
		}
		conns := make([]*connections.Connection, 0, len(ids))
		for _, id := range ids {
			conn, err := a.Database.Get(cmd.Context(), id)
			if err != nil {
				return err
			}
			conns = append(conns, conn)
		}
		data, err := connections.Export(conns, format, serialization)
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
		c.printf("Connections successfully exported to %s.\n", args[0])
		return nil
	})
	return cmd
}

func (c *cli) connectionsTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test CONN_ID",
		Short: "Test a connection: ask AWS who it is, an HTTP host for its base URL, a database for its version",
		Long: "Test a connection. For AWS this calls STS GetCallerIdentity, which proves the credentials, not the permissions.\n" +
			"For HTTP it is a GET of the connection's base URL; a status of 400 or above is a failure. PostgreSQL, MySQL and SQLite\n" +
			"are asked for their version.",
		Example: "  gust connections test aws_prod",
		Args:    arguments("CONN_ID"), ValidArgsFunction: c.completeConnections,
	}
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		conn, err := a.Connections.Connection(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		c.printf("Retrieving connection: %q\nTesting...\n", args[0])
		message, ok, err := a.TestConnection(cmd.Context(), conn)
		if err == nil && !ok {
			err = fmt.Errorf("connection %q failed: %s", args[0], message)
		}
		if err != nil {
			return &exitError{Code: codeFailed, Err: err}
		}
		c.printf("Connection success!\n%s\n", message)
		return nil
	})
	return cmd
}

// rotateCommand stands by itself, as in Airflow, and among the connections.
func (c *cli) rotateCommand(groupID string) *cobra.Command {
	path := "gust rotate-fernet-key"
	if groupID == "" {
		path = "gust connections rotate-fernet-key"
	}
	return &cobra.Command{
		Use:     "rotate-fernet-key",
		GroupID: groupID,
		Short:   "Encrypt connections and variables again with the first key",
		Long:    "Encrypt the database's connections and variables again with the first key of GUST_FERNET_KEY. Give it the new key first\nand the old one after it (new,old); afterwards the old one can be dropped.",
		Example: "  GUST_FERNET_KEY=new,old " + path,
		Args:    arguments(),
		RunE: c.withApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
			conns, vars, err := a.RotateKey(cmd.Context())
			if err != nil {
				return err
			}
			c.printf("Rotated %d connections and %d variables.\n", conns, vars)
			return nil
		}),
	}
}

func (c *cli) completeConnections(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.complete(cmd, func(a *app.App) ([]string, error) { return a.Connections.IDs(cmd.Context()) })
}
