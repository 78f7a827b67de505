// Package asl is the Amazon States Language: it parses and validates a state machine definition into a typed model.
//
// [Parse] checks everything AWS checks when a state machine is created and returns all problems at once, each with
// AWS's code, a location such as /States/Name/Field, and the line and column in the text. What it accepts is
// compiled: paths and intrinsic functions are parsed, templates are prepared, transitions are known to lead
// somewhere.
package asl

import (
	"maps"
	"slices"
	"time"

	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// Type is the kind of a state.
type Type string

// The eight state types.
const (
	Task     Type = "Task"
	Wait     Type = "Wait"
	Pass     Type = "Pass"
	Succeed  Type = "Succeed"
	Fail     Type = "Fail"
	Choice   Type = "Choice"
	Parallel Type = "Parallel"
	Map      Type = "Map"
)

// QueryLanguage says in which language a machine or state selects data.
type QueryLanguage string

// The query languages. JSONPath is the default.
const (
	JSONPath QueryLanguage = "JSONPath"
	JSONata  QueryLanguage = "JSONata"
)

// Machine is a valid state machine definition.
type Machine struct {
	// Scope holds the top-level states.
	Scope
	// Comment is free text.
	Comment string
	// Version is the version of the language, "1.0" or empty.
	Version string
	// TimeoutSeconds bounds a whole execution; 0 means no bound of its own.
	TimeoutSeconds int64
	// QueryLanguage is the default of all states.
	QueryLanguage QueryLanguage

	all map[string]*State
}

// State returns the state with the given name, wherever it is nested. Names are unique in a machine.
func (m *Machine) State(name string) *State { return m.all[name] }

// All returns every state of the machine, nested ones included, in the order of their names.
func (m *Machine) All() []*State {
	all := make([]*State, 0, len(m.all))
	for _, name := range slices.Sorted(maps.Keys(m.all)) {
		all = append(all, m.all[name])
	}
	return all
}

// Scope is one States field: the machine's own, a Parallel branch or a Map processor.
type Scope struct {
	// StartAt is the name of the first state.
	StartAt string
	// States holds the scope's states in the order of the definition.
	States []*State
	// Parent is the Parallel or Map state around the scope, nil at the top.
	Parent *State

	byName map[string]*State
}

// State returns the scope's own state with the given name.
func (s *Scope) State(name string) *State { return s.byName[name] }

// walk visits every state of the scope and those inside them, in the order of the definition.
func (s *Scope) walk(visit func(*State)) {
	for _, st := range s.States {
		visit(st)
		st.walkInner(visit)
	}
}

func (s *State) walkInner(visit func(*State)) {
	if s.Parallel != nil {
		for _, branch := range s.Parallel.Branches {
			branch.walk(visit)
		}
	}
	if s.Map != nil && s.Map.Processor != nil {
		s.Map.Processor.walk(visit)
	}
}

// State is one state. The fields that its type does not have are nil or zero.
type State struct {
	// Name is unique in the machine.
	Name string
	// Type says which of the pointers below is set.
	Type Type
	// Scope is where the state lives.
	Scope *Scope
	// Location is the state's place, such as /States/Name.
	Location string
	// QueryLanguage is the state's own or inherited language.
	QueryLanguage QueryLanguage
	// Next is the following state; empty when the state ends its scope.
	Next string

	// InputPath and OutputPath select from the state's input and output; nil means "$".
	InputPath, OutputPath *Selector
	// Parameters builds the effective input of Pass, Task and Parallel, and of each item of a Map (its ItemSelector, in
	// both query languages).
	Parameters *Template
	// Arguments builds the effective input of Task and Parallel in JSONata states.
	Arguments *Template
	// Output builds the output of a JSONata state; in a Choice, when Default is taken. Nil means the result, or the input
	// where there is no result.
	Output *Template
	// ResultSelector reshapes the result of Task, Parallel and Map.
	ResultSelector *Template
	// ResultPath says where the result goes in the state's input; nil means "$".
	ResultPath *ResultPath
	// Assign sets variables when the state ends; in a Choice, when Default is taken.
	Assign *Template

	// Retry and Catch handle the errors of Task, Parallel and Map.
	Retry []*Retrier
	Catch []*Catcher

	// Result is the constant output of a Pass state, nil when it has none.
	Result   *jsonvalue.Value
	Task     *TaskFields
	Wait     *WaitFields
	Fail     *FailFields
	Choice   *ChoiceFields
	Parallel *ParallelFields
	Map      *MapFields

	position jsonvalue.Position
	ends     bool
}

// Line and Column tell where the state's name stands in the definition, from 1.
func (s *State) Line() int { return s.position.Line }

// Column is the column of the state's name, from 1.
func (s *State) Column() int { return s.position.Column }

// Terminal reports whether the state ends its scope.
func (s *State) Terminal() bool { return s.ends }

// Inner returns the names of all states inside a Parallel or Map state, nil for other states.
func (s *State) Inner() []string {
	var names []string
	s.walkInner(func(inner *State) { names = append(names, inner.Name) })
	return names
}

// Selector is an InputPath or OutputPath: a path, or null for "nothing", which yields {}.
type Selector struct {
	// Path is nil when the field is null.
	Path *jsonpath.Path
}

// ResultPath is a reference path into the state's input, or null to drop the result.
type ResultPath struct {
	// Path is nil when the field is null.
	Path *jsonpath.Path
}

// TaskFields are the fields of a Task state.
type TaskFields struct {
	// Resource is what does the work.
	Resource Resource
	// Credentials is the role to act with; it is recorded and otherwise ignored.
	Credentials *Template
	// Timeout and Heartbeat bound the task and the silence of its worker; nil means none.
	Timeout, Heartbeat *Integer
}

// Integer is a whole number: written in the definition, found by a path (JSONPath) or computed (JSONata).
type Integer struct {
	// Value is used when Path and Expression are nil.
	Value int64
	// Path leads to the number.
	Path *jsonpath.Path
	// Expression yields the number.
	Expression *Expression
}

// Seconds is a duration in seconds.
type Seconds = Integer

// Number is like [Integer] but may have a fraction.
type Number struct {
	// Value is used when Path and Expression are nil.
	Value float64
	// Path leads to the number.
	Path *jsonpath.Path
	// Expression yields the number.
	Expression *Expression
}

// WaitFields are the fields of a Wait state; exactly one is set.
type WaitFields struct {
	// Seconds is a number of seconds.
	Seconds *Integer
	// Timestamp is a fixed instant.
	Timestamp *time.Time
	// TimestampPath leads to an instant in RFC 3339 form.
	TimestampPath *jsonpath.Path
	// TimestampExpression yields an instant in RFC 3339 form.
	TimestampExpression *Expression
}

// FailFields are the fields of a Fail state.
type FailFields struct {
	// Error and Cause are nil when absent.
	Error, Cause *TextSource
}

// TextSource is a fixed text, or a path, function call or expression that yields one.
type TextSource struct {
	Text       string
	Path       *jsonpath.Path
	Call       *intrinsic.Call
	Expression *Expression
}

// ChoiceFields are the fields of a Choice state.
type ChoiceFields struct {
	// Rules are tried in order.
	Rules []*Rule
	// Default is the state to go to when no rule matches; empty makes that an error.
	Default string
}

// Rule is a top-level choice rule.
type Rule struct {
	// Condition decides.
	Condition *Condition
	// Next is the state to go to.
	Next string
	// Assign sets variables when the rule matches.
	Assign *Template
	// Output builds the state's output when the rule of a JSONata state matches; nil means its input.
	Output *Template

	location string
}

// Condition is a comparison, an And, Or or Not of others, or a JSONata expression.
type Condition struct {
	// Op is the operator's name as in the language: And, Or, Not, StringEquals, IsPresent, ... It is empty in a JSONata
	// state.
	Op string
	// Expression decides in a JSONata state; when it is nil there, Literal is the constant answer.
	Expression *Expression
	// Children are the operands of And, Or and Not.
	Children []*Condition
	// Variable is the path of the value a comparison looks at.
	Variable *jsonpath.Path
	// Literal is what it is compared with, unless OtherPath is set (the operators that end in Path).
	Literal   jsonvalue.Value
	OtherPath *jsonpath.Path
}

// ParallelFields are the fields of a Parallel state.
type ParallelFields struct {
	// Branches run at the same time on the same input.
	Branches []*Scope
}

// ProcessorMode says where the iterations of a Map run.
type ProcessorMode string

// The modes: inside the execution, or as child executions of a map run.
const (
	Inline      ProcessorMode = "INLINE"
	Distributed ProcessorMode = "DISTRIBUTED"
)

// MapFields are the fields of a Map state. Its ItemSelector is [State.Parameters].
type MapFields struct {
	// Processor runs once for each item, or for each batch of items.
	Processor *Scope
	// ProcessorField and SelectorField are the fields' names as written: ItemProcessor or its old name Iterator, and
	// ItemSelector, its old name Parameters, or empty.
	ProcessorField, SelectorField string
	// Mode is Inline unless the ProcessorConfig says otherwise.
	Mode ProcessorMode
	// ExecutionType is the type of a map run's child executions: STANDARD or EXPRESS. It is empty in mode Inline.
	ExecutionType string
	// Label names the map run's state machine; empty makes the service draw one.
	Label string

	// ItemsPath leads to the array in the effective input; nil means "$".
	ItemsPath *jsonpath.Path
	// Items yields the array or object in a JSONata state; nil means the state's input.
	Items *Template
	// MaxConcurrency bounds the iterations that run at once; nil and 0 mean the service's own limit.
	MaxConcurrency *Integer

	// ToleratedFailurePercentage and ToleratedFailureCount bound the failed items of a map run; nil means 0.
	ToleratedFailurePercentage *Number
	ToleratedFailureCount      *Integer
	// ItemReader tells where a map run's items are, nil when the state's input holds them.
	ItemReader *ItemReader
	// ItemBatcher groups a map run's items, nil for one item per child.
	ItemBatcher *ItemBatcher
	// ResultWriter exports a map run's results, nil when the state's output holds them.
	ResultWriter *ResultWriter
}

// ItemReader is the source of a map run's items.
type ItemReader struct {
	// Resource is S3's getObject or listObjectsV2.
	Resource Resource
	// Parameters builds the request: Bucket, Key or Prefix; its field is called Arguments in JSONata states.
	Parameters *Template
	// Config says how to read the object.
	Config ReaderConfig
}

// ReaderConfig says how to read a data set. Texts are empty when they are not given.
type ReaderConfig struct {
	// InputType is CSV, JSON, JSONL, PARQUET or MANIFEST.
	InputType string
	// Transformation is NONE or LOAD_AND_FLATTEN.
	Transformation string
	// ManifestType is ATHENA_DATA or S3_INVENTORY.
	ManifestType string
	// CSVDelimiter is COMMA, PIPE, SEMICOLON, SPACE or TAB.
	CSVDelimiter string
	// CSVHeaderLocation is FIRST_ROW or GIVEN; CSVHeaders are the given names.
	CSVHeaderLocation string
	CSVHeaders        []string
	// ItemsPointer is a JSON pointer to the array or object in a JSON file.
	ItemsPointer string
	// MaxItems bounds the items that are read; nil means all.
	MaxItems *Integer
}

// ItemBatcher groups items. At least one bound is set.
type ItemBatcher struct {
	// MaxItemsPerBatch and MaxInputBytesPerBatch bound a batch; nil means no bound.
	MaxItemsPerBatch, MaxInputBytesPerBatch *Integer
	// BatchInput joins every batch, nil when it is absent.
	BatchInput *Template
}

// ResultWriter exports results.
type ResultWriter struct {
	// Resource is S3's putObject; nil keeps the results in the state's output, shaped by the rest.
	Resource *Resource
	// Parameters builds the request: Bucket and Prefix; its field is called Arguments in JSONata states.
	Parameters *Template
	// Transformation is NONE, COMPACT or FLATTEN, and OutputType JSON or JSONL; empty when they are not given.
	Transformation, OutputType string
}

// Retrier is one entry of Retry.
type Retrier struct {
	// Errors are the error names it handles.
	Errors []string
	// Interval is the delay before the first retry.
	Interval time.Duration
	// MaxAttempts is how many retries are made; 0 means none.
	MaxAttempts int64
	// BackoffRate multiplies the delay after each retry.
	BackoffRate float64
	// MaxDelay bounds the delay; 0 means no bound.
	MaxDelay time.Duration
	// FullJitter draws the delay evenly between 0 and the computed one.
	FullJitter bool
}

// Catcher is one entry of Catch.
type Catcher struct {
	// Errors are the error names it handles.
	Errors []string
	// Next is the state to go to.
	Next string
	// ResultPath says where the error output goes in the state's input; nil means "$".
	ResultPath *ResultPath
	// Assign sets variables from the error output.
	Assign *Template
	// Output builds the state's output in a JSONata state; nil means the error output.
	Output *Template

	location string
}
