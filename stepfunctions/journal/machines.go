package journal

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Machine is a state machine with its current revision.
type Machine struct {
	// ID is the row's number.
	ID int64
	// ARN, Name, Region and Type identify the machine; Type is STANDARD or EXPRESS.
	ARN, Name, Region, Type string
	// Status is ACTIVE or DELETING.
	Status string
	// Created is when it was created.
	Created time.Time
	// Tags is a JSON array of {key,value}.
	Tags string
	// Revision is the current revision.
	Revision Revision
}

// Revision is one version of a machine's definition and settings.
type Revision struct {
	// ID is the row's number.
	ID int64
	// RevisionID is AWS's id of the revision, empty for the first.
	RevisionID string
	// Definition is the text as it was sent.
	Definition string
	// RoleARN is the role to run with.
	RoleARN string
	// Logging, Tracing and Encryption are JSON objects as the API returns them; Encryption may be empty.
	Logging, Tracing, Encryption string
	// Updated is when the revision was made.
	Updated time.Time
}

func millis(t time.Time) int64      { return t.UnixMilli() }
func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func optionalMillis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := millis(t)
	return &ms
}

func timeOf(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return fromMillis(ms.Int64)
}

// MachineCreate stores a new machine and sets its IDs. created is false when the ARN is taken. limit bounds the machines of
// a region; [ErrTooMany] is returned when it is reached.
func (j *Journal) MachineCreate(m *Machine, limit int) (created bool, err error) {
	err = j.write(func(t *tx) error {
		created = false
		var taken, n int
		row := t.t.QueryRowContext(t.ctx, `SELECT (SELECT COUNT(*) FROM machines WHERE arn = ?),
			(SELECT COUNT(*) FROM machines WHERE region = ?)`, m.ARN, m.Region)
		if err := row.Scan(&taken, &n); err != nil || taken > 0 {
			return err
		}
		if n >= limit {
			return ErrTooMany
		}
		id, err := t.insert(`INSERT INTO machines (arn, name, region, type, status, created, revision, tags)
			VALUES (?,?,?,?,?,?,0,?)`, m.ARN, m.Name, m.Region, m.Type, m.Status, millis(m.Created), m.Tags)
		if err != nil {
			return err
		}
		m.ID = id
		created = true
		return t.revise(id, &m.Revision)
	})
	return created && err == nil, err
}

// revise stores a revision and makes it the machine's current one.
func (t *tx) revise(machine int64, r *Revision) error {
	id, err := t.insert(`INSERT INTO revisions (machine, revision_id, definition, role_arn, logging, tracing,
		encryption, updated) VALUES (?,?,?,?,?,?,?,?)`, machine, r.RevisionID, r.Definition, r.RoleARN, r.Logging, r.Tracing, r.Encryption,
		millis(r.Updated))
	if err != nil {
		return err
	}
	r.ID = id
	_, err = t.exec("UPDATE machines SET revision = ? WHERE id = ?", id, machine)
	return err
}

// MachineRevise gives a machine a new current revision and sets its ID.
func (j *Journal) MachineRevise(machine int64, r *Revision) error {
	return j.write(func(t *tx) error { return t.revise(machine, r) })
}

// MachineDelete removes a machine with its versions and aliases. Its executions and their histories stay.
func (j *Journal) MachineDelete(machine int64) error {
	return j.write(func(t *tx) error {
		for _, text := range []string{"DELETE FROM aliases WHERE machine = ?", "DELETE FROM versions WHERE machine = ?",
			"DELETE FROM machines WHERE id = ?"} {
			if _, err := t.exec(text, machine); err != nil {
				return err
			}
		}
		return nil
	})
}

// MachineStatusSet changes the status.
func (j *Journal) MachineStatusSet(machine int64, status string) error {
	return j.write(func(t *tx) error {
		_, err := t.exec("UPDATE machines SET status = ? WHERE id = ?", status, machine)
		return err
	})
}

// MachineTagsSet replaces the tags.
func (j *Journal) MachineTagsSet(machine int64, tags string) error {
	return j.write(func(t *tx) error {
		_, err := t.exec("UPDATE machines SET tags = ? WHERE id = ?", tags, machine)
		return err
	})
}

const selectMachine = `SELECT m.id, m.arn, m.name, m.region, m.type, m.status, m.created, m.tags,
	r.id, r.revision_id, r.definition, r.role_arn, r.logging, r.tracing, r.encryption, r.updated
	FROM machines m JOIN revisions r ON r.id = m.revision `

type scanner interface{ Scan(dest ...any) error }

func scanMachine(row scanner) (*Machine, error) {
	var m Machine
	var created, updated int64
	r := &m.Revision
	err := row.Scan(&m.ID, &m.ARN, &m.Name, &m.Region, &m.Type, &m.Status, &created, &m.Tags, &r.ID, &r.RevisionID,
		&r.Definition, &r.RoleARN, &r.Logging, &r.Tracing, &r.Encryption, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	m.Created, r.Updated = fromMillis(created), fromMillis(updated)
	return &m, err
}

// MachineGet returns a machine by its ARN, or ErrNotFound.
func (j *Journal) MachineGet(ctx context.Context, arn string) (*Machine, error) {
	return scanMachine(j.reader.QueryRowContext(ctx, selectMachine+"WHERE m.arn = ?", arn))
}

// MachineList returns up to limit machines of a region in the order of their names, after the given name.
func (j *Journal) MachineList(ctx context.Context, region, after string, limit int) ([]*Machine, error) {
	return j.machines(ctx, "WHERE m.region = ? AND m.name > ? ORDER BY m.name LIMIT ?", region, after, limit)
}

// MachinesDeleting returns the machines whose deletion has begun and not ended.
func (j *Journal) MachinesDeleting(ctx context.Context) ([]*Machine, error) {
	return j.machines(ctx, "WHERE m.status = 'DELETING'")
}

func (j *Journal) machines(ctx context.Context, where string, args ...any) ([]*Machine, error) {
	return collect(ctx, j, scanMachine, selectMachine+where, args...)
}

// RevisionGet returns a revision by its number, or ErrNotFound.
func (j *Journal) RevisionGet(ctx context.Context, id int64) (*Revision, error) {
	var r Revision
	var updated int64
	row := j.reader.QueryRowContext(ctx, `SELECT id, revision_id, definition, role_arn, logging, tracing, encryption,
		updated FROM revisions WHERE id = ?`, id)
	err := row.Scan(&r.ID, &r.RevisionID, &r.Definition, &r.RoleARN, &r.Logging, &r.Tracing, &r.Encryption, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	r.Updated = fromMillis(updated)
	return &r, err
}
