package interp

import (
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// env is what paths, functions and expressions see at one point of a state.
//
// In a JSONPath state "$" is input, "$$" the context object and "$name" a variable. In a JSONata state "$states" has
// input, context and, when they are set, result and errorOutput.
type env struct {
	x     *Execution
	t     *thread
	s     *asl.State
	input jsonvalue.Value
	// result and errorOutput are those of $states; nil where the language does not offer them.
	result, errorOutput *jsonvalue.Value
	// item is the Map.Item of the context object, null elsewhere.
	item jsonvalue.Value
	// random and now are nil and zero for the execution's own.
	random func() uint64
	now    time.Time
	// fixed takes the place of the context object when a single state is tested; nil otherwise.
	fixed *jsonvalue.Value
	// bare leaves out of causes which state failed and when it was entered, as the test of a single state does.
	bare bool
	// inspect is told the data between the stages of a state that is tested; nil otherwise.
	inspect func(stage string, v jsonvalue.Value)
}

// show tells what the data are after a stage of the state's input and output processing.
func (e *env) show(stage string, v jsonvalue.Value) {
	if e.inspect != nil {
		e.inspect(stage, v)
	}
}

// env returns the environment of a thread's state; "$" is the state's input.
func (x *Execution) env(t *thread) *env { return &env{x: x, t: t, s: t.state, input: t.input} }

// with returns the same environment with another "$".
func (e *env) with(input jsonvalue.Value) *env {
	if input == e.input {
		return e
	}
	c := *e
	c.input = input
	return &c
}

func (e *env) jsonata() bool { return e.s.QueryLanguage == asl.JSONata }

// pathError is a path that found nothing, with the value it was looked for in.
type pathError struct {
	err error
	in  jsonvalue.Value
}

func (e *pathError) Error() string          { return e.err.Error() }
func (e *pathError) Unwrap() error          { return e.err }
func (e *pathError) Input() jsonvalue.Value { return e.in }

// Resolve returns the value of a path.
func (e *env) Resolve(p *jsonpath.Path) (jsonvalue.Value, error) {
	var in jsonvalue.Value
	switch p.Root() {
	case jsonpath.Input:
		in = e.input
	case jsonpath.Context:
		in = e.context()
	case jsonpath.Variable:
		v, ok := e.t.variable(p.Variable())
		if !ok {
			return v, &pathError{err: &jsonpath.NotFoundError{Path: p.String(), Reason: "the variable is not assigned"}}
		}
		in = v
	}
	v, err := p.Eval(in)
	if err != nil {
		return v, &pathError{err: err, in: in}
	}
	return v, nil
}

// Random returns the next of the execution's own random numbers.
func (e *env) Random() uint64 {
	if e.random != nil {
		return e.random()
	}
	return e.x.random()
}

// time returns the time that expressions see.
func (e *env) time() time.Time {
	if e.now.IsZero() {
		return e.x.now
	}
	return e.now
}

// context builds the context object.
func (e *env) context() jsonvalue.Value {
	if e.fixed != nil {
		return *e.fixed
	}
	x := e.x
	text := jsonvalue.NewString
	execution := jsonvalue.NewObjectBuilder(7).
		Set("Id", text(x.info.ExecutionARN)).
		Set("Input", x.input).
		Set("StartTime", text(timestamp(x.info.StartTime))).
		Set("Name", text(x.info.ExecutionName)).
		Set("RoleArn", text(x.info.RoleARN))
	if !x.info.Express {
		// Nobody can redrive an express execution.
		execution.Set("RedriveCount", jsonvalue.NewInt(int64(x.state.redrives)))
	}
	if x.state.redrives > 0 {
		execution.Set("RedriveTime", text(timestamp(x.state.redriveAt)))
	}
	machine := jsonvalue.NewObjectBuilder(2).Set("Id", text(x.info.MachineARN)).Set("Name", text(x.info.MachineName))
	st := jsonvalue.NewObjectBuilder(3).Set("Name", text(e.s.Name)).Set("EnteredTime", text(timestamp(e.t.enteredAt)))
	if e.s.Type == asl.Task || e.s.Type == asl.Parallel || e.s.Type == asl.Map {
		st.Set("RetryCount", jsonvalue.NewInt(e.t.retries))
	}
	ctx := jsonvalue.NewObjectBuilder(5).
		Set("Execution", execution.Value()).
		Set("StateMachine", machine.Value()).
		Set("State", st.Value())
	if token := e.taskToken(); token != "" {
		ctx.Set("Task", jsonvalue.NewObjectBuilder(1).Set("Token", text(token)).Value())
	}
	if !e.item.IsNull() {
		ctx.Set("Map", jsonvalue.NewObjectBuilder(1).Set("Item", e.item).Value())
	}
	return ctx.Value()
}

// taskToken returns the token of the task that the state has handed out or is about to; empty when its pattern has
// none.
func (e *env) taskToken() string {
	if e.s.Type != asl.Task || !waits(e.s.Task.Resource) {
		return ""
	}
	if e.t.taskID != 0 {
		return e.x.token(e.t.taskID)
	}
	return e.x.token(e.x.state.lastTask + 1)
}

// timestamp writes an instant like Java's Instant: no fraction, or three digits of it.
func timestamp(t time.Time) string {
	t = t.UTC()
	if t.Nanosecond() < int(time.Millisecond) {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}
