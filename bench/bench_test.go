package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLimitWritesTheSameRows keeps the comparison honest: the bare loop must leave the tables that the engine left.
func TestLimitWritesTheSameRows(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, err := chain("same", 20, bashTrue)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e, err := startEngine(ctx, dir, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	runErr := e.deploy(ctx, d)
	if runErr == nil {
		_, runErr = e.run(ctx, d, 3)
	}
	batches := e.store.recorded()
	if err := errors.Join(runErr, e.stop(context.WithoutCancel(ctx))); err != nil {
		t.Fatal(err)
	}
	bareDir := t.TempDir()
	l, err := openLimit(ctx, bareDir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.write(ctx, batches)
	if err = errors.Join(err, l.close()); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"SELECT * FROM dag_run ORDER BY dag_id, run_id",
		"SELECT * FROM task_instance ORDER BY dag_id, run_id, task_id",
		"SELECT * FROM xcom ORDER BY dag_id, run_id, task_id, key",
	} {
		engine, bare := table(t, dir, query), table(t, bareDir, query)
		if len(engine) == 0 {
			t.Errorf("%s: the engine left no rows", query)
		}
		if diff := cmp.Diff(engine, bare); diff != "" {
			t.Errorf("%s (-engine +bare):\n%s", query, diff)
		}
	}
}

func table(t *testing.T, dir, query string) [][]any {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "gust.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]any
	for rows.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		out = append(out, values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLatencyCountsEveryHandOver(t *testing.T) {
	t.Parallel()
	b, err := newBench(settings{profile: "quick", dir: t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b.profile.chain = 99 // one chain of 100
	results, err := b.latency(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || results[0].Value <= 0 || results[0].Value > results[1].Value || results[0].Met == nil {
		t.Errorf("results: %+v", results)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := &report{Profile: "quick", Machine: machine{CPU: "cpu", Cores: 2, At: time.Unix(0, 0).UTC()}}
	r.add(measurement{name: "one", about: "what it is"}, []result{
		result{Name: "rate", Value: 12345, Unit: "tasks/s"}.slower(24690, "bare").atMost(1.5, "at most 1.5x slower"),
		result{Name: "size", Value: 26.2, Unit: "MB"}.atMost(45, "under 45 MB"),
		result{Name: "wait", Value: 0.5, Unit: "ms"}.beyond(0.1, "fsync"),
		{Name: "peer", Note: "not measured: absent"},
	})
	var text, raw bytes.Buffer
	if err := errors.Join(r.writeTable(&text), r.writeJSON(&raw)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"12,345 tasks/s  24,690 tasks/s (bare)  2.00x slower  at most 1.5x slower  NO",
		"26.2 MB", "under 45 MB          yes", "+0.40 ms", "peer [1]", "[1] not measured: absent",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &text)
		}
	}
	var back report
	if err := json.Unmarshal(raw.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &back); diff != "" {
		t.Errorf("JSON and back (-want +got):\n%s", diff)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0.000", 0.0317: "0.0317", 0.5: "0.500", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234: "1,234",
		1234567: "1,234,567",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-profile", "slow"}, {"-only", "speed"}, {"extra"}, {"-nope"}} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if !errors.As(err, new(usageError)) {
			t.Errorf("%v: %v, want a usage error", args, err)
		}
	}
}

func TestDaguLog(t *testing.T) {
	t.Parallel()
	l := &daguLog{started: make(chan struct{}), ended: make(chan struct{}), runs: 2, seen: map[string]bool{}}
	text := "msg=\"Scheduler started\"\nrun-id=a status=succeeded\nrun-id=a status=succeeded\nrun-id=b status=succ"
	if _, err := io.WriteString(l, text); err != nil {
		t.Fatal(err)
	}
	<-l.started
	select {
	case <-l.ended:
		t.Fatal("ended after one run")
	default:
	}
	if _, err := io.WriteString(l, "eeded\n"); err != nil {
		t.Fatal(err)
	}
	<-l.ended
}
