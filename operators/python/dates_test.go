//go:build unix

package python

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gust/operators"
)

const dateFunctions = `
import datetime

def day_ago(logical_date): return logical_date.subtract(days=1)
def of_context(day, ds, **context): return day - datetime.timedelta(days=1 if ds == context["ds_nodash"][:4] + day.strftime("-%m-%d") else 9)
def several(day): return [day]
def naive(day): return datetime.datetime(2024, 1, 1)
def text(day): return "yesterday"
`

// TestDateOf: the function gets the logical date first, whatever it calls it, and what it asks of the context.
func TestDateOf(t *testing.T) {
	t.Parallel()
	b := setUp(t, dateFunctions)
	ask := DateOf(b.deps)
	want := b.task.Run().LogicalDate.Add(-24 * time.Hour)
	for _, name := range []string{"day_ago", "of_context"} {
		got, err := ask(t.Context(), b.task, "", name, b.file)
		if err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	if got, err := ask(t.Context(), b.task, "functions.day_ago", "", ""); err != nil || !got.Equal(want) {
		t.Errorf("by import path: %v, %v", got, err)
	}
	for name, text := range map[string]string{
		"several": "returned [\"", "naive": "expected a datetime with a timezone", "text": "returned \"yesterday\"", "gone": "has no 'gone'",
	} {
		if _, err := ask(t.Context(), b.task, "", name, b.file); err == nil || !strings.Contains(err.Error(), text) || !operators.NoRetry(err) {
			t.Errorf("%s: %v; want %q, and no retry", name, err, text)
		}
	}
}

// TestObjects: what a pipeline file writes as {__type__: ...} is made before the function gets it.
func TestObjects(t *testing.T) {
	t.Parallel()
	b := setUp(t, `
def show(delta, path=None, days=()): return [str(delta), type(path).__name__, [str(d) for d in days]]
`)
	res, err := b.run(t, "PythonOperator", "show", map[string]any{
		"op_args": []any{map[string]any{"__type__": "datetime.timedelta", "hours": int64(1)}},
		"op_kwargs": map[string]any{
			"path": map[string]any{"__type__": "pathlib.PurePosixPath", "__args__": []any{"/a"}},
			"days": []any{map[string]any{"__type__": "datetime.date", "year": int64(2024), "month": int64(1), "day": int64(31)}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s", res.Value); got != `["1:00:00", "PurePosixPath", ["2024-01-31"]]` {
		t.Errorf("the function got %s", got)
	}
	_, err = b.run(t, "PythonOperator", "show", map[string]any{
		"op_args": []any{map[string]any{"__type__": "nowhere.at.all.Nothing"}},
	})
	if err == nil || !strings.Contains(err.Error(), "nowhere.at.all.Nothing: no module 'nowhere'") {
		t.Errorf("an object of an unknown class: %v", err)
	}
}
