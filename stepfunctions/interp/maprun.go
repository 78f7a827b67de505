package interp

import (
	"errors"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// MapRun is a distributed Map that the service must run: read the items, start a child execution for each item or
// batch, and report [MapRunEnded]. Everything in it is evaluated; only ItemSelector is evaluated for each item, by
// [Execution.MapItem].
type MapRun struct {
	// ID names the map run in its execution; tasks and map runs count together.
	ID int64
	// ARN is the map run's.
	ARN string
	// State is the name of the Map state; a child's [Info.MapState].
	State string
	// Label is the state's Label, or one made for the run.
	Label string
	// Redrives counts the redrives of the run; more than 0 asks to run again what did not succeed.
	Redrives int
	// Express is the type of the children.
	Express bool
	// MaxConcurrency bounds the children that run at once; 0 means no bound.
	MaxConcurrency int64
	// ToleratedCount and TolerancePercentage are how many items may fail; nil when not set. Both nil tolerates none.
	ToleratedCount      *int64
	ToleratedPercentage *float64
	// Items is the array or object to iterate over; null when Reader says where the items are.
	Items jsonvalue.Value
	// Reader, Batcher and Writer are nil when the state has none.
	Reader  *ItemReader
	Batcher *ItemBatcher
	Writer  *ResultWriter
}

// ItemReader says where a map run's items are.
type ItemReader struct {
	// Resource is the ARN of the integration, such as arn:aws:states:::s3:getObject.
	Resource string
	// Parameters is the evaluated Parameters or Arguments: Bucket, Key, Prefix, VersionId, ExpectedBucketOwner.
	Parameters jsonvalue.Value
	// InputType, Transformation, ManifestType, CSVDelimiter, CSVHeaderLocation and ItemsPointer are those of
	// ReaderConfig; empty when not set.
	InputType, Transformation, ManifestType, CSVDelimiter, CSVHeaderLocation, ItemsPointer string
	// CSVHeaders are the given headers.
	CSVHeaders []string
	// MaxItems bounds how many items are read; 0 means no bound.
	MaxItems int64
}

// ItemBatcher groups items.
type ItemBatcher struct {
	// MaxItems and MaxBytes bound a batch; 0 means no bound.
	MaxItems, MaxBytes int64
	// Input is the evaluated BatchInput; nil when there is none.
	Input *jsonvalue.Value
}

// ResultWriter says where and how the results are written.
type ResultWriter struct {
	// Resource is the ARN of the integration; empty when the results only go into the state's output.
	Resource string
	// Parameters is the evaluated Parameters or Arguments: Bucket, Prefix.
	Parameters jsonvalue.Value
	// Transformation (NONE, COMPACT, FLATTEN) and OutputType (JSON, JSONL) are those of WriterConfig; empty when not set.
	Transformation, OutputType string
}

// Exceeded reports whether so many failed items are more than tolerated. total is the number of all items.
func (r *MapRun) Exceeded(failed, total int64) bool {
	if r.ToleratedCount == nil && r.ToleratedPercentage == nil {
		return failed > 0
	}
	if r.ToleratedCount != nil && failed > *r.ToleratedCount {
		return true
	}
	return r.ToleratedPercentage != nil && float64(failed)*100 > *r.ToleratedPercentage*float64(total)
}

// Failure is an error in the language's sense.
type Failure struct {
	// Name and Cause are those of the error.
	Name, Cause string
}

// Error joins name and cause.
func (f *Failure) Error() string { return f.Name + ": " + f.Cause }

// MapItem evaluates the state's ItemSelector for one item of a running map run and returns the value that the child (or
// its batch) gets. key is set when the items are those of an object; source is STATE_DATA or the URI of the object that
// was read. It changes nothing, and the same arguments always give the same value. The error is a [*Failure] that the
// map run fails with.
func (x *Execution) MapItem(id, index int64, item jsonvalue.Value, key *string, source string) (jsonvalue.Value, error) {
	return item, errors.ErrUnsupported
}

// PendingMapRuns returns the map runs that have been started and have not ended, to be taken up again after a restart.
func (x *Execution) PendingMapRuns() []MapRun { return nil }

func (ev MapRunEnded) apply(x *Execution) {}

// task describes the task that a thread waits for.
func (x *Execution) task(t *thread, s *asl.State) Task {
	return Task{ID: t.TaskID, State: s.Name, Resource: s.Task.Resource, Input: t.TaskInput.String(), Attempt: t.RetryCount}
}

func (ev TaskStarted) apply(x *Execution) {}

func (ev TaskSubmitted) apply(x *Execution) {}

func (ev TaskHeartbeat) apply(x *Execution) {}

var _ = history.MaxEvents
