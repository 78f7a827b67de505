package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gust/connections"
	"gust/internal/app"
	"gust/store"
)

// connectionFields are the flags of `connections add`.
type connectionFields struct {
	uri, json, typ, description, host, login, password, schema, extra string
	port                                                              int
}

func (c *cli) connectionsAdd() *cobra.Command {
	var (
		in        connectionFields
		overwrite bool
	)
	cmd := &cobra.Command{
		Use:   "add CONN_ID",
		Short: "Add a connection to the database, encrypted",
		Long: `Add a connection to the database, encrypted with the Fernet key of the home folder. Give it as a URI, as JSON, or field by
field.

The value "-" of --conn-uri, --conn-json, --conn-password or --conn-extra reads it from standard input. That is how to give
a secret: what stands on the command line is shown by ps and kept in the shell's history. A literal --conn-password is
therefore refused; the others are accepted with a warning when they hold a secret.`,
		Example: `  gust connections add aws_prod --conn-type aws --conn-extra '{"region_name": "eu-west-1", "role_arn": "arn:aws:iam::123456789012:role/runner"}'
  gust connections add warehouse --conn-type http --conn-host dwh.example.com --conn-login etl --conn-password - < password.txt
  gust connections add aws_keys --conn-uri - < uri.txt`,
		Args: arguments("CONN_ID"),
	}
	f := cmd.Flags()
	f.StringVar(&in.uri, "conn-uri", "", "the connection as a `URI` (\"-\": standard input)")
	f.StringVar(&in.json, "conn-json", "", "the connection as `JSON` (\"-\": standard input)")
	f.StringVar(&in.typ, "conn-type", "", "`TYPE`: aws, http, fs, ...")
	f.StringVar(&in.description, "conn-description", "", "what it is for, a `TEXT`")
	f.StringVar(&in.host, "conn-host", "", "`HOST`")
	f.StringVar(&in.login, "conn-login", "", "`LOGIN`")
	f.StringVar(&in.password, "conn-password", "", "\"`-`\": read the password from standard input")
	f.StringVar(&in.schema, "conn-schema", "", "`SCHEMA`")
	f.IntVar(&in.port, "conn-port", 0, "`PORT`")
	f.StringVar(&in.extra, "conn-extra", "", "extra, a `JSON` object (\"-\": standard input)")
	f.BoolVar(&overwrite, "overwrite", false, "replace a connection of this id")
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		conn, err := c.newConnection(cmd, args[0], in)
		if err != nil {
			return err
		}
		err = a.Database.Add(cmd.Context(), conn, overwrite)
		if errors.Is(err, store.ErrExists) {
			return &exitError{Code: codeFailed, Err: fmt.Errorf("a connection %q is in the database already; replace it with --overwrite", args[0])}
		}
		if err != nil {
			return err
		}
		c.printf("Successfully added `conn_id`=%s : %s\n", conn.ID, conn.Masked().URI())
		return nil
	})
	return cmd
}

// newConnection is the connection that the flags describe. Secrets among them are refused or warned of.
func (c *cli) newConnection(cmd *cobra.Command, id string, in connectionFields) (*connections.Connection, error) {
	if err := connections.CheckID(id); err != nil {
		return nil, usagef("%w", err)
	}
	if in.password != "-" && in.password != "" {
		return nil, usagef("--conn-password: a password on the command line can be read by every process of this machine and stays in the "+
			"shell's history\ngive it on standard input:  gust connections add %s ... --conn-password - < password.txt\n"+
			"or define the connection in the environment:  %s", id, environmentForm(id))
	}
	if err := exclusive(cmd, "conn-uri", "conn-json", "conn-type"); err != nil {
		return nil, err
	}
	literal, fromStdin := "", ""
	for _, v := range []struct {
		flag  string
		value *string
	}{{"--conn-uri", &in.uri}, {"--conn-json", &in.json}, {"--conn-password", &in.password}, {"--conn-extra", &in.extra}} {
		switch {
		case *v.value == "-" && fromStdin != "":
			return nil, usagef("%s and %s both read standard input; give one of them another way", fromStdin, v.flag)
		case *v.value == "-":
			fromStdin = v.flag
			if err := c.readDash(v.value); err != nil {
				return nil, err
			}
		case *v.value != "":
			literal = v.flag
		}
	}
	conn, err := parseConnection(cmd, id, in)
	if err != nil {
		return nil, usagef("%w", err)
	}
	if literal != "" && holdsSecret(conn, fromStdin) {
		c.note("warning: %s holds a secret, which other processes can read and the shell's history keeps; give it on standard input: %s -",
			literal, literal)
	}
	return conn, nil
}

// holdsSecret reports whether a part that did not come from standard input is secret.
func holdsSecret(conn *connections.Connection, fromStdin string) bool {
	if fromStdin == "--conn-password" {
		without := *conn
		without.Password = nil
		conn = &without
	}
	return len(conn.Secrets()) > 0
}

// environmentForm is how a connection is defined in the environment.
func environmentForm(id string) string {
	return "export GUST_CONN_" + strings.ToUpper(id) + "='{\"conn_type\": \"...\", \"password\": \"...\"}'"
}

func parseConnection(cmd *cobra.Command, id string, in connectionFields) (*connections.Connection, error) {
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	switch {
	case given("conn-uri"):
		return connections.ParseURI(id, in.uri)
	case given("conn-json"):
		return connections.ParseJSON(id, in.json)
	case !given("conn-type"):
		return nil, errors.New("give the connection with --conn-uri, --conn-json, or --conn-type and the other fields")
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
