package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
		c.connectionsImport(), c.connectionsExport(), c.connectionsTest(), c.connectionsRotate())
}

func (c *cli) connectionsList() *cobra.Command {
	var connID string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the connections of every source",
		Long:    "List the connections of every source in the order they are looked up: environment, files, database, built in.\nSecrets are masked.",
		Example: "  gust connections list\n  gust connections list -o json",
		Args:    exactArgs(),
	}
	format := outputFlag(cmd)
	cmd.Flags().StringVar(&connID, "conn-id", "", "only this connection")
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
		Args:              exactArgs("conn_id"),
		ValidArgsFunction: c.completeConnections,
	}
	format := outputFlag(cmd)
	cmd.Flags().BoolVar(&show, "show-secrets", false, "print the password and sensitive extra values")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		e, err := a.Connections.Find(cmd.Context(), args[0])
		if connections.IsNotFound(err) {
			return &exitError{codeNotFound, err}
		}
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
		t.add(e.ID, conn.Type, e.Source, conn.Description, conn.HostOr(""), conn.SchemaOr(""), conn.LoginOr(""), conn.PasswordOr(""), port, conn.Extra, conn.URI())
		return t.print(c.out, *format)
	})
	return cmd
}

func (c *cli) connectionsAdd() *cobra.Command {
	var (
		uri, jsonForm, connType, host, login, password, schema, extra, description string
		port                                                                       int
		overwrite                                                                  bool
	)
	cmd := &cobra.Command{
		Use:   "add CONN_ID",
		Short: "Add a connection to the database, encrypted",
		Long: `Add a connection to the database, encrypted with the Fernet key of the home folder.

Give it as a URI, as JSON, or field by field. The value "-" reads it from standard input, which keeps a secret out of the
process list and the shell's history. --conn-password is not accepted on the command line except as "-".`,
		Example: `  gust connections add aws_prod --conn-type aws --conn-extra '{"region_name": "eu-west-1", "role_arn": "arn:aws:iam::123456789012:role/runner"}'
  echo 'aws://AKIA...:secret@/?region_name=eu-west-1' | gust connections add aws_keys --conn-uri -`,
		Args: exactArgs("conn_id"),
	}
	f := cmd.Flags()
	f.StringVar(&uri, "conn-uri", "", "the connection as a URI (\"-\": standard input)")
	f.StringVar(&jsonForm, "conn-json", "", "the connection as JSON (\"-\": standard input)")
	f.StringVar(&connType, "conn-type", "", "type: aws, http, fs, ...")
	f.StringVar(&description, "conn-description", "", "what it is for")
	f.StringVar(&host, "conn-host", "", "host")
	f.StringVar(&login, "conn-login", "", "login")
	f.StringVar(&password, "conn-password", "", "password (\"-\": standard input)")
	f.StringVar(&schema, "conn-schema", "", "schema")
	f.IntVar(&port, "conn-port", 0, "port")
	f.StringVar(&extra, "conn-extra", "", "extra, a JSON object (\"-\": standard input)")
	f.BoolVar(&overwrite, "overwrite", false, "replace a connection of this id")
	cmd.MarkFlagsMutuallyExclusive("conn-uri", "conn-json", "conn-type")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if err := connections.CheckID(args[0]); err != nil {
			return usagef("%w", err)
		}
		for _, value := range []*string{&uri, &jsonForm, &password, &extra} {
			if err := c.readDash(value); err != nil {
				return err
			}
		}
		conn, err := newConnection(cmd, args[0], connectionFields{uri, jsonForm, connType, description, host, login, password, schema, extra, port})
		if err != nil {
			return err
		}
		err = a.Database.Add(cmd.Context(), conn, overwrite)
		if errors.Is(err, store.ErrExists) {
			return fmt.Errorf("a connection %q is in the database already; replace it with --overwrite", args[0])
		}
		if err != nil {
			return err
		}
		c.printf("Successfully added `conn_id`=%s : %s\n", conn.ID, conn.Masked().URI())
		return nil
	})
	return cmd
}

type connectionFields struct {
	uri, json, typ, description, host, login, password, schema, extra string
	port                                                              int
}

func newConnection(cmd *cobra.Command, id string, in connectionFields) (*connections.Connection, error) {
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	switch {
	case given("conn-uri"):
		return connections.ParseURI(id, in.uri)
	case given("conn-json"):
		return connections.ParseJSON(id, in.json)
	case !given("conn-type"):
		return nil, usagef("give the connection with --conn-uri, --conn-json, or --conn-type and the other fields")
	}
	object := map[string]any{"conn_type": in.typ}
	for flag, field := range map[string]string{"conn-description": in.description, "conn-host": in.host, "conn-login": in.login,
		"conn-password": in.password, "conn-schema": in.schema} {
		if given(flag) {
			object[strings.TrimPrefix(flag, "conn-")] = field
		}
	}
	if given("conn-port") {
		object["port"] = in.port
	}
	if given("conn-extra") {
		object["extra"] = in.extra
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	return connections.ParseJSON(id, string(raw))
}

// readDash replaces "-" by standard input, without its last line feed.
func (c *cli) readDash(value *string) error {
	if *value != "-" {
		return nil
	}
	raw, err := io.ReadAll(c.in)
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	*value = strings.TrimRight(string(raw), "\r\n")
	return nil
}

func (c *cli) connectionsDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete CONN_ID",
		Short:   "Delete a connection from the database",
		Example: "  gust connections delete aws_prod",
		Args:    exactArgs("conn_id"), ValidArgsFunction: c.completeConnections,
	}
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		if err := a.Database.Delete(cmd.Context(), args[0]); err != nil {
			if !errors.Is(err, store.ErrNotFound) && !connections.IsNotFound(err) {
				return err
			}
			if e, findErr := a.Connections.Find(cmd.Context(), args[0]); findErr == nil {
				return notFoundf("connection %q is not in the database; it is defined in %s, remove it there", args[0], e.Source)
			}
			return notFoundf("there is no connection %q", args[0])
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
		Args:    exactArgs("file"),
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace connections of the same id")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		data, err := os.ReadFile(args[0])
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
		Args:    exactArgs("file"),
	}
	cmd.Flags().StringVar(&format, "file-format", "", "json, yaml or env (default: by the file's ending, json for -)")
	cmd.Flags().StringVar(&serialization, "serialization-format", "", "uri or json, for values of the env format")
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
		Use:     "test CONN_ID",
		Short:   "Test a connection: for AWS, ask STS who it is",
		Long:    "Test a connection. For AWS this calls STS GetCallerIdentity, which proves the credentials, not the permissions.",
		Example: "  gust connections test aws_prod",
		Args:    exactArgs("conn_id"), ValidArgsFunction: c.completeConnections,
	}
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		conn, err := a.Connections.Connection(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if conn.Type != "aws" {
			return fmt.Errorf("connection %q is of type %q; only aws connections can be tested", args[0], conn.Type)
		}
		c.printf("Retrieving connection: %q\nTesting...\n", args[0])
		ok, message := a.AWS.Test(cmd.Context(), conn)
		if !ok {
			c.printf("%s\n", message)
			return &exitError{codeFailed, errors.New("connection failed")}
		}
		c.printf("Connection success!\n%s\n", message)
		return nil
	})
	return cmd
}

func (c *cli) connectionsRotate() *cobra.Command {
	return &cobra.Command{
		Use:     "rotate-fernet-key",
		Short:   "Encrypt everything again with the first key",
		Long:    "Encrypt the database's connections and variables again with the first key of GUST_FERNET_KEY. Give it the new key first\nand the old one after it (new,old); afterwards the old one can be dropped.",
		Example: "  GUST_FERNET_KEY=new,old gust connections rotate-fernet-key",
		Args:    exactArgs(),
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
