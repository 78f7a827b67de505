package connections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors of Rows; test with errors.Is.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrExists: there is a row with this id already.
	ErrExists = errors.New("already exists")
)

// Row is a connection at rest. Sealed is the encrypted JSON form with the id in it.
type Row struct{ ID, Type, Sealed string }

// Rows is the part of the store that keeps connections.
type Rows interface {
	// ConnectionGet returns the row or ErrNotFound.
	ConnectionGet(ctx context.Context, id string) (*Row, error)
	ConnectionList(ctx context.Context) ([]Row, error)
	// ConnectionPut inserts, or with overwrite replaces; ErrExists without.
	ConnectionPut(ctx context.Context, row *Row, overwrite bool) error
	// ConnectionDelete removes the row or returns ErrNotFound.
	ConnectionDelete(ctx context.Context, id string) error
}

// Database is the source of connections in the database, encrypted with Fernet.
type Database struct {
	rows Rows
	keys *Keyring
}

// NewDatabase returns the source.
func NewDatabase(rows Rows, keys *Keyring) *Database { return &Database{rows: rows, keys: keys} }

// Name is "database".
func (*Database) Name() string { return "database" }

// Get returns the decrypted connection.
func (d *Database) Get(ctx context.Context, id string) (*Connection, error) {
	row, err := d.rows.ConnectionGet(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return d.open(row)
}

func (d *Database) open(row *Row) (*Connection, error) {
	plain, err := d.keys.Open(row.Sealed)
	if err != nil {
		return nil, fmt.Errorf("connection %q in the database: %w", row.ID, err)
	}
	c, err := ParseJSON(row.ID, plain) // a row that was renamed in the database fails on its conn_id
	if err != nil {
		return nil, &sourceError{where: "database", err: err}
	}
	return c, nil
}

// List returns the ids.
func (d *Database) List(ctx context.Context) ([]string, error) {
	rows, err := d.rows.ConnectionList(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	slices.Sort(ids)
	return ids, nil
}

// Add stores a connection. When the id is taken it is replaced with overwrite, and ErrExists otherwise.
func (d *Database) Add(ctx context.Context, c *Connection, overwrite bool) error {
	if err := CheckID(c.ID); err != nil {
		return err
	}
	if c.Type == "" {
		return fmt.Errorf("connection %q has no connection type; expected one such as aws, http or postgres", c.ID)
	}
	if _, err := c.ExtraMap(); err != nil {
		return err
	}
	sealed, err := d.keys.Seal(c.atRest())
	if err != nil {
		return fmt.Errorf("connection %q: %w", c.ID, err)
	}
	if err := d.rows.ConnectionPut(ctx, &Row{ID: c.ID, Type: c.Type, Sealed: sealed}, overwrite); err != nil {
		if errors.Is(err, ErrExists) {
			return fmt.Errorf("connection %q: %w; delete it first, or overwrite it", c.ID, err)
		}
		return err
	}
	return nil
}

// atRest is the JSON form with the id, so that a sealed text cannot be moved to another id.
func (c *Connection) atRest() string {
	var b strings.Builder
	b.WriteString(`{"conn_id": `)
	writeString(&b, c.ID)
	rest := c.JSON()
	if rest != "{}" {
		b.WriteString(", ")
	}
	if len(c.Extra) > 0 && !strings.Contains(rest, `"extra": `) { // an empty object is not the same as none
		rest = strings.TrimSuffix(rest, "}") + `, "extra": ` + string(c.Extra) + "}"
	}
	b.WriteString(rest[1:])
	return b.String()
}

// Delete removes a connection, or returns ErrNotFound with its id.
func (d *Database) Delete(ctx context.Context, id string) error {
	if err := d.rows.ConnectionDelete(ctx, id); err != nil {
		return fmt.Errorf("delete connection %q: %w", id, err)
	}
	return nil
}

// Rotate encrypts every connection again with the first key and returns how many there were. It changes nothing when
// one of them cannot be decrypted.
func (d *Database) Rotate(ctx context.Context) (int, error) {
	rows, err := d.rows.ConnectionList(ctx)
	if err != nil {
		return 0, err
	}
	for i := range rows {
		if rows[i].Sealed, err = d.keys.Rotate(rows[i].Sealed); err != nil {
			return 0, fmt.Errorf("connection %q in the database: %w", rows[i].ID, err)
		}
	}
	for i := range rows {
		if err := d.rows.ConnectionPut(ctx, &rows[i], true); err != nil {
			return i, err
		}
	}
	return len(rows), nil
}
