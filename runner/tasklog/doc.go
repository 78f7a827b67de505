// Package tasklog keeps the log of each attempt in a file of its own, in Airflow's layout and in Airflow 3's format of
// one JSON object per line, and reads them back.
//
//	<base>/dag_id=<dag>/run_id=<run>/task_id=<task>/attempt=<try>.log
//	<base>/dag_id=<dag>/run_id=<run>/task_id=<task>/map_index=<i>/attempt=<try>.log
//
// A file is opened when the first line is written out and closed when the attempt leaves its worker, so that parked
// tasks hold no file. An attempt that goes on later (after a deferral, a reschedule, a restart) appends to its file.
package tasklog
