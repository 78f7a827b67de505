package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"

	"gust/dag"
	"gust/internal/filelock"
	"gust/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	// schemaVersion is the number of the last migration. Each sets user_version to its own number.
	schemaVersion = 4
	// applicationID marks the file as Gust's.
	applicationID = 0x47555354

	schemaVersionSQL = `SELECT (SELECT user_version FROM pragma_user_version),
		(SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_master)`
	schemaTablesSQL = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`
	// The first fault is enough to know that there is one.
	quickCheckSQL = `PRAGMA quick_check(1)`
)

// schema describes what is in the file.
type schema struct{ version, application, objects int }

// SchemaMigrate implements store.Admin. When the schema is current it costs one query. Migrations run one process at a
// time: others wait, then find nothing left to do.
func (s *Store) SchemaMigrate(ctx context.Context) error {
	current, err := s.schema(ctx, "migrate")
	if err != nil {
		return err
	}
	if current.version != schemaVersion {
		if err := s.migrate(ctx); err != nil {
			return s.translate("migrate", err)
		}
	}
	return s.ensureDefaultPool(ctx)
}

func (s *Store) migrate(ctx context.Context) error {
	if s.options.ReadOnly {
		return fmt.Errorf("%w: it was opened read-only", store.ErrReadOnly)
	}
	if s.path != InMemory {
		// The lock is on the folder, which leaves no file behind and cannot upset SQLite's own locks.
		lock, err := filelock.Acquire(ctx, filepath.Dir(s.path))
		if err != nil {
			return err
		}
		defer lock.Release() //nolint:errcheck // closing the folder cannot lose anything
	}
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	return s.withDB(ctx, func(db *sql.DB) error {
		provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return err
		}
		_, err = provider.Up(ctx)
		return err
	})
}

// withDB lends the writer's connection to f as a pool of its own, for goose.
func (s *Store) withDB(ctx context.Context, f func(db *sql.DB) error) error {
	if err := s.take(ctx, s.writer.turn); err != nil {
		return err
	}
	defer func() { s.writer.turn <- struct{}{} }()
	return s.writer.conn.Raw(func(raw any) error {
		db := sql.OpenDB(lentConnector{lent: raw})
		db.SetMaxOpenConns(1)
		return errors.Join(f(db), db.Close())
	})
}

// ensureDefaultPool creates default_pool when it is missing.
func (s *Store) ensureDefaultPool(ctx context.Context) error {
	_, err := s.PoolGet(ctx, dag.DefaultPool)
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return s.write(ctx, "create default_pool", func(t *transaction) error {
		t.visible = true
		_, err := t.exec(poolDefaultSQL, dag.DefaultPool, int64(s.options.DefaultPoolSlots))
		return err
	})
}

// schema reads the schema's version and refuses what a migration cannot bring up to date.
func (s *Store) schema(ctx context.Context, operation string) (schema, error) {
	var out schema
	// One snapshot: another process may be migrating right now.
	err := s.snapshot(ctx, operation, func(v view) error {
		found, err := one(ctx, v, "schema version", func(r row) (schema, error) {
			return schema{version: r.int(0), application: r.int(1), objects: r.int(2)}, nil
		}, schemaVersionSQL)
		if err != nil {
			return err
		}
		out = *found
		switch {
		case out.application != applicationID && (out.application != 0 || out.objects > 0) && !s.halfMade(ctx, v, out):
			return fmt.Errorf("%w: %s is a database of another program; choose another path", store.ErrSchema, s.path)
		case out.version > schemaVersion:
			return fmt.Errorf("%w: %s has schema version %d, this gust knows up to %d; use the newer gust that wrote it",
				store.ErrSchema, s.path, out.version, schemaVersion)
		}
		return nil
	})
	return out, err
}

// halfMade reports whether the file holds nothing but the migrations' own table: a first migration was interrupted.
func (s *Store) halfMade(ctx context.Context, v view, found schema) bool {
	tables, err := list(ctx, v, func(r row) (string, error) { return r.text(0), nil }, schemaTablesSQL)
	return err == nil && found.application == 0 && len(tables) == 1 && tables[0] == goose.DefaultTablename
}

// SchemaCheck implements store.Admin.
func (s *Store) SchemaCheck(ctx context.Context) error {
	found, err := s.schema(ctx, "check")
	if err != nil {
		return err
	}
	return s.read(ctx, "check", func(v view) error {
		if found.version < schemaVersion {
			return fmt.Errorf("%w: %s has schema version %d, this gust needs %d; run `gust db migrate`",
				store.ErrSchema, s.path, found.version, schemaVersion)
		}
		faults, err := list(ctx, v, func(r row) (string, error) { return r.text(0), nil }, quickCheckSQL)
		if err != nil {
			return err
		}
		if len(faults) != 1 || faults[0] != "ok" {
			return fmt.Errorf("%w: %s: %s; stop gust, keep a copy of the file, then restore a backup or run "+
				"`gust db reset`", store.ErrCorrupt, s.path, strings.Join(faults, "; "))
		}
		return nil
	})
}

// SchemaReset implements store.Admin. Other processes that have the file open see an empty database from then on.
func (s *Store) SchemaReset(ctx context.Context) error {
	if _, err := s.schema(ctx, "reset"); err != nil {
		return err
	}
	err := s.write(ctx, "reset", func(t *transaction) error {
		t.visible = true
		for {
			table, err := t.first(schemaTablesSQL + ` LIMIT 1`)
			if err != nil {
				return err
			}
			if table == nil {
				break
			}
			name := strings.ReplaceAll(table.text(0), `"`, `""`)
			if err := t.once(`DROP TABLE "` + name + `"`); err != nil {
				return err
			}
		}
		return t.once(`PRAGMA user_version = 0`)
	})
	if err != nil {
		return err
	}
	return s.SchemaMigrate(ctx)
}
