-- +goose Up

-- Table and column names are Airflow's wherever Airflow has them. Times are BIGINT: UTC microseconds since 1970; NULL is
-- an absent time. JSON is TEXT. The checks hold what every writer must respect; the wording of a state is Airflow's.
--
-- State checks are spelled as OR chains: for an IN list SQLite builds a temporary index on every single write.

CREATE TABLE dag (
    dag_id                   TEXT    NOT NULL PRIMARY KEY,
    fileloc                  TEXT    NOT NULL,
    dag_hash                 TEXT    NOT NULL, -- latest good version, see serialized_dag
    is_paused                INTEGER NOT NULL CHECK (is_paused = 0 OR is_paused = 1),
    is_stale                 INTEGER NOT NULL CHECK (is_stale = 0 OR is_stale = 1),
    dag_display_name         TEXT    NOT NULL,
    owners                   TEXT    NOT NULL,
    tags                     TEXT    NOT NULL, -- JSON list of strings
    timetable_summary        TEXT    NOT NULL, -- the schedule as written
    next_dagrun_create_after BIGINT,
    last_parsed_time         BIGINT,
    last_parse_duration      REAL    NOT NULL, -- seconds
    CONSTRAINT dag_id_not_empty CHECK (dag_id <> '')
);

-- Every version that a run may have started with.
CREATE TABLE serialized_dag (
    dag_hash   TEXT   NOT NULL PRIMARY KEY,
    dag_id     TEXT   NOT NULL,
    data       TEXT   NOT NULL, -- JSON
    created_at BIGINT NOT NULL
);

CREATE TABLE import_error (
    filename   TEXT   NOT NULL PRIMARY KEY,
    stacktrace TEXT   NOT NULL, -- every problem of the file, one per line
    timestamp  BIGINT
);

CREATE TABLE job (
    job_type         TEXT    NOT NULL PRIMARY KEY,
    hostname         TEXT    NOT NULL,
    pid              INTEGER NOT NULL,
    start_date       BIGINT,
    latest_heartbeat BIGINT
);

CREATE TABLE dag_run (
    id                  INTEGER PRIMARY KEY,
    dag_id              TEXT    NOT NULL,
    run_id              TEXT    NOT NULL,
    state               TEXT    NOT NULL,
    run_type            TEXT    NOT NULL,
    logical_date        BIGINT,
    run_after           BIGINT  NOT NULL,
    data_interval_start BIGINT,
    data_interval_end   BIGINT,
    queued_at           BIGINT,
    start_date          BIGINT,
    end_date            BIGINT,
    conf                TEXT, -- JSON object
    triggered_by        TEXT    NOT NULL,
    dag_hash            TEXT    NOT NULL, -- '' until the run starts
    reason              TEXT    NOT NULL,
    CONSTRAINT dag_run_key UNIQUE (dag_id, run_id),
    CONSTRAINT dag_run_logical_date UNIQUE (dag_id, logical_date),
    CONSTRAINT dag_run_has_ids CHECK (dag_id <> '' AND run_id <> ''),
    CONSTRAINT dag_run_state CHECK (
        state = 'running' OR state = 'success' OR state = 'failed' OR state = 'queued'),
    CONSTRAINT dag_run_type CHECK (
        run_type = 'scheduled' OR run_type = 'manual' OR run_type = 'backfill' OR run_type = 'asset_triggered'),
    CONSTRAINT dag_run_running_has_start CHECK (state <> 'running' OR start_date IS NOT NULL),
    CONSTRAINT dag_run_finished_has_end CHECK ((state <> 'success' AND state <> 'failed') OR end_date IS NOT NULL)
);

CREATE INDEX dag_run_active ON dag_run (state, run_after) WHERE state IN ('queued', 'running');
CREATE INDEX dag_run_run_after ON dag_run (run_after);
CREATE INDEX dag_run_by_dag ON dag_run (dag_id, run_after);
CREATE INDEX dag_run_scheduled ON dag_run (dag_id, run_after) WHERE run_type = 'scheduled';

-- A table with a row id and a separate unique index: an update touches dense pages, twice as fast here as a clustered
-- WITHOUT ROWID table, and the id keeps the order of insertion.
CREATE TABLE task_instance (
    id               INTEGER PRIMARY KEY,
    dag_id           TEXT    NOT NULL,
    run_id           TEXT    NOT NULL,
    task_id          TEXT    NOT NULL,
    map_index        INTEGER NOT NULL,
    state            TEXT, -- NULL is Airflow's None
    try_number       INTEGER NOT NULL,
    max_tries        INTEGER NOT NULL,
    operator         TEXT    NOT NULL,
    pool             TEXT    NOT NULL,
    pool_slots       INTEGER NOT NULL,
    priority_weight  INTEGER NOT NULL,
    queued_dttm      BIGINT,
    start_date       BIGINT,
    end_date         BIGINT,
    first_start_date BIGINT,
    not_before       BIGINT,
    error            TEXT    NOT NULL,
    -- The wait of a deferred task. trigger_timeout is the deadline, as in Airflow; trigger_length is the length that was
    -- asked for, in microseconds; trigger_clock adds up 1 when the deadline is that of execution_timeout and 2 when it
    -- has passed.
    trigger_kind     TEXT,
    trigger_kwargs   TEXT,
    trigger_state    TEXT,
    trigger_since    BIGINT,
    trigger_timeout  BIGINT,
    trigger_length   BIGINT,
    trigger_event    TEXT,
    trigger_error    TEXT,
    trigger_clock    BIGINT,
    CONSTRAINT task_instance_key UNIQUE (dag_id, run_id, task_id, map_index),
    CONSTRAINT task_instance_has_ids CHECK (dag_id <> '' AND run_id <> '' AND task_id <> '' AND map_index >= -1),
    CONSTRAINT task_instance_state CHECK (
        state IS NULL OR state = 'success' OR state = 'running' OR state = 'queued' OR state = 'scheduled'
        OR state = 'deferred' OR state = 'failed' OR state = 'skipped' OR state = 'upstream_failed'
        OR state = 'up_for_retry' OR state = 'up_for_reschedule' OR state = 'restarting' OR state = 'removed'),
    CONSTRAINT task_instance_counts CHECK (try_number >= 0 AND max_tries >= 0 AND pool_slots >= 0),
    CONSTRAINT task_instance_running_has_start CHECK (
        state IS NULL OR state <> 'running' OR (try_number >= 1 AND start_date IS NOT NULL)),
    CONSTRAINT task_instance_deferred_has_trigger CHECK (
        state IS NULL OR state <> 'deferred'
        OR (try_number >= 1 AND trigger_kind IS NOT NULL AND trigger_since IS NOT NULL)),
    CONSTRAINT task_instance_waiting_has_not_before CHECK (
        state IS NULL OR (state <> 'up_for_retry' AND state <> 'up_for_reschedule') OR not_before IS NOT NULL)
);

CREATE INDEX task_instance_deferred ON task_instance (trigger_since) WHERE state = 'deferred';

-- The tries before the current one.
CREATE TABLE task_instance_history (
    id               INTEGER PRIMARY KEY,
    dag_id           TEXT    NOT NULL,
    run_id           TEXT    NOT NULL,
    task_id          TEXT    NOT NULL,
    map_index        INTEGER NOT NULL,
    state            TEXT,
    try_number       INTEGER NOT NULL,
    max_tries        INTEGER NOT NULL,
    operator         TEXT    NOT NULL,
    pool             TEXT    NOT NULL,
    pool_slots       INTEGER NOT NULL,
    priority_weight  INTEGER NOT NULL,
    queued_dttm      BIGINT,
    start_date       BIGINT,
    end_date         BIGINT,
    first_start_date BIGINT,
    not_before       BIGINT,
    error            TEXT    NOT NULL,
    trigger_kind     TEXT,
    trigger_kwargs   TEXT,
    trigger_state    TEXT,
    trigger_since    BIGINT,
    trigger_timeout  BIGINT,
    trigger_length   BIGINT,
    trigger_event    TEXT,
    trigger_error    TEXT,
    trigger_clock    BIGINT,
    CONSTRAINT task_instance_history_key UNIQUE (dag_id, run_id, task_id, map_index, try_number)
);

-- previous = 0 are the values of the current try. A new try moves them to previous = 1, where the last value that any
-- earlier try pushed under a key stays readable: a new try may re-attach to what the previous one started.
CREATE TABLE xcom (
    dag_id     TEXT    NOT NULL,
    run_id     TEXT    NOT NULL,
    task_id    TEXT    NOT NULL,
    map_index  INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    previous   INTEGER NOT NULL CHECK (previous = 0 OR previous = 1),
    try_number INTEGER NOT NULL,
    value      TEXT    NOT NULL, -- JSON
    timestamp  BIGINT,
    PRIMARY KEY (dag_id, run_id, task_id, map_index, key, previous)
);

CREATE TABLE variable (
    key          TEXT    NOT NULL PRIMARY KEY,
    val          TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    is_encrypted INTEGER NOT NULL CHECK (is_encrypted = 0 OR is_encrypted = 1)
);

CREATE TABLE connection (
    conn_id   TEXT NOT NULL PRIMARY KEY,
    conn_type TEXT NOT NULL,
    sealed    TEXT NOT NULL -- encrypted JSON form of the whole connection
);

CREATE TABLE slot_pool (
    pool             TEXT    NOT NULL PRIMARY KEY,
    slots            INTEGER NOT NULL,
    description      TEXT    NOT NULL,
    include_deferred INTEGER NOT NULL CHECK (include_deferred = 0 OR include_deferred = 1),
    CONSTRAINT slot_pool_has_name CHECK (pool <> ''),
    CONSTRAINT slot_pool_slots CHECK (slots >= -1)
);

-- "GUST" in ASCII: tells this program's databases from other SQLite files.
PRAGMA application_id = 1196774228;
PRAGMA user_version = 1;
