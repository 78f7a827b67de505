package sqlite

import (
	"context"
	"fmt"

	"gust/store"
)

const (
	variablePutSQL = `INSERT INTO variable (key, val, description, is_encrypted) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (key) DO UPDATE SET val = excluded.val, description = excluded.description,
		is_encrypted = excluded.is_encrypted`
	variableDeleteSQL = `DELETE FROM variable WHERE key = ?1`
	variableGetSQL    = `SELECT key, val, description, is_encrypted FROM variable WHERE key = ?1`
	variableListSQL   = `SELECT key, val, description, is_encrypted FROM variable ORDER BY key`

	connectionInsertSQL = `INSERT INTO connection (conn_id, conn_type, sealed) VALUES (?1, ?2, ?3)`
	connectionPutSQL    = connectionInsertSQL + `
		ON CONFLICT (conn_id) DO UPDATE SET conn_type = excluded.conn_type, sealed = excluded.sealed`
	connectionDeleteSQL = `DELETE FROM connection WHERE conn_id = ?1`
	connectionGetSQL    = `SELECT conn_id, conn_type, sealed FROM connection WHERE conn_id = ?1`
	connectionListSQL   = `SELECT conn_id, conn_type, sealed FROM connection ORDER BY conn_id`
)

// VariableGet implements store.Variables.
func (s *Store) VariableGet(ctx context.Context, key string) (found *store.Variable, err error) {
	err = s.read(ctx, "get variable", func(v view) error {
		found, err = one(ctx, v, "variable "+key, decodeVariable, variableGetSQL, key)
		return err
	})
	return found, err
}

// VariableList implements store.Variables. Variables are sorted by key.
func (s *Store) VariableList(ctx context.Context) (out []store.Variable, err error) {
	err = s.read(ctx, "list variables", func(v view) error {
		out, err = list(ctx, v, decodeVariable, variableListSQL)
		return err
	})
	return out, err
}

// VariableSet implements store.Variables.
func (s *Store) VariableSet(ctx context.Context, v *store.Variable) error {
	return s.write(ctx, "set variable", func(t *transaction) error {
		_, err := t.exec(variablePutSQL, v.Key, v.Value, v.Description, flag(v.Encrypted))
		return named("variable "+v.Key, err)
	})
}

// VariableDelete implements store.Variables.
func (s *Store) VariableDelete(ctx context.Context, key string) error {
	return s.write(ctx, "delete variable", func(t *transaction) error {
		return t.deleteOne("variable "+key, variableDeleteSQL, key)
	})
}

// ConnectionGet implements store.Connections.
func (s *Store) ConnectionGet(ctx context.Context, id string) (found *store.ConnectionRow, err error) {
	err = s.read(ctx, "get connection", func(v view) error {
		found, err = one(ctx, v, "connection "+id, decodeConnection, connectionGetSQL, id)
		return err
	})
	return found, err
}

// ConnectionList implements store.Connections. Connections are sorted by id.
func (s *Store) ConnectionList(ctx context.Context) (out []store.ConnectionRow, err error) {
	err = s.read(ctx, "list connections", func(v view) error {
		out, err = list(ctx, v, decodeConnection, connectionListSQL)
		return err
	})
	return out, err
}

// ConnectionPut implements store.Connections.
func (s *Store) ConnectionPut(ctx context.Context, c *store.ConnectionRow, overwrite bool) error {
	return s.write(ctx, "put connection", func(t *transaction) error {
		query := connectionInsertSQL
		if overwrite {
			query = connectionPutSQL
		}
		_, err := t.exec(query, c.ID, c.Type, c.Sealed)
		return named("connection "+c.ID, err)
	})
}

// ConnectionDelete implements store.Connections.
func (s *Store) ConnectionDelete(ctx context.Context, id string) error {
	return s.write(ctx, "delete connection", func(t *transaction) error {
		return t.deleteOne("connection "+id, connectionDeleteSQL, id)
	})
}

func (t *transaction) deleteOne(what, query, key string) error {
	changed, err := t.exec(query, key)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return named(what, err)
}

func named(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case taken(err):
		return fmt.Errorf("%s %w: %w", what, store.ErrExists, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func decodeVariable(r row) (store.Variable, error) {
	return store.Variable{Key: r.text(0), Value: r.text(1), Description: r.text(2), Encrypted: r.flag(3)}, nil
}

func decodeConnection(r row) (store.ConnectionRow, error) {
	return store.ConnectionRow{ID: r.text(0), Type: r.text(1), Sealed: r.text(2)}, nil
}
