package stepfunctions

import (
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"gust/stepfunctions/engine"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// Bounds of the memory for client tokens.
const (
	redriveTokenLife = 15 * time.Minute
	maxRedriveTokens = 10
)

type redriveExecutionInput struct {
	ExecutionArn *string `json:"executionArn"`
	ClientToken  *string `json:"clientToken"`
}

type redriveExecutionOutput struct {
	RedriveDate epoch `json:"redriveDate"`
}

// redriveToken remembers a client token, so that a repeated request has no second effect.
type redriveToken struct {
	Token string `json:"token"`
	At    int64  `json:"at"`
}

func (s *Service) redriveExecution(r request, in *redriveExecutionInput) (*redriveExecutionOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	e, err := s.execution(r, *in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	var repeated time.Time
	row, err := s.engine.Do(e.ID, engine.Item{
		Event: interp.Redrive{},
		Check: func(_ *interp.Execution, row *journal.Execution) error {
			if in.ClientToken != nil {
				if repeated = s.redrivenWith(row, *in.ClientToken); !repeated.IsZero() {
					return errRepeated
				}
			}
			return s.refuseRedrive(r, row)
		},
		Note: func(row *journal.Execution) { s.rememberToken(row, in.ClientToken) },
	})
	switch {
	case errors.Is(err, errRepeated):
		return &redriveExecutionOutput{RedriveDate: epoch(repeated)}, nil
	case errors.Is(err, engine.ErrEnded):
		return nil, s.refuseRedrive(r, row)
	case err != nil:
		return nil, err
	}
	return &redriveExecutionOutput{RedriveDate: epoch(row.Redriven)}, nil
}

// redriveStatus says whether an execution can be redriven, and why not.
func (s *Service) redriveStatus(r request, row *journal.Execution) (status, reason string) {
	status, reason = engine.RedriveStatus(row, s.now())
	if status == engine.Redrivable {
		if m, err := s.engine.Machines.Get(r.ctx, row.MachineARN); err == nil && m.Status == engine.Deleting {
			return engine.NotRedrivable, "State machine is in DELETING status"
		}
	}
	return status, reason
}

// refuseRedrive says why an execution is not redriven, nil when it is.
func (s *Service) refuseRedrive(r request, row *journal.Execution) error {
	switch status, reason := s.redriveStatus(r, row); status {
	case engine.Redrivable:
		return nil
	case engine.RedrivableByMapRun:
		return server.Errorf("ExecutionNotRedrivable", "Execution was started by a Map Run and can only be redriven by it")
	default:
		return server.Errorf("ExecutionNotRedrivable", "%s", reason)
	}
}

// clientTokenPattern is AWS's pattern of a client token.
var clientTokenPattern = regexp.MustCompile(`^[!-~]+$`)

func (in *redriveExecutionInput) check() error {
	var v violations
	v.text("executionArn", in.ExecutionArn, 1, maxARN)
	v.length("clientToken", in.ClientToken, 1, 64)
	if in.ClientToken != nil && *in.ClientToken != "" && !clientTokenPattern.MatchString(*in.ClientToken) {
		v.add(shown(*in.ClientToken), "clientToken", "satisfy regular expression pattern: [!-~]+")
	}
	return v.err()
}

// errRepeated is a redrive whose client token was seen before.
var errRepeated = errors.New("the request was carried out before")

func redriveTokens(row *journal.Execution) []redriveToken {
	var tokens []redriveToken
	if row.RedriveTokens != nil {
		// What cannot be read is as good as forgotten.
		_ = json.Unmarshal([]byte(*row.RedriveTokens), &tokens)
	}
	return tokens
}

func (s *Service) redrivenWith(row *journal.Execution, token string) time.Time {
	for _, t := range redriveTokens(row) {
		if at := time.UnixMilli(t.At).UTC(); t.Token == token && s.now().Sub(at) < redriveTokenLife {
			return at
		}
	}
	return time.Time{}
}

func (s *Service) rememberToken(row *journal.Execution, token *string) {
	if token == nil {
		return
	}
	tokens := append(redriveTokens(row), redriveToken{Token: *token, At: s.now().UnixMilli()})
	data, err := json.Marshal(tokens[max(0, len(tokens)-maxRedriveTokens):])
	if err == nil {
		text := string(data)
		row.RedriveTokens = &text
	}
}
