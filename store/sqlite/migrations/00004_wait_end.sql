-- +goose Up

-- Ends that people give to waits (gust triggers fire, cancel); the scheduler applies them and deletes the request.
-- Its ids, and those of asset requests, are never used again: the scheduler knows by them what it has answered already.
CREATE TABLE wait_end (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    dag_id     TEXT    NOT NULL,
    run_id     TEXT    NOT NULL,
    task_id    TEXT    NOT NULL,
    map_index  INTEGER NOT NULL,
    try_number INTEGER NOT NULL,
    event      TEXT, -- JSON
    error      TEXT,
    stop       TEXT    NOT NULL, -- why what the task started is stopped, '' when it is left running
    created_at BIGINT  NOT NULL,
    CONSTRAINT wait_end_is_one_end CHECK ((event IS NULL) <> (error IS NULL)),
    CONSTRAINT wait_end_once UNIQUE (dag_id, run_id, task_id, map_index, try_number)
);

CREATE TABLE asset_request_once (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT   NOT NULL,
    uri       TEXT   NOT NULL,
    timestamp BIGINT NOT NULL,
    extra     TEXT
);
INSERT INTO asset_request_once (id, name, uri, timestamp, extra) SELECT id, name, uri, timestamp, extra FROM asset_request;
DROP TABLE asset_request;
ALTER TABLE asset_request_once RENAME TO asset_request;

PRAGMA user_version = 4;
