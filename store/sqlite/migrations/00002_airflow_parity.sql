-- +goose Up

-- Notes are people's; the scheduler never writes them. A run of a backfill names it. rendered_map_index is what
-- map_index_template came to.
ALTER TABLE dag_run ADD COLUMN clear_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dag_run ADD COLUMN backfill_id INTEGER NOT NULL DEFAULT 0; -- 0: none
ALTER TABLE dag_run ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE task_instance ADD COLUMN rendered_map_index TEXT;
ALTER TABLE task_instance ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE task_instance_history ADD COLUMN rendered_map_index TEXT;

CREATE INDEX dag_run_backfill ON dag_run (backfill_id, run_after) WHERE backfill_id <> 0;

-- How often people have changed rows that the scheduler holds in memory: a higher number than it has seen tells it to
-- load everything again.
CREATE TABLE edit (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    number BIGINT  NOT NULL
);
INSERT INTO edit (id, number) VALUES (1, 0);

CREATE TABLE backfill (
    id                 INTEGER PRIMARY KEY,
    dag_id             TEXT    NOT NULL,
    from_date          BIGINT  NOT NULL,
    to_date            BIGINT  NOT NULL,
    dag_run_conf       TEXT, -- JSON object
    is_paused          INTEGER NOT NULL CHECK (is_paused = 0 OR is_paused = 1),
    reprocess_behavior TEXT    NOT NULL CHECK (
        reprocess_behavior = 'none' OR reprocess_behavior = 'failed' OR reprocess_behavior = 'completed'),
    run_backwards      INTEGER NOT NULL CHECK (run_backwards = 0 OR run_backwards = 1),
    max_active_runs    INTEGER NOT NULL CHECK (max_active_runs > 0),
    created_at         BIGINT  NOT NULL,
    completed_at       BIGINT
);

-- What became of assets. asset_cursor is the first event that a DAG has not been run for, 0 for a DAG that waits for no
-- asset; asset_events are the events that a run was made for.
CREATE TABLE asset_event (
    id               INTEGER PRIMARY KEY,
    name             TEXT    NOT NULL,
    uri              TEXT    NOT NULL,
    timestamp        BIGINT  NOT NULL,
    source_dag_id    TEXT    NOT NULL, -- '' for an event from outside
    source_run_id    TEXT    NOT NULL,
    source_task_id   TEXT    NOT NULL,
    source_map_index INTEGER NOT NULL,
    extra            TEXT, -- JSON object
    aliases          TEXT    NOT NULL, -- JSON list
    CONSTRAINT asset_event_has_name CHECK (name <> '')
);
CREATE INDEX asset_event_name ON asset_event (name, id);

-- Events that other processes ask for; the scheduler makes them and deletes the request.
CREATE TABLE asset_request (
    id        INTEGER PRIMARY KEY,
    name      TEXT   NOT NULL,
    uri       TEXT   NOT NULL,
    timestamp BIGINT NOT NULL,
    extra     TEXT
);

-- Callbacks that are due and have not been carried out.
CREATE TABLE callback (
    id         INTEGER PRIMARY KEY,
    dag_id     TEXT    NOT NULL,
    run_id     TEXT    NOT NULL,
    task_id    TEXT    NOT NULL, -- '' for a callback of the run
    map_index  INTEGER NOT NULL,
    try_number INTEGER NOT NULL,
    data       TEXT    NOT NULL, -- JSON
    reason     TEXT    NOT NULL,
    created_at BIGINT  NOT NULL
);

ALTER TABLE dag_run ADD COLUMN deadlines_missed BIGINT NOT NULL DEFAULT 0; -- bit by bit
ALTER TABLE dag ADD COLUMN asset_cursor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dag_run ADD COLUMN asset_events TEXT; -- JSON list of asset_event.id

PRAGMA user_version = 2;
