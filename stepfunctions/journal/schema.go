package journal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
)

// migrations turn a file of schema version n-1 into one of version n; user_version tells which version a file has. A
// new file goes through all of them, so that old and new files are the same.
var migrations = []string{
	`
CREATE TABLE machines (
	id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, name TEXT NOT NULL, region TEXT NOT NULL, type TEXT NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('ACTIVE','DELETING')), created INTEGER NOT NULL, revision INTEGER NOT NULL,
	tags TEXT NOT NULL
);
CREATE TABLE revisions (
	id INTEGER PRIMARY KEY, machine INTEGER NOT NULL, revision_id TEXT NOT NULL, definition TEXT NOT NULL,
	role_arn TEXT NOT NULL, logging TEXT NOT NULL, tracing TEXT NOT NULL, encryption TEXT NOT NULL,
	updated INTEGER NOT NULL
);
CREATE TABLE executions (
	id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, machine INTEGER NOT NULL, machine_arn TEXT NOT NULL,
	machine_name TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('RUNNING','SUCCEEDED','FAILED','TIMED_OUT','ABORTED')),
	started INTEGER NOT NULL, stopped INTEGER, input TEXT NOT NULL, output TEXT, error TEXT, cause TEXT,
	trace_header TEXT, wake INTEGER, tasks INTEGER NOT NULL, last_event INTEGER NOT NULL,
	redrives INTEGER NOT NULL DEFAULT 0, redriven INTEGER, redrive_tokens TEXT, state BLOB,
	CHECK ((status = 'RUNNING') = (stopped IS NULL))
);
CREATE INDEX executions_by_machine ON executions (machine);
CREATE INDEX executions_by_status ON executions (machine, status);
CREATE INDEX executions_open ON executions (wake, tasks) WHERE status = 'RUNNING';
CREATE TABLE history (
	execution INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, events BLOB NOT NULL,
	PRIMARY KEY (execution, first)
) WITHOUT ROWID;
`,
	`
ALTER TABLE machines ADD COLUMN last_version INTEGER NOT NULL DEFAULT 0;
CREATE TABLE versions (
	id INTEGER PRIMARY KEY, machine INTEGER NOT NULL, number INTEGER NOT NULL, revision INTEGER NOT NULL,
	description TEXT, created INTEGER NOT NULL, UNIQUE (machine, number)
);
CREATE TABLE aliases (
	id INTEGER PRIMARY KEY, machine INTEGER NOT NULL, name TEXT NOT NULL, description TEXT, routing TEXT NOT NULL,
	created INTEGER NOT NULL, updated INTEGER NOT NULL, UNIQUE (machine, name)
);
CREATE TABLE activities (
	id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, name TEXT NOT NULL, region TEXT NOT NULL, created INTEGER NOT NULL,
	tags TEXT NOT NULL, encryption TEXT NOT NULL
);
CREATE TABLE offers (
	id INTEGER PRIMARY KEY, activity TEXT NOT NULL, execution INTEGER NOT NULL, task INTEGER NOT NULL,
	UNIQUE (execution, task)
);
CREATE TABLE map_runs (
	id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, execution INTEGER NOT NULL, task INTEGER NOT NULL,
	machine_name TEXT NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('RUNNING','SUCCEEDED','FAILED','ABORTED')), started INTEGER NOT NULL,
	stopped INTEGER, max_concurrency INTEGER NOT NULL, tolerated_count INTEGER NOT NULL,
	tolerated_percentage REAL NOT NULL, items INTEGER NOT NULL, children INTEGER NOT NULL,
	results_written INTEGER NOT NULL, redrives INTEGER NOT NULL, redriven INTEGER
);
CREATE INDEX map_runs_by_execution ON map_runs (execution);
ALTER TABLE executions ADD COLUMN version_arn TEXT;
ALTER TABLE executions ADD COLUMN alias_arn TEXT;
ALTER TABLE executions ADD COLUMN test_case TEXT;
ALTER TABLE executions ADD COLUMN parent INTEGER;
ALTER TABLE executions ADD COLUMN parent_task INTEGER;
ALTER TABLE executions ADD COLUMN map_run INTEGER;
ALTER TABLE executions ADD COLUMN item INTEGER;
ALTER TABLE executions ADD COLUMN item_count INTEGER;
ALTER TABLE executions ADD COLUMN pending_redrive INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN opening_last INTEGER;
ALTER TABLE executions ADD COLUMN opening BLOB;
DROP INDEX executions_by_status;
CREATE INDEX executions_running ON executions (machine) WHERE status = 'RUNNING';
CREATE INDEX executions_failed ON executions (machine) WHERE status = 'FAILED';
CREATE INDEX executions_timed_out ON executions (machine) WHERE status = 'TIMED_OUT';
CREATE INDEX executions_aborted ON executions (machine) WHERE status = 'ABORTED';
CREATE INDEX executions_by_map_run ON executions (map_run, item) WHERE map_run IS NOT NULL;
CREATE INDEX executions_of_map_run ON executions (map_run) WHERE map_run IS NOT NULL;
CREATE INDEX executions_by_parent ON executions (parent, parent_task) WHERE parent IS NOT NULL;
CREATE TABLE parts (
	execution INTEGER NOT NULL, id INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (execution, id)
) WITHOUT ROWID;
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
`,
}

func (j *Journal) migrate(ctx context.Context) error {
	var version int
	if err := j.writer.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("the file has schema version %d, this program knows version %d: use a newer program or another "+
			"file", version, len(migrations))
	}
	if version == len(migrations) {
		return nil
	}
	t, err := j.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // after a commit this does nothing
	for i, text := range migrations[version:] {
		if _, err := t.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("migrate to schema version %d: %w", version+i+1, err)
		}
	}
	if _, err := t.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(migrations))); err != nil {
		return err
	}
	return t.Commit()
}

// Secret returns 32 random bytes that belong to the file: the same for as long as the file exists.
func (j *Journal) Secret() []byte { return j.secret }

func (j *Journal) readSecret(ctx context.Context) ([]byte, error) {
	var secret []byte
	err := j.writer.QueryRowContext(ctx, "SELECT value FROM secrets WHERE name = 'tokens'").Scan(&secret)
	if !errors.Is(err, sql.ErrNoRows) {
		return secret, err
	}
	secret = make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	_, err = j.writer.ExecContext(ctx, "INSERT INTO secrets (name, value) VALUES ('tokens', ?)", secret)
	return secret, err
}
