// Package dagfile reads pipeline files: the YAML dialect of dag-factory, with Airflow's names and rules. A file holds
// any number of DAGs; every problem in it is reported at once, with its position, the key path, what was expected and
// the nearest valid name. A DAG with an error is left out, the other DAGs of the file are not.
//
// The dialect is that of dag-factory 1.x on Airflow 3: YAML 1.1 scalars, environment variables expanded in the raw
// text, a default block, a defaults.yml hierarchy, tasks and task groups as lists or dicts, and __type__ objects.
package dagfile

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gust/dag"
	"gust/operators"
)

// TemplateChecker compiles a template without rendering it. An error that implements TemplateError is reported at its
// position in the file.
type TemplateChecker interface {
	Check(text string) error
}

// TemplateError is a template error that knows where in the template it is: 1-based, 0 when unknown.
type TemplateError interface {
	error
	Position() (line, col int)
}

// Options are what a file is read with. Operators is required; everything else has Airflow's default.
type Options struct {
	// Operators resolves the operator names of tasks.
	Operators *operators.Registry
	// Templates compiles the templates of templated parameters. Nil: templates are not checked.
	Templates TemplateChecker
	// TemplatesFor makes the checker of a DAG that has user_defined_macros, whose names its templates may use. Nil:
	// Templates checks these as well.
	TemplatesFor func(d *dag.DAG) TemplateChecker
	// Schedules validates a schedule in the DAG's timezone: cron syntax, dates that never come. Nil: not checked.
	Schedules func(schedule dag.Schedule, timezone string) error
	// Getenv expands $NAME in the raw text of files. Nil: os.LookupEnv.
	Getenv func(name string) (string, bool)
	// Root is the dags folder, where the search for defaults.yml ends. Empty: the folder of the file.
	Root string
	// Now is the clock for relative dates ("2 days"). Nil: time.Now.
	Now func() time.Time

	// DefaultTimezone is [core] default_timezone. Empty: UTC.
	DefaultTimezone string
	// DefaultTaskRetries is [core] default_task_retries.
	DefaultTaskRetries int
	// DefaultTaskRetryDelay is [core] default_task_retry_delay. 0: 300 s.
	DefaultTaskRetryDelay time.Duration
	// DefaultTaskExecutionTimeout is [core] default_task_execution_timeout. 0: none.
	DefaultTaskExecutionTimeout time.Duration
	// DefaultOwner is [operators] default_owner. Empty: "airflow".
	DefaultOwner string
	// DefaultQueue is [operators] default_queue. Empty: "default".
	DefaultQueue string
	// DefaultDeferrable is [operators] default_deferrable: the value of a sensor's deferrable parameter that a file does
	// not give. Nil: what the sensor declares. Other operators, for which it would also mean to wait, decide themselves.
	DefaultDeferrable *bool
	// MaxActiveRuns is [core] max_active_runs_per_dag. 0: 16.
	MaxActiveRuns int
	// MaxActiveTasks is [core] max_active_tasks_per_dag. 0: 16.
	MaxActiveTasks int
	// MaxConsecutiveFailed is [core] max_consecutive_failed_dag_runs_per_dag. 0: never pause for failed runs.
	MaxConsecutiveFailed int
	// CatchupByDefault is [scheduler] catchup_by_default.
	CatchupByDefault bool
	// CronDataIntervals is [scheduler] create_cron_data_intervals: a cron string means CronDataIntervalTimetable.
	CronDataIntervals bool
	// DeltaDataIntervals is [scheduler] create_delta_data_intervals: a timedelta means DeltaDataIntervalTimetable.
	DeltaDataIntervals bool
}

func (o Options) withDefaults() Options {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	text := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&o.MaxActiveRuns, dag.DefaultMaxActiveRuns)
	set(&o.MaxActiveTasks, dag.DefaultMaxActiveTasks)
	text(&o.DefaultTimezone, "UTC")
	text(&o.DefaultOwner, dag.DefaultOwner)
	text(&o.DefaultQueue, dag.DefaultQueue)
	if o.DefaultTaskRetryDelay == 0 {
		o.DefaultTaskRetryDelay = dag.DefaultRetryDelay
	}
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Operators == nil {
		o.Operators = operators.NewRegistry()
	}
	return o
}

// File is what a pipeline file holds.
type File struct {
	// Path is the path given to Load, and every DAG's FileLoc.
	Path string
	// DAGs are the DAGs without errors, in file order.
	DAGs []*dag.DAG
	// Failed names the DAGs with errors, in file order. It is empty when the file as a whole cannot be read.
	Failed []string
	// Problems are all errors and warnings, in file order; those in other files (defaults.yml, scripts) come last.
	Problems []Problem
	// Depends lists the other files that this result depends on, those looked for and not found included: defaults
	// files, script templates, documentation files.
	Depends []string
	// Env lists the environment variables that the text refers to, set or not, sorted.
	Env []string
	// ValidUntil is when a relative date ("2 days") moves; zero for a file without any.
	ValidUntil time.Time
}

// HasErrors reports whether any problem is an error.
func (f *File) HasErrors() bool {
	return slices.ContainsFunc(f.Problems, func(p Problem) bool { return p.Severity == Error })
}

// Loader loads files and remembers what they share: defaults files and timezones. It may be used by many goroutines.
type Loader struct {
	opts     Options
	mu       sync.Mutex
	defaults map[string]*defaultsFile
	zones    sync.Map // name -> *time.Location or error
}

// NewLoader returns a loader.
func NewLoader(opts Options) *Loader {
	return &Loader{opts: opts.withDefaults(), defaults: map[string]*defaultsFile{}}
}

// Load reads one file with a loader of its own. See Loader.Load.
func Load(path string, opts Options) (*File, error) {
	return NewLoader(opts).Load(path)
}

// Load reads one file. The error is non-nil only when the file cannot be read from disk; everything that is wrong with
// its content is in Problems.
func (l *Loader) Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return l.Parse(path, text), nil
}

// Parse reads the content of a file that is, or would be, at path.
func (l *Loader) Parse(path string, text []byte) *File {
	r := newReporter(path)
	src := newSource(path, text, l.opts.Getenv)
	f := &fileLoader{Loader: l, reporter: r, path: path, src: src, depends: map[string]bool{}, env: map[string]bool{}}
	f.refers(src)
	f.load()
	return f.result()
}

// refers notes the environment variables that a source names.
func (f *fileLoader) refers(src *source) {
	for _, name := range src.names {
		f.env[name] = true
	}
}

// IsDefaultsName reports whether a file of this name holds defaults instead of DAGs: defaults.yml or defaults.yaml.
func IsDefaultsName(name string) bool {
	return slices.Contains(defaultsNames, filepath.Base(name))
}

var defaultsNames = []string{"defaults.yml", "defaults.yaml"}
