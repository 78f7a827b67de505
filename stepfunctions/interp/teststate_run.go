package interp

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// maxTest is how long a test may take.
const maxTest = 5 * time.Minute

// stateTest is a test that runs.
type stateTest struct {
	in  *StateTest
	s   *asl.State
	e   *env
	out *TestedState
	// seen holds what was inspected.
	seen Inspection
	// written are values that came as text, with that text: AWS shows them as they were written.
	written []writtenValue
}

type writtenValue struct {
	value jsonvalue.Value
	text  string
}

// TestState evaluates one state. Its error is a [*RefusedError].
func TestState(in *StateTest) (*TestedState, error) {
	if r := in.refusal(); r != nil {
		return nil, r
	}
	input, err := jsonvalue.Parse(in.Info.Input)
	if err != nil {
		return nil, &RefusedError{Code: "InvalidExecutionInput",
			Message: fmt.Sprintf("Invalid State Machine Execution Input: '%s'", syntaxMessage(err))}
	}
	x := &Execution{info: in.Info, input: input, inputText: input.String(), now: in.Now}
	t := &thread{
		state: in.State, input: input, inputText: x.inputText, variables: in.Variables, enteredAt: in.Now,
		retries: in.Config.RetrierRetryCount, heapIndex: -1,
	}
	test := &stateTest{in: in, s: in.State, e: x.env(t), out: &TestedState{}}
	test.e.bare, test.e.inspect = true, test.show
	if in.Context != nil {
		fixed, err := jsonvalue.Parse(*in.Context)
		if err != nil {
			return nil, invalid("Invalid Context object provided: %v", err)
		}
		test.e.fixed = &fixed
	}
	test.asWritten(input, in.Info.Input)
	test.show("input", input)
	o, f := test.run()
	if f == nil {
		f = test.succeeded(o)
	}
	if f != nil {
		test.failed(f)
	}
	if in.Level == InspectTrace {
		test.seen.Request, test.seen.Response = in.Request, in.Response
	}
	if in.Level != InspectInfo {
		test.out.Inspection = &test.seen
	}
	return test.out, nil
}

// asWritten remembers the text of a value.
func (t *stateTest) asWritten(v jsonvalue.Value, text string) {
	t.written = append(t.written, writtenValue{v, text})
}

// text returns a value as JSON; one that came from outside and is unchanged reads as it was written.
func (t *stateTest) text(v jsonvalue.Value) *string {
	text := v.String()
	for _, w := range t.written {
		if w.value == v {
			text = w.text
		}
	}
	return &text
}

// show records a step of the way from input to output.
func (t *stateTest) show(stage string, v jsonvalue.Value) { *t.seen.field(stage) = t.text(v) }

// ending is how a state ends when nothing fails.
type ending struct {
	outcome
	next string
}

// run evaluates the state.
func (t *stateTest) run() (ending, *failure) {
	o := ending{next: t.s.Next}
	var f *failure
	switch t.s.Type {
	case asl.Pass:
		o.outcome, f = t.pass()
	case asl.Succeed:
		o.outcome, f = t.plain(t.s.Output)
	case asl.Wait:
		o.outcome, f = t.wait()
	case asl.Choice:
		return t.choice()
	case asl.Fail:
		f = t.e.fails()
	default:
		var result jsonvalue.Value
		if result, f = t.work(); f == nil {
			o.outcome, f = t.e.withResult(result)
		}
	}
	return o, f
}

func (t *stateTest) pass() (outcome, *failure) {
	if t.e.jsonata() {
		return t.e.withoutResult(t.s.Assign, t.s.Output)
	}
	if t.s.Result != nil {
		t.show("result", *t.s.Result)
		return t.e.withResult(*t.s.Result)
	}
	in, f := t.e.effectiveInput()
	if f != nil {
		return outcome{}, f
	}
	return t.e.withResult(in)
}

// plain ends a state that has no result.
func (t *stateTest) plain(output *asl.Template) (outcome, *failure) {
	if _, f := t.selected(); f != nil {
		return outcome{}, f
	}
	return t.e.withoutResult(t.s.Assign, output)
}

// selected applies InputPath and shows what it selects.
func (t *stateTest) selected() (*env, *failure) {
	if t.e.jsonata() {
		return t.e, nil
	}
	in, f := t.e.selected(t.s.InputPath)
	if f == nil {
		t.show("afterInputPath", in)
	}
	return t.e.with(in), f
}

func (t *stateTest) wait() (outcome, *failure) {
	e, f := t.selected()
	if f != nil {
		return outcome{}, f
	}
	if t.out.Wait, f = e.waitFor(t.s.Wait); f != nil {
		return outcome{}, f
	}
	t.out.Wait = max(t.out.Wait, 0)
	if t.out.Wait > maxTest {
		t.out.Wait = 0
		name := asl.ErrTimeout
		return outcome{}, &failure{name: &name}
	}
	return t.e.withoutResult(t.s.Assign, t.s.Output)
}

func (t *stateTest) choice() (ending, *failure) {
	if _, f := t.selected(); f != nil {
		return ending{}, f
	}
	next, assign, output, f := t.e.choice()
	if f != nil {
		return ending{}, f
	}
	o, f := t.e.withoutResult(assign, output)
	return ending{outcome: o, next: next}, f
}

// work returns the result of a Task, Parallel or Map.
func (t *stateTest) work() (jsonvalue.Value, *failure) {
	switch t.s.Type {
	case asl.Task:
		return t.task()
	case asl.Map:
		if f := t.iterate(); f != nil {
			return jsonvalue.Value{}, f
		}
	default:
		// A mocked Parallel state evaluates nothing before its branches.
	}
	return t.mocked()
}

// mocked returns what the mock answers.
func (t *stateTest) mocked() (jsonvalue.Value, *failure) {
	if e := t.in.Mock.Error; e != nil {
		return jsonvalue.Value{}, &failure{name: e.Error, cause: e.Cause}
	}
	return t.parsed(*t.in.Mock.Result)
}

// parsed reads the JSON text of a result.
func (t *stateTest) parsed(text string) (jsonvalue.Value, *failure) {
	v, err := jsonvalue.Parse(text)
	if err != nil {
		return v, t.e.runtime("The result of the state '%s' is not JSON: %v", t.s.Name, err)
	}
	t.asWritten(v, text)
	return v, nil
}

func (t *stateTest) task() (jsonvalue.Value, *failure) {
	n, f := t.e.task()
	if f != nil {
		return jsonvalue.Value{}, f
	}
	var result jsonvalue.Value
	if t.in.Mock != nil {
		result, f = t.mocked()
	} else {
		result, f = t.performed(n)
	}
	if f == nil {
		t.show("result", result)
	}
	return result, f
}

// performed lets the caller do the task.
func (t *stateTest) performed(n *task) (jsonvalue.Value, *failure) {
	n.id = 1
	t.e.t.task = n
	output, failed := t.in.Perform(t.e.x.handOut(t.e.t))
	t.e.t.task = nil
	if failed != nil {
		return jsonvalue.Value{}, workerFailure(failed.Name, failed.Cause)
	}
	return t.parsed(output)
}

// iterate evaluates what a Map does before and around its iterations.
func (t *stateTest) iterate() *failure {
	e, f := t.selected()
	if f != nil {
		return f
	}
	items, f := t.items(e)
	if f != nil {
		return f
	}
	limit, f := e.count("MaxConcurrency", t.s.Map.MaxConcurrency)
	if f != nil {
		return f
	}
	t.seen.MaxConcurrency = &limit
	run, f := e.mapRun(jsonvalue.NewArray(items), limit)
	if f != nil {
		return f
	}
	t.seen.ToleratedFailureCount, t.seen.ToleratedFailurePercentage = run.ToleratedCount, run.ToleratedPercentage
	if items, f = t.selectItems(items); f != nil {
		return f
	}
	if run.Batcher != nil && t.in.Items != nil {
		batches, err := t.in.Items.Batches(run.Batcher, items)
		if err != nil {
			return readFailure(err)
		}
		t.show("afterItemBatcher", jsonvalue.NewArray(batches))
	}
	failures := t.in.Config.MapIterationFailureCount
	tolerates := run.ToleratedCount != nil || run.ToleratedPercentage != nil
	if t.in.Mock.Error == nil && failures != nil && tolerates && run.Exceeded(*failures, int64(len(items))) {
		return newFailure(asl.ErrExceedToleratedThreshold, toleranceExceeded)
	}
	return nil
}

// items returns what the Map iterates over.
func (t *stateTest) items(e *env) ([]jsonvalue.Value, *failure) {
	if t.s.Map.ItemReader == nil {
		v, f := e.items()
		if f == nil && !e.jsonata() {
			t.show("afterItemsPath", v)
		}
		return v.Items(), f
	}
	reader, f := e.itemReader(t.s.Map.ItemReader)
	if f != nil || t.in.Config.MapItemReaderData == nil {
		return nil, f
	}
	items, err := t.read(reader, *t.in.Config.MapItemReaderData)
	if err != nil {
		return nil, readFailure(err)
	}
	if reader.ItemsPointer != "" {
		t.show("afterItemsPointer", jsonvalue.NewArray(items))
	}
	return items, nil
}

func (t *stateTest) read(reader *ItemReader, data string) ([]jsonvalue.Value, error) {
	if t.in.Items != nil {
		return t.in.Items.Items(reader, data)
	}
	v, err := jsonvalue.Parse(data)
	if err != nil {
		return nil, err
	}
	if v.Kind() != jsonvalue.Array && v.Kind() != jsonvalue.Object {
		return nil, errors.New("Attempting to map over non-iterable node.")
	}
	return v.Items(), nil
}

func readFailure(err error) *failure {
	var known *Failure
	if errors.As(err, &known) {
		return newFailure(known.Name, known.Cause)
	}
	return newFailure(asl.ErrItemReaderFailed, err.Error())
}

// selectItems applies ItemSelector to every item.
func (t *stateTest) selectItems(items []jsonvalue.Value) ([]jsonvalue.Value, *failure) {
	if t.s.Parameters == nil {
		return items, nil
	}
	source := ""
	if t.s.Map.Mode == asl.Distributed {
		source = "STATE_DATA"
	}
	selected := make([]jsonvalue.Value, len(items))
	for i, item := range items {
		var f *failure
		if selected[i], f = t.e.selectItem(mapItem{index: int64(i), value: item, source: source}); f != nil {
			return nil, f
		}
	}
	t.show("afterItemSelector", jsonvalue.NewArray(selected))
	return selected, nil
}

// succeeded takes over the end of a state that did not fail; its output or variables may still be too large.
func (t *stateTest) succeeded(o ending) *failure {
	if f := t.leave(o); f != nil {
		return f
	}
	t.out.Status = TestSucceeded
	return nil
}

func (t *stateTest) leave(o ending) *failure {
	output := t.text(o.output)
	if len(*output) > MaxPayloadBytes {
		return tooLarge(t.s.Name)
	}
	if f := t.e.x.assignable(t.e.t, o.assigned); f != nil {
		return f
	}
	t.out.Output = output
	if o.next != "" {
		t.out.NextState = &o.next
	}
	if variables := merged(t.in.Variables, o.assigned); variables.Len() > 0 {
		t.show("variables", variables)
	}
	return nil
}

// failed lets a retrier or catcher take a failure.
func (t *stateTest) failed(f *failure) {
	t.out.Status, t.out.Error, t.out.Cause = TestFailed, f.name, f.cause
	if f.errorName() == asl.ErrRuntime {
		return
	}
	covers := func(errors []string) bool { return asl.Matches(errors, f.errorName()) }
	i := slices.IndexFunc(t.s.Retry, func(r *asl.Retrier) bool { return covers(r.Errors) })
	if retries := t.in.Config.RetrierRetryCount; i >= 0 && retries < t.s.Retry[i].MaxAttempts {
		delay := t.s.Retry[i].Delay(retries+1, func() float64 { return float64(t.e.Random()>>11) / (1 << 53) })
		seconds := int64(delay / time.Second)
		t.out.Status = TestRetriable
		t.seen.ErrorDetails = &ErrorDetails{RetryIndex: &i, RetryBackoffIntervalSeconds: &seconds}
		return
	}
	c := slices.IndexFunc(t.s.Catch, func(c *asl.Catcher) bool { return covers(c.Errors) })
	if c < 0 {
		return
	}
	o, failed := t.e.withError(t.s.Catch[c], f.output())
	if failed == nil {
		failed = t.leave(ending{outcome: o, next: t.s.Catch[c].Next})
	}
	if failed != nil {
		t.out.Error, t.out.Cause = failed.name, failed.cause
		return
	}
	t.out.Status = TestCaught
	t.seen.ErrorDetails = &ErrorDetails{CatchIndex: &c}
}
