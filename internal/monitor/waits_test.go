package monitor_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"gust/dag"
	"gust/internal/monitor"
)

func TestShowWait(t *testing.T) {
	t.Parallel()
	held := dag.Key{DagID: "d", RunID: "scheduled__2026-11-28T12:00:00+00:00", TaskID: "t", MapIndex: -1}
	s, err := monitor.Listen(t.Context(), "127.0.0.1:0", monitor.Options{
		Metrics: http.NotFoundHandler(),
		Wait: func(_ context.Context, key dag.Key) (*monitor.ShownWait, error) {
			switch key {
			case held:
				return &monitor.ShownWait{Doing: "waiting", Key: "k", Together: 3, Hears: true, Checks: 2, NextCheck: at, Explained: []string{"by events"}}, nil
			case dag.Key{MapIndex: 7}:
				return nil, errors.New("the trigger loop does not run")
			}
			return nil, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		query string
		code  int
		want  string
	}{
		{"?dag_id=d&run_id=scheduled__2026-11-28T12%3A00%3A00%2B00%3A00&task_id=t", 200, `{"doing":"waiting","key":"k","together":3,"hears":true,"checks":2,` +
			`"next_check":"2026-11-28T12:00:00Z","explained":["by events"]}`},
		{"?dag_id=d&run_id=r&task_id=t&map_index=2", 404, `{"detail":"no wait of d.t[2] r is held"}`},
		{"?map_index=7", 503, `{"detail":"the trigger loop does not run"}`},
		{"?map_index=x", 400, `{"detail":"map_index is \"x\"; expected a number"}`},
	} {
		if code, body := get(t, s.URL()+monitor.WaitPath+c.query); code != c.code || body != c.want+"\n" {
			t.Errorf("%q: %d %s", c.query, code, body)
		}
	}
}
