package shell

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gust/internal/childprocess"
	"gust/operators"
	"gust/operators/operatorstest"
)

func filters(t *testing.T) *Filters {
	t.Helper()
	starter, err := childprocess.NewStarter()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := starter.Close(); err != nil {
			t.Error(err)
		}
	})
	f, err := NewFilters(Deps{Starter: starter, Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilter(t *testing.T) {
	t.Parallel()
	f := filters(t)
	large := bytes.Repeat([]byte("x"), 1<<20) // more than a pipe holds
	for _, c := range []struct {
		filter             Filter
		output, errs, code string
		cut                bool
	}{
		{Filter{Line: "tr a-z A-Z", Input: []byte("abc"), MaxOutput: 10}, "ABC", "", "0", false},
		{Filter{Line: "cat; echo no such order >&2; exit 3", Input: []byte("abc"), MaxOutput: 2}, "ab", "no such order", "3", true},
		{Filter{Line: "echo $ORDER $GUST_CTX_TASK_ID", Env: map[string]string{"ORDER": "7"}, MaxOutput: 100}, "7 task\n", "", "0", false},
		{Filter{Line: "kill -9 $$", MaxOutput: 10}, "", "", "-9", false},
		{Filter{Line: "wc -c", Input: large, MaxOutput: 10}, "1048576\n", "", "0", false},
		{Filter{Line: "true", Input: large, MaxOutput: 10}, "", "", "0", false}, // reads nothing of it
	} {
		end, err := f.Run(t.Context(), operatorstest.NewTask(t), c.filter)
		if err != nil {
			t.Errorf("%s: %v", c.filter.Line, err)
		}
		if string(end.Output) != c.output || end.Errors != c.errs || end.Code != c.code || end.Cut != c.cut {
			t.Errorf("%s: %q, %q, code %s, cut %v", c.filter.Line, end.Output, end.Errors, end.Code, end.Cut)
		}
	}
}

func TestFilterIsEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	task := operatorstest.NewTask(t)
	done := make(chan error)
	go func() {
		_, err := filters(t).Run(ctx, task, Filter{Line: "echo up >&2; sleep 1000", MaxOutput: 10})
		done <- err
	}()
	for !strings.Contains(task.LogText(), "msg=up") {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel(operators.ErrKilled)
	if err := <-done; !errors.Is(err, operators.ErrKilled) {
		t.Errorf("%v", err)
	}
}
