package simtest

import (
	"context"
	"strings"

	"gust/connections"
	"gust/internal/param"
	"gust/operators"
	sfnoperators "gust/operators/stepfunctions"
	"gust/runner/attempt"
	"gust/runner/plan/plantest"
	sfnsensors "gust/sensors/stepfunctions"
)

// memory is the store.
type memory struct{ *plantest.Store }

// noConnections: the clients need none.
type noConnections struct{}

func (noConnections) Connection(_ context.Context, id string) (*connections.Connection, error) {
	return nil, &connections.NotFoundError{ID: id}
}

// renderer puts in what stands for the execution that another task has started.
type renderer struct{}

func (renderer) RenderParams(
	ctx context.Context, h *attempt.Handle, _ *param.Schema, params map[string]any,
) (map[string]any, error) {
	arn, _ := params["execution_arn"].(string)
	task, ok := strings.CutPrefix(arn, startedBy)
	if !ok {
		return params, nil
	}
	out := map[string]any{}
	for k, v := range params {
		out[k] = v
	}
	raw, _, err := h.XComPull(ctx, task, "execution_arn")
	out["execution_arn"] = operators.Text(raw)
	return out, err
}

// workName is an operator that does something and ends.
const workName = "Work"

// work ends as its attempt's identity says.
type work struct{ w *player }

func (o *work) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	h := o.w.h
	if err := h.current.call(ctx, "work", func() error { return nil }); err != nil {
		return operators.Result{}, err
	}
	switch n := h.service.roll(t.Attempt().String(), 10); {
	case n < 2:
		return operators.Result{}, operators.Failf("failed for good")
	case n < 4:
		return operators.Result{}, errNone
	case n == 4:
		return operators.Skip("nothing to do"), nil
	}
	return operators.Done(nil), nil
}

// newRegistry holds the real operator and sensor, and work.
func newRegistry(w *player) (*operators.Registry, error) {
	r := operators.NewRegistry()
	deps := sfnoperators.Deps{Clients: clients{w: w, inThread: true}, Backoff: w.pause}
	if err := sfnoperators.Register(r, deps); err != nil {
		return nil, err
	}
	if err := sfnsensors.Register(r, sfnsensors.Deps{Clients: clients{w: w, inThread: true}}); err != nil {
		return nil, err
	}
	return r, r.Register(operators.Spec{Name: workName, New: func() operators.Operator { return &work{w} }})
}
