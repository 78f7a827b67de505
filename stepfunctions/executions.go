package stepfunctions

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"gust/stepfunctions/history"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/server"
)

type startExecutionInput struct {
	StateMachineArn *string `json:"stateMachineArn"`
	Name            *string `json:"name"`
	Input           *string `json:"input"`
	TraceHeader     *string `json:"traceHeader"`
}

type startExecutionOutput struct {
	ExecutionArn string `json:"executionArn"`
	StartDate    epoch  `json:"startDate"`
}

// checkInput checks that an execution's input is JSON and small enough.
func checkInput(input string) error {
	if input == "" {
		return server.Errorf("InvalidExecutionInput", "Invalid State Machine Execution Input: 'Invalid execution input.'")
	}
	if len(input) > interp.MaxPayloadBytes {
		return server.Errorf("ValidationException", "1 validation error detected: Value at 'input' failed to satisfy "+
			"constraint: Member must have length less than or equal to %d", interp.MaxPayloadBytes)
	}
	_, err := jsonvalue.Parse(input)
	var syntax *jsonvalue.SyntaxError
	if errors.As(err, &syntax) {
		return server.Errorf("InvalidExecutionInput", "Invalid State Machine Execution Input: '%s'", syntax.Message)
	}
	return err
}

func (s *Service) startExecution(r request, in *startExecutionInput) (*startExecutionOutput, error) {
	var v violations
	v.required("stateMachineArn", in.StateMachineArn != nil)
	if err := v.err(); err != nil {
		return nil, err
	}
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return nil, err
		}
	}
	input := orText(in.Input, "{}")
	if err := checkInput(input); err != nil {
		return nil, err
	}
	m, err := s.machine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if m.Status == statusDeleting {
		return nil, server.Errorf("StateMachineDeleting", "State Machine is being deleted: '%s'", m.ARN)
	}
	if m.Type == typeExpress {
		return nil, server.Errorf("StateMachineTypeNotSupported", "Executions of EXPRESS state machines are not "+
			"supported by the local Step Functions service yet")
	}
	name := orText(in.Name, "")
	if in.Name == nil {
		name = uuid.NewString()
	}
	return s.begin(r, m, name, input, in.TraceHeader)
}

// begin starts an execution, or finds the running one with the same name and input.
func (s *Service) begin(r request, m *journal.Machine, name, input string, trace *string) (
	*startExecutionOutput, error,
) {
	compiled, err := s.engine.machines.revision(r.ctx, m.Revision.ID)
	if err != nil {
		return nil, err
	}
	row := &journal.Execution{
		ARN:  makeARN(m.Region, s.config.AccountID, "execution", m.Name+":"+name),
		Name: name, MachineARN: m.ARN, MachineName: m.Name, Machine: m.ID, Revision: m.Revision.ID, Started: s.now(),
		Input: input, TraceHeader: trace,
	}
	created, err := s.engine.begin(row, compiled, m.Revision.RoleARN)
	if err != nil {
		return nil, err
	}
	if created {
		s.starts.accepted.Add(1)
		if s.config.OnStart != nil {
			s.config.OnStart(row.ARN)
		}
		return &startExecutionOutput{ExecutionArn: row.ARN, StartDate: epoch(row.Started)}, nil
	}
	old, err := s.journal.ExecutionGet(r.ctx, row.ARN)
	if err != nil {
		return nil, err
	}
	if old.Status != string(interp.Running) || old.Input != input {
		s.starts.rejected.Add(1)
		return nil, server.Errorf("ExecutionAlreadyExists", "Execution Already Exists: '%s'", row.ARN)
	}
	s.starts.repeated.Add(1)
	return &startExecutionOutput{ExecutionArn: old.ARN, StartDate: epoch(old.Started)}, nil
}

// execution finds an execution by its ARN.
func (s *Service) execution(r request, text *string) (*journal.Execution, error) {
	var v violations
	v.required("executionArn", text != nil)
	if err := v.err(); err != nil {
		return nil, err
	}
	a, err := executionARN(*text)
	if err != nil {
		return nil, err
	}
	e, err := s.journal.ExecutionGet(r.ctx, a.text)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, server.Errorf("ExecutionDoesNotExist", "Execution Does Not Exist: '%s'", a.text)
	}
	return e, err
}

type executionInput struct {
	ExecutionArn *string `json:"executionArn"`
	IncludedData *string `json:"includedData"`
}

type dataDetails struct {
	Included bool `json:"included"`
}

type describeExecutionOutput struct {
	ExecutionArn        string       `json:"executionArn"`
	StateMachineArn     string       `json:"stateMachineArn"`
	Name                string       `json:"name"`
	Status              string       `json:"status"`
	StartDate           epoch        `json:"startDate"`
	StopDate            epoch        `json:"stopDate,omitzero"`
	Input               *string      `json:"input,omitempty"`
	InputDetails        *dataDetails `json:"inputDetails,omitempty"`
	Output              *string      `json:"output,omitempty"`
	OutputDetails       *dataDetails `json:"outputDetails,omitempty"`
	TraceHeader         *string      `json:"traceHeader,omitempty"`
	Error               *string      `json:"error,omitempty"`
	Cause               *string      `json:"cause,omitempty"`
	RedriveCount        int          `json:"redriveCount"`
	RedriveDate         epoch        `json:"redriveDate,omitzero"`
	RedriveStatus       string       `json:"redriveStatus"`
	RedriveStatusReason string       `json:"redriveStatusReason,omitempty"`
}

func (s *Service) describeExecution(r request, in *executionInput) (*describeExecutionOutput, error) {
	if in.IncludedData != nil {
		var v violations
		v.oneOf("includedData", *in.IncludedData, "METADATA_ONLY", "ALL_DATA")
		if err := v.err(); err != nil {
			return nil, err
		}
	}
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	out := &describeExecutionOutput{
		ExecutionArn: e.ARN, StateMachineArn: e.MachineARN, Name: e.Name, Status: e.Status, StartDate: epoch(e.Started),
		StopDate: epoch(e.Stopped), TraceHeader: e.TraceHeader, RedriveCount: e.Redrives, RedriveDate: epoch(e.Redriven),
		RedriveStatus: "REDRIVABLE",
	}
	if orText(in.IncludedData, "ALL_DATA") == "ALL_DATA" {
		out.Input, out.InputDetails, out.Error, out.Cause = &e.Input, &dataDetails{true}, e.Error, e.Cause
		if e.Output != nil {
			out.Output, out.OutputDetails = e.Output, &dataDetails{true}
		}
	}
	if reason := s.notRedrivable(e); reason != "" {
		out.RedriveStatus, out.RedriveStatusReason = "NOT_REDRIVABLE", reason
	}
	return out, nil
}

func (s *Service) describeStateMachineForExecution(r request, in *executionInput) (*describeStateMachineOutput, error) {
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	revision, err := s.journal.RevisionGet(r.ctx, e.Revision)
	if err != nil {
		return nil, err
	}
	out, err := s.describe(r, revision, in.IncludedData)
	if err != nil {
		return nil, err
	}
	out.StateMachineArn, out.Name, out.UpdateDate = e.MachineARN, e.MachineName, epoch(revision.Updated)
	return out, nil
}

type stopExecutionInput struct {
	ExecutionArn *string `json:"executionArn"`
	Error        *string `json:"error"`
	Cause        *string `json:"cause"`
}

type stopExecutionOutput struct {
	StopDate epoch `json:"stopDate"`
}

// The longest error and cause of StopExecution.
const (
	maxError = 256
	maxCause = 32_768
)

func (s *Service) stopExecution(r request, in *stopExecutionInput) (*stopExecutionOutput, error) {
	var v violations
	v.length("error", orText(in.Error, ""), 0, maxError)
	v.length("cause", orText(in.Cause, ""), 0, maxCause)
	if err := v.err(); err != nil {
		return nil, err
	}
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	if e.Status == string(interp.Running) {
		stopped, err := s.engine.do(e.ID, item{event: interp.Abort{Error: in.Error, Cause: in.Cause}})
		if err != nil && !errors.Is(err, errEnded) {
			return nil, err
		}
		e = stopped
	}
	return &stopExecutionOutput{StopDate: epoch(e.Stopped)}, nil
}

// Bounds of a redrive.
const (
	redrivablePeriod = 14 * 24 * time.Hour
	maxExecutionTime = 365 * 24 * time.Hour
	redriveTokenLife = 15 * time.Minute
	maxRedriveTokens = 10
)

// notRedrivable returns why an execution cannot be redriven, or "".
func (s *Service) notRedrivable(e *journal.Execution) string {
	switch {
	case e.Status == string(interp.Running) || e.Status == string(interp.Succeeded):
		return "Execution is " + e.Status + " and cannot be redriven"
	case e.LastEvent >= history.MaxEvents-1:
		return "Execution history event limit exceeded"
	case s.now().Sub(e.Started) > maxExecutionTime:
		return "Execution has exceeded the max execution time"
	case s.now().Sub(e.Stopped) > redrivablePeriod:
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
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	var repeated time.Time
	row, err := s.engine.do(e.ID, item{
		event: interp.Redrive{},
		check: func(row *journal.Execution) error {
			if in.ClientToken != nil {
				if repeated = s.redrivenWith(row, *in.ClientToken); !repeated.IsZero() {
					return errRepeated
				}
			}
			if reason := s.notRedrivable(row); reason != "" {
				return server.Errorf("ExecutionNotRedrivable", "%s", reason)
			}
			return nil
		},
		note: func(row *journal.Execution) { s.rememberToken(row, in.ClientToken) },
	})
	switch {
	case errors.Is(err, errRepeated):
		return &redriveExecutionOutput{RedriveDate: epoch(repeated)}, nil
	case errors.Is(err, errEnded):
		return nil, server.Errorf("ExecutionNotRedrivable", "%s", s.notRedrivable(row))
	case err != nil:
		return nil, err
	}
	return &redriveExecutionOutput{RedriveDate: epoch(row.Redriven)}, nil
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

type listExecutionsInput struct {
	StateMachineArn *string `json:"stateMachineArn"`
	MapRunArn       *string `json:"mapRunArn"`
	StatusFilter    *string `json:"statusFilter"`
	RedriveFilter   *string `json:"redriveFilter"`
	MaxResults      *int    `json:"maxResults"`
	NextToken       *string `json:"nextToken"`
}

type executionItem struct {
	ExecutionArn    string `json:"executionArn"`
	StateMachineArn string `json:"stateMachineArn"`
	Name            string `json:"name"`
	Status          string `json:"status"`
	StartDate       epoch  `json:"startDate"`
	StopDate        epoch  `json:"stopDate,omitzero"`
	RedriveCount    int    `json:"redriveCount"`
	RedriveDate     epoch  `json:"redriveDate,omitzero"`
}

type listExecutionsOutput struct {
	Executions []executionItem `json:"executions"`
	NextToken  string          `json:"nextToken,omitempty"`
}

// checkListExecutions checks the parameters and returns the page size.
func checkListExecutions(in *listExecutionsInput) (int, error) {
	var v violations
	size := pageSize(in.MaxResults, &v)
	if in.StatusFilter != nil {
		v.oneOf("statusFilter", *in.StatusFilter, "SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING")
	}
	if err := v.err(); err != nil {
		return 0, err
	}
	switch {
	case (in.StateMachineArn == nil) == (in.MapRunArn == nil):
		return 0, server.Errorf("ValidationException", "Must specify exactly one of: [stateMachineArn, mapRunArn]")
	case in.MapRunArn != nil:
		return 0, server.Errorf("ResourceNotFound", "Resource not found: '%s'", *in.MapRunArn)
	case in.RedriveFilter != nil:
		return 0, server.Errorf("ValidationException", "redriveFilter can only be used with mapRunArn")
	case orText(in.StatusFilter, "") == "PENDING_REDRIVE":
		return 0, server.Errorf("ValidationException", "The status PENDING_REDRIVE can only be used with mapRunArn")
	}
	return size, nil
}

func (s *Service) listExecutions(r request, in *listExecutionsInput) (*listExecutionsOutput, error) {
	size, err := checkListExecutions(in)
	if err != nil {
		return nil, err
	}
	m, err := s.machine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if m.Type == typeExpress {
		return nil, server.Errorf("StateMachineTypeNotSupported",
			"This operation is not supported by this type of state machine")
	}
	of := listing("executions", m.ARN, orText(in.StatusFilter, ""))
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	list, err := s.journal.ExecutionList(r.ctx, m.ID, orText(in.StatusFilter, ""), t.Number, size+1)
	if err != nil {
		return nil, err
	}
	out := &listExecutionsOutput{Executions: []executionItem{}}
	for i, e := range list {
		if i == size {
			out.NextToken = s.token(pageToken{Of: of, Number: list[i-1].ID})
			break
		}
		out.Executions = append(out.Executions, executionItem{e.ARN, e.MachineARN, e.Name, e.Status, epoch(e.Started),
			epoch(e.Stopped), e.Redrives, epoch(e.Redriven)})
	}
	return out, nil
}

type historyInput struct {
	ExecutionArn         *string `json:"executionArn"`
	MaxResults           *int    `json:"maxResults"`
	ReverseOrder         bool    `json:"reverseOrder"`
	NextToken            *string `json:"nextToken"`
	IncludeExecutionData *bool   `json:"includeExecutionData"`
}

// getExecutionHistory writes its output itself: the events are stored in the form in which they are sent.
func (s *Service) getExecutionHistory(r request, body []byte) ([]byte, error) {
	var in historyInput
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, serializationError(err)
	}
	var v violations
	size := pageSize(in.MaxResults, &v)
	if err := v.err(); err != nil {
		return nil, err
	}
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	of := listing("history", e.ARN, in.ReverseOrder)
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	first := t.Number
	if first == 0 {
		first = 1
		if in.ReverseOrder {
			first = e.LastEvent
		}
	}
	events, err := s.journal.History(r.ctx, e.ID, first, in.ReverseOrder, size+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(events) > size {
		events = events[:size]
		at := first + int64(size)
		if in.ReverseOrder {
			at = first - int64(size)
		}
		next = s.token(pageToken{Of: of, Number: at})
	}
	if in.IncludeExecutionData != nil && !*in.IncludeExecutionData {
		for i := range events {
			if events[i], err = history.WithoutData(events[i]); err != nil {
				return nil, err
			}
		}
	}
	out := append([]byte(`{"events":[`), bytes.Join(events, []byte(","))...)
	out = append(out, ']')
	if next != "" {
		out = strconv.AppendQuote(append(out, `,"nextToken":`...), next)
	}
	return append(out, '}'), nil
}
