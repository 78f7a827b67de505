package stepfunctions

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/server"
)

// tokens makes and reads task tokens: the numbers of the execution and the task, and a code that only the holder of the
// secret can make. Nothing about a token is stored.
type tokens struct{ secret []byte }

func newTokens(secret []byte) tokens { return tokens{secret} }

const (
	tokenBody = 16
	tokenMAC  = 32
)

func (t tokens) mac(body []byte) []byte {
	h := hmac.New(sha256.New, t.secret)
	_, _ = h.Write(body) // a hash never fails to write
	return h.Sum(nil)
}

func (t tokens) make(execution, task int64) string {
	body := binary.BigEndian.AppendUint64(make([]byte, 0, tokenBody+tokenMAC), uint64(execution))
	body = binary.BigEndian.AppendUint64(body, uint64(task))
	return base64.StdEncoding.EncodeToString(append(body, t.mac(body)...))
}

func (t tokens) read(text string) (ref taskRef, ok bool) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) != tokenBody+tokenMAC || !hmac.Equal(data[tokenBody:], t.mac(data[:tokenBody])) {
		return ref, false
	}
	return taskRef{int64(binary.BigEndian.Uint64(data)), int64(binary.BigEndian.Uint64(data[8:]))}, true
}

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
		return interp.TaskFailed{ID: task, Error: orText(in.Error, ""), Cause: orText(in.Cause, "")}
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

// errTaskClosed refuses the answer to a task that has ended.
var errTaskClosed = server.Errorf("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")

// answerToken applies an event to the task that a token names, unless the task has ended.
func (s *Service) answerToken(token string, event func(task int64) interp.Event) (*empty, error) {
	ref, ok := s.engine.tokens.read(token)
	if !ok {
		return nil, server.Errorf("InvalidToken", "Invalid Token: 'Invalid token'")
	}
	_, err := s.engine.do(ref.execution, item{
		event: event(ref.task),
		check: func(l *live) error {
			if !l.x.TaskOpen(ref.task) {
				return errTaskClosed
			}
			return nil
		},
	})
	switch {
	case errors.Is(err, errEnded):
		return nil, errTaskClosed
	case errors.Is(err, journal.ErrNotFound) && ref.execution < 0:
		// An express execution that has ended is forgotten.
		return nil, errTaskClosed
	case errors.Is(err, journal.ErrNotFound):
		return nil, server.Errorf("TaskDoesNotExist", "Task does not exist: '%s'", token)
	case err != nil:
		return nil, err
	}
	return &empty{}, nil
}
