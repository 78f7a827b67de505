//go:build unix

// Package pyworker calls Python functions: for Python tasks, callbacks, and whatever else a pipeline names by an import
// path or a file. Python needs nothing but its standard library, version 3.8 or later; Airflow need not be installed.
//
// Calls go to a warm interpreter, which forks a process for each: the start costs a fork, not an interpreter, and nothing
// a call leaves in memory is seen by the next. The user's modules are imported in the fork, so that a changed file takes
// effect with the next call. The Python side is the folder worker; the files protocol.go and worker/gust_server.py say
// what the two sides tell each other.
//
// A call runs in a process group of its own and never outlives its context, its interpreter or the program; see package
// childprocess.
package pyworker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Callable names a Python function in one of three ways.
type Callable struct {
	// Path is an import path, "module.function".
	Path string `json:"path,omitempty"`
	// File and Name are a Python file, absolute, and the function in it.
	File string `json:"file,omitempty"`
	Name string `json:"name,omitempty"`
	// Source is an expression that yields the function, such as a lambda.
	Source string `json:"source,omitempty"`
}

// String is the callable for people.
func (c Callable) String() string {
	switch {
	case c.File != "":
		return c.Name + " of " + c.File
	case c.Source != "":
		return c.Source
	}
	return c.Path
}

// Request is one call.
type Request struct {
	// Interpreter is the program to call with, a name on PATH or a path; "" means the pool's.
	Interpreter string
	Callable    Callable
	// Args and Kwargs are JSON values. An object with a __type__ in them becomes what the class of that import path makes of
	// its __args__ and other keys.
	Args   []any
	Kwargs map[string]any
	// TemplatesDict is in the context under that name.
	TemplatesDict any
	// Context is Airflow's context; nil: the function gets none. Those of its names that the function's signature asks for
	// are passed as keyword arguments, all of them to **kwargs.
	Context *Context
	// CallWithContext passes the whole context as the first argument instead, as Airflow calls callbacks.
	CallWithContext bool
	// DateFirst passes the logical date as the first argument, as Airflow calls execution_date_fn.
	DateFirst bool
	// Strict refuses Kwargs that the function does not take (decorator tasks); otherwise they are left out with a warning,
	// as Airflow does.
	Strict bool
	// WantValue asks for the return value, WantTruth for its truth.
	WantValue, WantTruth bool
	// Path are folders that are looked in for modules after everything else.
	Path []string
	// Env is added to the environment (NAME=value).
	Env []string
	// Mark is the entry of Env by which processes that escaped the call's group are found, or "".
	Mark string
	// LogLevel is the least level of Python's logging; "" means INFO.
	LogLevel string
	// Host answers what the function asks for; nil answers nothing.
	Host Host
	// Log gets the output and log records of the function.
	Log *slog.Logger
}

// Result is what a function returned.
type Result struct {
	// Value is JSON; nil when it was not wanted. None is "null".
	Value json.RawMessage `json:"value"`
	// Truth is Python's bool() of it, when it was wanted.
	Truth bool `json:"truth"`
	// Multiple says that the function's annotation promises a dict, of which @task makes one XCom for each key.
	Multiple bool `json:"multiple"`
	// Added are the plain values that the function has put into its context.
	Added map[string]any `json:"rendered"`
}

// Host answers the questions of a running function. Its methods may be called by several goroutines.
type Host interface {
	// XComPull returns false when there is no such value.
	XComPull(ctx context.Context, q XComQuery) (json.RawMessage, bool, error)
	XComPush(ctx context.Context, key string, value json.RawMessage) error
	// Variable returns false when it is not defined; err may then say what is.
	Variable(ctx context.Context, key string) (string, bool, error)
	// Connection returns false when it is not defined; err may then say what is.
	Connection(ctx context.Context, id string) (*Connection, bool, error)
	// More is the rest of the context, which is asked for only by a function that may use it.
	More(ctx context.Context) (*More, error)
	// TaskIDs lists the tasks of the DAG.
	TaskIDs() []string
}

// More are entries of the context that cost a look at other runs.
type More struct {
	Names map[string]any        `json:"names,omitempty"`
	Dates map[string]*time.Time `json:"dates,omitempty"`
}

// XComQuery names a value; empty fields mean the task's own.
type XComQuery struct {
	DagID      string `json:"dag_id"`
	RunID      string `json:"run_id"`
	TaskID     string `json:"task_id"`
	Key        string `json:"key"`
	MapIndex   *int   `json:"map_index"`
	PriorDates bool   `json:"prior_dates"`
}

// Connection is a connection as Python code sees it.
type Connection struct {
	ID          string  `json:"conn_id"`
	Type        string  `json:"conn_type"`
	Description string  `json:"description"`
	Host        *string `json:"host"`
	Login       *string `json:"login"`
	Password    *string `json:"password"`
	Schema      *string `json:"schema"`
	Port        *int    `json:"port"`
	Extra       *string `json:"extra"`
	URI         string  `json:"_uri"`
}

// RaisedError is an exception that a function raised. Its class names say what it means, wherever the class comes from.
type RaisedError struct {
	Class string `json:"class"`
	// Classes are the names of the class and all its bases.
	Classes []string `json:"classes"`
	Text    string   `json:"text"`
	// RescheduleAt is set by AirflowRescheduleException.
	RescheduleAt *time.Time `json:"reschedule_at"`
	// Added is as in Result.
	Added map[string]any `json:"rendered"`
}

func (r *RaisedError) Error() string {
	text := strings.TrimSpace(r.Text)
	switch {
	case text == "":
		return r.Class
	case r.Of("AirflowException"):
		return text
	}
	return r.Class + ": " + text
}

// Of reports whether the exception is of a class, by its name.
func (r *RaisedError) Of(class string) bool {
	for _, name := range r.Classes {
		if name == class {
			return true
		}
	}
	return false
}

// InterpreterError says that an interpreter cannot be used. It concerns the call only.
type InterpreterError struct {
	// Name is what was asked for.
	Name    string
	Problem string
	// Hint says what to do.
	Hint string
	Err  error
}

func (e *InterpreterError) Error() string {
	return fmt.Sprintf("the Python interpreter %q %s; %s", e.Name, e.Problem, e.Hint)
}

func (e *InterpreterError) Unwrap() error { return e.Err }
