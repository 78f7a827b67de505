package engine

import (
	"context"
	"errors"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/interp"
)

// PerformOnce does the task of a tested state, which belongs to no execution.
func (e *Engine) PerformOnce(ctx context.Context, test *interp.StateTest, t interp.Task) (string, *interp.Failure) {
	info := test.Info
	out, err := e.handlers.Do(ctx, handlers.Request{
		Resource: t.Resource, Input: t.Input, ExecutionARN: info.ExecutionARN, State: t.State, Machine: info.MachineName,
		Region: info.Region, RoleARN: info.RoleARN, TaskID: t.ID, Credentials: t.Credentials, Token: t.Token, Attempt: t.Attempt,
	})
	if out.Sent != nil {
		request := interp.HTTPRequest(*out.Sent)
		test.Request = &request
	}
	if out.Received != nil {
		response := interp.HTTPResponse(*out.Received)
		test.Response = &response
	}
	var failed *handlers.TaskError
	switch {
	case errors.As(err, &failed):
		return "", &interp.Failure{Name: failed.Name, Cause: failed.Cause}
	case err != nil:
		return "", &interp.Failure{Name: asl.ErrTaskFailed, Cause: err.Error()}
	}
	return out.Output, nil
}
