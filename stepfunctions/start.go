package stepfunctions

import (
	"errors"
	"strings"

	"github.com/google/uuid"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/engine"
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
	IncludedData    *string `json:"includedData"`
}

type startExecutionOutput struct {
	ExecutionArn string `json:"executionArn"`
	StartDate    epoch  `json:"startDate"`
}

func (in *startExecutionInput) check() error {
	var v violations
	v.text("stateMachineArn", in.StateMachineArn, 1, maxARN)
	v.length("name", in.Name, 1, maxName)
	v.payload("input", in.Input, interp.MaxPayloadBytes)
	v.length("traceHeader", in.TraceHeader, 0, 256)
	v.oneOf("includedData", in.IncludedData, allData, metadataOnly)
	if err := v.err(); err != nil {
		return err
	}
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
	}
	return checkInput(orText(in.Input, "{}"))
}

// checkInput checks that an execution's input is JSON.
func checkInput(input string) error {
	if input == "" {
		return server.Errorf("InvalidExecutionInput", "Invalid State Machine Execution Input: 'Invalid execution input.'")
	}
	_, err := jsonvalue.Parse(input)
	var syntax *jsonvalue.SyntaxError
	if errors.As(err, &syntax) {
		return server.Errorf("InvalidExecutionInput", "Invalid State Machine Execution Input: '%s'", syntax.Message)
	}
	return err
}

// start is an execution that is about to start.
type start struct {
	*target
	in       *startExecutionInput
	name     string
	testCase *string
}

// prepare checks a start and finds what it starts. The ARN of a machine may have a mock test case behind a '#'.
func (s *Service) prepare(r request, in *startExecutionInput) (*start, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	st := &start{in: in, name: orText(in.Name, "")}
	if in.Name == nil {
		st.name = uuid.NewString()
	}
	arn, testCase, found := strings.Cut(*in.StateMachineArn, "#")
	var err error
	if st.target, err = s.target(r, arn, st.name); err != nil {
		return nil, err
	}
	if found {
		if err := s.mocks.Check(st.machine.Name, testCase); err != nil {
			return nil, server.Errorf("ValidationException", "%v", err)
		}
		st.testCase = &testCase
	}
	if st.machine.Status == engine.Deleting {
		return nil, machineDeleting(st.machine.ARN)
	}
	return st, nil
}

// row is the execution as it is before it starts.
func (st *start) row(s *Service, arn string) *journal.Execution {
	m := st.machine
	row := &journal.Execution{
		ARN: arn, Name: st.name, MachineARN: m.ARN, MachineName: m.Name, Machine: m.ID, Revision: st.revision.ID,
		Started: s.now(), Input: orText(st.in.Input, "{}"), TraceHeader: st.in.TraceHeader, TestCase: st.testCase,
	}
	if st.version != nil {
		version := versionARN(m.ARN, st.version.Number)
		row.VersionARN = &version
	}
	if st.alias != nil {
		alias := m.ARN + ":" + st.alias.Name
		row.AliasARN = &alias
	}
	return row
}

func (s *Service) startExecution(r request, in *startExecutionInput) (*startExecutionOutput, error) {
	st, err := s.prepare(r, in)
	if err != nil {
		return nil, err
	}
	m := st.machine
	if m.Type == typeExpress {
		row := st.row(s, s.expressARN(m, st.name))
		return s.startExpress(r, row, nil)
	}
	row := st.row(s, arns.Make(m.Region, s.config.AccountID, "execution", m.Name+":"+st.name))
	row.Parent, row.ParentTask = engine.Parent(r.ctx)
	return s.begin(r, row)
}

// begin starts an execution, or finds the running one with the same name and input.
func (s *Service) begin(r request, row *journal.Execution) (*startExecutionOutput, error) {
	compiled, err := s.engine.Machines.Revision(r.ctx, row.Revision)
	if err != nil {
		return nil, err
	}
	arn, input, parent, task := row.ARN, row.Input, row.Parent, row.ParentTask
	started := row.Started
	created, err := s.engine.Begin(row, compiled, nil)
	if errors.Is(err, engine.ErrTooManyExecutions) {
		return nil, server.Errorf("ExecutionLimitExceeded", "The maximum number of running executions is reached")
	}
	if err != nil {
		return nil, err
	}
	if created {
		s.starts.accepted.Add(1)
		if s.config.OnStart != nil {
			s.config.OnStart(arn)
		}
		return &startExecutionOutput{ExecutionArn: arn, StartDate: epoch(started)}, nil
	}
	old, err := s.journal.ExecutionGet(r.ctx, arn)
	if err != nil {
		return nil, err
	}
	// A task whose call is repeated after a crash finds its execution, even when that has ended.
	mine := parent != 0 && old.Parent == parent && old.ParentTask == task
	if old.Input != input || old.Status != string(interp.Running) && !mine {
		s.starts.rejected.Add(1)
		return nil, server.Errorf("ExecutionAlreadyExists", "Execution Already Exists: '%s'", arn)
	}
	if mine && old.Status != string(interp.Running) {
		s.engine.AnswerParent(old)
	}
	s.starts.repeated.Add(1)
	return &startExecutionOutput{ExecutionArn: old.ARN, StartDate: epoch(old.Started)}, nil
}
