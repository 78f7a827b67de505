// Package expansion finds the lists and objects that mapped tasks run over: the scheduler wants their lengths, an attempt
// its own items.
package expansion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gust/dag"
	"gust/store"
)

// Source reads XComs.
type Source interface {
	XComGet(ctx context.Context, key dag.Key, name string) (*store.XCom, error)
	XComMapped(ctx context.Context, run dag.RunKey, taskID, name string) ([]store.XCom, error)
}

// UnmappableError is a value that a task cannot be mapped over (Airflow: UnmappableXComTypePushed).
type UnmappableError struct{ Reason string }

func (e *UnmappableError) Error() string { return e.Reason }

// Lengths are the numbers of items of a task's mapped fields in a run. An error that is an *UnmappableError is final.
func Lengths(ctx context.Context, xcoms Source, d *dag.DAG, run dag.RunKey, m *dag.Mapping) ([]int, error) {
	out := make([]int, len(m.Fields))
	for i := range m.Fields {
		value, err := Value(ctx, xcoms, d, run, &m.Fields[i])
		if err != nil {
			return nil, err
		}
		out[i], _ = dag.Items(value)
	}
	return out, nil
}

// Value is the list or object of a mapped field in a run. Nothing else is returned without an *UnmappableError.
func Value(ctx context.Context, xcoms Source, d *dag.DAG, run dag.RunKey, f *dag.MappedField) (any, error) {
	if f.Source == nil {
		return f.Value, nil
	}
	value, err := pull(ctx, xcoms, d, run, f.Source)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", f.Name, err)
	}
	if _, ok := dag.Items(value); !ok {
		return nil, fmt.Errorf("field %s: %w", f.Name, Unmappable(f.Source.TaskID, f.Source.Key, value))
	}
	return value, nil
}

// Unmappable says what is wrong with a value that a task should be mapped over.
func Unmappable(taskID, key string, value any) *UnmappableError {
	return &UnmappableError{fmt.Sprintf("task %s pushed %s as %q; a task can be mapped over a list or an object only",
		taskID, kind(value), key)}
}

func kind(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a text"
	case float64, int64, json.Number:
		return "a number"
	}
	return fmt.Sprintf("a %T", value)
}

// pull reads a source: of a mapped task, the list of what its instances pushed.
func pull(ctx context.Context, xcoms Source, d *dag.DAG, run dag.RunKey, ref *dag.XComRef) (any, error) {
	if task := d.Task(ref.TaskID); task != nil && task.Mapped != nil {
		rows, err := xcoms.XComMapped(ctx, run, ref.TaskID, ref.Key)
		if err != nil {
			return nil, err
		}
		values := make([]any, 0, len(rows))
		for i := range rows {
			v, err := decode(&rows[i], ref)
			if err != nil {
				return nil, err
			}
			if v != nil {
				values = append(values, v)
			}
		}
		return values, nil
	}
	key := dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: ref.TaskID, MapIndex: -1}
	x, err := xcoms.XComGet(ctx, key, ref.Key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &UnmappableError{fmt.Sprintf("task %s has pushed no XCom %q to map over", ref.TaskID, ref.Key)}
	}
	if err != nil {
		return nil, err
	}
	return decode(x, ref)
}

func decode(x *store.XCom, ref *dag.XComRef) (any, error) {
	value, err := dag.DecodeJSON(x.Value)
	if err != nil {
		return nil, fmt.Errorf("XCom %q of %s: %w", x.Name, x.Key, err)
	}
	if ref.Item == nil {
		return value, nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, &UnmappableError{fmt.Sprintf("task %s pushed %s as %q, which has no key %q",
			ref.TaskID, kind(value), ref.Key, *ref.Item)}
	}
	item, ok := object[*ref.Item]
	if !ok {
		return nil, &UnmappableError{fmt.Sprintf("what task %s pushed as %q has no key %q", ref.TaskID, ref.Key, *ref.Item)}
	}
	return item, nil
}
