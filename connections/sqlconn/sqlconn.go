// Package sqlconn runs SQL in the databases that connections name: PostgreSQL (pgx), MySQL and MariaDB
// (go-sql-driver/mysql) and SQLite (modernc.org/sqlite).
//
// Parameters are always bound by the driver, never written into the text: Bind translates the placeholders of Airflow's
// Python drivers (%s, %(name)s, ?, :name) to those of the database. A statement whose context ends is cancelled in the
// server, not only forgotten.
package sqlconn

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gust/connections"
	"gust/internal/param"
)

// Dialect is a kind of database: the connection's type.
type Dialect string

// Dialects.
const (
	Postgres Dialect = "postgres"
	MySQL    Dialect = "mysql"
	SQLite   Dialect = "sqlite"
)

// Types are the connection types that name a database.
var Types = []string{string(MySQL), string(Postgres), string(SQLite)}

// drivers are the names under which messages speak of the drivers.
var drivers = map[Dialect]string{Postgres: "pgx", MySQL: "go-sql-driver/mysql", SQLite: "modernc.org/sqlite"}

// DialectOf returns the dialect of a connection.
func DialectOf(c *connections.Connection) (Dialect, error) {
	kind := c.Type
	if kind == "mariadb" {
		kind = string(MySQL)
	}
	if slices.Contains(Types, kind) {
		return Dialect(kind), nil
	}
	hint := ""
	if near := param.Nearest(kind, Types); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return "", fmt.Errorf("connection %q is of type %q, which is no SQL database; expected one of %s%s",
		c.ID, c.Type, strings.Join(Types, ", "), hint)
}

// Target says which database: a connection and what a task may change of it.
type Target struct {
	ConnID string `json:"conn_id"`
	// Database replaces the connection's schema, "" does not.
	Database string `json:"database,omitempty"`
	// Options are PostgreSQL's command-line options for the session, for example "-c statement_timeout=3000ms".
	Options string `json:"options,omitempty"`
}

// Key is the same for targets that share a client.
func (t Target) Key() string { return t.ConnID + "\x00" + t.Database + "\x00" + t.Options }

// Limits of a Pool.
const (
	// maxClients is how many clients are kept; the least recently used goes first. Templated targets can make any number.
	maxClients = 128
	// maxIdle is how many unused database connections a client keeps, and maxIdleTime for how long.
	maxIdle     = 4
	maxIdleTime = 5 * time.Minute
)

// Pool keeps one client for each target, shared by all tasks. A client is made anew when its connection has changed.
// The zero value is ready for use; it is safe for concurrent use. Close it.
type Pool struct {
	mu      sync.Mutex
	clients map[string]*client
	tick    uint64
}

// client is an open database.
type client struct {
	dialect   Dialect
	connID    string
	stamp     string
	used      uint64
	users     int  // guarded by Pool.mu
	retired   bool // guarded by Pool.mu: to be closed by its last user
	db        *sql.DB
	connector driver.Connector
	masker    *connections.Masker
}

// acquire returns the target's client. The caller releases it.
func (p *Pool) acquire(ctx context.Context, r connections.Resolver, t Target) (*client, error) {
	conn, err := r.Connection(ctx, t.ConnID)
	if err != nil {
		return nil, err
	}
	key, stamp := t.Key(), conn.Fingerprint()
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.clients[key]
	if c == nil || c.stamp != stamp {
		fresh, err := open(conn, t)
		if err != nil {
			return nil, err
		}
		fresh.stamp = stamp
		if p.clients == nil {
			p.clients = map[string]*client{}
		}
		if c != nil {
			p.retire(key)
		} else if len(p.clients) >= maxClients {
			p.retire(p.oldest())
		}
		c = fresh
		p.clients[key] = c
	}
	p.tick++
	c.used = p.tick
	c.users++
	return c, nil
}

func (p *Pool) release(c *client) {
	p.mu.Lock()
	c.users--
	closing := c.retired && c.users == 0
	p.mu.Unlock()
	if closing {
		_ = c.db.Close() // nobody is left to be told
	}
}

// retire takes a client out of the pool; its last user closes it.
func (p *Pool) retire(key string) {
	c := p.clients[key]
	if c == nil {
		return
	}
	delete(p.clients, key)
	c.retired = true
	if c.users == 0 {
		_ = c.db.Close() // its connections are idle
	}
}

func (p *Pool) oldest() string {
	oldest, least := "", ^uint64(0)
	for key, c := range p.clients {
		if c.used < least {
			oldest, least = key, c.used
		}
	}
	return oldest
}

// Close closes every client. Statements that still run keep theirs until they end.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.clients {
		p.retire(key)
	}
}

func open(conn *connections.Connection, t Target) (*client, error) {
	dialect, err := DialectOf(conn)
	if err != nil {
		return nil, err
	}
	c := &client{dialect: dialect, connID: conn.ID, masker: &connections.Masker{}}
	c.masker.AddConnection(conn)
	switch dialect {
	case Postgres:
		c.connector, err = postgresConnector(conn, t)
	case MySQL:
		c.connector, err = mysqlConnector(conn, t)
	default:
		c.connector, err = sqliteConnector(conn, t)
	}
	if err != nil {
		return nil, c.failed("", err)
	}
	c.db = sql.OpenDB(c.connector)
	c.db.SetMaxIdleConns(maxIdle)
	c.db.SetConnMaxIdleTime(maxIdleTime)
	if dialect == SQLite && inMemory(conn, t) {
		// Each connection to it would be a database of its own, gone with the connection.
		c.db.SetMaxOpenConns(1)
		c.db.SetConnMaxIdleTime(0)
	}
	return c, nil
}

// testTimeout bounds Test.
const testTimeout = 30 * time.Second

// Test tries a connection out and says what answers.
func Test(ctx context.Context, conn *connections.Connection) (message string, err error) {
	c, err := open(conn, Target{ConnID: conn.ID})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.db.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	question := map[Dialect]string{
		Postgres: `SELECT 'PostgreSQL ' || current_setting('server_version') || ', database ' || current_database() || ', user ' || current_user`,
		MySQL:    `SELECT CONCAT(@@version_comment, ' ', @@version, ', database ', COALESCE(DATABASE(), 'none'), ', user ', CURRENT_USER())`,
		SQLite:   `SELECT 'SQLite ' || sqlite_version() || ', ' || (SELECT count(*) FROM sqlite_master WHERE type = 'table') || ' tables'`,
	}[c.dialect]
	if err := c.db.QueryRowContext(ctx, question).Scan(&message); err != nil {
		return "", c.failed("", err)
	}
	return message, nil
}
