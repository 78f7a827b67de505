package dag_test

import (
	"encoding/json"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gust/dag"
)

func TestNextRetryDelay(t *testing.T) {
	t.Parallel()
	logical := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	cases := []struct {
		name    string
		task    dag.Task
		logical time.Time
		try     int
		want    time.Duration
	}{
		// The jittered values are those of CPython: base + int(sha1(...).hexdigest(), 16) % base.
		{"constant", dag.Task{RetryDelay: 90 * time.Second}, logical, 3, 90 * time.Second},
		{"constant is not capped", dag.Task{RetryDelay: 36 * time.Hour, MaxRetryDelay: time.Hour}, logical, 1,
			36 * time.Hour},
		{"backoff 1", dag.Task{ID: "load", RetryDelay: 300 * time.Second, RetryBackoff: 2}, logical, 1, jitterLoad1},
		{"backoff 3", dag.Task{ID: "load", RetryDelay: 300 * time.Second, RetryBackoff: 2}, logical, 3, jitterLoad3},
		{"no logical date", dag.Task{ID: "load", RetryDelay: 300 * time.Second, RetryBackoff: 2}, time.Time{}, 1, jitterNone},
		{"microseconds", dag.Task{ID: "load", RetryDelay: 300 * time.Second, RetryBackoff: 2},
			logical.Add(1500 * time.Microsecond), 1, jitterMicro},
		{"base is at least a second", dag.Task{ID: "x", RetryBackoff: 2}, logical, 1, time.Second},
		{"own cap", dag.Task{ID: "x", RetryDelay: time.Hour, RetryBackoff: 2, MaxRetryDelay: 10 * time.Minute}, logical, 9,
			10 * time.Minute},
		{"global cap", dag.Task{ID: "x", RetryDelay: time.Hour, RetryBackoff: 3}, logical, 4000, dag.MaxRetryDelay},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.task.NextRetryDelay("etl", c.logical, c.try); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

const (
	jitterLoad1 = 489 * time.Second
	jitterLoad3 = 1286 * time.Second
	jitterNone  = 400 * time.Second
	jitterMicro = 307 * time.Second
)

func TestNextRetryDelayBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		task := dag.Task{
			ID:            rapid.StringMatching(`[a-z_.]{1,12}`).Draw(t, "id"),
			RetryDelay:    time.Duration(rapid.IntRange(0, 7200).Draw(t, "delay")) * time.Second,
			RetryBackoff:  rapid.Float64Range(0.1, 5).Draw(t, "multiplier"),
			MaxRetryDelay: time.Duration(rapid.IntRange(0, 7200).Draw(t, "max")) * time.Second,
		}
		try := rapid.IntRange(1, 60).Draw(t, "try")
		got := task.NextRetryDelay("d", time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0), try)
		limit := dag.MaxRetryDelay
		if task.MaxRetryDelay > 0 {
			limit = min(limit, task.MaxRetryDelay)
		}
		if got < min(time.Second, limit) || got > limit {
			t.Fatalf("delay %v outside [1s, %v]", got, limit)
		}
	})
}

// TestNextRetryDelayPython compares with CPython's arithmetic itself.
func TestNextRetryDelayPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is missing")
	}
	script := `
import sys, json, math, hashlib, datetime
out = []
for i in range(200):
    at = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    at += datetime.timedelta(minutes=37 * i, microseconds=(i % 3) * 11)
    secs, m, n = (i * 7) % 400, 1 + (i % 5) * 0.5, 1 + i % 9
    base = max(1, math.ceil(secs * m ** (n - 1)))
    h = int(hashlib.sha1(f"etl#t{i}#{at}#{n}".encode()).hexdigest(), 16)
    out.append([i, at.timestamp(), secs, m, n, min(h % base + base, 86400)])
json.dump(out, sys.stdout)`
	raw, err := exec.CommandContext(t.Context(), python, "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][6]float64
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		task := dag.Task{ID: "t" + strconv.Itoa(int(r[0])), RetryDelay: time.Duration(r[2]) * time.Second, RetryBackoff: r[3]}
		at := time.UnixMicro(int64(r[1]*1e6 + 0.5))
		if got := task.NextRetryDelay("etl", at, int(r[4])); got != time.Duration(r[5])*time.Second {
			t.Errorf("%v: got %v, Python says %vs", r, got, r[5])
		}
	}
}
