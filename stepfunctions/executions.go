package stepfunctions

import (
	"errors"
	"time"

	"gust/stepfunctions/engine"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// execution finds a stored execution by its ARN. Express executions are stored only for map runs.
func (s *Service) execution(r request, text string) (*journal.Execution, error) {
	a, err := parseARN(text, "execution")
	if err != nil {
		return nil, err
	}
	return s.stored(r, a.text)
}

func (s *Service) stored(r request, arn string) (*journal.Execution, error) {
	e, err := s.journal.ExecutionGet(r.ctx, arn)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, server.Errorf("ExecutionDoesNotExist", "Execution Does Not Exist: '%s'", arn)
	}
	return e, err
}

type executionInput struct {
	ExecutionArn *string `json:"executionArn"`
	IncludedData *string `json:"includedData"`
}

func (in *executionInput) check() error {
	var v violations
	v.text("executionArn", in.ExecutionArn, 1, maxARN)
	v.oneOf("includedData", in.IncludedData, allData, metadataOnly)
	return v.err()
}

type dataDetails struct {
	Included bool `json:"included"`
}

type describeExecutionOutput struct {
	ExecutionArn           string       `json:"executionArn"`
	StateMachineArn        string       `json:"stateMachineArn"`
	Name                   string       `json:"name"`
	Status                 string       `json:"status"`
	StartDate              epoch        `json:"startDate"`
	StopDate               epoch        `json:"stopDate,omitzero"`
	Input                  *string      `json:"input,omitempty"`
	InputDetails           *dataDetails `json:"inputDetails,omitempty"`
	Output                 *string      `json:"output,omitempty"`
	OutputDetails          *dataDetails `json:"outputDetails,omitempty"`
	TraceHeader            *string      `json:"traceHeader,omitempty"`
	MapRunArn              string       `json:"mapRunArn,omitempty"`
	Error                  *string      `json:"error,omitempty"`
	Cause                  *string      `json:"cause,omitempty"`
	StateMachineVersionArn *string      `json:"stateMachineVersionArn,omitempty"`
	StateMachineAliasArn   *string      `json:"stateMachineAliasArn,omitempty"`
	RedriveCount           int          `json:"redriveCount"`
	RedriveDate            epoch        `json:"redriveDate,omitzero"`
	RedriveStatus          string       `json:"redriveStatus"`
	RedriveStatusReason    string       `json:"redriveStatusReason,omitempty"`
}

// describeExecution is the description of an execution, with or without its data.
func describeExecution(e *journal.Execution, now time.Time, data bool) *describeExecutionOutput {
	out := &describeExecutionOutput{
		ExecutionArn: e.ARN, StateMachineArn: e.MachineARN, Name: e.Name, Status: shownStatus(e), StartDate: epoch(e.Started),
		StopDate: epoch(e.Stopped), TraceHeader: e.TraceHeader, StateMachineVersionArn: e.VersionARN,
		StateMachineAliasArn: e.AliasARN, RedriveCount: e.Redrives, RedriveDate: epoch(e.Redriven),
		InputDetails: &dataDetails{data}, Error: e.Error, Cause: e.Cause,
	}
	if e.Output != nil {
		out.OutputDetails = &dataDetails{data}
	}
	if data {
		out.Input, out.Output = &e.Input, e.Output
	}
	out.RedriveStatus, out.RedriveStatusReason = engine.RedriveStatus(e, now)
	return out
}

// statusPendingRedrive is the status of a map run's child that waits for its turn to be redriven.
const statusPendingRedrive = "PENDING_REDRIVE"

func shownStatus(e *journal.Execution) string {
	if e.PendingRedrive {
		return statusPendingRedrive
	}
	return e.Status
}

func (s *Service) describeExecution(r request, in *executionInput) (*describeExecutionOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	a, err := parseARN(*in.ExecutionArn, "execution", "express")
	if err != nil {
		return nil, err
	}
	e, err := s.stored(r, a.text)
	if err != nil && a.kind == "express" {
		_, err = parseARN(a.text, "execution")
	}
	if err != nil {
		return nil, err
	}
	out := describeExecution(e, s.now(), orText(in.IncludedData, allData) == allData)
	out.RedriveStatus, out.RedriveStatusReason = s.redriveStatus(r, e)
	if e.MapRun != 0 {
		run, err := s.engine.MapRun(e.MapRun)
		if err != nil {
			return nil, err
		}
		out.MapRunArn = run.ARN
	}
	return out, nil
}

func (s *Service) describeStateMachineForExecution(r request, in *executionInput) (*describeStateMachineOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	e, err := s.execution(r, *in.ExecutionArn)
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
	if e.MapRun != 0 {
		run, err := s.engine.MapRun(e.MapRun)
		if err != nil {
			return nil, err
		}
		out.MapRunArn, out.Label = run.ARN, run.Label
	}
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

// The longest error and cause that a caller may give.
const (
	maxError = 256
	maxCause = 32_768
)

func (s *Service) stopExecution(r request, in *stopExecutionInput) (*stopExecutionOutput, error) {
	var v violations
	v.text("executionArn", in.ExecutionArn, 1, maxARN)
	v.secret("error", in.Error, 0, maxError)
	v.secret("cause", in.Cause, 0, maxCause)
	if err := v.err(); err != nil {
		return nil, err
	}
	e, err := s.execution(r, *in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	if e.Status == string(interp.Running) {
		stopped, err := s.engine.Do(e.ID, engine.Item{Event: interp.Abort{Error: in.Error, Cause: in.Cause}})
		if err != nil && !errors.Is(err, engine.ErrEnded) {
			return nil, err
		}
		e = stopped
	}
	return &stopExecutionOutput{StopDate: epoch(e.Stopped)}, nil
}
