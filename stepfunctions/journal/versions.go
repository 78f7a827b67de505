package journal

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Version is a published revision of a machine.
type Version struct {
	// Machine is the machine's row number, Number counts from 1 and is never used again.
	Machine, Number int64
	// Revision is the row number of the revision.
	Revision int64
	// Description is nil when none was given.
	Description *string
	// Created is when it was published.
	Created time.Time
}

// Alias is a name for one or two versions of a machine.
type Alias struct {
	// ID is the row's number.
	ID int64
	// Machine is the machine's row number.
	Machine int64
	// Name is unique for the machine.
	Name string
	// Description is nil when none was given.
	Description *string
	// Routing is a JSON array of {stateMachineVersionArn, weight}.
	Routing string
	// Created and Updated are when it was created and last changed.
	Created, Updated time.Time
}

// ErrTooMany is returned when there is no room for another machine, activity, version or alias.
var ErrTooMany = errors.New("too many")

// VersionPublish stores a version of a revision and sets its number. When the newest version is of the same revision,
// that one is returned instead. limit bounds the versions of a machine.
func (j *Journal) VersionPublish(v Version, limit int) (published *Version, err error) {
	err = j.write(func(t *tx) error {
		published, err = scanVersion(t.t.QueryRowContext(t.ctx, selectVersion+"WHERE machine = ? ORDER BY number DESC LIMIT 1",
			v.Machine))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err == nil && published.Revision == v.Revision {
			return nil
		}
		var n int
		row := t.t.QueryRowContext(t.ctx, `SELECT last_version + 1, (SELECT COUNT(*) FROM versions WHERE machine = m.id)
			FROM machines m WHERE id = ?`, v.Machine)
		if err := row.Scan(&v.Number, &n); err != nil {
			return err
		}
		if n >= limit {
			return ErrTooMany
		}
		if _, err := t.exec("UPDATE machines SET last_version = ? WHERE id = ?", v.Number, v.Machine); err != nil {
			return err
		}
		published = &v
		_, err = t.exec(`INSERT INTO versions (machine, number, revision, description, created) VALUES (?,?,?,?,?)`,
			v.Machine, v.Number, v.Revision, v.Description, millis(v.Created))
		return err
	})
	if err != nil {
		return nil, err
	}
	return published, nil
}

const selectVersion = `SELECT machine, number, revision, description, created FROM versions `

func scanVersion(row scanner) (*Version, error) {
	var v Version
	var created int64
	err := row.Scan(&v.Machine, &v.Number, &v.Revision, &v.Description, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	v.Created = fromMillis(created)
	return &v, err
}

// VersionGet returns a version, or ErrNotFound.
func (j *Journal) VersionGet(ctx context.Context, machine, number int64) (*Version, error) {
	return scanVersion(j.reader.QueryRowContext(ctx, selectVersion+"WHERE machine = ? AND number = ?", machine, number))
}

// VersionList returns up to limit versions of a machine, newest first, with numbers below before (0: from the newest).
func (j *Journal) VersionList(ctx context.Context, machine, before int64, limit int) ([]*Version, error) {
	return collect(ctx, j, scanVersion, selectVersion+"WHERE machine = ? AND (number < ? OR ? = 0) ORDER BY number DESC LIMIT ?",
		machine, before, before, limit)
}

// VersionDelete removes a version. Executions that run it go on.
func (j *Journal) VersionDelete(machine, number int64) error {
	return j.write(func(t *tx) error {
		_, err := t.exec("DELETE FROM versions WHERE machine = ? AND number = ?", machine, number)
		return err
	})
}

const selectAlias = `SELECT id, machine, name, description, routing, created, updated FROM aliases `

func scanAlias(row scanner) (*Alias, error) {
	var a Alias
	var created, updated int64
	err := row.Scan(&a.ID, &a.Machine, &a.Name, &a.Description, &a.Routing, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	a.Created, a.Updated = fromMillis(created), fromMillis(updated)
	return &a, err
}

// AliasCreate stores a new alias and sets its ID. created is false when the name is taken. limit bounds the aliases of a
// machine.
func (j *Journal) AliasCreate(a *Alias, limit int) (created bool, err error) {
	err = j.write(func(t *tx) error {
		created = false
		var taken, n int
		row := t.t.QueryRowContext(t.ctx, "SELECT COALESCE(SUM(name = ?), 0), COUNT(*) FROM aliases WHERE machine = ?", a.Name, a.Machine)
		if err := row.Scan(&taken, &n); err != nil || taken > 0 {
			return err
		}
		if n >= limit {
			return ErrTooMany
		}
		created = true
		a.ID, err = t.insert(`INSERT INTO aliases (machine, name, description, routing, created, updated)
			VALUES (?,?,?,?,?,?)`, a.Machine, a.Name, a.Description, a.Routing, millis(a.Created), millis(a.Updated))
		return err
	})
	return created && err == nil, err
}

// AliasUpdate stores a changed alias.
func (j *Journal) AliasUpdate(a *Alias) error {
	return j.write(func(t *tx) error {
		_, err := t.exec("UPDATE aliases SET description = ?, routing = ?, updated = ? WHERE id = ?", a.Description, a.Routing,
			millis(a.Updated), a.ID)
		return err
	})
}

// AliasDelete removes an alias.
func (j *Journal) AliasDelete(id int64) error {
	return j.write(func(t *tx) error {
		_, err := t.exec("DELETE FROM aliases WHERE id = ?", id)
		return err
	})
}

// AliasGet returns an alias, or ErrNotFound.
func (j *Journal) AliasGet(ctx context.Context, machine int64, name string) (*Alias, error) {
	return scanAlias(j.reader.QueryRowContext(ctx, selectAlias+"WHERE machine = ? AND name = ?", machine, name))
}

// AliasList returns up to limit aliases of a machine in the order of their creation, with row numbers above after.
func (j *Journal) AliasList(ctx context.Context, machine, after int64, limit int) ([]*Alias, error) {
	return collect(ctx, j, scanAlias, selectAlias+"WHERE machine = ? AND id > ? ORDER BY id LIMIT ?", machine, after, limit)
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, j *Journal, scan func(scanner) (*T, error), query string, args ...any) (
	list []*T, err error,
) {
	rows, err := j.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}
