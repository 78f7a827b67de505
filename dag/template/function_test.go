package template

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestPythonMacros(t *testing.T) {
	t.Parallel()
	env := New(Options{Macros: map[string]any{
		"add_days": "sample.add_days", "dates": map[string]any{"shift": "my.lib.shift", "first": 1}, "bucket": "my-bucket",
		"fails": "sample.fails",
	}})
	called := func(_ context.Context, path string, args []any, kwargs map[string]any) (any, error) {
		if path == "sample.fails" {
			return nil, errors.New("ValueError: no")
		}
		return map[string]any{"path": path, "said": fmt.Sprint(args, kwargs)}, nil
	}
	for _, c := range []struct{ text, want string }{
		{`{{ add_days("2024-01-01", 5, by=[1, {"a": none}]).said }}`, "[2024-01-01 5] map[by:[1 map[a:<nil>]]]"},
		{`{{ dates.shift(dates.first).path }} {{ bucket }}`, "my.lib.shift my-bucket"},
		{`{{ add_days().said }}`, "[] map[]"},
	} {
		got, err := env.Render(t.Context(), c.text, &Vars{Function: called})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.text, got, err, c.want)
		}
	}
	if _, err := env.Render(t.Context(), "{{ fails() }}", &Vars{Function: called}); err == nil || !strings.Contains(err.Error(), "sample.fails: ValueError: no") {
		t.Errorf("a failing macro: %v", err)
	}
	_, err := env.Render(t.Context(), "{{ dates.shift() }}", &Vars{})
	if err == nil || !strings.Contains(err.Error(), "my.lib.shift is a Python function, and none can be called here") {
		t.Errorf("without Python: %v", err)
	}
}
