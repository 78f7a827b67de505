package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
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

// AnswerToken applies an event to the task that a token names. It returns [ErrInvalidToken], [ErrTaskClosed] or, when
// there is no such execution, [journal.ErrNotFound].
func (e *Engine) AnswerToken(token string, event func(task int64) interp.Event) error {
	ref, ok := e.tokens.read(token)
	if !ok {
		return ErrInvalidToken
	}
	_, err := e.Do(ref.execution, Item{
		Event: event(ref.task),
		Check: func(x *interp.Execution, _ *journal.Execution) error {
			if !x.TaskOpen(ref.task) {
				return ErrTaskClosed
			}
			return nil
		},
	})
	if errors.Is(err, ErrEnded) || errors.Is(err, journal.ErrNotFound) && ref.execution < 0 {
		// An express execution that has ended is forgotten.
		return ErrTaskClosed
	}
	return err
}
