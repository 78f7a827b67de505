package stepfunctions

import (
	"errors"

	"gust/stepfunctions/engine"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/server"
)

// maxTaskToken is the longest task token.
const maxTaskToken = 2048

type sendTaskInput struct {
	TaskToken *string `json:"taskToken"`
	Output    *string `json:"output"`
	Error     *string `json:"error"`
	Cause     *string `json:"cause"`
}

func (s *Service) sendTaskSuccess(_ request, in *sendTaskInput) (*empty, error) {
	var v violations
	v.text("taskToken", in.TaskToken, 1, maxTaskToken)
	v.required("output", in.Output != nil)
	v.payload("output", in.Output, interp.MaxPayloadBytes)
	if err := v.err(); err != nil {
		return nil, err
	}
	_, err := jsonvalue.Parse(*in.Output)
	var syntax *jsonvalue.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, server.Errorf("InvalidOutput", "Invalid Output: '%s'", syntax.Message)
	case err != nil:
		return nil, server.Errorf("InvalidOutput", "Invalid Output: '%v'", err)
	}
	return s.answerToken(*in.TaskToken, func(task int64) interp.Event {
		return interp.TaskSucceeded{ID: task, Output: *in.Output}
	})
}

func (s *Service) sendTaskFailure(_ request, in *sendTaskInput) (*empty, error) {
	var v violations
	v.text("taskToken", in.TaskToken, 1, maxTaskToken)
	v.secret("error", in.Error, 0, maxError)
	v.secret("cause", in.Cause, 0, maxCause)
	if err := v.err(); err != nil {
		return nil, err
	}
	return s.answerToken(*in.TaskToken, func(task int64) interp.Event {
		return interp.TaskFailed{ID: task, Error: orText(in.Error, ""), Cause: orText(in.Cause, ""), ByToken: true}
	})
}

func (s *Service) sendTaskHeartbeat(_ request, in *sendTaskInput) (*empty, error) {
	var v violations
	v.text("taskToken", in.TaskToken, 1, maxTaskToken)
	if err := v.err(); err != nil {
		return nil, err
	}
	return s.answerToken(*in.TaskToken, func(task int64) interp.Event { return interp.TaskHeartbeat{ID: task} })
}

// answerToken applies an event to the task that a token names, unless the task has ended.
func (s *Service) answerToken(token string, event func(task int64) interp.Event) (*empty, error) {
	err := s.engine.AnswerToken(token, event)
	switch {
	case errors.Is(err, engine.ErrInvalidToken):
		err = server.Errorf("InvalidToken", "Invalid Token: 'Invalid token'")
	case errors.Is(err, engine.ErrTaskClosed):
		err = server.Errorf("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
	case errors.Is(err, journal.ErrNotFound):
		err = server.Errorf("TaskDoesNotExist", "Task does not exist: '%s'", token)
	}
	return &empty{}, err
}
