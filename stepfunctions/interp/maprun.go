package interp

import (
	"encoding/binary"
	"fmt"
	"strings"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// The words of AWS for a map run that fails because too many of its items did.
const toleranceExceeded = "The specified tolerated failure threshold was exceeded"

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
	// ToleratedCount and ToleratedPercentage are how many items may fail; nil when not set. Both nil tolerates none.
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
type Failure struct { //nolint:errname // it stands for an error of the language
	// Name and Cause are those of the error.
	Name, Cause string
}

// Error joins name and cause.
func (f *Failure) Error() string { return f.Name + ": " + f.Cause }

// startMapRun hands a distributed Map out.
func (x *Execution) startMapRun(e *env, items jsonvalue.Value, limit int64) {
	t := e.t
	run, f := e.mapRun(items, limit)
	if f != nil {
		x.fail(t, f)
		return
	}
	run.ARN = x.mapRunARN(run)
	x.follow(t, history.MapRunStarted, history.NewDetails("mapRunStartedEventDetails").Text("mapRunArn", run.ARN))
	if run.Reader != nil && run.Reader.MaxItems < 0 {
		x.mapRunFailed(t, newFailure(asl.ErrItemReaderFailed, "field MaxItems must be positive"))
		return
	}
	x.state.lastTask++
	run.ID = x.state.lastTask
	x.setTask(t, &task{id: run.ID, mapRun: run})
	x.step.MapRuns = append(x.step.MapRuns, *run)
}

// mapRun evaluates what is the same for all items.
func (e *env) mapRun(items jsonvalue.Value, limit int64) (*MapRun, *failure) {
	m := e.s.Map
	run := &MapRun{State: e.s.Name, Label: m.Label, Express: m.ExecutionType == "EXPRESS", MaxConcurrency: limit, Items: items}
	if src := m.ToleratedFailureCount; src != nil {
		n, f := e.count("ToleratedFailureCount", src)
		if f != nil {
			return nil, f
		}
		run.ToleratedCount = &n
	}
	if src := m.ToleratedFailurePercentage; src != nil {
		n, f := e.percentage(src)
		if f != nil {
			return nil, f
		}
		run.ToleratedPercentage = &n
	}
	var f *failure
	if run.Reader, f = e.itemReader(m.ItemReader); f != nil {
		return nil, f
	}
	if run.Batcher, f = e.itemBatcher(m.ItemBatcher); f != nil {
		return nil, f
	}
	if w := m.ResultWriter; w != nil {
		run.Writer = &ResultWriter{Transformation: w.Transformation, OutputType: w.OutputType}
		if w.Resource != nil {
			run.Writer.Resource = w.Resource.ARN
		}
		if run.Writer.Parameters, f = e.filled(w.Parameters, jsonvalue.EmptyObject()); f != nil {
			return nil, f
		}
	}
	return run, nil
}

func (e *env) itemReader(r *asl.ItemReader) (*ItemReader, *failure) {
	if r == nil {
		return nil, nil
	}
	c := r.Config
	reader := &ItemReader{
		Resource: r.Resource.ARN, InputType: c.InputType, Transformation: c.Transformation, ManifestType: c.ManifestType,
		CSVDelimiter: c.CSVDelimiter, CSVHeaderLocation: c.CSVHeaderLocation, CSVHeaders: c.CSVHeaders,
		ItemsPointer: c.ItemsPointer,
	}
	var f *failure
	if reader.Parameters, f = e.filled(r.Parameters, jsonvalue.EmptyObject()); f != nil {
		return nil, f
	}
	reader.MaxItems, f = e.anyCount("MaxItems", c.MaxItems)
	return reader, f
}

func (e *env) itemBatcher(b *asl.ItemBatcher) (*ItemBatcher, *failure) {
	if b == nil {
		return nil, nil
	}
	batcher := &ItemBatcher{}
	var f *failure
	if batcher.MaxItems, f = e.count("MaxItemsPerBatch", b.MaxItemsPerBatch); f != nil {
		return nil, f
	}
	if batcher.MaxBytes, f = e.count("MaxInputBytesPerBatch", b.MaxInputBytesPerBatch); f != nil {
		return nil, f
	}
	if b.BatchInput != nil {
		input, f := e.template(b.BatchInput)
		if f != nil {
			return nil, f
		}
		batcher.Input = &input
	}
	return batcher, nil
}

// mapRunARN names a run and, where the state has none, its label.
func (x *Execution) mapRunARN(run *MapRun) string {
	if run.Label == "" {
		run.Label = x.uuid()
	}
	// The machine of a child execution already ends in a label.
	machine, _, _ := strings.Cut(x.info.MachineARN, "/")
	return strings.Replace(machine, ":stateMachine:", ":mapRun:", 1) + "/" + run.Label + ":" + x.uuid()
}

// uuid draws a random UUID (version 4).
func (x *Execution) uuid() string {
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, x.random()), x.random())
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// MapItem evaluates the state's ItemSelector for one item of a running map run and returns the value that the child (or
// its batch) gets. key is set when the items are those of an object; source is STATE_DATA or the URI of the object that
// was read. It changes nothing, and the same arguments always give the same value. The error is a [*Failure] that the
// map run fails with.
func (x *Execution) MapItem(id, index int64, item jsonvalue.Value, key *string, source string) (jsonvalue.Value, error) {
	t := x.tasks[id]
	if t == nil || t.task.mapRun == nil {
		return item, fmt.Errorf("map item %d of %s: it has no running map run %d", index, x.info.ExecutionARN, id)
	}
	e := x.env(t)
	start, draws := seed(fmt.Sprintf("%s/%d", t.task.mapRun.ARN, index)), uint64(0)
	e.random = func() uint64 {
		draws++
		return splitmix(start, draws)
	}
	e.now = t.enteredAt
	v, f := e.selectItem(mapItem{index: index, value: item, key: key, source: source})
	if f == nil {
		return v, nil
	}
	failed := &Failure{Name: f.errorName()}
	if f.cause != nil {
		failed.Cause = *f.cause
	}
	return v, failed
}

// PendingMapRuns returns the map runs that have been started and have not ended, in the order of their IDs, to be taken
// up again after a restart.
func (x *Execution) PendingMapRuns() []MapRun {
	var runs []MapRun
	for _, t := range x.pending() {
		if t.task.mapRun != nil {
			runs = append(runs, *t.task.mapRun)
		}
	}
	return runs
}

// apply ends the state with the map run's result or failure.
func (ev MapRunEnded) apply(x *Execution) {
	t := x.tasks[ev.ID]
	if t == nil || t.task.mapRun == nil {
		return
	}
	x.touch(t)
	x.endTask(t)
	if ev.Error != nil || ev.Cause != nil {
		x.mapRunFailed(t, &failure{name: ev.Error, cause: ev.Cause})
		return
	}
	result, err := jsonvalue.Parse(ev.Output)
	if err != nil {
		x.mapRunFailed(t, newFailure(asl.ErrRuntime, "The map run's result is not JSON: "+err.Error()))
		return
	}
	t.task = nil
	x.follow(t, history.MapRunSucceeded, nil)
	// Success and exit both follow the end of the run.
	x.emit(t.previous, history.MapStateSucceeded, nil)
	x.complete(t, result)
}

// mapRunFailed records that a map run failed and handles it.
func (x *Execution) mapRunFailed(t *thread, f *failure) {
	x.follow(t, history.MapRunFailed, f.details(history.NewDetails("mapRunFailedEventDetails")))
	x.failed(t, f, true)
}
