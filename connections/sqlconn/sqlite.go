package sqlconn

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"modernc.org/sqlite"

	"gust/connections"
)

// memory names a database that lives as long as its client.
const memory = ":memory:"

// defaultBusyTimeout is how long a locked file is waited for, in milliseconds. Python's sqlite3 waits as long.
const defaultBusyTimeout = 5000

// sqlitePath is the file: host, or schema, or both joined, as the parts of sqlite://folder/file.db.
func sqlitePath(conn *connections.Connection, t Target) string {
	if t.Database != "" {
		return t.Database
	}
	host, schema := conn.HostOr(""), conn.SchemaOr("")
	if host != "" && schema != "" {
		return path.Join(host, schema)
	}
	return host + schema
}

func inMemory(conn *connections.Connection, t Target) bool { return sqlitePath(conn, t) == memory }

// sqliteConnector reads a connection of type sqlite: host or schema is the file, relative to the working folder of the
// process, or :memory:. In extra: mode (ro, rw, rwc), cache, timeout (seconds to wait for a lock), foreign_keys.
func sqliteConnector(conn *connections.Connection, t Target) (driver.Connector, error) {
	extra, err := conn.ExtraMap()
	if err != nil {
		return nil, err
	}
	file := sqlitePath(conn, t)
	if file == "" {
		return nil, errors.New("the connection names no file; give its path as host, or :memory:")
	}
	if t.Options != "" {
		return nil, errors.New("hook_params.options is PostgreSQL's; SQLite has none")
	}
	query := url.Values{}
	busy := defaultBusyTimeout
	for key, value := range extra {
		switch key {
		case "mode", "cache", "immutable", "vfs":
			query.Set(key, plainText(value))
		case "timeout":
			var seconds float64
			if _, err := fmt.Sscanf(plainText(value), "%g", &seconds); err != nil || seconds < 0 {
				return nil, fmt.Errorf("extra.timeout is %v; expected seconds", value)
			}
			busy = int(seconds * 1000)
		case "foreign_keys":
			if truthy(value) {
				query.Add("_pragma", "foreign_keys(1)")
			}
		}
	}
	query.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", busy))
	if file == memory {
		return sqlite.NewConnector(memory + "?" + query.Encode())
	}
	// In a file: URI the path is percent-encoded.
	name := strings.ReplaceAll(url.PathEscape(file), "%2F", "/")
	return sqlite.NewConnector("file:" + name + "?" + query.Encode())
}
