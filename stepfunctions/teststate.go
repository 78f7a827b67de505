package stepfunctions

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/mapitems"
	"gust/stepfunctions/server"
)

type testStateInput struct {
	Definition         *string                 `json:"definition"`
	RoleArn            *string                 `json:"roleArn"`
	Input              *string                 `json:"input"`
	InspectionLevel    *string                 `json:"inspectionLevel"`
	RevealSecrets      bool                    `json:"revealSecrets"`
	Variables          *string                 `json:"variables"`
	StateName          *string                 `json:"stateName"`
	Mock               *mockInput              `json:"mock"`
	Context            *string                 `json:"context"`
	StateConfiguration stateConfigurationInput `json:"stateConfiguration"`
}

type mockInput struct {
	Result      *string `json:"result"`
	ErrorOutput *struct {
		Error *string `json:"error"`
		Cause *string `json:"cause"`
	} `json:"errorOutput"`
	FieldValidationMode *string `json:"fieldValidationMode"`
}

type stateConfigurationInput struct {
	RetrierRetryCount        *int64  `json:"retrierRetryCount"`
	ErrorCausedByState       *string `json:"errorCausedByState"`
	MapIterationFailureCount *int64  `json:"mapIterationFailureCount"`
	MapItemReaderData        *string `json:"mapItemReaderData"`
}

func (in *testStateInput) check() error {
	var v violations
	v.required("definition", in.Definition != nil)
	v.secret("definition", in.Definition, 1, asl.MaxDefinitionBytes)
	v.length("roleArn", in.RoleArn, 1, maxARN)
	v.payload("input", in.Input, interp.MaxPayloadBytes)
	v.oneOf("inspectionLevel", in.InspectionLevel, "INFO", "DEBUG", "TRACE")
	v.payload("variables", in.Variables, interp.MaxPayloadBytes)
	v.length("stateName", in.StateName, 1, maxName)
	v.payload("context", in.Context, interp.MaxPayloadBytes)
	if m := in.Mock; m != nil {
		v.payload("mock.result", m.Result, interp.MaxPayloadBytes)
		v.oneOf("mock.fieldValidationMode", m.FieldValidationMode, "STRICT", "PRESENT", "NONE")
		if m.ErrorOutput != nil {
			v.secret("mock.errorOutput.error", m.ErrorOutput.Error, 0, maxError)
			v.secret("mock.errorOutput.cause", m.ErrorOutput.Cause, 0, maxCause)
		}
	}
	c := &in.StateConfiguration
	v.between("stateConfiguration.retrierRetryCount", c.RetrierRetryCount, 0, 1<<31-1)
	v.length("stateConfiguration.errorCausedByState", c.ErrorCausedByState, 1, maxName)
	v.between("stateConfiguration.mapIterationFailureCount", c.MapIterationFailureCount, 0, 1<<31-1)
	v.payload("stateConfiguration.mapItemReaderData", c.MapItemReaderData, interp.MaxPayloadBytes)
	if err := v.err(); err != nil {
		return err
	}
	if in.RoleArn != nil {
		if err := checkRole(*in.RoleArn); err != nil {
			return err
		}
	}
	return checkInput(orText(in.Input, "{}"))
}

// state finds the state to test: the one that the definition is, or the named one of the machine that it is.
func (in *testStateInput) state() (*asl.State, error) {
	if in.StateName == nil {
		s, problems := asl.ParseState(*in.Definition)
		if s == nil {
			return nil, server.Errorf("InvalidDefinition", "Invalid State Machine Definition: '%s'", problems.Errors())
		}
		return s, nil
	}
	m, err := checkDefinition(*in.Definition, typeStandard)
	if err != nil {
		return nil, err
	}
	if s := m.State(*in.StateName); s != nil {
		return s, nil
	}
	return nil, server.Errorf("ValidationException", "State not found: '%s'", *in.StateName)
}

// variables reads the workflow variables, an object.
func (in *testStateInput) variables() (v jsonvalue.Value, err error) {
	if in.Variables == nil {
		return v, nil
	}
	v, err = jsonvalue.Parse(*in.Variables)
	if err != nil || v.Kind() != jsonvalue.Object {
		return v, server.Errorf("ValidationException", "Variables must be a valid JSON object")
	}
	return v, nil
}

func (in *testStateInput) mock() *interp.Mock {
	if in.Mock == nil {
		return nil
	}
	m := &interp.Mock{Result: in.Mock.Result, Mode: orText(in.Mock.FieldValidationMode, "")}
	if e := in.Mock.ErrorOutput; e != nil {
		m.Error = &interp.MockError{Error: e.Error, Cause: e.Cause}
	}
	return m
}

// testState runs one state without a state machine.
func (s *Service) testState(r request, in *testStateInput) (*interp.TestedState, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	state, err := in.state()
	if err != nil {
		return nil, err
	}
	variables, err := in.variables()
	if err != nil {
		return nil, err
	}
	info := s.testInfo(r, in)
	config := in.StateConfiguration
	test := &interp.StateTest{
		State: state, Info: info, Now: s.now(), Level: interp.InspectionLevel(orText(in.InspectionLevel, "INFO")),
		Variables: variables, Context: in.Context, Mock: in.mock(), RevealSecrets: in.RevealSecrets,
		Config: interp.TestConfiguration{
			ErrorCausedByState: orText(config.ErrorCausedByState, ""), MapIterationFailureCount: config.MapIterationFailureCount,
			MapItemReaderData: config.MapItemReaderData,
		},
		Items: itemSource{},
	}
	test.Perform = func(t interp.Task) (string, *interp.Failure) { return s.engine.PerformOnce(r.ctx, test, t) }
	if config.RetrierRetryCount != nil {
		test.Config.RetrierRetryCount = *config.RetrierRetryCount
	}
	out, err := interp.TestState(test)
	var refused *interp.RefusedError
	if errors.As(err, &refused) {
		return nil, server.Errorf(refused.Code, "%s", refused.Message)
	}
	if err != nil {
		return nil, err
	}
	return out, s.pause(r.ctx, out.Wait)
}

// pause waits as a Wait state does.
func (s *Service) pause(ctx context.Context, d time.Duration) error {
	if scale := s.config.WaitScale; scale > 0 {
		d = time.Duration(float64(d) * scale)
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopping:
		return errStopping
	}
}

// testInfo is the execution that a tested state believes to run in.
func (s *Service) testInfo(r request, in *testStateInput) interp.Info {
	machine, name := uuid.NewString(), uuid.NewString()
	return interp.Info{
		ExecutionARN:  arns.Make(r.region, s.config.AccountID, "express", machine+":"+name),
		ExecutionName: name, MachineName: machine, MachineARN: arns.Make(r.region, s.config.AccountID, "stateMachine", machine),
		RoleARN: orText(in.RoleArn, ""), Region: r.region, Input: orText(in.Input, "{}"), StartTime: s.now(), Express: true,
		WaitScale: s.config.WaitScale,
	}
}

// itemSource reads and groups items for a tested Map state.
type itemSource struct{}

// Items returns the items in the data that stands for an object.
func (itemSource) Items(r *interp.ItemReader, data string) (items []jsonvalue.Value, err error) {
	for item, err := range mapitems.Source(*r).Items(strings.NewReader(data), mapitems.StateData) {
		if err != nil {
			return nil, err
		}
		if r.MaxItems > 0 && int64(len(items)) >= r.MaxItems {
			break
		}
		items = append(items, item.Value)
	}
	return items, nil
}

// Batches groups items into the inputs of child executions.
func (itemSource) Batches(b *interp.ItemBatcher, items []jsonvalue.Value) ([]jsonvalue.Value, error) {
	batcher := mapitems.NewBatcher((*mapitems.Batching)(b))
	var batches []mapitems.Batch
	for _, item := range items {
		done, err := batcher.Add(item)
		if err != nil {
			return nil, err
		}
		batches = slices.Concat(batches, done)
	}
	if last, ok := batcher.Flush(); ok {
		batches = append(batches, last)
	}
	inputs := make([]jsonvalue.Value, len(batches))
	for i, batch := range batches {
		var err error
		if inputs[i], err = jsonvalue.Parse(batch.Input); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}
