package sqlconn

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"

	"gust/connections"
)

// connectTimeout is how long opening a connection may take, in seconds, when the connection does not say.
const connectTimeout = 30

// withoutEffect are keys of libpq or of Airflow's hook that mean nothing here.
var withoutEffect = []string{
	"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslcompression",
	"gssencmode", "cursor", "iam", "redshift", "redshift-serverless", "cluster-identifier", "workgroup-name",
	"aws_conn_id", "region_name", "enable_log_db_messages", "sqlalchemy_scheme", "sqlalchemy_query", "dialect",
}

// postgresConnector reads a connection of type postgres: host (also the folder of a Unix socket), port, login, password,
// schema (the database), and in extra libpq's keywords (sslmode, sslrootcert, sslcert, sslkey, connect_timeout, options,
// application_name, target_session_attrs, ...) and settings of the session.
func postgresConnector(conn *connections.Connection, t Target) (driver.Connector, error) {
	extra, err := conn.ExtraMap()
	if err != nil {
		return nil, err
	}
	if truthy(extra["iam"]) {
		return nil, fmt.Errorf("extra.iam is not supported; give the connection a password")
	}
	words := map[string]string{"connect_timeout": strconv.Itoa(connectTimeout)}
	for key, value := range extra {
		if !slices.Contains(withoutEffect, key) && value != nil {
			words[key] = plainText(value)
		}
	}
	for key, value := range map[string]string{
		"host": conn.HostOr(""), "user": conn.LoginOr(""), "password": conn.PasswordOr(""), "dbname": conn.SchemaOr(""),
		"options": t.Options,
	} {
		if value != "" {
			words[key] = value
		}
	}
	if conn.Port != 0 {
		words["port"] = strconv.Itoa(conn.Port)
	}
	if t.Database != "" {
		words["dbname"] = t.Database
	}
	if words["application_name"] == "" {
		words["application_name"] = "gust"
	}
	cfg, err := pgx.ParseConfig(keywords(words))
	if err != nil {
		return nil, err
	}
	// Nothing is kept in the server between statements, which a pooler in between (PgBouncer) could not follow.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	cfg.StatementCacheCapacity, cfg.DescriptionCacheCapacity = 0, 0
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: killGrace}
	}
	return stdlib.GetConnector(*cfg), nil
}

// keywords writes libpq's connection string.
func keywords(words map[string]string) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(words)) {
		fmt.Fprintf(&b, "%s='%s' ", key, quote.Replace(words[key]))
	}
	return b.String()
}

// plainText writes a value of extra as the text a driver takes.
func plainText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case map[string]any, []any:
		if raw, err := json.Marshal(v); err == nil {
			return string(raw)
		}
	}
	return fmt.Sprint(value)
}

func truthy(value any) bool {
	switch v := value.(type) {
	case bool:
		return v
	case string:
		b, err := strconv.ParseBool(v)
		return err == nil && b
	case json.Number:
		return v != "0"
	}
	return false
}
