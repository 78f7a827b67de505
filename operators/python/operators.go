//go:build unix

package python

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gust/internal/param"
	"gust/internal/pyworker"
	"gust/operators"
	"gust/sensors"
)

// Call calls a function (Airflow: PythonOperator).
type Call struct {
	Function
	InferOutputs          bool `param:"infer_outputs" default:"false" doc:"Set for decorator tasks without multiple_outputs: a function annotated to return a dict has one XCom for each key."`
	ShowReturnValueInLogs bool `param:"show_return_value_in_logs" default:"true" doc:"Write the return value to the log."`
}

// maxLogged is how much of a return value is logged, in bytes.
const maxLogged = 4 << 10

// Execute calls the function.
func (c *Call) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	r, err := c.request(ctx, t)
	if err != nil {
		return operators.Result{}, err
	}
	r.WantValue = c.ShowReturnValueInLogs || c.pushes(t)
	res, err := c.deps.Pool.Call(ctx, r)
	if err != nil {
		return failure(t, err)
	}
	label(t, res.Added)
	value := returned(res)
	if c.ShowReturnValueInLogs {
		text := "None"
		if value != nil {
			text = string(res.Value)
		}
		if len(text) > maxLogged {
			text = strings.ToValidUTF8(text[:maxLogged], "") + fmt.Sprintf("... (%d bytes)", len(text))
		}
		t.Log().Info("Done. Returned value was: " + text)
	}
	if value == nil || !c.pushes(t) {
		return operators.Done(nil), nil
	}
	if c.InferOutputs && res.Multiple && t.Spec() != nil && !t.Spec().MultipleOutputs {
		if err := pushEach(ctx, t, res.Value); err != nil {
			return operators.Result{}, err
		}
	}
	return operators.Done(value), nil
}

func (f *Function) pushes(t operators.Task) bool { return t.Spec() == nil || t.Spec().DoXComPush }

// returned is the value for Result: nil for None.
func returned(res *pyworker.Result) any {
	if len(res.Value) == 0 || bytes.Equal(res.Value, []byte("null")) {
		return nil
	}
	return res.Value
}

// label offers what the function has put into its context to map_index_template.
func label(t operators.Task, added map[string]any) {
	if s, ok := t.(operators.Surroundings); ok && len(added) > 0 {
		s.Label(added)
	}
}

// pushEach pushes the keys of a dict one by one, in order.
func pushEach(ctx context.Context, t operators.Task, value json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(value))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return errors.New("multiple_outputs: the function did not return a dict")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return err
		}
		if err := t.XComPush(ctx, key.(string), v); err != nil { // an object's key token is a string
			return err
		}
	}
	return nil
}

// External calls a function with an interpreter of its own (Airflow: ExternalPythonOperator).
type External struct {
	Call
	ExpectAirflow  any `param:"expect_airflow" doc:"Accepted for Airflow's sake, without effect."`
	ExpectPendulum any `param:"expect_pendulum" doc:"Accepted for Airflow's sake, without effect."`
	Serializer     any `param:"serializer" alias:"use_dill" doc:"Accepted for Airflow's sake, without effect: arguments and values are JSON."`
}

// Execute calls the function.
func (e *External) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	if e.Python == "" && e.Virtualenv == "" {
		return operators.Result{}, operators.Failf("there is no interpreter; expected python (its path) or virtualenv (its folder)")
	}
	return e.Call.Execute(ctx, t)
}

// Branch follows what a function returns (Airflow: BranchPythonOperator).
type Branch struct{ Function }

// Execute calls the function and follows.
func (b *Branch) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	r, err := b.request(ctx, t)
	if err != nil {
		return operators.Result{}, err
	}
	r.WantValue = true
	res, err := b.deps.Pool.Call(ctx, r)
	if err != nil {
		return failure(t, err)
	}
	label(t, res.Added)
	var value any
	if err := json.Unmarshal(res.Value, &value); err != nil {
		return operators.Result{}, err
	}
	var ids []string
	switch v := value.(type) {
	case nil:
	case string:
		ids = []string{v}
	case []any:
		for _, item := range v {
			id, ok := item.(string)
			if !ok {
				return operators.Result{}, operators.Failf("%s returned a list with %v; expected task ids", r.Callable, item)
			}
			ids = append(ids, id)
		}
	default:
		return operators.Result{}, operators.Failf("%s returned %v; expected a task id, a list of them, or None", r.Callable, value)
	}
	if err := operators.CheckFollow(t.Spec(), ids...); err != nil {
		return operators.Result{}, operators.Fail(fmt.Errorf("%s: %w", r.Callable, err))
	}
	t.Log().Info("Branch into " + strings.Join(ids, ", "))
	return operators.Branch(value, ids...), nil
}

// ShortCircuit skips what follows when its condition is false (Airflow: ShortCircuitOperator).
type ShortCircuit struct {
	Function
	Condition                    Condition `param:"condition" template:"true" doc:"Instead of python_callable: the condition. False are: False, None, 0, an empty text, list or mapping, also when a template produced them as text. Everything else is true."`
	IgnoreDownstreamTriggerRules bool      `param:"ignore_downstream_trigger_rules" default:"true" doc:"When the condition is false: true skips all tasks that follow, however indirectly and whatever their trigger rules; false skips the direct downstream tasks and leaves the others to their trigger rules."`
}

// Condition is a value whose truth counts. null is given, and false.
type Condition struct {
	value any
	given bool
}

// ParamType names the notation.
func (Condition) ParamType() string { return "any" }

// SetNull makes it None.
func (c *Condition) SetNull() { c.value, c.given = nil, true }

// UnmarshalParam takes any value.
func (c *Condition) UnmarshalParam(value any) error {
	c.value, c.given = value, true
	return nil
}

// callsFunction tells the two forms apart.
func (s *ShortCircuit) callsFunction() bool {
	return s.PythonCallable != "" || s.PythonCallableName != "" || s.PythonCallableFile != ""
}

// Validate checks that there is one condition.
func (s *ShortCircuit) Validate() error {
	switch {
	case s.callsFunction() && s.Condition.given:
		return errors.New("condition and python_callable are both the condition; give one of them")
	case s.callsFunction():
		return s.Function.Validate()
	case s.OpArgs != nil || s.OpKwargs != nil || s.TemplatesDict != nil || s.Python != "" || s.Virtualenv != "":
		return errors.New("op_args, op_kwargs, templates_dict, python and virtualenv belong to python_callable, which is not there")
	}
	return nil
}

// Execute decides.
func (s *ShortCircuit) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	value, ok := s.Condition.value, truth(s.Condition.value)
	switch {
	case !s.callsFunction() && !s.Condition.given:
		return operators.Result{}, operators.Failf(
			"there is no condition; expected condition (a template expression) or python_callable (a Python function)")
	case s.callsFunction():
		r, err := s.request(ctx, t)
		if err != nil {
			return operators.Result{}, err
		}
		r.WantTruth, r.WantValue = true, s.pushes(t)
		res, err := s.deps.Pool.Call(ctx, r)
		if err != nil {
			return failure(t, err)
		}
		label(t, res.Added)
		value, ok = returned(res), res.Truth
	}
	t.Log().Info(fmt.Sprintf("Condition result is %v", ok))
	switch {
	case ok:
		t.Log().Info("Proceeding with downstream tasks...")
		return operators.Done(value), nil
	case s.IgnoreDownstreamTriggerRules:
		t.Log().Info("Skipping all downstream tasks...")
		return operators.Result{Value: value, SkipAll: true}, nil
	}
	t.Log().Info("Skipping downstream tasks while respecting trigger rules...")
	return operators.Branch(value), nil
}

// truth is Python's bool() of a value, or of the text that a template made of it.
func truth(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "", "false", "none", "null", "0", "0.0", "-0", "[]", "{}", "()", "''", `""`, "set()":
			return false
		}
		return true
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	if n, ok := param.Float(value); ok {
		return n != 0
	}
	return true
}

// Sensor waits until a function returns something true (Airflow: PythonSensor).
type Sensor struct {
	Function
	sensors.Base
}

// Validate checks the function and the common parameters.
func (s *Sensor) Validate() error { return errors.Join(s.Function.Validate(), s.Base.Validate()) }

// Poke calls the function.
func (s *Sensor) Poke(ctx context.Context, t operators.Task) (sensors.Verdict, error) {
	r, err := s.request(ctx, t)
	if err != nil {
		return sensors.Verdict{}, err
	}
	r.WantTruth, r.WantValue = true, s.pushes(t)
	t.Log().Info("Poking callable: " + r.Callable.String())
	res, err := s.deps.Pool.Call(ctx, r)
	var raised *pyworker.RaisedError
	switch {
	case errors.As(err, &raised) && raised.Of("AirflowSkipException"):
		return sensors.Verdict{Skip: raised.Error()}, nil
	case errors.As(err, &raised) && (raised.Of("AirflowFailException") || raised.Of("AirflowSensorTimeout")):
		return sensors.Verdict{}, operators.Fail(err)
	case err != nil:
		return sensors.Verdict{}, err
	case !res.Truth:
		return sensors.Waiting(), nil
	}
	label(t, res.Added)
	return sensors.Done(returned(res)), nil
}

// Callback calls a function with the context, or a notifier.
type Callback struct {
	PythonCallable     string         `param:"python_callable" doc:"The import path of the function f(context), or of a notifier class."`
	PythonCallableName string         `param:"python_callable_name" doc:"With python_callable_file: the name of the function in that file."`
	PythonCallableFile string         `param:"python_callable_file" doc:"The Python file with the function, absolute or relative to the pipeline file."`
	OpKwargs           map[string]any `param:"op_kwargs" template:"true" doc:"Further keyword arguments of the function, or those of the class."`

	deps *Deps
}

// Validate checks that there is exactly one function.
func (c *Callback) Validate() error {
	return oneCallable(c.PythonCallable, c.PythonCallableName, c.PythonCallableFile)
}

// Execute calls it.
func (c *Callback) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	r, err := newRequest(t, c.deps, callable(t, c.PythonCallable, c.PythonCallableName, c.PythonCallableFile))
	if err != nil {
		return operators.Result{}, err
	}
	r.CallWithContext, r.Kwargs = true, c.OpKwargs
	_, err = c.deps.Pool.Call(ctx, r)
	return operators.Done(nil), err
}
