package sqlite

import (
	"context"
	"database/sql"
	"testing"
)

// SchemaVersion, ApplicationID and Anonymous are for tests.
const (
	SchemaVersion = schemaVersion
	ApplicationID = applicationID
)

// Anonymous is the rewriting of placeholders.
var Anonymous = anonymous

// OpenRaw opens the file with the driver alone.
func OpenRaw(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_txlock=immediate")
}

// WriterExec runs a statement on the writer's connection.
func (s *Store) WriterExec(query string) error {
	return s.withDB(context.Background(), func(db *sql.DB) error {
		_, err := db.ExecContext(context.Background(), query)
		return err
	})
}

// WriterPragma is a setting of the writer's connection.
func WriterPragma(t *testing.T, s *Store, name string) string {
	t.Helper()
	var value string
	err := s.withDB(context.Background(), func(db *sql.DB) error {
		return db.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&value)
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Queries are the constant queries and the index that each must use; "" allows a whole scan of a small table.
var Queries = map[string]string{
	taskGetSQL:          "sqlite_autoindex_task_instance_1 (dag_id=? AND run_id=? AND task_id=? AND map_index=?)",
	taskStateSQL:        "sqlite_autoindex_task_instance_1 (dag_id=? AND run_id=? AND task_id=? AND map_index=?)",
	taskUpdateSQL:       "sqlite_autoindex_task_instance_1 (dag_id=? AND run_id=? AND task_id=? AND map_index=?)",
	taskUpdatePlainSQL:  "sqlite_autoindex_task_instance_1 (dag_id=? AND run_id=? AND task_id=? AND map_index=?)",
	taskUpdateKeepSQL:   "sqlite_autoindex_task_instance_1 (dag_id=? AND run_id=? AND task_id=? AND map_index=?)",
	taskLoadSQL:         "sqlite_autoindex_task_instance_1 (dag_id=? AND run_id=?)",
	waitLoadSQL:         "sqlite_autoindex_task_instance_1 (dag_id=? AND run_id=?)",
	waitArchivedSQL:     "sqlite_autoindex_task_instance_history_1 (dag_id=? AND run_id=? AND task_id=? AND map_index=? AND try_number=?)",
	taskListSQL:         "sqlite_autoindex_task_instance_1 (dag_id=? AND run_id=?)",
	taskTriesSQL:        "sqlite_autoindex_task_instance_history_1 (dag_id=? AND run_id=? AND task_id=? AND map_index=?)",
	taskDeferredSQL:     "INDEX task_instance_deferred",
	runGetSQL:           "sqlite_autoindex_dag_run_1 (dag_id=? AND run_id=?)",
	runUpdateSQL:        "sqlite_autoindex_dag_run_1 (dag_id=? AND run_id=?)",
	runActiveSQL:        "INDEX dag_run_active (state=?)",
	runQueuedSQL:        "INDEX dag_run_active (state=?)",
	runLastScheduledSQL: "INDEX dag_run_scheduled (dag_id=?)",
	poolUsageSQL:        "INDEX dag_run_active (state=?)",
	versionActiveSQL:    "INDEX dag_run_active (state=?)",
	versionGetSQL:       "sqlite_autoindex_serialized_dag_1 (dag_hash=?)",
	xcomGetSQL:          "(dag_id=? AND run_id=? AND task_id=? AND map_index=? AND key=? AND previous=?)",
	xcomListSQL:         "(dag_id=? AND run_id=? AND task_id=? AND map_index=?)",
	xcomSkipsSQL:        "INDEX xcom_skips (dag_id=? AND run_id=?)",
	xcomClearSQL:        "(dag_id=? AND run_id=? AND task_id=? AND map_index=?)",
}
