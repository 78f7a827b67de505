// Package plan decides everything about DAG runs: which runs are created and started, which tasks may run, what follows
// from an outcome. It is one deterministic state machine without I/O, clock or goroutines: a [State] is built from a
// store.Snapshot, and [State.Step] turns a batch of events and the time into row changes and effects.
//
// # Committing
//
// Step applies its decision to the State at once. The caller commits Decision.Changes in one transaction and only then
// releases Decision.Effects. When a commit is lost for good (store.ErrConflict, store.ErrUncertain) the State is ahead
// of the truth and must be thrown away: build a new one from a fresh snapshot with Config.Replaces and Config.Lost, and
// give it the events of the lost batch again. Reports of attempts that the rows no longer know are dropped as stale, so
// that replaying a batch that did reach the disk is harmless.
//
// # States
//
// A task instance moves none -> scheduled -> queued -> running -> finished. Its try number grows when it becomes
// scheduled from none or up_for_retry; up_for_reschedule, deferred and interrupted tasks go on with the try they have.
// A task that is scheduled or running only for a moment is not written as such (Config.StateLag): these rows inform
// people, nothing depends on them, and a crash leads back to the same place. So a quick task costs no extra commit.
//
// # Limits
//
// max_active_tasks counts the queued and running tasks of one DAG run, as Airflow 3 does; deferred tasks count nowhere,
// except in pools that include them. Within a pool a task that needs several slots is not overtaken by less urgent
// tasks that need fewer. A limit of zero or less on a DAG or a task means no limit.
//
// # Differences from Airflow
//
// A task whose start_date or end_date excludes the run's logical date has no instance in that run, as in Airflow, but
// it is not waited for either: the tasks behind it see the rest of their upstream tasks. A fail_fast run in which a
// task failed is failed even when its leaves were skipped. A task without an instance in the previous run satisfies
// wait_for_downstream.
package plan
