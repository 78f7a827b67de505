//go:build unix

// Package python runs Python functions as tasks: Airflow's PythonOperator and its kin. Airflow need not be installed; see
// package pyworker for how a function is called and what it finds.
package python

import (
	"errors"

	"gust/internal/pyworker"
	"gust/operators"
	"gust/sensors"
)

// Deps is what the family needs from the process.
type Deps struct {
	// Pool calls the functions.
	Pool *pyworker.Pool
	// Home is the state folder; it marks this installation's processes.
	Home string
	// Path are the folders, beside that of the pipeline file, in which modules are looked for: the pipelines folder.
	Path []string
	// Sensors are what PythonSensor inherits.
	Sensors sensors.Defaults
}

const (
	paths2        = "airflow.operators.python_operator."
	paths2python  = "airflow.operators.python."
	pathsStandard = "airflow.providers.standard.operators.python."
)

func aliases(class string) []string {
	return []string{paths2 + class, paths2python + class, pathsStandard + class}
}

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Home == "" {
		return errors.New("operators/python: Deps needs a Home")
	}
	d := &deps
	return errors.Join(
		r.Register(operators.Spec{
			Name: "PythonOperator", Aliases: append(aliases("PythonOperator"), "python"),
			Doc: "Calls a Python function. Its return value goes to XCom, its output and log records to the task's log. " +
				"AirflowSkipException skips the task, AirflowFailException fails it without a retry, any other exception fails it. " +
				"A decorator task is one too.",
			New: func() operators.Operator { return &Call{Function: Function{deps: d}} },
		}),
		r.Register(operators.Spec{
			Name: "ExternalPythonOperator", Aliases: aliases("ExternalPythonOperator"),
			Doc: "Calls a Python function with an interpreter of its own. It is PythonOperator with python required.",
			New: func() operators.Operator { return &External{Call: Call{Function: Function{deps: d}}} },
		}),
		r.Register(operators.Spec{
			Name: "PythonVirtualenvOperator", Aliases: aliases("PythonVirtualenvOperator"),
			Doc: "Calls a Python function in a virtual environment that is made for it, with the packages in requirements.",
			New: func() operators.Operator { return &InVirtualenv{Call: Call{Function: Function{deps: d}}} },
		}),
		r.Register(operators.Spec{
			Name: "BranchPythonOperator",
			Aliases: append(append(aliases("BranchPythonOperator"), aliases("BranchExternalPythonOperator")...),
				"BranchExternalPythonOperator"),
			Doc: "Calls a Python function that returns which of the direct downstream tasks go on: a task id, a task group id, or " +
				"a list of them; None skips all. The others are skipped, unless they can also be reached from a chosen one.",
			New: func() operators.Operator { return &Branch{Function: Function{deps: d}} },
		}),
		r.Register(operators.Spec{
			Name: "ShortCircuitOperator", Aliases: aliases("ShortCircuitOperator"),
			Doc: "Skips what follows when a condition is false: a template expression (condition), or what a Python function " +
				"returns (python_callable).",
			New: func() operators.Operator { return &ShortCircuit{Function: Function{deps: d}} },
		}),
		r.Register(operators.Spec{
			Name:   "PythonSensor",
			Sensor: true,
			Aliases: []string{
				"airflow.sensors.python.PythonSensor", "airflow.contrib.sensors.python_sensor.PythonSensor",
				"airflow.providers.standard.sensors.python.PythonSensor",
			},
			Doc: "Waits until a Python function returns something true. The value goes to XCom.",
			New: func() operators.Operator { return sensors.New(&Sensor{Function: Function{deps: d}}, d.Sensors) },
		}),
		r.Register(operators.Spec{
			Name: "PythonCallback",
			Doc: "Calls a Python function with the context as its first argument, or makes a notifier and calls its notify: " +
				"what on_failure_callback and its kin become when they name Python code.",
			New: func() operators.Operator { return &Callback{deps: d} },
		}),
	)
}
