package stepfunctions

import (
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"gust/stepfunctions/history"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// Bounds of a redrive.
const (
	redrivablePeriod = 14 * 24 * time.Hour
	maxExecutionTime = 365 * 24 * time.Hour
	redriveTokenLife = 15 * time.Minute
	maxRedriveTokens = 10
)

// The values of redriveStatus.
const (
	redrivable         = "REDRIVABLE"
	notRedrivable      = "NOT_REDRIVABLE"
	redrivableByMapRun = "REDRIVABLE_BY_MAP_RUN"
)

// redriveStatus says whether an execution can be redriven, and why not.
func redriveStatus(e *journal.Execution, now time.Time) (status, reason string) {
	if reason = whyNotRedrivable(e, now); reason != "" {
		return notRedrivable, reason
	}
	if e.MapRun != 0 {
		return redrivableByMapRun, ""
	}
	return redrivable, ""
}

// whyNotRedrivable returns why an execution cannot be redriven, or "".
func whyNotRedrivable(e *journal.Execution, now time.Time) string {
	switch {
	case e.Status == string(interp.Running) || e.Status == string(interp.Succeeded):
		return "Execution is " + e.Status + " and cannot be redriven"
	case e.LastEvent >= history.MaxEvents-1:
		return "Execution history event limit exceeded"
	case now.Sub(e.Started) > maxExecutionTime:
		return "Execution has exceeded the max execution time"
	case now.Sub(e.Stopped) > redrivablePeriod:
		return "Execution redrivable period exceeded"
	}
	return ""
}

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
	row, err := s.engine.do(e.ID, item{
		event: interp.Redrive{},
		check: func(l *live) error {
			row := l.row
			if in.ClientToken != nil {
				if repeated = s.redrivenWith(row, *in.ClientToken); !repeated.IsZero() {
					return errRepeated
				}
			}
			return s.refuseRedrive(row)
		},
		note: func(row *journal.Execution) { s.rememberToken(row, in.ClientToken) },
	})
	switch {
	case errors.Is(err, errRepeated):
		return &redriveExecutionOutput{RedriveDate: epoch(repeated)}, nil
	case errors.Is(err, errEnded):
		return nil, s.refuseRedrive(row)
	case err != nil:
		return nil, err
	}
	return &redriveExecutionOutput{RedriveDate: epoch(row.Redriven)}, nil
}

// refuseRedrive says why an execution is not redriven, nil when it is.
func (s *Service) refuseRedrive(row *journal.Execution) error {
	switch status, reason := redriveStatus(row, s.now()); status {
	case redrivable:
		return nil
	case redrivableByMapRun:
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
