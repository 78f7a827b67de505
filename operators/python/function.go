//go:build unix

package python

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gust/dag"
	"gust/internal/childprocess"
	"gust/internal/pyworker"
	"gust/operators"
)

// Function is the Python function of a task and how it is called.
type Function struct {
	PythonCallable     string         `param:"python_callable" doc:"The import path of the function, module.function. Modules are found beside the pipeline file, in the pipelines folder, and where the interpreter looks."`
	PythonCallableName string         `param:"python_callable_name" doc:"With python_callable_file: the name of the function in that file."`
	PythonCallableFile string         `param:"python_callable_file" doc:"The Python file with the function, absolute or relative to the pipeline file."`
	OpArgs             any            `param:"op_args" template:"true" doc:"Positional arguments, a list."`
	OpKwargs           map[string]any `param:"op_kwargs" template:"true" doc:"Keyword arguments. The names of Airflow's context (ti, ds, params, ...) are passed besides, those that the function's signature asks for; **kwargs gets all."`
	TemplatesDict      map[string]any `param:"templates_dict" template:"true" doc:"Values that the function finds in its context under templates_dict."`
	TemplatesExts      any            `param:"templates_exts" doc:"Accepted for Airflow's sake, without effect."`
	Python             string         `param:"python" template:"true" doc:"The interpreter, a path or a name on PATH. Default: python.interpreter of the configuration."`
	Virtualenv         string         `param:"virtualenv" template:"true" doc:"The folder of a virtual environment whose interpreter to use, absolute or relative to the pipeline file."`
	ProvideContext     any            `param:"provide_context" doc:"Accepted for the sake of old Airflow files, without effect: the function's signature decides."`
	Decorated          bool           `param:"decorated" default:"false" doc:"Set for decorator tasks: an argument that the function does not take is an error."`

	deps *Deps
}

// Validate checks that there is exactly one function.
func (f *Function) Validate() error {
	if err := oneCallable(f.PythonCallable, f.PythonCallableName, f.PythonCallableFile); err != nil {
		return err
	}
	if f.Python != "" && f.Virtualenv != "" {
		return errors.New("python and virtualenv both name an interpreter; give one of them")
	}
	return nil
}

func oneCallable(path, name, file string) error {
	switch {
	case path != "" && (name != "" || file != ""):
		return errors.New("python_callable and python_callable_file both name a function; give one of them")
	case path != "":
		return nil
	case name == "" && file == "":
		return errors.New("there is no function; expected python_callable (module.function), or python_callable_name and python_callable_file")
	case name == "" || file == "":
		return errors.New("python_callable_name and python_callable_file belong together; expected both of them")
	}
	return nil
}

// callable is the function as the worker finds it.
func callable(t operators.Task, path, name, file string) pyworker.Callable {
	if path != "" {
		return pyworker.Callable{Path: path}
	}
	return pyworker.Callable{Name: name, File: beside(t, file)}
}

// beside makes a path absolute: it is relative to the folder of the pipeline file.
func beside(t operators.Task, path string) string {
	if s, ok := t.(operators.Surroundings); ok && !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.DAG().FileLoc), path)
	}
	if abs, err := filepath.Abs(path); err == nil { // the pipeline file itself may be named by a relative path
		return abs
	}
	return path
}

// request prepares a call, without what is wanted of it.
func (f *Function) request(ctx context.Context, t operators.Task) (*pyworker.Request, error) {
	r, err := newRequest(t, f.deps, callable(t, f.PythonCallable, f.PythonCallableName, f.PythonCallableFile))
	if err != nil {
		return nil, err
	}
	r.Strict = f.Decorated
	args, err := resolve(ctx, t, f.OpArgs)
	if err != nil {
		return nil, fmt.Errorf("op_args: %w", err)
	}
	switch v := args.(type) {
	case nil:
	case []any:
		r.Args = v
	default:
		r.Args = []any{v} // an item that the task is mapped over
	}
	for name, value := range f.OpKwargs {
		if r.Kwargs == nil {
			r.Kwargs = make(map[string]any, len(f.OpKwargs))
		}
		if r.Kwargs[name], err = resolve(ctx, t, value); err != nil {
			return nil, fmt.Errorf("op_kwargs.%s: %w", name, err)
		}
	}
	if f.TemplatesDict != nil {
		r.TemplatesDict = f.TemplatesDict
	}
	r.Context.Task.OpArgs, r.Context.Task.OpKwargs = r.Args, r.Kwargs
	r.Interpreter = f.Python
	if f.Virtualenv != "" {
		r.Interpreter, err = interpreterOf(beside(t, f.Virtualenv))
	}
	return r, err
}

// interpreterOf finds the interpreter of a virtual environment.
func interpreterOf(folder string) (string, error) {
	path := filepath.Join(folder, "bin", "python")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("virtualenv: there is no interpreter %s; make the environment with: python3 -m venv %s", path, folder)
	}
	return filepath.Abs(path)
}

// newRequest is the part of a call that every function has: context, environment, where to look for modules.
func newRequest(t operators.Task, deps *Deps, c pyworker.Callable) (*pyworker.Request, error) {
	if deps.Pool == nil {
		return nil, errors.New("Python functions cannot be called here")
	}
	pyContext, err := contextOf(t)
	if err != nil {
		return nil, err
	}
	owner := ""
	if spec := t.Spec(); spec != nil {
		owner = spec.Owner
	}
	mark := childprocess.AttemptMark(childprocess.HomeID(deps.Home), t.Attempt())
	env := append(childprocess.AttemptEnv(t.Attempt(), owner, t.Run().LogicalDate), mark)
	r := &pyworker.Request{
		Callable: c, Context: pyContext, Env: env, Mark: mark, Path: append([]string(nil), deps.Path...), Host: &taskHost{t},
		Log: t.Log(),
	}
	if s, ok := t.(operators.Surroundings); ok && s.DAG().FileLoc != "" {
		r.Path = append(r.Path, beside(t, "."))
	}
	return r, nil
}

// xcomKey marks a value that is another task's: {"__xcom__": {"task_id": ..., "key": ..., "item": ...}}. The loader
// writes it for "+task" and "+task['key']"; see dag.XComRef.
const xcomKey = "__xcom__"

// resolve replaces references to XComs, at any depth, by their values.
func resolve(ctx context.Context, t operators.Task, value any) (any, error) {
	switch v := value.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = resolve(ctx, t, v[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		if len(v) == 1 && v[xcomKey] != nil {
			return pull(ctx, t, v[xcomKey])
		}
		out := make(map[string]any, len(v))
		for k := range v {
			var err error
			if out[k], err = resolve(ctx, t, v[k]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return value, nil
}

// pull reads a referenced value as Airflow resolves an XComArg: a return value that is not there is None, any other key
// must be. A key of a returned object is found too, whether or not it was pushed by itself.
func pull(ctx context.Context, t operators.Task, written any) (any, error) {
	var ref dag.XComRef
	raw, err := json.Marshal(written)
	if err == nil {
		err = json.Unmarshal(raw, &ref)
	}
	if err != nil || ref.TaskID == "" {
		return nil, fmt.Errorf("%v is not a reference to an XCom", written)
	}
	if ref.Key == "" {
		ref.Key = dag.ReturnValue
	}
	if ref.Item != nil {
		value, found, err := t.XComPull(ctx, ref.TaskID, *ref.Item)
		if found || err != nil {
			return value, err
		}
	}
	value, found, err := t.XComPull(ctx, ref.TaskID, ref.Key)
	switch {
	case err != nil:
		return nil, err
	case ref.Item != nil:
		return item(ref, value, found)
	case found:
		return value, nil
	case ref.Key == dag.ReturnValue:
		return nil, nil
	}
	return nil, fmt.Errorf("task %s has pushed no XCom %q", ref.TaskID, ref.Key)
}

func item(ref dag.XComRef, value json.RawMessage, found bool) (any, error) {
	if !found {
		return nil, fmt.Errorf("task %s has pushed neither an XCom %q nor a return value", ref.TaskID, *ref.Item)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(value, &fields) != nil || fields == nil {
		return nil, fmt.Errorf("task %s did not return a dict; expected one with the key %q", ref.TaskID, *ref.Item)
	}
	if field, ok := fields[*ref.Item]; ok {
		return field, nil
	}
	return nil, fmt.Errorf("the dict that task %s returned has no key %q", ref.TaskID, *ref.Item)
}

// failure turns how a call failed into the task's end, by the names of Airflow's exceptions.
func failure(t operators.Task, err error) (operators.Result, error) {
	var raised *pyworker.RaisedError
	if !errors.As(err, &raised) {
		return operators.Result{}, err
	}
	label(t, raised.Added)
	switch {
	case raised.Of("AirflowSkipException"):
		t.Log().Info("Skipping task: " + raised.Text)
		return operators.Skip(raised.Text), nil
	case raised.Of("AirflowRescheduleException") && raised.RescheduleAt != nil:
		return operators.Reschedule(*raised.RescheduleAt), nil
	case raised.Of("AirflowFailException"), raised.Of("AirflowSensorTimeout"):
		return operators.Result{}, operators.Fail(raised)
	case raised.Of("TaskDeferred"):
		return operators.Result{}, operators.Failf("a Python function cannot defer its task in Gust; use PythonSensor")
	}
	return operators.Result{}, raised
}
