package python

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gust/internal/pyworker"
	"gust/operators"
)

// DateOf calls a Python function that says of which logical date a task waits (Airflow: execution_date_fn): an import
// path, or a name in a file. A function that returns several dates is refused.
func DateOf(deps Deps) func(ctx context.Context, t operators.Task, path, name, file string) (time.Time, error) {
	return func(ctx context.Context, t operators.Task, path, name, file string) (time.Time, error) {
		c := callable(t, path, name, file)
		r, err := newRequest(t, &deps, c)
		if err != nil {
			return time.Time{}, err
		}
		r.DateFirst, r.WantValue = true, true
		result, err := deps.Pool.Call(ctx, r)
		var raised *pyworker.RaisedError
		if errors.As(err, &raised) && raised.Of("AirflowFailException") {
			return time.Time{}, operators.Fail(err)
		}
		if err != nil {
			return time.Time{}, err
		}
		var text string
		if err := json.Unmarshal(result.Value, &text); err != nil {
			return time.Time{}, operators.Failf("%s returned %s; expected one datetime", c, result.Value)
		}
		date, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return time.Time{}, operators.Fail(fmt.Errorf("%s returned %q; expected a datetime with a timezone", c, text))
		}
		return date, nil
	}
}
