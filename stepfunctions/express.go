package stepfunctions

import (
	"github.com/google/uuid"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// expressARN makes the ARN of an express execution: each start is another execution, whatever its name.
func (s *Service) expressARN(m *journal.Machine, name string) string {
	return arns.Make(m.Region, s.config.AccountID, "express", m.Name+":"+name+":"+uuid.NewString())
}

// startExpress starts an execution that is in memory only. ended may be nil.
func (s *Service) startExpress(r request, row *journal.Execution, ended func(*journal.Execution)) (
	*startExecutionOutput, error,
) {
	compiled, err := s.engine.Machines.Revision(r.ctx, row.Revision)
	if err != nil {
		return nil, err
	}
	arn, started := row.ARN, row.Started
	if _, err := s.engine.Begin(row, compiled, ended); err != nil {
		return nil, err
	}
	s.starts.accepted.Add(1)
	if s.config.OnStart != nil {
		s.config.OnStart(arn)
	}
	return &startExecutionOutput{ExecutionArn: arn, StartDate: epoch(started)}, nil
}

type billingDetails struct {
	BilledDurationInMilliseconds int64 `json:"billedDurationInMilliseconds"`
	BilledMemoryUsedInMB         int64 `json:"billedMemoryUsedInMB"`
}

type startSyncExecutionOutput struct {
	ExecutionArn    string         `json:"executionArn"`
	StateMachineArn string         `json:"stateMachineArn"`
	Name            string         `json:"name"`
	StartDate       epoch          `json:"startDate"`
	StopDate        epoch          `json:"stopDate"`
	Status          string         `json:"status"`
	Error           *string        `json:"error,omitempty"`
	Cause           *string        `json:"cause,omitempty"`
	Input           *string        `json:"input,omitempty"`
	InputDetails    *dataDetails   `json:"inputDetails,omitempty"`
	Output          *string        `json:"output,omitempty"`
	OutputDetails   *dataDetails   `json:"outputDetails,omitempty"`
	TraceHeader     *string        `json:"traceHeader,omitempty"`
	BillingDetails  billingDetails `json:"billingDetails"`
}

// The units in which AWS bills express executions.
const (
	billedMemoryMB     = 64
	billedMilliseconds = 100
)

// startSyncExecution runs an express execution and answers when it has ended, in success whatever became of it.
func (s *Service) startSyncExecution(r request, in *startExecutionInput) (*startSyncExecutionOutput, error) {
	st, err := s.prepare(r, in)
	if err != nil {
		return nil, err
	}
	m := st.machine
	if m.Type != typeExpress {
		return nil, server.Errorf("StateMachineTypeNotSupported",
			"This operation is not supported by this type of state machine")
	}
	ended := make(chan journal.Execution, 1)
	row := st.row(s, s.expressARN(m, st.name))
	if _, err := s.startExpress(r, row, func(e *journal.Execution) { ended <- *e }); err != nil {
		return nil, err
	}
	select {
	case e := <-ended:
		return syncOutput(&e, orText(in.IncludedData, allData) == allData), nil
	case <-s.stopping:
		return nil, errStopping
	}
}

func syncOutput(e *journal.Execution, data bool) *startSyncExecutionOutput {
	out := &startSyncExecutionOutput{
		ExecutionArn: e.ARN, StateMachineArn: e.MachineARN, Name: e.Name, StartDate: epoch(e.Started), StopDate: epoch(e.Stopped),
		Status: e.Status, TraceHeader: e.TraceHeader, Error: e.Error, Cause: e.Cause,
		InputDetails: &dataDetails{data},
	}
	if e.Status == string(interp.Succeeded) {
		out.OutputDetails = &dataDetails{data}
	}
	if data {
		out.Input, out.Output = &e.Input, e.Output
	}
	took := e.Stopped.Sub(e.Started).Milliseconds()
	out.BillingDetails = billingDetails{
		BilledDurationInMilliseconds: max(1, (took+billedMilliseconds-1)/billedMilliseconds) * billedMilliseconds,
		BilledMemoryUsedInMB:         billedMemoryMB,
	}
	return out
}
