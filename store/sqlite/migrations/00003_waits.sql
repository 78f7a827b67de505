-- +goose Up

-- What the trigger loop must know of a wait to look at it together with others, so that its arguments need not be read
-- at a start: the key of its group, and what it is about as a hash. NULL: it was parked before they were kept.
ALTER TABLE task_instance ADD COLUMN trigger_key TEXT;
ALTER TABLE task_instance ADD COLUMN trigger_subject BIGINT;
ALTER TABLE task_instance_history ADD COLUMN trigger_key TEXT;
ALTER TABLE task_instance_history ADD COLUMN trigger_subject BIGINT;

-- What branches have decided, found without a look at every value of a run.
CREATE INDEX xcom_skips ON xcom (dag_id, run_id, task_id, map_index) WHERE key = 'skipmixin_key' AND previous = 0;

PRAGMA user_version = 3;
