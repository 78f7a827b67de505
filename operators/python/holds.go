package python

import (
	"context"
	"errors"
	"strings"

	"gust/internal/pyworker"
	"gust/operators"
	"gust/triggers/httpreq"
)

// responseClass is what a function gets as its response.
const responseClass = "gust_airflow.Response"

// ResponseHolds calls a Python function with an HTTP response and reports whether what it returns is true (Airflow:
// response_check).
func ResponseHolds(deps Deps) func(ctx context.Context, t operators.Task, f httpreq.Function, r *httpreq.Response) (bool, error) {
	return func(ctx context.Context, t operators.Task, f httpreq.Function, r *httpreq.Response) (bool, error) {
		headers := make(map[string]any, len(r.Header))
		for name, values := range r.Header {
			headers[name] = strings.Join(values, ", ")
		}
		c := callable(t, f.Path, f.Name, f.File)
		if f.Lambda != "" {
			c = pyworker.Callable{Source: f.Lambda}
		}
		return holds(ctx, t, &deps, c, map[string]any{
			"__type__": responseClass, "status_code": r.Status, "text": r.Text(), "headers": headers, "reason": r.Reason,
		})
	}
}

// CellHolds calls a Python function, a name in a file, with a cell of a query's answer and reports whether what it returns
// is true (Airflow: success and failure of SqlSensor).
func CellHolds(deps Deps) func(ctx context.Context, t operators.Task, name, file string, cell any) (bool, error) {
	return func(ctx context.Context, t operators.Task, name, file string, cell any) (bool, error) {
		return holds(ctx, t, &deps, callable(t, "", name, file), cell)
	}
}

// holds calls a function with one argument and reports whether what it returns is true.
func holds(ctx context.Context, t operators.Task, deps *Deps, c pyworker.Callable, arg any) (bool, error) {
	r, err := newRequest(t, deps, c)
	if err != nil {
		return false, err
	}
	r.Args, r.WantTruth = []any{arg}, true
	result, err := deps.Pool.Call(ctx, r)
	if err != nil {
		return false, final(err)
	}
	return result.Truth, nil
}

// final makes an error one that is not retried when the function asked for that.
func final(err error) error {
	var raised *pyworker.RaisedError
	if errors.As(err, &raised) && raised.Of("AirflowFailException") {
		return operators.Fail(err)
	}
	return err
}
